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
#include "rule/histogram.h"
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
        return duration_read(text, &ns, NULL) || ns == DURATION_NONE
                   ? 0
                   : (double)ns;
    }
    return decimal_read(&text, &d) || strcmp(text, "%") != 0
               ? 0
               : decimal_value(d) / 100;
}

static int
read_rule(char *rule, struct trial_rules *out, char *why)
{
    size_t length, i;

    rule += strspn(rule, " ");
    length = strcspn(rule, " <");
    for (i = 0; i < TRIAL_FIGURES; i++) {
        if (strlen(figures[i].name) == length &&
            memcmp(figures[i].name, rule, length) == 0) {
            char *bound = rule + length + strspn(rule + length, " ");

            bound += *bound == '<' ? 1 + strspn(bound + 1, " ") : strlen(bound);
            bound[strcspn(bound, " ")] = '\0';
            out->below[i] = read_bound(i, bound);
            if (out->below[i] > 0) {
                return 0;
            }
            break;
        }
    }
    snprintf(why, TRIAL_WORDS, "%.100s: not a rule, such as %s", rule,
             i < TRIAL_FIGURES && figures[i].share > 0
                 ? "p95<300ms (p50 and p99 as well)"
                 : "failed<2%, retries<20% or p95<300ms");
    return BIDE_EINPUT;
}

int
trial_read(const char *text, struct trial_rules *out, char *why)
{
    char copy[256], *state, *word;
    struct trial_rules rules = {{0}};
    int rc = 0;

    if (strlen(text) >= sizeof(copy)) {
        snprintf(why, TRIAL_WORDS, "too long");
        return BIDE_EINPUT;
    }
    strcpy(copy, text);
    for (word = strtok_r(copy, ",", &state); word && rc == 0;
         word = strtok_r(NULL, ",", &state)) {
        rc = read_rule(word, &rules, why);
    }
    if (rc == 0) {
        *out = rules;
    }
    return rc;
}

/* ---- comparing ---- */

/* Returns the value of a figure; -1: too few calls. */
static double
value_of(size_t figure, const struct trial_counts *c)
{
    double share = figures[figure].share;

    if (c->calls < TRIAL_CALLS_MIN) {
        return -1;
    }
    if (share > 0) {
        return c->succeeded ? (double)histogram_at_ns(c->succeeded, share) : 0;
    }
    return figure == 0   ? (double)c->failed / (double)c->calls
           : c->attempts ? (double)c->retries / (double)c->attempts
                         : 0;
}

static struct brief
write_value(size_t figure, double value)
{
    struct brief b;

    if (value < 0) {
        return (struct brief){"unknown"};
    }
    if (figures[figure].share > 0) {
        return duration_round((uint64_t)value);
    }
    snprintf(b.text, sizeof(b.text), "%.3g%%", value * 100);
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
    uint64_t succeeded[2][HISTOGRAM_BUCKETS]; /* of both */
};

struct trial {
    const char *dir;
    struct trial_rules rules;
    bool late;
    size_t count;
    struct tried *list;  /* by name */
    struct admin *admin; /* while it is open */
    char *words;
};

static uint64_t
count_since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0; /* any process may write counts */
}

static void
take_counts(const struct bide_stats *s, struct trial_counts *out)
{
    *out = (struct trial_counts){
        .calls = count_since(counter_calls(s), s->cancelled),
        .failed = counter_failed(s),
        .attempts = s->attempts,
        .retries = s->retries};
}

static int
keep_cell(void *arg, const struct admin_cell *c)
{
    struct trial *t = arg;
    struct tried *to;

    if (!c->is_sum) {
        return 0;
    }
    to = array_add(&t->list, &t->count, sizeof(*to));
    if (!to) {
        return BIDE_ENOMEM;
    }
    memcpy(to->name, c->name, sizeof(to->name));
    take_counts(&c->stats, &to->total);
    memcpy(to->succeeded[0], c->succeeded, sizeof(to->succeeded[0]));
    if (!t->late) {
        take_counts(&c->now, &to->before);
        memcpy(to->succeeded[1], c->now_succeeded, sizeof(to->succeeded[1]));
    }
    return 0;
}

struct trial *
trial_begin(const char *dir, const struct trial_rules *rules, bool late)
{
    struct trial *t = calloc(1, sizeof(*t));
    struct admin *a;
    int rc = t ? admin_open(dir, &a) : BIDE_ENOMEM;

    if (rc == 0) {
        t->dir = dir;
        t->rules = *rules;
        t->late = late;
        rc = admin_each_cell(a, NULL, ADMIN_NOW, keep_cell, t);
        admin_close(a);
    }
    if (rc) {
        trial_end(t);
        return NULL;
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

static int
compare_tried(const void *name, const void *tried)
{
    return strcmp(name, ((const struct tried *)tried)->name);
}

/* Fills `since` with what was counted after `t`, which is NULL for a policy
 * that had no calls. */
static void
subtract_counts(const struct admin_cell *c, const struct tried *t,
                uint64_t *succeeded, struct trial_counts *out)
{
    take_counts(&c->stats, out);
    memcpy(succeeded, c->succeeded, HISTOGRAM_BUCKETS * sizeof(*succeeded));
    out->succeeded = succeeded;
    if (!t || out->calls < t->total.calls ||
        out->attempts < t->total.attempts) {
        return; /* the live state was made anew */
    }
    out->calls = count_since(out->calls, t->total.calls);
    out->failed = count_since(out->failed, t->total.failed);
    out->attempts = count_since(out->attempts, t->total.attempts);
    out->retries = count_since(out->retries, t->total.retries);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        succeeded[i] = count_since(succeeded[i], t->succeeded[0][i]);
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

/* Returns 1 if the policy breaks a rule. */
static int
judge_cell(void *arg, const struct admin_cell *c)
{
    struct trial *t = arg;
    uint64_t succeeded[HISTOGRAM_BUCKETS];
    struct trial_counts since, before = {0};
    const struct tried *old = t->count && c->is_sum
                                  ? bsearch(c->name, t->list, t->count,
                                            sizeof(*t->list), compare_tried)
                                  : NULL;
    char words[TRIAL_WORDS];

    if (!c->is_sum) {
        return 0;
    }
    if (old) {
        before = old->before;
        before.succeeded = old->succeeded[1];
    }
    subtract_counts(c, old, succeeded, &since);
    if (!trial_breaks(&t->rules, &before, &since, words) ||
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
