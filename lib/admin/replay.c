#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "policy/outcome.h"
#include "rule/histogram.h"
#include "store/history/history.h"
#include "inside.h"

enum { OUTCOMES = FIGURES_OUTCOMES + 1 };

/* The interval of a scope that is being added up: versions that were replaced
 * within it have records of their own. */
struct open_interval {
    bool is_open;
    uint64_t begin_ns, end_ns;
    struct figures figures;
};

struct collecting {
    struct admin *a;
    const char *scope;
    struct admin_replay *out;
    struct profile_counts counts;
    struct profile_outcome outcomes[OUTCOMES];
    int rc;
};

/* ---- one interval ---- */

static void
set_outcomes(struct collecting *c, const struct figures *f)
{
    uint64_t named = 0, failed = histogram_count(f->failed);

    c->counts.outcome = c->outcomes;
    c->counts.outcome_count = 0;
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        const char *name = past_outcome(&c->a->past, f->outcome[i].id);
        struct profile_outcome *to = &c->outcomes[c->counts.outcome_count];
        struct outcome_fault fault;

        if (strcmp(name, "other") == 0 || strcmp(name, "app.other") == 0 ||
            outcome_read(name, &to->outcome, &fault)) {
            continue;
        }
        to->count = f->outcome[i].count;
        named = named > UINT64_MAX - to->count ? UINT64_MAX : named + to->count;
        c->counts.outcome_count++;
    }
    c->out->unknown += failed > named ? failed - named : 0;
}

static int
close_interval(struct collecting *c, size_t scope)
{
    struct open_interval *o = c->out->scopes[scope].open;
    const struct figures *f = &o->figures;
    struct profile_counts *to = &c->counts;

    if (!o->is_open) {
        return 0;
    }
    o->is_open = false;
    to->begin_ns = o->begin_ns;
    to->end_ns = o->end_ns;
    to->calls = figures_calls(f);
    to->retries = f->counter[COUNTER_RETRIES];
    to->recovered = f->counter[COUNTER_RECOVERED];
    memcpy(to->succeeded, f->succeeded, sizeof(to->succeeded));
    memcpy(to->failed, f->failed, sizeof(to->failed));
    set_outcomes(c, f);
    return profile_add(&c->out->scopes[scope].profile, to);
}

/* ---- scopes ---- */

static int
add_scope(struct collecting *c, const char *scope)
{
    struct admin_replay *r = c->out;
    struct admin_replay_scope *to =
        array_add(&r->scopes, &r->scope_count, sizeof(*to));

    if (!to) {
        return BIDE_ENOMEM;
    }
    strcpy(to->scope, scope);
    to->open = calloc(1, sizeof(*to->open));
    return to->open ? 0 : BIDE_ENOMEM;
}

static size_t
find_scope(const struct collecting *c, const char *scope)
{
    size_t i = 0;

    while (i < c->out->scope_count &&
           strcmp(c->out->scopes[i].scope, scope) != 0) {
        i++;
    }
    return i;
}

static void
widen_replay(struct admin_replay *r, const struct history_interval *i)
{
    uint64_t length = i->end_ns - i->begin_ns;

    figures_add(&r->recorded, i->figures);
    r->begin_ns = i->begin_ns < r->begin_ns ? i->begin_ns : r->begin_ns;
    r->end_ns = i->end_ns > r->end_ns ? i->end_ns : r->end_ns;
    r->longest_ns = length > r->longest_ns ? length : r->longest_ns;
    if (i->version && (!r->first_version || i->version < r->first_version)) {
        r->first_version = i->version;
    }
    r->last_version =
        i->version > r->last_version ? i->version : r->last_version;
}

static int
add_interval(void *arg, const struct history_interval *i)
{
    struct collecting *c = arg;
    size_t scope = find_scope(c, i->scope);
    struct open_interval *o;

    if (c->scope && strcmp(c->scope, i->scope) != 0) {
        return 0;
    }
    if (scope == c->out->scope_count) {
        c->rc = add_scope(c, i->scope);
    }
    if (c->rc) {
        return c->rc;
    }
    widen_replay(c->out, i);
    o = c->out->scopes[scope].open;
    if (o->is_open && i->end_ns > o->end_ns) {
        c->rc = close_interval(c, scope);
    }
    if (!o->is_open) {
        memset(&o->figures, 0, sizeof(o->figures));
        o->is_open = true;
        o->begin_ns = i->begin_ns;
        o->end_ns = i->end_ns;
    }
    figures_add(&o->figures, i->figures);
    return c->rc;
}

/* ---- all ---- */

/* Virtual time begins with the first interval of any scope. */
static void
move_to_zero(struct profile *p, uint64_t begin_ns)
{
    for (size_t i = 0; i < p->count; i++) {
        p->period[i].begin_ns -= begin_ns;
        p->period[i].end_ns -= begin_ns;
    }
}

static int
fill_profiles(struct collecting *c)
{
    struct admin_replay *r = c->out;
    int rc = 0;

    for (size_t i = 0; i < r->scope_count && !rc; i++) {
        rc = close_interval(c, i);
        if (!rc) {
            profile_fill(&r->scopes[i].profile);
        }
        move_to_zero(&r->scopes[i].profile, r->begin_ns);
    }
    return rc;
}

int
admin_replay(struct admin *a, const char *name, const char *scope,
             uint64_t since_ns, uint64_t until_ns, struct admin_replay *out)
{
    struct history_range range = {name, since_ns, until_ns, true};
    struct collecting *c = calloc(1, sizeof(*c));
    int rc;

    memset(out, 0, sizeof(*out));
    out->begin_ns = UINT64_MAX;
    if (!c) {
        return failure_plain(BIDE_ENOMEM);
    }
    c->a = a;
    c->scope = scope;
    c->out = out;
    rc =
        past_each_interval(&a->past, &range, NULL, add_interval, c, &out->past);
    rc = rc ? rc : fill_profiles(c);
    for (size_t i = 0; i < out->scope_count; i++) {
        free(out->scopes[i].open);
    }
    free(c);
    return rc == BIDE_ENOMEM ? failure_plain(rc) : rc;
}

void
admin_replay_free(struct admin_replay *r)
{
    for (size_t i = 0; i < r->scope_count; i++) {
        profile_free(&r->scopes[i].profile);
    }
    free(r->scopes);
    r->scopes = NULL;
    r->scope_count = 0;
}
