/* budget ROUNDS N: measures taking tokens from one retry budget and returning
 * them, by threads and by processes at the same time, against adding to one
 * atomic word.  N is the number of operations of all workers together.  Prints
 * wall-clock ns per operation: the time from the common start to the end of the
 * last worker, divided by the number of operations. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"
#include "rule/budget.h"

enum { WORKERS_MAX = 8 };

/* Shared memory of all workers. */
struct arena {
    _Alignas(64) struct budget_words words;
    _Alignas(64) _Atomic uint64_t counter;
    _Alignas(64) _Atomic int ready;
    _Atomic int go;
};

static const struct budget_rules rules = {
    .group = "own",
    .kind = BUDGET_TOKENS,
    .charge = CHARGE_RETRY,
    .capacity = 500000,
    .cost = 5000,
    .timeout_cost = 5000,
    .throttle_cost = 5000,
    .deposit = 1000,
    .refund = -1,
};

struct team {
    struct arena *arena;
    void (*work)(struct arena *a, long n);
    int workers;
    long n; /* operations of each worker */
};

static void
take_and_give(struct arena *a, long n)
{
    const struct guard g = {.budget = &a->words, .txn = 1};
    struct budget_paid paid;

    while (n-- > 0) {
        if (!budget_take(&rules, MANDATORY, &g, PRICE_USUAL, 0, &paid)) {
            race_stop("budget_take", "refused");
        }
        budget_give(&rules, &g, &paid, 0);
    }
}

static void
add_atomically(struct arena *a, long n)
{
    while (n-- > 0) {
        atomic_fetch_add(&a->counter, 1);
    }
}

/* Waits until start_workers() lets all workers begin, then does the work. */
static void
work_when_started(const struct team *t)
{
    atomic_fetch_add(&t->arena->ready, 1);
    while (!atomic_load(&t->arena->go)) {
        sched_yield();
    }
    t->work(t->arena, t->n);
}

/* Waits until every worker is ready, lets all begin, and returns the time. */
static uint64_t
start_workers(const struct team *t)
{
    while (atomic_load(&t->arena->ready) < t->workers) {
        sched_yield();
    }
    atomic_store(&t->arena->go, 1);
    return race_now_ns();
}

static void *
run_thread(void *arg)
{
    work_when_started(arg);
    return NULL;
}

static double
measure_threads(struct team *t)
{
    pthread_t id[WORKERS_MAX];
    uint64_t begin;

    for (int i = 0; i < t->workers; i++) {
        if (pthread_create(&id[i], NULL, run_thread, t)) {
            race_stop("pthread_create", "failed");
        }
    }
    begin = start_workers(t);
    for (int i = 0; i < t->workers; i++) {
        pthread_join(id[i], NULL);
    }
    return (double)(race_now_ns() - begin);
}

static double
measure_processes(struct team *t)
{
    uint64_t begin;

    for (int i = 0; i < t->workers; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            race_stop("fork", strerror(errno));
        }
        if (pid == 0) {
            work_when_started(t);
            _exit(0);
        }
    }
    begin = start_workers(t);
    for (int i = 0; i < t->workers; i++) {
        int status;

        if (wait(&status) < 0 || status) {
            race_stop("a worker", "failed");
        }
    }
    return (double)(race_now_ns() - begin);
}

/* Measures one round; returns ns per operation. */
static double
measure_round(struct arena *arena, int workers, bool processes, bool budget,
              long n)
{
    struct team t = {arena, budget ? take_and_give : add_atomically, workers,
                     n / workers};
    double ns;

    memset(arena, 0, sizeof(*arena));
    ns = processes ? measure_processes(&t) : measure_threads(&t);
    return ns / (double)(t.n * workers);
}

int
main(int argc, char **argv)
{
    static const struct {
        int workers;
        bool processes;
    } with[] = {{1, false}, {2, false}, {4, false}, {8, false}, {2, true}};
    double best[sizeof(with) / sizeof(*with)][2] = {{0}};
    struct arena *arena;
    long rounds, n;

    if (argc != 3) {
        race_stop("usage", "budget ROUNDS N");
    }
    rounds = race_number(argv[1]);
    n = race_number(argv[2]);
    arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        race_stop("mmap", strerror(errno));
    }
    for (long i = 0; i < rounds * 2; i++) {
        for (size_t k = 0; k < sizeof(with) / sizeof(*with); k++) {
            double ns = measure_round(arena, with[k].workers, with[k].processes,
                                      i & 1, n);

            if (best[k][i & 1] <= 0 || ns < best[k][i & 1]) {
                best[k][i & 1] = ns;
            }
        }
    }
    for (size_t k = 0; k < sizeof(with) / sizeof(*with); k++) {
        const char *p = with[k].processes ? "p" : "";
        char id[32];

        snprintf(id, sizeof(id), "add_%d%s", with[k].workers, p);
        race_say(id, best[k][0]);
        snprintf(id, sizeof(id), "budget_%d%s", with[k].workers, p);
        race_say(id, best[k][1]);
    }
    return 0;
}
