/* Rules and limits from the command line and the environment.
 *
 *   BIDE_DEADLINE            1795764305.250   when the attempt must have ended:
 *                                             seconds since 1970, as date +%s
 *   BIDE_ATTEMPT_TIMEOUT_MS  2000             its time limit, rounded up
 *
 * A command gets these variables, and a bide exec that finds them obeys. */
#include "exec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/draft.h"
#include "base/duration.h"
#include "cli/command/command.h"
#include "cli/command/say.h"

static const char deadline_name[] = "BIDE_DEADLINE",
                  timeout_name[] = "BIDE_ATTEMPT_TIMEOUT_MS";

enum { MS_NS = 1000000 };

/* ---- limits ---- */

int
exec_set_variables(const struct bide_attempt *attempt, uint64_t number,
                   const char *policy)
{
    uint64_t end = attempt->deadline_ns, now = clock_monotonic_ns(), at;
    char text[32];

    unsetenv(deadline_name);
    unsetenv(timeout_name);
    unsetenv(EXEC_OUTCOME_FD);
    snprintf(text, sizeof(text), "%" PRIu64, number);
    if (setenv("BIDE_ATTEMPT", text, 1) < 0 ||
        setenv("BIDE_POLICY", policy, 1) < 0) {
        return -1;
    }
    if (end == UINT64_MAX) {
        return 0;
    }
    at = (clock_realtime_ns() + (end > now ? end - now : 0)) / MS_NS;
    snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, at / 1000,
             at % 1000);
    if (setenv(deadline_name, text, 1) < 0) {
        return -1;
    }
    snprintf(text, sizeof(text), "%" PRIu64,
             (attempt->timeout_ns + MS_NS - 1) / MS_NS);
    return setenv(timeout_name, text, 1);
}

/* Reads a number of units of `unit_ns`, which may be longer than a duration of
 * a policy; DURATION_NONE if the variable is not set or empty.  Returns false
 * after an error message. */
static bool
read_variable(const char *name, const char *digits, uint64_t unit_ns,
              const char *what, uint64_t *out)
{
    const char *text = getenv(name), *end = text;
    struct decimal number;

    *out = DURATION_NONE;
    if (!text || !*text) {
        return true;
    }
    if (text[strspn(text, digits)] || decimal_read(&end, &number) != 0 ||
        *end || !decimal_scale(number, unit_ns, out)) {
        say("%s=%s: not %s", name, text, what);
        return false;
    }
    return true;
}

bool
exec_read_deadline(uint64_t *out_ns)
{
    uint64_t now = clock_realtime_ns(), left, at;

    if (!read_variable(deadline_name, "0123456789.", SECOND_NS,
                       "a time in seconds since 1970, such as 1795764305.250",
                       &at) ||
        !read_variable(timeout_name, "0123456789", MS_NS,
                       "a whole number of milliseconds", &left)) {
        return false;
    }
    if (at != DURATION_NONE) {
        at = at > now ? at - now : 0;
    }
    *out_ns = duration_add(clock_monotonic_ns(), at < left ? at : left);
    return true;
}

/* ---- options ---- */

bool
exec_read_statuses(const char *text, bool out[EXEC_STATUSES])
{
    for (;; text++) {
        char *end;
        unsigned long low = strtoul(text, &end, 10), high = low;

        if (*end == '-' && isdigit(end[1])) {
            high = strtoul(end + 1, &end, 10);
        }
        if (!isdigit(*text) || (*end && *end != ',') || low > high ||
            high >= EXEC_STATUSES) {
            return false;
        }
        memset(out + low, true, high - low + 1);
        text = end;
        if (!*text) {
            return true;
        }
    }
}

int
exec_declare_try(struct bide *b, const struct command_line *line)
{
    static const struct {
        enum option option;
        const char *key;
    } rows[] = {
        {OPTION_WAIT, "wait_initial"},       {OPTION_MAX, "wait_max"},
        {OPTION_JITTER, "wait_jitter"},      {OPTION_DEADLINE, "deadline"},
        {OPTION_TIMEOUT, "attempt_timeout"},
    };
    struct draft draft = {0};
    char *ini;
    int rc;

    draft_print(&draft, "[try]\nretry_on = any\nattempts = %s",
                line->operands[0]);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (line->option[rows[i].option]) {
            draft_print(&draft, "\n%s = %s", rows[i].key,
                        line->option[rows[i].option]);
        }
    }
    ini = draft_take(&draft);
    rc = ini ? bide_declare(b, ini) : BIDE_ENOMEM;
    free(ini);
    return rc;
}
