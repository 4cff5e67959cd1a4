/* The kinds of change. */
#include "change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "base/plain.h"
#include "live/live.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "steps.h"
#include "edit.h"
#include "inside.h"
#include "open.h"
#include "read.h"

/* Replaces a policy by `wanted` (NULL: deletes it), or lays a layer with the
 * differences over it.  `rc` as in commit_replace(). */
static int
replace_policy(struct edit *e, int rc, const char *name, struct edit_old *old,
               const struct policy_text *wanted, const struct record *layers_of)
{
    const struct policy_text *base = e->change->for_ns ? old->base : wanted;
    struct edit_new n = {.base = base ? policy_text_copy(base) : NULL};

    rc = rc ? rc : base && !n.base ? failure_plain(BIDE_ENOMEM) : 0;
    if (rc == 0 && wanted) {
        rc = layers_keep(e, e->change->for_ns ? &old->r : layers_of, &n);
    }
    if (rc == 0 && e->change->for_ns) {
        rc = layers_add(e, name, old, wanted, &n);
    }
    return commit_replace(e, rc, name, old, &n);
}

/* ---- apply ---- */

static int
apply_one(struct edit *e, const struct policy_text *t)
{
    const char *name = policy_text_name(t);
    struct edit_old old = {0};
    struct failure *f;
    int rc = edit_read_old(e, name, &old);

    if (rc == BIDE_ENOPOLICY && e->change->if_version) {
        f = failure_begin(FAILURE_VERSION, BIDE_EVERSION, name);
        f->wanted = e->change->if_version;
        return f->rc;
    }
    rc = rc == BIDE_ENOPOLICY ? 0 : rc;
    if (rc == 0 && e->change->fresh && old.base) {
        fault_add(e->faults,
                  &(struct fault){.file = name,
                                  .rule = FAULT_DUPLICATE,
                                  .hint = "choose another name"},
                  "exists already, at version %u", old.r.version);
        rc = BIDE_EINPUT;
    }
    return replace_policy(e, rc, name, &old, t, &old.r);
}

static int
delete_one(struct edit *e, const char *name,
           int (*read)(struct edit *e, const char *name, struct edit_old *out))
{
    struct edit_old old = {0};
    int rc = read(e, name, &old);

    return replace_policy(e, rc, name, &old, NULL, &old.r);
}

static int
prune_others(struct edit *e, const struct policy_list *texts)
{
    struct names all = {0}, kept = {0};
    int rc = writer_each_policy(e->writer, names_put_existing, &all);

    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        rc = names_put(&kept, policy_text_name(texts->list[i]));
    }
    names_sort(&kept);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        if (!names_have(&kept, all.list[i])) {
            rc = delete_one(e, all.list[i], edit_read_old);
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
        rc = check_policy(&e, policy_text_name(texts->list[i]), texts->list[i],
                          files[i]);
    }
    return commit_end(&e, rc, out);
}

/* ---- mirror ---- */

/* Applies one policy, and marks it if there was none. */
static int
mirror_one(struct edit *e, const struct policy_text *t)
{
    const char *name = policy_text_name(t);
    int rc = plain_list_has(e->mirror->local, name) ? 0 : apply_one(e, t);

    if (rc == 0 && e->results.count) {
        const struct admin_result *r = &e->results.list[e->results.count - 1];

        if (r->did == ADMIN_CREATED && strcmp(r->name, name) == 0) {
            rc = edit_fail_store(e, writer_mark(e->writer, name, true));
        }
    }
    return rc;
}

/* Deletes the policies that the fleet made, and that are not among `kept`. */
static int
mirror_prune(struct edit *e, const struct names *kept)
{
    struct names all = {0};
    int rc = writer_each_policy(e->writer, names_put_existing, &all);

    for (size_t i = 0; i < all.count && rc == 0; i++) {
        const char *name = all.list[i];

        if (!names_have(kept, name) && writer_marked(e->writer, name) &&
            !plain_list_has(e->mirror->local, name)) {
            rc = delete_one(e, name, edit_read_old);
            rc = rc ? rc
                    : edit_fail_store(e, writer_mark(e->writer, name, false));
        }
    }
    names_clear(&all);
    return rc;
}

int
admin_mirror(struct admin *a, const struct admin_change *change,
             const struct policy_list *texts, const struct admin_mirror *mirror,
             struct admin_results *out, struct faults *faults)
{
    struct names kept = {0};
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    e.texts = texts;
    e.mirror = mirror;
    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        rc = mirror_one(&e, texts->list[i]);
        rc = rc ? rc : names_put(&kept, policy_text_name(texts->list[i]));
    }
    names_sort(&kept);
    rc = rc ? rc : mirror_prune(&e, &kept);
    names_clear(&kept);
    for (size_t i = 0; i < texts->count && rc == 0; i++) {
        const char *name = policy_text_name(texts->list[i]);

        rc = plain_list_has(mirror->local, name)
                 ? 0
                 : check_policy(&e, name, texts->list[i], name);
    }
    if (rc == 0 && mirror->state) {
        rc = edit_fail_store(&e, writer_set(e.writer, "fleet", mirror->state,
                                            sizeof(*mirror->state)));
    }
    return commit_end(&e, rc, out);
}

/* ---- set, delete, rollback ---- */

static int
read_existing(struct edit *e, const char *name, struct edit_old *out)
{
    int rc = edit_read_old(e, name, out);

    return rc == BIDE_ENOPOLICY || rc == BIDE_ENAME || (!rc && out->r.deleted)
               ? failure_begin(FAILURE_NO_POLICY, BIDE_ENOPOLICY, name)->rc
               : rc;
}

static int
set_keys(struct edit *e, struct policy_text *t)
{
    int rc = 0;

    for (size_t i = 0; i < e->setting_count && rc == 0; i++) {
        const struct admin_setting *s = &e->settings[i];

        rc = layers_set(e, t, s->key, s->value);
        /* Other keys may have faults as well. */
        rc = rc && rc != BIDE_EINPUT ? failure_plain(rc) : 0;
    }
    return rc == 0 && faults_any(e->faults) ? BIDE_EINPUT : rc;
}

static int
change_keys(struct edit *e, const char *name)
{
    struct edit_old old = {0};
    struct policy_text *wanted = NULL;
    int rc = read_existing(e, name, &old);

    if (rc == 0) {
        wanted = policy_text_copy(e->change->for_ns ? old.text : old.base);
    }
    rc = rc                ? rc
         : !wanted         ? failure_plain(BIDE_ENOMEM)
         : e->change->undo ? check_undo(e, &old, wanted)
                           : set_keys(e, wanted);
    rc = replace_policy(e, rc, name, &old, wanted, &old.r);
    policy_text_free(wanted);
    return rc ? rc : check_policy(e, name, NULL, name);
}

int
admin_change_each(struct admin *a, const struct admin_change *change,
                  const char *const *names, size_t name_count,
                  const struct admin_setting *settings, size_t count,
                  struct admin_results *out, struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    e.settings = settings;
    e.setting_count = count;
    e.names = names;
    e.name_count = name_count;
    for (size_t i = 0; i < name_count && rc == 0; i++) {
        rc = settings ? change_keys(&e, names[i])
                      : delete_one(&e, names[i], read_existing);
    }
    return commit_end(&e, rc, out);
}

/* ---- rollback ---- */

/* Reads the version to restore.  0 is what was in force before the newest
 * change of what is in force now, which may be a layer. */
static int
find_earlier(struct edit *e, const char *name, const struct edit_old *old,
             uint32_t version, struct record *out)
{
    uint32_t at = version ? version : old->r.version - 1;
    struct failure *f;
    int rc;

    if (!version && old->r.version <= 1) {
        f = failure_begin(FAILURE_FIRST_VERSION, BIDE_ENOVERSION, name);
        f->version = old->r.version;
        return f->rc;
    }
    do {
        rc = writer_version(e->writer, name, at, out);
    } while (rc == BIDE_EMISSING && !version && --at);
    if (rc == BIDE_ENOVERSION || rc == BIDE_EMISSING) {
        return failure_begin(FAILURE_NO_VERSION, BIDE_ENOVERSION, name)->rc;
    }
    if (rc == 0) {
        record_settle(out, version ? UINT64_MAX : e->now_ns);
    }
    return edit_fail_store(e, rc);
}

/* Restores a version; without one, with the layers that it still has. */
static int
restore_version(struct edit *e, const char *name, struct edit_old *old,
                uint32_t version)
{
    struct policy_text *wanted = NULL;
    struct record r = {0};
    int rc = find_earlier(e, name, old, version, &r);

    if (rc == 0 && !r.deleted) {
        rc = e->change->for_ns ? admin_text(&r, &wanted)
                               : admin_base(&r, &wanted);
    }
    if (rc == 0) {
        e->as = r.version;
        rc = replace_policy(e, 0, name, old, wanted, version ? &old->r : &r);
    }
    policy_text_free(wanted);
    if (rc == 0) { /* the result has strings of it */
        e->results.list[e->results.count - 1].restored = r;
    } else {
        record_free(&r);
    }
    return rc;
}

static int
end_layer(struct edit *e, const char *name, struct edit_old *old)
{
    struct failure *f;

    if (layers_end(e, &old->r)) {
        return replace_policy(e, 0, name, old, old->base, &old->r);
    }
    f = failure_begin(FAILURE_NO_LAYER, BIDE_ENOVERSION, name);
    f->wanted = e->change->layer;
    return f->rc;
}

int
admin_rollback(struct admin *a, const struct admin_change *change,
               const char *name, uint32_t version, struct admin_results *out,
               struct faults *faults)
{
    struct edit_old old = {0};
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    rc = rc ? rc : edit_read_old(&e, name, &old);
    if (rc == 0) {
        rc = change->layer ? end_layer(&e, name, &old)
                           : restore_version(&e, name, &old, version);
    } else if (rc == BIDE_ENOPOLICY) {
        failure_begin(FAILURE_NO_POLICY, rc, name);
    }
    edit_old_free(&old);
    return commit_end(&e, rc ? rc : check_policy(&e, name, NULL, name), out);
}

/* ---- rename: what prevents it ---- */

/* Keeps why a policy cannot be renamed and, after a line break, what to do. */
#define REFUSE(name, ...)                                                \
    failure_at(FAILURE_STORE, place_say(BIDE_EEXIST, __VA_ARGS__), name, \
               place_why())

/* The new name must be unused, or that of a policy that was renamed. */
static int
check_new_name(struct edit *e, const char *to)
{
    struct record r = {0};
    bool used = !writer_policy(e->writer, to, &r) && !record_renamed_to(&r);

    record_free(&r);
    return used ? REFUSE(to, "a policy has or had this name\nsee: bide log %s",
                         to)
                : 0;
}

static int
check_deferred(void *arg, const struct deferred_counts *c)
{
    uint64_t pieces = c->waiting + c->leased + c->dead;

    return pieces && strcmp(c->policy, arg) == 0
               ? REFUSE(arg,
                        "%llu pieces of deferred work have this name\nwait "
                        "until they are done, or: bide deferred drop %s --until"
                        " now",
                        (unsigned long long)pieces, c->policy)
               : 0;
}

/* Refuses if a process that runs asks for a cell of the name, or for so many
 * cells that this cannot be known. */
static int
refuse_process(void *arg, const struct live_process *p)
{
    return REFUSE(arg,
                  "process %u (%s)%s uses this name\nchange the name there and "
                  "restart it, or give --force: it then finds no policy",
                  p->by.pid, p->by.program, who_where(&p->by));
}

static int
check_processes(struct edit *e, char *from)
{
    struct live *l = past_live(&e->a->past, false);
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t count = l ? cell_count(l) : 0;
    int rc = 0;

    for (uint32_t i = 0; i < count && !rc; i++) {
        const struct cell *c = cell_at(l, i);

        rc = c && cell_names(c, name, scope) && strcmp(name, from) == 0
                 ? live_asking(l, i, refuse_process, from)
                 : 0;
    }
    return rc;
}

static int
check_use(struct edit *e, char *from, bool force)
{
    struct deferred *d;
    int rc = admin_deferred(e->a, &d);

    if (strcmp(from, "default") == 0 || writer_marked(e->writer, from)) {
        return REFUSE(from,
                      "other calls, or a fleet, expect this name\nto make "
                      "another policy of its rules: bide copy %s NEW",
                      from);
    }
    rc = rc ? rc : deferred_counts(d, check_deferred, from);
    return rc || force ? rc : check_processes(e, from);
}

/* ---- rename ---- */

/* Moves the versions, and stores a deletion, which ends the old name, and the
 * next version, with the same layers. */
static int
move_policy(struct edit *e, const struct edit_old *old, const char *to,
            struct record *out)
{
    const struct admin_change *c = e->change;
    struct record r = old->r, gone = {.deleted = true, .part_count = 1};
    struct record_part by = {.when_ns = e->now_ns,
                             .uid = c->uid,
                             .who = c->who,
                             .key = "",
                             .value = ""};
    struct record_rename mark = {.when_ns = e->now_ns};
    char note[32 + BIDE_NAME_MAX];
    char *text = record_text_named(&r, to);
    int rc = text ? writer_move_versions(e->writer, r.name, to, r.version)
                  : BIDE_ENOMEM;

    snprintf(note, sizeof(note), RECORD_RENAMED_TO "%s", to);
    by.note = note;
    gone.parts = &by;
    gone.version = e->floor > r.version ? e->floor + 1 : r.version + 1;
    strcpy(gone.name, strcpy(mark.from, r.name));
    rc = rc ? rc : writer_put(e->writer, &gone, NULL);
    mark.version = gone.version;
    strcpy(mark.to, to);
    rc = rc ? rc : writer_note_rename(e->writer, &mark);
    by.note = c->note;
    by.value = text;
    r.parts[0] = by;
    r.version = gone.version + 1;
    strcpy(r.name, to);
    rc = rc ? rc
            : writer_put(e->writer, &r,
                         policy_text_get(old->base, key_find("extends")));
    free(text);
    rc = rc ? edit_fail_store(e, rc) : names_put(&e->touched, gone.name);
    *out = r;
    return rc ? rc : names_put(&e->touched, to);
}

static int
rename_policy(struct edit *e, char *from, const char *to, bool force)
{
    struct admin_change of_children = *e->change;
    const struct admin_setting extends = {"extends", to};
    struct admin_result r = {.did = ADMIN_CHANGED};
    struct edit_old old = {0};
    struct names children = {0};
    struct record now = {.version = 0};
    int rc = edit_read_old(e, from, &old);

    rc = rc ? rc : check_new_name(e, to);
    rc = rc ? rc : check_use(e, from, force);
    rc = rc ? rc
            : edit_fail_store(
                  e, writer_each_child(e->writer, from, names_put, &children));
    rc = rc ? rc : move_policy(e, &old, to, &now);
    r.before = old.r.version;
    r.after = now.version;
    snprintf(r.name, sizeof(r.name), "%s", to);
    if (!rc && !array_put(&e->results.list, &e->results.count, &r, sizeof(r))) {
        rc = failure_plain(BIDE_ENOMEM);
    }
    edit_old_free(&old);
    of_children.if_version = 0;
    e->change = &of_children;
    e->settings = &extends;
    e->setting_count = 1;
    for (size_t i = 0; i < children.count && rc == 0; i++) {
        rc = change_keys(e, children.list[i]);
    }
    names_clear(&children);
    e->setting_count = 0;
    return rc ? rc : check_policy(e, to, NULL, to);
}

int
admin_rename(struct admin *a, const struct admin_change *change, char *from,
             const char *to, bool force, struct admin_results *out,
             struct faults *faults)
{
    struct edit e;
    int rc = edit_begin(&e, a, change, faults);

    rc = rc ? rc : rename_policy(&e, from, to, force);
    e.change = change;
    e.grouped = true;
    return commit_end(&e, rc, out);
}
