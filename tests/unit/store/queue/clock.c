/* The clocks of the host are changed while a queue reads them. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <sys/syscall.h>
#include <time.h>

#define HOUR (3600 * SECOND)

/* How far each clock is ahead of the kernel's. */
static int64_t realtime, boottime;

SEEN int
clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t moved = id == CLOCK_REALTIME   ? realtime
                    : id == CLOCK_BOOTTIME ? boottime
                                           : 0;
    int rc = (int)syscall(SYS_clock_gettime, id, out);

    moved += (int64_t)out->tv_sec * (int64_t)SECOND + out->tv_nsec;
    out->tv_sec = moved / (int64_t)SECOND;
    out->tv_nsec = moved % (int64_t)SECOND;
    return rc;
}

static int
setup_shifted_clock(void **state)
{
    struct queue *q;

    realtime = boottime = 0;
    queue_setup(state);
    q = *state;
    deferred_set_clock(q->d, NULL, NULL);
    q->rules.lease_ns = HOUR;
    q->rules.expire_ns = 1000 * HOUR;
    return 0;
}

static void
a_clock_set_forward_ends_no_lease(void **state)
{
    struct queue *q = *state;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    realtime = 24 * (int64_t)HOUR;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_ack(q), 0);
}

static void
a_clock_set_back_lengthens_no_lease(void **state)
{
    struct queue *q = *state;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    realtime = -24 * (int64_t)HOUR;
    boottime = HOUR + SECOND;
    assert_int_equal(queue_ack(q), BIDE_ELEASE);
    realtime = 0;
    assert_string_equal(queue_take_text(q), "x");
}

/* CLOCK_MONOTONIC does not count that time, CLOCK_BOOTTIME does. */
static void
time_while_the_host_is_suspended_counts(void **state)
{
    struct queue *q = *state;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    boottime = HOUR - 60 * (int64_t)SECOND;
    assert_int_equal(queue_take(q, 1), 0);
    boottime = HOUR + SECOND;
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
}

/* Due times are shown to people, so they use CLOCK_REALTIME. */
static void
a_clock_set_forward_makes_work_due(void **state)
{
    struct queue *q = *state;
    uint64_t id;

    assert_int_equal(queue_try_put(q, "x", NULL, 24 * HOUR, &id), 0);
    assert_int_equal(queue_take(q, 1), 0);
    realtime = 25 * (int64_t)HOUR;
    assert_string_equal(queue_take_text(q), "x");
}

static void
a_clock_set_back_loses_no_work(void **state)
{
    struct deferred_by by = {.who = "ann", .note = "the clock was set back"};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    realtime = -24 * (int64_t)HOUR;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, id, &by), 0);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
}

/* Work that is too old by a wrong clock is dead, and can be requeued. */
static void
a_clock_set_too_far_forward_loses_no_work(void **state)
{
    struct deferred_by by = {.who = "ann", .note = "the clock was wrong"};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    realtime = 2000 * (int64_t)HOUR;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_counts(q).dead, 1);
    realtime = 0;
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, id, &by), 0);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
}

/* For example without /proc. */
static void
a_process_that_cannot_read_the_boot_id_ends_no_lease(void **state)
{
    struct queue *q = *state;
    struct deferred *knows = q->d, *other;

    assert_int_equal(deferred_open(q->scratch->dir, &other), 0);
    assert_true(knows->boot != 0);
    other->boot = 0;
    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    q->d = other;
    assert_string_equal(queue_take_text(q), "");
    queue_put(q, "y");
    q->d = knows;
    assert_string_equal(queue_take_text(q), "y");
    assert_int_equal(queue_ack(q), 0);
    assert_string_equal(queue_take_text(q), "");
    assert_int_equal(queue_counts(q).leased, 1);
    deferred_close(other);
}

/* Each read of the clock is one second later. */
static void
slow_clock(void *arg, struct deferred_now *out)
{
    struct queue *q = arg;

    *out = q->now;
    queue_pass(q, SECOND);
}

/* Otherwise its place would be before the place up to which another search has
 * come. */
static void
work_is_due_from_the_time_it_is_stored_not_from_the_call(void **state)
{
    struct queue *q = *state;
    struct deferred_item item;
    uint64_t asked = q->now.realtime_ns, id;

    deferred_set_clock(q->d, slow_clock, q);
    assert_int_equal(queue_try_put(q, "x", NULL, 0, &id), 0);
    assert_int_equal(deferred_get(q->d, id, &item), 0);
    assert_int_equal(item.due_ns, asked + SECOND);
    deferred_item_free(&item);
}

/* Its lease expires, and another consumer ends it, between the call of a take
 * and its turn. */
static void
overtaken_clock(void *arg, struct deferred_now *out)
{
    struct queue *q = arg;
    struct deferred *other;

    *out = q->now;
    deferred_set_clock(q->d, queue_now, q);
    queue_pass(q, 2 * SECOND);
    assert_int_equal(deferred_open(q->scratch->dir, &other), 0);
    deferred_set_clock(other, queue_now, q);
    assert_int_equal(
        deferred_take(other, "mail", &q->rules, NULL, q->taken, 1, NULL), 1);
    assert_memory_equal(q->taken[0].bytes, "y", 1);
    deferred_item_free(&q->taken[0]);
    deferred_close(other);
}

static void
a_lease_begins_when_it_is_given_not_at_the_call(void **state)
{
    struct queue *q = *state;
    uint64_t ended;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    ended = q->taken[0].lease_ends_ns;
    queue_pass(q, q->rules.lease_ns - SECOND);
    queue_put(q, "y");
    deferred_set_clock(q->d, overtaken_clock, q);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(q->taken[0].lease_ends_ns,
                     q->now.boottime_ns + q->rules.lease_ns);
    assert_true(q->now.boottime_ns >= ended);
}

#define MOVED(test) \
    cmocka_unit_test_setup_teardown(test, setup_shifted_clock, queue_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MOVED(a_clock_set_forward_ends_no_lease),
        MOVED(a_clock_set_back_lengthens_no_lease),
        MOVED(time_while_the_host_is_suspended_counts),
        MOVED(a_clock_set_forward_makes_work_due),
        MOVED(a_clock_set_back_loses_no_work),
        MOVED(a_clock_set_too_far_forward_loses_no_work),
        MOVED(work_is_due_from_the_time_it_is_stored_not_from_the_call),
        QUEUE(a_lease_begins_when_it_is_given_not_at_the_call),
        MOVED(a_process_that_cannot_read_the_boot_id_ends_no_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
