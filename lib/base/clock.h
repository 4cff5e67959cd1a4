/* The only place that reads a clock.
 *
 * Calls that succeed are timed in ticks, which cost less to read than a clock.
 * A tick is a step of the CPU's counter if the kernel itself keeps time by it,
 * else a nanosecond. */
#ifndef BIDE_CLOCK_H
#define BIDE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
uint64_t clock_boottime_ns(void); /* monotonic, counts suspended time */
uint64_t clock_cpu_ns(void);      /* that this process has used */

/* A waiting call reads the registry at least this often, because the process
 * that changed a policy may have been killed before it announced the change. */
#define LOOK_EVERY_NS UINT64_C(5000000000)
/* How long a writer waits for a file that another process has locked. */
enum { LOCK_WAIT_MS = 5000 };

/* Converts ticks to ns: ns = ticks * mult >> 32.  mult 0: ticks are ns. */
struct tick_scale {
    uint64_t mult;
};

/* Measures the scale in about 200 us.  mult is 0 if the counter cannot be
 * trusted. */
struct tick_scale clock_measure(void);
/* Reports whether a scale that another process measured agrees within 1 % with
 * a measurement of 20 us.  False if the counter cannot be trusted. */
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

/* Returns the ns between two ticks; 0 if `to` is earlier, which happens when it
 * was read on another CPU socket. */
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

static inline uint64_t
clock_to_ticks(struct tick_scale s, uint64_t ns)
{
    return s.mult ? (uint64_t)(((unsigned __int128)ns << 32) / s.mult) : ns;
}

#endif
