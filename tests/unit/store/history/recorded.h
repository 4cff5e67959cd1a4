/* A host with random call counts, and its recordings.  Time is a number. */
#ifndef TESTS_STORE_RECORDED_H
#define TESTS_STORE_RECORDED_H

#include "unit/store/file/scratch.h"

#include "rule/histogram.h"
#include "store/history/history.h"
#include "store/history/recording.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MORNING (UINT64_C(20000) * DAY)

enum { CELLS = 5 };
/* ---- a host with calls ---- */

static const struct {
    const char *name, *scope;
} cells[CELLS] = {
    {"pay", ""}, {"pay", "bank"}, {"mail", ""}, {"order", ""}, {"@pool", ""},
};

struct host {
    uint64_t seed, now_ns;
    struct recording_source live;
    struct figures total[CELLS]; /* of this live state */
    struct figures all[CELLS];   /* of all live states */
    uint32_t version;
    bool older; /* counts no whole calls */
};

UNUSED static struct host *
new_host(void)
{
    struct host *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    h->seed = 42;
    h->now_ns = MORNING + 17 * SECOND;
    h->live = (struct recording_source){
        .begun_ns = MORNING, .boot = {1}, .registry = {2}};
    h->version = 1;
    return h;
}

UNUSED static void
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
            f.calls.took[histogram_bucket(3 * ns)] += !h->older;
            f.calls.again[histogram_bucket(ns)] += !h->older;
            f.calls.attempts[below(&h->seed, ATTEMPTS_GROUPS)] += !h->older;
        }
        if (below(&h->seed, 9) == 0) {
            f.counter[COUNTER_ABORTED]++;
            f.budget_refused++;
        }
    }
    figures_add(&h->total[cell], &f);
    figures_add(&h->all[cell], &f);
}

UNUSED static void
pass_time(struct host *h, uint64_t ns)
{
    h->now_ns += ns;
    for (unsigned i = 0; i < CELLS; i++) {
        if (below(&h->seed, 3)) {
            count_calls(h, i, (unsigned)below(&h->seed, 20));
        }
    }
}

UNUSED static int
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

        total.outcome[0].id = outcome; /* the only one, if any */
        rc = recording_put(r, cells[i].name, cells[i].scope, 1, h->version,
                           false, &total, &turned);
    }
    if (!rc) {
        rc = recording_commit(r);
    }
    recording_end(r);
    return rc;
}

/* ---- reading ---- */

struct seen {
    struct figures sum[CELLS];
    uint64_t count, hours, first_ns, last_ns, damaged;
    uint32_t version; /* sums this version only; 0: all */
};

UNUSED static int
add_interval(void *arg, const struct history_interval *i)
{
    struct seen *s = arg;

    if (s->version && s->version != i->version) {
        return 0;
    }
    for (unsigned c = 0; c < CELLS; c++) {
        if (!strcmp(cells[c].name, i->name) &&
            !strcmp(cells[c].scope, i->scope)) {
            struct figures f = *i->figures;

            f.outcome_count = 0; /* all outcomes under one id */
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

UNUSED static struct seen *
read_sums(const struct scratch *t, struct history_range range, uint32_t version)
{
    struct seen *s = calloc(1, sizeof(*s));
    struct history *h;

    assert_non_null(s);
    s->version = version;
    assert_int_equal(history_open(t->dir, &h), 0);
    assert_int_equal(history_each(h, &range, add_interval, s, &s->damaged), 0);
    history_close(h);
    return s;
}

UNUSED static const struct history_range everything = {NULL, 0, UINT64_MAX,
                                                       false};

UNUSED static bool
figures_equal(const struct figures *a, const struct figures *b)
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

UNUSED static void
assert_all_recorded(const struct scratch *t, const struct host *h)
{
    struct history_range minutes = {NULL, 0, UINT64_MAX, true};
    struct seen *a = read_sums(t, everything, 0), *b = read_sums(t, minutes, 0);

    for (unsigned i = 0; i < CELLS; i++) {
        assert_true(figures_equal(&a->sum[i], &h->all[i]));
        assert_true(figures_equal(&b->sum[i], &h->all[i]));
    }
    assert_int_equal(a->damaged + b->damaged, 0);
    free(a);
    free(b);
}

UNUSED static void
assert_all_but_minutes_recorded(const struct scratch *t, const struct host *h)
{
    struct seen *a = read_sums(t, everything, 0);

    for (unsigned i = 0; i < CELLS; i++) {
        assert_true(figures_equal(&a->sum[i], &h->all[i]));
    }
    free(a);
}

#endif
