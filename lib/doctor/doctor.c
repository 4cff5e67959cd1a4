/* Checks a registry part by part; a part that is missing or damaged does not
 * keep the others from being checked. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "base/failure.h"
#include "policy/policy.h"
#include "record/past.h"
#include "store/pages/pages.h"
#include "store/pages/pages_file.h"
#include "store/policies/record.h"
#include "inside.h"

/* ---- findings ---- */

static const struct {
    enum doctor_level level;
    const char *area;
} kinds[FINDING_COUNT] = {
#define FINDING(id, level, area, what, command, to_do) \
    [FINDING_##id] = {DOCTOR_##level, #area},
#include "finding_kinds.h"
};

struct doctor_finding *
doctor_find(struct doctor *d, enum finding_id id)
{
    struct doctor_report *r = d->out;
    struct doctor_finding *f = &d->lost;
    struct doctor_finding *longer =
        array_more(r->findings, r->count, sizeof(*longer));

    if (longer) {
        r->findings = longer;
        f = longer + r->count++;
    } else {
        r->out_of_memory = true;
    }
    *f = (struct doctor_finding){
        .id = id, .level = kinds[id].level, .area = kinds[id].area};
    return f;
}

struct doctor_finding *
doctor_find_path(struct doctor *d, enum finding_id id, const char *path)
{
    struct doctor_finding *f = doctor_find(d, id);

    snprintf(f->path, sizeof(f->path), "%s", path);
    return f;
}

void
doctor_find_count(struct doctor *d, enum finding_id id, uint64_t count)
{
    if (count) {
        doctor_find(d, id)->count = count;
    }
}

struct doctor_finding *
doctor_find_reason(struct doctor *d, enum finding_id id, int rc,
                   const char *words)
{
    struct doctor_finding *f = doctor_find(d, id);

    f->rc = rc;
    snprintf(f->words, sizeof(f->words), "%.*s", (int)sizeof(f->words) - 1,
             words ? words : "");
    return f;
}

void
doctor_unseen(struct doctor *d, const char *path)
{
    if (errno != ENOENT) {
        struct doctor_finding *f =
            doctor_find_reason(d, FINDING_UNSEEN, 0, strerror(errno));

        snprintf(f->path, sizeof(f->path), "%s", path);
    }
}

void
doctor_find_failure(struct doctor *d)
{
    struct failure *copy = malloc(sizeof(*copy));
    struct doctor_finding *f = doctor_find(d, FINDING_FAILED);

    if (!copy || f == &d->lost) {
        d->out->out_of_memory = true;
        free(copy);
        return;
    }
    *copy = *failure_last();
    f->failure = copy;
}

bool
doctor_path(const struct doctor *d, const char *name, char *out, size_t size)
{
    int length =
        snprintf(out, size, "%s%s%s", d->out->dir, *name ? "/" : "", name);

    return length > 0 && (size_t)length < size;
}

/* ---- registry.mdb ---- */

static void
check_pages(struct doctor *d)
{
    struct pages_stamp stamp;
    struct pages *p = NULL;
    char path[512];
    int rc = doctor_path(d, "registry.mdb", path, sizeof(path))
                 ? pages_open(path, &p)
                 : BIDE_EMISSING;

    if (!rc && !pages_look(p, &stamp)) {
        d->out->bytes = stamp.size;
        d->out->commit = stamp.txn;
    }
    if (!rc) {
        rc = pages_check(p);
    }
    pages_close(p);
    if (rc == BIDE_EDAMAGED && !d->admin) {
        return; /* the finding says already why it cannot be opened */
    }
    if (rc == BIDE_EDAMAGED) {
        d->out->rc = rc;
        doctor_find_reason(d, FINDING_PAGES_DAMAGED, rc, pages_why());
    } else if (rc == BIDE_ELOCKED) {
        doctor_find(d, FINDING_PAGES_BUSY);
    }
}

static int
count_record(void *arg, const struct record *r)
{
    uint64_t *count = arg;

    (void)r;
    *count += 1;
    return 0;
}

static void
find_invalid_policy(struct doctor *d, const struct record *r, int rc,
                    const struct faults *faults)
{
    struct doctor_finding *f = doctor_find(d, FINDING_POLICY_INVALID);
    const struct fault *fault = faults_first(faults);

    snprintf(f->name, sizeof(f->name), "%s", r->name);
    f->version = r->version;
    f->rc = rc;
    if (fault) {
        snprintf(f->words, sizeof(f->words), "%s", fault->what);
    }
}

/* Adds this thread's last failure: damage, if it is that. */
static void
find_damage(struct doctor *d, enum finding_id damage)
{
    const struct failure *f = failure_last();

    d->out->rc = f->rc;
    if (f->rc != BIDE_EDAMAGED) {
        doctor_find_failure(d);
    } else {
        doctor_find_reason(d, damage, f->rc, f->words);
    }
}

/* Services do not follow a policy that does not compile. */
static int
check_policy(void *arg, const struct record *r)
{
    struct doctor *d = arg;
    uint64_t *versions = &d->out->versions;
    struct faults faults = {0};
    struct policy_text *text = NULL;
    struct policy *p = NULL;
    int rc = admin_text(r, &text);

    d->out->policies++;
    if (rc == BIDE_EDAMAGED) {
        doctor_find_failure(d);
        rc = 0;
    } else if (!rc) {
        rc = policy_compile(text, admin_find, d->admin, r->name, &p, &faults);
    }
    if (rc == BIDE_EINPUT) {
        find_invalid_policy(d, r, rc, &faults);
        rc = 0;
    }
    policy_text_free(text);
    policy_free(p);
    faults_free(&faults);
    if (!rc && admin_each_version(d->admin, r->name, count_record, versions)) {
        find_damage(d, FINDING_VERSION_DAMAGED);
    }
    return rc == BIDE_ENOMEM ? rc : 0;
}

void
doctor_registry(struct doctor *d)
{
    uint64_t *changes = &d->out->changes;

    check_pages(d);
    if (!d->admin) {
        return;
    }
    if (admin_each_policy(d->admin, check_policy, d)) {
        find_damage(d, FINDING_PAGES_DAMAGED);
    } else if (admin_each_change(d->admin, count_record, changes)) {
        find_damage(d, FINDING_VERSION_DAMAGED);
    }
    if (d->out->policies == 0 && d->out->count == 0) {
        doctor_find(d, FINDING_NO_POLICIES);
    }
}

/* ---- all ---- */

int
admin_doctor(const char *dir, uint64_t keep_bytes, struct doctor_report *out)
{
    struct doctor d = {.out = out};

    memset(out, 0, sizeof(*out));
    out->keep_bytes = keep_bytes;
    snprintf(out->dir, sizeof(out->dir), "%s", dir);
    out->rc = admin_open(dir, &d.admin);
    if (out->rc) {
        doctor_find_failure(&d);
    }
    if (d.admin) {
        snprintf(out->live, sizeof(out->live), "%s", admin_live_path(d.admin));
    }
    if (out->rc != BIDE_EMISSING) {
        doctor_registry(&d);
        doctor_space(&d);
        doctor_live(&d);
        doctor_history(&d);
        doctor_copy(&d);
        doctor_deferred(&d);
        doctor_rights(&d);
        doctor_services(&d);
    }
    admin_close(d.admin);
    return out->out_of_memory ? BIDE_ENOMEM : 0;
}

/* Reports whether the finding keeps services from counting or following. */
static bool
is_about_counting(const struct doctor_finding *f, const char *live)
{
    const char *name = strrchr(f->path, '/');

    switch (f->id) {
    case FINDING_SERVICE_CANNOT_READ:
    case FINDING_LIVE_NONE:
    case FINDING_LIVE_STALE:
    case FINDING_LIVE_FOREIGN:
    case FINDING_LIVE_FORBIDDEN:
    case FINDING_LIVE_UNREADABLE:
    case FINDING_LIVE_DIRECTORY_NONE:
    case FINDING_LIVE_DIRECTORY_REFUSED:
    case FINDING_WAY_CLOSED:
    case FINDING_MEMORY_REFUSED:
    case FINDING_CELLS_REFUSED:
        return true;
    case FINDING_SERVICE_OUTSIDE:
        return f->count != (uint64_t)getpid();
    case FINDING_CANNOT_USE:
    case FINDING_FILE_REFUSED:
        return name && strncmp(name, "/deferred.", 10) != 0 &&
               strncmp(name, "/history.", 9) != 0;
    case FINDING_UNSEEN:
    case FINDING_SPACE_FULL:
    case FINDING_DISK_READ_ONLY:
        return strncmp(f->path, live, strlen(f->path)) == 0;
    default:
        return false;
    }
}

bool
admin_uncounted(struct admin *a, struct doctor_finding *out)
{
    struct doctor_report r = {.bytes = 0};
    struct doctor d = {.admin = a, .out = &r};
    bool found = false;

    snprintf(r.dir, sizeof(r.dir), "%s", admin_past(a)->dir);
    snprintf(r.live, sizeof(r.live), "%s", admin_live_path(a));
    doctor_space(&d);
    doctor_rights(&d);
    doctor_services(&d);
    doctor_attach(&d);
    for (size_t i = 0; i < r.count; i++) {
        if (is_about_counting(&r.findings[i], r.live) &&
            (!found || r.findings[i].level > out->level)) {
            *out = r.findings[i];
            found = true;
        }
    }
    doctor_free(&r);
    return found;
}

void
doctor_free(struct doctor_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->findings[i].failure);
    }
    free(r->findings);
    free(r->deferred.held);
    r->findings = NULL;
    r->count = 0;
}
