/* Checks history.mdb. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <bide.h>
#include "admin/open.h"
#include "base/duration.h"
#include "record/past.h"
#include "store/history/history.h"
#include "store/history/history_form.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "doctor.h"
#include "inside.h"

#define SECOND_NS UINT64_C(1000000000)

/* Adds a finding about a file of the registry, with the reason of pages_why. */
static struct doctor_finding *
find_file(struct doctor *d, enum finding_id id, const char *name)
{
    struct doctor_finding *f = doctor_find_reason(d, id, 0, pages_why());

    doctor_path(d, name, f->path, sizeof(f->path));
    return f;
}

static void
judge_recording(struct doctor *d)
{
    uint64_t last = d->out->known.last_ns;
    uint64_t now = past_now_ns(admin_past(d->admin));
    uint64_t most = 2 * d->out->known.every_ns + 60 * SECOND_NS;

    most = most > 600 * SECOND_NS ? most : 600 * SECOND_NS;

    if (last > now + 60 * SECOND_NS) {
        doctor_find(d, FINDING_HISTORY_IN_FUTURE);
    } else if (now > last && now - last > most) {
        doctor_find(d, FINDING_HISTORY_STOPPED)->age_ns = now - last;
    }
}

/* Finds a clock that was set and a live state that was removed. */
static void
judge_line(struct doctor *d)
{
    struct past *p = admin_past(d->admin);
    struct live *l = past_live(p, false);
    uint64_t now = past_now_ns(p);
    struct past_known k;
    char by[32], words[48];

    if (l) {
        doctor_find_count(d, FINDING_MARKS_REFUSED,
                          atomic_load(&live_header(l)->marks_refused));
    }
    if (past_known(p, &k)) {
        return; /* found before */
    }
    if (k.jump_ns) {
        duration_round((uint64_t)llabs(k.jump_ns), by, sizeof(by));
        snprintf(words, sizeof(words), "%s by %s",
                 k.jump_ns > 0 ? "forward" : "back", by);
        doctor_find_reason(d, FINDING_HISTORY_CLOCK, 0, words);
    }
    if (k.anew_ns && k.anew_ns <= now && now - k.anew_ns < DAY_NS) {
        duration_round(k.anew_lost_ns, by, sizeof(by));
        doctor_find_reason(d, FINDING_HISTORY_ANEW, 0, by)->age_ns =
            now - k.anew_ns;
    }
}

static void
judge_history(struct doctor *d)
{
    const struct doctor_report *r = d->out;

    if (r->history.damaged || r->known.state_lost) {
        find_file(d, FINDING_HISTORY_RECORDS_DAMAGED, HISTORY_CHECKED)->count =
            r->history.damaged ? r->history.damaged : 1;
    }
    doctor_find_count(d, FINDING_HISTORY_RECORDS_LOST, r->known.unreadable);
    doctor_find_count(d, FINDING_HISTORY_INTERVALS_LOST, r->known.lost);
    /* Freed pages stay in the file. */
    if (r->known.bytes > r->keep_bytes + r->keep_bytes / 4) {
        doctor_find(d, FINDING_HISTORY_TOO_LARGE)->bytes = r->known.bytes;
    }
    judge_recording(d);
    judge_line(d);
}

void
doctor_history(struct doctor *d)
{
    struct history *h = NULL;
    struct pages *p = NULL;
    char path[512];
    struct stat st;
    int rc = doctor_path(d, HISTORY_FILE, path, sizeof(path))
                 ? pages_open(path, &p)
                 : BIDE_EMISSING;

    rc = rc ? rc : history_open(d->out->dir, &h);
    if (rc == 0 && d->admin) {
        rc = history_belongs(h, reader_id(admin_past(d->admin)->reader));
    }
    rc = rc ? rc : history_known(h, &d->out->known);
    rc = rc ? rc : history_survey(p, &d->out->history);
    if (rc == 0) {
        d->out->has_history = true;
        judge_history(d);
    } else if (rc == BIDE_EMISSING) {
        doctor_find(d, FINDING_HISTORY_NONE);
    } else if (rc == BIDE_EFORMAT) {
        find_file(d, FINDING_HISTORY_FOREIGN, HISTORY_FILE);
    } else if (rc != BIDE_EDAMAGED) {
        find_file(d, FINDING_HISTORY_UNREADABLE, HISTORY_FILE)->rc = rc;
    } else if (p) { /* a recorder can keep what is readable */
        find_file(d, FINDING_HISTORY_DAMAGED, HISTORY_CHECKED);
    } else {
        find_file(d, FINDING_HISTORY_BROKEN, HISTORY_FILE);
    }
    history_close(h);
    pages_close(p);
    if (doctor_path(d, HISTORY_DAMAGED, path, sizeof(path)) &&
        stat(path, &st) == 0) {
        doctor_find_path(d, FINDING_HISTORY_OLD_FILE, path)->bytes =
            (uint64_t)st.st_size;
    }
}
