/* Opens a registry, or makes one. */
#include "open.h"

#include <limits.h>
#include <stdlib.h>

#include "base/failure.h"
#include "base/paths.h"
#include "policy/policy.h"
#include "record/past.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "inside.h"

int
admin_init(const char *dir, const char *live_dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    int rc = writer_create(dir, live_dir, deferred_create, id);

    if (rc == BIDE_EEXIST || rc == BIDE_EMISSING) {
        return failure_at(rc == BIDE_EEXIST ? FAILURE_EXISTS : FAILURE_CREATE,
                          rc, dir, place_why());
    }
    return failure_of_store(rc, dir, place_why());
}

int
admin_open(const char *dir, struct admin **out)
{
    struct admin *a = calloc(1, sizeof(*a));
    char standard[PATH_MAX] = "";
    int rc = a ? 0 : BIDE_ENOMEM;

    if (!dir) {
        rc = rc ? rc : paths_registry(standard, sizeof(standard));
        dir = standard;
    }
    rc = rc ? rc : past_open(dir, &a->past);
    if (rc) {
        free(a);
        return rc == BIDE_ENOMEM
                   ? failure_plain(rc)
                   : failure_of_store(rc, dir,
                                      rc == BIDE_EMISSING ? "" : pages_why());
    }
    *out = a;
    return 0;
}

void
admin_close(struct admin *a)
{
    if (!a) {
        return;
    }
    policy_list_free(&a->found);
    deferred_close(a->deferred);
    past_close(&a->past);
    free(a);
}

struct past *
admin_past(struct admin *a)
{
    return &a->past;
}

const char *
admin_live_path(const struct admin *a)
{
    return reader_live_path(a->past.reader);
}

/* ---- deferred work ---- */

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
