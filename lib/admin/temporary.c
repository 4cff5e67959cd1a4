/* Changes for a time: when they end, what is in force then, and what of them
 * remains all the same. */

#include <string.h>

#include "policy/policy.h"
#include "store/policies/writer.h"
#include "change.h"
#include "edit.h"
#include "read.h"

#define FOR_GOOD UINT64_MAX

int
edit_give_way(struct edit *e, uint64_t at_ns, struct record *r)
{
    while (r->until_ns && r->until_ns <= at_ns) {
        struct record before = *r;
        int rc = before.back_to < before.version
                     ? writer_version(e->writer, before.name, before.back_to, r)
                     : BIDE_EDAMAGED;

        record_free(&before);
        if (rc) {
            *r = (struct record){0};
            return rc == BIDE_ENOVERSION ? BIDE_EDAMAGED : rc;
        }
    }
    return 0;
}

/* What that version has given way to at that time; NULL: a deletion. */
static int
text_at(struct edit *e, const char *name, uint32_t version, uint64_t at_ns,
        struct record *out, struct policy_text **out_text)
{
    int rc = writer_version(e->writer, name, version, out);

    *out_text = NULL;
    if (rc == 0) {
        rc = edit_give_way(e, at_ns, out);
    }
    if (rc) {
        return edit_fail_store(e, rc);
    }
    rc = out->deleted ? 0 : admin_text(out, out_text);
    if (rc) {
        record_free(out);
    }
    return rc;
}

static bool
same_value(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool
holds_in(const struct edit *e, const struct policy_text *now,
         const struct policy_text *later)
{
    size_t i;

    if (!later) {
        return false;
    }
    if (!e->settings) {
        return policy_text_same(now, later);
    }
    for (i = 0; i < e->setting_count; i++) {
        const struct key *key = key_find(e->settings[i].key);

        if (!same_value(policy_text_get(now, key),
                        policy_text_get(later, key))) {
            return false;
        }
    }
    return true;
}

int
edit_remains(struct edit *e, const struct admin_result *r,
             const struct before *b, bool *out)
{
    uint64_t until_ns = b->until_ns;
    uint32_t version = b->back_to;

    *out = true;
    while (*out && until_ns) {
        struct policy_text *later;
        struct record next;
        int rc = text_at(e, r->name, version, until_ns, &next, &later);

        if (rc) {
            return rc;
        }
        *out = holds_in(e, r->now, later);
        until_ns = next.until_ns;
        version = next.back_to;
        policy_text_free(later);
        record_free(&next);
    }
    return 0;
}

/* A policy is linked to the one that it extends, so that nobody deletes that:
 * to one, and it would be the wrong one afterwards. */
static int
check_parent(struct edit *e, const struct policy_text *now,
             const struct policy_text *then)
{
    const struct key *key = key_find("extends");

    if (!now || !then ||
        same_value(policy_text_get(now, key), policy_text_get(then, key))) {
        return 0;
    }
    fault_add(e->faults, "set", 0, "set it without --for",
              "%s: extends cannot be changed for a time only",
              policy_text_name(now));
    return BIDE_EINPUT;
}

int
edit_end(struct edit *e, struct admin_result *r, const struct before *b,
         bool same)
{
    struct policy_text *text;
    struct record then;
    int rc;

    if (!e->change->for_ns || !b->version) {
        return 0;
    }
    r->until_ns = e->now_ns + e->change->for_ns;
    /* Another end of the same: what it gave way to does not change.  Else it is
     * what is in force now, unless that has ended by then. */
    rc = text_at(e, r->name, same && b->until_ns ? b->back_to : b->version,
                 r->until_ns, &then, &text);
    if (rc == 0) {
        r->back_to = then.version;
        rc = check_parent(e, r->now, text);
        policy_text_free(text);
        record_free(&then);
    }
    return rc;
}

/* ---- what outlasts its end ---- */

/* What a temporary version set, and what is in force when it has ended: with
 * it, and had this change not been made. */
struct stay {
    struct policy_text *set, *unset, *otherwise;
};

static int
stay_texts(struct edit *e, const struct admin_result *r, const struct before *b,
           struct stay *out)
{
    uint64_t end_ns = r->until_ns ? r->until_ns : FOR_GOOD;
    struct record record;
    int rc = text_at(e, r->name, r->temporary, 0, &record, &out->set);

    if (rc == 0) {
        record_free(&record);
        rc = text_at(e, r->name, r->temporary, end_ns, &record, &out->unset);
    }
    if (rc == 0) {
        record_free(&record);
        rc = text_at(e, r->name, b->version, end_ns, &record, &out->otherwise);
    }
    if (rc == 0) {
        record_free(&record);
    }
    return rc;
}

/* Who names a key in what is for a time as well means that time. */
static bool
is_meant(const struct edit *e, const struct key *key)
{
    size_t i;

    for (i = 0; i < e->setting_count && e->change->for_ns; i++) {
        if (key_find(e->settings[i].key) == key) {
            return true;
        }
    }
    return false;
}

static int
take_out(struct admin_result *r, const struct stay *s, const struct key *key)
{
    const char *now = policy_text_get(r->now, key);
    const char *unset = policy_text_get(s->unset, key);
    struct faults faults = {0};
    int rc;

    if (!same_value(now, policy_text_get(s->set, key)) ||
        same_value(now, unset) ||
        (s->otherwise && same_value(now, policy_text_get(s->otherwise, key)))) {
        return 0;
    }
    if (!r->without && !(r->without = policy_text_copy(r->now))) {
        return BIDE_ENOMEM;
    }
    rc = unset ? policy_text_set(r->without, key->name, unset, r->name, 0,
                                 &faults)
               : policy_text_unset(r->without, key->name, r->name, &faults);
    faults_free(&faults);
    /* What an earlier bide took and this one refuses is not told. */
    return rc == BIDE_EINPUT ? 0 : rc;
}

int
edit_stay(struct edit *e, struct admin_result *r, const struct before *b)
{
    const struct record *as = e->as && e->as->until_ns ? e->as : NULL;
    struct stay s = {0};
    size_t i;
    int rc;

    r->temporary = as ? as->version : b->version;
    r->temporary_until_ns = as ? as->until_ns : b->until_ns;
    if (!r->now || !r->temporary_until_ns ||
        (r->until_ns && r->until_ns <= r->temporary_until_ns)) {
        return 0;
    }
    rc = stay_texts(e, r, b, &s);
    for (i = 0; i < policy_key_count && rc == 0 && s.set && s.unset; i++) {
        const struct key *key = &policy_keys[i];

        if (!is_meant(e, key)) {
            rc = take_out(r, &s, key) ? edit_no_memory() : 0;
        }
    }
    policy_text_free(s.set);
    policy_text_free(s.unset);
    policy_text_free(s.otherwise);
    return rc;
}
