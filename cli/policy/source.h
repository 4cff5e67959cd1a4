/* Reads policies from files, for apply, validate, diff, preview and simulate.
 * Policies that they extend are searched in the files, then in the registry. */
#ifndef BIDE_CLI_SOURCE_H
#define BIDE_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct admin;
struct faults;

struct source_file {
    char *path;   /* as it is printed; "-" for standard input */
    size_t first; /* index of its first policy in `all` */
};

struct source {
    struct policy_list all; /* in the order of the files and their lines */
    size_t file_count;
    struct source_file *files;
    size_t *by_name;        /* indexes into `all`, sorted */
    struct admin *registry; /* NULL: policies can extend only each other */
};

/* Reports whether an operand is a file, not a name: it has a slash, ends in
 * .ini, or is "-" for standard input. */
bool source_is_file(const char *operand);

/* Reads to the end of `fd` and adds a NUL; the caller frees it.  Returns 0,
 * BIDE_ENOMEM, or BIDE_ESYS with errno: EFBIG if it is longer than `most`. */
int source_read_all(int fd, size_t most, char **out, size_t *out_length);

/* Reads a whole file ("-": standard input) and adds a NUL; the caller frees it.
 * Returns 0, BIDE_EINPUT with a fault, or BIDE_ENOMEM. */
int source_bytes(const char *path, char **out, size_t *out_length,
                 struct faults *faults);

/* Reads files, and the *.ini files of directories in order of their names.
 * Reports every fault of every file.  Returns 0, BIDE_EINPUT or BIDE_ENOMEM.
 * Release with source_free() in all cases. */
int source_read(struct source *s, char *const *paths, struct faults *faults);
void source_free(struct source *s);

const char *source_file_of(const struct source *s, size_t policy);

/* Finds a policy; `arg` is a struct source *. */
policy_find_fn source_find;

/* Compiles every policy to find faults.  Returns 0, BIDE_EINPUT, or another
 * failure of the registry. */
int source_check(struct source *s, struct faults *faults);

/* Adds "faults" to `j`, with the place, rule and suggestion of each.  In
 * validate.c, as is source_print_faults(), which prints an object of faults and
 * counts, frees the faults, and returns the exit status. */
struct json;
void source_put_faults(struct json *j, const struct faults *faults);
int source_print_faults(const struct source *s, struct faults *faults);

/* Finds the policy that a command works on: in a file (the only one, or that of
 * --policy) or in the registry.  Applies the KEY=VALUE operands to a copy,
 * *out, which the caller frees.  `s` holds the policies that it extends.
 * Returns 0, or the exit status after an error message. */
struct command_line;
int source_policy(struct source *s, struct command_line *line,
                  struct policy_text **out);

#endif
