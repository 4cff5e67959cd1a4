/* The other files: history, deferred work, rights, and space. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <bide.h>
#include "base/clock.h"
#include "base/duration.h"
#include "store/history/history.h"
#include "store/history/history_form.h"
#include "store/pages/pages.h"
#include "store/queue/queue.h"
#include "doctor.h"
#include "doctor_inside.h"

#define SECOND_NS UINT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)

/* ---- history.mdb ---- */

#define KEEP_RECORDING "bide record --every 1m, as bide-record.service does"

static void
judge_recording(struct doctor *d)
{
    uint64_t last = d->out->known.last_ns, now = clock_realtime_ns();
    char text[32];

    if (last > now + 60 * SECOND_NS) {
        doctor_find(d, DOCTOR_NOTE, "history", "is the clock right?",
                    "its last recording is of a time to come");
    } else if (now > last && now - last > 600 * SECOND_NS) {
        doctor_find(d, DOCTOR_WRONG, "history", KEEP_RECORDING,
                    "nobody has recorded for %s: what is counted meanwhile is "
                    "one interval",
                    duration_round(now - last, text, sizeof(text)));
    }
}

static void
judge_history(struct doctor *d)
{
    const struct doctor_report *r = d->out;

    if (r->history.damaged) {
        doctor_find(d, DOCTOR_WRONG, "history",
                    "they are passed over, and what was in them is lost; to be "
                    "rid of them, move history.mdb away: it begins anew",
                    "%llu records or pages are damaged",
                    (unsigned long long)r->history.damaged);
    }
    if (r->known.state_lost) {
        doctor_find(d, DOCTOR_WRONG, "history", "bide record goes on from now",
                    "it does not know any more what was recorded last");
    }
    if (r->known.unreadable) {
        doctor_find(d, DOCTOR_NOTE, "history", NULL,
                    "it was damaged once: %llu records and pages were lost",
                    (unsigned long long)r->known.unreadable);
    }
    if (r->known.lost) {
        doctor_find(d, DOCTOR_NOTE, "history", NULL,
                    "%llu intervals were left out: it was not known what was "
                    "recorded of a policy or scope before",
                    (unsigned long long)r->known.lost);
    }
    /* Pages that are given back stay in the file. */
    if (r->known.bytes > r->keep_bytes + r->keep_bytes / 4) {
        doctor_find(d, DOCTOR_NOTE, "history",
                    "nothing, if recorders have another --keep-size: give it "
                    "here too",
                    "the file is larger than what is to be kept");
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
        doctor_find(d, DOCTOR_NOTE, "history", KEEP_RECORDING,
                    "nothing was recorded yet: there are counts, and no past");
    } else if (rc) {
        doctor_find(d, DOCTOR_WRONG, "history",
                    rc == BIDE_EDAMAGED
                        ? "bide record keeps what can be read, and goes on"
                        : NULL,
                    "history.mdb: %s",
                    *pages_why() ? pages_why() : bide_strerror(rc));
    } else {
        d->out->has_history = true;
        judge_history(d);
    }
    if (doctor_path(d, HISTORY_DAMAGED, path, sizeof(path)) &&
        stat(path, &st) == 0) {
        doctor_find(d, DOCTOR_NOTE, "history",
                    "remove it when nobody wants to look into it",
                    "%s is kept from when it was damaged, %.1f MiB", path,
                    (double)st.st_size / (double)MIB);
    }
}

/* ---- deferred.mdb ---- */

void
doctor_deferred(struct doctor *d)
{
    struct deferred_survey *s = &d->out->deferred;
    uint64_t now = clock_realtime_ns();
    int rc = deferred_survey(d->out->dir, s);
    char text[32];

    if (rc == BIDE_EMISSING) {
        doctor_find(
            d, DOCTOR_NOTE, "deferred", NULL,
            "deferred.mdb is missing: it is made when work is deferred");
        return;
    }
    if (rc) {
        doctor_find(d, DOCTOR_WRONG, "deferred",
                    rc == BIDE_EDAMAGED
                        ? "bide deferred list repairs what it can; else move "
                          "it away: work in it is not done"
                        : NULL,
                    "deferred.mdb: %s",
                    *pages_why() ? pages_why() : bide_strerror(rc));
        return;
    }
    d->out->has_deferred = true;
    if (s->damaged) {
        doctor_find(d, DOCTOR_WRONG, "deferred",
                    "bide deferred list --dead, bide deferred drop ID",
                    "%llu records are damaged", (unsigned long long)s->damaged);
    }
    if (s->dead) {
        doctor_find(d, DOCTOR_WRONG, "deferred",
                    "bide deferred list --dead; bide deferred requeue, or drop",
                    "%llu %s not tried any more", (unsigned long long)s->dead,
                    s->dead > 1 ? "pieces are" : "piece is");
    }
    if (s->due_ns && now > s->due_ns && now - s->due_ns > 3600 * SECOND_NS) {
        doctor_find(d, DOCTOR_WRONG, "deferred",
                    "does anybody do it? bide deferred replay, or work",
                    "work has been due for %s",
                    duration_round(now - s->due_ns, text, sizeof(text)));
    }
}

/* ---- rights ---- */

static const struct {
    const char *name; /* "": the directory itself; NULL: the live file */
    mode_t never;
    const char *change;
    const char *why;
} rights[] = {
    {"", 022, "chmod g-w,o-w", "others than its owner can replace policies"},
    {"registry.mdb", 022, "chmod g-w,o-w",
     "others than its owner can change policies"},
    {"registry.lock", 077, "chmod 600",
     "others than its owner can keep changes from being made"},
    {"history.mdb", 022, "chmod g-w,o-w",
     "others than its owner can change what was recorded"},
    {"history.lock", 077, "chmod 600",
     "others than its owner can keep recorders waiting"},
    {"deferred.mdb", 007, "chmod o-rwx",
     "anybody can read or change deferred work"},
    {"deferred.journal", 007, "chmod o-rwx",
     "anybody can read or change deferred work"},
    {NULL, 007, "chmod o-rwx", "anybody can change what is counted"},
};

static void
check_rights(struct doctor *d, size_t i, uid_t owner)
{
    char path[512], todo[600];
    struct stat st;

    if (!rights[i].name) {
        snprintf(path, sizeof(path), "%s", d->out->live);
    } else if (!doctor_path(d, rights[i].name, path, sizeof(path))) {
        return;
    }
    if (!*path || lstat(path, &st)) {
        return; /* one that is missing is told elsewhere */
    }
    if (S_ISLNK(st.st_mode)) {
        doctor_find(d, DOCTOR_WRONG, "rights", "put the file there itself",
                    "%s is a link", path);
        return;
    }
    if (st.st_mode & rights[i].never) {
        snprintf(todo, sizeof(todo), "%s %s", rights[i].change, path);
        doctor_find(d, DOCTOR_WRONG, "rights", todo, "%s: %s", path,
                    rights[i].why);
    }
    if (rights[i].name && st.st_uid != owner &&
        strncmp(rights[i].name, "deferred.", 9) != 0) {
        snprintf(todo, sizeof(todo), "chown %u %s", (unsigned)owner, path);
        doctor_find(d, DOCTOR_WRONG, "rights", todo,
                    "%s belongs to user %u, its directory to %u", path,
                    (unsigned)st.st_uid, (unsigned)owner);
    }
}

/* Services that are members of the group must be able to read. */
static void
check_group(struct doctor *d, const struct stat *dir)
{
    char path[512], todo[600];
    struct stat st;

    if (!doctor_path(d, "registry.mdb", path, sizeof(path)) ||
        stat(path, &st) || dir->st_uid != 0) {
        return;
    }
    if (st.st_gid != dir->st_gid || !(st.st_mode & 040) ||
        !(dir->st_mode & 010)) {
        snprintf(todo, sizeof(todo),
                 "there: chgrp %u registry.mdb; chmod g+r registry.mdb; chmod "
                 "g+x .",
                 (unsigned)dir->st_gid);
        doctor_find(d, DOCTOR_WRONG, "rights", todo,
                    "services of the group cannot read %s", path);
    }
}

void
doctor_rights(struct doctor *d)
{
    struct stat dir;

    if (stat(d->out->dir, &dir)) {
        doctor_find(d, DOCTOR_WRONG, "rights", NULL, "%s: %s", d->out->dir,
                    strerror(errno));
        return;
    }
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        check_rights(d, i, dir.st_uid);
    }
    check_group(d, &dir);
}

/* ---- space ---- */

static void
check_space(struct doctor *d, const char *path, const char *what,
            const char *todo, struct doctor_space *out)
{
    struct statvfs fs;
    uint64_t unit;

    if (!*path || statvfs(path, &fs) || fs.f_blocks == 0) {
        return;
    }
    unit = fs.f_frsize;
    out->known = true;
    out->free = fs.f_bavail * unit;
    out->size = fs.f_blocks * unit;
    if (out->free < 8 * MIB || out->free < out->size / 100) {
        doctor_find(d, DOCTOR_WRONG, "space", todo, "%s: %.1f MiB are free",
                    what, (double)out->free / (double)MIB);
    } else if (out->free < 32 * MIB || out->free < out->size / 20) {
        doctor_find(d, DOCTOR_NOTE, "space", todo, "%s: %.0f MiB are free",
                    what, (double)out->free / (double)MIB);
    }
}

/* Where the live file is, or would go. */
static void
live_directory(const struct doctor_report *r, char out[sizeof(r->live)])
{
    char *slash;

    strcpy(out, r->live);
    slash = strrchr(out, '/');
    if (!r->has_live && slash) {
        slash[slash == out] = '\0';
    }
}

void
doctor_space(struct doctor *d)
{
    const struct doctor_report *r = d->out;
    char live[sizeof(r->live)];
    struct statvfs fs;

    live_directory(r, live);

    check_space(d, r->dir, r->dir,
                "make room: changes, history and deferred work need it",
                &d->out->disk);
    check_space(d, live, live, "make room: without it, calls are not counted",
                &d->out->memory);
    if (statvfs(r->dir, &fs) == 0 && fs.f_flag & ST_RDONLY) {
        doctor_find(d, DOCTOR_WRONG, "space", "mount it for writing",
                    "%s is on a file system that cannot be written", r->dir);
    }
}
