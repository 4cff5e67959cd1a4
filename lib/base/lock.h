/* Locks that a thread does not leave taken when pthread_cancel ends it: reading
 * a file is a point where it may end. */
#ifndef BIDE_LOCK_H
#define BIDE_LOCK_H

#include <pthread.h>

/* Locks `m` and forbids the cancellation of this thread.  Returns the state to
 * restore, for lock_release. */
static inline int
lock_take(pthread_mutex_t *m)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    pthread_mutex_lock(m);
    return before;
}

static inline void
lock_release(pthread_mutex_t *m, int before)
{
    pthread_mutex_unlock(m);
    pthread_setcancelstate(before, NULL);
}

#endif
