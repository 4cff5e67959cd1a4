/* Stores work. */
#include "tree.h"

#include <string.h>

#include "base/duration.h"
#include "policy/policy.h"
#include "store/file/place.h"

/* ---- also used by take.c ---- */

int
deferred_check_policy(const char *policy)
{
    return policy && policy_name_ok(policy)
               ? 0
               : place_say(BIDE_ENAME, "not the name of a policy");
}

/* ---- storing ---- */

struct put_change {
    struct change change;
    const struct defer_rules *rules;
    const struct bide_work *work;
    struct tree_item item;
    uint64_t id;
    bool found;
};

/* Finds work of the same policy with the same key.  Fails with MDB_NOTFOUND. */
static int
find_same(struct work *w, const struct deferred_item *item, uint64_t *out_id)
{
    uint8_t key[DEFERRED_KEY_ROOM];

    return *item->key
               ? tree_get_sealed(
                     w, key, deferred_work_key(item->policy, item->key, key),
                     out_id, sizeof(*out_id))
               : MDB_NOTFOUND;
}

static int
store_work(struct work *w, struct change *c)
{
    struct put_change *p = (struct put_change *)c;
    struct deferred_item *head = &p->item.head;
    const struct defer_rules *r = p->rules;
    struct tree_counts counts;
    int rc = find_same(w, head, &p->id);

    p->found = rc == 0;
    if (rc != MDB_NOTFOUND) {
        return rc;
    }
    rc = tree_counts(w, head->policy, &counts);
    if (rc) {
        return rc;
    }
    if (r->max && counts.waiting + counts.leased + counts.dead >= r->max) {
        c->rc =
            place_say(BIDE_EFULL,
                      "the limit of %u %s of deferred work is reached\n"
                      "to raise it: bide set %s defer_max=N",
                      r->max, r->max == 1 ? "piece" : "pieces", head->policy);
        return 0;
    }
    p->id = head->id = w->meta.next++;
    head->stored_ns = w->now.realtime_ns;
    head->due_ns = duration_add(head->stored_ns, p->work->delay_ns);
    head->expires_ns = duration_add(head->stored_ns, r->expire_ns);
    p->item.payload.bytes = head->length ? p->work->bytes : "";
    return tree_add(w, &p->item);
}

/* Removes work as if it had not been stored.  c->rc is 1 if it was taken since:
 * then it stays. */
static int
take_work_back(struct work *w, struct change *c)
{
    struct put_change *p = (struct put_change *)c;
    struct deferred_item *head = &p->item.head;
    struct tree_counts counts;
    int rc = tree_head(w, p->id, &p->item);

    if (rc) {
        return rc == MDB_NOTFOUND || rc == DEFERRED_UNREADABLE ? 0 : rc;
    }
    if (head->state != DEFERRED_WAITING || head->attempts) {
        c->rc = 1;
        return 0;
    }
    rc = tree_remove(w, &p->item, false);
    rc = rc ? rc : tree_counts(w, head->policy, &counts);
    counts.stored--;
    counts.done--;
    return rc ? rc : tree_put_counts(w, head->policy, &counts);
}

/* Undoes a put that did not reach the disk, so that a caller who repeats it
 * does not store the work twice.  Returns 0 if the work was taken since, else
 * why the sync failed. */
static int
undo_put(struct deferred *d, const struct put_change *p)
{
    struct put_change undo = {.change.apply = take_work_back, .id = p->id};

    if (!p->found && deferred_submit(d, &undo.change) > 0) {
        return 0;
    }
    return place_say(p->change.disk, "%s", p->change.why);
}

static int
check_text(const char *text, const char *what, size_t max)
{
    return !text || strnlen(text, max + 1) <= max
               ? 0
               : place_say(BIDE_EINVAL, "the %s is longer than %zu bytes", what,
                           max);
}

int
deferred_check_work(const struct bide_work *work)
{
    int rc;

    if (!work || (work->length && !work->bytes)) {
        return place_say(BIDE_EINVAL, "no work was given");
    }
    for (size_t i = 0; i < sizeof(work->reserved) / 8; i++) {
        if (work->reserved[i]) {
            return place_say(BIDE_EINVAL, "a reserved field is not 0");
        }
    }
    if (work->length > BIDE_WORK_MAX) {
        return place_say(BIDE_EINVAL, "the work has %zu bytes: at most %d",
                         work->length, BIDE_WORK_MAX);
    }
    rc = check_text(work->type, "type", BIDE_WORK_TYPE_MAX);
    return rc ? rc : check_text(work->key, "key", BIDE_WORK_KEY_MAX);
}

int
deferred_put(struct deferred *d, const char *policy,
             const struct defer_rules *r, const struct bide_work *work,
             uint64_t *out_id, bool *out_found)
{
    struct put_change p = {.rules = r, .work = work};
    int rc = deferred_check_policy(policy);

    rc = rc ? rc : deferred_check_work(work);
    if (rc) {
        return rc;
    }
    p.change.apply = store_work;
    p.change.durable = true;
    p.change.grows = work->length + 1;
    strcpy(p.item.head.policy, policy);
    strcpy(p.item.head.type, work->type ? work->type : "");
    strcpy(p.item.head.key, work->key ? work->key : "");
    p.item.head.length = work->length;
    rc = deferred_submit(d, &p.change);
    rc = !rc && p.change.disk ? undo_put(d, &p) : rc;
    if (rc) {
        return rc;
    }
    *out_id = p.id;
    if (out_found) {
        *out_found = p.found;
    }
    return 0;
}
