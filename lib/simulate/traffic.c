/* A discrete-event loop.  At the same instant, attempts that end come first,
 * then retries, then calls that begin, each in the order in which the calls
 * began. */
#include "traffic.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "rule/draw.h"
#include "rule/machine.h"
#include "queue.h"
#include "virtual.h"

struct traffic_call {
    struct machine m;
    uint64_t number; /* from 1 on; 0: free */
    bool in_attempt;
    bool fails, times_out;       /* the attempt in progress */
    struct bide_outcome failure; /* its outcome if it fails */
    uint64_t begun_ns;           /* its start */
    uint32_t next_free;
};

struct traffic_stream {
    const struct policy *p;
    const struct traffic *t;
    struct traffic_report *out;
    struct virtual_guard shared;
    struct traffic_call *running;
    uint32_t room, live, first_free; /* UINT32_MAX: none is free */
    struct queue due;
    uint64_t now_ns;
    uint64_t next_ns;           /* when the next call begins */
    size_t period, next_period; /* of the profile: now, and of the next call */
    uint64_t next_in_period;    /* number of the next call in its period */
    const char *why;
};

/* ---- draws ---- */

enum draw { DRAW_FAILS, DRAW_TAKES, DRAW_WAIT, DRAW_SPREAD, DRAW_OUTCOME };

/* Returns a draw for an attempt, 0 <= u < 1, which does not depend on the
 * rules. */
static double
draw_for_attempt(const struct traffic_stream *s, const struct traffic_call *r,
                 enum draw what)
{
    uint64_t call = draw_bits(s->t->seed, r->number, 0);

    return draw_unit(draw_bits(call, r->m.attempts, what));
}

/* Returns -ln(1 - u) for 0 <= u < 1, which is distributed exponentially with
 * mean 1.  It uses the series of the area hyperbolic tangent, because the last
 * bit of log() differs between C libraries. */
static double
draw_exponential(double u)
{
    int power;
    double x = frexp(1 - u, &power), z, sum = 0;

    if (x < M_SQRT1_2) {
        x *= 2;
        power--;
    }
    z = (x - 1) / (x + 1);
    for (int k = 23; k > 0; k -= 2) {
        sum = sum * (z * z) + 1.0 / k;
    }
    return -(2 * z * sum + power * M_LN2);
}

static uint64_t
draw_time(const struct traffic_time *t, double u)
{
    switch (t->form) {
    case TRAFFIC_BETWEEN:
        return t->ns + (uint64_t)(u * (double)(t->to_ns - t->ns));
    case TRAFFIC_EXPONENTIAL:
        return (uint64_t)(draw_exponential(u) * (double)t->ns);
    default:
        return t->ns;
    }
}

static double
failure_share_at(const struct traffic *t, uint64_t now_ns)
{
    int i = 0;

    while (i < TRAFFIC_SHARES - 1 && now_ns >= t->fail[i].until_ns) {
        i++;
    }
    return t->fail[i].share;
}

static const struct profile_period *
current_period(struct traffic_stream *s)
{
    const struct profile *p = s->t->profile;

    while (s->period + 1 < p->count &&
           s->now_ns >= p->period[s->period].end_ns) {
        s->period++;
    }
    return &p->period[s->period];
}

/* Draws the outcome of the attempt that starts now, and returns its
 * duration. */
static uint64_t
draw_attempt(struct traffic_stream *s, struct traffic_call *r)
{
    double fails = draw_for_attempt(s, r, DRAW_FAILS),
           takes = draw_for_attempt(s, r, DRAW_TAKES);
    const struct profile_period *p;

    r->failure = s->t->failure;
    if (!s->t->profile) {
        r->fails = fails < failure_share_at(s->t, s->now_ns);
        return draw_time(r->fails ? &s->t->failure_takes : &s->t->success_takes,
                         takes);
    }
    p = current_period(s);
    r->fails = fails < (r->m.attempts > 1 ? p->retry_fails : p->first_fails);
    if (r->fails) {
        r->failure = profile_outcome(p, draw_for_attempt(s, r, DRAW_OUTCOME),
                                     s->t->failure);
    }
    return profile_time(r->fails ? &p->failed : &p->succeeded, takes);
}

/* ---- the report ---- */

static struct traffic_slice *
current_slice(const struct traffic_stream *s)
{
    uint64_t i = s->now_ns / s->out->slice_ns;

    return &s->out->slice[i < TRAFFIC_SLICES_ALL ? i : TRAFFIC_SLICES_ALL - 1];
}

static void
report_end(struct traffic_stream *s, const struct machine *m)
{
    struct traffic_report *out = s->out;
    struct traffic_slice *slice = current_slice(s);

    out->verdict[m->verdict]++;
    traffic_add_time(&out->answer, s->now_ns - m->begun_ns);
    if (m->verdict == BIDE_SUCCEEDED) {
        slice->succeeded++;
        out->recovered += m->attempts > 1;
        return;
    }
    slice->failed += m->verdict == BIDE_EXHAUSTED || m->verdict == BIDE_REFUSED;
    slice->refused += m->verdict == BIDE_REFUSED;
    if (m->verdict == BIDE_EXHAUSTED) {
        bool refused =
            m->reason == BIDE_BY_BUDGET || m->reason == BIDE_BY_BREAKER;

        out->exhausted[m->reason]++;
        out->retries_refused += refused;
        slice->retries_refused += refused;
    }
}

/* ---- running calls ---- */

static int
grow_calls(struct traffic_stream *s)
{
    uint32_t room = s->room ? 2 * s->room : 1024;
    struct traffic_call *grown;

    if (s->room >= TRAFFIC_AT_ONCE_MAX) {
        s->why = "more than 1,000,000 calls would run at once";
        return BIDE_EINPUT;
    }
    grown = realloc(s->running, room * sizeof(*grown));
    if (!grown) {
        return BIDE_ENOMEM;
    }
    s->running = grown;
    for (uint32_t i = room; i > s->room; i--) {
        grown[i - 1].number = 0;
        grown[i - 1].next_free = s->first_free;
        s->first_free = i - 1;
    }
    s->room = room;
    return queue_grow(&s->due, room);
}

static void
end_call(struct traffic_stream *s, struct traffic_call *r)
{
    report_end(s, &r->m);
    r->number = 0;
    r->next_free = s->first_free;
    s->first_free = (uint32_t)(r - s->running);
    s->live--;
}

static void
schedule_call(struct traffic_stream *s, const struct traffic_call *r,
              uint64_t due_ns)
{
    uint64_t after_attempts = r->in_attempt ? 0 : UINT64_MAX / 2;

    queue_put(&s->due, (uint32_t)(r - s->running), due_ns,
              after_attempts + r->number);
}

static int
start_attempt(struct traffic_stream *s, struct traffic_call *r)
{
    uint64_t limit = machine_limit_ns(&r->m, s->p, s->now_ns), takes;

    if (s->out->attempts == TRAFFIC_ATTEMPTS_MAX) {
        s->why = "more than 50,000,000 attempts would be made";
        return BIDE_EINPUT;
    }
    machine_started(&r->m, s->now_ns);
    s->out->attempts++;
    current_slice(s)->attempts++;
    r->in_attempt = true;
    r->begun_ns = s->now_ns;
    takes = draw_attempt(s, r);
    r->times_out = takes > limit;
    schedule_call(s, r, duration_add(s->now_ns, r->times_out ? limit : takes));
    return 0;
}

static int
after_decision(struct traffic_stream *s, struct traffic_call *r)
{
    if (r->m.state == MACHINE_GO) {
        return start_attempt(s, r);
    }
    if (r->m.state == MACHINE_WAIT) {
        schedule_call(s, r,
                      r->m.wake_ns > s->now_ns ? r->m.wake_ns : s->now_ns);
    } else {
        end_call(s, r);
    }
    return 0;
}

/* Returns the guard, with the call as one of 16 processes. */
static struct guard *
guard_of_call(struct traffic_stream *s, const struct traffic_call *r)
{
    s->shared.guard.self.id = (uint32_t)(r->number % PROCESSES_MAX) + 1;
    return &s->shared.guard;
}

static void
end_attempt(struct traffic_stream *s, struct traffic_call *r)
{
    struct bide_outcome o = r->times_out ? bide_errno(ETIMEDOUT)
                            : r->fails   ? r->failure
                                         : bide_ok();

    r->in_attempt = false;
    traffic_add_time(&s->out->took, s->now_ns - r->begun_ns);
    s->out->attempts_failed += r->times_out || r->fails;
    s->out->timed_out += r->times_out;
    machine_ended(&r->m, s->p, guard_of_call(s, r), o, s->now_ns,
                  draw_for_attempt(s, r, DRAW_WAIT),
                  draw_for_attempt(s, r, DRAW_SPREAD));
}

static int
advance_call(struct traffic_stream *s, struct traffic_call *r)
{
    queue_take(&s->due, (uint32_t)(r - s->running));
    if (r->in_attempt) {
        end_attempt(s, r);
    } else {
        machine_due(&r->m, s->p, guard_of_call(s, r), s->now_ns);
    }
    return after_decision(s, r);
}

/* Decides all waiting calls again, after the breaker has changed its state. */
static int
decide_waiting_calls(struct traffic_stream *s)
{
    int rc = 0;

    for (uint32_t i = 0; i < s->room && rc == 0; i++) {
        struct traffic_call *r = &s->running[i];

        if (r->number == 0 || r->in_attempt) {
            continue;
        }
        queue_take(&s->due, i);
        machine_changed(&r->m, s->p, &s->shared.guard, s->now_ns);
        rc = after_decision(s, r);
    }
    return rc;
}

/* ---- calls begin ---- */

/* Plans the next recorded call: the n-th of N calls of a period begins at a
 * random time in the n-th of N equal parts of that period. */
static void
plan_recorded(struct traffic_stream *s)
{
    const struct profile *p = s->t->profile;
    const struct profile_period *at;
    double u = draw_unit(draw_bits(s->t->seed, s->out->calls + 1, 1));

    while (s->next_period < p->count &&
           s->next_in_period >= p->period[s->next_period].calls) {
        s->next_period++;
        s->next_in_period = 0;
    }
    if (s->next_period == p->count) {
        s->next_ns = UINT64_MAX;
        return;
    }
    at = &p->period[s->next_period];
    s->next_ns = at->begin_ns + (uint64_t)(((double)s->next_in_period + u) /
                                           (double)at->calls *
                                           (double)(at->end_ns - at->begin_ns));
    s->next_in_period++;
}

static void
plan_next(struct traffic_stream *s)
{
    double gap_ns = s->t->profile ? 0 : 1e9 / s->t->calls_per_s;
    uint64_t number = s->out->calls; /* of calls begun */

    if (s->t->profile) {
        plan_recorded(s);
    } else if (s->t->even) {
        s->next_ns = (uint64_t)((double)number * gap_ns + 0.5);
    } else {
        double u = draw_unit(draw_bits(s->t->seed, number + 1, 1));

        s->next_ns += (uint64_t)(draw_exponential(u) * gap_ns);
    }
}

static int
begin_call(struct traffic_stream *s)
{
    struct traffic_call *r;
    int rc = s->first_free == UINT32_MAX ? grow_calls(s) : 0;

    if (rc) {
        return rc;
    }
    r = &s->running[s->first_free];
    s->first_free = r->next_free;
    s->live++;
    s->out->calls++;
    current_slice(s)->calls++;
    r->number = s->out->calls;
    r->in_attempt = false;
    plan_next(s);
    machine_begin(&r->m, s->p, guard_of_call(s, r), s->now_ns);
    return after_decision(s, r);
}

/* ---- the loop ---- */

static int
run_stream(struct traffic_stream *s)
{
    uint64_t for_ns = s->t->for_ns;
    int rc = 0;

    plan_next(s);
    while (rc == 0) {
        const struct queue_entry *due = queue_first(&s->due);
        bool begins = s->next_ns < for_ns && (!due || s->next_ns < due->due_ns);

        if (!begins && (!due || due->due_ns > 2 * for_ns)) {
            break;
        }
        s->now_ns = begins ? s->next_ns : due->due_ns;
        rc = begins ? begin_call(s) : advance_call(s, &s->running[due->thing]);
        if (rc == 0 && s->shared.guard.turned) {
            s->shared.guard.turned = 0;
            rc = decide_waiting_calls(s);
        }
    }
    return rc;
}

static double
expected_calls(const struct traffic *t)
{
    double calls = 0;

    if (!t->profile) {
        return t->calls_per_s * (double)t->for_ns / 1e9;
    }
    for (size_t i = 0; i < t->profile->count; i++) {
        calls += (double)t->profile->period[i].calls;
    }
    return calls;
}

int
traffic_run(const struct policy *p, const struct traffic *t,
            struct traffic_report *out, const char **out_why)
{
    struct traffic_report report = {
        .slice_ns = (t->for_ns + TRAFFIC_SLICES - 1) / TRAFFIC_SLICES,
    };
    struct traffic_stream s = {
        .p = p, .t = t, .out = &report, .first_free = UINT32_MAX};
    int rc = BIDE_EINPUT;

    if (expected_calls(t) > TRAFFIC_CALLS_MAX) {
        s.why = "more than 100,000,000 calls would begin";
    } else {
        virtual_begin(&s.shared, p);
        rc = run_stream(&s);
    }
    report.unfinished = s.live;
    report.breaker_opened = atomic_load(&s.shared.rings.opened);
    free(s.running);
    queue_free(&s.due);
    if (rc == 0) {
        *out = report;
    } else if (rc == BIDE_EINPUT) {
        *out_why = s.why;
    }
    return rc;
}

/* ---- the default failure ---- */

static bool
is_retried(const struct policy *p, struct bide_outcome o)
{
    return machine_classify(p, o) == KIND_RETRY;
}

struct bide_outcome
traffic_failure(const struct policy *p)
{
    struct bide_outcome usual = bide_http(503, NULL), o = usual;
    const struct outcome_row *row;

    for (uint32_t i = 0; i < p->retry_on.count && !is_retried(p, o); i++) {
        o.domain = p->retry_on.ranges[i].domain;
        o.code = p->retry_on.ranges[i].low;
    }
    for (size_t i = 0; (row = outcome_row(i)) && !is_retried(p, o); i++) {
        o.domain = row->domain;
        o.code = row->code;
    }
    return is_retried(p, o) ? o : usual;
}
