/* Hedges of the step API: another attempt beside one that runs. */
#define SCENE_FLAGS 0
#include "call/call.h"
#include "rule/draw.h"
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "attempt_timeout = 1s\n"
                           "hedge_after = 50ms\n"
                           "retry_on = any\n"
                           "[plain]\n"
                           "extends = shop\n"
                           "hedge_after = none\n"
                           "[limited]\n"
                           "extends = shop\n"
                           "attempt_timeout = none\n"
                           "limit = own\n"
                           "limit_places = 2\n"
                           "[slow_tail]\n"
                           "hedge_after = p95\n"
                           "[slow_tenth]\n"
                           "hedge_after = p80\n";

static const struct bide_outcome good = {.domain = BIDE_DOMAIN_OK};
static const struct bide_outcome bad = {.domain = BIDE_DOMAIN_HTTP,
                                        .code = 503};

static struct cell_reading
read_cell(struct scene *s, const char *name)
{
    const struct home *h = atomic_load(&scene_policy(s, name)->home);
    struct cell_reading r;

    cell_read(h->live, h->index, &r);
    return r;
}

static void
begin(struct scene *s, struct bide_call *c, struct bide_hedges *memory,
      const char *name)
{
    bide_call_init(c);
    bide_call_set_hedges(c, memory);
    assert_int_equal(bide_step_begin(c, scene_policy(s, name), NULL), BIDE_GO);
}

static void
resume_starts_a_hedge_at_its_time_and_the_first_success_wins(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;
    struct cell_reading r;
    uint64_t t0;

    scene_start(s, shop);
    t0 = s->now;
    begin(s, &c, &memory, "shop");
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 50 * MS);
    s->now = t0 + 50 * MS - 1;
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    s->now = t0 + 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    assert_int_equal(bide_call_attempt(&c)->number, 2);
    assert_int_equal(bide_call_attempt(&c)->deadline_ns, t0 + 1050 * MS);
    /* That of the first attempt: no other hedge may start. */
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 1000 * MS);
    s->now = t0 + 70 * MS;
    assert_int_equal(bide_step_ended_number(&c, 7, &good), BIDE_RUNNING);
    assert_int_equal(bide_step_ended_number(&c, 2, &good), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_SUCCEEDED);
    assert_int_equal(bide_call_result(&c)->attempts, 2);
    assert_int_equal(bide_call_result(&c)->elapsed_ns, 70 * MS);
    r = read_cell(s, "shop");
    assert_int_equal(r.counter[COUNTER_HEDGES], 1);
    assert_int_equal(r.counter[COUNTER_HEDGES_WON], 1);
    /* The attempt that won took 20 ms, the call 70; the loser is not there. */
    assert_int_equal(histogram_count(r.succeeded), 1);
    assert_int_equal(r.succeeded[histogram_bucket(20 * MS)], 1);
    assert_int_equal(r.calls.took[histogram_bucket(70 * MS)], 1);
    assert_int_equal(histogram_count(r.failed), 0);
}

static void
a_first_attempt_that_wins_is_a_plain_success(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;
    struct cell_reading r;

    scene_start(s, shop);
    begin(s, &c, &memory, "shop");
    s->now += 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
    s->now += 5 * MS;
    assert_int_equal(bide_step_ended_number(&c, 1, &good), BIDE_DONE);
    r = read_cell(s, "shop");
    assert_int_equal(r.counter[COUNTER_HEDGES], 1);
    assert_int_equal(r.counter[COUNTER_HEDGES_WON], 0);
    assert_int_equal(r.counter[COUNTER_RECOVERED], 0);
    assert_int_equal(r.counter[COUNTER_RETRIES], 0);
    assert_int_equal(r.succeeded[histogram_bucket(55 * MS)], 1);
    assert_int_equal(histogram_count(r.calls.again), 0);
}

static void
the_call_waits_only_after_its_last_attempt_has_failed(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;
    uint64_t t0;

    scene_start(s, shop);
    t0 = s->now;
    begin(s, &c, &memory, "shop");
    s->now = t0 + 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
    s->now = t0 + 60 * MS;
    assert_int_equal(bide_step_ended_number(&c, 1, &bad), BIDE_RUNNING);
    assert_int_equal(bide_call_attempt(&c)->number, 2);
    assert_int_equal(bide_step_ended_number(&c, 1, &bad), BIDE_RUNNING);
    s->now = t0 + 70 * MS;
    assert_int_equal(bide_step_ended_number(&c, 2, &bad), BIDE_WAIT);
    s->now = bide_step_wake_ns(&c);
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    assert_int_equal(bide_call_attempt(&c)->number, 3);
    assert_int_equal(bide_step_ended_number(&c, 3, &bad), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->reason, BIDE_BY_ATTEMPTS);
    assert_int_equal(scene_stats(s, "shop").attempts_failed, 3);
}

static void
a_cancelled_call_starts_no_hedge_and_ends_with_its_next_attempt(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;

    scene_start(s, shop);
    begin(s, &c, &memory, "shop");
    s->now += 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
    bide_call_cancel(&c);
    s->now += 100 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    assert_int_equal(bide_step_ended_number(&c, 1, &bad), BIDE_DONE);
    assert_int_equal(bide_call_result(&c)->verdict, BIDE_CANCELLED);
    begin(s, &c, &memory, "shop");
    s->now += 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
    bide_call_abandon(&c);
    assert_int_equal(bide_step_resume(&c), BIDE_DONE);
}

/* A program that knows no hedges takes the deadline for that of its attempt. */
static void
a_program_that_does_not_ask_for_hedges_gets_none(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;
    uint64_t t0;

    scene_start(s, shop);
    t0 = s->now;
    begin(s, &c, NULL, "shop");
    assert_int_equal(bide_step_deadline_ns(&c), t0 + 1000 * MS);
    s->now += 500 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    assert_int_equal(bide_step_ended(&c, good), BIDE_DONE);
    begin(s, &c, &memory, "plain");
    assert_int_equal(bide_step_deadline_ns(&c), s->now + 1000 * MS);
    s->now += 500 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    assert_int_equal(bide_step_ended_number(&c, 1, &good), BIDE_DONE);
}

static void
a_change_of_the_rules_holds_for_the_next_hedge(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;

    scene_start(s, shop);
    begin(s, &c, &memory, "shop");
    scene_set(s, "shop", "hedge_after", "none");
    s->now += 50 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_RUNNING);
    assert_int_equal(bide_step_deadline_ns(&c), s->now + 950 * MS);
    bide_call_abandon(&c);
}

/* A call that only needs a free place reads no rules: not this one. */
static void
calls_with_a_limit_are_hedged_and_leave_no_place_taken(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;

    scene_start(s, shop);
    for (int i = 0; i < 5; i++) {
        begin(s, &c, &memory, "limited");
        s->now += 50 * MS;
        assert_int_equal(bide_step_resume(&c), BIDE_HEDGE);
        assert_int_equal(bide_step_ended_number(&c, i % 2 ? 1 : 2, &good),
                         BIDE_DONE);
    }
}

/* ---- a server with a slow tail, in virtual time ---- */

enum { CALLS = 20000 };

struct load {
    uint64_t took[CALLS];
    uint64_t attempts, draws;
    double slow; /* share of the attempts that take 50 times longer */
};

static uint64_t
server_takes_ns(struct load *l)
{
    double u = draw_unit(draw_bits(17, 0, l->draws++));
    bool slow = draw_unit(draw_bits(17, 1, l->draws)) < l->slow;

    return (uint64_t)((5 + 10 * u) * (slow ? 50 : 1) * MS);
}

static uint64_t
make_call(struct scene *s, struct load *l, struct bide_policy *p,
          struct bide_hedges *memory)
{
    struct bide_call c;
    uint64_t t0 = s->now, ends[3] = {0, UINT64_MAX, UINT64_MAX};
    enum bide_next next;

    bide_call_init(&c);
    bide_call_set_hedges(&c, memory);
    next = bide_step_begin(&c, p, NULL);
    while (next != BIDE_DONE) {
        uint32_t first;

        if (next == BIDE_GO || next == BIDE_HEDGE) {
            ends[bide_call_attempt(&c)->number] = s->now + server_takes_ns(l);
            l->attempts++;
        }
        first = ends[2] < ends[1] ? 2 : 1;
        if (memory && bide_step_deadline_ns(&c) < ends[first]) {
            s->now = bide_step_deadline_ns(&c);
            next = bide_step_resume(&c);
        } else {
            s->now = ends[first];
            next = bide_step_ended_number(&c, first, &good);
        }
    }
    return s->now - t0;
}

static int
compare_times(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Returns the p99 of the calls. */
static uint64_t
make_load(struct scene *s, struct load *l, const char *name, double slow,
          struct bide_hedges *memory)
{
    struct bide_policy *p = scene_policy(s, name);

    *l = (struct load){.slow = slow};
    for (int i = 0; i < CALLS; i++) {
        l->took[i] = make_call(s, l, p, memory);
        s->now += 20 * MS;
    }
    qsort(l->took, CALLS, sizeof(l->took[0]), compare_times);
    return l->took[CALLS * 99 / 100];
}

static void
hedges_after_p95_halve_the_p99_for_a_twentieth_more_load(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    static struct load without, with;
    uint64_t before, after;

    scene_start(s, shop);
    before = make_load(s, &without, "slow_tail", 0.02, NULL);
    assert_int_equal(without.attempts, CALLS);
    after = make_load(s, &with, "slow_tail", 0.02, &memory);
    print_message("p99 %.1f ms, with hedges %.1f ms, load %+.2f %%\n",
                  (double)before / MS, (double)after / MS,
                  ((double)with.attempts / CALLS - 1) * 100);
    assert_true(after <= before / 2);
    assert_in_range(with.attempts, CALLS * 102 / 100, CALLS * 105 / 100);
}

/* Without the attempts that lost, each percentile would be one of the fast
 * attempts alone: 0.9 * 20 % + 10 % hedges. */
static void
attempts_that_lost_count_as_longer_than_the_percentile(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    static struct load l;

    scene_start(s, shop);
    make_load(s, &l, "slow_tenth", 0.1, &memory);
    print_message("load %+.2f %%\n", ((double)l.attempts / CALLS - 1) * 100);
    assert_in_range(l.attempts, CALLS * 114 / 100, CALLS * 120 / 100);
}

/* Too few attempts are no percentile. */
static void
a_percentile_needs_a_hundred_attempts(void **state)
{
    struct scene *s = *state;
    struct bide_hedges memory;
    struct bide_call c;

    scene_start(s, shop);
    for (int i = 0; i < 100; i++) {
        begin(s, &c, &memory, "slow_tail");
        assert_true(bide_step_deadline_ns(&c) == UINT64_MAX);
        s->now += 10 * MS;
        assert_int_equal(bide_step_ended_number(&c, 1, &good), BIDE_DONE);
    }
    s->now += SECOND;
    begin(s, &c, &memory, "slow_tail");
    assert_int_equal(bide_step_deadline_ns(&c),
                     s->now + histogram_high_ns(histogram_bucket(10 * MS)));
    bide_call_abandon(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(resume_starts_a_hedge_at_its_time_and_the_first_success_wins),
        SCENE(a_first_attempt_that_wins_is_a_plain_success),
        SCENE(the_call_waits_only_after_its_last_attempt_has_failed),
        SCENE(a_cancelled_call_starts_no_hedge_and_ends_with_its_next_attempt),
        SCENE(a_program_that_does_not_ask_for_hedges_gets_none),
        SCENE(a_change_of_the_rules_holds_for_the_next_hedge),
        SCENE(calls_with_a_limit_are_hedged_and_leave_no_place_taken),
        SCENE(hedges_after_p95_halve_the_p99_for_a_twentieth_more_load),
        SCENE(attempts_that_lost_count_as_longer_than_the_percentile),
        SCENE(a_percentile_needs_a_hundred_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
