#include "check.h"

static struct policy *
compiled(struct policy_list *list, size_t i)
{
    struct faults faults = {0};
    struct policy *p = NULL;
    int rc =
        policy_compile(list->list[i], find_in_list, list, "t.ini", &p, &faults);

    if (rc != 0 || faults_any(&faults)) {
        fail_msg("%s", faults.count ? faults.list[0].what : "?");
    }
    faults_free(&faults); /* warnings */
    return p;
}

/* Returns the faults of the first policy of a text. */
static void
assert_fault(const char *text, int line, const char *what)
{
    struct policy_list list = read_good(text);
    struct policy *p = (struct policy *)&list;
    struct faults faults = {0};

    assert_int_equal(
        policy_compile(list.list[0], find_in_list, &list, "t.ini", &p, &faults),
        BIDE_EINPUT);
    assert_ptr_equal(p, &list); /* untouched */
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].what, what);
    assert_int_equal(faults.list[0].line, line);
    faults_free(&faults);
    assert_int_equal(
        policy_compile(list.list[0], find_in_list, &list, "t.ini", &p, NULL),
        BIDE_EINPUT);
    policy_list_free(&list);
}

static void
a_policy_without_keys_has_every_default(void **state)
{
    struct policy_list list = read_good("[a]\n");
    struct policy *p = compiled(&list, 0);

    (void)state;
    assert_string_equal(p->name, "a");
    assert_int_equal(p->version, 0);
    assert_int_equal(p->importance, MANDATORY);
    assert_false(p->paused);
    assert_int_equal(p->attempts, 3);
    assert_int_equal(p->max_elapsed_ns, DURATION_NONE);
    assert_int_equal(p->deadline_ns, DURATION_NONE);
    assert_int_equal(p->attempt_timeout_ns, DURATION_NONE);
    assert_int_equal(p->reset_after_ns, DURATION_NONE);
    assert_int_equal(p->wait.form, WAIT_EXPONENTIAL);
    assert_int_equal(p->wait.initial_ns, 100000000);
    assert_int_equal(p->wait.min_ns, 0);
    assert_int_equal(p->wait.max_ns, 10000000000);
    assert_true(p->wait.factor == 2);
    assert_true(p->wait.power == 1);
    assert_int_equal(p->wait.increment_ns, 0);
    assert_int_equal(p->wait.chain.count, 0);
    assert_int_equal(p->wait.jitter.form, JITTER_FULL);
    assert_int_equal(p->wait.free_retries, 0);
    assert_int_equal(p->wait.throttle_initial_ns, 100000000);
    assert_int_equal(p->wait.throttle_max_ns, 10000000000);
    assert_int_equal(p->hint.mode, RETRY_AFTER_HONOR);
    assert_int_equal(p->hint.max_ns, 60000000000);
    assert_int_equal(p->hint.spread_ns, 0);
    assert_int_equal(p->retry_on.classes, OUTCOME_TRANSIENT);
    assert_int_equal(p->never_on.classes, 0);
    assert_int_equal(p->success_on.classes, 0);
    assert_int_equal(p->throttle_on.classes, OUTCOME_THROTTLE);
    assert_string_equal(p->budget.group, "none");
    assert_int_equal(p->budget.kind, BUDGET_TOKENS);
    assert_int_equal(p->budget.charge, CHARGE_RETRY);
    assert_int_equal(p->budget.capacity, 500000);
    assert_int_equal(p->budget.cost, 5000);
    assert_int_equal(p->budget.timeout_cost, 5000);
    assert_int_equal(p->budget.throttle_cost, 5000);
    assert_int_equal(p->budget.deposit, 1000);
    assert_int_equal(p->budget.refund, -1);
    assert_int_equal(p->budget.refill_per_s, 0);
    assert_true(p->budget.threshold == 0);
    assert_true(p->budget.ratio == 0.2);
    assert_true(p->budget.min_rate == 10);
    assert_int_equal(p->budget.window_ns, 10000000000);
    assert_int_equal(p->breaker.mode, BREAKER_OFF);
    assert_true(p->breaker.failure_rate == 0.5);
    assert_int_equal(p->breaker.consecutive, UINT32_MAX);
    assert_int_equal(p->breaker.slow_after_ns, DURATION_NONE);
    assert_true(p->breaker.slow_rate == 1);
    assert_int_equal(p->breaker.window.ns, 10000000000);
    assert_int_equal(p->breaker.window.calls, 0);
    assert_int_equal(p->breaker.min_calls, 20);
    assert_int_equal(p->breaker.min_processes, 1);
    assert_int_equal(p->breaker.open_for_ns, 30000000000);
    assert_true(p->breaker.open_factor == 1);
    assert_int_equal(p->breaker.open_max_ns, 300000000000);
    assert_int_equal(p->breaker.probes, 3);
    assert_int_equal(p->breaker.probe_timeout_ns, 10000000000);
    assert_int_equal(p->defer.wait_ns, 60000000000);
    assert_int_equal(p->defer.wait_max_ns, 3600000000000);
    assert_int_equal(p->defer.expire_ns, 604800000000000);
    assert_int_equal(p->defer.attempts, ATTEMPTS_UNLIMITED);
    assert_int_equal(p->defer.max, 100000);
    assert_int_equal(p->defer.lease_ns, 300000000000);
    assert_true(p->warn.retry_rate < 0);
    assert_true(p->warn.failed_rate < 0);
    assert_int_equal(p->warn.p95_ns, DURATION_NONE);
    assert_int_equal(p->warn.breaker_ns, 0);
    assert_true(p->crit.retry_rate < 0);
    assert_true(p->crit.failed_rate < 0);
    assert_int_equal(p->crit.p95_ns, DURATION_NONE);
    assert_int_equal(p->crit.breaker_ns, DURATION_NONE);
    assert_int_equal(p->warn_window_ns, 300000000000);
    assert_int_equal(p->warn_min_calls, 20);
    policy_free(p);
    policy_free(NULL);
    policy_list_free(&list);
}

static void
the_built_in_policy_makes_one_attempt(void **state)
{
    struct policy *p = NULL;

    (void)state;
    assert_int_equal(policy_builtin("nobody", &p), 0);
    assert_string_equal(p->name, "nobody");
    assert_int_equal(p->attempts, 1);
    policy_free(p);
    p = NULL;
    assert_int_equal(policy_builtin("No Body", &p), BIDE_ENAME);
    assert_null(p);
}

static void
some_defaults_are_the_value_of_another_key(void **state)
{
    struct policy_list list =
        read_good("[a]\nwait_initial = 1s\nwait_max = 20s\n"
                  "wait = decorrelated\n"
                  "[b]\nextends = a\nwait_factor = 2\nwait_max = 9s\n"
                  "[c]\nextends = b\nthrottle_wait_max = 1m\n"
                  "[d]\nextends = a\nwait = exponential\n");
    struct policy *a = compiled(&list, 0), *b = compiled(&list, 1);
    struct policy *c = compiled(&list, 2), *d = compiled(&list, 3);

    (void)state;
    assert_true(a->wait.factor == 3);
    assert_int_equal(a->wait.throttle_initial_ns, 1000000000);
    assert_int_equal(a->wait.throttle_max_ns, 20000000000);
    assert_true(b->wait.factor == 2);
    assert_int_equal(b->wait.throttle_max_ns, 9000000000);
    assert_true(c->wait.factor == 2);
    assert_int_equal(c->wait.max_ns, 9000000000);
    assert_int_equal(c->wait.throttle_max_ns, 60000000000);
    assert_true(d->wait.factor == 2);
    policy_free(a);
    policy_free(b);
    policy_free(c);
    policy_free(d);
    policy_list_free(&list);
}

static void
each_value_has_its_origin(void **state)
{
    struct policy_list list =
        read_good("[shop]\nextends = base\nattempts = 4\n"
                  "[base]\nextends = root\nattempts = 2\nwait = fixed\n"
                  "[root]\nwait = none\nretry_on = any\n");
    struct policy_origin o[POLICY_KEY_MAX];
    static const struct {
        const char *key, *value, *from;
    } rows[] = {
        {"extends", "base", "shop"}, {"attempts", "4", "shop"},
        {"wait", "fixed", "base"},   {"retry_on", "any", "root"},
        {"wait_max", "10s", ""},     {"throttle_wait_max", "10s", ""},
        {"budget_refund", "5", ""},  {"wait_factor", "2", ""},
        {"description", "", ""},
    };

    (void)state;
    assert_int_equal(
        policy_resolve(list.list[0], find_in_list, &list, "t", o, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct policy_origin *at =
            &o[key_find(rows[i].key) - policy_keys];

        assert_string_equal(at->value, rows[i].value);
        assert_string_equal(at->from, rows[i].from);
    }
    policy_list_free(&list);
}

static void
a_fault_of_extends_has_the_line_of_extends(void **state)
{
    (void)state;
    assert_fault("[a]\nattempts = 2\nextends = b\n", 3,
                 "extends = b: no such policy");
    assert_fault("[a]\nextends = a\n", 2,
                 "extends = a: is a circle: a policy would extend itself");
    assert_fault("[a]\nextends = b\n[b]\nextends = c\n", 2,
                 "extends = b: no such policy (a -> b -> c)");
    assert_fault("[a]\nextends = b\n[b]\nextends = c\n[c]\nextends = b\n", 2,
                 "extends = b: is a circle: a policy would extend itself (a -> "
                 "b -> c -> b)");
}

static void
a_policy_extends_at_most_eight_others(void **state)
{
    struct policy_list list =
        read_good("[p9]\nextends = p8\n[p8]\nextends = p7\n[p7]\n"
                  "extends = p6\n[p6]\nextends = p5\n[p5]\nextends = p4\n"
                  "[p4]\nextends = p3\n[p3]\nextends = p2\n[p2]\n"
                  "extends = p1\n[p1]\nextends = p0\n[p0]\nattempts = 9\n");
    struct policy *p = compiled(&list, 1);
    struct faults faults = {0};

    (void)state;
    assert_int_equal(p->attempts, 9); /* 8 -> 7 6 5 4 3 2 1 0 */
    policy_free(p);
    assert_int_equal(
        policy_compile(list.list[0], find_in_list, &list, "t", &p, &faults),
        BIDE_EINPUT);
    assert_string_equal(faults.list[0].what,
                        "extends = p8: a chain of more than 8 policies (p9 -> "
                        "p8 -> p7 -> p6 -> p5 -> p4 -> p3 -> p2 -> p1 -> p0)");
    faults_free(&faults);
    policy_list_free(&list);
}

static int
find_damaged(void *arg, const char *name, const struct policy_text **out)
{
    (void)arg;
    (void)name;
    (void)out;
    return BIDE_EDAMAGED;
}

static void
an_error_of_the_finder_ends_the_compilation(void **state)
{
    struct policy_list list = read_good("[a]\nextends = b\n");
    struct policy *p = NULL;

    (void)state;
    assert_int_equal(
        policy_compile(list.list[0], find_damaged, NULL, "t", &p, NULL),
        BIDE_EDAMAGED);
    assert_int_equal(policy_compile(list.list[0], NULL, NULL, "t", &p, NULL),
                     BIDE_EINPUT);
    assert_null(p);
    policy_list_free(&list);
}

static void
a_fault_of_two_keys_quotes_both_values(void **state)
{
    (void)state;
    assert_fault("[a]\nattempts = 2\nwait_max = 2s\nwait_min = 5s\n", 4,
                 "wait_min = 5s: above wait_max = 2s");
    assert_fault("[a]\n\nwait_min = 20s\n", 3,
                 "wait_min = 20s: above wait_max = 10s (the default)");
    assert_fault("[a]\nextends = b\nwait_max = 1s\n[b]\nwait_min = 5s\n", 3,
                 "wait_min = 5s (from b): above wait_max = 1s");
    assert_fault("[a]\nwait_min = 5s\nthrottle_wait_max = 1s\n", 2,
                 "wait_min = 5s: above throttle_wait_max = 1s");
    assert_fault("[a]\nwarn_p95 = 2s\ncrit_p95 = 1s\n", 2,
                 "warn_p95 = 2s: above crit_p95 = 1s");
    assert_fault("[a]\nextends = b\ncrit_retry_rate = 5%\n[b]\n"
                 "warn_retry_rate = 6%\n",
                 3,
                 "warn_retry_rate = 6% (from b): above crit_retry_rate = 5%");
    assert_fault("[a]\nwarn_failed_rate = 1%\ncrit_failed_rate = 0%\n", 2,
                 "warn_failed_rate = 1%: above crit_failed_rate = 0%");
    assert_fault("[a]\nwarn_breaker = 1m\ncrit_breaker = 59s\n", 2,
                 "warn_breaker = 1m: above crit_breaker = 59s");
    assert_fault("[a]\n\nwait = chain\n", 3,
                 "wait = chain: there is no wait_chain");
    assert_fault("[a]\nextends = b\n[b]\nwait = chain\n", 1,
                 "wait = chain (from b): there is no wait_chain");
}

static void
keys_that_only_look_contradictory_are_accepted(void **state)
{
    struct policy_list list =
        read_good("[a]\nwait_min = 10s\n"      /* equal bounds */
                  "[b]\nwait_initial = 1h\n"   /* raises wait_max */
                  "[c]\nwait_chain = 1s, 2s\n" /* for policies below */
                  "[d]\nextends = c\nwait = chain\n"
                  "[e]\nwait_min = 0\nwait_max = 0\n"
                  "[f]\nmax_elapsed = 0\ndeadline = 0\nretry_on = none\n");

    (void)state;
    for (size_t i = 0; i < list.count; i++) {
        policy_free(compiled(&list, i));
    }
    policy_list_free(&list);
}

static void
a_default_never_cuts_what_the_policy_asks_for(void **state)
{
    static const struct {
        const char *keys, *key, *value;
    } rows[] = {
        {"", "wait_max", "10s"},
        {"wait_initial = 10s", "wait_max", "10s"},
        {"wait_initial = 30s", "wait_max", "30s"},
        {"wait_initial = 30s", "throttle_wait_max", "30s"},
        {"wait_initial = 30s\nwait_max = 20s", "wait_max", "20s"},
        {"throttle_wait_initial = 90s", "wait_max", "90s"},
        {"throttle_wait_initial = 90s", "throttle_wait_max", "90s"},
        {"wait = chain\nwait_chain = 1m x3, 5m, 2m", "wait_max", "5m"},
        {"wait = chain\nwait_chain = 1s", "wait_max", "10s"},
        {"wait = chain\nwait_initial = 1h\nwait_chain = 1s", "wait_max",
         "10s"}, /* wait_initial is not in use */
        {"wait_chain = 1h", "wait_max", "10s"},
        {"wait = none\nwait_initial = 1h", "wait_max", "10s"},
        {"wait = fixed\nwait_initial = 1h", "wait_max", "1h"},
        {"wait_initial = 30s\nwait_min = 20s", "wait_max", "30s"},
        {"defer_wait = 2h", "defer_wait_max", "2h"},
        {"defer_wait = 2h\ndefer_wait_max = 1h", "defer_wait_max", "1h"},
        {"breaker_open_for = 6m", "breaker_open_max", "6m"},
        {"breaker_open_for = 4m", "breaker_open_max", "5m"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_origin origins[POLICY_KEY_MAX];
        size_t at = (size_t)(key_find(rows[i].key) - policy_keys);
        char text[256];
        struct policy_list list;
        struct policy *p;

        snprintf(text, sizeof(text), "[a]\n%s\n", rows[i].keys);
        list = read_good(text);
        assert_int_equal(
            policy_resolve(list.list[0], NULL, NULL, "t", origins, NULL), 0);
        assert_string_equal(origins[at].value, rows[i].value);
        p = compiled(&list, 0);
        policy_free(p);
        policy_list_free(&list);
    }
}

/* Each row: a text, and the warnings of its first policy. */
static void
limits_that_do_not_hold_in_full_are_warnings(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *what, *more;
    } rows[] = {
        {"[a]\nwait_initial = 30s\n", 0, NULL, NULL},
        {"[a]\nwait_initial = 5s\nwait_max = 1s\n", 3,
         "wait_max = 1s: shorter than wait_initial = 5s, which is cut", NULL},
        {"[a]\nwait_initial = 1s\nwait_max = 1s\n", 0, NULL, NULL},
        {"[a]\nwait_max = 50ms\n", 2,
         "wait_max = 50ms: shorter than wait_initial = 100ms (the default), "
         "which is cut",
         NULL},
        {"[a]\nwait = none\nwait_max = 0\n", 0, NULL, NULL},
        {"[a]\nwait_max = 1s\nthrottle_wait_initial = 5s\n", 2,
         "wait_max = 1s: shorter than throttle_wait_initial = 5s, which is cut",
         NULL},
        {"[a]\nthrottle_wait_initial = 5s\nthrottle_wait_max = 1s\n", 3,
         "throttle_wait_max = 1s: shorter than throttle_wait_initial = 5s, "
         "which is cut",
         NULL},
        {"[a]\nwait_max = 1s\nthrottle_wait_max = 9s\n"
         "throttle_wait_initial = 5s\n",
         0, NULL, NULL},
        {"[a]\nwait = chain\nwait_max = 9s\nwait_chain = 1s, 10s, 2s\n", 3,
         "wait_max = 9s: shorter than wait_chain = 1s, 10s, 2s, which is cut",
         NULL},
        {"[a]\nextends = b\nwait_initial = 5s\n[b]\nwait_max = 1s\n"
         "defer_wait = 2h\ndefer_wait_max = 1h\n",
         1,
         "defer_wait_max = 1h (from b): shorter than defer_wait = 2h (from b), "
         "which is cut",
         "wait_max = 1s (from b): shorter than wait_initial = 5s, which is "
         "cut"},
        {"[a]\nbreaker = on\nattempt_timeout = 10s\n", 0, NULL, NULL},
        {"[a]\nattempt_timeout = 11s\n", 0, NULL, NULL},
        {"[a]\nbreaker = on\nattempt_timeout = 11s\n", 3,
         "breaker_probe_timeout = 10s (the default): shorter than "
         "attempt_timeout = 11s: more probes than breaker_probes may run at "
         "once",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_list list = read_good(rows[i].text);
        struct faults f = {0};
        struct policy *p = NULL;
        size_t count = !!rows[i].what + !!rows[i].more;

        assert_int_equal(
            policy_compile(list.list[0], find_in_list, &list, "t.ini", &p, &f),
            0);
        assert_false(faults_any(&f));
        assert_null(faults_first(&f));
        assert_int_equal(f.count, count);
        assert_int_equal(f.warnings, count);
        if (count > 0) {
            assert_string_equal(f.list[0].what, rows[i].what);
            assert_string_equal(f.list[0].file, "t.ini");
            assert_int_equal(f.list[0].line, rows[i].line);
        }
        if (count > 1) {
            assert_string_equal(f.list[1].what, rows[i].more);
        }
        policy_free(p);
        faults_free(&f);
        policy_list_free(&list);
    }
}

static void
a_summary_is_short_and_exact(void **state)
{
    static const struct {
        const char *keys, *summary;
    } rows[] = {
        {"attempts = 4\nwait_max = 2s", "4 tries, 100ms x2 ±full, ≤2s"},
        {"attempts = 1", "1 try"},
        {"attempts = unlimited\nwait_max = 8s",
         "unlimited, 100ms x2 ±full, ≤8s"},
        {"wait = none", "3 tries, no wait"},
        {"wait = fixed\nwait_jitter = none", "3 tries, 100ms"},
        {"wait = fixed\nwait_initial = 1m\nwait_jitter = 12.5%",
         "3 tries, 1m ±12.5%"},
        {"wait = fixed\nwait_jitter = +1s", "3 tries, 100ms +0..1s"},
        {"wait = linear\nwait_increment = 50ms\nwait_jitter = equal",
         "3 tries, 100ms +50ms ±equal, ≤10s"},
        {"wait = polynomial\nwait_increment = 1s\nwait_power = 1.5",
         "3 tries, 100ms +1s n^1.5 ±full, ≤10s"},
        {"wait = decorrelated", "3 tries, 100ms decorrelated x3, ≤10s"},
        {"wait = chain\nwait_chain = 1s x3, 5s\nwait_jitter = none",
         "3 tries, 1s x3 5s"},
        {"wait = chain\nwait_chain = 1s x3, 2s, 5s, 10s\nwait_jitter = none",
         "3 tries, 1s x3 2s 5s .. 10s"},
        {"paused = yes\nattempts = 2", "2 tries, 100ms x2 ±full, ≤10s"},
        {"attempts = 1\nlimit = own\nlimit_places = 8\nrate = shop\n"
         "rate_limit = 5/m",
         "1 try, 8 at once, 5/m"},
        {"wait = none\nrate = own\nrate_limit = 0.5/s",
         "3 tries, no wait, 30/m"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256], summary[128];
        struct policy_list list;
        struct policy *p;

        snprintf(text, sizeof(text), "[a]\n%s\n", rows[i].keys);
        list = read_good(text);
        p = compiled(&list, 0);
        assert_string_equal(policy_summary(p, summary, sizeof(summary)),
                            rows[i].summary);
        policy_free(p);
        policy_list_free(&list);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_without_keys_has_every_default),
        cmocka_unit_test(the_built_in_policy_makes_one_attempt),
        cmocka_unit_test(some_defaults_are_the_value_of_another_key),
        cmocka_unit_test(each_value_has_its_origin),
        cmocka_unit_test(a_fault_of_extends_has_the_line_of_extends),
        cmocka_unit_test(a_policy_extends_at_most_eight_others),
        cmocka_unit_test(an_error_of_the_finder_ends_the_compilation),
        cmocka_unit_test(a_fault_of_two_keys_quotes_both_values),
        cmocka_unit_test(keys_that_only_look_contradictory_are_accepted),
        cmocka_unit_test(a_default_never_cuts_what_the_policy_asks_for),
        cmocka_unit_test(limits_that_do_not_hold_in_full_are_warnings),
        cmocka_unit_test(a_summary_is_short_and_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
