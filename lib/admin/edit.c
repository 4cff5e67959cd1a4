#include "edit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/failure.h"
#include "store/policies/writer.h"
#include "inside.h"
#include "read.h"

/* ---- begin and end ---- */

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

void
edit_end(struct edit *e)
{
    assert(e->writer);
    assert(e->parent_count == 0); /* each compilation frees its own */
    writer_end(e->writer);
    names_clear(&e->touched);
    groups_free(&e->groups);
}

int
edit_fail_store(const struct edit *e, int rc)
{
    return failure_of_store(rc, e->a->past.dir, writer_why());
}

/* ---- results ---- */

void
edit_free_texts(const struct admin_result *r)
{
    policy_text_free(r->old);
    policy_text_free(r->now);
    policy_text_free(r->without);
}

void
admin_results_free(struct admin_results *r)
{
    while (r->count) {
        edit_free_texts(&r->list[--r->count]);
    }
    free(r->list);
    *r = (struct admin_results){0};
}

int
edit_add_result(struct edit *e, const struct admin_result *result)
{
    struct admin_results *r = &e->results;
    struct admin_result *longer =
        array_more(r->list, r->count, sizeof(*longer));

    if (!longer) {
        edit_free_texts(result);
        return failure_plain(BIDE_ENOMEM);
    }
    r->list = longer;
    r->list[r->count++] = *result;
    return 0;
}

/* ---- reading ---- */

int
edit_give_way(struct edit *e, uint64_t at_ns, struct record *r)
{
    while (r->until_ns && r->until_ns <= at_ns) {
        struct record ended = *r;
        int rc = ended.back_to < ended.version
                     ? writer_version(e->writer, ended.name, ended.back_to, r)
                     : BIDE_EDAMAGED;

        record_free(&ended);
        if (rc) {
            *r = (struct record){0};
            return rc == BIDE_ENOVERSION ? BIDE_EDAMAGED : rc;
        }
    }
    return 0;
}

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

/* Compares the version stored last, not the one in force: a temporary change
 * that has ended is a change all the same. */
static int
check_if_version(const struct edit *e, const struct record *newest)
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
edit_read_old(struct edit *e, const char *name, struct edit_old *out)
{
    struct edit_old old = {0};
    struct record r;
    int rc = writer_policy(e->writer, name, &r);

    if (rc) {
        return rc == BIDE_ENOPOLICY ? rc : edit_fail_store(e, rc);
    }
    old.newest = r.version;
    rc = check_if_version(e, &r);
    if (rc) {
        goto out;
    }
    rc = edit_give_way(e, e->now_ns, &r);
    if (rc) {
        return edit_fail_store(e, rc);
    }
    old.version = r.version;
    old.until_ns = r.until_ns;
    old.back_to = r.back_to;
    old.deleted = r.deleted;
    if (!r.deleted) {
        rc = admin_text(&r, &old.text);
    }
    if (rc == 0) {
        *out = old;
    }
out:
    record_free(&r);
    return rc;
}
