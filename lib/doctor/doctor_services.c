/* Finds programs that use the registry without the right to read it or to write
 * the live file: each counts for itself, and nobody sees it. */

#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "doctor.h"
#include "inside.h"

enum { GROUPS = 64 };

struct program {
    const char *pid;
    char name[16];
    uid_t user;
    gid_t group[GROUPS];
    size_t groups;
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
 * `.` or a line break is found anywhere. */
static bool
has_text(struct program *p, const char *part, const char *text)
{
    const char *at = strstr(part, text);
    size_t length = strlen(text);

    (void)p;
    return at && (strchr(".\n", text[length - 1]) || !at[length] ||
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
may_use(const struct program *p, const char *path, unsigned wanted)
{
    unsigned shift = 0;
    struct stat st;

    if (p->user == 0 || stat(path, &st)) {
        return true;
    }
    for (size_t i = 0; i < p->groups; i++) {
        shift = p->group[i] == st.st_gid ? 3 : shift;
    }
    shift = p->user == st.st_uid ? 6 : shift;
    return (st.st_mode >> shift & wanted) == wanted;
}

void
doctor_services(struct doctor *d)
{
    const char *dir = d->out->dir, *live = d->out->live;
    char live_dir[sizeof(d->out->live)], variable[sizeof(d->out->dir) + 16];
    DIR *all = *live ? opendir("/proc") : NULL;
    struct dirent *entry;

    snprintf(variable, sizeof(variable), "BIDE_DIR=%s", dir);
    strcpy(live_dir, live);
    dirname(live_dir);
    while (all && (entry = readdir(all))) {
        struct program p = {.pid = entry->d_name};

        if (atoi(p.pid) > 0 && find_part(&p, "status", '\n', read_status, "") &&
            !(may_use(&p, dir, 1) && may_use(&p, live_dir, 1) &&
              may_use(&p, live, 6)) &&
            (find_part(&p, "cmdline", '\0', has_text, dir) ||
             find_part(&p, "environ", '\0', has_text, variable)) &&
            (find_part(&p, "maps", '\n', has_text, "/libbide.so.") ||
             find_part(&p, "maps", '\n', has_text, "/bide\n")) &&
            !find_part(&p, "maps", '\n', has_text, live)) {
            struct doctor_finding *f =
                doctor_find_path(d, FINDING_SERVICE_OUTSIDE, live);

            f->count = strtoul(p.pid, NULL, 10);
            f->user = p.user;
            strcpy(f->name, p.name);
        }
    }
    if (all) {
        closedir(all);
    }
}
