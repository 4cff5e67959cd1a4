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

/* Returns the exit status for a BIDE_E code. */
int say_status(int rc);

/* Writes one line to stderr, after "bide: "; bytes that are not printable text
 * are shown as \xNN. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says this thread's last failure (explain.h); without one, "WHAT: " and the
 * text of the code.  Returns the exit status. */
int say_failure(int rc, const char *what);

/* Says "WHAT: WHY"; text after a line break in WHY becomes a line of its own.
 */
void say_why(const char *what, const char *why);

/* Says "WHAT: " and the text of errno; returns the exit status. */
int say_errno(const char *what);

int say_no_memory(void);

/* Sends later lines to `out`, without "bide: "; NULL: to stderr again. */
void say_divert(FILE *out);

/* Says a mistake on the command line, and the command's usage; returns the exit
 * status. */
int say_usage(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says that `name` cannot be a name, after `before` ("--scope ", ""). */
int say_no_name(const char *before, const char *name);

/* Says "NAME: no such policy (NEAR?)", or that it was deleted. */
int say_no_policy(struct admin *registry, const char *name);
/* Returns 0 if there is such a policy; otherwise as say_no_policy(). */
int say_unless_policy(struct admin *registry, const char *name);

/* Says that there is no such version (0: none before the present one). */
int say_no_version(struct admin *registry, const char *name, uint32_t version);

/* Says every fault with its place, then the number of faults of each file, and
 * `outcome` ("nothing was changed"; NULL: none). */
int say_faults(const struct faults *faults, const char *outcome);

/* Says the faults if `rc` is BIDE_EINPUT and there are any, otherwise as
 * say_failure().  Frees the faults. */
int say_refusal(int rc, struct faults *faults, const char *what,
                const char *outcome);

#endif
