/* Errors and exit statuses.  An error is a line "bide: WHAT: WHY" on stderr
 * and, where it is known, a second one with what to do. */
#ifndef BIDE_CLI_SAY_H
#define BIDE_CLI_SAY_H

#include <stdint.h>
#include <stdio.h>

#include "command.h"

struct admin;
struct faults;

enum exit_status {
    STATUS_DONE = 0,
    STATUS_NO = 1, /* the answer is no, or it failed */
    STATUS_USAGE = 2,
    STATUS_ABSENT = 3,   /* no such policy or version */
    STATUS_VERSION = 4,  /* --if-version does not hold */
    STATUS_INPUT = 5,    /* the input is invalid */
    STATUS_REGISTRY = 6, /* missing, locked, damaged, no permission, full */
};

/* What a BIDE_E code means for the exit status. */
int say_status(int rc);

/* One line on stderr, "bide: " before it; what is no printable text in it is
 * shown as \xNN. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says this thread's last failure (explain.h); without one, "WHAT: " and the
 * text of the code.  Returns the exit status. */
int say_failure(int rc, const char *what);

/* "WHAT: WHY"; what stands behind a line break in WHY is a line of its own. */
void say_why(const char *what, const char *why);

/* The exit status of a failed system call, said as "WHAT: " and errno's. */
int say_errno(const char *what);

int say_no_memory(void);

/* From now on lines go there, without "bide: "; NULL: to stderr, as before. */
void say_divert(FILE *out);

/* A mistake on the command line, and the command's usage. */
int say_usage(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What `name` cannot be, `before` being put before it ("--scope ", ""). */
int say_no_name(const char *before, const char *name);

/* "NAME: no such policy (NEAR?)". */
int say_no_policy(struct admin *registry, const char *name);
/* The same unless there is one: then 0. */
int say_unless_policy(struct admin *registry, const char *name);

/* There is no such version (0: none before the present one). */
int say_no_version(struct admin *registry, const char *name, uint32_t version);

/* Every fault with its place, then for each file how many, and `outcome`
 * ("nothing was changed"; NULL: nothing to add). */
int say_faults(const struct faults *faults, const char *outcome);

/* One of the two: the faults if that is what `rc` means, else say_failure.
 * Frees the faults. */
int say_refusal(int rc, struct faults *faults, const char *what,
                const char *outcome);

#endif
