/* The rate that throttle outcomes lower and successes raise: the adaptive mode
 * of the AWS SDKs, for all processes together.  Pure. */
#ifndef BIDE_RULE_ADAPT_H
#define BIDE_RULE_ADAPT_H

#include <stdbool.h>

#include "policy/rules.h"
#include "limits.h"

/* Reads a word that holds a double; returns `other` unless it is within 0 and
 * the highest rate. */
double adapt_read(const _Atomic uint64_t *word, double other);
void adapt_write(_Atomic uint64_t *word, double value);

/* Returns the rate `since_s` seconds after a cut from the rate `most`: 0.7 of
 * that at first, all of it after some seconds, then more and more. */
double adapt_grown(double most, double since_s);

/* Begins to measure at now_ns, unless that has been done. */
void adapt_begin(struct rate_words *w, uint64_t now_ns);
/* Reports whether there has been a throttle outcome: only then calls wait. */
bool adapt_has_cut(const struct rate_words *w);

/* Counts a response at now_ns to an attempt that began at began_ns.  Returns
 * the new rate; `pace` is the one before.  Under ADAPT_CUBIC only an attempt
 * that began after the last cut can cut again: else the many attempts that run
 * when a server begins to throttle would each cut. */
double adapt_report(const struct rate_rules *r, struct rate_words *w,
                    double pace, bool throttled, uint64_t began_ns,
                    uint64_t now_ns);

/* Returns false if the words are impossible. */
bool adapt_is_sound(const struct rate_words *w, uint64_t now_ns);

#endif
