/* Checks what keeps files from being changed: attributes, no space. */

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <linux/fs.h>

#include "doctor.h"
#include "inside.h"

/* ---- one file ---- */

void
doctor_state(struct doctor *d, const char *path)
{
    int flags = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

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
