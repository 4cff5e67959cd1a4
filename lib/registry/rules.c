/* The rules in force for a handle.  They are compiled once and shared by its
 * calls, and read again when the generation of the cell has changed, when the
 * registry has a new commit, or when a temporary change ends. */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "announce.h"
#include "load.h"
#include "probe.h"

void
rules_drop(struct rules *r)
{
    if (r &&
        atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
        policy_free(r->policy);
        free(r);
    }
}

/* Returns rules with one reference, which own `policy`; NULL if out of memory.
 */
static struct rules *
make_rules(struct policy *policy, uint32_t generation, enum bide_source source)
{
    struct rules *r = calloc(1, sizeof(*r));

    if (!r) {
        policy_free(policy);
        return NULL;
    }
    r->policy = policy;
    r->generation = generation;
    r->source = source;
    store_relaxed(&r->refs, 1);
    return r;
}

/* Returns the handle that `group` names: the policy's own or that of a group;
 * NULL: none.  The `@` separates names of groups from names of policies.  Under
 * bide->lock. */
static struct bide_policy *
find_pool(struct bide_policy *p, const char *group)
{
    char name[BIDE_NAME_MAX + 2];

    if (strcmp(group, "own") == 0) {
        return p;
    }
    if (strcmp(group, "none") == 0) {
        return NULL;
    }
    snprintf(name, sizeof(name), "@%s", group);
    return registry_group(p->bide, name);
}

/* Sets the handles whose budget, limit and rate a policy uses. */
static void
choose_pools(struct bide_policy *p, const struct policy *rules, uint64_t gate)
{
    bool only = strcmp(rules->rate.group, "none") == 0 &&
                rules->hint.holds != HINT_HOLDS_ALL && !policy_hedges(rules);

    store_release(&p->places_gate, 0);
    store_release(&p->places, place_rules(&rules->limit,
                                          (enum importance)rules->importance));
    store_release(&p->places_gate, only ? gate : 0);
    store_release(&p->pool, find_pool(p, rules->budget.group));
    store_release(&p->limit, find_pool(p, rules->limit.group));
    store_release(&p->rate, find_pool(p, rules->rate.group));
}

/* ---- from the registry ---- */

struct rules_reading {
    const struct bide_policy *p;
    struct loaded loaded;
};

/* Loads the rules of the policy, else of `default` unless rules are declared.
 */
static int
read_rules(void *arg, const struct snapshot *s)
{
    struct rules_reading *r = arg;
    int rc = load_rules(s, r->p->name, &r->loaded);

    if (rc == BIDE_ENOPOLICY && r->p->rules &&
        r->p->rules->source == BIDE_SOURCE_REGISTRY &&
        memcmp(r->p->bide->id, r->p->registry_id, REGISTRY_ID_SIZE) == 0) {
        return BIDE_EDAMAGED; /* a deletion leaves a tombstone */
    }
    return load_is_missing(rc) && !declared_find(r->p->bide, r->p->name)
               ? r->loaded.default_rc
               : rc;
}

/* Returns the gate word of these rules, which stays in the cell until the next
 * commit; 0 if other names share the cell. */
static uint64_t
publish_gate(struct bide_policy *p, const struct loaded *l, uint64_t txn)
{
    const struct home *h = atomic_load(&p->home);
    uint32_t bits = l->gate | atomic_load(&p->incarnation);

    if (attach_is_shared(p)) {
        bits |= GATE_UNKNOWN; /* other names write their gates there too */
    }
    load_publish(p->bide->reader, h->live, h->index, txn, bits, l->limit_ms,
                 l->registered ? l->policy : NULL);
    return attach_is_shared(p) ? 0 : GATE_WORD(txn, bits);
}

/* Sets the end of a temporary change in the handle, for the success path, with
 * the gate to which it belongs. */
static void
publish_end(struct bide_policy *p, const struct rules *r)
{
    atomic_store(&p->ends_gate, 0);
    atomic_store(&p->ends_ns, r->until_ns ? r->until_ns : UINT64_MAX);
    atomic_store(&p->ends_gate, r->gate);
}

/* Sets the gate of declared rules in the handle, since other processes must not
 * see it in the cell.  NULL: no such rules. */
static void
publish_local(struct bide_policy *p, const struct policy *policy)
{
    uint32_t limit_ms = 0, bits = policy ? load_gate(policy, &limit_ms) : 0;

    if (limit_ms) {
        bits |= GATE_UNKNOWN; /* the limit is not in the cell */
    }
    if (policy) {
        load_publish_guard(atomic_load(&p->cell), policy);
    }
    bits |= atomic_load(&p->local_gate) & GATE_LOOKS;
    store_relaxed(&p->local_gate, bits);
}

/* Returns the declared rules, else one attempt; NULL if out of memory. */
static struct rules *
rules_from_program(struct bide_policy *p, uint32_t generation)
{
    const struct policy_text *t = declared_find(p->bide, p->name);
    struct policy *policy;
    int rc = t ? policy_compile(t, policy_list_find, &p->bide->declared,
                                "declared", &policy, NULL)
               : policy_builtin(p->name, &policy);

    return rc ? NULL
              : make_rules(policy, generation,
                           t ? BIDE_SOURCE_DECLARED : BIDE_SOURCE_BUILTIN);
}

/* Notes the result of reading a policy.  An error is shown until this process
 * can read the same policy again, or another process any. */
static void
note_reading(struct bide_policy *p, int rc)
{
    struct bide *b = p->bide;

    if (load_is_missing(rc)) {
        rc = 0;
    }
    if (rc == 0 && b->unread && b->unread != p) {
        return;
    }
    b->unread = rc ? p : NULL;
    atomic_store(&b->read_status, rc);
    if (b->live != b->own) {
        live_note_trouble(b->live, rc);
    }
}

/* Reports whether the rules in use stay when the registry cannot be read.  The
 * last good policy stays; declared rules replace the registry's `default`. */
static bool
keeps_last_good(const struct bide_policy *p)
{
    return p->rules && (p->rules->source == BIDE_SOURCE_REGISTRY ||
                        (p->rules->source == BIDE_SOURCE_DEFAULT &&
                         !declared_find(p->bide, p->name)));
}

/* Reports whether the change that a call was told of is of another commit, and
 * the file that is open was replaced: by a restore. */
static bool
was_replaced(const struct bide_policy *p, uint64_t txn)
{
    uint64_t gate = atomic_load(&atomic_load(&p->cell)->gate);
    struct bide *b = p->bide;
    struct pages_stamp now;

    return ((gate & GATE_UNKNOWN && GATE_TXN(gate) != txn) ||
            (b->live && b->live != b->own && announced(b->live) != txn)) &&
           reader_look(b->reader, &now) == BIDE_EMISSING;
}

/* Reads the file that is already open, if one is: a woken call need not check
 * first that the file is still current; has_newer_commit() checks it later. */
static int
read_registry(struct bide_policy *p, struct rules_reading *reading,
              uint64_t *out_txn)
{
    struct bide *b = p->bide;
    int rc = BIDE_EMISSING;

    if (b->reader) {
        rc = reader_read(b->reader, read_rules, reading, out_txn);
    }
    if (rc == BIDE_EMISSING || rc == BIDE_EDAMAGED || rc == BIDE_ESYS ||
        was_replaced(p, *out_txn)) {
        rc = attach_registry(b, out_txn);
        atomic_store(&b->looked, clock_ticks(b->scale));
        if (rc) {
            return rc;
        }
        rc = reader_read(b->reader, read_rules, reading, out_txn);
    }
    note_reading(p, rc);
    return rc;
}

/* Applies new rules to the breaker.  Those of an undefined name switch it off
 * only if this process had it on: other programs may declare other rules. */
static void
follow_breaker(struct bide_policy *p, const struct rules *r)
{
    const struct home *h = atomic_load(&p->home);
    bool was_on = p->rules && p->rules->policy->breaker.mode == BREAKER_ON;

    if (!attach_is_shared(p) && (r->source == BIDE_SOURCE_REGISTRY || was_on ||
                                 r->policy->breaker.mode == BREAKER_ON)) {
        load_follow_breaker(h->live, h->index, r->policy);
    }
}

/* Returns new rules, and publishes their gate.  Returns NULL if the rules in
 * use stay, or if out of memory.  Under b->lock. */
static struct rules *
read_new_rules(struct bide_policy *p, uint32_t generation)
{
    struct rules_reading reading = {.p = p};
    struct loaded *l = &reading.loaded;
    struct rules *r;
    uint64_t txn = 0;
    int rc = read_registry(p, &reading, &txn);
    bool missing = load_is_missing(rc);

    if (rc == 0) {
        r = make_rules(l->policy, generation,
                       l->registered ? BIDE_SOURCE_REGISTRY
                                     : BIDE_SOURCE_DEFAULT);
    } else {
        policy_free(l->policy);
        if (!missing && keeps_last_good(p)) {
            return NULL;
        }
        l->registered = false;
        l->until_ns = 0;
        r = rules_from_program(p, generation);
    }
    if (!r) {
        return NULL;
    }
    /* Without a registry 0, so that has_newer_commit() reads it again. */
    r->txn = rc == 0 || missing ? txn : 0;
    r->replaced = p->bide->replaced;
    r->until_ns = l->until_ns;
    if (rc == 0 || missing) {
        r->gate = publish_gate(p, l, txn);
    } else if (atomic_load(&p->home)->live == p->bide->own) {
        /* Calls look again when it is time. */
        publish_gate(p, &(struct loaded){0}, 0);
    }
    publish_end(p, r);
    publish_local(p, l->registered ? NULL : r->policy);
    if (missing) {
        declared_publish(p, false);
    }
    follow_breaker(p, r);
    choose_pools(p, r->policy, r->gate);
    if (rc == 0) {
        memcpy(p->registry_id, p->bide->id, sizeof(p->registry_id));
    }
    return r;
}

/* ---- taking ---- */

/* Reports whether a change was announced or a temporary change has ended. */
static bool
is_stale(struct bide_policy *p, const struct rules *r)
{
    struct cell *c = load_acquire(&p->cell);

    return r->generation != load_acquire(&c->generation) ||
           (r->until_ns && clock_realtime_ns() >= r->until_ns);
}

/* Writes the declared rules in place of those of a program that has ended. */
static void
declare_again(struct bide *b)
{
    for (struct bide_policy *p = b->policies; p; p = p->next) {
        if (atomic_load(&atomic_load(&p->cell)->gate) & GATE_MISSING) {
            declared_publish(p, true);
        }
    }
}

/* Reports whether the registry has a different commit than the rules, or was
 * replaced (by one that may have the same number of commits), or has appeared
 * or disappeared, or whether the gate of the cell is not the one of the rules.
 * Checks only if it is time to. */
static bool
has_newer_commit(struct bide_policy *p, const struct rules *r)
{
    struct bide *b = p->bide;
    uint64_t now = clock_ticks(b->scale), txn = 0;
    bool yes;
    int cancel;

    if (!registry_look_is_due(b, now)) {
        return atomic_load(&b->replaced) != r->replaced;
    }
    cancel = lock_take(&b->lock);
    atomic_store(&b->looked, now);
    if (attach_registry(b, &txn) != 0) {
        txn = 0;
    }
    if (b->declared.count && now >= b->declare_at) {
        declare_again(b);
        b->declare_at = now + b->look_ticks;
    }
    /* Without a registry, rules from one stay. */
    yes = (txn != r->txn || b->replaced != r->replaced ||
           (r->gate && atomic_load(&atomic_load(&p->cell)->gate) != r->gate)) &&
          !(txn == 0 && r->source >= BIDE_SOURCE_DEFAULT);
    lock_release(&b->lock, cancel);
    return yes;
}

struct rules *
rules_take(struct bide_policy *p)
{
    struct rules *r, *old;
    uint32_t generation;
    int cancel;
    bool moved;

    registry_revive(p->bide);
    pthread_mutex_lock(&p->lock);
    moved = attach_again(p);
    r = p->rules;
    if (!r || moved || is_stale(p, r) || has_newer_commit(p, r)) {
        generation = load_acquire(&atomic_load(&p->cell)->generation);
        cancel = lock_take(&p->bide->lock);
        r = read_new_rules(p, generation);
        lock_release(&p->bide->lock, cancel);
        old = p->rules;
        if (r) {
            p->rules = r;
            rules_drop(old);
            PROBE_CHANGE(p, r->source, r->policy->version);
        } else {
            r = old;
            if (r) {
                r->generation = generation;
                r->replaced = p->bide->replaced;
            }
        }
    }
    if (r) {
        if (atomic_load(&p->replaced) != r->replaced) {
            atomic_store(&p->replaced, r->replaced); /* costs 6 ns */
        }
        add_relaxed(&r->refs, 1);
    }
    pthread_mutex_unlock(&p->lock);
    if (p->bide->hooked) {
        report_changes(p, -1);
    }
    return r;
}
