/* The live counts of all policies, as list and stats show them. */
#ifndef BIDE_CLI_COUNT_H
#define BIDE_CLI_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "live/who.h"

struct admin;
struct cell_declared;
struct admin_results;

/* Returns the number of calls that have ended, with any verdict. */
uint64_t count_calls(const struct bide_stats *s);

/* Returns the number of first attempts.  Retries are shown as a share of these:
 * the load that retrying adds. */
uint64_t count_firsts(const struct bide_stats *s);

/* The statistics of one name, all scopes together.  The latencies are those of
 * the slowest scope, because percentiles cannot be added. */
struct count {
    char name[BIDE_NAME_MAX + 1];
    bool missing;
    struct who asked_by;
    struct cell_declared *declared; /* the newest declared rules; NULL: none */
    struct bide_stats stats;
    uint32_t sleeping;               /* number of waiting calls */
    uint32_t scopes, scopes_refused; /* as in struct admin_cell */
};

/* A scope that a name is used with; "": no scope. */
struct scope {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
};

struct counts {
    size_t count;
    struct count *list; /* by name */
    size_t scope_count;
    struct scope *scopes; /* by name and scope */
    uint32_t added_up;    /* cells that admin_each_cell added up */
};

/* counts_read reads everything, counts_sleeping only the number of waiting
 * calls.  Both return 0 or a BIDE_E code.  Release with counts_free in all
 * cases. */
int counts_read(struct admin *registry, struct counts *out);
int counts_sleeping(struct admin *registry, struct counts *out);
void counts_free(struct counts *c);
const struct count *counts_find(const struct counts *c, const char *name);

/* Returns the scopes of a name, as an array of *out_count; NULL if there are
 * none. */
const struct scope *counts_scopes(const struct counts *c, const char *name,
                                  size_t *out_count);

/* Returns the number of waiting calls that a change affected: those that were
 * woken, or those that waited `before` it under a policy that it changed.
 * Calls of event loops and of bide exec are not woken; they notice the change
 * themselves. */
uint32_t counts_told(const struct counts *before,
                     const struct admin_results *results);

#endif
