/* KEY=VALUE operands, and what is common to all commands that change. */
#ifndef BIDE_CLI_SETTING_H
#define BIDE_CLI_SETTING_H

#include <stdint.h>

#include "admin/change.h"
#include "cli/command/command.h"
#include "cli/view/count.h"
#include "store/policies/record.h"

struct policy_text;

/* Takes "KEY=VALUE" operands apart, in place; blanks around either are not
 * part of it.  0, or the exit status, and said why. */
int setting_read(struct command_line *line, char **operands,
                 struct admin_setting *out);

/* Sets them in a policy; says the faults.  0 or the exit status. */
int setting_try(struct command_line *line, char **operands,
                struct policy_text *t);

/* A change as this command line wants it. */
struct setting_change {
    struct admin_change change;
    char who[RECORD_WHO_MAX + 1];
    char command[32];
    struct counts before; /* who waits when it is made */
};
/* 0, or the exit status, and said why.  `out` must stay where it is. */
int setting_change(struct command_line *line, struct setting_change *out);
void setting_done(struct setting_change *c);

/* "2 waiting calls decided again", if there were any. */
void setting_print_told(const struct setting_change *c,
                        const struct admin_results *results);

/* "5" or "v5".  0 or the exit status. */
int setting_version(struct command_line *line, const char *text, uint32_t *out);

/* There is no such version (0: none before the present one). */
int setting_no_version(struct command_line *line, const char *name,
                       uint32_t version);

/* A whole number from `least` on, of an option.  0 or the exit status. */
int setting_count(struct command_line *line, enum option option, uint32_t least,
                  uint32_t *out);

/* --keep-size, or what it is without.  0 or the exit status. */
int setting_size(struct command_line *line, uint64_t *out);

#endif
