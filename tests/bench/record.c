/* record DIR LIVE POLICIES CALLS HOURS: measures recording the statistics of
 * POLICIES policies each minute, for HOURS hours of virtual time.  Each policy
 * has about CALLS calls a minute; a tenth of them fail once.  DIR is a
 * registry, LIVE its live file.  The counters are changed as a call changes
 * them, the clock is advanced by a minute each time, and the recording is that
 * of `bide record`. Prints the CPU time of one recording in ns, and the size of
 * history.mdb after a year at that rate, in bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/open.h"
#include "live/live.h"
#include "record/past.h"
#include "rule/histogram.h"
#include "store/history/recording.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "race.h"

#define MINUTE UINT64_C(60000000000)

static uint64_t virtual_ns; /* 0: use the real clock */

uint64_t __real_clock_realtime_ns(void);
uint64_t __wrap_clock_realtime_ns(void);

uint64_t __wrap_clock_boottime_ns(void);

uint64_t
__wrap_clock_realtime_ns(void)
{
    return virtual_ns ? virtual_ns : __real_clock_realtime_ns();
}

/* The same time: a recorder does not follow a clock that jumps. */
uint64_t
__wrap_clock_boottime_ns(void)
{
    return __wrap_clock_realtime_ns();
}

static void
stop_on_error(const char *what, int rc)
{
    if (rc) {
        race_stop(what, bide_strerror(rc));
    }
}

static uint64_t
cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Returns a random latency: log-normal with this median. */
static uint64_t
draw_latency(double median_ns)
{
    double u = sqrt(-2 * log(1 - drand48())) * cos(6.283185307 * drand48());

    return (uint64_t)(median_ns * exp(0.5 * u));
}

static void
add_to_counter(_Atomic uint64_t *word, uint64_t n)
{
    atomic_fetch_add_explicit(word, n, memory_order_relaxed);
}

/* Counts one call; a tenth of the calls fail once and then succeed. */
static void
count_call(struct live *l, uint32_t cell, double median_ns)
{
    struct stripe *s = cell_stripe(l, cell, (uint32_t)(drand48() * 2));

    if (!s) {
        race_stop("live", "no space");
    }
    if (drand48() < 0.1) {
        add_to_counter(&s->failed[histogram_bucket(draw_latency(median_ns))],
                       1);
        add_to_counter(&s->counter[COUNTER_RETRIES], 1);
        add_to_counter(&s->counter[COUNTER_TRANSIENT], 1);
        add_to_counter(&s->counter[COUNTER_RECOVERED], 1);
        add_to_counter(&s->counter[COUNTER_SLEPT_NS], 50000000);
        cell_count_outcome(l, cell, bide_http(503, NULL));
    }
    add_to_counter(&s->succeeded[histogram_bucket(draw_latency(median_ns))], 1);
}

static void
count_minute(struct live *l, const uint32_t *cells, long policies, double calls)
{
    for (long i = 0; i < policies; i++) {
        double median = 2e6 * (double)(1 + i % 50);
        long n = (long)(calls * (0.5 + drand48()) + drand48());

        for (long k = 0; k < n; k++) {
            count_call(l, cells[i], median);
        }
    }
}

static struct recording_result
record_minute(const char *dir)
{
    static const struct recorder_options how = {
        .every_ns = MINUTE, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    struct recorded done;
    struct admin *a;

    stop_on_error("open", admin_open(dir, &a));
    stop_on_error("record", past_record(admin_past(a), &how, &done));
    recorded_free(&done);
    admin_close(a);
    return done.result;
}

static int
add_length(void *arg, const void *key, size_t key_length, const void *value,
           size_t value_length)
{
    (void)key;
    (void)value;
    *(double *)arg += (double)(8 + key_length + value_length);
    return 0;
}

/* Returns the bytes of a database's records, without the overhead of pages. */
static double
record_bytes(const char *dir, const char *db)
{
    char path[4096];
    struct pages *f;
    struct snapshot s;
    double bytes = 0;

    snprintf(path, sizeof(path), "%s/history/history.mdb", dir);
    stop_on_error(path, pages_open(path, &f));
    stop_on_error(path, pages_begin(f, &s));
    stop_on_error(path,
                  pages_walk(&s, db, NULL, 0, false, add_length, &bytes, NULL));
    pages_close(f);
    return bytes;
}

int
main(int argc, char **argv)
{
    struct recording_result r = {.cells = 0};
    long policies, hours;
    uint64_t cpu = 0, runs = 0;
    double minutes, whole, full, base;
    uint32_t *cells;
    struct live *l;
    struct reader *reader;

    if (argc != 6) {
        race_stop("record", "DIR LIVE POLICIES CALLS HOURS");
    }
    policies = race_number(argv[3]);
    hours = race_number(argv[5]);
    cells = calloc((size_t)policies, sizeof(*cells));
    stop_on_error("reader", reader_open(argv[1], &reader));
    stop_on_error("live",
                  live_open(argv[2], reader_id(reader), LIVE_FOR_ALL, &l));
    for (long i = 0; cells && i < policies; i++) {
        char name[32];

        snprintf(name, sizeof(name), "policy-%ld", i);
        stop_on_error(name, cell_find(l, name, "", true, &cells[i]));
    }
    virtual_ns = __real_clock_realtime_ns() / (60 * MINUTE) * (60 * MINUTE);
    for (long i = 0; i < hours * 60; i++) {
        uint64_t begin;

        count_minute(l, cells, policies, strtod(argv[4], NULL));
        virtual_ns += MINUTE;
        begin = cpu_ns();
        r = record_minute(argv[1]);
        cpu += cpu_ns() - begin;
        runs++;
        if (r.cells != policies) {
            race_stop("record", "not all policies");
        }
    }
    race_say("record_cpu", (double)cpu / (double)runs);
    minutes = record_bytes(argv[1], "minutes") / (double)hours;
    whole = record_bytes(argv[1], "hours") / (double)(hours - 1);
    /* `full` is the ratio of the file's bytes to the bytes of its records.  The
     * number of bases does not grow, so they are counted once. */
    base = record_bytes(argv[1], "base");
    full = ((double)r.bytes - base) /
           (record_bytes(argv[1], "minutes") + record_bytes(argv[1], "hours"));
    minutes *= 24 * 35 * full;
    whole *= 24 * 365 * full;
    printf("record_minutes %.0f\nrecord_hours %.0f\nrecord_year %.0f\n",
           minutes, whole, minutes + whole + base);
    return 0;
}
