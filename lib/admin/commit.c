#include "commit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "policy/policy.h"
#include "record/past.h"
#include "registry/announce.h"
#include "store/policies/writer.h"
#include "change.h"
#include "check.h"
#include "inside.h"
#include "live.h"
#include "temporary.h"

/* ---- one policy ---- */

static int
store_result(struct edit *e, const struct admin_result *result,
             uint32_t *out_version)
{
    const struct policy_text *now = result->now;
    struct record r = {
        .deleted = !now,
        .when_ns = e->now_ns,
        .until_ns = result->until_ns,
        .back_to = result->back_to,
        .who = (char *)(uintptr_t)e->change->who,
        .note = (char *)(uintptr_t)(e->change->note ? e->change->note : ""),
    };
    const char *parent = now ? policy_text_get(now, key_find("extends")) : NULL;
    int rc;

    strcpy(r.name, result->name);
    r.text = now ? policy_text_write(now) : strdup("");
    if (!r.text) {
        return failure_plain(BIDE_ENOMEM);
    }
    rc = writer_put(e->writer, &r, parent);
    free(r.text);
    if (rc) {
        return edit_fail_store(e, rc);
    }
    *out_version = r.version;
    return names_put(&e->touched, r.name);
}

/* Reports whether a policy may have left a group. */
static bool
may_leave_group(const struct admin_result *r)
{
    static const char *const keys[] = {"budget", "extends"};

    for (size_t i = 0; r->old && i < sizeof(keys) / sizeof(*keys); i++) {
        const struct key *k = key_find(keys[i]);
        const char *old = policy_text_get(r->old, k);
        const char *now = r->now ? policy_text_get(r->now, k) : NULL;

        if ((old || now) && (!old || !now || strcmp(old, now) != 0)) {
            return true;
        }
    }
    return false;
}

/* Stores `r` unless it has nothing new: `now` is what is in force already, and
 * remains so. */
static int
store_difference(struct edit *e, struct admin_result *r,
                 const struct edit_old *old)
{
    bool same = r->old && r->now && policy_text_same(r->old, r->now);
    bool remains = false;
    int rc = same ? temporary_remains(e, r, old, &remains) : 0;

    if (rc || remains) {
        return rc;
    }
    e->grouped |= may_leave_group(r);
    r->did = !r->now ? ADMIN_DELETED : r->old ? ADMIN_CHANGED : ADMIN_CREATED;
    rc = temporary_set_end(e, r, old, same);
    if (rc) {
        return rc;
    }
    rc = temporary_find_stay(e, r, old);
    return rc ? rc : store_result(e, r, &r->after);
}

int
commit_replace(struct edit *e, const char *name, struct edit_old *old,
               struct policy_text *now)
{
    struct admin_result r = {
        .before = old->text ? old->version : 0,
        .after = old->version,
        .as = e->as ? e->as->version : 0,
        .old = old->text,
        .now = now,
    };
    int rc;

    snprintf(r.name, sizeof(r.name), "%s", name);
    old->text = NULL;
    rc = store_difference(e, &r, old);
    if (rc) {
        edit_free_texts(&r);
        return rc;
    }
    return edit_add_result(e, &r);
}

/* ---- the end ---- */

static int
check_all(struct edit *e)
{
    int rc;

    names_sort(&e->touched);
    rc = check_descendants(e);
    if (rc) {
        return rc;
    }
    rc = check_groups(e);
    if (rc == 0 && faults_any(e->faults)) {
        rc = failure_plain(BIDE_EINPUT);
    }
    return rc;
}

/* Tells every process, also of an earlier change that nobody announced. Without
 * a live file services see the change when they look at the registry next. */
static void
announce_change(struct edit *e, struct live *l)
{
    struct touched t = {(const char *const *)e->touched.list, e->touched.count};

    if (l) {
        e->results.woken =
            announce(l, e->a->past.reader,
                     announced(l) + 1 == writer_txn(e->writer) ? &t : NULL,
                     writer_txn(e->writer));
        if (e->grouped) {
            announce_groups(l, e->a->past.reader, &e->groups,
                            writer_txn(e->writer));
        }
    }
}

int
commit_end(struct edit *e, int rc, struct admin_results *out)
{
    if (rc == 0) {
        rc = check_all(e);
    }
    if (rc == 0 && !e->change->dry_run && e->touched.count) {
        /* First: after the commit, a failure could not be reported. */
        struct live *l = past_live(&e->a->past, true);

        past_record_until_now(&e->a->past);
        rc = edit_fail_store(e, writer_commit(e->writer));
        if (rc == 0) {
            announce_change(e, l);
        }
    } else if (rc == 0) {
        admin_repair(e->a);
    }
    edit_end(e);
    if (rc) {
        admin_results_free(&e->results);
    } else {
        *out = e->results;
    }
    return rc;
}
