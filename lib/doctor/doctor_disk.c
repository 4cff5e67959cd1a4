/* Checks what keeps files from being changed: locks, attributes, no space. */

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <linux/fs.h>

#include "doctor.h"
#include "inside.h"

/* ---- one file ---- */

/* Reports whether the process is stopped; `out` is its name. */
static bool
is_stopped(int pid, char *out, size_t size)
{
    char path[64], line[256] = "", *name, *end;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "re");
    if (!f) {
        return false;
    }
    name = fgets(line, sizeof(line), f) ? strchr(line, '(') : NULL;
    end = strrchr(line, ')');
    fclose(f);
    if (!name || !end) {
        return false;
    }
    snprintf(out, size, "%.*s", (int)(end - name - 1), name + 1);
    return strncmp(end, ") T", 3) == 0 || strncmp(end, ") t", 3) == 0;
}

/* Finds a stopped process that has locked the file: others wait for it. */
static void
check_lock(struct doctor *d, const char *path, const struct stat *st)
{
    FILE *locks = fopen("/proc/locks", "re");
    char line[256], name[16];
    unsigned long long inode;
    int pid;

    while (locks && fgets(line, sizeof(line), locks)) {
        if (sscanf(line, "%*d: %*s %*s %*s %d %*x:%*x:%llu", &pid, &inode) ==
                2 &&
            inode == st->st_ino && is_stopped(pid, name, sizeof(name))) {
            struct doctor_finding *f =
                doctor_find(d, FINDING_LOCK_STOPPED, path, NULL);

            f->count = (uint64_t)pid;
            strcpy(f->name, name);
        }
    }
    if (locks) {
        fclose(locks);
    }
}

void
doctor_state(struct doctor *d, const char *path, const struct stat *st)
{
    int flags = 0, fd;

    check_lock(d, path, st);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        doctor_unseen(d, path);
        return;
    }
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
        flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) {
        doctor_find(d, FINDING_FILE_IMMUTABLE, path, NULL);
    }
    close(fd);
}

/* ---- file systems ---- */

/* Reports a file system that is read-only, has no inodes, or little space, and
 * `why` that is needed. */
static void
check_space(struct doctor *d, const char *path, const char *why,
            struct doctor_space *out)
{
    struct statvfs fs;

    if (!*path || statvfs(path, &fs) || fs.f_blocks == 0) {
        return;
    }
    out->known = true;
    out->free = (uint64_t)fs.f_bavail * fs.f_frsize;
    out->size = (uint64_t)fs.f_blocks * fs.f_frsize;
    if (out->free < DOCTOR_LOW) {
        doctor_find(d,
                    out->free < DOCTOR_LOW / 4 ? FINDING_SPACE_FULL
                                               : FINDING_SPACE_LOW,
                    path, why)
            ->bytes = out->free;
    }
    if (fs.f_files && !fs.f_favail) {
        doctor_find(d, FINDING_INODES_NONE, path, NULL);
    }
    if (fs.f_flag & ST_RDONLY) {
        doctor_find(d, FINDING_DISK_READ_ONLY, path, NULL);
    }
}

void
doctor_space(struct doctor *d)
{
    const struct doctor_report *r = d->out;
    char live[sizeof(r->live)];

    strcpy(live, r->live);
    check_space(d, r->dir, "changes, history and deferred work need it",
                &d->out->disk);
    check_space(d, *live ? dirname(live) : live,
                "without it, calls are not counted", &d->out->memory);
}
