#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failure.h"
#include "live/live.h"
#include "policy/policy.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "inside.h"
#include "open.h"

/* ---- what prevents it ---- */

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

/* ---- the change ---- */

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
