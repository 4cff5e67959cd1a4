#include "steps.h"

#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "change.h"

bool
layers_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool
admin_forces(const char *key, const char *value)
{
    return value &&
           (strcmp(key, "paused") == 0 ? strcmp(value, "yes") == 0
                                       : strcmp(key, "breaker") == 0 &&
                                             (strcmp(value, "open") == 0 ||
                                              strcmp(value, "closed") == 0));
}

int
layers_set(struct edit *e, struct policy_text *t, const char *key,
           const char *value)
{
    const char *name = policy_text_name(t);

    return value ? policy_text_set(t, key, value, name, 0, e->faults)
                 : policy_text_unset(t, key, name, e->faults);
}

/* ---- parts ---- */

static int
add_part(struct edit_new *n, const struct record_part *p)
{
    return array_put(&n->parts, &n->part_count, p, sizeof(*p))
               ? 0
               : failure_plain(BIDE_ENOMEM);
}

/* Reports whether the change names the key. */
static bool
is_setting(const struct edit *e, const struct key *key)
{
    size_t i = 0;

    while (i < e->setting_count && key_find(e->settings[i].key) != key) {
        i++;
    }
    return i < e->setting_count;
}

/* Reports whether the change ends a part of a layer. */
static bool
ends_part(const struct edit *e, const struct record_part *p)
{
    return e->change->layer
               ? p->version == e->change->layer
               : e->change->undo && (e->read || !e->change->for_ns) &&
                     is_setting(e, key_find(p->key)) &&
                     admin_forces(p->key, p->value);
}

bool
layers_end(const struct edit *e, const struct record *r)
{
    size_t i = 1;

    while (i < r->part_count && !ends_part(e, &r->parts[i])) {
        i++;
    }
    return i < r->part_count;
}

int
layers_keep(const struct edit *e, const struct record *r, struct edit_new *n)
{
    int rc = 0;

    for (size_t i = 1; i < r->part_count && rc == 0; i++) {
        rc = ends_part(e, &r->parts[i]) ? 0 : add_part(n, &r->parts[i]);
    }
    return rc;
}

/* Reports whether the change asks for a value of this key. */
static bool
is_wanted(const struct edit *e, const struct edit_old *old,
          const struct policy_text *wanted, const struct key *key)
{
    const char *value = policy_text_get(wanted, key);

    return e->settings
               ? is_setting(e, key) && (!e->change->undo || e->forced)
               : !layers_same(value, policy_text_get(old->base, key)) ||
                     (!e->texts &&
                      !layers_same(value, policy_text_get(old->text, key)));
}

/* Refuses what cannot be for a time.  A policy is linked to the one that it
 * extends, so that this one is not deleted: after the end, that link would be
 * to the wrong policy. */
static bool
can_end(struct edit *e, const struct edit_old *old,
        const struct policy_text *wanted, const char *name)
{
    const char *what = NULL, *hint = "apply it without --for";

    if (!wanted) {
        what = "a policy cannot be deleted for a time only";
    } else if (!old->base) {
        what = "a policy cannot be created for a time only";
    } else if (is_wanted(e, old, wanted, key_find("extends"))) {
        what = "extends cannot be changed for a time only";
        hint = "set it without --for";
    }
    if (what) {
        fault_add(e->faults,
                  &(struct fault){
                      .file = "set", .rule = FAULT_TEMPORARY, .hint = hint},
                  "%s: %s", name, what);
    }
    return !what;
}

int
layers_add(struct edit *e, const char *name, const struct edit_old *old,
           const struct policy_text *wanted, struct edit_new *n)
{
    struct record_part p = {
        .when_ns = e->now_ns,
        .until_ns = duration_add(e->now_ns, e->change->for_ns),
        .uid = e->change->uid,
        .who = e->change->who,
        .note = e->change->note ? e->change->note : "",
    };
    int rc = 0;

    if (!can_end(e, old, wanted, name)) {
        return BIDE_EINPUT;
    }
    for (size_t i = 0; i < policy_key_count && rc == 0; i++) {
        if (is_wanted(e, old, wanted, &policy_keys[i])) {
            p.key = policy_keys[i].name;
            p.value = policy_text_get(wanted, &policy_keys[i]);
            rc = add_part(n, &p);
        }
    }
    return rc;
}

/* ---- what a change does ---- */

/* Reports whether a part of a new layer changes the rules, now or when a layer
 * under it ends. */
static bool
has_effect(const struct edit_old *old, const struct record_part *p)
{
    bool effect =
        !layers_same(policy_text_get(old->text, key_find(p->key)), p->value);

    for (size_t i = 1; i < old->r.part_count && !effect; i++) {
        const struct record_part *under = &old->r.parts[i];

        effect =
            strcmp(under->key, p->key) == 0 && under->until_ns < p->until_ns;
    }
    return effect;
}

bool
layers_differ(const struct edit_old *old, const struct edit_new *n)
{
    bool differ = old->base && n->base ? !policy_text_same(old->base, n->base)
                                       : old->base != n->base;
    size_t kept = old->r.part_count ? old->r.part_count - 1 : 0;

    differ |= n->part_count < kept;
    for (size_t i = kept; i < n->part_count && !differ; i++) {
        differ = n->parts[i].version != 0 || has_effect(old, &n->parts[i]);
    }
    return differ;
}

/* Finds the layers in force that give another value than the base to the keys
 * of e->settings, else to any. */
static int
find_covers(const struct edit *e, const struct edit_new *n,
            struct admin_result *r)
{
    for (size_t i = 0; i < n->part_count; i++) {
        const struct record_part *p = &n->parts[i];
        const struct key *key = key_find(p->key);
        size_t newer = i + 1;

        while (newer < n->part_count &&
               strcmp(n->parts[newer].key, p->key) != 0) {
            newer++;
        }
        if (newer < n->part_count || !p->version ||
            (e->settings && !is_setting(e, key)) ||
            layers_same(p->value, policy_text_get(n->base, key))) {
            continue;
        }
        if (!array_put(&r->covers, &r->cover_count, p, sizeof(*p))) {
            return failure_plain(BIDE_ENOMEM);
        }
    }
    return 0;
}

int
layers_fill_result(struct edit *e, struct edit_old *old, struct edit_new *n,
                   struct admin_result *r)
{
    int rc = 0;

    if ((!e->change->for_ns || e->texts) && n->base && !e->change->layer) {
        rc = find_covers(e, n, r);
    }
    if (e->change->for_ns && r->did != ADMIN_UNCHANGED) {
        r->until_ns = duration_add(e->now_ns, e->change->for_ns);
        r->back_to = old->r.parts[0].version;
        for (size_t i = 0; i < n->part_count; i++) {
            if (n->parts[i].version > r->back_to &&
                n->parts[i].until_ns > r->until_ns) {
                r->back_to = n->parts[i].version;
            }
        }
    }
    r->before_it = old->r;
    old->r = (struct record){0};
    if (rc || r->did == ADMIN_UNCHANGED) {
        return rc;
    }
    if (n->base) {
        rc = record_lay(n->base, n->parts, n->part_count, e->now_ns, &r->is);
    }
    r->old = r->was = old->text;
    r->now = r->is;
    old->text = NULL;
    if (!old->base || !n->base || !policy_text_same(old->base, n->base)) {
        r->old = old->base;
        r->now = n->base;
        old->base = n->base = NULL;
    }
    return rc ? failure_plain(rc) : 0;
}
