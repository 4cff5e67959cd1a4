/* The two kinds of bide simulate. */
#ifndef BIDE_CLI_SIMULATE_H
#define BIDE_CLI_SIMULATE_H

#include "command.h"

/* --calls, --fail: outcomes are drawn, by the thousand. */
command_fn simulate_traffic;

/* What such a simulation said, for people or as JSON. */
struct simulated {
    const char *name;     /* the policy */
    const char *changes;  /* "budget=own attempts=5"; NULL: one run only */
    const char *calls, *fail, *takes, *failure_takes; /* as typed */
    const struct traffic *traffic;
    const struct policy *policy[2]; /* the present rules, the changed ones */
    struct traffic_report *report;  /* of each */
    int runs;                       /* 1 or 2 */
};

/* 0 or BIDE_ENOMEM. */
int simulated_print(const struct simulated *s);
int simulated_json(const struct simulated *s);

#endif
