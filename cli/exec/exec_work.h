/* A command as bytes, in a piece of deferred work: `bide exec --defer` writes
 * them, `bide deferred work` reads them.  Any process that may defer work can
 * write them, so reading checks every bound. */
#ifndef BIDE_CLI_EXEC_WORK_H
#define BIDE_CLI_EXEC_WORK_H

#include <stddef.h>

#define EXEC_WORK_TYPE "application/x-bide-exec"

struct exec_work {
    char *directory;
    char **arguments;   /* at least one, ended by NULL */
    char **environment; /* each "NAME=VALUE", ended by NULL */
    const void *input;  /* standard input; NULL: none */
    size_t input_length;
};

/* Encodes `w`.  Returns 0; -1 without memory.  The caller frees *out_bytes. */
int exec_work_write(const struct exec_work *w, void **out_bytes,
                    size_t *out_length);

/* Decodes `bytes`.  Returns 0; -1 if they are not valid; -2 without memory. The
 * members of *out point into `bytes` and are valid as long as those. */
int exec_work_read(const void *bytes, size_t length, struct exec_work *out);
void exec_work_free(struct exec_work *w); /* the arrays of exec_work_read */

#endif
