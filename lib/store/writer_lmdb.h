/* What the parts of writer.h share, and the only <lmdb.h>: writer.c,
 * writer_create.c, writer_records.c, writer_lmdb.c. */
#ifndef BIDE_STORE_WRITER_LMDB_H
#define BIDE_STORE_WRITER_LMDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <lmdb.h>

#include "store/pages.h"
#include "store/place.h"
#include "store/writer.h"

/* The databases of record.h. */
enum { POLICIES, VERSIONS, LOG, CHILDREN, META, DATABASES };

enum { LMDB_FLAGS = MDB_NOSUBDIR | MDB_NOTLS };

struct writer {
    char *dir, *live;
    int lock;
    pid_t pid;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[DATABASES];
    struct pages *pages;
    uint64_t number;   /* of the transaction */
    uint64_t sequence; /* the last of the log; 0: not looked up yet */
    bool changed;
    int failed; /* what made the transaction unfit to be committed */
    uint8_t id[REGISTRY_ID_SIZE];
};

/* What a result of LMDB's is to us, with words: the one place that knows. */
int lmdb_failed(const char *dir, int rc);
/* BIDE_EDAMAGED with words. */
int writer_damaged(const struct writer *w, const char *what);
/* 0, or why the transaction may not be used. */
int writer_usable(const struct writer *w);

/* These give LMDB's results. */
int lmdb_open(const char *path, unsigned flags, MDB_env **out);
int lmdb_databases(MDB_txn *txn, unsigned flags, MDB_dbi dbi[DATABASES]);
int lmdb_put_meta(MDB_txn *txn, MDB_dbi dbi, const char *key,
                  const void *value, size_t length);
MDB_val lmdb_val(const void *bytes, size_t length);

#endif
