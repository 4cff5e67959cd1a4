#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "base/draft.h"
#include "cli/command/say.h"
#include "policy/group.h"
#include "policy/policy.h"
#include "setting.h"

/* Enough for a million policies of 500 bytes. */
enum { SOURCE_BYTES_MAX = 512 << 20 };

static bool
ends_with_ini(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".ini") == 0;
}

bool
source_is_file(const char *operand)
{
    return strchr(operand, '/') || strcmp(operand, "-") == 0 ||
           ends_with_ini(operand);
}

/* ---- bytes ---- */

int
source_read_all(int fd, size_t most, char **out, size_t *out_length)
{
    struct draft all = {0};
    char part[1 << 16];
    ssize_t got;

    while ((got = read(fd, part, sizeof(part))) != 0) {
        if (got > 0) {
            draft_add(&all, part, (size_t)got);
        }
        if (all.used > most) {
            errno = EFBIG;
            got = -1;
        }
        if (all.failed || (got < 0 && errno != EINTR)) {
            int rc = all.failed ? BIDE_ENOMEM : BIDE_ESYS;

            draft_free(&all);
            return rc;
        }
    }
    *out_length = all.used;
    *out = draft_take(&all);
    return *out ? 0 : BIDE_ENOMEM;
}

int
source_bytes(const char *path, char **out, size_t *out_length,
             struct faults *faults)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? BIDE_ESYS
                    : source_read_all(fd, SOURCE_BYTES_MAX, out, out_length);

    if (rc == BIDE_ESYS) {
        fault_add(faults, &(struct fault){.file = path}, "cannot be read: %s",
                  errno == EISDIR ? "this is a directory" : strerror(errno));
        rc = BIDE_EINPUT;
    }
    if (fd >= 0 && !standard) {
        close(fd);
    }
    return rc;
}

/* ---- files and directories ---- */

static int
add_file(struct source *s, const char *path)
{
    char *copy = strdup(path);
    struct source_file *file =
        copy ? array_add(&s->files, &s->file_count, sizeof(*file)) : NULL;

    if (!file) {
        free(copy);
        return BIDE_ENOMEM;
    }
    *file = (struct source_file){copy, s->all.count};
    return 0;
}

static int
read_file(struct source *s, const char *path, struct faults *faults)
{
    struct policy_list read = {0};
    size_t length;
    char *bytes;
    int rc = source_bytes(path, &bytes, &length, faults);

    if (rc) {
        return rc;
    }
    rc = policy_read(path, bytes, length, &read, faults);
    free(bytes);
    if (rc) {
        return rc;
    }
    rc = add_file(s, path);
    for (size_t i = 0; i < read.count && rc == 0; i++) {
        rc = policy_list_add(&s->all, read.list[i]);
        read.list[i] = NULL; /* the source owns it, or it is freed */
    }
    policy_list_free(&read);
    return rc;
}

static int
is_ini(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && ends_with_ini(entry->d_name);
}

/* Orders names in a directory by bytes, so that the order does not depend on
 * the locale. */
static int
compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Returns BIDE_ENOMEM if one of the two is that, else the first failure; after
 * a failure, the other files are still read. */
static int
first_failure(int rc, int next)
{
    return next == BIDE_ENOMEM || rc == 0 ? next : rc;
}

static int
read_directory(struct source *s, const char *path, struct faults *faults)
{
    struct dirent **entries;
    struct stat st;
    int count = scandir(path, &entries, is_ini, compare_entries), rc = 0;

    if (count < 0) {
        fault_add(faults, &(struct fault){.file = path}, "cannot be read: %s",
                  strerror(errno));
        return errno == ENOMEM ? BIDE_ENOMEM : BIDE_EINPUT;
    }
    if (count == 0) {
        fault_add(faults, &(struct fault){.file = path},
                  "no .ini files in this directory");
        rc = BIDE_EINPUT;
    }
    for (int i = 0; i < count; i++) {
        const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
        char *whole = NULL;

        if (asprintf(&whole, "%s%s%s", path, slash, entries[i]->d_name) < 0) {
            whole = NULL;
        }
        if (whole && stat(whole, &st) == 0 && !S_ISREG(st.st_mode) &&
            !S_ISDIR(st.st_mode)) {
            fault_add(faults, &(struct fault){.file = whole},
                      "not a regular file");
            rc = first_failure(rc, BIDE_EINPUT);
        } else {
            rc = first_failure(rc, whole ? read_file(s, whole, faults)
                                         : BIDE_ENOMEM);
        }
        free(whole);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* ---- names ---- */

static int
compare_policy_names(const void *a, const void *b, void *arg)
{
    const struct source *s = arg;
    size_t i = *(const size_t *)a, k = *(const size_t *)b;
    int order = strcmp(policy_text_name(s->all.list[i]),
                       policy_text_name(s->all.list[k]));

    return order ? order : (i > k) - (i < k);
}

static int
sort_names(struct source *s, struct faults *faults)
{
    int rc = 0;

    s->by_name = calloc(s->all.count + 1, sizeof(*s->by_name));
    if (!s->by_name) {
        return BIDE_ENOMEM;
    }
    for (size_t i = 0; i < s->all.count; i++) {
        s->by_name[i] = i;
    }
    qsort_r(s->by_name, s->all.count, sizeof(*s->by_name), compare_policy_names,
            s);
    for (size_t i = 1; i < s->all.count; i++) {
        size_t first = s->by_name[i - 1], again = s->by_name[i];
        const char *name = policy_text_name(s->all.list[again]);

        if (strcmp(policy_text_name(s->all.list[first]), name) == 0) {
            struct fault f =
                policy_text_fault(s->all.list[again], source_file_of(s, again),
                                  FAULT_DUPLICATE, NULL, NULL);

            fault_add(faults, &f, "[%s]: this policy is already in %s:%d", name,
                      source_file_of(s, first),
                      policy_text_line(s->all.list[first]));
            rc = BIDE_EINPUT;
        }
    }
    return rc;
}

int
source_read(struct source *s, char *const *paths, struct faults *faults)
{
    int rc = 0;

    for (; *paths; paths++) {
        struct stat st;
        bool directory = strcmp(*paths, "-") != 0 && stat(*paths, &st) == 0 &&
                         S_ISDIR(st.st_mode);

        rc = first_failure(rc, directory ? read_directory(s, *paths, faults)
                                         : read_file(s, *paths, faults));
    }
    return first_failure(rc, sort_names(s, faults));
}

void
source_free(struct source *s)
{
    for (size_t i = 0; i < s->file_count; i++) {
        free(s->files[i].path);
    }
    free(s->files);
    free(s->by_name);
    policy_list_free(&s->all);
    memset(s, 0, sizeof(*s));
}

const char *
source_file_of(const struct source *s, size_t policy)
{
    size_t i = s->file_count;

    while (i > 1 && s->files[i - 1].first > policy) {
        i--;
    }
    return s->files[i - 1].path;
}

static const struct policy_text *
source_named(const struct source *s, const char *name)
{
    size_t low = 0, high = s->all.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct policy_text *t = s->all.list[s->by_name[middle]];
        int order = strcmp(name, policy_text_name(t));

        if (order == 0) {
            return t;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

int
source_find(void *arg, const char *name, const struct policy_text **out)
{
    struct source *s = arg;
    const struct policy_text *t = source_named(s, name);

    if (t) {
        *out = t;
        return 0;
    }
    return s->registry ? admin_find(s->registry, name, out) : BIDE_ENOPOLICY;
}

/* Returns the place of the key, or of the policy that inherits it. */
static struct fault
place_of_key(const struct source *s, const char *name,
             const struct group_conflict *c)
{
    const struct policy_text *t = source_named(s, name);
    size_t i;

    for (i = 0; s->all.list[i] != t; i++) {
    }
    return group_place(c, t, source_file_of(s, i));
}

static int
check_group(const struct source *s, struct groups *groups,
            const struct policy *p, struct faults *faults)
{
    struct group_conflict c;
    int rc = groups_join(groups, p, &c);

    if (rc == BIDE_EINPUT) {
        struct fault there = place_of_key(s, c.with->name, &c);

        group_fault(faults, &c, p, place_of_key(s, p->name, &c), &there);
    }
    return rc;
}

int
source_check(struct source *s, struct faults *faults)
{
    struct groups groups = {0};
    int rc = 0;

    for (size_t i = 0; i < s->all.count; i++) {
        struct policy *compiled = NULL;
        int one = policy_compile(s->all.list[i], source_find, s,
                                 source_file_of(s, i), &compiled, faults);

        if (one == 0) {
            one = check_group(s, &groups, compiled, faults);
        }
        rc = first_failure(rc, one);
        policy_free(compiled);
    }
    groups_free(&groups);
    return rc;
}

/* ---- the one policy of a command ---- */

static int
pick_from_file(struct source *s, struct command_line *line,
               const struct policy_text **out)
{
    const char *wanted = line->option[OPTION_POLICY];
    const char *path = line->operands[0];
    char *paths[] = {line->operands[0], NULL};
    struct faults faults = {0};
    int rc = source_read(s, paths, &faults);

    if (rc) {
        return say_refusal(rc, &faults, path, NULL);
    }
    if (!wanted && s->all.count == 1) {
        *out = s->all.list[0];
        return 0;
    }
    *out = wanted ? source_named(s, wanted) : NULL;
    if (*out) {
        return 0;
    }
    if (wanted) {
        say("%s: it has no section [%s]", path, wanted);
    } else {
        say("%s: contains %zu policies; choose one:", path, s->all.count);
    }
    for (size_t i = 0; i < s->all.count && i < 20; i++) {
        say("  --policy %s", policy_text_name(s->all.list[i]));
    }
    return wanted ? STATUS_ABSENT : STATUS_USAGE;
}

static int
pick_from_registry(struct source *s, struct command_line *line,
                   const struct policy_text **out)
{
    const char *name = line->operands[0];
    int rc = 0;

    if (!policy_name_ok(name)) {
        return say_no_policy(line->registry, name);
    }
    if (!line->registry && line->option[OPTION_DIR]) {
        /* main() failed to open it and printed nothing; open it again to get
         * the reason. */
        rc = admin_open(line->option[OPTION_DIR], &line->registry);
    } else if (!line->registry) {
        rc = BIDE_EMISSING;
    }
    if (rc) {
        return say_failure(rc, "registry");
    }
    s->registry = line->registry;
    rc = admin_find(line->registry, name, out);
    if (rc == BIDE_ENOPOLICY) {
        return say_no_policy(line->registry, name);
    }
    return rc ? say_failure(rc, name) : 0;
}

int
source_policy(struct source *s, struct command_line *line,
              struct policy_text **out)
{
    const struct policy_text *found;
    struct policy_text *copy;
    int rc;

    s->registry = line->registry;
    rc = source_is_file(line->operands[0])
             ? pick_from_file(s, line, &found)
             : pick_from_registry(s, line, &found);
    if (rc) {
        return rc;
    }
    copy = policy_text_copy(found);
    if (!copy) {
        return say_no_memory();
    }
    rc = setting_try(line, line->operands + 1, copy);
    if (rc) {
        policy_text_free(copy);
        return rc;
    }
    *out = copy;
    return 0;
}
