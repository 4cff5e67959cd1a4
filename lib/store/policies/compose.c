/* Composes the rules of a policy from the parts of its record.  Only valid
 * texts are stored, so an invalid one is damage. */
#include <string.h>

#include "policy/policy.h"
#include "record.h"

static int
damage_of(int rc)
{
    return rc == BIDE_EINPUT ? BIDE_EDAMAGED : rc;
}

int
record_base(const struct record *r, struct policy_text **out)
{
    struct policy_list list = {0};
    struct faults faults = {0};
    int rc = r->deleted ? BIDE_ENOPOLICY
                        : policy_read(r->name, r->text, strlen(r->text), &list,
                                      &faults);

    if (rc == 0 && (list.count != 1 ||
                    strcmp(policy_text_name(list.list[0]), r->name) != 0)) {
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = list.list[0];
        list.list[0] = NULL;
    }
    policy_list_free(&list);
    faults_free(&faults);
    return damage_of(rc);
}

/* Applies the parts that end after `at_ns` to `t`, and gives it out, or frees
 * it on failure.  NULL: out of memory. */
static int
lay_parts(const struct record_part *parts, size_t count, uint64_t at_ns,
          struct policy_text *t, struct policy_text **out)
{
    struct faults faults = {0};
    int rc = t ? 0 : BIDE_ENOMEM;

    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct record_part *p = &parts[i];

        if (p->until_ns > at_ns) {
            rc = p->value ? policy_text_set(t, p->key, p->value, "", 0, &faults)
                          : policy_text_unset(t, p->key, "", &faults);
        }
    }
    faults_free(&faults);
    if (rc) {
        policy_text_free(t);
        return damage_of(rc);
    }
    *out = t;
    return 0;
}

int
record_lay(const struct policy_text *base, const struct record_part *parts,
           size_t count, uint64_t at_ns, struct policy_text **out)
{
    return lay_parts(parts, count, at_ns, policy_text_copy(base), out);
}

int
record_compose(const struct record *r, struct policy_text **out)
{
    struct policy_text *t;
    int rc = record_base(r, &t);

    return rc ? rc : lay_parts(r->parts, r->part_count, 0, t, out);
}
