#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "simulate/traffic_read.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
calls_are_a_rate_and_a_distribution(void **state)
{
    static const struct {
        const char *text;
        double calls_per_s;
        bool even;
    } cases[] = {
        {"200/s", 200, false},      {"200/s even", 200, true},
        {"6000/m", 100, false},     {"0.5/s", 0.5, false},
        {"36/h  even", 0.01, true}, {"1000000/s", 1e6, false},
    };
    struct traffic t;
    char why[TRAFFIC_WHY];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(traffic_read_calls(cases[i].text, &t, why), 0);
        assert_true(t.calls_per_s == cases[i].calls_per_s);
        assert_int_equal(t.even, cases[i].even);
    }
}

static void
times_are_fixed_between_or_exponential(void **state)
{
    static const struct {
        const char *text;
        struct traffic_time time;
    } cases[] = {
        {"0", {TRAFFIC_FIXED, 0, 0}},
        {"20ms", {TRAFFIC_FIXED, 20 * MS, 0}},
        {"10ms..50ms", {TRAFFIC_BETWEEN, 10 * MS, 50 * MS}},
        {"10ms .. 10ms", {TRAFFIC_BETWEEN, 10 * MS, 10 * MS}},
        {"exponential 20ms", {TRAFFIC_EXPONENTIAL, 20 * MS, 0}},
        {"1d", {TRAFFIC_FIXED, 86400 * SECOND, 0}},
    };
    char why[TRAFFIC_WHY];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct traffic_time t = {0};

        assert_int_equal(traffic_read_time(cases[i].text, &t, why), 0);
        assert_int_equal(t.form, cases[i].time.form);
        assert_int_equal(t.ns, cases[i].time.ns);
        assert_int_equal(t.to_ns, cases[i].time.to_ns);
    }
}

static void
failures_are_a_share_or_several_shares_over_time(void **state)
{
    struct traffic t;
    char why[TRAFFIC_WHY];

    (void)state;
    assert_int_equal(traffic_read_fail("12.5%", &t, why), 0);
    assert_true(t.fail[0].share == 0.125);
    assert_true(t.fail[0].until_ns == DURATION_NONE);

    assert_int_equal(
        traffic_read_fail("30% until 20s, 100% until 40s,0% ", &t, why), 0);
    assert_true(t.fail[0].share == 0.3 && t.fail[1].share == 1 &&
                t.fail[2].share == 0);
    assert_int_equal(t.fail[0].until_ns, 20 * SECOND);
    assert_int_equal(t.fail[1].until_ns, 40 * SECOND);
    assert_true(t.fail[2].until_ns == DURATION_NONE);
}

enum what { CALLS, FAIL, FOR, TIME, OUTCOME };

static int
read_one(enum what what, const char *text, struct traffic *t, char *why)
{
    switch (what) {
    case CALLS:
        return traffic_read_calls(text, t, why);
    case FAIL:
        return traffic_read_fail(text, t, why);
    case FOR:
        return traffic_read_for(text, t, why);
    case TIME:
        return traffic_read_time(text, &t->success_takes, why);
    default:
        return traffic_read_outcome(text, t, why);
    }
}

static void
a_wrong_text_gives_a_reason_and_changes_nothing(void **state)
{
    static const struct {
        enum what what;
        const char *text, *why;
    } cases[] = {
        {CALLS, "", "like 200/s"},
        {CALLS, "200", "like 200/s"},
        {CALLS, "-1/s", "like 200/s"},
        {CALLS, "200/ms", "like 200/s"},
        {CALLS, "200/s odd", "only even"},
        {CALLS, "0/s", "above 0"},
        {CALLS, "1000001/s", "at most 1000000/s"},
        {FAIL, "", "like 30%"},
        {FAIL, "0.3", "like 30%"},
        {FAIL, "101%", "at most 100%"},
        {FAIL, "30% to 20s, 0%", "only until"},
        {FAIL, "30% until", "only until"},
        {FAIL, "30% until soon, 0%", "soon"},
        {FAIL, "30% until 20", "20ms?"},
        {FAIL, "30% until 20s", "the last share"},
        {FAIL, "30%, 0%", "only the last share"},
        {FAIL, "30% until 20s,", "like 30%"},
        {FAIL, "30% until none, 0%", "a duration is"},
        {FAIL, "30% until 20s, 1% until 20s, 0%", "later than"},
        {FAIL, "30% until 0, 0%", "later than"},
        {FOR, "0", "at least 1ms"},
        {FOR, "40000d", "longer than 36500d"},
        {FOR, "60", "unit"},
        {TIME, "50ms..10ms", "shorter time must come first"},
        {TIME, "..", ""},
        {TIME, "1d..25h", "at most 1d"},
        {TIME, "none", "a duration is"},
        {TIME, "exponential", "exponential"},
        {OUTCOME, "ok", "not a failure"},
        {OUTCOME, "http.200", "not a failure"},
        {OUTCOME, "http", "http"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct traffic t, before;
        char why[TRAFFIC_WHY] = "";

        memset(&t, 0x5a, sizeof(t));
        before = t;
        assert_int_equal(read_one(cases[i].what, cases[i].text, &t, why), -1);
        assert_memory_equal(&t, &before, sizeof(t));
        assert_true(*why);
        if (!strstr(why, cases[i].why)) {
            print_error("%s: %s\n", cases[i].text, why);
            fail();
        }
    }
}

static void
failures_have_at_most_32_shares(void **state)
{
    char text[1024] = "", why[200];
    struct traffic t;

    (void)state;
    for (int i = 1; i < 32; i++) {
        sprintf(text + strlen(text), "1%% until %ds,", i);
    }
    strcat(text, "2%");
    assert_int_equal(traffic_read_fail(text, &t, why), 0);
    assert_true(t.fail[31].share == 0.02);
    strcat(text, " until 99s, 3%");
    assert_int_equal(traffic_read_fail(text, &t, why), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_a_rate_and_a_distribution),
        cmocka_unit_test(times_are_fixed_between_or_exponential),
        cmocka_unit_test(failures_are_a_share_or_several_shares_over_time),
        cmocka_unit_test(a_wrong_text_gives_a_reason_and_changes_nothing),
        cmocka_unit_test(failures_have_at_most_32_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
