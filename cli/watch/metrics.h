/* The live state as Prometheus text: read once, so that all figures of a scrape
 * are of one moment, then written family by family. */
#ifndef BIDE_CLI_METRICS_H
#define BIDE_CLI_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <bide.h>
#include "admin/guard.h"
#include "cli/out/exposition.h"
#include "record/past.h"
#include "store/queue/queue.h"

struct admin_outcome;

/* What was read of one policy and scope. */
struct metrics_cell {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    struct bide_stats stats;
    struct exposition_histogram succeeded, failed;
    size_t outcome_count;
    struct admin_outcome *outcomes; /* each name once */
    bool guarded;                   /* then: */
    struct admin_guard guard;
    bool own_budget; /* else it is shown once, as its group's */
    uint32_t sleeping;
};

struct metrics_policy {
    char name[BIDE_NAME_MAX + 1];
    uint32_t version; /* 0: services ask for it, nobody defined it */
    bool valid;       /* then: */
    int importance, breaker_mode;
    bool paused;
    char group[BIDE_NAME_MAX + 1]; /* "none", "own" */
    int level;                     /* enum alarm_level; -1: no such keys */
};

struct metrics_group {
    char name[BIDE_NAME_MAX + 1];
    struct admin_guard guard;
};

struct metrics {
    struct admin *registry;
    size_t cell_count, policy_count, group_count, deferred_count;
    struct metrics_cell *cells;      /* by name and scope */
    struct metrics_policy *policies; /* by name; undefined ones last */
    struct metrics_group *groups;
    struct deferred_counts *deferred; /* by policy */
    bool queue;                       /* postponed work can be read */
    bool live;    /* there is a live state, and it can be read */
    bool history; /* recordings could be read, or there are none */
    struct past_known past;
    uint64_t trouble_ns; /* a service could not read the registry; 0: never */
};

/* 0 or a BIDE_E code (admin_why); metrics_free in any case. */
int metrics_read(struct admin *registry, struct metrics *out);
void metrics_free(struct metrics *m);

/* Everything; NULL: only that the registry cannot be read. */
void metrics_write(const struct metrics *m, FILE *out);

#endif
