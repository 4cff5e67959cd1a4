#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void
clocks_never_go_back(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic_ns();

        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_realtime_ns() > 1600000000ull * 1000000000);
}

static void
a_measured_scale_is_either_none_or_trusted(void **state)
{
    struct tick_scale s = clock_measure();

    (void)state;
    assert_true(s.mult == 0 || clock_scale_ok(s));
}

/* Compares rates: an interruption of the loop counts on both clocks. */
static void
ticks_run_as_fast_as_the_monotonic_clock(void **state)
{
    struct tick_scale s = clock_measure();
    uint64_t ns = clock_monotonic_ns(), ticks = clock_ticks(s), took, passed;

    (void)state;
    do {
        passed = clock_monotonic_ns() - ns;
        took = clock_between_ns(s, ticks, clock_ticks(s));
    } while (passed < 20000000);
    assert_true(took > passed - passed / 20);
    assert_true(took < passed + passed / 20 + 20000000);
}

static void
scales_that_differ_from_the_own_one_are_refused(void **state)
{
    uint64_t own = clock_measure().mult;
    const uint64_t mults[] = {
        0,        1,        (1ull << 32) / 21, (1000ull << 32) + 1, UINT64_MAX,
        own * 12, own / 12, own + own / 50,    own - own / 50};

    (void)state;
    for (size_t i = 0; i < sizeof(mults) / sizeof(mults[0]); i++) {
        assert_false(clock_scale_ok((struct tick_scale){mults[i]}));
    }
}

static void
ticks_are_converted_to_nanoseconds(void **state)
{
    static const struct {
        uint64_t mult, from, to, ns;
    } rows[] = {
        {0, 100, 350, 250},
        {0, 350, 100, 0}, /* another socket's counter is behind */
        {0, 7, 7, 0},
        {1ull << 32, 100, 350, 250},
        {1ull << 31, 100, 350, 125},
        {1ull << 31, 350, 100, 0},
        {1ull << 31, UINT64_MAX, 1, 1}, /* the counter wraps around */
        {1000ull << 32, 0, 1ull << 50, 1000ull << 50},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tick_scale s = {rows[i].mult};

        assert_int_equal(clock_between_ns(s, rows[i].from, rows[i].to),
                         rows[i].ns);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_never_go_back),
        cmocka_unit_test(a_measured_scale_is_either_none_or_trusted),
        cmocka_unit_test(ticks_run_as_fast_as_the_monotonic_clock),
        cmocka_unit_test(scales_that_differ_from_the_own_one_are_refused),
        cmocka_unit_test(ticks_are_converted_to_nanoseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
