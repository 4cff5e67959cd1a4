#include "temporary.h"

#include <string.h>

#include "base/failure.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "change.h"
#include "read.h"

#define FOR_GOOD UINT64_MAX

/* Reads the version in force at `at_ns`, were `version` the newest; the text is
 * NULL for a deletion. */
static int
read_text_at(struct edit *e, const char *name, uint32_t version, uint64_t at_ns,
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

/* Reports whether `later` has the values that the change asks for. */
static bool
has_wanted_values(const struct edit *e, const struct policy_text *now,
                  const struct policy_text *later)
{

    if (!later) {
        return false;
    }
    if (!e->settings) {
        return policy_text_same(now, later);
    }
    for (size_t i = 0; i < e->setting_count; i++) {
        const struct key *key = key_find(e->settings[i].key);

        if (!same_value(policy_text_get(now, key),
                        policy_text_get(later, key))) {
            return false;
        }
    }
    return true;
}

int
temporary_remains(struct edit *e, const struct admin_result *r,
                  const struct edit_old *old, bool *out)
{
    uint64_t until_ns = old->until_ns;
    uint32_t version = old->back_to;

    *out = true;
    while (*out && until_ns) {
        struct policy_text *later;
        struct record next;
        int rc = read_text_at(e, r->name, version, until_ns, &next, &later);

        if (rc) {
            return rc;
        }
        *out = has_wanted_values(e, r->now, later);
        until_ns = next.until_ns;
        version = next.back_to;
        policy_text_free(later);
        record_free(&next);
    }
    return 0;
}

/* Refuses a temporary change of `extends`.  A policy is linked to the one that
 * it extends, so that it is not deleted: after the end that link would be to
 * the wrong policy. */
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
temporary_set_end(struct edit *e, struct admin_result *r,
                  const struct edit_old *old, bool same)
{
    struct policy_text *text;
    struct record then;
    int rc;

    if (!e->change->for_ns || !old->version) {
        return 0;
    }
    r->until_ns = duration_add(e->now_ns, e->change->for_ns);
    /* When only the end changes, the version after it stays the same.  Else
     * that is the version in force now, unless it has ended by then. */
    rc = read_text_at(e, r->name,
                      same && old->until_ns ? old->back_to : old->version,
                      r->until_ns, &then, &text);
    if (rc == 0) {
        r->back_to = then.version;
        rc = check_parent(e, r->now, text);
        policy_text_free(text);
        record_free(&then);
    }
    return rc;
}

/* ---- values that outlast the end ---- */

/* Texts that tell which values of a temporary version outlast it. */
struct stay {
    struct policy_text *set;       /* the temporary version */
    struct policy_text *unset;     /* in force after its end */
    struct policy_text *otherwise; /* in force then without this change */
};

static int
read_stay_texts(struct edit *e, const struct admin_result *r,
                const struct edit_old *old, struct stay *out)
{
    uint64_t end_ns = r->until_ns ? r->until_ns : FOR_GOOD;
    struct record record;
    int rc = read_text_at(e, r->name, r->temporary, 0, &record, &out->set);

    if (rc) {
        return rc;
    }
    record_free(&record);
    rc = read_text_at(e, r->name, r->temporary, end_ns, &record, &out->unset);
    if (rc) {
        return rc;
    }
    record_free(&record);
    rc = read_text_at(e, r->name, old->version, end_ns, &record,
                      &out->otherwise);
    if (rc == 0) {
        record_free(&record);
    }
    return rc;
}

/* Reports whether a change that is temporary itself names the key: then its
 * value has the end that was asked for. */
static bool
names_key(const struct edit *e, const struct key *key)
{

    for (size_t i = 0; i < e->setting_count && e->change->for_ns; i++) {
        if (key_find(e->settings[i].key) == key) {
            return true;
        }
    }
    return false;
}

/* Gives `without` the value of the key that holds after the end of the
 * temporary version, if the present value is that version's. */
static int
take_out_value(struct admin_result *r, const struct stay *s,
               const struct key *key)
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
    /* A value that only an earlier version of bide accepted is not reported. */
    return rc == BIDE_EINPUT ? 0 : rc;
}

int
temporary_find_stay(struct edit *e, struct admin_result *r,
                    const struct edit_old *old)
{
    const struct record *as = e->as && e->as->until_ns ? e->as : NULL;
    struct stay s = {0};
    int rc;

    r->temporary = as ? as->version : old->version;
    r->temporary_until_ns = as ? as->until_ns : old->until_ns;
    if (!r->now || !r->temporary_until_ns ||
        (r->until_ns && r->until_ns <= r->temporary_until_ns)) {
        return 0;
    }
    rc = read_stay_texts(e, r, old, &s);
    for (size_t i = 0; i < policy_key_count && rc == 0 && s.set && s.unset;
         i++) {
        const struct key *key = &policy_keys[i];

        if (!names_key(e, key)) {
            rc = take_out_value(r, &s, key) ? failure_plain(BIDE_ENOMEM) : 0;
        }
    }
    policy_text_free(s.set);
    policy_text_free(s.unset);
    policy_text_free(s.otherwise);
    return rc;
}
