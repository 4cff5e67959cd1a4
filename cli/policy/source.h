/* Policies out of files: what apply, validate, diff, preview and simulate are
 * given.  Looks for what they extend among themselves, then in the registry. */
#ifndef BIDE_CLI_SOURCE_H
#define BIDE_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct admin;
struct faults;

struct source_file {
    char *path;   /* as it is shown: "-" for standard input */
    size_t first; /* of its policies in `all` */
};

struct source {
    struct policy_list all; /* in order of the files and of their lines */
    size_t file_count;
    struct source_file *files;
    size_t *by_name;        /* indexes into `all`, sorted */
    struct admin *registry; /* NULL: only among themselves */
};

/* Operands that are files, not names: they hold a slash, end in .ini, or are
 * "-" for standard input. */
bool source_is_file(const char *operand);

/* All bytes of a file ("-": standard input), and a NUL.  0, BIDE_EINPUT with
 * a fault, or BIDE_ENOMEM. */
int source_bytes(const char *path, char **out, size_t *out_length,
                 struct faults *faults);

/* Reads files and directories (their *.ini, by name).  Nothing is looked at
 * twice, and every fault of every file is reported.  0, BIDE_EINPUT,
 * BIDE_ENOMEM; source_free in any case. */
int source_read(struct source *s, char *const *paths, struct faults *faults);
void source_free(struct source *s);

const char *source_file_of(const struct source *s, size_t policy);
const struct policy_text *source_named(const struct source *s,
                                       const char *name);

/* arg: struct source *. */
policy_find_fn source_find;

/* Compiles them all, for the faults only.  0, BIDE_EINPUT, or another failure
 * of the registry. */
int source_check(struct source *s, struct faults *faults);

/* The policy that a command works on: of a file (the only one, or `wanted`)
 * or of the registry, with KEY=VALUE changes tried on top.  `out` is the
 * caller's; `s` holds what it extends.  0, or the exit status, and said why. */
struct command_line;
int source_policy(struct source *s, struct command_line *line,
                  struct policy_text **out);

#endif
