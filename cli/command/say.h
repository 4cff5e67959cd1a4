/* Error messages and exit statuses.  An error is a line "bide: WHAT: WHY" on
 * stderr, followed by a line with the remedy if one is known. */
#ifndef BIDE_CLI_SAY_H
#define BIDE_CLI_SAY_H

#include <stdint.h>
#include <stdio.h>

#include "command.h"

struct admin;
struct faults;
struct record;

enum exit_status {
    STATUS_DONE = 0,
    STATUS_NO = 1, /* the command failed, or its answer is no */
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

/* Writes `text` to stderr right before the next message, once.  The caller
 * keeps `text`. */
void say_first(const char *text);

/* Prints this thread's last failure (explain.h), or "WHAT: " and the text of
 * `rc` if there is none.  Returns the exit status. */
int say_failure(int rc, const char *what);

/* Prints "WHAT: WHY"; text after a line break in `why` is a second line. */
void say_why(const char *what, const char *why);

/* Prints "WHAT: " and the text of errno.  Returns the exit status. */
int say_errno(const char *what);

int say_no_memory(void);

/* Notes that the change was made.  A later failure, for instance to print it,
 * is only a note.  say_end() returns the exit status of the process then. */
void say_changed(void);
bool say_has_changed(void);
int say_end(int status);

/* Writes later messages to `out`, without "bide: "; NULL: to stderr again. */
void say_divert(FILE *out);

/* Prints a usage error and the usage of the command.  Returns the exit status.
 */
int say_usage(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints "BEFORE NAME: not a name"; `before` is "--scope " or "".  Returns the
 * exit status. */
int say_no_name(const char *before, const char *name);

/* Prints "NAME: no such policy; did you mean NEAR?", or that the policy was
 * deleted.  Returns the exit status. */
int say_no_policy(struct admin *registry, const char *name);
/* Returns 0 if the policy exists, and reads it unless `out` is NULL; otherwise
 * the exit status after an error message. */
int say_unless_found(struct admin *registry, const char *name,
                     struct record *out);

/* Prints why a version could not be read (0: the one before the version in
 * force).  Returns the exit status; 0 if `rc` is 0. */
int say_no_version(struct admin *registry, const char *name, uint32_t version,
                   int rc);

/* Prints the warnings of something that was accepted, and frees them. */
void say_warnings(struct faults *faults);

/* Prints the faults if `rc` is BIDE_EINPUT and `faults` has any, otherwise the
 * last failure as say_failure() does; nothing if `rc` is 0.  Frees the faults,
 * and warnings among them.  Returns the exit status. */
int say_refusal(int rc, struct faults *faults, const char *what,
                const char *outcome);

#endif
