#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "policy/group.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "read.h"

static void
free_parents(struct edit *e)
{
    while (e->parent_count) {
        policy_text_free(e->parents[--e->parent_count]);
    }
}

/* A policy_find_fn over what the change has stored and what is in force. */
static int
read_parent(void *arg, const char *name, const struct policy_text **out)
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
        rc = BIDE_EINPUT; /* longer than any valid chain */
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
check_text(struct edit *e, const struct policy_text *t, const char *file)
{
    struct policy *p;
    int rc = policy_compile(t, read_parent, e, file, &p, e->faults);

    free_parents(e);
    if (rc == 0) {
        e->grouped |= group_has(p);
        policy_free(p);
    }
    return rc == BIDE_EINPUT || rc == 0 ? 0 : edit_fail_store(e, rc);
}

int
check_name(struct edit *e, const char *name)
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
        rc = check_text(e, t, name);
        policy_text_free(t);
    }
    return rc;
}

/* ---- policies that extend a touched one ---- */

static int
add_child_name(void *arg, const char *name)
{
    return names_put(arg, name);
}

/* Replaces `level` by the policies that extend one of it and are not touched
 * yet, and checks them. */
static int
descend_level(struct edit *e, struct names *level)
{
    struct names children = {0};
    int rc = 0;

    for (size_t i = 0; i < level->count && rc == 0; i++) {
        rc = writer_each_child(e->writer, level->list[i], add_child_name,
                               &children);
    }
    names_clear(level);
    names_sort(&children);
    for (size_t i = 0; i < children.count && rc == 0; i++) {
        if (names_have(&e->touched, children.list[i])) {
            continue;
        }
        rc = check_name(e, children.list[i]);
        if (rc == 0) {
            rc = names_put(level, children.list[i]);
        }
    }
    names_clear(&children);
    return rc;
}

int
check_descendants(struct edit *e)
{
    struct names level = {0};
    size_t depth;
    int rc = 0;

    for (size_t i = 0; i < e->touched.count && rc == 0; i++) {
        rc = names_put(&level, e->touched.list[i]);
    }
    for (depth = 0; depth <= POLICY_CHAIN_MAX && level.count && rc == 0;
         depth++) {
        rc = descend_level(e, &level);
        for (size_t i = 0; i < level.count && rc == 0; i++) {
            rc = names_put(&e->touched, level.list[i]);
        }
        names_sort(&e->touched);
    }
    names_clear(&level);
    return rc;
}

/* ---- shared budgets ----
 *
 * Policies may inherit a shared budget, so every policy is checked, but only
 * when a changed one shares a budget. */

/* Returns the place of a key, for a fault: its line in the file that is
 * applied; for a policy that is not in it, the policy. */
static struct group_place
place_of_key(const struct edit *e, const char *name, const char *key)
{
    for (size_t i = 0; e->texts && i < e->texts->count; i++) {
        const struct policy_text *t = e->texts->list[i];
        int line;

        if (strcmp(policy_text_name(t), name) == 0) {
            line = policy_text_line(t, key_find(key));
            return (struct group_place){
                e->files[i], line ? line : policy_text_line(t, NULL)};
        }
    }
    return (struct group_place){name, 0};
}

/* Compiles without adding faults.  BIDE_EINPUT: the text is not valid. */
static int
compile_member(struct edit *e, const struct policy_text *t, struct policy **out)
{
    int rc = policy_compile(t, read_parent, e, policy_text_name(t), out, NULL);

    free_parents(e);
    return rc;
}

static int
join_group(struct edit *e, const struct policy *p)
{
    struct group_conflict conflict;
    int rc = groups_join(&e->groups, p, &conflict);

    if (rc == BIDE_ENOMEM) {
        return failure_plain(BIDE_ENOMEM);
    }
    if (rc == BIDE_EINPUT) {
        group_fault(e->faults, &conflict, p,
                    place_of_key(e, p->name, conflict.key),
                    place_of_key(e, conflict.with->name, conflict.key));
    }
    return 0;
}

/* Reports whether a policy may share a budget.  Most neither name one nor
 * inherit. */
static bool
may_share(const struct record *r)
{
    return !r->deleted &&
           (strstr(r->text, "budget = ") || strstr(r->text, "extends = "));
}

static int
check_member_text(struct edit *e, const struct record *r)
{
    struct policy_text *t;
    struct policy *p;
    int rc = admin_text(r, &t);

    if (rc) {
        return rc;
    }
    rc = compile_member(e, t, &p);
    policy_text_free(t);
    if (rc) {
        return rc == BIDE_EINPUT ? 0 : edit_fail_store(e, rc);
    }
    rc = join_group(e, p);
    policy_free(p);
    return rc;
}

static int
check_member(void *arg, const struct record *stored)
{
    struct edit *e = arg;
    struct record r;
    uint32_t newest;
    int rc;

    if (!stored->until_ns) {
        return may_share(stored) ? check_member_text(e, stored) : 0;
    }
    rc = edit_in_force(e, stored->name, &r, &newest);
    if (rc) {
        return edit_fail_store(e, rc);
    }
    rc = may_share(&r) ? check_member_text(e, &r) : 0;
    record_free(&r);
    return rc;
}

int
check_groups(struct edit *e)
{
    return e->grouped && !faults_any(e->faults)
               ? writer_each_policy(e->writer, check_member, e)
               : 0;
}
