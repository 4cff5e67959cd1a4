/* The only place that reads a clock.  Ticks are for durations on the success
 * path: the CPU's counter where the kernel itself keeps time by it, else ns. */
#ifndef BIDE_CLOCK_H
#define BIDE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
uint64_t clock_boottime_ns(void); /* monotonic, suspended time included */

/* No sleep lasts longer than this without a look at the registry: whoever
 * changed it may have been killed before announcing the change. */
#define LOOK_EVERY_NS UINT64_C(5000000000)
/* How long a writer waits for another process that holds a lock on a file. */
enum { LOCK_WAIT_MS = 5000 };

/* How ticks become ns: ns = ticks * mult >> 32.  mult 0: ticks are ns. */
struct tick_scale {
    uint64_t mult;
};

/* Measured in about 200 us; mult 0 where the counter is not to be trusted. */
struct tick_scale clock_measure(void);
/* Whether a scale that another process measured can be true here. */
bool clock_scale_ok(struct tick_scale s);

static inline uint64_t
clock_ticks(struct tick_scale s)
{
#if defined(__x86_64__)
    if (s.mult) {
        return __rdtsc();
    }
#elif defined(__aarch64__)
    if (s.mult) {
        uint64_t ticks;

        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks;
    }
#endif
    return clock_monotonic_ns();
}

/* The ns between two ticks; 0 when the second is earlier (another socket). */
static inline uint64_t
clock_between_ns(struct tick_scale s, uint64_t from, uint64_t to)
{
    if ((int64_t)(to - from) < 0) {
        return 0;
    }
    if (!s.mult) {
        return to - from;
    }
    return (uint64_t)(((unsigned __int128)(to - from) * s.mult) >> 32);
}

#endif
