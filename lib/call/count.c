/* Adds calls and attempts to the counters of the live state. */
#include "count.h"

#include <sched.h>
#include <sys/rseq.h>

/* Returns the CPU that this thread runs on.  The thread may move at any moment:
 * then two CPUs share a stripe once, which costs only time. */
static inline uint32_t
this_cpu(void)
{
    const struct rseq *r =
        (const struct rseq *)((const char *)__builtin_thread_pointer() +
                              __rseq_offset);
    uint32_t cpu;

    if (__builtin_expect(__rseq_size == 0, 0)) {
        int got = sched_getcpu();

        return got < 0 ? 0 : (uint32_t)got;
    }
    cpu = *(const volatile uint32_t *)&r->cpu_id;
    return (int32_t)cpu < 0 ? 0 : cpu;
}

/* Returns the stripe of this CPU; never NULL. */
static inline struct stripe *
current_stripe(struct bide_policy *p)
{
    uint32_t i = this_cpu() & load_relaxed(&p->stripe_mask) & (STRIPE_MAX - 1);
    struct stripe *s = load_acquire(&p->stripe[i]);

    return __builtin_expect(s != NULL, 1) ? s : attach_stripe(p, i);
}

void
count_attempt(struct bide_policy *p, bool succeeded, uint64_t took_ns)
{
    struct stripe *s = current_stripe(p);
    _Atomic uint64_t *histogram = succeeded ? s->succeeded : s->failed;

    add_relaxed(&histogram[histogram_bucket(took_ns)], 1);
}

/* Returns where whole calls are counted; NULL: there is no space. */
static struct whole_calls *
current_calls(struct bide_policy *p)
{
    const struct home *h = load_acquire(&p->home);

    return cell_calls(h->live, h->index);
}

void
count_again(struct bide_policy *p, uint64_t took_ns)
{
    struct whole_calls *calls = current_calls(p);

    if (calls) {
        add_relaxed(&calls->again[histogram_bucket(took_ns)], 1);
    } else {
        count_attempt(p, true, took_ns);
    }
}

/* Counts the latency and attempts of a whole call. */
static void
count_whole(struct bide_policy *p, const struct machine *m, uint64_t now_ns)
{
    struct whole_calls *calls = current_calls(p);

    if (!calls) {
        return;
    }
    add_relaxed(&calls->took[histogram_bucket(now_ns - m->begun_ns)], 1);
    if (m->attempts > 1) {
        add_relaxed(&calls->attempts[attempts_group(m->attempts)], 1);
    }
}

void
count_add(struct bide_policy *p, enum counter which, uint64_t by)
{
    add_relaxed(&current_stripe(p)->counter[which], by);
}

void
count_failure(struct bide_policy *p, struct bide_outcome o)
{
    const struct home *h = load_acquire(&p->home);
    uint32_t classes = outcome_classes(o);
    enum counter which = COUNTER_PERMANENT;

    if (classes & OUTCOME_CONNECT) {
        which = COUNTER_CONNECT;
    } else if (classes & OUTCOME_TIMEOUT) {
        which = COUNTER_TIMEOUT;
    } else if (classes & OUTCOME_THROTTLE) {
        which = COUNTER_THROTTLE;
    } else if (classes & OUTCOME_TRANSIENT) {
        which = COUNTER_TRANSIENT;
    }
    count_add(p, which, 1);
    cell_count_outcome(h->live, h->index, o);
}

void
count_verdict(struct bide_policy *p, const struct machine *m, uint64_t now_ns)
{
    static const enum counter without_end[] = {
        [BIDE_REFUSED] = COUNTER_REFUSED,
        [BIDE_REJECTED] = COUNTER_REJECTED,
        [BIDE_CANCELLED] = COUNTER_CANCELLED,
    };
    static const enum counter exhausted[] = {
        [BIDE_END_NONE] = COUNTER_ABORTED,
        [BIDE_END_ABORTED] = COUNTER_ABORTED,
        [BIDE_END_DEFERRED] = COUNTER_DEFERRED,
        [BIDE_END_DROPPED] = COUNTER_DROPPED,
        [BIDE_END_NOT_STORED] = COUNTER_ABORTED,
    };

    if (machine_number(m) > (m->verdict == BIDE_SUCCEEDED)) {
        count_whole(p, m, now_ns);
    }
    if (m->end == BIDE_END_NOT_STORED) {
        count_add(p, COUNTER_NOT_STORED, 1);
    }
    if (m->reason >= BIDE_BY_LIMIT && m->reason <= BIDE_BY_HINT) {
        count_add(p, COUNTER_BY_LIMIT + (m->reason - BIDE_BY_LIMIT), 1);
    }
    if (m->verdict == BIDE_EXHAUSTED) {
        count_add(p, exhausted[m->end], 1);
    } else if (m->verdict != BIDE_SUCCEEDED) {
        count_add(p, without_end[m->verdict], 1);
    } else if (machine_number(m) > 1) {
        count_add(p, COUNTER_RECOVERED, 1);
    }
}
