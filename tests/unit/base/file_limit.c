#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file_limit.h"

static volatile sig_atomic_t signals;

static void
count_signal(int sig)
{
    (void)sig;
    signals++;
}

static void
write_beyond_the_limit(void)
{
    int fd = memfd_create("test", 0);
    struct rlimit before, none;

    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    close(fd);
}

static bool
is_pending(void)
{
    sigset_t set;

    assert_int_equal(sigpending(&set), 0);
    return sigismember(&set, SIGXFSZ);
}

static void
the_thread_gets_no_signal_between_begin_and_end(void **state)
{
    struct file_limit limit;

    (void)state;
    signals = 0;
    signal(SIGXFSZ, count_signal);
    file_limit_begin(&limit);
    write_beyond_the_limit();
    errno = EFBIG;
    file_limit_end(&limit);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(signals, 0);
    write_beyond_the_limit();
    assert_int_equal(signals, 1);
    signal(SIGXFSZ, SIG_DFL);
}

static void
a_signal_that_the_program_has_blocked_stays_pending(void **state)
{
    struct file_limit limit;
    sigset_t set;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    file_limit_begin(&limit);
    write_beyond_the_limit();
    file_limit_end(&limit);
    assert_false(is_pending());
    write_beyond_the_limit();
    assert_true(is_pending());
    file_limit_begin(&limit);
    write_beyond_the_limit();
    file_limit_end(&limit);
    assert_true(is_pending());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_gets_no_signal_between_begin_and_end),
        cmocka_unit_test(a_signal_that_the_program_has_blocked_stays_pending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
