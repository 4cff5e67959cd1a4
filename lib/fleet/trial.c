#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "mirror.h"
#include "store/policies/record.h"

/* ---- rules ---- */

static const struct {
    const char *name;
    double share; /* of the latencies of attempts; 0: it is a rate */
} figures[TRIAL_FIGURES] = {
    {"failed", 0}, {"retries", 0}, {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};

/* Reads the bound of a figure; 0 if it is none. */
static double
read_bound(size_t figure, const char *text)
{
    struct decimal d;
    uint64_t ns;

    if (figures[figure].share > 0) {
        return duration_read(text, &ns, NULL) || ns > DURATION_MAX ? 0
                                                                   : (double)ns;
    }
    return decimal_read(&text, &d) || strcmp(text, "%") != 0
               ? 0
               : decimal_value(d) / 100;
}

static bool
read_rule(const char *rule, struct trial_rules *out)
{
    char name[8], bound[32];
    int end = 0;

    if (sscanf(rule, " %7[a-z0-9] < %31[0-9a-z.%] %n", name, bound, &end) ==
            2 &&
        !rule[end]) {
        for (size_t i = 0; i < TRIAL_FIGURES; i++) {
            if (strcmp(figures[i].name, name) == 0) {
                out->below[i] = read_bound(i, bound);
                return out->below[i] > 0;
            }
        }
    }
    return false;
}

int
trial_read(const char *text, struct trial_rules *out, char *why)
{
    char copy[256], *state, *word;
    struct trial_rules rules = {{0}};

    snprintf(copy, sizeof(copy), "%s", text);
    for (word = strtok_r(copy, ",", &state); word;
         word = strtok_r(NULL, ",", &state)) {
        if (!read_rule(word, &rules)) {
            snprintf(why, TRIAL_WORDS,
                     "%.99s: not a rule, such as failed<2%%, retries<20%% or "
                     "p95<300ms (p50 and p99 as well)",
                     word);
            return BIDE_EINPUT;
        }
    }
    *out = rules;
    return 0;
}

/* ---- comparing ---- */

/* Returns the value of a figure; -1: too few calls. */
static double
value_of(size_t figure, const struct trial_counts *c)
{
    double share = figures[figure].share;

    return c->calls < TRIAL_CALLS_MIN ? -1
           : share > 0   ? (double)histogram_at_ns(c->succeeded, share)
           : figure == 0 ? (double)c->failed / (double)c->calls
           : c->attempts ? (double)c->retries / (double)c->attempts
                         : 0;
}

static struct brief
write_value(size_t figure, double value)
{
    struct brief b = {"unknown"};

    if (value >= 0 && figures[figure].share > 0) {
        return duration_round((uint64_t)value);
    }
    if (value >= 0) {
        snprintf(b.text, sizeof(b.text), "%.3g%%", value * 100);
    }
    return b;
}

bool
trial_breaks(const struct trial_rules *rules, const struct trial_counts *before,
             const struct trial_counts *since, char *words)
{
    for (size_t i = 0; i < TRIAL_FIGURES; i++) {
        double was = value_of(i, before), is = value_of(i, since);
        double bound = rules->below[i];

        if (bound > 0 && is >= bound && (was < bound || is >= was * 1.5)) {
            snprintf(words, TRIAL_WORDS, "%s %s (before %s) of %llu calls",
                     figures[i].name, write_value(i, is).text,
                     write_value(i, was).text,
                     (unsigned long long)since->calls);
            return true;
        }
    }
    return false;
}

/* ---- the trial ---- */

/* A policy when the trial began. */
struct tried {
    char name[BIDE_NAME_MAX + 1];
    struct trial_counts total, before;
};

struct trial {
    const char *dir;
    struct trial_rules rules;
    size_t count;
    struct tried *list;  /* by name */
    struct admin *admin; /* while it is open */
    char *words;
};

static void
take_counts(const struct bide_stats *s, const uint64_t *succeeded,
            struct trial_counts *out)
{
    out->calls = counter_calls(s);
    out->calls -= smaller_ns(s->cancelled, out->calls);
    out->failed = counter_failed(s);
    out->attempts = s->attempts;
    out->retries = s->retries;
    memcpy(out->succeeded, succeeded, sizeof(out->succeeded));
}

static int
keep_cell(void *arg, const struct admin_cell *c)
{
    struct trial *t = arg;
    struct tried *to =
        c->is_sum ? array_add(&t->list, &t->count, sizeof(*to)) : NULL;

    if (to) {
        memcpy(to->name, c->name, sizeof(to->name));
        take_counts(&c->stats, c->succeeded, &to->total);
        take_counts(&c->now, c->now_succeeded, &to->before);
    }
    return !to && c->is_sum ? BIDE_ENOMEM : 0;
}

struct trial *
trial_begin(const char *dir, const struct trial_rules *rules, bool late)
{
    struct trial *t = calloc(1, sizeof(*t));
    int rc = t ? admin_open(dir, &t->admin) : BIDE_ENOMEM;

    if (rc == 0) {
        t->dir = dir;
        t->rules = *rules;
        rc = admin_each_cell(t->admin, NULL, ADMIN_NOW, keep_cell, t);
        admin_close(t->admin);
    }
    for (size_t i = 0; rc == 0 && late && i < t->count; i++) {
        t->list[i].before.calls = 0;
    }
    if (rc) {
        trial_end(t);
        t = NULL;
    }
    return t;
}

void
trial_end(struct trial *t)
{
    if (t) {
        free(t->list);
        free(t);
    }
}

/* Takes off what was counted before.  Any process may write counts: none gets
 * negative.  Fewer calls: the live state was made anew. */
static void
subtract_counts(struct trial_counts *io, const struct trial_counts *then)
{
    uint64_t *to = (uint64_t *)io;
    const uint64_t *from = (const uint64_t *)then;
    bool fewer = io->calls < then->calls;

    for (size_t i = 0; !fewer && i < sizeof(*io) / sizeof(*to); i++) {
        to[i] -= smaller_ns(from[i], to[i]);
    }
}

/* Reports whether the fleet alone has made the policy that is in force. */
static bool
is_of_fleet(struct trial *t, const char *name)
{
    struct record r;
    bool is = false;

    if (admin_policy(t->admin, name, &r) == 0) {
        is = r.part_count == 1 && strcmp(r.parts[0].who, MIRROR_WHO) == 0;
        record_free(&r);
    }
    return is;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Returns 1 if the policy breaks a rule. */
static int
judge_cell(void *arg, const struct admin_cell *c)
{
    static const struct tried none;
    struct trial *t = arg;
    const struct tried *old = bsearch(c->name, t->count ? t->list : &none,
                                      t->count, sizeof(none), compare_names);
    struct trial_counts since;
    char words[TRIAL_WORDS];

    old = old ? old : &none;
    take_counts(&c->stats, c->succeeded, &since);
    subtract_counts(&since, &old->total);
    if (!c->is_sum || !trial_breaks(&t->rules, &old->before, &since, words) ||
        !is_of_fleet(t, c->name)) {
        return 0;
    }
    snprintf(t->words, TRIAL_WORDS, "%s %.200s", c->name, words);
    return 1;
}

bool
trial_fails(struct trial *t, char *words)
{
    bool fails = false;

    if (admin_open(t->dir, &t->admin) == 0) {
        t->words = words;
        fails = admin_each_cell(t->admin, NULL, ADMIN_SUMS, judge_cell, t) > 0;
        admin_close(t->admin);
    }
    return fails;
}
