/* Impossible numbers in the shared words of a budget and a breaker refuse no
 * call, and are recognised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "rule/breaker.h"
#include "rule/budget.h"
#include "rule/window.h"

#define MS 1000000ull
#define SECOND 1000000000ull

struct scene {
    struct budget_words budget;
    struct breaker_words breaker;
    struct guard_rings rings;
    struct tally tally;
    struct guard g;
    uint64_t now;
};

static void
read_tally(void *arg, struct tally *out)
{
    *out = ((struct scene *)arg)->tally;
}

static int
setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->now = 1000 * SECOND;
    s->g = (struct guard){
        .budget = &s->budget,
        .budget_rings = &s->rings,
        .breaker = &s->breaker,
        .rings = &s->rings,
        .tally = read_tally,
        .budget_tally = read_tally,
        .arg = s,
        .txn = 7,
        .self.id = 1,
    };
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    free(*state);
    return 0;
}

static const struct breaker_rules breaker = {
    .mode = BREAKER_ON,
    .consecutive = UINT32_MAX,
    .min_calls = 1,
    .probes = 1,
    .probe_failures = PROBE_FAILURES_NONE,
    .failure_rate = 0.5,
    .slow_rate = 1,
    .slow_after_ns = DURATION_NONE,
    .window = {.ns = 10 * SECOND},
    .open_for_ns = 30 * SECOND,
    .open_max_ns = 300 * SECOND,
    .probe_timeout_ns = 10 * SECOND,
    .open_factor = 1,
};

static const struct budget_rules tokens = {
    .group = "own",
    .kind = BUDGET_TOKENS,
    .charge = CHARGE_RETRY,
    .capacity = 10000,
    .cost = 1000,
    .timeout_cost = 1000,
    .throttle_cost = 1000,
    .refund = -1,
};

/* state, age in ms (negative: in the future) -> sound, admits */
static const struct word_row {
    uint64_t state;
    int64_t ago_ms;
    uint64_t more; /* other bits */
    bool sound, out;
} word_rows[] = {
    {STATE_OPEN, 0, 0, true, false},
    {STATE_OPEN, 29999, 0, true, false},
    {STATE_OPEN, 30000, 0, true, true},
    {STATE_OPEN, -1, 0, true, false}, /* another core's clock */
    {STATE_OPEN, -1000, 0, true, false},
    {STATE_OPEN, -1001, 0, false, true},
    {STATE_OPEN, -99 * 86400000ll, 0, false, true},
    {STATE_OPEN, 0, 1ull << 55, false,
     false}, /* open for its time, no longer */
    {STATE_HALF_OPEN, 5, 0, true, true},
    {3, 0, 0, false, true},
};

static void
no_state_word_refuses_calls_for_longer_than_its_time(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < sizeof(word_rows) / sizeof(*word_rows); i++) {
        const struct word_row *row = &word_rows[i];
        uint64_t since = s->now / MS - (uint64_t)row->ago_ms, until;
        struct probe probe;

        memset(&s->rings, 0, sizeof(s->rings));
        atomic_store(&s->breaker.state, row->state << 62 | row->more |
                                            (since & ((1ull << 34) - 1)));
        assert_int_equal(breaker_is_sound(&s->breaker, s->now), row->sound);
        assert_int_equal(breaker_admit(&breaker, &s->g, s->now, &probe, &until),
                         row->out);
    }
}

static void
reset_makes_a_breaker_sound(void **state)
{
    struct scene *s = *state;

    atomic_store(&s->breaker.state, UINT64_MAX);
    assert_false(breaker_is_sound(&s->breaker, s->now));
    breaker_reset(&s->g, s->now);
    assert_true(breaker_is_sound(&s->breaker, s->now));
}

static void
an_unused_word_is_sound_at_any_time(void **state)
{
    struct scene *s = *state;

    assert_true(breaker_is_sound(&s->breaker, 0));
    assert_true(breaker_is_sound(&s->breaker, UINT64_MAX));
    assert_true(budget_is_sound(&s->budget));
}

static void
more_missing_than_fits_is_a_full_bucket(void **state)
{
    struct scene *s = *state;
    struct budget_paid paid;

    assert_true(
        budget_take(&tokens, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
    atomic_fetch_or(&s->budget.tokens, 0xfffffffull << 36);
    assert_false(budget_is_sound(&s->budget));
    assert_true(budget_level(&tokens, &s->g, s->now) == 1);
    assert_true(
        budget_take(&tokens, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
    assert_true(budget_is_sound(&s->budget));
    assert_true(budget_level(&tokens, &s->g, s->now) == 0.9);
}

static void
a_commit_far_ahead_does_not_block_a_new_size(void **state)
{
    struct scene *s = *state;
    struct budget_rules smaller = tokens;
    struct budget_paid paid;
    int taken = 0;

    smaller.capacity = 2000;
    assert_true(
        budget_take(&tokens, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
    atomic_store(&s->budget.size_txn, UINT64_MAX);
    while (taken < 20 && budget_take(&smaller, MANDATORY, &s->g, PRICE_USUAL,
                                     s->now, &paid)) {
        taken++;
    }
    assert_int_equal(taken, 1); /* 90 % of 2 */
}

static void
a_time_far_ahead_does_not_stop_the_refill(void **state)
{
    struct scene *s = *state;
    struct budget_rules refilled = tokens;
    struct budget_paid paid;

    refilled.refill_per_s = 1000;
    for (int i = 0; i < 10; i++) {
        assert_true(budget_take(&refilled, MANDATORY, &s->g, PRICE_USUAL,
                                s->now + 86400 * SECOND, &paid));
    }
    s->now += SECOND; /* still a day before that time */
    assert_true(
        budget_take(&refilled, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
}

static void
reset_fills_any_bucket(void **state)
{
    struct scene *s = *state;
    struct budget_paid paid;

    memset(&s->budget, 0xff, sizeof(s->budget));
    budget_reset(&s->g);
    assert_true(budget_is_sound(&s->budget));
    assert_true(
        budget_take(&tokens, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
    assert_true(budget_level(&tokens, &s->g, s->now) == 0.9);
}

static void
reset_of_a_ratio_discards_its_retries(void **state)
{
    static const struct budget_rules ratio = {
        .group = "own",
        .kind = BUDGET_RATIO,
        .ratio = 0,
        .min_rate = 1,
        .window_ns = 3 * SECOND,
    };
    struct scene *s = *state;
    struct budget_paid paid;

    for (int i = 0; i < 4; i++) {
        s->tally.retries = atomic_load(&s->budget.retries);
        window_turn(&s->rings.budget, ratio.window_ns, s->now, &s->tally);
        s->tally.calls++;
        assert_int_equal(
            budget_take(&ratio, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid),
            i < 3);
    }
    assert_true(budget_level(&ratio, &s->g, s->now) == 0);
    budget_reset(&s->g);
    assert_true(budget_level(&ratio, &s->g, s->now) == 1);
    assert_true(
        budget_take(&ratio, MANDATORY, &s->g, PRICE_USUAL, s->now, &paid));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_state_word_refuses_calls_for_longer_than_its_time),
        TEST(reset_makes_a_breaker_sound),
        TEST(an_unused_word_is_sound_at_any_time),
        TEST(more_missing_than_fits_is_a_full_bucket),
        TEST(a_commit_far_ahead_does_not_block_a_new_size),
        TEST(a_time_far_ahead_does_not_stop_the_refill),
        TEST(reset_fills_any_bucket),
        TEST(reset_of_a_ratio_discards_its_retries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
