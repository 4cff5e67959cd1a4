/* Retention, the exactness of figures, and events and levels. */
#include "recorded.h"

#include <math.h>

#include "base/crc32c.h"
#include "store/history/history_form.h"

/* ---- figures ---- */

static void
written_figures_are_read_back(void **state)
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
        f.calls.took[1] = f.calls.again[2] = f.calls.attempts[3] = numbers[i];
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

/* Format 2 ended after the outcomes. */
static void
figures_without_whole_calls_are_those_of_format_2(void **state)
{
    static const uint8_t older[] = {0x56, 0xd0, 0xc9, 0x14, 0xbc,
                                    0xe8, 0xc8, 0xb5, 0x22, 0x08};
    struct figures f = {.counter[0] = 5}, back;
    uint8_t bytes[FIGURES_BYTES];

    (void)state;
    f.succeeded[100] = 1000;
    f.failed[200] = 7;
    figures_add_outcome(&f, 3, 7);
    assert_int_equal(figures_write(&f, bytes), sizeof(older));
    assert_memory_equal(bytes, older, sizeof(older));
    assert_true(figures_read(older, sizeof(older), &back));
    assert_memory_equal(&f, &back, sizeof(f));
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
    memset(&f->calls, 0xff, sizeof(f->calls));
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
random_bytes_are_read_without_harm(void **state)
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
a_count_that_decreased_has_difference_0(void **state)
{
    struct figures before = {.counter = {5}}, now = {.counter = {3, 4}}, d;

    (void)state;
    figures_between(&before, &now, &d);
    assert_int_equal(d.counter[0], 0);
    assert_int_equal(d.counter[1], 4);
}

/* ---- percentiles ---- */

static int
compare_sizes(const void *a, const void *b)
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
    s = read_sums(t, everything, 0);
    qsort(exact, CALLS, sizeof(*exact), compare_sizes);
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
        assert_int_equal(recording_put(r, cells[i].name, cells[i].scope, 1, 1,
                                       false, &h->total[i], &turned),
                         0);
    }
    assert_int_equal(recording_prune(r, keep, most), 0);
    assert_int_equal(recording_commit(r), 0);
    recording_result(r, out);
    recording_end(r);
    return rc;
}

static void
old_minutes_are_removed_and_their_hours_kept(void **state)
{
    static const struct recording_keep keep = {3 * HOUR, 100 * DAY, UINT64_MAX};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct recording_result result;
    struct seen *s;

    for (int i = 0; i < 600; i++) {
        pass_time(h, MINUTE);
        record_and_prune(t, h, &keep, 2, &result);
        assert_true(result.pruned <= 2);
    }
    assert_all_recorded(t, h);
    s = read_sums(t, (struct history_range){"pay", 0, UINT64_MAX, true}, 0);
    assert_in_range(s->hours, 1, 20);
    assert_in_range(s->count - s->hours, 120, 500);
    free(s);
    /* A range that begins within an hour without minutes has all of it. */
    s = read_sums(t,
                  (struct history_range){"pay", MORNING + 100 * MINUTE,
                                         MORNING + 2 * HOUR, false},
                  0);
    assert_true(s->count > 0);
    assert_int_equal(s->hours, s->count);
    free(s);
    free(h);
}

static void
old_hours_are_removed_too(void **state)
{
    static const struct recording_keep keep = {HOUR, 5 * HOUR, UINT64_MAX};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct recording_result result;
    struct seen *s;

    for (int i = 0; i < 120; i++) {
        pass_time(h, 10 * MINUTE);
        record_and_prune(t, h, &keep, 100, &result);
    }
    s = read_sums(t, everything, 0);
    assert_true(s->first_ns >= h->now_ns - 7 * HOUR);
    assert_true(s->first_ns <= h->now_ns - 4 * HOUR);
    free(s);
    free(h);
}

static uint32_t
count_names(const struct scratch *t)
{
    struct history_known known;
    struct history *reader;

    assert_int_equal(history_open(t->dir, &reader), 0);
    assert_int_equal(history_known(reader, &known), 0);
    history_close(reader);
    return known.cells;
}

/* Otherwise short-lived scopes would let the file grow without end. */
static void
names_without_records_are_removed(void **state)
{
    static const struct recording_keep keep = {HOUR, 2 * DAY, UINT64_MAX};
    struct scratch *t = *state;
    struct host *h = new_host();
    struct recording_result result;
    struct seen *s;

    for (int day = 0; day < 12; day++) {
        for (int i = 0; i < 6; i++) {
            struct figures total = {.counter = {1}};
            struct recording *r;
            uint64_t turned;
            char scope[16];

            /* A new live state each time, so the old scope has no base. */
            h->live.begun_ns = h->now_ns;
            pass_time(h, 4 * HOUR);
            assert_int_equal(
                recording_begin(t->dir, &h->live, h->now_ns, MINUTE, &r), 0);
            snprintf(scope, sizeof(scope), "d%d", day);
            assert_int_equal(
                recording_put(r, "pay", scope, 1, 1, false, &total, &turned),
                0);
            assert_int_equal(recording_prune(r, &keep, 100), 0);
            assert_int_equal(recording_commit(r), 0);
            recording_result(r, &result);
            recording_end(r);
        }
        assert_in_range(count_names(t), 1, 5);
    }
    s = read_sums(t, everything, 0);
    assert_int_equal(s->damaged, 0);
    free(s);
    assert_in_range(count_names(t), 3, 5);
    free(h);
}

/* Records `minutes` recordings; returns the largest size in use. */
static uint64_t
largest_size(const struct scratch *t, struct host *h, uint64_t bytes,
             int minutes)
{
    const struct recording_keep keep = {900 * DAY, 900 * DAY, bytes};
    struct recording_result result;
    uint64_t most = 0;

    for (int i = 0; i < minutes; i++) {
        pass_time(h, MINUTE);
        record_and_prune(t, h, &keep, 1000, &result);
        most = result.bytes > most ? result.bytes : most;
    }
    return most;
}

static void
minutes_are_removed_when_the_file_is_too_large(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    uint64_t unbounded = largest_size(t, h, UINT64_MAX, 700), before;
    struct history_known known;
    struct history *reader;

    before = unbounded * 3 / 4;
    (void)largest_size(t, h, before, 100); /* shrinks an hour at a time */
    assert_in_range(largest_size(t, h, before, 900), before / 2,
                    before * 5 / 4);
    assert_int_equal(history_open(t->dir, &reader), 0);
    assert_int_equal(history_known(reader, &known), 0);
    history_close(reader);
    /* Minutes were removed, hours were kept. */
    assert_in_range(known.minutes_from_ns, MORNING, h->now_ns);
    assert_true(known.hours_from_ns < MORNING);
    assert_all_but_minutes_recorded(t, h);
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
a_change_of_level_is_recorded_once(void **state)
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

/* ---- format 2 ---- */

static void
seal_again(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value,
           const void *format, size_t length)
{
    uint8_t *bytes = malloc(value->mv_size);
    MDB_val k = *key, v = {value->mv_size, bytes};
    uint32_t crc;

    assert_non_null(bytes);
    memcpy(bytes, value->mv_data, value->mv_size);
    memcpy(bytes + 4, format, length);
    crc = crc32c(crc32c(0, k.mv_data, k.mv_size), bytes + 4, v.mv_size - 4);
    memcpy(bytes, &crc, sizeof(crc));
    assert_int_equal(mdb_cursor_put(cursor, &k, &v, MDB_CURRENT), 0);
    free(bytes);
}

/* Makes the history one of format 2. */
static void
make_older(const struct scratch *t)
{
    static const char *const databases[] = {"minutes", "hours", "state"};
    const uint32_t older = HISTORY_OLDER;
    char path[512];
    MDB_env *env;
    MDB_txn *txn;

    snprintf(path, sizeof(path), "%s/history/history.mdb", t->dir);
    env = lmdb_env(path);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    for (size_t i = 0; i < 3; i++) {
        MDB_cursor *cursor;
        MDB_val key, value;
        MDB_dbi dbi;

        assert_int_equal(mdb_dbi_open(txn, databases[i], 0, &dbi), 0);
        assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            if (i < 2 || *(const char *)key.mv_data == 'm') {
                seal_again(cursor, &key, &value, &older, i < 2 ? 1 : 4);
            }
        }
        mdb_cursor_close(cursor);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
a_history_of_format_2_is_read_and_goes_on(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();

    h->older = true;
    for (int i = 0; i < 130; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    make_older(t);
    assert_all_recorded(t, h);
    h->older = false;
    for (int i = 0; i < 130; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
        if (i % 40 == 0) {
            assert_all_recorded(t, h);
        }
    }
    free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_figures_are_read_back),
        cmocka_unit_test(figures_without_whole_calls_are_those_of_format_2),
        cmocka_unit_test(the_largest_figures_fit),
        cmocka_unit_test(random_bytes_are_read_without_harm),
        cmocka_unit_test(a_count_that_decreased_has_difference_0),
        SCRATCH(a_history_of_format_2_is_read_and_goes_on),
        SCRATCH(percentiles_of_merged_minutes_are_within_3_percent),
        SCRATCH(old_minutes_are_removed_and_their_hours_kept),
        SCRATCH(old_hours_are_removed_too),
        SCRATCH(names_without_records_are_removed),
        SCRATCH(minutes_are_removed_when_the_file_is_too_large),
        SCRATCH(a_change_of_level_is_recorded_once),
        SCRATCH(without_a_recording_there_is_no_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
