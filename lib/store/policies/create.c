/* Makes a registry. */
#include "inside.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/paths.h"

static int
fill_meta(MDB_txn *txn, MDB_dbi dbi, const uint8_t *id, const char *live,
          const char *dir)
{
    const uint32_t format = STORE_FORMAT;
    const uint64_t commit = mdb_txn_id(txn), created = clock_realtime_ns();
    const struct {
        const char *key;
        const void *value;
        size_t length;
    } values[] = {
        {"format", &format, sizeof(format)},
        {"id", id, REGISTRY_ID_SIZE},
        {"live", live, strlen(live)},
        {"dir", dir, strlen(dir)},
        {"created", &created, sizeof(created)},
        {"commit", &commit, sizeof(commit)},
    };
    int rc = 0;

    for (size_t i = 0; i < sizeof(values) / sizeof(*values) && !rc; i++) {
        rc = lmdb_put_sealed(txn, dbi, values[i].key, strlen(values[i].key),
                             values[i].value, values[i].length, 0);
    }
    return rc;
}

struct creation {
    const char *dir, *live;
    const uint8_t *id;
    int (*make_others)(const char *dir);
};

static int
fill_registry(void *arg, MDB_txn *txn)
{
    const struct creation *c = arg;
    MDB_dbi dbi[DATABASES];
    char dir[PATH_MAX];
    int rc = lmdb_databases(txn, writer_databases, DATABASES, MDB_CREATE, dbi);

    if (!rc) {
        rc = realpath(c->dir, dir)
                 ? fill_meta(txn, dbi[META], c->id, c->live, dir)
                 : errno;
    }
    return lmdb_failed(c->dir, rc);
}

static int
make_other_files(void *arg)
{
    const struct creation *c = arg;

    return c->make_others ? c->make_others(c->dir) : 0;
}

/* Makes registry.mdb; the other files are made just before it is renamed. */
static int
create_locked(struct creation *c)
{
    const struct file_path path = path_of(c->dir, PATH_REGISTRY);
    struct lmdb_new new_file = {.dir = c->dir,
                                .path = path.text,
                                .fill = fill_registry,
                                .before = make_other_files,
                                .arg = c};
    struct stat st;

    return lstat(path.text, &st)
               ? lmdb_make_file(&new_file)
               : place_say(BIDE_EEXIST, "%s already exists", path.text);
}

int
writer_identity(const char *live_dir, uint8_t out_id[REGISTRY_ID_SIZE],
                char **out_live)
{
    char hex[2 * REGISTRY_ID_SIZE + 1], *live;

    if (getrandom(out_id, REGISTRY_ID_SIZE, 0) != REGISTRY_ID_SIZE) {
        return place_failed("random numbers", errno);
    }
    for (int i = 0; i < REGISTRY_ID_SIZE; i++) {
        sprintf(hex + 2 * i, "%02x", out_id[i]);
    }
    if (asprintf(&live, "%s/%s.live", live_dir, hex) < 0) {
        return place_failed(live_dir, ENOMEM);
    }
    if (strlen(live) >= PATH_MAX) {
        free(live);
        return place_failed(live_dir, ENAMETOOLONG);
    }
    *out_live = live;
    return 0;
}

int
writer_create(const char *dir, const char *live_dir,
              int (*make_others)(const char *dir),
              uint8_t out_id[REGISTRY_ID_SIZE])
{
    uint8_t id[REGISTRY_ID_SIZE];
    char *live;
    int lock, rc;

    if (!dir || !live_dir || live_dir[0] != '/') {
        return place_say(BIDE_EINVAL, "the live directory must begin with /");
    }
    rc = writer_identity(live_dir, id, &live);
    if (rc) {
        return rc;
    }
    rc = place_make(dir);
    rc = rc ? rc : place_lock(dir, "bide init", LOCK_WAIT_MS, &lock);
    if (!rc) {
        struct creation c = {dir, live, id, make_others};

        rc = create_locked(&c);
        place_unlock(lock);
    }
    free(live);
    if (!rc) {
        memcpy(out_id, id, sizeof(id));
    }
    return rc;
}
