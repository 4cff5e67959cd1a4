/* Checks deferred.mdb. */

#include <bide.h>
#include "base/clock.h"
#include "store/pages/pages.h"
#include "store/queue/queue.h"
#include "doctor.h"
#include "inside.h"

#define SECOND_NS UINT64_C(1000000000)

void
doctor_deferred(struct doctor *d)
{
    struct deferred_survey *s = &d->out->deferred;
    uint64_t now = clock_realtime_ns();
    int rc = deferred_survey(d->out->dir, s);

    if (rc == BIDE_EMISSING) {
        doctor_find(d, FINDING_DEFERRED_NONE);
        return;
    }
    if (rc) {
        struct doctor_finding *f = doctor_find_reason(
            d,
            rc == BIDE_EDAMAGED ? FINDING_DEFERRED_DAMAGED
                                : FINDING_DEFERRED_UNREADABLE,
            rc, pages_why());

        doctor_path(d, "deferred.mdb", f->path, sizeof(f->path));
        return;
    }
    d->out->has_deferred = true;
    doctor_find_count(d, FINDING_DEFERRED_RECORDS_DAMAGED, s->damaged);
    doctor_find_count(d, FINDING_DEFERRED_DEAD, s->dead);
    if (s->due_ns && now > s->due_ns && now - s->due_ns > 3600 * SECOND_NS) {
        doctor_find(d, FINDING_DEFERRED_OVERDUE)->age_ns = now - s->due_ns;
    }
}
