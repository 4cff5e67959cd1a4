/* kill -9 of any process at any moment loses nothing and leaves nothing to
 * repair. */
#include "admin/open.h"
#include "admin/read.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "process.h"

static const char shop[] = "[shop]\nattempts = 2\nwait = fixed\n"
                           "wait_initial = 1h\nwait_max = 1h\n"
                           "wait_jitter = none\n"
                           "[quick]\nattempts = 2\nwait = none\n";

static void
must_be_killed(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* ---- between the commit and the announcement ---- */

static void
commit_and_die(struct scene *s, const char *name, const char *text)
{
    struct record r = {0};
    struct writer *w;

    MUST(writer_begin(s->dir, "tests", 10000, &w) == 0);
    MUST(writer_policy(w, name, &r) == 0);
    r.text = (char *)(uintptr_t)text;
    r.part_count = 0; /* a base alone */
    MUST(writer_put(w, &r, "") == 0);
    MUST(writer_commit(w) == 0);
    raise(SIGKILL);
}

static void
kill_after_commit(struct scene *s, const char *name, const char *text)
{
    pid_t child = fork();

    if (child == 0) {
        commit_and_die(s, name, text);
    }
    must_be_killed(child);
}

/* Lays `count` parts over a policy for `for_ns`, and dies. */
static void
kill_after_layer(struct scene *s, const char *name, uint64_t for_ns,
                 const char *const (*keys)[2], size_t count)
{
    pid_t child = fork();

    if (child == 0) {
        struct record_part parts[8];
        struct record r = {0};
        struct writer *w;

        MUST(writer_begin(s->dir, "tests", 10000, &w) == 0);
        MUST(writer_policy(w, name, &r) == 0);
        parts[0] = r.parts[0];
        for (size_t i = 0; i < count; i++) {
            parts[1 + i] = (struct record_part){
                .when_ns = clock_realtime_ns(),
                .until_ns = clock_realtime_ns() + for_ns,
                .who = "tests",
                .note = "",
                .key = keys[i][0],
                .value = keys[i][1],
            };
        }
        r.parts = parts;
        r.part_count = 1 + count;
        MUST(writer_put(w, &r, "") == 0);
        MUST(writer_commit(w) == 0);
        raise(SIGKILL);
    }
    must_be_killed(child);
}

static struct bide_outcome
first_fails(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

static pid_t
start_sleeper(struct scene *s, int *out_results)
{
    int pipes[2];
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        struct bide_result r;
        struct bide_policy *p;
        struct bide *b;

        MUST(bide_open(s->dir, 0, &b) == 0);
        MUST(bide_lookup(b, "shop", NULL, &p) == 0);
        scene_call(p, first_fails, NULL, &r);
        MUST(write(pipes[1], &r, sizeof(r)) == sizeof(r));
        _exit(bide_close(b) != 0);
    }
    close(pipes[1]);
    *out_results = pipes[0];
    return child;
}

static bool
one_sleeps(void *arg)
{
    return scene_sleepers(arg) == 1;
}

/* Fails unless the sleeper went on with its second attempt. */
static struct bide_result
end_sleeper(pid_t child, int results)
{
    struct bide_result r;
    int status;

    if (!process_read_all(results, &r, sizeof(r))) {
        kill(child, SIGKILL);
        fail_msg("it did not go on");
    }
    close(results);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(r.verdict, BIDE_SUCCEEDED);
    assert_int_equal(r.attempts, 2);
    return r;
}

static const char quicker[] = "[shop]\nattempts = 2\nwait = none\n";

static void
a_waiting_call_finds_an_unannounced_change(void **state)
{
    struct scene *s = *state;
    int results;
    pid_t child;

    process_registry(s, shop);
    child = start_sleeper(s, &results);
    assert_true(scene_until(one_sleeps, s));
    kill_after_commit(s, "shop", quicker);
    end_sleeper(child, results);
}

static void
a_waiting_call_finds_an_unannounced_layer(void **state)
{
    static const char *const keys[][2] = {{"attempts", "2"}, {"wait", "none"}};
    struct scene *s = *state;
    int results;
    pid_t child;

    process_registry(s, shop);
    child = start_sleeper(s, &results);
    assert_true(scene_until(one_sleeps, s));
    kill_after_layer(s, "shop", UINT64_C(3600000000000), keys, 2);
    end_sleeper(child, results);
}

static void
a_waiting_call_finds_the_end_of_a_layer(void **state)
{
    static const char *const keys[][2] = {{"wait", "fixed"},
                                          {"wait_initial", "6h"},
                                          {"wait_max", "6h"},
                                          {"wait_jitter", "none"}};
    struct scene *s = *state;
    int results;
    pid_t child;

    process_registry(s, quicker);
    kill_after_layer(s, "shop", UINT64_C(2000000000), keys, 4);
    child = start_sleeper(s, &results);
    end_sleeper(child, results);
}

static void
the_next_failed_attempt_finds_an_unannounced_change(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;

    process_registry(s, shop);
    scene_open(s);
    scene_run(s, "quick", &bad, 1, NULL);
    assert_int_equal(s->made, 2);
    for (int i = 3; i < 8; i++) {
        char text[64];

        snprintf(text, sizeof(text), "[quick]\nattempts = %d\nwait = none\n",
                 i);
        kill_after_commit(s, "quick", text);
        scene_run(s, "quick", &bad, 1, NULL);
        assert_int_equal(s->made, i);
    }
}

/* The process that finds the change announces it for the dead writer. */
static void
a_process_that_finds_the_change_wakes_the_others(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    struct pollfd done = {.events = POLLIN};
    struct bide_result r;
    pid_t child;

    process_registry(s, shop);
    scene_open(s);
    child = start_sleeper(s, &done.fd);
    assert_true(scene_until(one_sleeps, s));
    kill_after_commit(s, "shop", quicker);
    for (int i = 0; i < 6000 && poll(&done, 1, 10) == 0; i++) {
        scene_run(s, "quick", &bad, 1, NULL);
    }
    r = end_sleeper(child, done.fd);
    /* The call was woken, so it continued before it read the registry itself.
     */
    assert_true(r.slept_ns < 4500 * MS);
}

/* ---- writers at random moments ---- */

struct round {
    struct scene *s;
    unsigned confirmed; /* the last value that a command reported as set */
    unsigned tried;
};

static unsigned
attempts_in_registry(struct scene *s, const char *name)
{
    struct admin *a = scene_admin(s);
    struct record r;
    unsigned n = 0;

    assert_int_equal(admin_policy(a, name, &r), 0);
    assert_int_equal(sscanf(strstr(r.text, "attempts = "), "attempts = %u", &n),
                     1);
    record_free(&r);
    admin_close(a);
    return n;
}

/* Starts a writer: every other one sets one policy, the others apply a file of
 * three. */
static pid_t
start_writer(struct round *r)
{
    char setting[32], text[256];

    if (r->tried % 2) {
        snprintf(setting, sizeof(setting), "attempts=%u", r->tried);
        return process_start(r->s,
                             (const char *const[]){"set", "a", setting, NULL});
    }
    snprintf(text, sizeof(text),
             "[a]\nattempts = %u\n[b]\nattempts = %u\n[c]\nattempts = %u\n",
             r->tried, r->tried, r->tried);
    return process_start(
        r->s, (const char *const[]){"apply", process_file(r->s, text), NULL});
}

static void
check_round(struct round *r, bool done)
{
    unsigned a = attempts_in_registry(r->s, "a");
    unsigned b = attempts_in_registry(r->s, "b");

    if (done) {
        assert_int_equal(a, r->tried);
        r->confirmed = a;
    } else if (a != r->tried) {
        assert_int_equal(a, r->confirmed);
    }
    r->confirmed = a;
    /* A file is applied atomically. */
    assert_int_equal(attempts_in_registry(r->s, "c"), b);
    if (r->tried % 2 == 0 && a == r->tried) {
        assert_int_equal(b, a);
    }
}

static void
killed_writers_lose_and_block_nothing(void **state)
{
    struct scene *s = *state;
    struct round r = {.s = s, .confirmed = 1, .tried = 1};
    unsigned killed = 0, i;
    uint64_t begun, whole;

    process_registry(
        s, "[a]\nattempts = 1\n[b]\nattempts = 1\n[c]\nattempts = 1\n");
    begun = scene_monotonic();
    BIDE(s, "set", "a", "attempts=1", "--note", "how long it takes");
    whole = scene_monotonic() - begun;
    srandom(11);
    for (i = 0; i < 300; i++) {
        uint64_t after = (uint64_t)random() % (whole + whole / 4);
        struct timespec pause = {(time_t)(after / SECOND),
                                 (long)(after % SECOND)};
        pid_t child;
        int status;

        r.tried = i + 2;
        child = start_writer(&r);
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        /* The time that it takes depends on the load of the host. */
        whole += WIFSIGNALED(status) ? whole / 16 : -(whole / 16);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        check_round(&r, WIFEXITED(status));
    }
    print_message("         %u of 300 killed before they were done\n", killed);
    assert_true(killed > 50);
    BIDE(s, "set", "a", "attempts=1000");
    assert_int_equal(attempts_in_registry(s, "a"), 1000);
}

/* ---- services that count ---- */

static void
count_until_killed(struct scene *s, int reported)
{
    struct bide_policy *p;
    struct bide *b;
    char byte = 0;

    MUST(bide_open(s->dir, 0, &b) == 0);
    MUST(bide_lookup(b, "quick", NULL, &p) == 0);
    for (;;) {
        bide_run(p, first_fails, NULL);
        if (write(reported, &byte, 1) != 1) {
            _exit(0);
        }
    }
}

static uint64_t
count_reports(int fd)
{
    char bytes[65536];
    uint64_t total = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
        total += (uint64_t)n;
    }
    return total;
}

enum { ROUNDS = 10, SERVICES = 3 };

static void
killed_services_lose_no_count(void **state)
{
    struct scene *s = *state;
    struct bide_stats stats;
    uint64_t reported = 0;

    process_registry(s, shop);
    srandom(12);
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec pause = {0, random() % 20000000};
        pid_t child[SERVICES];
        int pipes[2];
        char byte;

        assert_int_equal(pipe(pipes), 0);
        fcntl(pipes[1], F_SETPIPE_SZ, 1048576);
        for (int i = 0; i < SERVICES; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                close(pipes[0]);
                count_until_killed(s, pipes[1]);
            }
        }
        close(pipes[1]);
        assert_true(process_read_all(pipes[0], &byte, 1));
        nanosleep(&pause, NULL);
        for (int i = 0; i < SERVICES; i++) {
            kill(child[i], SIGKILL);
            must_be_killed(child[i]);
        }
        reported += 1 + count_reports(pipes[0]);
        close(pipes[0]);
    }
    scene_open(s);
    stats = scene_stats(s, "quick");
    print_message("         %llu calls reported, %llu counted\n",
                  (unsigned long long)reported,
                  (unsigned long long)stats.succeeded);
    /* Each service may have counted one call that it did not report. */
    assert_true(stats.succeeded >= reported);
    assert_true(stats.succeeded <= reported + ROUNDS * SERVICES);
    assert_true(stats.recovered >= reported);
    assert_true(stats.attempts_failed >= stats.succeeded);
    assert_true(stats.attempts_failed <= reported + ROUNDS * SERVICES);
    assert_int_equal(scene_sleepers(s), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_waiting_call_finds_an_unannounced_change),
        SCENE(a_waiting_call_finds_an_unannounced_layer),
        SCENE(a_waiting_call_finds_the_end_of_a_layer),
        SCENE(the_next_failed_attempt_finds_an_unannounced_change),
        SCENE(a_process_that_finds_the_change_wakes_the_others),
        SCENE(killed_writers_lose_and_block_nothing),
        SCENE(killed_services_lose_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
