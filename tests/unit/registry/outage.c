/* No registry, a damaged one, no space, no permission: calls go on, and the
 * reason is visible. */
#define SCENE_FLAGS 0
#include "scene.h"

#include <limits.h>
#include <sys/mount.h>

static const char shop[] = "[shop]\nattempts = 4\nwait = none\n"
                           "[default]\nattempts = 3\nwait = none\n";
static const char declared[] = "[shop]\nattempts = 2\nwait = none\n";

static void
registry_path(const struct scene *s, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/policies/registry.mdb", s->dir);
}

/* ---- the registry disappears and returns ---- */

static void
calls_go_on_while_the_registry_is_away(void **state)
{
    struct scene *s = *state;
    char away[PATH_MAX];

    scene_start(s, shop);
    assert_int_equal(bide_declare(s->b, declared), 0);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_equal(scene_attempts(s, "nobody"), 3);
    snprintf(away, sizeof(away), "%s/away", s->top);
    assert_int_equal(rename(s->dir, away), 0);
    assert_int_equal(scene_attempts(s, "shop"), 4); /* the last good ones */
    assert_int_equal(scene_attempts(s, "nobody"), 3);
    assert_int_equal(bide_registry_status(s->b), BIDE_EMISSING);
    assert_int_equal(scene_attempts(s, "new"), 1);
    /* After another look these are still the best rules ... */
    assert_int_equal(bide_declare(s->b, "[other]\nattempts = 9\n"), 0);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_equal(scene_attempts(s, "nobody"), 3);
    /* ... until the program declares rules: they replace those of `default`. */
    assert_int_equal(
        bide_declare(s->b, "[nobody]\nattempts = 5\nwait = none\n"), 0);
    assert_int_equal(scene_attempts(s, "nobody"), 5);
    assert_int_equal(rename(away, s->dir), 0);
    scene_set(s, "shop", "attempts", "6");
    assert_int_equal(scene_attempts(s, "shop"), 6);
    assert_int_equal(scene_attempts(s, "new"), 3);
    assert_int_equal(bide_registry_status(s->b), 0);
}

static void
a_recreated_registry_is_followed(void **state)
{
    struct scene *s = *state;
    int i;

    scene_start(s, shop);
    assert_int_equal(bide_declare(s->b, declared), 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(scene_attempts(s, "shop"), 4);
        scene_set(s, "shop", "attempts", "7");
        assert_int_equal(scene_attempts(s, "shop"), 7);
        scene_remove(s->dir);
        assert_int_equal(scene_attempts(s, "shop"), 7);
        assert_int_equal(bide_registry_status(s->b), BIDE_EMISSING);
        scene_init(s); /* another id and commits; the name is not defined */
        assert_int_equal(scene_attempts(s, "shop"), 2);
        assert_int_equal(bide_registry_status(s->b), 0);
        scene_apply(s, shop);
    }
}

static void
a_registry_that_appears_is_followed(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, declared), 0);
    assert_int_equal(scene_attempts(s, "shop"), 2);
    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_equal(bide_registry_status(s->b), 0);
}

/* Successes never look at the registry: the next failure of any call does. */
static void
counts_made_without_a_registry_are_kept(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct bide_stats stats;
    int i;

    scene_open(s);
    for (i = 0; i < 5; i++) {
        scene_run(s, "shop", &ok, 1, NULL);
        scene_attempts(s, "shop");
        scene_run(s, "still", &ok, 1, NULL);
    }
    stats = scene_stats(s, "shop");
    assert_int_equal(stats.succeeded, 5);
    assert_int_equal(stats.aborted, 5);
    scene_init(s);
    scene_apply(s, shop);
    scene_attempts(s, "shop");
    stats = scene_stats(s, "shop");
    assert_int_equal(stats.succeeded, 5);
    assert_int_equal(stats.aborted, 6);
    assert_int_equal(stats.attempts_failed, 9);
    assert_int_equal(scene_stats(s, "still").succeeded, 5);
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
    scene_open(s); /* a new handle reads the shared live file */
    assert_int_equal(scene_stats(s, "shop").aborted, 6);
    assert_int_equal(scene_stats(s, "still").succeeded, 5);
}

/* ---- the registry is damaged ---- */

static void
write_over(const char *path, off_t from, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, from), length);
    close(fd);
}

static void
cut_short(const char *path)
{
    assert_int_equal(truncate(path, 100), 0);
}

static void
cut_to_a_page(const char *path)
{
    assert_int_equal(truncate(path, 4096), 0);
}

static void
emptied(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void
zeroed(const char *path)
{
    static const char zeros[65536];
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    write_over(path, 0, zeros, st.st_size < 65536 ? (size_t)st.st_size : 65536);
}

static void
random_bytes(const char *path)
{
    unsigned char bytes[65536];
    struct stat st;
    size_t i;

    srandom(3);
    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)random();
    }
    assert_int_equal(stat(path, &st), 0);
    write_over(path, 0, bytes, st.st_size < 65536 ? (size_t)st.st_size : 65536);
}

static void
random_pages(const char *path)
{
    unsigned char bytes[4096];
    struct stat st;
    off_t at;
    size_t i;

    srandom(4);
    assert_int_equal(stat(path, &st), 0);
    for (at = 8192; at + 4096 <= st.st_size; at += 4096) {
        for (i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (unsigned char)random();
        }
        write_over(path, at, bytes, sizeof(bytes));
    }
}

static void
a_directory(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void
a_pipe(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
}

static void
a_link_to_itself(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0);
}

struct damage {
    const char *what;
    void (*does)(const char *path);
    bool unread; /* this page is not read again once the rules are known */
};

static const struct damage damages[] = {
    {"cut short", cut_short, false},
    {"cut to a page", cut_to_a_page, false},
    {"emptied", emptied, false},
    {"zeroed", zeroed, false},
    {"random", random_bytes, false},
    {"random pages", random_pages, true},
    {"a directory", a_directory, false},
    {"a pipe", a_pipe, false},
    {"a link", a_link_to_itself, false},
};

static void
put_back(struct scene *s, const char *path, const char *bytes, size_t length)
{
    char between[PATH_MAX];
    int fd;

    snprintf(between, sizeof(between), "%s/between", s->top);
    fd = open(between, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
    scene_remove(path);
    assert_int_equal(rename(between, path), 0);
}

static uint32_t
attempts_when_opened_now(struct scene *s)
{
    struct bide *running = s->b;
    uint32_t attempts;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, declared), 0);
    attempts = scene_attempts(s, "shop");
    assert_int_not_equal(bide_registry_status(s->b), 0);
    assert_int_equal(bide_close(s->b), 0);
    s->b = running;
    return attempts;
}

static void
damage_is_reported_survived_and_recovered_from(void **state)
{
    struct scene *s = *state;
    char path[PATH_MAX];
    char *good;
    size_t length, i;

    scene_start(s, shop);
    registry_path(s, path);
    good = scene_read_file(path, &length);
    for (i = 0; i < COUNT(damages); i++) {
        print_message("         %s\n", damages[i].what);
        assert_int_equal(scene_attempts(s, "shop"), 4);
        assert_int_equal(bide_registry_status(s->b), 0);
        damages[i].does(path);
        assert_int_equal(scene_attempts(s, "shop"), 4);
        if (!damages[i].unread) {
            assert_int_not_equal(bide_registry_status(s->b), 0);
        }
        assert_int_equal(attempts_when_opened_now(s), 2);
        put_back(s, path, good, length);
        scene_set(s, "shop", "attempts", "5");
        assert_int_equal(scene_attempts(s, "shop"), 5);
        scene_set(s, "shop", "attempts", "4");
        put_back(s, path, good, length);
    }
    free(good);
}

/* ---- the live file ---- */

static void
live_path(struct scene *s, char path[PATH_MAX])
{
    struct admin *a = scene_admin(s);

    snprintf(path, PATH_MAX, "%s", admin_live_path(a));
    admin_close(a);
}

static void
a_removed_live_file_is_made_again(void **state)
{
    struct scene *s = *state;
    char path[PATH_MAX];
    int i;

    scene_start(s, shop);
    live_path(s, path);
    for (i = 0; i < 3; i++) {
        assert_int_equal(scene_attempts(s, "shop"), 4);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(scene_attempts(s, "shop"), 4);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(bide_registry_status(s->b), 0);
        scene_set(s, "shop", "attempts", "6");
        assert_int_equal(scene_attempts(s, "shop"), 6);
        scene_set(s, "shop", "attempts", "4");
    }
}

static void
a_success_notices_a_removed_live_file_after_5_s(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    char path[PATH_MAX];

    scene_start(s, shop);
    live_path(s, path);
    s->b->look_ticks = LOOK_EVERY_NS;
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_equal(unlink(path), 0);
    s->now += LOOK_EVERY_NS - 1;
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    assert_int_equal(access(path, F_OK), -1);
    s->now++;
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(scene_stats(s, "shop").attempts, 1);
    scene_set(s, "shop", "paused", "yes");
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
}

static void
remove_live(const char *dir, const char *path)
{
    (void)dir;
    assert_int_equal(unlink(path), 0);
}

static void
replace_live_by_its_copy(const char *dir, const char *path)
{
    char command[3 * PATH_MAX];

    (void)dir;
    snprintf(command, sizeof(command), "cp -p '%s' '%s.c' && mv '%s.c' '%s'",
             path, path, path, path);
    assert_int_equal(system(command), 0);
}

static void
move_live_directory(const char *dir, const char *path)
{
    char moved[PATH_MAX];

    (void)path;
    snprintf(moved, sizeof(moved), "%s.moved", dir);
    assert_int_equal(rename(dir, moved), 0);
    scene_remove(moved);
}

static enum bide_verdict
step_once(struct bide_policy *p)
{
    struct bide_call c = {0};

    if (bide_step_begin(&c, p, NULL) == BIDE_GO) {
        bide_step_ended(&c, bide_ok());
    }
    return bide_call_result(&c)->verdict;
}

/* Only succeeds until it is refused.  Each success is due to look, as it
 * otherwise is once per 5 s. */
static void
succeed_until_refused(struct scene *s, bool steps, int begun)
{
    enum bide_verdict v = BIDE_SUCCEEDED;
    struct bide_policy *p;

    alarm(60); /* ends a child that never notices */
    MUST(bide_open(s->dir, 0, &s->b) == 0);
    s->b->look_ticks = 0;
    MUST(bide_lookup(s->b, "shop", NULL, &p) == 0);
    MUST(bide_run(p, scene_succeed, NULL) == BIDE_SUCCEEDED);
    MUST(write(begun, "", 1) == 1);
    while (v == BIDE_SUCCEEDED) {
        v = steps ? step_once(p) : bide_run(p, scene_succeed, NULL);
    }
    MUST(v == BIDE_REFUSED);
    _exit(0);
}

static void
a_process_that_only_succeeds_notices_another_live_file(void **state)
{
    static void (*const change[])(const char *dir, const char *path) = {
        remove_live, replace_live_by_its_copy, move_live_directory};
    struct scene *s = *state;
    char path[PATH_MAX], byte;
    int begun[2];

    scene_init(s);
    scene_apply(s, shop);
    live_path(s, path);
    assert_int_equal(pipe(begun), 0);
    for (size_t i = 0; i < 2 * COUNT(change); i++) {
        pid_t child = fork();

        if (child == 0) {
            succeed_until_refused(s, i % 2, begun[1]);
        }
        assert_int_equal(read(begun[0], &byte, 1), 1);
        change[i / 2](s->live, path);
        scene_set(s, "shop", "paused", "yes");
        scene_wait_for(child);
        scene_set(s, "shop", "paused", "no");
    }
    close(begun[0]);
    close(begun[1]);
}

static void
a_live_file_replaced_by_garbage_is_replaced(void **state)
{
    struct scene *s = *state;
    char path[PATH_MAX], garbage[9000];
    int fd;

    scene_start(s, shop);
    live_path(s, path);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    memset(garbage, 0xa5, sizeof(garbage));
    assert_int_equal(unlink(path), 0);
    fd = open(path, O_WRONLY | O_CREAT, 0660);
    assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
    close(fd);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    scene_set(s, "shop", "attempts", "6");
    assert_int_equal(scene_attempts(s, "shop"), 6);
    assert_int_equal(bide_registry_status(s->b), 0);
}

/* A process that may write there can falsify numbers, nothing else. */
static void
garbage_written_into_the_live_file_is_survived(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    char path[PATH_MAX];
    unsigned char garbage[4096];
    struct admin *a;
    unsigned n = 0;
    size_t i;
    int round;

    scene_start(s, shop);
    live_path(s, path);
    srandom(5);
    for (round = 0; round < 40; round++) {
        int fd = open(path, O_WRONLY);
        off_t at = round % 4 == 0   ? 256
                   : round % 4 == 1 ? 4096 + random() % 524288
                   : round % 4 == 2 ? 528384 + random() % 2097152
                                    : 2686976 + random() % 4096;

        for (i = 0; i < sizeof(garbage); i++) {
            garbage[i] = (unsigned char)random();
        }
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at),
                         sizeof(garbage));
        close(fd);
        scene_attempts(s, "shop");
        scene_run(s, "shop", &ok, 1, NULL);
        scene_stats(s, "shop");
        bide_registry_status(s->b);
        scene_set(s, "shop", "attempts", round % 2 ? "4" : "5");
        assert_int_equal(scene_attempts(s, "shop"), round % 2 ? 4 : 5);
        a = scene_admin(s);
        admin_each_sleeper(a, scene_count_one, &n);
        admin_close(a);
    }
}

static void
without_a_live_directory_calls_go_on(void **state)
{
    struct scene *s = *state;
    char blocked[300];
    int fd;

    /* A file is in the place of the directory. */
    snprintf(blocked, sizeof(blocked), "%s/blocked", s->top);
    fd = open(blocked, O_WRONLY | O_CREAT, 0600);
    close(fd);
    assert_int_equal(
        admin_init(s->dir, &(struct admin_init){.live_dir = blocked}), 0);
    scene_apply(s, shop);
    scene_open(s);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_not_equal(bide_registry_status(s->b), 0);
    scene_set(s, "shop", "attempts", "6");
    assert_int_equal(scene_attempts(s, "shop"), 6);
    assert_int_equal(scene_stats(s, "shop").attempts_failed, 10);
    /* Now it can be made: it is used, and gets the counts so far. */
    assert_int_equal(unlink(blocked), 0);
    assert_int_equal(scene_attempts(s, "shop"), 6);
    assert_int_equal(bide_registry_status(s->b), 0);
    assert_int_equal(scene_stats(s, "shop").attempts_failed, 16);
}

static void
a_full_live_filesystem_is_survived(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    char name[32];
    int i;

    if (geteuid() != 0 || mount("none", s->live, "tmpfs", 0, "size=3m") != 0) {
        skip();
    }
    scene_start(s, shop);
    for (i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        if (scene_run(s, name, &ok, 1, NULL) != BIDE_SUCCEEDED ||
            scene_attempts(s, i % 2 ? "shop" : name) == 0) {
            break;
        }
    }
    scene_set(s, "shop", "attempts", "6");
    assert_int_equal(scene_attempts(s, "shop"), 6);
    scene_stats(s, "p1999");
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
    umount2(s->live, MNT_DETACH);
    assert_int_equal(i, 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(calls_go_on_while_the_registry_is_away),
        SCENE(a_recreated_registry_is_followed),
        SCENE(a_registry_that_appears_is_followed),
        SCENE(counts_made_without_a_registry_are_kept),
        SCENE(damage_is_reported_survived_and_recovered_from),
        SCENE(a_removed_live_file_is_made_again),
        SCENE(a_success_notices_a_removed_live_file_after_5_s),
        SCENE(a_process_that_only_succeeds_notices_another_live_file),
        SCENE(a_live_file_replaced_by_garbage_is_replaced),
        SCENE(garbage_written_into_the_live_file_is_survived),
        SCENE(without_a_live_directory_calls_go_on),
        SCENE(a_full_live_filesystem_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
