/* Checks who may use the files: services must be able to, and nobody else may
 * change them. */

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/rights.h"
#include "admin/role.h"
#include "base/paths.h"
#include "base/safe.h"
#include "doctor.h"
#include "inside.h"

/* ---- what services may ---- */

/* As whom services come: as members of their group, else as the owner. */
static bool
may_services(const struct rights *r, const struct stat *st, unsigned wanted)
{
    return role_may(r->services == (gid_t)-1 ? r->owner : (uid_t)-1,
                    &r->services, 1, st, wanted);
}

/* Finds directories on the way to `path` that services cannot pass. */
static void
check_way(struct doctor *d, const struct rights *r, const char *path)
{
    char way[PATH_MAX];
    struct stat st;

    if (!realpath(path, way)) {
        return;
    }
    for (char *slash = strchr(way + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(way, &st) == 0 && !may_services(r, &st, 1)) {
            doctor_find(d, FINDING_WAY_CLOSED, way, NULL);
        }
        *slash = '/';
    }
}

/* ---- the directory of the live file ---- */

static void
check_live_directory(struct doctor *d, const struct rights *r)
{
    char path[sizeof(d->out->live)], parent[sizeof(path)];
    struct stat st, above;
    bool missing;

    strcpy(path, d->out->live);
    dirname(path);
    strcpy(parent, path);
    dirname(parent);
    check_way(d, r, path);
    missing = lstat(path, &st) != 0;
    if (missing && errno != ENOENT) {
        doctor_unseen(d, path);
    } else if (missing ? stat(parent, &above) || !may_services(r, &above, 3)
                       : safe_directory(path)) {
        doctor_find(d,
                    missing ? FINDING_LIVE_DIRECTORY_NONE
                    : S_ISLNK(st.st_mode) && d->has_ours
                        ? FINDING_LIVE_LINKED
                        : FINDING_LIVE_DIRECTORY_REFUSED,
                    path, missing ? NULL : safe_why(errno));
    } else if (!missing && !rights_of_live(path) &&
               (st.st_mode & S_IWOTH || !may_services(r, &st, 3))) {
        doctor_find(d, FINDING_LIVE_DIRECTORY_SHARED, path,
                    st.st_mode & S_IWOTH
                        ? "all users can make files there, so services of "
                          "other users do not trust the live file"
                        : "services cannot make files there");
    }
}

/* ---- files ---- */

/* Reports something that nobody may write, if it is that.  A link to a file can
 * be replaced by the file, but the live file (`live`: "") must stay the same.
 * Something else is found once, as the reason why the file cannot be read. */
static bool
is_refused(struct doctor *d, const char *path, const char *live)
{
    bool is_ours = live && !*live && d->has_ours;
    int error = safe_look(path) ? errno : 0;
    enum finding_id id = !is_ours         ? FINDING_FILE_REFUSED
                         : error == ELOOP ? FINDING_LIVE_LINKED
                                          : FINDING_LIVE_NAMED_TWICE;
    struct doctor_report *r = d->out;
    struct stat st;

    if (!safe_refused(error) || error == SAFE_STRANGER) {
        return false;
    }
    /* A copy of what another user's link names would give that away. */
    if (!live && lstat(path, &st) == 0 &&
        (error != ELOOP || st.st_uid == geteuid()) && stat(path, &st) == 0 &&
        S_ISREG(st.st_mode)) {
        id = FINDING_FILE_LINKED;
    }
    for (size_t i = 0; i < r->count && id != FINDING_FILE_LINKED; i++) {
        if (strcmp(r->findings[i].path, path) == 0) {
            memmove(&r->findings[i], &r->findings[i + 1],
                    (--r->count - i) * sizeof(r->findings[0]));
        }
    }
    doctor_find(d, id, path, safe_why(error));
    return true;
}

/* Adds wrong rights, as one finding for all files that bide init mends. */
static void
find_rights(struct doctor *d, const struct rights_fault *f)
{
    enum finding_id id =
        f->is_open ? FINDING_RIGHTS_OPEN : FINDING_RIGHTS_WRONG;
    struct doctor_finding *found = NULL;
    uint64_t others = 0;

    for (size_t i = 0; i < d->out->count && !found; i++) {
        found = d->out->findings[i].id == id ? &d->out->findings[i] : NULL;
    }
    if (found && (found->stops_counting || !f->is_needed)) {
        found->count++;
        return;
    }
    if (found) {
        others = found->count;
        snprintf(found->path, sizeof(found->path), "%s", f->path);
    } else {
        found = doctor_find(d, id, f->path, NULL);
    }
    found->count = others + 1;
    found->stops_counting = f->is_needed;
    snprintf(found->words, sizeof(found->words), "%s, not %s", f->is, f->right);
}

static void
check_file(void *arg, const struct rights_fault *f)
{
    struct doctor *d = arg;
    const char *live = d->out->live;
    bool is_live = *live && strncmp(f->path, live, strlen(live)) == 0;

    doctor_state(d, f->path);
    if (!f->refused) {
        if (f->is_wrong) {
            find_rights(d, f);
        }
    } else if (!is_refused(d, f->path,
                           is_live ? f->path + strlen(live) : NULL)) {
        doctor_find(d, FINDING_FILE_REFUSED, f->path, f->refused);
    }
}

/* ---- programs that run ---- */

enum { GROUPS = 64 };

struct program {
    const char *pid;
    char name[16];
    uid_t user;
    gid_t group[GROUPS];
    size_t groups;
    char library[16]; /* the version of its libbide */
};

/* Visits the parts of /proc/PID/FILE, which end with `end`, until `visit`
 * returns true, and returns whether it did. */
static bool
find_part(struct program *p, const char *file, int end,
          bool (*visit)(struct program *p, const char *part, const char *arg),
          const char *arg)
{
    char path[300], *part = NULL;
    bool found = false;
    size_t size = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%s/%s", p->pid, file);
    f = fopen(path, "re");
    while (f && !found && getdelim(&part, &size, end, f) > 0) {
        found = visit(p, part, arg);
    }
    free(part);
    if (f) {
        fclose(f);
    }
    return found;
}

/* Finds a path, and not the beginning of a longer name; a text that ends with
 * `.`, a blank or a line break is found anywhere. */
static bool
has_text(struct program *p, const char *part, const char *text)
{
    const char *at = strstr(part, text);
    size_t length = strlen(text);

    (void)p;
    return at && (strchr(". \n", text[length - 1]) || !at[length] ||
                  strchr("/\n", at[length]));
}

/* Keeps name, user and groups; the groups come last. */
static bool
read_status(struct program *p, const char *line, const char *unused)
{
    char *next = strchr(line, ':');

    (void)unused;
    sscanf(line, "Name: %15s", p->name);
    sscanf(line, "Uid: %*u %u", &p->user);
    if (strncmp(line, "Gid:", 4) && strncmp(line, "Groups:", 7)) {
        return false;
    }
    while (p->groups < GROUPS && next[strspn(next, ": \t\n")]) {
        p->group[p->groups++] =
            (gid_t)strtoul(next + strspn(next, ": \t"), &next, 10);
    }
    return *line == 'G' && line[1] == 'r';
}

static bool
may_program(const struct program *p, const char *path, unsigned wanted)
{
    struct stat st;

    return stat(path, &st) ||
           role_may(p->user, p->group, p->groups, &st, wanted);
}

static struct doctor_finding *
find_process(struct doctor *d, enum finding_id id, const struct program *p,
             const char *path)
{
    struct doctor_finding *f = doctor_find(d, id, path, NULL);

    f->count = strtoul(p->pid, NULL, 10);
    f->user = p->user;
    strcpy(f->name, p->name);
    return f;
}

/* Visits all other programs; those of root may use everything. */
static void
each_program(struct doctor *d, bool with_root,
             void (*visit)(struct doctor *d, struct program *p))
{
    DIR *all = opendir("/proc");
    struct dirent *entry;
    struct stat st;

    while (all && (entry = readdir(all))) {
        struct program p = {.pid = entry->d_name};

        /* The effective user owns /proc/PID: that costs least. */
        if (atoi(p.pid) > 0 && atoi(p.pid) != getpid() &&
            !fstatat(dirfd(all), p.pid, &st, 0) &&
            (with_root || st.st_uid != 0)) {
            visit(d, &p);
        }
    }
    if (all) {
        closedir(all);
    }
}

/* Reports whether the program was started for this registry; most do not name
 * one. */
static bool
names_registry(struct doctor *d, struct program *p)
{
    char variable[sizeof(d->out->dir) + 16];

    snprintf(variable, sizeof(variable), "BIDE_DIR=%s", d->out->dir);
    return find_part(p, "cmdline", '\0', has_text, d->out->dir) ||
           find_part(p, "environ", '\0', has_text, variable);
}

/* Finds a program that uses the registry without the right to read it or to
 * write the live file: it counts for itself, and nobody sees it. */
static void
find_outsider(struct doctor *d, struct program *p)
{
    const char *dir = d->out->dir, *live = d->out->live;
    char live_dir[sizeof(d->out->live)];

    strcpy(live_dir, live);
    dirname(live_dir);
    if (names_registry(d, p) && find_part(p, "status", '\n', read_status, "") &&
        !(may_program(p, dir, 1) && may_program(p, live_dir, 1) &&
          may_program(p, live, 6)) &&
        (find_part(p, "maps", '\n', has_text, "/libbide.so.") ||
         find_part(p, "maps", '\n', has_text, "/bide\n")) &&
        !find_part(p, "maps", '\n', has_text, live)) {
        find_process(d, FINDING_SERVICE_OUTSIDE, p, live);
    }
}

/* ---- locks ---- */

static bool
is_stopped(struct program *p)
{
    return find_part(p, "status", '\n', has_text, " (stopped)\n") ||
           find_part(p, "status", '\n', has_text, " (tracing stop)\n");
}

/* Finds locks that others wait for, held by a process that is stopped.  Another
 * one may have taken the lock and ended. */
static void
find_stopped(struct doctor *d, struct program *p)
{
    static const char *const names[] = {PATH_REGISTRY_LOCK, PATH_HISTORY_LOCK,
                                        PATH_DEFERRED};
    const struct timespec moment = {0, 20000000};
    char path[sizeof(d->file)];
    struct stat open, st;
    struct dirent *entry;
    DIR *files;

    snprintf(path, sizeof(path), "/proc/%s/fd", p->pid);
    files = is_stopped(p) ? opendir(path) : NULL;
    while (files && (entry = readdir(files))) {
        snprintf(path, sizeof(path), "fdinfo/%s", entry->d_name);
        if (fstatat(dirfd(files), entry->d_name, &open, 0) ||
            !find_part(p, path, '\n', has_text, ": FLOCK ")) {
            continue;
        }
        for (size_t i = 0; i < 4; i++) {
            strcpy(path, i < 3 ? doctor_file(d, names[i]) : d->out->live);
            if (stat(i < 3 ? path : dirname(path), &st) ||
                st.st_ino != open.st_ino || st.st_dev != open.st_dev ||
                nanosleep(&moment, NULL) || !is_stopped(p)) {
                continue;
            }
            find_part(p, "status", '\n', read_status, "");
            find_process(d, FINDING_LOCK_STOPPED, p, path);
        }
    }
    if (files) {
        closedir(files);
    }
}

/* ---- older libraries ---- */

static bool
has_older_library(struct program *p, const char *line, const char *name)
{
    const char *at = strstr(line, name);
    unsigned n[3];

    if (!at || sscanf(at + strlen(name), "%u.%u.%u", n, n + 1, n + 2) != 3) {
        return false;
    }
    snprintf(p->library, sizeof(p->library), "%u.%u.%u", n[0], n[1], n[2]);
    return (n[0] << 16 | n[1] << 8 | n[2]) < BIDE_VERSION_NUMBER;
}

/* Finds a program whose libbide is too old for the registry or the live file.
 * Without a live file it may be of another registry: that is a note. */
static void
find_older(struct doctor *d, struct program *p)
{
    const char *live = d->out->live;
    char gone[sizeof(d->out->live) + 16];
    struct doctor_finding *f;
    bool shares;

    if (!find_part(p, "maps", '\n', has_older_library, "/libbide.so.")) {
        return;
    }
    snprintf(gone, sizeof(gone), "%s (deleted)\n", live);
    shares = find_part(p, "maps", '\n', has_text, live);
    if (shares ? d->is_unread
               : !find_part(p, "maps", '\n', has_text, ".live\n")) {
        find_part(p, "status", '\n', read_status, "");
        f = find_process(d, FINDING_SERVICE_OLDER, p, live);
        strcpy(f->words, p->library);
        f->level = shares || names_registry(d, p) ||
                           find_part(p, "maps", '\n', has_text, gone)
                       ? DOCTOR_WRONG
                       : DOCTOR_NOTE;
    }
}

/* ---- all ---- */

static void
check_rights(struct doctor *d)
{
    struct rights r;

    if (rights_read(d->out->dir, d->out->live, &r)) {
        doctor_find(d, FINDING_UNSEEN, d->out->dir, strerror(errno));
        return;
    }
    check_way(d, &r, d->out->dir);
    if (access(d->out->dir, X_OK)) {
        doctor_unseen(d, d->out->dir);
        return;
    }
    if (*d->out->live) {
        check_live_directory(d, &r);
    }
    rights_each(d->out->dir, d->out->live, &r, check_file, d);
}

void
doctor_rights(struct doctor *d)
{
    check_rights(d);
    if (*d->out->live) {
        each_program(d, false, find_outsider);
    }
}

void
doctor_locks(struct doctor *d)
{
    each_program(d, true, find_stopped);
    if (d->out->has_live) {
        each_program(d, true, find_older);
    }
}
