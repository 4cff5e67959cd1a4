#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/boot.h"
#include "space.h"

static struct process *found; /* shared with the children */

static int
setup(void **state)
{
    (void)state;
    found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    return found == MAP_FAILED;
}

static void
find_self(void *at)
{
    *(struct process *)at = process_self();
}

static void *
find_in_thread(void *at)
{
    find_self(at);
    return NULL;
}

static void
a_process_has_one_id(void **state)
{
    struct process self = process_self();
    pthread_t thread;

    (void)state;
    assert_int_not_equal(self.id, 0);
    assert_int_equal(self.pid, getpid());
    assert_int_not_equal(self.space, 0);
    assert_int_equal(process_self().id, self.id);
    assert_int_equal(pthread_create(&thread, NULL, find_in_thread, &found[0]),
                     0);
    pthread_join(thread, NULL);
    assert_memory_equal(&found[0], &self, sizeof(self));
}

static void
a_forked_child_has_an_id_of_its_own(void **state)
{
    struct process self = process_self();

    (void)state;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        if (child == 0) {
            find_self(&found[i]);
            _exit(0);
        }
        assert_int_equal(space_end(child), 0);
        assert_int_equal(found[i].pid, child);
        assert_int_equal(found[i].space, self.space);
        assert_int_not_equal(found[i].id, self.id);
        assert_true(process_is_gone((uint32_t)child, self.space));
    }
    assert_int_not_equal(found[0].id, found[1].id);
}

/* Is number 1, and starts another number 1. */
static void
be_first_of_two(void *arg)
{
    pid_t child;

    (void)arg;
    find_self(&found[0]);
    child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        find_self(&found[1]);
        _exit(0);
    }
    _exit(space_end(child) ? 1 : 0);
}

static void
the_first_processes_of_two_containers_are_two(void **state)
{
    (void)state;
    assert_int_equal(space_end(space_start(be_first_of_two, NULL)), 0);
    assert_int_equal(found[0].pid, 1);
    assert_int_equal(found[1].pid, 1);
    assert_int_not_equal(found[0].space, found[1].space);
    assert_int_not_equal(found[0].id, found[1].id);
    /* The words of the breaker keep 22 bits, a place of a probe 10. */
    assert_int_not_equal(found[0].id % (1 << 22), found[1].id % (1 << 22));
    assert_true(process_is_elsewhere(found[0].space));
}

/* Containers that are started one after the other may get the same number for
 * their namespaces as well. */
static void
containers_one_after_the_other_are_two(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(space_end(space_start(find_self, &found[i])), 0);
    }
    assert_int_equal(found[0].pid, found[1].pid);
    assert_int_not_equal(found[0].id, found[1].id);
}

static void
only_the_end_of_a_process_of_this_namespace_is_known(void **state)
{
    struct process self = process_self();
    const struct {
        uint32_t pid, space;
        bool gone, elsewhere;
    } rows[] = {
        {self.pid, self.space, false, false},
        {1, self.space, false, false},
        {INT32_MAX, self.space, true, false},
        {UINT32_MAX, self.space, true, false}, /* not the whole group */
        {0, self.space, true, false},
        {INT32_MAX, self.space + 1, false, true},
        {INT32_MAX, 0, false, false}, /* unknown */
        {0, 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(process_is_gone(rows[i].pid, rows[i].space),
                         rows[i].gone);
        assert_int_equal(process_is_elsewhere(rows[i].space),
                         rows[i].elsewhere);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_has_one_id),
        cmocka_unit_test(a_forked_child_has_an_id_of_its_own),
        cmocka_unit_test(the_first_processes_of_two_containers_are_two),
        cmocka_unit_test(containers_one_after_the_other_are_two),
        cmocka_unit_test(only_the_end_of_a_process_of_this_namespace_is_known),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
