/* Deferred work, for operators. */
#include "deferred.h"

#include "base/failure.h"
#include "record/past.h"
#include "store/queue/queue.h"
#include "inside.h"

int
admin_deferred(struct admin *a, struct deferred **out)
{
    int rc = a->deferred ? 0 : deferred_open(a->past.dir, &a->deferred);

    if (!rc) {
        *out = a->deferred;
    }
    return failure_of_store(rc, a->past.dir, place_why());
}

int
admin_deferred_repair(struct admin *a, struct deferred_lost *out)
{
    struct deferred *d = NULL;
    int rc = admin_deferred(a, &d);

    if (rc == BIDE_EDAMAGED) {
        rc = deferred_salvage(a->past.dir);
        rc = rc ? rc : admin_deferred(a, &d);
    }
    rc = rc ? rc : deferred_lost(d, true, out);
    return failure_of_store(rc, a->past.dir, place_why());
}

void
admin_deferred_arrived(struct admin *a, const char *policy)
{
    struct live *l = past_live(&a->past, false);
    struct cell *c;
    uint32_t index;

    /* Without a cell nobody waits. */
    if (!l || cell_find(l, policy, "", false, &index) != 0) {
        return;
    }
    c = cell_at(l, index);
    if (c) {
        cell_arrived(c);
        live_ring(l);
    }
}
