/* Makes an LMDB file under a temporary name first, so that an incomplete file
 * never has the name that others open. */
#include "env.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/safe.h"
#include "place.h"

static int
map_result(const struct lmdb_new *n, int rc)
{
    return n->failed ? n->failed(n->arg, rc)
                     : lmdb_failed_file(n->dir, strrchr(n->path, '/') + 1, rc);
}

/* Writes the only transaction of the file `fresh`. */
static int
fill_file(const struct lmdb_new *n, const char *fresh, int fd)
{
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
    return rc;
}

/* Links the old file to a second name, so that n->path always exists. */
static int
keep_old_file(const struct lmdb_new *n)
{
    char *aside = NULL;
    int rc, i = 0;

    if (safe_replaceable(n->path)) {
        return place_failed(n->path, errno);
    }
    do { /* .damaged, or .damaged1 if that is a directory */
        free(aside);
        if (asprintf(&aside, "%s.damaged%.*d", n->path, i > 0, i) < 0) {
            return place_failed(n->dir, ENOMEM);
        }
    } while (unlink(aside) && errno == EISDIR && i++ < 9);
    rc = link(n->path, aside) ? place_failed(aside, errno) : 0;
    free(aside);
    return rc;
}

int
lmdb_make_file(const struct lmdb_new *n)
{
    char *fresh;
    int fd, rc;

    assert(n->fill);
    if (asprintf(&fresh, "%s.new", n->path) < 0) {
        return place_failed(n->dir, ENOMEM);
    }
    fd = safe_make_anew(fresh);
    if (fd < 0) {
        rc = place_failed(fresh, errno);
        free(fresh);
        return rc;
    }
    rc = fill_file(n, fresh, fd);
    if (!rc && n->reserve) {
        rc = place_reserve(fd, fresh, n->reserve);
    }
    if (!rc) {
        rc = place_own(fd, n->dir, n->mode);
    }
    close(fd);
    if (!rc && n->before) {
        rc = n->before(n->arg);
    }
    if (!rc && n->keep_old) {
        rc = keep_old_file(n);
    }
    rc = place_install(n->dir, fresh, n->path, rc);
    free(fresh);
    return rc;
}
