/* Opens and closes a queue; its clock. */
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "base/clock.h"
#include "base/file_limit.h"
#include "base/paths.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "recent.h"

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

/* Returns the FNV-1a hash of the boot id and a newline; 0: unknown. */
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

uint64_t
deferred_registry(const struct deferred *d)
{
    struct pages *p = NULL;
    struct snapshot s;
    uint8_t id[16] = {0};
    size_t length;
    void *value;
    uint64_t first;

    if (!pages_open(path_of(d->dir, PATH_REGISTRY).text, &p) &&
        !pages_begin(p, &s) &&
        !pages_get(&s, "meta", "id", 2, &value, &length)) {
        seal_copy("id", 2, value, length, id, sizeof(id));
        free(value);
    }
    pages_close(p);
    memcpy(&first, id, sizeof(first));
    return first;
}

static int
check_files(struct deferred *d)
{
    unsigned wait_ms = d->wait_ms;
    int rc;

    /* Opening does not wait for the lock: the first change will. */
    d->wait_ms = 0;
    rc = deferred_lock(d);
    d->wait_ms = wait_ms;
    if (!rc) {
        deferred_unlock(d);
    }
    /* Another process holds the lock, so the files are there. */
    return rc == BIDE_ELOCKED ? 0 : rc;
}

int
deferred_new(const char *dir, bool reading, struct deferred **out)
{
    struct deferred *d = *out = calloc(1, sizeof(*d));

    if (!d) {
        return place_failed(dir, ENOMEM);
    }
    d->reading = reading;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->flush.done, NULL);
    d->file.lock_fd = d->journal.file.fd = d->check.file.fd = -1;
    d->wait_ms = LOCK_WAIT_MS;
    d->wanted.end = &d->wanted.first;
    d->boot = hash_boot_id();
    d->dir = paths_absolute(dir); /* the program may change its directory */
    d->journal.buffer = malloc(JOURNAL_BATCH_MAX);
    if (d->dir) {
        d->path = place_path(d->dir, PATH_DEFERRED);
        d->check.file.path = place_path(d->dir, PATH_DEFERRED_CHECKED);
        d->journal.file.path = place_path(d->dir, PATH_DEFERRED_JOURNAL);
    }
    return d->path && d->check.file.path && d->journal.file.path &&
                   d->journal.buffer
               ? 0
               : place_failed(dir, ENOMEM);
}

int
deferred_open(const char *dir, struct deferred **out)
{
    struct file_limit limit;
    struct deferred *d;
    int rc = deferred_new(dir, false, &d);

    if (d && !deferred_register(d) && !rc) {
        rc = place_failed(dir, ENOMEM);
    }
    file_limit_begin(&limit);
    rc = rc ? rc : check_files(d);
    file_limit_end(&limit);
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
    deferred_unregister(d);
    deferred_file_close(d);
    pthread_mutex_destroy(&d->mutex);
    pthread_cond_destroy(&d->flush.done);
    recent_free(d->recent);
    free(d->journal.buffer);
    free(d->journal.file.path);
    free(d->check.file.path);
    free(d->path);
    free(d->dir);
    free(d);
}
