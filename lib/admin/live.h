/* Reads the live state: cells, waiting calls, and trouble that services had. */
#ifndef BIDE_ADMIN_LIVE_H
#define BIDE_ADMIN_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "live/counter.h"
#include "live/sleeper.h"

struct admin;

/* Reports whether there is a live file that can be read. */
bool admin_has_live(struct admin *a);
/* Returns why the live file could not be opened; 0: it could, or nobody did. */
int admin_live_failed(const struct admin *a);

struct admin_cell {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    bool missing;        /* services use this name, but no policy has it */
    bool only_scopes;    /* exists only to count scopes: no call used it */
    struct who asked_by; /* a process that uses it */
    struct bide_stats stats;
    const struct cell_outcome *outcomes; /* most frequent first */
    size_t outcome_count;
    const uint64_t *succeeded, *failed; /* attempts: rule/histogram.h */
    const struct call_counts *calls;
    /* In the cell without scope: the scopes its policy has, and how often one
     * more was refused, which then shared the cell of ADMIN_OTHERS. */
    uint32_t scopes, scopes_refused;
    uint32_t added_up; /* the number of cells that are added up in this one */
    const struct cell_declared *declared; /* NULL: none, or not `missing` */
    /* Of ADMIN_NOW: what was counted in the last now_ns, which is about a
     * minute: less if the cell is younger or calls have just begun again, more
     * if they rest.  Failed attempts have no latencies. */
    bool is_sum;    /* of all cells of the name, which were visited before */
    bool now_whole; /* `now` is all that it has counted */
    uint64_t now_ns;
    struct bide_stats now;
    const struct cell_outcome *now_outcomes;
    size_t now_outcome_count;
    const uint64_t *now_succeeded;
};
#define ADMIN_OTHERS "@others"
/* Visits the cells of policy `name` (NULL: every cell) by name and scope; none
 * without a live file.  BIDE_ENOMEM, or what a visit returned.
 *
 * Of all cells, the first ADMIN_CELLS_SHOWN with a scope or of undefined names
 * are visited.  The counts of the others are added up in the scope ADMIN_OTHERS
 * of their policy, those of undefined names in the name ADMIN_OTHERS. */
enum { ADMIN_CELLS_SHOWN = 4096 };
enum admin_cells {
    ADMIN_TOTALS,
    ADMIN_SUMS, /* after the cells of each name also their sum, whose latencies
                   are those of all their attempts */
    ADMIN_NOW,  /* the same, with the figures of the last minute */
};
int admin_each_cell(struct admin *a, const char *name, enum admin_cells which,
                    int (*visit)(void *arg, const struct admin_cell *c),
                    void *arg);

/* Returns how often a name got no cell, since one was made. */
uint32_t admin_refused(struct admin *a);

struct admin_sleeper {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint64_t wakes_in_ns; /* 0: the wait is over */
    struct sleeper call;
};
/* Visits every waiting call; returns 0, or what a visit returned. */
int admin_each_sleeper(struct admin *a,
                       int (*visit)(void *arg, const struct admin_sleeper *s),
                       void *arg);

/* Wakes the waiting calls of a name and scope (NULL: all): their next attempts
 * start now, if a breaker lets them out.  *out is the number of listed ones;
 * `try_only` only counts.  BIDE_ENOPOLICY: no process uses it. */
int admin_wake(struct admin *a, const char *name, const char *scope,
               bool try_only, uint32_t *out);
/* Leaves a trace of that for bide audit. */
int admin_note_wake(struct admin *a, const char *name, const char *scope,
                    uint32_t calls, const char *who, uint32_t uid);

/* Returns the BIDE_E code of a service's last failure to read the registry, and
 * its time; 0: there is none. */
int admin_trouble(struct admin *a, uint64_t *out_when_ns);

#endif
