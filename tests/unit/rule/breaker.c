/* Circuit breakers, with time as a number. */
#include "breaking.h"

/* ---- tables: attempts that open it ---- */

/* Each letter is an attempt: F fails, s succeeds, S succeeds slowly, L fails
 * slowly.  A digit is a pause in seconds.  `opens` is the number of the letter
 * that opens it, counted from 1; 0: none does. */
struct opening {
    const char *keys, *attempts;
    int opens;
};

static int
play_attempts(struct guarded *s, const char *attempts)
{
    uint64_t now = TIME0;
    int n = 0;

    for (; *attempts; attempts++) {
        if (*attempts >= '0' && *attempts <= '9') {
            now += (uint64_t)(*attempts - '0') * SECOND;
            continue;
        }
        n++;
        report_attempt(s, *attempts == 'F' || *attempts == 'L',
                       *attempts == 'S' || *attempts == 'L' ? SECOND + 1
                                                            : SECOND,
                       (struct probe){0}, now);
        if (state_at(s, now) != STATE_CLOSED) {
            assert_int_equal(s->g.turned, 1);
            return n;
        }
    }
    assert_int_equal(s->g.turned, 0);
    return 0;
}

#define RATE ON "breaker_failure_rate=50%\nbreaker_min_calls=4\n"
#define CALLS4 RATE "breaker_window=4 calls"
#define SLOW                                              \
    ON "breaker_failure_rate=100%\nbreaker_min_calls=4\n" \
       "breaker_slow_after=1s\nbreaker_slow_rate=75%"

static const struct opening openings[] = {
    /* a rate over a window of time */
    {RATE, "FFF", 0},
    {RATE, "FFFF", 4},
    {RATE, "sFsF", 4}, /* exactly half */
    {RATE, "FFss", 4}, /* a success completes the minimum */
    {RATE, "sFss", 0},
    {RATE, "sssFFF", 6},
    {RATE, "sssFF", 0},
    {RATE, "ssss9FF9FF", 8}, /* the successes are 18 s old */
    {RATE, "FFF999s", 0},    /* the failures are 27 s old */
    {RATE, "FF5FF", 4},
    {ON "breaker_min_calls=1", "F", 1},
    {ON "breaker_min_calls=1\nbreaker_failure_rate=0%", "ssss", 0},
    {ON "breaker_min_calls=1\nbreaker_failure_rate=0%", "sssF", 4},
    {ON "breaker_min_calls=10\nbreaker_failure_rate=100%", "FFFFFFFFFs", 0},
    {ON "breaker_min_calls=10\nbreaker_failure_rate=100%", "FFFFFFFFFF", 10},
    /* a rate over a window of calls */
    {CALLS4, "FFF", 0},
    {CALLS4, "FsFs", 4},
    {CALLS4, "sssF", 0},
    {CALLS4, "ssssFF", 6},
    {CALLS4, "ssssFsssF", 0},
    {CALLS4, "ssss999999F999999F", 6},        /* time does not matter */
    {RATE "breaker_window=2 calls", "FF", 2}, /* fewer than the minimum */
    {ON "breaker_window=1 calls\nbreaker_min_calls=1", "sF", 2},
    {SLOW "\nbreaker_window=4 calls", "SSsS", 4},
    {SLOW "\nbreaker_window=4 calls", "ssssSSS", 7},
    /* slow attempts, including successes */
    {SLOW, "SSS", 0},
    {SLOW, "SSSs", 4},
    {SLOW, "SSss", 0},
    {SLOW, "LLSs", 4},
    {SLOW, "FFFs", 0},
    {SLOW, "FFFF", 4},
    {ON "breaker_min_calls=2\nbreaker_slow_after=1s", "SS", 2},
    {ON "breaker_min_calls=2\nbreaker_slow_after=1s", "Ss", 0},
    /* failures in a row; the minimum does not matter */
    {ON "breaker_consecutive=3", "FFsFF", 0},
    {ON "breaker_consecutive=3", "FFsFFF", 6},
    {ON "breaker_consecutive=1", "sF", 2},
    {ON "breaker_consecutive=3", "F9F9F", 3},
    {ON "breaker_consecutive=3\nbreaker_window=100 calls", "sFFF", 4},
    /* switched off */
    {"breaker_consecutive=1", "FFF", 0},
    {"breaker=closed\nbreaker_consecutive=1", "FFF", 0},
};

static void
it_opens_exactly_at_its_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(openings); i++) {
        struct guarded *s = guarded_new(openings[i].keys);
        int n = play_attempts(s, openings[i].attempts);

        if (n != openings[i].opens) {
            fail_msg("%s: %s: %d", openings[i].keys, openings[i].attempts, n);
        }
        guarded_free(s);
    }
}

static void
the_largest_window_of_calls_works(void **state)
{
    struct guarded *s =
        guarded_new(RATE "breaker_window=4096 calls\nbreaker_min_calls=4096");

    (void)state;
    for (int i = 0; i < 3 * 4096; i++) {
        succeeded(s, TIME0);
    }
    for (int i = 0; i < 2047; i++) {
        failed(s, TIME0);
    }
    assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
    failed(s, TIME0);
    assert_int_equal(state_at(s, TIME0), STATE_OPEN);
    guarded_free(s);
}

/* ---- processes ---- */

#define FEW ON "breaker_consecutive=2\nbreaker_min_processes="

static void
fail_as(struct guarded *s, uint32_t process, uint64_t now)
{
    s->g.self.id = process;
    failed(s, now);
}

static void
failures_must_come_from_the_minimum_of_processes(void **state)
{
    struct guarded *s = guarded_new(FEW "3");

    (void)state;
    for (int i = 0; i < 100; i++) {
        fail_as(s, 7, TIME0);
        fail_as(s, 8, TIME0);
    }
    assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
    for (int i = 0; i < 100; i++) { /* an id has 32 bits, the word keeps 30 */
        fail_as(s, UINT32_MAX, TIME0);
        fail_as(s, 8, TIME0);
    }
    assert_int_equal(state_at(s, TIME0), STATE_OPEN);
    guarded_free(s);

    s = guarded_new(FEW "3");
    for (int i = 0; i < 100; i++) {
        fail_as(s, UINT32_MAX, TIME0);
        fail_as(s, UINT32_MAX - 1, TIME0);
    }
    assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
    guarded_free(s);
}

static void
a_process_whose_failure_is_older_than_the_window_does_not_count(void **state)
{
    struct guarded *s = guarded_new(FEW "2");

    (void)state;
    fail_as(s, 7, TIME0);
    fail_as(s, 8, TIME0 + 10001 * MS);
    assert_int_equal(state_at(s, TIME0 + 10001 * MS), STATE_CLOSED);
    fail_as(s, 7, TIME0 + 20001 * MS); /* exactly the window */
    assert_int_equal(state_at(s, TIME0 + 20001 * MS), STATE_OPEN);
    guarded_free(s);
}

static void
the_oldest_process_makes_room_for_a_new_one(void **state)
{
    struct guarded *s = guarded_new(FEW "16");
    uint64_t now = TIME0 + 60 * SECOND;

    (void)state;
    for (uint32_t i = 1; i <= 20; i++) {
        fail_as(s, i, TIME0 + i * 3 * SECOND);
    }
    assert_int_equal(state_at(s, now), STATE_CLOSED); /* never 16 within 10 s */
    for (uint32_t i = 101; i <= 112; i++) {           /* beside 17 to 20 */
        assert_int_equal(state_at(s, now), STATE_CLOSED);
        fail_as(s, i, now);
    }
    assert_int_equal(state_at(s, now), STATE_OPEN);
    guarded_free(s);
}

static void
failures_before_it_closed_count_for_no_process(void **state)
{
    struct guarded *s = guarded_new(FEW "2");

    (void)state;
    fail_as(s, 7, TIME0);
    breaker_reset(&s->g, TIME0);
    fail_as(s, 8, TIME0);
    fail_as(s, 8, TIME0);
    assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
    guarded_free(s);
}

/* ---- open ---- */

static void
it_is_open_until_exactly_its_end(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=1");
    const struct breaker_rules *b = &s->p->breaker;
    struct probe probe;
    uint64_t until, end = TIME0 + 30 * SECOND;

    (void)state;
    open_by_failures(s, TIME0);
    assert_false(breaker_admit(b, &s->g, TIME0, &probe, &until));
    assert_int_equal(until, end);
    assert_int_equal(probe.place, 0);
    assert_false(breaker_admit(b, &s->g, end - 1, &probe, &until));
    assert_int_equal(until, end);
    assert_true(breaker_still_open(b, &s->g, TIME0, end - 1));
    assert_false(breaker_still_open(b, &s->g, TIME0, end));
    assert_int_equal(breaker_look(b, &s->breaker, end - 1, &until), STATE_OPEN);
    assert_int_equal(until, end);
    assert_int_equal(breaker_look(b, &s->breaker, end, &until),
                     STATE_HALF_OPEN);
    assert_int_equal(until, 0);
    assert_true(breaker_admit(b, &s->g, end, &probe, &until));
    assert_int_equal(probe.place, 1);
    assert_int_equal(s->rings.half_opened, 1);
    guarded_free(s);
}

static void
attempts_admitted_before_it_opened_change_nothing(void **state)
{
    struct guarded *s = guarded_new(SOON);

    (void)state;
    open_by_failures(s, TIME0);
    failed(s, TIME0 + SECOND);
    succeeded(s, TIME0 + SECOND);
    assert_int_equal(s->rings.opened, 1);
    assert_true(breaker_still_open(&s->p->breaker, &s->g, TIME0 + SECOND,
                                   TIME0 + 30 * SECOND - 1));
    assert_false(breaker_still_open(&s->p->breaker, &s->g, TIME0 + SECOND,
                                    TIME0 + 30 * SECOND));
    guarded_free(s);
}

/* Opens it, fails each probe, and compares the open times, in ms. */
static void
the_open_time_grows_to_its_maximum(void **state)
{
    static const struct {
        const char *keys;
        uint64_t ms[6];
    } rows[] = {
        {"breaker_open_for=1s", {1000, 1000, 1000, 1000, 1000, 1000}},
        {"breaker_open_for=1s\nbreaker_open_factor=2\nbreaker_open_max=10s",
         {1000, 2000, 4000, 8000, 10000, 10000}},
        {"breaker_open_for=1s\nbreaker_open_factor=1.5\nbreaker_open_max="
         "2250ms",
         {1000, 1500, 2250, 2250, 2250, 2250}},
        {"breaker_open_for=5s\nbreaker_open_factor=1000\nbreaker_open_max=5s",
         {5000, 5000, 5000, 5000, 5000, 5000}},
        {"breaker_open_for=1ms\nbreaker_open_factor=1000\n"
         "breaker_open_max=1d",
         {1, 1000, 1000000, 86400000, 86400000, 86400000}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char keys[200];
        struct guarded *s;
        uint64_t now = TIME0, until;
        struct probe probe;

        snprintf(keys, sizeof(keys),
                 ON "breaker_consecutive=1\nbreaker_probes=1\n%s",
                 rows[i].keys);
        s = guarded_new(keys);
        failed(s, now);
        for (size_t n = 0; n < 100; n++) { /* past the range of the word */
            assert_false(
                breaker_admit(&s->p->breaker, &s->g, now, &probe, &until));
            assert_int_equal(until - now, rows[i].ms[n < 6 ? n : 5] * MS);
            now = until;
            assert_true(admit(s, now, &probe));
            report_attempt(s, true, 0, probe, now);
        }
        /* A probe that succeeds ends the growth. */
        now += rows[i].ms[5] * MS;
        assert_true(admit(s, now, &probe));
        report_attempt(s, false, 0, probe, now);
        assert_int_equal(state_at(s, now), STATE_CLOSED);
        failed(s, now);
        assert_true(breaker_still_open(&s->p->breaker, &s->g, now,
                                       now + rows[i].ms[0] * MS - 1));
        assert_false(breaker_still_open(&s->p->breaker, &s->g, now,
                                        now + rows[i].ms[0] * MS));
        guarded_free(s);
    }
}

static void
an_open_breaker_unused_for_years_admits_probes(void **state)
{
    static const uint64_t days[] = {1, 90, 99, 100, 150, 198, 199, 400, 3650};

    (void)state;
    for (size_t i = 0; i < COUNT(days); i++) {
        struct guarded *s = guarded_new(SOON);
        struct probe probe;
        uint64_t now = TIME0 + days[i] * 86400 * SECOND;

        open_by_failures(s, TIME0);
        assert_true(admit(s, now, &probe));
        assert_int_equal(probe.place, 1);
        guarded_free(s);
    }
}

/* ---- forced, off, reset ---- */

static void
forced_open_refuses_all_and_forced_closed_admits_all(void **state)
{
    struct guarded *s = guarded_new(SOON);
    const struct breaker_rules *b;
    struct probe probe = {9, 9};
    uint64_t until = 9;

    (void)state;
    guarded_change(s, "breaker=open");
    b = &s->p->breaker;
    assert_false(breaker_admit(b, &s->g, TIME0, &probe, &until));
    assert_int_equal(until, DURATION_NONE);
    assert_int_equal(probe.place, 0);
    assert_false(breaker_admit(b, NULL, TIME0, &probe, &until));
    assert_true(breaker_still_open(b, NULL, 0, UINT64_MAX));
    guarded_change(s, SOON);
    open_by_failures(s, TIME0);
    guarded_change(s, "breaker=closed");
    b = &s->p->breaker;
    assert_true(admit(s, TIME0, &probe));
    assert_false(breaker_still_open(b, &s->g, TIME0, TIME0));
    guarded_change(s, SOON); /* restored */
    assert_false(admit(s, TIME0, &probe));
    guarded_change(s, "breaker=off");
    assert_true(admit(s, TIME0, &probe));
    breaker_report(b, NULL, true, 0, probe, 0);
    guarded_free(s);
}

static void
reset_closes_and_discards_the_counts(void **state)
{
    static const char *const keys[] = {SOON, CALLS4, RATE};

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct guarded *s = guarded_new(keys[i]);
        struct probe probe;

        open_by_failures(s, TIME0);
        breaker_reset(&s->g, TIME0);
        assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
        assert_true(admit(s, TIME0, &probe));
        failed(s, TIME0); /* with one old failure it would open */
        assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
        breaker_reset(&s->g, TIME0);
        failed(s, TIME0);
        assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
        open_by_failures(s, TIME0);
        guarded_free(s);
    }
}

static void
failures_that_opened_it_are_not_counted_after_it_closed(void **state)
{
    static const char *const keys[] = {
        RATE "breaker_open_for=1s\nbreaker_probes=1",
        CALLS4 "\nbreaker_open_for=1s\nbreaker_probes=1"};

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct guarded *s = guarded_new(keys[i]);
        struct probe probe;
        uint64_t now = TIME0 + SECOND;

        open_by_failures(s, TIME0);
        assert_true(admit(s, now, &probe));
        report_attempt(s, false, 0, probe, now);
        assert_int_equal(state_at(s, now), STATE_CLOSED);
        failed(s, now);
        failed(s, now);
        failed(s, now);
        assert_int_equal(state_at(s, now), STATE_CLOSED);
        failed(s, now);
        assert_int_equal(state_at(s, now), STATE_OPEN);
        guarded_free(s);
    }
}

static void
transitions_are_counted_and_the_last_ones_kept(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=1");
    enum breaker_state to = STATE_CLOSED;
    uint64_t when = 0, now = TIME0;
    struct probe probe;

    (void)state;
    assert_false(breaker_transition(&s->rings, 0, &to, &when));
    for (uint32_t i = 0; i < 4; i++) {
        s->g.realtime_ns = 1000 + i;
        half_open(s, &now);
        s->g.realtime_ns = 2000 + i;
        assert_true(admit(s, now, &probe));
        s->g.realtime_ns = 3000 + i;
        report_attempt(s, false, 0, probe, now);
    }
    assert_int_equal(s->rings.opened, 4);
    assert_int_equal(s->rings.half_opened, 4);
    assert_int_equal(s->rings.closed, 4);
    assert_int_equal(s->g.turned, 12);
    for (uint32_t i = 0; i < TRANSITIONS; i++) { /* newest first */
        static const enum breaker_state order[] = {STATE_CLOSED,
                                                   STATE_HALF_OPEN, STATE_OPEN};

        assert_true(breaker_transition(&s->rings, i, &to, &when));
        assert_int_equal(to, order[i % 3]);
        assert_int_equal(when, 3000 - i % 3 * 1000 + 3 - i / 3);
    }
    assert_false(breaker_transition(&s->rings, TRANSITIONS, &to, &when));
    guarded_free(s);
}

/* ---- garbage ---- */

static bool
is_seven(uint32_t pid, uint32_t space)
{
    return pid == 7 && space == SPACE;
}

static void
live_on(struct guarded *s, uint64_t now, uint64_t *seed)
{
    const struct breaker_rules *b = &s->p->breaker;
    struct probe probe;
    enum breaker_state to;
    uint64_t until, when;

    for (uint32_t i = 0; i < 6; i++) {
        until = 0;
        s->g.self.id = (uint32_t)guarded_random(seed) >> 10;
        if (breaker_admit(b, &s->g, now, &probe, &until)) {
            assert_true(probe.place <= PROBES_MAX);
            report_attempt(s, i % 2, i * SECOND, probe, now);
        }
        (void)breaker_still_open(b, &s->g, now, now + SECOND);
        (void)breaker_look(b, &s->breaker, now, &until);
        (void)breaker_is_sound(&s->breaker, now);
        (void)breaker_transition(&s->rings, i, &to, &when);
        breaker_release(&s->g, (struct probe){i * 9, guarded_random(seed)});
        breaker_release_dead(&s->rings, is_seven);
    }
}

/* For any words: after the longest open time and the time of its probes, some
 * attempts are admitted; after their success, all are. */
static void
garbage_refuses_no_call_for_longer_than_its_times(void **state)
{
    static const char *const keys[] = {
        SOON "breaker_open_factor=3\nbreaker_open_max=5m",
        CALLS4 "\nbreaker_probes=32\nbreaker_min_processes=3",
        SLOW "\nbreaker_probes=1\nbreaker_probe_timeout=1m",
        RATE "breaker_open_for=1ms\nbreaker_probe_timeout=1ms"};
    uint64_t seed = 362436069;

    (void)state;
    for (int trial = 0; trial < 20000; trial++) {
        struct guarded *s = guarded_new(keys[trial % COUNT(keys)]);
        uint64_t now = TIME0 + guarded_random(&seed) % (TIME0 * 300);
        struct probe probe[PROBES_MAX];
        uint32_t n;

        guarded_garbage(&s->breaker, sizeof(s->breaker), &seed);
        guarded_garbage(&s->rings, sizeof(s->rings), &seed);
        guarded_garbage(&s->total, sizeof(s->total), &seed);
        if (trial % 3) {
            live_on(s, now, &seed);
        }
        /* Open, then half open with all places taken. */
        now += s->p->breaker.open_max_ns + s->p->breaker.open_for_ns + SECOND;
        for (n = 0; n < PROBES_MAX && admit(s, now, &probe[n]); n++) {
        }
        for (uint32_t i = 0; i < n; i++) {
            report_attempt(s, false, 0, probe[i], now);
        }
        now += s->p->breaker.probe_timeout_ns + SECOND + MS;
        for (n = 0; n < PROBES_MAX && admit(s, now, &probe[n]); n++) {
        }
        if (n == 0) { /* probes in the garbage have opened it again */
            now += s->p->breaker.open_max_ns + SECOND;
            for (; n < PROBES_MAX && admit(s, now, &probe[n]); n++) {
            }
        }
        if (n == 0) {
            fail_msg("trial %d: nobody is let out", trial);
        }
        guarded_free(s);
    }
}

/* Shortly after a boot, the state can be older than the clock. */
static void
a_state_older_than_the_clock_ends_in_time(void **state)
{
    struct guarded *s = guarded_new(RATE "breaker_open_for=1h");
    uint64_t now = 778 * SECOND;

    (void)state;
    atomic_store(&s->breaker.state,
                 UINT64_C(1) << 62 |
                     (now / MS + UINT64_C(5000000000)) % (UINT64_C(1) << 34));
    assert_int_equal(state_at(s, now), STATE_HALF_OPEN);
    atomic_store(&s->breaker.state,
                 UINT64_C(1) << 62 | ((UINT64_C(1) << 34) - 1000));
    assert_int_equal(state_at(s, 3599 * SECOND - 1), STATE_OPEN);
    assert_int_equal(state_at(s, 3599 * SECOND), STATE_HALF_OPEN);
    guarded_free(s);
}

static void
reset_repairs_garbage(void **state)
{
    uint64_t seed = 521288629;

    (void)state;
    for (int trial = 0; trial < 5000; trial++) {
        struct guarded *s = guarded_new(SOON);
        struct probe probe;

        guarded_garbage(&s->breaker, sizeof(s->breaker), &seed);
        guarded_garbage(&s->rings, sizeof(s->rings), &seed);
        breaker_reset(&s->g, TIME0);
        assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
        assert_true(breaker_is_sound(&s->breaker, TIME0));
        assert_true(admit(s, TIME0, &probe));
        failed(s, TIME0);
        assert_int_equal(state_at(s, TIME0), STATE_CLOSED);
        failed(s, TIME0);
        assert_int_equal(state_at(s, TIME0), STATE_OPEN);
        guarded_free(s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_exactly_at_its_bounds),
        cmocka_unit_test(the_largest_window_of_calls_works),
        cmocka_unit_test(failures_must_come_from_the_minimum_of_processes),
        cmocka_unit_test(
            a_process_whose_failure_is_older_than_the_window_does_not_count),
        cmocka_unit_test(the_oldest_process_makes_room_for_a_new_one),
        cmocka_unit_test(failures_before_it_closed_count_for_no_process),
        cmocka_unit_test(it_is_open_until_exactly_its_end),
        cmocka_unit_test(attempts_admitted_before_it_opened_change_nothing),
        cmocka_unit_test(the_open_time_grows_to_its_maximum),
        cmocka_unit_test(an_open_breaker_unused_for_years_admits_probes),
        cmocka_unit_test(forced_open_refuses_all_and_forced_closed_admits_all),
        cmocka_unit_test(reset_closes_and_discards_the_counts),
        cmocka_unit_test(
            failures_that_opened_it_are_not_counted_after_it_closed),
        cmocka_unit_test(transitions_are_counted_and_the_last_ones_kept),
        cmocka_unit_test(garbage_refuses_no_call_for_longer_than_its_times),
        cmocka_unit_test(a_state_older_than_the_clock_ends_in_time),
        cmocka_unit_test(reset_repairs_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
