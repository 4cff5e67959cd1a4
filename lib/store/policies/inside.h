/* What the parts of writer.h share. */
#ifndef BIDE_STORE_POLICIES_INSIDE_H
#define BIDE_STORE_POLICIES_INSIDE_H

#include <stdbool.h>
#include <sys/types.h>

#include "store/file/env.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "store/pages/pages.h"
#include "writer.h"

/* The databases of record.h. */
enum { POLICIES, VERSIONS, LOG, CHILDREN, META, DATABASES };

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

/* BIDE_EDAMAGED with words. */
int writer_damaged(const struct writer *w, const char *what);
/* 0, or why the transaction may not be used. */
int writer_usable(const struct writer *w);

/* These return LMDB's results. */
int writer_databases(MDB_txn *txn, unsigned flags, MDB_dbi dbi[DATABASES]);
int writer_put_meta(MDB_txn *txn, MDB_dbi dbi, const char *key,
                    const void *value, size_t length);

#endif
