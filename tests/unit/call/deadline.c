/* The deadline of a call, beside the one of its policy, and the time that is
 * left for an attempt. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

#include <limits.h>

static const char shop[] = "[shop]\n"
                           "attempts = unlimited\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n"
                           "importance = optional\n"
                           "[limited]\n"
                           "extends = shop\n"
                           "deadline = 1s\n"
                           "attempt_timeout = 600ms\n";

static const struct bide_outcome bad = {.domain = BIDE_DOMAIN_HTTP,
                                        .code = 503};

static const struct bide_result *
run(struct scene *s, struct bide_call *c, const char *policy)
{
    s->outcomes = &bad;
    s->outcome_count = 1;
    s->made = 0;
    bide_call_run(c, scene_policy(s, policy), scene_attempt, s);
    return bide_call_result(c);
}

struct row {
    const char *policy;
    uint64_t within_ms; /* deadline of the call, from its begin; 0: none */
    uint32_t attempts;  /* each takes 30 ms */
    uint64_t limit_ms[2];
};

static void
the_earlier_deadline_holds(void **state)
{
    static const struct row rows[] = {
        {"limited", 0, 8, {600, 600}},
        {"limited", 500, 4, {500, 370}},
        {"limited", 1000, 8, {600, 600}},
        {"limited", 2000, 8, {600, 600}},
        {"shop", 500, 4, {500, 370}},
        {"shop", 131, 2, {131, 1}},
        {"shop", 130, 1, {130}}, /* no attempt begins at the deadline */
        {"shop", 30, 1, {30}},
        {"shop", 1, 1, {1}},
    };
    struct scene *s = *state;

    scene_start(s, shop);
    s->took_ns = 30 * MS;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *r = &rows[i];
        const struct bide_result *got;
        struct bide_call c = {0};
        uint64_t begun = s->now;

        print_message("         %s %llu\n", r->policy,
                      (unsigned long long)r->within_ms);
        if (r->within_ms) {
            bide_call_set_deadline_ns(&c, begun + r->within_ms * MS);
        }
        got = run(s, &c, r->policy);
        assert_int_equal(got->verdict, BIDE_EXHAUSTED);
        assert_int_equal(got->reason, BIDE_BY_DEADLINE);
        assert_int_equal(got->end, BIDE_END_DROPPED);
        assert_int_equal(got->attempts, r->attempts);
        for (uint32_t n = 0; n < r->attempts && n < 2; n++) {
            assert_int_equal(s->told[n].timeout_ns, r->limit_ms[n] * MS);
            assert_int_equal(s->told[n].deadline_ns,
                             begun + n * 130 * MS + r->limit_ms[n] * MS);
        }
    }
}

static void
a_deadline_that_has_passed_makes_no_attempt(void **state)
{
    struct scene *s = *state;
    const uint64_t passed[] = {0, 1, s->now - 1, s->now};
    struct bide_call c;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(passed); i++) {
        const struct bide_result *r = bide_call_result(&c);

        bide_call_init(&c);
        bide_call_set_deadline_ns(&c, passed[i]);
        run(s, &c, "shop");
        assert_int_equal(s->made, 0);
        assert_int_equal(r->verdict, BIDE_EXHAUSTED);
        assert_int_equal(r->reason, BIDE_BY_DEADLINE);
        assert_int_equal(r->end, BIDE_END_DROPPED);
        assert_int_equal(r->attempts, 0);
        BIDE_TRY(&c, scene_policy(s, "shop"))
        {
            fail();
        }
        assert_int_equal(r->reason, BIDE_BY_DEADLINE);
        assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                         BIDE_DONE);
    }
    assert_int_equal(scene_stats(s, "shop").exhausted, 3 * COUNT(passed));
    assert_int_equal(scene_stats(s, "shop").attempts, 0);
    scene_close(s);
}

static void
the_deadline_stays_until_the_call_is_set_up_again(void **state)
{
    const struct bide_outcome script[] = {bad, bide_ok()};
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    s->outcomes = script;
    s->outcome_count = 2;
    bide_call_set_deadline_ns(&c, s->now + 150 * MS);
    for (int i = 0; i < 2; i++) {
        s->made = 0;
        bide_call_run(&c, scene_policy(s, "shop"), scene_attempt, s);
        assert_int_equal(bide_call_result(&c)->verdict,
                         i ? BIDE_EXHAUSTED : BIDE_SUCCEEDED);
    }
    bide_call_set_deadline_ns(&c, UINT64_MAX); /* none */
    s->made = 0;
    bide_call_run(&c, scene_policy(s, "shop"), scene_attempt, s);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    bide_call_set_deadline_ns(&c, 1);
    bide_call_init(&c);
    s->made = 0;
    bide_call_run(&c, scene_policy(s, "shop"), scene_attempt, s);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
}

/* Asked again at the end of a wait, and after a change of the policy. */
static void
a_waiting_call_keeps_its_deadline(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, shop);
    for (int late = 0; late < 2; late++) {
        bide_call_set_deadline_ns(&c, s->now + SECOND);
        bide_step_begin(&c, scene_policy(s, "shop"), NULL);
        assert_int_equal(bide_step_ended(&c, bad), BIDE_WAIT);
        if (late) {
            s->now += SECOND; /* its thread was busy */
        } else {
            scene_set(s, "shop", "wait_initial", "1s");
        }
        assert_int_equal(bide_step_resume(&c), BIDE_DONE);
        assert_int_equal(bide_call_result(&c)->reason, BIDE_BY_DEADLINE);
        assert_int_equal(bide_call_result(&c)->attempts, 1);
        scene_set(s, "shop", "wait_initial", "100ms");
    }
}

/* ---- bide_attempt_poll_ms ---- */

static void
poll_takes_the_time_that_is_left(void **state)
{
    const struct {
        uint64_t left_ns;
        int ms;
    } rows[] = {
        {0, 0},
        {1, 1},
        {MS - 1, 1},
        {MS, 1},
        {MS + 1, 2},
        {20 * MS, 20},
        {INT_MAX * MS, INT_MAX},
        {INT_MAX * MS + 1, INT_MAX},
        {UINT64_MAX / 2, INT_MAX},
    };
    struct scene *s = *state;
    struct bide_attempt a = {.number = 1};

    scene_open(s);
    a.bide = s->b;
    for (size_t i = 0; i < COUNT(rows); i++) {
        a.deadline_ns = s->now + rows[i].left_ns;
        assert_int_equal(bide_attempt_poll_ms(&a), rows[i].ms);
    }
    a.deadline_ns = s->now - 1; /* over */
    assert_int_equal(bide_attempt_poll_ms(&a), 0);
    a.deadline_ns = UINT64_MAX; /* no limit */
    assert_int_equal(bide_attempt_poll_ms(&a), -1);
}

static struct bide_outcome
poll_in_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    if (!s->made++) {
        s->sleeps = bide_attempt_poll_ms(attempt);
    }
    return bide_ok();
}

static void
an_attempt_asks_how_long_it_may_poll(void **state)
{
    static const struct {
        const char *timeout;
        int ms;
    } rows[] = {{"none", -1}, {"20ms", 20}, {"1500us", 2}, {"1001us", 2}};
    struct scene *s = *state;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(rows); i++) {
        scene_set(s, "shop", "attempt_timeout", rows[i].timeout);
        s->made = 0;
        (void)bide_run(scene_policy(s, "shop"), poll_in_attempt, s);
        assert_int_equal(s->sleeps, rows[i].ms);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_earlier_deadline_holds),
        SCENE(a_deadline_that_has_passed_makes_no_attempt),
        SCENE(the_deadline_stays_until_the_call_is_set_up_again),
        SCENE(a_waiting_call_keeps_its_deadline),
        SCENE(poll_takes_the_time_that_is_left),
        SCENE(an_attempt_asks_how_long_it_may_poll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
