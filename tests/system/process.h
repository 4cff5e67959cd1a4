/* Functions to run the command `bide`, and to read from other processes. */
#ifndef TESTS_SYSTEM_PROCESS_H
#define TESTS_SYSTEM_PROCESS_H

#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

enum { WORDS_MAX = 12 };

/* Starts `bide --dir DIR WORDS...` with standard output to /dev/null.  Returns
 * its process id. */
UNUSED static pid_t
process_start(const struct scene *s, const char *const words[])
{
    const char *bide = getenv("BIDE");
    char *argv[WORDS_MAX + 4] = {(char *)"bide", (char *)"--dir",
                                 (char *)s->dir};
    pid_t child;

    assert_non_null(bide);
    for (int i = 0; words[i]; i++) {
        assert_true(i < WORDS_MAX);
        argv[3 + i] = (char *)words[i];
    }
    child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);

        MUST(null >= 0 && dup2(null, 1) == 1);
        execv(bide, argv);
        _exit(127);
    }
    assert_true(child > 0);
    return child;
}

/* Runs `bide --dir DIR WORDS...` and returns its exit status. */
UNUSED static int
process_run(const struct scene *s, const char *const words[])
{
    pid_t child = process_start(s, words);
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Runs `bide --dir DIR WORDS...`, which must succeed. */
#define BIDE(s, ...)  \
    assert_int_equal( \
        process_run((s), (const char *const[]){__VA_ARGS__, NULL}), 0)

/* Writes a policy file beside the registry and returns its path. */
UNUSED static const char *
process_file(struct scene *s, const char *text)
{
    static char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/p.ini", s->top);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* Creates the registry with the policies of `text`. */
UNUSED static void
process_registry(struct scene *s, const char *text)
{
    BIDE(s, "init", "--live", s->live);
    BIDE(s, "apply", process_file(s, text));
}

/* Reads `length` bytes.  Returns false if they do not come within a minute. */
UNUSED static bool
process_read_all(int fd, void *out, size_t length)
{
    struct pollfd p = {fd, POLLIN, 0};
    char *to = out;

    while (length) {
        ssize_t n;

        if (poll(&p, 1, 60000) != 1) {
            return false;
        }
        n = read(fd, to, length);
        if (n <= 0) {
            return false;
        }
        to += n;
        length -= (size_t)n;
    }
    return true;
}

#endif
