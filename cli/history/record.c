/* bide record: records history, once, or periodically with --every. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/open.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/failure.h"
#include "cli/command/explain.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "record/past.h"
#include "rule/alarm.h"
#include "store/history/recording.h"

enum { RUNNING_MAX = 16 /* limit of running --on-change commands */ };

struct recorder {
    struct command_line *line;
    struct recorder_options how;
    char said[1536]; /* the last failure, so that it is printed only once */
    int running;     /* number of --on-change commands that run */
};

extern char **environ;

/* ---- options ---- */

static int
read_duration(struct command_line *line, enum option option, uint64_t least_ns,
              uint64_t preset_ns, uint64_t *out)
{
    const char *text = line->option[option];
    struct duration_fault fault;

    *out = preset_ns;
    if (!text) {
        return 0;
    }
    if (duration_read(text, out, &fault)) {
        return say_usage(line, "--%s %s: %s", option_rows[option].name, text,
                         fault.why);
    }
    if (*out < least_ns || *out == DURATION_NONE) {
        return say_usage(line, "--%s %s: must be at least %s",
                         option_rows[option].name, text,
                         duration_write(least_ns).text);
    }
    return 0;
}

static int
read_recorder_options(struct command_line *line, struct recorder *r)
{
    const uint64_t minute = 60 * SECOND_NS, hour = 60 * minute;
    const struct {
        enum option option;
        uint64_t least_ns, preset_ns, *out;
    } rows[] = {
        {OPTION_EVERY, SECOND_NS, minute, &r->how.every_ns},
        {OPTION_KEEP_MINUTES, hour, RECORDING_KEEP_MINUTES_NS,
         &r->how.keep.minutes_ns},
        {OPTION_KEEP_HOURS, 24 * hour, RECORDING_KEEP_HOURS_NS,
         &r->how.keep.hours_ns},
    };
    int status = 0;

    r->line = line;
    r->how.once = !line->option[OPTION_EVERY];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !status; i++) {
        status = read_duration(line, rows[i].option, rows[i].least_ns,
                               rows[i].preset_ns, rows[i].out);
    }
    return status ? status : number_read_size(line, &r->how.keep.bytes);
}

/* ---- --on-change ---- */

static int
set_number(const char *name, double number, int digits)
{
    char text[32];

    snprintf(text, sizeof(text), "%.*f", digits, number);
    return setenv(name, text, 1);
}

static int
set_share(const char *name, uint64_t part, uint64_t whole)
{
    double percent = whole > 0 ? 100 * (double)part / (double)whole : 0;

    return set_number(name, percent, 3);
}

/* Describes a change in this process's environment, which the command gets.
 * Returns 0, or 1 without memory. */
static int
set_variables(const struct alarm_change *c)
{
    static const char *const some[] = {
        "BIDE_SCOPE", "BIDE_BREAKER",     "BIDE_OPENED",     "BIDE_CLOSED",
        "BIDE_CALLS", "BIDE_RETRIES_PCT", "BIDE_FAILED_PCT", "BIDE_P95_MS",
        "BIDE_LEVEL", "BIDE_OLD_LEVEL"};
    bool breaker = c->opened + c->closed > 0;
    int rc = setenv("BIDE_POLICY", c->name, 1) ||
             setenv("BIDE_EVENT", breaker ? "breaker" : "level", 1) ||
             setenv("BIDE_WHY", c->words, 1);

    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
        unsetenv(some[i]);
    }
    if (breaker) {
        return rc || setenv("BIDE_SCOPE", c->scope, 1) ||
               setenv("BIDE_BREAKER", c->open ? "open" : "closed", 1) ||
               set_number("BIDE_OPENED", c->opened, 0) ||
               set_number("BIDE_CLOSED", c->closed, 0);
    }
    rc = rc || setenv("BIDE_OLD_LEVEL", alarm_word(c->before), 1) ||
         setenv("BIDE_LEVEL", alarm_word(c->now), 1);
    if (c->seen.unclear > 0 || c->seen.damaged) {
        return rc;
    }
    return rc || set_number("BIDE_CALLS", (double)c->seen.calls, 0) ||
           set_number("BIDE_P95_MS", (double)c->seen.p95_ns / 1e6, 3) ||
           set_share("BIDE_RETRIES_PCT", c->seen.retries, c->seen.attempts) ||
           set_share("BIDE_FAILED_PCT", c->seen.failed, c->seen.calls);
}

/* Starts the shell command with default signal handling and no input.  Returns
 * 0 or an errno code. */
static int
spawn_command(const char *command, pid_t *out)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int rc;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    if (posix_spawn_file_actions_init(&actions)) {
        return ENOMEM;
    }
    if (posix_spawnattr_init(&attributes)) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawn(out, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Starts the command and does not wait for its end: a slow command must not
 * delay the next recording. */
static void
run_on_change(struct recorder *r, const struct alarm_change *change)
{
    pid_t child;
    int error;

    if (r->running >= RUNNING_MAX) {
        say("--on-change: not run for %s: %d commands are still running",
            change->name, RUNNING_MAX);
        return;
    }
    error = set_variables(change)
                ? ENOMEM
                : spawn_command(r->line->option[OPTION_ON_CHANGE], &child);
    if (error) {
        say("--on-change: %s", strerror(error));
    } else {
        r->running++;
    }
}

/* Collects the exit statuses of ended commands and prints failures.  With
 * `wait`, waits until all have ended. */
static void
reap_commands(struct recorder *r, bool wait)
{
    int status;

    while (r->running > 0 && waitpid(-1, &status, wait ? 0 : WNOHANG) > 0) {
        r->running--;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            say("--on-change: the command failed: %s %d",
                WIFEXITED(status) ? "exit status" : "signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        }
    }
}

/* ---- one recording ---- */

static void
print_recording(const struct recorded *done)
{
    if (done->nothing) {
        puts("nothing to record: no service has used the registry yet");
    } else if (done->done) {
        puts("already recorded");
    } else {
        printf("%s to %s: %u %s, history of %s",
               when_write_iso(done->result.begin_ns).text,
               when_write_iso(done->result.end_ns).text, done->result.cells,
               text_plural(done->result.cells, "policy or scope",
                           "policies and scopes"),
               text_bytes(done->result.bytes).text);
        if (done->result.pruned > 0) {
            printf(", %u old records removed", done->result.pruned);
        }
        putchar('\n');
    }
    for (size_t i = 0; i < done->change_count; i++) {
        const struct alarm_change *c = &done->changes[i];

        if (c->opened + c->closed > 0) {
            printf("%s: %s\n", c->name, c->words);
        } else {
            printf("%s: %s -> %s%s%s\n", c->name, alarm_word(c->before),
                   alarm_word(c->now), *c->words ? ": " : "", c->words);
        }
    }
    fflush(stdout);
}

/* Prints the failure; with --every, only if it differs from the previous one.
 * Returns the exit status. */
static int
say_recording_failure(struct recorder *r, int rc)
{
    struct explained e;

    if (!r->line->option[OPTION_EVERY]) {
        return say_failure(rc, "history");
    }
    explain(failure_last(), &e);
    if (strcmp(r->said, e.why) != 0) {
        say_failure(rc, "history");
        memcpy(r->said, e.why, sizeof(r->said));
    }
    return say_status(rc);
}

static void
say_rescued(const struct recording_result *done)
{
    if (!done->rescued) {
        return;
    }
    say("history: history.mdb was damaged: %llu %s could not be read",
        (unsigned long long)done->unreadable,
        text_plural(done->unreadable, "record or page", "records and pages"));
    say("the rest was copied to a new file; the damaged file is kept as "
        "history.mdb.damaged");
}

static int
record_once(struct recorder *r, struct admin *registry)
{
    struct recorded done;
    int rc = past_record(admin_past(registry), &r->how, &done);

    if (rc) {
        return say_recording_failure(r, rc);
    }
    if (!done.nothing && !done.done) {
        say_changed();
    }
    if (done.unjudged) {
        rc = say_recording_failure(r, done.unjudged);
        r->how.since_ns = done.untold_ns;
    } else {
        r->said[0] = '\0';
        r->how.since_ns = done.nothing || done.done ? r->how.since_ns : 0;
    }
    say_rescued(&done.result);
    if (r->line->option[OPTION_VERBOSE]) {
        print_recording(&done);
    }
    for (size_t i = 0;
         r->line->option[OPTION_ON_CHANGE] && i < done.change_count; i++) {
        run_on_change(r, &done.changes[i]);
    }
    recorded_free(&done);
    return rc;
}

/* Opens the registry and records.  The registry and its live file may have been
 * replaced since they were last opened. */
static void
reopen_and_record(struct recorder *r)
{
    struct admin *registry;
    int rc = admin_open(r->line->option[OPTION_DIR], &registry);

    if (rc) {
        say_recording_failure(r, rc);
        return;
    }
    record_once(r, registry);
    admin_close(registry);
}

/* ---- periodically ---- */

/* Sleeps until the wall clock reaches the next multiple of --every.  Reports
 * whether a signal ended the command. */
static bool
wait_for_step(const struct recorder *r, int signals)
{
    uint64_t every = r->how.every_ns;
    uint64_t left = every - clock_realtime_ns() % every;

    signals_wait(signals, -1, 0, clock_monotonic_ns() + left);
    return signals_next(signals) > 0;
}

static int
record_periodically(struct recorder *r)
{
    int signals = signals_open_stop();

    if (signals < 0) {
        return say_errno("signals");
    }
    record_once(r, r->line->registry);
    while (!wait_for_step(r, signals)) {
        reap_commands(r, false);
        reopen_and_record(r);
    }
    /* The host may be going down, and its live state with it. */
    r->how.every_ns = 0;
    reopen_and_record(r);
    return STATUS_DONE;
}

int
record_command(struct command_line *line)
{
    struct recorder r = {0};
    int status = read_recorder_options(line, &r);

    if (status) {
        return status;
    }
    if (line->option[OPTION_EVERY]) {
        return record_periodically(&r);
    }
    status = record_once(&r, line->registry);
    reap_commands(&r, true);
    return status;
}
