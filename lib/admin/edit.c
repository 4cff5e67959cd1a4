#include "edit.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failure.h"
#include "base/paths.h"
#include "store/policies/writer.h"
#include "inside.h"
#include "read.h"

/* A change of a registry that a restore is about to replace would be lost. */
static int
refuse_undecided(const char *dir)
{
    const struct file_path path = path_of(dir, PATH_RESTORED);

    return access(path.text, F_OK) ? 0
                                   : place_say(BIDE_ESYS,
                                               "%s: a restore was interrupted\n"
                                               "bide init finishes it",
                                               path.text);
}

int
edit_begin(struct edit *e, struct admin *a, const struct admin_change *change,
           struct faults *faults)
{
    struct history_known known = {.last_ns = 0};
    int rc;

    *e = (struct edit){
        .a = a,
        .change = change,
        .faults = faults,
        .now_ns = clock_realtime_ns(),
    };
    e->at_ns = e->now_ns;
    rc =
        writer_begin(a->past.dir, change->command, change->wait_ms, &e->writer);
    rc = rc ? rc : refuse_undecided(a->past.dir);
    e->results.txn = rc ? 0 : writer_txn(e->writer);
    if (change->if_txn && !rc && change->if_txn != e->results.txn) {
        return failure_at(FAILURE_STORE, BIDE_EVERSION, "",
                          "policies were changed since this preview: nothing "
                          "was changed\nsee: bide log --most 5");
    }
    past_known(&a->past, &known);
    past_compare(&a->past, &known.changes);
    e->floor = known.changes.floor;
    return edit_fail_store(e, rc);
}

int
edit_fail_store(const struct edit *e, int rc)
{
    return failure_of_store(rc, e->a->past.dir, place_why());
}

/* ---- reading ---- */

void
edit_settle(struct edit *e, struct record *r)
{
    record_settle(r, e->at_ns);
    if (r->until_ns && r->until_ns < e->next_ns) {
        e->next_ns = r->until_ns;
    }
}

int
edit_in_force(struct edit *e, const char *name, struct record *out)
{
    int rc = writer_policy(e->writer, name, out);

    if (rc == 0) {
        edit_settle(e, out);
    }
    return rc;
}

static int
check_if_version(const struct edit *e, const struct record *r)
{
    struct failure *f;

    if (!e->change->if_version || e->change->if_version == r->version) {
        return 0;
    }
    f = failure_begin(FAILURE_VERSION, BIDE_EVERSION, r->name);
    f->wanted = e->change->if_version;
    f->version = r->version;
    f->when_ns = r->when_ns;
    snprintf(f->who, sizeof(f->who), "%s", author_write(r->who, r->uid).text);
    return f->rc;
}

int
edit_read_old(struct edit *e, const char *name, struct edit_old *out)
{
    int rc = writer_policy(e->writer, name, &out->r);

    if (rc) {
        return rc == BIDE_ENOPOLICY ? rc : edit_fail_store(e, rc);
    }
    record_settle(&out->r, e->now_ns);
    rc = check_if_version(e, &out->r);
    if (rc == 0 && !out->r.deleted) {
        rc = admin_base(&out->r, &out->base);
        rc = rc ? rc : admin_text(&out->r, &out->text);
    }
    return rc;
}

void
edit_old_free(struct edit_old *old)
{
    policy_text_free(old->base);
    policy_text_free(old->text);
    record_free(&old->r);
    *old = (struct edit_old){0};
}
