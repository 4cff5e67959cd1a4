/* bide_record_every: a thread inside of a service that records history.  The
 * library starts no other thread. */
#include "registry/registry.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/duration.h"
#include "past.h"

struct recorder {
    pthread_t thread;
    uint32_t process; /* the id of the one that has the thread */
    uint64_t every_ns;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool stop; /* under lock */
    char dir[];
};

/* Records once.  All files are opened again each time, because they may have
 * been replaced.  Errors are ignored: `bide doctor` shows them, and the next
 * recording tries again. */
static void
record_once(const struct recorder *r)
{
    struct recorder_options how = {.every_ns = r->every_ns,
                                   .keep = {RECORDING_KEEP_MINUTES_NS,
                                            RECORDING_KEEP_HOURS_NS,
                                            RECORDING_KEEP_BYTES}};
    struct recorded done;
    struct past past;

    if (past_open(r->dir, &past)) {
        return;
    }
    if (past_record(&past, &how, &done) == 0) {
        recorded_free(&done);
    }
    past_close(&past);
}

/* Sleeps until the next multiple of every_ns of CLOCK_REALTIME.  Returns true
 * if the thread must end. */
static bool
wait_for_interval(struct recorder *r)
{
    uint64_t left = r->every_ns - clock_realtime_ns() % r->every_ns;
    uint64_t until = clock_monotonic_ns() + left;
    struct timespec at = {(time_t)(until / SECOND_NS),
                          (long)(until % SECOND_NS)};
    int rc = 0;

    pthread_mutex_lock(&r->lock);
    while (!r->stop && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&r->stopping, &r->lock, &at);
    }
    rc = r->stop;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void *
run_recorder(void *arg)
{
    struct recorder *r = arg;

    while (!wait_for_interval(r)) {
        record_once(r);
    }
    return NULL;
}

/* Starts the thread with all signals blocked: they are for the service. */
static int
start_recorder(struct recorder *r)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&r->thread, NULL, run_recorder, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? BIDE_ESYS : 0;
}

static int
make_recorder(const char *dir, uint64_t every_ns, struct recorder **out)
{
    size_t length = strlen(dir) + 1;
    struct recorder *r = calloc(1, sizeof(*r) + length);
    pthread_condattr_t attributes;
    int rc;

    if (!r) {
        return BIDE_ENOMEM;
    }
    r->process = process_self().id;
    r->every_ns = every_ns;
    memcpy(r->dir, dir, length);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->stopping, &attributes);
    pthread_condattr_destroy(&attributes);
    rc = start_recorder(r);
    if (rc) {
        free(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* Ends the thread and frees `r`.  NULL: does nothing. */
static void
recorder_end(struct recorder *r)
{
    if (!r) {
        return;
    }
    if (r->process ==
        process_self().id) { /* a forked child has no such thread */
        pthread_mutex_lock(&r->lock);
        r->stop = true;
        pthread_cond_signal(&r->stopping);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    free(r);
}

int
bide_record_every(struct bide *b, uint64_t every_ns)
{
    struct recorder *now = NULL, *before;
    int rc;

    if (!b || b->is_private || (every_ns && every_ns < SECOND_NS)) {
        return BIDE_EINVAL;
    }
    registry_revive(b);
    if (every_ns) {
        if (access(b->dir, W_OK)) {
            return errno == ENOENT ? BIDE_EMISSING : BIDE_EPERM;
        }
        rc = make_recorder(b->dir, every_ns, &now);
        if (rc) {
            return rc;
        }
    }
    pthread_mutex_lock(&b->lock);
    before = b->recorder;
    b->recorder = now;
    b->recorder_end = recorder_end;
    pthread_mutex_unlock(&b->lock);
    recorder_end(before);
    return 0;
}
