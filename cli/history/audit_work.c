/* What was done to deferred work by hand, for bide audit. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/deferred.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "store/queue/queue.h"
#include "audit.h"

#define MINUTE_NS UINT64_C(60000000000)

/* Pieces of one policy to which somebody did the same, shortly after each
 * other, are one line. */
struct together {
    struct audit *audit;
    size_t at; /* of the line that goes on; SIZE_MAX: none */
    uint64_t first, last, count;
    struct deferred_event event; /* the last one */
};

static bool
goes_on(const struct together *t, const struct deferred_event *e)
{
    const struct deferred_event *was = &t->event;

    return t->at != SIZE_MAX && e->did == was->did &&
           e->when_ns >= was->when_ns &&
           e->when_ns - was->when_ns < MINUTE_NS &&
           strcmp(e->policy, was->policy) == 0 &&
           strcmp(e->who, was->who) == 0 && strcmp(e->note, was->note) == 0;
}

static int
end_line(struct together *t)
{
    const struct deferred_event *last = &t->event;
    const char *did =
        last->did == DEFERRED_DROPPED ? "dropped" : "made due again";
    struct audit_entry *e;
    int n;

    if (t->at == SIZE_MAX) {
        return 0;
    }
    e = &t->audit->list[t->at];
    e->dropped = last->did == DEFERRED_DROPPED ? t->count : 0;
    e->requeued = last->did == DEFERRED_REQUEUED ? t->count : 0;
    if (t->count > 1) {
        n = asprintf(&e->what,
                     "%" PRIu64 " pieces of deferred work %s: %" PRIu64
                     " to %" PRIu64,
                     t->count, did, t->first, t->last);
    } else {
        n = asprintf(
            &e->what,
            "deferred work %" PRIu64 " %s, after %" PRIu32 " attempt%s%s",
            last->id, did, last->attempts, last->attempts == 1 ? "" : "s",
            *last->policy ? "" : ": it was damaged");
    }
    e->what = n < 0 ? NULL : e->what;
    e->who = *last->who ? strdup(last->who) : NULL;
    e->note = *last->note ? strdup(last->note) : NULL;
    t->at = SIZE_MAX;
    return e->what && (e->who || !*last->who) && (e->note || !*last->note)
               ? 0
               : BIDE_ENOMEM;
}

static int
add_event(void *arg, const struct deferred_event *event)
{
    struct together *t = arg;
    struct audit *a = t->audit;
    bool more = goes_on(t, event);

    if (event->when_ns < a->since_ns || event->when_ns > a->until_ns ||
        (a->name && strcmp(a->name, event->policy) != 0)) {
        return 0;
    }
    if (!more) {
        if (end_line(t) || !audit_new_entry(a, AUDIT_WORK, event->policy, "",
                                            event->when_ns)) {
            return BIDE_ENOMEM;
        }
        t->at = a->count - 1;
        t->count = 0;
        t->first = t->last = event->id;
    }
    t->count++;
    t->first = event->id < t->first ? event->id : t->first;
    t->last = event->id > t->last ? event->id : t->last;
    t->event = *event;
    return 0;
}

int
audit_add_work(struct audit *a)
{
    struct together t = {.audit = a, .at = SIZE_MAX};
    uint64_t damaged = 0;
    struct deferred *d;
    int rc = admin_deferred(a->line->registry, &d);

    if (!rc) {
        rc = deferred_events(d, add_event, &t, &damaged);
        a->damaged += damaged;
    }
    if (rc && rc != BIDE_ENOMEM) {
        /* The words are the thread's last failure; changes are whole. */
        say_why("audit: without what was done to deferred work",
                *deferred_why() ? deferred_why() : bide_strerror(rc));
        rc = 0;
    }
    return rc ? rc : end_line(&t);
}
