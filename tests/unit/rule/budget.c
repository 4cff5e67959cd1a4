/* Retry budgets, with time as a number. */
#include "guarded.h"

/* ---- tables ---- */

enum event {
    TAKE, /* a usual retry */
    TAKE_TIMEOUT,
    TAKE_THROTTLE,
    FAILS,    /* budget_charge = failure */
    FIRST_OK, /* a success at the first attempt */
    RETRY_OK, /* one by the last retry taken */
    UNDO,     /* the last retry taken is returned */
    RESET,
};
struct step {
    uint64_t at_ms;
    enum event event;
    bool yes;       /* TAKE...: granted */
    int64_t tokens; /* thousandths, afterwards */
};

static bool
send_event(struct guarded *s, const struct step *step, struct budget_paid *paid)
{
    uint64_t now = TIME0 + step->at_ms * MS;
    const struct budget_rules *b = &s->p->budget;

    switch (step->event) {
    case FAILS:
        budget_pay(b, (enum importance)s->p->importance, &s->g, PRICE_USUAL,
                   now);
        return true;
    case FIRST_OK:
        budget_give(b, &s->g, NULL, now);
        return true;
    case RETRY_OK:
        budget_give(b, &s->g, paid, now);
        return true;
    case UNDO:
        budget_return(b, &s->g, paid, now, now);
        return true;
    case RESET:
        budget_reset(&s->g);
        return true;
    default:
        return guarded_take(s, (enum budget_price)step->event, now, paid);
    }
}

static void
play_steps(const char *keys, const struct step *steps, size_t count)
{
    struct guarded *s = guarded_new(keys);
    struct budget_paid paid = {0};

    for (size_t i = 0; i < count; i++) {
        bool yes = send_event(s, &steps[i], &paid);
        int64_t left = guarded_tokens(s, TIME0 + steps[i].at_ms * MS);

        if (yes != steps[i].yes || left != steps[i].tokens) {
            fail_msg("step %zu: %s, %lld left", i, yes ? "yes" : "no",
                     (long long)left);
        }
    }
    guarded_free(s);
}
#define PLAY(keys, ...)                                       \
    do {                                                      \
        static const struct step steps[] = {__VA_ARGS__};     \
        play_steps("budget=own\n" keys, steps, COUNT(steps)); \
    } while (0)

static void
a_retry_costs_its_price_and_the_last_tokens_are_enough(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=5", {0, TAKE, true, 5000},
         {0, TAKE, true, 0}, {0, TAKE, false, 0}, {0, FIRST_OK, true, 1000},
         {0, TAKE, false, 1000});
    /* One thousandth short. */
    PLAY("budget_capacity=9.999\nbudget_cost=5", {0, TAKE, true, 4999},
         {0, TAKE, false, 4999});
}

static void
timeouts_and_throttles_have_their_own_prices(void **state)
{
    (void)state;
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_timeout_cost=10\n"
         "budget_throttle_cost=0",
         {0, TAKE_TIMEOUT, true, 90000}, {0, TAKE, true, 85000},
         {0, TAKE_THROTTLE, true, 85000});
    PLAY("budget_capacity=100\nbudget_cost=7", {0, TAKE_TIMEOUT, true, 93000},
         {0, TAKE_THROTTLE, true, 86000});
}

static void
a_first_success_deposits_and_never_above_the_capacity(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=5\nbudget_deposit=0.125",
         {0, FIRST_OK, true, 10000}, {0, TAKE, true, 5000},
         {0, FIRST_OK, true, 5125}, {0, FIRST_OK, true, 5250});
    PLAY("budget_capacity=10\nbudget_cost=5\nbudget_deposit=50",
         {0, TAKE, true, 5000}, {0, FIRST_OK, true, 10000});
    PLAY("budget_capacity=10\nbudget_cost=5\nbudget_deposit=0",
         {0, TAKE, true, 5000}, {0, FIRST_OK, true, 5000});
}

static void
a_retry_that_succeeds_refunds_its_charge(void **state)
{
    (void)state;
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_timeout_cost=10",
         {0, TAKE, true, 95000}, {0, RETRY_OK, true, 100000},
         {0, TAKE, true, 95000}, {0, TAKE_TIMEOUT, true, 85000},
         {0, RETRY_OK, true, 95000});
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_refund=2",
         {0, TAKE, true, 95000}, {0, RETRY_OK, true, 97000});
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_refund=0",
         {0, TAKE, true, 95000}, {0, RETRY_OK, true, 95000});
}

static void
a_retry_that_does_not_happen_is_refunded_fully(void **state)
{
    (void)state;
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_refund=0",
         {0, TAKE, true, 95000}, {0, UNDO, true, 100000});
}

static void
refill_neither_loses_nor_gains_fractions(void **state)
{
    (void)state;
    /* A third of a token per second, read every few milliseconds. */
    PLAY("budget_capacity=10\nbudget_cost=1\nbudget_deposit=0\n"
         "budget_refill=0.333/s",
         {0, TAKE, true, 9000}, {0, TAKE, true, 8000},
         {2, TAKE, true, 7000},     /* 0.666 thousandths: rounds to 0 */
         {4, TAKE, true, 6001},     /* 1.332 */
         {999, TAKE, true, 5332},   /* 332.667 */
         {1000, TAKE, true, 4333},  /* 333 */
         {1003, TAKE, true, 3333},  /* 333.999 */
         {1004, TAKE, true, 2334},  /* 334.332 */
         {10000, TAKE, true, 4330}, /* 3330 */
         {1000000, TAKE, true, 9000});
    /* More than a thousandth each millisecond, and not a whole number. */
    PLAY("budget_capacity=10\nbudget_cost=0.001\nbudget_deposit=0\n"
         "budget_refill=1.5/s",
         {0, TAKE, true, 9999}, {0, TAKE, true, 9998}, {0, TAKE, true, 9997},
         {0, TAKE, true, 9996}, {0, TAKE, true, 9995}, {0, TAKE, true, 9994},
         {1, TAKE, true, 9994}, {1, TAKE, true, 9993}, {1, TAKE, true, 9992},
         {1, TAKE, true, 9991}, {2, TAKE, true, 9992}, {3, TAKE, true, 9992});
    PLAY("budget_capacity=10\nbudget_cost=5\nbudget_refill=10/s",
         {0, TAKE, true, 5000}, {0, TAKE, true, 0}, {499, TAKE, false, 4990},
         {500, TAKE, true, 0});
}

static void
an_hour_of_small_takes_is_refilled_exactly(void **state)
{
    struct guarded *s =
        guarded_new("budget=own\nbudget_capacity=1000\nbudget_cost=0.001\n"
                    "budget_deposit=0\nbudget_refill=0.777/s");
    struct budget_paid paid;
    int64_t taken = 0;

    (void)state;
    for (uint64_t ms = 0; ms <= 3600000; ms += 1) {
        /* Two per millisecond is more than the refill. */
        assert_true(guarded_take(s, PRICE_USUAL, TIME0 + ms * MS, &paid) || ms);
        taken += paid.with == PAID_TOKENS ? paid.price : 0;
        if (ms % 997 == 0) {
            int64_t came = (int64_t)(ms * 777 / 1000);
            int64_t missing = taken - came;

            /* Never above the capacity. */
            assert_true(missing > 0);
            assert_int_equal(guarded_tokens(s, TIME0 + ms * MS),
                             1000000 - missing);
        }
    }
    guarded_free(s);
}

static void
any_time_works(void **state)
{
    /* First used 99 to 198 days after boot; then across the wrap of the
     * word. */
    static const uint64_t days[] = {0, 1, 99, 100, 150, 198, 199, 400, 30000};

    (void)state;
    for (size_t i = 0; i < COUNT(days); i++) {
        struct guarded *s =
            guarded_new("budget=own\nbudget_capacity=10\nbudget_cost=5\n"
                        "budget_refill=1/s");
        uint64_t now = days[i] * 86400 * SECOND;
        struct budget_paid paid;

        guarded_drain(s, now);
        assert_int_equal(guarded_tokens(s, now), 0);
        assert_false(guarded_take(s, PRICE_USUAL, now + 4999 * MS, &paid));
        assert_true(guarded_take(s, PRICE_USUAL, now + 5000 * MS, &paid));
        /* Across the wrap: 2^34 ms. */
        guarded_drain(s, now + 5000 * MS);
        assert_true(guarded_take(s, PRICE_USUAL, now + 86400 * SECOND, &paid));
        guarded_free(s);
    }
}

static void
a_clock_slightly_behind_refills_nothing_twice(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=1\nbudget_refill=1/s",
         {5000, TAKE, true, 9000}, {5500, TAKE, true, 8500},
         {5400, TAKE, true, 7400}, {4999, TAKE, true, 6000},
         {5500, TAKE, true, 5500});
}

static void
under_charge_failure_each_failure_pays_and_retries_go_above_the_share(
    void **state)
{
    (void)state;
    /* gRPC: maxTokens 10, tokenRatio 0.1. */
    PLAY("budget_capacity=10\nbudget_cost=1\nbudget_deposit=0.1\n"
         "budget_refund=0.1\nbudget_charge=failure\nbudget_threshold=50%",
         {0, FAILS, true, 9000}, {0, TAKE, true, 9000}, {0, FAILS, true, 8000},
         {0, FAILS, true, 7000}, {0, FAILS, true, 6000}, {0, TAKE, true, 6000},
         {0, FAILS, true, 5000}, {0, TAKE, false, 5000}, /* exactly half */
         {0, FIRST_OK, true, 5100}, {0, TAKE, true, 5100},
         {0, RETRY_OK, true, 5200});
    /* Never below 0; at 0 no retry is granted, whatever the threshold. */
    PLAY("budget_capacity=2\nbudget_cost=1.5\nbudget_charge=failure",
         {0, FAILS, true, 500}, {0, TAKE, true, 500}, {0, FAILS, true, 0},
         {0, TAKE, false, 0}, {0, FAILS, true, 0});
}

static void
a_threshold_holds_for_paid_retries_too(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=1\nbudget_threshold=80%",
         {0, TAKE, true, 9000}, {0, TAKE, true, 8000}, {0, TAKE, false, 8000});
}

static void
under_charge_retry_a_failure_pays_nothing(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=1", {0, FAILS, true, 10000});
}

static void
reset_fills_the_bucket(void **state)
{
    (void)state;
    PLAY("budget_capacity=10\nbudget_cost=5", {0, TAKE, true, 5000},
         {0, RESET, true, 10000}, {0, TAKE, true, 5000});
}

static void
a_budget_that_is_off_grants_every_retry(void **state)
{
    struct guarded *s = guarded_new("budget_capacity=1\nbudget_cost=1");
    struct budget_paid paid = {77, PAID_TOKENS, NULL};

    (void)state;
    s->g.budget = NULL;
    for (int i = 0; i < 3; i++) {
        assert_true(guarded_take(s, PRICE_USUAL, 0, &paid));
        assert_int_equal(paid.price, 0);
        assert_true(budget_take(&s->p->budget, MANDATORY, NULL, 0, 0, &paid));
    }
    budget_pay(&s->p->budget, MANDATORY, NULL, PRICE_USUAL, 0);
    budget_give(&s->p->budget, &s->g, &paid, 0);
    budget_return(&s->p->budget, NULL, &paid, 0, 0);
    assert_true(budget_level(&s->p->budget, NULL, 0) == 1);
    guarded_free(s);
}

/* ---- the refund ---- */

static void
the_refund_is_what_the_failure_was_charged(void **state)
{
    (void)state;
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_timeout_cost=10\n"
         "budget_charge=failure",
         {0, FAILS, true, 95000}, {0, TAKE, true, 95000},
         {0, RETRY_OK, true, 100000}, {0, FAILS, true, 95000},
         {0, FAILS, true, 90000}, {0, TAKE_TIMEOUT, true, 90000},
         {0, RETRY_OK, true, 100000});
    /* The failure stays charged. */
    PLAY("budget_capacity=100\nbudget_cost=5\nbudget_charge=failure",
         {0, FAILS, true, 95000}, {0, TAKE, true, 95000},
         {0, UNDO, true, 95000});
}

#define RESERVED                                                              \
    "budget_capacity=10\nbudget_cost=2\nbudget_deposit=1\nbudget_reserve=50%" \
    "\n"

static void
the_reserve_is_for_mandatory_policies(void **state)
{
    (void)state;
    PLAY(RESERVED "importance=optional", {0, TAKE, true, 8000},
         {0, TAKE, true, 6000}, {0, TAKE, false, 6000},
         {0, FIRST_OK, true, 7000}, {0, TAKE, true, 5000},
         {0, TAKE, false, 5000});
    PLAY(RESERVED "importance=postponable", {0, TAKE, true, 8000},
         {0, TAKE, true, 6000}, {0, TAKE, false, 6000});
    PLAY(RESERVED "importance=mandatory", {0, TAKE, true, 8000},
         {0, TAKE, true, 6000}, {0, TAKE, true, 4000}, {0, TAKE, true, 2000},
         {0, TAKE, true, 0}, {0, TAKE, false, 0});
    PLAY(RESERVED "budget_charge=failure\nimportance=optional",
         {0, FAILS, true, 8000}, {0, TAKE, true, 8000}, {0, FAILS, true, 6000},
         {0, FAILS, true, 5000}, {0, FAILS, true, 5000}, {0, TAKE, true, 5000});
}

/* An optional policy that fails for ever leaves the reserve to a mandatory one
 * of the same group. */
static void
an_optional_policy_leaves_the_reserve(void **state)
{
    struct guarded *s =
        guarded_new("budget=own\n" RESERVED "importance=optional");
    struct policy *other = compiled("budget=own\n" RESERVED);
    struct budget_paid paid;
    int retries = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        guarded_take(s, PRICE_USUAL, TIME0, &paid);
    }
    while (retries < 100 && budget_take(&other->budget, MANDATORY, &s->g,
                                        PRICE_USUAL, TIME0, &paid)) {
        retries++;
    }
    assert_int_equal(retries, 3);
    policy_free(other);
    guarded_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_retry_costs_its_price_and_the_last_tokens_are_enough),
        cmocka_unit_test(the_reserve_is_for_mandatory_policies),
        cmocka_unit_test(an_optional_policy_leaves_the_reserve),
        cmocka_unit_test(timeouts_and_throttles_have_their_own_prices),
        cmocka_unit_test(a_first_success_deposits_and_never_above_the_capacity),
        cmocka_unit_test(a_retry_that_succeeds_refunds_its_charge),
        cmocka_unit_test(a_retry_that_does_not_happen_is_refunded_fully),
        cmocka_unit_test(refill_neither_loses_nor_gains_fractions),
        cmocka_unit_test(an_hour_of_small_takes_is_refilled_exactly),
        cmocka_unit_test(any_time_works),
        cmocka_unit_test(a_clock_slightly_behind_refills_nothing_twice),
        cmocka_unit_test(
            under_charge_failure_each_failure_pays_and_retries_go_above_the_share),
        cmocka_unit_test(a_threshold_holds_for_paid_retries_too),
        cmocka_unit_test(under_charge_retry_a_failure_pays_nothing),
        cmocka_unit_test(reset_fills_the_bucket),
        cmocka_unit_test(a_budget_that_is_off_grants_every_retry),
        cmocka_unit_test(the_refund_is_what_the_failure_was_charged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
