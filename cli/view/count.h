/* The live counts of all policies, as list and stats show them. */
#ifndef BIDE_CLI_COUNT_H
#define BIDE_CLI_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "admin/live.h"

struct admin;

/* Returns the number of calls that have ended, with any verdict. */
uint64_t count_calls(const struct bide_stats *s);

/* Returns the number of first attempts.  Retries are shown as a share of these:
 * the load that retrying adds. */
uint64_t count_firsts(const struct bide_stats *s);

/* The counts of a cell, or one waiting call (then `only_scopes`); or the total
 * of a name.  The latencies of a total are those of the slowest scope, because
 * percentiles cannot be added; its declared rules are the newest ones. */
struct count {
    struct admin_cell cell; /* its outcomes and histograms are not kept */
    uint32_t sleeping;      /* number of waiting calls */
    /* Of a total: what it is the sum of, by scope. */
    const struct count *parts;
    size_t part_count;
};

struct counts {
    size_t count;
    struct count *list; /* by name and scope */
    uint32_t added_up;  /* cells that admin_each_cell added up */
};

/* counts_read reads everything, counts_sleeping only the number of waiting
 * calls.  Both return 0 or a BIDE_E code.  Release with counts_free in all
 * cases. */
int counts_read(struct admin *registry, struct counts *out);
int counts_sleeping(struct admin *registry, struct counts *out);
void counts_free(struct counts *c);

/* Fills `out` with the total of a name, which is valid as long as `c`.  Returns
 * false if nothing has this name. */
bool counts_find(const struct counts *c, const char *name, struct count *out);

#endif
