/* Blocking calls: their verdicts, results and counters. */
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n";

struct row {
    const char *what, *policy;
    struct bide_outcome outcome[4];
    size_t count;
    enum bide_verdict verdict;
    enum bide_reason reason;
    enum bide_end end;
    uint32_t attempts;
    uint64_t slept_ms, elapsed_ms; /* each attempt takes 7 ms */
};

#define OK                       \
    {                            \
        .domain = BIDE_DOMAIN_OK \
    }
#define HTTP(status)                               \
    {                                              \
        .domain = BIDE_DOMAIN_HTTP, .code = status \
    }
#define AFTER(seconds)                                                    \
    {                                                                     \
        .domain = BIDE_DOMAIN_HTTP, .code = 503, .hint = BIDE_HINT_AFTER, \
        .after_ns = (seconds)*SECOND                                      \
    }
#define NEVER                                                            \
    {                                                                    \
        .domain = BIDE_DOMAIN_HTTP, .code = 503, .hint = BIDE_HINT_NEVER \
    }

static const char all_ends[] =
    "[base]\nattempts = 3\nwait = fixed\nwait_initial = 100ms\n"
    "wait_jitter = none\n"
    "[mandatory]\nextends = base\n"
    "[postponable]\nextends = base\nimportance = postponable\n"
    "[optional]\nextends = base\nimportance = optional\n"
    "[paused]\nextends = base\npaused = yes\nimportance = optional\n"
    "[once]\nextends = base\nattempts = 1\n"
    "[short]\nextends = base\nattempts = unlimited\nmax_elapsed = 114ms\n"
    "[deadline]\nextends = base\nattempts = unlimited\ndeadline = 214ms\n"
    "[later]\nextends = base\nattempts = unlimited\ndeadline = 215ms\n"
    "[202]\nextends = base\nretry_on = http.202\n"
    "[never202]\nextends = base\nnever_on = http.202\n"
    "[fine500]\nextends = base\nsuccess_on = http.500\n"
    "[free]\nextends = base\nfree_retries = 1\n";

static const struct row rows[] = {
    {"at once", "mandatory", {OK}, 1, BIDE_SUCCEEDED, 0, 0, 1, 0, 7},
    {"200", "mandatory", {HTTP(200)}, 1, BIDE_SUCCEEDED, 0, 0, 1, 0, 7},
    {"recovers",
     "mandatory",
     {HTTP(503), OK},
     2,
     BIDE_SUCCEEDED,
     0,
     0,
     2,
     100,
     114},
    {"recovers last",
     "mandatory",
     {HTTP(503), HTTP(503), OK},
     3,
     BIDE_SUCCEEDED,
     0,
     0,
     3,
     200,
     221},
    {"aborted",
     "mandatory",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_ATTEMPTS,
     BIDE_END_ABORTED,
     3,
     200,
     221},
    {"deferred",
     "postponable",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_ATTEMPTS,
     BIDE_END_DEFERRED,
     3,
     200,
     221},
    {"dropped",
     "optional",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_ATTEMPTS,
     BIDE_END_DROPPED,
     3,
     200,
     221},
    {"one attempt",
     "once",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_ATTEMPTS,
     BIDE_END_ABORTED,
     1,
     0,
     7},
    {"paused",
     "paused",
     {OK},
     1,
     BIDE_REFUSED,
     BIDE_BY_PAUSED,
     BIDE_END_DROPPED,
     0,
     0,
     0},
    {"rejected",
     "mandatory",
     {HTTP(404)},
     1,
     BIDE_REJECTED,
     BIDE_BY_REJECTED,
     0,
     1,
     0,
     7},
    {"rejected later",
     "mandatory",
     {HTTP(503), HTTP(404)},
     2,
     BIDE_REJECTED,
     BIDE_BY_REJECTED,
     0,
     2,
     100,
     114},
    {"max_elapsed met",
     "short",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_MAX_ELAPSED,
     BIDE_END_ABORTED,
     2,
     100,
     114},
    {"deadline met",
     "deadline",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_DEADLINE,
     BIDE_END_ABORTED,
     2,
     100,
     114},
    {"deadline, 1 ms more",
     "later",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_DEADLINE,
     BIDE_END_ABORTED,
     3,
     200,
     221},
    {"server's wish",
     "mandatory",
     {AFTER(2), OK},
     2,
     BIDE_SUCCEEDED,
     0,
     0,
     2,
     2000,
     2014},
    {"wish at the limit",
     "mandatory",
     {AFTER(60), OK},
     2,
     BIDE_SUCCEEDED,
     0,
     0,
     2,
     60000,
     60014},
    {"wish over the limit",
     "mandatory",
     {AFTER(61), OK},
     2,
     BIDE_EXHAUSTED,
     BIDE_BY_RETRY_AFTER,
     BIDE_END_ABORTED,
     1,
     0,
     7},
    {"wish: never",
     "postponable",
     {NEVER, OK},
     2,
     BIDE_EXHAUSTED,
     BIDE_BY_RETRY_AFTER,
     BIDE_END_DEFERRED,
     1,
     0,
     7},
    {"retry_on 202",
     "202",
     {HTTP(202), OK},
     2,
     BIDE_SUCCEEDED,
     0,
     0,
     2,
     100,
     114},
    {"never_on 202",
     "never202",
     {HTTP(202)},
     1,
     BIDE_REJECTED,
     BIDE_BY_REJECTED,
     0,
     1,
     0,
     7},
    {"success_on 500",
     "fine500",
     {HTTP(500)},
     1,
     BIDE_SUCCEEDED,
     0,
     0,
     1,
     0,
     7},
    {"a free retry",
     "free",
     {HTTP(503)},
     1,
     BIDE_EXHAUSTED,
     BIDE_BY_ATTEMPTS,
     BIDE_END_ABORTED,
     3,
     100,
     121},
};

static void
check_row(struct scene *s, const struct row *r, const struct bide_result *got)
{
    print_message("         %s\n", r->what);
    assert_int_equal(got->verdict, r->verdict);
    assert_int_equal(got->reason, r->reason);
    assert_int_equal(got->end, r->end);
    assert_int_equal(got->attempts, r->attempts);
    assert_int_equal(s->made, r->attempts);
    assert_int_equal(got->slept_ns, r->slept_ms * MS);
    assert_int_equal(got->elapsed_ns, r->elapsed_ms * MS);
    if (r->attempts) {
        size_t last = r->attempts < r->count ? r->attempts : r->count;

        assert_int_equal(got->outcome.domain, r->outcome[last - 1].domain);
        assert_int_equal(got->outcome.code, r->outcome[last - 1].code);
    }
}

static void
results_are_exact(void **state)
{
    struct scene *s = *state;
    size_t i;

    scene_start(s, all_ends);
    s->took_ns = 7 * MS;
    for (i = 0; i < COUNT(rows); i++) {
        struct bide_result got;
        uint64_t begun = s->now;

        memset(&got, 0xff, sizeof(got));
        assert_int_equal(
            scene_run(s, rows[i].policy, rows[i].outcome, rows[i].count, &got),
            rows[i].verdict);
        check_row(s, &rows[i], &got);
        assert_int_equal(s->now - begun, rows[i].elapsed_ms * MS);
    }
}

/* As results_are_exact, but under the system's clock: without times. */
static void
verdicts_do_not_depend_on_the_clock(void **state)
{
    struct scene *s = *state;
    size_t i;

    scene_init(s);
    scene_apply(s, all_ends);
    assert_int_equal(bide_open(s->dir, BIDE_PRIVATE, &s->b), 0);
    scene_set(s, "base", "wait_initial", "10us");
    scene_set(s, "base", "retry_after_max", "1ms");
    for (i = 0; i < COUNT(rows); i++) {
        struct bide_result got;

        if (rows[i].outcome[0].hint || rows[i].slept_ms >= 1000 ||
            strcmp(rows[i].policy, "short") == 0 ||
            strcmp(rows[i].policy, "deadline") == 0 ||
            strcmp(rows[i].policy, "later") == 0) {
            continue;
        }
        scene_run(s, rows[i].policy, rows[i].outcome, rows[i].count, &got);
        print_message("         %s\n", rows[i].what);
        assert_int_equal(got.verdict, rows[i].verdict);
        assert_int_equal(got.reason, rows[i].reason);
        assert_int_equal(got.end, rows[i].end);
        assert_int_equal(got.attempts, rows[i].attempts);
    }
}

static void
every_verdict_is_counted_once(void **state)
{
    struct scene *s = *state;
    struct bide_stats sum = {0};
    size_t i;

    scene_start(s, all_ends);
    s->took_ns = 7 * MS;
    for (i = 0; i < COUNT(rows); i++) {
        const struct row *r = &rows[i];
        struct bide_stats before = scene_stats(s, r->policy), after;
        bool ok = r->verdict == BIDE_SUCCEEDED;

        print_message("         %s\n", r->what);
        scene_run(s, r->policy, r->outcome, r->count, NULL);
        after = scene_stats(s, r->policy);
#define GREW(field, by) assert_int_equal(after.field - before.field, by)
        GREW(succeeded, ok);
        GREW(recovered, ok && r->attempts > 1);
        GREW(exhausted, r->verdict == BIDE_EXHAUSTED);
        GREW(aborted,
             r->verdict == BIDE_EXHAUSTED && r->end == BIDE_END_ABORTED);
        GREW(deferred,
             r->verdict == BIDE_EXHAUSTED && r->end == BIDE_END_DEFERRED);
        GREW(dropped,
             r->verdict == BIDE_EXHAUSTED && r->end == BIDE_END_DROPPED);
        GREW(refused, r->verdict == BIDE_REFUSED);
        GREW(rejected, r->verdict == BIDE_REJECTED);
        GREW(cancelled, 0);
        GREW(attempts, r->attempts);
        GREW(attempts_failed, r->attempts - ok);
        GREW(retries, r->attempts ? r->attempts - 1 : 0);
        GREW(slept_ns, r->slept_ms * MS);
        GREW(latency_succeeded.count, ok);
        GREW(latency_failed.count, r->attempts - ok);
#undef GREW
        assert_int_equal(after.version, 1);
        sum.attempts += after.attempts - before.attempts;
    }
    assert_int_not_equal(sum.attempts, 0);
}

static void
latencies_are_within_three_percent(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome ok = bide_ok(), bad = bide_http(503, NULL);
    struct bide_stats stats;

    scene_start(s, shop);
    s->took_ns = 40 * MS;
    scene_run(s, "shop", &ok, 1, NULL);
    s->took_ns = 200 * MS;
    scene_run(s, "shop", &bad, 1, NULL);
    stats = scene_stats(s, "shop");
    assert_true(stats.latency_succeeded.p50_ns > 38.8 * MS);
    assert_true(stats.latency_succeeded.max_ns < 41.2 * MS);
    assert_true(stats.latency_failed.p50_ns > 194 * MS);
    assert_true(stats.latency_failed.p99_ns < 206 * MS);
}

/* ---- time limits ---- */

struct limit {
    const char *rules;
    uint64_t
        timeout_us[3]; /* 0: none; each attempt takes 30 ms, each wait 100 ms */
};

static void
attempts_get_their_time_limit(void **state)
{
    static const struct limit limits[] = {
        {"", {0, 0, 0}},
        {"attempt_timeout = 50ms\n", {50000, 50000, 50000}},
        {"attempt_timeout = 1999us\n", {1999, 1999, 1999}},
        {"deadline = 1s\n", {1000000, 870000, 740000}},
        {"attempt_timeout = 900ms\ndeadline = 1s\n", {900000, 870000, 740000}},
        {"attempt_timeout = 2s\ndeadline = 1s\n", {1000000, 870000, 740000}},
    };
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    size_t i, n;

    scene_start(s, shop);
    s->took_ns = 30 * MS;
    for (i = 0; i < COUNT(limits); i++) {
        char text[256];
        uint64_t begun = s->now;

        snprintf(text, sizeof(text), "%s%s", shop, limits[i].rules);
        scene_apply(s, text);
        scene_run(s, "shop", &bad, 1, NULL);
        assert_int_equal(s->made, 3);
        for (n = 0; n < 3; n++) {
            uint64_t limit_ns = limits[i].timeout_us[n] * 1000;
            uint64_t started = begun + n * 130 * MS;

            assert_int_equal(s->told[n].number, n + 1);
            assert_true(s->told[n].timeout_ns ==
                        (limit_ns ? limit_ns : UINT64_MAX));
            assert_true(s->told[n].deadline_ns ==
                        (limit_ns ? started + limit_ns : UINT64_MAX));
        }
    }
}

/* ---- for bindings ---- */

static void
set_outcome(const struct bide_attempt *attempt, void *arg,
            struct bide_outcome *out)
{
    struct scene *s = arg;

    if (s->made++ == 0) {
        assert_int_equal(attempt->number, 1);
        *out = bide_http(503, NULL);
    } else if (s->made == 2) {
        *out = bide_ok();
    }
}

static void
an_attempt_may_pass_its_outcome_by_pointer(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    char name[64];

    scene_start(s, shop);
    assert_int_equal(
        bide_call_run_out(&c, scene_policy(s, "shop"), set_outcome, s),
        BIDE_SUCCEEDED);
    assert_int_equal(bide_call_result(&c)->attempts, 2);
    /* It sets none any more. */
    assert_int_equal(
        bide_call_run_out(&c, scene_policy(s, "shop"), set_outcome, s),
        BIDE_REJECTED);
    bide_outcome_name(bide_call_result(&c)->outcome, name, sizeof(name));
    assert_string_equal(name, "app.no_outcome");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(results_are_exact),
        SCENE(verdicts_do_not_depend_on_the_clock),
        SCENE(every_verdict_is_counted_once),
        SCENE(latencies_are_within_three_percent),
        SCENE(attempts_get_their_time_limit),
        SCENE(an_attempt_may_pass_its_outcome_by_pointer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
