/* A registry that was replaced is followed like any other change, and a gate
 * from a commit that the registry does not have is discarded. */
#define SCENE_FLAGS 0
#include "scene.h"

#include <limits.h>

#include "live/live.h"
#include "store/policies/reader.h"

static const char four[] = "[shop]\nattempts = 4\nwait = none\n";
static const char two[] = "[shop]\nattempts = 2\nwait = none\n";

/* ---- files ---- */

static void
path_in_registry(const struct scene *s, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", s->dir, name);
}

static void
write_in_place(const char *path, const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, 0), length);
    assert_int_equal(ftruncate(fd, (off_t)length), 0);
    close(fd);
}

static void
write_and_rename(const char *path, const char *bytes, size_t length)
{
    char between[PATH_MAX + 8];
    int fd;

    snprintf(between, sizeof(between), "%s.between", path);
    fd = open(between, O_WRONLY | O_CREAT | O_EXCL, 0640);
    assert_true(fd >= 0);
    close(fd);
    write_in_place(between, bytes, length);
    assert_int_equal(rename(between, path), 0);
}

/* ---- a registry with another history ---- */

static void
a_recreated_registry_with_the_same_commit_is_followed(void **state)
{
    struct scene *s = *state;

    scene_start(s, four);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    scene_remove(s->dir);
    scene_init(s);
    scene_apply(s, two);
    assert_int_equal(scene_attempts(s, "shop"), 2);
    assert_int_equal(bide_registry_status(s->b), 0);
}

static void
follow_older_registry(struct scene *s,
                      void (*put_back)(const char *path, const char *bytes,
                                       size_t length))
{
    const struct bide_outcome ok = bide_ok();
    char path[PATH_MAX], *older;
    size_t length;
    int i;

    scene_start(s, four);
    path_in_registry(s, "policies/registry.mdb", path);
    older = scene_read_file(path, &length);
    for (i = 0; i < 5; i++) {
        scene_set(s, "shop", "attempts", i % 2 ? "7" : "8");
    }
    assert_int_equal(scene_attempts(s, "shop"), 8);
    put_back(path, older, length);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    /* A success asks only the gate. */
    scene_set(s, "shop", "paused", "yes");
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
    scene_set(s, "shop", "paused", "no");
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    free(older);
}

static void
an_older_registry_that_is_renamed_into_place_is_followed(void **state)
{
    follow_older_registry(*state, write_and_rename);
}

static void
an_older_registry_that_is_copied_over_the_file_is_followed(void **state)
{
    follow_older_registry(*state, write_in_place);
}

/* The copy has the same id and, after one change, the same number of commits;
 * nobody announces it. */
static void
follow_divergent_copy(struct scene *s,
                      void (*put_back)(const char *path, const char *bytes,
                                       size_t length))
{
    char path[PATH_MAX], *base, *copy;
    size_t base_length, copy_length;

    scene_start(s, four);
    path_in_registry(s, "policies/registry.mdb", path);
    base = scene_read_file(path, &base_length);
    scene_set(s, "shop", "attempts", "2");
    copy = scene_read_file(path, &copy_length);
    write_in_place(path, base, base_length);
    scene_set(s, "shop", "attempts", "6");
    assert_int_equal(scene_attempts(s, "shop"), 6);
    put_back(path, copy, copy_length);
    assert_int_equal(scene_attempts(s, "shop"), 2);
    free(base);
    free(copy);
}

static void
a_copy_with_another_change_that_is_renamed_into_place_is_followed(void **state)
{
    follow_divergent_copy(*state, write_and_rename);
}

static void
a_copy_with_another_change_that_is_written_in_place_is_followed(void **state)
{
    follow_divergent_copy(*state, write_in_place);
}

/* ---- a gate that the registry does not have ---- */

static struct cell *
shared_cell(struct scene *s, const char *name, struct live **out_live)
{
    struct reader *r;
    uint32_t index;

    assert_int_equal(reader_open(s->dir, &r), 0);
    assert_int_equal(
        live_open(reader_live_path(r), reader_id(r), LIVE_FOR_ALL, out_live),
        0);
    reader_close(r);
    assert_int_equal(cell_find(*out_live, name, "", false, &index), 0);
    return cell_at(*out_live, index);
}

static void
a_gate_of_garbage_does_not_keep_a_pause_from_calls(void **state)
{
    const uint64_t garbage[] = {0, GATE_WORD(1ull << 40, 0),
                                GATE_WORD(0xffffffffffff, GATE_CLASSIFY),
                                0x123456789abcdef0};
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct live *l;
    struct cell *c;

    scene_start(s, four);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    c = shared_cell(s, "shop", &l);
    for (size_t i = 0; i < COUNT(garbage); i++) {
        atomic_store(&c->gate, garbage[i]);
        scene_set(s, "shop", "paused", "yes");
        assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_REFUSED);
        scene_set(s, "shop", "paused", "no");
        assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    }
    live_close(l);
}

static void
a_failed_attempt_repairs_a_gate_that_disagrees(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct live *l;
    struct cell *c;
    uint64_t good;

    scene_start(s, "[shop]\nattempts = 2\nwait = none\nbreaker = on\n");
    scene_attempts(s, "shop");
    c = shared_cell(s, "shop", &l);
    good = atomic_load(&c->gate);
    assert_true(good & GATE_BREAKER_ON);
    atomic_store(&c->gate, GATE_WORD(GATE_TXN(good), 0));
    scene_attempts(s, "shop");
    assert_int_equal(atomic_load(&c->gate), good);
    atomic_store(&c->gate, GATE_WORD(GATE_TXN(good) + 100, GATE_PAUSED));
    assert_int_equal(scene_run(s, "shop", &ok, 1, NULL), BIDE_SUCCEEDED);
    assert_int_equal(atomic_load(&c->gate), good);
    live_close(l);
}

/* ---- a first reading that fails ---- */

static void
a_record_that_is_repaired_in_place_is_read_again(void **state)
{
    struct scene *s = *state;
    char path[PATH_MAX], *good, *bad, *text;
    size_t length;

    scene_init(s);
    scene_apply(s, four);
    path_in_registry(s, "policies/registry.mdb", path);
    good = scene_read_file(path, &length);
    bad = scene_read_file(path, &length);
    while ((text = memmem(bad, length, "attempts = 4", 12))) {
        text[0] = 'A';
    }
    write_in_place(path, bad, length);
    scene_open(s);
    assert_int_equal(scene_attempts(s, "shop"), 1);
    assert_int_equal(bide_registry_status(s->b), BIDE_EDAMAGED);
    write_in_place(path, good, length);
    assert_int_equal(scene_attempts(s, "shop"), 4);
    assert_int_equal(bide_registry_status(s->b), 0);
    free(good);
    free(bad);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_recreated_registry_with_the_same_commit_is_followed),
        SCENE(an_older_registry_that_is_renamed_into_place_is_followed),
        SCENE(an_older_registry_that_is_copied_over_the_file_is_followed),
        SCENE(
            a_copy_with_another_change_that_is_renamed_into_place_is_followed),
        SCENE(a_copy_with_another_change_that_is_written_in_place_is_followed),
        SCENE(a_gate_of_garbage_does_not_keep_a_pause_from_calls),
        SCENE(a_failed_attempt_repairs_a_gate_that_disagrees),
        SCENE(a_record_that_is_repaired_in_place_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
