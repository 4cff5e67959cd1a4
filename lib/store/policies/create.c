/* Making a registry: under another name first, so that one whose making was
 * interrupted is none. */
#include "inside.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static int
fill_meta(MDB_txn *txn, MDB_dbi dbi, const uint8_t *id, const char *live)
{
    uint32_t format = STORE_FORMAT;
    uint64_t commit = mdb_txn_id(txn), created;
    int rc;

    created = clock_realtime_ns();
    rc = writer_put_meta(txn, dbi, "format", &format, sizeof(format));
    if (!rc) {
        rc = writer_put_meta(txn, dbi, "id", id, REGISTRY_ID_SIZE);
    }
    if (!rc) {
        rc = writer_put_meta(txn, dbi, "live", live, strlen(live));
    }
    if (!rc) {
        rc = writer_put_meta(txn, dbi, "created", &created, sizeof(created));
    }
    if (!rc) {
        rc = writer_put_meta(txn, dbi, "commit", &commit, sizeof(commit));
    }
    return rc;
}

static int
fill(const char *path, const uint8_t *id, const char *live)
{
    MDB_dbi dbi[DATABASES];
    MDB_env *env;
    MDB_txn *txn;
    /* Nobody else knows the file. */
    int rc = lmdb_open(path, LMDB_FLAGS | MDB_NOLOCK, &env);

    if (rc) {
        return rc;
    }
    rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (!rc) {
        rc = writer_databases(txn, MDB_CREATE, dbi);
        if (!rc) {
            rc = fill_meta(txn, dbi[META], id, live);
        }
        if (!rc) {
            rc = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    mdb_env_close(env);
    return rc;
}

static int
create_locked(const char *dir, const uint8_t *id, const char *live,
              int (*make_others)(const char *dir))
{
    char *path = place_path(dir, "registry.mdb");
    char *fresh = place_path(dir, "registry.mdb.new");
    struct stat st;
    int rc;

    if (!path || !fresh) {
        rc = place_failed(dir, ENOMEM);
    } else if (!lstat(path, &st)) {
        rc = place_say(BIDE_EEXIST, "%s is there already", path);
    } else if (unlink(fresh) && errno != ENOENT) {
        rc = place_failed(fresh, errno);
    } else {
        rc = lmdb_failed(dir, fill(fresh, id, live));
        if (!rc) {
            rc = place_own(fresh, 0640);
        }
        if (!rc) {
            rc = make_others ? make_others(dir) : 0;
        }
        rc = place_install(dir, fresh, path, rc);
    }
    free(path);
    free(fresh);
    return rc;
}

int
writer_create(const char *dir, const char *live_dir,
              int (*make_others)(const char *dir),
              uint8_t out_id[REGISTRY_ID_SIZE])
{
    uint8_t id[REGISTRY_ID_SIZE];
    char hex[2 * REGISTRY_ID_SIZE + 1], *live;
    int i, lock, rc;

    if (!dir || !live_dir || live_dir[0] != '/') {
        return place_say(BIDE_EINVAL, "the live directory must begin with /");
    }
    if (getrandom(id, sizeof(id), 0) != sizeof(id)) {
        return place_failed("random numbers", errno);
    }
    for (i = 0; i < REGISTRY_ID_SIZE; i++) {
        sprintf(hex + 2 * i, "%02x", id[i]);
    }
    if (asprintf(&live, "%s/%s.live", live_dir, hex) < 0) {
        return place_failed(dir, ENOMEM);
    }
    rc = strlen(live) < PATH_MAX ? place_make(dir)
                                 : place_failed(live_dir, ENAMETOOLONG);
    if (!rc) {
        rc = place_lock(dir, "bide init", LOCK_WAIT_MS, &lock);
    }
    if (!rc) {
        rc = create_locked(dir, id, live, make_others);
        place_unlock(lock);
    }
    free(live);
    if (!rc) {
        memcpy(out_id, id, sizeof(id));
    }
    return rc;
}
