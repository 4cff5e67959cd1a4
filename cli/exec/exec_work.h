/* Encodes a command as a piece of deferred work: `bide exec --defer` writes the
 * bytes, `bide deferred work` reads them.  Any process that may defer work can
 * write such bytes, so reading checks every bound. */
#ifndef BIDE_CLI_EXEC_WORK_H
#define BIDE_CLI_EXEC_WORK_H

#include <stddef.h>

#define EXEC_WORK_TYPE "application/x-bide-exec"

struct exec_work {
    char *directory;
    char **arguments;   /* at least one; NULL-terminated */
    char **environment; /* each "NAME=VALUE"; NULL-terminated */
    const void *input;  /* standard input; NULL: none */
    size_t input_length;
};

/* Encodes `w`.  Returns 0; -1 without memory.  The caller frees *out_bytes. */
int exec_work_write(const struct exec_work *w, void **out_bytes,
                    size_t *out_length);

/* Decodes `bytes`.  Returns 0; -1 if they are not valid; -2 without memory.
 * The members of *out point into `bytes`, which must stay valid as long as *out
 * is used. */
int exec_work_read(const void *bytes, size_t length, struct exec_work *out);
void exec_work_free(
    struct exec_work *w); /* frees the arrays that exec_work_read allocated */

#endif
