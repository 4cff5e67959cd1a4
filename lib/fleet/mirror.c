#include "mirror.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/change.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/failure.h"
#include "base/plain.h"
#include "policy/policy.h"

static int
keep_why(int rc, const struct faults *faults, char *why)
{
    const struct fault *f = faults ? faults_first(faults) : NULL;
    const struct failure *last = failure_last();
    char all[1200];

    if (rc && f) {
        snprintf(all, sizeof(all), "%.100s: %.1000s", f->file, f->what);
    } else if (rc) {
        snprintf(all, sizeof(all), "%s",
                 last->rc == rc && *last->words ? last->words
                                                : bide_strerror(rc));
        all[strcspn(all, "\n")] = '\0';
    }
    if (rc) {
        plain_hide_controls(all);
        plain_excerpt(all, strlen(all), why, MIRROR_WHY);
    }
    return rc;
}

int
mirror_apply(const struct mirror *m, struct mirrored *out)
{
    const struct admin_change change = {.who = MIRROR_WHO,
                                        .note = m->note,
                                        .uid = getuid(),
                                        .command = "bide fleet follow",
                                        .wait_ms = LOCK_WAIT_MS};
    const struct admin_mirror how = {.local = m->local, .state = m->state};
    struct admin_results results = {0};
    struct faults faults = {0};
    struct admin *a;
    int rc = admin_open(m->dir, &a);

    *out = (struct mirrored){0};
    if (rc) {
        return keep_why(rc, NULL, out->why);
    }
    rc = admin_mirror(a, &change, m->policies, &how, &results, &faults);
    for (size_t i = 0; rc == 0 && i < results.count; i++) {
        enum admin_did did = results.list[i].did;

        out->created += did == ADMIN_CREATED;
        out->changed += did == ADMIN_CHANGED;
        out->deleted += did == ADMIN_DELETED;
    }
    keep_why(rc, &faults, out->why);
    admin_results_free(&results);
    faults_free(&faults);
    admin_close(a);
    return rc;
}

int
mirror_state(const char *dir, struct record_fleet *out, uint64_t *out_txn,
             char *why)
{
    struct admin *a;
    int rc = admin_open(dir, &a);

    if (rc == 0) {
        rc = admin_fleet(a, out, out_txn);
        admin_close(a);
    }
    return keep_why(rc, NULL, why);
}

struct covered {
    char *text;
    size_t size;
};

static int
add_covered(void *arg, const struct record *r)
{
    struct covered *c = arg;
    size_t used = strlen(c->text);

    if (r->part_count > 1 && strcmp(r->parts[0].who, MIRROR_WHO) == 0 &&
        used + strlen(r->name) + 2 < c->size) {
        snprintf(c->text + used, c->size - used, "%s%s", used ? "," : "",
                 r->name);
    }
    return 0;
}

void
mirror_local(const char *dir, const char *local, char *out, size_t size)
{
    struct covered c = {out, size};
    struct admin *a;

    snprintf(out, size, "%s", local);
    if (admin_open(dir, &a) == 0) {
        admin_each_policy(a, add_covered, &c);
        admin_close(a);
    }
}
