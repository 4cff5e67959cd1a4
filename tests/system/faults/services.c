/* Each allocation and each system call of a service, and of commands for
 * deferred work, fails once, and from then on. */
enum { POINTS = 16 };

#include "faulting.h"

static const char mail[] = "[mail]\nattempts = 2\nwait = none\n"
                           "importance = postponable\ndefer_max = 100000\n"
                           "defer_wait = 1h\n";

static int
drop_item(void *arg, const struct deferred_item *item)
{
    *(uint64_t *)arg = item->id;
    return 1;
}

/* Leaves exactly one piece of work, which is due. */
static void
put_one(struct scene *s, const struct target *t, int run)
{
    const struct defer_rules rules = {.wait_ns = SECOND,
                                      .wait_max_ns = SECOND,
                                      .expire_ns = UINT64_MAX,
                                      .lease_ns = 3600 * SECOND};
    const struct bide_work work = {.bytes = "x", .length = 1};
    const struct deferred_by by = {"tests", NULL, 0};
    struct deferred *d;
    uint64_t id = 0;

    (void)t;
    (void)run;
    assert_int_equal(deferred_open(s->dir, &d), 0);
    while (deferred_each(d, NULL, drop_item, &id)) {
        assert_int_equal(deferred_change(d, DEFERRED_DROPPED, id, &by), 0);
    }
    assert_int_equal(deferred_put(d, "mail", &rules, &work, &id, NULL), 0);
    deferred_close(d);
}

static void
services_tell_the_truth(void **state)
{
    struct scene *s = *state;
    const struct target targets[] = {
        {.name = "service run",
         .service = true,
         .argv = WORDS("run"),
         .parts = POLICIES | QUEUE},
        {.name = "service put",
         .service = true,
         .argv = WORDS("put"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one},
        {.name = "service put-large",
         .service = true,
         .argv = WORDS("put-large"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one},
        {.name = "service ack",
         .service = true,
         .argv = WORDS("ack"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one,
         .leased = "state 1 attempts 1"},
        {.name = "service nack",
         .service = true,
         .argv = WORDS("nack"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one,
         .leased = "state 1 attempts 1"},
        {.name = "deferred put",
         .argv = WORDS("deferred", "put", "mail"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one},
        {.name = "deferred list",
         .argv = WORDS("deferred", "list"),
         .parts = QUEUE,
         .prepare = put_one},
        {.name = "deferred drop",
         .argv = WORDS("deferred", "drop", "mail"),
         .parts = QUEUE,
         .changes = true,
         .prepare = put_one},
    };

    process_registry(s, mail);
    try_targets(s, targets, COUNT(targets));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {SCENE(services_tell_the_truth)};

    setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
