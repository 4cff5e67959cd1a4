/* Layout of the state word, by bit numbers; those of the half-open state are in
 * breaker_probes.c:
 *
 * state   63.62 61....50 49......40 39....34 33......0
 *         state unused   round      growth   since      ms, modulo 2^34
 *
 * All zeros is a closed breaker.  "growth" counts how often a half-open breaker
 * has opened again; each time the open state lasts longer.  In the closed state
 * it is 1 while breaker_ramp holds a share of the calls back.  "round" counts
 * the half-open states.
 *
 * "since" of the first open state is also when the breaker left the closed
 * state; "left" keeps it before the state becomes half open.
 *
 * Example: opened at 5000 ms for the first time: state 1, round 0, growth 0,
 * since 5000, which is 0x4000000000001388. */
#include "breaker.h"

#include "breaker_probes.h"

enum { GROWTH_MAX = 63, RAMP_ONE = 1 << 16, RAMP_STEPS = 32 };

struct unpacked_state {
    enum breaker_state is;
    uint32_t round, growth;
    uint64_t since_ms;
};

static struct unpacked_state
unpack_state(uint64_t word)
{
    struct unpacked_state s = {
        (enum breaker_state)(word >> 62), round_of_state(word),
        (uint32_t)(word >> 34 & MASK(6)), word & MASK(34)};

    if (s.is > STATE_HALF_OPEN) {
        s.is = STATE_CLOSED; /* garbage */
    }
    return s;
}

static uint64_t
pack_state(const struct unpacked_state *s)
{
    return (uint64_t)s->is << 62 | (uint64_t)(s->round & MASK(10)) << 40 |
           (uint64_t)s->growth << 34 | (s->since_ms & MASK(34));
}

static bool
is_off(const struct breaker_rules *b, const struct guard *g)
{
    return !g || !g->breaker || !g->rings || b->mode != BREAKER_ON;
}

/* ---- open ---- */

static uint64_t
open_for_ns(const struct breaker_rules *b, uint32_t growth)
{
    double limit = (double)(b->open_max_ns > b->open_for_ns ? b->open_max_ns
                                                            : b->open_for_ns);
    double time = (double)b->open_for_ns;

    for (; growth && time < limit; growth--) {
        time *= b->open_factor;
    }
    return (uint64_t)(time < limit ? time : limit);
}

static uint64_t
open_until_ns(const struct breaker_rules *b, const struct unpacked_state *s,
              uint64_t now_ns)
{
    uint64_t now_ms = now_ns / MS;
    uint64_t age = age_ms(now_ns / MS, s->since_ms);
    uint64_t open_ns = open_for_ns(b, s->growth), before_ns;

    if (age <= now_ms) {
        return duration_add((now_ms - age) * MS, open_ns);
    }
    /* It opened before the clock began: the word is garbage. */
    before_ns = (age - now_ms) * MS;
    return open_ns > before_ns ? open_ns - before_ns : 0;
}

/* ---- changing the state ---- */

static void
record_transition(struct guard *g, enum breaker_state to)
{
    struct guard_rings *r = g->rings;
    uint64_t serial = atomic_fetch_add(&r->transitions, 1);
    struct transition *t = &r->transition[serial % TRANSITIONS];
    _Atomic uint64_t *times = to == STATE_OPEN     ? &r->opened
                              : to == STATE_CLOSED ? &r->closed
                                                   : &r->half_opened;

    atomic_fetch_add(times, 1);
    atomic_store(&t->to_and_serial, 0);
    atomic_store(&t->realtime_ns, g->realtime_ns);
    atomic_store(&t->to_and_serial, (serial + 1) << 2 | (uint64_t)to);
    g->turned++;
}

/* Changes the state word from `old`.  Returns false if it is no longer `old`:
 * of several processes that see the same reason, one changes the state. */
static bool
change_state(struct guard *g, uint64_t old, enum breaker_state to,
             uint32_t growth, uint64_t now_ns)
{
    struct unpacked_state s = unpack_state(old);
    uint64_t fresh, since_ms = s.since_ms;

    s.is = to;
    s.growth = growth > GROWTH_MAX ? GROWTH_MAX : growth;
    s.since_ms = now_ns / MS;
    if (to == STATE_HALF_OPEN) {
        s.round++;
    }
    fresh = pack_state(&s);
    if (to == STATE_HALF_OPEN && load_state_word(g->breaker) == old) {
        if (s.growth == 0) {
            atomic_store(&g->breaker->left, since_ms);
        }
        probes_clear(g, fresh); /* the word may be garbage */
    }
    if (!atomic_compare_exchange_strong(&g->breaker->state, &old, fresh)) {
        return false;
    }
    record_transition(g, to);
    return true;
}

/* Discards everything counted until now: later windows start from here. */
static void
discard_counts(struct guard *g)
{
    struct slice *base = &g->rings->base;
    struct tally t;

    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        atomic_store_explicit(&g->rings->process[i], 0, memory_order_relaxed);
    }

    g->tally(g->arg, &t);
    for (uint32_t i = 0; i < TOTALS; i++) {
        atomic_store(&base->total[i], t.total[i]);
    }
    atomic_store(&base->number, atomic_load(&g->breaker->calls));
    atomic_store(&g->breaker->run, 0);
    atomic_store(&g->breaker->watched, 0);
}

/* Closes the breaker.  Counts are discarded before the state changes, because a
 * process that sees it closed must not count the failures that opened it.  The
 * state is checked before that, because a late process must not discard what
 * was counted since. */
static bool
close_breaker(const struct breaker_rules *b, struct guard *g, uint64_t old,
              uint64_t now_ns)
{
    bool ramp = b && b->ramp_ns > 0;

    if (load_state_word(g->breaker) != old) {
        return false;
    }
    discard_counts(g);
    atomic_store(&g->breaker->ramp, ramp ? b->probes * RAMP_ONE : 0);
    return change_state(g, old, STATE_CLOSED, ramp, now_ns);
}

/* ---- admitting attempts ---- */

/* Closes or opens a half-open breaker if its reports require that.  Returns
 * true if it did, or if another process was faster. */
static bool
decide_half_open(const struct breaker_rules *b, struct guard *g, uint64_t word,
                 uint64_t now_ns)
{
    switch (probes_decide(b, g, word)) {
    case STATE_OPEN:
        change_state(g, word, STATE_OPEN, unpack_state(word).growth + 1,
                     now_ns);
        return true;
    case STATE_CLOSED:
        close_breaker(b, g, word, now_ns);
        return true;
    default:
        return false;
    }
}

double
breaker_held(const struct breaker_rules *b, const struct breaker_words *w,
             uint64_t now_ns)
{
    struct unpacked_state s = unpack_state(load_state_word(w));
    uint64_t age_ns = age_ms(now_ns / MS, s.since_ms) * MS;

    return s.is != STATE_CLOSED || s.growth == 0 || age_ns >= b->ramp_ns
               ? 0
               : 1 - (double)age_ns / (double)b->ramp_ns;
}

/* Lets out the share of the calls that breaker_ramp allows by now: each call
 * adds the share to a sum, and one that completes a whole goes.  At the end the
 * state word becomes that of a breaker without a ramp. */
static bool
ramp_admits(const struct breaker_rules *b, struct breaker_words *w,
            uint64_t word, uint64_t now_ns, uint64_t *out_until_ns)
{
    uint64_t share =
        (uint64_t)((1 - breaker_held(b, w, now_ns)) * RAMP_ONE + 0.5);
    uint64_t seen = atomic_load(&w->ramp), sum;

    if (share >= RAMP_ONE) {
        atomic_compare_exchange_strong(&w->state, &word, word & ~BREAKER_HOLDS);
        return true;
    }
    do { /* more than the probes is garbage */
        sum = seen <= PROBES_MAX * RAMP_ONE ? seen + share : share;
    } while (!atomic_compare_exchange_weak(
        &w->ramp, &seen, sum >= RAMP_ONE ? sum - RAMP_ONE : sum));
    *out_until_ns = duration_add(now_ns, b->ramp_ns / RAMP_STEPS + MS);
    return sum >= RAMP_ONE;
}

bool
breaker_admit(const struct breaker_rules *b, struct guard *g, uint64_t now_ns,
              struct probe *out_probe, uint64_t *out_until_ns)
{
    uint64_t word;
    struct unpacked_state s;

    *out_probe = (struct probe){0};
    *out_until_ns = DURATION_NONE;
    if (b->mode == BREAKER_OPEN) {
        return false;
    }
    if (is_off(b, g)) {
        return true;
    }
    for (;;) {
        word = load_state_word(g->breaker);
        s = unpack_state(word);
        if (s.is == STATE_CLOSED) {
            return s.growth == 0 ||
                   ramp_admits(b, g->breaker, word, now_ns, out_until_ns);
        }
        if (s.is == STATE_OPEN) {
            *out_until_ns = open_until_ns(b, &s, now_ns);
            if (now_ns < *out_until_ns) {
                return false;
            }
            *out_until_ns = DURATION_NONE;
            change_state(g, word, STATE_HALF_OPEN, s.growth, now_ns);
        } else if (!decide_half_open(b, g, word, now_ns)) {
            /* Asked here too: the process that reported last may have been
             * killed before it decided, or the rules may have changed. */
            return probes_claim(b, g, word, now_ns, out_probe);
        }
    }
}

bool
breaker_still_open(const struct breaker_rules *b, const struct guard *g,
                   uint64_t now_ns, uint64_t then_ns)
{
    struct unpacked_state s;

    if (b->mode == BREAKER_OPEN) {
        return true;
    }
    if (is_off(b, g)) {
        return false;
    }
    s = unpack_state(load_state_word(g->breaker));
    return s.is == STATE_OPEN && then_ns < open_until_ns(b, &s, now_ns);
}

bool
breaker_is_closed(const struct breaker_rules *b, const struct guard *g)
{
    return b->mode != BREAKER_OPEN &&
           (is_off(b, g) ||
            unpack_state(load_state_word(g->breaker)).is == STATE_CLOSED);
}

/* ---- closed: the window ---- */

/* Records that this process saw a failure now, in place of the process with the
 * oldest failure if there is no free entry. */
static void
record_failed_process(const struct guard *g, uint64_t now_ns)
{
    uint64_t mine = (uint64_t)g->self.id << 34 | (now_ns / MS & MASK(34));
    uint64_t oldest = 0;
    uint32_t place = 0;

    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        uint64_t entry =
            atomic_load_explicit(&g->rings->process[i], memory_order_relaxed);

        if ((entry ^ mine) >> 34 == 0 || entry == 0) {
            place = i;
            break;
        }
        if (age_ms(now_ns / MS, entry) > oldest) {
            oldest = age_ms(now_ns / MS, entry);
            place = i;
        }
    }
    atomic_store_explicit(&g->rings->process[place], mine,
                          memory_order_relaxed);
}

/* Reports whether breaker_min_processes processes saw a failure within the
 * window. */
static bool
enough_processes(const struct breaker_rules *b, const struct guard *g,
                 uint64_t now_ns)
{
    uint64_t window_ms = b->window.calls ? MASK(33) : b->window.ns / MS;
    uint32_t n = 0;

    if (b->min_processes <= 1) {
        return true;
    }
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        uint64_t entry =
            atomic_load_explicit(&g->rings->process[i], memory_order_relaxed);

        n += entry && age_ms(now_ns / MS, entry) <= window_ms;
    }
    return n >= b->min_processes;
}

static struct tally
tally_last_calls(const struct breaker_rules *b, const struct guard *g)
{
    uint64_t end = atomic_load(&g->breaker->calls);
    uint64_t base = atomic_load(&g->rings->base.number);
    uint64_t count = b->window.calls;

    if (base <= end && count > end - base) {
        count = end - base; /* only those since the breaker last closed */
    }
    return window_of_calls(g->rings, end, count);
}

static struct tally
tally_last_time(const struct breaker_rules *b, const struct guard *g,
                uint64_t now_ns)
{
    const struct slice *base = &g->rings->base;
    struct tally now, since, closed;

    g->tally(g->arg, &now);
    since = window_since(&g->rings->breaker, b->window.ns, now_ns, &now);
    for (uint32_t i = 0; i < TOTALS; i++) {
        closed.total[i] = atomic_load(&base->total[i]);
    }
    if (closed.answers > now.answers) {
        return since; /* garbage */
    }
    closed = tally_minus(&now, &closed);
    return closed.answers < since.answers ? closed : since;
}

/* Opens a closed breaker if a rate or the failures in a row require it. */
static void
decide_closed(const struct breaker_rules *b, struct guard *g, uint64_t word,
              uint64_t now_ns)
{
    uint32_t run = atomic_load(&g->breaker->run);
    struct tally t = b->window.calls ? tally_last_calls(b, g)
                                     : tally_last_time(b, g, now_ns);
    uint32_t enough = b->window.calls && b->window.calls < b->min_calls
                          ? b->window.calls
                          : b->min_calls;
    bool rates = t.answers >= enough &&
                 (reaches_rate(t.failed, t.answers, b->failure_rate) ||
                  (b->slow_after_ns != DURATION_NONE &&
                   reaches_rate(t.slow, t.answers, b->slow_rate)));

    if ((rates || run >= b->consecutive) && enough_processes(b, g, now_ns)) {
        change_state(g, word, STATE_OPEN, 0, now_ns);
    } else if (b->judge == JUDGE_ALWAYS) {
        /* With enough calls in the window, a success raises no rate, so it is
         * judged again only at the next failure or the next slice of the
         * window. */
        atomic_store(&g->breaker->watched,
                     (t.failed || t.slow) && t.answers < enough);
    }
}

void
breaker_report(const struct breaker_rules *b, struct guard *g, bool failed,
               uint64_t took_ns, struct probe probe, uint64_t now_ns)
{
    bool slow;
    uint64_t word;

    if (is_off(b, g)) {
        return;
    }
    slow = b->slow_after_ns != DURATION_NONE && took_ns > b->slow_after_ns;
    if (failed) {
        atomic_fetch_add(&g->breaker->run, 1);
        record_failed_process(g, now_ns);
    } else if (atomic_load(&g->breaker->run)) {
        atomic_store(&g->breaker->run, 0);
    }
    if (b->window.calls) {
        window_keep_call(g->rings, atomic_fetch_add(&g->breaker->calls, 1),
                         failed, slow);
    }
    word = load_state_word(g->breaker);
    switch (unpack_state(word).is) {
    case STATE_CLOSED:
        if (failed || b->judge == JUDGE_ALWAYS) {
            decide_closed(b, g, word, now_ns);
        }
        break;
    case STATE_HALF_OPEN:
        probes_report(g, word, failed, slow, probe);
        decide_half_open(b, g, word, now_ns);
        break;
    default:
        break; /* admitted before it opened */
    }
}

/* ---- reading the state ---- */

enum breaker_state
breaker_look(const struct breaker_rules *b, const struct breaker_words *w,
             uint64_t now_ns, uint64_t *out_until_ns)
{
    struct unpacked_state s = unpack_state(load_state_word(w));

    *out_until_ns = 0;
    if (s.is == STATE_OPEN) {
        *out_until_ns = open_until_ns(b, &s, now_ns);
        if (*out_until_ns <= now_ns) {
            *out_until_ns = 0;
            return STATE_HALF_OPEN;
        }
    }
    return s.is;
}

uint64_t
breaker_left_ns(const struct breaker_words *w, uint64_t now_ns)
{
    struct unpacked_state s = unpack_state(load_state_word(w));
    bool first = s.is == STATE_OPEN && s.growth == 0;

    return age_ms(now_ns / MS, first ? s.since_ms : atomic_load(&w->left)) * MS;
}

bool
breaker_is_sound(const struct breaker_words *w, uint64_t now_ns)
{
    uint64_t word = load_state_word(w);
    struct unpacked_state s = unpack_state(word);

    return word >> 62 <= STATE_HALF_OPEN && (word >> 50 & MASK(12)) == 0 &&
           (s.is != STATE_OPEN ||
            age_ms(now_ns / MS, s.since_ms) <= MASK(34) / 2);
}

void
breaker_reset(struct guard *g, uint64_t now_ns)
{
    uint64_t word;

    do {
        word = load_state_word(g->breaker);
        if (unpack_state(word).is == STATE_CLOSED &&
            breaker_is_sound(g->breaker, now_ns)) {
            discard_counts(g);
            return;
        }
    } while (!close_breaker(NULL, g, word, now_ns));
}

void
breaker_follow(const struct breaker_rules *b, struct guard *g, uint64_t now_ns)
{
    enum { USE_UNKNOWN, USE_OFF, USE_TIME, USE_CALLS } use = USE_OFF;
    uint64_t old = atomic_load(&g->breaker->use);

    if (b && b->mode == BREAKER_ON) {
        use = b->window.calls ? USE_CALLS : USE_TIME;
    }
    if (old == use) {
        return;
    }
    /* Reset before the word changes: if this process is killed in between, the
     * next one does both. */
    if (use != USE_OFF && old != USE_UNKNOWN && g->rings) {
        if (old == USE_OFF) {
            breaker_reset(g, now_ns);
        } else {
            discard_counts(g);
        }
    }
    atomic_compare_exchange_strong(&g->breaker->use, &old, use);
}

bool
breaker_transition(const struct guard_rings *r, uint32_t number,
                   enum breaker_state *out_to, uint64_t *out_realtime_ns)
{
    uint64_t serial = atomic_load(&r->transitions), word;
    const struct transition *t;

    if (number >= TRANSITIONS || number >= serial) {
        return false;
    }
    serial -= number + 1;
    t = &r->transition[serial % TRANSITIONS];
    word = atomic_load(&t->to_and_serial);
    if (word >> 2 != ((serial + 1) & MASK(62)) || (word & 3) > 2) {
        return false; /* being written */
    }
    *out_to = (enum breaker_state)(word & 3);
    *out_realtime_ns = atomic_load(&t->realtime_ns);
    return atomic_load(&t->to_and_serial) == word; /* else overwritten */
}
