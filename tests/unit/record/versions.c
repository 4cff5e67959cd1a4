/* Each call is counted once, under the version that was in force, also when
 * nothing was recorded before versions changed.  The test moves the clocks. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "admin/read.h"
#include "live/mark.h"
#include "record/past.h"
#include "store/history/history.h"
#include "unit/registry/scene.h"

#define SEEN __attribute__((visibility("default")))
#define HOUR (3600 * SECOND)

enum { VERSIONS = 256 };

/* Seen by all processes of a test. */
static struct told {
    _Atomic int64_t realtime; /* how far it is ahead of the kernel's */
    _Atomic int killed_at;    /* which write of a mark kills its process */
} * told;

SEEN int
clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);
    int64_t moved = told && id == CLOCK_REALTIME ? told->realtime : 0;

    moved += (int64_t)out->tv_sec * (int64_t)SECOND + out->tv_nsec;
    out->tv_sec = moved / (int64_t)SECOND;
    out->tv_nsec = moved % (int64_t)SECOND;
    return rc;
}

/* Only marks are written with pwrite to such an offset. */
SEEN ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    int at = told && offset >= (off_t)LIVE_MARKS ? told->killed_at : 0;
    ssize_t n;

    if (at == 1) {
        raise(SIGKILL);
    }
    n = syscall(SYS_pwrite64, fd, bytes, at == 2 ? size / 2 : size, offset);
    if (at == 2 || at == 3) {
        raise(SIGKILL);
    }
    return at == 4 ? -1 : n;
}

static int
setup_clock(void **state)
{
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    return scene_setup(state);
}

static int
teardown_clock(void **state)
{
    int rc = scene_teardown(state);

    munmap(told, sizeof(*told));
    told = NULL;
    return rc;
}

/* ---- the operator ---- */

static void
begin(struct scene *s, const char *text)
{
    scene_init(s);
    scene_apply(s, text);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
}

static void
change(struct scene *s, const char *key, const char *value, uint64_t for_ns)
{
    struct admin_change how = scene_change;
    struct admin_setting setting = {key, value};
    struct admin_results results = {0};
    struct faults faults = {0};
    struct admin *a = scene_admin(s);
    const char *name = "pay";

    how.for_ns = for_ns;
    assert_int_equal(
        admin_change_each(a, &how, &name, 1, &setting, 1, &results, &faults),
        0);
    admin_results_free(&results);
    faults_free(&faults);
    admin_close(a);
}

static void
record(struct scene *s)
{
    static const struct recorder_options how = {
        .every_ns = 1, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};

    scene_record(s, &how, NULL);
}

static int
add(void *arg, const struct history_interval *i)
{
    uint64_t *calls = arg;

    assert_in_range(i->version, 0, VERSIONS - 1);
    calls[i->version] += figures_calls(i->figures);
    return 0;
}

static void
read_versions(struct scene *s, uint64_t calls[VERSIONS])
{
    struct history_range range = {"pay", 0, UINT64_MAX, false};
    struct admin *a = scene_admin(s);
    struct history_known past;

    memset(calls, 0, VERSIONS * sizeof(*calls));
    assert_int_equal(
        past_each_interval(admin_past(a), &range, NULL, add, calls, &past), 0);
    assert_int_equal(past.damaged + past.lost, 0);
    admin_close(a);
}

/* Asserts the calls of each version (from 0 on, -1 ends), before and after a
 * recording. */
static void
assert_versions(struct scene *s, const int *expected)
{
    uint64_t calls[VERSIONS];

    for (int i = 0; i < 2; i++) {
        read_versions(s, calls);
        for (int v = 0; expected[v] >= 0; v++) {
            if (calls[v] != (uint64_t)expected[v]) {
                fail_msg("%s: v%d has %d calls, not %d",
                         i ? "recorded" : "pending", v, (int)calls[v],
                         expected[v]);
            }
        }
        record(s);
    }
}
#define ASSERT_VERSIONS(s, ...) \
    assert_versions(s, (const int[]){__VA_ARGS__, -1})

/* ---- services ---- */

static void
run_calls(struct bide *b, int calls)
{
    struct bide_policy *p;

    assert_int_equal(bide_lookup(b, "pay", NULL, &p), 0);
    while (calls-- > 0) {
        bide_run(p, scene_succeed, NULL);
    }
}

struct service {
    pid_t pid;
    int to, from;
};

/* Makes as many calls as each number that it reads says. */
static void
serve(struct scene *s, int from, int to)
{
    struct bide *b;
    int calls;

    if (bide_open(s->dir, 0, &b)) {
        _exit(1);
    }
    while (read(from, &calls, sizeof(calls)) == sizeof(calls)) {
        run_calls(b, calls);
        if (write(to, &calls, sizeof(calls)) != sizeof(calls)) {
            _exit(1);
        }
    }
    _exit(bide_close(b) != 0);
}

static struct service
start_service(struct scene *s)
{
    struct service v;
    int to[2], from[2];

    assert_int_equal(pipe(to) | pipe(from), 0);
    v.pid = fork();
    assert_true(v.pid >= 0);
    if (v.pid == 0) {
        close(to[1]);
        close(from[0]);
        serve(s, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    v.to = to[1];
    v.from = from[0];
    return v;
}

/* A service may be killed before it is asked: then it does not answer either. */
static void
ask(const struct service *v, int calls)
{
    assert_true(write(v->to, &calls, sizeof(calls)) == sizeof(calls) ||
                errno == EPIPE);
}

/* Returns false if the service was killed instead. */
static bool
answers(const struct service *v)
{
    int calls;

    return read(v->from, &calls, sizeof(calls)) == sizeof(calls);
}

static void
end_service(struct service *v)
{
    int status;

    close(v->to);
    close(v->from);
    assert_int_equal(waitpid(v->pid, &status, 0), v->pid);
}

/* ---- the tests ---- */

static void
a_temporary_version_ends_for_calls_that_only_succeed(void **state)
{
    struct scene *s = *state;

    begin(s, "[pay]\nattempts = 2\n");
    run_calls(s->b, 5);
    change(s, "attempts", "3", HOUR);
    run_calls(s->b, 47);
    told->realtime += (int64_t)HOUR;
    run_calls(s->b, 3);
    ASSERT_VERSIONS(s, 0, 8, 47, 0);
    run_calls(s->b, 2);
    ASSERT_VERSIONS(s, 0, 10, 47, 0);
}

static void
several_processes_split_at_the_same_moments(void **state)
{
    enum { N = 6 };
    struct scene *s = *state;
    struct service v[N];
    /* Changes the value before each step, and records if `record` is set. */
    static const struct {
        const char *value;
        uint64_t for_ns, pass_ns;
        bool record;
    } steps[] = {
        {NULL, 0, 0, false},    {"3", HOUR, 0, false}, {NULL, 0, HOUR, false},
        {"4", 0, 0, false},     {"5", HOUR, 0, true},  {NULL, 0, 0, false},
        {NULL, 0, HOUR, false},
    };
    static const int version[] = {1, 2, 1, 3, 4, 4, 3};
    int expected[6] = {0, 0, 0, 0, 0, -1};

    begin(s, "[pay]\nattempts = 2\n");
    for (int i = 0; i < N; i++) {
        v[i] = start_service(s);
    }
    for (size_t k = 0; k < COUNT(steps); k++) {
        if (steps[k].value) {
            change(s, "attempts", steps[k].value, steps[k].for_ns);
        }
        told->realtime += (int64_t)steps[k].pass_ns;
        if (steps[k].record) {
            record(s);
        }
        for (int i = 0; i < N; i++) {
            ask(&v[i], 10 * (int)(k + 1) + i);
            expected[version[k]] += 10 * (int)(k + 1) + i;
        }
        for (int i = 0; i < N; i++) {
            assert_true(answers(&v[i]));
        }
    }
    assert_versions(s, expected);
    for (int i = N; i-- > 0;) { /* a later one has the pipes of earlier ones */
        end_service(&v[i]);
    }
    assert_versions(s, expected);
}

static void
a_killed_process_leaves_the_mark_to_the_next(void **state)
{
    struct scene *s = *state;

    begin(s, "[pay]\nattempts = 2\n");
    run_calls(s->b, 5);
    for (int at = 1; at <= 3; at++) {
        struct service v;

        change(s, "attempts", "3", HOUR);
        run_calls(s->b, 47);
        told->realtime += (int64_t)HOUR;
        told->killed_at = at;
        v = start_service(s);
        ask(&v, 1);
        assert_false(answers(&v));
        told->killed_at = 0;
        end_service(&v);
        run_calls(s->b, 1);
    }
    ASSERT_VERSIONS(s, 0, 8, 47, 47, 47);
}

static void
a_mark_without_space_is_said_and_loses_no_call(void **state)
{
    struct scene *s = *state;
    uint64_t calls[VERSIONS];
    struct admin *a;
    struct live *l;

    begin(s, "[pay]\nattempts = 2\n");
    run_calls(s->b, 5);
    told->killed_at = 4;
    change(s, "attempts", "3", 0);
    told->killed_at = 0;
    run_calls(s->b, 4);
    read_versions(s, calls);
    assert_int_equal(calls[2], 9);
    a = scene_admin(s);
    l = past_live(admin_past(a), false);
    assert_int_equal(live_header(l)->marks_refused, 1);
    admin_close(a);
}

/* More versions than the ring holds: the oldest join, no call is lost. */
static void
the_oldest_versions_join_when_the_ring_is_full(void **state)
{
    struct scene *s = *state;
    uint64_t calls[VERSIONS], sum = 0;
    char value[16];

    begin(s, "[pay]\nattempts = 2\n");
    for (int i = 1; i <= 200; i++) {
        run_calls(s->b, i);
        snprintf(value, sizeof(value), "%d", 3 + i);
        change(s, "attempts", value, 0);
    }
    for (int i = 0; i < 2; i++) {
        read_versions(s, calls);
        for (int v = sum = 0; v < VERSIONS; v++) {
            sum += calls[v];
        }
        assert_int_equal(sum, 200 * 201 / 2);
        for (int v = 190; v <= 200; v++) {
            assert_int_equal(calls[v], v);
        }
        record(s);
    }
}

static int
count_parts(void *arg, const struct cell_part *part)
{
    int *parts = arg;

    (void)part;
    ++*parts;
    return 0;
}

static struct bide_outcome
fail_attempt(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_http(503, NULL);
}

static int
add_whole(void *arg, const struct history_interval *i)
{
    struct call_counts *sums = arg;

    assert_in_range(i->version, 1, 3);
    for (size_t k = 0; k < HISTOGRAM_BUCKETS; k++) {
        sums[i->version].took[k] += i->figures->calls.took[k];
    }
    for (size_t k = 0; k < ATTEMPTS_GROUPS; k++) {
        sums[i->version].attempts[k] += i->figures->calls.attempts[k];
    }
    return 0;
}

/* The versions allow 2, 3 and 4 attempts; each call makes all of them. */
static void
whole_calls_belong_to_the_version_of_their_verdict(void **state)
{
    static const char *const attempts[] = {"2", "3", "4"};
    struct history_range range = {"pay", 0, UINT64_MAX, false};
    struct scene *s = *state;
    struct bide_policy *p;

    begin(s, "[pay]\nattempts = 2\nwait = none\n");
    assert_int_equal(bide_lookup(s->b, "pay", NULL, &p), 0);
    for (int v = 1; v <= 3; v++) {
        if (v > 1) {
            change(s, "attempts", attempts[v - 1], 0);
        }
        for (int i = 0; i < 5 * v; i++) {
            bide_run(p, fail_attempt, NULL);
        }
    }
    for (int recorded = 0; recorded < 2; recorded++) {
        struct call_counts sums[4] = {0};
        struct admin *a = scene_admin(s);
        struct history_known past;

        assert_int_equal(past_each_interval(admin_past(a), &range, NULL,
                                            add_whole, sums, &past),
                         0);
        for (uint64_t v = 1; v <= 3; v++) {
            uint64_t took = 0;

            for (size_t k = 0; k < HISTOGRAM_BUCKETS; k++) {
                took += sums[v].took[k];
            }
            assert_int_equal(took, 5 * v);
            for (size_t k = 0; k < 3; k++) { /* 2, 3, 4 attempts */
                assert_int_equal(sums[v].attempts[k], k + 1 == v ? 5 * v : 0);
            }
        }
        admin_close(a);
        record(s);
    }
}

/* Marks are input: garbage in them moves no count. */
static void
garbage_in_marks_loses_no_call(void **state)
{
    struct scene *s = *state;
    uint64_t calls[VERSIONS];
    uint32_t index;
    struct admin *a;
    struct live *l;
    int fd, parts;

    begin(s, "[pay]\nattempts = 2\n");
    run_calls(s->b, 5);
    change(s, "attempts", "3", 0);
    run_calls(s->b, 6);
    change(s, "attempts", "4", 0);
    run_calls(s->b, 7);
    a = scene_admin(s);
    l = past_live(admin_past(a), false);
    assert_int_equal(cell_find(l, "pay", "", false, &index), 0);
    fd = open(reader_live_path(admin_past(a)->reader), O_RDWR);
    assert_true(fd >= 0);
    for (off_t at = 0; at < 600; at += 4) {
        off_t place = (off_t)(LIVE_MARKS + (uint64_t)index * MARKS_SIZE) + at;
        uint32_t before, bad;

        assert_int_equal(pread(fd, &before, 4, place), 4);
        bad = before ^ 0x5a5a5a5au;
        assert_int_equal(pwrite(fd, &bad, 4, place), 4);
        parts = 0;
        assert_int_equal(cell_each_part(l, index, count_parts, &parts), 0);
        assert_in_range(parts, 1, 3);
        read_versions(s, calls);
        assert_int_equal(calls[1] + calls[2] + calls[3], 18);
        assert_int_equal(pwrite(fd, &before, 4, place), 4);
    }
    close(fd);
    admin_close(a);
    ASSERT_VERSIONS(s, 0, 5, 6, 7);
}

/* A mark that is not between the last recording and now is left out. */
static void
a_recording_after_the_mark_leaves_nothing_to_split(void **state)
{
    struct scene *s = *state;

    begin(s, "[pay]\nattempts = 2\n");
    run_calls(s->b, 5);
    record(s);
    run_calls(s->b, 5);
    change(s, "attempts", "3", 0); /* records, then leaves a mark */
    run_calls(s->b, 6);
    record(s);
    ASSERT_VERSIONS(s, 0, 10, 6);
    change(s, "attempts", "4", 0);
    change(s, "attempts", "5", 0);
    run_calls(s->b, 7);
    ASSERT_VERSIONS(s, 0, 10, 6, 0, 7);
    scene_delete(s, "pay");
    run_calls(s->b, 8);
    ASSERT_VERSIONS(s, 8, 10, 6, 0, 7);
}

/* Puts older copies of the registry back; the numbers of versions go on. */
static void
a_number_is_not_used_again_after_an_older_registry(void **state)
{
    char path[400], old[410];
    struct scene *s = *state;

    begin(s, "[pay]\nattempts = 2\n");
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", s->dir);
    snprintf(old, sizeof(old), "%s.old", path);
    run_calls(s->b, 5);
    for (int recorded = 0; recorded < 2; recorded++) {
        scene_copy(path, old);
        change(s, "attempts", "3", 0); /* version 2, then 4 */
        run_calls(s->b, 4);
        if (recorded) {
            record(s);
        }
        assert_int_equal(rename(old, path), 0);
        assert_int_equal(bide_close(s->b), 0);
        assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
        run_calls(s->b, 3); /* for version 1, then 3 */
        change(s, "attempts", recorded ? "6" : "4", 0); /* version 3, then 5 */
        run_calls(s->b, 2);
    }
    ASSERT_VERSIONS(s, 0, 8, 4, 5, 4, 2);
    change(s, "attempts", "5", 0);
    run_calls(s->b, 1);
    ASSERT_VERSIONS(s, 0, 8, 4, 5, 4, 2, 1);
}

#define CLOCKED(test) \
    cmocka_unit_test_setup_teardown(test, setup_clock, teardown_clock)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOCKED(a_temporary_version_ends_for_calls_that_only_succeed),
        CLOCKED(several_processes_split_at_the_same_moments),
        CLOCKED(a_killed_process_leaves_the_mark_to_the_next),
        CLOCKED(a_mark_without_space_is_said_and_loses_no_call),
        CLOCKED(the_oldest_versions_join_when_the_ring_is_full),
        CLOCKED(whole_calls_belong_to_the_version_of_their_verdict),
        CLOCKED(garbage_in_marks_loses_no_call),
        CLOCKED(a_recording_after_the_mark_leaves_nothing_to_split),
        CLOCKED(a_number_is_not_used_again_after_an_older_registry),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
