/* Checks who may use the files: services must be able to, and nobody else may
 * change them. */

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/safe.h"
#include "doctor.h"
#include "inside.h"

/* ---- what services may ---- */

/* As whom services come: as members of the group if the directory belongs to
 * root and a group, else as the owner of the directory. */
struct services {
    bool by_group;
    uid_t uid;
    gid_t gid;
};

/* Reports whether services have the rights `wanted` (4 read, 2 write, 1 pass).
 */
static bool
may_services(const struct services *s, const struct stat *st, unsigned wanted)
{
    unsigned shift = !s->by_group && st->st_uid == s->uid ? 6
                     : st->st_gid == s->gid               ? 3
                                                          : 0;

    return (!s->by_group && s->uid == 0) ||
           (st->st_mode >> shift & wanted) == wanted;
}

static void
check_use(struct doctor *d, const struct services *s, const char *path,
          const struct stat *st, unsigned wanted)
{
    struct doctor_finding *f;

    if (may_services(s, st, wanted)) {
        return;
    }
    f = doctor_find_path(d, FINDING_CANNOT_USE, path);
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
            doctor_find_path(d, FINDING_WAY_CLOSED, way);
        }
        *slash = '/';
    }
}

static void
find_open(struct doctor *d, const char *path, const char *mode, const char *why)
{
    struct doctor_finding *f = doctor_find_reason(d, FINDING_FILE_OPEN, 0, why);

    snprintf(f->path, sizeof(f->path), "%s", path);
    strcpy(f->mode, mode);
}

/* ---- the directory of the live file ---- */

static void
find_live_directory(struct doctor *d, const struct services *s,
                    enum finding_id id, const char *path, const char *why)
{
    struct doctor_finding *f = doctor_find_reason(d, id, 0, why);

    snprintf(f->path, sizeof(f->path), "%s", path);
    f->user = s->uid;
    f->owner = s->gid;
    strcpy(f->mode, s->by_group ? "2770" : "700");
}

static void
check_live_directory(struct doctor *d, const struct services *s)
{
    char path[sizeof(d->out->live)], parent[sizeof(path)];
    struct stat st, above;

    strcpy(path, d->out->live);
    dirname(path);
    strcpy(parent, path);
    dirname(parent);
    check_way(d, s, path);
    if (lstat(path, &st)) {
        if (errno != ENOENT) {
            doctor_unseen(d, path);
        } else if (stat(parent, &above) || !may_services(s, &above, 3)) {
            find_live_directory(d, s, FINDING_LIVE_DIRECTORY_NONE, path, "");
        }
        return;
    }
    if (safe_directory(path)) {
        find_live_directory(d, s, FINDING_LIVE_DIRECTORY_REFUSED, path,
                            safe_why(errno));
        return;
    }
    check_use(d, s, path, &st, 7);
    if ((st.st_mode & (S_IWOTH | S_ISVTX)) == (S_IWOTH | S_ISVTX)) {
        doctor_find_path(d, FINDING_LIVE_DIRECTORY_SHARED, path);
    } else if (st.st_mode & S_IWOTH) {
        find_open(d, path, "o-w", "all users can replace the live file");
    }
    doctor_state(d, path, &st);
}

/* ---- files ---- */

#define OTHERS "users other than the owner can "

static const struct {
    const char *name;      /* "": the directory itself; NULL: the live file */
    unsigned group, owner; /* the rights that services need as one or other */
    mode_t never;
    const char *mode, *why; /* of `never`: the mode without, and the harm */
} rights[] = {
    {"", 1, 7, 022, "g-w,o-w", OTHERS "replace policies"},
    {"registry.mdb", 4, 6, 022, "g-w,o-w", OTHERS "change policies"},
    {"registry.lock", 0, 6, 077, "600", OTHERS "block changes"},
    {"registry.checked", 0, 6, 022, "g-w,o-w", OTHERS "hide damage"},
    {"history.mdb", 0, 6, 022, "g-w,o-w", OTHERS "change the history"},
    {"history.lock", 0, 6, 077, "600", OTHERS "block recorders"},
    {"deferred.mdb", 6, 6, 007, "o-rwx", "all users can use deferred work"},
    {"deferred.journal", 6, 6, 007, "o-rwx", "all users can use deferred work"},
    {"deferred.checked", 6, 6, 007, "o-rwx", "all users can hide damage"},
    {NULL, 6, 6, 007, "o-rwx", "all users can change statistics"},
};

/* Reports something that nobody may write, if it is that.  A link to a file can
 * be replaced by the file. */
static bool
is_refused(struct doctor *d, const char *path, bool is_live)
{
    struct doctor_finding *f;
    const char *why;
    struct stat st;

    if (!safe_look(path) || !safe_refused(errno) || errno == SAFE_STRANGER) {
        return false;
    }
    why = safe_why(errno);
    f = doctor_find_reason(d,
                           !is_live && stat(path, &st) == 0 &&
                                   S_ISREG(st.st_mode)
                               ? FINDING_FILE_LINKED
                               : FINDING_FILE_REFUSED,
                           0, why);
    snprintf(f->path, sizeof(f->path), "%s", path);
    return true;
}

static void
check_file(struct doctor *d, const struct services *s, size_t i, uid_t owner)
{
    const char *name = rights[i].name;
    struct doctor_finding *f;
    char path[512];
    struct stat st;

    if (!name) {
        snprintf(path, sizeof(path), "%s", d->out->live);
    } else if (!doctor_path(d, name, path, sizeof(path))) {
        return;
    }
    if (!*path || lstat(path, &st)) {
        return; /* the other checks report missing files */
    }
    if ((!name || *name) && is_refused(d, path, !name)) {
        return;
    }
    if (st.st_mode & rights[i].never) {
        find_open(d, path, rights[i].mode, rights[i].why);
    }
    check_use(d, s, path, &st, s->by_group ? rights[i].group : rights[i].owner);
    doctor_state(d, path, &st);
    if (name && st.st_uid != owner &&
        (strncmp(name, "deferred.", 9) != 0 || safe_look(path))) {
        f = doctor_find_path(d, FINDING_FILE_OWNER, path);
        f->user = st.st_uid;
        f->owner = owner;
    }
}

void
doctor_rights(struct doctor *d)
{
    struct services s;
    struct stat dir;

    if (stat(d->out->dir, &dir)) {
        struct doctor_finding *f = doctor_find_reason(
            d, FINDING_DIRECTORY_UNREADABLE, 0, strerror(errno));

        snprintf(f->path, sizeof(f->path), "%s", d->out->dir);
        return;
    }
    s = (struct services){dir.st_uid == 0 && dir.st_gid != 0, dir.st_uid,
                          dir.st_gid};
    check_way(d, &s, d->out->dir);
    if (access(d->out->dir, X_OK)) {
        doctor_unseen(d, d->out->dir);
        return;
    }
    if (*d->out->live) {
        check_live_directory(d, &s);
    }
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        check_file(d, &s, i, dir.st_uid);
    }
}
