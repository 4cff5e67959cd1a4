/* Flipped bits and damaged pages: damage is skipped, and nothing is counted
 * twice. */
#include "recorded.h"

/* ---- damage ---- */

static void
a_damaged_record_is_skipped_and_counted(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    char path[400];
    uint64_t sound;
    struct seen *s;
    unsigned hit = 0;

    for (int i = 0; i < 200; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    s = read_sums(t, (struct history_range){NULL, 0, UINT64_MAX, true}, 0);
    sound = s->count;
    free(s);
    snprintf(path, sizeof(path), "%s/history/history.mdb", t->dir);
    for (int i = 0; i < 400; i++) {
        int fd = open(path, O_RDWR);
        struct history *open_history;
        uint8_t byte, changed;
        off_t at, end = lseek(fd, 0, SEEK_END);

        at = 8192 + (off_t)below(&h->seed, (uint64_t)end - 8192);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        if (history_open(t->dir, &open_history) == 0) {
            struct history_range all = {NULL, 0, UINT64_MAX, true};

            s = calloc(1, sizeof(*s));
            assert_non_null(s);
            assert_int_equal(
                history_each(open_history, &all, add_interval, s, &s->damaged),
                0);
            hit += s->damaged > 0;
            assert_true(s->damaged || s->count == sound);
            free(s);
            history_close(open_history);
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    assert_true(hit > 5);
    free(h);
}

struct copy {
    char path[400];
    uint8_t *bytes;
    size_t size;
};

static void
take_copy(const struct scratch *t, struct copy *c)
{
    struct stat st;
    int fd;

    snprintf(c->path, sizeof(c->path), "%s/history/history.mdb", t->dir);
    fd = open(c->path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    c->size = (size_t)st.st_size;
    c->bytes = malloc(c->size);
    assert_non_null(c->bytes);
    assert_int_equal(pread(fd, c->bytes, c->size, 0), c->size);
    close(fd);
}

/* Writes the copy back with one page damaged (SIZE_MAX: none). */
static void
put_copy(const struct copy *c, size_t page)
{
    int fd;

    unlink(c->path);
    fd = open(c->path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, c->bytes, c->size, 0), c->size);
    if (page != SIZE_MAX) {
        assert_int_equal(pwrite(fd, "damaged!damaged!", 16, (off_t)page * 4096),
                         16);
    }
    close(fd);
}

static bool
none_is_above(const struct seen *s, const struct host *h)
{
    struct figures sum;

    for (unsigned c = 0; c < CELLS; c++) {
        figures_between(&h->all[c], &s->sum[c], &sum);
        if (!figures_none(&sum)) {
            return false;
        }
    }
    return true;
}

static const struct history_range each_minute = {NULL, 0, UINT64_MAX, true};

/* Asserts that the next recording has the counts since the one before. */
static void
assert_counting_goes_on(const struct scratch *t, struct host *h)
{
    struct figures before[CELLS], brought, counted;
    struct seen *a = read_sums(t, each_minute, 0), *b;

    memcpy(before, h->all, sizeof(before));
    pass_time(h, MINUTE);
    assert_int_equal(record(t, h), 0);
    b = read_sums(t, each_minute, 0);
    for (unsigned c = 0; c < CELLS; c++) {
        figures_between(&a->sum[c], &b->sum[c], &brought);
        figures_between(&before[c], &h->all[c], &counted);
        assert_true(figures_equal(&brought, &counted));
    }
    assert_true(none_is_above(b, h));
    free(a);
    free(b);
}

static void
a_file_with_a_damaged_page_is_rescued(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host(), *now = new_host();
    unsigned read = 0, rescued = 0;
    struct copy copy;
    struct seen *s;

    for (int i = 0; i < 400; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    take_copy(t, &copy);
    for (size_t page = 2; page < copy.size / 4096; page++) {
        struct history *reader;
        char aside[420];

        *now = *h;
        put_copy(&copy, page);
        if (history_open(t->dir, &reader) == 0) {
            history_close(reader);
            s = read_sums(t, each_minute, 0);
            assert_true(none_is_above(s, h));
            assert_true(s->count > 0 || s->damaged > 0);
            read += s->damaged > 0 && s->count > 1000;
            free(s);
        }
        snprintf(aside, sizeof(aside), "%s.damaged", copy.path);
        unlink(aside);
        pass_time(now, MINUTE);
        assert_int_equal(record(t, now), 0);
        rescued += access(aside, F_OK) == 0;
        assert_counting_goes_on(t, now);
    }
    assert_true(read >= 8);
    assert_true(rescued >= 15);
    free(copy.bytes);
    free(now);
    free(h);
}

/* The bit may be in names, bases, blocks, events or lists of pages. */
static void
after_a_flipped_bit_nothing_is_counted_twice(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host(), *now = new_host();
    struct copy copy;

    for (int i = 0; i < 30; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    take_copy(t, &copy);
    for (int i = 0; i < 1000; i++) {
        size_t at = 8192 + below(&h->seed, copy.size - 8192);
        uint8_t bit = (uint8_t)(1u << below(&h->seed, 8));
        struct seen *s;

        *now = *h;
        copy.bytes[at] ^= bit;
        put_copy(&copy, SIZE_MAX);
        copy.bytes[at] ^= bit;
        pass_time(now, MINUTE);
        assert_int_equal(record(t, now), 0);
        s = read_sums(t, each_minute, 0);
        assert_true(none_is_above(s, now));
        free(s);
        assert_counting_goes_on(t, now);
    }
    free(copy.bytes);
    free(now);
    free(h);
}

static void
a_truncated_file_gives_an_error_and_no_crash(void **state)
{
    struct scratch *t = *state;
    struct host *h = new_host();
    struct history *reader;
    char path[400];
    struct stat st;
    unsigned damaged = 0;

    for (int i = 0; i < 20; i++) {
        pass_time(h, MINUTE);
        assert_int_equal(record(t, h), 0);
    }
    snprintf(path, sizeof(path), "%s/history/history.mdb", t->dir);
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size > 0; size -= 4097) {
        int rc;

        assert_int_equal(truncate(path, size), 0);
        pass_time(h, MINUTE);
        rc = record(t, h); /* may succeed: the end may have been unused */
        damaged += rc == BIDE_EDAMAGED;
        assert_true(rc == 0 || rc == BIDE_EDAMAGED);
        if (history_open(t->dir, &reader) == 0) {
            history_close(reader);
        }
    }
    assert_true(damaged > 0);
    free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_damaged_record_is_skipped_and_counted),
        SCRATCH(a_file_with_a_damaged_page_is_rescued),
        SCRATCH(after_a_flipped_bit_nothing_is_counted_twice),
        SCRATCH(a_truncated_file_gives_an_error_and_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
