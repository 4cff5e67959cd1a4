/* The options of a command that makes a change. */
#ifndef BIDE_CLI_CHANGE_H
#define BIDE_CLI_CHANGE_H

#include "admin/change.h"
#include "cli/view/count.h"
#include "store/policies/record.h"

struct command_line;

struct change {
    struct admin_change change;
    char who[RECORD_WHO_MAX + 1];
    char command[32];
    struct counts before; /* waiting calls when the change is made */
    const struct admin_setting *forces; /* the setting that overrides the rules,
                                           or ends that; NULL: none */
    const struct admin_setting *set;    /* all that are set or unset */
    size_t set_count;
    bool preview; /* a dry run, which change_preview() follows */
};

/* Reads --note, --if-version, --for and --dry-run, and finds the author.
 * Returns 0, or the exit status after an error message.  `out` must not be
 * moved. change_end() frees its contents. */
int change_begin(struct command_line *line, struct change *out);
void change_end(struct change *c);

/* Makes a change by `make`, a command.  With --preview a dry run of it shows
 * the change first, and a question on a terminal comes between. */
int change_make(struct command_line *line, struct change *c,
                int (*make)(struct command_line *line, struct change *c,
                            void *arg),
                void *arg);
/* After the results of a dry run: shows the waits, and the last hour as it was
 * and as it would have been, of the policies that change. */
void change_preview(struct command_line *line, struct change *c,
                    const struct admin_results *results);

/* The policies before a change, or after it; finds one. */
struct change_side {
    struct admin *registry;
    const struct admin_results *results;
    bool after;
};
int change_find(void *side, const char *name, const struct policy_text **out);

/* Writes the author's name, or a number; returns the real uid.  In author.c. */
uint32_t author_find(char *name, size_t size);

/* Says which temporary changes cover a base that was changed, and how to end
 * them. */
void change_say_covers(const struct admin_results *results);

/* Prints "2 waiting calls decided again"; nothing if there were none.  Counts
 * those that were woken, or those that waited `before` under a policy that was
 * changed: calls of event loops and of bide exec are not woken, but notice the
 * change themselves. */
void change_print_told(const struct change *c,
                       const struct admin_results *results);

/* Finishes a restore that was interrupted, and says so.  Returns a BIDE_E code.
 */
int finish_cut_restore(const char *dir);
/* Gives the copy in `dir` an identity of its own.  Returns the exit status. */
int change_identity(const char *dir);

#endif
