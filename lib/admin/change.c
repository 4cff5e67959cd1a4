/* The kinds of change. */
#include "change.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "check.h"
#include "commit.h"
#include "edit.h"
#include "read.h"

/* ---- apply ---- */

static int
apply_one(struct edit *e, const struct policy_text *t)
{
    const char *name = policy_text_name(t);
    struct edit_old old = {0};
    struct policy_text *now;
    struct failure *f;
    int rc = edit_read_old(e, name, &old);

    if (rc != 0 && rc != BIDE_ENOPOLICY) {
        return rc;
    }
    if (rc == BIDE_ENOPOLICY && e->change->if_version) {
        f = failure_begin(FAILURE_VERSION, BIDE_EVERSION, name);
        f->wanted = e->change->if_version;
        return f->rc;
    }
    now = policy_text_copy(t);
    if (!now) {
        policy_text_free(old.text);
        return failure_plain(BIDE_ENOMEM);
    }
    return commit_replace(e, name, &old, now);
}

static int
add_existing_name(void *arg, const struct record *r)
{
    return r->deleted ? 0 : names_put(arg, r->name);
}

static int
prune_others(struct edit *e, const struct policy_list *texts)
{
    struct names all = {0}, kept = {0};
    int rc = writer_each_policy(e->writer, add_existing_name, &all);

    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        rc = names_put(&kept, policy_text_name(texts->list[i]));
    }
    names_sort(&kept);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        struct edit_old old = {0};

        if (!names_have(&kept, all.list[i])) {
            rc = edit_read_old(e, all.list[i], &old);
            rc = rc ? rc : commit_replace(e, all.list[i], &old, NULL);
        }
    }
    names_clear(&all);
    names_clear(&kept);
    return rc;
}

int
admin_apply(struct admin *a, const struct admin_change *change,
            const struct policy_list *texts, const char *const *files,
            bool prune, struct admin_results *out, struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    if (rc) {
        return rc;
    }
    e.texts = texts;
    e.files = files;
    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        rc = apply_one(&e, texts->list[i]);
    }
    if (rc == 0 && prune) {
        rc = prune_others(&e, texts);
    }
    /* Only now every policy that they may extend is stored. */
    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        rc = check_text(&e, texts->list[i], files[i]);
    }
    return commit_end(&e, rc, out);
}

/* ---- set, delete, rollback ---- */

static int
fail_no_policy(struct edit *e, const char *name, const struct edit_old *old)
{
    struct failure *f;

    if (old && old->deleted) {
        f = failure_begin(FAILURE_DELETED, BIDE_ENOPOLICY, name);
        f->version = old->newest;
    } else {
        f = failure_begin(FAILURE_NO_POLICY, BIDE_ENOPOLICY, name);
        snprintf(f->near, sizeof(f->near), "%s", admin_near(e->a, name));
    }
    return f->rc;
}

static int
read_existing(struct edit *e, const char *name, struct edit_old *out)
{
    int rc = edit_read_old(e, name, out);

    if (rc == BIDE_ENOPOLICY || (rc == 0 && out->deleted)) {
        return fail_no_policy(e, name, rc ? NULL : out);
    }
    return rc;
}

static int
set_keys(struct edit *e, const char *name, struct policy_text *t,
         const struct admin_setting *settings, size_t count)
{

    for (size_t i = 0; i < count; i++) {
        const struct admin_setting *s = &settings[i];
        int rc = s->value
                     ? policy_text_set(t, s->key, s->value, name, 0, e->faults)
                     : policy_text_unset(t, s->key, name, e->faults);

        if (rc != 0 && rc != BIDE_EINPUT) {
            return failure_plain(rc);
        }
    }
    return faults_any(e->faults) ? 0 : check_text(e, t, name);
}

static int
set_one(struct edit *e, const char *name, const struct admin_setting *settings,
        size_t count)
{
    struct edit_old old = {0};
    struct policy_text *now;
    int rc = read_existing(e, name, &old);

    if (rc) {
        return rc;
    }
    now = policy_text_copy(old.text);
    rc = now ? set_keys(e, name, now, settings, count)
             : failure_plain(BIDE_ENOMEM);
    if (rc || faults_any(e->faults)) {
        policy_text_free(now);
        policy_text_free(old.text);
        return rc;
    }
    return commit_replace(e, name, &old, now);
}

int
admin_set_each(struct admin *a, const struct admin_change *change,
               const char *const *names, size_t name_count,
               const struct admin_setting *settings, size_t count,
               struct admin_results *out, struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    if (rc) {
        return rc;
    }
    e.settings = settings;
    e.setting_count = count;
    for (size_t i = 0; i < name_count && rc == 0; i++) {
        rc = set_one(&e, names[i], settings, count);
    }
    return commit_end(&e, rc, out);
}

int
admin_delete(struct admin *a, const struct admin_change *change,
             const char *const *names, size_t count, struct admin_results *out,
             struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct edit_old old = {0};

        rc = read_existing(&e, names[i], &old);
        rc = rc ? rc : commit_replace(&e, names[i], &old, NULL);
    }
    return commit_end(&e, rc, out);
}

/* Reads the version to restore; 0 is the one in force before the present one.
 */
static int
find_earlier(struct edit *e, const char *name, const struct edit_old *old,
             uint32_t version, struct record *out)
{
    struct failure *f;
    int rc;

    if (!version && old->version <= 1) {
        f = failure_begin(FAILURE_FIRST_VERSION, BIDE_ENOVERSION, name);
        f->version = old->version;
        return f->rc;
    }
    rc = writer_version(e->writer, name, version ? version : old->version - 1,
                        out);
    if (rc == 0 && !version) {
        rc = edit_give_way(e, e->now_ns, out);
    }
    if (rc == BIDE_ENOVERSION) {
        f = failure_begin(FAILURE_NO_VERSION, rc, name);
        f->wanted = version;
        return rc;
    }
    return edit_fail_store(e, rc);
}

static int
roll_back(struct edit *e, const char *name, uint32_t version)
{
    struct edit_old old = {0};
    struct record r;
    struct policy_text *now = NULL;
    int rc = edit_read_old(e, name, &old);

    if (rc) {
        return rc == BIDE_ENOPOLICY ? fail_no_policy(e, name, NULL) : rc;
    }
    rc = find_earlier(e, name, &old, version, &r);
    if (rc) {
        policy_text_free(old.text);
        return rc;
    }
    rc = r.deleted ? 0 : admin_text(&r, &now);
    if (rc) {
        policy_text_free(old.text);
    } else {
        e->as = &r;
        rc = commit_replace(e, name, &old, now);
        e->as = NULL;
    }
    record_free(&r);
    return rc ? rc : check_name(e, name);
}

int
admin_rollback(struct admin *a, const struct admin_change *change,
               const char *name, uint32_t version, struct admin_results *out,
               struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    return rc ? rc : commit_end(&e, roll_back(&e, name, version), out);
}
