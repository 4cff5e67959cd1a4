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
#include "base/paths.h"
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
doctor_find(struct doctor *d, enum finding_id id, const char *path,
            const char *words)
{
    struct doctor_report *r = d->out;
    struct doctor_finding *f = array_add(&r->findings, &r->count, sizeof(*f));

    if (!f) {
        r->out_of_memory = true;
        f = &d->lost;
    }
    f->id = id;
    f->level = kinds[id].level;
    f->area = kinds[id].area;
    snprintf(f->path, sizeof(f->path), "%s", path ? path : "");
    snprintf(f->words, sizeof(f->words), "%s", words ? words : "");
    return f;
}

void
doctor_find_count(struct doctor *d, enum finding_id id, uint64_t count)
{
    if (count) {
        doctor_find(d, id, NULL, NULL)->count = count;
    }
}

void
doctor_unseen(struct doctor *d, const char *path)
{
    if (errno != ENOENT) {
        doctor_find(d, FINDING_UNSEEN, path, strerror(errno));
    }
}

/* Adds this thread's last failure as a finding. */
static void
find_failure(struct doctor *d)
{
    struct doctor_finding *f = doctor_find(d, FINDING_FAILED, NULL, NULL);

    f->failure = f == &d->lost ? NULL : malloc(sizeof(*f->failure));
    if (f->failure) {
        *f->failure = *failure_last();
    } else {
        d->out->out_of_memory = true;
    }
}

const char *
doctor_file(struct doctor *d, const char *name)
{
    snprintf(d->file, sizeof(d->file), "%s%s%s", d->out->dir, *name ? "/" : "",
             name);
    return d->file;
}

/* ---- registry.mdb ---- */

static void
check_pages(struct doctor *d)
{
    struct pages_stamp stamp;
    struct pages *p = NULL;
    int rc = pages_open(doctor_file(d, PATH_REGISTRY), &p);

    if (!rc && !pages_look(p, &stamp)) {
        d->out->bytes = stamp.size;
        d->out->commit = stamp.txn;
    }
    rc = rc ? rc : pages_check(p);
    pages_close(p);
    /* Without `admin`, the finding says already why it cannot be opened. */
    if (rc == BIDE_EDAMAGED && d->admin) {
        d->out->rc = rc;
        doctor_find(d, FINDING_PAGES_DAMAGED, NULL, pages_why())->rc = rc;
    } else if (rc == BIDE_ELOCKED) {
        doctor_find(d, FINDING_PAGES_BUSY, NULL, NULL);
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
find_invalid_policy(struct doctor *d, const struct record *r,
                    const struct faults *faults)
{
    const struct fault *fault = faults_first(faults);
    struct doctor_finding *f = doctor_find(d, FINDING_POLICY_INVALID, NULL,
                                           fault ? fault->what : NULL);

    snprintf(f->name, sizeof(f->name), "%s", r->name);
    f->version = r->version;
    f->rc = BIDE_EINPUT;
}

/* Adds this thread's last failure: damage, if it is that. */
static void
find_damage(struct doctor *d, enum finding_id damage)
{
    const struct failure *f = failure_last();

    d->out->rc = f->rc;
    if (f->rc != BIDE_EDAMAGED) {
        find_failure(d);
    } else {
        doctor_find(d, damage, NULL, f->words)->rc = f->rc;
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
    int rc = admin_compile(d->admin, r, NULL, &p), text_rc;

    d->out->policies++;
    text_rc = rc ? admin_text(r, &text) : 0; /* again, for the fault */
    if (text_rc == BIDE_EDAMAGED) {
        find_failure(d);
        rc = 0;
    } else if (rc && !text_rc) {
        rc = policy_compile(text, admin_find, d->admin, r->name, &p, &faults);
    }
    if (rc == BIDE_EINPUT) {
        find_invalid_policy(d, r, &faults);
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

static void
check_registry(struct doctor *d)
{
    uint64_t *changes = &d->out->changes;

    check_pages(d);
    if (!access(doctor_file(d, PATH_RESTORED), F_OK)) {
        doctor_find(d, FINDING_RESTORE_CUT, d->file, NULL);
    }
    if (!d->admin) {
        return;
    }
    if (admin_each_policy(d->admin, check_policy, d)) {
        find_damage(d, FINDING_PAGES_DAMAGED);
    } else if (admin_each_version(d->admin, NULL, count_record, changes)) {
        find_damage(d, FINDING_VERSION_DAMAGED);
    }
    if (d->out->policies == 0 && d->out->count == 0) {
        doctor_find(d, FINDING_NO_POLICIES, NULL, NULL);
    }
}

/* ---- all ---- */

int
admin_doctor(const char *dir, uint64_t keep_bytes, struct doctor_report *out)
{
    struct doctor d = {.out = out};
    bool none; /* nothing of a registry is there */

    memset(out, 0, sizeof(*out));
    out->keep_bytes = keep_bytes;
    snprintf(out->dir, sizeof(out->dir), "%s", dir);
    out->rc = admin_open(dir, &d.admin);
    none = out->rc == BIDE_EMISSING &&
           access(doctor_file(&d, PATH_HISTORY), F_OK) &&
           access(doctor_file(&d, PATH_DEFERRED), F_OK);
    if (out->rc == BIDE_EMISSING && !none) {
        doctor_find(&d, FINDING_REGISTRY_REMOVED, out->dir, NULL);
    } else if (out->rc) {
        find_failure(&d);
    }
    if (d.admin) {
        snprintf(out->live, sizeof(out->live), "%s", admin_live_path(d.admin));
    }
    if (!none) {
        check_registry(&d);
        doctor_space(&d);
        doctor_live(&d);
        doctor_history(&d);
        doctor_deferred(&d);
        doctor_rights(&d);
        doctor_locks(&d);
    }
    admin_close(d.admin);
    return out->out_of_memory ? BIDE_ENOMEM : 0;
}

/* Reports whether a finding of admin_uncounted keeps services from counting or
 * following. */
static bool
is_about_counting(const struct doctor_finding *f, const char *live)
{
    const char *name = strrchr(f->path, '/');

    switch (f->id) {
    case FINDING_RIGHTS_OPEN:
    case FINDING_FILE_LINKED:
    case FINDING_FILE_IMMUTABLE:
    case FINDING_SPACE_LOW:
        return false;
    case FINDING_RIGHTS_WRONG:
        return f->stops_counting;
    case FINDING_FILE_REFUSED:
        return name && strncmp(name, "/deferred.", 10) != 0 &&
               strncmp(name, "/history.", 9) != 0;
    case FINDING_UNSEEN:
    case FINDING_INODES_NONE:
    case FINDING_SPACE_FULL:
    case FINDING_DISK_READ_ONLY:
        return strncmp(f->path, live, strlen(f->path)) == 0;
    default:
        return true;
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
    doctor_attach(&d);
    doctor_rights(&d);
    for (size_t i = 0; i < r.count; i++) {
        if (is_about_counting(&r.findings[i], r.live) &&
            (!found || r.findings[i].level > out->level ||
             out->id == FINDING_LIVE_FORBIDDEN)) { /* rights know why */
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
