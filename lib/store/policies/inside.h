/* Shared by the files of writer.h: create.c, records.c, writer.c. */
#ifndef BIDE_STORE_POLICIES_INSIDE_H
#define BIDE_STORE_POLICIES_INSIDE_H

#include <stdbool.h>

#include "store/file/env.h"
#include "base/boot.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "store/pages/pages.h"
#include "writer.h"

/* The databases of record.h, and their names. */
enum { POLICIES, VERSIONS, LOG, CHILDREN, META, DATABASES };
extern const char *const writer_databases[DATABASES];

struct writer {
    char *dir;
    int lock;
    uint32_t process; /* id of the one that began it */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[DATABASES];
    struct pages *pages;
    uint64_t number;   /* of the transaction */
    uint64_t sequence; /* the last of the log; 0: not looked up yet */
    bool changed;
    int failed; /* the BIDE_E code after which it cannot be committed */
};

/* Keeps the message that `what` is damaged and returns BIDE_EDAMAGED. */
int writer_damaged(const struct writer *w, const char *what);
/* Returns 0 or the BIDE_E code for which the transaction cannot be used. */
int writer_usable(const struct writer *w);

#endif
