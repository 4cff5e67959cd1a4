/* Changes of the rules of a retry budget, with time as a number. */
#include "guarded.h"

/* ---- changes of the size ---- */

#define SIZED(capacity)                             \
    "budget=own\nbudget_cost=5\nbudget_deposit=0\n" \
    "budget_capacity=" capacity

static void
a_change_of_the_size_keeps_the_share(void **state)
{
    struct guarded *s = guarded_new(SIZED("100"));
    struct budget_paid paid;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    }
    assert_int_equal(guarded_tokens(s, TIME0), 75000);
    guarded_change(s, SIZED("1000"));
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 745000);
    guarded_change(s, SIZED("10"));
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 2450);
    guarded_change(s, SIZED("200000")); /* the maximum */
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 48995000);
    guarded_drain(s, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 0);
    guarded_free(s);
}

static void
an_empty_bucket_stays_empty_and_a_full_one_stays_full(void **state)
{
    struct guarded *s = guarded_new(SIZED("100"));
    struct budget_paid paid;

    (void)state;
    guarded_drain(s, TIME0);
    guarded_change(s, SIZED("7000"));
    assert_false(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    budget_reset(&s->g);
    guarded_change(s, SIZED("20"));
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 15000);
    guarded_free(s);
}

static void
rules_of_an_older_commit_do_not_restore_their_size(void **state)
{
    struct guarded *s = guarded_new(SIZED("100"));
    struct policy *old = compiled(SIZED("100"));
    struct guard older = s->g;
    struct budget_paid paid;

    (void)state;
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    guarded_change(s, SIZED("1000"));
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 945000);
    assert_true(budget_take(&old->budget, MANDATORY, &older, 0, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 940000);
    guarded_change(s, SIZED("100")); /* a newer commit does */
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    assert_int_equal(guarded_tokens(s, TIME0), 89000);
    policy_free(old);
    guarded_free(s);
}

/* Killed between the two steps: `size` has the next serial, the tokens have the
 * old one. */
static void
a_process_killed_between_the_two_steps_leaves_no_damage(void **state)
{
    struct guarded *s = guarded_new(SIZED("100"));
    uint64_t serial;
    struct budget_paid paid;

    (void)state;
    for (int round = 0; round < 9; round++) { /* all serials */
        guarded_change(s, SIZED("100"));
        assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
        budget_reset(&s->g);
        assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
        assert_int_equal(guarded_tokens(s, TIME0), 95000);
        serial = (s->budget.size >> 62) + 1;
        s->budget.size = serial << 62 | 100000ull << 28 | 1000000;
        s->budget.size_txn = s->g.txn + 1;
        /* Read before the second step: the same level. */
        assert_int_equal(guarded_tokens(s, TIME0), 95000);
        if (round % 2) {
            /* A process with the old rules comes first. */
            assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
            guarded_change(s, SIZED("1000"));
            assert_int_equal(guarded_tokens(s, TIME0), 945000);
        } else {
            guarded_change(s, SIZED("1000"));
            assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
            assert_int_equal(guarded_tokens(s, TIME0), 945000);
        }
    }
    guarded_free(s);
}

/* ---- changes of the refill ---- */

#define FILLED(capacity, refill) SIZED(capacity) "\nbudget_refill=" refill "/s"

struct refilled {
    const char *before, *after;
    int64_t at_change; /* thousandths, 10 s after it was empty */
    int64_t later;     /* 2 s after the change */
};

static void
a_change_is_settled_under_the_rate_before(void **state)
{
    static const struct refilled rows[] = {
        {FILLED("100", "0"), FILLED("100", "5"), 0, 10000},
        {FILLED("100", "3"), FILLED("100", "0"), 30000, 30000},
        {FILLED("100", "3"), FILLED("100", "0.5"), 30000, 31000},
        {FILLED("100", "0.002"), FILLED("100", "7"), 20, 14020},
        {FILLED("100", "50"), FILLED("100", "1"), 100000, 100000},
        {FILLED("100", "3"), FILLED("1000", "3"), 300000, 306000},
        {FILLED("100", "3"), FILLED("10", "1"), 3000, 5000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct refilled *row = &rows[i];
        struct guarded *s = guarded_new(row->before);
        uint64_t now = TIME0 + 10 * SECOND;

        guarded_drain(s, TIME0);
        guarded_change(s, row->after);
        budget_follow(&s->p->budget, &s->g, now);
        if (guarded_tokens(s, now) != row->at_change ||
            guarded_tokens(s, now + 2 * SECOND) != row->later) {
            fail_msg("row %zu: %lld, later %lld", i,
                     (long long)guarded_tokens(s, now),
                     (long long)guarded_tokens(s, now + 2 * SECOND));
        }
        guarded_free(s);
    }
}

static void
fractions_of_a_second_are_settled_too(void **state)
{
    struct guarded *s = guarded_new(FILLED("100", "0.001"));

    (void)state;
    guarded_drain(s, TIME0);
    guarded_change(s, FILLED("100", "100"));
    budget_follow(&s->p->budget, &s->g, TIME0 + 999 * MS);
    assert_int_equal(guarded_tokens(s, TIME0 + 999 * MS), 0);
    assert_int_equal(guarded_tokens(s, TIME0 + 1000 * MS), 100);
    guarded_change(s, FILLED("100", "0.001"));
    budget_follow(&s->p->budget, &s->g, TIME0 + 1500 * MS);
    assert_int_equal(guarded_tokens(s, TIME0 + 1500 * MS), 50100);
    guarded_free(s);
}

/* A process that still has the old rules refills under the rate in force, and
 * does not restore its own. */
static void
rules_of_an_older_commit_do_not_restore_their_refill(void **state)
{
    struct guarded *s = guarded_new(FILLED("100", "0"));
    struct policy *old = compiled(FILLED("100", "0"));
    struct guard older = s->g;
    struct budget_paid paid;

    (void)state;
    guarded_drain(s, TIME0);
    guarded_change(s, FILLED("100", "4"));
    budget_follow(&s->p->budget, &s->g, TIME0);
    for (int i = 1; i <= 3; i++) {
        budget_follow(&old->budget, &older, TIME0 + (uint64_t)i * SECOND);
        assert_int_equal(guarded_tokens(s, TIME0 + (uint64_t)i * SECOND),
                         i * 4000);
    }
    assert_true(budget_take(&old->budget, MANDATORY, &older, 0,
                            TIME0 + 3 * SECOND, &paid));
    assert_int_equal(guarded_tokens(s, TIME0 + 3 * SECOND), 7000);
    policy_free(old);
    guarded_free(s);
}

/* As after a race of two processes with different rules: the rate of the size
 * in force is wrong. */
static void
a_wrong_rate_lasts_until_the_newest_rules_are_used(void **state)
{
    struct guarded *s = guarded_new(FILLED("100", "2"));

    (void)state;
    for (int round = 0; round < 9; round++) { /* all serials */
        uint64_t now = TIME0 + (uint64_t)round * 100 * SECOND;

        guarded_drain(s, now);
        s->budget.refill[s->budget.size >> 62] = 7000;
        budget_follow(&s->p->budget, &s->g, now);
        assert_int_equal(guarded_tokens(s, now + SECOND), 2000);
        guarded_drain(s, now + SECOND);
    }
    guarded_free(s);
}

static void
a_budget_that_is_switched_on_starts_full(void **state)
{
    struct guarded *s = guarded_new(SIZED("10"));

    (void)state;
    guarded_drain(s, TIME0);
    s->g.txn++;
    budget_follow(NULL, &s->g, TIME0);
    assert_true(budget_is_sound(&s->budget));
    guarded_change(s, SIZED("10"));
    budget_follow(&s->p->budget, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_drain(s, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 0);
    guarded_change(s, "budget=own\nbudget_kind=ratio");
    budget_follow(&s->p->budget, &s->g, TIME0);
    guarded_change(s, SIZED("10"));
    budget_follow(&s->p->budget, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

/* Calls in progress keep the rules they began with. */
static void
older_rules_do_not_switch_a_budget_on_again(void **state)
{
    struct guarded *s = guarded_new(SIZED("10"));
    struct budget_paid paid;
    struct guard older = s->g;

    (void)state;
    guarded_drain(s, TIME0);
    s->g.txn++;
    budget_follow(NULL, &s->g, TIME0);
    for (int i = 0; i < 10; i++) { /* more than its capacity */
        assert_true(budget_take(&s->p->budget, MANDATORY, &older, PRICE_USUAL,
                                TIME0, &paid));
    }
    guarded_change(s, SIZED("10"));
    budget_follow(&s->p->budget, &s->g, TIME0);
    assert_int_equal(guarded_tokens(s, TIME0), 10000);
    guarded_free(s);
}

static void
a_charge_is_returned_only_to_the_budget_that_has_it(void **state)
{
    static const struct {
        const char *before, *after;
        int64_t left; /* tokens after the return */
    } rows[] = {
        {SIZED("10"), SIZED("10") "\nbudget_charge=failure", 10000},
        {SIZED("10") "\nbudget_charge=failure", SIZED("10"), 5000},
        {"budget=own\nbudget_kind=ratio", SIZED("10"), 5000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct guarded *s = guarded_new(rows[i].before);
        struct budget_paid paid, other;

        assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
        budget_pay(&s->p->budget, MANDATORY, &s->g, PRICE_USUAL, TIME0);
        guarded_change(s, rows[i].after);
        if (s->budget.retries) { /* that of the ratio */
            assert_true(guarded_take(s, PRICE_USUAL, TIME0, &other));
        }
        budget_return(&s->p->budget, &s->g, &paid, TIME0, TIME0);
        assert_int_equal(guarded_tokens(s, TIME0), rows[i].left);
        guarded_free(s);
    }
}

static void
a_charge_of_tokens_is_not_returned_to_a_ratio(void **state)
{
    struct guarded *s = guarded_new(SIZED("10"));
    struct budget_paid paid;

    (void)state;
    assert_true(guarded_take(s, PRICE_USUAL, TIME0, &paid));
    s->budget.retries = 3;
    guarded_change(s, "budget=own\nbudget_kind=ratio");
    budget_return(&s->p->budget, &s->g, &paid, TIME0, TIME0);
    assert_int_equal(s->budget.retries, 3);
    guarded_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_size_keeps_the_share),
        cmocka_unit_test(an_empty_bucket_stays_empty_and_a_full_one_stays_full),
        cmocka_unit_test(rules_of_an_older_commit_do_not_restore_their_size),
        cmocka_unit_test(
            a_process_killed_between_the_two_steps_leaves_no_damage),
        cmocka_unit_test(a_change_is_settled_under_the_rate_before),
        cmocka_unit_test(fractions_of_a_second_are_settled_too),
        cmocka_unit_test(rules_of_an_older_commit_do_not_restore_their_refill),
        cmocka_unit_test(a_wrong_rate_lasts_until_the_newest_rules_are_used),
        cmocka_unit_test(a_budget_that_is_switched_on_starts_full),
        cmocka_unit_test(older_rules_do_not_switch_a_budget_on_again),
        cmocka_unit_test(a_charge_is_returned_only_to_the_budget_that_has_it),
        cmocka_unit_test(a_charge_of_tokens_is_not_returned_to_a_ratio),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
