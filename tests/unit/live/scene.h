/* Each test has its own directory, on tmpfs if there is one. */
#ifndef TESTS_UNIT_LIVE_SCENE_H
#define TESTS_UNIT_LIVE_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "live/live.h"

struct scene {
    char directory[64];
    char path[128]; /* DIRECTORY/run/x.live; only the directory exists */
    uint8_t id[16];
};

static inline int
scene_remove(const char *path, const struct stat *st, int kind,
             struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static inline int
scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    if (!s) {
        return -1;
    }
    strcpy(s->directory, "/dev/shm/bide-test-XXXXXX");
    if (!mkdtemp(s->directory)) {
        strcpy(s->directory, "/tmp/bide-test-XXXXXX");
        if (!mkdtemp(s->directory)) {
            free(s);
            return -1;
        }
    }
    snprintf(s->path, sizeof(s->path), "%s/run", s->directory);
    if (mkdir(s->path, 0770) || chmod(s->path, 0770)) {
        free(s);
        return -1;
    }
    strcat(s->path, "/x.live");
    memcpy(s->id, "registry-number1", 16);
    *state = s;
    return 0;
}

static inline int
scene_teardown(void **state)
{
    struct scene *s = *state;

    nftw(s->directory, scene_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
    return 0;
}

#define SCENE_TEST(name) \
    cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

static inline struct live *
scene_open(const struct scene *s)
{
    struct live *l = NULL;

    assert_int_equal(live_open(s->path, s->id, LIVE_FOR_ALL, &l), 0);
    assert_non_null(l);
    return l;
}

static inline uint32_t
scene_cell(struct live *l, const char *name)
{
    uint32_t index = UINT32_MAX;

    assert_int_equal(cell_find(l, name, "", true, &index), 0);
    return index;
}

/* Returns the space that the file takes, in bytes. */
static inline uint64_t
scene_space(const struct scene *s)
{
    struct stat st;

    assert_int_equal(stat(s->path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* Returns memory shared with children. */
static inline void *
scene_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* Runs `body` in a child.  Returns its exit status, or 1000 + the number of the
 * signal that killed it. */
static inline int
scene_child(void (*body)(void *arg), void *arg)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* For children, where cmocka's assertions do not work. */
#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(99);                                                      \
        }                                                                   \
    } while (0)

#endif
