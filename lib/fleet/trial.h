/* The trial of a release on a host: its guard compares the statistics of each
 * policy since the release was applied with those of the minute before. */
#ifndef BIDE_FLEET_TRIAL_H
#define BIDE_FLEET_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "rule/histogram.h"

enum {
    TRIAL_FIGURES = 5,    /* that a guard can bound: the table of trial.c */
    TRIAL_CALLS_MIN = 20, /* fewer calls are not judged */
    TRIAL_WORDS = 256,
};
struct trial_rules {
    double below[TRIAL_FIGURES]; /* 0: not bounded */
};

/* Reads "failed<2%, p95<300ms"; "" has no rules.  BIDE_EINPUT with the reason
 * in `why` (TRIAL_WORDS bytes). */
int trial_read(const char *text, struct trial_rules *out, char *why);

/* Statistics of a policy. */
struct trial_counts {
    uint64_t calls, failed, attempts, retries;
    uint64_t succeeded[HISTOGRAM_BUCKETS]; /* attempts */
};
/* Compares two of them.  A figure breaks a rule if it is not below the bound
 * and, where it was not below it before either, has grown by half.  Returns
 * true and fills `words` (TRIAL_WORDS bytes) with the first that does: "failed
 * 14% (before 0.2%) of 120 calls". */
bool trial_breaks(const struct trial_rules *rules,
                  const struct trial_counts *before,
                  const struct trial_counts *since, char *words);

struct trial;
/* Begins a trial of the registry in `dir`, as of now; the last minute is what
 * was before, unless the release was applied earlier (`late`): then only the
 * bounds count.  NULL: no memory, or no registry. */
struct trial *trial_begin(const char *dir, const struct trial_rules *rules,
                          bool late);
void trial_end(struct trial *t); /* NULL: does nothing */
/* Reports whether a policy that the fleet made, and that has no change of this
 * host, breaks a rule; fills `words` (TRIAL_WORDS bytes) with the first. */
bool trial_fails(struct trial *t, char *words);

#endif
