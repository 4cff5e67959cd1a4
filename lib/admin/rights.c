#include "rights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/safe.h"
#include "live/process.h"
#include "names.h"

enum { NOBODY = -1 };

/* ---- the table ---- */

enum part { TOP, POLICIES, HISTORY, DEFERRED, LIVE, PARTS };

static const struct {
    const char *name; /* "": the directory; in LIVE after the live file */
    enum part part;
    mode_t mask;    /* of a file; 0: a directory */
    bool is_needed; /* by services, in order to count and to follow */
} items[] = {
    {"", TOP, 0, true},
    {PATH_POLICIES, POLICIES, 0, true},
    {PATH_HISTORIES, HISTORY, 0, false},
    {PATH_QUEUE, DEFERRED, 0, false},
    {NULL, LIVE, 0, true},
    {PATH_REGISTRY, POLICIES, SAFE_FILE, true},
    {PATH_REGISTRY_LOCK, POLICIES, SAFE_LOCK, false},
    {PATH_REGISTRY_CHECKED, POLICIES, SAFE_FILE, false},
    {PATH_HISTORY, HISTORY, SAFE_FILE, false},
    {PATH_HISTORY_LOCK, HISTORY, SAFE_LOCK, false},
    {PATH_HISTORY_CHECKED, HISTORY, SAFE_FILE, false},
    {PATH_DEFERRED, DEFERRED, SAFE_FILE, false},
    {PATH_DEFERRED_JOURNAL, DEFERRED, SAFE_FILE, false},
    {PATH_DEFERRED_CHECKED, DEFERRED, SAFE_FILE, false},
    {"", LIVE, SAFE_FILE, true},
    {".bell", LIVE, SAFE_LOCK, true},
    {PROCESS_FILE, LIVE, SAFE_LOCK, false},
};

static gid_t
group_of_part(const struct rights *r, enum part part)
{
    return part == POLICIES || part == HISTORY ? r->operators : r->services;
}

static mode_t
mode_of_part(const struct rights *r, enum part part)
{
    mode_t top = r->is_private ? 0 : 05;
    bool grouped = group_of_part(r, part) != (gid_t)NOBODY;

    switch (part) {
    case TOP:
        return 0700 | top | (grouped || top ? 050 : 0);
    case POLICIES:
    case HISTORY:
        return grouped ? 02775 : 0755;
    case LIVE:
        return grouped ? 02771 : 0700 | (top & 01) * 011;
    default:
        return grouped ? 02770 : 0700;
    }
}

/* ---- what the directories have ---- */

gid_t
rights_group(const char *name)
{
    const struct group *g = names_group(name, 0);
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    return g ? g->gr_gid
           : *name >= '0' && *name <= '9' && !*end && number < UINT_MAX
               ? (gid_t)number
               : (gid_t)NOBODY;
}

static gid_t
find_local_group(const char *name)
{
    const struct group *g = names_local_group(name);

    return g ? g->gr_gid : (gid_t)NOBODY;
}

static gid_t
group_of_directory(const char *dir, const char *name, gid_t otherwise)
{
    struct stat st;

    return !lstat(path_of(dir, name).text, &st) && S_ISDIR(st.st_mode) &&
                   (st.st_uid ? st.st_mode & S_ISGID : st.st_gid != 0)
               ? st.st_gid
               : otherwise;
}

bool
rights_of_live(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    struct stat st;
    bool only = d && !fstat(fd, &st) && !(st.st_mode & S_ISVTX) &&
                strcmp(directory, "/run") != 0;

    while (only && (entry = readdir(d))) {
        only = strstr(entry->d_name, ".live") ||
               !entry->d_name[strspn(entry->d_name, ".")];
    }
    if (d) {
        closedir(d);
    }
    return only;
}

int
rights_read(const char *dir, const char *live, struct rights *out)
{
    char path[PATH_MAX];
    struct stat st;
    gid_t group;

    if (stat(dir, &st)) {
        return -1;
    }
    *out =
        (struct rights){.owner = st.st_uid, .is_private = paths_private(dir)};
    snprintf(path, sizeof(path), "%s", live);
    dirname(path);
    group = st.st_uid ? (gid_t)NOBODY : find_local_group("bide");
    group = *live && rights_of_live(path) ? group_of_directory(path, "", group)
                                          : group;
    group = group_of_directory(dir, "", group);
    out->services = group_of_directory(dir, PATH_QUEUE, group);
    group = st.st_uid ? (gid_t)NOBODY : find_local_group("bide-ops");
    group = group_of_directory(dir, PATH_HISTORIES, group);
    out->operators = group_of_directory(dir, PATH_POLICIES, group);
    return 0;
}

/* ---- one file ---- */

static void
write_rights(char *to, size_t size, uid_t user, gid_t group, mode_t mode)
{
    const struct passwd *u = names_user(NULL, user);
    const struct group *g;
    char number[2][16];

    snprintf(number[0], sizeof(number[0]), "%u", user);
    snprintf(number[1], sizeof(number[1]), "%u", group);
    g = names_group(NULL, group);
    snprintf(to, size, "%s:%s %04o", u ? u->pw_name : number[0],
             g ? g->gr_name : number[1], mode & 07777);
}

/* Fills in what a file should have.  In a directory of a group, a file may
 * belong to any of its members. */
static void
judge_file(struct rights_fault *f, const struct rights *r, size_t i,
           const struct stat *st)
{
    gid_t group = group_of_part(r, items[i].part);
    mode_t mode = mode_of_part(r, items[i].part), missing;
    mode_t mask = items[i].part == LIVE && r->is_private
                      ? items[i].mask & SAFE_LOCK
                      : items[i].mask;
    bool shared = mode & S_IWGRP,
         lost = group != (gid_t)NOBODY && st->st_gid != group;

    f->group = lost ? group : st->st_gid;
    f->mode = items[i].mask ? safe_mode_in(mode, mask) : mode;
    f->user = st->st_uid == r->owner ||
                      (items[i].mask && shared && (st->st_uid == 0 || !lost))
                  ? st->st_uid
                  : r->owner;
    missing = f->mode & ~st->st_mode & 07777;
    f->is_open = f->user == st->st_uid && !lost && !missing;
    f->is_wrong =
        f->user != st->st_uid || f->mode != (st->st_mode & 07777) || lost;
    f->is_needed = items[i].is_needed && f->is_wrong && !f->is_open &&
                   (items[i].part == LIVE || (lost && r->is_private) ||
                    missing & (r->services == (gid_t)NOBODY ? 0555
                               : r->is_private              ? 055
                                                            : 05));
    if (f->is_wrong) { /* looking up names takes time */
        write_rights(f->is, sizeof(f->is), st->st_uid, st->st_gid, st->st_mode);
        write_rights(f->right, sizeof(f->right), f->user, f->group, f->mode);
    }
    f->refused = S_ISLNK(st->st_mode) ? safe_why(ELOOP)
                 : items[i].mask      ? !S_ISREG(st->st_mode) ? safe_why(ENXIO)
                                        : st->st_nlink > 1    ? safe_why(EMLINK)
                                                              : NULL
                 : S_ISDIR(st->st_mode) ? NULL
                                        : strerror(ENOTDIR);
}

void
rights_each(const char *dir, const char *live, const struct rights *r,
            void (*visit)(void *arg, const struct rights_fault *f), void *arg)
{
    char path[PATH_MAX], live_dir[PATH_MAX];
    bool ours;

    snprintf(live_dir, sizeof(live_dir), "%s", live);
    dirname(live_dir);
    ours = *live && rights_of_live(live_dir);
    for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
        struct rights_fault f = {.path = path};
        const char *name = items[i].name;
        struct stat st;

        if (items[i].part == LIVE && (name ? !*live : !ours)) {
            continue;
        }
        if (items[i].part == LIVE) {
            snprintf(path, sizeof(path), "%s%s", name ? live : live_dir,
                     name ? name : "");
        } else {
            snprintf(path, sizeof(path), "%s%s%s", dir, *name ? "/" : "", name);
        }
        /* A name can lead elsewhere later; the descriptor can not.  DIR may be
         * a link: it is what the caller named. */
        f.fd = open(path, O_PATH | O_CLOEXEC | (i ? O_NOFOLLOW : 0));
        if (f.fd < 0) {
            continue;
        }
        if (!fstat(f.fd, &st)) {
            judge_file(&f, r, i, &st);
            visit(arg, &f);
        }
        close(f.fd);
    }
}

int
rights_mend(const struct rights_fault *f)
{
    char name[32];

    snprintf(name, sizeof(name), "/proc/self/fd/%d", f->fd);
    /* The mode comes last: chown may clear the set-group-ID bit. */
    return fchownat(f->fd, "", f->user, f->group, AT_EMPTY_PATH) ||
                   chmod(name, f->mode)
               ? -1
               : 0;
}
