/* The journal beside deferred.mdb: truncated, damaged, removed, replaced or
 * missing; and several processes that use it in turn. */
#include "queue.h"

#include "store/queue/scan.h"

#include <sys/wait.h>

static void
journal_path(struct queue *q, char path[400])
{
    snprintf(path, 400, "%s/deferred/deferred.journal", q->scratch->dir);
}

static uint8_t *
read_journal(struct queue *q, size_t *out_length)
{
    char path[400];

    journal_path(q, path);
    return slurp(path, out_length);
}

/* Writes in place: it stays the same file. */
static void
write_journal(struct queue *q, const uint8_t *bytes, size_t length)
{
    char path[400];

    journal_path(q, path);
    spill(path, bytes, length);
}

/* Makes sure that changes from now on go into the journal. */
static void
journal_is_in_use(struct queue *q)
{
    queue_put(q, "the first");
    assert_string_equal(queue_take_text(q), "the first");
    assert_int_equal(queue_ack(q), 0);
    queue_fold(q);
    assert_int_equal(q->d->journal.state, JOURNAL_READY);
    assert_int_equal(q->d->journal.at, JOURNAL_START);
}

/* Lists all work by its first letter; nothing may be there twice. */
static const char *
drain(struct queue *q)
{
    static char seen[300];
    size_t count = 0;
    const char *text;

    memset(seen, 0, sizeof(seen));
    while (*(text = queue_take_text(q))) {
        assert_true(count < sizeof(seen) - 1);
        assert_null(strchr(seen, *text));
        seen[count++] = *text;
        assert_int_equal(queue_ack(q), 0);
    }
    return seen;
}

/* Damages the bytes from an offset on, in one of several ways. */
static size_t
damage_bytes(uint8_t *bytes, size_t at, size_t length)
{
    size_t i, rest = length - at < 600 ? length - at : 600;

    switch (at % 4) {
    case 0:
        memset(bytes + at, 0, rest);
        break;
    case 1:
        bytes[at] ^= (uint8_t)(1 << at / 4 % 8);
        break;
    case 2:
        for (i = 0; i < rest; i++) {
            bytes[at + i] = (uint8_t)(i * 31 + at);
        }
        break;
    default:
        return at; /* the journal ends here */
    }
    return length;
}

static void
a_last_batch_torn_at_any_byte_ends_the_journal(void **state)
{
    struct queue *q = *state;
    size_t length, from, at;
    uint8_t *bytes, *copy;
    struct journal_batch b;

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_put(q, "b");
    from = q->d->journal.at;
    queue_put(q, "c");
    deferred_close(q->d);
    bytes = read_journal(q, &length);
    copy = malloc(length);
    assert_non_null(copy);
    memcpy(&b, bytes + from, sizeof(b));
    for (at = from; at < from + b.length; at++) {
        size_t left;
        bool whole;

        memcpy(copy, bytes, length);
        left = damage_bytes(copy, at, length);
        if (left < length) {
            memset(copy + at, 0, length - at); /* a cut file is repaired */
            left = length;
        }
        whole = left == length && !memcmp(copy + from, bytes + from, b.length);
        write_journal(q, copy, left);
        queue_open(q);
        assert_int_equal(queue_counts(q).waiting, whole ? 3 : 2);
        deferred_close(q->d);
    }
    write_journal(q, bytes, length);
    free(bytes);
    free(copy);
    queue_open(q);
    assert_string_equal(drain(q), "abc");
}

/* Later batches are read, and the index is made again. */
static void
a_lost_batch_in_the_middle_loses_no_other(void **state)
{
    static const char *const letters[] = {"a", "b", "c", "d", "e"};
    struct queue *q = *state;
    size_t length, starts[6], i;
    uint8_t *bytes;

    for (i = 0; i < 5; i++) {
        char left[6] = "abcde";
        size_t k;

        journal_is_in_use(q);
        for (k = 0; k < 5; k++) {
            starts[k] = q->d->journal.at;
            queue_put(q, letters[k]);
        }
        bytes = read_journal(q, &length);
        bytes[starts[i] + 100] ^= 1;
        write_journal(q, bytes, length);
        free(bytes);
        queue_reopen(q);
        memmove(left + i, left + i + 1, 5 - i);
        assert_int_equal(queue_counts(q).waiting, 4);
        queue_put(q, "z");
        left[4] = 'z';
        assert_string_equal(drain(q), left);
        queue_reopen(q);
        assert_string_equal(drain(q), "");
        assert_int_equal(queue_counts(q).bytes, 0);
    }
}

static void
a_damaged_mark_loses_nothing(void **state)
{
    struct queue *q = *state;
    size_t length;
    uint8_t *bytes, *at;
    uint8_t mark[16];
    uint64_t last;

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_put(q, "b");
    queue_fold(q);
    queue_put(q, "c");
    last = q->d->journal.next - 2;
    memcpy(mark, &q->d->journal.id, 8);
    memcpy(mark + 8, &last, 8);
    bytes = slurp(q->scratch->file, &length);
    at = memmem(bytes, length, mark, sizeof(mark));
    assert_non_null(at);
    *at ^= 1;
    spill(q->scratch->file, bytes, length);
    free(bytes);
    queue_reopen(q);
    assert_string_equal(drain(q), "abc");
    queue_put(q, "d");
    queue_reopen(q);
    assert_string_equal(drain(q), "d");
}

static void
a_damaged_head_of_the_journal_loses_nothing(void **state)
{
    struct queue *q = *state;
    size_t length;
    uint8_t *bytes;

    journal_is_in_use(q);
    queue_put(q, "a");
    bytes = read_journal(q, &length);
    memset(bytes, 'x', JOURNAL_START);
    write_journal(q, bytes, length);
    free(bytes);
    queue_reopen(q);
    queue_put(q, "b");
    queue_reopen(q);
    assert_string_equal(drain(q), "ab");
}

static void
garbage_in_the_journal_is_survived(void **state)
{
    struct queue *q = *state;
    uint64_t seed = 5;
    size_t length, i, round;
    uint8_t *bytes;

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_fold(q);
    for (round = 0; round < 20; round++) {
        bytes = read_journal(q, &length);
        for (i = 0; i < length; i++) {
            /* Often with the magic of a batch. */
            bytes[i] = below(&seed, 3) ? (uint8_t)draw(&seed) : bytes[i % 200];
        }
        write_journal(q, bytes, (size_t)below(&seed, length + 1));
        free(bytes);
        queue_reopen(q);
        assert_int_equal(queue_counts(q).waiting, 1);
        queue_put(q, "b");
        queue_reopen(q);
        assert_int_equal(queue_counts(q).waiting, 2);
        assert_string_equal(drain(q), "ab");
        queue_put(q, "a");
        queue_fold(q);
    }
}

static void
a_truncated_journal_grows_again(void **state)
{
    struct queue *q = *state;
    size_t length, at, left;
    uint8_t *bytes;

    journal_is_in_use(q);
    queue_put(q, "a");
    at = q->d->journal.at;
    for (left = at; left < at + 3 * JOURNAL_STEP; left += 13) {
        bytes = read_journal(q, &length);
        write_journal(q, bytes, left);
        free(bytes);
        queue_reopen(q);
        queue_put(q, "b");
        queue_put(q, "c");
        queue_reopen(q);
        assert_string_equal(drain(q), "abc");
        queue_fold(q);
        queue_put(q, "a");
    }
}

static void
a_queue_works_without_a_journal(void **state)
{
    struct queue *q = *state;
    char path[400], fresh[450];

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_fold(q);
    journal_path(q, path);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(fresh, 0700), 0); /* so that none can be made */
    queue_put(q, "b");
    assert_int_not_equal(q->d->journal.state, JOURNAL_READY);
    queue_reopen(q);
    queue_put(q, "c");
    assert_int_equal(rmdir(fresh), 0);
    queue_put(q, "d");
    queue_put(q, "e");
    assert_int_equal(q->d->journal.state, JOURNAL_READY);
    queue_reopen(q);
    assert_string_equal(drain(q), "abcde");
}

/* deferred.mdb is removed while the journal holds work. */
static void
the_journal_of_a_lost_file_is_kept(void **state)
{
    struct queue *q = *state;
    struct deferred_lost lost;
    char kept[450];

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_fold(q);
    queue_put(q, "b");
    snprintf(kept, sizeof(kept), "%s/kept", q->scratch->dir);
    assert_int_equal(rename(q->scratch->file, kept), 0);
    queue_reopen(q);
    assert_int_equal(deferred_lost(q->d, false, &lost), 0);
    assert_int_equal(lost.pieces, 1);
    assert_int_equal(queue_counts(q).waiting, 1);
    queue_put(q, "c");
    queue_reopen(q);
    assert_string_equal(drain(q), "bc");
    assert_int_equal(deferred_lost(q->d, true, &lost), 0);
    assert_int_equal(lost.pieces, 1);
    assert_int_equal(deferred_lost(q->d, false, &lost), 0);
    assert_int_equal(lost.pieces, 0);
}

static void
a_file_that_comes_back_finds_the_journal_that_went_on(void **state)
{
    struct queue *q = *state;
    char kept[450];

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_put(q, "b");
    snprintf(kept, sizeof(kept), "%s/kept", q->scratch->dir);
    assert_int_equal(rename(q->scratch->file, kept), 0);
    queue_reopen(q);
    assert_string_equal(drain(q), "ab");
    deferred_close(q->d);
    assert_int_equal(rename(kept, q->scratch->file), 0);
    queue_open(q);
    assert_int_equal(queue_counts(q).waiting, 0);
}

static void
a_journal_that_was_moved_away_is_not_used(void **state)
{
    struct queue *q = *state, other = *q;
    char path[400], kept[450];

    journal_is_in_use(q);
    journal_path(q, path);
    snprintf(kept, sizeof(kept), "%s/kept", q->scratch->dir);
    assert_int_equal(rename(path, kept), 0);
    queue_open(&other);
    queue_put(&other, "a");
    queue_put(&other, "b");
    queue_put(q, "c");
    queue_put(q, "d");
    queue_put(&other, "e");
    queue_put(q, "f");
    deferred_close(other.d);
    queue_reopen(q);
    assert_string_equal(drain(q), "abcdef");
}

static void
copy_file(const char *from, const char *to)
{
    size_t length;
    uint8_t *bytes = slurp(from, &length);

    spill(to, bytes, length);
    free(bytes);
}

/* Restores them in place, while they are open. */
static void
both_files_can_be_restored_while_open(void **state)
{
    struct queue *q = *state, other = *q;
    char path[400], kept[2][450];

    journal_is_in_use(q);
    queue_put(q, "a");
    journal_path(q, path);
    snprintf(kept[0], sizeof(kept[0]), "%s/kept", q->scratch->dir);
    snprintf(kept[1], sizeof(kept[1]), "%s.kept", path);
    copy_file(q->scratch->file, kept[0]);
    copy_file(path, kept[1]);
    queue_put(q, "b");
    queue_put(q, "c");
    copy_file(kept[0], q->scratch->file);
    copy_file(kept[1], path);
    queue_open(&other);
    assert_string_equal(queue_take_text(&other), "a");
    assert_string_equal(queue_take_text(q), "");
    queue_put(q, "d");
    assert_string_equal(queue_take_text(&other), "d");
    deferred_close(other.d);
}

static struct deferred_survey
survey_queue(struct queue *q)
{
    struct deferred_survey s;

    assert_int_equal(deferred_survey(q->scratch->dir, &s), 0);
    free(s.held);
    s.held = NULL;
    return s;
}

static void
a_survey_includes_the_journal(void **state)
{
    static char bytes[3000] = "x";
    struct queue *q = *state;
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    struct deferred_survey s;
    size_t length, at;
    uint8_t *log;
    uint64_t id;

    journal_is_in_use(q);
    queue_put(q, "a");
    queue_fold(q);
    assert_string_equal(queue_take_text(q), "a");
    queue_put(q, "b");
    at = q->d->journal.at;
    assert_int_equal(deferred_put(q->d, "mail", &q->rules, &work, &id, NULL),
                     0);
    s = survey_queue(q);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.leased, 1);
    assert_int_equal(s.damaged, 0);
    assert_int_equal(queue_ack(q), 0);
    s = survey_queue(q);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.leased + s.dead + s.damaged, 0);
    log = read_journal(q, &length);
    log[at + 1000] ^= 1;
    write_journal(q, log, length);
    free(log);
    s = survey_queue(q);
    assert_int_equal(s.waiting, 1);
    assert_true(s.damaged > 0);
    queue_reopen(q);
    assert_string_equal(queue_take_text(q), "b");
    s = survey_queue(q);
    assert_int_equal(s.leased, 1);
    assert_int_equal(s.damaged, 0);
}

/* ---- much work ---- */

static void
a_full_journal_is_folded_and_begins_again(void **state)
{
    static char bytes[9000];
    struct queue *q = *state;
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    uint64_t id, last = 0;
    int i, n;

    q->rules.max = 0;
    for (i = 0; i < 400; i++) { /* 3.6 MB */
        assert_int_equal(
            deferred_put(q->d, "mail", &q->rules, &work, &id, NULL), 0);
        assert_true(q->d->journal.at <= JOURNAL_SIZE);
    }
    queue_reopen(q);
    assert_int_equal(queue_counts(q).waiting, 400);
    for (i = 0; i < 400; i += n) {
        int k;

        n = queue_take(q, TAKEN);
        assert_true(n > 0);
        for (k = 0; k < n; k++) {
            assert_true(q->taken[k].id > last);
            last = q->taken[k].id;
            assert_int_equal(deferred_ack(q->d, last, q->taken[k].lease), 0);
        }
        queue_free(q, n);
    }
    assert_int_equal(queue_counts(q).bytes, 0);
    assert_int_equal(queue_counts(q).done, 400);
}

static void
work_too_large_for_the_journal_keeps_its_order(void **state)
{
    static char bytes[BIDE_WORK_MAX];
    struct queue *q = *state;
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    uint64_t id;

    journal_is_in_use(q);
    queue_put(q, "a");
    assert_int_equal(deferred_put(q->d, "mail", &q->rules, &work, &id, NULL),
                     0);
    queue_put(q, "c");
    queue_reopen(q);
    assert_string_equal(queue_take_text(q), "a");
    assert_int_equal(queue_take(q, 1), 1);
    assert_int_equal(q->taken[0].id, id);
    assert_int_equal(q->taken[0].length, sizeof(bytes));
    queue_free(q, 1);
    assert_string_equal(queue_take_text(q), "c");
}

/* ---- several processes ---- */

/* Two queues in one process, which do not know of each other. */
static void
two_queues_see_each_others_changes(void **state)
{
    struct queue *q = *state, other = *q;
    uint64_t seed = 3;
    uint32_t there = 0;
    int i;

    queue_open(&other);
    q->rules.max = other.rules.max = 0;
    for (i = 0; i < 600; i++) {
        struct queue *one = below(&seed, 2) ? q : &other;

        switch (below(&seed, 8)) {
        case 0:
        case 1:
        case 2:
            queue_put(one, "x");
            there++;
            break;
        case 3:
        case 4:
            if (*queue_take_text(one)) {
                struct queue *two = below(&seed, 2) ? q : &other;

                assert_int_equal(
                    deferred_ack(two->d, one->taken[0].id, one->taken[0].lease),
                    0);
                there--;
            } else {
                assert_int_equal(there, 0);
            }
            break;
        case 5:
            if (!below(&seed, 4)) {
                queue_fold(one);
            }
            break;
        default:
            assert_int_equal(queue_counts(one).waiting, there);
        }
    }
    deferred_close(other.d);
    queue_reopen(q);
    assert_int_equal(queue_counts(q).waiting, there);
}

static void
a_forked_child_continues_the_journal(void **state)
{
    struct queue *q = *state;
    int status;
    pid_t child;

    journal_is_in_use(q);
    queue_put(q, "a");
    child = fork();
    if (child == 0) {
        struct bide_work work = {.bytes = "b", .length = 1};
        uint64_t id;
        int rc = deferred_put(q->d, "mail", &q->rules, &work, &id, NULL);

        _exit(rc || q->d->journal.state != JOURNAL_READY);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    queue_put(q, "c");
    assert_string_equal(drain(q), "abc");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(a_last_batch_torn_at_any_byte_ends_the_journal),
        QUEUE(a_lost_batch_in_the_middle_loses_no_other),
        QUEUE(a_damaged_mark_loses_nothing),
        QUEUE(a_damaged_head_of_the_journal_loses_nothing),
        QUEUE(garbage_in_the_journal_is_survived),
        QUEUE(a_truncated_journal_grows_again),
        QUEUE(a_queue_works_without_a_journal),
        QUEUE(the_journal_of_a_lost_file_is_kept),
        QUEUE(a_file_that_comes_back_finds_the_journal_that_went_on),
        QUEUE(a_journal_that_was_moved_away_is_not_used),
        QUEUE(both_files_can_be_restored_while_open),
        QUEUE(a_survey_includes_the_journal),
        QUEUE(a_full_journal_is_folded_and_begins_again),
        QUEUE(work_too_large_for_the_journal_keeps_its_order),
        QUEUE(two_queues_see_each_others_changes),
        QUEUE(a_forked_child_continues_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
