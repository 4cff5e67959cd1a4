/* The three kinds of bide simulate. */
#ifndef BIDE_CLI_SIMULATE_H
#define BIDE_CLI_SIMULATE_H

#include "cli/command/command.h"
#include "cli/policy/source.h"

/* --calls, --fail: outcomes are drawn, by the thousand. */
command_fn simulate_traffic;
/* --replay: they are those of history. */
command_fn simulate_replay;

/* The rules that are tried: present ones and, with KEY=VALUE, changed ones. */
struct simulate_rules {
    struct source source;
    struct policy_text *text[2];
    struct policy *policy[2];
    char *changes; /* "budget=own attempts=5"; NULL: none */
    int runs;      /* 1 or 2 */
};
/* 0 or the exit status, and said why; simulate_rules_free in any case. */
int simulate_rules(struct command_line *line, struct simulate_rules *out);
void simulate_rules_free(struct simulate_rules *r);

/* What such a simulation said, for people or as JSON. */
struct simulated {
    const char *name;    /* the policy */
    const char *changes; /* "budget=own attempts=5"; NULL: one run only */
    const char *calls, *fail, *takes, *failure_takes; /* as typed */
    const struct traffic *traffic;
    const struct policy *policy[2]; /* the present rules, the changed ones */
    struct traffic_report *report;  /* of each */
    int runs;                       /* 1 or 2 */
};

/* 0 or BIDE_ENOMEM. */
int simulated_print(const struct simulated *s);
int simulated_json(const struct simulated *s);
/* Parts of these: one run, and calls over time. */
struct json;
void simulated_json_run(struct json *run, const struct simulated *s,
                        int number);
int simulated_plot(const struct simulated *s);

#endif
