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

#include "base/paths.h"
#include "base/safe.h"
#include "doctor.h"
#include "inside.h"

/* ---- what services may ---- */

/* Reports whether a user with these groups has the rights `wanted` (4 read, 2
 * write, 1 pass). */
static bool
may_use(uid_t user, const gid_t *groups, size_t count, const struct stat *st,
        unsigned wanted)
{
    unsigned shift = 0;

    for (size_t i = 0; i < count; i++) {
        shift = groups[i] == st->st_gid ? 3 : shift;
    }
    shift = user == st->st_uid ? 6 : shift;
    return user == 0 || (st->st_mode >> shift & wanted) == wanted;
}

/* As whom services come: as members of the group that most files have, if the
 * directory belongs to root, else as its owner. */
struct services {
    bool by_group;
    uid_t uid;
    gid_t gid;
};

static bool
may_services(const struct services *s, const struct stat *st, unsigned wanted)
{
    return may_use(s->by_group ? (uid_t)-1 : s->uid, &s->gid, 1, st, wanted);
}

static void
check_use(struct doctor *d, const struct services *s, const char *path,
          const struct stat *st, unsigned wanted)
{
    struct doctor_finding *f;

    if (may_services(s, st, wanted)) {
        return;
    }
    f = doctor_find(d, FINDING_CANNOT_USE, path, NULL);
    f->owner = s->by_group ? s->gid : s->uid;
    strcpy(f->name, s->by_group ? ":" : "");
    snprintf(f->words, sizeof(f->words), "%s %u",
             s->by_group ? "group" : "user", f->owner);
    snprintf(f->mode, sizeof(f->mode), "%c+%s%s%s%s", s->by_group ? 'g' : 'u',
             wanted & 4 ? "r" : "", wanted & 2 ? "w" : "",
             wanted & 1 ? "x" : "", wanted == 7 && s->by_group ? "s" : "");
}

/* Finds directories on the way to `path` that services cannot pass. */
static void
check_way(struct doctor *d, const struct services *s, const char *path)
{
    char way[PATH_MAX];
    struct stat st;

    if (!realpath(path, way)) {
        return;
    }
    for (char *slash = strchr(way + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(way, &st) == 0 && !may_services(s, &st, 1)) {
            doctor_find(d, FINDING_WAY_CLOSED, way, NULL);
        }
        *slash = '/';
    }
}

/* ---- the directory of the live file ---- */

static void
check_live_directory(struct doctor *d, const struct services *s)
{
    char path[sizeof(d->out->live)], parent[sizeof(path)];
    struct doctor_finding *f;
    struct stat st, above;
    bool missing;

    strcpy(path, d->out->live);
    dirname(path);
    strcpy(parent, path);
    dirname(parent);
    check_way(d, s, path);
    missing = lstat(path, &st) != 0;
    if (missing && errno != ENOENT) {
        doctor_unseen(d, path);
    } else if (missing ? stat(parent, &above) || !may_services(s, &above, 3)
                       : safe_directory(path)) {
        f = doctor_find(d,
                        missing ? FINDING_LIVE_DIRECTORY_NONE
                        : S_ISLNK(st.st_mode) && d->has_ours
                            ? FINDING_LIVE_LINKED
                            : FINDING_LIVE_DIRECTORY_REFUSED,
                        path, missing ? NULL : safe_why(errno));
        f->user = s->uid;
        f->owner = s->gid;
        strcpy(f->mode, s->by_group ? "2770" : "700");
    } else if (!missing) {
        check_use(d, s, path, &st, 7);
        /* A live file is made with the owner of its directory. */
        if (st.st_uid != 0 && st.st_uid != s->uid &&
            !lstat(d->out->live, &above) && above.st_uid == s->uid) {
            f = doctor_find(d, FINDING_FILE_OWNER, path, NULL);
            f->user = st.st_uid;
            f->owner = s->uid;
        }
        if ((st.st_mode & (S_IWOTH | S_ISVTX)) == (S_IWOTH | S_ISVTX)) {
            doctor_find(d, FINDING_LIVE_DIRECTORY_SHARED, path, NULL);
        } else if (st.st_mode & S_IWOTH) {
            f = doctor_find(d, FINDING_FILE_OPEN, path,
                            "all users can replace the live file");
            strcpy(f->mode, "o-w");
        }
        doctor_state(d, path);
    }
}

/* ---- files ---- */

#define OTHERS "users other than the owner can "

enum { DIRECTORY, REGISTRY }; /* the first ones */

static const struct {
    const char *name;      /* "": the directory itself; NULL: the live file;
                              ".bell": the file beside it (live/wake.h) */
    unsigned group, owner; /* the rights that services need as one or other */
    mode_t never;
    const char *mode, *why; /* of `never`: the mode without, and the harm */
} rights[] = {
    {"", 1, 7, 022, "g-w,o-w", OTHERS "replace policies"},
    {PATH_REGISTRY, 4, 6, 022, "g-w,o-w", OTHERS "change policies"},
    {PATH_REGISTRY_LOCK, 0, 6, 077, "600", OTHERS "block changes"},
    {PATH_REGISTRY_CHECKED, 0, 6, 022, "g-w,o-w", OTHERS "hide damage"},
    {PATH_HISTORY, 0, 6, 022, "g-w,o-w", OTHERS "change the history"},
    {PATH_HISTORY_LOCK, 0, 6, 077, "600", OTHERS "block recorders"},
    {PATH_HISTORY_CHECKED, 0, 6, 022, "g-w,o-w", OTHERS "hide damage"},
    {PATH_DEFERRED, 6, 6, 007, "o-rwx", "all users can use deferred work"},
    {PATH_DEFERRED_JOURNAL, 6, 6, 007, "o-rwx",
     "all users can use deferred work"},
    {PATH_DEFERRED_CHECKED, 6, 6, 007, "o-rwx", "all users can hide damage"},
    {NULL, 6, 6, 007, "o-rwx", "all users can change statistics"},
    {".bell", 6, 6, 002, "o-w", "all users can wake event loops"},
};

/* Reports something that nobody may write, if it is that.  A link to a file can
 * be replaced by the file, but the live file must stay the same.  Something
 * else is found once, as the reason why the file cannot be read. */
static bool
is_refused(struct doctor *d, const char *path, const char *name)
{
    bool is_ours = !name && d->has_ours;
    int error = safe_look(path) ? errno : 0;
    enum finding_id id = !is_ours         ? FINDING_FILE_REFUSED
                         : error == ELOOP ? FINDING_LIVE_LINKED
                                          : FINDING_LIVE_NAMED_TWICE;
    struct doctor_report *r = d->out;
    struct stat st;

    if (!safe_refused(error) || (error == SAFE_STRANGER && (name || is_ours))) {
        return false;
    }
    if (name && *name != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
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

static void
check_file(struct doctor *d, const struct services *s, size_t i)
{
    const char *name = rights[i].name;
    bool is_live = !name || *name == '.';
    const char *path = is_live ? d->out->live : doctor_file(d, name);
    struct doctor_finding *f;
    struct stat st;

    if (is_live && name && *path) {
        snprintf(d->file, sizeof(d->file), "%s%s", d->out->live, name);
        path = d->file;
    }
    if (!*path || lstat(path, &st) ||
        (i == REGISTRY && !d->admin && !S_ISREG(st.st_mode))) {
        return; /* the other checks report these */
    }
    if (i != DIRECTORY && is_refused(d, path, name)) {
        return;
    }
    if (st.st_mode & rights[i].never) {
        f = doctor_find(d, FINDING_FILE_OPEN, path, rights[i].why);
        strcpy(f->mode, rights[i].mode);
    }
    check_use(d, s, path, &st, s->by_group ? rights[i].group : rights[i].owner);
    doctor_state(d, path);
    if (st.st_uid != s->uid &&
        ((!is_live && strncmp(name, "deferred.", 9)) || safe_look(path))) {
        f = doctor_find(d, FINDING_FILE_OWNER, path, NULL);
        f->user = st.st_uid;
        f->owner = s->uid;
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
           may_use(p->user, p->group, p->groups, &st, wanted);
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
 * One that may be of another registry is a note. */
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
    if (!shares || d->is_unread) {
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

/* Returns the group, but not root's, of most files that services use, and at
 * least of two; of several the directory's, which is also the default. */
static gid_t
find_group(struct doctor *d, gid_t first)
{
    static const char *const files[] = {PATH_REGISTRY, PATH_DEFERRED,
                                        PATH_DEFERRED_JOURNAL};
    enum { FILES = sizeof(files) / sizeof(files[0]) };
    gid_t group[FILES + 2] = {first};
    size_t count = 1, most = 1, votes;
    char path[sizeof(d->out->live)];
    struct stat st;

    for (size_t i = 0; i <= FILES; i++) {
        strcpy(path, i < FILES ? doctor_file(d, files[i]) : d->out->live);
        if (stat(i < FILES ? path : dirname(path), &st) == 0) {
            group[count++] = st.st_gid;
        }
    }
    for (size_t i = 0; i < count; i++) {
        votes = 0;
        for (size_t k = 0; k < count; k++) {
            votes += group[i] != 0 && group[k] == group[i];
        }
        first = votes > most ? group[i] : first;
        most = votes > most ? votes : most;
    }
    return first;
}

/* Returns the owner of registry.mdb, unless registry.lock and the directory are
 * another's.  Files made later have the owner of the directory. */
static uid_t
find_owner(struct doctor *d, uid_t of_directory)
{
    struct stat st;
    uid_t owner =
        lstat(doctor_file(d, PATH_REGISTRY), &st) ? of_directory : st.st_uid;

    return !lstat(doctor_file(d, PATH_REGISTRY_LOCK), &st) &&
                   st.st_uid == of_directory
               ? of_directory
               : owner;
}

static void
check_rights(struct doctor *d)
{
    struct services s;
    struct stat dir;

    if (stat(d->out->dir, &dir)) {
        doctor_find(d, FINDING_UNSEEN, d->out->dir, strerror(errno));
        return;
    }
    s = (struct services){.uid = find_owner(d, dir.st_uid),
                          .gid = find_group(d, dir.st_gid)};
    s.by_group = s.uid == 0 && s.gid != 0;
    check_way(d, &s, d->out->dir);
    if (access(d->out->dir, X_OK)) {
        doctor_unseen(d, d->out->dir);
        return;
    }
    if (*d->out->live) {
        check_live_directory(d, &s);
    }
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        check_file(d, &s, i);
    }
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
