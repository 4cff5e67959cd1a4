/* Options and operands that are numbers.  The functions return 0, or the exit
 * status after they have said what is wrong. */
#ifndef BIDE_CLI_NUMBER_H
#define BIDE_CLI_NUMBER_H

#include <stdint.h>

#include "option.h"

struct command_line;

/* Reads the whole number, at least `least`, that an option was given. */
int number_read_option(struct command_line *line, enum option option,
                       uint32_t least, uint32_t *out);

/* Reads a version: "5" or "v5". */
int number_read_version(struct command_line *line, const char *text,
                        uint32_t *out);

/* Reads --keep-size, "500MiB" or "2GiB", in bytes; without it, the default. */
int number_read_size(struct command_line *line, uint64_t *out);

#endif
