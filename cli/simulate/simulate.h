/* The kinds of bide simulate: scripted outcomes (simulate.c), drawn outcomes
 * (simulate_traffic.c) and recorded outcomes (simulate_replay.c). */
#ifndef BIDE_CLI_SIMULATE_H
#define BIDE_CLI_SIMULATE_H

#include "cli/command/command.h"
#include "cli/policy/source.h"
#include "simulate/traffic.h"

struct admin_replay;
struct json;

/* --calls, --fail: draws the outcomes of many calls. */
command_fn simulate_traffic;
/* --replay: takes the outcomes from history. */
command_fn simulate_replay;

enum { PERCENTILES = 3 };
extern const struct percentile {
    const char *name; /* "p95" */
    double share;
} percentiles[PERCENTILES];

/* A simulation of many calls, under the present rules and, if KEY=VALUE is
 * given, under the changed ones. */
struct simulated {
    struct source source;
    struct policy_text *text[2];
    struct policy *policy[2];
    int runs;      /* 1 or 2 */
    char *changes; /* "budget=own attempts=5"; NULL: none */
    const char *calls, *fail, *takes, *failure_takes; /* as typed */
    struct traffic traffic;
    struct traffic_report *report; /* one for each run */
    /* Of a replay: the recorded calls, and the percentiles of their attempts;
     * what history does not have is 0. */
    const struct traffic_report *recorded;
    uint64_t recorded_ns[PERCENTILES];
};
/* Reads the rules that the operands name.  Returns 0, or the exit status after
 * printing the error.  Release with simulated_free in both cases. */
int simulated_rules(struct command_line *line, struct simulated *out);
void simulated_free(struct simulated *s);

/* Makes the reports: of the traffic or, if `recorded` is not NULL, the sum over
 * its scopes, each under separate rules.  Returns 0, or the exit status after
 * an error message, which ends with `remedy` if there are too many calls. */
int simulated_run(struct simulated *s, const struct admin_replay *recorded,
                  const char *remedy);

/* Prints the figures of all runs side by side, and a plot of calls and attempts
 * over time.  Returns 0 or BIDE_ENOMEM. */
int simulated_print(const struct simulated *s);

/* Returns a new object with the policy and the changes. */
struct json *simulated_json(const struct simulated *s);
/* Adds the figures that are also known of recorded traffic. */
void simulated_json_figures(struct json *j, const struct traffic_report *r,
                            bool recorded);
/* Adds an array "runs". */
void simulated_json_runs(struct json *j, const struct simulated *s);

#endif
