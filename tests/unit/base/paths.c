/* Paths of files, and the default ones. */
#include <errno.h>
#include <limits.h>
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

static void
a_path_too_long_for_the_system_stays_so(void **state)
{
    char dir[3 * PATH_MAX];
    struct file_path path;

    (void)state;
    assert_string_equal(path_of("/a", "b/c").text, "/a/b/c");
    assert_string_equal(path_of("/a", "").text, "/a");
    assert_string_equal(path_print("%s.new%d", "/a", 2).text, "/a.new2");
    /* "/././." of each length is a directory if it is not too long. */
    for (size_t length = PATH_MAX - 2; length < sizeof(dir); length++) {
        for (size_t i = 0; i < length; i++) {
            dir[i] = i % 2 ? '.' : '/';
        }
        dir[length] = '\0';
        path = path_of(dir, "");
        errno = 0;
        assert_int_equal(access(path.text, F_OK) ? errno : 0,
                         length < PATH_MAX ? 0 : ENAMETOOLONG);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_home_leads_to_two_slashes),
        cmocka_unit_test(a_path_too_long_for_the_system_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
