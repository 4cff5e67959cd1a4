/* Changes by hand are logged with author and note, and all work is accounted
 * for. */
#include "queue.h"

#include <lmdb.h>

static const struct deferred_by anna = {"anna", "buyer called", 1000};
static const struct deferred_by nobody = {NULL, NULL, 0};

struct log {
    struct deferred_event events[8];
    size_t count;
    uint64_t all, last, damaged;
};

static int
keep_logged(void *arg, const struct deferred_event *event)
{
    struct log *l = arg;

    if (l->count < sizeof(l->events) / sizeof(*l->events)) {
        l->events[l->count++] = *event;
    }
    l->all++;
    l->last = event->id;
    return 0;
}

static struct log
read_log(struct queue *q)
{
    struct log l = {.count = 0};

    assert_int_equal(deferred_events(q->d, keep_logged, &l, &l.damaged), 0);
    return l;
}

static void
dropped_and_requeued_work_is_logged(void **state)
{
    struct queue *q = *state;
    uint64_t first = queue_put(q, "x"), second = queue_put(q, "y");
    struct log l;

    assert_int_equal(read_log(q).count, 0);
    assert_string_equal(queue_take_text(q), "x");
    queue_pass(q, SECOND);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, first, &anna), 0);
    assert_int_equal(queue_ack(q), BIDE_ENOWORK);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, second, &nobody),
                     0);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, second, NULL), 0);
    queue_reopen(q);
    l = read_log(q);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.damaged, 0);
    assert_int_equal(l.events[0].when_ns, q->now.realtime_ns);
    assert_int_equal(l.events[0].id, first);
    assert_int_equal(l.events[0].did, DEFERRED_DROPPED);
    assert_int_equal(l.events[0].attempts, 1);
    assert_string_equal(l.events[0].policy, "mail");
    assert_string_equal(l.events[0].who, "anna");
    assert_int_equal(l.events[0].uid, 1000);
    assert_string_equal(l.events[0].note, "buyer called");
    assert_int_equal(l.events[1].id, second);
    assert_int_equal(l.events[1].did, DEFERRED_REQUEUED);
    assert_string_equal(l.events[1].who, "");
    assert_string_equal(l.events[2].note, "");
}

static void
a_change_that_fails_is_not_logged(void **state)
{
    struct queue *q = *state;

    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, 5, &anna),
                     BIDE_ENOWORK);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, 5, &anna),
                     BIDE_ENOWORK);
    assert_int_equal(read_log(q).count, 0);
}

static void
a_number_of_no_user_is_damage(void **state)
{
    const struct deferred_by by = {"ann", NULL, UINT32_MAX};
    struct queue *q = *state;
    struct log l;

    assert_int_equal(
        deferred_change(q->d, DEFERRED_DROPPED, queue_put(q, "x"), &by), 0);
    l = read_log(q);
    assert_int_equal(l.count, 0);
    assert_int_equal(l.damaged, 1);
}

static void
long_text_is_cut_between_characters(void **state)
{
    char who[200], why[2 * DEFERRED_NOTE_MAX];
    const struct deferred_by by = {who, why, 0};
    struct queue *q = *state;
    struct log l;
    size_t i;

    memset(who, 'w', sizeof(who));
    who[sizeof(who) - 1] = '\0';
    why[0] = 'x';
    for (i = 1; i + 2 < sizeof(why); i += 2) {
        memcpy(why + i, "\xc3\xa4", 2);
    }
    why[i] = '\0';
    assert_int_equal(
        deferred_change(q->d, DEFERRED_DROPPED, queue_put(q, "x"), &by), 0);
    l = read_log(q);
    assert_int_equal(strlen(l.events[0].who), DEFERRED_WHO_MAX);
    assert_int_equal(strlen(l.events[0].note), DEFERRED_NOTE_MAX - 1);
    assert_memory_equal(l.events[0].note, why, DEFERRED_NOTE_MAX - 1);
}

static void
many_are_changed_at_once_and_missing_ones_are_skipped(void **state)
{
    struct queue *q = *state;
    uint64_t ids[200];
    size_t i, count = 7;
    struct log l;

    for (i = 0; i < 200; i++) {
        ids[i] = queue_put(q, "x");
    }
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, ids[63], NULL), 0);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, ids[199], NULL),
                     0);
    assert_int_equal(
        deferred_change_each(q->d, DEFERRED_REQUEUED, ids, 200, &anna, &count),
        0);
    assert_int_equal(count, 198);
    assert_int_equal(
        deferred_change_each(q->d, DEFERRED_DROPPED, ids, 129, &anna, &count),
        0);
    assert_int_equal(count, 128);
    assert_int_equal(
        deferred_change_each(q->d, DEFERRED_DROPPED, ids, 0, &anna, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(queue_counts(q).dropped, 130);
    assert_int_equal(queue_counts(q).waiting, 70);
    l = read_log(q);
    assert_int_equal(l.all, 2 + 198 + 128);
    assert_int_equal(l.last, ids[128]);
}

static void
the_log_does_not_grow_without_limit(void **state)
{
    static uint64_t ids[DEFERRED_LOGGED + 100];
    struct queue *q = *state;
    uint64_t id = queue_put(q, "x");
    size_t i, count;
    struct log l;

    for (i = 0; i < DEFERRED_LOGGED; i++) {
        ids[i] = id;
    }
    assert_int_equal(
        deferred_change(q->d, DEFERRED_DROPPED, queue_put(q, "y"), &anna), 0);
    assert_int_equal(deferred_change_each(q->d, DEFERRED_REQUEUED, ids,
                                          DEFERRED_LOGGED - 1, NULL, &count),
                     0);
    l = read_log(q);
    assert_int_equal(l.all, DEFERRED_LOGGED);
    assert_string_equal(l.events[0].who, "anna");
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, id, NULL), 0);
    l = read_log(q);
    assert_int_equal(l.all, DEFERRED_LOGGED);
    assert_string_equal(l.events[0].who, "");
}

/* Each piece of work is completed, dropped or still there. */
static void
the_counts_add_up_after_any_change(void **state)
{
    struct queue *q = *state;
    uint64_t seed = 3, dropped = 0, requeued = 0;
    struct deferred_counts c;
    struct log l;
    int i;

    q->rules.expire_ns = 4000 * SECOND;
    q->rules.attempts = 3;
    for (i = 0; i < 3000; i++) {
        uint64_t any = 1 + draw(&seed) % 400;

        switch (draw(&seed) % 8) {
        case 0:
        case 1:
            if (i < 1500) {
                queue_put(q, "x");
            }
            break;
        case 2:
            dropped += !deferred_change(q->d, DEFERRED_DROPPED, any, &anna);
            break;
        case 3:
            requeued += !deferred_change(q->d, DEFERRED_REQUEUED, any, &anna);
            break;
        case 4:
            queue_pass(q, draw(&seed) % 200 * SECOND);
            break;
        default:
            if (*queue_take_text(q)) {
                queue_pass(q, draw(&seed) % 400 * SECOND);
                if (draw(&seed) % 2) {
                    queue_ack(q);
                } else {
                    queue_nack(q, "no");
                }
            }
        }
        queue_counts(q);
    }
    c = queue_counts(q);
    l = read_log(q);
    assert_true(c.done && c.dropped && c.died && c.dead);
    assert_int_equal(c.dropped, dropped);
    assert_int_equal(l.all, dropped + requeued);
}

/* ---- damage ---- */

static void
damage_record(struct queue *q, uint64_t number)
{
    uint8_t bytes[9] = {'l', 0, 0, 0, 0, 0, 0, 0, (uint8_t)number};
    MDB_val key = {sizeof(bytes), bytes}, value;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char copy[700];

    queue_fold(q);
    deferred_close(q->d);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(
        mdb_env_open(env, q->scratch->file, MDB_NOSUBDIR | MDB_NOLOCK, 0600),
        0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "work", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_true(value.mv_size < sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    copy[20] ^= 1;
    value.mv_data = copy;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    queue_open(q);
}

static void
a_damaged_record_of_the_log_is_skipped_and_counted(void **state)
{
    struct queue *q = *state;
    struct log l;
    int i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(
            deferred_change(q->d, DEFERRED_DROPPED, queue_put(q, "x"), &anna),
            0);
    }
    damage_record(q, 2);
    l = read_log(q);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.damaged, 1);
    assert_int_equal(l.events[0].id, 1);
    assert_int_equal(l.events[1].id, 3);
    assert_int_equal(
        deferred_change(q->d, DEFERRED_DROPPED, queue_put(q, "x"), &anna), 0);
    assert_int_equal(read_log(q).count, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(dropped_and_requeued_work_is_logged),
        QUEUE(a_change_that_fails_is_not_logged),
        QUEUE(a_number_of_no_user_is_damage),
        QUEUE(long_text_is_cut_between_characters),
        QUEUE(many_are_changed_at_once_and_missing_ones_are_skipped),
        QUEUE(the_log_does_not_grow_without_limit),
        QUEUE(the_counts_add_up_after_any_change),
        QUEUE(a_damaged_record_of_the_log_is_skipped_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
