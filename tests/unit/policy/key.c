#include "check.h"

#include "policy/rules.h"

static void
every_key_has_a_canonical_default_and_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < policy_key_count; i++) {
        const struct key *key = &policy_keys[i];
        char *out = NULL;
        struct complaint c = {0};

        assert_ptr_equal(key_find(key->name), key);
        assert_true(strlen(key->name) < 49); /* inih cuts longer ones */
        assert_true(key->help && *key->help);
        assert_int_equal(key->type == KEY_CHOICE, key->choices != NULL);
        if (strncmp(key->preset, "as ", 3) == 0) {
            assert_true(key_find(key->preset + 3) < key);
        } else if (*key->preset && !strstr(key->preset, ", or longer")) {
            assert_int_equal(key_canonical(key, key->preset, &out, &c), 0);
            assert_string_equal(out, key->preset);
            free(out);
        }
    }
}

static void
values_become_canonical(void **state)
{
    static const struct {
        const char *key, *value, *canonical;
    } rows[] = {
        {"description", "", ""},
        {"description", "the \"one\" = true: héllo  [x] #1", NULL},
        {"description", "#1 of all", NULL},
        {"description", "a;b", NULL},
        {"extends", " base.x-1 ", "base.x-1"},
        {"importance", "optional", NULL},
        {"paused", "yes", NULL},
        {"attempts", "1", NULL},
        {"attempts", "007", "7"},
        {"attempts", "3.0", "3"},
        {"attempts", "1000000", NULL},
        {"attempts", "unlimited", NULL},
        {"max_elapsed", "none", NULL},
        {"max_elapsed", "0", NULL},
        {"max_elapsed", "1000ms", "1s"},
        {"attempt_timeout", "1ms", NULL},
        {"wait", "chain", NULL},
        {"wait_max", "36500d", NULL},
        {"wait_factor", "1", NULL},
        {"wait_factor", "1.50", "1.5"},
        {"wait_factor", "1000", NULL},
        {"wait_power", "0", NULL},
        {"wait_power", "16.000", "16"},
        {"wait_chain", "1000ms x1,2000ms  x3", "1s, 2s x3"},
        {"wait_chain", "0 x3, 5s x 2", "0 x3, 5s x2"},
        {"wait_jitter", "none", NULL},
        {"wait_jitter", "equal", NULL},
        {"wait_jitter", "20.0%", "20%"},
        {"wait_jitter", "100%", NULL},
        {"wait_jitter", "+1000ms", "+1s"},
        {"wait_jitter", "+0", NULL},
        {"free_retries", "1000", NULL},
        {"retry_after", "clamp", NULL},
        {"retry_on", "", "none"},
        {"retry_on", "http.503 ,any", "any, http.503"},
        {"budget", "own", NULL},
        {"budget", "group-1", NULL},
        {"budget_kind", "ratio", NULL},
        {"budget_capacity", "2.345", NULL},
        {"budget_deposit", "1.60", "1.6"},
        {"budget_refill", "0.001/s", NULL},
        {"budget_threshold", "100%", NULL},
        {"budget_ratio", "0.5%", NULL},
        {"budget_min_rate", "1.5/s", NULL},
        {"breaker", "closed", NULL},
        {"breaker_consecutive", "none", NULL},
        {"breaker_consecutive", "5", NULL},
        {"breaker_window", "30s", NULL},
        {"breaker_window", "100 calls", NULL},
        {"breaker_window", "1call", "1 calls"},
        {"breaker_min_calls", "1000000", NULL},
        {"defer_max", "100000000", NULL},
        {"warn_retry_rate", "none", NULL},
        {"crit_retry_rate", "12.5%", NULL},
        {"crit_p95", "250ms", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *out = NULL, *again = NULL;
        struct complaint c = {0};
        const struct key *key = key_find(rows[i].key);

        if (key_canonical(key, rows[i].value, &out, &c) != 0) {
            fail_msg("%s = %s: %s", rows[i].key, rows[i].value, c.why);
        }
        assert_string_equal(out, rows[i].canonical ? rows[i].canonical
                                                   : rows[i].value);
        assert_int_equal(key_canonical(key, out, &again, &c), 0);
        assert_string_equal(out, again);
        free(out);
        free(again);
    }
}

static const struct {
    const char *key, *value, *why, *hint;
} wrong_values[] = {
    {"description", "a ; b", "; after a space begins a comment", NULL},
    {"description", ";x", "; after a space begins a comment", NULL},
    {"description", " x", "spaces at the beginning", NULL},
    {"description", "x ", "spaces at the beginning", NULL},
    {"description", "a\nb", "one line of UTF-8", NULL},
    {"description", "a\tb", "one line of UTF-8", NULL},
    {"description", "a\rb", "one line of UTF-8", NULL},
    {"description", "\xff", "one line of UTF-8", NULL},
    {"description", "\x1b[31m", "one line of UTF-8", NULL},
    {"description", "\xc2\x9b", "one line of UTF-8", NULL},
    {"extends", "", "a name is [a-z0-9]", NULL},
    {"extends", "Base Two", "a name is [a-z0-9]", "base-two"},
    {"importance", "optionel", "must be one of: mandatory", "optional"},
    {"importance", "mandatory postponable", "must be one of", NULL},
    {"paused", "true", "must be yes or no", "yes"},
    {"paused", "Off", "must be yes or no", "no"},
    {"attempts", "0", "must be 1 to 1000000, or unlimited", NULL},
    {"attempts", "1000001", "must be 1 to 1000000, or unlimited", NULL},
    {"attempts", "2.5", "must be a whole number", NULL},
    {"attempts", "", "must be a whole number, 1 to 1000000, or unli", NULL},
    {"attempts", "-1", "must be a whole number", "unlimited"},
    {"attempts", "infinite", "must be a whole number", "unlimited"},
    {"attempts", "3x", "must be a whole number", NULL},
    {"attempts", "99999999999999999999999", "must be a whole number", NULL},
    {"max_elapsed", "unlimited", "a duration is a number", "none"},
    {"attempt_timeout", "999us", "must be 1ms to 36500d, or none", NULL},
    {"wait_initial", "100", "a duration needs its unit", "100ms"},
    {"wait_max", "none", "a duration is a number", NULL},
    {"wait_factor", "0.999", "must be 1 to 1000", NULL},
    {"wait_factor", "1000.1", "must be 1 to 1000", NULL},
    {"wait_factor", "1e3", "must be a number", NULL},
    {"wait_factor", "1.1234567891", "must be a number", NULL},
    {"wait_power", "16.5", "must be 0 to 16", NULL},
    {"wait_chain", "", "needs at least one wait", NULL},
    {"wait_chain", "1s x3,, 2s", "a wait is missing", NULL},
    {"wait_chain", "1s,", "a wait is missing", NULL},
    {"wait_chain", "1s x0", "a step is a wait", NULL},
    {"wait_chain", "1s * 3", "a step is a wait", NULL},
    {"wait_chain", "1s x1000001", "a step is a wait", NULL},
    {"wait_chain", "1s, 5", "5: a duration needs its unit", "5ms"},
    {"wait_jitter", "20", "must be none, full, equal", "20%"},
    {"wait_jitter", "±20%", "must be none, full, equal", "20%"},
    {"wait_jitter", "1s", "must be none, full, equal", "+1s"},
    {"wait_jitter", "ful", "must be none, full, equal", "full"},
    {"wait_jitter", "101%", "must be none, full, equal", NULL},
    {"wait_jitter", "+5", "a duration needs its unit", "+5ms"},
    {"retry_on", "any, none", "none: none cannot be in a list", NULL},
    {"retry_on", "any,,http.503", "an outcome is missing", NULL},
    {"budget", "Own", "a name is", "own"},
    {"budget_capacity", "1.0001", "at most three decimals", NULL},
    {"budget_capacity", "200001", "must be 0 to 200000", NULL},
    {"budget_refill", "5", "must be a rate per second", "5/s"},
    {"budget_ratio", "20", "must be a percentage", "20%"},
    {"budget_ratio", "100000.5%", "must be 0% to 100000%", NULL},
    {"breaker_window", "0 calls", "must be a time, or 1 to", NULL},
    {"breaker_window", "0",
     "must be 1ms to 36500d, or a number of calls such as 100 calls", NULL},
    {"breaker_window", "100", "a duration needs its unit", "100ms"},
};

static void
bad_values_are_refused_with_the_values_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong_values) / sizeof(wrong_values[0]);
         i++) {
        char *out = NULL;
        struct complaint c = {0};
        const struct key *key = key_find(wrong_values[i].key);
        int rc = key_canonical(key, wrong_values[i].value, &out, &c);

        if (rc != BIDE_EINPUT) {
            fail_msg("%s = %s is accepted", wrong_values[i].key,
                     wrong_values[i].value);
        }
        if (!strstr(c.why, wrong_values[i].why)) {
            fail_msg("%s = %s: %s", wrong_values[i].key, wrong_values[i].value,
                     c.why);
        }
        assert_null(out);
        assert_string_equal(c.meant,
                            wrong_values[i].hint ? wrong_values[i].hint : "");
    }
}

static void
values_are_loaded_into_their_fields(void **state)
{
    struct policy p = {0};

    (void)state;
#define LOAD(name, value) \
    assert_int_equal(key_load(key_find(name), value, &p), 0)
    LOAD("paused", "yes");
    assert_true(p.paused);
    LOAD("attempts", "unlimited");
    assert_int_equal(p.attempts, ATTEMPTS_UNLIMITED);
    LOAD("deadline", "none");
    assert_int_equal(p.deadline_ns, DURATION_NONE);
    LOAD("wait", "chain");
    assert_int_equal(p.wait.form, WAIT_CHAIN);
    LOAD("wait_factor", "1.1");
    assert_true(p.wait.factor == 1.1);
    LOAD("wait_chain", "1s x3, 5s");
    assert_int_equal(p.wait.chain.count, 2);
    assert_int_equal(p.wait.chain.steps[0].wait_ns, 1000000000);
    assert_int_equal(p.wait.chain.steps[0].times, 3);
    LOAD("wait_jitter", "12.5%");
    assert_int_equal(p.wait.jitter.form, JITTER_SHARE);
    assert_true(p.wait.jitter.share == 0.125);
    LOAD("wait_jitter", "+1s");
    assert_int_equal(p.wait.jitter.form, JITTER_PLUS);
    assert_int_equal(p.wait.jitter.plus_ns, 1000000000);
    LOAD("retry_after", "ignore");
    assert_int_equal(p.hint.mode, RETRY_AFTER_IGNORE);
    LOAD("retry_on", "connect, http.503");
    assert_int_equal(p.retry_on.classes, OUTCOME_CONNECT);
    assert_int_equal(p.retry_on.count, 1);
    LOAD("budget", "group");
    assert_string_equal(p.budget.group, "group");
    LOAD("budget_charge", "failure");
    assert_int_equal(p.budget.charge, CHARGE_FAILURE);
    LOAD("budget_deposit", "2.345");
    assert_int_equal(p.budget.deposit, 2345);
    LOAD("budget_refill", "0.5/s");
    assert_int_equal(p.budget.refill_per_s, 500);
    LOAD("budget_min_rate", "1.5/s");
    assert_true(p.budget.min_rate == 1.5);
    LOAD("budget_ratio", "20%");
    assert_true(p.budget.ratio == 0.2);
    LOAD("budget_ratio", "1000%");
    assert_true(p.budget.ratio == 10);
    LOAD("budget_earn", "success");
    assert_int_equal(p.budget.earn, EARN_SUCCESS);
    LOAD("breaker", "closed");
    assert_int_equal(p.breaker.mode, BREAKER_CLOSED);
    LOAD("breaker_consecutive", "none");
    assert_int_equal(p.breaker.consecutive, UINT32_MAX);
    LOAD("breaker_window", "100 calls");
    assert_int_equal(p.breaker.window.calls, 100);
    assert_int_equal(p.breaker.window.ns, 0);
    LOAD("crit_failed_rate", "none");
    assert_true(p.crit.failed_rate < 0);
    LOAD("warn_p95", "1s");
    assert_int_equal(p.warn.p95_ns, 1000000000);
    LOAD("description", "x"); /* has no field */
#undef LOAD
    outcome_set_free(&p.retry_on);
    free(p.wait.chain.steps);
}

static void
words_of_a_choice_are_in_the_order_of_the_enum(void **state)
{
    static const struct {
        const char *key, *word;
        int32_t number;
    } rows[] = {
        {"importance", "mandatory", MANDATORY},
        {"importance", "postponable", POSTPONABLE},
        {"importance", "optional", OPTIONAL},
        {"wait", "none", WAIT_NONE},
        {"wait", "fixed", WAIT_FIXED},
        {"wait", "linear", WAIT_LINEAR},
        {"wait", "polynomial", WAIT_POLYNOMIAL},
        {"wait", "exponential", WAIT_EXPONENTIAL},
        {"wait", "decorrelated", WAIT_DECORRELATED},
        {"wait", "chain", WAIT_CHAIN},
        {"retry_after", "honor", RETRY_AFTER_HONOR},
        {"retry_after", "clamp", RETRY_AFTER_CLAMP},
        {"retry_after", "ignore", RETRY_AFTER_IGNORE},
        {"budget_kind", "tokens", BUDGET_TOKENS},
        {"budget_kind", "ratio", BUDGET_RATIO},
        {"budget_charge", "retry", CHARGE_RETRY},
        {"budget_charge", "failure", CHARGE_FAILURE},
        {"breaker", "off", BREAKER_OFF},
        {"breaker", "on", BREAKER_ON},
        {"breaker", "open", BREAKER_OPEN},
        {"breaker", "closed", BREAKER_CLOSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct key *key = key_find(rows[i].key);
        struct policy p = {0};
        int32_t number;

        assert_int_equal(key_load(key, rows[i].word, &p), 0);
        memcpy(&number, (char *)&p + key->offset, sizeof(number));
        assert_int_equal(number, rows[i].number);
    }
}

static void
a_misspelt_key_gets_a_suggestion(void **state)
{
    static const struct {
        const char *written, *near;
    } rows[] = {
        {"attemps", "attempts"},
        {"atempts", "attempts"},
        {"Attempts", "attempts"},
        {"attempst", "attempts"},
        {"wiat", "wait"},
        {"retry-on", "retry_on"},
        {"waitmax", "wait_max"},
        {"attempts", "attempts"},
        {"x", NULL},
        {"", NULL},
        {"colour", NULL},
        {"attmpst", "attempts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *near = key_near(rows[i].written);

        if (rows[i].near) {
            assert_non_null(near);
            assert_string_equal(near, rows[i].near);
        } else {
            assert_null(near);
        }
    }
    assert_null(key_find("attemps"));
    assert_null(key_find(""));
}

static void
a_chain_has_at_most_32_waits(void **state)
{
    char text[512] = "1s";
    char *out = NULL;
    struct complaint c = {0};

    (void)state;
    for (int i = 1; i < CHAIN_MAX; i++) {
        strcat(text, ", 2s");
    }
    assert_int_equal(key_canonical(key_find("wait_chain"), text, &out, &c), 0);
    free(out);
    strcat(text, ", 2s");
    assert_int_equal(key_canonical(key_find("wait_chain"), text, &out, &c),
                     BIDE_EINPUT);
    assert_string_equal(c.why, "more than 32 waits");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_a_canonical_default_and_help),
        cmocka_unit_test(values_become_canonical),
        cmocka_unit_test(bad_values_are_refused_with_the_values_allowed),
        cmocka_unit_test(values_are_loaded_into_their_fields),
        cmocka_unit_test(words_of_a_choice_are_in_the_order_of_the_enum),
        cmocka_unit_test(a_misspelt_key_gets_a_suggestion),
        cmocka_unit_test(a_chain_has_at_most_32_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
