/* Ratio budgets, and garbage in both kinds of budget. */
#include "guarded.h"

#define RATIO "budget=own\nbudget_kind=ratio\nbudget_window=16s\n"

static void
count_attempt(struct guarded *s, uint64_t now, bool first)
{
    struct tally t = s->budget_total;

    t.retries = s->budget.retries;
    window_turn(&s->rings.budget, s->p->budget.window_ns, now, &t);
    guarded_count(s, ENDED_FAILED | (first ? 0 : ENDED_AGAIN));
}

static unsigned
take_all_retries(struct guarded *s, uint64_t now)
{
    unsigned n = 0;
    struct budget_paid paid;

    while (n < 100000 && guarded_take(s, PRICE_USUAL, now, &paid)) {
        assert_int_equal(paid.with, PAID_RETRY);
        n++;
    }
    return n;
}

struct ratio {
    const char *keys;
    unsigned calls, retries;
};

static void
a_ratio_grants_its_share_of_the_calls_and_the_minimum(void **state)
{
    static const struct ratio rows[] = {
        {RATIO "budget_ratio=20%\nbudget_min_rate=0/s", 0, 0},
        {RATIO "budget_ratio=20%\nbudget_min_rate=0/s", 4, 0},
        {RATIO "budget_ratio=20%\nbudget_min_rate=0/s", 5, 1},
        {RATIO "budget_ratio=20%\nbudget_min_rate=0/s", 9, 1},
        {RATIO "budget_ratio=20%\nbudget_min_rate=0/s", 10, 2},
        {RATIO "budget_ratio=10%\nbudget_min_rate=0/s", 30, 3},
        {RATIO "budget_ratio=0%\nbudget_min_rate=0/s", 1000, 0},
        {RATIO "budget_ratio=100%\nbudget_min_rate=0/s", 7, 7},
        {RATIO "budget_ratio=0%\nbudget_min_rate=1/s", 0, 16},
        {RATIO "budget_ratio=0%\nbudget_min_rate=0.1/s", 0, 1},
        {RATIO "budget_ratio=20%\nbudget_min_rate=0.5/s", 10, 10},
        {RATIO "budget_ratio=0%\nbudget_min_rate=1/s\nbudget_reserve=25%", 0,
         16},
        {RATIO "budget_ratio=0%\nbudget_min_rate=1/s\nbudget_reserve=25%\n"
               "importance=optional",
         0, 12},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct guarded *s = guarded_new(rows[i].keys);
        unsigned n;

        for (n = 0; n < rows[i].calls; n++) {
            count_attempt(s, TIME0, true);
        }
        if (rows[i].calls == 0) {
            count_attempt(s, TIME0, false); /* turns the window */
        }
        n = take_all_retries(s, TIME0);
        if (n != rows[i].retries) {
            fail_msg("row %zu: %u", i, n);
        }
        /* Retries that run are not calls. */
        count_attempt(s, TIME0, false);
        assert_int_equal(take_all_retries(s, TIME0), 0);
        guarded_free(s);
    }
}

static void
a_ratio_ignores_calls_older_than_its_window(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");

    (void)state;
    for (uint64_t second = 0; second < 10; second++) {
        count_attempt(s, TIME0 + second * SECOND, true);
    }
    assert_int_equal(take_all_retries(s, TIME0 + 9 * SECOND), 5);
    /* At 16 s the first second is out of it, with its call; the retries of
     * second 9 are not. */
    count_attempt(s, TIME0 + 16 * SECOND, true);
    assert_int_equal(take_all_retries(s, TIME0 + 16 * SECOND), 0);
    /* At 26 s, all of them are older than the window. */
    count_attempt(s, TIME0 + 26 * SECOND, true);
    count_attempt(s, TIME0 + 26 * SECOND, true);
    assert_int_equal(take_all_retries(s, TIME0 + 26 * SECOND), 1);
    /* Much later, nothing is left. */
    count_attempt(s, TIME0 + 500 * SECOND, true);
    assert_int_equal(take_all_retries(s, TIME0 + 500 * SECOND), 0);
    guarded_free(s);
}

static void
the_level_of_a_ratio_is_its_unused_share(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");
    struct budget_paid paid;

    (void)state;
    for (int i = 0; i < 8; i++) {
        count_attempt(s, TIME0, true);
    }
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 1);
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 0.75);
    assert_int_equal(take_all_retries(s, TIME0), 3);
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 0);
    assert_int_equal(s->rings.budget_refused, 1);
    guarded_free(s);
}

static void
a_retry_that_does_not_happen_is_not_counted(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");
    struct budget_paid paid, refused;

    (void)state;
    count_attempt(s, TIME0, true);
    count_attempt(s, TIME0, true);
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_false(guarded_take(s, PRICE_USUAL, TIME0, &refused));
    budget_return(&s->p->budget, &s->g, &refused, TIME0, TIME0);
    assert_int_equal(take_all_retries(s, TIME0), 0);
    budget_return(&s->p->budget, &s->g, &paid, TIME0, TIME0);
    assert_int_equal(take_all_retries(s, TIME0), 1);
    /* More returns than retries. */
    s->budget.retries = 0;
    budget_return(&s->p->budget, &s->g, &paid, TIME0, TIME0);
    assert_int_equal(s->budget.retries, 0);
    guarded_free(s);
}

static void
a_retry_that_is_returned_makes_room_only_once(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=0%\nbudget_min_rate=1.25/s");
    struct budget_paid paid[20];

    (void)state;
    count_attempt(s, TIME0, true);
    for (int i = 0; i < 20; i++) {
        assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid[i]));
    }
    assert_int_equal(take_all_retries(s, TIME0), 0);
    for (uint64_t second = 1; second <= 4; second++) {
        count_attempt(s, TIME0 + second * SECOND, true);
    }
    for (int i = 0; i < 20; i++) {
        budget_return(&s->p->budget, &s->g, &paid[i], TIME0,
                      TIME0 + 4 * SECOND);
    }
    /* This window begins after the retries were granted, and before they were
     * returned. */
    count_attempt(s, TIME0 + 17 * SECOND, true);
    assert_int_equal(take_all_retries(s, TIME0 + 17 * SECOND), 20);
    guarded_free(s);
}

static void
a_returned_retry_leaves_earlier_slices_alone(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=0%\nbudget_min_rate=1.25/s");
    struct budget_paid paid;
    uint64_t now = TIME0;

    (void)state;
    count_attempt(s, now, true);
    assert_int_equal(take_all_retries(s, now), 20);
    now += 16 * SECOND; /* the first slice is still in the window */
    count_attempt(s, now, true);
    assert_int_equal(take_all_retries(s, now), 0);
    now += SECOND;
    count_attempt(s, now, true);
    for (int i = 0; i < 3; i++) {
        assert_true(guarded_take(s, PRICE_USUAL, now, &paid));
        budget_return(&s->p->budget, &s->g, &paid, now, now);
    }
    assert_int_equal(take_all_retries(s, now), 20);
    guarded_free(s);
}

static void
a_ratio_that_is_switched_on_starts_with_an_empty_window(void **state)
{
    static const char *const others[] = {"budget=own\nbudget_kind=tokens",
                                         "budget=none", NULL};
    const char *ratio = RATIO "budget_ratio=50%\nbudget_min_rate=0/s";

    (void)state;
    for (int i = 0; others[i]; i++) {
        struct guarded *s = guarded_new(ratio);

        budget_follow(&s->p->budget, &s->g, TIME0);
        for (int k = 0; k < 8; k++) {
            count_attempt(s, TIME0, true);
        }
        guarded_change(s, others[i]);
        budget_follow(i ? NULL : &s->p->budget, &s->g, TIME0);
        guarded_change(s, ratio);
        budget_follow(&s->p->budget, &s->g, TIME0);
        count_attempt(s, TIME0, true);
        count_attempt(s, TIME0, true);
        assert_int_equal(take_all_retries(s, TIME0), 1);
        guarded_free(s);
    }
}

static void
a_budget_that_is_earned_by_successes_ignores_other_calls(void **state)
{
    struct guarded *s = guarded_new(
        RATIO "budget_ratio=50%\nbudget_min_rate=0/s\nbudget_earn=success");
    struct tally t = {0};

    (void)state;
    window_turn(&s->rings.budget, s->p->budget.window_ns, TIME0, &t);
    guarded_count(s, ENDED_FAILED);
    guarded_count(s, ENDED_REJECTED);
    guarded_count(s, 0);
    assert_int_equal(take_all_retries(s, TIME0), 0);
    guarded_count(s, ENDED_AGAIN); /* a retry that succeeds */
    assert_int_equal(take_all_retries(s, TIME0), 1);
    guarded_free(s);
}

/* ---- garbage ---- */

static void
check_bounds(struct guarded *s, uint64_t now)
{
    double level = budget_level(&s->p->budget, &s->g, now);

    assert_true(level >= 0 && level <= 1);
}

/* For any words: no crash, a level within bounds, and tokens are refilled. */
static void
garbage_causes_no_crash_and_does_not_last(void **state)
{
    static const char *const keys[] = {
        "budget=own\nbudget_capacity=10\nbudget_cost=5\nbudget_refill=10/s",
        "budget=own\nbudget_capacity=200000\nbudget_cost=1\n"
        "budget_refill=1000000/s\nbudget_charge=failure",
        RATIO "budget_ratio=20%\nbudget_min_rate=1/s",
    };
    uint64_t seed = 88172645463325252ull;
    struct budget_paid paid;

    (void)state;
    for (int trial = 0; trial < 30000; trial++) {
        struct guarded *s = guarded_new(keys[trial % COUNT(keys)]);
        uint64_t now = TIME0 + guarded_random(&seed) % (TIME0 * 300);

        /* A size from a slightly newer commit would be accepted. */
        s->g.txn = 1ull << 40;
        guarded_garbage(&s->budget, sizeof(s->budget), &seed);
        guarded_garbage(&s->rings, sizeof(s->rings), &seed);
        check_bounds(s, now);
        for (int i = 0; i < 4; i++) {
            guarded_take(s, (enum budget_price)(i % 3), now, &paid);
            budget_pay(&s->p->budget, MANDATORY, &s->g, PRICE_TIMEOUT, now);
            count_attempt(s, now, true);
            budget_give(&s->p->budget, &s->g, i % 2 ? NULL : &paid, now);
            budget_return(&s->p->budget, &s->g, &paid, now, now);
            check_bounds(s, now + (uint64_t)i * SECOND);
        }
        if (s->p->budget.kind == BUDGET_RATIO) {
            now += 17 * SECOND;
            count_attempt(s, now, true);
        } else {
            now += 2 * SECOND;
        }
        if (!guarded_take(s, PRICE_USUAL, now, &paid)) {
            fail_msg("trial %d: still nothing", trial);
        }
        guarded_free(s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_grants_its_share_of_the_calls_and_the_minimum),
        cmocka_unit_test(a_ratio_ignores_calls_older_than_its_window),
        cmocka_unit_test(the_level_of_a_ratio_is_its_unused_share),
        cmocka_unit_test(a_retry_that_does_not_happen_is_not_counted),
        cmocka_unit_test(a_retry_that_is_returned_makes_room_only_once),
        cmocka_unit_test(a_returned_retry_leaves_earlier_slices_alone),
        cmocka_unit_test(
            a_ratio_that_is_switched_on_starts_with_an_empty_window),
        cmocka_unit_test(
            a_budget_that_is_earned_by_successes_ignores_other_calls),
        cmocka_unit_test(garbage_causes_no_crash_and_does_not_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
