/* Power fails at any moment, and everything promised before is on the disk. All
 * writes to deferred.mdb and deferred.journal are recorded.  For a moment, both
 * files are made as a disk can have them: all writes before the last sync, and
 * any sectors of the later ones. */
#include "queue.h"
#include "unit/store/policies/seen.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { FILES = 2, SECTOR = 512, OPS_MAX = 20000, ITEMS = 400, STEPS = 260 };
static const char *const names[FILES] = {"deferred/deferred.mdb",
                                         "deferred/deferred.journal"};

struct op {
    int file; /* -1: the state of an item */
    size_t at, length;
    uint8_t *bytes; /* NULL: a sync */
    int item, state;
};

/* The state of an item that the caller can rely on. */
enum { UNKNOWN, MAYBE_PUT, PUT, MAYBE_DONE, DONE };

static struct op ops[OPS_MAX];
static size_t op_count;
static bool noting;
static struct {
    uint64_t inode;
    uint8_t *bytes;
    size_t length;
} files[FILES];

/* ---- recording ---- */

static struct op *
record_op(int fd)
{
    struct stat st;
    int i;

    if (!noting || fstat(fd, &st)) {
        return NULL;
    }
    for (i = 0; i < FILES; i++) {
        if (files[i].inode == st.st_ino) {
            assert_true(op_count < OPS_MAX);
            ops[op_count] = (struct op){.file = i};
            return &ops[op_count++];
        }
    }
    return NULL;
}

SEEN ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    struct op *op = record_op(fd);

    if (op) {
        op->at = (size_t)offset;
        op->length = size;
        op->bytes = malloc(size);
        memcpy(op->bytes, bytes, size);
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

/* LMDB writes adjacent pages this way, after a seek. */
SEEN ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t sum = 0;
    int i;

    for (i = 0; i < count; i++) {
        ssize_t n = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + sum);

        assert_int_equal(n, parts[i].iov_len);
        sum += n;
    }
    return sum;
}

SEEN int
fdatasync(int fd)
{
    record_op(fd); /* no other thread writes meanwhile */
    return 0;
}

static void
set_promise(int item, int state)
{
    assert_true(op_count < OPS_MAX);
    ops[op_count++] = (struct op){.file = -1, .item = item, .state = state};
}

static void
file_path(const char *dir, const char *name, char path[400])
{
    snprintf(path, 400, "%s/%s", dir, name);
}

static void
begin_recording(struct queue *q)
{
    char path[400];
    int i;

    for (i = 0; i < FILES; i++) {
        struct stat st;
        int fd;

        file_path(q->scratch->dir, names[i], path);
        fd = open(path, O_RDONLY);
        assert_true(fd >= 0 && !fstat(fd, &st));
        files[i].inode = st.st_ino;
        files[i].length = (size_t)st.st_size;
        files[i].bytes = malloc(files[i].length);
        assert_int_equal(read(fd, files[i].bytes, files[i].length),
                         files[i].length);
        close(fd);
    }
    op_count = 0;
    noting = true;
}

static void
end_recording(void)
{
    size_t i;

    noting = false;
    for (i = 0; i < op_count; i++) {
        free(ops[i].bytes);
    }
    for (i = 0; i < FILES; i++) {
        free(files[i].bytes);
    }
}

/* ---- the work ---- */

static size_t
length_of(int item)
{
    return item % 50 == 49 ? 200000 : 40 + (size_t)item * 37 % 1500;
}

static void
put_item(struct queue *q, int item)
{
    static uint8_t bytes[200000];
    struct bide_work work = {.bytes = bytes, .length = length_of(item)};
    uint64_t id;
    int rc;

    memset(bytes, item, sizeof(bytes));
    memcpy(bytes, &item, sizeof(item));
    set_promise(item, MAYBE_PUT);
    rc = deferred_put(q->d, "mail", &q->rules, &work, &id, NULL);
    assert_true(!rc || rc == BIDE_EFULL);
    set_promise(item, rc ? UNKNOWN : PUT);
}

static int
item_of(const struct deferred_item *taken)
{
    int item = -1;

    assert_true(taken->length >= sizeof(item));
    memcpy(&item, taken->bytes, sizeof(item));
    assert_in_range(item, 0, ITEMS - 1);
    assert_int_equal(taken->length, length_of(item));
    assert_int_equal(((uint8_t *)taken->bytes)[taken->length - 1],
                     (uint8_t)item);
    return item;
}

static void
end_item(struct queue *q, const struct deferred_item *taken, bool well)
{
    int item = item_of(taken);

    if (!well) {
        assert_int_equal(
            deferred_nack(q->d, taken->id, taken->lease, &q->rules, true, "no"),
            0);
        return;
    }
    set_promise(item, MAYBE_DONE);
    assert_int_equal(deferred_ack(q->d, taken->id, taken->lease), 0);
    set_promise(item, DONE);
}

static void
work_at_random(struct queue *q, uint64_t seed, int puts)
{
    int step, item = 0, i, n;

    q->rules.wait_ns = q->rules.wait_max_ns = SECOND;
    for (step = 0; step < STEPS; step++) {
        uint64_t what = below(&seed, 10);

        q->now.realtime_ns += SECOND; /* work that was given back is due */
        if (what < (uint64_t)puts) {
            put_item(q, item++);
        } else if (what < 9) {
            n = queue_take(q, 1 + (int)below(&seed, 3));
            for (i = 0; i < n; i++) {
                end_item(q, &q->taken[i], below(&seed, 6) != 0);
            }
            queue_free(q, n);
        } else if (!below(&seed, 3)) {
            queue_fold(q);
        }
    }
    q->now.realtime_ns += SECOND;
}

/* ---- the disk at a moment ---- */

struct disk {
    uint8_t *bytes;
    size_t length;
};

static void
apply_write(struct disk *d, const struct op *op, size_t from, size_t to)
{
    if (op->at + to > d->length) {
        d->bytes = realloc(d->bytes, op->at + to);
        memset(d->bytes + d->length, 0, op->at + to - d->length);
        d->length = op->at + to;
    }
    memcpy(d->bytes + op->at + from, op->bytes + from, to - from);
}

/* Sector by sector; `kept` of four are on the disk. */
static void
apply_some_sectors(struct disk *d, const struct op *op, uint64_t *seed,
                   unsigned kept)
{
    size_t from = 0, to;

    for (; from < op->length; from = to) {
        to = ((op->at + from) / SECTOR + 1) * SECTOR - op->at;
        to = to < op->length ? to : op->length;
        if (below(seed, 4) < kept) {
            apply_write(d, op, from, to);
        }
    }
}

static void
write_disk(const char *dir, const char *name, const struct disk *d)
{
    char path[400];
    int fd;

    file_path(dir, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, d->bytes, d->length), d->length);
    close(fd);
}

static void
make_disk(const char *dir, int file, size_t moment, uint64_t *seed)
{
    struct disk d = {malloc(files[file].length), files[file].length};
    unsigned kept = (unsigned)below(seed, 5);
    size_t i, waited = 0;

    memcpy(d.bytes, files[file].bytes, d.length);
    for (i = 0; i < moment; i++) {
        waited = ops[i].file == file && !ops[i].bytes ? i : waited;
    }
    for (i = 0; i < moment; i++) {
        if (ops[i].file != file || !ops[i].bytes) {
            continue;
        }
        if (i < waited) {
            apply_write(&d, &ops[i], 0, ops[i].length);
        } else {
            apply_some_sectors(&d, &ops[i], seed, kept);
        }
    }
    write_disk(dir, names[file], &d);
    free(d.bytes);
}

/* ---- checking what is left ---- */

static void
list_all_items(struct queue *q, uint8_t found[ITEMS])
{
    int n, i;

    while ((n = queue_take(q, TAKEN)) > 0) {
        for (i = 0; i < n; i++) {
            int item = item_of(&q->taken[i]);

            assert_int_equal(found[item], 0);
            found[item] = 1;
            assert_int_equal(
                deferred_ack(q->d, q->taken[i].id, q->taken[i].lease), 0);
        }
        queue_free(q, n);
    }
    assert_int_equal(n, 0);
}

static void
check_promises(const uint8_t found[ITEMS], size_t moment)
{
    int state[ITEMS] = {UNKNOWN}, item;
    size_t i;

    for (i = 0; i < moment; i++) {
        if (ops[i].file < 0) {
            state[ops[i].item] = ops[i].state;
        }
    }
    for (item = 0; item < ITEMS; item++) {
        if (state[item] == UNKNOWN || state[item] == DONE) {
            assert_int_equal(found[item], 0);
        } else if (state[item] == PUT) {
            assert_int_equal(found[item], 1);
        }
    }
}

static void
lose_power_at(struct queue *q, size_t moment, uint64_t *seed)
{
    struct deferred *before = q->d;
    uint8_t found[ITEMS] = {0};
    struct deferred_counts c;
    void *scratch;
    char *dir;
    int i;

    assert_int_equal(scratch_setup(&scratch), 0);
    dir = ((struct scratch *)scratch)->dir;
    for (i = 0; i < FILES; i++) {
        make_disk(dir, i, moment, seed);
    }
    if (deferred_open(dir, &q->d)) {
        fail_msg("%s", place_why());
    }
    q->now.boot++;
    deferred_set_clock(q->d, queue_now, q);
    list_all_items(q, found);
    check_promises(found, moment);
    c = queue_counts(q);
    assert_int_equal(c.waiting + c.leased + c.bytes, 0);
    queue_put(q, "and on it goes");
    assert_string_equal(queue_take_text(q), "and on it goes");
    deferred_close(q->d);
    q->now.boot--;
    q->d = before;
    scratch_teardown(&scratch);
}

static void
lose_power(struct queue *q, uint64_t seed, int puts)
{
    int i;

    /* The first change writes the mark of the journal. */
    queue_put(q, "x");
    assert_string_equal(queue_take_text(q), "x");
    assert_int_equal(queue_ack(q), 0);
    begin_recording(q);
    work_at_random(q, seed, puts);
    noting = false;
    for (i = 0; i < 120; i++) {
        lose_power_at(q, (size_t)below(&seed, op_count + 1), &seed);
    }
    end_recording();
}

static void
power_can_fail_at_any_moment(void **state)
{
    uint64_t seed;

    for (seed = 11; seed < 15; seed++) {
        lose_power(*state, seed, 5);
        queue_teardown(state);
        queue_setup(state);
    }
}

/* Without space for many pages, the journal is folded a few records at a time.
 */
static void
power_can_fail_while_there_is_little_space(void **state)
{
    struct rlimit before, small = {1 << 20, RLIM_INFINITY};
    uint64_t seed;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (seed = 21; seed < 24; seed++) {
        lose_power(*state, seed, 7);
        queue_teardown(state);
        queue_setup(state);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(power_can_fail_at_any_moment),
        QUEUE(power_can_fail_while_there_is_little_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
