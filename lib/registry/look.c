/* Tells a program about the policies that it uses. */
#include "registry.h"

#include <stdio.h>

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

int
bide_policy_source(struct bide_policy *p, uint32_t *out_version)
{
    struct rules *r = p ? rules_take(p) : NULL;
    int source;

    if (!r) {
        return p ? BIDE_ENOMEM : BIDE_EINVAL;
    }
    source = (int)r->source;
    if (out_version) {
        *out_version = r->policy->version;
    }
    rules_drop(r);
    return source;
}

int
bide_policy_value(struct bide_policy *p, const char *key, char *buffer,
                  size_t size)
{
    const struct key *k = p && key ? key_find(key) : NULL;
    struct rules *r = k ? rules_take(p) : NULL;
    const char *value;
    size_t length;
    int written;

    if (!r) {
        return k ? BIDE_ENOMEM : BIDE_EINVAL;
    }
    value = policy_value(r->policy, k, &length);
    written = snprintf(buffer, size, "%.*s", (int)length, value);
    rules_drop(r);
    return written;
}

uint64_t
bide_policy_generation(struct bide_policy *p)
{
    registry_revive(p->bide);
    attach_again(p);
    /* Without a live file nobody announces a change: `replaced` counts those
     * that were noticed. */
    return (atomic_load(&p->moves) + atomic_load(&p->bide->replaced)) << 32 |
           atomic_load(&atomic_load(&p->cell)->generation);
}

/* ---- all policies ---- */

static int
read_names(void *arg, const struct snapshot *s)
{
    names_clear(arg);
    return reader_each_policy(s, names_put_existing, arg);
}

int
bide_policies(struct bide *b, int (*each)(void *arg, const char *name),
              void *arg)
{
    struct names names = {0};
    int rc, cancel, stop = 0;

    if (!b || !each) {
        return BIDE_EINVAL;
    }
    (void)bide_registry_status(b); /* opens it, or notices another one */
    cancel = lock_take(&b->lock);
    rc = b->reader ? reader_read(b->reader, read_names, &names, NULL)
                   : atomic_load(&b->status);
    lock_release(&b->lock, cancel);
    for (size_t i = 0;
         i < names.count && stop == 0 && (rc == 0 || rc == BIDE_EDAMAGED);
         i++) {
        stop = each(arg, names.list[i]);
    }
    names_clear(&names);
    return stop ? stop : rc;
}
