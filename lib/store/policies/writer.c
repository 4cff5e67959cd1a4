/* Begins and ends writers.  Each opens an LMDB environment and closes it again,
 * because operators' commands are short; services never open LMDB. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/plain.h"
#include "base/safe.h"
#include "store/pages/pages_file.h"
#include "reader.h"

const char *const writer_databases[DATABASES] = {"policies", "versions", "log",
                                                 "children", "meta"};

int
writer_damaged(const struct writer *w, const char *what)
{
    return place_say(BIDE_EDAMAGED,
                     "%s/" PATH_REGISTRY
                     ": %s is damaged\nrestore it from a backup",
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

/* ---- beginning ---- */

/* Keeps a message for a result of pages.h and returns it. */
static int
map_pages_result(int rc)
{
    const char *to_do = rc == BIDE_EDAMAGED   ? "\nrestore it from a backup"
                        : rc == BIDE_EMISSING ? "\nbide init makes a registry"
                                              : "";

    return rc == BIDE_ENOMEM ? place_say(rc, "out of memory")
                             : place_say(rc, "%s%s", pages_why(), to_do);
}

/* Reads a value of "meta"; *out stays LMDB's memory. */
static int
get_meta_value(struct writer *w, const char *key, const uint8_t **out,
               size_t *out_length)
{
    MDB_val k = lmdb_val(key, strlen(key)), v;
    int rc = mdb_get(w->txn, w->dbi[META], &k, &v);

    if (rc) {
        return lmdb_failed(w->dir, rc);
    }
    *out = seal_read(key, strlen(key), v.mv_data, v.mv_size, out_length);
    return *out ? 0 : writer_damaged(w, key);
}

static int
get_meta_fixed(struct writer *w, const char *key, void *out, size_t size)
{
    const uint8_t *value;
    size_t length;
    int rc = get_meta_value(w, key, &value, &length);

    if (rc) {
        return rc;
    }
    if (length != size) {
        return writer_damaged(w, key);
    }
    memcpy(out, value, size);
    return 0;
}

static int
get_meta(struct writer *w)
{
    uint8_t id[REGISTRY_ID_SIZE];
    const uint8_t *value;
    uint32_t format = 0;
    uint64_t commit = 0;
    size_t length;
    int rc = get_meta_fixed(w, "format", &format, sizeof(format));

    if (rc) {
        return rc;
    }
    rc = pages_format(w->dir, format, STORE_FORMAT);
    rc = rc ? place_say(rc, "%s", pages_why())
            : get_meta_fixed(w, "commit", &commit, sizeof(commit));
    /* See check_commit in reader.c. */
    if (!rc && w->number > 2 && commit != w->number - 1) {
        rc = writer_damaged(w, "its last transaction");
    }
    /* Only readers use these values, but nothing is added to a registry that
     * they cannot read. */
    rc = rc ? rc : get_meta_fixed(w, "id", id, sizeof(id));
    return rc ? rc : get_meta_value(w, "live", &value, &length);
}

static int
begin_locked(struct writer *w, const char *path)
{
    int rc = place_open_checked(w->dir, path, PATH_REGISTRY_CHECKED,
                                pages_check, &w->pages);

    if (rc) {
        return map_pages_result(rc);
    }
    if (safe_check(w->pages->fd, path)) {
        return place_failed(path, errno);
    }
    rc = lmdb_open(path, w->pages->fd, 0, &w->env);
    rc = rc ? rc : mdb_txn_begin(w->env, NULL, 0, &w->txn);
    if (!rc) {
        w->number = mdb_txn_id(w->txn);
        rc = lmdb_databases(w->txn, writer_databases, DATABASES, 0, w->dbi);
    }
    return rc ? lmdb_failed(w->dir, rc) : get_meta(w);
}

/* Checks the permission before the lock is taken, so that a user without it
 * does not wait, and no lock file is made in a directory without a registry. */
static int
check_permission(const char *path)
{
    struct stat st;

    return stat(path, &st) || faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS)
               ? place_failed(path, errno)
               : 0;
}

int
writer_begin(const char *dir, const char *command, unsigned wait_ms,
             struct writer **out)
{
    struct writer *w = calloc(1, sizeof(*w));
    const struct file_path path = path_of(dir, PATH_REGISTRY);
    int rc;

    if (w) {
        w->lock = -1;
        w->process = process_self().id;
        w->dir = strdup(dir);
    }
    rc = w && w->dir ? check_permission(path.text) : place_failed(dir, ENOMEM);
    rc = rc ? rc : place_lock(dir, command, wait_ms, &w->lock);
    rc = rc ? rc : begin_locked(w, path.text);
    if (rc) {
        writer_end(w);
        return rc;
    }
    *out = w;
    return 0;
}

/* ---- ending ---- */

/* Stores the directory of the registry, if it was moved.  A copy of a registry
 * that still exists keeps the directory of that one.  Returns LMDB's results.
 */
static int
note_directory(struct writer *w)
{
    MDB_val k = lmdb_val("dir", strlen("dir")), v;
    const uint8_t *known = NULL;
    char here[PATH_MAX];
    struct reader *r;
    size_t length;
    bool is_copy;

    if (!realpath(w->dir, here)) {
        return 0;
    }
    if (!mdb_get(w->txn, w->dbi[META], &k, &v)) {
        known = seal_read("dir", strlen("dir"), v.mv_data, v.mv_size, &length);
    }
    if (known && length == strlen(here) && memcmp(known, here, length) == 0) {
        return 0;
    }
    if (reader_open(w->dir, &r)) {
        return 0; /* the next change tries again */
    }
    is_copy = reader_original(r) != NULL;
    reader_close(r);
    return is_copy ? 0
                   : lmdb_put_sealed(w->txn, w->dbi[META], "dir", strlen("dir"),
                                     here, strlen(here), 0);
}

int
writer_commit(struct writer *w)
{
    int rc = w->failed;

    if (w->process != process_self().id || !w->txn) {
        return place_say(BIDE_EINVAL, "the transaction has ended");
    }
    if (rc || !w->changed) {
        mdb_txn_abort(w->txn);
        w->txn = NULL;
        w->number--;
        return rc;
    }
    rc = note_directory(w);
    if (!rc) {
        rc = lmdb_put_sealed(w->txn, w->dbi[META], "commit", strlen("commit"),
                             &w->number, sizeof(w->number), 0);
    }
    if (rc) {
        mdb_txn_abort(w->txn);
    } else {
        rc = mdb_txn_commit(w->txn);
    }
    w->txn = NULL;
    if (rc) {
        w->number--;
        return lmdb_failed(w->dir, rc);
    }
    place_set_checked(w->dir, PATH_REGISTRY_CHECKED, w->pages);
    return 0;
}

int
writer_set(struct writer *w, const char *key, const void *value, size_t length)
{
    MDB_val k = lmdb_val(key, strlen(key));
    int rc = value ? lmdb_put_sealed(w->txn, w->dbi[META], key, strlen(key),
                                     value, length, 0)
                   : mdb_del(w->txn, w->dbi[META], &k, NULL);

    w->changed = true;
    w->failed = lmdb_failed(w->dir, rc);
    return w->failed;
}

int
writer_note_rename(struct writer *w, const struct record_rename *r)
{
    struct record_rename earlier;
    unsigned number = 1;

    while (!get_meta_fixed(w, record_rename_key(number).text, &earlier,
                           sizeof(earlier))) {
        number++;
    }
    return writer_set(w, record_rename_key(number).text, r, sizeof(*r));
}

/* The key of a mark. */
static struct brief
write_mark(const char *name)
{
    struct brief key;

    snprintf(key.text, sizeof(key.text), "fleet/%s", name);
    return key;
}

bool
writer_marked(struct writer *w, const char *name)
{
    struct brief key = write_mark(name);
    MDB_val k = lmdb_val(key.text, strlen(key.text)), v;

    return mdb_get(w->txn, w->dbi[META], &k, &v) == 0;
}

int
writer_mark(struct writer *w, const char *name, bool made)
{
    return writer_marked(w, name) == made
               ? 0
               : writer_set(w, write_mark(name).text, made ? "" : NULL, 0);
}

void
writer_end(struct writer *w)
{
    if (!w) {
        return;
    }
    if (w->process != process_self().id) {
        /* LMDB's locks belong to the parent; closing the environment in a child
         * would release them.  Its memory is leaked. */
        safe_close(w->lock);
        return;
    }
    mdb_txn_abort(w->txn);
    if (w->env) {
        mdb_env_close(w->env);
    }
    pages_close(w->pages);
    if (w->lock >= 0) {
        place_unlock(w->lock);
    }
    free(w->dir);
    free(w);
}

uint64_t
writer_txn(const struct writer *w)
{
    return w->number;
}
