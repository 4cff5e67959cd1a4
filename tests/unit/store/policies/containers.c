/* Writers in containers, which have PID namespaces of their own. */
#include "unit/store/file/scratch.h"
#include "policies.h"

#include "store/policies/reader.h"
#include "store/policies/writer.h"
#include "unit/base/space.h"

struct container {
    struct scratch *scratch;
    char holder[64]; /* the words that name it, or "" */
    struct writer *writer;
};

static void
be_told_the_holder(void *arg)
{
    struct container *c = arg;
    struct writer *second;

    if (writer_begin(c->scratch->dir, "other", 0, &second) != BIDE_ELOCKED ||
        !strstr(place_why(), c->holder)) {
        _exit(1);
    }
}

static void
a_holder_in_another_container_is_said_to_be_there(void **state)
{
    struct container c = {.scratch = *state};
    struct writer *w = began(c.scratch->dir);

    snprintf(c.holder, sizeof(c.holder), "pid %d in another container (test",
             (int)getpid());
    assert_int_equal(space_end(space_start(be_told_the_holder, &c)), 0);
    writer_end(w);
}

static void
use_the_writer_of_number_1(void *arg)
{
    struct container *c = arg;
    struct record mine = policy("mine", 1);

    if (writer_put(c->writer, &mine, NULL) != BIDE_EINVAL ||
        writer_commit(c->writer) != BIDE_EINVAL) {
        _exit(1);
    }
    writer_end(c->writer);
}

/* Both are number 1. */
static void
lend_the_writer(void *arg)
{
    struct container *c = arg;
    struct record in = policy("pay", 1);
    pid_t child;

    c->writer = began(c->scratch->dir);
    if (writer_put(c->writer, &in, NULL)) {
        _exit(2);
    }
    child = space_start(use_the_writer_of_number_1, c);
    if (space_end(child) || writer_commit(c->writer)) {
        _exit(3);
    }
    writer_end(c->writer);
}

static void
a_child_with_its_parents_number_cannot_use_its_writer(void **state)
{
    struct container c = {.scratch = *state};
    struct record r;

    assert_int_equal(space_end(space_start(lend_the_writer, &c)), 0);
    c.writer = began(c.scratch->dir);
    assert_int_equal(writer_policy(c.writer, "pay", &r), 0);
    record_free(&r);
    assert_int_equal(writer_policy(c.writer, "mine", &r), BIDE_ENOPOLICY);
    writer_end(c.writer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_holder_in_another_container_is_said_to_be_there),
        SCRATCH(a_child_with_its_parents_number_cannot_use_its_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
