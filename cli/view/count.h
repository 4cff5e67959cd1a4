/* The live counts of all policies, as list and stats show them. */
#ifndef BIDE_CLI_COUNT_H
#define BIDE_CLI_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "admin/guard.h"
#include "admin/live.h"
#include "cli/out/exposition.h"

struct admin;
struct policy;

/* Returns the number of first attempts, of which retries are a share. */
uint64_t count_firsts(const struct bide_stats *s);

/* Adds an outcome to a list, in which each name is once.  The list must have
 * room for another, with zeros. */
void count_outcome(struct cell_outcome *list, size_t *count,
                   const struct cell_outcome *o);

/* The counts of a cell, or one waiting call (then `only_scopes`); or the total
 * of a name, whose declared rules are those to show. */
struct count {
    struct admin_cell cell;           /* its histograms are not kept */
    uint32_t sleeping;                /* number of waiting calls */
    struct exposition_series *series; /* COUNTS_SERIES */
    struct policy *policy;            /* of counts_follow; NULL: not known */
    struct admin_guard guard;
    bool unused; /* of guard_parts_read: no process has used it */
    /* Of a total: what it is the sum of, by scope, and the scope with the worst
     * breaker. */
    struct count *parts;
    size_t part_count;
    const char *worst_scope;
};

struct counts {
    size_t count;
    struct count *list; /* by name and scope */
    size_t sum_count;
    struct count *sums; /* by name; COUNTS_NOW: of those with several cells */
    uint32_t added_up;  /* cells that admin_each_cell added up */
    unsigned kept;      /* enum counts_kept */
    int (*also)(void *arg, const struct admin_cell *c); /* of each cell */
    void *also_arg;
};

enum counts_kept {
    COUNTS_OUTCOMES = 1, /* else a cell has none */
    COUNTS_SERIES = 2,   /* outcomes and histograms; each name and scope once;
                            no `only_scopes` */
    COUNTS_SUMS = 4,     /* also sums */
    COUNTS_NOW = 8 | COUNTS_SUMS, /* and the last minute */
};
/* Read the cells of policy `name` (NULL: all); add the waiting calls of all
 * policies.  Return 0 or a BIDE_E code.  counts_free in all cases. */
int counts_read(struct admin *registry, const char *name, unsigned kept,
                struct counts *out);
int counts_sleeping(struct admin *registry, struct counts *out);
void counts_free(struct counts *c);
void count_free(struct count *one); /* not its policy */

/* Returns the first count from this name and scope on, or the list's end. */
struct count *counts_at(const struct counts *c, const char *name,
                        const char *scope);
/* Returns the end of the list, NULL if it is empty. */
static inline const struct count *
counts_end(const struct counts *c)
{
    return c->list ? c->list + c->count : NULL;
}

/* Reports whether count `i` is the first one with its name. */
bool counts_first(const struct counts *c, size_t i);

/* Sets the policy of all counts of its name, and reads their breakers and
 * budgets.  Takes over `p`. */
void counts_follow(struct counts *c, struct admin *registry, struct policy *p);

/* Returns the sum of all cells of a name; NULL: there is none. */
const struct count *counts_sum(const struct counts *c, const char *name);
/* Fills `out` with the total of a name, which is valid as long as `c`: its
 * figures only with COUNTS_SUMS.  Returns false if nothing has this name. */
bool counts_find(const struct counts *c, const char *name, struct count *out);

#endif
