/* A change: read, edit, check, commit, tell.  All of it or nothing. */
#include "edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failure.h"
#include "record/past.h"
#include "registry/announce.h"
#include "store/policies/writer.h"
#include "inside.h"
#include "read.h"

int
edit_no_memory(void)
{
    return failure_plain(BIDE_ENOMEM);
}

/* ---- results ---- */

static void
free_texts(const struct admin_result *r)
{
    policy_text_free(r->old);
    policy_text_free(r->now);
    policy_text_free(r->without);
}

void
admin_results_free(struct admin_results *r)
{
    while (r->count) {
        free_texts(&r->list[--r->count]);
    }
    free(r->list);
    *r = (struct admin_results){0};
}

/* Takes the texts over, also when it fails. */
static int
add_result(struct edit *e, const struct admin_result *result)
{
    struct admin_results *r = &e->results;
    struct admin_result *longer = r->list;

    if ((r->count & (r->count - 1)) == 0) {
        longer =
            realloc(r->list, (r->count ? r->count * 2 : 1) * sizeof(*longer));
    }
    if (!longer) {
        free_texts(result);
        return edit_no_memory();
    }
    r->list = longer;
    r->list[r->count++] = *result;
    return 0;
}

/* ---- one policy ---- */

int
edit_fail_store(const struct edit *e, int rc)
{
    return failure_of_store(rc, e->a->past.dir, writer_why());
}

/* As stored, and what holds now of it, where that differs. */
int
edit_in_force(struct edit *e, const char *name, struct record *out,
              uint32_t *out_newest)
{
    int rc = writer_policy(e->writer, name, out);

    if (rc) {
        return rc;
    }
    *out_newest = out->version;
    return edit_give_way(e, e->now_ns, out);
}

static int
check_version(const struct edit *e, const struct record *newest)
{
    struct failure *f;

    if (!e->change->if_version || e->change->if_version == newest->version) {
        return 0;
    }
    f = failure_begin(FAILURE_VERSION, BIDE_EVERSION, newest->name);
    f->wanted = e->change->if_version;
    f->version = newest->version;
    f->when_ns = newest->when_ns;
    snprintf(f->who, sizeof(f->who), "%s", newest->who);
    return f->rc;
}

int
edit_before(struct edit *e, const char *name, struct before *out)
{
    struct record r;
    struct before b = {0};
    int rc = writer_policy(e->writer, name, &r);

    if (rc) {
        return rc == BIDE_ENOPOLICY ? rc : edit_fail_store(e, rc);
    }
    b.newest = r.version;
    rc = check_version(e, &r);
    if (rc) {
        record_free(&r);
        return rc;
    }
    rc = edit_give_way(e, e->now_ns, &r);
    if (rc) {
        return edit_fail_store(e, rc);
    }
    b.version = r.version;
    b.until_ns = r.until_ns;
    b.back_to = r.back_to;
    b.deleted = r.deleted;
    if (!r.deleted) {
        rc = admin_text(&r, &b.text);
    }
    record_free(&r);
    if (rc == 0) {
        *out = b;
    }
    return rc;
}

static const struct key *
extends_key(void)
{
    return key_find("extends");
}

static int
store(struct edit *e, const struct admin_result *result, uint32_t *out_version)
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
    const char *parent = now ? policy_text_get(now, extends_key()) : NULL;
    int rc;

    strcpy(r.name, result->name);
    r.text = now ? policy_text_write(now) : strdup("");
    if (!r.text) {
        return edit_no_memory();
    }
    rc = writer_put(e->writer, &r, parent);
    free(r.text);
    if (rc) {
        return edit_fail_store(e, rc);
    }
    *out_version = r.version;
    return names_put(&e->touched, r.name);
}

int
edit_replace(struct edit *e, const char *name, struct before *b,
             struct policy_text *now)
{
    struct admin_result r = {
        .before = b->text ? b->version : 0,
        .after = b->version,
        .as = e->as ? e->as->version : 0,
        .old = b->text,
        .now = now,
    };
    bool same = r.old && now && policy_text_same(r.old, now);
    bool remains = false;
    int rc = 0;

    snprintf(r.name, sizeof(r.name), "%s", name);
    b->text = NULL;
    if (same) {
        rc = edit_remains(e, &r, b, &remains);
    }
    if (rc == 0 && remains) {
        return add_result(e, &r);
    }
    r.did = !now ? ADMIN_DELETED : r.old ? ADMIN_CHANGED : ADMIN_CREATED;
    if (rc == 0) {
        rc = edit_end(e, &r, b, same);
    }
    if (rc == 0) {
        rc = edit_stay(e, &r, b);
    }
    if (rc == 0) {
        rc = store(e, &r, &r.after);
    }
    if (rc) {
        free_texts(&r);
        return rc;
    }
    return add_result(e, &r);
}

/* ---- the whole ---- */

int
edit_begin(struct edit *e, struct admin *a, const struct admin_change *change,
           struct faults *faults)
{
    int rc;

    *e = (struct edit){
        .a = a,
        .change = change,
        .faults = faults,
        .now_ns = clock_realtime_ns(),
    };
    rc =
        writer_begin(a->past.dir, change->command, change->wait_ms, &e->writer);
    return edit_fail_store(e, rc);
}

static void
tell(struct edit *e)
{
    struct live *l = past_live(&e->a->past, true);
    struct touched t = {(const char *const *)e->touched.list, e->touched.count};

    /* Without it services see the change at their next look. */
    if (l) {
        e->results.woken =
            announce(l, e->a->past.reader, &t, writer_txn(e->writer));
    }
}

int
edit_finish(struct edit *e, int rc, struct admin_results *out)
{
    if (rc == 0) {
        names_sort(&e->touched);
        rc = edit_check_descendants(e);
    }
    if (rc == 0) {
        rc = edit_check_groups(e);
    }
    if (rc == 0 && faults_any(e->faults)) {
        rc = failure_plain(BIDE_EINPUT);
    }
    if (rc == 0 && !e->change->dry_run && e->touched.count) {
        past_record_until_now(&e->a->past);
        rc = edit_fail_store(e, writer_commit(e->writer));
        if (rc == 0) {
            tell(e);
        }
    }
    writer_end(e->writer);
    names_clear(&e->touched);
    if (rc) {
        admin_results_free(&e->results);
    } else {
        *out = e->results;
    }
    return rc;
}
