#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "document.h"
#include "etcd.h"
#include "trial.h"

/* ---- what hosts have made of it ---- */

enum host_state
stage_state(const struct pointer *p, const struct host_record *r,
            bool *in_stage)
{
    uint32_t wanted = pointer_wants(p, r->host, r->machine, r->labels);

    *in_stage = wanted && wanted == p->release;
    if (!wanted) {
        return HOST_GOOD;
    }
    return r->release != wanted
               ? r->refused == wanted ? HOST_REFUSED : HOST_WAITING
           : r->broke == wanted && *in_stage ? HOST_BROKE
                                             : HOST_GOOD;
}

void
stage_count(struct stage_look *l, const struct pointer *p)
{
    l->in_stage = 0;
    l->broke = NULL;
    memset(l->state, 0, sizeof(l->state));
    for (size_t i = 0; i < l->count; i++) {
        bool in;
        enum host_state state = stage_state(p, &l->list[i], &in);

        l->in_stage += in;
        l->state[state] += in;
        l->broke = state == HOST_BROKE && !l->broke ? &l->list[i] : l->broke;
    }
}

/* Adds the host of a pair of LIST. */
static int
add_host(struct stage_look *l, const struct etcd_pair *pair, const char *name)
{
    struct host_record *r = array_add(&l->list, &l->count, sizeof(*r));

    if (r && host_record_read(pair->value, pair->length, r, r->fault)) {
        snprintf(r->host, sizeof(r->host), "%s", name);
    }
    return r ? 0 : BIDE_ENOMEM;
}

int
stage_look(struct etcd *e, const char *prefix, struct stage_look *out,
           char *why)
{
    struct fleet_key rollout = fleet_key(prefix, "rollout", NULL);
    struct fleet_key hosts = fleet_key(prefix, "host", "");
    struct etcd_step steps[] = {{.verb = ETCD_GET, .key = rollout.text},
                                {.verb = ETCD_LIST, .key = hosts.text}};
    size_t length = strlen(hosts.text);
    struct etcd_reply reply;
    int rc = etcd_do(e, steps, 2, &reply);

    *out = (struct stage_look){.count = 0};
    if (rc) {
        snprintf(why, DOCUMENT_WHY, "%s", etcd_why(e));
        return rc;
    }
    for (size_t i = 0; i < reply.count && rc == 0; i++) {
        const struct etcd_pair *pair = &reply.list[i];

        rc = strncmp(pair->key, hosts.text, length) == 0
                 ? add_host(out, pair, pair->key + length)
                 : pointer_read(pair, &out->pointer, why);
    }
    stage_count(out, &out->pointer);
    etcd_reply_free(&reply);
    return rc;
}

void
stage_look_end(struct stage_look *l)
{
    free(l->list);
    l->list = NULL;
}

/* ---- changes of the pointer ---- */

int
stage_percent(const char **text)
{
    char *end;
    unsigned long percent = strtoul(*text, &end, 10);

    if (!**text) {
        return 0;
    }
    if (**text < '0' || **text > '9' || percent < 1 || percent > 100) {
        return -1;
    }
    end += *end == '%';
    if (*end && (*end != ',' || !end[1])) {
        return -1;
    }
    *text = end + (*end == ',');
    return (int)percent;
}

static uint64_t
now_ms(void)
{
    return clock_realtime_ns() / 1000000;
}

void
stage_next(struct pointer *p)
{
    const char *rest = p->then;
    int percent = stage_percent(&rest);

    if (percent > 0) {
        p->percent = (uint32_t)percent;
        memmove(p->then, rest, strlen(rest) + 1);
    } else {
        p->then[0] = '\0'; /* written by hand, and wrong */
    }
    p->since_ms = now_ms();
}

void
stage_back(struct pointer *p)
{
    struct pointer back = {.release = p->before,
                           .percent = 100,
                           .since_ms = now_ms(),
                           .known = p->known,
                           .modified = p->modified};

    memcpy(back.by, p->by, sizeof(back.by));
    memcpy(back.note, p->note, sizeof(back.note));
    *p = back;
}

/* ---- the agent ---- */

/* Returns a random wait, so long that of all hosts about one ends it in a
 * second; of more than 1,000 hosts fewer: each then reads all records. */
static uint64_t
wait_turn_ns(const struct pointer *p)
{
    double hosts = p->known ? p->known : 1;
    double seconds = hosts > 1000 ? hosts / 1000 : 1;

    return (uint64_t)(host_draw_share() * hosts * seconds * (double)SECOND_NS);
}

void
stage_end(struct stage *s)
{
    trial_end(s->trial);
    s->trial = NULL;
}

/* Begins the trial of a release that this host has.  An agent that was started
 * again goes on with the rest of it. */
static void
begin_trial(struct stage *s, const char *dir, const struct host_record *r,
            bool applied)
{
    uint64_t now = clock_monotonic_ns(), passed_ms = now_ms() - r->since_ms;
    struct trial_rules rules;
    char why[TRIAL_WORDS];

    s->tried_ms = r->since_ms;
    if (applied || r->since_ms > now_ms()) {
        passed_ms = 0;
    }
    if (passed_ms < s->p.every_ms && trial_read(s->p.guard, &rules, why) == 0) {
        s->trial = trial_begin(dir, &rules, !applied);
        s->check_ns = now + SECOND_NS;
        s->end_ns = now + (s->p.every_ms - passed_ms) * 1000000;
    }
}

void
stage_follow(struct stage *s, const struct pointer *p, const char *dir,
             const struct host_record *r, bool applied)
{
    bool changed = p->modified != s->p.modified;
    bool on_trial = *p->guard && r->release && r->release == p->release &&
                    r->broke != r->release;

    s->p = *p;
    if (changed) {
        s->due_ns =
            *p->then && !p->paused
                ? clock_monotonic_ns() + p->every_ms * 1000000 + wait_turn_ns(p)
                : 0;
    }
    if (!on_trial || r->since_ms != s->tried_ms) {
        stage_end(s);
        s->tried_ms = 0;
    }
    if (on_trial && r->since_ms != s->tried_ms) {
        begin_trial(s, dir, r, applied);
    }
}

uint64_t
stage_wake_ns(const struct stage *s)
{
    return smaller_ns(s->trial ? s->check_ns : UINT64_MAX,
                      s->due_ns ? s->due_ns : UINT64_MAX);
}

void
stage_check(struct stage *s, struct host_record *r)
{
    uint64_t now = clock_monotonic_ns();

    if (!s->trial || now < s->check_ns) {
        return;
    }
    s->check_ns =
        now + SECOND_NS / 2 + (uint64_t)(host_draw_share() * (double)SECOND_NS);
    if (trial_fails(s->trial, r->figures)) {
        r->broke = r->release;
        stage_end(s);
    } else if (now >= s->end_ns) {
        stage_end(s);
    }
}

/* Goes back, or without a release before it waits for people. */
static void
give_up(struct pointer *p, const struct stage_look *l, const char *host)
{
    struct pointer old = *p;

    if (p->before) {
        stage_back(p);
    } else {
        p->paused = true;
    }
    snprintf(p->by, sizeof(p->by), "%s", host);
    snprintf(p->note, sizeof(p->note),
             "release %u broke %.60s (%zu of %zu hosts): %.64s: %.200s",
             old.release, old.guard, l->state[HOST_BROKE], l->in_stage,
             l->broke->host, l->broke->figures);
}

/* Begins the next stage or goes back, if the hosts say so. */
static int
decide(struct stage *s, struct etcd *e, const struct host_setup *h, bool due,
       struct stage_look *l, char *why)
{
    struct pointer *p = &l->pointer;
    int rc;

    if (p->modified != s->p.modified) {
        return 0; /* the watch will tell */
    }
    s->judged = p->modified;
    p->known = (uint32_t)l->count;
    if (due) {
        s->due_ns = clock_monotonic_ns() + SECOND_NS / 2 + wait_turn_ns(p);
    }
    if (l->state[HOST_BROKE] > p->tolerate && (p->before || !p->paused)) {
        give_up(p, l, h->name);
    } else if (due && l->in_stage - l->state[HOST_GOOD] <= p->tolerate) {
        stage_next(p);
    } else {
        return 0;
    }
    rc = pointer_swap(e, h->prefix, p, NULL, why);
    return rc == BIDE_EVERSION ? 0 : rc;
}

int
stage_act(struct stage *s, struct etcd *e, const struct host_setup *h,
          const struct host_record *r, char *why)
{
    bool broke = r->broke && r->broke == s->p.release &&
                 r->release == r->broke && s->judged != s->p.modified;
    bool due = s->due_ns && clock_monotonic_ns() >= s->due_ns;
    struct stage_look look;
    int rc = 0;

    if (broke || due) {
        rc = stage_look(e, h->prefix, &look, why);
        rc = rc ? rc : decide(s, e, h, due, &look, why);
        stage_look_end(&look);
    }
    return rc;
}
