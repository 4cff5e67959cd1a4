/* Finds what was counted under earlier names of policies, and visits events. */
#include "past_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "rule/breaker.h"

static int
read_renames(void *arg, const struct snapshot *s)
{
    struct past *p = arg;
    struct record_rename one;
    int rc = 0;

    p->rename_count = 0; /* the list keeps its room */
    while (!rc &&
           !(rc = reader_rename(s, (unsigned)p->rename_count + 1, &one))) {
        rc = array_put(&p->renames, &p->rename_count, &one, sizeof(one))
                 ? 0
                 : BIDE_ENOMEM;
    }
    return rc == BIDE_ENOPOLICY ? 0 : rc;
}

void
renamed_read(struct past *p)
{
    reader_read(p->reader, read_renames, p, NULL);
}

const char *
renamed_now(const struct past *p, const char *name, uint32_t version,
            uint64_t when_ns)
{
    for (size_t i = 0; i < p->rename_count; i++) {
        const struct record_rename *r = &p->renames[i];

        if (strcmp(r->from, name) == 0 &&
            (version ? version < r->version : when_ns <= r->when_ns)) {
            name = r->to;
        }
    }
    return name;
}

/* ---- events ---- */

struct visiting_event {
    const struct past *past;
    const char *name; /* as policies are named now; NULL: all */
    history_event_fn *event;
    void *arg;
};

/* Visits the transitions of a breaker since the last recording, those that its
 * ring still holds. */
static int
visit_transitions(struct past *p, struct live *l, uint32_t index,
                  const struct history_range *range, history_event_fn *visit,
                  void *arg)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    struct guard_rings rings;
    struct figures before = {.turned = 0};
    const struct cell *c = past_cell(l, index, name, scope);
    uint64_t count;
    int rc = 0;

    if (!c || (range->name && strcmp(range->name, name) != 0)) {
        return 0;
    }
    cell_guard_read(l, index, &rings);
    count = atomic_load(&rings.transitions);
    if (p->history && history_base(p->history, live_header(l)->begun_ns, name,
                                   scope, atomic_load(&c->begun), &before)) {
        return 0; /* damaged: the next recording finds out */
    }
    count = count > before.turned ? count - before.turned : 0;
    count = count < TRANSITIONS ? count : TRANSITIONS;
    while (count-- > 0 && !rc) {
        struct history_event event = {.kind = HISTORY_BREAKER};
        enum breaker_state to;

        if (breaker_transition(&rings, (uint32_t)count, &to, &event.when_ns) &&
            event.when_ns >= range->since_ns &&
            event.when_ns <= range->until_ns) {
            event.to = (uint8_t)to;
            rc = visit(arg, name, scope, &event);
        }
    }
    return rc;
}

static int
visit_event(void *arg, const char *name, const char *scope,
            const struct history_event *event)
{
    struct visiting_event *t = arg;
    const char *now = name ? renamed_now(t->past, name, 0, event->when_ns) : "";

    return t->name && strcmp(t->name, now) != 0 && name && *name
               ? 0
               : t->event(t->arg, name ? now : name, scope, event);
}

int
past_each_event(struct past *p, const struct history_range *of,
                history_event_fn *event, void *arg, uint64_t *out_damaged)
{
    struct visiting_event t = {p, of->name, event, arg};
    struct history_range range = *of;
    struct live *l = past_live(p, false);
    struct history_known known;
    uint32_t count;
    int rc = past_known(p, &known);

    renamed_read(p);
    range.name = p->rename_count ? NULL : of->name;
    count = l && !rc && !known.put_back ? cell_count(l) : 0;
    if (!rc && p->history) {
        rc = history_each_event(p->history, &range, visit_event, &t,
                                out_damaged);
        if (rc == BIDE_EDAMAGED || rc == BIDE_ESYS || rc == BIDE_EMISSING) {
            rc = past_fail_history(p, rc);
        }
    }
    for (uint32_t i = 0; i < count && !rc; i++) {
        rc = visit_transitions(p, l, i, &range, visit_event, &t);
    }
    return rc;
}
