/* The commands: cli/commands.c has the table. */
#ifndef BIDE_CLI_COMMAND_H
#define BIDE_CLI_COMMAND_H

#include <stdbool.h>

#include "option.h"

struct admin;

/* The command line, split into its parts.  Strings are those of argv. */
struct command_line {
    const struct command *command;
    const char *group;      /* the first of two words, "deferred"; else NULL */
    struct admin *registry; /* NULL: the command does not use it, or
                               (REGISTRY_IF_THERE) it cannot be opened */
    const char *option[OPTION_COUNT]; /* NULL: not given; "": no value */
    const char *typed[OPTION_COUNT];  /* "-n" if it was typed so, else NULL */
    int count;
    char **operands; /* without options; NULL-terminated for execvp */
};

/* Runs a command and prints its errors.  Returns the exit status. */
typedef int command_fn(struct command_line *line);

/* The sections of bide help, in this order. */
#define SECTIONS(X)                \
    X(POLICIES, "Policies")        \
    X(TRYING, "Trying rules")      \
    X(LIVE, "Live state")          \
    X(STATISTICS, "Statistics")    \
    X(MONITORING, "Monitoring")    \
    X(DEFERRED, "Deferred work")   \
    X(RUNNING, "Running programs") \
    X(FLEET, "Many hosts")         \
    X(HELP, "Help")

enum section {
#define X(id, title) SECTION_##id,
    SECTIONS(X)
#undef X
        SECTION_COUNT
};

extern const char *const section_titles[SECTION_COUNT];

/* The help of an option that has a meaning of its own in a command. */
struct option_note {
    int option;
    const char *help; /* NULL: end of the list */
};

enum registry_need {
    REGISTRY_NONE,
    REGISTRY_IF_THERE, /* NULL when it cannot be opened */
    REGISTRY_NEEDED,
};

struct command {
    const char *name;  /* one word, or two: "deferred list" */
    const char *usage; /* its operands; options come from the table */
    const char *help;  /* one line; NULL: not shown */
    command_fn *run;
    option_set options; /* TAKES(...); all commands take --dir and --help */
    enum registry_need registry;
    int least, most; /* operands; most -1: any number */
    int rest_from; /* number of operands before another program's command line,
                      in which nothing is an option of bide; 0: none */
    bool verbatim; /* the output is for programs: no line is folded */
    bool counts;   /* shows calls: say if they are not counted */
    int misused;   /* exit status of usage errors; 0: STATUS_USAGE */
    enum section section;
    const struct option_note *notes; /* NULL: none */
    const char *examples;            /* one per line */
};
extern const struct command commands[];
extern const int command_count;
const struct command *command_find(const char *name); /* NULL if not found */
/* Commands of two words.  command_is_group() reports whether the first word of
 * `c` is `word`.  command_group() returns the first such command.
 * command_in_group() returns the command "GROUP WORD".  Both return NULL if
 * there is none. */
bool command_is_group(const char *word, const struct command *c);
const struct command *command_group(const char *word);
const struct command *command_in_group(const char *group, const char *word);
/* Returns the help of an option of this command; NULL if the option is hidden.
 */
const char *command_option_help(const struct command *command, int option);
/* Returns "bide set NAME KEY=VALUE... [--note TEXT]", malloc'ed; NULL without
 * memory. */
char *command_usage(const struct command *command);

command_fn init_command, backup_command, restore_command, apply_command,
    validate_command, export_command, list_command, show_command, get_command,
    set_command, unset_command, edit_command, copy_command, delete_command,
    log_command, rollback_command, diff_command, preview_command,
    simulate_command, stats_command, calls_command, breaker_command,
    budget_command, rate_command, limit_command, pause_command, resume_command,
    deferred_list_command, deferred_show_command, deferred_put_command,
    deferred_replay_command, deferred_work_command, deferred_requeue_command,
    deferred_drop_command, deferred_repair_command, deferred_stats_command,
    exec_command, outcome_command, help_command, version_command,
    record_command, check_command, audit_command, metrics_command,
    serve_command, doctor_command, top_command, wake_command,
    fleet_join_command, fleet_leave_command, fleet_push_command,
    fleet_releases_command, fleet_diff_command, fleet_follow_command,
    fleet_rollout_command, fleet_turn_command, fleet_status_command,
    fleet_hosts_command, rename_command;

#endif
