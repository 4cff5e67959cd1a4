/* A registry with a queue, and a clock that the test moves. */
#ifndef TESTS_STORE_QUEUE_H
#define TESTS_STORE_QUEUE_H

#include "unit/store/file/scratch.h"

#include "store/queue/file.h"
#include "store/policies/writer.h"

#define SECOND 1000000000ull

enum { TAKEN = 16 };

struct queue {
    struct scratch *scratch;
    struct deferred *d;
    struct deferred_now now;
    struct defer_rules rules;
    struct deferred_item taken[TAKEN];
};

static void
queue_now(void *arg, struct deferred_now *out)
{
    *out = ((struct queue *)arg)->now;
}

UNUSED static void
queue_open(struct queue *q)
{
    assert_int_equal(deferred_open(q->scratch->dir, &q->d), 0);
    deferred_set_clock(q->d, queue_now, q);
}

UNUSED static void
queue_reopen(struct queue *q)
{
    deferred_close(q->d);
    queue_open(q);
}

/* Moves all changes from the journal into deferred.mdb. */
UNUSED static void
queue_fold(struct queue *q)
{
    assert_int_equal(deferred_lock(q->d), 0);
    assert_int_equal(deferred_fold(q->d), 0);
    deferred_unlock(q->d);
}

UNUSED static int
queue_setup(void **state)
{
    struct queue *q = calloc(1, sizeof(*q));
    uint8_t id[REGISTRY_ID_SIZE];
    void *scratch;

    assert_non_null(q);
    assert_int_equal(scratch_setup(&scratch), 0);
    q->scratch = scratch;
    assert_int_equal(
        writer_create(q->scratch->dir, "/nowhere", deferred_create, id), 0);
    snprintf(q->scratch->file, sizeof(q->scratch->file),
             "%s/deferred/deferred.mdb", q->scratch->dir);
    q->now = (struct deferred_now){1000 * SECOND, 100 * SECOND, 50 * SECOND, 7};
    q->rules = (struct defer_rules){.wait_ns = 60 * SECOND,
                                    .wait_max_ns = 3600 * SECOND,
                                    .expire_ns = 100000 * SECOND,
                                    .lease_ns = 300 * SECOND,
                                    .max = 1000};
    queue_open(q);
    *state = q;
    return 0;
}

UNUSED static int
queue_teardown(void **state)
{
    struct queue *q = *state;
    void *scratch = q->scratch;

    deferred_close(q->d);
    free(q);
    return scratch_teardown(&scratch);
}

#define QUEUE(test) \
    cmocka_unit_test_setup_teardown(test, queue_setup, queue_teardown)

/* Moves all clocks forward. */
UNUSED static void
queue_pass(struct queue *q, uint64_t ns)
{
    q->now.realtime_ns += ns;
    q->now.boottime_ns += ns;
    q->now.monotonic_ns += ns;
}

UNUSED static int
queue_try_put(struct queue *q, const char *text, const char *key,
              uint64_t delay_ns, uint64_t *out_id)
{
    struct bide_work work = {.bytes = text,
                             .length = strlen(text),
                             .type = "text/plain",
                             .key = key,
                             .delay_ns = delay_ns};

    return deferred_put(q->d, "mail", &q->rules, &work, out_id, NULL);
}

UNUSED static uint64_t
queue_put(struct queue *q, const char *text)
{
    uint64_t id = 0;

    assert_int_equal(queue_try_put(q, text, NULL, 0, &id), 0);
    assert_true(id != 0);
    return id;
}

UNUSED static int
queue_take(struct queue *q, int room)
{
    return deferred_take(q->d, "mail", &q->rules, NULL, q->taken, room, NULL);
}

UNUSED static void
queue_free(struct queue *q, int count)
{
    while (count-- > 0) {
        deferred_item_free(&q->taken[count]);
    }
}

/* Takes the next due work and returns its text, "" if none; q->taken[0] is its
 * item. */
UNUSED static const char *
queue_take_text(struct queue *q)
{
    static char text[100];
    int n = queue_take(q, 1);

    assert_in_range(n, 0, 1);
    if (!n) {
        return "";
    }
    assert_true(q->taken[0].length < sizeof(text));
    memcpy(text, q->taken[0].bytes, q->taken[0].length);
    text[q->taken[0].length] = '\0';
    queue_free(q, 1);
    return text;
}

UNUSED static int
queue_nack(struct queue *q, const char *reason)
{
    return deferred_nack(q->d, q->taken[0].id, q->taken[0].lease, &q->rules,
                         true, reason);
}

UNUSED static int
queue_ack(struct queue *q)
{
    return deferred_ack(q->d, q->taken[0].id, q->taken[0].lease);
}

static int
queue_keep_counts(void *arg, const struct deferred_counts *c)
{
    if (!strcmp(c->policy, "mail")) {
        *(struct deferred_counts *)arg = *c;
    }
    return 0;
}

/* Returns the counts of "mail", and checks that they add up. */
UNUSED static struct deferred_counts
queue_counts(struct queue *q)
{
    struct deferred_counts c = {.policy = ""};

    assert_int_equal(deferred_counts(q->d, queue_keep_counts, &c), 0);
    assert_int_equal(c.stored,
                     c.done + c.dropped + c.waiting + c.leased + c.dead);
    return c;
}

UNUSED static struct deferred_item
queue_get(struct queue *q, uint64_t id)
{
    struct deferred_item item;

    assert_int_equal(deferred_get(q->d, id, &item), 0);
    deferred_item_free(&item);
    return item;
}

#endif
