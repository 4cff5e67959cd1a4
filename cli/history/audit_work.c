/* Adds the operators' changes of deferred work to the entries of bide audit. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "admin/open.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "store/queue/queue.h"
#include "audit.h"

/* One entry for consecutive changes of the same kind, policy, author and note,
 * each less than a minute after the previous one. */
struct work_group {
    struct audit *audit;
    size_t at; /* index of the entry; SIZE_MAX: none */
    uint64_t first, last, count;
    struct deferred_event event; /* the latest change */
};

static bool
continues_group(const struct work_group *g, const struct deferred_event *e)
{
    const struct deferred_event *was = &g->event;

    return g->at != SIZE_MAX && e->did == was->did &&
           e->when_ns >= was->when_ns &&
           e->when_ns - was->when_ns < MINUTE_NS &&
           strcmp(e->policy, was->policy) == 0 &&
           strcmp(e->who, was->who) == 0 && e->uid == was->uid &&
           strcmp(e->note, was->note) == 0;
}

static int
end_group(struct work_group *g)
{
    const struct deferred_event *last = &g->event;
    const char *did = last->did == DEFERRED_DROPPED ? "dropped" : "requeued";
    struct audit_entry *e;
    int n;

    if (g->at == SIZE_MAX) {
        return 0;
    }
    assert(g->at < g->audit->count);
    e = &g->audit->list[g->at];
    e->dropped = last->did == DEFERRED_DROPPED ? g->count : 0;
    e->requeued = last->did == DEFERRED_REQUEUED ? g->count : 0;
    if (g->count > 1) {
        n = asprintf(&e->what,
                     "%" PRIu64 " pieces of deferred work %s: %" PRIu64
                     " to %" PRIu64,
                     g->count, did, g->first, g->last);
    } else {
        n = asprintf(
            &e->what,
            "deferred work %" PRIu64 " %s, after %" PRIu32 " attempt%s%s",
            last->id, did, last->attempts, last->attempts == 1 ? "" : "s",
            *last->policy ? "" : ": it was damaged");
    }
    e->what = n < 0 ? NULL : e->what;
    e->who = *last->who ? strdup(last->who) : NULL;
    e->uid = last->uid;
    e->note = *last->note ? strdup(last->note) : NULL;
    g->at = SIZE_MAX;
    return e->what && (e->who || !*last->who) && (e->note || !*last->note)
               ? 0
               : BIDE_ENOMEM;
}

static int
add_work_event(void *arg, const struct deferred_event *event)
{
    struct work_group *g = arg;
    struct audit *a = g->audit;
    bool more = continues_group(g, event);

    if (event->when_ns < a->since_ns || event->when_ns > a->until_ns ||
        (a->name && strcmp(a->name, event->policy) != 0)) {
        return 0;
    }
    if (!more) {
        if (end_group(g) || !audit_new_entry(a, AUDIT_WORK, event->policy, "",
                                             event->when_ns)) {
            return BIDE_ENOMEM;
        }
        g->at = a->count - 1;
        g->count = 0;
        g->first = g->last = event->id;
    }
    g->count++;
    g->first = event->id < g->first ? event->id : g->first;
    g->last = event->id > g->last ? event->id : g->last;
    g->event = *event;
    return 0;
}

int
audit_add_work(struct audit *a)
{
    struct work_group g = {.audit = a, .at = SIZE_MAX};
    uint64_t damaged = 0;
    struct deferred *d;
    int rc = admin_deferred(a->line->registry, &d);

    if (!rc) {
        rc = deferred_events(d, add_work_event, &g, &damaged);
        a->damaged += damaged;
    }
    if (rc && rc != BIDE_ENOMEM) {
        /* The other entries are complete, so the audit is still printed. */
        say_why("audit: changes of deferred work are missing",
                *place_why() ? place_why() : bide_strerror(rc));
        rc = 0;
    }
    return rc ? rc : end_group(&g);
}
