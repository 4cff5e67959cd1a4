/* The half-open state.  Its reports are added up in one word, its places are
 * words of their own.  A place only limits how many attempts are let out: the
 * report of a probe counts whether or not its place was taken since.
 *
 * round   63....54 53....48 47..42 41..36 35...........0
 *         round    reported failed slow   unused
 * longest 63....54 53...........24 23..................0
 *         round    limit           check         limit: ms
 * probe   63.62 61.......52 51.......30 29......0
 *         what  round       process     until            ms, modulo 2^30
 * holder  63.......42 41.......10 9..............0
 *         pid         space       of `process`
 *
 * "limit" is the longest probe_timeout under which a probe of the round was let
 * out; the check tells it from garbage.  A place with more time left is
 * garbage.
 *
 * "process" is an id; "pid" and "space" tell where that process is found.  They
 * are written after the place is taken, and belong to it if they have the same
 * bits of the id.
 *
 * A probe is counted before its place is marked.  If its process is killed in
 * between, no report is lost, and one more probe is let out.
 *
 * Example: in round 5, one of two probes let out at 1000 ms with a timeout of
 * 10 s by process 77 has reported a failure: round 0x0141040000000000, places
 * 0x4050001340000000 (what 1: reported) and 0x0050001340002af8. */
#include "breaker_probes.h"

enum probe_what { PROBE_OUT, PROBE_REPORTED };
enum { REPORTS_MAX = 63 };

struct reports {
    uint32_t round, reported, failed, slow;
};

/* Returns the reports of a round; none if `word` is of another round. */
static struct reports
unpack_reports(uint64_t word, uint32_t round)
{
    if (word >> 54 != round) {
        return (struct reports){.round = round};
    }
    return (struct reports){round, (uint32_t)(word >> 48 & MASK(6)),
                            (uint32_t)(word >> 42 & MASK(6)),
                            (uint32_t)(word >> 36 & MASK(6))};
}

/* Adds one report to a round. */
static uint64_t
add_report(uint64_t word, uint32_t round, bool failed, bool slow)
{
    struct reports r = unpack_reports(word, round);

    if (r.reported < REPORTS_MAX) {
        r.reported++;
        r.failed += failed;
        r.slow += slow;
    }
    return (uint64_t)round << 54 | (uint64_t)r.reported << 48 |
           (uint64_t)r.failed << 42 | (uint64_t)r.slow << 36;
}

static uint64_t
longest_word(uint32_t round, uint64_t limit_ms)
{
    uint64_t word = (uint64_t)round << 54 | limit_ms << 24;

    return word | (word * 0x9e3779b97f4a7c15ull) >> 40;
}

/* Returns the limit in the word; 0 if it is garbage or of another round. */
static uint64_t
unpack_longest(uint64_t word, uint32_t round)
{
    uint64_t limit_ms = word >> 24 & MASK(30);

    return word == longest_word(round, limit_ms) ? limit_ms : 0;
}

/* Replaces `old` in a word of the round, unless `state` is over: a late process
 * never replaces words of a later round, because it checks the state after it
 * has read `old`.  Returns false if *old was not there, and loads it again. */
static bool
replace_in_round(const struct guard *g, uint64_t state, _Atomic uint64_t *word,
                 uint64_t *old, uint64_t fresh)
{
    return atomic_load(&g->breaker->state) != state ||
           atomic_compare_exchange_weak(word, old, fresh);
}

/* ---- places ---- */

static uint64_t
probe_word(enum probe_what what, uint32_t round, uint32_t process,
           uint64_t until_ms)
{
    return (uint64_t)what << 62 | (uint64_t)round << 52 |
           (uint64_t)(process & MASK(22)) << 30 | (until_ms & MASK(30));
}

static uint32_t
round_of_probe(uint64_t probe)
{
    return (uint32_t)(probe >> 52 & MASK(10));
}

/* Returns the time within which a probe must report, at most half the range of
 * its word. */
static uint64_t
timeout_ms(const struct breaker_rules *b)
{
    uint64_t ms = b->probe_timeout_ns / MS;

    return ms < MASK(29) ? ms : MASK(29);
}

static uint32_t
probe_places(const struct breaker_rules *b)
{
    return b->probes < PROBES_MAX ? b->probes : PROBES_MAX;
}

/* Returns the longest time limit of the round's probes, after it has taken that
 * of `b` into account. */
static uint64_t
note_limit(const struct breaker_rules *b, const struct guard *g, uint64_t state)
{
    uint32_t round = round_of_state(state);
    uint64_t limit = timeout_ms(b), old = atomic_load(&g->rings->longest);

    do {
        if (unpack_longest(old, round) >= limit) {
            return unpack_longest(old, round);
        }
    } while (!replace_in_round(g, state, &g->rings->longest, &old,
                               longest_word(round, limit)));
    return limit;
}

/* Reports whether there are more marked places than reports: a probe is counted
 * before its place is marked, so those marks are garbage. */
static bool
marks_are_garbage(const struct breaker_rules *b, const struct guard *g,
                  uint32_t round)
{
    uint32_t marked = 0;

    for (uint32_t i = 0; i < probe_places(b); i++) {
        uint64_t probe = atomic_load(&g->rings->probe[i]);

        marked += probe >> 62 != PROBE_OUT && round_of_probe(probe) == round;
    }
    return marked >
           unpack_reports(atomic_load(&g->rings->round), round).reported;
}

bool
probes_claim(const struct breaker_rules *b, const struct guard *g,
             uint64_t state, uint64_t now_ns, struct probe *out)
{
    uint32_t round = round_of_state(state);
    uint64_t now_ms = now_ns / MS, limit_ms = note_limit(b, g, state);
    uint64_t mine =
        probe_word(PROBE_OUT, round, g->self.id, now_ms + timeout_ms(b));
    bool ignore_marks = marks_are_garbage(b, g, round);

    for (uint32_t i = 0; i < probe_places(b); i++) {
        uint64_t old = atomic_load(&g->rings->probe[i]);
        uint64_t left = (old - now_ms) & MASK(30);
        bool is_out = old >> 62 == PROBE_OUT;
        bool is_free =
            !old || round_of_probe(old) != round ||
            (is_out ? left == 0 || left > limit_ms + AHEAD_MS : ignore_marks);

        if (is_free &&
            atomic_compare_exchange_strong(&g->rings->probe[i], &old, mine)) {
            atomic_store(&g->rings->holder[i],
                         (uint64_t)g->self.pid << 42 |
                             (uint64_t)g->self.space << 10 |
                             (g->self.id & MASK(10)));
            *out = (struct probe){i + 1, mine};
            return true;
        }
    }
    return false;
}

void
breaker_release(const struct guard *g, struct probe probe)
{
    if (g && g->rings && probe.place && probe.place <= PROBES_MAX) {
        atomic_compare_exchange_strong(&g->rings->probe[probe.place - 1],
                                       &probe.word, 0);
    }
}

void
breaker_release_dead(struct guard_rings *r,
                     bool (*is_dead)(uint32_t pid, uint32_t space))
{
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        uint64_t old = atomic_load(&r->probe[i]);
        uint64_t holder = atomic_load(&r->holder[i]);

        if (old && old >> 62 == PROBE_OUT &&
            (holder & MASK(10)) == (old >> 30 & MASK(10)) &&
            is_dead((uint32_t)(holder >> 42), (uint32_t)(holder >> 10))) {
            atomic_compare_exchange_strong(&r->probe[i], &old, 0);
        }
    }
}

/* ---- reports ---- */

bool
breaker_round_is_over(const struct guard *g, struct probe probe)
{
    uint64_t state;

    if (!g->rings || !probe.place) {
        return false;
    }
    state = atomic_load(&g->breaker->state);
    return state >> 62 != STATE_HALF_OPEN ||
           round_of_probe(probe.word) != round_of_state(state);
}

void
probes_clear(const struct guard *g, uint64_t state)
{
    atomic_store(&g->rings->round, (uint64_t)round_of_state(state) << 54);
}

void
probes_report(const struct guard *g, uint64_t state, bool failed, bool slow,
              struct probe probe)
{
    uint32_t round = round_of_state(state);
    uint64_t old;

    if (probe.place == 0 || probe.place > PROBES_MAX ||
        round_of_probe(probe.word) != round) {
        return; /* from an earlier round, or admitted before it opened */
    }
    old = atomic_load(&g->rings->round);
    while (!replace_in_round(g, state, &g->rings->round, &old,
                             add_report(old, round, failed, slow))) {
    }
    atomic_compare_exchange_strong(
        &g->rings->probe[probe.place - 1], &probe.word,
        probe_word(PROBE_REPORTED, round, g->self.id, 0));
}

enum breaker_state
probes_decide(const struct breaker_rules *b, const struct guard *g,
              uint64_t state)
{
    struct reports r =
        unpack_reports(atomic_load(&g->rings->round), round_of_state(state));
    bool by_rate = b->probe_failures == PROBE_FAILURES_NONE;

    if (!by_rate && r.failed >= b->probe_failures) {
        return STATE_OPEN;
    }
    if (r.reported < probe_places(b)) {
        return STATE_HALF_OPEN;
    }
    return (by_rate && reaches_rate(r.failed, r.reported, b->failure_rate)) ||
                   reaches_rate(r.slow, r.reported, b->slow_rate)
               ? STATE_OPEN
               : STATE_CLOSED;
}
