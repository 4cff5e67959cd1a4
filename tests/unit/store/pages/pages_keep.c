/* Pages that are kept from one reading to the next.  Reads are counted. */
#include "unit/store/file/scratch.h"

#include <sys/syscall.h>

#include <bide.h>
#include "store/pages/pages_view.h"

static unsigned reads;

ssize_t
pread(int fd, void *out, size_t size, off_t offset)
{
    reads++;
    return syscall(SYS_pread64, fd, out, size, offset);
}

/* Writes the same value to many records. */
static void
write_all(const char *path, const char *value)
{
    MDB_env *env = lmdb_env(path);
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        MDB_val k = {sizeof(i), &i}, v = {strlen(value) + 1, (void *)value};

        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
assert_value(const struct snapshot *s, uint32_t key, const char *wanted)
{
    void *value;
    size_t length;

    assert_int_equal(
        pages_get(s, "policies", &key, sizeof(key), &value, &length), 0);
    assert_string_equal(value, wanted);
    free(value);
}

static int
read_one(void *arg, const struct snapshot *s)
{
    assert_value(s, 7, arg);
    return 0;
}

static void
kept_pages_are_read_once(void **state)
{
    struct scratch *t = *state;
    char value[] = "a";
    struct pages *f;

    write_all(t->file, "a");
    assert_int_equal(pages_open(t->file, &f), 0);
    pages_keep(f);
    assert_int_equal(pages_try(f, read_one, value, 1), 0);
    reads = 0;
    assert_int_equal(pages_try(f, read_one, value, 1), 0);
    assert_int_equal(reads, 2); /* the meta pages, before and after */
    pages_close(f);
}

static void
a_commit_discards_kept_pages(void **state)
{
    struct scratch *t = *state;
    struct pages *f;

    write_all(t->file, "0");
    assert_int_equal(pages_open(t->file, &f), 0);
    pages_keep(f);
    for (int i = 0; i < 8; i++) { /* pages are used again */
        char value[] = {(char)('a' + i), '\0'};

        write_all(t->file, value);
        assert_int_equal(pages_try(f, read_one, value, 1), 0);
        assert_int_equal(pages_try(f, read_one, value, 1), 0);
    }
    pages_close(f);
}

struct outer {
    const char *path;
    struct pages *f;
};

/* Reads, reads another commit in between, and reads on. */
static int
read_two(void *arg, const struct snapshot *s)
{
    struct outer *o = arg;
    char value[] = "b";

    assert_value(s, 7, "a");
    write_all(o->path, "b");
    assert_int_equal(pages_try(o->f, read_one, value, 1), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_value(s, i, "a");
    }
    return 0;
}

static void
a_reading_within_another_has_pages_of_its_own(void **state)
{
    struct scratch *t = *state;
    struct outer o = {.path = t->file};
    char value[] = "b";

    write_all(t->file, "a");
    assert_int_equal(pages_open(t->file, &o.f), 0);
    pages_keep(o.f);
    assert_int_equal(pages_try(o.f, read_two, &o, 1), 0);
    assert_int_equal(pages_try(o.f, read_one, value, 1), 0);
    pages_close(o.f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(kept_pages_are_read_once),
        SCRATCH(a_commit_discards_kept_pages),
        SCRATCH(a_reading_within_another_has_pages_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
