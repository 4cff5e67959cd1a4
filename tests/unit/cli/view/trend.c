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
#include "cli/view/trend.h"
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

/* Returns a value of the only policy; `back` 1 is the newest point. */
static double
point(const struct trend *t, enum trend_line line, size_t back)
{
    assert_int_equal(t->count, 1);
    return (double)t->list[0]->line[line][TREND_POINTS - back];
}

static void
assert_near(double value, double expected)
{
    assert_true(value > expected * 0.97 - 1e-9);
    assert_true(value < expected * 1.03 + 1e-9);
}

static int
begin(void **state)
{
    *state = calloc(1, sizeof(struct trend));
    return *state ? 0 : -1;
}

static int
end(void **state)
{
    trend_free(*state);
    free(*state);
    return 0;
}

#define TREND(test) cmocka_unit_test_setup_teardown(test, begin, end)

static void
counts_before_the_first_reading_make_no_rate(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){.succeeded = 1000000});
    read_one(t, 104, (struct cell_counts){.succeeded = 1000040});
    assert_int_equal(t->known, 0); /* no step has ended */
    assert_near(point(t, TREND_CALLS, 1), 0);
    read_one(t, 110, (struct cell_counts){.succeeded = 1000100});
    assert_int_equal(t->known, 1);
    assert_near(point(t, TREND_CALLS, 1), 10);
}

static void
failed_calls_include_refused_ones(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){.succeeded = 1});
    read_one(t, 110, (struct cell_counts){1, 0, 10, 0, 50});
    assert_near(point(t, TREND_CALLS, 1), 6);
    assert_near(point(t, TREND_REFUSED, 1), 5);
    assert_near(point(t, TREND_FAILED, 1), 6);
}

static void
a_step_makes_a_point(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    read_one(t, 110, (struct cell_counts){50, 0, 0, 1000000, 0});
    assert_int_equal(t->known, 1);
    read_one(t, 119, (struct cell_counts){60, 0, 0, 1000000, 0});
    assert_int_equal(t->known, 1);
    read_one(t, 120, (struct cell_counts){60, 10, 0, 1000000, 0});
    assert_int_equal(t->known, 2);
    assert_near(point(t, TREND_CALLS, 2), 5);
    assert_near(point(t, TREND_CALLS, 1), 1);
    assert_near(point(t, TREND_RETRIES, 1), 1);
    assert_near(point(t, TREND_P95_MS, 1), 1);
}

static void
steps_without_a_reading_get_the_average_rates(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    read_one(t, 145, (struct cell_counts){90, 0, 0, 1000000, 0});
    assert_int_equal(t->known, 4);
    for (size_t i = 1; i <= 4; i++) {
        assert_near(point(t, TREND_CALLS, i), 2);
    }
    assert_near(point(t, TREND_CALLS, 5), 0);
    read_one(t, 145 + 100000, (struct cell_counts){90, 0, 0, 1000000, 0});
    assert_int_equal(t->known, TREND_POINTS);
}

static void
a_step_without_successes_has_no_percentile(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){7, 0, 0, 1000000, 0});
    read_one(t, 110, (struct cell_counts){7, 5, 1, 1000000, 0});
    assert_true(point(t, TREND_P95_MS, 1) < 0);
}

static void
counters_that_restart_at_0_make_no_huge_rate(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){1000000, 1000, 1000, 1000000, 0});
    read_one(t, 110, (struct cell_counts){20, 0, 0, 1000000, 0});
    assert_near(point(t, TREND_CALLS, 1), 2);
    assert_near(point(t, TREND_RETRIES, 1), 0);
}

static void
counts_beyond_32_bits_give_right_differences(void **state)
{
    struct trend *t = *state;

    read_one(t, 100,
             (struct cell_counts){UINT64_C(0xfffffff0), 0, 0, 1000000, 0});
    read_one(t, 110,
             (struct cell_counts){UINT64_C(0x100000010), 0, 0, 1000000, 0});
    assert_near(point(t, TREND_CALLS, 1), 3.2);
    assert_near(point(t, TREND_P95_MS, 1), 1);
}

static void
scopes_add_up_and_new_policies_count_from_0(void **state)
{
    struct trend *t = *state;

    read_one(t, 100, (struct cell_counts){0, 0, 0, 1000000, 0});
    trend_begin(t);
    add_cell(t, "pay", (struct cell_counts){10, 0, 0, 1000000, 0});
    add_cell(t, "pay", (struct cell_counts){30, 0, 0, 1000000, 0});
    add_cell(t, "mail", (struct cell_counts){50, 0, 0, 1000000, 0});
    trend_end(t, 110 * SECOND);
    assert_int_equal(t->count, 2);
    assert_string_equal(t->list[0]->name, "mail");
    assert_near(t->list[0]->line[TREND_CALLS][TREND_POINTS - 1], 5);
    assert_string_equal(t->list[1]->name, "pay");
    assert_near(t->list[1]->line[TREND_CALLS][TREND_POINTS - 1], 4);
}

static void
memory_is_bounded(void **state)
{
    struct trend *t = *state;
    char name[32];

    trend_begin(t);
    for (int i = 0; i < TREND_MOST + 5; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        add_cell(t, name, (struct cell_counts){1, 0, 0, 1000000, 0});
    }
    trend_end(t, SECOND);
    assert_int_equal(t->count, TREND_MOST);
    assert_int_equal(t->left_out, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREND(counts_before_the_first_reading_make_no_rate),
        TREND(failed_calls_include_refused_ones),
        TREND(a_step_makes_a_point),
        TREND(steps_without_a_reading_get_the_average_rates),
        TREND(a_step_without_successes_has_no_percentile),
        TREND(counters_that_restart_at_0_make_no_huge_rate),
        TREND(counts_beyond_32_bits_give_right_differences),
        TREND(scopes_add_up_and_new_policies_count_from_0),
        TREND(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
