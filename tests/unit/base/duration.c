#include "unit/policy/check.h"

#include "base/duration.h"

static void
durations_are_written_in_the_shortest_exact_form(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
        const char *canonical;
    } rows[] = {
        {"0", 0, "0"},
        {"0s", 0, "0"},
        {"0.000", 0, "0"},
        {"1ns", 1, "1ns"},
        {"999ns", 999, "999ns"},
        {"1000ns", 1000, "1us"},
        {"1500ns", 1500, "1.5us"},
        {"1.234567891s", 1234567891, "1.234567891s"},
        {"250ms", 250000000, "250ms"},
        {"0.25s", 250000000, "250ms"},
        {"100ms", 100000000, "100ms"},
        {"1500ms", 1500000000, "1.5s"},
        {"7000ms", 7000000000, "7s"},
        {"90s", 90000000000, "90s"},
        {"60s", 60000000000, "1m"},
        {"90m", 5400000000000, "90m"},
        {"36h", 129600000000000, "36h"},
        {"86400000ms", 86400000000000, "1d"},
        {"1.5d", 129600000000000, "36h"},
        {"2.50s", 2500000000, "2.5s"},
        {"007s", 7000000000, "7s"},
        {"365d", 31536000000000000, "365d"},
        {"36500d", DURATION_MAX, "36500d"},
        {"3153600000000000000ns", DURATION_MAX, "36500d"},
        {"1.000000000s", 1000000000, "1s"},
        {"1.0000000000000000s", 1000000000, "1s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 77;

        assert_int_equal(duration_read(rows[i].text, &ns, NULL), 0);
        assert_int_equal(ns, rows[i].ns);
        assert_string_equal(duration_write(ns).text, rows[i].canonical);
        assert_int_equal(duration_read(duration_write(ns).text, &ns, NULL), 0);
        assert_int_equal(ns, rows[i].ns);
    }
}

static void
a_bad_duration_is_refused_with_a_suggestion(void **state)
{
    static const struct {
        const char *text, *why, *hint;
    } rows[] = {
        {"100", "a duration needs its unit", "100ms"},
        {"1.5", "a duration needs its unit", "1.5ms"},
        {"", "a duration is a number and its unit, such as 250ms or 1.5s", ""},
        {"s", "a duration is a number and its unit, such as 250ms or 1.5s", ""},
        {".5s", "a duration is a number and its unit, such as 250ms or 1.5s",
         ""},
        {"none", "a duration is a number and its unit, such as 250ms or 1.5s",
         ""},
        {"-1s", "a duration cannot be negative", ""},
        {"5 s", "a duration has one unit: ns us ms s m h d", "5s"},
        {"5sec", "a duration has one unit: ns us ms s m h d", "5s"},
        {"5S", "a duration has one unit: ns us ms s m h d", "5s"},
        {"5 minutes", "a duration has one unit: ns us ms s m h d", "5m"},
        {"5µs", "a duration has one unit: ns us ms s m h d", "5us"},
        {"1m30s", "a duration has one unit: ns us ms s m h d", ""},
        {"1w", "a duration has one unit: ns us ms s m h d", ""},
        {"1.s", "a duration has one unit: ns us ms s m h d", ""},
        {"1,5s", "a duration has one unit: ns us ms s m h d", ""},
        {"0.5ns", "finer than 1ns", ""},
        {"1.0000001us", "finer than 1ns", ""},
        {"36500.1d", "longer than 36500d", ""},
        {"3153600000000000001ns", "longer than 36500d", ""},
        {"18446744073709551615d", "longer than 36500d", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct duration_fault fault = {.hint = "old"};
        uint64_t ns = 77;

        assert_int_equal(duration_read(rows[i].text, &ns, &fault), -1);
        assert_string_equal(fault.why, rows[i].why);
        assert_string_equal(fault.hint, rows[i].hint);
        assert_int_equal(ns, 77);
    }
}

static void
no_limit_is_written_as_none(void **state)
{
    (void)state;
    assert_string_equal(duration_write(DURATION_NONE).text, "none");
    assert_string_equal(duration_round(DURATION_NONE).text, "none");
}

static void
rounded_durations_have_three_digits_or_two_units(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1ns"},
        {999, "999ns"},
        {1234, "1.23us"},
        {18000000, "18ms"},
        {18046000, "18ms"},
        {18460000, "18.5ms"},
        {1234567890, "1.23s"},
        {999499999, "999ms"},
        {999500000, "1s"},
        {59990000000, "1m"},
        {59940000000, "59.9s"},
        {60499999999, "1m"},
        {60500000000, "1m 1s"},
        {172200000000, "2m 52s"},
        {1620000000000, "27m"},
        {3599499999999, "59m 59s"},
        {3599500000000, "1h"},
        {5400000000000, "1h 30m"},
        {86370000000000, "1d"},
        {129600000000000, "1d 12h"},
        {12345 * UINT64_C(86400000000000), "12345d"},
        {DURATION_MAX, "36500d"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        assert_string_equal(duration_round(rows[i].ns).text, rows[i].text);
    }
}

static void
every_duration_reads_back_as_written(void **state)
{
    uint64_t x = 88172645463325252;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t ns, back;

        x ^= x << 13; /* xorshift, Marsaglia */
        x ^= x >> 7;
        x ^= x << 17;
        ns = (x >> (x % 60)) % (DURATION_MAX + 1);
        assert_int_equal(duration_read(duration_write(ns).text, &back, NULL),
                         0);
        assert_int_equal(back, ns);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_written_in_the_shortest_exact_form),
        cmocka_unit_test(a_bad_duration_is_refused_with_a_suggestion),
        cmocka_unit_test(no_limit_is_written_as_none),
        cmocka_unit_test(rounded_durations_have_three_digits_or_two_units),
        cmocka_unit_test(every_duration_reads_back_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
