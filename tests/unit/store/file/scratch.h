/* For each test a directory of its own, repeatable random numbers, and files
 * made by LMDB itself to compare with. */
#ifndef TESTS_STORE_SCRATCH_H
#define TESTS_STORE_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#define UNUSED __attribute__((unused))

struct scratch {
    char dir[256], file[300];
};

static int
scratch_remove_one(const char *path, const struct stat *st, int type,
                   struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

UNUSED static int
scratch_setup(void **state)
{
    static const char *const inside[] = {"policies", "history", "deferred"};
    struct scratch *s = calloc(1, sizeof(*s));
    const char *tmp = getenv("TMPDIR");

    assert_non_null(s);
    snprintf(s->dir, sizeof(s->dir), "%s/bide-store-XXXXXX",
             tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->dir));
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        snprintf(s->file, sizeof(s->file), "%s/%s", s->dir, inside[i]);
        assert_int_equal(mkdir(s->file, 0700), 0);
    }
    snprintf(s->file, sizeof(s->file), "%s/policies/registry.mdb", s->dir);
    *state = s;
    return 0;
}

UNUSED static int
scratch_teardown(void **state)
{
    struct scratch *s = *state;

    nftw(s->dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
    return 0;
}

#define SCRATCH(test) \
    cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

/* xorshift64*: the same numbers in every run. */
UNUSED static uint64_t
draw(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

UNUSED static uint64_t
below(uint64_t *seed, uint64_t limit)
{
    return draw(seed) % limit;
}

/* ---- files by LMDB ---- */

UNUSED static MDB_env *
lmdb_env(const char *path)
{
    MDB_env *env;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, (size_t)1 << 30), 0);
    assert_int_equal(
        mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK, 0600),
        0);
    return env;
}

/* Puts "k%06u" -> `length` bytes that depend on number and salt only. */
UNUSED static void
lmdb_fill(MDB_txn *txn, MDB_dbi dbi, unsigned number, size_t length,
          unsigned salt)
{
    char name[16];
    uint8_t *bytes = malloc(length + 1);
    MDB_val k, v;

    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(number * 31 + salt + i * 7);
    }
    k.mv_size = (size_t)snprintf(name, sizeof(name), "k%06u", number);
    k.mv_data = name;
    v.mv_size = length;
    v.mv_data = bytes;
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    free(bytes);
}

/* Commits `transactions`, each of `steps` random puts and deletions in two
 * databases. */
UNUSED static void
lmdb_churn(const char *path, uint64_t *seed, unsigned transactions,
           unsigned steps, unsigned keys)
{
    MDB_env *env = lmdb_env(path);

    for (unsigned t = 0; t < transactions; t++) {
        MDB_txn *txn;
        MDB_dbi dbi[2];

        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi[0]), 0);
        assert_int_equal(mdb_dbi_open(txn, "versions", MDB_CREATE, &dbi[1]), 0);
        for (unsigned i = 0; i < steps; i++) {
            unsigned number = (unsigned)below(seed, keys);
            MDB_dbi to = dbi[below(seed, 2)];
            uint64_t kind = below(seed, 20);

            if (kind < 7) {
                char name[16];
                MDB_val k;
                int rc;

                k.mv_size =
                    (size_t)snprintf(name, sizeof(name), "k%06u", number);
                k.mv_data = name;
                rc = mdb_del(txn, to, &k, NULL);
                assert_true(rc == 0 || rc == MDB_NOTFOUND);
            } else {
                lmdb_fill(txn, to, number,
                          kind == 19 ? below(seed, 16385) : below(seed, 600),
                          (unsigned)below(seed, 99));
            }
        }
        assert_int_equal(mdb_txn_commit(txn), 0);
    }
    mdb_env_close(env);
}

/* ---- bytes of a file ---- */

UNUSED static uint8_t *
slurp(const char *path, size_t *length)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    uint8_t *bytes;

    assert_true(fd >= 0 && !fstat(fd, &st));
    bytes = malloc((size_t)st.st_size + 1);
    if (!bytes) {
        abort();
    }
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *length = (size_t)st.st_size;
    return bytes;
}

UNUSED static void
spill(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

#endif
