#include "count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
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

static struct count *
append_count(struct counts *c, const char *name)
{
    struct count *one = array_add(&c->list, &c->count, sizeof(*one));

    if (one) {
        snprintf(one->name, sizeof(one->name), "%s", name);
    }
    return one;
}

static int
add_scope(struct counts *c, const struct admin_cell *cell)
{
    struct scope *one = array_add(&c->scopes, &c->scope_count, sizeof(*one));

    if (!one) {
        return BIDE_ENOMEM;
    }
    memcpy(one->name, cell->name, sizeof(one->name));
    memcpy(one->scope, cell->scope, sizeof(one->scope));
    return 0;
}

static int
add_cell(void *arg, const struct admin_cell *cell)
{
    struct count *one = append_count(arg, cell->name);

    if (!one || (!cell->only_scopes && add_scope(arg, cell))) {
        return BIDE_ENOMEM;
    }
    ((struct counts *)arg)->added_up += cell->added_up;
    one->scopes = cell->scopes;
    one->scopes_refused = cell->scopes_refused;
    one->missing = cell->missing;
    one->asked_by = cell->asked_by;
    one->stats = cell->stats;
    if (cell->declared) {
        one->declared = malloc(sizeof(*one->declared));
        if (!one->declared) {
            return BIDE_ENOMEM;
        }
        *one->declared = *cell->declared;
    }
    return 0;
}

static int
add_sleeper(void *arg, const struct admin_sleeper *s)
{
    struct count *one = append_count(arg, s->name);

    if (!one) {
        return BIDE_ENOMEM;
    }
    one->sleeping = 1;
    return 0;
}

static int
compare_counts(const void *a, const void *b)
{
    const struct count *x = a, *y = b;

    return strcmp(x->name, y->name);
}

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
merge_count(struct count *to, const struct count *from)
{
    bool newer = from->declared && (!to->declared || from->declared->when_ns >
                                                         to->declared->when_ns);

    free(newer ? to->declared : from->declared);
    to->declared = newer ? from->declared : to->declared;
    to->missing = to->missing || from->missing;
    if (from->asked_by.pid) {
        to->asked_by = from->asked_by;
    }
    to->sleeping += from->sleeping;
    /* Only the cell without a scope has these two. */
    to->scopes = from->scopes > to->scopes ? from->scopes : to->scopes;
    to->scopes_refused += from->scopes_refused;
    add_stats(&to->stats, &from->stats);
}

static void
merge_names(struct counts *c)
{
    size_t kept = 0;

    if (c->count == 0) {
        return;
    }
    qsort(c->list, c->count, sizeof(*c->list), compare_counts);
    for (size_t i = 1; i < c->count; i++) {
        if (strcmp(c->list[kept].name, c->list[i].name) == 0) {
            merge_count(&c->list[kept], &c->list[i]);
        } else {
            c->list[++kept] = c->list[i];
        }
    }
    c->count = kept + 1;
}

int
counts_sleeping(struct admin *registry, struct counts *out)
{
    int rc = admin_each_sleeper(registry, add_sleeper, out);

    merge_names(out);
    return rc;
}

static int
compare_scopes(const void *a, const void *b)
{
    const struct scope *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->scope, y->scope);
}

int
counts_read(struct admin *registry, struct counts *out)
{
    int rc = admin_each_cell(registry, NULL, add_cell, out);

    if (rc == 0) {
        rc = admin_each_sleeper(registry, add_sleeper, out);
    }
    merge_names(out);
    if (out->scope_count > 0) {
        qsort(out->scopes, out->scope_count, sizeof(*out->scopes),
              compare_scopes);
    }
    return rc;
}

const struct scope *
counts_scopes(const struct counts *c, const char *name, size_t *out_count)
{
    size_t low = 0, high = c->scope_count, end;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(c->scopes[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (end = low;
         end < c->scope_count && strcmp(c->scopes[end].name, name) == 0;) {
        end++;
    }
    *out_count = end - low;
    return end > low ? &c->scopes[low] : NULL;
}

void
counts_free(struct counts *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->list[i].declared);
    }
    free(c->scopes);
    free(c->list);
    memset(c, 0, sizeof(*c));
}

const struct count *
counts_find(const struct counts *c, const char *name)
{
    struct count wanted;

    memset(&wanted, 0, sizeof(wanted));
    strncpy(wanted.name, name, BIDE_NAME_MAX);
    return c->count ? bsearch(&wanted, c->list, c->count, sizeof(wanted),
                              compare_counts)
                    : NULL;
}

uint32_t
counts_told(const struct counts *before, const struct admin_results *results)
{
    uint32_t waited = 0;

    for (size_t i = 0; i < results->count && before->count > 0; i++) {
        const struct admin_result *r = &results->list[i];
        const struct count *c = counts_find(before, r->name);

        if (c && r->did != ADMIN_UNCHANGED) {
            waited += c->sleeping;
        }
    }
    return waited > results->woken ? waited : results->woken;
}
