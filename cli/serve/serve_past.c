/* The answer /api/policies/NAME/past: sums of one policy's calls by time, scope
 * and version, and events, in a range of time.
 *
 * Its cost is bounded.  The history is read backwards in parts that get longer;
 * after COARSE_NS in hours instead of minutes; after LIMIT_NS not at all, and
 * the answer begins later.  After a slow answer none is made for REST times as
 * long.
 */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/explain.h"
#include "cli/command/when.h"
#include "cli/view/figure.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "record/past.h"
#include "rule/histogram.h"
#include "serve.h"

#define COARSE_NS (150 * UINT64_C(1000000))
#define LIMIT_NS (400 * UINT64_C(1000000))

enum {
    FIRST_PART = 15,
    REST = 3,
    COLUMNS = 120,
    SUMS_MOST = 2048,
    SUMS_SHOWN = COLUMNS + 2,
    EVENTS_MOST = 500, /* the newest */
};

struct sum_key {
    uint64_t number; /* of a version, or of a column of time */
    char scope[BIDE_NAME_MAX + 1];
};

/* The sum of whole intervals. */
struct sum {
    struct sum_key key; /* first: compare_keys */
    uint64_t begin_ns, end_ns;
    struct figures figures;
};

struct sums {
    void *root; /* by number and scope */
    size_t count;
    struct sum **list;
};

struct view_event {
    struct history_event event;
    char scope[BIDE_NAME_MAX + 1];
};

struct view {
    struct admin *registry;
    const char *name, *scope; /* NULL: all scopes */
    uint64_t since_ns, until_ns, now_ns, step_ns;
    struct sums columns, scopes, versions;
    struct history_known past;
    size_t events;
    struct view_event event[EVENTS_MOST];
};

/* ---- sums ---- */

static int
compare_keys(const void *a, const void *b)
{
    const struct sum_key *x = a, *y = b;
    int order = (x->number > y->number) - (x->number < y->number);

    return order ? order : strcmp(x->scope, y->scope);
}

/* Returns the sum of that number and scope; of a new one, if there are many, of
 * ADMIN_OTHERS; NULL without memory. */
static struct sum *
find_sum(struct sums *s, uint64_t number, const char *scope)
{
    struct sum_key key = {.number = number};
    struct sum *one, **found;

    strcpy(key.scope, scope);
    found = tfind(&key, &s->root, compare_keys);
    if (!found && s->count >= SUMS_MOST) {
        strcpy(key.scope, ADMIN_OTHERS);
        found = tfind(&key, &s->root, compare_keys);
    }
    if (found) {
        return *found;
    }
    one = calloc(1, sizeof(*one));
    if (!one) {
        return NULL;
    }
    *one = (struct sum){.key = key, .begin_ns = UINT64_MAX};
    if (!tsearch(one, &s->root, compare_keys)) {
        free(one);
        return NULL;
    }
    return array_put(&s->list, &s->count, &one, sizeof(one)) ? one : NULL;
}

static int
add_to_sum(struct sums *s, uint64_t number, const char *scope,
           const struct history_interval *i)
{
    struct sum *one = find_sum(s, number, scope);

    if (!one) {
        return BIDE_ENOMEM;
    }
    one->begin_ns = i->begin_ns < one->begin_ns ? i->begin_ns : one->begin_ns;
    one->end_ns = i->end_ns > one->end_ns ? i->end_ns : one->end_ns;
    figures_add(&one->figures, i->figures);
    return 0;
}

/* ---- reading ---- */

static int
add_interval(void *arg, const struct history_interval *i)
{
    struct view *v = arg;
    uint64_t column = (i->end_ns + v->step_ns / 2) / v->step_ns;
    int rc = add_to_sum(&v->scopes, 0, i->scope, i);

    if (!rc && (!v->scope || strcmp(v->scope, i->scope) == 0)) {
        rc = add_to_sum(&v->columns, column, "", i);
        rc = rc ? rc : add_to_sum(&v->versions, i->version, "", i);
    }
    return rc;
}

static int
add_event(void *arg, const char *name, const char *scope,
          const struct history_event *event)
{
    struct view *v = arg;
    struct view_event *e = &v->event[v->events % EVENTS_MOST];

    if (!*name || !*scope || !v->scope || strcmp(v->scope, scope) == 0) {
        e->event = *event;
        strcpy(e->scope, scope);
        v->events++;
    }
    return 0;
}

/* Keeps what it has read when it fails. */
static int
read_history(struct view *v)
{
    struct past *past = admin_past(v->registry);
    uint64_t begin = clock_monotonic_ns(), took = 0, damaged = 0;
    uint64_t since = v->since_ns, until = v->until_ns;
    uint64_t length = (until - since) / FIRST_PART + 1;
    struct history_range range = {
        .name = v->name, .until_ns = until < v->now_ns ? until : UINT64_MAX};
    int rc = 0;

    while (until > since && took < LIMIT_NS && !rc) {
        range.since_ns = until - since > length ? until - length : since;
        range.minutes = took < COARSE_NS && v->step_ns < HOUR_NS;
        rc = past_each_interval(past, &range, NULL, add_interval, v, &v->past);
        took = clock_monotonic_ns() - begin;
        range.until_ns = until = range.since_ns;
        length *= 2;
    }
    v->since_ns = rc ? v->since_ns : until;
    range.since_ns = v->since_ns;
    range.until_ns = v->until_ns;
    return rc ? rc : past_each_event(past, &range, add_event, v, &damaged);
}

static bool
read_times(struct view *v, const struct serve_request *request)
{
    static const uint64_t minutes[] = {1,   2,   5,   10,  15,   30,    60,
                                       120, 180, 360, 720, 1440, 10080, 43200};
    const char *since = request->since ? request->since : "1h";
    size_t k = 0;

    v->now_ns = v->until_ns = past_now_ns(admin_past(v->registry));
    if (when_read(since, v->now_ns, &v->since_ns) != 0 ||
        (request->until &&
         when_read(request->until, v->now_ns, &v->until_ns) != 0)) {
        return false;
    }
    v->until_ns = v->until_ns < v->now_ns ? v->until_ns : v->now_ns;
    while (k + 1 < sizeof(minutes) / sizeof(minutes[0]) &&
           (v->until_ns - v->since_ns) / MINUTE_NS / minutes[k] > COLUMNS) {
        k++;
    }
    v->step_ns = minutes[k] * MINUTE_NS;
    return v->since_ns < v->until_ns;
}

/* ---- as JSON ---- */

/* Adds the attempts by latency, as pairs: a latency in ms, and the number of
 * attempts from there on.  There are two pairs for each power of two. */
static void
put_heat(struct json *j, const struct figures *f)
{
    struct json *heat = json_in_array(j, "heat"), *pair;
    uint64_t count = 0;

    for (uint32_t k = 0, low = 0; k < HISTOGRAM_BUCKETS; k++) {
        count += f->succeeded[k] + f->failed[k];
        if (k + 1 < HISTOGRAM_BUCKETS &&
            (k * 2 + 15) / HISTOGRAM_STEPS == (k * 2 + 17) / HISTOGRAM_STEPS) {
            continue;
        }
        if (count > 0) {
            pair = json_in_array(heat, NULL);
            json_put_ms(pair, NULL, histogram_low_ns(low));
            json_put_count(pair, NULL, count);
        }
        low = k + 1;
        count = 0;
    }
}

static void
put_sum(struct json *j, struct view *v, const struct sum *s)
{
    struct json *outcomes;
    struct bide_stats stats;

    json_put_text(j, "scope", s->key.scope);
    json_put_count(j, "number", s->key.number);
    json_put_s(j, "begin", s->begin_ns);
    json_put_s(j, "end", s->end_ns);
    past_figures(&s->figures, 0, &stats);
    figure_json(j, &stats, NULL, 0);
    json_put_count(j, "opened", s->figures.opened);
    outcomes = json_in_object(j, "outcomes");
    for (uint32_t i = 0; i < s->figures.outcome_count; i++) {
        const struct figures_outcome *o = &s->figures.outcome[i];

        json_put_count(outcomes, past_outcome(admin_past(v->registry), o->id),
                       o->count);
    }
    put_heat(j, &s->figures);
}

/* Orders the newest first; of one time the most failed calls. */
static int
compare_sums(const void *a, const void *b)
{
    const struct sum *x = *(struct sum *const *)a, *y = *(struct sum *const *)b;
    uint64_t fx = figures_failed(&x->figures), fy = figures_failed(&y->figures);

    if (x->key.number != y->key.number || (fx == 0 && fy == 0)) {
        fx = x->key.number > 0 ? x->key.number : figures_calls(&x->figures);
        fy = y->key.number > 0 ? y->key.number : figures_calls(&y->figures);
    }
    return (fx < fy) - (fx > fy);
}

/* Adds the first sums; with `p`, the breaker and budget of each. */
static void
put_sums(struct json *j, const char *name, struct view *v, struct sums *s,
         const struct policy *p)
{
    struct json *array = json_in_array(j, name), *one;

    if (s->count > 0) {
        qsort(s->list, s->count, sizeof(struct sum *), compare_sums);
    }
    for (size_t i = 0; i < s->count && i < SUMS_SHOWN; i++) {
        struct admin_guard guard;

        one = json_add_object(array);
        put_sum(one, v, s->list[i]);
        if (p) {
            admin_guard(v->registry, p, v->name, s->list[i]->key.scope, &guard);
            guard_put(one, p, &guard);
        }
    }
    tdestroy(s->root, free);
    free(s->list);
}

static void
put_events(struct json *array, const struct view *v)
{
    static const char *const kinds[] = {"breaker", "warning"};

    for (size_t n = 0; n < EVENTS_MOST && n < v->events; n++) {
        const struct view_event *e =
            &v->event[(v->events - n - 1) % EVENTS_MOST];
        struct json *one = json_add_object(array);
        unsigned kind = e->event.kind - HISTORY_BREAKER;

        json_put_s(one, "when", e->event.when_ns);
        json_put_text(one, "kind", kind < 2 ? kinds[kind] : "host");
        json_put_text(one, "scope", e->scope);
        json_put_count(one, "to", e->event.to);
        json_put_text(one, "what", e->event.words);
    }
}

static void
answer_view(struct view *v, struct serve_text *out)
{
    struct json *j = json_object_new();
    int rc = read_history(v);
    struct policy *p = NULL;
    struct explained why;

    if (rc) {
        explain_last(rc, &why);
        json_put_text(j, "history_error", why.why);
        json_put_text(j, "history_next", why.to_do);
    }
    json_put_s(j, "time", v->now_ns);
    json_put_s(j, "since", v->since_ns);
    json_put_s(j, "until", v->until_ns);
    json_put_number(j, "step_s", (double)v->step_ns / 1e9);
    json_put_time(j, "recorded", v->past.last_ns);
    json_put_number(j, "clock_ahead_s", (double)v->past.jump_ns / 1e9);
    guard_policy(v->registry, v->name, &p);
    json_put_count(j, "scopes_known", v->scopes.count);
    put_sums(j, "columns", v, &v->columns, NULL);
    put_sums(j, "versions", v, &v->versions, NULL);
    put_sums(j, "scopes", v, &v->scopes, p);
    put_events(json_in_array(j, "events"), v);
    policy_free(p);
    serve_json(200, j, out);
}

void
serve_past(struct serve_api *api, struct admin *registry, const char *name,
           const struct serve_request *request, struct serve_text *out)
{
    uint64_t begin = clock_monotonic_ns(), took;
    struct view *v = begin < api->rest_ns ? NULL : calloc(1, sizeof(*v));

    if (!v) {
        serve_refuse(503, "busy: ask again in a second", out);
        return;
    }
    *v = (struct view){
        .registry = registry, .name = name, .scope = request->scope};
    if (read_times(v, request)) {
        answer_view(v, out);
        took = clock_monotonic_ns() - begin;
        api->rest_ns = took > COARSE_NS ? begin + (1 + REST) * took : 0;
    } else {
        serve_refuse(400, "since, until: not two times such as 2h and 1h", out);
    }
    free(v);
}
