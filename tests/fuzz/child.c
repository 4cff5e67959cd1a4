/* libFuzzer: what bide exec reads of its command and its environment: outcomes,
 * limits, statuses.  The first byte chooses. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command/say.h"
#include "cli/exec/exec.h"
#include "policy/outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* ---- of the command, unused here ---- */

void
say(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
}

int
say_usage(const struct command_line *line, const char *format, ...)
{
    (void)line, (void)format;
    return 0;
}

int
say_errno(const char *title)
{
    (void)title;
    return 0;
}

int
exec_write_whole(int fd, const char *bytes, size_t length)
{
    (void)fd, (void)bytes, (void)length;
    return 0;
}

/* ---- targets ---- */

/* A line that is accepted has an outcome that policies accept too. */
static void
check_outcome(const char *line)
{
    struct bide_outcome o, again;
    struct outcome_fault fault;
    char name[BIDE_NAME_MAX + 16];

    if (exec_outcome_read(line, "", &o)) {
        bide_outcome_name(o, name, sizeof(name));
        if (outcome_read(name, &again, &fault) != 0) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    bool statuses[EXEC_STATUSES];
    uint64_t ns = 0;
    char *text;

    if (length < 1 || !(text = calloc(length, 1))) {
        return 0;
    }
    memcpy(text, bytes + 1, length - 1);
    if (bytes[0] % 3 == 0) {
        check_outcome(text);
    } else if (bytes[0] % 3 == 1) {
        exec_read_statuses(text, statuses);
    } else if (setenv(bytes[0] & 128 ? "BIDE_DEADLINE"
                                     : "BIDE_ATTEMPT_TIMEOUT_MS",
                      text, 1) == 0) {
        exec_read_deadline(&ns);
        unsetenv("BIDE_DEADLINE");
        unsetenv("BIDE_ATTEMPT_TIMEOUT_MS");
    }
    free(text);
    return 0;
}
