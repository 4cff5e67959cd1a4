/* LMDB's results in our words, and how an environment is opened. */
#include "env.h"

#include <errno.h>
#include <string.h>
#include <bide.h>
#include "place.h"

/* Address space, not memory and not disk: a full disk shall be what ends the
 * growth.  Smaller ones are for processes that may not map so much. */
static const size_t map_sizes[] = {(size_t)256 << 30, (size_t)16 << 30,
                                   (size_t)1 << 30, (size_t)128 << 20};

int
lmdb_failed(const char *dir, int rc)
{
    if (rc == EIO && place_full(dir)) {
        rc = ENOSPC; /* how LMDB calls a write that was cut short */
    }
    switch (rc) {
    case 0:
        return 0;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return place_say(BIDE_EFULL, "%s: %s\nmake room there and try again",
                         dir, mdb_strerror(rc));
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_MAP_RESIZED:
    case MDB_NOTFOUND:
        return place_say(BIDE_EDAMAGED,
                         "%s/registry.mdb: %s\nrestore it from a backup", dir,
                         mdb_strerror(rc));
    case MDB_VERSION_MISMATCH:
        return place_say(BIDE_EFORMAT, "%s/registry.mdb: %s", dir,
                         mdb_strerror(rc));
    default:
        return rc > 0 ? place_failed(dir, rc)
                      : place_say(BIDE_ESYS, "%s/registry.mdb: %s", dir,
                                  mdb_strerror(rc));
    }
}

MDB_val
lmdb_val(const void *bytes, size_t length)
{
    return (MDB_val){.mv_size = length, .mv_data = (void *)(uintptr_t)bytes};
}

int
lmdb_open(const char *path, unsigned flags, MDB_env **out)
{
    size_t i;
    int rc = ENOMEM;

    for (i = 0; i < sizeof(map_sizes) / sizeof(*map_sizes); i++) {
        MDB_env *env;

        rc = mdb_env_create(&env);
        if (rc) {
            return rc;
        }
        rc = mdb_env_set_maxdbs(env, LMDB_DATABASES_MAX);
        if (!rc) {
            rc = mdb_env_set_mapsize(env, map_sizes[i]);
        }
        if (!rc) {
            rc = mdb_env_open(env, path, flags, 0640);
        }
        if (!rc) {
            *out = env;
            return 0;
        }
        mdb_env_close(env);
        if (rc != ENOMEM) {
            break;
        }
    }
    return rc;
}
