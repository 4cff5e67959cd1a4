/* Writes the metric families: those of the table below, and one for each
 * counter of live/counters.h that has a metric. */

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include <bide.h>
#include "cli/view/guard.h"
#include "live/counters.h"
#include "policy/rules.h"
#include "rule/breaker.h"
#include "store/queue/queue.h"
#include "metrics.h"

/* The metric family that is being written. */
struct family {
    FILE *out;
    const char *name;
    size_t offset; /* of a field that some of the functions below write */
};

/* ---- one sample ---- */

/* Writes the name and labels of a sample, without its value.  `labels` is a
 * NULL-terminated list of names and values in turn. */
static void
begin_sample(const struct family *f, const char *suffix,
             const char *const *labels)
{
    fprintf(f->out, "%s%s", f->name, suffix);
    for (size_t i = 0; labels[i]; i += 2) {
        fprintf(f->out, "%s%s=\"", i > 0 ? "," : "{", labels[i]);
        exposition_label(f->out, labels[i + 1]);
        fputc('"', f->out);
    }
    fputs(labels[0] ? "} " : " ", f->out);
}
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OF_CELL(c) "policy", (c)->cell.name, "scope", (c)->cell.scope
#define NO_LABELS ((const char *const[]){NULL})

static void
put_count(const struct family *f, const char *const *labels, uint64_t count)
{
    begin_sample(f, "", labels);
    fprintf(f->out, "%llu\n", (unsigned long long)count);
}

static void
put_number(const struct family *f, const char *suffix,
           const char *const *labels, double number)
{
    begin_sample(f, suffix, labels);
    fprintf(f->out, "%s\n", exposition_number(number).text);
}

static void
put_timestamp(const struct family *f, const char *const *labels, uint64_t ns)
{
    put_number(f, "", labels, (double)(ns / 1000000) / 1000);
}

/* ---- the registry ---- */

static void
write_up(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, m != NULL);
}

static void
write_version(const struct family *f, const struct metrics *m)
{
    (void)m;
    put_count(f, LABELS("version", BIDE_VERSION), 1);
}

static void
write_flag(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, *(const bool *)((const char *)m + f->offset));
}

static void
write_time(const struct family *f, const struct metrics *m)
{
    uint64_t ns;

    memcpy(&ns, (const char *)m + f->offset, sizeof(ns));
    if (ns > 0) {
        put_timestamp(f, NO_LABELS, ns);
    }
}

static void
write_recorder(const struct family *f, const struct metrics *m)
{
    if (m->history && m->past.every_ns > 0) {
        put_count(f, NO_LABELS, !m->stopped);
    }
}

static void
write_fleet(const struct family *f, const struct metrics *m)
{
    char release[16], stage[16];

    snprintf(release, sizeof(release), "%u", m->fleet.release);
    snprintf(stage, sizeof(stage), "%u", m->fleet.stage);
    if (m->fleet.release > 0) {
        put_count(
            f,
            LABELS("host", m->fleet.host, "release", release, "stage", stage),
            1);
    }
}

/* ---- policies ---- */

static void
write_policy_version(const struct family *f, const struct metrics_policy *p)
{
    put_count(f, LABELS("policy", p->name), p->version);
}

static void
write_policy_info(const struct family *f, const struct metrics_policy *p)
{
    if (p->valid) {
        put_count(f,
                  LABELS("policy", p->name, "importance",
                         guard_importance(p->importance), "breaker",
                         guard_mode(p->breaker_mode), "budget", p->group),
                  1);
    }
}

static void
write_policy_paused(const struct family *f, const struct metrics_policy *p)
{
    if (p->valid) {
        put_count(f, LABELS("policy", p->name), p->paused);
    }
}

static void
write_policy_level(const struct family *f, const struct metrics_policy *p)
{
    if (p->level >= 0) {
        put_count(f, LABELS("policy", p->name), (uint64_t)p->level);
    }
}

/* ---- policies and scopes ---- */

static void
write_calls(const struct family *f, const struct count *c)
{
    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        const struct counter_row *row = &counter_rows[k];

        if (row->flags & COUNTER_IS_VERDICT) {
            put_count(f, LABELS(OF_CELL(c), "verdict", row->name),
                      counter_of(&c->cell.stats, row));
        }
    }
}

static void
write_failures(const struct family *f, const struct count *c)
{
    for (size_t k = 0; k < c->cell.outcome_count; k++) {
        const struct cell_outcome *o = &c->cell.outcomes[k];

        put_count(f, LABELS(OF_CELL(c), "outcome", o->name), o->count);
    }
}

/* Writes a histogram; `result`: the value of this label, NULL: without it. */
static void
put_histogram(const struct family *f, const struct count *c, const char *result,
              const struct exposition_histogram *h)
{
    for (size_t i = 0; i <= EXPOSITION_BOUNDS; i++) {
        bool last = i == EXPOSITION_BOUNDS;
        struct brief bound =
            exposition_bound(last ? INFINITY : exposition_bounds[i]);

        begin_sample(
            f, "_bucket",
            result ? LABELS(OF_CELL(c), "result", result, "le", bound.text)
                   : LABELS(OF_CELL(c), "le", bound.text));
        fprintf(f->out, "%llu\n",
                (unsigned long long)(last ? h->count : h->at_most[i]));
    }
    put_number(f, "_sum", LABELS(OF_CELL(c), result ? "result" : NULL, result),
               h->sum);
    begin_sample(f, "_count",
                 LABELS(OF_CELL(c), result ? "result" : NULL, result));
    fprintf(f->out, "%llu\n", (unsigned long long)h->count);
}

static void
write_durations(const struct family *f, const struct count *c)
{
    put_histogram(f, c, "succeeded", &c->series->succeeded);
    put_histogram(f, c, "failed", &c->series->failed);
}

static void
write_call_durations(const struct family *f, const struct count *c)
{
    put_histogram(f, c, NULL, &c->series->calls);
}

/* Attempts of calls that have not ended are part of the sum already. */
static void
write_call_attempts(const struct family *f, const struct count *c)
{
    static const double bounds[] = {1, 2, 3, 4, 8, 16, 32, 64, INFINITY};
    const struct bide_stats *s = &c->cell.stats;
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        count += s->calls_by_attempts[i];
        begin_sample(
            f, "_bucket",
            LABELS(OF_CELL(c), "le", exposition_bound(bounds[i]).text));
        fprintf(f->out, "%llu\n", (unsigned long long)count);
    }
    put_number(f, "_sum", LABELS(OF_CELL(c)), (double)s->attempts);
    put_number(f, "_count", LABELS(OF_CELL(c)), (double)count);
}

static void
write_sleeping(const struct family *f, const struct count *c)
{
    put_count(f, LABELS(OF_CELL(c)), c->sleeping);
}

/* ---- breakers and budgets ---- */

/* Writes a state set: one of the three states is 1.  A forced breaker is open
 * or closed. */
static void
write_breaker_state(const struct family *f, const struct count *c)
{
    static const char *const words[] = {
        [STATE_CLOSED] = "closed",
        [STATE_OPEN] = "open",
        [STATE_HALF_OPEN] = "half_open",
    };

    int state = c->guard.mode == BREAKER_OPEN ? STATE_OPEN : c->guard.state;

    for (int k = 0; c->guard.mode != BREAKER_OFF && k < 3; k++) {
        put_count(f, LABELS(OF_CELL(c), "state", words[k]), k == state);
    }
}

static void
write_breaker_opened(const struct family *f, const struct count *c)
{
    if (c->guard.mode != BREAKER_OFF) {
        put_count(f, LABELS(OF_CELL(c)), c->guard.opened);
    }
}

/* ---- the start of attempts ---- */

static void
write_starts_refused(const struct family *f, const struct count *c)
{
    const struct admin_guard *g = &c->guard;

    if (g->has_limits) {
        put_count(f, LABELS(OF_CELL(c), "reason", "limit"), g->by_limit);
        put_count(f, LABELS(OF_CELL(c), "reason", "rate"), g->by_rate);
        put_count(f, LABELS(OF_CELL(c), "reason", "hint"), g->by_hint);
    }
}

static void
write_starts_waited(const struct family *f, const struct count *c)
{
    if (c->guard.has_limits) {
        put_count(f, LABELS(OF_CELL(c)), c->guard.asked);
    }
}

static void
write_hedges(const struct family *f, const struct count *c)
{
    const struct admin_guard *g = &c->guard;

    if (g->has_limits) {
        put_count(f, LABELS(OF_CELL(c), "won", "yes"), g->hedges_won);
        put_count(f, LABELS(OF_CELL(c), "won", "no"),
                  g->hedges > g->hedges_won ? g->hedges - g->hedges_won : 0);
    }
}

static void
put_budget(const struct family *f, const char *const *labels,
           const struct admin_guard *g)
{
    if (f->offset == offsetof(struct admin_guard, budget_level)) {
        put_number(f, "", labels, g->budget_level);
    } else {
        put_count(f, labels, g->budget_refused);
    }
}

static void
write_budgets(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cells.count; i++) {
        const struct count *c = &m->cells.list[i];

        if (c->policy && strcmp(c->policy->budget.group, "own") == 0) {
            put_budget(f, LABELS(OF_CELL(c), "group", ""), &c->guard);
        }
    }
    for (size_t i = 0; i < m->group_count; i++) {
        const struct metrics_group *g = &m->groups[i];

        put_budget(f, LABELS("policy", "", "scope", "", "group", g->name),
                   &g->guard);
    }
}

/* ---- deferred work ---- */

static void
write_deferred_work(const struct family *f, const struct deferred_counts *c)
{
    const struct {
        const char *state;
        uint64_t count;
    } rows[] = {
        {"waiting", c->waiting}, {"leased", c->leased}, {"dead", c->dead}};

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        put_count(f, LABELS("policy", c->policy, "state", rows[k].state),
                  rows[k].count);
    }
}

static void
write_deferred_oldest(const struct family *f, const struct deferred_counts *c)
{
    if (c->oldest_ns > 0) {
        put_timestamp(f, LABELS("policy", c->policy), c->oldest_ns);
    }
}

/* ---- the table ---- */

/* Writes a family for each counter that has a metric of its own. */
static void
write_counters(FILE *out, const struct metrics *m)
{
    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        const struct counter_row *row = &counter_rows[k];
        struct family f = {out, row->metric, 0};

        if (!row->metric) {
            continue;
        }
        fprintf(out, "# HELP %s %c%s.\n# TYPE %s counter\n", f.name,
                toupper((unsigned char)row->help[0]), row->help + 1, f.name);
        for (size_t i = 0; i < m->cells.count; i++) {
            const struct count *c = &m->cells.list[i];
            uint64_t count = counter_of(&c->cell.stats, row);

            if (row->unit == COUNTER_OF_SLEPT) {
                put_number(&f, "", LABELS(OF_CELL(c)), (double)count / 1e9);
            } else {
                put_count(&f, LABELS(OF_CELL(c)), count);
            }
        }
    }
}

static void
write_work(const struct family *f, const struct deferred_counts *c)
{
    uint64_t count;

    memcpy(&count, (const char *)c + f->offset, sizeof(count));
    put_count(f, LABELS("policy", c->policy), count);
}

#define WORK(field) \
    .work = write_work, .offset = offsetof(struct deferred_counts, field)
#define BUDGET(field) \
    .write = write_budgets, .offset = offsetof(struct admin_guard, field)
#define FLAG(field) \
    .write = write_flag, .offset = offsetof(struct metrics, field)
#define TIME(field) \
    .write = write_time, .offset = offsetof(struct metrics, field)

static const struct {
    const char *name, *type, *help;
    bool always; /* written even if the registry cannot be read */
    size_t offset;
    /* Exactly one is set.  The last three are called for each element. */
    void (*write)(const struct family *f, const struct metrics *m);
    void (*policy)(const struct family *f, const struct metrics_policy *p);
    void (*cell)(const struct family *f, const struct count *c);
    void (*work)(const struct family *f, const struct deferred_counts *c);
} families[] = {
    {"bide_up", "gauge", "1 when the registry can be read.", .write = write_up,
     .always = true},
    {"bide_build_info", "gauge", "The version of bide.", .write = write_version,
     .always = true},
    {"bide_live_up", "gauge",
     "1 when the live state can be read; 0 also before the first call.",
     FLAG(live)},
    {"bide_counts_up", "gauge",
     "0 when services cannot count calls in the live state: bide doctor.",
     FLAG(counts)},
    {"bide_history_up", "gauge",
     "1 when the history can be read or does not exist yet.", FLAG(history)},
    {"bide_history_recorded_timestamp_seconds", "gauge",
     "When bide record last recorded.", TIME(past.last_ns)},
    {"bide_recorder_up", "gauge",
     "Whether the recorder goes on; missing where nobody started one.",
     .write = write_recorder},
    {"bide_registry_trouble_timestamp_seconds", "gauge",
     "When a service last failed to read the registry.", TIME(trouble_ns)},
    {"bide_fleet_info", "gauge",
     "The fleet's release on this host, and the percent of the stage that "
     "brought it.",
     .write = write_fleet},
    {"bide_policy_version", "gauge",
     "The version in force; 0: used by services but not defined.",
     .policy = write_policy_version},
    {"bide_policy_info", "gauge",
     "Importance, breaker and budget of the policy.",
     .policy = write_policy_info},
    {"bide_policy_paused", "gauge", "1 while new calls are refused.",
     .policy = write_policy_paused},
    {"bide_policy_warning_level", "gauge",
     "Level by the warn_ and crit_ keys: 0 ok, 1 warning, 2 critical.",
     .policy = write_policy_level},
    {"bide_calls_total", "counter", "Calls that ended, by verdict.",
     .cell = write_calls},
    {"bide_attempt_failures_total", "counter",
     "Attempts that failed, by outcome.", .cell = write_failures},
    {"bide_attempt_duration_seconds", "histogram",
     "How long attempts took, within 3 %.", .cell = write_durations},
    {"bide_call_duration_seconds", "histogram",
     "How long calls took from first attempt to verdict, waits included.",
     .cell = write_call_durations},
    {"bide_call_attempts", "histogram", "Attempts that calls made.",
     .cell = write_call_attempts},
    {"bide_sleeping_calls", "gauge", "Calls that wait for their next attempt.",
     .cell = write_sleeping},
    {"bide_breaker_state", "gauge",
     "1 for the state of the circuit breaker, else 0.",
     .cell = write_breaker_state},
    {"bide_breaker_opened_total", "counter",
     "Times that the circuit breaker opened.", .cell = write_breaker_opened},
    {"bide_attempt_starts_refused_total", "counter",
     "Attempts that limit, rate or a server's wait refused.",
     .cell = write_starts_refused},
    {"bide_attempt_starts_waited_total", "counter",
     "Attempts that waited before they could start.",
     .cell = write_starts_waited},
    {"bide_hedges_total", "counter",
     "Attempts beside another of the same call, by whether they won.",
     .cell = write_hedges},
    {"bide_budget_level_ratio", "gauge", "Level of the retry budget, 0 to 1.",
     BUDGET(budget_level)},
    {"bide_budget_refused_total", "counter", "Retries that the budget refused.",
     BUDGET(budget_refused)},
    {"bide_deferred_up", "gauge", "1 when deferred work can be read.",
     FLAG(queue)},
    {"bide_deferred_work", "gauge", "Pieces of deferred work, by state.",
     .work = write_deferred_work},
    {"bide_deferred_bytes", "gauge", "Size of deferred work.", WORK(bytes)},
    {"bide_deferred_oldest_timestamp_seconds", "gauge",
     "When the oldest piece was stored.", .work = write_deferred_oldest},
    {"bide_deferred_stored_total", "counter", "Pieces that were stored.",
     WORK(stored)},
    {"bide_deferred_done_total", "counter", "Pieces that were done.",
     WORK(done)},
    {"bide_deferred_dropped_total", "counter",
     "Pieces that an operator dropped.", WORK(dropped)},
    {"bide_deferred_died_total", "counter",
     "Times that a piece became dead: too old, tried too often, or damaged.",
     WORK(died)},
};

void
metrics_write(const struct metrics *m, FILE *out)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        struct family f = {out, families[i].name, families[i].offset};

        if (!m && !families[i].always) {
            continue;
        }
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f.name, families[i].help,
                f.name, families[i].type);
        if (families[i].write) {
            families[i].write(&f, m);
        }
        for (size_t k = 0; families[i].policy && k < m->policy_count; k++) {
            families[i].policy(&f, &m->policies[k]);
        }
        for (size_t k = 0; families[i].cell && k < m->cells.count; k++) {
            families[i].cell(&f, &m->cells.list[k]);
        }
        for (size_t k = 0; families[i].work && k < m->deferred_count; k++) {
            families[i].work(&f, &m->deferred[k]);
        }
        if (families[i].cell == write_calls) {
            write_counters(out, m);
        }
    }
}
