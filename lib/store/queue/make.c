/* Makes deferred.mdb: empty, or from the readable records of a damaged one. */
#include "file.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/paths.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "check.h"
#include "record.h"
#include "scan.h"

/* A new file, with the readable records of a damaged one. */
struct making {
    const char *dir;
    struct pages *old; /* NULL: none can be read */
    bool anew;         /* the registry had one, which was removed */
    MDB_txn *txn;
    MDB_dbi dbi;
    bool marked; /* has the mark of its journal */
    int rc;      /* of LMDB */
};

static int
copy_record(void *arg, const void *key, size_t key_length, const void *value,
            size_t length)
{
    struct making *m = arg;
    uint8_t kind = *(const uint8_t *)key;
    MDB_val k = lmdb_val(key, key_length), v = lmdb_val(value, length);
    struct deferred_payload payload;
    struct deferred_item item;
    size_t unsealed;

    /* A payload has its checksum in its head. */
    if (kind == DEFERRED_HEAD
            ? !deferred_head_read(deferred_key_id(key, key_length), value,
                                  length, &item, &payload)
            : kind != DEFERRED_PAYLOAD &&
                  !seal_read(key, key_length, value, length, &unsealed)) {
        return 0;
    }
    m->marked |= kind == DEFERRED_JOURNAL;
    return m->rc = mdb_put(m->txn, m->dbi, &k, &v, 0);
}

/* Without the mark, a journal that is there was of a file that was lost: its
 * work counts. */
static int
put_mark(struct making *m)
{
    const uint8_t key = DEFERRED_JOURNAL;
    struct journal_mark mark;

    return m->marked || !deferred_journal_left(m->dir, &mark)
               ? 0
               : lmdb_put_sealed(m->txn, m->dbi, &key, 1, &mark, sizeof(mark),
                                 0);
}

/* Notes that an unknown number of pieces may be missing. */
static int
put_loss(struct making *m)
{
    const uint8_t key = DEFERRED_META;
    const struct deferred_meta meta = {
        .format = DEFERRED_FORMAT, .next = 1, .lost_ns = clock_realtime_ns()};

    return m->anew ? lmdb_put_sealed(m->txn, m->dbi, &key, 1, &meta,
                                     sizeof(meta), 0)
                   : 0;
}

static int
fill_work_file(void *arg, MDB_txn *txn)
{
    struct making *m = arg;
    uint64_t damaged = 0;
    struct snapshot s;

    m->txn = txn;
    m->rc = mdb_dbi_open(txn, "work", MDB_CREATE, &m->dbi);
    if (!m->rc && m->old && !pages_begin(m->old, &s)) {
        pages_walk(&s, "work", NULL, 0, false, copy_record, m, &damaged);
    }
    m->rc = m->rc ? m->rc : put_mark(m);
    m->rc = m->rc ? m->rc : put_loss(m);
    return lmdb_failed_file(m->dir, PATH_DEFERRED, m->rc);
}

/* Makes deferred.checked and the journal before deferred.mdb has its name,
 * because other processes make missing ones from then on. */
static int
make_companions(void *arg)
{
    const char *dir = ((const struct making *)arg)->dir;
    int rc = deferred_make_checked(dir);

    if (!rc && !deferred_journal_make(dir)) {
        /* Works without a journal too; it is made when there is space. */
    }
    return rc;
}

static int
make_work_file(const char *dir, const char *path, struct pages *old, bool anew)
{
    struct making m = {.dir = dir, .old = old, .anew = anew};

    return lmdb_make_file(&(struct lmdb_new){.dir = dir,
                                             .path = path,
                                             .reserve = DEFERRED_KEPT,
                                             .keep_old = old != NULL,
                                             .fill = fill_work_file,
                                             .before = make_companions,
                                             .arg = &m});
}

static int
make_file(const char *dir, bool anew)
{
    const struct file_path path = path_of(dir, PATH_DEFERRED);
    int lock, rc = place_lock_directory(path.text, &lock);
    struct stat st;

    if (!rc) {
        /* If it exists, another process was faster. */
        rc = lstat(path.text, &st) ? make_work_file(dir, path.text, NULL, anew)
             : anew                ? 0
                    : make_companions(&(struct making){.dir = dir});
        place_unlock(lock);
    }
    return rc;
}

int
deferred_create(const char *dir)
{
    return make_file(dir, false);
}

int
deferred_make_missing(struct deferred *d)
{
    const struct file_path registry = path_of(d->dir, PATH_REGISTRY);
    struct stat st;
    int rc = stat(registry.text, &st) ? place_failed(registry.text, errno) : 0;

    rc = rc ? rc : make_file(d->dir, true);
    if (rc == BIDE_EPERM) {
        rc = place_say(rc,
                       "%s is missing, and this user cannot make it\nrun bide "
                       "deferred stats as a user who can write that directory",
                       d->path);
    }
    return rc;
}

int
deferred_salvage(const char *dir)
{
    const struct file_path path = path_of(dir, PATH_DEFERRED);
    struct pages *old = NULL;
    int lock = -1, rc = place_lock_directory(path.text, &lock);

    if (!rc) {
        rc = pages_open(path.text, &old);
        rc = rc ? rc : pages_check(old);
        rc = rc == BIDE_EDAMAGED ? make_work_file(dir, path.text, old, false)
             : rc                ? place_say(rc, "%s", pages_why())
                                 : 0;
        place_unlock(lock);
    }
    pages_close(old);
    return rc;
}
