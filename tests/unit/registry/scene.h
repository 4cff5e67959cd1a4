/* A registry and a clock of its own for each test. */
#ifndef TESTS_FACE_SCENE_H
#define TESTS_FACE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bide.h>
#include "admin/change.h"
#include "admin/live.h"
#include "admin/open.h"
#include "policy/policy.h"
#include "record/past.h"
#include "registry/registry.h"

#define UNUSED __attribute__((unused))
#define MS 1000000ull
#define SECOND 1000000000ull
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

struct scene {
    char top[256]; /* holds the registry */
    char dir[300];
    char live[256]; /* in memory */
    struct bide *b;
    /* the clock */
    uint64_t now;
    void (*on_sleep)(struct scene *s);
    int sleeps;
    /* the script of attempts; the last outcome stays */
    const struct bide_outcome *outcomes;
    size_t outcome_count, made;
    uint64_t took_ns; /* each attempt */
    struct bide_attempt told[64];
};

static int
scene_remove_one(const char *path, const struct stat *st, int type,
                 struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

UNUSED static void
scene_remove(const char *path)
{
    nftw(path, scene_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

UNUSED static int
scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    const char *tmp = getenv("TMPDIR");

    assert_non_null(s);
    snprintf(s->top, sizeof(s->top), "%s/bide-face-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->top));
    snprintf(s->live, sizeof(s->live), "/dev/shm/bide-face-XXXXXX");
    assert_non_null(mkdtemp(s->live));
    snprintf(s->dir, sizeof(s->dir), "%s/registry", s->top);
    s->now = 1000 * SECOND;
    *state = s;
    return 0;
}

UNUSED static int
scene_teardown(void **state)
{
    struct scene *s = *state;
    int rc = bide_close(s->b);

    scene_remove(s->top);
    scene_remove(s->live);
    free(s);
    return rc;
}

#define SCENE(test) \
    cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

/* ---- files ---- */

/* Returns the bytes of a file; the caller frees them. */
UNUSED static char *
scene_read_file(const char *path, size_t *out_length)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    char *bytes;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *out_length = (size_t)st.st_size;
    return bytes;
}

/* ---- the operator ---- */

UNUSED static void
scene_init(struct scene *s)
{
    assert_int_equal(
        admin_init(s->dir, &(struct admin_init){.live_dir = s->live}), 0);
}

UNUSED static struct admin *
scene_admin(struct scene *s)
{
    struct admin *a;

    assert_int_equal(admin_open(s->dir, &a), 0);
    return a;
}

/* Copies a file, of 4 MiB at most. */
UNUSED static void
scene_copy(const char *from, const char *to)
{
    size_t most = 4 << 20;
    char *bytes = malloc(most);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0640);
    ssize_t n = read(in, bytes, most);

    assert_in_range(n, 1, most - 1);
    assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
    free(bytes);
}

/* Records once.  The caller frees *out; NULL: not needed. */
UNUSED static void
scene_record(struct scene *s, const struct recorder_options *how,
             struct recorded *out)
{
    struct admin *a = scene_admin(s);
    struct recorded done;

    assert_int_equal(past_record(admin_past(a), how, &done), 0);
    if (out) {
        *out = done;
    } else {
        recorded_free(&done);
    }
    admin_close(a);
}

static const struct admin_change scene_change = {
    .who = "tests", .command = "tests", .wait_ms = 10000};

UNUSED static void
scene_apply(struct scene *s, const char *text)
{
    struct admin *a = scene_admin(s);
    struct policy_list list = {0};
    const char *files[64];
    struct admin_results results = {0};
    struct faults faults = {0};

    for (size_t i = 0; i < 64; i++) {
        files[i] = "t";
    }
    if (policy_read("t", text, strlen(text), &list, &faults) != 0) {
        fail_msg("%s", faults.count ? faults.list[0].what : "no memory");
    }
    assert_int_equal(
        admin_apply(a, &scene_change, &list, files, false, &results, &faults),
        0);
    assert_false(faults_any(&faults));
    admin_results_free(&results);
    policy_list_free(&list);
    faults_free(&faults);
    admin_close(a);
}

UNUSED static uint32_t
scene_set(struct scene *s, const char *name, const char *key, const char *value)
{
    struct admin *a = scene_admin(s);
    struct admin_setting setting = {key, value};
    struct admin_results results = {0};
    struct faults faults = {0};
    uint32_t woken;
    int rc;

    do { /* a process that changes policies without a pause may keep its turn */
        rc = admin_change_each(a, &scene_change, &name, 1, &setting, 1,
                               &results, &faults);
    } while (rc == BIDE_ELOCKED);
    assert_int_equal(rc, 0);
    assert_false(faults_any(&faults));
    woken = results.woken;
    admin_results_free(&results);
    faults_free(&faults);
    admin_close(a);
    return woken;
}

UNUSED static void
scene_delete(struct scene *s, const char *name)
{
    struct admin *a = scene_admin(s);
    struct admin_results results = {0};
    struct faults faults = {0};

    assert_int_equal(admin_change_each(a, &scene_change, &name, 1, NULL, 0,
                                       &results, &faults),
                     0);
    admin_results_free(&results);
    faults_free(&faults);
    admin_close(a);
}

/* ---- the service ---- */

static uint64_t
scene_now(void *arg)
{
    struct scene *s = arg;

    return s->now;
}

static void
scene_sleep(void *arg, uint64_t until_ns)
{
    struct scene *s = arg;

    s->sleeps++;
    if (s->on_sleep) {
        s->on_sleep(s);
    }
    if (s->now < until_ns) {
        s->now = until_ns;
    }
}

/* The live state is private, as for every program with a clock of its own.
 * Tests of the shared one define this as 0. */
#ifndef SCENE_FLAGS
#define SCENE_FLAGS BIDE_PRIVATE
#endif

/* Sets the clock of a registry, NULL: the system's.  bide_open_with refuses one
 * for shared live state. */
UNUSED static void
scene_set_clock(struct bide *b, const struct bide_clock *clock)
{
    b->own_clock = clock != NULL;
    b->clock = clock ? *clock : (struct bide_clock){0};
    b->scale = clock ? (struct tick_scale){0} : live_scale(b->live);
}

UNUSED static void
scene_close(struct scene *s)
{
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
}

/* Opens the registry under the clock of the scene; `hooks` may be NULL. */
UNUSED static void
scene_open_with(struct scene *s, uint64_t seed, const struct bide_hooks *hooks)
{
    const struct bide_clock clock = {s, scene_now, scene_sleep};
    const struct bide_options options = {.dir = s->dir,
                                         .flags = SCENE_FLAGS,
                                         .seed = seed,
                                         .hooks = hooks,
                                         .hooks_size = sizeof(*hooks)};

    assert_int_equal(bide_open_with(&options, sizeof(options), &s->b), 0);
    scene_set_clock(s->b, &clock);
}

UNUSED static void
scene_open(struct scene *s)
{
    scene_open_with(s, 1, NULL);
}

UNUSED static void
scene_start(struct scene *s, const char *text)
{
    scene_init(s);
    scene_apply(s, text);
    scene_open(s);
}

UNUSED static struct bide_policy *
scene_policy(struct scene *s, const char *name)
{
    struct bide_policy *p;

    assert_int_equal(bide_lookup(s->b, name, NULL, &p), 0);
    return p;
}

UNUSED static struct bide_outcome
scene_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;
    size_t i = s->made < s->outcome_count ? s->made : s->outcome_count - 1;

    if (s->made < COUNT(s->told)) {
        s->told[s->made] = *attempt;
    }
    s->made++;
    s->now += s->took_ns;
    return s->outcomes[i];
}

/* An attempt that succeeds. */
UNUSED static struct bide_outcome
scene_succeed(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_ok();
}

/* Waits until a child has ended: well, or by a signal. */
UNUSED static void
scene_reap(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

/* As bide_run.  Sets *out (NULL: not wanted) to the result. */
UNUSED static enum bide_verdict
scene_call(struct bide_policy *p, bide_attempt_fn *fn, void *arg,
           struct bide_result *out)
{
    struct bide_call c;
    enum bide_verdict verdict;

    if (!out) {
        return bide_run(p, fn, arg);
    }
    bide_call_init(&c);
    verdict = bide_call_run(&c, p, fn, arg);
    *out = *bide_call_result(&c);
    return verdict;
}

/* Runs the script from its beginning. */
UNUSED static enum bide_verdict
scene_run(struct scene *s, const char *name,
          const struct bide_outcome *outcomes, size_t count,
          struct bide_result *out)
{
    s->outcomes = outcomes;
    s->outcome_count = count;
    s->made = 0;
    s->sleeps = 0;
    return scene_call(scene_policy(s, name), scene_attempt, s, out);
}

UNUSED static struct bide_stats
scene_stats(struct scene *s, const char *name)
{
    struct bide_stats stats;

    assert_int_equal(
        bide_read_stats(scene_policy(s, name), sizeof(stats), &stats), 0);
    return stats;
}

/* ---- waiting for a condition ---- */

/* Returns true as soon as `yes` does, false after a minute. */
UNUSED static bool
scene_until(bool (*yes)(void *arg), void *arg)
{
    const struct timespec pause = {0, 1000000};
    int i;

    for (i = 0; i < 60000; i++) {
        if (yes(arg)) {
            return true;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}

UNUSED static uint64_t
scene_monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int
scene_count_one(void *arg, const struct admin_sleeper *sleeper)
{
    (void)sleeper;
    ++*(unsigned *)arg;
    return 0;
}

/* Returns the number of waiting calls in all processes. */
UNUSED static unsigned
scene_sleepers(struct scene *s)
{
    struct admin *a = scene_admin(s);
    unsigned n = 0;

    admin_each_sleeper(a, scene_count_one, &n);
    admin_close(a);
    return n;
}

/* Returns the number of attempts of a call that always gets a 503. */
UNUSED static uint32_t
scene_attempts(struct scene *s, const char *name)
{
    const struct bide_outcome bad = bide_http(503, NULL);

    scene_run(s, name, &bad, 1, NULL);
    return (uint32_t)s->made;
}

/* ---- children ---- */

/* A check in a child, where an assert of cmocka would print twice: prints the
 * line. */
#define MUST(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                       \
        }                                                                   \
    } while (0)

UNUSED static void
scene_wait_for(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
