#include "count.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "live/counter.h"
#include "live/counters.h"
#include "policy/policy.h"
#include "guard.h"

uint64_t
count_firsts(const struct bide_stats *s)
{
    return s->attempts > s->retries ? s->attempts - s->retries : 0;
}

void
count_outcome(struct cell_outcome *list, size_t *count,
              const struct cell_outcome *o)
{
    size_t at = 0;

    while (at < *count && strcmp(list[at].name, o->name) != 0) {
        at++;
    }
    strcpy(list[at].name, o->name);
    list[at].count += o->count;
    *count += at == *count;
}

/* Copies outcomes.  A damaged live file may have a name twice. */
static int
copy_outcomes(const struct cell_outcome *from, size_t count,
              const struct cell_outcome **out, size_t *out_count)
{
    struct cell_outcome *list = calloc(count + 1, sizeof(*list));

    *out = list;
    for (size_t i = *out_count = 0; list && i < count; i++) {
        count_outcome(list, out_count, &from[i]);
    }
    return list ? 0 : BIDE_ENOMEM;
}

/* Copies what a cell points to, as far as it is kept. */
static int
copy_pointed(const struct counts *c, const struct admin_cell *from,
             struct admin_cell *to)
{
    struct cell_declared *copy = NULL;
    int rc = 0;

    to->outcomes = to->now_outcomes = NULL;
    to->outcome_count = to->now_outcome_count = 0;
    if (from->declared) {
        copy = malloc(sizeof(*copy));
        if (copy) {
            *copy = *from->declared;
        }
        rc = copy ? 0 : BIDE_ENOMEM;
    }
    to->declared = copy;
    if (c->kept & (COUNTS_OUTCOMES | COUNTS_SERIES) && !rc) {
        rc = copy_outcomes(from->outcomes, from->outcome_count, &to->outcomes,
                           &to->outcome_count);
    }
    if (from->now_outcome_count > 0 && !rc) {
        rc = copy_outcomes(from->now_outcomes, from->now_outcome_count,
                           &to->now_outcomes, &to->now_outcome_count);
    }
    return rc;
}

static struct exposition_series *
convert_series(const struct admin_cell *cell)
{
    struct exposition_series *s = calloc(1, sizeof(*s));
    uint64_t calls[HISTOGRAM_BUCKETS];

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        calls[i] = call_count(cell->succeeded, cell->calls, i);
    }
    if (s) {
        exposition_convert(cell->succeeded, &s->succeeded);
        exposition_convert(cell->failed, &s->failed);
        exposition_convert(calls, &s->calls);
    }
    return s;
}

/* Reports whether a sum is of one cell without a scope, which was visited just
 * before it: of many policies, most are like that. */
static bool
is_same(const struct counts *c, const struct admin_cell *sum)
{
    const struct admin_cell *last =
        c->count > 0 ? &c->list[c->count - 1].cell : NULL;

    return last && !*last->scope && strcmp(last->name, sum->name) == 0 &&
           counts_first(c, c->count - 1);
}

static int
add_cell(void *arg, const struct admin_cell *cell)
{
    struct counts *c = arg;
    struct count *one;
    int rc;

    if ((cell->only_scopes && c->kept & COUNTS_SERIES) ||
        (cell->is_sum && c->kept == COUNTS_NOW && is_same(c, cell))) {
        return 0;
    }
    rc = c->also && !cell->is_sum ? c->also(c->also_arg, cell) : 0;
    if (rc) {
        return rc;
    }
    one = cell->is_sum ? array_add(&c->sums, &c->sum_count, sizeof(*one))
                       : array_add(&c->list, &c->count, sizeof(*one));
    if (!one) {
        return BIDE_ENOMEM;
    }
    c->added_up += cell->is_sum ? 0 : cell->added_up;
    one->cell = *cell;
    one->series = c->kept & COUNTS_SERIES ? convert_series(cell) : NULL;
    rc = copy_pointed(c, cell, &one->cell);
    return c->kept & COUNTS_SERIES && !one->series ? BIDE_ENOMEM : rc;
}

static int
add_sleeper(void *arg, const struct admin_sleeper *s)
{
    struct counts *c = arg;
    struct count *one = array_add(&c->list, &c->count, sizeof(*one));

    if (!one) {
        return BIDE_ENOMEM;
    }
    strcpy(one->cell.name, s->name);
    one->cell.only_scopes = true;
    one->sleeping = 1;
    return 0;
}

/* Waiting calls follow their cell. */
static int
compare_counts(const void *a, const void *b)
{
    const struct count *x = a, *y = b;
    int order = strcmp(x->cell.name, y->cell.name);

    order = order ? order : strcmp(x->cell.scope, y->cell.scope);
    return order ? order : (int)x->sleeping - (int)y->sleeping;
}

void
count_free(struct count *one)
{
    free((void *)(uintptr_t)one->cell.declared);
    free((void *)(uintptr_t)one->cell.outcomes);
    free((void *)(uintptr_t)one->cell.now_outcomes);
    free(one->series);
}

/* Sorts the counts.  COUNTS_SERIES drops duplicates: a damaged live file may
 * have a name twice, and Prometheus rejects a scrape that has a series twice.
 */
static int
sort_counts(struct counts *c, int rc)
{
    size_t count = c->count;

    if (count > 0) {
        qsort(c->list, count, sizeof(*c->list), compare_counts);
    }
    for (size_t i = c->count = 0; i < count; i++) {
        if (c->kept & COUNTS_SERIES && c->count > 0 &&
            compare_counts(&c->list[c->count - 1], &c->list[i]) == 0) {
            count_free(&c->list[i]);
        } else {
            c->list[c->count++] = c->list[i];
        }
    }
    return rc;
}

int
counts_sleeping(struct admin *registry, struct counts *out)
{
    size_t before = out->count;
    int rc = admin_each_sleeper(registry, add_sleeper, out);

    return out->count > before ? sort_counts(out, rc) : rc;
}

int
counts_read(struct admin *registry, const char *name, unsigned kept,
            struct counts *out)
{
    out->kept = kept;
    return sort_counts(out, admin_each_cell(registry, name,
                                            (kept & COUNTS_NOW) == COUNTS_NOW
                                                ? ADMIN_NOW
                                            : kept & COUNTS_SUMS ? ADMIN_SUMS
                                                                 : ADMIN_TOTALS,
                                            add_cell, out));
}

bool
counts_first(const struct counts *c, size_t i)
{
    return i == 0 ||
           strcmp(c->list[i - 1].cell.name, c->list[i].cell.name) != 0;
}

void
counts_free(struct counts *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (counts_first(c, i)) {
            policy_free(c->list[i].policy);
        }
        count_free(&c->list[i]);
    }
    for (size_t i = 0; i < c->sum_count; i++) {
        count_free(&c->sums[i]);
    }
    free(c->sums);
    free(c->list);
    memset(c, 0, sizeof(*c));
}

struct count *
counts_at(const struct counts *c, const char *name, const char *scope)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(c->list[middle].cell.name, name);

        order = order ? order : strcmp(c->list[middle].cell.scope, scope);
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return c->list ? c->list + low : NULL;
}

void
counts_follow(struct counts *c, struct admin *registry, struct policy *p)
{
    struct count *first = counts_at(c, p->name, ""), *one = first;

    for (; one < counts_end(c) && strcmp(one->cell.name, p->name) == 0; one++) {
        one->policy = p;
        if (guard_has_any(p)) {
            admin_guard(registry, p, p->name, one->cell.scope, &one->guard);
        }
    }
    if (one == first) {
        policy_free(p);
    }
}

/* ---- totals ---- */

static void
add_count(struct count *total, const struct count *part)
{
    struct admin_cell *to = &total->cell;
    const struct admin_cell *from = &part->cell;

    if (from->declared &&
        (!to->declared || from->declared->rank > to->declared->rank)) {
        to->declared = from->declared;
    }
    to->missing = to->missing || from->missing;
    if (from->asked_by.pid) {
        to->asked_by = from->asked_by;
    }
    total->sleeping += part->sleeping;
    /* Only the cell without a scope has these two. */
    to->scopes = from->scopes > to->scopes ? from->scopes : to->scopes;
    to->scopes_refused += from->scopes_refused;
}

static int
compare_to_name(const void *name, const void *one)
{
    const struct count *c = one;

    return strcmp(name, c->cell.name);
}

const struct count *
counts_sum(const struct counts *c, const char *name)
{
    return c->sum_count ? bsearch(name, c->sums, c->sum_count, sizeof(*c->sums),
                                  compare_to_name)
                        : NULL;
}

/* Copies the figures of the sum, if there is one, to a total. */
static void
copy_sum(const struct counts *c, struct count *total)
{
    const struct count *sum = counts_sum(c, total->cell.name);
    struct admin_cell *to = &total->cell;

    if (sum) {
        to->stats = sum->cell.stats;
        to->now = sum->cell.now;
        to->now_ns = sum->cell.now_ns;
        to->now_outcomes = sum->cell.now_outcomes;
        to->now_outcome_count = sum->cell.now_outcome_count;
    }
}

bool
counts_find(const struct counts *c, const char *name, struct count *out)
{
    const struct count *end = counts_end(c);
    struct count *first = counts_at(c, name, ""), *part = first;

    if (first == end || strcmp(first->cell.name, name) != 0) {
        return false;
    }
    *out = *first;
    out->parts = first;
    while (++part < end && strcmp(part->cell.name, name) == 0) {
        add_count(out, part);
    }
    out->part_count = (size_t)(part - first);
    out->worst_scope = "";
    copy_sum(c, out);
    return true;
}
