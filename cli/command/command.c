#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option_row option_rows[OPTION_COUNT] = {
#define X(id, name, value, help) {name, value, help},
    OPTIONS(X)
#undef X
};

#define EDITS (TAKES(NOTE) | TAKES(IF_VERSION))
#define PICKS (TAKES(DEAD) | TAKES(ERROR) | TAKES(SINCE) | TAKES(UNTIL))
#define TRIES TAKES(POLICY) | TAKES(JSON)

/* clang-format off */
const struct command commands[] = {
    {"init", "",
     "make the registry",
     init_command, TAKES(LIVE), REGISTRY_NONE, 0, 0, 0, 0},
    {"apply", "FILE|DIR|-...",
     "take over the policies of files, all of them or none",
     apply_command,
     EDITS | TAKES(PRUNE) | TAKES(DRY_RUN) | TAKES(VERBOSE),
     REGISTRY_NEEDED, 1, -1, 0, 0},
    {"validate", "FILE|DIR|-...",
     "check files, change nothing",
     validate_command, 0, REGISTRY_IF_THERE, 1, -1, 0, 0},
    {"export", "[NAME...]",
     "policies as text that apply takes",
     export_command, 0, REGISTRY_NEEDED, 0, -1, 0, 0},
    {"list", "[PATTERN]",
     "the policies, and how their calls do",
     list_command, TAKES(JSON), REGISTRY_NEEDED, 0, 1, 0, 0},
    {"show", "NAME",
     "a policy as it is written",
     show_command, TAKES(RESOLVED) | TAKES(VERSION) | TAKES(JSON),
     REGISTRY_NEEDED, 1, 1, 0, 0},
    {"get", "NAME KEY",
     "the value that holds for a key",
     get_command, 0, REGISTRY_NEEDED, 2, 2, 0, 0},
    {"set", "NAME KEY=VALUE...",
     "change keys; calls that wait are decided again",
     set_command, EDITS | TAKES(FOR) | TAKES(DRY_RUN), REGISTRY_NEEDED,
     2, -1, 0, 0},
    {"unset", "NAME KEY...",
     "back to what is inherited, or the default",
     unset_command, EDITS | TAKES(DRY_RUN), REGISTRY_NEEDED, 2, -1, 0, 0},
    {"delete", "NAME...",
     "delete policies",
     delete_command, EDITS | TAKES(DRY_RUN), REGISTRY_NEEDED, 1, -1, 0, 0},
    {"log", "[NAME]",
     "what was changed, when, by whom, why",
     log_command, TAKES(SINCE) | TAKES(MOST) | TAKES(JSON), REGISTRY_NEEDED,
     0, 1, 0, 0},
    {"rollback", "NAME [VERSION]",
     "back to what was in force before, or to that version",
     rollback_command, EDITS | TAKES(DRY_RUN), REGISTRY_NEEDED, 1, 2, 0, 0},
    {"diff", "NAME [V1 [V2]] | FILE",
     "what versions changed, or what a file would",
     diff_command, 0, REGISTRY_NEEDED, 1, 3, 0, 0},
    {"preview", "NAME|FILE [KEY=VALUE...]",
     "the waits of a call that only fails",
     preview_command, TRIES | TAKES(ATTEMPTS), REGISTRY_IF_THERE,
     1, -1, 0, 0},
    {"simulate", "NAME|FILE [KEY=VALUE...]",
     "what the rules make of outcomes: of a script, drawn, or recorded",
     simulate_command,
     TRIES | TAKES(SCRIPT) | TAKES(RANDOM) | TAKES(CALLS) | TAKES(FAIL) |
         TAKES(FOR) | TAKES(OUTCOME) | TAKES(LATENCY) | TAKES(FAIL_LATENCY) |
         TAKES(SEED) | TAKES(REPLAY) | TAKES(SINCE) | TAKES(UNTIL) |
         TAKES(SCOPE),
     REGISTRY_IF_THERE, 1, -1, 0, 0},
    {"stats", "[NAME]",
     "what calls came to",
     stats_command,
     TAKES(JSON) | TAKES(SINCE) | TAKES(UNTIL) | TAKES(BY) | TAKES(CSV),
     REGISTRY_NEEDED, 0, 1, 0, 0},
    {"record", "",
     "keep what was counted, by the minute",
     record_command,
     TAKES(EVERY) | TAKES(ON_CHANGE) | TAKES(KEEP_MINUTES) |
         TAKES(KEEP_HOURS) | TAKES(KEEP_SIZE) | TAKES(VERBOSE),
     REGISTRY_NEEDED, 0, 0, 0, 0},
    {"calls", "",
     "who sleeps now, between two attempts",
     calls_command, TAKES(MOST) | TAKES(JSON), REGISTRY_NEEDED, 0, 0, 0, 0},
    {"breaker", "NAME [open|closed|auto|reset]",
     "the circuit breaker: look, force it, or let the rules decide",
     breaker_command,
     EDITS | TAKES(FOR) | TAKES(DRY_RUN) | TAKES(SCOPE) | TAKES(JSON),
     REGISTRY_NEEDED, 1, 2, 0, 0},
    {"budget", "NAME [reset]",
     "the retry budget: look, or fill it",
     budget_command, TAKES(SCOPE) | TAKES(JSON), REGISTRY_NEEDED, 1, 2, 0, 0},
    {"pause", "NAME...",
     "refuse new calls",
     pause_command, EDITS | TAKES(FOR) | TAKES(DRY_RUN), REGISTRY_NEEDED,
     1, -1, 0, 0},
    {"resume", "NAME...",
     "let calls out again",
     resume_command, EDITS | TAKES(FOR) | TAKES(DRY_RUN), REGISTRY_NEEDED,
     1, -1, 0, 0},
    {"check", "[NAME...]",
     "warnings, for a monitor: exit status 0 ok, 1 warning, 2 critical",
     check_command, TAKES(JSON), REGISTRY_IF_THERE, 0, -1, 0, 3},
    {"metrics", "",
     "what Prometheus collects, as text",
     metrics_command, TAKES(OUTPUT), REGISTRY_NEEDED, 0, 0, 0, 0},
    {"serve", "",
     "the same by HTTP, as JSON, and a page that shows the host live",
     serve_command, TAKES(LISTEN), REGISTRY_IF_THERE, 0, 0, 0, 0},
    {"audit", "[NAME]",
     "one time line: changes, breakers, warnings, what was given up",
     audit_command, TAKES(SINCE) | TAKES(UNTIL) | TAKES(CSV) | TAKES(JSON),
     REGISTRY_NEEDED, 0, 1, 0, 0},
    {"doctor", "",
     "look at all of it: what is wrong, and what to do",
     doctor_command, TAKES(KEEP_SIZE) | TAKES(JSON), REGISTRY_NONE, 0, 0,
     0, 0},
    {"deferred list", "[NAME]",
     "work that was put off",
     deferred_list_command, PICKS | TAKES(JSON), REGISTRY_NEEDED, 0, 1, 0, 0},
    {"deferred show", "ID",
     "one piece of it, or its bytes",
     deferred_show_command, TAKES(RAW) | TAKES(JSON), REGISTRY_NEEDED,
     1, 1, 0, 0},
    {"deferred put", "NAME",
     "put standard input off",
     deferred_put_command, TAKES(TYPE) | TAKES(KEY), REGISTRY_NEEDED,
     1, 1, 0, 0},
    {"deferred replay", "[NAME]",
     "do it: each piece to a command; without one: all is due now",
     deferred_replay_command,
     TAKES(EXEC) | TAKES(JOBS) | TAKES(UNTIL_EMPTY) | TAKES(VERBOSE) |
         TAKES(JSON) | TAKES(SINCE) | TAKES(UNTIL) | TAKES(ERROR) |
         TAKES(NOTE),
     REGISTRY_NEEDED, 0, 1, 0, 0},
    {"deferred work", "NAME",
     "run the commands that exec --defer kept",
     deferred_work_command,
     TAKES(JOBS) | TAKES(UNTIL_EMPTY) | TAKES(VERBOSE) | TAKES(JSON),
     REGISTRY_NEEDED, 1, 1, 0, 0},
    {"deferred requeue", "ID...|[NAME]",
     "due now, the dead too; with --dead, --error, --until: all such",
     deferred_requeue_command, PICKS | TAKES(NOTE), REGISTRY_NEEDED,
     0, -1, 0, 0},
    {"deferred drop", "ID...|[NAME]",
     "never to be done; with --dead, --error, --until: all such",
     deferred_drop_command, PICKS | TAKES(NOTE), REGISTRY_NEEDED, 0, -1, 0,
     0},
    {"deferred stats", "[NAME]",
     "how much there is, and what became of the rest",
     deferred_stats_command, TAKES(JSON), REGISTRY_NEEDED, 0, 1, 0, 0},
    {"exec", "NAME [--] COMMAND...",
     "run a program under a policy",
     exec_command,
     TAKES(SCOPE) | TAKES(STDIN) | TAKES(QUIET) | TAKES(VERBOSE) |
         TAKES(SEED) | TAKES(DEFER) | TAKES(KEEP_ENV),
     REGISTRY_NONE, 2, -1, 1, 125},
    {"help", "[COMMAND|keys|outcomes|KEY]",
     "this text, or more about one thing",
     help_command, TAKES(MAN) | TAKES(COMPLETION), REGISTRY_NONE, 0, 2, 0, 0},
    {"version", "",
     "the version of bide",
     version_command, 0, REGISTRY_NONE, 0, 0, 0, 0},
};
/* clang-format on */
const int command_count = sizeof(commands) / sizeof(commands[0]);

const struct command *
command_find(const char *name)
{
    for (int i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool
command_is_group(const char *word, const struct command *c)
{
    size_t length = strlen(word);

    return length > 0 && strncmp(c->name, word, length) == 0 &&
           c->name[length] == ' ';
}

const struct command *
command_group(const char *word)
{
    for (int i = 0; i < command_count; i++) {
        if (command_is_group(word, &commands[i])) {
            return &commands[i];
        }
    }
    return NULL;
}

const struct command *
command_in_group(const char *group, const char *word)
{
    size_t length = strlen(group);

    for (int i = 0; i < command_count; i++) {
        if (command_is_group(group, &commands[i]) &&
            strcmp(commands[i].name + length + 1, word) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void
write_options(FILE *out, const struct command *command)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (command->options & UINT64_C(1) << i && option_rows[i].help) {
            fprintf(out, " [--%s%s%s]", option_rows[i].name,
                    option_rows[i].value ? " " : "",
                    option_rows[i].value ? option_rows[i].value : "");
        }
    }
}

char *
command_usage(const struct command *command)
{
    /* What is ours comes before what is not. */
    size_t before = command->rest_from > 0 ? strcspn(command->usage, " ")
                                           : strlen(command->usage);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out) {
        return NULL;
    }
    fprintf(out, "bide %s%s%.*s", command->name, before > 0 ? " " : "",
            (int)before, command->usage);
    write_options(out, command);
    fputs(command->usage + before, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
