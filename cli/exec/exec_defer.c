/* bide exec --defer: encodes the command as work before the call, so that it
 * can be stored if the call fails. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "cli/policy/source.h"
#include "exec.h"
#include "exec_work.h"

extern char **environ;

/* ---- the environment ---- */

bool
exec_defer_names_ok(const char *names)
{
    for (;; names++) {
        size_t length = strcspn(names, ",");

        if (length == 0 || strcspn(names, "= \t;:") < length) {
            return false;
        }
        names += length;
        if (!*names) {
            return true;
        }
    }
}

/* Reports whether the list "A,B" has the name of the entry "NAME=VALUE". */
static bool
is_listed(const char *names, const char *entry)
{
    size_t length = strcspn(entry, "=");

    while (names && (strncmp(names, entry, length) != 0 ||
                     (names[length] && names[length] != ','))) {
        names = strchr(names, ',');
        names = names ? names + 1 : NULL;
    }
    return names != NULL;
}

/* Returns PATH and the variables of the list "A,B" that are set, as a
 * NULL-terminated array; NULL without memory.  The caller frees only the array.
 */
static char **
select_environment(const char *names)
{
    size_t count = 0;
    char **kept;

    while (environ[count]) {
        count++;
    }
    kept = calloc(count + 1, sizeof(*kept));
    count = 0;
    for (char **e = environ; kept && *e; e++) {
        if (is_listed("PATH", *e) || is_listed(names, *e)) {
            kept[count++] = *e;
        }
    }
    return kept;
}

/* ---- standard input ---- */

/* Reads the standard input of attempts, from in->start to its end. *out stays
 * NULL if the input cannot be rewound, such as a terminal.  Returns 0; -1 with
 * errno. */
static int
copy_input(const struct exec_input *in, char **out, size_t *out_length)
{
    int rc;

    if (in->fd < 0 || in->start < 0 || lseek(in->fd, in->start, SEEK_SET) < 0) {
        return 0;
    }
    rc = source_read_all(in->fd, BIDE_WORK_MAX, out, out_length);
    if (rc) {
        return -1;
    }
    lseek(in->fd, in->start, SEEK_SET); /* no attempt may follow */
    return 0;
}

/* ---- the work ---- */

int
exec_defer_open(const struct exec_input *in, char *const *command,
                const char *names, struct bide_work *out)
{
    struct exec_work w = {.arguments = (char **)command};
    char *input = NULL;
    void *bytes;
    int rc = -1;

    *out = (struct bide_work){0};
    errno = 0;
    w.directory = getcwd(NULL, 0);
    w.environment = select_environment(names);
    if (w.directory && w.environment &&
        copy_input(in, &input, &w.input_length) == 0) {
        w.input = input;
        rc = exec_work_write(&w, &bytes, &out->length);
    }
    free(w.directory);
    free(w.environment);
    free(input);
    if (rc < 0) {
        return errno ? errno : ENOMEM;
    }
    out->bytes = bytes;
    out->type = EXEC_WORK_TYPE;
    if (out->length > BIDE_WORK_MAX) {
        exec_defer_close(out);
        return EFBIG;
    }
    return 0;
}

void
exec_defer_close(struct bide_work *work)
{
    free((void *)work->bytes);
    *work = (struct bide_work){0};
}
