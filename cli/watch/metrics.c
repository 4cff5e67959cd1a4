/* bide metrics: Prometheus text, to standard output or a file. */
#include "metrics.h"

#include "base/safe.h"
#include "cli/command/say.h"
#include "cli/out/replace.h"

static int
write_metrics(void *arg, FILE *out)
{
    metrics_write(arg, out);
    return 0;
}

/* For a reader such as node_exporter's textfile collector.  Returns the exit
 * status. */
static int
write_output(const char *path, struct metrics *m)
{
    int error = replace_file(path, 0644, write_metrics, m);

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
        status = write_output(path, &m);
    } else {
        metrics_write(&m, stdout);
    }
    metrics_free(&m);
    return status;
}
