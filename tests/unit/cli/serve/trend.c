/* The last minutes, made of readings; time is a number. */
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

/* What a policy's cell says: so many succeeded, each in so long. */
struct told {
    uint64_t succeeded, retries, given_up, took_ns;
};

static uint64_t histogram[HISTOGRAM_BUCKETS], none[HISTOGRAM_BUCKETS];

static void
add(struct trend *t, const char *name, struct told told)
{
    struct admin_cell c = {.succeeded = histogram, .failed = none};

    strcpy(c.name, name);
    c.stats.succeeded = told.succeeded;
    c.stats.retries = told.retries;
    c.stats.exhausted = c.stats.aborted = told.given_up;
    memset(histogram, 0, sizeof(histogram));
    histogram[histogram_bucket(told.took_ns)] = told.succeeded;
    assert_int_equal(trend_add(t, &c), 0);
}

static void
read_one(struct trend *t, uint64_t at_s, struct told told)
{
    trend_begin(t);
    add(t, "pay", told);
    trend_end(t, at_s * SECOND);
}

static struct trend_view
view(const struct trend *t)
{
    struct trend_view v;

    assert_int_equal(trend_count(t), 1);
    trend_look(t, 0, &v);
    return v;
}

static void
is(double value, double expected)
{
    assert_true(value > expected * 0.97 - 1e-9);
    assert_true(value < expected * 1.03 + 1e-9);
}

static void
what_was_before_the_first_reading_is_no_rate(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){.succeeded = 1000000});
    v = view(t);
    assert_true(v.over_ns == 0);
    is(v.calls, 0);
    assert_true(v.window_succeeded == 0);
    assert_int_equal(trend_known(t), 0);
    trend_free(t);
}

static void
a_rate_is_a_difference_by_time(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){1000, 0, 0, 1000000});
    read_one(t, 104, (struct told){1040, 20, 4, 1000000});
    v = view(t);
    is(v.calls, 11); /* those that were given up are calls as well */
    is(v.retries, 5);
    is(v.given_up, 1);
    assert_true(v.window_succeeded == 40);
    is(v.p95_ms, 1);
    assert_int_equal(trend_known(t), 0); /* no step has ended */
    trend_free(t);
}

static void
a_step_makes_a_point(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){0, 0, 0, 1000000});
    read_one(t, 110, (struct told){50, 0, 0, 1000000});
    assert_int_equal(trend_known(t), 1);
    read_one(t, 119, (struct told){60, 0, 0, 1000000});
    assert_int_equal(trend_known(t), 1);
    read_one(t, 120, (struct told){60, 10, 0, 1000000});
    v = view(t);
    assert_int_equal(trend_known(t), 2);
    is(v.point[TREND_POINTS - 2].calls, 5);
    is(v.point[TREND_POINTS - 1].calls, 1);
    is(v.point[TREND_POINTS - 1].retries, 1);
    is(v.point[TREND_POINTS - 1].p95_ms, 1);
    trend_free(t);
}

static void
steps_that_nobody_looked_at_share_what_happened(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){0, 0, 0, 1000000});
    read_one(t, 145, (struct told){90, 0, 0, 1000000});
    v = view(t);
    assert_int_equal(trend_known(t), 4);
    for (size_t i = 1; i <= 4; i++) {
        is(v.point[TREND_POINTS - i].calls, 2);
    }
    is(v.point[TREND_POINTS - 5].calls, 0);
    read_one(t, 145 + 100000, (struct told){90, 0, 0, 1000000});
    assert_int_equal(trend_known(t), TREND_POINTS);
    trend_free(t);
}

static void
a_step_without_successes_has_no_percentile(void **state)
{
    struct trend *t = trend_new();

    (void)state;
    read_one(t, 100, (struct told){7, 0, 0, 1000000});
    read_one(t, 110, (struct told){7, 5, 1, 1000000});
    assert_true(view(t).point[TREND_POINTS - 1].p95_ms < 0);
    trend_free(t);
}

static void
percentiles_forget_what_is_older_than_two_windows(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;
    uint64_t at = 100;

    (void)state;
    read_one(t, at, (struct told){0, 0, 0, 1000000});
    read_one(t, at += 10, (struct told){1000, 0, 0, 1000000});
    assert_true(view(t).window_succeeded == 1000);
    for (size_t i = 0; i < 2 * TREND_WINDOW; i++) {
        read_one(t, at += 10, (struct told){1000, 0, 0, 1000000});
    }
    v = view(t);
    assert_true(v.window_succeeded == 0);
    assert_true(v.window_ns <= 2 * TREND_WINDOW * TREND_STEP_NS);
    trend_free(t);
}

static void
counting_that_begins_anew_is_no_huge_rate(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){1000000, 1000, 1000, 1000000});
    read_one(t, 110, (struct told){20, 0, 0, 1000000});
    v = view(t);
    is(v.point[TREND_POINTS - 1].calls, 2);
    is(v.point[TREND_POINTS - 1].retries, 0);
    assert_true(v.window_succeeded == 20);
    trend_free(t);
}

static void
counts_beyond_32_bits_are_differences_all_the_same(void **state)
{
    struct trend *t = trend_new();

    (void)state;
    read_one(t, 100, (struct told){UINT64_C(0xfffffff0), 0, 0, 1000000});
    read_one(t, 110, (struct told){UINT64_C(0x100000010), 0, 0, 1000000});
    assert_true(view(t).window_succeeded == 0x20);
    is(view(t).calls, 3.2);
    trend_free(t);
}

static void
scopes_add_up_and_new_policies_count_from_nothing(void **state)
{
    struct trend *t = trend_new();
    struct trend_view v;

    (void)state;
    read_one(t, 100, (struct told){0, 0, 0, 1000000});
    trend_begin(t);
    add(t, "pay", (struct told){10, 0, 0, 1000000});
    add(t, "pay", (struct told){30, 0, 0, 1000000});
    add(t, "mail", (struct told){50, 0, 0, 1000000});
    trend_end(t, 110 * SECOND);
    assert_int_equal(trend_count(t), 2);
    trend_look(t, 0, &v);
    assert_string_equal(v.name, "mail");
    is(v.calls, 5);
    trend_look(t, 1, &v);
    assert_string_equal(v.name, "pay");
    is(v.calls, 4);
    trend_free(t);
}

static void
what_was_recorded_stands_where_it_was(void **state)
{
    struct trend *t = trend_new();
    struct bide_stats s = {.succeeded = 120, .retries = 60};
    struct trend_view v;

    (void)state;
    s.latency_succeeded.count = 120;
    s.latency_succeeded.p95_ms = 9;
    read_one(t, 100, (struct told){500, 0, 0, 1000000});
    /* A minute that ended 25 s ago: half of the third point is covered. */
    trend_past(t, "pay", 85 * SECOND, 25 * SECOND, &s);
    trend_past(t, "unknown", 85 * SECOND, 25 * SECOND, &s);
    trend_past(t, "pay", 25 * SECOND, 25 * SECOND, &s);
    trend_past(t, "pay", 100000 * SECOND, 90000 * SECOND, &s);
    v = view(t);
    is(v.point[TREND_POINTS - 2].calls, 0);
    is(v.point[TREND_POINTS - 3].calls, 1);
    is(v.point[TREND_POINTS - 4].calls, 2);
    is(v.point[TREND_POINTS - 4].retries, 1);
    is(v.point[TREND_POINTS - 4].p95_ms, 9);
    is(v.point[TREND_POINTS - 9].calls, 1);
    is(v.point[TREND_POINTS - 10].calls, 0);
    assert_int_equal(trend_known(t), 9);
    trend_free(t);
}

static void
memory_is_bounded(void **state)
{
    struct trend *t = trend_new();
    char name[32];

    (void)state;
    trend_begin(t);
    for (int i = 0; i < TREND_MOST + 5; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        add(t, name, (struct told){1, 0, 0, 1000000});
    }
    trend_end(t, SECOND);
    assert_int_equal(trend_count(t), TREND_MOST);
    assert_int_equal(trend_left_out(t), 5);
    trend_free(t);
    trend_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_before_the_first_reading_is_no_rate),
        cmocka_unit_test(a_rate_is_a_difference_by_time),
        cmocka_unit_test(a_step_makes_a_point),
        cmocka_unit_test(steps_that_nobody_looked_at_share_what_happened),
        cmocka_unit_test(a_step_without_successes_has_no_percentile),
        cmocka_unit_test(percentiles_forget_what_is_older_than_two_windows),
        cmocka_unit_test(counting_that_begins_anew_is_no_huge_rate),
        cmocka_unit_test(counts_beyond_32_bits_are_differences_all_the_same),
        cmocka_unit_test(scopes_add_up_and_new_policies_count_from_nothing),
        cmocka_unit_test(what_was_recorded_stands_where_it_was),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
