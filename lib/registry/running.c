/* Counts the calls in progress, for a thread-local load and two plain memory
 * accesses each.  A thread takes a slot on first use and frees it when it ends;
 * the last slot is shared by the threads that found none free. */
#include "registry.h"

#include "base/boot.h"

static _Atomic uint64_t taken[RUNNING_SLOTS / 64];
static _Atomic uint32_t owner[RUNNING_SLOTS]; /* id of its process */
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

/* Keeps the slot and the calls of the only thread of a forked child. */
static void
keep_slot(void)
{
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

        if (atomic_load_explicit(&taken[slot / 64], memory_order_relaxed) &
            bit) {
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

void
running_add(struct bide *b, int64_t change)
{
    uint32_t slot = slot_plus_1;
    _Atomic int64_t *calls;

    if (__builtin_expect(slot == 0, 0)) {
        slot = slot_plus_1 = take_slot() + 1;
    }
    calls = &b->running[slot - 1].calls;
    if (__builtin_expect(slot - 1 == SHARED_SLOT, 0)) {
        atomic_fetch_add_explicit(calls, change, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(
        calls, atomic_load_explicit(calls, memory_order_relaxed) + change,
        memory_order_relaxed);
}

int64_t
running_total(const struct bide *b)
{
    int64_t total = 0;

    for (int i = 0; i < RUNNING_SLOTS; i++) {
        total +=
            atomic_load_explicit(&b->running[i].calls, memory_order_relaxed);
    }
    return total;
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
            atomic_store_explicit(&b->running[i].calls, 0,
                                  memory_order_relaxed);
        }
    }
}
