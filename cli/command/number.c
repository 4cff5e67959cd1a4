#include "number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history/recording.h"
#include "command.h"
#include "say.h"
#include "when.h"

/* Reads a whole number of at least `least` and below UINT32_MAX. Returns 0; -1
 * if `text` is not such a number. */
static int
parse_count(const char *text, uint32_t least, uint32_t *out)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least ||
        value >= UINT32_MAX) {
        return -1;
    }
    *out = (uint32_t)value;
    return 0;
}

int
number_read_option(struct command_line *line, enum option option,
                   uint32_t least, uint32_t *out)
{
    const char *text = line->option[option];

    if (text && parse_count(text, least, out)) {
        const char *typed = line->typed[option];

        return say_usage(line, "%s%s %s: must be a whole number, %u or more",
                         typed ? "" : "--",
                         typed ? typed : option_rows[option].name, text, least);
    }
    return 0;
}

int
number_read_time(struct command_line *line, enum option option, uint64_t now_ns,
                 uint64_t *out)
{
    const char *text = line->option[option];

    if (text && when_read(text, now_ns, out)) {
        return say_usage(line,
                         "--%s %s: not a time, such as 2h, today 14:00, "
                         "yesterday or 2026-01-31 08:00",
                         option_rows[option].name, text);
    }
    return text && option == OPTION_SINCE && *out > now_ns
               ? say_usage(line, "--since %s: this time is in the future", text)
               : 0;
}

int
number_read_version(struct command_line *line, const char *text, uint32_t *out)
{
    if (parse_count(text + (*text == 'v'), 1, out)) {
        return say_usage(
            line, "%s: not a version; a version is a number, as in bide log",
            text);
    }
    return 0;
}

int
number_read_size(struct command_line *line, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"MiB", 20}, {"GiB", 30}, {"M", 20}, {"G", 30}};
    const char *text = line->option[OPTION_KEEP_SIZE];
    unsigned long long number;
    char *end;

    *out = RECORDING_KEEP_BYTES;
    if (!text) {
        return 0;
    }
    errno = 0;
    number = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    for (size_t i = 0; number > 0 && number < 1u << 20 && !errno &&
                       i < sizeof(units) / sizeof(units[0]);
         i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *out = (uint64_t)number << units[i].shift;
            return 0;
        }
    }
    return say_usage(line, "--keep-size %s: not a size, such as 500MiB or 2GiB",
                     text);
}
