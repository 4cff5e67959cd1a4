/* Checks who may use the files, and the space that is left for them. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/safe.h"
#include "doctor.h"
#include "inside.h"

#define MIB (UINT64_C(1) << 20)

/* ---- rights ---- */

static const struct {
    const char *name; /* "": the directory itself; NULL: the live file */
    mode_t never;
    enum finding_id finding;
} rights[] = {
    {"", 022, FINDING_DIRECTORY_WRITABLE},
    {"registry.mdb", 022, FINDING_REGISTRY_WRITABLE},
    {"registry.lock", 077, FINDING_REGISTRY_LOCK_OPEN},
    {"history.mdb", 022, FINDING_HISTORY_WRITABLE},
    {"history.lock", 077, FINDING_HISTORY_LOCK_OPEN},
    {"deferred.mdb", 007, FINDING_DEFERRED_OPEN},
    {"deferred.journal", 007, FINDING_DEFERRED_OPEN},
    {NULL, 007, FINDING_LIVE_OPEN},
};

static void
check_rights(struct doctor *d, size_t i, uid_t owner)
{
    char path[512];
    struct stat st;

    if (!rights[i].name) {
        snprintf(path, sizeof(path), "%s", d->out->live);
    } else if (!doctor_path(d, rights[i].name, path, sizeof(path))) {
        return;
    }
    if (!*path || lstat(path, &st)) {
        return; /* the other checks report missing files */
    }
    if ((!rights[i].name || *rights[i].name) && safe_look(path) &&
        safe_refused(errno) && errno != SAFE_STRANGER) {
        struct doctor_finding *f =
            doctor_find_reason(d, FINDING_FILE_REFUSED, 0, safe_why(errno));

        snprintf(f->path, sizeof(f->path), "%s", path);
        return;
    }
    if (st.st_mode & rights[i].never) {
        doctor_find_path(d, rights[i].finding, path);
    }
    if (rights[i].name && st.st_uid != owner &&
        (strncmp(rights[i].name, "deferred.", 9) != 0 || safe_look(path))) {
        struct doctor_finding *f =
            doctor_find_path(d, FINDING_FILE_OWNER, path);

        f->user = st.st_uid;
        f->owner = owner;
    }
}

/* Services that are members of the group must be able to read. */
static void
check_group(struct doctor *d, const struct stat *dir)
{
    char path[512];
    struct stat st;

    if (!doctor_path(d, "registry.mdb", path, sizeof(path)) ||
        stat(path, &st) || dir->st_uid != 0) {
        return;
    }
    if (st.st_gid != dir->st_gid || !(st.st_mode & 040) ||
        !(dir->st_mode & 010)) {
        doctor_find_path(d, FINDING_GROUP_CANNOT_READ, path)->owner =
            dir->st_gid;
    }
}

void
doctor_rights(struct doctor *d)
{
    struct stat dir;

    if (stat(d->out->dir, &dir)) {
        struct doctor_finding *f = doctor_find_reason(
            d, FINDING_DIRECTORY_UNREADABLE, 0, strerror(errno));

        snprintf(f->path, sizeof(f->path), "%s", d->out->dir);
        return;
    }
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        check_rights(d, i, dir.st_uid);
    }
    check_group(d, &dir);
}

/* ---- space ---- */

/* Reports little space on the file system of `path`: `full` if services may
 * fail now, `low` if they may fail soon. */
static void
check_space(struct doctor *d, const char *path, enum finding_id full,
            enum finding_id low, struct doctor_space *out)
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
        doctor_find_path(d, full, path)->bytes = out->free;
    } else if (out->free < 32 * MIB || out->free < out->size / 20) {
        doctor_find_path(d, low, path)->bytes = out->free;
    }
}

/* Writes the path of the live file, or of its directory if there is none. */
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
    check_space(d, r->dir, FINDING_DISK_FULL, FINDING_DISK_LOW, &d->out->disk);
    check_space(d, live, FINDING_MEMORY_FULL, FINDING_MEMORY_LOW,
                &d->out->memory);
    if (statvfs(r->dir, &fs) == 0 && fs.f_flag & ST_RDONLY) {
        doctor_find_path(d, FINDING_DISK_READ_ONLY, r->dir);
    }
}
