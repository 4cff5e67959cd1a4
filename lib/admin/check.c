#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failure.h"
#include "policy/group.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "read.h"

/* ---- without forcing ---- */

/* Gives the base the value of the key from before it was forced; "no" or "on"
 * if that is not known. */
static int
unforce_base(struct edit *e, const struct record *r, struct policy_text *base)
{
    const struct key *key = key_find(e->settings->key);
    uint32_t version = r->parts[0].version;
    struct policy_text *t;
    struct record older;
    int rc = 0;

    while (!rc && admin_forces(key->name, policy_text_get(base, key))) {
        if (--version == 0 ||
            writer_version(e->writer, r->name, version, &older)) {
            return layers_set(e, base, key->name,
                              strcmp(key->name, "paused") == 0 ? "no" : "on");
        }
        version = older.parts[0].version;
        if (!older.deleted && admin_base(&older, &t) == 0) {
            rc = layers_set(e, base, key->name, policy_text_get(t, key));
            policy_text_free(t);
        }
        record_free(&older);
    }
    return rc;
}

/* Reads a policy as it would be if nobody had forced the key. */
static int
read_unforced(struct edit *e, const struct record *r, bool layers,
              struct policy_text **out)
{
    struct edit_new n = {0};
    int rc = admin_base(r, &n.base);

    rc = rc ? rc : unforce_base(e, r, n.base);
    rc = rc || !layers ? rc : layers_keep(e, r, &n);
    rc = rc ? rc : record_lay(n.base, n.parts, n.part_count, e->at_ns, out);
    policy_text_free(n.base);
    free(n.parts);
    return rc;
}

/* A policy_find_fn over what the change has stored, at e->at_ns. */
static int
read_parent(void *arg, const char *name, const struct policy_text **out)
{
    struct edit *e = arg;
    const struct key *key = e->read ? key_find(e->settings->key) : NULL;
    struct policy_text *t = NULL;
    struct record r;
    int rc = edit_in_force(e, name, &r);

    if (rc) {
        return rc;
    }
    rc = e->read == ALL_UNFORCED ? read_unforced(e, &r, true, &t)
                                 : admin_text(&r, &t);
    for (size_t i = 0; e->read == NAMED_UNFORCED && i < e->name_count; i++) {
        if (rc == 0 && strcmp(e->names[i], name) == 0) {
            rc = layers_set(e, t, key->name, key->preset);
        }
    }
    rc = rc ? rc : policy_list_add(&e->parents, t);
    if (rc == 0) {
        *out = t;
    }
    record_free(&r);
    return rc;
}

/* Returns the value of the key; NULL after a fault, which check_policy() will
 * say. */
static const char *
find_value(struct edit *e, int read, const struct policy_text *t)
{
    struct policy_origin origins[POLICY_KEY_MAX];
    size_t key = (size_t)(key_find(e->settings->key) - policy_keys);

    e->read = read;
    return policy_resolve(t, read_parent, e, "", origins, NULL)
               ? NULL
               : origins[key].value;
}

int
check_undo(struct edit *e, const struct edit_old *old,
           struct policy_text *wanted)
{
    const char *key = e->settings->key;
    struct policy_text *t = NULL;
    int rc;

    e->read = NAMED_UNFORCED; /* also ends parts of layers */
    rc = read_unforced(e, &old->r, e->change->for_ns, &t);
    e->forced =
        rc == 0 && (layers_end(e, &old->r) ||
                    admin_forces(key, find_value(e, AS_STORED, old->text)) ||
                    admin_forces(key, find_value(e, AS_STORED, old->base)));
    e->detached =
        e->forced && admin_forces(key, find_value(e, NAMED_UNFORCED, t));
    if (e->forced) {
        rc = layers_set(e, wanted, key,
                        e->detached ? find_value(e, ALL_UNFORCED, t)
                                    : policy_text_get(t, key_find(key)));
    }
    e->read = AS_STORED;
    policy_list_free(&e->parents);
    policy_text_free(t);
    return rc ? failure_plain(rc) : 0;
}

/* ---- faults that layers make ---- */

static const char *
write_time(uint64_t ns, char *buffer, size_t size)
{
    time_t s = (time_t)(ns / 1000000000u);
    struct tm tm;

    if (!localtime_r(&s, &tm) ||
        !strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &tm)) {
        snprintf(buffer, size, "%lld s", (long long)s);
    }
    return buffer;
}

/* Adds the layers of a policy, and of those that it extends, with a part in
 * force, or ending, at e->at_ns whose key a fault is about, except those of
 * this change. */
static void
name_layers(struct edit *e, const char *of, const char *file,
            const struct fault *about)
{
    char name[BIDE_NAME_MAX + 1], until[32];
    struct policy_text *t;
    struct record r;

    for (int i = 0; of && i <= POLICY_CHAIN_MAX; i++) {
        bool own = strcmp(file, of) == 0;

        if (writer_policy(e->writer, of, &r)) {
            return;
        }
        for (size_t k = 1; k < r.part_count; k++) {
            const struct record_part *p = &r.parts[k];
            const struct key *key = key_find(p->key);

            if (p->when_ns != e->now_ns && p->until_ns > e->now_ns && key &&
                (key == about->key || key == about->other)) {
                fault_add(
                    e->faults,
                    &(struct fault){
                        .file = file, .rule = FAULT_TEMPORARY, .key = key},
                    "%s%s%s is %s %s %s (version %u, %s)", own ? "" : of,
                    own ? "" : ": ", p->key, p->value ? p->value : "not set",
                    p->until_ns > e->at_ns ? "until" : "only until",
                    write_time(p->until_ns, until, sizeof(until)), p->version,
                    author_write(p->who, p->uid).text);
            }
        }
        of = NULL;
        if (admin_base(&r, &t) == 0) {
            of = policy_text_get(t, key_find("extends"));
            snprintf(name, sizeof(name), "%s", of ? of : "");
            of = of ? name : NULL;
            policy_text_free(t);
        }
        record_free(&r);
    }
}

/* Adds what was found at e->at_ns, and the layers that have to do with it.
 * Warnings are about the present. */
static void
add_faults(struct edit *e, const char *name, const char *file,
           const struct faults *found)
{
    const struct fault *first = faults_first(found);

    for (size_t i = 0; i < found->count; i++) {
        const struct fault *f = &found->list[i];

        if (!f->warning || e->at_ns == e->now_ns) {
            fault_add(e->faults, f, "%s", f->what);
        }
    }
    e->faults->out_of_memory |= found->out_of_memory;
    if (first) {
        name_layers(e, name, file, first);
    }
}

/* ---- one policy ---- */

/* Compiles a policy as it is at e->at_ns. */
static int
compile_at(struct edit *e, const struct record *r,
           const struct policy_text *base, const char *file)
{
    struct policy_text *laid = NULL;
    struct policy *p = NULL;
    struct faults found = {0};
    int rc = 0;

    if (r->part_count > 1) {
        rc = record_lay(base, r->parts, r->part_count, e->at_ns, &laid);
    }
    if (rc == 0) {
        rc = policy_compile(laid ? laid : base, read_parent, e, file, &p,
                            &found);
        add_faults(e, r->name, file, &found);
    }
    if (rc == 0) {
        e->grouped |= group_has(p);
    }
    policy_list_free(&e->parents);
    policy_free(p);
    policy_text_free(laid);
    faults_free(&found);
    return rc;
}

/* Checks a policy now and after each end of a layer, up to the first fault. */
static int
check_moments(struct edit *e, struct record *r, const struct policy_text *base,
              const char *file)
{
    int rc = 0;

    for (e->next_ns = e->now_ns; rc == 0 && e->next_ns < UINT64_MAX;) {
        e->at_ns = e->next_ns;
        e->next_ns = UINT64_MAX;
        edit_settle(e, r); /* of times that grow, so parts never come back */
        rc = compile_at(e, r, base, file);
    }
    e->at_ns = e->now_ns;
    return rc == BIDE_EINPUT ? 0 : edit_fail_store(e, rc);
}

int
check_policy(struct edit *e, const char *name, const struct policy_text *base,
             const char *file)
{
    struct policy_text *own = NULL;
    struct record r;
    int rc = writer_policy(e->writer, name, &r);

    if (rc) {
        return edit_fail_store(e, rc);
    }
    if (!r.deleted) {
        rc = base ? 0 : admin_base(&r, &own);
        rc = rc ? rc : check_moments(e, &r, base ? base : own, file);
    }
    policy_text_free(own);
    record_free(&r);
    return rc;
}

/* ---- policies that extend a touched one ---- */

/* Replaces `level` by the policies that extend one of it and are not touched
 * yet, and checks them. */
static int
descend_level(struct edit *e, struct names *level)
{
    struct names children = {0};
    int rc = 0;

    for (size_t i = 0; i < level->count && rc == 0; i++) {
        rc = writer_each_child(e->writer, level->list[i], names_put, &children);
    }
    names_clear(level);
    names_sort(&children);
    for (size_t i = 0; i < children.count && rc == 0; i++) {
        if (names_have(&e->touched, children.list[i])) {
            continue;
        }
        rc = check_policy(e, children.list[i], NULL, children.list[i]);
        rc = rc ? rc : names_put(level, children.list[i]);
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
static struct fault
place_of_key(const struct edit *e, const char *name,
             const struct group_conflict *c)
{
    for (size_t i = 0; e->texts && i < e->texts->count; i++) {
        const struct policy_text *t = e->texts->list[i];

        if (strcmp(policy_text_name(t), name) == 0) {
            return group_place(c, t, e->files[i]);
        }
    }
    return group_place(c, NULL, name);
}

static int
join_group(struct edit *e, const struct policy *p)
{
    struct group_conflict conflict;
    struct fault there;
    int rc = groups_join(&e->groups, p, &conflict);

    if (rc == BIDE_ENOMEM) {
        return failure_plain(BIDE_ENOMEM);
    }
    if (rc == BIDE_EINPUT) {
        there = place_of_key(e, conflict.with->name, &conflict);
        group_fault(e->faults, &conflict, p,
                    place_of_key(e, p->name, &conflict), &there);
        name_layers(e, p->name, p->name, &there);
        name_layers(e, conflict.with->name, p->name, &there);
    }
    return 0;
}

static bool
is_group_key(const char *key)
{
    return strcmp(key, "budget") == 0 || strcmp(key, "limit") == 0 ||
           strcmp(key, "rate") == 0;
}

/* Reports whether a policy may share a budget, a limit or a rate.  Most neither
 * name one nor inherit. */
static bool
may_share(const struct record *r)
{
    for (size_t i = 1; i < r->part_count; i++) {
        if (is_group_key(r->parts[i].key)) {
            return true;
        }
    }
    return !r->deleted &&
           (strstr(r->text, "budget = ") || strstr(r->text, "limit = ") ||
            strstr(r->text, "rate = ") || strstr(r->text, "extends = "));
}

static int
check_member(void *arg, struct record *stored)
{
    struct edit *e = arg;
    const struct policy_text *t;
    struct policy *p = NULL;
    int rc;

    if (!may_share(stored)) {
        return 0;
    }
    rc = read_parent(e, stored->name, &t);
    rc = rc ? rc : policy_compile(t, read_parent, e, stored->name, &p, NULL);
    rc = rc == 0             ? join_group(e, p)
         : rc == BIDE_EINPUT ? 0
                             : edit_fail_store(e, rc);
    policy_list_free(&e->parents);
    policy_free(p);
    return rc;
}

int
check_groups(struct edit *e)
{
    struct groups now = {0};
    int rc = 0;

    for (e->next_ns = e->now_ns; e->grouped && e->next_ns < UINT64_MAX &&
                                 rc == 0 && !faults_any(e->faults);) {
        e->at_ns = e->next_ns;
        e->next_ns = UINT64_MAX;
        rc = writer_each_policy(e->writer, check_member, e);
        if (e->at_ns == e->now_ns) { /* those are announced */
            now = e->groups;
        } else {
            groups_free(&e->groups);
        }
        e->groups = (struct groups){0};
    }
    e->groups = now;
    e->at_ns = e->now_ns;
    return rc;
}
