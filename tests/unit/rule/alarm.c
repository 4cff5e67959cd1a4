#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "policy/policy.h"
#include "rule/alarm.h"

#define NONE DURATION_NONE
#define SECOND UINT64_C(1000000000)

/* Under a closed breaker. */
#define CALLS(calls, failed, attempts, retries, p95)                      \
    {                                                                     \
        calls, failed, attempts, retries, p95, 0, 0, STATE_CLOSED, 0, "", \
            false, "", ""                                                 \
    }

static const struct alarm_rules none = {-1, -1, NONE, NONE};

static const struct {
    struct alarm_rules warn, crit;
    struct alarm_seen seen; /* calls, failed, attempts, retries, p95, unclear */
    enum alarm_level level;
    const char *words;
} cases[] = {
    {{-1, -1, NONE, NONE},
     {-1, -1, NONE, NONE},
     {100, 100, 900, 800, SECOND, 0, 0, STATE_OPEN, SECOND, "", false, "", ""},
     ALARM_OK,
     ""},
    {{-1, -1, 200000000, NONE},
     {-1, -1, NONE, NONE},
     CALLS(100, 0, 100, 0, 240000000),
     ALARM_WARN,
     "p95 240ms above 200ms"},
    /* a value equal to its limit is good */
    {{-1, -1, 200000000, NONE},
     {-1, -1, 200000000, NONE},
     CALLS(100, 0, 100, 0, 200000000),
     ALARM_OK,
     ""},
    {{0.2, -1, NONE, NONE},
     {-1, -1, NONE, NONE},
     CALLS(80, 0, 100, 20, 0),
     ALARM_OK,
     ""},
    {{0.2, -1, NONE, NONE},
     {0.5, -1, NONE, NONE},
     CALLS(79, 0, 100, 21, 0),
     ALARM_WARN,
     "retries 21% above 20%"},
    {{-1, 0.01, NONE, NONE},
     {-1, -1, NONE, NONE},
     {100, 6, 100, 0, 0, 0, 0, STATE_CLOSED, 0, "", false, "us", "http.503"},
     ALARM_WARN,
     "failed 6% above 1%; most often http.503 in us"},
    {{-1, 0.01, NONE, NONE},
     {-1, -1, NONE, NONE},
     {100, 1, 100, 0, 0, 0, 0, STATE_CLOSED, 0, "", false, "us", "http.503"},
     ALARM_OK,
     ""},
    {{-1, 0.01, NONE, NONE},
     {-1, 0.05, NONE, NONE},
     CALLS(100, 6, 100, 0, 0),
     ALARM_CRIT,
     "failed 6% above 5%"},
    /* a limit of 0 */
    {{-1, 0, NONE, NONE},
     {-1, -1, NONE, NONE},
     CALLS(1000, 1, 1000, 0, 0),
     ALARM_WARN,
     "failed 0.1% above 0%"},
    {{-1, 0, NONE, NONE},
     {-1, -1, NONE, NONE},
     CALLS(4000000, 1, 4000000, 0, 0),
     ALARM_WARN,
     "failed 0.0001% above 0%"},
    /* the worst level wins, all warnings are listed */
    {{0.1, -1, 100, NONE},
     {-1, 0.5, NONE, NONE},
     CALLS(100, 60, 200, 100, 200),
     ALARM_CRIT,
     "retries 50% above 10%, failed 60% above 50%, p95 200ns above 100ns"},
    /* an outage: most calls are refused, without an attempt */
    {{0.1, 0.1, 100, NONE},
     {-1, 0.9, NONE, NONE},
     CALLS(100, 96, 4, 0, 0),
     ALARM_CRIT,
     "failed 96% above 90%"},
    /* a breaker: at its limit it warns, for any number of calls */
    {{-1, -1, NONE, 0},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 0, 0, STATE_CLOSED, 0, "", false, "", ""},
     ALARM_OK,
     ""},
    {{-1, -1, NONE, 0},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 0, 0, STATE_OPEN, 0, "", false, "", ""},
     ALARM_WARN,
     "breaker open, not closed for 0"},
    {{-1, -1, NONE, 2 * SECOND},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 0, 0, STATE_OPEN, 2 * SECOND - 1, "", false, "", ""},
     ALARM_OK,
     ""},
    {{-1, -1, NONE, NONE},
     {-1, -1, NONE, 60 * SECOND},
     {0, 0, 0, 0, 0, 0, 0, STATE_HALF_OPEN, 60 * SECOND, "db1", false, "", ""},
     ALARM_CRIT,
     "breaker of db1 half open, not closed for 1m"},
    /* nobody recorded for hours: only the breaker is judged */
    {{-1, 0.01, NONE, 0},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 900, 7200 * SECOND, STATE_CLOSED, 0, "", false, "", ""},
     ALARM_UNKNOWN,
     "rates unknown: one interval covers 2h"},
    {{-1, 0.01, NONE, 0},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 900, 7200 * SECOND, STATE_OPEN, SECOND, "", false, "", ""},
     ALARM_WARN,
     "breaker open, not closed for 1s, rates unknown: one interval covers 2h"},
    {{-1, -1, NONE, 0},
     {-1, -1, NONE, NONE},
     {0, 0, 0, 0, 0, 900, 7200 * SECOND, STATE_CLOSED, 0, "", false, "", ""},
     ALARM_OK,
     ""},
    /* damage may hide any number of calls */
    {{-1, 0.01, NONE, 0},
     {-1, -1, NONE, NONE},
     {90, 0, 90, 0, 0, 0, 0, STATE_CLOSED, 0, "", true, "", ""},
     ALARM_UNKNOWN,
     "rates unknown: damaged history"},
    {{-1, 0.01, NONE, 0},
     {-1, -1, NONE, NONE},
     {90, 9, 90, 0, 0, 0, 0, STATE_CLOSED, 0, "", true, "", ""},
     ALARM_WARN,
     "failed 10% above 1%"},
    /* enough was recorded since then */
    {{-1, 0.01, NONE, 0},
     {-1, -1, NONE, NONE},
     {50, 1, 50, 0, 0, 900, 7200 * SECOND, STATE_CLOSED, 0, "", false, "", ""},
     ALARM_WARN,
     "failed 2% above 1%"},
};

static void
levels_follow_the_statistics(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct policy p = {.warn = cases[i].warn,
                           .crit = cases[i].crit,
                           .breaker.mode = BREAKER_ON,
                           .warn_min_calls = cases[i].seen.unclear ? 20 : 0};
        struct alarm_verdict v;

        alarm_judge(&p, &cases[i].seen, &v);
        assert_int_equal(v.level, cases[i].level);
        assert_string_equal(v.words, cases[i].words);
        assert_false(v.too_few);
    }
}

static void
too_few_calls_give_no_warning(void **state)
{
    struct policy p = {.warn = {-1, -1, 1, NONE}, .crit = none};
    struct alarm_seen seen = CALLS(19, 0, 19, 0, 1000);
    struct alarm_verdict v;

    (void)state;
    p.warn_min_calls = 20;
    alarm_judge(&p, &seen, &v);
    assert_int_equal(v.level, ALARM_OK);
    assert_true(v.too_few);
    seen.unclear = 1; /* perhaps in the window */
    alarm_judge(&p, &seen, &v);
    assert_int_equal(v.level, ALARM_UNKNOWN);
    assert_false(v.too_few);
    seen.calls = 20;
    alarm_judge(&p, &seen, &v);
    assert_int_equal(v.level, ALARM_WARN);
    assert_false(v.too_few);
}

static void
a_policy_without_keys_has_no_rules(void **state)
{
    struct policy p = {.warn = none, .crit = none};

    (void)state;
    assert_false(alarm_has_rules(&p));
    p.crit.p95_ns = 0;
    assert_true(alarm_has_rules(&p));
    p.crit.p95_ns = NONE;
    p.warn.breaker_ns = 0; /* the default watches each breaker */
    assert_false(alarm_has_rules(&p));
    p.breaker.mode = BREAKER_OPEN; /* forced */
    assert_false(alarm_has_rules(&p));
    p.breaker.mode = BREAKER_ON;
    assert_true(alarm_has_rules(&p));
}

static void
words_fit_for_all_numbers(void **state)
{
    struct policy p = {.warn = {0.1234567, 0.7654321, 123456789123456789, 0},
                       .crit = none,
                       .breaker.mode = BREAKER_ON};
    struct alarm_seen seen = {UINT64_MAX, UINT64_MAX - 1,  UINT64_MAX,
                              UINT64_MAX, UINT64_MAX - 1,  0,
                              0,          STATE_HALF_OPEN, UINT64_MAX - 1,
                              "",         false,           "",
                              ""};
    struct alarm_verdict v;

    (void)state;
    memset(seen.scope, 's', BIDE_NAME_MAX);
    alarm_judge(&p, &seen, &v);
    assert_true(strlen(v.words) < sizeof(v.words) - 1);
    assert_int_equal(v.level, ALARM_WARN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_follow_the_statistics),
        cmocka_unit_test(too_few_calls_give_no_warning),
        cmocka_unit_test(a_policy_without_keys_has_no_rules),
        cmocka_unit_test(words_fit_for_all_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
