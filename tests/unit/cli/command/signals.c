/* Signals that are read from a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/command/signals.h"

#define MS UINT64_C(1000000)

static void
a_hangup_that_is_ignored_stays_ignored(void **state)
{
    int signals;

    (void)state;
    signal(SIGHUP, SIG_IGN);
    signals = signals_open_stop();
    assert_true(signals >= 0);
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(signals_next(signals), 0);
    close(signals);
    signal(SIGHUP, SIG_DFL);
}

static void
a_pending_signal_ends_the_wait_and_is_read_once(void **state)
{
    int signals = signals_open_stop();

    (void)state;
    assert_true(signals >= 0);
    assert_int_equal(signals_next(signals), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_false(signals_wait(signals, -1, 0, UINT64_MAX));
    assert_int_equal(signals_next(signals), SIGTERM);
    assert_int_equal(signals_next(signals), 0);
    close(signals);
}

static void
a_wait_ends_at_its_time_even_if_that_has_passed(void **state)
{
    int signals = signals_open_stop();
    uint64_t until = clock_monotonic_ns() + 5 * MS;

    (void)state;
    assert_false(signals_wait(signals, -1, 0, until));
    assert_true(clock_monotonic_ns() >= until);
    assert_false(signals_wait(signals, -1, 0, 0));
    close(signals);
}

static void
a_wait_reports_the_other_descriptor(void **state)
{
    int signals = signals_open_stop(), ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(signals_wait(signals, ends[0], POLLIN, UINT64_MAX));
    assert_int_equal(signals_next(signals), 0);
    close(ends[0]);
    close(ends[1]);
    close(signals);
}

static void
only_the_listed_signals_are_blocked_and_the_old_mask_is_returned(void **state)
{
    sigset_t watched, before, now;
    int signals;

    (void)state;
    sigemptyset(&watched);
    sigaddset(&watched, SIGUSR1);
    signals = signals_open(&watched, &before);
    assert_true(signals >= 0);
    assert_int_equal(sigismember(&before, SIGUSR1), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, &now), 0);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
    assert_int_equal(sigismember(&now, SIGUSR2), 0);
    close(signals);
}

static void
term_int_hup_and_quit_ask_the_program_to_end(void **state)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    static const int others[] = {SIGCHLD, SIGTSTP, SIGCONT, SIGUSR1, SIGPIPE};

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        assert_true(signals_ask_end(ends[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(signals_ask_end(others[i]));
    }
}

static void
writing_to_a_closed_pipe_fails_if_sigpipe_is_ignored(void **state)
{
    int ends[2];

    (void)state;
    signals_ignore_pipe();
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
    signals_default_pipe();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hangup_that_is_ignored_stays_ignored),
        cmocka_unit_test(a_pending_signal_ends_the_wait_and_is_read_once),
        cmocka_unit_test(a_wait_ends_at_its_time_even_if_that_has_passed),
        cmocka_unit_test(a_wait_reports_the_other_descriptor),
        cmocka_unit_test(
            only_the_listed_signals_are_blocked_and_the_old_mask_is_returned),
        cmocka_unit_test(term_int_hup_and_quit_ask_the_program_to_end),
        cmocka_unit_test(writing_to_a_closed_pipe_fails_if_sigpipe_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
