/* Reads the live state for operators. */
#include "live.h"

#include <string.h>

#include "base/failure.h"
#include "base/lock.h"
#include "live/live.h"
#include "record/past.h"
#include "inside.h"

bool
admin_has_live(struct admin *a)
{
    return past_live(&a->past, false) != NULL;
}

int
admin_live_failed(const struct admin *a)
{
    return a->past.live_rc;
}

struct sleeper_visit {
    struct live *live;
    uint64_t now_ns;
    int (*visit)(void *arg, const struct admin_sleeper *s);
    void *arg;
};

static int
visit_sleeper(void *arg, const struct sleeper *s)
{
    struct sleeper_visit *v = arg;
    const struct cell *c = cell_at(v->live, s->cell);
    struct admin_sleeper out = {
        .wakes_in_ns = s->wake_ns > v->now_ns ? s->wake_ns - v->now_ns : 0,
        .call = *s,
    };

    return c && cell_names(c, out.name, out.scope) ? v->visit(v->arg, &out) : 0;
}

int
admin_each_sleeper(struct admin *a,
                   int (*visit)(void *arg, const struct admin_sleeper *s),
                   void *arg)
{
    struct sleeper_visit v = {past_live(&a->past, false), clock_monotonic_ns(),
                              visit, arg};

    return v.live ? sleeper_each(v.live, v.now_ns, visit_sleeper, &v) : 0;
}

/* ---- waking ---- */

struct waking {
    struct live *live;
    const char *name, *scope;
    uint32_t *out;
};

static struct cell *
chosen_cell(const struct waking *w, uint32_t index)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    struct cell *c = cell_at(w->live, index);

    return c && cell_names(c, name, scope) && strcmp(name, w->name) == 0 &&
                   (!w->scope || strcmp(scope, w->scope) == 0)
               ? c
               : NULL;
}

static int
count_chosen(void *arg, const struct sleeper *s)
{
    struct waking *w = arg;

    *w->out += chosen_cell(w, s->cell) != NULL;
    return 0;
}

int
admin_wake(struct admin *a, const char *name, const char *scope, bool try_only,
           uint32_t *out)
{
    struct live *l = past_live_shared(&a->past, false);
    struct waking w = {l, name, scope, out};
    int rc = BIDE_ENOPOLICY;

    *out = 0;
    if (!l) {
        return a->past.live_rc
                   ? failure_of_store(a->past.live_rc,
                                      reader_live_path(a->past.reader), "")
                   : rc;
    }
    sleeper_each(l, clock_monotonic_ns(), count_chosen, &w);
    for (uint32_t i = 0; i < cell_count(l); i++) {
        struct cell *c = chosen_cell(&w, i);

        rc = c ? 0 : rc;
        if (c && !try_only) {
            cell_wake(c);
        }
    }
    if (!try_only) {
        live_ring(l);
    }
    return rc;
}

int
admin_note_wake(struct admin *a, const char *name, const char *scope,
                uint32_t calls, const char *who, uint32_t uid)
{
    return past_note_wake(&a->past, name, scope ? scope : "", calls, who, uid);
}

uint32_t
admin_refused(struct admin *a)
{
    struct live *l = past_live(&a->past, false);

    return l ? atomic_load(&live_header(l)->cells_refused) : 0;
}

int
admin_trouble(struct admin *a, uint64_t *out_when_ns)
{
    struct live *l = past_live(&a->past, false);
    uint32_t trouble;

    if (!l) {
        return 0;
    }
    trouble = load_relaxed(&live_header(l)->trouble);
    if (trouble == 0 || trouble > 100) {
        return 0;
    }
    *out_when_ns = load_relaxed(&live_header(l)->trouble_ns);
    return -(int)trouble;
}
