/* Budgets that several policies share: all must say the same of its size.  They
 * may inherit it, so all policies are looked at; but only when something that
 * was changed shares one. */

#include <string.h>

#include "policy/group.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "edit.h"
#include "read.h"

struct members {
    struct edit *e;
    struct groups groups;
};

/* ---- where that is ---- */

/* Of what is stored already the policy is the place. */
static struct group_place
place_of(const struct edit *e, const char *name, const char *key)
{
    size_t i;

    for (i = 0; e->texts && i < e->texts->count; i++) {
        const struct policy_text *t = e->texts->list[i];
        int line;

        if (strcmp(policy_text_name(t), name) == 0) {
            line = policy_text_line(t, key_find(key));
            return (struct group_place){
                e->file, line ? line : policy_text_line(t, NULL)};
        }
    }
    return (struct group_place){name, 0};
}

static int
compare(struct members *m, const struct policy *p)
{
    struct group_conflict conflict;
    int rc = groups_join(&m->groups, p, &conflict);

    if (rc == BIDE_ENOMEM) {
        return edit_no_memory();
    }
    if (rc == BIDE_EINPUT) {
        group_fault(m->e->faults, &conflict, p,
                    place_of(m->e, p->name, conflict.key),
                    place_of(m->e, conflict.with->name, conflict.key));
    }
    return 0;
}

/* ---- all of them ---- */

/* Most policies neither name a budget nor inherit anything. */
static bool
may_share(const struct record *r)
{
    return !r->deleted &&
           (strstr(r->text, "budget = ") || strstr(r->text, "extends = "));
}

static int
visit_text(struct members *m, const struct record *r)
{
    struct policy_text *t;
    struct policy *p;
    int rc = admin_text(r, &t);

    if (rc) {
        return rc;
    }
    rc = edit_compile(m->e, t, &p);
    policy_text_free(t);
    if (rc) {
        return rc == BIDE_EINPUT ? 0 : edit_fail_store(m->e, rc);
    }
    rc = compare(m, p);
    policy_free(p);
    return rc;
}

static int
visit(void *arg, const struct record *stored)
{
    struct members *m = arg;
    struct record r;
    uint32_t newest;
    int rc;

    if (!stored->until_ns) {
        return may_share(stored) ? visit_text(m, stored) : 0;
    }
    rc = edit_in_force(m->e, stored->name, &r, &newest);
    if (rc) {
        return edit_fail_store(m->e, rc);
    }
    rc = may_share(&r) ? visit_text(m, &r) : 0;
    record_free(&r);
    return rc;
}

int
edit_check_groups(struct edit *e)
{
    struct members m = {.e = e};
    int rc;

    if (!e->grouped || faults_any(e->faults)) {
        return 0;
    }
    rc = writer_each_policy(e->writer, visit, &m);
    groups_free(&m.groups);
    return rc;
}
