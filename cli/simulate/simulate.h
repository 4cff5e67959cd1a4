/* The kinds of bide simulate: scripted outcomes (simulate.c), drawn outcomes
 * (simulate_traffic.c) and recorded outcomes (simulate_replay.c). */
#ifndef BIDE_CLI_SIMULATE_H
#define BIDE_CLI_SIMULATE_H

#include "cli/command/command.h"
#include "cli/policy/source.h"

struct admin_replay;

/* --calls, --fail: draws the outcomes of many calls. */
command_fn simulate_traffic;
/* --replay: takes the outcomes from history. */
command_fn simulate_replay;

/* The rules to simulate: the present ones and, if KEY=VALUE is given, the
 * changed ones. */
struct simulate_rules {
    struct source source;
    struct policy_text *text[2];
    struct policy *policy[2];
    char *changes; /* "budget=own attempts=5"; NULL: none */
    int runs;      /* 1 or 2 */
};
/* Reads the rules that the operands name.  Returns 0, or the exit status after
 * printing the error.  Release with simulate_rules_free in both cases. */
int simulate_rules(struct command_line *line, struct simulate_rules *out);
void simulate_rules_free(struct simulate_rules *r);

/* A finished simulation, ready to print. */
struct simulated {
    const char *name;    /* the policy */
    const char *changes; /* "budget=own attempts=5"; NULL: one run only */
    const char *calls, *fail, *takes, *failure_takes; /* as typed */
    const struct traffic *traffic;
    const struct policy *policy[2]; /* the present rules, the changed ones */
    struct traffic_report *report;  /* one for each run */
    int runs;                       /* 1 or 2 */
};

/* Makes the reports: of the traffic or, if `recorded` is not NULL, the sum over
 * its scopes, each under separate rules.  Returns 0, or the exit status after
 * an error message, which ends with `remedy` if there are too many calls.  The
 * caller frees s->report in both cases. */
int simulated_run(struct simulated *s, const struct admin_replay *recorded,
                  const char *remedy);

/* Prints tables and a plot.  Returns 0 or BIDE_ENOMEM. */
int simulated_print(const struct simulated *s);
/* Prints JSON.  Returns 0 or BIDE_ENOMEM. */
int simulated_json(const struct simulated *s);

/* A table of figures: a column for each run and, in a replay, for the recorded
 * traffic before them. */
struct comparison {
    struct table *table;
    int columns;
    uint64_t calls[3]; /* of each column */
};
enum figure_flags {
    ALWAYS = 1,     /* shown also if all values are 0 */
    UNRECORDED = 2, /* history does not have it */
};
struct figure {
    const char *name;
    enum { COUNT, SHARE, TIMES, TIME } form; /* TIMES: "1.44x" */
    uint64_t value[3];                       /* of each column */
    unsigned flags;
};
void simulated_figures(const struct comparison *c, const struct figure *list,
                       size_t count);
enum { PERCENTILES = 3 };
extern const struct percentile {
    const char *name; /* "p95" */
    double share;
} percentiles[PERCENTILES];
/* Adds the percentiles of the times to answer, or those of attempts.
 * `recorded`: those of the recorded traffic; NULL: it has none. */
void simulated_times(const struct comparison *c, const struct simulated *s,
                     bool answers, const uint64_t *recorded);

struct json;
/* Adds run `number` (0: present rules, 1: changed rules) to `run`. */
void simulated_json_run(struct json *run, const struct simulated *s,
                        int number);
/* Prints the plot of calls and attempts over time.  Returns 0 or
 * BIDE_ENOMEM. */
int simulated_plot(const struct simulated *s);

#endif
