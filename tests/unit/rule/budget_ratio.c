/* Budgets that are a share of the calls, and garbage in either kind. */
#include "guarded.h"

#define RATIO "budget=own\nbudget_kind=ratio\nbudget_window=16s\n"

static void
attempt(struct guarded *s, uint64_t now, bool first)
{
    struct tally t = s->total;

    t.retries = s->budget.retries;
    window_turn(&s->rings.budget, s->p->budget.window_ns, now, &t);
    guarded_count(s, true, false, first);
}

static unsigned
let_out(struct guarded *s, uint64_t now)
{
    unsigned n = 0;
    int64_t paid;

    while (n < 100000 && guarded_take(s, PRICE_USUAL, now, &paid)) {
        assert_int_equal(paid, 1);
        n++;
    }
    return n;
}

struct ratio {
    const char *keys;
    unsigned calls, retries;
};

static void
a_ratio_lets_out_its_share_of_the_calls_and_the_minimum(void **state)
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
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        struct guarded *s = guarded_new(rows[i].keys);
        unsigned n;

        for (n = 0; n < rows[i].calls; n++) {
            attempt(s, TIME0, true);
        }
        if (rows[i].calls == 0) {
            attempt(s, TIME0, false); /* something turns the window */
        }
        n = let_out(s, TIME0);
        if (n != rows[i].retries) {
            fail_msg("row %zu: %u", i, n);
        }
        /* Retries that run are not calls. */
        attempt(s, TIME0, false);
        assert_int_equal(let_out(s, TIME0), 0);
        guarded_free(s);
    }
}

static void
a_ratio_forgets_what_is_older_than_its_window(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");
    uint64_t second;

    (void)state;
    for (second = 0; second < 10; second++) {
        attempt(s, TIME0 + second * SECOND, true);
    }
    assert_int_equal(let_out(s, TIME0 + 9 * SECOND), 5);
    /* At 16 s the first second is out of it, with its call; the retries of
     * second 9 are not. */
    attempt(s, TIME0 + 16 * SECOND, true);
    assert_int_equal(let_out(s, TIME0 + 16 * SECOND), 0);
    /* At 26 s all of that is. */
    attempt(s, TIME0 + 26 * SECOND, true);
    attempt(s, TIME0 + 26 * SECOND, true);
    assert_int_equal(let_out(s, TIME0 + 26 * SECOND), 1);
    /* Long after: nothing. */
    attempt(s, TIME0 + 500 * SECOND, true);
    assert_int_equal(let_out(s, TIME0 + 500 * SECOND), 0);
    guarded_free(s);
}

static void
the_level_of_a_ratio_is_what_is_left(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");
    int64_t paid;
    int i;

    (void)state;
    for (i = 0; i < 8; i++) {
        attempt(s, TIME0, true);
    }
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 1);
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 0.75);
    assert_int_equal(let_out(s, TIME0), 3);
    assert_true(budget_level(&s->p->budget, &s->g, TIME0) == 0);
    assert_int_equal(s->rings.budget_refused, 1);
    guarded_free(s);
}

static void
a_retry_that_does_not_happen_leaves_its_place(void **state)
{
    struct guarded *s =
        guarded_new(RATIO "budget_ratio=50%\nbudget_min_rate=0/s");
    int64_t paid, refused;

    (void)state;
    attempt(s, TIME0, true);
    attempt(s, TIME0, true);
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_false(guarded_take(s, PRICE_USUAL, TIME0, &refused));
    budget_return(&s->p->budget, &s->g, refused, TIME0);
    assert_int_equal(let_out(s, TIME0), 0);
    budget_return(&s->p->budget, &s->g, paid, TIME0);
    assert_int_equal(let_out(s, TIME0), 1);
    /* More than there ever were. */
    s->budget.retries = 0;
    budget_return(&s->p->budget, &s->g, paid, TIME0);
    assert_int_equal(s->budget.retries, 0);
    guarded_free(s);
}

/* ---- garbage ---- */

static void
check_bounds(struct guarded *s, uint64_t now)
{
    double level = budget_level(&s->p->budget, &s->g, now);

    assert_true(level >= 0 && level <= 1);
}

/* Whatever is there: no crash, a level within bounds, and tokens come back. */
static void
garbage_is_survived_and_does_not_stay(void **state)
{
    static const char *const keys[] = {
        "budget=own\nbudget_capacity=10\nbudget_cost=5\nbudget_refill=10/s",
        "budget=own\nbudget_capacity=200000\nbudget_cost=1\n"
        "budget_refill=1000000/s\nbudget_charge=failure",
        RATIO "budget_ratio=20%\nbudget_min_rate=1/s",
    };
    uint64_t seed = 88172645463325252ull;
    int64_t paid;
    int trial;

    (void)state;
    for (trial = 0; trial < 30000; trial++) {
        struct guarded *s = guarded_new(keys[trial % COUNT(keys)]);
        uint64_t now = TIME0 + guarded_random(&seed) % (TIME0 * 300);
        int i;

        /* A size from a commit a little newer than ours would be believed. */
        s->g.txn = 1ull << 40;
        guarded_garbage(&s->budget, sizeof(s->budget), &seed);
        guarded_garbage(&s->rings, sizeof(s->rings), &seed);
        check_bounds(s, now);
        for (i = 0; i < 4; i++) {
            guarded_take(s, (enum budget_price)(i % 3), now, &paid);
            budget_pay(&s->p->budget, &s->g, PRICE_TIMEOUT, now);
            attempt(s, now, true);
            budget_give(&s->p->budget, &s->g, i % 2 ? -1 : paid, now);
            budget_return(&s->p->budget, &s->g, paid, now);
            check_bounds(s, now + (uint64_t)i * SECOND);
        }
        if (s->p->budget.kind == BUDGET_RATIO) {
            now += 17 * SECOND;
            attempt(s, now, true);
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
        cmocka_unit_test(
            a_ratio_lets_out_its_share_of_the_calls_and_the_minimum),
        cmocka_unit_test(a_ratio_forgets_what_is_older_than_its_window),
        cmocka_unit_test(the_level_of_a_ratio_is_what_is_left),
        cmocka_unit_test(a_retry_that_does_not_happen_leaves_its_place),
        cmocka_unit_test(garbage_is_survived_and_does_not_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
