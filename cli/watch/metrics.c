/* bide metrics: Prometheus text, to standard output or a file. */
#include "metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/safe.h"
#include "cli/command/say.h"

/* Writes the metrics to `fd` and syncs it, so that the file is complete before
 * it gets its name.  Closes `fd`.  Returns 0 or an errno code. */
static int
write_draft(const struct metrics *m, int fd)
{
    FILE *out = fdopen(fd, "w");
    int error;

    if (!out) {
        error = errno;
        close(fd);
        return error;
    }
    metrics_write(m, out);
    errno = 0;
    error = fflush(out) != 0 || ferror(out)           ? errno ? errno : EIO
            : fchmod(fd, 0644) != 0 || fsync(fd) != 0 ? errno
                                                      : 0;
    return fclose(out) != 0 && !error ? errno : error;
}

/* Replaces the file at `path` atomically: a reader such as node_exporter's
 * textfile collector sees the old file or the new one.  On failure the old file
 * stays, and so does anything else at `path`.  Returns the exit status. */
static int
replace_file(const struct metrics *m, const char *path)
{
    char *draft = NULL;
    int error, fd;

    if (asprintf(&draft, "%s.XXXXXX", path) < 0) {
        return say_no_memory();
    }
    fd = safe_replaceable(path) ? -1 : mkstemp(draft);
    error = fd < 0 ? errno : write_draft(m, fd);
    if (!error && rename(draft, path) != 0) {
        error = errno;
    }
    if (error && fd >= 0) {
        unlink(draft);
    }
    free(draft);
    if (error) {
        say_why(path, safe_why(error));
    }
    if (safe_refused(error)) {
        say("without --output the metrics go to standard output");
    }
    return error ? STATUS_NO : STATUS_DONE;
}

int
metrics_command(struct command_line *line)
{
    const char *path = line->option[OPTION_OUTPUT];
    struct metrics m;
    int rc, status = STATUS_DONE;

    if (path && !*path) {
        return say_usage(line, "--output needs the name of a file");
    }
    rc = metrics_read(line->registry, &m);
    if (rc) {
        status = say_failure(rc, "live state");
    } else if (path) {
        status = replace_file(&m, path);
    } else {
        metrics_write(&m, stdout);
    }
    metrics_free(&m);
    return status;
}
