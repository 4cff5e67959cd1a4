/* Opens and closes a registry, finds handles, and resets them in a forked
 * child. */
#include "registry.h"

#include <assert.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "known.h"
#include "base/paths.h"
#include "store/queue/queue.h"

/* In bide->process: the process of this id is making it its own. */
#define REVIVING (1ull << 32)

/* ---- open ---- */

/* Calls check the registry if the last check is older than this. */
#define FRESH_FOR_NS 1000000ull

/* Sets the scale of ticks, which a later live file does not change: an attempt
 * must not begin under one scale and end under another. */
static void
set_scale(struct bide *b)
{
    b->scale = b->own_clock ? (struct tick_scale){0} : live_scale(b->live);
    b->fresh_ticks = clock_to_ticks(b->scale, FRESH_FOR_NS);
    b->look_ticks = clock_to_ticks(b->scale, LOOK_EVERY_NS);
    registry_set_look(b);
}

/* Fills a new registry; the caller frees it if this fails. */
static int
open_registry(struct bide *b, const char *dir)
{
    char place[PATH_MAX];
    uint64_t txn;
    int rc = 0, cancel;

    if (!dir) {
        rc = paths_registry(place, sizeof(place));
        dir = place;
    }
    if (rc) {
        return rc;
    }
    b->dir = strdup(dir);
    b->self = process_words();
    if (!b->dir || !b->self || running_open(b) != 0) {
        return BIDE_ENOMEM;
    }
    atomic_store(&b->process, process_self().id);
    cancel = lock_take(&b->lock);
    attach_registry(b, &txn);
    b->reported_status = atomic_load(&b->status);
    lock_release(&b->lock, cancel);
    if (!b->live) {
        return BIDE_ENOMEM;
    }
    set_scale(b);
    return 0;
}

static void
free_policies(struct bide *b)
{
    while (b->policies) {
        struct bide_policy *p = b->policies;

        b->policies = p->next;
        rules_drop(p->rules);
        attach_leave(p);
        pthread_mutex_destroy(&p->lock);
        free(p);
    }
}

void
registry_free(struct bide *b)
{
    if (b->unended_live) {
        sleeper_leave(b->unended_live, b->unended);
    }
    watch_close(b);
    deferred_close(b->deferred);
    attach_close(b); /* reads the handles, so before they are freed */
    free_policies(b);
    names_free(b);
    policy_list_free(&b->declared);
    pthread_mutex_destroy(&b->lock);
    pthread_mutex_destroy(&b->defer_lock);
    running_free(b);
    free(b->dir);
    free(b);
}

/* Copies *options of `size` bytes to *out.  Fails if the caller sets a field
 * that this library does not know. */
static int
read_options(const struct bide_options *options, size_t size,
             struct bide_options *out)
{
    const struct bide_clock *clock;

    if (!options ||
        known_copy(out, sizeof(*out), options, size, KNOWN_OPTIONS) != 0) {
        return BIDE_EINVAL;
    }
    clock = out->clock;
    if (out->flags & ~(uint32_t)BIDE_PRIVATE || out->reserved ||
        (out->dir && (!*out->dir || strlen(out->dir) >= PATH_MAX - 64)) ||
        (clock && (!clock->now_ns || !clock->sleep_until_ns ||
                   !(out->flags & BIDE_PRIVATE)))) {
        return BIDE_EINVAL;
    }
    return 0;
}

int
bide_open_with(const struct bide_options *options, size_t size,
               struct bide **out)
{
    struct bide_options o;
    struct bide *b;
    int rc;

    if (!out || read_options(options, size, &o) != 0) {
        return BIDE_EINVAL;
    }
    b = calloc(1, sizeof(*b));
    if (!b) {
        return BIDE_ENOMEM;
    }
    if (o.hooks && known_copy(&b->hooks, sizeof(b->hooks), o.hooks,
                              o.hooks_size, KNOWN_HOOKS) != 0) {
        free(b);
        return BIDE_EINVAL;
    }
    b->hooked = o.hooks != NULL;
    b->is_private = o.flags & BIDE_PRIVATE;
    b->own_clock = o.clock != NULL;
    b->clock = o.clock ? *o.clock : (struct bide_clock){0};
    b->seed = o.seed ? o.seed : process_random();
    if (pthread_mutex_init(&b->defer_lock, NULL) != 0 ||
        pthread_mutex_init(&b->lock, NULL) != 0) {
        free(b);
        return BIDE_ENOMEM;
    }
    rc = open_registry(b, o.dir);
    if (rc) {
        registry_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

int
bide_open(const char *dir, unsigned flags, struct bide **out)
{
    struct bide_options o = {.dir = dir, .flags = flags};

    return bide_open_with(&o, sizeof(o), out);
}

/* Lists for operators that `calls` have not ended. */
static void
list_as_closed(struct bide *b, int64_t calls)
{
    int cancel = lock_take(&b->lock);

    if (b->live != b->own) {
        b->unended = sleeper_enter(b->live, SLEEPER_CLOSED, (uint32_t)calls, 0,
                                   bide_ok(), BIDE_BY_NONE,
                                   clock_monotonic_ns() + SLEEPER_CLOSED_NS);
        b->unended_live = b->live;
    }
    lock_release(&b->lock, cancel);
}

int
bide_close(struct bide *b)
{
    int64_t calls;

    if (!b) {
        return 0;
    }
    registry_revive(b);
    if (b->recorder) {
        b->recorder_end(b->recorder);
        b->recorder = NULL;
    }
    running_begin(b); /* what ends last frees the registry, perhaps this */
    calls = running_close(b) - 1;
    if (calls) {
        list_as_closed(b, calls);
    }
    running_end(b);
    return calls < INT_MAX ? (int)calls : INT_MAX;
}

/* ---- fork ---- */

/* Resets a registry in a forked child.  No lock is held there, even if the
 * memory says so, because the child has only the thread that forked. */
static void
revive_in_child(struct bide *b)
{
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_init(&b->defer_lock, NULL);
    for (struct bide_policy *p = b->policies; p; p = p->next) {
        pthread_mutex_init(&p->lock, NULL);
    }
    b->seed = process_random();
    running_clear(b);
    /* The parent keeps its own descriptors: closing the child's does not
     * change them. */
    watch_close(b);
    live_owner(b->live);
}

void
registry_revive(struct bide *b)
{
    uint64_t seen = load_acquire(&b->process);
    uint64_t self;

    if (__builtin_expect(*b->self == seen, 1)) {
        return;
    }
    self = process_self().id;
    while (seen != self) {
        if (seen == (self | REVIVING)) {
            /* Another thread of the child does it; that takes microseconds. */
            sched_yield();
            seen = load_acquire(&b->process);
        } else if (atomic_compare_exchange_strong(&b->process, &seen,
                                                  self | REVIVING)) {
            revive_in_child(b);
            store_release(&b->process, self);
            return;
        }
    }
}

/* ---- handles ---- */

/* Makes a handle.  Under b->lock. */
static int
make_policy(struct bide *b, const char *name, const char *scope, uint32_t hash,
            struct bide_policy **out)
{
    struct bide_policy *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);

    if (!p) {
        return BIDE_ENOMEM;
    }
    memset(p, 0, sizeof(*p));
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return BIDE_ENOMEM;
    }
    assert(strlen(name) < sizeof(p->name));
    assert(strlen(scope) < sizeof(p->scope));
    p->bide = b;
    p->hash = hash;
    p->private_index = UINT32_MAX;
    p->replaced = UINT64_MAX;
    p->name_length = (uint32_t)strlen(name);
    p->scope_length = (uint32_t)strlen(scope);
    memcpy(p->name, name, p->name_length);
    memcpy(p->scope, scope, p->scope_length);
    if (attach_policy(b, p) != 0 || names_add(b, p) != 0) {
        attach_leave(p);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return BIDE_ENOMEM;
    }
    p->next = b->policies;
    b->policies = p;
    *out = p;
    return 0;
}

struct bide_policy *
registry_group(struct bide *b, const char *name)
{
    struct bide_policy *p;
    uint32_t hash;

    p = names_find(b, name, "", &hash);
    if (!p && make_policy(b, name, "", hash, &p) != 0) {
        return NULL;
    }
    return p;
}

int
bide_lookup(struct bide *b, const char *name, const char *scope,
            struct bide_policy **out)
{
    struct bide_policy *p;
    uint64_t txn;
    uint32_t hash;
    int rc = 0, cancel;

    if (!b || !name || !out) {
        return BIDE_EINVAL;
    }
    scope = scope ? scope : "";
    p = names_find(b, name, scope, &hash);
    if (__builtin_expect(p != NULL, 1)) {
        *out = p;
        return 0;
    }
    if (!policy_name_ok(name) || (*scope && !policy_name_ok(scope))) {
        return BIDE_ENAME;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    p = names_find(b, name, scope, &hash);
    if (!p) {
        attach_registry(b, &txn);
        rc = make_policy(b, name, scope, hash, &p);
    }
    lock_release(&b->lock, cancel);
    if (rc) {
        return rc;
    }
    /* Read once, so that the first call already knows that a policy is paused
     * or limits its first attempt. */
    rules_drop(rules_take(p));
    *out = p;
    return 0;
}

int
bide_registry_status(struct bide *b)
{
    uint64_t txn;
    int cancel;

    if (!b) {
        return BIDE_EINVAL;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    attach_registry(b, &txn);
    lock_release(&b->lock, cancel);
    return report_status(b);
}

/* ---- time ---- */

uint64_t
registry_now_ns(const struct bide *b)
{
    return b->own_clock ? b->clock.now_ns(b->clock.arg) : clock_monotonic_ns();
}

bool
registry_sleep_until(struct bide *b, _Atomic uint32_t *word, uint32_t seen,
                     uint64_t until_ns)
{
    if (b->own_clock) {
        b->clock.sleep_until_ns(b->clock.arg, until_ns);
        return true;
    }
    return cell_sleep(word, seen, until_ns);
}
