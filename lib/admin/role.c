/* A role needs rights on files: each directory on the way must be open too, and
 * a file that is missing must be possible to make. */
#include "role.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/paths.h"
#include "names.h"

const char *const role_words[ROLES] = {"read", "count and share", "defer work",
                                       "change policies", "record"};

static const struct {
    const char *file;       /* "": the live file */
    int role;               /* that writes it */
    unsigned wanted[ROLES]; /* 4: read, 2: write; 1: pass a directory */
} needs[] = {
    {PATH_REGISTRY, 3, {4, 4, 4, 6, 4}},
    {"", 1, {4, 6, 0, 0, 6}},
    {PATH_HISTORY, 4, {4, 0, 0, 0, 6}},
    {PATH_HISTORY_LOCK, 4, {0, 0, 0, 0, 6}},
    {PATH_REGISTRY_LOCK, 3, {0, 0, 0, 6, 0}},
    {PATH_DEFERRED, 2, {0, 0, 6, 0, 0}},
    {PATH_DEFERRED_JOURNAL, 2, {0, 0, 6, 0, 0}},
    {PATH_DEFERRED_CHECKED, 2, {0, 0, 6, 0, 0}},
};
enum { NEEDS = sizeof(needs) / sizeof(needs[0]) };

bool
role_user(const char *name, struct role_user *out)
{
    char none[] = "", *end = none; /* what is no digit */
    unsigned long id = !name   ? geteuid()
                       : *name ? strtoul(name, &end, 10)
                               : (uid_t)-1;
    const struct passwd *p = name ? names_user(name, 0) : NULL;

    p = p || *end || id >= (uid_t)-1 ? p : names_user(NULL, (uid_t)id);
    if (!p && (*end || id >= (uid_t)-1)) {
        return false;
    }
    *out = (struct role_user){.uid = p ? p->pw_uid : (uid_t)id,
                              .groups = {getegid()}};
    snprintf(out->name, sizeof(out->name), "%s", p ? p->pw_name : "");
    if (!name) {
        out->count = 1 + getgroups(ROLE_GROUPS - 1, out->groups + 1);
    } else if (p) {
        out->count = ROLE_GROUPS;
        if (getgrouplist(p->pw_name, p->pw_gid, out->groups, &out->count) < 0) {
            out->count = ROLE_GROUPS; /* there are more */
        }
    }
    return true;
}

bool
role_may(uid_t user, const gid_t *groups, size_t count, const struct stat *st,
         unsigned wanted)
{
    unsigned shift = 0;

    for (size_t i = 0; i < count; i++) {
        shift = groups[i] == st->st_gid ? 3 : shift;
    }
    shift = user == st->st_uid ? 6 : shift;
    return user == 0 || (st->st_mode >> shift & wanted) == wanted;
}

struct question {
    const struct role_user *user;
    const char *to, *dir;
    size_t inside; /* shorter paths are outside of the registry */
    bool is_live;  /* a path of live state, see safe_directory */
    struct role_answer *out;
};

#define WHY(q, ...) snprintf((q)->out->why, sizeof((q)->out->why), __VA_ARGS__)
#define RUN(q, ...) snprintf((q)->out->run, sizeof((q)->out->run), __VA_ARGS__)

/* Takes back a command with a path that is not plain for a shell. */
static void
check_command(char *run)
{
    const char *first = strchr(run, '\''), *last = strrchr(run, '\'');

    if (first && strchr(first + 1, '\'') != last) {
        *run = '\0';
    }
}

/* Explains why the user may not use a file or directory, and what mends it. */
static void
refuse(const struct question *q, const char *path, const struct stat *st,
       unsigned wanted)
{
    const struct group *g = names_group(NULL, st->st_gid);
    const struct passwd *owner = names_user(NULL, st->st_uid);
    bool own = q->user->uid == st->st_uid;
    char number[16];

    if (own || strlen(path) < q->inside) {
        WHY(q, "%s is closed", path);
        RUN(q, "chmod %c+%s '%s'", own ? 'u' : 'o',
            wanted == 1   ? "x"
            : wanted == 3 ? "wx"
            : wanted == 4 ? "r"
                          : "rw",
            path);
    } else if (st->st_gid && !(owner && owner->pw_gid == st->st_gid) &&
               (st->st_mode >> 3 & wanted) == wanted) {
        snprintf(number, sizeof(number), "%u", st->st_gid);
        q->out->to = q->to;
        WHY(q, "be a member of %s", g ? g->gr_name : number);
        if (g && *q->user->name) {
            RUN(q, "adduser %s %s", q->user->name, g->gr_name);
        }
    } else {
        snprintf(number, sizeof(number), "%u", st->st_uid);
        WHY(q, "only %s may %s", owner ? owner->pw_name : number, q->to);
        if (!st->st_uid && *q->dir) {
            RUN(q, "bide --dir '%s' init", q->dir);
        }
    }
}

/* Judges each directory on the way, and the file, or the directory that is to
 * have it. */
static void
judge_path(const struct question *q, const char *path, unsigned wanted)
{
    char way[480], *slash = way;
    struct stat st = {.st_mode = 0}, next;
    struct statvfs fs;

    snprintf(way, sizeof(way), "%s", path);
    while (slash) {
        slash = strchr(slash + 1, '/');
        if (slash) {
            *slash = '\0';
        }
        if (stat(way, &next) == 0) {
            if (q->is_live && strlen(way) == q->inside && next.st_uid &&
                q->user->uid && next.st_uid != q->user->uid &&
                st.st_mode & S_IWOTH) {
                WHY(q, "%s is another user's, where all can make files", way);
                return;
            }
            st = next;
        } else if (errno == ENOENT && wanted & 2) {
            wanted = 3; /* it must be made */
            slash = NULL;
            dirname(way);
        } else {
            q->out->unknown = errno != ENOENT; /* else nothing is to be read */
            return;
        }
        if (!role_may(q->user->uid, q->user->groups, (size_t)q->user->count,
                      &st, slash ? 1 : wanted)) {
            refuse(q, way, &st, slash ? 1 : wanted);
            return;
        }
        if (slash) {
            *slash = '/';
        }
    }
    if (wanted & 2 && !statvfs(way, &fs) && fs.f_flag & ST_RDONLY) {
        WHY(q, "%s is on a read-only file system", way);
    }
}

void
role_ask(const char *dir, const char *live, int role,
         const struct role_user *user, struct role_answer *out)
{
    struct question q = {user, role_words[role], dir, 0, false, out};
    char path[480];

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < NEEDS && !*out->why && !out->unknown; i++) {
        const char *file = needs[i].file, *slash = strrchr(live, '/');

        q.is_live = !*file;
        q.inside = *file || !slash ? strlen(dir) : (size_t)(slash - live);
        snprintf(path, sizeof(path), "%s%s%s", *file ? dir : live,
                 *file ? "/" : "", file);
        if (needs[i].wanted[role] && *(*file ? dir : live)) {
            judge_path(&q, path, needs[i].wanted[role]);
        }
    }
    if (out->unknown) {
        WHY(&q, "%s is closed to the caller", dir);
        RUN(&q, "sudo bide --dir '%s' doctor --as %u", dir, user->uid);
    }
    check_command(out->run);
}

void
role_missing(const char *dir, const char *path, struct role_answer *out)
{
    struct role_user caller;
    char of[480];

    role_user(NULL, &caller);
    role_ask(dir, strstr(path, ".live") ? path : "", 1, &caller, out);
    for (size_t i = 0; i < NEEDS; i++) {
        size_t length = strlen(path), tail = strlen(needs[i].file) + 1;

        if (length > tail && length < sizeof(of) && tail > 1 &&
            !strcmp(path + length - tail + 1, needs[i].file)) {
            snprintf(of, length - tail + 1, "%s", path);
            role_ask(of, "", 0, &caller, out);
            if (!*out->why) {
                role_ask(of, "", needs[i].role, &caller, out);
            }
        }
    }
}
