/* Checks history.mdb. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <bide.h>
#include "admin/open.h"
#include "admin/read.h"
#include "base/duration.h"
#include "base/paths.h"
#include "record/past.h"
#include "store/history/history.h"
#include "store/history/history_form.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "store/policies/record.h"
#include "doctor.h"
#include "inside.h"

static void
find_put_back(struct doctor *d, uint64_t what)
{
    char words[ALARM_WORDS];

    history_anew_words(what, words);
    doctor_find(d, FINDING_PUT_BACK, NULL, words);
}

/* Finds older files that were put back, and versions whose counts are added up
 * because marks of the live file are lost. */
static void
find_older_files(struct doctor *d)
{
    struct past *p = admin_past(d->admin);
    struct live *l = past_live(p, false);
    struct history_changes c = d->out->known.changes;
    struct history_range none = {NULL, UINT64_MAX, UINT64_MAX, false};
    struct history_known known = {.joined = 0};

    if (past_compare(p, &c) == 1) {
        find_put_back(d, ANEW_OLD_REGISTRY);
    }
    past_each_interval(p, &none, NULL, NULL, NULL, &known);
    if (known.stale) {
        find_put_back(d, ANEW_OLD_HISTORY);
    }
    if (l && !known.put_back && live_put_back(l, false)) {
        find_put_back(d, ANEW_PUT_BACK);
    }
    known.joined += l ? atomic_load(&live_header(l)->marks_refused) : 0;
    doctor_find_count(d, FINDING_MARKS_REFUSED, known.joined);
}

static void
judge_recording(struct doctor *d)
{
    const struct history_known *k = &d->out->known;
    struct past *p = admin_past(d->admin);
    uint64_t age_ns;

    if (k->last_ns == 0) {
        doctor_find(d, FINDING_HISTORY_NONE, NULL, NULL);
    } else if (k->last_ns > past_now_ns(p) + 60 * SECOND_NS) {
        doctor_find(d, FINDING_HISTORY_IN_FUTURE, NULL, NULL);
    } else if (past_has_stopped(p, k, &age_ns)) {
        doctor_find(d, FINDING_HISTORY_STOPPED, NULL, NULL)->age_ns = age_ns;
    } else if (!k->every_ns && age_ns > 600 * SECOND_NS) {
        doctor_find(d, FINDING_HISTORY_ONCE, NULL, NULL)->age_ns = age_ns;
    }
}

/* Finds a clock that was set and a live state that was removed. */
static void
judge_line(struct doctor *d)
{
    struct past *p = admin_past(d->admin);
    struct history_known k;
    uint64_t now;
    char words[ALARM_WORDS];

    if (past_known(p, &k)) {
        return; /* found before */
    }
    now = past_now_ns(p);
    if (k.jump_ns) {
        snprintf(words, sizeof(words), "%s by %s",
                 k.jump_ns > 0 ? "forward" : "back",
                 duration_round((uint64_t)llabs(k.jump_ns)).text);
        doctor_find(d, FINDING_HISTORY_CLOCK, NULL, words);
    }
    if (k.anew_ns && !k.stale && k.anew_ns <= now && now - k.anew_ns < DAY_NS) {
        history_anew_words(k.anew_lost_ns, words);
        doctor_find(d, FINDING_HISTORY_ANEW, NULL, words)->age_ns =
            now - k.anew_ns;
    }
}

static void
judge_history(struct doctor *d)
{
    const struct doctor_report *r = d->out;

    if (r->history.damaged || r->known.state_lost) {
        doctor_find(d, FINDING_HISTORY_RECORDS_DAMAGED,
                    doctor_file(d, PATH_HISTORY_CHECKED), NULL)
            ->count = r->history.damaged ? r->history.damaged : 1;
    }
    doctor_find_count(d, FINDING_HISTORY_RECORDS_LOST, r->known.unreadable);
    doctor_find_count(d, FINDING_HISTORY_INTERVALS_LOST, r->known.lost);
    /* Freed pages stay in the file. */
    if (r->known.bytes > r->keep_bytes + r->keep_bytes / 4) {
        doctor_find(d, FINDING_HISTORY_TOO_LARGE, NULL, NULL)->bytes =
            r->known.bytes;
    }
    if (d->admin) { /* they need the line of its minutes */
        judge_recording(d);
        judge_line(d);
    }
}

void
doctor_history(struct doctor *d)
{
    struct history *h = NULL;
    struct pages *p = NULL;
    enum finding_id id;
    struct stat st;
    int rc = pages_open(doctor_file(d, PATH_HISTORY), &p);

    rc = rc ? rc : history_open(d->out->dir, &h);
    if (rc == 0 && d->admin) {
        rc = history_belongs(h, reader_id(admin_past(d->admin)->reader));
    }
    rc = rc ? rc : history_known(h, &d->out->known);
    rc = rc ? rc : history_survey(p, &d->out->history);
    if (rc == 0) {
        d->out->has_history = true;
        judge_history(d);
    } else {
        id = rc == BIDE_EMISSING    ? history_was_made(d->out->dir)
                                          ? FINDING_HISTORY_REMOVED
                                          : FINDING_HISTORY_NONE
             : rc == BIDE_EFORMAT   ? pages_newer() ? FINDING_HISTORY_NEWER
                                                    : FINDING_HISTORY_FOREIGN
             : rc == BIDE_ENOPOLICY ? FINDING_HISTORY_BROKEN /* another file */
             : rc != BIDE_EDAMAGED  ? FINDING_HISTORY_UNREADABLE
             : p ? FINDING_HISTORY_DAMAGED /* the readable can be kept */
                 : FINDING_HISTORY_BROKEN;
        doctor_find(d, id,
                    doctor_file(d, id == FINDING_HISTORY_DAMAGED
                                       ? PATH_HISTORY_CHECKED
                                       : PATH_HISTORY),
                    pages_why())
            ->rc = rc;
    }
    history_close(h);
    pages_close(p);
    if (stat(doctor_file(d, PATH_HISTORY ".damaged"), &st) == 0 &&
        S_ISREG(st.st_mode)) {
        doctor_find(d, FINDING_HISTORY_OLD_FILE, d->file, NULL)->bytes =
            (uint64_t)st.st_size;
    }
    if (d->admin) {
        find_older_files(d);
    }
}
