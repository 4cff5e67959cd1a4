#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "policy/outcome.h"
#include "policy/outcome_app.h"
#include "policy/outcome_table.h"

static struct bide_outcome
outcome_of(const char *text)
{
    struct bide_outcome o = {0};
    struct outcome_fault fault;

    if (outcome_read(text, &o, &fault) != 0) {
        fail_msg("%s: %s", text, fault.why);
    }
    return o;
}

static void
the_table_is_sorted_and_each_row_reads_back(void **state)
{
    const struct outcome_row *row, *last = NULL;

    (void)state;
    for (size_t i = 0; (row = outcome_row(i)); i++) {
        struct bide_outcome o = {.domain = row->domain, .code = row->code};
        struct bide_outcome back;
        char name[80];

        assert_true(!last || last->domain < row->domain ||
                    (last->domain == row->domain && last->code < row->code));
        assert_int_equal(row->classes & OUTCOME_ANY, 0);
        if (row->classes) { /* every class is transient too */
            assert_true(row->classes & OUTCOME_TRANSIENT);
        }
        bide_outcome_name(o, name, sizeof(name));
        back = outcome_of(name);
        assert_int_equal(back.domain, o.domain);
        assert_int_equal(back.code, o.code);
        last = row;
    }
}

static void
outcomes_belong_to_their_classes(void **state)
{
    enum {
        C = OUTCOME_CONNECT | OUTCOME_TRANSIENT | OUTCOME_ANY,
        T = OUTCOME_TIMEOUT | OUTCOME_TRANSIENT | OUTCOME_ANY,
        H = OUTCOME_THROTTLE | OUTCOME_TRANSIENT | OUTCOME_ANY,
        R = OUTCOME_TRANSIENT | OUTCOME_ANY,
        A = OUTCOME_ANY,
    };
    static const struct {
        const char *text;
        uint32_t classes;
    } rows[] = {
        {"ok", 0},
        {"errno.ECONNREFUSED", C},
        {"errno.EHOSTUNREACH", C},
        {"errno.ENETUNREACH", C},
        {"errno.ETIMEDOUT", T},
        {"errno.ECONNRESET", R},
        {"errno.EPIPE", R},
        {"errno.EWOULDBLOCK", R},
        {"errno.ENOENT", A},
        {"errno.4000", A},
        {"errno.0", 0},
        {"http.0", R},
        {"http.100", 0},
        {"http.200", 0},
        {"http.399", 0},
        {"http.400", A},
        {"http.404", A},
        {"http.408", T},
        {"http.429", H},
        {"http.500", R},
        {"http.501", A},
        {"http.502", R},
        {"http.503", R},
        {"http.504", T},
        {"http.599", A},
        {"grpc.OK", 0},
        {"grpc.UNAVAILABLE", R},
        {"grpc.DEADLINE_EXCEEDED", T},
        {"grpc.RESOURCE_EXHAUSTED", H},
        {"grpc.INTERNAL", A},
        {"exit.0", 0},
        {"exit.1", A},
        {"exit.69", R},
        {"exit.75", R},
        {"exit.255", A},
        {"signal.SIGKILL", A},
        {"signal.64", A},
        {"curl.0", 0},
        {"curl.6", C},
        {"curl.7", C},
        {"curl.28", T},
        {"curl.52", R},
        {"curl.60", A},
        {"app.out_of_stock", A},
        {"app.other", A},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bide_outcome o = outcome_of(rows[i].text);

        if (outcome_classes(o) != rows[i].classes) {
            fail_msg("%s is %x", rows[i].text, outcome_classes(o));
        }
        assert_int_equal(outcome_is_success(o), rows[i].classes == 0);
    }
}

static void
an_unknown_outcome_is_a_failure_without_class(void **state)
{
    struct bide_outcome o = {.domain = 200, .code = 3};
    char name[32];

    (void)state;
    assert_int_equal(outcome_classes(o), OUTCOME_ANY);
    assert_false(outcome_is_success(o));
    bide_outcome_name(o, name, sizeof(name));
    assert_string_equal(name, "app.other");
}

static void
sets_are_written_in_canonical_order(void **state)
{
    static const struct {
        const char *text, *canonical;
    } rows[] = {
        {"", "none"},
        {"none", "none"},
        {" none", "none"},
        {"transient", "transient"},
        {"transient,any", "any, transient"},
        {"http.503, http.503", "http.503"},
        {"http.5xx", "http.5xx"},
        {"http.500-599", "http.5xx"},
        {"http.500-504", "http.500-504"},
        {"http.504-504", "http.504"},
        {"http.0", "http.0"},
        {"errno.11", "errno.EAGAIN"},
        {"errno.EWOULDBLOCK", "errno.EAGAIN"},
        {"errno.4000", "errno.4000"},
        {"grpc.14", "grpc.UNAVAILABLE"},
        {"exit.64-78", "exit.64-78"},
        {"exit.075", "exit.75"},
        {"signal.9", "signal.SIGKILL"},
        {"signal.40", "signal.40"},
        {"curl.28", "curl.28"},
        {"app.zoo, app.Ant, app.bee", "app.Ant, app.bee, app.zoo"},
        {"app.x,curl.7,exit.1,errno.EIO,http.404,throttle",
         "throttle, errno.EIO, http.404, exit.1, curl.7, app.x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome_set set = {0};
        struct outcome_fault fault;
        char *text;

        if (outcome_set_read(rows[i].text, &set, &fault) != 0) {
            fail_msg("%s: %s", rows[i].text, fault.why);
        }
        text = outcome_set_write(&set);
        assert_string_equal(text, rows[i].canonical);
        free(text);
        outcome_set_free(&set);
    }
}

static void
bad_outcomes_are_refused_with_a_suggestion(void **state)
{
    static const struct {
        const char *text, *bad, *hint;
    } rows[] = {
        {"http.99", "http.99", ""},
        {"http.1000", "http.1000", ""},
        {"http.504-500", "http.504-500", ""},
        {"http.5x", "http.5x", ""},
        {"http.0xx", "http.0xx", ""},
        {"http.", "http.", ""},
        {"http.-1", "http.-1", ""},
        {"http.500-", "http.500-", ""},
        {"any, 503", "503", "http.503"},
        {"5xx", "5xx", "http.5xx"},
        {"timeouts", "timeouts", "timeout"},
        {"ETIMEDOUT", "ETIMEDOUT", "errno.ETIMEDOUT"},
        {"UNAVAILABLE", "UNAVAILABLE", "grpc.UNAVAILABLE"},
        {"SIGKILL", "SIGKILL", "signal.SIGKILL"},
        {"errno.ECONREST", "errno.ECONREST", "errno.ECONNRESET"},
        {"errno.econnreset", "errno.econnreset", "errno.ECONNRESET"},
        {"signal.KILL", "signal.KILL", "signal.SIGKILL"},
        {"signal.0", "signal.0", ""},
        {"signal.65", "signal.65", ""},
        {"grpc.17", "grpc.17", ""},
        {"exit.256", "exit.256", ""},
        {"curl.99999999999", "curl.99999999999", ""},
        {"htpp.503", "htpp.503", "http.503"},
        {"ok", "ok", ""},
        {"app.", "app.", ""},
        {"app.a b", "app.a b", ""},
        {"app.0123456789012345678901234567890123456789012345678",
         "app.0123456789012345678901234567890123456789012345678", ""},
        {"any,", "", ""},
        {",", "", ""},
        {"none, any", "none", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome_set set = {.classes = 77};
        struct outcome_fault fault = {0};

        if (outcome_set_read(rows[i].text, &set, &fault) != BIDE_EINPUT) {
            fail_msg("%s is accepted", rows[i].text);
        }
        assert_non_null(fault.why);
        assert_string_equal(fault.bad, rows[i].bad);
        assert_string_equal(fault.meant, rows[i].hint);
        assert_int_equal(set.classes, 77);
    }
}

static void
a_set_holds_256_outcomes_and_no_more(void **state)
{
    struct outcome_set set = {0};
    struct outcome_fault fault;
    char text[8192] = "";
    size_t used = 0;

    (void)state;
    for (int i = 0; i < OUTCOME_SET_MAX; i++) {
        used +=
            (size_t)sprintf(text + used, "%serrno.%d", i ? "," : "", 1000 + i);
    }
    assert_int_equal(outcome_set_read(text, &set, &fault), 0);
    assert_int_equal(set.count, OUTCOME_SET_MAX);
    outcome_set_free(&set);
    strcat(text, ",errno.1");
    assert_int_equal(outcome_set_read(text, &set, &fault), BIDE_EINPUT);
}

static bool
text_in(const char *set_text, const char *outcome_text)
{
    struct outcome_set set = {0};
    struct outcome_fault fault;
    bool in;

    assert_int_equal(outcome_set_read(set_text, &set, &fault), 0);
    in = outcome_in(&set, outcome_of(outcome_text));
    outcome_set_free(&set);
    return in;
}

static void
a_set_contains_its_codes_and_classes(void **state)
{
    static const struct {
        const char *set, *outcome;
        bool in;
    } rows[] = {
        {"none", "http.503", false},
        {"any", "http.404", true},
        {"any", "ok", false},
        {"any", "http.200", false},
        {"any", "app.x", true},
        {"transient", "http.503", true},
        {"transient", "curl.7", true},
        {"transient", "http.404", false},
        {"connect", "errno.ECONNREFUSED", true},
        {"connect", "errno.ECONNRESET", false},
        {"timeout", "http.504", true},
        {"throttle", "http.503", false},
        {"http.5xx", "http.500", true},
        {"http.5xx", "http.599", true},
        {"http.5xx", "http.499", false},
        {"http.5xx", "exit.75", false},
        {"exit.64-78", "exit.64", true},
        {"exit.64-78", "exit.78", true},
        {"exit.64-78", "exit.79", false},
        {"http.202", "http.202", true},
        {"http.2xx", "http.202", true},
        {"app.a, app.b", "app.b", true},
        {"app.a", "app.b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (text_in(rows[i].set, rows[i].outcome) != rows[i].in) {
            fail_msg("%s in %s", rows[i].outcome, rows[i].set);
        }
    }
}

static void
a_natural_success_is_in_a_set_only_by_a_range(void **state)
{
    static const struct {
        const char *set;
        bool has;
    } rows[] = {
        {"any", false},      {"http.4xx", false},    {"http.3xx", true},
        {"http.202", true},  {"http.399-500", true}, {"exit.0", true},
        {"exit.1", false},   {"grpc.OK", true},      {"errno.0", true},
        {"signal.1", false}, {"app.x", false},       {"http.0", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome_set set = {0};
        struct outcome_fault fault;

        assert_int_equal(outcome_set_read(rows[i].set, &set, &fault), 0);
        assert_int_equal(outcome_set_has_success(&set), rows[i].has);
        outcome_set_free(&set);
    }
}

static void
constructors_map_errors_to_outcomes(void **state)
{
    static const struct {
        struct bide_outcome (*make)(int);
        int from;
        const char *name;
    } rows[] = {
        {bide_errno, 0, "errno.0"},
        {bide_errno, ETIMEDOUT, "errno.ETIMEDOUT"},
        {bide_errno, -ECONNRESET, "errno.ECONNRESET"},
        {bide_errno, INT32_MIN, "errno.2147483647"},
        {bide_grpc, 14, "grpc.UNAVAILABLE"},
        {bide_grpc, 17, "grpc.UNKNOWN"},
        {bide_grpc, -1, "grpc.UNKNOWN"},
        {bide_wait_status, 0, "exit.0"},
        {bide_wait_status, 75 << 8, "exit.75"},
        {bide_wait_status, SIGKILL, "signal.SIGKILL"},
        {bide_wait_status, SIGSEGV | 0x80, "signal.SIGSEGV"},
        {bide_wait_status, 0x137f, "exit.255"}, /* stopped: has not ended */
        {bide_exit_status, 0, "exit.0"},
        {bide_exit_status, 1, "exit.1"},
        {bide_exit_status, 255, "exit.255"},
        {bide_exit_status, 256, "exit.255"},
        {bide_exit_status, -1, "exit.255"},
        {bide_curl, 28, "curl.28"},
        {bide_curl, -5, "curl.2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bide_outcome o = rows[i].make(rows[i].from);
        char name[64];

        assert_int_equal(bide_outcome_name(o, name, sizeof(name)),
                         strlen(rows[i].name));
        assert_string_equal(name, rows[i].name);
        assert_int_equal(o.hint, BIDE_HINT_NONE);
    }
    assert_true(outcome_is_success(bide_ok()));
    assert_int_equal(bide_http(503, NULL).code, 503);
    assert_int_equal(bide_http(0, NULL).code, 0);
    assert_int_equal(bide_http(-1, NULL).code, 0);
    assert_int_equal(bide_http(1000, NULL).code, 0);
}

static void
an_outcome_carries_the_wait_a_server_asks_for(void **state)
{
    struct bide_outcome o = bide_http(429, " 120 ");

    (void)state;
    assert_int_equal(o.hint, BIDE_HINT_AFTER);
    assert_int_equal(o.after_ns, UINT64_C(120000000000));
    o = bide_http(503, "soon");
    assert_int_equal(o.hint, BIDE_HINT_NONE);
    o = bide_http(503, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(o.hint, BIDE_HINT_NONE); /* the policy's own wait */
    o = bide_http(503, "0");
    assert_int_equal(o.hint, BIDE_HINT_NONE);
    o = bide_outcome_after(bide_grpc(8), UINT64_MAX);
    assert_int_equal(o.hint, BIDE_HINT_NEVER);
    o = bide_outcome_after(o, 0);
    assert_int_equal(o.hint, BIDE_HINT_AFTER);
    assert_int_equal(o.after_ns, 0);
}

static void
an_app_name_keeps_its_code(void **state)
{
    struct bide_outcome a = bide_app("out_of_stock");
    char name[64], tiny[4];

    (void)state;
    assert_int_equal(bide_app("out_of_stock").code, a.code);
    assert_int_not_equal(bide_app("Out_of_stock").code, a.code);
    bide_outcome_name(a, name, sizeof(name));
    assert_string_equal(name, "app.out_of_stock");
    assert_int_equal(bide_outcome_name(a, tiny, sizeof(tiny)), 16);
    assert_string_equal(tiny, "app");
    assert_int_equal(bide_app(NULL).code, APP_OTHER);
    assert_int_equal(bide_app("").code, APP_OTHER);
    assert_int_equal(bide_app("a b").code, APP_OTHER);
    assert_int_equal(bide_app("other").code, APP_OTHER);
    assert_int_equal(
        bide_app("0123456789012345678901234567890123456789012345678").code,
        APP_OTHER);
    assert_int_not_equal(
        bide_app("012345678901234567890123456789012345678901234567").code,
        APP_OTHER);
    assert_string_equal(app_name(-1), "other");
    assert_string_equal(app_name(INT32_MAX), "other");
}

/* Makes the same names in each thread, in a different order. */
static void *
make_names(void *arg)
{
    int32_t *codes = arg;
    int step = codes[0];

    for (int i = 0; i < 500; i++) {
        int n = (i * step) % 500;
        char name[32];

        snprintf(name, sizeof(name), "thread-%d", n);
        codes[n + 1] = bide_app(name).code;
    }
    return NULL;
}

static void
threads_agree_on_the_codes_of_app_names(void **state)
{
    static int32_t codes[4][501];
    static const int steps[] = {1, 3, 7, 499}; /* coprime to 500 */
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        codes[i][0] = steps[i];
        assert_int_equal(
            pthread_create(&threads[i], NULL, make_names, codes[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int n = 1; n <= 500; n++) {
        char name[32];

        snprintf(name, sizeof(name), "thread-%d", n - 1);
        assert_int_not_equal(codes[0][n], APP_OTHER);
        assert_string_equal(app_name(codes[0][n]), name);
        for (int i = 1; i < 4; i++) {
            assert_int_equal(codes[i][n], codes[0][n]);
        }
    }
}

/* Runs last, because it uses up the names. */
static void
calls_make_at_most_a_thousand_app_names(void **state)
{
    struct bide_outcome known = bide_app("known");
    char name[32];
    int names = 0;

    (void)state;
    for (int i = 0; i < APP_NAMES_CALLS; i++) {
        snprintf(name, sizeof(name), "fill-%d", i);
        bide_app(name);
    }
    for (int32_t code = 1; code <= 16384; code++) {
        names += strcmp(app_name(code), "other") != 0;
    }
    assert_int_equal(names, APP_NAMES_CALLS);
    assert_int_equal(bide_app("one-too-many").code, APP_OTHER);
    assert_int_equal(bide_app("known").code, known.code);
    /* A policy can still add names. */
    assert_true(text_in("app.one-too-many", "app.one-too-many"));
    assert_int_not_equal(bide_app("one-too-many").code, APP_OTHER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_each_row_reads_back),
        cmocka_unit_test(outcomes_belong_to_their_classes),
        cmocka_unit_test(an_unknown_outcome_is_a_failure_without_class),
        cmocka_unit_test(sets_are_written_in_canonical_order),
        cmocka_unit_test(bad_outcomes_are_refused_with_a_suggestion),
        cmocka_unit_test(a_set_holds_256_outcomes_and_no_more),
        cmocka_unit_test(a_set_contains_its_codes_and_classes),
        cmocka_unit_test(a_natural_success_is_in_a_set_only_by_a_range),
        cmocka_unit_test(constructors_map_errors_to_outcomes),
        cmocka_unit_test(an_outcome_carries_the_wait_a_server_asks_for),
        cmocka_unit_test(an_app_name_keeps_its_code),
        cmocka_unit_test(threads_agree_on_the_codes_of_app_names),
        cmocka_unit_test(calls_make_at_most_a_thousand_app_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
