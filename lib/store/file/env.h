/* LMDB environments: how one is opened, and what LMDB's results mean here. */
#ifndef BIDE_STORE_ENV_H
#define BIDE_STORE_ENV_H

#include <stddef.h>

#include <lmdb.h>

enum {
    LMDB_FLAGS = MDB_NOSUBDIR | MDB_NOTLS,
    LMDB_DATABASES_MAX = 5, /* named databases in one file */
};

/* Maps a result of LMDB to a BIDE_E code, with words: the one place that
 * knows. */
int lmdb_failed(const char *dir, int rc);

/* Opens the environment at `path`.  Returns LMDB's result. */
int lmdb_open(const char *path, unsigned flags, MDB_env **out);
MDB_val lmdb_val(const void *bytes, size_t length);

#endif
