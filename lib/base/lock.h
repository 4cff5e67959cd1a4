/* Locks that a thread does not leave taken when pthread_cancel ends it: reading
 * a file is a point where it may end.  And words that threads and processes
 * share without one. */
#ifndef BIDE_LOCK_H
#define BIDE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>

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

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define load_acquire(word) atomic_load_explicit(word, memory_order_acquire)
#define store_relaxed(word, value) \
    atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) \
    atomic_store_explicit(word, value, memory_order_release)
#define add_relaxed(word, by) \
    atomic_fetch_add_explicit(word, by, memory_order_relaxed)

#endif
