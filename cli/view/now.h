/* The figures of the last minute, as list and top show them. */
#ifndef BIDE_CLI_NOW_H
#define BIDE_CLI_NOW_H

#include <bide.h>
#include "base/plain.h"
#include "cli/out/json.h"
#include "count.h"
#include "rule/alarm.h"

struct policy;

enum now_figure { NOW_CALLS, NOW_OK, NOW_FAILED, NOW_RETRIES, NOW_P95 };

/* Returns the word of a figure, as --sort takes it: "failed". */
const char *now_word(enum now_figure f);
/* Writes a figure ("41.2", "98.1%"), "-" if there is none; with `all` of the
 * time since the live state was created, numbers instead of rates. */
struct brief now_write(const struct admin_cell *c, enum now_figure f, bool all);
/* Returns a number by which the worst or busiest comes first. */
double now_rank(const struct admin_cell *c, enum now_figure f, bool all);
/* Writes the length of the window if it is far from a minute, else "". */
struct brief now_over(const struct admin_cell *c);
bool now_failing(const struct admin_cell *c); /* many calls fail */

/* Adds an object "now". */
void now_json(struct json *j, const struct admin_cell *c);

/* Judges the last minute by the policy's warn_ and crit_ keys. */
void now_judge(const struct policy *p, const struct count *total,
               const struct admin_guard *worst, struct alarm_verdict *out);

#endif
