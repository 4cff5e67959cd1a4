/* bide exec --defer: keeps the command for later when it gives up. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "cli/command/say.h"
#include "exec.h"
#include "exec_work.h"

extern char **environ;

/* ---- the environment ---- */

static const char *
variable(const char *name, size_t length)
{
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, name, length) == 0 && (*e)[length] == '=') {
            return *e;
        }
    }
    return NULL;
}

/* PATH and those of the list that are set. */
static char **
kept_environment(const char *names)
{
    size_t most = 2, count = 0;
    char **kept;

    for (const char *at = names; at && *at; at++) {
        most += *at == ',';
    }
    kept = calloc(most + 1, sizeof(*kept));
    if (!kept) {
        return NULL;
    }
    kept[count] = (char *)variable("PATH", 4);
    count += kept[count] != NULL;
    while (names && *names) {
        size_t length = strcspn(names, ",");

        kept[count] = length > 0 ? (char *)variable(names, length) : NULL;
        count += kept[count] != NULL;
        names += length;
        names += *names == ',';
    }
    return kept;
}

/* ---- standard input ---- */

/* All that attempts read; they have had it already, or will from the start. */
static int
read_input(const struct exec_input *in, void **out, size_t *out_length)
{
    size_t size = BIDE_WORK_MAX + 1, used = 0;
    struct stat st;
    char *bytes;

    if (in->fd < 0 || in->start < 0 || fstat(in->fd, &st) < 0) {
        return 0; /* a terminal: nobody will be there later */
    }
    bytes = malloc(size);
    if (!bytes) {
        return -1;
    }
    while (used < size) {
        ssize_t n =
            pread(in->fd, bytes + used, size - used, in->start + (off_t)used);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            free(bytes);
            return -1;
        }
        if (n == 0) {
            break;
        }
        used += (size_t)n;
    }
    *out = bytes;
    *out_length = used;
    return 0;
}

/* ---- both, and the command ---- */

static int
make(const struct exec_input *in, char *const *command, const char *names,
     struct bide_work *out)
{
    struct exec_work w = {.arguments = (char **)command};
    void *input = NULL, *bytes;
    int rc = -1;

    errno = 0;
    w.directory = getcwd(NULL, 0);
    w.environment = kept_environment(names);
    if (w.directory && w.environment &&
        read_input(in, &input, &w.input_length) == 0) {
        w.input = input;
        rc = exec_work_write(&w, &bytes, &out->length);
    }
    if (rc == 0) {
        out->bytes = bytes;
        out->type = EXEC_WORK_TYPE;
    }
    free(w.directory);
    free(w.environment);
    free(input);
    return rc;
}

int
exec_defer_open(const struct exec_input *in, char *const *command,
                const char *names, struct bide_work *out)
{
    *out = (struct bide_work){0};
    if (make(in, command, names, out) < 0) {
        return errno ? errno : ENOMEM;
    }
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
