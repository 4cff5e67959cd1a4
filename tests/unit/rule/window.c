/* Windows over totals that only grow. */
#include "guarded.h"

#define WINDOW (16 * SECOND) /* slices of a second */

static struct series series;
static struct tally total;

static int
fresh(void **state)
{
    (void)state;
    memset(&series, 0, sizeof(series));
    total = (struct tally){0};
    return 0;
}

static void
event(uint64_t now)
{
    window_turn(&series, WINDOW, now, &total);
    total.answers++;
    total.failed += 2;
    total.slow += 3;
}

static uint64_t
within(uint64_t now)
{
    struct tally t = window_since(&series, WINDOW, now, &total);

    assert_int_equal(t.failed, 2 * t.answers);
    assert_int_equal(t.slow, 3 * t.answers);
    return t.answers;
}

static void
events_count_until_they_leave_the_window(void **state)
{
    static const struct {
        uint64_t at_ms, count;
    } rows[] = {
        {100000, 2}, {115999, 2}, {116000, 2}, {116001, 1},
        {116999, 1}, {117000, 1}, {117001, 0}, {900000, 0},
    };

    (void)state;
    event(100000 * MS);
    event(101000 * MS);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (within(rows[i].at_ms * MS) != rows[i].count) {
            fail_msg("at %llu ms: %llu", (unsigned long long)rows[i].at_ms,
                     (unsigned long long)within(rows[i].at_ms * MS));
        }
    }
}

static void
a_window_without_events_is_empty(void **state)
{
    (void)state;
    assert_int_equal(within(0), 0);
    assert_int_equal(within(UINT64_MAX), 0);
    event(0);
    assert_int_equal(within(0), 1);
}

/* Compared with a list of all events: at most those within the window, at least
 * those within 15/16 of it. */
static void
a_window_is_exact_to_a_sixteenth(void **state)
{
    static uint64_t when[20000];
    uint64_t seed = 7, now = 1000 * SECOND;

    (void)state;
    for (size_t n = 0; n < COUNT(when); n++) {
        uint64_t most = 0, least = 0, got;

        now +=
            guarded_random(&seed) % (n % 100 == 0 ? 40 * SECOND : SECOND / 2);
        event(now);
        when[n] = now;
        for (size_t i = n + 1; i-- > 0 && now - when[i] <= WINDOW;) {
            most++;
            least += now - when[i] <= WINDOW / 16 * 15;
        }
        got = within(now);
        assert_true(got >= least && got <= most);
    }
}

static void
the_next_turn_is_the_next_slice(void **state)
{
    (void)state;
    assert_int_equal(window_next_ns(WINDOW, 0), SECOND);
    assert_int_equal(window_next_ns(WINDOW, SECOND - 1), SECOND);
    assert_int_equal(window_next_ns(WINDOW, SECOND), 2 * SECOND);
    assert_int_equal(window_next_ns(0, 5), 6);
    assert_int_equal(window_next_ns(15, 5), 6);
}

static void
a_process_killed_while_writing_loses_only_that_slice(void **state)
{
    (void)state;
    event(100 * SECOND);
    atomic_fetch_or(&series.slot[101 % SLICE_SLOTS].number, 1ull << 63);
    event(100 * SECOND); /* no other process may write the slice */
    assert_int_equal(within(100 * SECOND), 0);
    event(101 * SECOND);
    assert_int_equal(within(101 * SECOND), 1);
    event(120 * SECOND); /* the slot is used again */
    assert_int_equal(within(120 * SECOND), 1);
}

static void
a_stopped_process_does_not_overwrite_a_later_slice(void **state)
{
    struct tally then;

    (void)state;
    event(100 * SECOND);
    then = total;
    event(120 * SECOND); /* the same slot */
    window_turn(&series, WINDOW, 100 * SECOND, &then);
    assert_int_equal(within(120 * SECOND), 1);
}

static uint64_t
within_window(uint64_t window_ns, uint64_t now)
{
    return window_since(&series, window_ns, now, &total).answers;
}

static void
a_longer_window_keeps_what_was_counted(void **state)
{
    (void)state;
    event(100 * SECOND);
    event(101 * SECOND);
    assert_int_equal(within_window(10 * WINDOW, 101 * SECOND), 2);
    window_turn(&series, 10 * WINDOW, 102 * SECOND, &total);
    total.answers++;
    assert_int_equal(within_window(10 * WINDOW, 102 * SECOND), 3);
    assert_int_equal(within_window(10 * WINDOW, 240 * SECOND), 3);
    assert_int_equal(within_window(10 * WINDOW, 271 * SECOND), 0);
}

static void
a_shorter_window_keeps_what_fits(void **state)
{
    (void)state;
    for (uint64_t s = 100; s < 116; s++) {
        event(s * SECOND);
    }
    assert_int_equal(within(115 * SECOND), 16);
    assert_int_equal(within_window(WINDOW / 4, 115 * SECOND), 5);
    assert_int_equal(within_window(WINDOW / 2, 115 * SECOND), 9);
    assert_int_equal(within(115 * SECOND), 16); /* and back again */
}

/* Compared with a list of all events, while the length of the window changes:
 * at most those within the window; and once a length has lasted for its own
 * time, at least those within 15/16 of it. */
static void
a_window_whose_length_changes_counts_no_event_twice(void **state)
{
    static uint64_t when[20000];
    uint64_t seed = 11, now = 1000 * SECOND, window = WINDOW, changed = 0;

    (void)state;
    for (size_t n = 0; n < COUNT(when); n++) {
        uint64_t most = 0, least = 0, got;

        if (guarded_random(&seed) % 100 == 0) {
            window = (1 + guarded_random(&seed) % 40) * SECOND / 3;
            changed = now;
        }
        now += guarded_random(&seed) % (SECOND / 2);
        window_turn(&series, window, now, &total);
        total.answers++;
        when[n] = now;
        for (size_t i = n + 1; i-- > 0 && now - when[i] <= window;) {
            most++;
            least += now - when[i] <= window / 16 * 15;
        }
        got = within_window(window, now);
        assert_true(got <= most);
        assert_true(got >= least || now - changed <= window);
    }
}

static void
garbage_that_begins_soon_does_not_stay(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < SLICE_SLOTS; i++) {
        atomic_store(&series.slot[i].number, 110 + i + 1);
        atomic_store(&series.slot[i].length_ns, SECOND);
    }
    for (uint64_t s = 100; s < 200; s++) {
        event(s * SECOND);
    }
    assert_int_equal(within(199 * SECOND), 16 + 1);
    for (uint64_t i = 0; i < SLICE_SLOTS; i++) {
        atomic_store(&series.slot[i].number, i);
        atomic_store(&series.slot[i].length_ns, i % 2 ? UINT64_MAX : 0);
    }
    for (uint64_t s = 200; s < 220; s++) {
        event(s * SECOND);
    }
    assert_int_equal(within(219 * SECOND), 16 + 1);
}

static void
a_total_that_went_backwards_counts_as_zero(void **state)
{
    struct tally a = {{{1, 2, 3}}}, b = {{{3, 2, 1}}};
    struct tally t = tally_minus(&a, &b);

    (void)state;
    assert_int_equal(t.answers, 0);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.slow, 2);
}

static void
discarding_retries_keeps_the_other_counts(void **state)
{
    struct tally t;

    (void)state;
    event(100 * SECOND);
    window_forget_retries(&series, total.retries);
    total.retries += 1;
    t = window_since(&series, WINDOW, 100 * SECOND, &total);
    assert_int_equal(t.answers, 1);
    assert_int_equal(t.retries, 1);
}

/* After one length of the window, garbage is gone. */
static void
garbage_leaves_the_window_in_time(void **state)
{
    uint64_t seed = 99;

    (void)state;
    for (int trial = 0; trial < 20000; trial++) {
        uint64_t now = guarded_random(&seed) % (1000000 * SECOND);

        fresh(NULL);
        guarded_garbage(&series, sizeof(series), &seed);
        (void)window_since(&series, WINDOW, now, &total);
        (void)window_since(&series, guarded_random(&seed), now, &total);
        for (int i = 0; i < 40; i++) {
            event(now + (uint64_t)i * SECOND / 2);
        }
        assert_in_range(within(now + 20 * SECOND), 30, 32);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(events_count_until_they_leave_the_window),
        TEST(a_window_without_events_is_empty),
        TEST(a_window_is_exact_to_a_sixteenth),
        TEST(the_next_turn_is_the_next_slice),
        TEST(a_process_killed_while_writing_loses_only_that_slice),
        TEST(a_stopped_process_does_not_overwrite_a_later_slice),
        TEST(a_longer_window_keeps_what_was_counted),
        TEST(a_shorter_window_keeps_what_fits),
        TEST(a_window_whose_length_changes_counts_no_event_twice),
        TEST(garbage_that_begins_soon_does_not_stay),
        TEST(a_total_that_went_backwards_counts_as_zero),
        TEST(discarding_retries_keeps_the_other_counts),
        TEST(garbage_leaves_the_window_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
