/* The live state as Prometheus text.  Everything is read first, so that all
 * figures of a scrape are from one moment, then written family by family. */
#ifndef BIDE_CLI_METRICS_H
#define BIDE_CLI_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <bide.h>
#include "admin/guard.h"
#include "cli/view/count.h"
#include "record/past.h"
#include "store/policies/record.h"
#include "store/queue/queue.h"

struct metrics_policy {
    char name[BIDE_NAME_MAX + 1];
    uint32_t version; /* 0: used by services but not defined */
    bool valid;       /* false: the next four members are unset */
    int importance, breaker_mode;
    bool paused;
    char group[BIDE_NAME_MAX + 1]; /* "none", "own" */
    int level; /* enum alarm_level; -1: unknown, or not watched */
};

struct metrics_group {
    char name[BIDE_NAME_MAX + 1];
    struct admin_guard guard;
};

struct metrics {
    struct admin *registry;
    struct counts cells; /* COUNTS_SERIES */
    size_t policy_count, group_count, deferred_count;
    struct metrics_policy *policies; /* by name; undefined ones last */
    struct metrics_group *groups;
    struct deferred_counts *deferred; /* by policy */
    bool queue;                       /* deferred work can be read */
    bool live;    /* the live state exists and can be read */
    bool counts;  /* as far as files tell, services can count calls */
    bool history; /* history can be read, or does not exist yet */
    struct history_known past;
    struct record_fleet fleet; /* what its agent applied last */
    bool stopped;              /* the recorder; meant only if one was started */
    uint64_t trouble_ns;       /* last time that a service could not read the
                                  registry; 0: never */
};

/* Reads everything into `out`.  Returns 0 or a BIDE_E code (with admin_why).
 * Release with metrics_free in both cases. */
int metrics_read(struct admin *registry, struct metrics *out);
void metrics_free(struct metrics *m);

/* Writes all families.  NULL: the registry cannot be read; writes only bide_up,
 * which is then 0, and the version. */
void metrics_write(const struct metrics *m, FILE *out);

#endif
