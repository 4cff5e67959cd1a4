/* bide outcome: a command of bide exec reports how its attempt ended.  A line
 * is an outcome as in policies, then the hint of the service if there is one:
 *
 *   http.503;after=2s
 */
#include "exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "cli/command/command.h"
#include "cli/command/say.h"
#include "policy/outcome.h"

bool
exec_outcome_read(const char *line, const char *before,
                  struct bide_outcome *out)
{
    size_t length = strcspn(line, ";");
    struct outcome_fault fault;
    struct bide_outcome o;
    char name[128];

    snprintf(name, sizeof(name), "%.*s", (int)length, line);
    if (outcome_read(name, &o, &fault) == 0 &&
        (!line[length] ||
         outcome_read_hint(line + length + 1, &o, &fault) == 0)) {
        *out = o;
        return true;
    }
    if (before) {
        say("%s%.80s: %s%s%s%s", before, line, fault.why,
            *fault.meant ? "; did you mean " : "", fault.meant,
            *fault.meant ? "?" : "");
    }
    return false;
}

struct bide_outcome
exec_judge(const struct exec_files *f, const struct exec_child *c)
{
    struct bide_outcome o =
        c->timed_out ? bide_errno(ETIMEDOUT) : bide_wait_status(c->status);

    if (o.domain != BIDE_DOMAIN_EXIT) {
        return o;
    }
    return f->reported ? f->outcome : f->success[o.code] ? bide_ok() : o;
}

int
exec_outcome_fd(const char **out_why)
{
    static const char target[] = "/memfd:" EXEC_OUTCOME_FILE " ";
    const char *text = getenv(EXEC_OUTCOME_FD);
    char path[32], name[64] = "";

    snprintf(path, sizeof(path), "/proc/self/fd/%.10s", text ? text : "");
    *out_why = !text ? "only a command that bide runs can report one"
               : readlink(path, name, sizeof(name) - 1) < 0
                   ? "the descriptor of BIDE_OUTCOME_FD was closed"
               : strncmp(name, target, sizeof(target) - 1) != 0
                   ? "the descriptor of BIDE_OUTCOME_FD is another file"
                   : NULL;
    return *out_why ? -1 : atoi(text);
}

/* Writes the line of the command line to `line`.  Returns 0, or the exit status
 * after an error message. */
static int
make_line(struct command_line *given, char *line, size_t size)
{
    const char *text = given->operands[0], *after = given->option[OPTION_AFTER],
               *header = given->option[OPTION_RETRY_AFTER];
    struct bide_outcome o;

    snprintf(line, size, "%s%s%s", text, after ? ";after=" : "",
             after ? after : "");
    if (!exec_outcome_read(line, "", &o)) {
        return STATUS_INPUT;
    }
    if (header && (after || o.domain != BIDE_DOMAIN_HTTP)) {
        return say_usage(given, "--retry-after: only for http.STATUS, without "
                                "--after");
    }
    o = header ? bide_http(o.code, header) : o;
    if (header && o.hint == BIDE_HINT_AFTER) {
        snprintf(line, size, "%s;after=%s", text,
                 duration_write(o.after_ns).text);
    }
    return 0;
}

int
outcome_command(struct command_line *given)
{
    char line[256], report[260];
    const char *why;
    int status = make_line(given, line, sizeof(line));
    int fd = exec_outcome_fd(&why), length;

    if (status) {
        return status;
    }
    if (fd < 0) {
        say("outcome: %s", why);
        return STATUS_NO;
    }
    /* One write: lines of two processes do not mix.  What is before may lack
     * the end of its line. */
    length = snprintf(report, sizeof(report), "\n%s\n", line);
    return exec_write_whole(fd, report, (size_t)length) < 0
               ? say_errno("outcome")
               : STATUS_DONE;
}
