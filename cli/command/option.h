/* The options: one table, for main, help and the completion. */
#ifndef BIDE_CLI_OPTION_H
#define BIDE_CLI_OPTION_H

#include <stdint.h>

/* Every option of every command: X(ID, "name", "VALUE" or NULL, "help").
 * An option means the same wherever it is taken. */
#define OPTIONS(X)                                                             \
    X(DIR, "dir", "DIR", "the registry's directory")                           \
    X(HELP, "help", NULL, "this text")                                         \
    X(VERSION, "version", "N", "that version, not the present one")            \
    X(LIVE, "live", "DIR", "where the live file goes")                         \
    X(PRUNE, "prune", NULL, "delete policies that the files do not have")      \
    X(DRY_RUN, "dry-run", NULL, "say what would change, change nothing")       \
    X(NOTE, "note", "TEXT", "why, for the log")                                \
    X(IF_VERSION, "if-version", "N", "only if it is at that version")          \
    X(FOR, "for", "DURATION", "so long; a change then goes back by itself")    \
    X(VERBOSE, "verbose", NULL, "a line for each policy, each failed attempt") \
    X(RESOLVED, "resolved", NULL, "every key, and where its value is from")    \
    X(SINCE, "since", "TIME", "nothing older: -2h, today, 2026-01-31")         \
    X(UNTIL, "until", "TIME", "nothing newer")                                 \
    X(BY, "by", "WHAT", "a row for each minute, hour, version or scope")       \
    X(CSV, "csv", NULL, "as comma-separated values")                           \
    X(EVERY, "every", "DURATION", "go on, at each step of the clock: 1m")      \
    X(ON_CHANGE, "on-change", "CMD", "run it when a warning comes or goes")    \
    X(KEEP_MINUTES, "keep-minutes", "DURATION", "the minutes: 35d")            \
    X(KEEP_HOURS, "keep-hours", "DURATION", "the hours: 730d")                 \
    X(KEEP_SIZE, "keep-size", "SIZE", "no more than this: 1GiB")               \
    X(ATTEMPTS, "attempts", "N", "that many attempts, at most")                \
    X(JSON, "json", NULL, "as JSON")                                           \
    X(POLICY, "policy", "NAME", "which one of the file's policies")            \
    X(SCRIPT, "script", "FILE", "the outcomes, or - for standard input")       \
    X(RANDOM, "random", "X", "the random draw, 0 to 1")                        \
    X(CALLS, "calls", "N/s", "calls that begin: 200/s, or 200/s even")         \
    X(FAIL, "fail", "SHARE", "30%, or 30% until 20s, 100% until 40s, 0%")      \
    X(OUTCOME, "outcome", "OUTCOME", "what a failure is, as http.503")         \
    X(LATENCY, "latency", "TIME", "20ms, 10ms..50ms or exponential 20ms")      \
    X(FAIL_LATENCY, "fail-latency", "TIME", "the same, of what fails")         \
    X(REPLAY, "replay", NULL, "what history holds of it, in place of draws")   \
    X(SCOPE, "scope", "NAME", "live state of its own under this name")         \
    X(STDIN, "stdin", NULL, "keep standard input, for all attempts")           \
    X(QUIET, "quiet", NULL, "no line when it gives up")                        \
    X(SEED, "seed", "N", "the same random waits each time")                    \
    X(DEAD, "dead", NULL, "what is not tried any more")                        \
    X(ERROR, "error", "TEXT", "whose last error holds that text")              \
    X(RAW, "raw", NULL, "its bytes, nothing else")                             \
    X(EXEC, "exec", "CMD", "the shell command that does a piece")              \
    X(JOBS, "jobs", "N", "so many at a time")                                  \
    X(UNTIL_EMPTY, "until-empty", NULL, "end when nothing is due")             \
    X(TYPE, "type", "TYPE", "a content type, for who does it")                 \
    X(KEY, "key", "KEY", "nothing new while work with that key is there")      \
    X(DEFER, "defer", NULL, "keep the command for later when it gives up")     \
    X(KEEP_ENV, "keep-env", "NAMES", "variables to keep with it: A,B")         \
    X(MOST, "most", "N", "no more than N of them")                             \
    X(LISTEN, "listen", "ADDRESS:PORT", "where: 127.0.0.1:9747")               \
    X(OUTPUT, "output", "FILE", "into that file, replaced in one step")        \
    X(MAN, "man", NULL, NULL)                                                  \
    X(COMPLETION, "completion", NULL, NULL)

enum option {
#define X(id, name, value, help) OPTION_##id,
    OPTIONS(X)
#undef X
        OPTION_COUNT
};
#define TAKES(id) (UINT64_C(1) << OPTION_##id)

struct option_row {
    const char *name;
    const char *value; /* NULL: it takes none */
    const char *help;  /* NULL: not shown to people */
};
extern const struct option_row option_rows[OPTION_COUNT];

#endif
