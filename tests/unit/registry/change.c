/* A change reaches waiting calls.  No real time passes: the caller's clock
 * changes the registry in the middle of its sleep. */
#define SCENE_FLAGS 0
#include "scene.h"

static const char shop[] = "[base]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 1h\n"
                           "wait_max = 1h\n"
                           "wait_jitter = none\n"
                           "[shop]\n"
                           "extends = base\n";

struct change {
    const char *what;
    const char *name, *key, *value; /* the key to set in the first sleep */
    const char *text;               /* or a text to apply */
    bool deleted;                   /* or delete the policy */
    enum bide_verdict verdict;
    enum bide_reason reason;
    uint32_t attempts;
    uint64_t slept_s;
};

/* Two attempts fail; the policy changes 5 s into the first sleep. */
static const struct change changes[] = {
    {.what = "raised",
     .name = "shop",
     .key = "wait_initial",
     .value = "3000s",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 6000},
    {.what = "lowered",
     .name = "shop",
     .key = "wait_initial",
     .value = "7s",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 14},
    {.what = "lowered to less than has passed",
     .name = "shop",
     .key = "wait_initial",
     .value = "1s",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 6},
    {.what = "the cap lowered",
     .name = "shop",
     .key = "wait_max",
     .value = "10s",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 20},
    {.what = "set to give up",
     .name = "shop",
     .key = "attempts",
     .value = "1",
     .verdict = BIDE_EXHAUSTED,
     .reason = BIDE_BY_ATTEMPTS,
     .attempts = 1,
     .slept_s = 5},
    {.what = "given a deadline",
     .name = "shop",
     .key = "deadline",
     .value = "1h",
     .verdict = BIDE_EXHAUSTED,
     .reason = BIDE_BY_DEADLINE,
     .attempts = 1,
     .slept_s = 5},
    {.what = "no wait at all",
     .name = "shop",
     .key = "wait",
     .value = "none",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 5},
    {.what = "its parent lowered",
     .name = "base",
     .key = "wait_initial",
     .value = "7s",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 14},
    {.what = "deleted",
     .name = "shop",
     .deleted = true,
     .verdict = BIDE_EXHAUSTED,
     .reason = BIDE_BY_ATTEMPTS,
     .attempts = 1,
     .slept_s = 5},
    {.what = "paused: what is under way goes on",
     .name = "shop",
     .key = "paused",
     .value = "yes",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 7200},
    {.what = "another policy",
     .text = "[other]\nattempts = 1\n",
     .verdict = BIDE_SUCCEEDED,
     .attempts = 3,
     .slept_s = 7200},
};

static const struct change *now_due;

static void
change_it(struct scene *s)
{
    const struct change *c = now_due;

    if (s->sleeps != 1) {
        return;
    }
    s->now += 5 * SECOND; /* the longest sleep without a look */
    if (c->deleted) {
        scene_delete(s, c->name);
    } else if (c->text) {
        scene_apply(s, c->text);
    } else {
        scene_set(s, c->name, c->key, c->value);
    }
}

static void
a_sleeping_call_is_decided_again(void **state)
{
    const struct bide_outcome script[] = {bide_http(503, NULL),
                                          bide_http(503, NULL), bide_ok()};
    struct scene *s = *state;
    size_t i;

    scene_start(s, shop);
    for (i = 0; i < COUNT(changes); i++) {
        const struct change *c = &changes[i];
        struct bide_result r;

        print_message("         %s\n", c->what);
        s->on_sleep = NULL;
        scene_apply(s, shop);
        s->on_sleep = change_it;
        now_due = c;
        scene_run(s, "shop", script, 3, &r);
        assert_int_equal(r.verdict, c->verdict);
        assert_int_equal(r.reason, c->reason);
        assert_int_equal(r.attempts, c->attempts);
        assert_int_equal(r.slept_ns, c->slept_s * SECOND);
    }
    s->on_sleep = NULL;
}

static void
create_it(struct scene *s)
{
    if (s->sleeps == 1) {
        s->now += 5 * SECOND;
        scene_apply(s, "[late]\nattempts = 2\nwait = fixed\n"
                       "wait_initial = 6s\nwait_jitter = none\n");
    }
}

static void
a_policy_made_while_its_call_sleeps_takes_over(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    struct bide_result r;

    scene_start(s, shop);
    assert_int_equal(bide_declare(s->b, "[late]\nattempts = 9\nwait = fixed\n"
                                        "wait_initial = 1h\nwait_max = 1h\n"
                                        "wait_jitter = none\n"),
                     0);
    s->on_sleep = create_it;
    scene_run(s, "late", &bad, 1, &r);
    assert_int_equal(r.attempts, 2);
    assert_int_equal(r.slept_ns, 6 * SECOND);
    assert_int_equal(scene_stats(s, "late").version, 1);
}

static void
declare_it(struct scene *s)
{
    if (s->sleeps == 1) {
        s->now += 5 * SECOND;
        assert_int_equal(bide_declare(s->b, "[mine]\nattempts = 1\n"), 0);
    }
}

static void
declaring_again_reaches_a_sleeping_call(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    struct bide_result r;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[mine]\nattempts = 9\nwait = fixed\n"
                                        "wait_initial = 1h\nwait_max = 1h\n"
                                        "wait_jitter = none\n"),
                     0);
    s->on_sleep = declare_it;
    scene_run(s, "mine", &bad, 1, &r);
    assert_int_equal(r.attempts, 1);
    assert_int_equal(r.slept_ns, 5 * SECOND);
}

static struct bide_outcome
change_in_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    s->made++;
    if (attempt->number == 1) {
        scene_set(s, "shop", "attempts", "1");
    }
    return bide_http(503, NULL);
}

static void
a_change_during_an_attempt_holds_at_its_end(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(bide_run(scene_policy(s, "shop"), change_in_attempt, s),
                     BIDE_EXHAUSTED);
    assert_int_equal(s->made, 1);
}

static void
an_announcement_counts_the_sleepers_it_wakes(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(scene_set(s, "shop", "attempts", "5"), 0);
}

static uint32_t
limit_told(struct scene *s)
{
    const struct bide_outcome ok = bide_ok();

    scene_run(s, "shop", &ok, 1, NULL);
    return (uint32_t)(s->told[0].timeout_ns / MS);
}

/* All processes share the cell of a name: a reader of an older commit must not
 * overwrite its gate. */
static void
each_first_attempt_knows_the_limit_of_the_last_change(void **state)
{
    struct scene *s = *state;
    int i;

    scene_start(s, shop);
    for (i = 1; i < 50; i++) {
        char value[32];

        snprintf(value, sizeof(value), "%dms", i);
        scene_set(s, i % 2 ? "base" : "shop", "attempt_timeout", value);
        if (i == 1 || i % 2 == 0) {
            assert_int_equal(limit_told(s), i);
        }
    }
}

static bool
is_refused(void *arg)
{
    const struct bide_outcome ok = bide_ok();

    return scene_run(arg, "shop", &ok, 1, NULL) == BIDE_REFUSED;
}

/* No attempt fails and nobody announces the end: the gate itself makes calls
 * read the rules. */
static void
a_pause_lifted_for_a_time_returns_at_its_end(void **state)
{
    struct scene *s = *state;
    struct admin_change change = scene_change;
    struct admin_setting on = {"paused", "no"};
    struct admin_results results = {0};
    struct faults faults = {0};
    struct admin *a;

    scene_start(s, "[shop]\npaused = yes\n");
    assert_true(is_refused(s));
    change.for_ns = SECOND;
    a = scene_admin(s);
    assert_int_equal(admin_change_each(a, &change, (const char *[]){"shop"}, 1,
                                       &on, 1, &results, &faults),
                     0);
    admin_results_free(&results);
    faults_free(&faults);
    admin_close(a);
    assert_false(is_refused(s));
    assert_true(scene_until(is_refused, s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_sleeping_call_is_decided_again),
        SCENE(a_policy_made_while_its_call_sleeps_takes_over),
        SCENE(declaring_again_reaches_a_sleeping_call),
        SCENE(a_change_during_an_attempt_holds_at_its_end),
        SCENE(an_announcement_counts_the_sleepers_it_wakes),
        SCENE(a_pause_lifted_for_a_time_returns_at_its_end),
        SCENE(each_first_attempt_knows_the_limit_of_the_last_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
