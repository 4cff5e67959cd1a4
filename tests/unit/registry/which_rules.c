/* Which rules a name gets: the registry's, declared ones, the default, or one
 * attempt. */
#define SCENE_FLAGS 0
#include "scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n";

static void
an_undefined_name_gets_one_attempt(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(scene_attempts(s, "nobody"), 1);
    assert_int_equal(scene_stats(s, "nobody").version, 0);
}

static void
an_undefined_name_gets_the_registrys_default(void **state)
{
    struct scene *s = *state;

    scene_start(s, "[default]\nattempts = 4\nwait = none\n");
    assert_int_equal(scene_attempts(s, "nobody"), 4);
    scene_set(s, "default", "attempts", "2");
    assert_int_equal(scene_attempts(s, "nobody"), 2);
    scene_delete(s, "default");
    assert_int_equal(scene_attempts(s, "nobody"), 1);
}

static void
a_default_made_later_serves_names_already_looked_up(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(scene_attempts(s, "nobody"), 1);
    scene_apply(s, "[default]\nattempts = 4\nwait = none\npaused = yes\n");
    assert_int_equal(scene_attempts(s, "nobody"), 0);
    scene_set(s, "default", "paused", "no");
    assert_int_equal(scene_attempts(s, "nobody"), 4);
}

static void
declared_rules_come_before_default_and_after_the_registry(void **state)
{
    struct scene *s = *state;

    scene_start(s, "[default]\nattempts = 4\nwait = none\n");
    assert_int_equal(bide_declare(s->b, "[mine]\nattempts = 2\nwait = none\n"),
                     0);
    assert_int_equal(scene_attempts(s, "mine"), 2);
    scene_apply(s, "[mine]\nattempts = 5\nwait = none\n");
    assert_int_equal(scene_attempts(s, "mine"), 5);
    scene_delete(s, "mine");
    assert_int_equal(scene_attempts(s, "mine"), 2);
}

/* Nothing made these handles read rules before: the declaration itself must. */
static void
a_later_declaration_holds_from_the_first_attempt_on(void **state)
{
    static const char *const refuse[] = {"paused = yes", "breaker = open"};
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    char text[128];

    scene_start(s, shop);
    scene_policy(s, "mine");
    for (int i = 0; i < 2; i++) { /* looked up only, then also used */
        snprintf(text, sizeof(text), "[mine]\nattempt_timeout = %dms\n",
                 50 + i);
        assert_int_equal(bide_declare(s->b, text), 0);
        assert_int_equal(scene_run(s, "mine", &ok, 1, NULL), BIDE_SUCCEEDED);
        assert_int_equal(s->told[0].timeout_ns, (50 + i) * MS);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bide_declare(s->b, "[mine]\nattempts = 2\n"), 0);
        assert_int_equal(scene_run(s, "mine", &ok, 1, NULL), BIDE_SUCCEEDED);
        assert_int_equal(s->told[0].timeout_ns, UINT64_MAX);
        snprintf(text, sizeof(text), "[mine]\n%s\n", refuse[i]);
        assert_int_equal(bide_declare(s->b, text), 0);
        assert_int_equal(scene_run(s, "mine", &ok, 1, NULL), BIDE_REFUSED);
    }
}

static void
pausing_refuses_calls_and_resuming_allows_them(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    scene_set(s, "shop", "paused", "yes");
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
    assert_int_equal(s->made, 0);
    scene_set(s, "shop", "paused", "no");
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
}

static void
scopes_share_rules_and_count_apart(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct bide_policy *plain, *a, *b;
    struct bide_stats stats;

    scene_start(s, "[shop]\nattempts = 2\nwait = none\n");
    plain = scene_policy(s, "shop");
    assert_int_equal(bide_lookup(s->b, "shop", "a", &a), 0);
    assert_int_equal(bide_lookup(s->b, "shop", "b", &b), 0);
    assert_ptr_not_equal(a, b);
    assert_ptr_not_equal(a, plain);
    s->outcomes = &ok;
    s->outcome_count = 1;
    bide_run(a, scene_attempt, s);
    bide_run(a, scene_attempt, s);
    bide_run(b, scene_attempt, s);
    assert_int_equal(bide_read_stats(plain, sizeof(stats), &stats), 0);
    assert_int_equal(stats.succeeded, 0);
    assert_int_equal(bide_read_stats(a, sizeof(stats), &stats), 0);
    assert_int_equal(stats.succeeded, 2);
    assert_int_equal(bide_read_stats(b, sizeof(stats), &stats), 0);
    assert_int_equal(stats.succeeded, 1);
    scene_set(s, "shop", "paused", "yes");
    assert_int_equal(bide_run(a, scene_attempt, s), BIDE_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_undefined_name_gets_one_attempt),
        SCENE(an_undefined_name_gets_the_registrys_default),
        SCENE(a_default_made_later_serves_names_already_looked_up),
        SCENE(declared_rules_come_before_default_and_after_the_registry),
        SCENE(a_later_declaration_holds_from_the_first_attempt_on),
        SCENE(pausing_refuses_calls_and_resuming_allows_them),
        SCENE(scopes_share_rules_and_count_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
