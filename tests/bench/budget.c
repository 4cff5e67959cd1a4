/* budget ROUNDS N: what it costs to take from one retry budget and to give
 * back, by threads and by processes at once, against adding to one atomic
 * word.  Prints ns for one of them by the clock on the wall: of eight threads
 * that do N each, the time from first to last over 8 N. */
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

/* In memory that processes share. */
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
    long n; /* of each */
};

static void
take_and_give(struct arena *a, long n)
{
    const struct guard g = {.budget = &a->words, .txn = 1};
    int64_t paid;

    while (n-- > 0) {
        if (!budget_take(&rules, &g, PRICE_USUAL, 0, &paid)) {
            race_stop("budget_take", "refused");
        }
        budget_give(&rules, &g, paid, 0);
    }
}

static void
add(struct arena *a, long n)
{
    while (n-- > 0) {
        atomic_fetch_add(&a->counter, 1);
    }
}

/* All begin at once, and only when each is there. */
static void
join_in(const struct team *t)
{
    atomic_fetch_add(&t->arena->ready, 1);
    while (!atomic_load(&t->arena->go)) {
        sched_yield();
    }
    t->work(t->arena, t->n);
}

static uint64_t
let_go(const struct team *t)
{
    while (atomic_load(&t->arena->ready) < t->workers) {
        sched_yield();
    }
    atomic_store(&t->arena->go, 1);
    return race_now_ns();
}

static void *
in_thread(void *arg)
{
    join_in(arg);
    return NULL;
}

static double
by_threads(struct team *t)
{
    pthread_t id[WORKERS_MAX];
    uint64_t begin;

    for (int i = 0; i < t->workers; i++) {
        if (pthread_create(&id[i], NULL, in_thread, t)) {
            race_stop("pthread_create", "failed");
        }
    }
    begin = let_go(t);
    for (int i = 0; i < t->workers; i++) {
        pthread_join(id[i], NULL);
    }
    return (double)(race_now_ns() - begin);
}

static double
by_processes(struct team *t)
{
    uint64_t begin;

    for (int i = 0; i < t->workers; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            race_stop("fork", strerror(errno));
        }
        if (pid == 0) {
            join_in(t);
            _exit(0);
        }
    }
    begin = let_go(t);
    for (int i = 0; i < t->workers; i++) {
        int status;

        if (wait(&status) < 0 || status) {
            race_stop("a worker", "failed");
        }
    }
    return (double)(race_now_ns() - begin);
}

static double
once(struct arena *arena, int workers, bool processes, bool budget, long n)
{
    struct team t = {arena, budget ? take_and_give : add, workers, n / workers};
    double ns;

    memset(arena, 0, sizeof(*arena));
    ns = processes ? by_processes(&t) : by_threads(&t);
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
            double ns =
                once(arena, with[k].workers, with[k].processes, i & 1, n);

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
