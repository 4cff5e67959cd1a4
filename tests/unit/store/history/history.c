/* Recording and reading a history.  Recorders are killed before each of their
 * steps: this program replaces write and similar functions. */
#include "recorded.h"
#include "unit/store/policies/seen.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static long steps_left; /* before which step this process dies; 0: none */
static int full;        /* the disk is full: every write fails */

static void
count_step(void)
{
    if (steps_left && !--steps_left) {
        kill(getpid(), SIGKILL);
    }
}

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    count_step();
    if (full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

SEEN ssize_t
write(int fd, const void *bytes, size_t length)
{
    count_step();
    return syscall(SYS_write, fd, bytes, length);
}

SEEN ssize_t
pwritev(int fd, const struct iovec *list, int count, off_t at)
{
    count_step();
    if (full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwritev, fd, list, count, at, 0);
}

SEEN ssize_t
writev(int fd, const struct iovec *list, int count)
{
    count_step();
    if (full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_writev, fd, list, count);
}

SEEN int
fdatasync(int fd)
{
    (void)fd;
    count_step();
    return 0;
}

SEEN int
rename(const char *from, const char *to)
{
    count_step();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
/* ---- recording ---- */

static void
recordings_add_up_to_the_counts(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    for (int i = 0; i < 200; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    assert_all_recorded(t, h);
    free(h);
}

static void
an_hour_without_a_recorder_is_one_long_interval(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct history_range late;
    struct seen *s;
    uint64_t before;

    pass_time(h, MINUTE);
    count_calls(h, 0, 1);
    assert_int_equal(record(t, h), 0);
    before = h->now_ns;
    pass_time(h, 90 * MINUTE);
    count_calls(h, 0, 1);
    assert_int_equal(record(t, h), 0);
    late = (struct history_range){"pay", before, h->now_ns, false};
    s = read_sums(t, late, 0);
    assert_int_equal(s->first_ns, before);
    assert_int_equal(s->last_ns, h->now_ns);
    free(s);
    assert_all_recorded(t, h);
    free(h);
}

static void
the_first_interval_begins_with_the_live_state(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct seen *s;

    count_calls(h, 1, 3);
    assert_int_equal(record(t, h), 0);
    s = read_sums(t, everything, 0);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->first_ns, h->live.begun_ns);
    free(s);
    free(h);
}

static void
a_second_recording_in_a_minute_is_refused_as_done(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    pass_time(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    pass_time(h, SECOND);
    assert_int_equal(record(t, h), RECORDING_DONE);
    pass_time(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    assert_all_recorded(t, h);
    free(h);
}

static void
a_new_live_state_starts_from_zero(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    for (int i = 0; i < 300; i++) {
        if (i % 30 == 29) {
            memset(h->total, 0, sizeof(h->total));
            h->live.begun_ns = h->now_ns + SECOND;
            h->live.boot[0]++;
        }
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    assert_all_recorded(t, h);
    free(h);
}

/* Records one cell's outcomes. */
static void
record_outcomes(const struct scratch *t, struct host *h, uint32_t ours,
                uint64_t other)
{
    struct figures total = {.counter = {0}};
    struct recording *r;
    uint64_t turned;
    uint32_t id;

    h->now_ns += MINUTE;
    assert_int_equal(recording_begin(t->dir, &h->live, h->now_ns, MINUTE, &r),
                     0);
    assert_int_equal(recording_outcome(r, "app.stock", &id), 0);
    figures_add_outcome(&total, id, ours);
    figures_add_outcome(&total, 0, other);
    assert_int_equal(recording_put(r, "pay", "", 1, 1, false, &total, &turned),
                     0);
    assert_int_equal(recording_commit(r), 0);
    recording_end(r);
}

/* Its count is 0 in some recordings, as if its name could not be read. */
static void
an_outcome_missing_from_some_recordings_is_counted_once(void **state)
{
    static const uint32_t ours[] = {5, 7, 0, 0, 8, 0, 9};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct seen *s;

    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        record_outcomes(t, h, ours[i], 3);
    }
    s = read_sums(t, everything, 0);
    assert_int_equal(s->sum[0].outcome_count, 1);
    assert_int_equal(s->sum[0].outcome[0].count, 9 + 3);
    free(s);
    free(h);
}

static void
a_cell_without_change_writes_nothing(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct seen *s;

    count_calls(h, 2, 3);
    assert_int_equal(record(t, h), 0);
    for (int i = 0; i < 130; i++) {
        h->now_ns += MINUTE;
        assert_int_equal(record(t, h), 0);
    }
    s = read_sums(t, (struct history_range){NULL, 0, UINT64_MAX, true}, 0);
    assert_int_equal(s->count, 1);
    free(s);
    s = read_sums(t, everything, 0);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->hours, 1);
    free(s);
    free(h);
}

static void
a_clock_set_back_loses_no_counts(void **state)
{
    static const int64_t jumps[] = {-10 * 60, -3 * 3600, 7200, -86400 * 30, 5};
    struct scratch *t = *state;
    struct host *h = new_host();

    for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
        for (int k = 0; k < 3; k++) {
            pass_time(h, MINUTE);
            assert_int_equal(record(t, h), 0);
        }
        h->now_ns += (uint64_t)(jumps[i] * (int64_t)SECOND);
    }
    pass_time(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    {
        struct history_range minutes = {NULL, 0, UINT64_MAX, true};
        struct seen *s = read_sums(t, minutes, 0);

        for (unsigned i = 0; i < CELLS; i++) {
            assert_true(figures_equal(&s->sum[i], &h->all[i]));
        }
        free(s);
    }
    free(h);
}

static void
counts_of_versions_are_separate_even_within_an_hour(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct figures upto[4][CELLS], want;

    memset(upto, 0, sizeof(upto));
    for (int i = 0; i < 90; i++) {
        h->version = 1 + (uint32_t)i / 30;
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
        memcpy(upto[h->version], h->all, sizeof(h->all));
    }
    h->now_ns += 2 * HOUR; /* then hours hold all counts */
    assert_int_equal(record(t, h), 0);
    for (uint32_t v = 1; v <= 3; v++) {
        struct seen *s = read_sums(t, everything, v);

        for (unsigned c = 0; c < CELLS; c++) {
            figures_between(&upto[v - 1][c], &upto[v][c], &want);
            assert_true(figures_equal(&s->sum[c], &want));
        }
        assert_int_equal(s->hours, s->count);
        free(s);
    }
    free(h);
}

static void
adjacent_ranges_add_up(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    uint64_t begin;

    h->now_ns = MORNING; /* some end on the full hour */
    for (int i = 0; i < 400; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    begin = MORNING;
    for (int i = 0; i < 50; i++) {
        uint64_t cut = begin + below(&h->seed, h->now_ns - begin);

        if (i % 5 == 0) { /* full hours, and 1 ns before and after */
            cut = cut / HOUR * HOUR + below(&h->seed, 3) - 1;
        }
        struct history_range a = {NULL, 0, cut, i % 2};
        struct history_range b = {NULL, cut, UINT64_MAX, i % 2};
        struct seen *x = read_sums(t, a, 0), *y = read_sums(t, b, 0);

        for (unsigned c = 0; c < CELLS; c++) {
            figures_add(&x->sum[c], &y->sum[c]);
            assert_true(figures_equal(&x->sum[c], &h->all[c]));
        }
        free(x);
        free(y);
    }
    free(h);
}

/* ---- killed ---- */

/* Records in a child that dies before the step `steps`; returns whether it was
 * killed. */
static bool
record_in_child(const struct scratch *t, struct host *h, long steps)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        steps_left = steps;
        _exit(record(t, h) == 0 ? 0 : 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    return WIFSIGNALED(status);
}

static void
a_recorder_killed_at_any_step_counts_nothing_twice(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    unsigned killed = 0;

    for (int i = 0; i < 300; i++) {
        pass_time(h, 2 * MINUTE);
        killed += record_in_child(t, h, 1 + i % 11);
        if (i % 3 == 0) {
            h->now_ns += MINUTE;
            assert_int_equal(record(t, h), 0);
            assert_all_recorded(t, h);
        }
    }
    assert_in_range(killed, 100, 299); /* not all: some need fewer steps */
    h->now_ns += MINUTE;
    assert_int_equal(record(t, h), 0);
    assert_all_recorded(t, h);
    free(h);
}

static void
a_full_disk_delays_counts_but_loses_none(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    pass_time(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    for (int i = 0; i < 5; i++) {
        pass_time(h, MINUTE);
        full = 1;
        assert_int_equal(record(t, h), BIDE_EFULL);
        full = 0;
    }
    h->now_ns += MINUTE;
    assert_int_equal(record(t, h), 0);
    assert_all_recorded(t, h);
    free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(recordings_add_up_to_the_counts),
        SCRATCH(an_hour_without_a_recorder_is_one_long_interval),
        SCRATCH(the_first_interval_begins_with_the_live_state),
        SCRATCH(a_second_recording_in_a_minute_is_refused_as_done),
        SCRATCH(a_new_live_state_starts_from_zero),
        SCRATCH(an_outcome_missing_from_some_recordings_is_counted_once),
        SCRATCH(a_cell_without_change_writes_nothing),
        SCRATCH(a_clock_set_back_loses_no_counts),
        SCRATCH(counts_of_versions_are_separate_even_within_an_hour),
        SCRATCH(adjacent_ranges_add_up),
        SCRATCH(a_recorder_killed_at_any_step_counts_nothing_twice),
        SCRATCH(a_full_disk_delays_counts_but_loses_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
