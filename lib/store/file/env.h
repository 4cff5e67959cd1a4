/* LMDB environments: opens them, makes new files, and maps LMDB's results. */
#ifndef BIDE_STORE_ENV_H
#define BIDE_STORE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lmdb.h>

enum {
    /* No lock file of LMDB: each writer holds a lock of its own, and readers
     * need none (pages.h). */
    LMDB_FLAGS = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK,
    LMDB_DATABASES_MAX = 5, /* named databases in one file */
};

/* Maps *rc, a result of LMDB, to a BIDE_E code without a message; 0 for 0.
 * Returns BIDE_ESYS for an errno (positive; place_failed maps it) and for other
 * codes.  Changes EIO to ENOSPC if the file system of `dir` is full. */
int lmdb_code(const char *dir, int *rc);

/* Maps `rc`, a result of LMDB about `file` in `dir`, to a BIDE_E code and keeps
 * its message (place_why).  lmdb_failed is for registry.mdb. */
int lmdb_failed_file(const char *dir, const char *file, int rc);
int lmdb_failed(const char *dir, int rc);

/* Opens the environment in the file `fd`, which is at `path` and passed
 * safe_check; more `flags` than LMDB_FLAGS, or 0.  Returns LMDB's result;
 * ENOENT if another file has the name now. */
int lmdb_open(const char *path, int fd, unsigned flags, MDB_env **out);

/* Opens named databases, or makes them (MDB_CREATE).  Returns LMDB's result. */
int lmdb_databases(MDB_txn *txn, const char *const names[], int count,
                   unsigned flags, MDB_dbi *out);

/* Counts the free pages within the file.  Returns LMDB's result; *out is what
 * was counted until a failure. */
int lmdb_free_pages(MDB_env *env, uint64_t *out);

/* Describes `length` bytes for LMDB; they stay the caller's. */
MDB_val lmdb_val(const void *bytes, size_t length);

/* Stores a sealed value, of at most SEAL_SMALL_MAX bytes with its seal.
 * Returns LMDB's results. */
int lmdb_put_sealed(MDB_txn *txn, MDB_dbi dbi, const void *key,
                    size_t key_length, const void *value, size_t length,
                    unsigned flags);

/* A file to make, as struct place_new. */
struct lmdb_new {
    const char *dir, *path;
    size_t reserve; /* bytes of disk space to allocate; 0: none */
    bool keep_old;  /* keep the file that has the name as "n->path.damaged" */
    int (*fill)(void *arg, MDB_txn *txn); /* writes the first transaction */
    int (*before)(void *arg); /* NULL, or called before the file is renamed */
    int (*failed)(void *arg, int rc); /* maps LMDB's results; NULL: lmdb_failed
                                       */
    void *arg;
};

/* As place_make_file. */
int lmdb_make_file(struct lmdb_new *n);

#endif
