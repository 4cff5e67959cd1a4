#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLOCKSOURCE \
    "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#if defined(__x86_64__)
#define COUNTER "tsc\n"
#else
#define COUNTER "arch_sys_counter\n"
#endif

enum { MEASURE_NS = 200000, CHECK_NS = 20000, MEASURE_PAIRS = 8 };

static uint64_t
read_clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
clock_monotonic_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_cpu_ns(void)
{
    return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
clock_realtime_ns(void)
{
    return read_clock_ns(CLOCK_REALTIME);
}

uint64_t
clock_boottime_ns(void)
{
    return read_clock_ns(CLOCK_BOOTTIME);
}

/* Reports whether the kernel itself keeps time by the CPU's counter.  The
 * kernel compares the counter with other clocks and drops one that is not
 * steady. */
static bool
kernel_trusts_counter(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
    char name[32] = "";
    ssize_t n;
    int fd = open(CLOCKSOURCE, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    n = read(fd, name, sizeof(name) - 1);
    close(fd);
    return n > 0 && !strcmp(name, COUNTER);
#else
    return false;
#endif
}

/* Reads the counter and the clock at the same moment.  Reads the counter before
 * and after the clock, several times, and keeps the reading with the shortest
 * time between the two. */
static void
read_both_clocks(uint64_t *ticks, uint64_t *ns)
{
    const struct tick_scale any = {1}; /* not 0: read the counter */
    uint64_t narrowest = UINT64_MAX;

    for (int i = 0; i < MEASURE_PAIRS; i++) {
        uint64_t before = clock_ticks(any);
        uint64_t now = clock_monotonic_ns();
        uint64_t width = clock_ticks(any) - before;

        if (width < narrowest) {
            narrowest = width;
            *ticks = before + width / 2;
            *ns = now;
        }
    }
}

static struct tick_scale
measure_for(uint64_t measure_ns)
{
    struct tick_scale s = {0};
    uint64_t ticks0 = 0, ns0 = 0, ticks1 = 0, ns1 = 0;

    read_both_clocks(&ticks0, &ns0);
    while (clock_monotonic_ns() - ns0 < measure_ns) {
    }
    read_both_clocks(&ticks1, &ns1);
    if (ticks1 > ticks0 && ns1 > ns0) {
        s.mult = (uint64_t)(((unsigned __int128)(ns1 - ns0) << 32) /
                            (ticks1 - ticks0));
    }
    /* Frequencies are between 1 MHz (the slowest arm64 counters) and 20 GHz. */
    if (s.mult < (1ull << 32) / 20 || s.mult > 1000ull << 32) {
        s.mult = 0;
    }
    return s;
}

struct tick_scale
clock_measure(void)
{
    return kernel_trusts_counter() ? measure_for(MEASURE_NS)
                                   : (struct tick_scale){0};
}

bool
clock_scale_ok(struct tick_scale s)
{
    uint64_t own = kernel_trusts_counter() ? measure_for(CHECK_NS).mult : 0;

    return s.mult > own - own / 100 && s.mult < own + own / 100;
}
