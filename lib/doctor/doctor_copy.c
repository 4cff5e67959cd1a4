/* Finds an older copy of the registry that was put back: versions made since
 * have numbers that were used before, and the history adds up both. */

#include <string.h>

#include "admin/open.h"
#include "admin/read.h"
#include "record/past.h"
#include "store/policies/record.h"
#include "doctor.h"
#include "inside.h"

/* The history follows a clock that drifts with some delay. */
#define DRIFT_NS UINT64_C(10000000000)

struct known_version {
    struct doctor *d;
    char name[BIDE_NAME_MAX + 1];
    uint32_t version;
    uint64_t made_ns; /* UINT64_MAX: the registry does not have it */
};

/* Ends with 1 at calls that were recorded under a version before it was made.
 */
static int
compare_interval(void *arg, const struct history_interval *i)
{
    struct known_version *k = arg;
    struct record r = {.when_ns = UINT64_MAX};

    if (i->version == 0) {
        return 0;
    }
    if (k->version != i->version || strcmp(k->name, i->name) != 0) {
        int rc = admin_version(k->d->admin, i->name, i->version, &r);

        strcpy(k->name, i->name);
        k->version = i->version;
        k->made_ns = rc && rc != BIDE_ENOVERSION && rc != BIDE_ENOPOLICY
                         ? 0 /* damaged: said elsewhere */
                         : r.when_ns;
        record_free(&r);
    }
    return i->end_ns < k->made_ns && k->made_ns - i->end_ns > DRIFT_NS;
}

void
doctor_copy(struct doctor *d)
{
    struct history_range recorded = {.until_ns = d->out->known.last_ns,
                                     .minutes = true};
    struct known_version k = {.d = d};
    struct doctor_finding *f;
    struct past_known known;

    if (d->admin && d->out->has_history &&
        past_each_interval(admin_past(d->admin), &recorded, compare_interval,
                           &k, &known) == 1) {
        f = doctor_find(d, FINDING_VERSION_REUSED);
        strcpy(f->name, k.name);
        f->version = k.version;
        doctor_path(d, "history.mdb", f->path, sizeof(f->path));
    }
}
