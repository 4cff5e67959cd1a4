/* Damaged records are set aside and the rest is served; a damaged file is an
 * error.  Nothing crashes. */
#include "queue.h"

#include "store/queue/record.h"

static const char dear[] = "dear customer number %d, this is a letter";

/* ---- changing bytes of the file ---- */

static uint8_t *
file_read(struct queue *q, size_t *out_length)
{
    uint8_t *bytes;
    long length;
    FILE *f;

    queue_fold(q);
    f = fopen(q->scratch->file, "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    length = ftell(f);
    rewind(f);
    bytes = malloc((size_t)length);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)length, f), length);
    fclose(f);
    *out_length = (size_t)length;
    return bytes;
}

static void
file_write(struct queue *q, const uint8_t *bytes, size_t length)
{
    int fd = open(q->scratch->file, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

/* Flips a bit `ahead` bytes after each occurrence of these bytes. */
static void
flip_bits(struct queue *q, const void *pattern, size_t size, size_t ahead)
{
    size_t length;
    uint8_t *bytes = file_read(q, &length), *at = bytes;
    int found = 0;

    while ((at = memmem(at, length - (size_t)(at - bytes), pattern, size))) {
        at[ahead] ^= 1;
        at += size;
        found++;
    }
    assert_true(found > 0);
    file_write(q, bytes, length);
    free(bytes);
}

static void
put_letters(struct queue *q, int count)
{
    char text[100], key[20];
    uint64_t id;
    int i;

    for (i = 1; i <= count; i++) {
        snprintf(text, sizeof(text), dear, i);
        snprintf(key, sizeof(key), "key %d", i);
        assert_int_equal(queue_try_put(q, text, key, 0, &id), 0);
        assert_int_equal(id, i);
    }
}

static int
keep_damaged(void *arg, const struct deferred_item *item)
{
    if (item->length == SIZE_MAX) {
        ((uint64_t *)arg)[0]++;
        ((uint64_t *)arg)[1] = item->id;
    }
    return 0;
}

static void
the_others_are_taken(struct queue *q, int count)
{
    int i;

    assert_int_equal(queue_take(q, TAKEN), count);
    for (i = 0; i < count; i++) {
        assert_true(q->taken[i].id != 2);
        assert_int_equal(deferred_ack(q->d, q->taken[i].id, q->taken[i].lease),
                         0);
    }
    queue_free(q, count);
}

/* ---- records ---- */

static void
damaged_payloads_are_set_aside(void **state)
{
    struct queue *q = *state;
    struct deferred_item item;

    put_letters(q, 5);
    flip_bits(q, "number 2,", 9, 3);
    queue_reopen(q);
    the_others_are_taken(q, 4);
    assert_int_equal(queue_counts(q).dead, 1);
    assert_int_equal(deferred_get(q->d, 2, &item), BIDE_EDAMAGED);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, 2, NULL), 0);
    assert_int_equal(queue_counts(q).dropped, 1);
    assert_int_equal(queue_counts(q).bytes, 0);
}

static void
long_damaged_payloads_are_set_aside(void **state)
{
    static char bytes[3 * 4096];
    struct queue *q = *state;
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    uint64_t id;

    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes + 9000, "needle", 6);
    assert_int_equal(deferred_put(q->d, "mail", &q->rules, &work, &id, NULL),
                     0);
    queue_put(q, "next");
    flip_bits(q, "needle", 6, 0);
    queue_reopen(q);
    assert_string_equal(queue_take_text(q), "next");
    assert_int_equal(queue_counts(q).dead, 1);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, id, NULL), 0);
}

static int
keep_event(void *arg, const struct deferred_event *event)
{
    *(struct deferred_event *)arg = *event;
    return 0;
}

static void
a_damaged_head_is_set_aside_and_listed(void **state)
{
    struct deferred_event event = {.id = 0};
    struct queue *q = *state;
    uint64_t seen[2] = {0}, again;
    struct deferred_item item;

    put_letters(q, 5);
    flip_bits(q, "mailtext/plainkey 2", 19, 7);
    queue_reopen(q);
    the_others_are_taken(q, 4);
    assert_int_equal(deferred_each(q->d, NULL, keep_damaged, seen), 0);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 2);
    assert_int_equal(deferred_get(q->d, 2, &item), BIDE_EDAMAGED);
    assert_int_equal(deferred_change(q->d, DEFERRED_REQUEUED, 2, NULL),
                     BIDE_EDAMAGED);
    assert_int_equal(deferred_ack(q->d, 2, 1), BIDE_EDAMAGED);
    assert_int_equal(queue_counts(q).dead, 1);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, 2, NULL), 0);
    assert_int_equal(deferred_change(q->d, DEFERRED_DROPPED, 2, NULL),
                     BIDE_ENOWORK);
    assert_int_equal(deferred_events(q->d, keep_event, &event, &again), 0);
    assert_int_equal(event.id, 2);
    assert_string_equal(event.policy, "mail");
    assert_int_equal(queue_counts(q).dead, 0);
    assert_int_equal(queue_counts(q).dropped, 1);
    assert_int_equal(queue_counts(q).bytes, 0);
    /* Its key can be used again. */
    assert_int_equal(queue_try_put(q, "x", "key 2", 0, &again), 0);
    assert_true(again > 5);
}

/* The index, the keys and the current counts are made from the heads. */
static void
a_damaged_index_is_made_again(void **state)
{
    static const struct {
        const char *bytes;
        size_t size, ahead;
    } rows[] = {
        {"imail\0\0", 7, 15},  /* a due time */
        {"imail\0\0", 7, 23},  /* an id */
        {"cmail", 5, 6},       /* counts */
        {"kmail\0key", 9, 12}, /* a key */
    };
    struct queue *q = *state;
    uint64_t id;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct deferred_counts c;

        q->rules.max = 0;
        id = queue_put(q, "one");
        assert_int_equal(queue_try_put(q, "two", "key", 0, &id), 0);
        flip_bits(q, rows[i].bytes, rows[i].size, rows[i].ahead);
        queue_reopen(q);
        assert_int_equal(queue_take(q, 5), 2);
        assert_int_equal(deferred_ack(q->d, q->taken[0].id, q->taken[0].lease),
                         0);
        assert_int_equal(deferred_ack(q->d, q->taken[1].id, q->taken[1].lease),
                         0);
        queue_free(q, 2);
        c = queue_counts(q);
        assert_int_equal(c.waiting + c.leased + c.dead + c.bytes, 0);
        assert_true(queue_put(q, "x") > id);
        assert_string_equal(queue_take_text(q), "x");
        assert_int_equal(queue_ack(q), 0);
    }
}

static void
a_lease_survives_damaged_meta(void **state)
{
    struct queue *q = *state;
    uint64_t next = 3; /* two were stored, so the next id is 3 */
    uint8_t meta[24] = {DEFERRED_FORMAT};

    queue_put(q, "one");
    queue_put(q, "two");
    assert_string_equal(queue_take_text(q), "one");
    memcpy(meta + 8, &q->now.boot, 8);
    memcpy(meta + 16, &next, 8);
    flip_bits(q, meta, sizeof(meta), 1);
    queue_reopen(q);
    assert_string_equal(queue_take_text(q), "two");
    assert_string_equal(queue_take_text(q), "");
    assert_true(queue_put(q, "three") > 2);
    assert_int_equal(queue_counts(q).leased, 2);
}

/* ---- the file ---- */

static void
a_truncated_file_is_reported_as_damaged(void **state)
{
    struct queue *q = *state;
    size_t length;
    uint8_t *bytes;
    uint64_t id = 7;

    put_letters(q, 50);
    bytes = file_read(q, &length);
    file_write(q, bytes, 10000);
    assert_int_equal(queue_try_put(q, "x", NULL, 0, &id), BIDE_EDAMAGED);
    assert_int_equal(id, 7);
    assert_true(strstr(place_why(), "deferred.mdb") != NULL);
    file_write(q, bytes, 0);
    assert_int_equal(queue_take(q, 1), BIDE_EDAMAGED);
    file_write(q, bytes, length);
    assert_int_equal(queue_take(q, TAKEN), TAKEN);
    queue_free(q, TAKEN);
    free(bytes);
}

static void
garbage_in_deferred_checked_causes_a_new_check(void **state)
{
    static const char garbage[100] = "dchk and so on";
    struct queue *q = *state;
    char path[400];
    int fd, i;

    snprintf(path, sizeof(path), "%s/deferred/deferred.checked",
             q->scratch->dir);
    for (i = 0; i < 3; i++) {
        queue_put(q, "x");
        deferred_close(q->d);
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, garbage, 30 * (size_t)i), 30 * i);
        close(fd);
        queue_open(q);
        assert_string_equal(queue_take_text(q), "x");
    }
    assert_int_equal(unlink(path), 0);
    queue_put(q, "x");
}

/* One bit anywhere: every call returns, and there is never more work than was
 * stored. */
static void
any_flipped_bit_is_an_answer_not_a_crash(void **state)
{
    struct queue *q = *state;
    uint64_t seed = 3, seen[2];
    size_t length;
    uint8_t *bytes;
    int i, k, n;

    q->rules.max = 0;
    put_letters(q, 60);
    assert_int_equal(queue_take(q, 5), 5);
    queue_free(q, 5);
    bytes = file_read(q, &length);
    for (i = 0; i < 150; i++) {
        size_t at = (size_t)below(&seed, length);
        uint8_t bit = (uint8_t)(1 << below(&seed, 8));

        bytes[at] ^= bit;
        deferred_close(q->d);
        file_write(q, bytes, length);
        bytes[at] ^= bit;
        q->d = NULL;
        if (deferred_open(q->scratch->dir, &q->d)) {
            continue;
        }
        deferred_set_clock(q->d, queue_now, q);
        n = queue_take(q, TAKEN);
        assert_true(n >= 0 || n == BIDE_EDAMAGED);
        for (k = 0; k < n; k++) {
            deferred_ack(q->d, q->taken[k].id, q->taken[k].lease);
        }
        queue_free(q, n);
        assert_in_range(-deferred_each(q->d, NULL, keep_damaged, seen), 0, 16);
        if (n >= 0) {
            struct deferred_counts c = queue_counts(q);

            assert_true(c.waiting + c.leased + c.dead <= 60);
        }
    }
    free(bytes);
}

/* ---- a file that is cut short while it is read ---- */

struct cut {
    struct queue *queue;
    int calls; /* of the clock, before it cuts the file */
    off_t to;
};

/* Called by the queue with the file checked and locked, before it reads. */
static void
cut_now(void *arg, struct deferred_now *out)
{
    struct cut *c = arg;

    if (c->calls-- == 0) {
        assert_int_equal(truncate(c->queue->scratch->file, c->to), 0);
    }
    *out = c->queue->now;
}

static int
do_one(struct queue *q, int what)
{
    struct deferred_counts c;
    struct deferred_item item;
    uint64_t id;
    int n;

    switch (what) {
    case 0:
        return queue_try_put(q, "short", "key 31", 0, &id);
    case 1:
        n = queue_take(q, TAKEN);
        queue_free(q, n > 0 ? n : 0);
        return n > 0 ? 0 : n;
    case 2:
        n = deferred_get(q->d, 33, &item);
        if (!n) {
            deferred_item_free(&item);
        }
        return n;
    case 3:
        return deferred_change(q->d, DEFERRED_REQUEUED, 57, NULL);
    case 4:
        return deferred_change(q->d, DEFERRED_DROPPED, 12, NULL);
    default:
        return deferred_counts(q->d, queue_keep_counts, &c);
    }
}

static void
a_file_cut_while_it_is_read_is_an_error_and_no_crash(void **state)
{
    static const off_t sizes[] = {0, 100, 4096, 5000, 8192, 20000};
    struct queue *q = *state;
    int failed = 0, what, calls;
    uint8_t *bytes;
    size_t length, i;

    put_letters(q, 60);
    bytes = file_read(q, &length);
    assert_true(length > 20000);
    for (what = 0; what < 6; what++) {
        for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            for (calls = 0; calls < 3; calls++) {
                struct cut cut = {q, calls, sizes[i]};
                int rc;

                queue_reopen(q);
                deferred_set_clock(q->d, cut_now, &cut);
                rc = do_one(q, what);
                assert_true(rc == 0 || rc == BIDE_EDAMAGED ||
                            rc == BIDE_ENOWORK); /* dropped by an earlier one */
                failed += rc != 0;
                deferred_set_clock(q->d, queue_now, q);
                /* The same process goes on when the file is whole again. */
                file_write(q, bytes, length);
                assert_int_equal(do_one(q, 5), 0);
            }
        }
    }
    assert_true(failed > 60);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(damaged_payloads_are_set_aside),
        QUEUE(long_damaged_payloads_are_set_aside),
        QUEUE(a_damaged_head_is_set_aside_and_listed),
        QUEUE(a_damaged_index_is_made_again),
        QUEUE(a_lease_survives_damaged_meta),
        QUEUE(a_truncated_file_is_reported_as_damaged),
        QUEUE(garbage_in_deferred_checked_causes_a_new_check),
        QUEUE(any_flipped_bit_is_an_answer_not_a_crash),
        QUEUE(a_file_cut_while_it_is_read_is_an_error_and_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
