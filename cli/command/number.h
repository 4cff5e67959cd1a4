/* Reads options and operands that are numbers or times.  The functions return
 * 0, or the exit status after an error message. */
#ifndef BIDE_CLI_NUMBER_H
#define BIDE_CLI_NUMBER_H

#include <stdint.h>

#include "option.h"

struct command_line;

/* Read the value of `option`: a whole number of at least `least`, or a time
 * such as "2h".  If the option is absent, *out stays unchanged. */
int number_read_option(struct command_line *line, enum option option,
                       uint32_t least, uint32_t *out);
int number_read_time(struct command_line *line, enum option option,
                     uint64_t now_ns, uint64_t *out);

/* Reads a version: "5" or "v5". */
int number_read_version(struct command_line *line, const char *text,
                        uint32_t *out);

/* Reads --keep-size, such as "500MiB" or "2GiB", into `out` in bytes; stores
 * the default if the option is absent. */
int number_read_size(struct command_line *line, uint64_t *out);

#endif
