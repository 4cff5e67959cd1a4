/* The families of bide metrics: rows of one table, each written by a walk over
 * what was read. */

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include <bide.h>
#include "admin/live.h"
#include "cli/view/guard.h"
#include "live/counters.h"
#include "policy/rules.h"
#include "rule/breaker.h"
#include "store/queue/queue.h"
#include "metrics.h"

/* One that is being written. */
struct family {
    FILE *out;
    const char *name;
};

/* ---- one sample ---- */

/* Labels come in pairs, up to a NULL. */
static void
begin(const struct family *f, const char *suffix, const char *const *labels)
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
#define OF_CELL(c) "policy", (c)->name, "scope", (c)->scope
#define NO_LABELS ((const char *const[]){NULL})

static void
put_count(const struct family *f, const char *const *labels, uint64_t count)
{
    begin(f, "", labels);
    fprintf(f->out, "%llu\n", (unsigned long long)count);
}

static void
put_number(const struct family *f, const char *suffix,
           const char *const *labels, double number)
{
    char text[32];

    begin(f, suffix, labels);
    fprintf(f->out, "%s\n", exposition_number(number, text, sizeof(text)));
}

static void
put_time(const struct family *f, const char *const *labels, uint64_t ns)
{
    put_number(f, "", labels, (double)(ns / 1000000) / 1000);
}

/* ---- of the whole ---- */

static void
up(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, m != NULL);
}

static void
version(const struct family *f, const struct metrics *m)
{
    (void)m;
    put_count(f, LABELS("version", BIDE_VERSION), 1);
}

static void
live_up(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, m->live);
}

static void
history_up(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, m->history);
}

static void
queue_up(const struct family *f, const struct metrics *m)
{
    put_count(f, NO_LABELS, m->queue);
}

static void
recorded(const struct family *f, const struct metrics *m)
{
    if (m->history && m->past.recorded_ns > 0) {
        put_time(f, NO_LABELS, m->past.recorded_ns);
    }
}

static void
trouble(const struct family *f, const struct metrics *m)
{
    if (m->trouble_ns > 0) {
        put_time(f, NO_LABELS, m->trouble_ns);
    }
}

/* ---- of policies ---- */

static void
policy_version(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->policy_count; i++) {
        put_count(f, LABELS("policy", m->policies[i].name),
                  m->policies[i].version);
    }
}

static void
policy_info(const struct family *f, const struct metrics *m)
{
    static const char *const words[] = {
        [MANDATORY] = "mandatory",
        [POSTPONABLE] = "postponable",
        [OPTIONAL] = "optional",
    };

    for (size_t i = 0; i < m->policy_count; i++) {
        const struct metrics_policy *p = &m->policies[i];

        if (p->valid) {
            put_count(f,
                      LABELS("policy", p->name, "importance",
                             words[p->importance], "breaker",
                             guard_mode(p->breaker_mode), "budget", p->group),
                      1);
        }
    }
}

static void
policy_paused(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->policy_count; i++) {
        if (m->policies[i].valid) {
            put_count(f, LABELS("policy", m->policies[i].name),
                      m->policies[i].paused);
        }
    }
}

static void
policy_level(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->policy_count; i++) {
        if (m->policies[i].level >= 0) {
            put_count(f, LABELS("policy", m->policies[i].name),
                      (uint64_t)m->policies[i].level);
        }
    }
}

/* ---- of policies and scopes ---- */

static void
calls(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];

        for (size_t k = 0; k < COUNTER_ROWS; k++) {
            const struct counter_row *row = &counter_rows[k];

            if (row->flags & COUNTER_IS_VERDICT) {
                put_count(f, LABELS(OF_CELL(c), "verdict", row->name),
                          counter_of(&c->stats, row));
            }
        }
    }
}

static void
failures(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];

        for (size_t k = 0; k < c->outcome_count; k++) {
            put_count(f, LABELS(OF_CELL(c), "outcome", c->outcomes[k].name),
                      c->outcomes[k].count);
        }
    }
}

static void
put_histogram(const struct family *f, const struct metrics_cell *c,
              const char *result, const struct exposition_histogram *h)
{
    for (size_t i = 0; i <= EXPOSITION_BOUNDS; i++) {
        bool last = i == EXPOSITION_BOUNDS;
        char bound[32] = "+Inf";

        if (!last) {
            exposition_bound(exposition_bounds[i], bound, sizeof(bound));
        }
        begin(f, "_bucket", LABELS(OF_CELL(c), "result", result, "le", bound));
        fprintf(f->out, "%llu\n",
                (unsigned long long)(last ? h->count : h->at_most[i]));
    }
    put_number(f, "_sum", LABELS(OF_CELL(c), "result", result), h->sum);
    begin(f, "_count", LABELS(OF_CELL(c), "result", result));
    fprintf(f->out, "%llu\n", (unsigned long long)h->count);
}

static void
durations(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];

        put_histogram(f, c, "succeeded", &c->succeeded);
        put_histogram(f, c, "failed", &c->failed);
    }
}

static void
sleeping(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        put_count(f, LABELS(OF_CELL(&m->cells[i])), m->cells[i].sleeping);
    }
}

/* ---- breakers and budgets ---- */

static bool
has_breaker(const struct metrics_cell *c)
{
    return c->guarded && c->guard.mode != BREAKER_OFF;
}

/* A state set: of the three one is 1.  Forced ones are open or closed. */
static void
breaker_state(const struct family *f, const struct metrics *m)
{
    static const char *const words[] = {
        [STATE_CLOSED] = "closed",
        [STATE_OPEN] = "open",
        [STATE_HALF_OPEN] = "half_open",
    };

    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];
        int state = c->guard.mode == BREAKER_OPEN ? STATE_OPEN : c->guard.state;

        for (int k = 0; has_breaker(c) && k < 3; k++) {
            put_count(f, LABELS(OF_CELL(c), "state", words[k]), k == state);
        }
    }
}

static void
breaker_opened(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        if (has_breaker(&m->cells[i])) {
            put_count(f, LABELS(OF_CELL(&m->cells[i])),
                      m->cells[i].guard.opened);
        }
    }
}

static void
budget_level(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];

        if (c->own_budget) {
            put_number(f, "", LABELS(OF_CELL(c), "group", ""),
                       c->guard.budget_level);
        }
    }
    for (size_t i = 0; i < m->group_count; i++) {
        put_number(
            f, "",
            LABELS("policy", "", "scope", "", "group", m->groups[i].name),
            m->groups[i].guard.budget_level);
    }
}

static void
budget_refused(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->cell_count; i++) {
        const struct metrics_cell *c = &m->cells[i];

        if (c->own_budget) {
            put_count(f, LABELS(OF_CELL(c), "group", ""),
                      c->guard.budget_refused);
        }
    }
    for (size_t i = 0; i < m->group_count; i++) {
        put_count(f,
                  LABELS("policy", "", "scope", "", "group", m->groups[i].name),
                  m->groups[i].guard.budget_refused);
    }
}

/* ---- postponed work ---- */

static void
deferred_work(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->deferred_count; i++) {
        const struct deferred_counts *c = &m->deferred[i];
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
}

static void
deferred_oldest(const struct family *f, const struct metrics *m)
{
    for (size_t i = 0; i < m->deferred_count; i++) {
        const struct deferred_counts *c = &m->deferred[i];

        if (c->oldest_ns > 0) {
            put_time(f, LABELS("policy", c->policy), c->oldest_ns);
        }
    }
}

/* ---- the table ---- */

/* Writes a family for each counter that has a metric of its own. */
static void
write_counters(FILE *out, const struct metrics *m)
{
    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        const struct counter_row *row = &counter_rows[k];
        struct family f = {out, row->metric};

        if (!row->metric) {
            continue;
        }
        fprintf(out, "# HELP %s %c%s.\n# TYPE %s counter\n", f.name,
                toupper((unsigned char)row->help[0]), row->help + 1, f.name);
        for (size_t i = 0; i < m->cell_count; i++) {
            uint64_t count = counter_of(&m->cells[i].stats, row);

            if (row->unit == COUNTER_OF_SLEPT) {
                put_number(&f, "", LABELS(OF_CELL(&m->cells[i])),
                           (double)count / 1e9);
            } else {
                put_count(&f, LABELS(OF_CELL(&m->cells[i])), count);
            }
        }
    }
}

static void
put_work(const struct family *f, const struct metrics *m, size_t offset)
{
    for (size_t i = 0; i < m->deferred_count; i++) {
        uint64_t count;

        memcpy(&count, (const char *)&m->deferred[i] + offset, sizeof(count));
        put_count(f, LABELS("policy", m->deferred[i].policy), count);
    }
}

#define ALWAYS(write) write, NULL, 0, true
#define EACH(write) write, NULL, 0, false
#define WORK(field) \
    NULL, put_work, offsetof(struct deferred_counts, field), false

static const struct {
    const char *name, *type, *help;
    /* One of the two. */
    void (*write)(const struct family *f, const struct metrics *m);
    void (*put)(const struct family *f, const struct metrics *m, size_t offset);
    size_t offset;
    bool always; /* also when nothing could be read */
} families[] = {
    {"bide_up", "gauge", "1 when the registry can be read.", ALWAYS(up)},
    {"bide_build_info", "gauge", "The version of bide.", ALWAYS(version)},
    {"bide_live_up", "gauge",
     "1 when the live state can be read; 0 also before the first call.",
     EACH(live_up)},
    {"bide_history_up", "gauge",
     "1 when what was recorded can be read, or nothing was yet.",
     EACH(history_up)},
    {"bide_history_recorded_timestamp_seconds", "gauge",
     "When bide record recorded last.", EACH(recorded)},
    {"bide_registry_trouble_timestamp_seconds", "gauge",
     "When a service last failed to read the registry.", EACH(trouble)},
    {"bide_policy_version", "gauge",
     "The version in force; 0: services ask for it, nobody defined it.",
     EACH(policy_version)},
    {"bide_policy_info", "gauge", "What kind of policy it is.",
     EACH(policy_info)},
    {"bide_policy_paused", "gauge", "1 while new calls are refused.",
     EACH(policy_paused)},
    {"bide_policy_warning_level", "gauge",
     "By its warn_ and crit_ keys: 0 ok, 1 warning, 2 critical.",
     EACH(policy_level)},
    {"bide_calls_total", "counter", "Calls that ended, by verdict.",
     EACH(calls)},
    {"bide_attempt_failures_total", "counter",
     "Attempts that failed, by outcome.", EACH(failures)},
    {"bide_attempt_duration_seconds", "histogram",
     "How long attempts took, within 3 %.", EACH(durations)},
    {"bide_sleeping_calls", "gauge", "Calls asleep between two attempts.",
     EACH(sleeping)},
    {"bide_breaker_state", "gauge",
     "1 for the state that the circuit breaker is in.", EACH(breaker_state)},
    {"bide_breaker_opened_total", "counter",
     "Times that the circuit breaker opened.", EACH(breaker_opened)},
    {"bide_budget_level_ratio", "gauge", "How full the retry budget is.",
     EACH(budget_level)},
    {"bide_budget_refused_total", "counter",
     "Retries that the budget did not let out.", EACH(budget_refused)},
    {"bide_deferred_up", "gauge", "1 when postponed work can be read.",
     EACH(queue_up)},
    {"bide_deferred_work", "gauge", "Pieces of postponed work, by state.",
     EACH(deferred_work)},
    {"bide_deferred_bytes", "gauge", "Their size.", WORK(bytes)},
    {"bide_deferred_oldest_timestamp_seconds", "gauge",
     "When the one that was stored first was stored.", EACH(deferred_oldest)},
    {"bide_deferred_stored_total", "counter", "Pieces that were stored.",
     WORK(stored)},
    {"bide_deferred_done_total", "counter", "Pieces that were done.",
     WORK(done)},
    {"bide_deferred_dropped_total", "counter", "Pieces that somebody dropped.",
     WORK(dropped)},
    {"bide_deferred_died_total", "counter",
     "Times that a piece became dead: too old, tried too often, or damaged.",
     WORK(died)},
};

void
metrics_write(const struct metrics *m, FILE *out)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        struct family f = {out, families[i].name};

        if (!m && !families[i].always) {
            continue;
        }
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f.name, families[i].help,
                f.name, families[i].type);
        if (families[i].write == calls) {
            calls(&f, m);
            write_counters(out, m);
        } else if (families[i].write) {
            families[i].write(&f, m);
        } else {
            families[i].put(&f, m, families[i].offset);
        }
    }
}
