/* System calls that a command makes for each cell that it reads. */
#include "scene.h"

#include <sys/syscall.h>

#include "live/snapshot.h"

#define S UINT64_C(1000000000)
#define BEGIN (1000 * S) /* any time */

static unsigned reads, stats;

ssize_t
pread(int fd, void *out, size_t size, off_t offset)
{
    reads++;
    return syscall(SYS_pread64, fd, out, size, offset);
}

int
fstat(int fd, struct stat *out)
{
    stats++;
    return fstatat(fd, "", out, AT_EMPTY_PATH);
}

static void
a_cell_is_read_with_one_look_at_the_descriptor(void **state)
{
    static struct cell_reading total, window;
    struct scene *s = *state;
    struct live *service = scene_open(s), *command = scene_open(s);
    uint32_t used = scene_cell(service, "a"), unused = scene_cell(service, "b");
    bool whole;

    for (uint32_t i = 0; i < 2; i++) {
        struct stripe *stripe = cell_stripe(service, used, i);

        assert_non_null(stripe);
        atomic_fetch_add(&stripe->succeeded[100], 5);
    }
    cell_snapshot(service, used, BEGIN);
    cell_read_window(command, used, BEGIN, &total, &window, &whole);

    reads = stats = 0;
    cell_read_window(command, used, BEGIN + 9 * S, &total, &window, &whole);
    assert_int_equal(total.succeeded[100], 10);
    assert_int_equal(reads, 3); /* two stripes, the snapshots */
    assert_int_equal(stats, 1);
    reads = stats = 0;
    cell_read_window(command, unused, BEGIN, &total, &window, &whole);
    assert_int_equal(reads + stats, 0);
    live_close(command);
    live_close(service);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_cell_is_read_with_one_look_at_the_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
