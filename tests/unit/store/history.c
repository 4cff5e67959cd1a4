/* Recording, and reading what was recorded.  Time is a number, counts are made
 * up, and recorders are killed before each of their steps: write and its like
 * are replaced by symbols of this program. */
#include "unit/store/scratch.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "rule/histogram.h"
#include "store/history.h"
#include "store/pages.h"
#include "store/recording.h"

#define SEEN __attribute__((visibility("default")))
#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MORNING (UINT64_C(20000) * DAY)

enum { CELLS = 5 };

static long steps_left; /* to the one before which this process dies */
static int full;        /* the disk: nothing can be written */

static void
step(void)
{
    if (steps_left && !--steps_left) {
        kill(getpid(), SIGKILL);
    }
}

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    step();
    if (full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

SEEN ssize_t
write(int fd, const void *bytes, size_t length)
{
    step();
    return syscall(SYS_write, fd, bytes, length);
}

SEEN ssize_t
pwritev(int fd, const struct iovec *list, int count, off_t at)
{
    step();
    if (full) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwritev, fd, list, count, at, 0);
}

SEEN ssize_t
writev(int fd, const struct iovec *list, int count)
{
    step();
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
    step();
    return 0;
}

SEEN int
rename(const char *from, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- a host whose calls are counted ---- */

static const struct {
    const char *name, *scope;
} cells[CELLS] = {
    {"pay", ""}, {"pay", "bank"}, {"mail", ""}, {"order", ""}, {"@pool", ""},
};

struct host {
    uint64_t seed, now_ns;
    struct recording_source live;
    struct figures total[CELLS]; /* of this live state */
    struct figures all[CELLS];   /* of all of them */
    uint32_t version;
};

static struct host *
new_host(void)
{
    struct host *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    h->seed = 42;
    h->now_ns = MORNING + 17 * SECOND;
    h->live = (struct recording_source){MORNING, {1}};
    h->version = 1;
    return h;
}

static void
count_calls(struct host *h, unsigned cell, unsigned calls)
{
    struct figures f = {.counter = {0}};

    for (unsigned i = 0; i < calls; i++) {
        uint64_t ns = 1000 + below(&h->seed, SECOND);

        f.succeeded[histogram_bucket(ns)]++;
        if (below(&h->seed, 4) == 0) {
            f.failed[histogram_bucket(ns / 2)]++;
            f.counter[COUNTER_RETRIES]++;
            f.counter[COUNTER_SLEPT_NS] += ns;
            figures_add_outcome(&f, 0, 1);
        }
        if (below(&h->seed, 9) == 0) {
            f.counter[COUNTER_ABORTED]++;
            f.budget_refused++;
        }
    }
    figures_add(&h->total[cell], &f);
    figures_add(&h->all[cell], &f);
}

static void
pass(struct host *h, uint64_t ns)
{
    h->now_ns += ns;
    for (unsigned i = 0; i < CELLS; i++) {
        if (below(&h->seed, 3)) {
            count_calls(h, i, (unsigned)below(&h->seed, 20));
        }
    }
}

static int
record(const struct scratch *t, struct host *h)
{
    struct recording *r;
    uint64_t turned;
    uint32_t outcome = 0;
    int rc = recording_begin(t->dir, &h->live, h->now_ns, MINUTE, &r);

    if (rc) {
        return rc;
    }
    rc = recording_outcome(r, "http.503", &outcome);
    for (unsigned i = 0; i < CELLS && !rc; i++) {
        struct figures total = h->total[i];

        total.outcome[0].id = outcome; /* there is one at most */
        rc = recording_put(r, cells[i].name, cells[i].scope, h->version, &total,
                           &turned);
    }
    if (!rc) {
        rc = recording_commit(r);
    }
    recording_end(r);
    return rc;
}

/* ---- looking ---- */

struct seen {
    struct figures sum[CELLS];
    uint64_t count, hours, first_ns, last_ns, damaged;
    uint32_t version; /* only that one; 0: all */
};

static int
see(void *arg, const struct history_interval *i)
{
    struct seen *s = arg;

    if (s->version && s->version != i->version) {
        return 0;
    }
    for (unsigned c = 0; c < CELLS; c++) {
        if (!strcmp(cells[c].name, i->name) &&
            !strcmp(cells[c].scope, i->scope)) {
            struct figures f = *i->figures;

            f.outcome_count = 0; /* all of them under one number */
            for (uint32_t k = 0; k < i->figures->outcome_count; k++) {
                figures_add_outcome(&f, 0, i->figures->outcome[k].count);
            }
            figures_add(&s->sum[c], &f);
        }
    }
    s->first_ns =
        s->count && s->first_ns < i->begin_ns ? s->first_ns : i->begin_ns;
    s->last_ns = i->end_ns > s->last_ns ? i->end_ns : s->last_ns;
    s->count++;
    s->hours += i->hour;
    return 0;
}

static struct seen *
look(const struct scratch *t, struct history_range range, uint32_t version)
{
    struct seen *s = calloc(1, sizeof(*s));
    struct history *h;

    assert_non_null(s);
    s->version = version;
    assert_int_equal(history_open(t->dir, &h), 0);
    assert_int_equal(history_each(h, &range, see, s, &s->damaged), 0);
    history_close(h);
    return s;
}

static const struct history_range everything = {NULL, 0, UINT64_MAX, false};

static bool
same(const struct figures *a, const struct figures *b)
{
    uint8_t *x = malloc(FIGURES_BYTES), *y = malloc(FIGURES_BYTES);
    size_t n, m;
    bool is;

    assert_non_null(x);
    assert_non_null(y);
    n = figures_write(a, x);
    m = figures_write(b, y);
    is = n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return is;
}

static void
assert_all_recorded(const struct scratch *t, const struct host *h)
{
    struct history_range minutes = {NULL, 0, UINT64_MAX, true};
    struct seen *a = look(t, everything, 0), *b = look(t, minutes, 0);

    for (unsigned i = 0; i < CELLS; i++) {
        assert_true(same(&a->sum[i], &h->all[i]));
        assert_true(same(&b->sum[i], &h->all[i]));
    }
    assert_int_equal(a->damaged + b->damaged, 0);
    free(a);
    free(b);
}

static void
assert_all_but_minutes_recorded(const struct scratch *t, const struct host *h)
{
    struct seen *a = look(t, everything, 0);

    for (unsigned i = 0; i < CELLS; i++) {
        assert_true(same(&a->sum[i], &h->all[i]));
    }
    free(a);
}

/* ---- figures ---- */

static void
figures_survive_the_way_through_bits(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, 2, 3, 127, UINT32_MAX, UINT64_MAX - 1};
    uint8_t bytes[FIGURES_BYTES];
    struct figures f, back;
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        memset(&f, 0, sizeof(f));
        f.counter[0] = f.counter[COUNTER_ROOM - 1] = numbers[i];
        f.succeeded[0] = f.failed[HISTOGRAM_BUCKETS - 1] = numbers[i];
        f.budget_refused = numbers[i];
        figures_add_outcome(&f, 0, numbers[i]);
        figures_add_outcome(&f, UINT32_MAX, numbers[i]);
        length = figures_write(&f, bytes);
        assert_true(figures_read(bytes, length, &back));
        assert_memory_equal(&f, &back, sizeof(f));
        assert_int_equal(figures_none(&f), numbers[i] == 0);
        if (length > 1) {
            assert_false(figures_read(bytes, length - 1, &back));
        }
        bytes[length] = 0;
        assert_false(figures_read(bytes, length + 1, &back));
    }
}

static void
the_largest_figures_fit(void **state)
{
    struct figures *f = calloc(2, sizeof(*f));
    uint8_t bytes[FIGURES_BYTES];

    (void)state;
    assert_non_null(f);
    memset(f->counter, 0xff, sizeof(f->counter));
    memset(f->succeeded, 0xff, sizeof(f->succeeded));
    memset(f->failed, 0xff, sizeof(f->failed));
    f->opened = UINT64_MAX;
    for (uint32_t i = 0; i < 2 * FIGURES_OUTCOMES; i++) {
        figures_add_outcome(f, UINT32_MAX - i, UINT64_MAX);
    }
    assert_int_equal(f->outcome_count, FIGURES_OUTCOMES);
    assert_int_equal(f->outcome[FIGURES_OUTCOMES - 1].id, 0);
    assert_true(figures_read(bytes, figures_write(f, bytes), f + 1));
    assert_int_equal(f[1].failed[7], UINT64_MAX);
    figures_add(f, f + 1);
    assert_int_equal(f->counter[3], UINT64_MAX);
    free(f);
}

static void
garbage_is_no_figures_or_some_but_never_harm(void **state)
{
    uint64_t seed = 7;
    uint8_t bytes[64];
    struct figures f;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t length = below(&seed, sizeof(bytes));

        for (size_t k = 0; k < length; k++) {
            bytes[k] = (uint8_t)draw(&seed);
        }
        if (figures_read(bytes, length, &f)) {
            assert_true(f.outcome_count <= FIGURES_OUTCOMES);
        }
    }
}

static void
what_became_less_counts_as_nothing(void **state)
{
    struct figures before = {.counter = {5}}, now = {.counter = {3, 4}}, d;

    (void)state;
    figures_between(&before, &now, &d);
    assert_int_equal(d.counter[0], 0);
    assert_int_equal(d.counter[1], 4);
}

/* ---- recording ---- */

static void
what_was_counted_is_what_was_recorded(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    for (int i = 0; i < 200; i++) {
        pass(h, MINUTE);
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

    pass(h, MINUTE);
    count_calls(h, 0, 1);
    assert_int_equal(record(t, h), 0);
    before = h->now_ns;
    pass(h, 90 * MINUTE);
    count_calls(h, 0, 1);
    assert_int_equal(record(t, h), 0);
    late = (struct history_range){"pay", before, h->now_ns, false};
    s = look(t, late, 0);
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
    s = look(t, everything, 0);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->first_ns, h->live.begun_ns);
    free(s);
    free(h);
}

static void
a_second_recorder_finds_the_minute_recorded(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    pass(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    pass(h, SECOND);
    assert_int_equal(record(t, h), RECORDING_DONE);
    pass(h, MINUTE);
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
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    assert_all_recorded(t, h);
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
    s = look(t, (struct history_range){NULL, 0, UINT64_MAX, true}, 0);
    assert_int_equal(s->count, 1);
    free(s);
    s = look(t, everything, 0);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->hours, 1);
    free(s);
    free(h);
}

static void
a_clock_that_is_set_back_loses_nothing(void **state)
{
    static const int64_t jumps[] = {-10 * 60, -3 * 3600, 7200, -86400 * 30, 5};
    struct scratch *t = *state;
    struct host *h = new_host();

    for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
        for (int k = 0; k < 3; k++) {
            pass(h, MINUTE);
            assert_int_equal(record(t, h), 0);
        }
        h->now_ns += (uint64_t)(jumps[i] * (int64_t)SECOND);
    }
    pass(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    {
        struct history_range minutes = {NULL, 0, UINT64_MAX, true};
        struct seen *s = look(t, minutes, 0);

        for (unsigned i = 0; i < CELLS; i++) {
            assert_true(same(&s->sum[i], &h->all[i]));
        }
        free(s);
    }
    free(h);
}

static void
versions_are_kept_apart_also_within_an_hour(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct figures upto[4][CELLS], want;

    memset(upto, 0, sizeof(upto));
    for (int i = 0; i < 90; i++) {
        h->version = 1 + (uint32_t)i / 30;
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
        memcpy(upto[h->version], h->all, sizeof(h->all));
    }
    h->now_ns += 2 * HOUR; /* so that all is in hours */
    assert_int_equal(record(t, h), 0);
    for (uint32_t v = 1; v <= 3; v++) {
        struct seen *s = look(t, everything, v);

        for (unsigned c = 0; c < CELLS; c++) {
            figures_between(&upto[v - 1][c], &upto[v][c], &want);
            assert_true(same(&s->sum[c], &want));
        }
        assert_int_equal(s->hours, s->count);
        free(s);
    }
    free(h);
}

static void
ranges_that_meet_add_up(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    uint64_t begin;

    h->now_ns = MORNING; /* some end on the full hour */
    for (int i = 0; i < 400; i++) {
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    begin = MORNING;
    for (int i = 0; i < 50; i++) {
        uint64_t cut = begin + below(&h->seed, h->now_ns - begin);

        if (i % 5 == 0) { /* full hours, and beside them */
            cut = cut / HOUR * HOUR + below(&h->seed, 3) - 1;
        }
        struct history_range a = {NULL, 0, cut, i % 2};
        struct history_range b = {NULL, cut, UINT64_MAX, i % 2};
        struct seen *x = look(t, a, 0), *y = look(t, b, 0);

        for (unsigned c = 0; c < CELLS; c++) {
            figures_add(&x->sum[c], &y->sum[c]);
            assert_true(same(&x->sum[c], &h->all[c]));
        }
        free(x);
        free(y);
    }
    free(h);
}

/* ---- killed ---- */

/* Gives whether it was killed. */
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
        pass(h, 2 * MINUTE);
        killed += record_in_child(t, h, 1 + i % 11);
        if (i % 3 == 0) {
            h->now_ns += MINUTE;
            assert_int_equal(record(t, h), 0);
            assert_all_recorded(t, h);
        }
    }
    assert_in_range(killed, 100, 299); /* some came through */
    h->now_ns += MINUTE;
    assert_int_equal(record(t, h), 0);
    assert_all_recorded(t, h);
    free(h);
}

static void
a_full_disk_delays_and_loses_nothing(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    pass(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    for (int i = 0; i < 5; i++) {
        pass(h, MINUTE);
        full = 1;
        assert_int_equal(record(t, h), BIDE_EFULL);
        full = 0;
    }
    h->now_ns += MINUTE;
    assert_int_equal(record(t, h), 0);
    assert_all_recorded(t, h);
    free(h);
}

/* ---- percentiles ---- */

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
percentiles_of_merged_minutes_are_within_3_percent(void **state)
{
    enum { CALLS = 30000 };
    static const double shares[] = {0.5, 0.9, 0.95, 0.99};
    struct scratch *t = *state;
    struct host *h = new_host();
    double *exact = calloc(CALLS, sizeof(*exact));
    struct seen *s;

    assert_non_null(exact);
    for (unsigned i = 0; i < CALLS; i++) {
        double u = (double)(1 + below(&h->seed, 1000000)) / 1000001;

        exact[i] = 2e6 * pow(u, -0.7); /* 2 ms and a long tail */
        h->total[0].succeeded[histogram_bucket((uint64_t)exact[i])]++;
        if (i % 100 == 99) {
            h->now_ns += MINUTE;
            assert_int_equal(record(t, h), 0);
        }
    }
    s = look(t, everything, 0);
    qsort(exact, CALLS, sizeof(*exact), by_size);
    for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
        double want = exact[(size_t)(shares[i] * CALLS) - 1];
        double got = (double)histogram_at_ns(s->sum[0].succeeded, shares[i]);

        assert_true(fabs(got - want) <= 0.03 * want);
    }
    free(s);
    free(exact);
    free(h);
}

/* ---- retention ---- */

static int
record_and_prune(const struct scratch *t, struct host *h,
                 const struct recording_keep *keep, uint32_t most,
                 struct recording_result *out)
{
    struct recording *r;
    uint64_t turned;
    int rc = recording_begin(t->dir, &h->live, h->now_ns, MINUTE, &r);

    assert_int_equal(rc, 0);
    for (unsigned i = 0; i < CELLS; i++) {
        assert_int_equal(recording_put(r, cells[i].name, cells[i].scope, 1,
                                       &h->total[i], &turned),
                         0);
    }
    assert_int_equal(recording_prune(r, keep, most), 0);
    assert_int_equal(recording_commit(r), 0);
    recording_result(r, out);
    recording_end(r);
    return rc;
}

static void
old_minutes_go_and_their_hours_stay(void **state)
{
    static const struct recording_keep keep = {3 * HOUR, 100 * DAY, UINT64_MAX};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct recording_result result;
    struct seen *s;

    for (int i = 0; i < 600; i++) {
        pass(h, MINUTE);
        record_and_prune(t, h, &keep, 2, &result);
        assert_true(result.pruned <= 2);
    }
    assert_all_recorded(t, h);
    s = look(t, (struct history_range){"pay", 0, UINT64_MAX, true}, 0);
    assert_in_range(s->hours, 1, 20);
    assert_in_range(s->count - s->hours, 120, 500);
    free(s);
    /* From within an hour whose minutes are gone: all of that hour. */
    s = look(t,
             (struct history_range){"pay", MORNING + 100 * MINUTE,
                                    MORNING + 2 * HOUR, false},
             0);
    assert_true(s->count > 0);
    assert_int_equal(s->hours, s->count);
    free(s);
    free(h);
}

static void
old_hours_go_too(void **state)
{
    static const struct recording_keep keep = {HOUR, 5 * HOUR, UINT64_MAX};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct recording_result result;
    struct seen *s;

    for (int i = 0; i < 120; i++) {
        pass(h, 10 * MINUTE);
        record_and_prune(t, h, &keep, 100, &result);
    }
    s = look(t, everything, 0);
    assert_true(s->first_ns >= h->now_ns - 7 * HOUR);
    assert_true(s->first_ns <= h->now_ns - 4 * HOUR);
    free(s);
    free(h);
}

/* The largest size in use, of so many minutes. */
static uint64_t
largest(const struct scratch *t, struct host *h, uint64_t bytes, int minutes)
{
    const struct recording_keep keep = {900 * DAY, 900 * DAY, bytes};
    struct recording_result result;
    uint64_t most = 0;

    for (int i = 0; i < minutes; i++) {
        pass(h, MINUTE);
        record_and_prune(t, h, &keep, 1000, &result);
        most = result.bytes > most ? result.bytes : most;
    }
    return most;
}

static void
the_size_bounds_the_time(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    uint64_t unbounded = largest(t, h, UINT64_MAX, 700), before;
    struct history_known known;
    struct history *reader;

    before = unbounded * 3 / 4;
    (void)largest(t, h, before, 100); /* down to it, an hour at a time */
    assert_in_range(largest(t, h, before, 900), before / 2, before * 5 / 4);
    assert_int_equal(history_open(t->dir, &reader), 0);
    assert_int_equal(history_known(reader, &known), 0);
    history_close(reader);
    /* Minutes went, hours stay. */
    assert_in_range(known.minutes_from_ns, MORNING, h->now_ns);
    assert_true(known.hours_from_ns < MORNING);
    assert_all_but_minutes_recorded(t, h);
    free(h);
}

/* ---- damage ---- */

static void
a_damaged_record_is_passed_over_and_counted(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    char path[400];
    uint64_t sound;
    struct seen *s;
    unsigned hit = 0;

    for (int i = 0; i < 200; i++) {
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    s = look(t, (struct history_range){NULL, 0, UINT64_MAX, true}, 0);
    sound = s->count;
    free(s);
    snprintf(path, sizeof(path), "%s/history.mdb", t->dir);
    for (int i = 0; i < 400; i++) {
        int fd = open(path, O_RDWR);
        struct history *open_history;
        uint8_t byte, changed;
        off_t at, end = lseek(fd, 0, SEEK_END);

        at = 8192 + (off_t)below(&h->seed, (uint64_t)end - 8192);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        if (history_open(t->dir, &open_history) == 0) {
            struct history_range all = {NULL, 0, UINT64_MAX, true};

            s = calloc(1, sizeof(*s));
            assert_non_null(s);
            assert_int_equal(
                history_each(open_history, &all, see, s, &s->damaged), 0);
            hit += s->damaged > 0;
            assert_true(s->damaged || s->count == sound);
            free(s);
            history_close(open_history);
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    assert_true(hit > 5);
    free(h);
}

struct copy {
    char path[400];
    uint8_t *bytes;
    size_t size;
};

static void
take_copy(const struct scratch *t, struct copy *c)
{
    struct stat st;
    int fd;

    snprintf(c->path, sizeof(c->path), "%s/history.mdb", t->dir);
    fd = open(c->path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    c->size = (size_t)st.st_size;
    c->bytes = malloc(c->size);
    assert_non_null(c->bytes);
    assert_int_equal(pread(fd, c->bytes, c->size, 0), c->size);
    close(fd);
}

/* The file as it was, with one page that is not (SIZE_MAX: none). */
static void
put_copy(const struct copy *c, size_t page)
{
    int fd;

    unlink(c->path);
    fd = open(c->path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, c->bytes, c->size, 0), c->size);
    if (page != SIZE_MAX) {
        assert_int_equal(pwrite(fd, "damaged!damaged!", 16, (off_t)page * 4096),
                         16);
    }
    close(fd);
}

static bool
none_is_above(const struct seen *s, const struct host *h)
{
    struct figures sum;

    for (unsigned c = 0; c < CELLS; c++) {
        figures_between(&h->all[c], &s->sum[c], &sum);
        if (!figures_none(&sum)) {
            return false;
        }
    }
    return true;
}

static const struct history_range each_minute = {NULL, 0, UINT64_MAX, true};

/* What is recorded after a rescue is what was counted since. */
static void
assert_counting_goes_on(const struct scratch *t, struct host *h)
{
    struct figures before[CELLS], brought, counted;
    struct seen *a = look(t, each_minute, 0), *b;

    memcpy(before, h->all, sizeof(before));
    pass(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    b = look(t, each_minute, 0);
    for (unsigned c = 0; c < CELLS; c++) {
        figures_between(&a->sum[c], &b->sum[c], &brought);
        figures_between(&before[c], &h->all[c], &counted);
        assert_true(same(&brought, &counted));
    }
    assert_true(none_is_above(b, h));
    free(a);
    free(b);
}

static void
of_a_file_with_a_damaged_page_the_rest_goes_on(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host(), *now = new_host();
    unsigned read = 0, rescued = 0;
    struct copy copy;
    struct seen *s;

    for (int i = 0; i < 400; i++) {
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    take_copy(t, &copy);
    for (size_t page = 2; page < copy.size / 4096; page++) {
        struct history *reader;
        char aside[420];

        *now = *h;
        put_copy(&copy, page);
        if (history_open(t->dir, &reader) == 0) {
            history_close(reader);
            s = look(t, each_minute, 0);
            assert_true(none_is_above(s, h));
            assert_true(s->count > 0 || s->damaged > 0);
            read += s->damaged > 0 && s->count > 1000;
            free(s);
        }
        snprintf(aside, sizeof(aside), "%s.damaged", copy.path);
        unlink(aside);
        pass(now, MINUTE);
        assert_int_equal(record(t, now), 0);
        rescued += access(aside, F_OK) == 0;
        assert_counting_goes_on(t, now);
    }
    assert_true(read >= 8);
    assert_true(rescued >= 15);
    free(copy.bytes);
    free(now);
    free(h);
}

/* Names, bases, blocks, events, lists of pages: whatever it hits. */
static void
after_a_flipped_bit_nothing_is_counted_twice(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host(), *now = new_host();
    struct copy copy;

    for (int i = 0; i < 30; i++) {
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    take_copy(t, &copy);
    for (int i = 0; i < 1000; i++) {
        size_t at = 8192 + below(&h->seed, copy.size - 8192);
        uint8_t bit = (uint8_t)(1u << below(&h->seed, 8));
        struct seen *s;

        *now = *h;
        copy.bytes[at] ^= bit;
        put_copy(&copy, SIZE_MAX);
        copy.bytes[at] ^= bit;
        pass(now, MINUTE);
        assert_int_equal(record(t, now), 0);
        s = look(t, each_minute, 0);
        assert_true(none_is_above(s, now));
        free(s);
        assert_counting_goes_on(t, now);
    }
    free(copy.bytes);
    free(now);
    free(h);
}

static void
a_truncated_file_is_an_error_and_no_crash(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct history *reader;
    char path[400];
    struct stat st;
    unsigned damaged = 0;

    for (int i = 0; i < 20; i++) {
        pass(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    snprintf(path, sizeof(path), "%s/history.mdb", t->dir);
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size > 0; size -= 4097) {
        int rc;

        assert_int_equal(truncate(path, size), 0);
        pass(h, MINUTE);
        rc = record(t, h); /* what was cut off may have been unused */
        damaged += rc == BIDE_EDAMAGED;
        assert_true(rc == 0 || rc == BIDE_EDAMAGED);
        if (history_open(t->dir, &reader) == 0) {
            history_close(reader);
        }
    }
    assert_true(damaged > 0);
    free(h);
}

/* ---- events and levels ---- */

static int
count_event(void *arg, const char *name, const char *scope,
            const struct history_event *event)
{
    struct history_event *last = arg;

    assert_string_equal(name, "pay");
    assert_string_equal(scope, event->kind == HISTORY_LEVEL ? "" : "bank");
    last[1] = last[0];
    last[0] = *event;
    return 0;
}

static int
count_level(void *arg, const char *name, const struct history_level *level)
{
    assert_string_equal(name, "pay");
    *(struct history_level *)arg = *level;
    return 0;
}

static void
a_change_of_level_is_kept_once(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct history_level warn = {1, MORNING + 5, "p95 240ms above 200ms"};
    struct history_level before, seen = {0};
    struct history_event events[2],
        opened = {HISTORY_BREAKER, MORNING + 5, 0, 1, ""};
    struct recording *r;
    struct history *reader;
    uint64_t damaged = 0;
    bool changed;

    assert_int_equal(recording_begin_levels(t->dir, h->now_ns, &r), 0);
    assert_int_equal(recording_level(r, "pay", &warn, &changed, &before), 0);
    assert_true(changed);
    assert_int_equal(before.level, 0);
    assert_int_equal(recording_event(r, "pay", "bank", &opened), 0);
    assert_int_equal(recording_commit(r), 0);
    recording_end(r);
    warn.since_ns += 100;
    assert_int_equal(recording_begin_levels(t->dir, h->now_ns, &r), 0);
    assert_int_equal(recording_level(r, "pay", &warn, &changed, &before), 0);
    assert_false(changed);
    assert_int_equal(recording_commit(r), 0);
    recording_end(r);

    assert_int_equal(history_open(t->dir, &reader), 0);
    assert_int_equal(history_each_level(reader, count_level, &seen), 0);
    assert_int_equal(seen.level, 1);
    assert_int_equal(seen.since_ns, MORNING + 5);
    assert_string_equal(seen.words, warn.words);
    memset(events, 0, sizeof(events));
    assert_int_equal(
        history_each_event(reader, &everything, count_event, events, &damaged),
        0);
    assert_int_equal(damaged, 0);
    assert_int_equal(events[0].kind + events[1].kind, 3);
    assert_int_equal(events[0].when_ns, MORNING + 5);
    history_close(reader);
    free(h);
}

static void
without_a_recording_there_is_no_history(void **state)
{
    struct scratch *t = *state;
    struct history *h = NULL;

    assert_int_equal(history_open(t->dir, &h), BIDE_EMISSING);
    assert_null(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_survive_the_way_through_bits),
        cmocka_unit_test(the_largest_figures_fit),
        cmocka_unit_test(garbage_is_no_figures_or_some_but_never_harm),
        cmocka_unit_test(what_became_less_counts_as_nothing),
        SCRATCH(what_was_counted_is_what_was_recorded),
        SCRATCH(an_hour_without_a_recorder_is_one_long_interval),
        SCRATCH(the_first_interval_begins_with_the_live_state),
        SCRATCH(a_second_recorder_finds_the_minute_recorded),
        SCRATCH(a_new_live_state_starts_from_zero),
        SCRATCH(a_cell_without_change_writes_nothing),
        SCRATCH(a_clock_that_is_set_back_loses_nothing),
        SCRATCH(versions_are_kept_apart_also_within_an_hour),
        SCRATCH(ranges_that_meet_add_up),
        SCRATCH(a_recorder_killed_at_any_step_counts_nothing_twice),
        SCRATCH(a_full_disk_delays_and_loses_nothing),
        SCRATCH(percentiles_of_merged_minutes_are_within_3_percent),
        SCRATCH(old_minutes_go_and_their_hours_stay),
        SCRATCH(old_hours_go_too),
        SCRATCH(the_size_bounds_the_time),
        SCRATCH(a_damaged_record_is_passed_over_and_counted),
        SCRATCH(of_a_file_with_a_damaged_page_the_rest_goes_on),
        SCRATCH(after_a_flipped_bit_nothing_is_counted_twice),
        SCRATCH(a_truncated_file_is_an_error_and_no_crash),
        SCRATCH(a_change_of_level_is_kept_once),
        SCRATCH(without_a_recording_there_is_no_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
