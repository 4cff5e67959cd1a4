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

int
record_lay(const struct record_part *parts, size_t count, uint64_t at_ns,
           struct policy_text *t)
{
    struct faults faults = {0};
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct record_part *p = &parts[i];

        if (p->until_ns > at_ns) {
            rc = p->value ? policy_text_set(t, p->key, p->value, "", 0, &faults)
                          : policy_text_unset(t, p->key, "", &faults);
        }
    }
    faults_free(&faults);
    return damage_of(rc);
}

int
record_compose(const struct record *r, struct policy_text **out)
{
    struct policy_text *t;
    int rc = record_base(r, &t);

    if (rc) {
        return rc;
    }
    rc = record_lay(r->parts, r->part_count, 0, t);
    if (rc) {
        policy_text_free(t);
        return rc;
    }
    *out = t;
    return 0;
}
