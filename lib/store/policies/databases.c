/* Helpers of writers: the databases of a registry, and their errors. */
#include "inside.h"

#include <assert.h>

static const char *const names[DATABASES] = {"policies", "versions", "log",
                                             "children", "meta"};

int
writer_damaged(const struct writer *w, const char *what)
{
    return place_say(BIDE_EDAMAGED,
                     "%s/registry.mdb: %s is damaged\nrestore it from a backup",
                     w->dir, what);
}

int
writer_usable(const struct writer *w)
{
    if (w->process != process_self().id || !w->txn) {
        return place_say(BIDE_EINVAL, "the transaction has ended");
    }
    return w->failed;
}

int
writer_databases(MDB_txn *txn, unsigned flags, MDB_dbi dbi[DATABASES])
{
    int rc = 0;

    for (int i = 0; i < DATABASES && !rc; i++) {
        rc = mdb_dbi_open(txn, names[i], flags, &dbi[i]);
    }
    return rc;
}

int
writer_put_sealed(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_length,
                  const void *value, size_t length, unsigned flags)
{
    uint8_t sealed[SEAL_SMALL_MAX];
    MDB_val k = lmdb_val(key, key_length), v;

    assert(length + 4 <= sizeof(sealed));
    v = lmdb_val(sealed, seal_write(key, key_length, value, length, sealed));
    return mdb_put(txn, dbi, &k, &v, flags);
}
