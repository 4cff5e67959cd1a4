/* The functions that tell a program about the policies that it uses. */
#define SCENE_FLAGS 0
#include "scene.h"

#include "policy/key.h"

static const char shop[] = "[base]\n"
                           "attempts = 4\n"
                           "retry_on = http.503,   connect\n"
                           "[shop]\n"
                           "extends = base\n"
                           "wait_initial = 100ms\n";

static const char *
value(struct bide_policy *p, const char *key)
{
    static char text[1024];
    int length = bide_policy_value(p, key, text, sizeof(text));

    assert_true(length >= 0 && (size_t)length == strlen(text));
    return text;
}

static void
a_handle_has_the_names_that_it_was_looked_up_with(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;

    scene_open(s);
    assert_int_equal(bide_lookup(s->b, "shop", "api.example.com", &p), 0);
    assert_string_equal(bide_policy_name(p), "shop");
    assert_string_equal(bide_policy_scope(p), "api.example.com");
    assert_string_equal(bide_policy_scope(scene_policy(s, "shop")), "");
}

static void
the_source_tells_a_misspelt_name(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint32_t version = 7;

    scene_open(s); /* there is no registry */
    p = scene_policy(s, "shop");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_BUILTIN);
    assert_int_equal(version, 0);
    assert_int_equal(bide_declare(s->b, "[shop]\nattempts = 2\n"), 0);
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_DECLARED);
    assert_int_equal(version, 0);
    scene_init(s);
    scene_apply(s, shop);
    s->now += SECOND;
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_REGISTRY);
    assert_int_equal(version, 1);
    scene_set(s, "shop", "attempts", "9");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_REGISTRY);
    assert_int_equal(version, 2);
    scene_delete(s, "shop");
    assert_int_equal(bide_policy_source(p, NULL), BIDE_SOURCE_DECLARED);

    p = scene_policy(s, "shoop");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_BUILTIN);
    scene_apply(s, "[default]\nattempts = 5\n");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_DEFAULT);
    assert_int_equal(version, 1);
    assert_string_equal(value(p, "attempts"), "5");
    scene_set(s, "default", "attempts", "6");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_DEFAULT);
    assert_int_equal(version, 2);
    version = 7;
    assert_int_equal(bide_policy_source(NULL, &version), BIDE_EINVAL);
    assert_int_equal(version, 7);
}

static void
values_are_those_of_a_policy_file(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    char text[4] = "abc";

    scene_start(s, shop);
    p = scene_policy(s, "shop");
    assert_string_equal(value(p, "extends"), "base");
    assert_string_equal(value(p, "attempts"), "4");
    assert_string_equal(value(p, "wait_initial"), "100ms");
    assert_string_equal(value(p, "throttle_wait_initial"), "100ms");
    assert_string_equal(value(p, "retry_on"), "connect, http.503");
    assert_string_equal(value(p, "description"), "");
    assert_string_equal(value(p, "wait_max"), "10s");
    scene_set(s, "shop", "wait_initial", "30s");
    assert_string_equal(value(p, "wait_max"), "30s");
    scene_set(s, "base", "attempts", "unlimited");
    assert_string_equal(value(p, "attempts"), "unlimited");
    assert_int_equal(bide_policy_value(p, "extends", NULL, 0), 4);
    assert_int_equal(bide_policy_value(p, "extends", text, sizeof(text)), 4);
    assert_string_equal(text, "bas");
    assert_int_equal(bide_policy_value(p, "attempt", text, 4), BIDE_EINVAL);
    assert_int_equal(bide_policy_value(p, NULL, text, 4), BIDE_EINVAL);
    assert_int_equal(bide_policy_value(NULL, "extends", text, 4), BIDE_EINVAL);
    assert_string_equal(text, "bas");
}

/* Each key has a value that can be declared again and then is the same. */
static void
each_value_can_be_declared(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p, *again;
    char ini[300], text[200];

    scene_start(s, shop);
    p = scene_policy(s, "shop");
    again = scene_policy(s, "again");
    for (size_t i = 0; i < policy_key_count; i++) {
        const char *key = policy_keys[i].name;

        snprintf(text, sizeof(text), "%s", value(p, key));
        if (*text && strcmp(key, "extends") != 0) {
            snprintf(ini, sizeof(ini), "[again]\n%s = %s\n", key, text);
            assert_int_equal(bide_declare(s->b, ini), 0);
            assert_string_equal(value(again, key), text);
        }
    }
}

static void
values_stay_when_the_registry_is_lost(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint32_t version;

    scene_start(s, shop);
    p = scene_policy(s, "shop");
    scene_remove(s->dir);
    s->now += 10 * SECOND;
    assert_int_not_equal(bide_registry_status(s->b), 0);
    assert_string_equal(value(p, "attempts"), "4");
    assert_int_equal(bide_policy_source(p, &version), BIDE_SOURCE_REGISTRY);
    assert_int_equal(version, 1);
}

/* ---- the generation ---- */

static void
the_generation_changes_with_each_change(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint64_t before, now;

    scene_open(s);
    p = scene_policy(s, "shop");
    before = bide_policy_generation(p);
    assert_true(bide_policy_generation(p) == before);
    assert_int_equal(bide_declare(s->b, "[shop]\nattempts = 2\n"), 0);
    now = bide_policy_generation(p);
    assert_true(now != before);
    scene_init(s);
    scene_apply(s, shop);
    bide_registry_status(s->b); /* the handle moves to the live file */
    before = bide_policy_generation(p);
    assert_true(now != before);
    scene_set(s, "shop", "attempts", "5");
    now = bide_policy_generation(p);
    assert_true(now != before);
    scene_set(s, "base", "wait_factor", "5");
    before = bide_policy_generation(p);
    assert_true(now != before);
    scene_apply(s, "[other]\nattempts = 5\n");
    assert_true(bide_policy_generation(p) == before);
    assert_int_equal(unlink(reader_live_path(s->b->reader)), 0);
    bide_registry_status(s->b); /* another live file */
    assert_true(bide_policy_generation(p) != before);
}

static void
the_generation_changes_with_another_live_file(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint64_t before;

    scene_start(s, shop);
    p = scene_policy(s, "shop");
    before = bide_policy_generation(p);
    assert_int_equal(unlink(reader_live_path(s->b->reader)), 0);
    assert_int_equal(bide_registry_status(s->b), 0);
    assert_true(bide_policy_generation(p) != before);
}

static void
private_state_follows_what_calls_have_noticed(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    uint64_t before;
    struct bide *b;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, BIDE_PRIVATE, &b), 0);
    assert_int_equal(bide_lookup(b, "shop", NULL, &p), 0);
    before = bide_policy_generation(p);
    scene_set(s, "shop", "attempts", "5");
    assert_int_equal(bide_registry_status(b), 0);
    assert_true(bide_policy_generation(p) != before);
    assert_int_equal(bide_close(b), 0);
}

/* ---- all policies ---- */

static int
join(void *arg, const char *name)
{
    char *text = arg;

    strcat(strcat(text, name), " ");
    return strcmp(name, "last") == 0 ? 42 : 0;
}

static void
policies_are_listed_by_name(void **state)
{
    struct scene *s = *state;
    char text[100] = "";

    scene_open(s);
    assert_int_equal(bide_policies(s->b, join, text), BIDE_EMISSING);
    scene_init(s);
    assert_int_equal(bide_policies(s->b, join, text), 0);
    assert_string_equal(text, "");
    scene_apply(s, "[z-9]\n[b]\n[a]\n[gone]\n[b.1]\n");
    scene_delete(s, "gone");
    assert_int_equal(bide_policies(s->b, join, text), 0);
    assert_string_equal(text, "a b b.1 z-9 ");
    scene_apply(s, "[last]\n");
    text[0] = '\0';
    assert_int_equal(bide_policies(s->b, join, text), 42);
    assert_string_equal(text, "a b b.1 last ");
    assert_int_equal(bide_policies(s->b, NULL, NULL), BIDE_EINVAL);
    assert_int_equal(bide_policies(NULL, join, text), BIDE_EINVAL);
}

/* `each` may use the registry: no lock is held. */
static int
look_each_up(void *arg, const char *name)
{
    struct bide_policy *p;

    assert_int_equal(bide_lookup(arg, name, NULL, &p), 0);
    assert_int_equal(bide_policy_source(p, NULL), BIDE_SOURCE_REGISTRY);
    return 0;
}

static void
listed_policies_can_be_looked_up(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(bide_policies(s->b, look_each_up, s->b), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_handle_has_the_names_that_it_was_looked_up_with),
        SCENE(the_source_tells_a_misspelt_name),
        SCENE(values_are_those_of_a_policy_file),
        SCENE(each_value_can_be_declared),
        SCENE(values_stay_when_the_registry_is_lost),
        SCENE(the_generation_changes_with_each_change),
        SCENE(the_generation_changes_with_another_live_file),
        SCENE(private_state_follows_what_calls_have_noticed),
        SCENE(policies_are_listed_by_name),
        SCENE(listed_policies_can_be_looked_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
