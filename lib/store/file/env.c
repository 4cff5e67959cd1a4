/* Maps LMDB's results to BIDE_E codes and opens environments. */
#include "env.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "base/paths.h"
#include "store/pages/pages.h"
#include "place.h"
#include "seal.h"

/* Address space in bytes, not memory and not disk: only a full disk should end
 * the growth.  The smaller sizes are for processes with a limit on it. */
static const size_t map_sizes[] = {(size_t)256 << 30, (size_t)16 << 30,
                                   (size_t)1 << 30, (size_t)128 << 20};

int
lmdb_code(const char *dir, int *rc)
{
    if (*rc == EIO && place_full(dir)) {
        *rc = ENOSPC; /* LMDB reports a short write as EIO */
    }
    switch (*rc) {
    case 0:
        return 0;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return BIDE_EFULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_MAP_RESIZED:
    case MDB_NOTFOUND:
        return BIDE_EDAMAGED;
    case MDB_VERSION_MISMATCH:
        return BIDE_EFORMAT;
    default:
        return BIDE_ESYS;
    }
}

int
lmdb_failed_file(const char *dir, const char *file, int rc)
{
    const int code = lmdb_code(dir, &rc);

    if (rc > 0) {
        return place_failed(dir, rc);
    }
    switch (code) {
    case 0:
        return 0;
    case BIDE_EFULL:
        return place_say(code, "%s: %s\nmake room there and try again", dir,
                         mdb_strerror(rc));
    case BIDE_EDAMAGED:
        return place_say(code, "%s/%s: %s\nrestore it from a backup", dir, file,
                         mdb_strerror(rc));
    case BIDE_EFORMAT: /* pages_format, or a meta page */
        return place_say(code, "%s", pages_why());
    default:
        return place_say(code, "%s/%s: %s", dir, file, mdb_strerror(rc));
    }
}

int
lmdb_failed(const char *dir, int rc)
{
    return lmdb_failed_file(dir, PATH_REGISTRY, rc);
}

int
lmdb_databases(MDB_txn *txn, const char *const names[], int count,
               unsigned flags, MDB_dbi *out)
{
    int rc = 0;

    for (int i = 0; i < count && !rc; i++) {
        rc = mdb_dbi_open(txn, names[i], flags, &out[i]);
    }
    return rc;
}

MDB_val
lmdb_val(const void *bytes, size_t length)
{
    return (MDB_val){.mv_size = length, .mv_data = (void *)(uintptr_t)bytes};
}

int
lmdb_free_pages(MDB_env *env, uint64_t *out)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

    *out = 0;
    if (rc) {
        return rc;
    }
    /* Each value of database 0 is a count and then the numbers of the pages.
     * LMDB shows it to read-only transactions only. */
    rc = mdb_cursor_open(txn, 0, &cursor);
    if (!rc) {
        while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
            uint64_t count;

            memcpy(&count, value.mv_data, sizeof(count));
            *out += count;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Reports whether LMDB opened the file of `fd`: it opens by name. */
static bool
opened_same_file(MDB_env *env, int fd)
{
    struct stat ours, theirs;
    int opened;

    return !mdb_env_get_fd(env, &opened) && !fstat(fd, &ours) &&
           !fstat(opened, &theirs) && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

int
lmdb_open(const char *path, int fd, unsigned flags, MDB_env **out)
{
    char name[32];
    int rc = ENOMEM;

    /* By this name LMDB opens the file that was checked, whatever has its name
     * now. */
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    path = access(name, F_OK) ? path : name;
    for (size_t i = 0; i < sizeof(map_sizes) / sizeof(*map_sizes); i++) {
        MDB_env *env;

        rc = mdb_env_create(&env);
        if (rc) {
            return rc;
        }
        rc = mdb_env_set_maxdbs(env, LMDB_DATABASES_MAX);
        rc = rc ? rc : mdb_env_set_mapsize(env, map_sizes[i]);
        rc = rc ? rc : mdb_env_open(env, path, flags | LMDB_FLAGS, 0600);
        if (!rc && !opened_same_file(env, fd)) {
            rc = ENOENT;
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

int
lmdb_put_sealed(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_length,
                const void *value, size_t length, unsigned flags)
{
    uint8_t sealed[SEAL_SMALL_MAX];
    MDB_val k = lmdb_val(key, key_length), v;

    assert(length + 4 <= sizeof(sealed));
    v = lmdb_val(sealed, seal_write(key, key_length, value, length, sealed));
    return mdb_put(txn, dbi, &k, &v, flags);
}
