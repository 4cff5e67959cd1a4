/* No permission, no descriptors, no space for files: each in a process of its
 * own. */
#define SCENE_FLAGS 0
#include "scene.h"

#include <limits.h>
#include <sys/resource.h>

static const char shop[] = "[shop]\nattempts = 4\nwait = none\n"
                           "[default]\nattempts = 3\nwait = none\n";
static const char declared[] = "[shop]\nattempts = 2\nwait = none\n";

static void
no_permission_is_survived_and_reported(void **state)
{
    struct scene *s = *state;
    char path[PATH_MAX];
    pid_t child;

    if (geteuid() != 0) {
        skip();
    }
    scene_init(s);
    scene_apply(s, shop);
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", s->dir);
    chmod(s->top, 0755);
    chmod(s->dir, 0755);
    chmod(path, 0600);
    child = fork();
    if (child == 0) {
        MUST(setgid(65534) == 0 && setuid(65534) == 0);
        scene_open(s);
        MUST(bide_declare(s->b, declared) == 0);
        MUST(bide_registry_status(s->b) == BIDE_EPERM);
        MUST(scene_attempts(s, "shop") == 2);
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
    child = fork();
    if (child == 0) { /* while it runs */
        scene_open(s);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(setgid(65534) == 0 && setuid(65534) == 0);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(scene_attempts(s, "other") >= 1);
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
}

static void
without_descriptors_calls_go_on(void **state)
{
    struct scene *s = *state;
    struct rlimit none = {3, 4096};
    struct rlimit some = {256, 4096};
    struct bide_watch *watch = NULL;
    pid_t child;

    scene_init(s);
    scene_apply(s, shop);
    child = fork();
    if (child == 0) {
        scene_open(s);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(scene_attempts(s, "new") >= 1);
        MUST(bide_watch_new(s->b, &watch) == BIDE_ESYS && !watch);
        MUST(bide_close(s->b) == 0);
        s->b = NULL;
        scene_open(s);
        MUST(bide_declare(s->b, declared) == 0);
        MUST(scene_attempts(s, "shop") == 2);
        MUST(bide_registry_status(s->b) != 0);
        MUST(setrlimit(RLIMIT_NOFILE, &some) == 0);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(bide_registry_status(s->b) == 0);
        MUST(bide_watch_new(s->b, &watch) == 0);
        bide_watch_free(watch);
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
}

/* A process that exceeds its file size limit gets SIGXFSZ. */
static void
a_file_size_limit_ends_no_process(void **state)
{
    struct scene *s = *state;
    struct rlimit none = {0, 0};
    pid_t child;

    scene_init(s);
    scene_apply(s, shop);
    scene_remove(s->live);
    child = fork();
    if (child == 0) {
        MUST(setrlimit(RLIMIT_FSIZE, &none) == 0);
        scene_open(s);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(bide_registry_status(s->b) == BIDE_EFULL);
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
}

/* Closes all descriptors, as daemons do. */
static void
closing_every_descriptor_is_survived(void **state)
{
    struct scene *s = *state;
    pid_t child;

    scene_init(s);
    scene_apply(s, shop);
    child = fork();
    if (child == 0) {
        scene_open(s);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(close_range(3, ~0u, 0) == 0);
        MUST(scene_attempts(s, "shop") == 4);
        MUST(scene_attempts(s, "other") == 3);
        MUST(close_range(3, ~0u, 0) == 0);
        /* Other files may have these numbers now. */
        for (int i = 3; i < 20; i++) {
            MUST(open("/dev/null", O_RDONLY) == i);
        }
        scene_set(s, "shop", "attempts", "6");
        MUST(scene_attempts(s, "shop") == 6);
        MUST(bide_close(s->b) == 0);
        for (int i = 3; i < 20; i++) {
            MUST(fcntl(i, F_GETFD) >= 0);
        }
        _exit(0);
    }
    scene_wait_for(child);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(no_permission_is_survived_and_reported),
        SCENE(without_descriptors_calls_go_on),
        SCENE(a_file_size_limit_ends_no_process),
        SCENE(closing_every_descriptor_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
