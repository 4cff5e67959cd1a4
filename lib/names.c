/* Handles by name and scope: open addressing, read without a lock; the hash
 * stands beside the handle, so that only the right one is fetched.  A table
 * that became too small is replaced; lookups in progress still use the old
 * one, so it is kept until the registry is closed (all of them together are no
 * larger than the one in use). */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

struct name_table {
    struct name_table *older;
    uint32_t mask, used;
    struct name_slot {
        _Atomic(struct bide_policy *) policy; /* written last */
        _Atomic uint32_t hash;
    } slot[];
};

enum { FIRST_SIZE = 64 };

/* Eight bytes at a time, multiplied and folded (as wyhash does). */
static uint64_t
mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
hash_bytes(uint64_t h, const char *bytes, size_t length)
{
    uint64_t word;

    for (; length >= 8; length -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        h = mix(h ^ word, 0x9e3779b97f4a7c15ull);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return mix(h ^ word ^ (uint64_t)length << 56, 0xd6e8feb86659fd93ull);
}

static bool
same(const struct bide_policy *p, const char *name, size_t name_length,
     const char *scope, size_t scope_length)
{
    return p->name_length == name_length && p->scope_length == scope_length &&
           memcmp(p->name, name, name_length) == 0 &&
           memcmp(p->scope, scope, scope_length) == 0;
}

struct bide_policy *
names_find(struct bide *b, const char *name, const char *scope,
           uint32_t *out_hash)
{
    size_t name_length = strlen(name), scope_length = strlen(scope);
    struct name_table *t =
        atomic_load_explicit(&b->names, memory_order_acquire);
    uint64_t h = hash_bytes(0x2545f4914f6cdd1dull, name, name_length);
    struct bide_policy *p;
    uint32_t i;

    if (scope_length) {
        h = hash_bytes(h, scope, scope_length);
    }
    *out_hash = (uint32_t)(h ^ h >> 32);
    if (!t) {
        return NULL;
    }
    for (i = *out_hash & t->mask;; i = (i + 1) & t->mask) {
        p = atomic_load_explicit(&t->slot[i].policy, memory_order_acquire);
        if (!p) {
            return NULL; /* there is one: a table is at most half full */
        }
        if (atomic_load_explicit(&t->slot[i].hash, memory_order_relaxed) ==
                *out_hash &&
            same(p, name, name_length, scope, scope_length)) {
            return p;
        }
    }
}

static void
put(struct name_table *t, struct bide_policy *p)
{
    uint32_t i = p->hash & t->mask;

    while (atomic_load_explicit(&t->slot[i].policy, memory_order_relaxed)) {
        i = (i + 1) & t->mask;
    }
    atomic_store_explicit(&t->slot[i].hash, p->hash, memory_order_relaxed);
    atomic_store_explicit(&t->slot[i].policy, p, memory_order_release);
    t->used++;
}

static int
enlarge(struct bide *b, struct name_table *old)
{
    uint32_t size = old ? (old->mask + 1) * 2 : FIRST_SIZE, i;
    struct name_table *t = calloc(1, sizeof *t + size * sizeof *t->slot);

    if (!t) {
        return BIDE_ENOMEM;
    }
    t->mask = size - 1;
    t->older = old;
    for (i = 0; old && i <= old->mask; i++) {
        struct bide_policy *p = atomic_load(&old->slot[i].policy);

        if (p) {
            put(t, p);
        }
    }
    atomic_store_explicit(&b->names, t, memory_order_release);
    return 0;
}

int
names_add(struct bide *b, struct bide_policy *p)
{
    struct name_table *t = atomic_load(&b->names);

    if (!t || t->used * 2 > t->mask) {
        if (enlarge(b, t) != 0) {
            return BIDE_ENOMEM;
        }
        t = atomic_load(&b->names);
    }
    put(t, p);
    return 0;
}

void
names_free(struct bide *b)
{
    struct name_table *t = atomic_load(&b->names);

    while (t) {
        struct name_table *older = t->older;

        free(t);
        t = older;
    }
}
