/* Checks deferred.mdb. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/open.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/paths.h"
#include "policy/policy.h"
#include "policy/rules.h"
#include "record/past.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "store/queue/queue.h"
#include "doctor.h"
#include "inside.h"

/* Returns defer_max of a policy; 0: no limit, or it is not defined. */
static uint32_t
read_defer_max(struct doctor *d, const char *name)
{
    uint32_t max = 0;
    struct policy *p;
    struct record r;

    if (admin_policy(d->admin, name, &r)) {
        return 0;
    }
    if (!admin_compile(d->admin, &r, NULL, &p)) {
        max = p->defer.max;
    }
    policy_free(p);
    record_free(&r);
    return max;
}

static void
check_limits(struct doctor *d, const struct deferred_survey *s)
{
    for (size_t i = 0; d->admin && i < s->held_count; i++) {
        const struct deferred_held *h = &s->held[i];
        uint32_t max = read_defer_max(d, h->policy);

        if (max && h->pieces >= max) {
            struct doctor_finding *f =
                doctor_find(d, FINDING_DEFERRED_FULL, NULL, NULL);

            strcpy(f->name, h->policy);
            f->count = h->pieces;
            f->version = max > UINT32_MAX / 2 ? max : 2 * max;
        }
    }
}

/* Names the damaged pieces, as many as fit. */
static void
find_damaged_pieces(struct doctor *d, const struct deferred_survey *s)
{
    struct doctor_finding *f;
    size_t used = 0;

    if (s->damaged_pieces == 0) {
        return;
    }
    f = doctor_find(d, FINDING_DEFERRED_PIECES_DAMAGED, NULL, NULL);
    f->count = s->damaged_pieces;
    for (size_t i = 0; i < s->damaged_pieces && i < DEFERRED_NAMED; i++) {
        used += (size_t)snprintf(f->words + used, sizeof(f->words) - used,
                                 "%s%llu", i ? " " : "",
                                 (unsigned long long)s->damaged_id[i]);
    }
}

/* The advice on a file that was moved away: if there is none in its place, and
 * if there is a newer one. */
static const char put_back[] =
    "if the file was moved away, put it back with mv -n instead";
static const char keep_newer[] =
    "keep the files that are there; if an older one was moved away, move it "
    "into deferred/ of a new directory with a copy of policies/, and do its "
    "work there with bide --dir";

static void
judge_queue(struct doctor *d, const struct deferred_survey *s)
{
    uint64_t now = clock_realtime_ns(), mine = s->registry;

    if (d->admin) {
        memcpy(&mine, reader_id(admin_past(d->admin)->reader), sizeof(mine));
    }
    if (s->registry && mine != s->registry) {
        doctor_find(d, FINDING_DEFERRED_FOREIGN, NULL, NULL);
    }
    if (s->lost.pieces || s->lost.when_ns || s->journal_gone) {
        doctor_find(d,
                    s->lost.pieces    ? FINDING_DEFERRED_LOST
                    : s->journal_gone ? FINDING_DEFERRED_JOURNAL_GONE
                                      : FINDING_DEFERRED_ANEW,
                    NULL, s->journal_missing ? put_back : keep_newer)
            ->count = s->lost.pieces;
    }
    doctor_find_count(d, FINDING_DEFERRED_UNLISTED, s->unlisted);
    doctor_find_count(d, FINDING_DEFERRED_RECORDS_DAMAGED, s->damaged);
    find_damaged_pieces(d, s);
    doctor_find_count(d, FINDING_DEFERRED_DEAD, s->dead);
    check_limits(d, s);
    if (s->due_ns && now > s->due_ns && now - s->due_ns > 3600 * SECOND_NS) {
        doctor_find(d, FINDING_DEFERRED_OVERDUE, NULL, NULL)->age_ns =
            now - s->due_ns;
    }
}

void
doctor_deferred(struct doctor *d)
{
    struct deferred_survey *s = &d->out->deferred;
    int rc = deferred_survey(d->out->dir, s);
    struct doctor_finding *f;

    if (!access(doctor_file(d, PATH_RESTORED "/" PATH_DEFERRED_JOURNAL),
                F_OK)) { /* RESTORE_CUT: its files are of two queues */
        d->out->has_deferred = rc == 0;
        return;
    }

    if (rc == 0) {
        d->out->has_deferred = true;
        judge_queue(d, s);
        return;
    }
    f = doctor_find(
        d,
        rc == BIDE_EMISSING
            ? s->lost.pieces ? FINDING_DEFERRED_REMOVED : FINDING_DEFERRED_ANEW
        : rc == BIDE_EDAMAGED ? FINDING_DEFERRED_DAMAGED
        : rc == BIDE_EFORMAT
            ? pages_newer() ? FINDING_DEFERRED_NEWER : FINDING_DEFERRED_FORMAT
            : FINDING_DEFERRED_UNREADABLE,
        doctor_file(d, PATH_DEFERRED),
        rc == BIDE_EMISSING  ? put_back
        : *pages_why()       ? pages_why()
        : rc == BIDE_EFORMAT ? "it is another file, without a queue"
                             : NULL);
    f->rc = rc;
    f->count = s->lost.pieces;
}
