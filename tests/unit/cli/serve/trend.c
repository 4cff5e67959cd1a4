/* Trends from readings of counters; time is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "admin/live.h"
#include "cli/serve/trend.h"
#include "rule/histogram.h"

#define SECOND UINT64_C(1000000000)

/* The counters of a policy's cell; each success took took_ns. */
struct cell_counts {
    uint64_t succeeded, retries, exhausted, took_ns, refused;
};

static uint64_t histogram[HISTOGRAM_BUCKETS], none[HISTOGRAM_BUCKETS];

static void
add_cell(struct trend *t, const char *name, struct cell_counts counts)
{
    struct admin_cell c = {.succeeded = histogram, .failed = none};

    strcpy(c.name, name);
    c.stats.succeeded = counts.succeeded;
    c.stats.retries = counts.retries;
    c.stats.exhausted = c.stats.aborted = counts.exhausted;
    c.stats.refused = counts.refused;
    memset(histogram, 0, sizeof(histogram));
    histogram[histogram_bucket(counts.took_ns)] = counts.succeeded;
    assert_int_equal(trend_add(t, &c), 0);
}

static void
read_one(struct trend *t, uint64_t at_s, struct cell_counts counts)
{
    trend_begin(t);
    add_cell(t, "pay", counts);
    trend_end(t, at_s * SECOND);
}

static struct trend_view
view(const struct trend *t)
{
    struct trend_view v;

    assert_int_equal(t->count, 1);
    trend_get(t, 0, &v);
    return v;
}

static void
assert_near(double value, double expected)
{
    assert_true(value > expected * 0.97 - 1e-9);
    assert_true(value < expected * 1.03 + 1e-9);
}

static void
counts_before_the_first_reading_make_no_rate(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){.succeeded = 1000000});
    v = view(t);
    assert_true(v.over_ns == 0);
    assert_near(v.calls, 0);
    assert_true(v.window_succeeded == 0);
    assert_int_equal(t->known, 0);
    trend_free(t);
}

static void
a_rate_is_a_difference_divided_by_time(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){1000, 0, 0, 1000000, 0});
    read_one(t, 104, (struct cell_counts){1040, 20, 4, 1000000, 0});
    v = view(t);
    assert_near(v.calls, 11); /* including the exhausted calls */
    assert_near(v.retries, 5);
    assert_near(v.failed, 1);
    assert_true(v.window_succeeded == 40);
    assert_near(v.p95_ms, 1);
    assert_int_equal(t->known, 0); /* no step has ended */
    trend_free(t);
}

static void
failed_calls_are_the_same_in_the_rate_the_point_and_the_past(void **state)
{
    struct bide_stats past = {.exhausted = 10, .aborted = 10, .refused = 50};
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){.succeeded = 1});
    trend_past(t, "pay", 20 * SECOND, 10 * SECOND, &past);
    read_one(t, 110, (struct cell_counts){1, 0, 10, 0, 50});
    v = view(t);
    assert_near(v.calls, 6);
    assert_near(v.failed, 6);
    assert_near(v.refused, 5);
    assert_near(v.point[TREND_POINTS - 1].failed, 6);
    assert_near(v.point[TREND_POINTS - 3].failed, 6);
    trend_free(t);
}

static void
a_step_makes_a_point(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    read_one(t, 110, (struct cell_counts){50, 0, 0, 1000000, 0});
    assert_int_equal(t->known, 1);
    read_one(t, 119, (struct cell_counts){60, 0, 0, 1000000, 0});
    assert_int_equal(t->known, 1);
    read_one(t, 120, (struct cell_counts){60, 10, 0, 1000000, 0});
    v = view(t);
    assert_int_equal(t->known, 2);
    assert_near(v.point[TREND_POINTS - 2].calls, 5);
    assert_near(v.point[TREND_POINTS - 1].calls, 1);
    assert_near(v.point[TREND_POINTS - 1].retries, 1);
    assert_near(v.point[TREND_POINTS - 1].p95_ms, 1);
    trend_free(t);
}

static void
steps_without_a_reading_get_the_average_rates(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    read_one(t, 145, (struct cell_counts){90, 0, 0, 1000000, 0});
    v = view(t);
    assert_int_equal(t->known, 4);
    for (size_t i = 1; i <= 4; i++) {
        assert_near(v.point[TREND_POINTS - i].calls, 2);
    }
    assert_near(v.point[TREND_POINTS - 5].calls, 0);
    read_one(t, 145 + 100000, (struct cell_counts){90, 0, 0, 1000000, 0});
    assert_int_equal(t->known, TREND_POINTS);
    trend_free(t);
}

static void
a_step_without_successes_has_no_percentile(void **state)
{
    struct trend all = {0}, *t = &all;

    (void)state;
    read_one(t, 100, (struct cell_counts){7, 0, 0, 1000000, 0});
    read_one(t, 110, (struct cell_counts){7, 5, 1, 1000000, 0});
    assert_true(view(t).point[TREND_POINTS - 1].p95_ms < 0);
    trend_free(t);
}

static void
percentiles_cover_at_most_two_windows(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;
    uint64_t at = 100;

    (void)state;
    read_one(t, at, (struct cell_counts){0, 0, 0, 1000000, 0});
    read_one(t, at += 10, (struct cell_counts){1000, 0, 0, 1000000, 0});
    assert_true(view(t).window_succeeded == 1000);
    for (size_t i = 0; i < 2 * TREND_WINDOW; i++) {
        read_one(t, at += 10, (struct cell_counts){1000, 0, 0, 1000000, 0});
    }
    v = view(t);
    assert_true(v.window_succeeded == 0);
    assert_true(v.window_ns <= 2 * TREND_WINDOW * TREND_STEP_NS);
    trend_free(t);
}

static void
counters_that_restart_at_0_make_no_huge_rate(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){1000000, 1000, 1000, 1000000, 0});
    read_one(t, 110, (struct cell_counts){20, 0, 0, 1000000, 0});
    v = view(t);
    assert_near(v.point[TREND_POINTS - 1].calls, 2);
    assert_near(v.point[TREND_POINTS - 1].retries, 0);
    assert_true(v.window_succeeded == 20);
    trend_free(t);
}

static void
counts_beyond_32_bits_give_right_differences(void **state)
{
    struct trend all = {0}, *t = &all;

    (void)state;
    read_one(t, 100,
             (struct cell_counts){UINT64_C(0xfffffff0), 0, 0, 1000000, 0});
    read_one(t, 110,
             (struct cell_counts){UINT64_C(0x100000010), 0, 0, 1000000, 0});
    assert_true(view(t).window_succeeded == 0x20);
    assert_near(view(t).calls, 3.2);
    trend_free(t);
}

static void
scopes_add_up_and_new_policies_count_from_0(void **state)
{
    struct trend all = {0}, *t = &all;
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    trend_begin(t);
    add_cell(t, "pay", (struct cell_counts){10, 0, 0, 1000000, 0});
    add_cell(t, "pay", (struct cell_counts){30, 0, 0, 1000000, 0});
    add_cell(t, "mail", (struct cell_counts){50, 0, 0, 1000000, 0});
    trend_end(t, 110 * SECOND);
    assert_int_equal(t->count, 2);
    trend_get(t, 0, &v);
    assert_string_equal(v.name, "mail");
    assert_near(v.calls, 5);
    trend_get(t, 1, &v);
    assert_string_equal(v.name, "pay");
    assert_near(v.calls, 4);
    trend_free(t);
}

static void
recorded_intervals_fill_the_points_they_cover(void **state)
{
    struct trend all = {0}, *t = &all;
    struct bide_stats s = {.succeeded = 120, .retries = 60};
    struct trend_view v;

    (void)state;
    s.latency_succeeded.count = 120;
    s.latency_succeeded.p95_ns = 9000000;
    read_one(t, 100, (struct cell_counts){500, 0, 0, 1000000, 0});
    /* This minute ended 25 s ago: it covers half of the third point. */
    trend_past(t, "pay", 85 * SECOND, 25 * SECOND, &s);
    trend_past(t, "unknown", 85 * SECOND, 25 * SECOND, &s);
    trend_past(t, "pay", 25 * SECOND, 25 * SECOND, &s);
    trend_past(t, "pay", 100000 * SECOND, 90000 * SECOND, &s);
    v = view(t);
    assert_near(v.point[TREND_POINTS - 2].calls, 0);
    assert_near(v.point[TREND_POINTS - 3].calls, 1);
    assert_near(v.point[TREND_POINTS - 4].calls, 2);
    assert_near(v.point[TREND_POINTS - 4].retries, 1);
    assert_near(v.point[TREND_POINTS - 4].p95_ms, 9);
    assert_near(v.point[TREND_POINTS - 9].calls, 1);
    assert_near(v.point[TREND_POINTS - 10].calls, 0);
    assert_int_equal(t->known, 9);
    trend_free(t);
}

static void
memory_is_bounded(void **state)
{
    struct trend all = {0}, *t = &all;
    char name[32];

    (void)state;
    trend_begin(t);
    for (int i = 0; i < TREND_MOST + 5; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        add_cell(t, name, (struct cell_counts){1, 0, 0, 1000000, 0});
    }
    trend_end(t, SECOND);
    assert_int_equal(t->count, TREND_MOST);
    assert_int_equal(t->left_out, 5);
    trend_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_before_the_first_reading_make_no_rate),
        cmocka_unit_test(a_rate_is_a_difference_divided_by_time),
        cmocka_unit_test(
            failed_calls_are_the_same_in_the_rate_the_point_and_the_past),
        cmocka_unit_test(a_step_makes_a_point),
        cmocka_unit_test(steps_without_a_reading_get_the_average_rates),
        cmocka_unit_test(a_step_without_successes_has_no_percentile),
        cmocka_unit_test(percentiles_cover_at_most_two_windows),
        cmocka_unit_test(counters_that_restart_at_0_make_no_huge_rate),
        cmocka_unit_test(counts_beyond_32_bits_give_right_differences),
        cmocka_unit_test(scopes_add_up_and_new_policies_count_from_0),
        cmocka_unit_test(recorded_intervals_fill_the_points_they_cover),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
