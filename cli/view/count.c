#include "count.h"

#include <stdlib.h>
#include <string.h>

#include "admin/live.h"
#include "base/array.h"
#include "live/counter.h"
#include "live/counters.h"

uint64_t
count_calls(const struct bide_stats *s)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        calls += counter_rows[i].flags & COUNTER_IS_VERDICT
                     ? counter_of(s, &counter_rows[i])
                     : 0;
    }
    return calls;
}

uint64_t
count_firsts(const struct bide_stats *s)
{
    return s->attempts > s->retries ? s->attempts - s->retries : 0;
}

static int
add_cell(void *arg, const struct admin_cell *cell)
{
    struct counts *c = arg;
    struct count *one = array_add(&c->list, &c->count, sizeof(*one));
    struct cell_declared *copy = NULL;

    if (!one) {
        return BIDE_ENOMEM;
    }
    c->added_up += cell->added_up;
    one->cell = *cell;
    if (cell->declared) {
        copy = malloc(sizeof(*copy));
        if (copy) {
            *copy = *cell->declared;
        }
    }
    one->cell.declared = copy;
    return cell->declared && !copy ? BIDE_ENOMEM : 0;
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

static int
compare_counts(const void *a, const void *b)
{
    const struct count *x = a, *y = b;
    int order = strcmp(x->cell.name, y->cell.name);

    return order ? order : strcmp(x->cell.scope, y->cell.scope);
}

static int
sort_counts(struct counts *c, int rc)
{
    if (c->count > 0) {
        qsort(c->list, c->count, sizeof(*c->list), compare_counts);
    }
    return rc;
}

int
counts_sleeping(struct admin *registry, struct counts *out)
{
    return sort_counts(out, admin_each_sleeper(registry, add_sleeper, out));
}

int
counts_read(struct admin *registry, struct counts *out)
{
    int rc = admin_each_cell(registry, NULL, add_cell, out);

    return rc ? sort_counts(out, rc) : counts_sleeping(registry, out);
}

void
counts_free(struct counts *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free((void *)(uintptr_t)c->list[i].cell.declared);
    }
    free(c->list);
    memset(c, 0, sizeof(*c));
}

/* ---- totals ---- */

static void
add_latency(struct bide_latency *to, const struct bide_latency *from)
{
    to->count += from->count;
    to->p50_ms = from->p50_ms > to->p50_ms ? from->p50_ms : to->p50_ms;
    to->p95_ms = from->p95_ms > to->p95_ms ? from->p95_ms : to->p95_ms;
    to->p99_ms = from->p99_ms > to->p99_ms ? from->p99_ms : to->p99_ms;
    to->max_ms = from->max_ms > to->max_ms ? from->max_ms : to->max_ms;
}

static void
add_stats(struct bide_stats *to, const struct bide_stats *from)
{
    to->version = from->version > to->version ? from->version : to->version;
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        size_t offset = counter_rows[i].offset;

        *(uint64_t *)(void *)((char *)to + offset) +=
            counter_of(from, &counter_rows[i]);
    }
    add_latency(&to->latency_succeeded, &from->latency_succeeded);
    add_latency(&to->latency_failed, &from->latency_failed);
}

static void
add_count(struct count *total, const struct count *part)
{
    struct admin_cell *to = &total->cell;
    const struct admin_cell *from = &part->cell;

    if (from->declared &&
        (!to->declared || from->declared->when_ns > to->declared->when_ns)) {
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
    add_stats(&to->stats, &from->stats);
}

bool
counts_find(const struct counts *c, const char *name, struct count *out)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(c->list[middle].cell.name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == c->count || strcmp(c->list[low].cell.name, name) != 0) {
        return false;
    }
    *out = c->list[low];
    out->parts = &c->list[low];
    for (high = low + 1;
         high < c->count && strcmp(c->list[high].cell.name, name) == 0;
         high++) {
        add_count(out, &c->list[high]);
    }
    out->part_count = high - low;
    return true;
}
