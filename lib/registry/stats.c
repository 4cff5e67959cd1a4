/* Call statistics of one policy and scope. */
#include "registry.h"
#include "stats.h"

#include <stdlib.h>

#include "known.h"
#include "rule/window.h"

static struct bide_latency
latency_of(const uint64_t *histogram)
{
    static const double shares[] = {0.50, 0.95, 0.99, 1};
    uint64_t ns[4], count = histogram_all_ns(histogram, shares, 4, ns);

    return (struct bide_latency){.count = count,
                                 .p50_ns = ns[0],
                                 .p95_ns = ns[1],
                                 .p99_ns = ns[2],
                                 .max_ns = ns[3]};
}

/* Fills in latency and attempts of whole calls.  Those that succeeded at their
 * first attempt took as long as that. */
static void
fill_calls(const struct cell_reading *r, struct bide_stats *out)
{
    const struct call_counts *c = &r->calls;
    uint64_t all[HISTOGRAM_BUCKETS], more = 0;

    out->latency_calls = out->latency_succeeded;
    out->calls_by_attempts[0] = out->succeeded;
    if (!out->recovered && counter_calls(out) == out->succeeded) {
        return; /* there are no others */
    }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        all[i] = call_count(r->succeeded, c, i);
    }
    out->latency_calls = latency_of(all);
    for (size_t i = 0; i < ATTEMPTS_GROUPS; i++) {
        out->calls_by_attempts[1 + i] = c->attempts[i];
        more += c->attempts[i];
    }
    out->calls_by_attempts[0] =
        subtract_to_zero(out->latency_calls.count, more);
}

void
stats_from(const struct cell_reading *r, uint32_t version,
           struct bide_stats *out)
{
    const uint64_t *n = r->counter;

    *out = (struct bide_stats){.version = version,
                               .latency_succeeded = latency_of(r->succeeded),
                               .latency_failed = latency_of(r->failed),
#define DERIVED(...)
#define STORED(ID, field, ...) .field = n[COUNTER_##ID],
                               COUNTERS(DERIVED, STORED, DERIVED)};
    out->succeeded = out->latency_succeeded.count;
    out->exhausted = out->aborted + out->deferred + out->dropped;
    out->attempts_failed = out->latency_failed.count;
    out->attempts = out->succeeded + out->attempts_failed;
    fill_calls(r, out);
}

int
bide_read_stats(struct bide_policy *p, size_t size, struct bide_stats *out)
{
    struct cell_reading *r;
    const struct home *h;
    struct bide_stats stats;

    if (!p || !out || size < KNOWN_STATS) {
        return BIDE_EINVAL;
    }
    r = malloc(sizeof(*r));
    if (!r) {
        return BIDE_ENOMEM;
    }
    rules_drop(rules_take(p)); /* its cell may have been freed */
    h = atomic_load(&p->home);
    cell_read(h->live, h->index, r);
    stats_from(r, atomic_load(&cell_at(h->live, h->index)->version), &stats);
    known_give(out, size, &stats, sizeof(stats));
    free(r);
    return 0;
}
