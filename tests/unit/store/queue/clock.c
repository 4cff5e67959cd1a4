/* The host's clocks move under a queue that reads them itself. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <sys/syscall.h>
#include <time.h>

#define HOUR (3600 * SECOND)

/* By how much each is ahead of the kernel's. */
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
setup(void **state)
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

/* CLOCK_MONOTONIC stands still then. */
static void
time_that_the_host_was_asleep_counts(void **state)
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

/* Due times are told to people: they are by the clock that people read. */
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
a_clock_set_back_loses_nothing(void **state)
{
    struct deferred_by by = {.who = "ann", .note = "the clock was set back"};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    realtime = -24 * (int64_t)HOUR;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(deferred_requeue(q->d, id, &by), 0);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
}

/* What expired by a clock that was wrong is dead, and can be sent back. */
static void
a_clock_set_too_far_forward_loses_nothing(void **state)
{
    struct deferred_by by = {.who = "ann", .note = "the clock was wrong"};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    realtime = 2000 * (int64_t)HOUR;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_counts(q).dead, 1);
    realtime = 0;
    assert_int_equal(deferred_requeue(q->d, id, &by), 0);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
}

/* As without /proc. */
static void
who_does_not_know_the_boot_ends_no_lease(void **state)
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

/* Each look at the clock is a second later. */
static void
slow_clock(void *arg, struct deferred_now *out)
{
    struct queue *q = arg;

    *out = q->now;
    queue_pass(q, SECOND);
}

/* Else it would stand before what somebody has already looked past. */
static void
work_is_due_from_when_it_is_there_not_from_when_it_was_asked_for(void **state)
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

#define MOVED(test) cmocka_unit_test_setup_teardown(test, setup, queue_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MOVED(a_clock_set_forward_ends_no_lease),
        MOVED(a_clock_set_back_lengthens_no_lease),
        MOVED(time_that_the_host_was_asleep_counts),
        MOVED(a_clock_set_forward_makes_work_due),
        MOVED(a_clock_set_back_loses_nothing),
        MOVED(a_clock_set_too_far_forward_loses_nothing),
        MOVED(work_is_due_from_when_it_is_there_not_from_when_it_was_asked_for),
        MOVED(who_does_not_know_the_boot_ends_no_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
