/* The syntax of Prometheus text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "cli/out/exposition.h"

static void
numbers_have_as_few_digits_as_they_need(void **state)
{
    static const struct {
        double number;
        const char *text, *bound;
    } rows[] = {
        {0, "0", "0.0"},
        {1, "1", "1.0"},
        {300, "300", "300.0"},
        {0.1, "0.1", "0.1"},
        {0.0025, "0.0025", "0.0025"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
        {1e21, "1e+21", "1e+21"},
        {5e-324, "4.94065645841247e-324", "4.94065645841247e-324"},
        {-1.5, "-1.5", "-1.5"},
        {INFINITY, "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf"},
        {NAN, "NaN", "NaN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(exposition_number(rows[i].number).text,
                            rows[i].text);
        assert_string_equal(exposition_bound(rows[i].number).text,
                            rows[i].bound);
    }
}

static void
labels_are_escaped_to_valid_utf_8(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"http.503", "http.503"},
        {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff", "\\\\xff"},
        {"a\xc3", "a\\\\xc3"},                     /* truncated */
        {"\xc0\xaf", "\\\\xc0\\\\xaf"},            /* overlong */
        {"\xed\xa0\x80", "\\\\xed\\\\xa0\\\\x80"}, /* a surrogate */
        {"\xe2\x82", "\\\\xe2\\\\x82"},
        {"\xf4\x90\x80\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80"},
        {"\t", "\t"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        exposition_label(out, rows[i][0]);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, rows[i][1]);
        free(text);
    }
}

static void
bounds_are_in_ascending_order(void **state)
{
    (void)state;
    for (size_t i = 1; i < EXPOSITION_BOUNDS; i++) {
        assert_true(exposition_bounds[i - 1] < exposition_bounds[i]);
    }
}

static void
no_values_give_zeros(void **state)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    struct exposition_histogram h;

    (void)state;
    memset(&h, 1, sizeof(h));
    exposition_convert(counts, &h);
    for (size_t i = 0; i < EXPOSITION_BOUNDS; i++) {
        assert_true(h.at_most[i] == 0);
    }
    assert_true(h.count == 0);
    assert_true(h.sum == 0);
}

/* The error of a bucket is below 3 %. */
static void
a_value_counts_for_every_bound_that_it_is_clearly_below(void **state)
{
    (void)state;
    for (double ns = 1500; ns < 1e13; ns *= 1.09) {
        uint64_t counts[HISTOGRAM_BUCKETS] = {0};
        struct exposition_histogram h;

        counts[histogram_bucket((uint64_t)ns)] = 7;
        exposition_convert(counts, &h);
        assert_true(h.count == 7);
        for (size_t i = 0; i < EXPOSITION_BOUNDS; i++) {
            double bound = exposition_bounds[i] * 1e9;

            if (ns < bound * 0.97) {
                assert_true(h.at_most[i] == 7);
            } else if (ns > bound * 1.03) {
                assert_true(h.at_most[i] == 0);
            }
        }
        if (ns < 4e12) { /* longer times share the last bucket */
            assert_true(fabs(h.sum - 7 * ns / 1e9) <= 0.03 * 7 * ns / 1e9);
        }
    }
}

static void
a_value_above_all_bounds_counts_for_inf_only(void **state)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    struct exposition_histogram h;

    (void)state;
    counts[HISTOGRAM_BUCKETS - 1] = 3;
    counts[0] = 1;
    exposition_convert(counts, &h);
    assert_true(h.at_most[0] == 1);
    assert_true(h.at_most[EXPOSITION_BOUNDS - 1] == 1);
    assert_true(h.count == 4);
}

static void
counts_are_cumulative_and_do_not_overflow(void **state)
{
    uint64_t counts[HISTOGRAM_BUCKETS];
    struct exposition_histogram h;

    (void)state;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counts[i] = UINT64_MAX / 3;
    }
    exposition_convert(counts, &h);
    for (size_t i = 1; i < EXPOSITION_BOUNDS; i++) {
        assert_true(h.at_most[i] >= h.at_most[i - 1]);
    }
    assert_true(h.count == UINT64_MAX);
    assert_true(isfinite(h.sum));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_as_few_digits_as_they_need),
        cmocka_unit_test(labels_are_escaped_to_valid_utf_8),
        cmocka_unit_test(bounds_are_in_ascending_order),
        cmocka_unit_test(no_values_give_zeros),
        cmocka_unit_test(
            a_value_counts_for_every_bound_that_it_is_clearly_below),
        cmocka_unit_test(a_value_above_all_bounds_counts_for_inf_only),
        cmocka_unit_test(counts_are_cumulative_and_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
