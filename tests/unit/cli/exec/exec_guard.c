/* When a process group counts as empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/exec/exec.h"

/* Returns a child in a process group of its own (`group` 0) or in `group`. */
static pid_t
start_child(pid_t group)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(setpgid(pid, group), 0);
    return pid;
}

static void
end_child(pid_t pid)
{
    siginfo_t info;

    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void
a_group_of_zombies_is_empty(void **state)
{
    pid_t leader = start_child(0), member = start_child(leader);

    (void)state;
    assert_false(exec_group_is_empty(leader));
    end_child(leader);
    assert_false(exec_group_is_empty(leader)); /* `member` runs */
    end_child(member);
    assert_true(exec_group_is_empty(leader)); /* both are zombies */
    waitpid(leader, NULL, 0);
    assert_true(exec_group_is_empty(leader));
    waitpid(member, NULL, 0);
    assert_true(exec_group_is_empty(leader)); /* there is no such group */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_zombies_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
