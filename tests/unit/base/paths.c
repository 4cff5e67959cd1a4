/* Default paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/paths.h"

/* Returns whether a user other than root whose HOME is `home` (NULL: not set)
 * gets a path that starts with `start` and has no "//". */
static int
path_starts_with(const char *home, const char *start)
{
    pid_t child = fork();
    char path[256];
    int status;

    if (child == 0) {
        unsetenv("BIDE_DIR");
        unsetenv("XDG_STATE_HOME");
        unsetenv("HOME");
        if (home) {
            setenv("HOME", home, 1);
        }
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
            _exit(1);
        }
        _exit(paths_own_registry(path, sizeof(path)) == 0 &&
                      strncmp(path, start, strlen(start)) == 0 &&
                      !strstr(path, "//")
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
no_home_leads_to_two_slashes(void **state)
{
    (void)state;
    assert_true(path_starts_with("/home/x", "/home/x/.local/state/bide"));
    assert_true(path_starts_with("/home/x/", "/home/x/.local/state/bide"));
    assert_true(path_starts_with("/", "/.local/state/bide"));
    assert_true(path_starts_with("", "/"));
    assert_true(path_starts_with(NULL, "/"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_home_leads_to_two_slashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
