#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "policy/policy.h"
#include "rule/alarm.h"

static const struct alarm_rules none = {-1, -1, DURATION_NONE};

static const struct {
    struct alarm_rules warn, crit;
    struct alarm_seen seen; /* calls, exhausted, attempts, retries, p95 */
    enum alarm_level level;
    const char *words;
} cases[] = {
    {{-1, -1, DURATION_NONE},
     {-1, -1, DURATION_NONE},
     {100, 100, 900, 800, 1000000000},
     ALARM_OK,
     ""},
    {{-1, -1, 200000000},
     {-1, -1, DURATION_NONE},
     {100, 0, 100, 0, 240000000},
     ALARM_WARN,
     "p95 240ms above 200ms"},
    /* a value equal to its limit is good */
    {{-1, -1, 200000000},
     {-1, -1, 200000000},
     {100, 0, 100, 0, 200000000},
     ALARM_OK,
     ""},
    {{0.2, -1, DURATION_NONE},
     {-1, -1, DURATION_NONE},
     {80, 0, 100, 20, 0},
     ALARM_OK,
     ""},
    {{0.2, -1, DURATION_NONE},
     {0.5, -1, DURATION_NONE},
     {79, 0, 100, 21, 0},
     ALARM_WARN,
     "retries 21% above 20%"},
    {{-1, 0.01, DURATION_NONE},
     {-1, 0.05, DURATION_NONE},
     {100, 6, 100, 0, 0},
     ALARM_CRIT,
     "exhausted 6% above 5%"},
    /* a limit of 0 */
    {{-1, 0, DURATION_NONE},
     {-1, -1, DURATION_NONE},
     {1000, 1, 1000, 0, 0},
     ALARM_WARN,
     "exhausted 0.1% above 0%"},
    {{-1, 0, DURATION_NONE},
     {-1, -1, DURATION_NONE},
     {4000000, 1, 4000000, 0, 0},
     ALARM_WARN,
     "exhausted 0.0001% above 0%"},
    /* the worst level wins, all warnings are listed */
    {{0.1, -1, 100},
     {-1, 0.5, DURATION_NONE},
     {100, 60, 200, 100, 200},
     ALARM_CRIT,
     "retries 50% above 10%, exhausted 60% above 50%, p95 200ns above 100ns"},
    /* only refused calls: no attempts */
    {{0.1, 0.1, 100}, {-1, -1, DURATION_NONE}, {100, 0, 0, 0, 0}, ALARM_OK, ""},
};

static void
levels_follow_the_statistics(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct policy p = {.warn = cases[i].warn, .crit = cases[i].crit};
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
    struct policy p = {.warn = {-1, -1, 1}, .crit = none};
    struct alarm_seen seen = {19, 0, 19, 0, 1000};
    struct alarm_verdict v;

    (void)state;
    p.warn_min_calls = 20;
    alarm_judge(&p, &seen, &v);
    assert_int_equal(v.level, ALARM_OK);
    assert_true(v.too_few);
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
}

static void
words_fit_for_all_numbers(void **state)
{
    struct policy p = {.warn = {0.1234567, 0.7654321, 123456789123456789},
                       .crit = {-1, -1, DURATION_NONE}};
    struct alarm_seen seen = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX,
                              UINT64_MAX, UINT64_MAX - 1};
    struct alarm_verdict v;

    (void)state;
    alarm_judge(&p, &seen, &v);
    assert_true(strlen(v.words) < sizeof(v.words));
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
