/* deferred.mdb itself.
 *
 * Everything is read and written under an exclusive lock (flock) on the file,
 * so LMDB needs no lock of its own (MDB_NOLOCK): there is no lock file, no
 * table of readers, and nothing that a killed process leaves behind.
 *
 * MDB_NOMETASYNC: a commit waits for its pages, but not for the meta page that
 * makes them valid.  A durable change waits for that page after the lock is
 * released, while the next leader works.  LMDB's next commit waits for it in
 * any case, so the file is whole at each moment. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/safe.h"
#include "store/file/place.h"
#include "store/pages/pages_file.h"
#include "check.h"

enum {
    OPEN_TRIES = 8,
};

#define NS_PER_MS UINT64_C(1000000)
#define YIELD_NS UINT64_C(60000)

/* ---- results and their words ---- */

static int
say_damaged(const struct deferred *d, const char *what)
{
    size_t length = strlen(d->path);
    bool named = !strncmp(what, d->path, length) && what[length] == ':';

    return place_say(BIDE_EDAMAGED,
                     "%s%s%s\nrun bide deferred repair: it keeps what can be "
                     "read",
                     named ? "" : d->path, named ? "" : ": ", what);
}

int
deferred_from_lmdb(const struct deferred *d, int rc)
{
    if (rc == MDB_MAP_RESIZED) {
        return place_say(BIDE_ENOMEM, "%s: larger than this process may map",
                         d->path);
    }
    if (rc == DEFERRED_REPAIR) {
        return say_damaged(d, "damaged");
    }
    if (rc == MDB_KEYEXIST || rc == DEFERRED_DIRECT ||
        lmdb_code(d->dir, &rc) == BIDE_EDAMAGED) {
        return say_damaged(d, mdb_strerror(rc));
    }
    return lmdb_failed_file(d->dir, PATH_DEFERRED, rc);
}

static int
from_pages_result(const struct deferred *d, int rc)
{
    switch (rc) {
    case BIDE_EDAMAGED:
        return say_damaged(d, pages_why());
    case BIDE_ENOMEM:
        return place_say(rc, "out of memory");
    default:
        return place_say(rc, "%s", pages_why());
    }
}

/* ---- opening ---- */

static bool
is_our_file(const struct deferred *d, int fd)
{
    return fd >= 0 && deferred_is_file(fd, "", d->file.device, d->file.inode);
}

/* Environments that cannot be closed, linked by their LMDB user context: still
 * reachable, so that they are no leak. */
static _Atomic(MDB_env *) abandoned;

static void
abandon_env(struct deferred *d)
{
    if (d->file.env) {
        mdb_env_set_userctx(d->file.env,
                            atomic_exchange(&abandoned, d->file.env));
    }
    d->file.env = NULL;
}

/* ---- forks ---- */

static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct deferred *all; /* all_mutex */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool can_fork;

static void
hold_forks(void)
{
    pthread_mutex_lock(&all_mutex);
}

static void
release_forks(void)
{
    pthread_mutex_unlock(&all_mutex);
}

/* Resets a queue in the child.  The file lock belongs to the parent and lasts
 * until the last copy of its descriptor is closed, so this copy is closed.  The
 * LMDB environment can be neither used nor closed here, because a thread of the
 * parent may have been in the middle of a call. */
static void
reset_in_child(struct deferred *d)
{
    int fd = atomic_load(&d->file.lock_fd);

    if (is_our_file(d, fd)) {
        close(fd);
    }
    atomic_store(&d->file.lock_fd, -1);
    d->file.pages = NULL;
    abandon_env(d);
    deferred_journal_abandon(d);
    deferred_check_close(d);
    d->view.value = NULL; /* may be in use by a thread of the parent */
    pages_view_reset(&d->view);
    d->file.reserved = 0;
    d->wanted.first = NULL;
    d->wanted.end = &d->wanted.first;
    d->wanted.led = false;
    d->flush.first = NULL;
    d->flush.running = false;
    d->flush.threads = 0;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->flush.done, NULL);
}

static void
reset_all_in_child(void)
{
    for (struct deferred *d = all; d; d = d->next) {
        reset_in_child(d);
    }
    release_forks();
}

static void
watch_forks(void)
{
    can_fork =
        pthread_atfork(hold_forks, release_forks, reset_all_in_child) == 0;
}

bool
deferred_register(struct deferred *d)
{
    pthread_once(&once, watch_forks);
    hold_forks();
    d->next = all;
    all = d;
    release_forks();
    return can_fork;
}

void
deferred_unregister(struct deferred *d)
{
    struct deferred **at = &all;

    hold_forks();
    while (*at && *at != d) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = d->next;
    }
    release_forks();
}

/* ---- descriptors and the environment ---- */

static void
env_close(struct deferred *d)
{
    int fd = -1;

    if (!d->file.env) {
        return;
    }
    deferred_wait_flushed(d);
    /* If the program closed the descriptors, their numbers may belong to other
     * files now, which LMDB would close. */
    if (!mdb_env_get_fd(d->file.env, &fd) && is_our_file(d, fd)) {
        MDB_env *env = d->file.env;

        d->file.env = NULL; /* first: a forked child must not use it */
        mdb_env_close(env);
    }
    abandon_env(d);
}

void
deferred_file_close(struct deferred *d)
{
    env_close(d);
    deferred_journal_close(d);
    atomic_store(&d->file.lock_fd, -1);
    pages_close(d->file.pages);
    d->file.pages = NULL;
    deferred_check_close(d);
    pages_view_reset(&d->view);
    d->file.reserved = 0;
}

/* Opens the file with forks held back: a child must know each descriptor that
 * can carry the lock. */
static int
open_pages(struct deferred *d)
{
    int rc;

    hold_forks();
    rc = pages_open(d->path, &d->file.pages);
    if (!rc) {
        d->file.device = d->file.pages->device;
        d->file.inode = d->file.pages->inode;
        atomic_store(&d->file.lock_fd, d->file.pages->fd);
    }
    release_forks();
    return rc;
}

static int
open_for_writing(struct deferred *d)
{
    int rc = open_pages(d);

    if (rc == BIDE_EMISSING) {
        rc = deferred_make_missing(d);
        if (rc) {
            return rc;
        }
        rc = open_pages(d);
    }
    if (rc) {
        return from_pages_result(d, rc);
    }
    if (safe_check(d->file.pages->fd, d->path) ||
        faccessat(AT_FDCWD, d->path, R_OK | W_OK, AT_EACCESS)) {
        rc = errno;
        deferred_file_close(d);
        return place_failed(d->path, rc);
    }
    return 0;
}

/* Opens LMDB's own descriptor and map, and the database. */
static int
env_open(struct deferred *d)
{
    MDB_txn *txn;
    int fd = -1, rc;

    if (d->file.env && !mdb_env_get_fd(d->file.env, &fd) &&
        is_our_file(d, fd)) {
        return 0;
    }
    env_close(d);
    /* A failed sync may have been reported to a process that has ended, and is
     * not reported to us. */
    atomic_store(&d->file.failed, true);
    rc = lmdb_open(d->path, d->file.pages->fd, MDB_NOMETASYNC, &d->file.env);
    if (rc) {
        d->file.env = NULL;
        return deferred_from_lmdb(d, rc);
    }
    rc = mdb_txn_begin(d->file.env, NULL, 0, &txn);
    if (!rc) {
        rc = mdb_dbi_open(txn, "work", 0, &d->file.dbi);
        if (rc) {
            mdb_txn_abort(txn);
        } else {
            rc = mdb_txn_commit(txn); /* writes nothing; keeps the handle */
        }
    }
    if (rc) {
        env_close(d);
    }
    return rc ? deferred_from_lmdb(d, rc) : 0;
}

int
deferred_reopen(struct deferred *d)
{
    env_close(d);
    return env_open(d);
}

/* ---- the lock ---- */

static int
say_locked(const struct deferred *d)
{
    char line[256];
    unsigned long long inode;
    unsigned major, minor;
    long holder = 0, pid;
    FILE *f = fopen("/proc/locks", "re");

    while (f && !holder && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*d: FLOCK %*s WRITE %ld %x:%x:%llu", &pid, &major,
                   &minor, &inode) == 4 &&
            inode == d->file.inode && makedev(major, minor) == d->file.device) {
            holder = pid;
        }
    }
    if (f) {
        fclose(f);
    }
    return holder > 0
               ? place_say(BIDE_ELOCKED,
                           "%s: being written by pid %ld: gave up after %u ms",
                           d->path, holder, d->wait_ms)
               : place_say(BIDE_ELOCKED,
                           "%s: being written: gave up after %u ms", d->path,
                           d->wait_ms);
}

/* Others hold the lock for about 20 us.  The longer the wait, the longer the
 * pause. */
static void
pause_before_retry(uint64_t waited_ns)
{
    const struct timespec pause = {0, waited_ns < 20 * NS_PER_MS    ? 30000
                                      : waited_ns < 500 * NS_PER_MS ? 300000
                                                                    : 3000000};

    if (waited_ns < YIELD_NS) {
        sched_yield();
    } else {
        nanosleep(&pause, NULL);
    }
}

static int
wait_for_lock(struct deferred *d, uint64_t since)
{
    while (flock(d->file.pages->fd, LOCK_EX | LOCK_NB)) {
        uint64_t waited = clock_monotonic_ns() - since;

        if (errno != EWOULDBLOCK && errno != EINTR) {
            return place_failed(d->path, errno);
        }
        if (waited >= d->wait_ms * NS_PER_MS) {
            return say_locked(d);
        }
        pause_before_retry(waited);
    }
    return 0;
}

static int
read_changes(struct deferred *d)
{
    int rc = deferred_follow(d);

    return rc > 0 && rc < DEFERRED_REPAIR
               ? place_failed(d->journal.file.path, rc)
           : rc ? deferred_from_lmdb(d, rc)
                : 0;
}

int
deferred_lock(struct deferred *d)
{
    uint64_t since = clock_monotonic_ns();
    int rc = BIDE_EMISSING;

    for (int tries = 0; tries < OPEN_TRIES && rc == BIDE_EMISSING; tries++) {
        if (d->file.pages && !is_our_file(d, d->file.pages->fd)) {
            deferred_file_close(d); /* the program closed the descriptor */
        }
        rc = d->file.pages ? 0 : open_for_writing(d);
        if (rc) {
            return rc;
        }
        rc = wait_for_lock(d, since);
        if (rc) {
            return rc;
        }
        rc = deferred_check(d);
        rc = rc ? from_pages_result(d, rc) : env_open(d);
        rc = rc ? rc : read_changes(d);
        if (rc) {
            deferred_unlock(d);
        }
        if (rc == BIDE_EMISSING) {
            deferred_file_close(d); /* another file has the name now */
        }
    }
    return rc;
}

void
deferred_unlock(struct deferred *d)
{
    /* Explicitly, because a forked child may hold the same open file. */
    if (d->file.pages && is_our_file(d, d->file.pages->fd)) {
        flock(d->file.pages->fd, LOCK_UN);
    }
}
