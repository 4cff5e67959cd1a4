/* Counts the calls in progress, for a thread-local load and two plain memory
 * accesses each.  A thread takes a slot on first use and frees it when it ends;
 * the last slot is shared by the threads that found none free.
 *
 * Closing: bide_close sets `closing`, makes every thread pass a memory barrier,
 * and adds the slots up.  The end of a call writes its slot, then reads
 * `closing`, without a barrier of its own: either it sees that the registry is
 * closing, or the barrier came later and bide_close sees its slot.  Whoever
 * finds no call left, under close_lock, frees the registry. */
#include "registry.h"

#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/boot.h"

static _Atomic uint64_t taken[RUNNING_SLOTS / 64];
static _Atomic uint32_t owner[RUNNING_SLOTS]; /* id of its process */
static pthread_mutex_t close_lock = PTHREAD_MUTEX_INITIALIZER;
static struct running_slots *free_slots; /* under close_lock */
static pthread_key_t at_thread_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

enum { SHARED_SLOT = RUNNING_SLOTS - 1 };

/* The slot of this thread + 1; 0: none yet.  Not initial-exec, although that
 * would be a load instead of a call: dlopen cannot load a library with such
 * variables once the small space for them is used up. */
static __thread uint32_t slot_plus_1;

static void
free_slot(void *value)
{
    uint32_t slot = (uint32_t)(uintptr_t)value - 1;

    atomic_fetch_and(&taken[slot / 64], ~(1ull << slot % 64));
}

/* Keeps the slot and the calls of the only thread of a forked child, where
 * nobody holds the lock. */
static void
keep_slot(void)
{
    pthread_mutex_init(&close_lock, NULL);
    if (slot_plus_1) {
        atomic_store(&owner[slot_plus_1 - 1], process_self().id);
    }
}

static void
make_key(void)
{
    /* If this fails, running_clear keeps the slot of its own thread only. */
    (void)pthread_atfork(NULL, NULL, keep_slot);
    have_key = pthread_key_create(&at_thread_exit, free_slot) == 0;
}

static __attribute__((cold, noinline)) uint32_t
take_slot(void)
{
    uint32_t slot;

    pthread_once(&once, make_key);
    for (slot = 0; have_key && slot < SHARED_SLOT; slot++) {
        uint64_t bit = 1ull << slot % 64;

        if (load_relaxed(&taken[slot / 64]) & bit) {
            continue;
        }
        if (atomic_fetch_or(&taken[slot / 64], bit) & bit) {
            continue;
        }
        if (pthread_setspecific(at_thread_exit,
                                (void *)(uintptr_t)(slot + 1))) {
            atomic_fetch_and(&taken[slot / 64], ~bit);
            break;
        }
        atomic_store(&owner[slot], process_self().id);
        return slot;
    }
    return SHARED_SLOT;
}

/* Returns the slot of this thread. */
static inline _Atomic int64_t *
own_calls(struct running_slots *r)
{
    if (__builtin_expect(slot_plus_1 == 0, 0)) {
        slot_plus_1 = take_slot() + 1;
    }
    return &r->slot[slot_plus_1 - 1].calls;
}

static inline void
add_calls(struct running_slots *r, _Atomic int64_t *calls, int64_t change)
{
    if (__builtin_expect(calls == &r->slot[SHARED_SLOT].calls, 0)) {
        atomic_fetch_add_explicit(calls, change, memory_order_release);
        return;
    }
    /* Release: what the call did with the registry comes before its end. */
    store_release(calls, load_relaxed(calls) + change);
}

_Atomic int64_t *
running_begin(struct bide *b)
{
    _Atomic int64_t *calls = own_calls(b->running);

    add_calls(b->running, calls, 1);
    return calls;
}

static int64_t
sum_calls(const struct running_slots *r)
{
    int64_t total = 0;

    for (int i = 0; i < RUNNING_SLOTS; i++) {
        total += load_acquire(&r->slot[i].calls);
    }
    return total;
}

/* Frees the registry of `r` if it is closing and has no call in progress. */
static __attribute__((cold, noinline)) void
free_if_last(struct running_slots *r)
{
    struct bide *b;

    pthread_mutex_lock(&close_lock);
    b = atomic_load(&r->closing);
    if (b && sum_calls(r) != 0) {
        b = NULL;
    }
    if (b) {
        atomic_store(&r->closing, NULL);
    }
    pthread_mutex_unlock(&close_lock);
    if (b) {
        registry_free(b);
    }
}

void
running_end(struct bide *b)
{
    running_end_in(b, own_calls(b->running));
}

void
running_end_in(struct bide *b, _Atomic int64_t *calls)
{
    struct running_slots *r = b->running;

    add_calls(r, calls, -1);
    /* From here on another thread may free `b`. */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(load_relaxed(&r->closing) != NULL, 0)) {
        free_if_last(r);
    }
}

/* Makes each thread of the process pass a memory barrier. */
static void
pass_barriers(void)
{
    const struct timespec a_millisecond = {.tv_nsec = 1000000};

    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
                0) != 0 ||
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
        /* Forbidden here.  What a CPU has written reaches the others within
         * microseconds. */
        nanosleep(&a_millisecond, NULL);
    }
}

int
running_open(struct bide *b)
{
    pthread_mutex_lock(&close_lock);
    b->running = free_slots;
    if (b->running) {
        free_slots = b->running->next;
    }
    pthread_mutex_unlock(&close_lock);
    if (b->running) {
        memset(b->running->slot, 0, sizeof(b->running->slot));
    } else {
        b->running = calloc(1, sizeof(*b->running));
    }
    return b->running ? 0 : BIDE_ENOMEM;
}

int64_t
running_close(struct bide *b)
{
    struct running_slots *r = b->running;
    int64_t total;

    pthread_once(&once, make_key);
    pthread_mutex_lock(&close_lock);
    atomic_store(&r->closing, b);
    pass_barriers();
    total = sum_calls(r);
    pthread_mutex_unlock(&close_lock);
    return total;
}

void
running_free(struct bide *b)
{
    if (b->running) {
        pthread_mutex_lock(&close_lock);
        b->running->next = free_slots;
        free_slots = b->running;
        pthread_mutex_unlock(&close_lock);
    }
}

/* Clears the slots of the parent's other threads, whose calls do not exist in
 * the child.  The calls of the thread that forked continue, and so do the calls
 * of threads that the child started before this was called. */
void
running_clear(struct bide *b)
{
    uint32_t self = process_self().id;

    for (uint32_t i = 0; i < RUNNING_SLOTS; i++) {
        if (i + 1 != slot_plus_1 && atomic_load(&owner[i]) != self) {
            store_relaxed(&b->running->slot[i].calls, 0);
        }
    }
}
