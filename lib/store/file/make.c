/* Makes an LMDB file under a temporary name first, so that an incomplete file
 * never has the name that others open. */
#include "env.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/safe.h"
#include "place.h"

static int
map_result(const struct lmdb_new *n, int rc)
{
    return n->failed
               ? n->failed(n->arg, rc)
               : lmdb_failed_file(n->dir, n->path + strlen(n->dir) + 1, rc);
}

/* Writes the only transaction of the file `fresh`. */
static int
fill_file(void *arg, const char *fresh, int fd)
{
    const struct lmdb_new *n = arg;
    MDB_env *env;
    MDB_txn *txn;
    int rc = map_result(n, lmdb_open(fresh, fd, 0, &env));

    if (rc) {
        return rc;
    }
    rc = map_result(n, mdb_txn_begin(env, NULL, 0, &txn));
    if (!rc) {
        rc = n->fill(n->arg, txn);
        if (rc) {
            mdb_txn_abort(txn);
        } else {
            rc = map_result(n, mdb_txn_commit(txn));
        }
    }
    mdb_env_close(env);
    return rc || !n->reserve ? rc : place_reserve(fd, fresh, n->reserve);
}

/* Links the old file to a second name, so that n->path always exists. */
static int
keep_old_file(const struct lmdb_new *n)
{
    struct file_path aside;
    int i = 0;

    if (safe_replaceable(n->path)) {
        return place_failed(n->path, errno);
    }
    do { /* .damaged, or .damaged1 if that is a directory */
        aside = path_print("%s.damaged%.*d", n->path, i > 0, i);
    } while (unlink(aside.text) && errno == EISDIR && i++ < 9);
    return link(n->path, aside.text) ? place_failed(aside.text, errno) : 0;
}

static int
finish_file(void *arg)
{
    const struct lmdb_new *n = arg;
    int rc = n->before ? n->before(n->arg) : 0;

    return rc || !n->keep_old ? rc : keep_old_file(n);
}

int
lmdb_make_file(struct lmdb_new *n)
{
    return place_make_file(&(struct place_new){.dir = n->dir,
                                               .path = n->path,
                                               .fill = fill_file,
                                               .before = finish_file,
                                               .arg = n});
}
