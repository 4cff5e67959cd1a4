/* The table of commands.  main, help, usage errors, the completion and the
 * manual page are loops over it.
 *
 * tests/system/command/examples.py runs each line of .examples, in the order of
 * this table, on the registry that its POLICIES define. */
#include "cli/command/command.h"

#define EDITS (TAKES(NOTE) | TAKES(IF_VERSION))
#define SELECTS (TAKES(DEAD) | TAKES(ERROR) | TAKES(SINCE) | TAKES(UNTIL))
#define OF_DEFERRED                                      \
    {OPTION_SINCE, "only work stored at or after TIME"}, \
    {                                                    \
        OPTION_UNTIL, "only work stored before TIME"     \
    }

/* clang-format off */
static const struct option_note doctor_notes[] = {
    {OPTION_KEEP_SIZE, "the limit that bide record uses; default 1GiB"}, {0}};
static const struct option_note record_notes[] = {
    {OPTION_VERBOSE, "print one line per recording"}, {0}};
static const struct option_note exec_notes[] = {
    {OPTION_VERBOSE, "print one line per failed attempt"},
    {OPTION_SCOPE, "use separate live state under this name"},
    {OPTION_OUTPUT, "last: print only the output of the last attempt"}, {0}};
static const struct option_note work_notes[] = {
    {OPTION_OUTPUT, "last: print only the output of the last attempt"},
    {OPTION_VERBOSE, "print one line per piece of work"},
    {OPTION_JSON, "print one line of JSON per piece of work"},
    OF_DEFERRED, {0}};
static const struct option_note select_notes[] = {OF_DEFERRED, {0}};
static const struct option_note simulate_notes[] = {
    {OPTION_FOR, "length of the simulation; default 60s"},
    {OPTION_JSON, "print JSON; with --script one line per event"},
    {OPTION_SCOPE, "with --replay: only calls of this scope"},
    {OPTION_SINCE, "with --replay: since TIME; default -1h"},
    {OPTION_UNTIL, "with --replay: until TIME"},
    {OPTION_SEED, "use other random numbers; default 1"}, {0}};

#ifdef BIDE_FLEET
static const struct option_note join_notes[] = {
    {OPTION_KEY, "private key of that certificate"}, {0}};
static const struct option_note rollout_notes[] = {
    {OPTION_LABEL, "begin with the hosts that have this label"},
    {OPTION_EVERY, "time between stages, and of the guard; default 10m"}, {0}};
#endif
static const struct option_note help_notes[] = {
    {OPTION_JSON, "print the commands as JSON, or the keys, or a KEY"}, {0}};
static const struct option_note log_notes[] = {
    {OPTION_BY, "only changes of this author"}, {0}};
static const struct option_note rename_notes[] = {
    {OPTION_FORCE, "also while processes use the old name"}, {0}};
static const struct option_note audit_notes[] = {
    {OPTION_VERBOSE, "fold long texts on a terminal instead of cutting them"},
    {0}};

const struct command commands[] = {
    /* ---- policies ---- */
    {.name = "init", .usage = "", .section = SECTION_POLICIES,
     .help = "create a registry, or repair the rights of its files",
     .run = init_command,
     .options = TAKES(LIVE) | TAKES(GROUP) | TAKES(OPERATORS) |
         TAKES(PRIVATE) | TAKES(PUBLIC) | TAKES(JOURNAL) | TAKES(NO_JOURNAL) |
         TAKES(ADOPT),
     .examples = "bide init\n"
                 "bide init --private\n"
                 "bide init --dir ./registry --live ./live\n"},
    {.name = "apply", .usage = "FILE|DIR|-...", .section = SECTION_POLICIES,
     .help = "apply policy files, atomically",
     .run = apply_command, .registry = REGISTRY_NEEDED, .least = 1, .most = -1,
     .options = EDITS | TAKES(FOR) | TAKES(PRUNE) | TAKES(DRY_RUN) |
         TAKES(PREVIEW) | TAKES(VERBOSE) | TAKES(JSON),
     .examples = "bide apply shop.ini --note \"first rules\"\n"
                 "bide apply policies/ --prune --dry-run\n"
                 "bide export mail | bide apply -\n"},
    {.name = "validate", .usage = "FILE|DIR|-...", .section = SECTION_POLICIES,
     .help = "check policy files without changing anything",
     .run = validate_command, .registry = REGISTRY_IF_THERE,
     .least = 1, .most = -1, .options = TAKES(JSON),
     .examples = "bide validate shop.ini\n"
                 "bide validate policies/ --json\n"},
    {.name = "export", .usage = "[NAME...]", .section = SECTION_POLICIES,
     .help = "print policies as text that apply accepts",
     .verbatim = true,
     .run = export_command, .registry = REGISTRY_NEEDED, .most = -1,
     .options = TAKES(JSON),
     .examples = "bide export > backup.ini\n"
                 "bide export --json\n"
                 "bide export payments mail\n"},
    {.name = "list", .usage = "[PATTERN]", .section = SECTION_POLICIES,
     .help = "list policies with their call statistics",
     .counts = true,
     .run = list_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(SORT) | TAKES(ALL) | TAKES(SCOPES) | TAKES(JSON) |
         TAKES(WATCH),
     .examples = "bide list --sort failed\n"
                 "bide list 'pay*' --scopes\n"},
    {.name = "show", .usage = "NAME", .section = SECTION_POLICIES,
     .help = "show the text of a policy",
     .verbatim = true,
     .run = show_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 1,
     .options = TAKES(RESOLVED) | TAKES(VERSION) | TAKES(JSON) |
                TAKES(DECLARED),
     .examples = "bide show payments\n"
                 "bide show payments --resolved\n"
                 "bide show payments --version 1\n"},
    {.name = "get", .usage = "NAME KEY", .section = SECTION_POLICIES,
     .help = "print the value in force of one key",
     .verbatim = true,
     .run = get_command, .registry = REGISTRY_NEEDED, .least = 2, .most = 2,
     .examples = "bide get payments attempts\n"
                 "bide get mail wait_max\n"},
    {.name = "set", .usage = "NAME KEY=VALUE...", .section = SECTION_POLICIES,
     .help = "change keys of a policy; waiting calls follow at once",
     .run = set_command, .registry = REGISTRY_NEEDED, .least = 2, .most = -1,
     .options = EDITS | TAKES(JSON) | TAKES(FOR) | TAKES(DRY_RUN) |
         TAKES(PREVIEW),
     .examples = "bide set payments wait_initial=250ms --note \"INC-311\"\n"
                 "bide set payments attempts=2 --for 10m\n"
                 "bide set mail wait_max=5s --dry-run\n"},
    {.name = "unset", .usage = "NAME KEY...", .section = SECTION_POLICIES,
     .help = "remove keys, so that the inherited or default value applies",
     .run = unset_command, .registry = REGISTRY_NEEDED, .least = 2, .most = -1,
     .options = EDITS | TAKES(JSON) | TAKES(FOR) | TAKES(DRY_RUN) |
         TAKES(PREVIEW),
     .examples = "bide unset mail wait_max\n"
                 "bide unset payments deadline --dry-run\n"},
    {.name = "edit", .usage = "NAME", .section = SECTION_POLICIES,
     .help = "edit a policy with $VISUAL; checked when it is saved",
     .run = edit_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 1,
     .options = EDITS | TAKES(JSON),
     .examples = "EDITOR=\"sed -i s/250ms/200ms/\" bide edit payments\n"
                 "EDITOR=true bide edit mail\n"},
    {.name = "copy", .usage = "NAME NEW", .section = SECTION_POLICIES,
     .help = "make a new policy with the rules of another",
     .run = copy_command, .registry = REGISTRY_NEEDED, .least = 2, .most = 2,
     .options = EDITS | TAKES(JSON) | TAKES(DRY_RUN),
     .examples = "bide copy payments refunds\n"
                 "bide copy mail letters --dry-run\n"},
    {.name = "rename", .usage = "NAME NEW", .section = SECTION_POLICIES,
     .help = "rename a policy; versions, history and children follow",
     .run = rename_command, .registry = REGISTRY_NEEDED, .least = 2, .most = 2,
     .options = EDITS | TAKES(FORCE) | TAKES(JSON) | TAKES(DRY_RUN),
     .notes = rename_notes,
     .examples = "bide rename mail letters --note \"one name in all shops\"\n"
                 "bide rename letters mail --force\n"},
    {.name = "delete", .usage = "NAME...", .section = SECTION_POLICIES,
     .help = "delete policies; their versions are kept",
     .run = delete_command, .registry = REGISTRY_NEEDED, .least = 1, .most = -1,
     .options = EDITS | TAKES(JSON) | TAKES(DRY_RUN),
     .examples = "bide delete metrics --note \"no longer used\"\n"
                 "bide delete mail --dry-run\n"},
    {.name = "log", .usage = "[NAME]", .section = SECTION_POLICIES,
     .help = "list changes: what, when, by whom, why",
     .run = log_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(SINCE) | TAKES(MOST) | TAKES(BY) | TAKES(PATCH) |
         TAKES(JSON),
     .notes = log_notes,
     .examples = "bide log payments\n"
                 "bide log payments --patch\n"
                 "bide log --since today --most 20\n"},
    {.name = "rollback", .usage = "NAME [VERSION]",
     .section = SECTION_POLICIES,
     .help = "undo the newest change in force, or return to a version",
     .run = rollback_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 2,
     .options = EDITS | TAKES(JSON) | TAKES(FOR) | TAKES(DRY_RUN) |
         TAKES(PREVIEW) | TAKES(LAYER),
     .examples = "bide rollback payments --layer 3\n"
                 "bide rollback payments --note \"the gateway is back\"\n"
                 "bide rollback payments 1 --dry-run\n"},
    {.name = "diff", .usage = "NAME|FILE [FROM [TO]]",
     .section = SECTION_POLICIES,
     .help = "compare two of: version, @TIME, now, other policy, file",
     .run = diff_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 3,
     .examples = "bide diff payments 1 2\n"
                 "bide diff payments mail\n"
                 "bide diff shop.ini\n"},
    {.name = "backup", .usage = "FILE|-", .section = SECTION_POLICIES,
     .help = "write policies, history and deferred work to one file",
     .verbatim = true,
     .run = backup_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 1,
     .examples = "bide backup bide.backup\n"
                 "bide backup - | gzip > bide.backup.gz\n"},
    {.name = "restore", .usage = "FILE", .section = SECTION_POLICIES,
     .help = "restore the registry from a backup; everything follows at once",
     .run = restore_command, .least = 1, .most = 1, .options = TAKES(FORCE),
     .examples = "bide restore bide.backup\n"
                 "bide restore bide.backup --force\n"},
    /* ---- trying rules ---- */
    {.name = "preview", .usage = "NAME|FILE [KEY=VALUE...]",
     .section = SECTION_TRYING,
     .help = "show the wait before each retry",
     .run = preview_command, .registry = REGISTRY_IF_THERE,
     .least = 1, .most = -1,
     .options = TAKES(POLICY) | TAKES(JSON) | TAKES(ATTEMPTS),
     .examples = "bide preview payments\n"
                 "bide preview payments attempts=6 wait_factor=3\n"
                 "bide preview shop.ini --policy mail\n"},
    {.name = "simulate", .usage = "NAME|FILE [KEY=VALUE...]",
     .section = SECTION_TRYING,
     .help = "run scripted, random or recorded calls in virtual time",
     .run = simulate_command, .registry = REGISTRY_IF_THERE,
     .least = 1, .most = -1, .notes = simulate_notes,
     .options = TAKES(POLICY) | TAKES(JSON) | TAKES(SCRIPT) | TAKES(RANDOM) |
         TAKES(CALLS) | TAKES(FAIL) | TAKES(FOR) | TAKES(OUTCOME) |
         TAKES(LATENCY) | TAKES(FAIL_LATENCY) | TAKES(SEED) | TAKES(REPLAY) |
         TAKES(SINCE) | TAKES(UNTIL) | TAKES(SCOPE),
     .examples = "bide simulate payments --calls 200/s --fail 30% --for 20s\n"
                 "bide simulate payments --fail \"5% until 9s, 90%\"\n"
                 "echo \"0 a http.503+5ms ok+3ms\" | bide simulate payments "
                 "--script -\n"},
    /* ---- live state ---- */
    {.name = "calls", .usage = "", .section = SECTION_LIVE,
     .help = "list calls that wait between two attempts",
     .counts = true,
     .run = calls_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(MOST) | TAKES(JSON) | TAKES(WATCH),
     .examples = "bide calls\n"
                 "bide calls --most 10 --json\n"},
    {.name = "wake", .usage = "NAME", .section = SECTION_LIVE,
     .help = "let waiting calls of a policy go on now",
     .counts = true,
     .run = wake_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 1,
     .options = TAKES(SCOPE) | TAKES(DRY_RUN) | TAKES(JSON),
     .examples = "bide wake mail\n"
                 "bide wake payments --dry-run\n"},
    {.name = "breaker", .usage = "NAME [open|closed|auto|reset]",
     .section = SECTION_LIVE,
     .help = "show, force or reset the circuit breaker",
     .counts = true,
     .run = breaker_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 2,
     .options = EDITS | TAKES(FOR) | TAKES(DRY_RUN) | TAKES(SCOPE) |
         TAKES(JSON),
     .examples = "bide breaker payments\n"
                 "bide breaker payments open --for 10m --note \"INC-312\"\n"
                 "bide breaker payments auto\n"},
    {.name = "budget", .usage = "NAME [reset]", .section = SECTION_LIVE,
     .help = "show or refill the retry budget",
     .counts = true,
     .run = budget_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 2,
     .options = TAKES(SCOPE) | TAKES(JSON),
     .examples = "bide budget payments\n"
                 "bide budget payments --json\n"},
    {.name = "rate", .usage = "NAME [reset]", .section = SECTION_LIVE,
     .help = "show the rate and a server's wait, or end both",
     .counts = true,
     .run = rate_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 2,
     .options = TAKES(SCOPE) | TAKES(JSON),
     .examples = "bide rate payments\n"
                 "bide rate payments reset\n"},
    {.name = "limit", .usage = "NAME [reset]", .section = SECTION_LIVE,
     .help = "show the places of a limit, or free them",
     .counts = true,
     .run = limit_command, .registry = REGISTRY_NEEDED, .least = 1, .most = 2,
     .options = TAKES(SCOPE) | TAKES(JSON),
     .examples = "bide limit payments\n"
                 "bide limit payments --json\n"},
    {.name = "pause", .usage = "NAME...", .section = SECTION_LIVE,
     .help = "refuse new calls of policies",
     .run = pause_command, .registry = REGISTRY_NEEDED, .least = 1, .most = -1,
     .options = EDITS | TAKES(JSON) | TAKES(FOR) | TAKES(DRY_RUN),
     .examples = "bide pause mail --for 5m --note \"mail server restarts\"\n"
                 "bide pause mail payments --dry-run\n"},
    {.name = "resume", .usage = "NAME...", .section = SECTION_LIVE,
     .help = "allow new calls of paused policies",
     .run = resume_command, .registry = REGISTRY_NEEDED, .least = 1, .most = -1,
     .options = EDITS | TAKES(JSON) | TAKES(FOR) | TAKES(DRY_RUN),
     .examples = "bide resume mail\n"
                 "bide resume mail payments --dry-run\n"},
    /* ---- statistics ---- */
    {.name = "top", .usage = "[PATTERN]", .section = SECTION_LIVE,
     .help = "watch policies on a terminal, worst first, and act on them",
     .verbatim = true,
     .run = top_command, .registry = REGISTRY_NEEDED, .most = 1,
     .examples = "bide top\n"
                 "bide top 'pay*'\n"},
    {.name = "stats", .usage = "[NAME]", .section = SECTION_STATISTICS,
     .help = "call statistics: results, retries, latency",
     .counts = true,
     .run = stats_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(JSON) | TAKES(SINCE) | TAKES(UNTIL) | TAKES(BY) |
         TAKES(CSV) | TAKES(WATCH),
     .examples = "bide stats\n"
                 "bide stats payments --since -1h --by version\n"
                 "bide stats payments --since today --by hour --csv\n"},
    {.name = "record", .usage = "", .section = SECTION_STATISTICS,
     .help = "record statistics into the history, per minute",
     .run = record_command, .registry = REGISTRY_NEEDED, .notes = record_notes,
     .options = TAKES(EVERY) | TAKES(ON_CHANGE) | TAKES(KEEP_MINUTES) |
         TAKES(KEEP_HOURS) | TAKES(KEEP_SIZE) | TAKES(VERBOSE),
     .examples = "bide record\n"
                 "bide record --every 1m --keep-size 2GiB\n"
                 "bide record --every 1m --on-change 'logger \"$BIDE_POLICY "
                 "$BIDE_LEVEL\"'\n"},
    {.name = "audit", .usage = "[NAME]", .section = SECTION_STATISTICS,
     .help = "list changes, breakers, warnings and failed calls by time",
     .run = audit_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(SINCE) | TAKES(UNTIL) | TAKES(KIND) | TAKES(VERBOSE) |
         TAKES(FOLLOW) | TAKES(CSV) | TAKES(JSON),
     .notes = audit_notes,
     .examples = "bide audit --since today\n"
                 "bide audit --kind change,forced\n"
                 "bide audit payments --since -2h --json\n"},
    /* ---- monitoring ---- */
    {.name = "check", .usage = "[NAME...]", .section = SECTION_MONITORING,
     .help = "report warnings to a monitor, as exit status 0 to 3",
     .run = check_command, .registry = REGISTRY_IF_THERE, .most = -1,
     .misused = 3, .options = TAKES(JSON),
     .examples = "bide check\n"
                 "bide check payments --json\n"},
    {.name = "metrics", .usage = "", .section = SECTION_MONITORING,
     .help = "print all metrics as Prometheus text",
     .verbatim = true,
     .run = metrics_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(OUTPUT),
     .examples = "bide metrics\n"
                 "bide metrics --output bide.prom\n"},
    {.name = "serve", .usage = "", .section = SECTION_MONITORING,
     .help = "serve a live page, metrics and JSON over HTTP",
     .run = serve_command, .registry = REGISTRY_IF_THERE,
     .options = TAKES(LISTEN),
     .examples = "bide serve\n"
                 "bide serve --listen 127.0.0.1:0\n"},
    {.name = "doctor", .usage = "", .section = SECTION_MONITORING,
     .help = "check everything, and say what is wrong and what to do",
     .run = doctor_command, .notes = doctor_notes,
     .options = TAKES(AS) | TAKES(KEEP_SIZE) | TAKES(JSON),
     .examples = "bide doctor\n"
                 "bide doctor --as root\n"
                 "bide doctor --json\n"},
    /* ---- deferred work ---- */
    {.name = "deferred put", .usage = "NAME", .section = SECTION_DEFERRED,
     .help = "store standard input as deferred work",
     .run = deferred_put_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 1, .options = TAKES(TYPE) | TAKES(KEY),
     .examples = "bide deferred put mail < letter.txt\n"
                 "echo \"order 7\" | bide deferred put mail --key order-7\n"},
    {.name = "deferred list", .usage = "[NAME]", .section = SECTION_DEFERRED,
     .help = "list deferred work",
     .run = deferred_list_command, .registry = REGISTRY_NEEDED, .most = 1,
     .notes = select_notes, .options = SELECTS | TAKES(JSON),
     .examples = "bide deferred list\n"
                 "bide deferred list mail --dead --since -1d\n"},
    {.name = "deferred show", .usage = "ID", .section = SECTION_DEFERRED,
     .help = "show one piece of deferred work",
     .run = deferred_show_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 1, .options = TAKES(RAW) | TAKES(JSON),
     .examples = "bide deferred show 1\n"
                 "bide deferred show 1 --raw\n"},
    {.name = "deferred stats", .usage = "[NAME]", .section = SECTION_DEFERRED,
     .help = "count deferred work by state",
     .run = deferred_stats_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(JSON),
     .examples = "bide deferred stats\n"
                 "bide deferred stats mail --json\n"},
    {.name = "deferred requeue", .usage = "ID...|[NAME]",
     .section = SECTION_DEFERRED,
     .help = "make work due now, dead work included",
     .run = deferred_requeue_command, .registry = REGISTRY_NEEDED, .most = -1,
     .notes = select_notes, .options = SELECTS | TAKES(NOTE),
     .examples = "bide deferred requeue 1\n"
                 "bide deferred requeue mail --error timeout\n"},
    {.name = "deferred drop", .usage = "ID...|[NAME]",
     .section = SECTION_DEFERRED,
     .help = "remove work without doing it",
     .run = deferred_drop_command, .registry = REGISTRY_NEEDED, .most = -1,
     .notes = select_notes, .options = SELECTS | TAKES(NOTE),
     .examples = "bide deferred drop 2 --note \"sent by hand\"\n"
                 "bide deferred drop mail --dead\n"},
    {.name = "deferred repair", .usage = "", .section = SECTION_DEFERRED,
     .help = "repair damaged work, and accept that lost work is lost",
     .run = deferred_repair_command, .registry = REGISTRY_NEEDED,
     .examples = "bide deferred repair\n"
                 "bide deferred repair && bide deferred stats\n"},
    {.name = "deferred replay", .usage = "[NAME]",
     .section = SECTION_DEFERRED,
     .help = "process due work with a command; without it, make work due",
     .run = deferred_replay_command, .registry = REGISTRY_NEEDED, .most = 1,
     .notes = work_notes,
     .options = TAKES(EXEC) | TAKES(JOBS) | TAKES(UNTIL_EMPTY) |
         TAKES(OUTPUT) | TAKES(SUCCESS_ON) | TAKES(VERBOSE) | TAKES(JSON) |
         TAKES(SINCE) | TAKES(UNTIL) | TAKES(ERROR) | TAKES(NOTE),
     .examples = "bide deferred replay mail\n"
                 "bide deferred replay mail --until-empty --exec wc\n"},
    {.name = "deferred work", .usage = "NAME", .section = SECTION_DEFERRED,
     .help = "run the commands that exec --defer stored",
     .run = deferred_work_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 1, .notes = work_notes,
     .options = TAKES(JOBS) | TAKES(UNTIL_EMPTY) | TAKES(OUTPUT) |
         TAKES(SUCCESS_ON) | TAKES(VERBOSE) | TAKES(JSON),
     .examples = "bide deferred work mail --until-empty\n"
                 "bide deferred work mail --jobs 4 --verbose\n"},
    /* ---- running programs ---- */
    {.name = "exec", .usage = "NAME [--] COMMAND...",
     .section = SECTION_RUNNING,
     .help = "run a program under a policy",
     .verbatim = true,
     .run = exec_command, .least = 2, .most = -1, .rest_from = 1,
     .misused = 125, .notes = exec_notes,
     .options = TAKES(SCOPE) | TAKES(STDIN) | TAKES(QUIET) | TAKES(VERBOSE) |
         TAKES(SEED) | TAKES(DEFER) | TAKES(KEEP_ENV) | TAKES(OUTPUT) |
         TAKES(SUCCESS_ON),
     .examples = "bide exec payments -- true\n"
                 "bide exec --verbose --output last payments -- ls shop.ini\n"
                 "bide exec --defer --stdin mail -- cat < letter.txt\n"},
    {.name = "outcome", .usage = "OUTCOME", .section = SECTION_RUNNING,
     .help = "say how an attempt ended, in a command that exec runs",
     .run = outcome_command, .least = 1, .most = 1,
     .options = TAKES(AFTER) | TAKES(RETRY_AFTER),
     .examples = "bide exec payments -- bide outcome ok\n"
                 "bide try 2 --quiet -- bide outcome http.503 --after 20ms || "
                 "true\n"},
    {.name = "try", .usage = "ATTEMPTS [--] COMMAND...",
     .section = SECTION_RUNNING,
     .help = "run a program until it succeeds; needs no registry",
     .verbatim = true,
     .run = exec_command, .least = 2, .most = -1, .rest_from = 1,
     .misused = 125, .notes = exec_notes,
     .options = TAKES(WAIT) | TAKES(MAX) | TAKES(JITTER) | TAKES(TIMEOUT) |
         TAKES(DEADLINE) | TAKES(STDIN) | TAKES(QUIET) | TAKES(VERBOSE) |
         TAKES(SEED) | TAKES(OUTPUT) | TAKES(SUCCESS_ON),
     .examples = "bide try 5 --wait 1s -- true\n"
                 "bide try 3 --wait 20ms --jitter none -- ls shop.ini\n"},
#ifdef BIDE_FLEET
    /* ---- many hosts ---- */
    {.name = "fleet join", .usage = "URL...", .section = SECTION_FLEET,
     .help = "let this host follow the fleet in etcd",
     .run = fleet_join_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = -1, .notes = join_notes,
     .options = TAKES(NAME) | TAKES(PREFIX) | TAKES(LABEL) | TAKES(LOCAL) |
         TAKES(CACERT) | TAKES(CERT) | TAKES(KEY) | TAKES(TOKEN_FILE),
     .examples = "bide fleet join http://etcd-1:2379 http://etcd-2:2379\n"
                 "bide fleet join http://etcd-1:2379 --name web-1 "
                 "--label env=prod --local mail\n"},
    {.name = "fleet leave", .usage = "", .section = SECTION_FLEET,
     .help = "leave the fleet; policies stay as they are",
     .run = fleet_leave_command, .registry = REGISTRY_NEEDED,
     .examples = "bide fleet leave\n"
                 "bide fleet leave --dir /var/lib/bide\n"},
    {.name = "fleet push", .usage = "FILE|DIR|-...", .section = SECTION_FLEET,
     .help = "store policy files as the next release",
     .run = fleet_push_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = -1,
     .options = TAKES(NOTE) | TAKES(DRY_RUN) | TAKES(JSON),
     .examples = "bide fleet push shop.ini --dry-run\n"
                 "bide fleet push policies/ --note \"INC-311\"\n"},
    {.name = "fleet releases", .usage = "", .section = SECTION_FLEET,
     .help = "list the releases, newest first",
     .run = fleet_releases_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(JSON),
     .examples = "bide fleet releases\n"
                 "bide fleet releases --json\n"},
    {.name = "fleet diff", .usage = "N [M]", .section = SECTION_FLEET,
     .help = "compare a release with the one before, or two releases",
     .run = fleet_diff_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 2, .options = TAKES(JSON),
     .examples = "bide fleet diff 2\n"
                 "bide fleet diff 1 2 --json\n"},
    {.name = "fleet rollout", .usage = "N", .section = SECTION_FLEET,
     .help = "give a release to all hosts, or to some and then to more",
     .run = fleet_rollout_command, .registry = REGISTRY_NEEDED,
     .least = 1, .most = 1, .notes = rollout_notes,
     .options = TAKES(HOSTS) | TAKES(LABEL) | TAKES(PERCENT) | TAKES(THEN) |
         TAKES(EVERY) | TAKES(GUARD) | TAKES(TOLERATE) | TAKES(NOTE) |
         TAKES(JSON),
     .examples = "bide fleet rollout 1\n"
                 "bide fleet rollout 2 --hosts web-1 --then 10%,50%,100% "
                 "--guard 'failed<2%,retries<20%'\n"},
    {.name = "fleet pause", .usage = "", .section = SECTION_FLEET,
     .help = "begin no more stages by themselves",
     .run = fleet_turn_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(NOTE) | TAKES(JSON),
     .examples = "bide fleet pause\n"
                 "bide fleet pause --note \"until Monday\"\n"},
    {.name = "fleet resume", .usage = "", .section = SECTION_FLEET,
     .help = "go on with the stages; the time of this one begins again",
     .run = fleet_turn_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(NOTE) | TAKES(JSON),
     .examples = "bide fleet resume\n"
                 "bide fleet resume --json\n"},
    {.name = "fleet abort", .usage = "", .section = SECTION_FLEET,
     .help = "go back to the release before, on all hosts",
     .run = fleet_turn_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(NOTE) | TAKES(JSON),
     .examples = "bide fleet abort\n"
                 "bide fleet abort --note \"INC-311\"\n"},
    {.name = "fleet status", .usage = "", .section = SECTION_FLEET,
     .help = "show the rollout, and the hosts that need a look",
     .run = fleet_status_command, .registry = REGISTRY_NEEDED,
     .options = TAKES(JSON),
     .examples = "bide fleet status\n"
                 "bide fleet status --json\n"},
    {.name = "fleet hosts", .usage = "[PATTERN]", .section = SECTION_FLEET,
     .help = "list the hosts, their releases and what they report",
     .run = fleet_hosts_command, .registry = REGISTRY_NEEDED, .most = 1,
     .options = TAKES(JSON),
     .examples = "bide fleet hosts\n"
                 "bide fleet hosts 'web-*' --json\n"},
    {.name = "fleet follow", .usage = "[DIR]", .section = SECTION_FLEET,
     .help = "mirror the fleet, or a directory of files, into this host",
     .run = fleet_follow_command, .registry = REGISTRY_NEEDED, .most = 1,
     .examples = "bide fleet follow\n"
                 "bide fleet follow policies/\n"},
#endif
    /* ---- help ---- */
    {.name = "help", .usage = "[COMMAND|keys|outcomes|KEY]",
     .section = SECTION_HELP,
     .help = "show this help, or help on one subject",
     .run = help_command, .most = 2, .notes = help_notes,
     .options = TAKES(JSON),
     .examples = "bide help set\n"
                 "bide help keys --json\n"
                 "bide help wait_initial\n"},
    {.name = "version", .usage = "", .section = SECTION_HELP,
     .help = "show the version of bide",
     .run = version_command,
     .examples = "bide version\n"
                 "bide --version\n"},
};
/* clang-format on */
const int command_count = sizeof(commands) / sizeof(commands[0]);
