#include "agent.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/plain.h"
#include "document.h"
#include "etcd.h"
#include "mirror.h"
#include "pace.h"
#include "pointer.h"
#include "policy/policy.h"
#include "release.h"
#include "stage.h"
#include "store/policies/record.h"

struct agent {
    const struct agent_options *o;
    struct etcd *etcd;
    struct pace pace;
    struct host_record record;
    struct stage stage;
    char *sent;           /* the record that etcd has, without its time */
    uint64_t send_by_ns;  /* CLOCK_MONOTONIC: the next record at the latest */
    uint64_t refused_txn; /* of the registry when record.refused was refused */
    uint64_t cluster, modified; /* of etcd, and the revision of the pointer that
                                   was followed last */
    char said[512], why[DOCUMENT_WHY];
};

static void
tell_line(struct agent *a, const char *line)
{
    a->o->told(a->o->arg, line);
}

/* Tells a failure, once until another one or a success. */
static void
tell_failure(struct agent *a, const char *what, const char *why)
{
    char line[512];

    snprintf(line, sizeof(line), "%s: %.400s; policies stay as they are", what,
             why);
    if (strcmp(line, a->said) != 0) {
        tell_line(a, line);
        strcpy(a->said, line);
    }
}

/* ---- the fleet ---- */

/* Compares the id in a reply with `id`, which it fills if it is "". */
static int
check_fleet(const struct etcd_pair *pair, char id[33], char *why)
{
    int rc = 0;

    if (!pair || pair->length != 32) {
        snprintf(why, DOCUMENT_WHY, "there is no fleet at this prefix");
        rc = BIDE_EMISSING;
    } else if (*id && strcmp(pair->value, id) != 0) {
        snprintf(why, DOCUMENT_WHY,
                 "this is another fleet than the one that was joined");
        rc = BIDE_EVERSION;
    } else {
        memcpy(id, pair->value, 33);
    }
    return rc;
}

int
agent_fleet(struct etcd *e, const char *prefix, char id[33], char *why)
{
    struct fleet_key key = fleet_key(prefix, "fleet", NULL);
    struct etcd_reply reply;
    char fresh[33];
    int rc = etcd_one(e, ETCD_GET, key, NULL, 0, &reply);
    bool make = rc == 0 && !*id && reply.count == 0;

    if (make) {
        host_draw_id(fresh);
        rc = etcd_swap(e, key, 0, fresh, &reply);
        make = rc == 0;
        rc = rc == BIDE_EVERSION ? 0 : rc; /* another host was faster */
    }
    if (rc) {
        snprintf(why, DOCUMENT_WHY, "%s", etcd_why(e));
        return rc;
    }
    if (make) {
        memcpy(id, fresh, sizeof(fresh));
    } else {
        rc = check_fleet(etcd_find(&reply, key.text), id, why);
    }
    etcd_reply_free(&reply);
    return rc;
}

/* ---- the record ---- */

/* Puts the record if it changed, or if it is time. */
static int
send_record(struct agent *a)
{
    const struct host_setup *s = a->o->setup;
    struct fleet_key key = fleet_key(s->prefix, "host", s->name);
    uint64_t now_ns = clock_monotonic_ns();
    char *same, *text;
    int rc;

    mirror_local(a->o->dir, s->local, a->record.local, sizeof(a->record.local));
    a->record.time_ms = 0;
    same = host_record_write(&a->record);
    if (same && a->sent && strcmp(same, a->sent) == 0 &&
        now_ns < a->send_by_ns) {
        free(same);
        return 0;
    }
    a->record.time_ms = clock_realtime_ns() / 1000000;
    text = host_record_write(&a->record);
    rc = text && same
             ? etcd_one(a->etcd, ETCD_PUT, key, text, strlen(text), NULL)
             : BIDE_ENOMEM;
    free(text);
    if (rc) {
        snprintf(a->why, sizeof(a->why), "%s", etcd_why(a->etcd));
        free(same);
        return rc;
    }
    free(a->sent);
    a->sent = same;
    a->send_by_ns = now_ns + (uint64_t)((0.75 + host_draw_share() / 2) *
                                        (double)a->o->report_ns);
    return 0;
}

/* ---- a release ---- */

static void
tell_applied(struct agent *a, const struct release *r, const struct mirrored *m)
{
    char line[700];

    snprintf(line, sizeof(line),
             "release %u by %s: %zu created, %zu changed, %zu deleted%s%s",
             r->release, r->by, m->created, m->changed, m->deleted,
             *r->note ? ": " : "", r->note);
    tell_line(a, line);
}

static void
refuse_release(struct agent *a, uint32_t number, uint64_t txn, const char *why)
{
    char what[32];

    a->record.refused = number;
    a->refused_txn = txn;
    snprintf(a->record.fault, sizeof(a->record.fault), "%s", why);
    snprintf(what, sizeof(what), "release %u is refused", number);
    tell_failure(a, what, why);
}

/* Applies a release that was read. */
static int
apply_text(struct agent *a, const struct release *r, const char *text,
           const struct record_fleet *state, uint64_t txn)
{
    char note[RECORD_NOTE_MAX + 1], name[32];
    struct policy_list policies = {0};
    struct faults faults = {0};
    struct mirrored done = {0};
    struct mirror m = {.dir = a->o->dir,
                       .note = note,
                       .local = a->o->setup->local,
                       .policies = &policies,
                       .state = state};
    int rc;

    snprintf(note, sizeof(note), "release %u by %s via fleet%s%s", r->release,
             r->by, *r->note ? ": " : "", r->note);
    snprintf(name, sizeof(name), "release %u", r->release);
    rc = policy_read(name, text, strlen(text), &policies, &faults);
    if (rc == BIDE_EINPUT && faults_first(&faults)) {
        snprintf(done.why, sizeof(done.why), "%s", faults_first(&faults)->what);
    }
    rc = rc ? rc : mirror_apply(&m, &done);
    if (rc == 0) {
        tell_applied(a, r, &done);
    } else if (rc == BIDE_EINPUT) {
        refuse_release(a, r->release, txn, done.why);
        rc = 0;
    } else {
        snprintf(a->why, sizeof(a->why), "%s", done.why);
    }
    faults_free(&faults);
    policy_list_free(&policies);
    return rc;
}

/* Reads the release, and applies it unless this host refuses it. */
static int
follow_release(struct agent *a, uint32_t number, struct record_fleet *state,
               uint64_t txn)
{
    struct release r;
    char *text = NULL;
    int rc =
        release_get(a->etcd, a->o->setup->prefix, number, &r, &text, a->why);

    if (rc == BIDE_EINPUT || rc == BIDE_EMISSING || rc == BIDE_EDAMAGED) {
        refuse_release(a, number, txn, a->why);
        return 0;
    }
    if (rc == 0) {
        state->release = number;
        snprintf(state->host, sizeof(state->host), "%s", a->o->setup->name);
        state->since_ms = clock_realtime_ns() / 1000000;
        rc = apply_text(a, &r, text, state, txn);
    }
    free(text);
    return rc;
}

/* Makes this host have the release that the pointer gives it. */
static int
follow_pointer(struct agent *a, const struct pointer *p,
               const struct etcd_reply *reply)
{
    const struct host_setup *h = a->o->setup;
    uint32_t wanted = pointer_wants(p, h->name, h->machine, h->labels);
    struct record_fleet state;
    uint64_t txn, since_ms;
    int rc = mirror_state(a->o->dir, &state, &txn, a->why);

    since_ms = rc ? 0 : state.since_ms;
    if (rc == 0 && wanted && state.release != wanted &&
        !(a->record.refused == wanted && a->refused_txn == txn)) {
        state.cluster = reply->cluster;
        state.revision = p->modified;
        state.stage = wanted == p->release ? p->percent : 100;
        rc = follow_release(a, wanted, &state, txn);
        malloc_trim(0); /* an agent that waits keeps no release */
        rc = rc ? rc : mirror_state(a->o->dir, &state, &txn, a->why);
    }
    if (rc) {
        return rc;
    }
    if (!wanted || state.release == wanted) {
        a->record.refused = 0;
        a->record.fault[0] = '\0';
    }
    a->record.release = state.release;
    a->record.since_ms = state.since_ms;
    if (since_ms != state.since_ms && state.release >= a->record.broke) {
        a->record.broke = 0; /* it stays, to be seen, when the host goes back */
        a->record.figures[0] = '\0';
    }
    stage_follow(&a->stage, p, a->o->dir, &a->record,
                 since_ms != state.since_ms);
    return send_record(a);
}

/* ---- the loop ---- */

/* Tells that etcd was restored from a backup: it has another id then, or an
 * older pointer.  What it has now counts. */
static void
note_restored(struct agent *a, uint64_t cluster, uint64_t modified)
{
    if (modified < a->modified || (a->cluster && cluster != a->cluster)) {
        tell_line(a, "etcd was restored from a backup: following what it has "
                     "now");
    }
    a->cluster = cluster;
    a->modified = modified;
}

/* Reads the fleet and the pointer, and follows it.  *out_revision is the one at
 * which they were read. */
static int
look(struct agent *a, uint64_t *out_revision)
{
    const struct host_setup *s = a->o->setup;
    struct fleet_key fleet = fleet_key(s->prefix, "fleet", NULL);
    struct fleet_key rollout = fleet_key(s->prefix, "rollout", NULL);
    struct etcd_step steps[] = {{.verb = ETCD_GET, .key = fleet.text},
                                {.verb = ETCD_GET, .key = rollout.text}};
    struct pointer p = {0};
    struct etcd_reply reply;
    const struct etcd_pair *pair;
    char id[33];
    int rc = etcd_do(a->etcd, steps, 2, &reply);

    if (rc) {
        snprintf(a->why, sizeof(a->why), "%s", etcd_why(a->etcd));
        return rc;
    }
    memcpy(id, s->fleet, sizeof(id));
    rc = check_fleet(etcd_find(&reply, fleet.text), id, a->why);
    pair = etcd_find(&reply, rollout.text);
    if (rc == 0 && pair) {
        rc = pointer_read(pair, &p, a->why);
    }
    if (rc == 0) {
        note_restored(a, reply.cluster, p.modified);
    }
    rc = rc ? rc : follow_pointer(a, &p, &reply);
    *out_revision = reply.revision;
    etcd_reply_free(&reply);
    return rc;
}

/* Follows the last event of the pointer. */
static int
follow_events(struct agent *a, struct etcd_reply *reply)
{
    const struct etcd_pair *last =
        reply->count ? &reply->list[reply->count - 1] : NULL;
    struct pointer p = {0};
    int rc = 0;

    if (last && last->value) {
        rc = pointer_read(last, &p, a->why);
    }
    if (rc == 0 && last) {
        a->modified = p.modified;
        rc = follow_pointer(a, &p, reply);
    }
    return rc;
}

/* Waits; reports whether the agent is to end. */
static bool
wait_ended(const struct agent_options *o, uint64_t wait_ns)
{
    struct pollfd fd = {.fd = o->signals, .events = POLLIN};
    struct timespec left = {.tv_sec = (time_t)(wait_ns / SECOND_NS),
                            .tv_nsec = (long)(wait_ns % SECOND_NS)};

    return ppoll(&fd, 1, &left, NULL) > 0;
}

/* Does what is due while nothing happens.  ETCD_NOTHING: look again, or end. */
static int
follow_stage(struct agent *a)
{
    int rc;

    if (wait_ended(a->o, 0) || clock_monotonic_ns() >= a->send_by_ns) {
        return ETCD_NOTHING;
    }
    stage_check(&a->stage, &a->record);
    rc = send_record(a);
    rc = rc ? rc
            : stage_act(&a->stage, a->etcd, a->o->setup, &a->record, a->why);
    etcd_rest(a->etcd);
    return rc;
}

/* Looks, then watches until it is time for a record or the watch ends.  0: look
 * again at once. */
static int
follow_once(struct agent *a)
{
    struct fleet_key key = fleet_key(a->o->setup->prefix, "rollout", NULL);
    struct etcd_reply reply;
    uint64_t revision;
    int rc = look(a, &revision);

    rc = rc ? rc : etcd_watch(a->etcd, key.text, revision + 1);
    if (rc == 0) {
        a->said[0] = '\0';
        etcd_rest(a->etcd);
    }
    while (rc == 0) {
        rc = etcd_watch_next(
            a->etcd, a->o->signals,
            smaller_ns(a->send_by_ns, stage_wake_ns(&a->stage)), &reply);
        if (rc == 0) {
            bool compacted = reply.compacted;

            rc = follow_events(a, &reply);
            etcd_reply_free(&reply);
            etcd_rest(a->etcd);
            if (compacted) {
                return rc;
            }
        } else if (rc == ETCD_NOTHING) {
            rc = follow_stage(a);
        } else {
            /* A watch that ends is usual: some proxies cut what is idle. */
            snprintf(a->why, sizeof(a->why), "%s",
                     rc == BIDE_ESYS ? "" : etcd_why(a->etcd));
        }
    }
    return rc == ETCD_NOTHING ? 0 : rc;
}

static int
follow_until_ended(struct agent *a)
{
    int rc = pace_begin(&a->pace);
    uint64_t wait_ns = 0;

    while (rc == 0 && !wait_ended(a->o, wait_ns)) {
        pace_start(&a->pace, clock_monotonic_ns());
        wait_ns = 0;
        if (follow_once(a)) {
            if (*a->why) {
                tell_failure(a, "fleet", a->why);
            }
            wait_ns =
                pace_wait_ns(&a->pace, clock_monotonic_ns(), host_draw_share());
        }
    }
    pace_end(&a->pace);
    return rc;
}

int
agent_run(const struct agent_options *o)
{
    struct agent a = {.o = o};
    struct record_fleet state = {0};
    uint64_t txn;
    int rc = etcd_open(o->setup, &a.etcd);

    if (rc == 0 && mirror_state(o->dir, &state, &txn, a.why) == 0) {
        a.cluster = state.cluster;
        a.modified = state.revision;
    }
    snprintf(a.record.host, sizeof(a.record.host), "%s", o->setup->name);
    snprintf(a.record.labels, sizeof(a.record.labels), "%s", o->setup->labels);
    snprintf(a.record.machine, sizeof(a.record.machine), "%s",
             o->setup->machine);
    snprintf(a.record.agent, sizeof(a.record.agent), "%s", o->version);
    snprintf(a.record.library, sizeof(a.record.library), "%s", bide_version());
    rc = rc ? rc : follow_until_ended(&a);
    stage_end(&a.stage);
    etcd_close(a.etcd);
    free(a.sent);
    return rc;
}
