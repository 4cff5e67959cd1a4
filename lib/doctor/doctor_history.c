/* Checks history.mdb. */

#include <sys/stat.h>

#include <bide.h>
#include "base/clock.h"
#include "store/history/history.h"
#include "store/history/history_form.h"
#include "store/pages/pages.h"
#include "doctor.h"
#include "inside.h"

#define SECOND_NS UINT64_C(1000000000)

static void
judge_recording(struct doctor *d)
{
    uint64_t last = d->out->known.last_ns, now = clock_realtime_ns();
    uint64_t most = 2 * d->out->known.every_ns + 60 * SECOND_NS;

    most = most > 600 * SECOND_NS ? most : 600 * SECOND_NS;

    if (last > now + 60 * SECOND_NS) {
        doctor_find(d, FINDING_HISTORY_IN_FUTURE);
    } else if (now > last && now - last > most) {
        doctor_find(d, FINDING_HISTORY_STOPPED)->age_ns = now - last;
    }
}

static void
judge_history(struct doctor *d)
{
    const struct doctor_report *r = d->out;

    doctor_find_count(d, FINDING_HISTORY_RECORDS_DAMAGED, r->history.damaged);
    if (r->known.state_lost) {
        doctor_find(d, FINDING_HISTORY_TOTALS_LOST);
    }
    doctor_find_count(d, FINDING_HISTORY_RECORDS_LOST, r->known.unreadable);
    doctor_find_count(d, FINDING_HISTORY_INTERVALS_LOST, r->known.lost);
    /* Freed pages stay in the file. */
    if (r->known.bytes > r->keep_bytes + r->keep_bytes / 4) {
        doctor_find(d, FINDING_HISTORY_TOO_LARGE)->bytes = r->known.bytes;
    }
    judge_recording(d);
}

void
doctor_history(struct doctor *d)
{
    struct history *h = NULL;
    char path[512];
    struct stat st;
    int rc = history_open(d->out->dir, &h);

    if (rc == 0) {
        rc = history_known(h, &d->out->known);
    }
    if (rc == 0) {
        rc = history_survey(h, &d->out->history);
    }
    history_close(h);
    if (rc == BIDE_EMISSING) {
        doctor_find(d, FINDING_HISTORY_NONE);
    } else if (rc) {
        doctor_find_reason(d,
                           rc == BIDE_EDAMAGED ? FINDING_HISTORY_DAMAGED
                                               : FINDING_HISTORY_UNREADABLE,
                           rc, pages_why());
    } else {
        d->out->has_history = true;
        judge_history(d);
    }
    if (doctor_path(d, HISTORY_DAMAGED, path, sizeof(path)) &&
        stat(path, &st) == 0) {
        doctor_find_path(d, FINDING_HISTORY_OLD_FILE, path)->bytes =
            (uint64_t)st.st_size;
    }
}
