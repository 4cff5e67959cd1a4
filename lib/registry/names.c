/* A table of handles by name and scope, with open addressing, read without a
 * lock.  Name and scope are stored beside the handle, in one cache line: a
 * look-up among 100,000 reads that line and no other.
 * A table that became too small is replaced by one twice as large.  Look-ups in
 * progress may still read the old one, so it is kept until bide_close; all old
 * tables together are no larger than the one in use. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FIRST_SIZE = 64, LINE = 64, TEXT = 50, HUGE_PAGE = 2 << 20 };

/* One cache line. */
struct name_slot {
    _Atomic(struct bide_policy *) policy; /* written last */
    uint32_t hash;
    uint8_t name_length, scope_length;
    char text[TEXT]; /* name and scope; unused if both do not fit */
};
_Static_assert(sizeof(struct name_slot) == LINE, "one cache line");
_Static_assert(BIDE_NAME_MAX + 1 <= UINT8_MAX, "lengths fit");

struct name_table {
    struct name_table *older;
    uint32_t mask, used;
    _Alignas(LINE) struct name_slot slot[];
};

/* Multiplies and folds, as wyhash does. */
static uint64_t
mix_words(uint64_t a, uint64_t b)
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
        h = mix_words(h ^ word, 0x9e3779b97f4a7c15ull);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return mix_words(h ^ word ^ (uint64_t)length << 56, 0xd6e8feb86659fd93ull);
}

struct name_query {
    const char *name, *scope;
    size_t name_length, scope_length;
    uint32_t hash;
};

static bool
slot_matches(const struct name_slot *s, const struct bide_policy *p,
             const struct name_query *q)
{
    const char *name = p->name, *scope = p->scope;

    if (s->hash != q->hash || s->name_length != q->name_length ||
        s->scope_length != q->scope_length) {
        return false;
    }
    if (q->name_length + q->scope_length <= TEXT) {
        name = s->text;
        scope = s->text + q->name_length;
    }
    return memcmp(name, q->name, q->name_length) == 0 &&
           memcmp(scope, q->scope, q->scope_length) == 0;
}

struct bide_policy *
names_find(struct bide *b, const char *name, const char *scope,
           uint32_t *out_hash)
{
    struct name_query q = {name, scope, strlen(name), strlen(scope), 0};
    const struct name_table *t = load_acquire(&b->names);
    uint64_t h = hash_bytes(0x2545f4914f6cdd1dull, name, q.name_length);
    struct bide_policy *p;

    if (q.scope_length) {
        h = hash_bytes(h, scope, q.scope_length);
    }
    *out_hash = q.hash = (uint32_t)(h ^ h >> 32);
    if (!t) {
        return NULL;
    }
    for (uint32_t i = q.hash & t->mask;; i = (i + 1) & t->mask) {
        p = load_acquire(&t->slot[i].policy);
        if (!p) {
            return NULL; /* an empty slot exists: at most half are in use */
        }
        if (slot_matches(&t->slot[i], p, &q)) {
            return p;
        }
    }
}

static void
put_in_table(struct name_table *t, struct bide_policy *p)
{
    uint32_t i = p->hash & t->mask;
    struct name_slot *s;

    while (load_relaxed(&t->slot[i].policy)) {
        i = (i + 1) & t->mask;
    }
    s = &t->slot[i];
    s->hash = p->hash;
    s->name_length = (uint8_t)p->name_length;
    s->scope_length = (uint8_t)p->scope_length;
    if (p->name_length + p->scope_length <= TEXT) {
        memcpy(s->text, p->name, p->name_length);
        memcpy(s->text + p->name_length, p->scope, p->scope_length);
    }
    store_release(&s->policy, p);
    t->used++;
}

/* Returns an empty table, a large one in huge pages if possible: otherwise most
 * random look-ups would also wait for the page tables. */
static struct name_table *
allocate_table(uint32_t size)
{
    size_t bytes = sizeof(struct name_table) + size * sizeof(struct name_slot);
    size_t unit = bytes < HUGE_PAGE ? LINE : HUGE_PAGE;
    struct name_table *t;

    bytes = (bytes + unit - 1) / unit * unit;
    t = aligned_alloc(unit, bytes);
    if (!t) {
        return NULL;
    }
    if (unit == HUGE_PAGE) {
        (void)madvise(t, bytes, MADV_HUGEPAGE);
    }
    memset(t, 0, bytes);
    t->mask = size - 1;
    return t;
}

static int
enlarge_table(struct bide *b, struct name_table *old)
{
    uint32_t size = old ? (old->mask + 1) * 2 : FIRST_SIZE;
    struct name_table *t = allocate_table(size);

    if (!t) {
        return BIDE_ENOMEM;
    }
    t->older = old;
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        struct bide_policy *p = atomic_load(&old->slot[i].policy);

        if (p) {
            put_in_table(t, p);
        }
    }
    store_release(&b->names, t);
    return 0;
}

int
names_add(struct bide *b, struct bide_policy *p)
{
    struct name_table *t = atomic_load(&b->names);

    if (!t || t->used * 2 > t->mask) {
        if (enlarge_table(b, t) != 0) {
            return BIDE_ENOMEM;
        }
        t = atomic_load(&b->names);
    }
    put_in_table(t, p);
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
