/* Snapshots: what a cell has counted in the last minute. */
#include "scene.h"

#include "live/snapshot.h"
#include "rule/histogram.h"

#define S UINT64_C(1000000000)
#define BEGIN (1000 * S) /* any time */

struct figures {
    uint64_t over_s, succeeded, failed, retries, p95_ns;
    bool whole;
};

static void
count(struct live *l, uint32_t cell, uint64_t took_ns, uint64_t times)
{
    struct stripe *s = cell_stripe(l, cell, 0);

    atomic_fetch_add(&s->succeeded[histogram_bucket(took_ns)], times);
}

static void
count_failed(struct live *l, uint32_t cell, uint64_t times)
{
    struct stripe *s = cell_stripe(l, cell, 1);

    atomic_fetch_add(&s->failed[100], times);
    atomic_fetch_add(&s->counter[COUNTER_RETRIES], times);
    for (uint64_t i = 0; i < times; i++) {
        cell_count_outcome(
            l, cell,
            (struct bide_outcome){.domain = BIDE_DOMAIN_HTTP, .code = 503});
    }
}

static struct figures
read_at(struct live *l, uint32_t cell, uint64_t now_ns)
{
    static struct cell_reading total, window;
    struct figures f;

    f.over_s = cell_read_window(l, cell, now_ns, &total, &window, &f.whole) / S;
    f.succeeded = histogram_count(window.succeeded);
    f.failed = histogram_count(window.failed);
    f.retries = window.counter[COUNTER_RETRIES];
    f.p95_ns = histogram_at_ns(window.succeeded, 0.95);
    assert_int_equal(window.outcome_count > 0 && window.outcome[0].count > 0,
                     f.failed > 0);
    return f;
}

/* One call a second, of which every fourth fails, with snapshots as a service
 * takes them when it looks every 5 s. */
static void
the_window_is_about_a_minute_at_any_time(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");

    for (uint64_t t = 0; t < 500; t++) {
        if (t % 5 == 2) {
            cell_snapshot(l, cell, BEGIN + t * S);
        }
        if (t >= 80) {
            struct figures f = read_at(l, cell, BEGIN + t * S);

            assert_false(f.whole);
            assert_in_range(f.over_s, 50, 65);
            assert_in_range(f.failed, f.over_s / 4, f.over_s / 4 + 1);
            assert_int_equal(f.succeeded + f.failed, f.over_s);
            assert_int_equal(f.retries, f.failed);
        }
        if (t % 4) {
            count(l, cell, 1000000, 1);
        } else {
            count_failed(l, cell, 1);
        }
    }
    live_close(l);
}

static void
a_young_cell_has_all_that_it_counted(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");
    struct figures f;

    count(l, cell, 1000000, 7);
    f = read_at(l, cell, BEGIN);
    assert_true(f.whole);
    assert_int_equal(f.succeeded, 7);
    assert_in_range(f.over_s, 0, 60);
    /* Also after that reader has taken a snapshot. */
    atomic_store(&cell_at(l, cell)->begun, clock_realtime_ns() - 5 * S);
    read_at(l, cell, BEGIN);
    f = read_at(l, cell, BEGIN + 4 * S);
    assert_true(f.whole);
    assert_int_equal(f.succeeded, 7);
    live_close(l);
}

static void
calls_that_begin_again_after_hours_have_a_short_window(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");
    struct figures f;

    atomic_store(&cell_at(l, cell)->begun, S); /* in 1970 */
    count(l, cell, 1000000, 100);
    cell_snapshot(l, cell, BEGIN);
    f = read_at(l, cell, BEGIN + 7200 * S);
    assert_int_equal(f.over_s, 7200);
    assert_int_equal(f.succeeded, 0);
    cell_snapshot(l, cell, BEGIN + 7200 * S); /* the first call looks */
    count(l, cell, 1000000, 9);
    f = read_at(l, cell, BEGIN + 7203 * S);
    assert_int_equal(f.over_s, 3);
    assert_int_equal(f.succeeded, 9);
    live_close(l);
}

static void
the_first_calls_of_an_old_cell_do_not_count_for_its_age(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");
    uint64_t space = scene_space(s);
    struct figures f;

    atomic_store(&cell_at(l, cell)->begun, S); /* in 1970 */
    cell_snapshot(l, cell, BEGIN);
    assert_int_equal(scene_space(s), space); /* a cell without counts is free */
    count(l, cell, 1000000, 9);
    f = read_at(l, cell, BEGIN + 4 * S);
    assert_int_equal(f.over_s, 4);
    assert_int_equal(f.succeeded, 9);
    live_close(l);
}

/* A process that has ended leaves counts after its last snapshot: whoever reads
 * them takes one. */
static void
readers_take_a_snapshot_if_calls_do_not(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");

    atomic_store(&cell_at(l, cell)->begun, S); /* in 1970 */
    count(l, cell, 1000000, 100);
    cell_snapshot(l, cell, BEGIN);
    count(l, cell, 1000000, 5);
    assert_int_equal(read_at(l, cell, BEGIN + 600 * S).succeeded, 5);
    assert_int_equal(read_at(l, cell, BEGIN + 610 * S).succeeded, 0);
    assert_int_equal(read_at(l, cell, BEGIN + 610 * S).over_s, 10);
    live_close(l);
}

static void
one_snapshot_is_taken_in_ten_seconds_by_whomever(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = scene_open(s);
    uint32_t cell = scene_cell(l, "a");

    count(l, cell, 1000000, 1);
    cell_snapshot(l, cell, BEGIN);
    count(l, cell, 1000000, 1);
    cell_snapshot(other, cell, BEGIN + 9 * S);
    assert_int_equal(read_at(other, cell, BEGIN + 40 * S).over_s, 40);
    cell_snapshot(other, cell, BEGIN + 10 * S);
    cell_snapshot(l, cell, BEGIN + 11 * S);
    count(l, cell, 1000000, 1);
    assert_int_equal(read_at(l, cell, BEGIN + 69 * S).over_s, 59);
    assert_int_equal(read_at(l, cell, BEGIN + 69 * S).succeeded, 1);
    live_close(l);
    live_close(other);
}

static void
latencies_are_exact_within_six_percent(void **state)
{
    static const uint64_t took[] = {3000, 40000, 1000000, 77000000, 3000000000};
    struct scene *s = *state;

    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            struct live *l = scene_open(s);
            char name[16];
            uint32_t cell;
            uint64_t p95;

            snprintf(name, sizeof(name), "p%zu%zu", i, k);
            cell = scene_cell(l, name);
            count(l, cell, took[i], 1000);
            count(l, cell, took[k] * 2, 1000);
            cell_snapshot(l, cell, BEGIN);
            count(l, cell, took[k], 50);
            p95 = read_at(l, cell, BEGIN + 60 * S).p95_ns;
            assert_in_range(p95, took[k] * 82 / 100, took[k] * 118 / 100);
            if (i == k) {
                assert_in_range(p95, took[k] * 97 / 100, took[k] * 103 / 100);
            }
            live_close(l);
        }
    }
}

/* Overwrites a byte of a slot, or the claim. */
static void
damage(struct scene *s, uint32_t cell, uint64_t at)
{
    int fd = open(s->path, O_RDWR);
    off_t offset = (off_t)(LIVE_SNAPSHOTS + cell * 4096ull + at);
    char byte;

    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void
a_snapshot_that_is_not_whole_is_ignored(void **state)
{
    struct scene *s = *state;

    for (uint64_t at = 0; at < 672; at += 13) {
        struct live *l = scene_open(s);
        char name[16];
        uint32_t cell;

        snprintf(name, sizeof(name), "p%u", (unsigned)at);
        cell = scene_cell(l, name);
        count(l, cell, 1000000, 10);
        cell_snapshot(l, cell, BEGIN + 10 * S);
        count(l, cell, 1000000, 1);
        cell_snapshot(l, cell, BEGIN + 60 * S);
        count(l, cell, 1000000, 1);
        assert_int_equal(read_at(l, cell, BEGIN + 70 * S).succeeded, 2);
        damage(s, cell, (BEGIN / S + 10) / 10 % 6 * 672 + at);
        assert_int_equal(read_at(l, cell, BEGIN + 70 * S).succeeded, 1);
        live_close(l);
    }
}

static void
snapshots_of_another_name_or_of_more_counts_are_ignored(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t cell = scene_cell(l, "a");
    struct cell *c = cell_at(l, cell);
    uint64_t begun = atomic_load(&c->begun);

    count(l, cell, 1000000, 10);
    cell_snapshot(l, cell, BEGIN);
    count(l, cell, 1000000, 1);
    atomic_store(&c->begun, begun + 1);
    assert_int_equal(read_at(l, cell, BEGIN + 50 * S).succeeded, 11);
    atomic_store(&c->begun, begun);
    assert_int_equal(read_at(l, cell, BEGIN + 50 * S).succeeded, 1);
    atomic_store(&cell_stripe(l, cell, 0)->succeeded[histogram_bucket(1000000)],
                 9);
    assert_int_equal(read_at(l, cell, BEGIN + 50 * S).succeeded, 9);
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(the_window_is_about_a_minute_at_any_time),
        SCENE_TEST(a_young_cell_has_all_that_it_counted),
        SCENE_TEST(calls_that_begin_again_after_hours_have_a_short_window),
        SCENE_TEST(the_first_calls_of_an_old_cell_do_not_count_for_its_age),
        SCENE_TEST(readers_take_a_snapshot_if_calls_do_not),
        SCENE_TEST(one_snapshot_is_taken_in_ten_seconds_by_whomever),
        SCENE_TEST(latencies_are_exact_within_six_percent),
        SCENE_TEST(a_snapshot_that_is_not_whole_is_ignored),
        SCENE_TEST(snapshots_of_another_name_or_of_more_counts_are_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
