/* Opening and closing a queue, its clock, and what a fork changes. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/clock.h"
#include "store/file/place.h"
#include "recent.h"

static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct deferred *all;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool can_fork;

/* ---- fork ---- */

static void
before_fork(void)
{
    pthread_mutex_lock(&all_mutex);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&all_mutex);
}

/* The lock is the parent's, and ends with the last copy of its descriptor: ours
 * must not outlive the parent.  LMDB's environment can not be used here, nor
 * closed; another thread may have been in the middle of anything. */
static void
in_child(void)
{
    struct deferred *d;

    for (d = all; d; d = d->next) {
        struct stat st;
        int fd = atomic_load(&d->lock_fd);

        if (fd >= 0 && !fstat(fd, &st) && st.st_dev == d->device &&
            st.st_ino == d->inode) {
            close(fd);
        }
        atomic_store(&d->lock_fd, -1);
        d->pages = NULL;
        deferred_lose(d);
        deferred_journal_lose(d);
        deferred_checked_close(d);
        d->known = d->in_flight = d->led = false;
        d->reserved = 0;
        d->syncing = 0;
        d->flushes = NULL;
        d->flushing = false;
        d->wanted = NULL;
        d->wanted_end = &d->wanted;
        pthread_mutex_init(&d->mutex, NULL);
        pthread_cond_init(&d->synced, NULL);
    }
    pthread_mutex_unlock(&all_mutex);
}

void
deferred_hold_forks(void)
{
    before_fork();
}

void
deferred_let_forks(void)
{
    after_fork();
}

static void
watch_forks(void)
{
    can_fork = pthread_atfork(before_fork, after_fork, in_child) == 0;
}

/* ---- time ---- */

void
deferred_time(const struct deferred *d, struct deferred_now *out)
{
    out->realtime_ns = clock_realtime_ns();
    out->boottime_ns = clock_boottime_ns();
    out->monotonic_ns = clock_monotonic_ns();
    out->boot = d->boot;
    if (d->now) {
        d->now(d->now_arg, out);
    }
}

void
deferred_set_clock(struct deferred *d,
                   void (*now)(void *arg, struct deferred_now *out), void *arg)
{
    d->now = now;
    d->now_arg = arg;
}

/* Returns the FNV-1a hash of the boot's id and its newline; 0: not known. */
static uint64_t
hash_boot_id(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    char id[BOOT_ID_TEXT];

    if (!boot_id_text(id)) {
        return 0;
    }
    for (const char *c = id; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    }
    return (hash ^ '\n') * 0x100000001b3u;
}

/* ---- opening ---- */

/* The program may change its directory. */
static char *
absolute(const char *dir)
{
    char *here, *path = NULL;

    if (dir[0] == '/') {
        return strdup(dir);
    }
    here = getcwd(NULL, 0);
    if (here) {
        path = place_path(here, dir);
    }
    free(here);
    return path;
}

static void
leave(struct deferred *d)
{
    struct deferred **at = &all;

    pthread_mutex_lock(&all_mutex);
    while (*at && *at != d) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = d->next;
    }
    pthread_mutex_unlock(&all_mutex);
}

static int
prepare(struct deferred *d, const char *dir)
{
    d->lock_fd = d->journal.fd = -1;
    d->checked_fd = -1;
    d->wait_ms = LOCK_WAIT_MS;
    d->wanted_end = &d->wanted;
    d->boot = hash_boot_id();
    pthread_once(&once, watch_forks);
    d->dir = absolute(dir);
    d->path = d->dir ? place_path(d->dir, "deferred.mdb") : NULL;
    d->checked_path = d->dir ? place_path(d->dir, "deferred.checked") : NULL;
    d->journal_path = d->dir ? place_path(d->dir, "deferred.journal") : NULL;
    d->journal.buffer = malloc(JOURNAL_BATCH_MAX);
    return d->path && d->checked_path && d->journal_path && d->journal.buffer &&
                   can_fork
               ? 0
               : place_failed(dir, ENOMEM);
}

static int
look(struct deferred *d)
{
    unsigned wait_ms = d->wait_ms;
    int rc;

    /* Whoever opens it waits when there is something to do, and not twice. */
    d->wait_ms = 0;
    rc = deferred_lock(d);
    d->wait_ms = wait_ms;
    if (!rc) {
        deferred_unlock(d);
    }
    /* Others are at work: so it is there. */
    return rc == BIDE_ELOCKED ? 0 : rc;
}

int
deferred_open(const char *dir, struct deferred **out)
{
    struct deferred *d = calloc(1, sizeof(*d));
    int rc;

    if (!d) {
        return place_failed(dir, ENOMEM);
    }
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->synced, NULL);
    rc = prepare(d, dir);
    pthread_mutex_lock(&all_mutex);
    d->next = all;
    all = d;
    pthread_mutex_unlock(&all_mutex);
    rc = rc ? rc : look(d);
    if (rc) {
        deferred_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void
deferred_close(struct deferred *d)
{
    if (!d) {
        return;
    }
    leave(d);
    deferred_file_close(d);
    pthread_mutex_destroy(&d->mutex);
    pthread_cond_destroy(&d->synced);
    recent_free(d->recent);
    free(d->journal.buffer);
    free(d->journal_path);
    free(d->checked_path);
    free(d->path);
    free(d->dir);
    free(d);
}
