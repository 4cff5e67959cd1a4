/* The half-open state: which probes are admitted and how they decide. */
#include "breaking.h"

static void
exactly_the_set_number_of_probes_is_admitted(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= PROBES_MAX; n++) {
        char keys[100];
        struct guarded *s;
        struct probe probe[PROBES_MAX], none;
        uint64_t now = TIME0;

        snprintf(keys, sizeof(keys), SOON "breaker_probes=%u", n);
        s = guarded_new(keys);
        half_open(s, &now);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(admit_as(s, i + 1, now, &probe[i]));
            assert_int_equal(probe[i].place, i + 1);
        }
        for (uint32_t i = 0; i < 5; i++) {
            assert_false(admit_as(s, 100 + i, now, &none));
        }
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(state_at(s, now), STATE_HALF_OPEN);
            report_attempt(s, false, 0, probe[i], now);
        }
        assert_int_equal(state_at(s, now), STATE_CLOSED);
        assert_true(admit(s, now, &none));
        assert_int_equal(none.place, 0);
        guarded_free(s);
    }
}

/* Each letter is a probe; the breaker closes or opens again. */
static void
the_rates_of_the_probes_decide(void **state)
{
    static const struct {
        const char *keys, *probes;
        enum breaker_state to;
    } rows[] = {
        {SOON "breaker_probes=4", "ssss", STATE_CLOSED},
        {SOON "breaker_probes=4", "Fsss", STATE_CLOSED},
        {SOON "breaker_probes=4", "FFss", STATE_OPEN}, /* exactly half */
        {SOON "breaker_probes=4", "ssFF", STATE_OPEN},
        {SOON "breaker_probes=1", "F", STATE_OPEN},
        {SOON "breaker_probes=4\nbreaker_failure_rate=100%", "FFFs",
         STATE_CLOSED},
        {SOON "breaker_probes=4\nbreaker_failure_rate=0%", "sssF", STATE_OPEN},
        {SOON "breaker_probes=4\nbreaker_failure_rate=0%", "ssss",
         STATE_CLOSED},
        {SOON "breaker_probes=2\nbreaker_slow_after=1s", "SS", STATE_OPEN},
        {SOON "breaker_probes=2\nbreaker_slow_after=1s", "Ss", STATE_CLOSED},
        {SOON "breaker_probes=2", "SS", STATE_CLOSED},
        /* B: failed and slow, which counts for both rates. */
        {SOON "breaker_probes=4\nbreaker_slow_after=1s\n"
              "breaker_slow_rate=50%\nbreaker_failure_rate=100%",
         "BSss", STATE_OPEN},
        {SOON "breaker_probes=2\nbreaker_slow_after=1s\n"
              "breaker_failure_rate=100%",
         "BS", STATE_OPEN},
        /* The rate of failures is not asked. */
        {SOON "breaker_probes=4\nbreaker_probe_failures=3", "FFss",
         STATE_CLOSED},
        {SOON "breaker_probes=4\nbreaker_probe_failures=3", "FsFF", STATE_OPEN},
        {SOON "breaker_probes=2\nbreaker_probe_failures=3", "FF", STATE_CLOSED},
        {SOON "breaker_probes=2\nbreaker_probe_failures=2\n"
              "breaker_slow_after=1s",
         "SB", STATE_OPEN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct guarded *s = guarded_new(rows[i].keys);
        struct probe probe[4];
        uint64_t now = TIME0;
        size_t count = strlen(rows[i].probes);

        half_open(s, &now);
        for (size_t n = 0; n < count; n++) {
            assert_true(admit(s, now, &probe[n]));
        }
        for (size_t n = 0; n < count; n++) {
            char c = rows[i].probes[n];

            assert_int_equal(state_at(s, now), STATE_HALF_OPEN);
            report_attempt(s, c == 'F' || c == 'B',
                           c == 'S' || c == 'B' ? SECOND + 1 : SECOND, probe[n],
                           now);
        }
        if (state_at(s, now) != rows[i].to) {
            fail_msg("row %zu", i);
        }
        guarded_free(s);
    }
}

static void
a_lost_probe_frees_its_place_exactly_at_its_time(void **state)
{
    struct guarded *s =
        guarded_new(SOON "breaker_probes=1\nbreaker_probe_timeout=10s");
    struct probe lost, second;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &lost));
    assert_false(admit(s, now + 10 * SECOND - MS, &second));
    assert_true(admit(s, now + 10 * SECOND, &second));
    assert_int_equal(second.place, 1);
    breaker_release(&s->g, lost); /* no longer its place */
    assert_false(admit(s, now + 11 * SECOND, &lost));
    report_attempt(s, false, 0, second, now + 11 * SECOND);
    assert_int_equal(state_at(s, now + 11 * SECOND), STATE_CLOSED);
    guarded_free(s);
}

/* Probes that all outlast probe_timeout: the first reports decide, although
 * their places were taken. */
static void
the_first_reports_of_a_round_decide_whenever_they_come(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        struct guarded *s =
            guarded_new(SOON "breaker_probes=3\nbreaker_probe_timeout=10s");
        struct probe first[3], second[3], none;
        uint64_t now = TIME0;

        half_open(s, &now);
        for (int i = 0; i < 3; i++) {
            assert_true(admit(s, now, &first[i]));
        }
        now += 10 * SECOND;
        for (int i = 0; i < 3; i++) {
            assert_true(admit(s, now, &second[i]));
        }
        assert_false(admit(s, now, &none));
        now += SECOND;
        report_attempt(s, fails, 0, first[0], now);
        report_attempt(s, fails, 0, second[1], now);
        assert_int_equal(state_at(s, now), STATE_HALF_OPEN);
        report_attempt(s, fails, 0, first[2], now);
        assert_int_equal(state_at(s, now), fails ? STATE_OPEN : STATE_CLOSED);
        guarded_free(s);
    }
}

static void
enough_failed_probes_open_it_without_waiting_for_the_others(void **state)
{
    struct guarded *s =
        guarded_new(SOON "breaker_probes=8\nbreaker_probe_failures=1");
    struct probe a, b;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &a));
    assert_true(admit(s, now, &b));
    report_attempt(s, true, 0, b, now);
    assert_int_equal(state_at(s, now), STATE_OPEN);
    guarded_free(s);
}

/* Rules that decide on the reports that are in apply at the next attempt, which
 * is told how long the breaker stays open. */
static void
lower_limits_decide_at_the_next_attempt(void **state)
{
    static const char *const keys[] = {
        SOON "breaker_probes=2",
        SOON "breaker_probes=8\nbreaker_probe_failures=2",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct guarded *s = guarded_new(SOON "breaker_probes=8");
        struct probe a, b;
        uint64_t now = TIME0, until;

        half_open(s, &now);
        assert_true(admit(s, now, &a));
        assert_true(admit(s, now, &b));
        report_attempt(s, true, 0, a, now);
        report_attempt(s, true, 0, b, now);
        guarded_change(s, keys[i]);
        assert_false(breaker_admit(&s->p->breaker, &s->g, now, &a, &until));
        assert_int_equal(until / MS * MS, until);
        assert_int_equal(until, now + s->p->breaker.open_for_ns);
        guarded_free(s);
    }
}

static void
a_late_probe_counts_if_its_place_was_not_taken(void **state)
{
    struct guarded *s =
        guarded_new(SOON "breaker_probes=1\nbreaker_probe_timeout=1s");
    struct probe late;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &late));
    report_attempt(s, false, 0, late, now + 100 * SECOND);
    assert_int_equal(state_at(s, now + 100 * SECOND), STATE_CLOSED);
    guarded_free(s);
}

static void
a_probe_of_an_earlier_round_is_ignored(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=2");
    struct probe late, a, b;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &late));
    assert_true(admit(s, now, &a));
    breaker_reset(&s->g, now);
    half_open(s, &now);
    assert_true(admit(s, now, &a));
    report_attempt(s, true, 0, late, now);
    assert_true(admit(s, now, &b));
    assert_false(admit(s, now, &late));
    report_attempt(s, false, 0, a, now);
    report_attempt(s, false, 0, b, now);
    assert_int_equal(state_at(s, now), STATE_CLOSED);
    guarded_free(s);
}

static void
rounds_wrap_in_the_word(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=2");
    uint64_t now = TIME0;

    (void)state;
    for (int round = 0; round < 2500; round++) {
        struct probe a, b, c;

        half_open(s, &now);
        assert_true(admit(s, now, &a));
        assert_true(admit(s, now, &b));
        assert_false(admit(s, now, &c));
        report_attempt(s, false, 0, a, now);
        report_attempt(s, false, 0, b, now);
        assert_int_equal(state_at(s, now), STATE_CLOSED);
    }
    guarded_free(s);
}

static void
a_released_place_is_free(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=1");
    struct probe a, b;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &a));
    breaker_release(&s->g, a);
    assert_true(admit(s, now, &b));
    breaker_release(&s->g, (struct probe){0});
    breaker_release(&s->g, (struct probe){PROBES_MAX + 1, 1});
    breaker_release(NULL, b);
    assert_false(admit(s, now, &a));
    guarded_free(s);
}

static bool
is_seven(uint32_t pid, uint32_t space)
{
    return pid == 7 && space == SPACE;
}

static void
the_places_of_dead_processes_are_free(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=3");
    struct probe a, b, c, d;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit_as(s, 7, now, &a));
    assert_true(admit_as(s, 8, now, &b));
    assert_true(admit_as(s, 7, now, &c));
    report_attempt(s, false, 0, c, now); /* reported before it died: stays */
    assert_false(admit_as(s, 9, now, &d));
    breaker_release_dead(&s->rings, is_seven);
    assert_true(admit_as(s, 9, now, &d));
    assert_int_equal(d.place, 1);
    assert_false(admit_as(s, 9, now, &c));
    guarded_free(s);
}

/* Number 7 of another container, and a place whose holder is not written yet.
 */
static void
the_places_of_processes_that_cannot_be_asked_stay(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=2");
    struct probe a, b, c;
    uint64_t now = TIME0, until;

    (void)state;
    half_open(s, &now);
    s->g.self = (struct process){7000, 7, SPACE + 1};
    assert_true(breaker_admit(&s->p->breaker, &s->g, now, &a, &until));
    s->g.self = (struct process){8000, 7, SPACE};
    assert_true(breaker_admit(&s->p->breaker, &s->g, now, &b, &until));
    atomic_store(&s->rings.holder[b.place - 1],
                 7ull << 42 | (uint64_t)SPACE << 10 | 9000 % 1024);
    breaker_release_dead(&s->rings, is_seven);
    assert_false(admit_as(s, 9, now, &c));
    guarded_free(s);
}

/* The last process to report is killed between its report and the decision. */
static void
the_next_process_makes_the_decision_of_a_killed_one(void **state)
{
    static const struct {
        uint64_t reports; /* breaker_probes.c: reported 1, failed 0 or 1 */
        enum breaker_state to;
    } rows[] = {{1ull << 48, STATE_CLOSED},
                {1ull << 48 | 1ull << 42, STATE_OPEN}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct guarded *s = guarded_new(SOON "breaker_probes=1");
        struct probe a, b;
        uint64_t now = TIME0;

        half_open(s, &now);
        assert_true(admit(s, now, &a));
        s->rings.round = rows[i].reports | 1ull << 54;
        assert_int_equal(admit(s, now, &b), rows[i].to == STATE_CLOSED);
        assert_int_equal(b.place, 0);
        assert_int_equal(state_at(s, now), rows[i].to);
        guarded_free(s);
    }
}

static void
fewer_probes_in_flight_do_not_leave_it_half_open(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=3");
    struct probe a, b, c;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &a));
    assert_true(admit(s, now, &b));
    assert_true(admit(s, now, &c)); /* never reports */
    report_attempt(s, false, 0, a, now);
    report_attempt(s, false, 0, b, now);
    guarded_change(s, SOON "breaker_probes=2");
    assert_true(admit(s, now, &c));
    assert_int_equal(state_at(s, now), STATE_CLOSED);
    guarded_free(s);
}

static void
a_probe_has_the_timeout_under_which_it_was_let_out(void **state)
{
    struct guarded *s =
        guarded_new(SOON "breaker_probes=1\nbreaker_probe_timeout=1h");
    struct probe a;
    uint64_t now = TIME0;

    (void)state;
    half_open(s, &now);
    assert_true(admit(s, now, &a));
    guarded_change(s, SOON "breaker_probes=1\nbreaker_probe_timeout=1s");
    assert_false(admit(s, now + 3600 * SECOND - MS, &a));
    now += 3600 * SECOND;
    assert_true(admit(s, now, &a));
    guarded_change(s, SOON "breaker_probes=1\nbreaker_probe_timeout=1h");
    assert_false(admit(s, now + SECOND - MS, &a));
    assert_true(admit(s, now + SECOND, &a));
    guarded_free(s);
}

static void
it_remembers_when_it_left_the_closed_state(void **state)
{
    struct guarded *s = guarded_new(SOON "breaker_probes=1\n"
                                         "breaker_open_factor=2");
    struct probe probe;
    uint64_t begin = TIME0, now = TIME0;

    (void)state;
    for (int outage = 0; outage < 3; outage++) {
        begin = now += SECOND;
        open_by_failures(s, now);
        for (int round = 0; round < 5; round++) {
            assert_int_equal(breaker_left_ns(&s->breaker, now), now - begin);
            now += 3600 * SECOND; /* the open time is over */
            assert_int_equal(state_at(s, now), STATE_HALF_OPEN);
            assert_int_equal(breaker_left_ns(&s->breaker, now), now - begin);
            assert_true(admit(s, now, &probe)); /* the state changes */
            assert_int_equal(breaker_left_ns(&s->breaker, now), now - begin);
            report_attempt(s, round < 4, 0, probe, now);
        }
        assert_int_equal(state_at(s, now), STATE_CLOSED);
    }
    guarded_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_remembers_when_it_left_the_closed_state),
        cmocka_unit_test(exactly_the_set_number_of_probes_is_admitted),
        cmocka_unit_test(the_rates_of_the_probes_decide),
        cmocka_unit_test(a_lost_probe_frees_its_place_exactly_at_its_time),
        cmocka_unit_test(a_late_probe_counts_if_its_place_was_not_taken),
        cmocka_unit_test(a_probe_of_an_earlier_round_is_ignored),
        cmocka_unit_test(rounds_wrap_in_the_word),
        cmocka_unit_test(a_released_place_is_free),
        cmocka_unit_test(the_places_of_dead_processes_are_free),
        cmocka_unit_test(the_places_of_processes_that_cannot_be_asked_stay),
        cmocka_unit_test(the_next_process_makes_the_decision_of_a_killed_one),
        cmocka_unit_test(fewer_probes_in_flight_do_not_leave_it_half_open),
        cmocka_unit_test(a_probe_has_the_timeout_under_which_it_was_let_out),
        cmocka_unit_test(
            the_first_reports_of_a_round_decide_whenever_they_come),
        cmocka_unit_test(
            enough_failed_probes_open_it_without_waiting_for_the_others),
        cmocka_unit_test(lower_limits_decide_at_the_next_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
