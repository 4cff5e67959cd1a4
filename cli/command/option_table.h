/* The rows of the table of options.  Part of option.h. */
#ifndef BIDE_CLI_OPTION_TABLE_H
#define BIDE_CLI_OPTION_TABLE_H

/* All options: X(ID, "name", "VALUE" or NULL, "help").  A command can replace
 * the help of an option by an option_note. */
#define OPTIONS(X)                                                             \
    X(DIR, "dir", "DIR", "directory of the registry")                          \
    X(HELP, "help", NULL, "show this help")                                    \
    X(VERSION, "version", "N", "use version N instead of the one in force")    \
    X(LIVE, "live", "DIR", "directory of the live file; by default /run/bide") \
    X(GROUP, "group", "GROUP", "services' group; default bide")                \
    X(OPERATORS, "operators", "GROUP", "operators' group; default bide-ops")   \
    X(PRIVATE, "private", NULL, "only these groups may read the registry")     \
    X(PUBLIC, "public", NULL, "all users may read the registry")               \
    X(JOURNAL, "journal", NULL, "write changes and alarms to the journal")     \
    X(NO_JOURNAL, "no-journal", NULL, "write none to the journal")             \
    X(PRUNE, "prune", NULL, "delete policies that the files do not contain")   \
    X(DRY_RUN, "dry-run", NULL, "show what would change; change nothing")      \
    X(PREVIEW, "preview", NULL, "show waits and the last hour, then ask")      \
    X(NOTE, "note", "TEXT", "reason for the change, kept in the log")          \
    X(IF_VERSION, "if-version", "N", "change only if version N is in force")   \
    X(FOR, "for", "DURATION", "revert the change after DURATION")              \
    X(LAYER, "layer", "N", "end the temporary change of version N")            \
    X(VERBOSE, "verbose", NULL, "print one line per policy")                   \
    X(RESOLVED, "resolved", NULL, "show every key, and where it comes from")   \
    X(DECLARED, "declared", NULL, "show the rules that a program declares")    \
    X(SINCE, "since", "TIME",                                                  \
      "only after TIME: 2h (ago), today 14:00, 2026-01-31")                    \
    X(UNTIL, "until", "TIME", "only before TIME")                              \
    X(BY, "by", "WHAT", "one row per minute, hour, version, scope or policy")  \
    X(PATCH, "patch", NULL, "show the keys that each change changed; also -p") \
    X(KIND, "kind", "KINDS",                                                   \
      "only change, forced, breaker, warning, host, work or calls")            \
    X(CSV, "csv", NULL, "print comma-separated values")                        \
    X(EVERY, "every", "DURATION", "repeat at each full interval, such as 1m")  \
    X(ON_CHANGE, "on-change", "CMD", "run CMD if a level or breaker changes")  \
    X(KEEP_MINUTES, "keep-minutes", "DURATION", "keep minutes; default 35d")   \
    X(KEEP_HOURS, "keep-hours", "DURATION", "keep hours; default 730d")        \
    X(KEEP_SIZE, "keep-size", "SIZE", "limit the history file; default 1GiB")  \
    X(ATTEMPTS, "attempts", "N", "show at most N attempts")                    \
    X(JSON, "json", NULL, "print JSON")                                        \
    X(POLICY, "policy", "NAME", "choose one policy of a file")                 \
    X(SCRIPT, "script", "FILE", "read outcomes from FILE, or - for stdin")     \
    X(RANDOM, "random", "X", "use X, from 0 to 1, as every random number")     \
    X(CALLS, "calls", "N/s", "rate of calls: 200/s, or \"200/s even\"")        \
    X(FAIL, "fail", "SHARE",                                                   \
      "failing attempts: 30%, or \"5% until 20s, 90%\"")                       \
    X(OUTCOME, "outcome", "OUTCOME", "outcome of failed attempts: http.503")   \
    X(LATENCY, "latency", "LATENCY",                                           \
      "20ms, 10ms..50ms or \"exponential 20ms\"")                              \
    X(FAIL_LATENCY, "fail-latency", "LATENCY", "latency of failed attempts")   \
    X(REPLAY, "replay", NULL, "repeat recorded calls instead of random ones")  \
    X(AFTER, "after", "DURATION", "wait that the service asks for, or never")  \
    X(RETRY_AFTER, "retry-after", "TEXT", "the HTTP header, if there is one")  \
    X(WAIT, "wait", "DURATION", "wait before the first retry; then doubled")   \
    X(MAX, "max", "DURATION", "longest wait; default 10s")                     \
    X(JITTER, "jitter", "JITTER", "full (default), equal, none, 20% or +1s")   \
    X(TIMEOUT, "timeout", "DURATION", "time limit of each attempt")            \
    X(DEADLINE, "deadline", "DURATION", "time limit of all attempts together") \
    X(SUCCESS_ON, "success-on", "LIST", "exit statuses of success: 1,64-78")   \
    X(SCOPE, "scope", "NAME", "only this scope")                               \
    X(STDIN, "stdin", NULL, "give standard input to every attempt")            \
    X(QUIET, "quiet", NULL, "print nothing when the command gives up")         \
    X(SEED, "seed", "N", "repeat the same random waits")                       \
    X(DEAD, "dead", NULL, "only dead work, which is no longer tried")          \
    X(ERROR, "error", "TEXT", "only work with TEXT in its last error")         \
    X(RAW, "raw", NULL, "print only the stored bytes")                         \
    X(EXEC, "exec", "CMD", "shell command that reads one piece of work")       \
    X(JOBS, "jobs", "N", "process up to N pieces at a time")                   \
    X(UNTIL_EMPTY, "until-empty", NULL, "stop when nothing is due")            \
    X(TYPE, "type", "TYPE", "content type, stored with the work")              \
    X(KEY, "key", "KEY", "store nothing if work with this key exists")         \
    X(DEFER, "defer", NULL, "store the command for later if it gives up")      \
    X(KEEP_ENV, "keep-env", "NAMES",                                           \
      "also store these environment variables: A,B")                           \
    X(AS, "as", "USER", "only say what USER may do, and what mends that")      \
    X(SORT, "sort", "BY",                                                      \
      "highest first: failed, calls, retries or p95; or name")                 \
    X(ALL, "all", NULL, "totals since the live state was created")             \
    X(SCOPES, "scopes", NULL, "also one row for each scope")                   \
    X(WATCH, "watch", NULL, "print again every 2 s; also -w")                  \
    X(FOLLOW, "follow", NULL, "go on, and print what happens; also -f")        \
    X(MOST, "most", "N", "print at most N rows; also -n")                      \
    X(LISTEN, "listen", "ADDRESS:PORT", "default 127.0.0.1:9747")              \
    X(OUTPUT, "output", "WHERE", "the file to write, replaced atomically")     \
    X(FORCE, "force", NULL, "replace all, also another registry")              \
    X(NAME, "name", "HOST", "name of this host; default its own")              \
    X(PREFIX, "prefix", "PREFIX", "of the fleet's keys; default /bide")        \
    X(LABEL, "label", "K=V,...", "labels of this host, for rollouts")          \
    X(LOCAL, "local", "NAMES", "policies that the fleet must not change")      \
    X(CACERT, "cacert", "FILE", "certificates to trust")                       \
    X(CERT, "cert", "FILE", "certificate of this client, without a CN")        \
    X(TOKEN_FILE, "token-file", "FILE", "token for etcd, without \"Bearer\"")  \
    X(HOSTS, "hosts", "NAME,...", "begin with these hosts")                    \
    X(PERCENT, "percent", "P", "begin with this share of all hosts")           \
    X(THEN, "then", "P,...", "later stages, such as 10%,50%,100%")             \
    X(GUARD, "guard", "RULES", "go back if one breaks: failed<2%,p95<300ms")   \
    X(TOLERATE, "tolerate", "N", "hosts that may break it; default 0")         \
    X(ADOPT, "adopt", NULL, "give a copied registry an identity of its own")

#endif
