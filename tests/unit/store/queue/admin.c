/* Listing and counting work, and changing it by hand. */
#include "queue.h"

struct seen {
    uint64_t ids[300];
    char policies[300][BIDE_NAME_MAX + 1];
    size_t count, stop_at;
};

static int
keep_listed(void *arg, const struct deferred_item *item)
{
    struct seen *s = arg;

    assert_null(item->bytes);
    strcpy(s->policies[s->count], item->policy);
    s->ids[s->count++] = item->id;
    return s->count == s->stop_at ? 5 : 0;
}

static void
all_work_is_listed_by_policy_then_id(void **state)
{
    struct queue *q = *state;
    struct bide_work work = {.bytes = "x", .length = 1};
    struct seen s = {.count = 0};
    uint64_t id;
    size_t i;

    q->rules.max = 0;
    for (i = 0; i < 150; i++) {
        work.delay_ns = (150 - i) * SECOND;
        assert_int_equal(
            deferred_put(q->d, i % 2 ? "b" : "a", &q->rules, &work, &id, NULL),
            0);
    }
    assert_int_equal(deferred_each(q->d, NULL, keep_listed, &s), 0);
    assert_int_equal(s.count, 150);
    for (i = 1; i < 150; i++) {
        int order = strcmp(s.policies[i - 1], s.policies[i]);

        assert_true(order < 0 || (order == 0 && s.ids[i - 1] < s.ids[i]));
    }
    s.count = 0;
    assert_int_equal(deferred_each(q->d, "b", keep_listed, &s), 0);
    assert_int_equal(s.count, 75);
    s = (struct seen){.stop_at = 7};
    assert_int_equal(deferred_each(q->d, NULL, keep_listed, &s), 5);
    assert_int_equal(s.count, 7);
    s.count = 0;
    assert_int_equal(deferred_each(q->d, "unknown", keep_listed, &s), 0);
    assert_int_equal(s.count, 0);
}

static void
every_piece_is_in_exactly_one_count(void **state)
{
    struct queue *q = *state;
    struct deferred_counts c;
    uint64_t first = queue_put(q, "one"), second;

    queue_pass(q, SECOND);
    second = queue_put(q, "second");
    queue_put(q, "3");
    queue_put(q, "4");
    c = queue_counts(q);
    assert_int_equal(c.stored, 4);
    assert_int_equal(c.waiting, 4);
    assert_int_equal(c.bytes, 3 + 6 + 1 + 1);
    assert_int_equal(c.oldest_ns, q->now.realtime_ns - SECOND);
    assert_string_equal(queue_take_text(q), "one");
    assert_int_equal(queue_ack(q), 0);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, second, NULL), 0);
    assert_string_equal(queue_take_text(q), "3");
    c = queue_counts(q);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.dropped, 1);
    assert_int_equal(c.leased, 1);
    assert_int_equal(c.waiting, 1);
    assert_int_equal(c.bytes, 2);
    assert_int_equal(c.oldest_ns, q->now.realtime_ns);
    assert_true(first < second);
    /* Requeued while it is leased: the lease has ended. */
    assert_int_equal(
        deferred_change(q->d, DEFERRED_REQUEUED, q->taken[0].id, NULL), 0);
    assert_int_equal(queue_ack(q), BIDE_ELEASE);
    assert_int_equal(queue_counts(q).waiting, 2);
}

static void
an_id_is_never_used_twice(void **state)
{
    struct queue *q = *state;
    uint64_t id, last = 0;
    int i;

    for (i = 0; i < 5; i++) {
        id = queue_put(q, "x");
        assert_true(id > last);
        last = id;
        assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, id, NULL), 0);
        queue_reopen(q);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(all_work_is_listed_by_policy_then_id),
        QUEUE(every_piece_is_in_exactly_one_count),
        QUEUE(an_id_is_never_used_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
