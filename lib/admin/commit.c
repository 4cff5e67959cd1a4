#include "steps.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/array.h"
#include "base/draft.h"
#include "base/failure.h"
#include "policy/policy.h"
#include "record/journal.h"
#include "record/past.h"
#include "registry/announce.h"
#include "store/policies/writer.h"
#include "change.h"
#include "inside.h"

/* ---- one policy ---- */

/* Stores the next version: the base, and the parts of layers.  With --for, the
 * base stays the one that its own version made. */
static int
store_parts(struct edit *e, const char *name, const struct edit_old *old,
            const struct edit_new *n, uint32_t *out_version)
{
    struct record_part parts[1 + RECORD_PARTS_MAX];
    struct record r = {
        .deleted = !n->base, .version = e->floor + 1, .parts = parts};
    char *text = n->base ? policy_text_write(n->base) : strdup("");
    int rc;

    if (!text) {
        return failure_plain(BIDE_ENOMEM);
    }
    parts[0] = (struct record_part){
        .when_ns = e->now_ns,
        .uid = e->change->uid,
        .who = e->change->who,
        .note = e->change->note ? e->change->note : "",
        .key = "",
        .value = text,
    };
    if (e->change->for_ns) {
        parts[0] = old->r.parts[0];
    }
    r.part_count = 1 + n->part_count; /* too many are refused below */
    for (size_t i = 0; i < n->part_count && i < RECORD_PARTS_MAX; i++) {
        parts[1 + i] = n->parts[i];
    }
    strcpy(r.name, name);
    rc = writer_put(e->writer, &r,
                    n->base ? policy_text_get(n->base, key_find("extends"))
                            : NULL);
    free(text);
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
    static const char *const keys[] = {"budget", "limit", "rate", "extends"};

    for (size_t i = 0; r->old && i < sizeof(keys) / sizeof(*keys); i++) {
        const struct key *k = key_find(keys[i]);

        if (!layers_same(policy_text_get(r->old, k),
                         r->now ? policy_text_get(r->now, k) : NULL)) {
            return true;
        }
    }
    return false;
}

static int
store_difference(struct edit *e, struct edit_old *old, struct edit_new *n,
                 struct admin_result *r)
{
    bool differs = layers_differ(old, n);
    int rc = 0;

    if (differs) {
        r->did = !n->base     ? ADMIN_DELETED
                 : !old->base ? ADMIN_CREATED
                              : ADMIN_CHANGED;
        rc = store_parts(e, r->name, old, n, &r->after);
    }
    rc = rc ? rc : layers_fill_result(e, old, n, r);
    e->grouped |= differs && may_leave_group(r);
    return rc;
}

static void
free_result(struct admin_result *r)
{
    policy_text_free(r->old != r->was ? r->old : NULL);
    policy_text_free(r->now != r->is ? r->now : NULL);
    policy_text_free(r->was);
    policy_text_free(r->is);
    free(r->covers);
    record_free(&r->before_it);
    record_free(&r->restored);
}

void
admin_results_free(struct admin_results *r)
{
    while (r->count) {
        free_result(&r->list[--r->count]);
    }
    free(r->list);
    *r = (struct admin_results){0};
}

int
commit_replace(struct edit *e, int rc, const char *name, struct edit_old *old,
               struct edit_new *n)
{
    struct admin_result r = {
        .before = old->base ? old->r.version : 0,
        .after = old->r.version,
        .as = e->as,
        .detached = e->detached && !e->change->for_ns,
    };

    snprintf(r.name, sizeof(r.name), "%s", name);
    rc = rc ? rc : store_difference(e, old, n, &r);
    edit_old_free(old);
    policy_text_free(n->base);
    free(n->parts);
    if (!rc && !array_put(&e->results.list, &e->results.count, &r, sizeof(r))) {
        rc = failure_plain(BIDE_ENOMEM);
    }
    if (rc) {
        free_result(&r);
    }
    return rc;
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

/* Writes the keys that changed: "attempts 4 -> 5, wait_max unset -> 2s". */
static void
write_keys(struct draft *to, const struct admin_result *r)
{
    for (size_t i = 0; r->old && r->now && i < policy_key_count; i++) {
        const char *name = policy_keys[i].name;
        const char *old = policy_text_get(r->old, &policy_keys[i]);
        const char *now = policy_text_get(r->now, &policy_keys[i]);

        if (!layers_same(old, now)) {
            draft_item(to, name);
            draft_print(to, " %s -> %s", old ? old : "unset",
                        now ? now : "unset");
        }
    }
}

static void
write_journal(const struct edit *e)
{
    static const char *const words[] = {"unchanged", "created", "changed",
                                        "deleted"};
    const struct admin_change *c = e->change;
    const char *note = c->note ? c->note : "";
    struct draft keys = {0};
    char version[16], message[1024];
    bool go_on = reader_journal(e->a->past.reader);

    for (size_t i = 0; i < e->results.count && go_on; i++) {
        const struct admin_result *r = &e->results.list[i];

        snprintf(version, sizeof(version), "%u", r->after);
        draft_clear(&keys);
        write_keys(&keys, r);
        snprintf(message, sizeof(message), "%s v%s %s by %s%s%s%s%s", r->name,
                 version, words[r->did], c->who, *note ? ": " : "", note,
                 keys.used ? "; " : "", keys.used ? keys.bytes : "");
        go_on =
            r->did == ADMIN_UNCHANGED ||
            journal_write(
                JOURNAL_CHANGE, LOG_NOTICE, message,
                JOURNAL_FIELDS("BIDE_POLICY", r->name, "BIDE_VERSION", version,
                               "BIDE_CHANGE", words[r->did], "BIDE_KEYS",
                               keys.used ? keys.bytes : "", "BIDE_AUTHOR",
                               c->who, "BIDE_NOTE", note, "BIDE_COMMAND",
                               c->command, "BIDE_REGISTRY", e->a->past.dir));
    }
    draft_free(&keys);
}

/* Tells every process, also of an earlier change that nobody announced. Without
 * a live file services see the change when they look at the registry next. */
static void
announce_change(struct edit *e, struct live *l)
{
    struct reader *r = e->a->past.reader;
    uint64_t txn = writer_txn(e->writer);

    if (l) {
        e->results.woken =
            announce(l, r, announced(l) + 1 == txn ? &e->touched : NULL, txn);
        if (e->grouped) {
            announce_groups(l, r, &e->groups, txn);
        }
    }
}

int
commit_end(struct edit *e, int rc, struct admin_results *out)
{
    rc = rc ? rc : check_all(e);
    if (rc == 0 && !e->change->dry_run && (e->touched.count || e->mirror)) {
        /* First: after the commit, a failure could not be reported. */
        struct live *l = past_live_shared(&e->a->past, true);

        past_record_until_now(&e->a->past);
        if (l && announce_is_older(l, e->a->past.reader)) {
            live_raise(&live_header(l)->newest_txn, UINT64_MAX);
        }
        rc = edit_fail_store(e, writer_commit(e->writer));
        if (rc == 0) {
            announce_change(e, l);
            write_journal(e);
        }
    } else if (rc == 0 && past_live_shared(&e->a->past, false)) {
        announce_repair(e->a->past.live, e->a->past.reader);
    }
    assert(e->parents.count == 0); /* each compilation frees its own */
    writer_end(e->writer);
    names_clear(&e->touched);
    groups_free(&e->groups);
    if (rc) {
        admin_results_free(&e->results);
    } else {
        *out = e->results;
    }
    return rc;
}
