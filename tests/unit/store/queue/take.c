#include "queue.h"

/* ---- order ---- */

static void
work_is_taken_by_due_time_then_by_id(void **state)
{
    struct queue *q = *state;
    uint64_t id;

    assert_int_equal(queue_try_put(q, "later", NULL, 20 * SECOND, &id), 0);
    assert_int_equal(queue_try_put(q, "second", NULL, 10 * SECOND, &id), 0);
    assert_int_equal(queue_try_put(q, "third", NULL, 10 * SECOND, &id), 0);
    queue_put(q, "first");
    assert_string_equal(queue_take_text(q), "first");
    assert_string_equal(queue_take_text(q), "");
    queue_pass(q, 10 * SECOND - 1);
    assert_string_equal(queue_take_text(q), "");
    queue_pass(q, 1);
    assert_string_equal(queue_take_text(q), "second");
    assert_string_equal(queue_take_text(q), "third");
    assert_string_equal(queue_take_text(q), "");
    queue_pass(q, 10 * SECOND);
    assert_string_equal(queue_take_text(q), "later");
}

static void
an_item_is_read_as_it_was_stored(void **state)
{
    static uint8_t bytes[BIDE_WORK_MAX];
    static const size_t lengths[] = {0,    1,    1023,         1024,
                                     1025, 5000, BIDE_WORK_MAX};
    struct queue *q = *state;
    uint64_t id, seed = 9;
    size_t i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)draw(&seed);
    }
    for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        struct bide_work work = {.bytes = i ? bytes : NULL,
                                 .length = lengths[i],
                                 .type = i ? "image/png" : NULL,
                                 .key = i % 2 ? "a key\n" : NULL};

        assert_int_equal(
            deferred_put(q->d, "mail", &q->rules, &work, &id, NULL), 0);
        queue_reopen(q);
        assert_int_equal(queue_take(q, 1), 1);
        assert_int_equal(q->taken[0].id, id);
        assert_string_equal(q->taken[0].policy, "mail");
        assert_string_equal(q->taken[0].type, i ? "image/png" : "");
        assert_string_equal(q->taken[0].key, i % 2 ? "a key\n" : "");
        assert_int_equal(q->taken[0].length, lengths[i]);
        assert_memory_equal(q->taken[0].bytes, bytes, lengths[i]);
        assert_int_equal(q->taken[0].attempts, 1);
        assert_int_equal(q->taken[0].stored_ns, q->now.realtime_ns);
        assert_int_equal(queue_ack(q), 0);
        queue_free(q, 1);
    }
}

static void
policies_do_not_see_each_other(void **state)
{
    struct queue *q = *state;
    struct bide_work work = {.bytes = "x", .length = 1, .key = "k"};
    uint64_t one, two;

    assert_int_equal(deferred_put(q->d, "mai", &q->rules, &work, &one, NULL),
                     0);
    assert_int_equal(deferred_put(q->d, "mail2", &q->rules, &work, &two, NULL),
                     0);
    assert_true(one != two);
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(
        deferred_take(q->d, "mai", &q->rules, NULL, q->taken, 5, NULL), 1);
    assert_int_equal(q->taken[0].id, one);
    queue_free(q, 1);
}

static void
many_are_taken_at_once(void **state)
{
    struct queue *q = *state;
    int i;

    for (i = 0; i < TAKEN + 3; i++) {
        queue_put(q, "x");
    }
    assert_int_equal(queue_take(q, TAKEN), TAKEN);
    for (i = 1; i < TAKEN; i++) {
        assert_int_equal(q->taken[i].id, q->taken[0].id + (uint64_t)i);
        assert_true(q->taken[i].lease != q->taken[i - 1].lease);
    }
    queue_free(q, TAKEN);
    assert_int_equal(queue_take(q, TAKEN), 3);
    queue_free(q, 3);
    assert_int_equal(queue_take(q, 0), BIDE_EINVAL);
}

/* ---- leases ---- */

static void
an_expired_lease_is_no_longer_valid(void **state)
{
    struct queue *q = *state;
    struct deferred_item first;
    uint64_t ends;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    first = q->taken[0];
    queue_pass(q, 300 * SECOND - 1);
    assert_string_equal(queue_take_text(q), "");
    queue_pass(q, 1);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(q->taken[0].attempts, 2);
    assert_string_equal(q->taken[0].last_error, "its lease expired");
    assert_int_equal(deferred_ack(q->d, first.id, first.lease), BIDE_ELEASE);
    assert_int_equal(
        deferred_nack(q->d, first.id, first.lease, &q->rules, true, "no"),
        BIDE_ELEASE);
    ends = 5;
    assert_int_equal(
        deferred_extend(q->d, first.id, first.lease, SECOND, &ends),
        BIDE_ELEASE);
    assert_int_equal(ends, 5);
    assert_true(strstr(place_why(), "lease") != NULL);
    assert_int_equal(queue_ack(q), 0);
    assert_int_equal(queue_ack(q), BIDE_ENOWORK);
    assert_int_equal(queue_counts(q).done, 1);
}

/* Nobody has taken the work since. */
static void
a_result_after_the_end_of_the_lease_changes_nothing(void **state)
{
    static const struct {
        uint64_t after_ns;
        bool in_time;
    } rows[] = {{0, true},
                {300 * SECOND - 1, true},
                {300 * SECOND, false},
                {9000 * SECOND, false}};
    struct queue *q = *state;
    uint64_t ends = 5, id;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int late = rows[i].in_time ? 0 : BIDE_ELEASE;

        id = queue_put(q, "x");
        assert_string_equal(queue_take_text(q), "x");
        q->now.boottime_ns += rows[i].after_ns;
        if (late) {
            assert_int_equal(
                deferred_extend(q->d, id, q->taken[0].lease, SECOND, &ends),
                late);
            assert_int_equal(ends, 5);
            assert_int_equal(queue_nack(q, "too late"), late);
            assert_int_equal(queue_get(q, id).state, DEFERRED_LEASED);
            assert_string_equal(queue_get(q, id).last_error, "");
        }
        assert_int_equal(queue_ack(q), late);
        assert_true(!late || strstr(place_why(), "lease") != NULL);
        assert_int_equal(queue_counts(q).leased, late != 0);
        assert_string_equal(queue_take_text(q), late ? "x" : "");
        assert_int_equal(queue_ack(q), late ? 0 : BIDE_ENOWORK);
        assert_int_equal(queue_counts(q).done, i + 1);
    }
}

static void
an_extended_lease_lasts_longer(void **state)
{
    struct queue *q = *state;
    uint64_t ends;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    queue_pass(q, 200 * SECOND);
    assert_int_equal(deferred_extend(q->d, q->taken[0].id, q->taken[0].lease,
                                     300 * SECOND, &ends),
                     0);
    assert_int_equal(ends, q->now.boottime_ns + 300 * SECOND);
    queue_pass(q, 299 * SECOND);
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_ack(q), 0);
}

static void
the_wall_clock_does_not_move_a_lease(void **state)
{
    struct queue *q = *state;

    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    q->now.realtime_ns += 50000 * SECOND;
    assert_int_equal(queue_take(q, 1), 0);
    q->now.realtime_ns -= 40000 * SECOND;
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_ack(q), 0);
}

static void
a_reboot_ends_all_leases(void **state)
{
    struct queue *q = *state;

    queue_put(q, "x");
    queue_put(q, "y");
    assert_string_equal(queue_take_text(q), "x");
    q->now.boot++;
    q->now.boottime_ns = 1;
    assert_int_equal(queue_ack(q), BIDE_ELEASE);
    assert_int_equal(queue_take(q, 5), 2);
    queue_free(q, 2);
    assert_int_equal(queue_counts(q).leased, 2);
}

/* ---- waits and dead work ---- */

static void
waits_double_up_to_the_maximum(void **state)
{
    static const uint64_t waits[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");
    size_t i;

    for (i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        assert_string_equal(queue_take_text(q), "x");
        assert_int_equal(queue_nack(q, "down\tagain"), 0);
        assert_int_equal(queue_get(q, id).due_ns,
                         q->now.realtime_ns + waits[i] * SECOND);
        assert_string_equal(queue_get(q, id).last_error, "down again");
        queue_pass(q, waits[i] * SECOND - 1);
        assert_int_equal(queue_take(q, 1), 0);
        queue_pass(q, 1);
    }
    assert_int_equal(queue_get(q, id).attempts, i);
}

static void
extreme_waits_do_not_overflow(void **state)
{
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    q->rules.wait_ns = q->rules.wait_max_ns = UINT64_MAX;
    q->rules.lease_ns = UINT64_MAX;
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_get(q, id).lease_ends_ns, UINT64_MAX);
    assert_int_equal(queue_nack(q, NULL), 0);
    assert_int_equal(queue_get(q, id).due_ns, queue_get(q, id).expires_ns);
    q->rules.wait_ns = 0;
    q->rules.expire_ns = UINT64_MAX;
    assert_int_equal(queue_try_put(q, "y", NULL, UINT64_MAX, &id), 0);
    assert_int_equal(queue_get(q, id).due_ns, UINT64_MAX);
    id = queue_put(q, "z");
    assert_string_equal(queue_take_text(q), "z");
    assert_int_equal(queue_nack(q, ""), 0);
    assert_int_equal(queue_get(q, id).due_ns, q->now.realtime_ns + SECOND);
}

static void
work_too_old_is_dead_and_can_be_requeued(void **state)
{
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    queue_pass(q, 100000 * SECOND - 1);
    assert_string_equal(queue_take_text(q), "x");
    queue_pass(q, 1);
    assert_int_equal(queue_nack(q, "down"), 0);
    assert_int_equal(queue_get(q, id).state, DEFERRED_DEAD);
    queue_pass(q, 100000 * SECOND);
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_counts(q).dead, 1);
    assert_int_equal(queue_counts(q).died, 1);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, id, NULL), 0);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(q->taken[0].attempts, 1);
    assert_int_equal(queue_ack(q), 0);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, id, NULL),
                     BIDE_ENOWORK);
}

static void
work_that_is_too_old_at_a_take_is_dead(void **state)
{
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");

    queue_pass(q, 100000 * SECOND);
    assert_int_equal(queue_take(q, 1), 0);
    assert_int_equal(queue_get(q, id).state, DEFERRED_DEAD);
}

static void
work_tried_too_often_is_dead(void **state)
{
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x"), other = queue_put(q, "y");

    q->rules.attempts = 2;
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_nack(q, "one"), 0);
    queue_pass(q, 60 * SECOND);
    assert_string_equal(queue_take_text(q), "y");
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_nack(q, "two"), 0);
    assert_int_equal(queue_get(q, id).state, DEFERRED_DEAD);
    assert_string_equal(queue_get(q, id).last_error, "two");
    /* An attempt of a consumer that dies counts as well. */
    queue_pass(q, 300 * SECOND);
    assert_string_equal(queue_take_text(q), "y");
    queue_pass(q, 300 * SECOND);
    assert_string_equal(queue_take_text(q), "");
    assert_int_equal(queue_get(q, other).state, DEFERRED_DEAD);
    assert_int_equal(queue_counts(q).dead, 2);
}

static void
work_given_back_untried_does_not_count_an_attempt(void **state)
{
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");
    int i;

    q->rules.attempts = 2;
    for (i = 0; i < 5; i++) {
        assert_string_equal(queue_take_text(q), "x");
        assert_int_equal(deferred_nack(q->d, id, q->taken[0].lease, NULL, false,
                                       "not let out"),
                         0);
        assert_int_equal(queue_get(q, id).attempts, 0);
        assert_int_equal(queue_get(q, id).due_ns, q->now.realtime_ns);
        assert_string_equal(queue_get(q, id).last_error, "not let out");
    }
    assert_int_equal(
        deferred_nack(q->d, id, q->taken[0].lease, NULL, false, "again"),
        BIDE_ELEASE);
}

/* ---- the next event ---- */

static void
the_next_event_is_the_first_due_time_or_end_of_a_lease(void **state)
{
    struct queue *q = *state;
    uint64_t next = 1, id;

    assert_int_equal(deferred_next_ns(q->d, "mail", NULL, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(queue_try_put(q, "x", NULL, 900 * SECOND, &id), 0);
    assert_int_equal(deferred_next_ns(q->d, "mail", NULL, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns + 900 * SECOND);
    queue_put(q, "y");
    assert_int_equal(deferred_next_ns(q->d, "mail", NULL, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns);
    assert_string_equal(queue_take_text(q), "y");
    assert_int_equal(
        deferred_take(q->d, "mail", &q->rules, NULL, q->taken, 1, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns + 300 * SECOND);
}

/* ---- one kind of work ---- */

static uint64_t
put_kind(struct queue *q, const char *type, uint64_t delay_ns)
{
    struct bide_work work = {
        .bytes = "x", .length = 1, .type = type, .delay_ns = delay_ns};
    uint64_t id;

    assert_int_equal(deferred_put(q->d, "mail", &q->rules, &work, &id, NULL),
                     0);
    return id;
}

static uint64_t
take_kind(struct queue *q, struct deferred_kind *kind, uint64_t *out_next)
{
    int n = deferred_take(q->d, "mail", &q->rules, kind, q->taken, 1, out_next);

    assert_in_range(n, 0, 1);
    if (n == 1) {
        queue_free(q, 1);
    }
    return n == 1 ? q->taken[0].id : 0;
}

static void
a_take_of_one_kind_takes_only_that_kind(void **state)
{
    struct queue *q = *state;
    struct deferred_kind a = {.type = "a"}, not_a = {"a", true, 0, 0};
    uint64_t first = put_kind(q, "a", 0), second = put_kind(q, "b", 0);
    uint64_t third = put_kind(q, NULL, 0), next = 0;

    assert_int_equal(take_kind(q, &not_a, NULL), second);
    assert_int_equal(take_kind(q, &not_a, NULL), third);
    assert_int_equal(take_kind(q, &not_a, &next), 0);
    assert_int_equal(queue_get(q, first).attempts, 0);
    assert_int_equal(queue_get(q, first).state, DEFERRED_WAITING);
    assert_int_equal(take_kind(q, &a, NULL), first);
    /* Work that is stored later is found after the skipped work. */
    put_kind(q, "a", 0);
    queue_pass(q, SECOND);
    second = put_kind(q, "b", 0);
    assert_int_equal(take_kind(q, &not_a, NULL), second);
    /* And before it, if the clock was set back. */
    q->now.realtime_ns -= 500 * SECOND;
    second = put_kind(q, "b", 0);
    assert_int_equal(take_kind(q, &not_a, NULL), second);
}

static void
due_work_of_another_kind_is_not_the_next_event(void **state)
{
    struct queue *q = *state;
    struct deferred_kind a = {.type = "a"}, not_a = {"a", true, 0, 0};
    uint64_t next = 0;

    put_kind(q, "a", 0);
    assert_int_equal(deferred_next_ns(q->d, "mail", &not_a, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(take_kind(q, &not_a, &next), 0);
    assert_true(next == UINT64_MAX);
    put_kind(q, "a", 100 * SECOND);
    put_kind(q, "b", 200 * SECOND);
    assert_int_equal(take_kind(q, &not_a, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns + 200 * SECOND);
    assert_int_equal(deferred_next_ns(q->d, "mail", &a, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns);
}

static void
with_much_work_of_another_kind_the_next_event_is_never_now(void **state)
{
    struct queue *q = *state;
    struct deferred_kind not_a = {"a", true, 0, 0};
    uint64_t next = 0, id;

    q->rules.max = 0;
    for (uint64_t i = 0; i < 1500; i++) {
        put_kind(q, "a", (1 + i) * SECOND);
    }
    id = put_kind(q, "b", 2000 * SECOND);
    for (int i = 0; i < 4 && next != q->now.monotonic_ns; i++) {
        assert_int_equal(take_kind(q, &not_a, &next), 0);
        assert_true(next > q->now.monotonic_ns);
        queue_pass(q, next - q->now.monotonic_ns);
        assert_int_equal(deferred_next_ns(q->d, "mail", &not_a, &next), 0);
    }
    assert_int_equal(take_kind(q, &not_a, &next), id);
}

static void
work_too_old_is_dead_whatever_its_kind(void **state)
{
    struct queue *q = *state;
    struct deferred_kind not_a = {"a", true, 0, 0};
    uint64_t id = put_kind(q, "a", 0), next = 0;

    queue_pass(q, 100001 * SECOND);
    assert_int_equal(deferred_next_ns(q->d, "mail", &not_a, &next), 0);
    assert_int_equal(next, q->now.monotonic_ns);
    assert_int_equal(take_kind(q, &not_a, &next), 0);
    assert_int_equal(queue_get(q, id).state, DEFERRED_DEAD);
}

/* ---- keys and limits ---- */

static void
the_same_key_is_the_same_work_until_it_is_deleted(void **state)
{
    struct queue *q = *state;
    uint64_t id, again = 0;

    assert_int_equal(queue_try_put(q, "x", "order-9", 0, &id), 0);
    assert_int_equal(queue_try_put(q, "other", "order-9", 0, &again), 0);
    assert_int_equal(again, id);
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_try_put(q, "other", "order-9", 0, &again), 0);
    assert_int_equal(again, id);
    q->now.realtime_ns += 100000 * SECOND;
    assert_int_equal(queue_nack(q, "old"), 0);
    assert_int_equal(queue_get(q, id).state, DEFERRED_DEAD);
    assert_int_equal(queue_try_put(q, "other", "order-9", 0, &again), 0);
    assert_int_equal(again, id);
    assert_int_equal(queue_counts(q).stored, 1);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, id, NULL), 0);
    assert_int_equal(queue_try_put(q, "new", "order-9", 0, &again), 0);
    assert_true(again > id);
    assert_string_equal(queue_take_text(q), "new");
}

static void
a_full_policy_stores_no_more_until_one_is_deleted(void **state)
{
    struct queue *q = *state;
    uint64_t id = 77;

    q->rules.max = 3;
    queue_put(q, "a");
    assert_int_equal(queue_try_put(q, "b", "k", 0, &id), 0);
    queue_put(q, "c");
    id = 77;
    assert_int_equal(queue_try_put(q, "d", NULL, 0, &id), BIDE_EFULL);
    assert_int_equal(id, 77);
    assert_true(strstr(place_why(), "mail") != NULL);
    assert_int_equal(queue_try_put(q, "b", "k", 0, &id), 0);
    assert_string_equal(queue_take_text(q), "a");
    assert_int_equal(queue_try_put(q, "d", NULL, 0, &id), BIDE_EFULL);
    assert_int_equal(queue_ack(q), 0);
    queue_put(q, "d");
}

static void
work_that_cannot_be_stored_is_refused(void **state)
{
    static char bytes[BIDE_WORK_MAX + 1], text[300];
    struct queue *q = *state;
    uint64_t id = 77;
    const struct {
        const char *policy;
        struct bide_work work;
        int rc;
    } rows[] = {
        {"mail", {.bytes = bytes, .length = BIDE_WORK_MAX + 1}, BIDE_EINVAL},
        {"mail", {.bytes = NULL, .length = 1}, BIDE_EINVAL},
        {"mail", {.bytes = "", .type = text}, BIDE_EINVAL},
        {"mail", {.bytes = "", .key = text}, BIDE_EINVAL},
        {"Mail", {.bytes = ""}, BIDE_ENAME},
        {"", {.bytes = ""}, BIDE_ENAME},
    };
    size_t i;

    memset(text, 'x', sizeof(text) - 1);
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(deferred_put(q->d, rows[i].policy, &q->rules,
                                      &rows[i].work, &id, NULL),
                         rows[i].rc);
        assert_int_equal(id, 77);
    }
    assert_int_equal(deferred_ack(q->d, 5, 5), BIDE_ENOWORK);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, 5, NULL),
                     BIDE_ENOWORK);
    assert_int_equal(queue_counts(q).stored, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(work_is_taken_by_due_time_then_by_id),
        QUEUE(an_item_is_read_as_it_was_stored),
        QUEUE(policies_do_not_see_each_other),
        QUEUE(many_are_taken_at_once),
        QUEUE(an_expired_lease_is_no_longer_valid),
        QUEUE(a_result_after_the_end_of_the_lease_changes_nothing),
        QUEUE(an_extended_lease_lasts_longer),
        QUEUE(the_wall_clock_does_not_move_a_lease),
        QUEUE(a_reboot_ends_all_leases),
        QUEUE(waits_double_up_to_the_maximum),
        QUEUE(extreme_waits_do_not_overflow),
        QUEUE(work_too_old_is_dead_and_can_be_requeued),
        QUEUE(work_that_is_too_old_at_a_take_is_dead),
        QUEUE(work_tried_too_often_is_dead),
        QUEUE(work_given_back_untried_does_not_count_an_attempt),
        QUEUE(the_next_event_is_the_first_due_time_or_end_of_a_lease),
        QUEUE(a_take_of_one_kind_takes_only_that_kind),
        QUEUE(due_work_of_another_kind_is_not_the_next_event),
        QUEUE(with_much_work_of_another_kind_the_next_event_is_never_now),
        QUEUE(work_too_old_is_dead_whatever_its_kind),
        QUEUE(the_same_key_is_the_same_work_until_it_is_deleted),
        QUEUE(a_full_policy_stores_no_more_until_one_is_deleted),
        QUEUE(work_that_cannot_be_stored_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
