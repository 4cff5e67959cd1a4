/* Programs built with an earlier or a later header, whose structures have other
 * sizes. */
#include "registry/known.h"
#include "scene.h"

static void
fields_that_are_not_known_must_be_0(void **state)
{
    unsigned char from[8] = {1, 2, 3, 4}, to[6];

    (void)state;
    memset(to, 0xa5, sizeof(to));
    assert_int_equal(known_copy(to, sizeof(to), from, sizeof(from), 2), 0);
    assert_memory_equal(to, "\1\2\3\4\0\0", 6);
    from[7] = 1;
    from[0] = 9;
    assert_int_equal(known_copy(to, sizeof(to), from, sizeof(from), 2), -1);
    assert_memory_equal(to, "\1\2\3\4\0\0", 6); /* untouched */
    assert_int_equal(known_copy(to, sizeof(to), from, 2, 2), 0);
    assert_memory_equal(to, "\11\2\0\0\0\0", 6);
    assert_int_equal(known_copy(to, sizeof(to), from, 1, 2), -1);
}

/* Reads statistics into memory of which the caller says that it has `size`
 * bytes. */
static void
read_stats_of_size(struct scene *s, size_t size, unsigned char *memory,
                   size_t room)
{
    memset(memory, 0xa5, room);
    assert_int_equal(bide_read_stats(scene_policy(s, "shop"), size,
                                     (struct bide_stats *)(void *)memory),
                     0);
}

static void
statistics_stay_within_the_callers_structure(void **state)
{
    enum { KNOWN = sizeof(struct bide_stats), ROOM = KNOWN + 64 };
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    _Alignas(8) unsigned char memory[ROOM];
    struct bide_stats all;

    scene_start(s, "[shop]\nattempts = 2\n");
    scene_run(s, "shop", &ok, 1, NULL);
    all = scene_stats(s, "shop");
    assert_int_equal(all.succeeded, 1);
    for (size_t size = KNOWN_STATS; size <= ROOM; size += 8) {
        size_t both = size < KNOWN ? size : KNOWN;

        read_stats_of_size(s, size, memory, ROOM);
        assert_memory_equal(memory, &all, both);
        for (size_t i = both; i < ROOM; i++) {
            assert_int_equal(memory[i], i < size ? 0 : 0xa5);
        }
    }
    assert_int_equal(bide_read_stats(NULL, sizeof(all), &all), BIDE_EINVAL);
    assert_int_equal(bide_read_stats(scene_policy(s, "shop"), ROOM, NULL),
                     BIDE_EINVAL);
    assert_int_equal(
        bide_read_stats(scene_policy(s, "shop"), KNOWN_STATS - 1, &all),
        BIDE_EINVAL);
    assert_int_equal(all.succeeded, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(fields_that_are_not_known_must_be_0),
        SCENE(statistics_stay_within_the_callers_structure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
