/* What a program can ask about the policies that it uses. */
#include "registry.h"

#include <stdio.h>

#include "base/lock.h"
#include "name_list.h"
#include "policy/key.h"

const char *
bide_policy_name(const struct bide_policy *p)
{
    return p->name;
}

const char *
bide_policy_scope(const struct bide_policy *p)
{
    return p->scope;
}

/* Returns the rules in force for a function that was passed `p`, with a
 * reference; NULL, and the error in *out_rc, if there are none. */
static struct rules *
take_for_caller(struct bide_policy *p, int *out_rc)
{
    struct rules *r;

    *out_rc = BIDE_EINVAL;
    if (!p) {
        return NULL;
    }
    registry_revive(p->bide);
    r = rules_take(p);
    *out_rc = BIDE_ENOMEM;
    return r;
}

int
bide_policy_source(struct bide_policy *p, uint32_t *out_version)
{
    int rc;
    struct rules *r = take_for_caller(p, &rc);

    if (!r) {
        return rc;
    }
    rc = (int)r->source;
    if (out_version) {
        *out_version = r->policy->version;
    }
    rules_drop(r);
    return rc;
}

int
bide_policy_value(struct bide_policy *p, const char *key, char *buffer,
                  size_t size)
{
    const struct key *k = key ? key_find(key) : NULL;
    struct rules *r;
    const char *value;
    size_t length;
    int rc;

    r = take_for_caller(k ? p : NULL, &rc);
    if (!r) {
        return rc;
    }
    value = policy_value(r->policy, k, &length);
    rc = snprintf(buffer, size, "%.*s", (int)length, value);
    rules_drop(r);
    return rc;
}

uint64_t
bide_policy_generation(struct bide_policy *p)
{
    uint32_t moves;

    registry_revive(p->bide);
    attach_again(p);
    /* Without a live file nobody announces a change: `replaced` counts those
     * that were noticed. */
    moves = atomic_load(&p->moves) + (uint32_t)atomic_load(&p->bide->replaced);
    return (uint64_t)moves << 32 |
           atomic_load_explicit(&atomic_load(&p->cell)->generation,
                                memory_order_acquire);
}

/* ---- all policies ---- */

static int
keep_name(void *arg, const struct record *r)
{
    return r->deleted ? 0 : names_put(arg, r->name);
}

static int
read_names(void *arg, const struct snapshot *s)
{
    names_clear(arg);
    return reader_each_policy(s, keep_name, arg);
}

int
bide_policies(struct bide *b, int (*each)(void *arg, const char *name),
              void *arg)
{
    struct names names = {0};
    uint64_t txn;
    int rc, cancel, stop = 0;

    if (!b || !each) {
        return BIDE_EINVAL;
    }
    registry_revive(b);
    cancel = lock_take(&b->lock);
    rc = attach_registry(b, &txn);
    rc = rc ? rc : reader_read(b->reader, read_names, &names, NULL);
    lock_release(&b->lock, cancel);
    (void)report_status(b);
    if (rc && rc != BIDE_EDAMAGED) {
        names_clear(&names);
    }
    for (size_t i = 0; i < names.count && stop == 0; i++) {
        stop = each(arg, names.list[i]);
    }
    names_clear(&names);
    return stop ? stop : rc;
}
