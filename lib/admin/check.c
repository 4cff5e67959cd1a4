/* Whether what is about to be committed holds together. */

#include <stdlib.h>
#include <string.h>

#include "policy/group.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "edit.h"
#include "read.h"

static void
drop_parents(struct edit *e)
{
    while (e->parent_count) {
        policy_text_free(e->parents[--e->parent_count]);
    }
}

static int
find_parent(void *arg, const char *name, const struct policy_text **out)
{
    struct edit *e = arg;
    struct record r;
    uint32_t newest;
    int rc = edit_in_force(e, name, &r, &newest);

    if (rc) {
        return rc;
    }
    if (r.deleted) {
        rc = BIDE_ENOPOLICY;
    } else if (e->parent_count == sizeof(e->parents) / sizeof(*e->parents)) {
        rc = BIDE_EINPUT; /* longer than any chain that is allowed */
    } else {
        rc = admin_text(&r, &e->parents[e->parent_count]);
    }
    if (rc == 0) {
        *out = e->parents[e->parent_count++];
    }
    record_free(&r);
    return rc;
}

int
edit_check_text(struct edit *e, const struct policy_text *t, const char *file)
{
    struct policy *p;
    int rc = policy_compile(t, find_parent, e, file, &p, e->faults);

    drop_parents(e);
    if (rc == 0) {
        e->grouped |= group_has(p);
        policy_free(p);
    }
    return rc == BIDE_EINPUT || rc == 0 ? 0 : edit_fail_store(e, rc);
}

int
edit_compile(struct edit *e, const struct policy_text *t, struct policy **out)
{
    int rc = policy_compile(t, find_parent, e, policy_text_name(t), out, NULL);

    drop_parents(e);
    return rc;
}

int
edit_check_name(struct edit *e, const char *name)
{
    struct record r;
    struct policy_text *t;
    uint32_t newest;
    int rc = edit_in_force(e, name, &r, &newest);

    if (rc) {
        return edit_fail_store(e, rc);
    }
    if (r.deleted) {
        record_free(&r);
        return 0;
    }
    rc = admin_text(&r, &t);
    record_free(&r);
    if (rc == 0) {
        rc = edit_check_text(e, t, name);
        policy_text_free(t);
    }
    return rc;
}

struct descent {
    struct edit *e;
    struct names *found;
};

static int
add_child(void *arg, const char *name)
{
    struct descent *d = arg;

    return names_put(d->found, name);
}

/* Everything that extends what was touched, however far down, is touched as
 * well, and must still be valid.  A level at a time; chains are short. */
int
edit_check_descendants(struct edit *e)
{
    struct names level = {0}, next = {0};
    struct descent d = {e, &next};
    size_t i, depth;
    int rc = 0;

    for (i = 0; i < e->touched.count && rc == 0; i++) {
        rc = names_put(&level, e->touched.list[i]);
    }
    for (depth = 0; depth <= POLICY_CHAIN_MAX && level.count && rc == 0;
         depth++) {
        for (i = 0; i < level.count && rc == 0; i++) {
            rc = writer_each_child(e->writer, level.list[i], add_child, &d);
        }
        names_clear(&level);
        names_sort(&next);
        for (i = 0; i < next.count && rc == 0; i++) {
            if (names_have(&e->touched, next.list[i])) {
                continue;
            }
            rc = edit_check_name(e, next.list[i]);
            if (rc == 0) {
                rc = names_put(&level, next.list[i]);
            }
        }
        for (i = 0; i < level.count && rc == 0; i++) {
            rc = names_put(&e->touched, level.list[i]);
        }
        names_sort(&e->touched);
        names_clear(&next);
    }
    names_clear(&level);
    names_clear(&next);
    return rc;
}
