/* Writes a file that others read, or that is to last. */
#ifndef BIDE_CLI_REPLACE_H
#define BIDE_CLI_REPLACE_H

#include <stdio.h>
#include <sys/types.h>

/* Replaces the file at `path` atomically and durably: a reader sees the old
 * file or the new one.  `write` returns 0 or errno.  On failure the old file
 * stays, and so does anything else at `path`.  Returns 0 or errno (safe_why).
 */
int replace_file(const char *path, mode_t mode,
                 int (*write)(void *arg, FILE *out), void *arg);

#endif
