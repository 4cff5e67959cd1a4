/* Many agents in one process, each with a registry of its own, against one
 * etcd:
 *
 *   fleet URL DIR AGENTS CHANGES IDLE_S
 *
 * Prints "changed N MEDIAN_MS LAST_MS" for each change of the pointer, from the
 * begin of the swap to the commit on the hosts; then "idle" and waits. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bide.h>
#include "admin/open.h"
#include "base/clock.h"
#include "fleet/agent.h"
#include "fleet/etcd.h"
#include "fleet/pointer.h"
#include "fleet/release.h"

static const char *url, *top;
static uint32_t agents;
static int stop;
static atomic_uint applied;
static uint64_t *at_ns; /* of the last change, by agent */
static char why[DOCUMENT_WHY];

static void
fail(const char *what, int rc)
{
    fprintf(stderr, "fleet: %s: %s %s\n", what, rc ? bide_strerror(rc) : "",
            why);
    exit(1);
}

static void
told(void *arg, const char *line)
{
    uint64_t *at = arg;

    if (strncmp(line, "release ", 8) == 0 && strstr(line, " by ")) {
        *at = clock_monotonic_ns();
        atomic_fetch_add(&applied, 1);
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

static struct host_setup
set_up(uint32_t number)
{
    struct host_setup s = {.prefix = FLEET_PREFIX};

    snprintf(s.urls, sizeof(s.urls), "%s", url);
    snprintf(s.name, sizeof(s.name), "host-%05u", number);
    host_machine(s.name, s.machine);
    return s;
}

static void *
run_agent(void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    struct host_setup s = set_up(number);
    struct agent_options o = {.setup = &s,
                              .signals = stop,
                              .report_ns = UINT64_C(300000000000),
                              .version = "bench",
                              .told = told,
                              .arg = &at_ns[number]};
    char dir[200], live[220];
    struct admin_init how = {.live_dir = live, .journal = -1};
    int rc;

    snprintf(dir, sizeof(dir), "%s/%s", top, s.name);
    snprintf(live, sizeof(live), "%s.live", dir);
    o.dir = dir;
    rc = admin_init(dir, &how);
    rc = rc ? rc : agent_run(&o);
    if (rc) {
        fail(s.name, rc);
    }
    return NULL;
}

static void
start_agents(void)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 512 << 10);
    for (uint32_t i = 0; i < agents; i++) {
        if (pthread_create(&thread, &attr, run_agent, (void *)(uintptr_t)i)) {
            fail("pthread_create", 0);
        }
    }
}

static int
by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Gives a release to all hosts, and waits for the last. */
static void
change(struct etcd *e, uint32_t release)
{
    struct pointer p;
    uint64_t begin;
    int rc = pointer_get(e, FLEET_PREFIX, &p, why);

    p.before = p.release;
    p.release = release;
    p.percent = 100;
    atomic_store(&applied, 0);
    begin = clock_monotonic_ns();
    rc = rc ? rc : pointer_swap(e, FLEET_PREFIX, &p, NULL, why);
    if (rc) {
        fail("rollout", rc);
    }
    while (atomic_load(&applied) < agents) {
        usleep(1000);
    }
    qsort(at_ns, agents, sizeof(*at_ns), by_time);
    printf("changed %u %.1f %.1f\n", agents,
           (double)(at_ns[agents / 2] - begin) / 1e6,
           (double)(at_ns[agents - 1] - begin) / 1e6);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    struct rlimit files = {65536, 65536};
    struct host_setup s;
    struct etcd *e;
    int rc;

    if (argc != 6) {
        return 2;
    }
    url = argv[1];
    top = argv[2];
    agents = (uint32_t)atoi(argv[3]);
    at_ns = calloc(agents, sizeof(*at_ns));
    stop = eventfd(0, EFD_CLOEXEC);
    setrlimit(RLIMIT_NOFILE, &files);
    s = set_up(agents);
    rc = etcd_open(&s, &e);
    rc = rc ? rc : agent_fleet(e, FLEET_PREFIX, s.fleet, why);
    if (rc) {
        fail("etcd", rc);
    }
    start_agents();
    for (int i = 0; i < atoi(argv[4]); i++) {
        struct release r = {.by = "bench", .policies = 1};
        char text[100];

        snprintf(text, sizeof(text), "[payments]\nattempts = %d\n", i + 2);
        rc = release_push(e, FLEET_PREFIX, text, &r, why);
        if (rc) {
            fail("push", rc);
        }
        change(e, r.release);
    }
    puts("idle");
    fflush(stdout);
    sleep((unsigned)atoi(argv[5]));
    return 0;
}
