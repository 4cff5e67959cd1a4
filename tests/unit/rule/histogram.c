#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rule/histogram.h"

#define US 1000ull
#define HOUR (3600ull * 1000000000)

static void
every_value_from_1_us_to_1_h_is_within_3_percent(void **state)
{
    (void)state;
    for (uint64_t ns = US; ns <= HOUR; ns += ns / 20011 + 1) {
        uint64_t middle = histogram_middle_ns(histogram_bucket(ns));
        uint64_t off = middle > ns ? middle - ns : ns - middle;

        if (off * 100 > ns * 3) {
            fail_msg("%llu ns reads as %llu", (unsigned long long)ns,
                     (unsigned long long)middle);
        }
    }
}

static void
bounds_are_the_first_and_last_value_of_their_bucket(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t low = histogram_low_ns(i), high = histogram_high_ns(i);

        assert_true(low < high);
        assert_int_equal(histogram_bucket(low), i);
        assert_int_equal(histogram_bucket(high - 1), i);
        if (i > 0) {
            assert_int_equal(histogram_bucket(low - 1), i - 1);
            assert_int_equal(low, histogram_high_ns(i - 1));
            assert_true(histogram_middle_ns(i) > histogram_middle_ns(i - 1));
        }
        assert_true(histogram_middle_ns(i) >= low);
        assert_true(histogram_middle_ns(i) < high);
    }
}

static void
too_short_and_too_long_values_have_their_own_buckets(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(0), 0);
    assert_int_equal(histogram_bucket(1023), 0);
    assert_int_equal(histogram_bucket(1024), 1);
    assert_int_equal(histogram_bucket((1ull << 42) - 1), HISTOGRAM_BUCKETS - 2);
    assert_int_equal(histogram_bucket(1ull << 42), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int
ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* xorshift64*, for values over all magnitudes. */
static uint64_t
random_value(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1dull;
}

static void
percentiles_match_the_sorted_values(void **state)
{
    static const struct {
        double share;
        uint32_t rank; /* of 1,000 values */
    } rows[] = {{0, 1},         {0.001, 1},  {0.0011, 2}, {0.07, 70},
                {0.5, 500},     {0.95, 950}, {0.99, 990}, {0.999, 999},
                {0.9991, 1000}, {1, 1000},   {-1, 1},     {2, 1000}};
    uint64_t values[1000], counts[HISTOGRAM_BUCKETS], seed = 42;

    (void)state;
    for (int round = 0; round < 50; round++) {
        memset(counts, 0, sizeof(counts));
        for (int i = 0; i < 1000; i++) {
            values[i] = random_value(&seed) >> (random_value(&seed) % 64);
            counts[histogram_bucket(values[i])]++;
        }
        qsort(values, 1000, sizeof(values[0]), ascending);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            uint32_t bucket = histogram_bucket(values[rows[i].rank - 1]);

            assert_int_equal(histogram_at_ns(counts, rows[i].share),
                             histogram_middle_ns(bucket));
        }
        assert_int_equal(histogram_count(counts), 1000);
    }
}

static void
an_empty_histogram_gives_zero(void **state)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};

    (void)state;
    assert_int_equal(histogram_count(counts), 0);
    assert_int_equal(histogram_at_ns(counts, 0.5), 0);
}

static void
counts_that_overflow_still_give_a_value(void **state)
{
    uint64_t counts[HISTOGRAM_BUCKETS];

    (void)state;
    memset(counts, 0xff, sizeof(counts));
    assert_int_equal(histogram_count(counts), UINT64_MAX);
    assert_int_equal(histogram_at_ns(counts, 1), histogram_middle_ns(0));
    counts[0] = 1;
    assert_int_equal(histogram_at_ns(counts, 0), histogram_middle_ns(0));
    assert_int_equal(histogram_at_ns(counts, 1), histogram_middle_ns(1));
}

static void
buckets_that_do_not_exist_read_as_the_last(void **state)
{
    (void)state;
    assert_int_equal(histogram_low_ns(UINT32_MAX), 1ull << 42);
    assert_int_equal(histogram_high_ns(UINT32_MAX), UINT64_MAX);
    assert_int_equal(histogram_middle_ns(UINT32_MAX), 1ull << 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_from_1_us_to_1_h_is_within_3_percent),
        cmocka_unit_test(bounds_are_the_first_and_last_value_of_their_bucket),
        cmocka_unit_test(too_short_and_too_long_values_have_their_own_buckets),
        cmocka_unit_test(percentiles_match_the_sorted_values),
        cmocka_unit_test(an_empty_histogram_gives_zero),
        cmocka_unit_test(counts_that_overflow_still_give_a_value),
        cmocka_unit_test(buckets_that_do_not_exist_read_as_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
