/* bide fleet follow DIR: mirrors a directory of policy files.
 *
 * The directory is read once a second, which works on every file system.  What
 * two looks in a row agree on is applied, whole or not at all: a checkout that
 * is in progress differs from look to look, and while Git holds its lock there
 * is no look.  A ConfigMap is changed by renaming its ..data link, through
 * which its files are read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/policy/source.h"
#include "fleet.h"
#include "fleet/mirror.h"
#include "fleet/release.h"

struct watched {
    struct command_line *line;
    const char *path;
    char *seen, *applied; /* texts; NULL: none yet */
    char said[1536];
    struct host_setup setup; /* names of this host; zeros: joined no fleet */
};

/* Reports whether Git changes the directory, or one above it, now. */
static bool
git_is_busy(const char *path)
{
    char *at = realpath(path, NULL), *slash = at, file[4200];
    bool busy = false;

    while (slash && !busy) {
        snprintf(file, sizeof(file), "%s/.git/index.lock", at);
        busy = access(file, F_OK) == 0;
        slash = strrchr(at, '/');
        if (slash) {
            *slash = '\0';
        }
    }
    free(at);
    return busy;
}

/* Prints why the directory is not applied, once. */
static void
say_refused(struct watched *w, int rc, struct faults *faults, const char *why)
{
    const struct fault *f = faults_first(faults);

    why = f ? f->what : *why ? why : bide_strerror(rc);
    if (strcmp(why, w->said) != 0) {
        snprintf(w->said, sizeof(w->said), "%s", why);
        if (f) {
            say_refusal(rc, faults, w->path, "policies stay as they are");
        } else {
            say_why(w->path, why);
        }
    }
    faults_free(faults);
}

static int
apply_directory(struct watched *w, const struct source *s, char *why)
{
    char note[512];
    struct mirrored done;
    struct mirror m = {.dir = w->line->option[OPTION_DIR],
                       .note = note,
                       .local = w->setup.local,
                       .policies = &s->all};
    int rc;

    snprintf(note, sizeof(note), "from %.400s via fleet", w->path);
    rc = mirror_apply(&m, &done);
    if (rc) {
        strcpy(why, done.why);
        return rc;
    }
    if (done.created + done.changed + done.deleted) {
        printf("%s: %zu created, %zu changed, %zu deleted\n", w->path,
               done.created, done.changed, done.deleted);
        fflush(stdout);
    }
    w->said[0] = '\0';
    return 0;
}

/* Reads the directory, and applies what it also had at the last look. */
static void
look_once(struct watched *w)
{
    char *paths[] = {(char *)w->path, NULL}, *text = NULL, why[MIRROR_WHY] = "";
    struct source s = {.registry = NULL};
    struct faults faults = {0};
    bool settled;
    int rc;

    if (git_is_busy(w->path)) {
        return;
    }
    rc = source_read(&s, paths, &faults);
    rc = rc ? rc : source_check(&s, &faults);
    text = rc ? strdup("") : release_text(&s.all);
    rc = text ? rc : BIDE_ENOMEM;
    settled = text && w->seen && strcmp(text, w->seen) == 0;
    free(w->seen);
    w->seen = text;
    if (settled && rc == 0 && (!w->applied || strcmp(text, w->applied) != 0)) {
        rc = apply_directory(w, &s, why);
        if (rc == 0) {
            free(w->applied);
            w->applied = strdup(text);
        }
    }
    if (settled && rc) {
        say_refused(w, rc, &faults, why);
    } else {
        faults_free(&faults);
    }
    source_free(&s);
}

int
follow_directory(struct command_line *line, int signals)
{
    struct watched w = {.line = line, .path = line->operands[0]};
    char why[DOCUMENT_WHY];

    if (access(w.path, R_OK | X_OK)) {
        return say_errno(w.path);
    }
    host_setup_read(line->option[OPTION_DIR], &w.setup, why);
    do {
        look_once(&w);
        signals_wait(signals, -1, 0, clock_monotonic_ns() + SECOND_NS);
    } while (!signals_next(signals));
    free(w.seen);
    free(w.applied);
    return STATUS_DONE;
}
