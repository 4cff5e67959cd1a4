/* A command line that is to be run later, as bytes: what `bide exec --defer`
 * stores and `bide deferred work` does.  Whoever may defer may have written
 * them, so they are read with care. */
#ifndef BIDE_CLI_EXEC_WORK_H
#define BIDE_CLI_EXEC_WORK_H

#include <stddef.h>

#define EXEC_WORK_TYPE "application/x-bide-exec"

struct exec_work {
    char *directory;
    char **arguments;   /* ended by NULL, one at least */
    char **environment; /* "NAME=VALUE", ended by NULL */
    const void *input;  /* what standard input gives; NULL: nothing */
    size_t input_length;
};

/* 0, or -1 without memory.  The caller frees the bytes. */
int exec_work_write(const struct exec_work *w, void **out_bytes,
                    size_t *out_length);

/* 0; -1: these bytes are no such work; -2: out of memory.  What it gives points
 * into `bytes` and lives as long. */
int exec_work_read(const void *bytes, size_t length, struct exec_work *out);
void exec_work_free(struct exec_work *w); /* what exec_work_read gave */

#endif
