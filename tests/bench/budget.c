/* budget ROUNDS N [SOCKET]: measures taking tokens from one retry budget and
 * returning them, and taking tokens of one rate, by threads and by processes at
 * the same time, against adding to one atomic word; and, in the redis that
 * listens on SOCKET, against a limiter that counts with INCR and EXPIRE.  N is
 * the number of operations of all workers together.  Prints wall-clock ns per
 * operation: the time from the common start to the end of the last worker,
 * divided by the number of operations. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "race.h"
#include "rule/budget.h"
#include "rule/rate.h"

enum { WORKERS_MAX = 8 };

/* Shared memory of all workers. */
struct arena {
    _Alignas(64) struct budget_words words;
    _Alignas(64) struct rate_words rate;
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

/* As the machine does it, with the reading of the clock; a full bucket, so that
 * nobody is refused. */
static void
take_turns(struct arena *a, long n)
{
    static const struct rate_rules turns = {
        .group = "own", .burst = 1000000, .per_s = 1e6};
    uint64_t at;

    while (n-- > 0) {
        if (!rate_take(&turns, &a->rate, 1, MANDATORY, race_now_ns(), &at)) {
            race_stop("rate_take", "refused");
        }
    }
}

static const char *redis_socket;

/* Both commands in one request: one round trip. */
static void
count_in_redis(struct arena *a, long n)
{
    static const char ask[] = "*2\r\n$4\r\nINCR\r\n$4\r\nrate\r\n"
                              "*3\r\n$6\r\nEXPIRE\r\n$4\r\nrate\r\n$1\r\n1\r\n";
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)a;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", redis_socket);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        race_stop(redis_socket, strerror(errno));
    }
    while (n-- > 0) {
        char answer[256];
        int lines = 0;

        if (write(fd, ask, sizeof(ask) - 1) != (ssize_t)sizeof(ask) - 1) {
            race_stop("redis", "no answer");
        }
        while (lines < 2) {
            ssize_t got = read(fd, answer, sizeof(answer));

            if (got <= 0 || answer[0] == '-') {
                race_stop("redis", "no answer");
            }
            for (ssize_t i = 0; i < got; i++) {
                lines += answer[i] == '\n';
            }
        }
    }
    close(fd);
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
measure_round(struct arena *arena, int workers, bool processes,
              void (*work)(struct arena *a, long n), long n)
{
    struct team t = {arena, work, workers, n / workers};
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
    static const struct {
        const char *name;
        void (*work)(struct arena *a, long n);
        long less; /* than N */
    } kinds[] = {{"add", add_atomically, 1},
                 {"budget", take_and_give, 1},
                 {"turn", take_turns, 1},
                 {"redis_turn", count_in_redis, 50}};
    double best[sizeof(with) / sizeof(*with)][4] = {{0}};
    size_t count;
    struct arena *arena;
    long rounds, n;

    if (argc != 3 && argc != 4) {
        race_stop("usage", "budget ROUNDS N [SOCKET]");
    }
    redis_socket = argv[3];
    count = redis_socket ? 4 : 3;
    rounds = race_number(argv[1]);
    n = race_number(argv[2]);
    arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        race_stop("mmap", strerror(errno));
    }
    for (size_t i = 0; i < (size_t)rounds * count; i++) {
        for (size_t k = 0; k < sizeof(with) / sizeof(*with); k++) {
            double ns =
                measure_round(arena, with[k].workers, with[k].processes,
                              kinds[i % count].work, n / kinds[i % count].less);

            if (best[k][i % count] <= 0 || ns < best[k][i % count]) {
                best[k][i % count] = ns;
            }
        }
    }
    for (size_t k = 0; k < sizeof(with) / sizeof(*with); k++) {
        for (size_t i = 0; i < count; i++) {
            char id[32];

            snprintf(id, sizeof(id), "%s_%d%s", kinds[i].name, with[k].workers,
                     with[k].processes ? "p" : "");
            race_say(id, best[k][i]);
        }
    }
    return 0;
}
