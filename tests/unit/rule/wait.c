#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rule/draw.h"
#include "rule/wait.h"

#define MS 1000000ull
#define S 1000000000ull

static struct wait_rules
make_wait_rules(enum wait_form form, uint64_t initial, uint64_t max)
{
    return (struct wait_rules){
        .form = form,
        .initial_ns = initial,
        .max_ns = max,
        .factor = 2,
        .power = 1,
        .throttle_initial_ns = initial,
        .throttle_max_ns = max,
    };
}

static void
each_form_grows_as_its_formula_says(void **state)
{
    static const struct {
        enum wait_form form;
        uint64_t increment;
        double factor, power;
        uint64_t wait[4];
    } rows[] = {
        {WAIT_NONE, 0, 2, 1, {0, 0, 0, 0}},
        {WAIT_FIXED, 0, 2, 1, {100, 100, 100, 100}},
        {WAIT_LINEAR, 50, 2, 1, {100, 150, 200, 250}},
        {WAIT_POLYNOMIAL, 10, 2, 2, {110, 140, 190, 260}},
        {WAIT_POLYNOMIAL, 10, 2, 0, {110, 110, 110, 110}},
        {WAIT_POLYNOMIAL, 0, 2, 3, {100, 100, 100, 100}},
        {WAIT_EXPONENTIAL, 0, 2, 1, {100, 200, 400, 800}},
        {WAIT_EXPONENTIAL, 0, 1, 1, {100, 100, 100, 100}},
        {WAIT_EXPONENTIAL, 0, 1.5, 1, {100, 150, 225, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wait_rules w = make_wait_rules(rows[i].form, 100 * MS, 3600 * S);

        w.increment_ns = rows[i].increment * MS;
        w.factor = rows[i].factor;
        w.power = rows[i].power;
        for (uint32_t n = 1; n <= 4; n++) {
            if (rows[i].wait[n - 1] == 0 && n == 4 && i == 8) {
                continue;
            }
            assert_int_equal(wait_own_ns(&w, n, 0, false, 0.5),
                             rows[i].wait[n - 1] * MS);
        }
    }
}

static void
a_chain_goes_step_by_step_and_stays_at_its_last_step(void **state)
{
    struct chain_step steps[] = {{1 * S, 3}, {2 * S, 1}, {5 * S, 2}};
    struct wait_rules w = make_wait_rules(WAIT_CHAIN, 0, 3600 * S);
    static const uint64_t expect[] = {1, 1, 1, 2, 5, 5, 5, 5};

    (void)state;
    w.chain = (struct chain){3, steps};
    for (uint32_t n = 1; n <= 8; n++) {
        assert_int_equal(wait_own_ns(&w, n, 0, false, 0), expect[n - 1] * S);
    }
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 0), 5 * S);
    w.chain = (struct chain){0, NULL};
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 0), 0);
}

static void
each_jitter_spans_its_range(void **state)
{
    static const struct {
        struct jitter jitter;
        uint64_t low, middle, high;
    } rows[] = {
        {{JITTER_NONE, 0, 0}, 100, 100, 100},
        {{JITTER_FULL, 0, 0}, 0, 50, 100},
        {{JITTER_EQUAL, 0, 0}, 50, 75, 100},
        {{JITTER_SHARE, 0.2, 0}, 80, 100, 120},
        {{JITTER_SHARE, 1, 0}, 0, 100, 200},
        {{JITTER_PLUS, 0, 30 * MS}, 100, 115, 130},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wait_rules w = make_wait_rules(WAIT_FIXED, 100 * MS, 3600 * S);

        w.jitter = rows[i].jitter;
        assert_int_equal(wait_own_ns(&w, 1, 0, false, 0), rows[i].low * MS);
        assert_int_equal(wait_own_ns(&w, 1, 0, false, 0.5),
                         rows[i].middle * MS);
        assert_int_equal(wait_own_ns(&w, 1, 0, false, 1), rows[i].high * MS);
    }
}

static void
the_cut_comes_before_the_jitter_and_the_bounds_after(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_FIXED, 10 * S, 4 * S);

    (void)state;
    w.jitter.form = JITTER_FULL;
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 0.5), 2 * S);
    w.min_ns = 3 * S;
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 0.5), 3 * S);
    w.jitter = (struct jitter){JITTER_PLUS, 0, 60 * S};
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 1), 4 * S);
    w.min_ns = w.max_ns = 7 * S; /* equal bounds are exact */
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 0.3), 7 * S);
}

static void
no_wait_overflows_however_late_the_retry(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_EXPONENTIAL, 1, DURATION_MAX);

    (void)state;
    w.factor = 1000;
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 1), DURATION_MAX);
    w.initial_ns = 0; /* 0 times infinity would be NaN */
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 1), 0);
    w = make_wait_rules(WAIT_LINEAR, DURATION_MAX, DURATION_MAX);
    w.increment_ns = DURATION_MAX;
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 1), DURATION_MAX);
    w = make_wait_rules(WAIT_POLYNOMIAL, 1, DURATION_MAX);
    w.increment_ns = 1;
    w.power = 16;
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 1), DURATION_MAX);
}

static void
decorrelated_depends_on_the_wait_before(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_DECORRELATED, 100 * MS, 1 * S);

    (void)state;
    w.factor = 3;
    w.jitter.form = JITTER_FULL; /* has no effect */
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 0), 100 * MS);
    assert_int_equal(wait_own_ns(&w, 1, 0, false, 1), 300 * MS);
    assert_int_equal(wait_own_ns(&w, 2, 200 * MS, false, 0.5), 350 * MS);
    assert_int_equal(wait_own_ns(&w, 3, 900 * MS, false, 1), 1 * S);
    w.max_holds = MAX_OF_BASE; /* no effect: the formula is the draw */
    assert_int_equal(wait_own_ns(&w, 3, 900 * MS, false, 1), 1 * S);
    /* after a throttle it never goes below the throttle's initial wait */
    w.initial_ns = 10 * MS;
    w.throttle_initial_ns = 1 * S;
    w.throttle_max_ns = 20 * S;
    assert_int_equal(wait_own_ns(&w, 2, 30 * MS, true, 0), 1 * S);
    assert_int_equal(wait_own_ns(&w, 2, 30 * MS, true, 1), 3 * S);
    assert_int_equal(wait_own_ns(&w, 2, 2 * S, true, 1), 6 * S);
}

static void
wait_max_holds_for_the_result_or_its_base(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_EXPONENTIAL, 4 * S, 5 * S);

    (void)state;
    w.factor = 2;
    w.jitter = (struct jitter){JITTER_SHARE, 0.2, 0};
    assert_int_equal(wait_own_ns(&w, 2, 0, false, 1), 5 * S);
    assert_int_equal(wait_own_ns(&w, 2, 0, false, 0), 4 * S);
    w.max_holds = MAX_OF_BASE;
    assert_int_equal(wait_own_ns(&w, 2, 0, false, 1), 6 * S);
    assert_int_equal(wait_own_ns(&w, 2, 0, false, 0), 4 * S);
    w.min_ns = 5 * S;
    assert_int_equal(wait_own_ns(&w, 2, 0, false, 0), 5 * S);
    w.max_ns = DURATION_MAX;
    w.jitter = (struct jitter){JITTER_PLUS, 0, DURATION_MAX};
    assert_int_equal(wait_own_ns(&w, UINT32_MAX, 0, false, 1),
                     2 * DURATION_MAX);
}

static void
a_throttled_retry_has_its_own_bounds(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_EXPONENTIAL, 50 * MS, 1 * S);

    (void)state;
    w.throttle_initial_ns = 1 * S;
    w.throttle_max_ns = 20 * S;
    assert_int_equal(wait_own_ns(&w, 3, 0, false, 0), 200 * MS);
    assert_int_equal(wait_own_ns(&w, 3, 0, true, 0), 4 * S);
    assert_int_equal(wait_own_ns(&w, 9, 0, true, 0), 20 * S);
}

static void
free_retries_do_not_wait_even_with_a_minimum(void **state)
{
    struct wait_rules w = make_wait_rules(WAIT_FIXED, 5 * S, 9 * S);

    (void)state;
    w.min_ns = 5 * S;
    assert_int_equal(wait_own_ns(&w, 0, 0, false, 1), 0);
}

/* Durations in s.  NONE is retry_after_max = none. */
static void
a_hint_is_used_as_the_rules_say(void **state)
{
    enum { NONE = -1, STOP = -1 };
    static const struct {
        enum retry_after mode;
        enum bide_hint hint;
        int after, spread, max, min, own, wait;
    } rows[] = {
        {RETRY_AFTER_HONOR, BIDE_HINT_NONE, 0, 0, 60, 5, 3, 3},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 0, 0, 60, 0, 3, 0},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 0, 0, 60, 2, 3, 2},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 60, 0, 60, 0, 3, 60},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 60, 10, 60, 0, 3, 65},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 61, 0, 60, 0, 3, STOP},
        {RETRY_AFTER_HONOR, BIDE_HINT_AFTER, 61, 10, NONE, 0, 3, 66},
        {RETRY_AFTER_HONOR, BIDE_HINT_NEVER, 0, 0, NONE, 0, 3, STOP},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 1, 0, 60, 0, 3, 3},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 10, 0, 60, 0, 3, 10},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 10, 4, 60, 0, 3, 12},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 62, 8, 60, 0, 3, 63},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 90, 0, 60, 0, 3, 63},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 90, 0, NONE, 0, 3, 90},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 1, 0, NONE, 0, 3, 3},
        {RETRY_AFTER_CLAMP, BIDE_HINT_AFTER, 1, 0, 60, 7, 0, 7},
        {RETRY_AFTER_CLAMP, BIDE_HINT_NEVER, 0, 0, 60, 0, 3, STOP},
        {RETRY_AFTER_CAP, BIDE_HINT_AFTER, 1, 0, 60, 0, 3, 1},
        {RETRY_AFTER_CAP, BIDE_HINT_AFTER, 59, 4, 60, 0, 3, 60},
        {RETRY_AFTER_CAP, BIDE_HINT_AFTER, 90, 0, 60, 0, 3, 60},
        {RETRY_AFTER_CAP, BIDE_HINT_AFTER, 90, 0, 1, 2, 3, 2},
        {RETRY_AFTER_CAP, BIDE_HINT_AFTER, 90, 2, NONE, 0, 3, 91},
        {RETRY_AFTER_CAP, BIDE_HINT_NEVER, 0, 0, 60, 0, 3, STOP},
        {RETRY_AFTER_IGNORE, BIDE_HINT_AFTER, 10, 0, 60, 0, 3, 3},
        {RETRY_AFTER_IGNORE, BIDE_HINT_NEVER, 0, 0, 60, 0, 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint64_t max =
            rows[i].max == NONE ? DURATION_NONE : (uint64_t)rows[i].max * S;
        struct policy p = {
            .hint = {rows[i].mode, 0, max, (uint64_t)rows[i].spread * S},
            .wait.min_ns = (uint64_t)rows[i].min * S,
        };
        struct bide_outcome o = {.domain = BIDE_DOMAIN_HTTP,
                                 .code = 503,
                                 .hint = (uint8_t)rows[i].hint,
                                 .after_ns = (uint64_t)rows[i].after * S};
        uint64_t wait = 12345;
        bool goes_on =
            wait_with_hint(&p, o, (uint64_t)rows[i].own * S, 0.5, &wait);

        assert_int_equal(goes_on, rows[i].wait != STOP);
        assert_int_equal(wait, goes_on ? (uint64_t)rows[i].wait * S : 12345);
    }
}

static void
a_hint_that_is_too_long_for_a_number_is_no_limit(void **state)
{
    struct policy p = {
        .hint = {RETRY_AFTER_HONOR, 0, DURATION_NONE, DURATION_MAX}};
    struct bide_outcome o = {.hint = BIDE_HINT_AFTER,
                             .after_ns = UINT64_MAX - 5};
    uint64_t wait = 0;

    (void)state;
    for (p.hint.mode = RETRY_AFTER_HONOR; p.hint.mode < RETRY_AFTER_IGNORE;
         p.hint.mode++) {
        assert_true(wait_with_hint(&p, o, UINT64_MAX - 9, 1, &wait));
        assert_true(wait == DURATION_NONE);
    }
}

static void
draws_are_the_same_everywhere_and_fill_their_range(void **state)
{
    double low = 1, high = 0, sum = 0;

    (void)state;
    assert_true(draw_bits(1, 0, 0) == 0x910a2dec89025cc1ull);
    assert_true(draw_unit(0) == 0);
    assert_true(draw_unit(UINT64_MAX) < 1);
    for (uint64_t i = 0; i < 100000; i++) {
        double u = draw_unit(draw_bits(7, i, 1));

        low = u < low ? u : low;
        high = u > high ? u : high;
        sum += u;
    }
    assert_true(low < 0.001 && high > 0.999);
    assert_true(sum / 100000 > 0.495 && sum / 100000 < 0.505);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_grows_as_its_formula_says),
        cmocka_unit_test(a_chain_goes_step_by_step_and_stays_at_its_last_step),
        cmocka_unit_test(each_jitter_spans_its_range),
        cmocka_unit_test(the_cut_comes_before_the_jitter_and_the_bounds_after),
        cmocka_unit_test(no_wait_overflows_however_late_the_retry),
        cmocka_unit_test(decorrelated_depends_on_the_wait_before),
        cmocka_unit_test(a_throttled_retry_has_its_own_bounds),
        cmocka_unit_test(free_retries_do_not_wait_even_with_a_minimum),
        cmocka_unit_test(a_hint_is_used_as_the_rules_say),
        cmocka_unit_test(a_hint_that_is_too_long_for_a_number_is_no_limit),
        cmocka_unit_test(wait_max_holds_for_the_result_or_its_base),
        cmocka_unit_test(draws_are_the_same_everywhere_and_fill_their_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
