/* Scopes have a live state of their own under the same rules, up to a limit. */
#define SCENE_FLAGS 0
#include "scene.h"

enum { MANY = 1024 /* SCOPES_MAX */ };

struct counted {
    size_t rows, others;
    uint32_t scopes, refused;
    uint64_t attempts; /* in the cell that they share */
};

static int
count_cell(void *arg, const struct admin_cell *c)
{
    struct counted *n = arg;

    if (!*c->scope) {
        n->scopes = c->scopes;
        n->refused = c->scopes_refused;
    }
    if (c->only_scopes) {
        return 0;
    }
    n->rows++;
    if (strcmp(c->scope, ADMIN_OTHERS) == 0) {
        n->others++;
        n->attempts = c->stats.attempts;
    }
    return 0;
}

static struct counted
counted(struct scene *s, const char *name)
{
    struct admin *a = scene_admin(s);
    struct counted n = {0};

    assert_int_equal(admin_each_cell(a, name, ADMIN_TOTALS, count_cell, &n), 0);
    admin_close(a);
    return n;
}

static struct bide_policy *
scoped(struct scene *s, struct bide *b, const char *name, unsigned number)
{
    struct bide_policy *p;
    char scope[32];

    (void)s;
    snprintf(scope, sizeof(scope), "host-%u.example.com", number);
    assert_int_equal(bide_lookup(b, name, scope, &p), 0);
    return p;
}

static enum bide_verdict
run_once(struct scene *s, struct bide_policy *p, struct bide_outcome o)
{
    s->outcomes = &o;
    s->outcome_count = 1;
    s->made = 0;
    return bide_run(p, scene_attempt, s);
}

static void
each_scope_up_to_the_limit_has_its_own_cell(void **state)
{
    struct scene *s = *state;
    struct counted n;
    unsigned i;

    scene_start(s, "[shop]\n");
    for (i = 0; i < MANY; i++) {
        scoped(s, s->b, "shop", i);
    }
    n = counted(s, "shop");
    assert_int_equal(n.rows, MANY);
    assert_int_equal(n.scopes, MANY);
    assert_int_equal(n.others, 0);
    assert_int_equal(n.refused, 0);
}

static void
scopes_above_the_limit_share_one_cell_and_are_counted(void **state)
{
    struct scene *s = *state;
    struct counted n;
    unsigned i;

    scene_start(s, "[shop]\n[other]\n");
    for (i = 0; i < MANY + 3; i++) {
        run_once(s, scoped(s, s->b, "shop", i), bide_ok());
    }
    n = counted(s, "shop");
    assert_int_equal(n.rows, MANY + 1);
    assert_int_equal(n.others, 1);
    assert_int_equal(n.scopes, MANY);
    assert_int_equal(n.refused, 3);
    assert_int_equal(n.attempts, 3);
    /* of this policy only */
    scoped(s, s->b, "other", 1);
    assert_int_equal(counted(s, "other").refused, 0);
}

static void
scopes_that_have_a_cell_keep_it_for_every_process(void **state)
{
    struct scene *s = *state;
    struct bide *second;
    struct counted n;
    unsigned i;

    scene_start(s, "[shop]\n");
    for (i = 0; i <= MANY; i++) {
        scoped(s, s->b, "shop", i);
    }
    assert_int_equal(bide_open(s->dir, 0, &second), 0);
    scoped(s, second, "shop", 0);
    scoped(s, second, "shop", MANY - 1);
    n = counted(s, "shop");
    assert_int_equal(n.refused, 1);
    assert_int_equal(n.rows, MANY + 1);
    assert_int_equal(bide_close(second), 0);
}

static void
the_policy_without_a_scope_keeps_its_own_cell(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    unsigned i;

    scene_start(s, "[shop]\n");
    assert_int_equal(bide_lookup(s->b, "shop", NULL, &p), 0);
    for (i = 0; i < MANY; i++) {
        scoped(s, s->b, "shop", i);
    }
    assert_int_equal(counted(s, "shop").refused, 0);
    assert_int_equal(counted(s, "shop").rows, MANY + 1);
}

static void
the_cell_without_a_scope_is_shown_only_when_it_is_used(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;

    scene_start(s, "[shop]\n");
    scoped(s, s->b, "shop", 1);
    assert_int_equal(counted(s, "shop").rows, 1);
    assert_int_equal(bide_lookup(s->b, "shop", NULL, &p), 0);
    assert_int_equal(counted(s, "shop").rows, 2);
}

static void
no_service_can_ask_for_the_shared_scope(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p = (void *)s;

    scene_start(s, "[shop]\n");
    assert_int_equal(bide_lookup(s->b, "shop", ADMIN_OTHERS, &p), BIDE_ENAME);
    assert_ptr_equal(p, s);
}

static void
a_breaker_is_open_in_its_scope_only(void **state)
{
    struct scene *s = *state;

    scene_start(s, "[shop]\nattempts = 1\nbreaker = on\nbreaker_min_calls = 1\n"
                   "retry_on = any\n");
    run_once(s, scoped(s, s->b, "shop", 1), bide_http(503, NULL));
    assert_int_equal(run_once(s, scoped(s, s->b, "shop", 1), bide_ok()),
                     BIDE_REFUSED);
    assert_int_equal(run_once(s, scoped(s, s->b, "shop", 2), bide_ok()),
                     BIDE_SUCCEEDED);
}

static void
scopes_that_share_a_cell_share_its_breaker(void **state)
{
    struct scene *s = *state;
    unsigned i;

    scene_start(s, "[shop]\nattempts = 1\nbreaker = on\nbreaker_min_calls = 1\n"
                   "retry_on = any\n");
    for (i = 0; i < MANY; i++) {
        scoped(s, s->b, "shop", i);
    }
    run_once(s, scoped(s, s->b, "shop", MANY), bide_http(503, NULL));
    assert_int_equal(run_once(s, scoped(s, s->b, "shop", MANY + 1), bide_ok()),
                     BIDE_REFUSED);
    assert_int_equal(run_once(s, scoped(s, s->b, "shop", 0), bide_ok()),
                     BIDE_SUCCEEDED);
}

static struct bide_policy *
handle(struct scene *s, const char *text, size_t name, size_t scope)
{
    struct bide_policy *p;
    char n[BIDE_NAME_MAX + 1] = "", o[BIDE_NAME_MAX + 1] = "";

    memcpy(n, text, name);
    memcpy(o, text + name, scope);
    assert_int_equal(bide_lookup(s->b, n, o, &p), 0);
    return p;
}

/* The same letters, divided into name and scope at each place. */
static void
names_and_scopes_of_every_length_have_handles_of_their_own(void **state)
{
    static struct bide_policy *seen[BIDE_NAME_MAX + 1][BIDE_NAME_MAX + 1];
    struct scene *s = *state;
    char text[2 * BIDE_NAME_MAX + 1];
    size_t i, k;

    memset(text, 'a', sizeof(text));
    scene_start(s, "[shop]\n");
    for (i = 1; i <= BIDE_NAME_MAX; i++) {
        for (k = 0; k <= BIDE_NAME_MAX; k += k < 40 ? 13 : 3) {
            seen[i][k] = handle(s, text, i, k);
            assert_true(seen[i][k] != seen[i - 1][k]);
        }
    }
    for (i = 1; i <= BIDE_NAME_MAX; i++) {
        for (k = 0; k <= BIDE_NAME_MAX; k += k < 40 ? 13 : 3) {
            assert_ptr_equal(handle(s, text, i, k), seen[i][k]);
            assert_true(k == 0 || seen[i][k] != seen[i][0]);
        }
    }
}

static void
the_limit_of_scopes_holds_without_a_registry(void **state)
{
    struct scene *s = *state;
    struct bide_stats stats;
    unsigned i;

    scene_open(s);
    for (i = 0; i < MANY + 2; i++) {
        run_once(s, scoped(s, s->b, "shop", i), bide_ok());
    }
    assert_int_equal(bide_read_stats(scoped(s, s->b, "shop", MANY + 1),
                                     sizeof(stats), &stats),
                     0);
    assert_int_equal(stats.succeeded, 2);
    assert_int_equal(
        bide_read_stats(scoped(s, s->b, "shop", 0), sizeof(stats), &stats), 0);
    assert_int_equal(stats.succeeded, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(each_scope_up_to_the_limit_has_its_own_cell),
        SCENE(scopes_above_the_limit_share_one_cell_and_are_counted),
        SCENE(scopes_that_have_a_cell_keep_it_for_every_process),
        SCENE(the_policy_without_a_scope_keeps_its_own_cell),
        SCENE(the_cell_without_a_scope_is_shown_only_when_it_is_used),
        SCENE(no_service_can_ask_for_the_shared_scope),
        SCENE(a_breaker_is_open_in_its_scope_only),
        SCENE(scopes_that_share_a_cell_share_its_breaker),
        SCENE(names_and_scopes_of_every_length_have_handles_of_their_own),
        SCENE(the_limit_of_scopes_holds_without_a_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
