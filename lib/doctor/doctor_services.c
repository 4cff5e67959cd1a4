/* Finds processes that use the registry without the right to write the live
 * file: each counts for itself, and nobody sees it. */

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "inside.h"

enum { GROUPS = 64 };

struct running {
    int pid;
    char name[16];
    uid_t user;
    gid_t group[GROUPS];
    size_t groups;
};

static FILE *
open_process(int pid, const char *file)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    return fopen(path, "re");
}

/* Reads name, user and groups.  False: the process has ended. */
static bool
read_process(struct running *p)
{
    FILE *f = open_process(p->pid, "status");
    char line[1024], *next;

    p->groups = 0;
    while (f && fgets(line, sizeof(line), f)) {
        sscanf(line, "Name: %15s", p->name);
        sscanf(line, "Uid: %*u %u", &p->user);
        if (strncmp(line, "Gid:", 4) && strncmp(line, "Groups:", 7)) {
            continue;
        }
        for (char *at = strchr(line, ':') + 1; p->groups < GROUPS; at = next) {
            p->group[p->groups] = (gid_t)strtoul(at, &next, 10);
            if (next == at) {
                break;
            }
            p->groups++;
        }
    }
    if (f) {
        fclose(f);
    }
    return p->groups > 0;
}

/* Reports whether a part of the file, up to `end`, contains the text. */
static bool
has_text(const struct running *p, const char *file, int end, const char *text)
{
    FILE *f = open_process(p->pid, file);
    bool found = false;
    char *part = NULL;
    size_t size = 0;

    while (f && !found && getdelim(&part, &size, end, f) > 0) {
        found = strstr(part, text) != NULL;
    }
    free(part);
    if (f) {
        fclose(f);
    }
    return found;
}

static bool
may_process(const struct running *p, const char *path, unsigned wanted)
{
    struct stat st;
    unsigned shift = 0;

    if (p->user == 0 || stat(path, &st)) {
        return true;
    }
    for (size_t i = 0; i < p->groups; i++) {
        shift = p->group[i] == st.st_gid ? 3 : shift;
    }
    shift = p->user == st.st_uid ? 6 : shift;
    return (st.st_mode >> shift & wanted) == wanted;
}

static bool
uses_bide(const struct running *p)
{
    char path[64], self[PATH_MAX], other[PATH_MAX];

    snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
    return (realpath("/proc/self/exe", self) && realpath(path, other) &&
            strcmp(self, other) == 0) ||
           has_text(p, "maps", '\n', "/libbide.so");
}

static bool
uses_registry(const struct running *p, const char *dir)
{
    return has_text(p, "cmdline", '\0', dir) ||
           has_text(p, "environ", '\0', dir) || has_text(p, "maps", '\n', dir);
}

void
doctor_services(struct doctor *d)
{
    const char *live = d->out->live;
    char live_dir[sizeof(d->out->live)], registry[512];
    DIR *all = *live ? opendir("/proc") : NULL;
    struct dirent *entry;

    strcpy(live_dir, live);
    dirname(live_dir);
    while (all && (entry = readdir(all))) {
        struct running p = {.pid = atoi(entry->d_name)};

        if (p.pid > 0 && read_process(&p) &&
            !(may_process(&p, d->out->dir, 1) &&
              doctor_path(d, "registry.mdb", registry, sizeof(registry)) &&
              may_process(&p, registry, 4) && may_process(&p, live_dir, 1) &&
              may_process(&p, live, 6)) &&
            uses_bide(&p) && uses_registry(&p, d->out->dir) &&
            !has_text(&p, "maps", '\n', live)) {
            struct doctor_finding *f =
                doctor_find_path(d, FINDING_SERVICE_OUTSIDE, live);

            f->count = (uint64_t)p.pid;
            f->user = p.user;
            strcpy(f->name, p.name);
        }
    }
    if (all) {
        closedir(all);
    }
}
