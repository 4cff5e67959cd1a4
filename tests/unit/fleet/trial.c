/* Guards: their rules, and what breaks them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "fleet/trial.h"

static void
a_guard_bounds_rates_and_latencies(void **state)
{
    static const char *const wrong[] = {
        "failed",    "failed<",      "failed<2",  "failed<0%",  "failed<-1%",
        "p95<0",     "p95<none",     "p95<2%",    "p95<300",    "p90<1s",
        "failed>2%", "failed<2%;x",  "<2%",       "failed<2%%", "failed 2%",
        "x<2%",      "failed<2% 3%", "failed<1s",
    };
    struct trial_rules r = {{7}};
    char why[TRIAL_WORDS];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(trial_read(wrong[i], &r, why), BIDE_EINPUT);
        assert_true(r.below[0] == 7); /* unchanged */
    }
    assert_int_equal(trial_read(" failed < 2.5% ,p99<1.5s", &r, why), 0);
    assert_true(r.below[0] == 0.025 && r.below[1] == 0 && r.below[4] == 1.5e9);
    assert_int_equal(trial_read("", &r, why), 0);
    assert_true(r.below[0] == 0);
}

static void
a_figure_breaks_a_rule_if_it_grew(void **state)
{
    static const struct {
        struct trial_counts before, since;
        const char *rules, *words; /* NULL: holds */
    } rows[] = {
        {{.calls = 100}, {.calls = 100, .failed = 1}, "failed<2%", NULL},
        {{.calls = 100},
         {.calls = 100, .failed = 2},
         "failed<2%",
         "failed 2% (before 0%) of 100 calls"},
        {{.calls = 9},
         {.calls = 20, .failed = 20},
         "p95<1s,failed<2%",
         "failed 100% (before unknown) of 20 calls"},
        {{.calls = 100}, {.calls = 19, .failed = 19}, "failed<2%", NULL},
        {{.calls = 100, .failed = 40},
         {.calls = 100, .failed = 59},
         "failed<2%",
         NULL},
        {{.calls = 100, .failed = 40},
         {.calls = 100, .failed = 61},
         "failed<2%",
         "failed 61% (before 40%) of 100 calls"},
        {{.calls = 100, .attempts = 100},
         {.calls = 100, .attempts = 200, .retries = 100},
         "failed<2%,retries<50%",
         "retries 50% (before 0%) of 100 calls"},
        {{0}, {.calls = 100, .failed = 100}, "retries<1%", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct trial_rules r;
        char words[TRIAL_WORDS] = "";

        assert_int_equal(trial_read(rows[i].rules, &r, words), 0);
        assert_int_equal(
            trial_breaks(&r, &rows[i].before, &rows[i].since, words),
            rows[i].words != NULL);
        assert_string_equal(words, rows[i].words ? rows[i].words : "");
    }
}

static void
latencies_are_those_of_succeeded_attempts(void **state)
{
    struct trial_counts before = {.calls = 100}, since = {.calls = 100};
    struct trial_rules r;
    char words[TRIAL_WORDS];

    (void)state;
    before.succeeded[histogram_bucket(1000000)] = 100;
    since.succeeded[histogram_bucket(1000000)] = 90;
    since.succeeded[histogram_bucket(400000000)] = 10;
    assert_int_equal(trial_read("p50<300ms,p95<500ms", &r, words), 0);
    assert_false(trial_breaks(&r, &before, &since, words));
    assert_int_equal(trial_read("p95<300ms", &r, words), 0);
    assert_true(trial_breaks(&r, &before, &since, words));
    assert_int_equal(strncmp(words, "p95 ", 4), 0);
    assert_false(trial_breaks(&r, &since, &since, words));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guard_bounds_rates_and_latencies),
        cmocka_unit_test(a_figure_breaks_a_rule_if_it_grew),
        cmocka_unit_test(latencies_are_those_of_succeeded_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
