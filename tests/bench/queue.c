/* queue ROUNDS N ID=PLACE...: puts work into each queue, each piece on the disk
 * before the next, then takes and acknowledges it piece by piece.  One thread,
 * 8 threads and 4 processes do so.  Prints "ID_put_1", "ID_done_1" and so on,
 * in ns per piece. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bide.h>
#include "queue.h"
#include "race.h"

char queue_bytes[QUEUE_BYTES];

/* ---- bide ---- */

static void *
bide_enter(const char *place)
{
    struct bide_policy *policy;
    struct bide_deferred *none;
    struct bide *bide;
    int rc = bide_open(place, 0, &bide);

    if (rc == 0) {
        rc = bide_lookup(bide, "later", NULL, &policy);
    }
    /* bide opens its files at the first use.  The other queues are connected by
     * now, so bide's first use is not measured either. */
    if (rc == 0) {
        rc = bide_deferred_take(policy, 0, 1, &none);
    }
    if (rc) {
        race_stop(place, bide_strerror(rc));
    }
    return policy;
}

static void *
bide_thread(void *process)
{
    return process;
}

static void
bide_put(void *thread)
{
    struct bide_work work = {.bytes = queue_bytes, .length = QUEUE_BYTES};
    uint64_t id;
    int rc = bide_defer(thread, &work, &id);

    if (rc) {
        race_stop("bide_defer", bide_strerror(rc));
    }
}

static void
bide_do_one(void *thread)
{
    struct bide_deferred *d;
    int rc = bide_deferred_take(thread, UINT64_MAX, 1, &d);

    if (rc == 1) {
        rc = bide_deferred_ack(thread, d);
        bide_deferred_free(d);
    }
    if (rc < 0) {
        race_stop("bide_deferred_take", bide_strerror(rc));
    }
}

const struct queue_kind queue_bide = {"bide", bide_enter, bide_thread, bide_put,
                                      bide_do_one};

/* ---- workers ---- */

static const struct mode {
    const char *id;
    int processes, threads; /* of each process */
} modes[] = {{"1", 1, 1}, {"8", 1, 8}, {"4p", 4, 1}};
enum { MODES = sizeof(modes) / sizeof(*modes) };

struct crew {
    const struct queue_kind *kind;
    const char *place;
    int threads;
    long n; /* of each thread */
    void *process;
    pthread_barrier_t *barrier; /* shared with measure_queue() */
};

static void *
run_worker(void *arg)
{
    struct crew *crew = arg;
    void *thread = crew->kind->open(crew->process);

    pthread_barrier_wait(crew->barrier);
    for (long i = 0; i < crew->n; i++) {
        crew->kind->put(thread);
    }
    pthread_barrier_wait(crew->barrier);
    for (long i = 0; i < crew->n; i++) {
        crew->kind->do_one(thread);
    }
    pthread_barrier_wait(crew->barrier);
    return NULL;
}

static _Noreturn void
run_process(struct crew *crew)
{
    pthread_t thread[8];

    crew->process = crew->kind->enter(crew->place);
    for (int i = 0; i < crew->threads; i++) {
        if (pthread_create(&thread[i], NULL, run_worker, crew)) {
            race_stop("queue", "no thread");
        }
    }
    for (int i = 0; i < crew->threads; i++) {
        pthread_join(thread[i], NULL);
    }
    _exit(0);
}

static pthread_barrier_t *
make_shared_barrier(unsigned count)
{
    pthread_barrierattr_t attr;
    pthread_barrier_t *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (b == MAP_FAILED || pthread_barrierattr_init(&attr) ||
        pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
        pthread_barrier_init(b, &attr, count)) {
        race_stop("queue", "no barrier");
    }
    return b;
}

/* Ends the program if a process has failed: the others would wait for it at the
 * barrier for ever. */
static void
stop_when_one_fails(int sig)
{
    int status;

    (void)sig;
    while (waitpid(-1, &status, WNOHANG) > 0) {
        if (status) {
            _exit(1);
        }
    }
}

/* ---- measuring ---- */

struct entry {
    const struct queue_kind *kind;
    const char *place;
    double put[MODES], done[MODES]; /* the best, ns a piece */
};

static void
keep_best(double *best, uint64_t ns, long pieces)
{
    double one = (double)ns / (double)pieces;

    *best = *best <= 0 || one < *best ? one : *best;
}

static void
measure_queue(struct entry *e, int m, long n)
{
    int workers = modes[m].processes * modes[m].threads;
    struct crew crew = {.kind = e->kind,
                        .place = e->place,
                        .threads = modes[m].threads,
                        .n = n / workers + 1,
                        .barrier = make_shared_barrier((unsigned)workers + 1)};
    uint64_t begin, put, done;

    signal(SIGCHLD, stop_when_one_fails);
    for (int i = 0; i < modes[m].processes; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            signal(SIGCHLD, SIG_DFL);
            run_process(&crew);
        }
        if (pid < 0) {
            race_stop("queue", "no process");
        }
    }
    pthread_barrier_wait(crew.barrier);
    begin = race_now_ns();
    pthread_barrier_wait(crew.barrier);
    put = race_now_ns();
    pthread_barrier_wait(crew.barrier);
    done = race_now_ns();
    keep_best(&e->put[m], put - begin, crew.n * workers);
    keep_best(&e->done[m], done - put, crew.n * workers);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    munmap(crew.barrier, sizeof(*crew.barrier));
}

static struct entry
read_entry(char *text)
{
    static const struct queue_kind *const kinds[] = {
        &queue_bide, &queue_sqlite, &queue_redis, &queue_beanstalkd};
    char *place = strchr(text, '=');

    for (size_t i = 0; place && i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t length = strlen(kinds[i]->id);

        if ((size_t)(place - text) == length &&
            strncmp(text, kinds[i]->id, length) == 0) {
            return (struct entry){.kind = kinds[i], .place = place + 1};
        }
    }
    race_stop(text, "no such queue");
}

int
main(int argc, char **argv)
{
    struct entry *entries = calloc((size_t)argc, sizeof(*entries));
    size_t count = 0;
    long rounds, n;
    char id[64];

    if (argc < 4 || !entries) {
        race_stop("usage", "queue ROUNDS N ID=PLACE...");
    }
    rounds = race_number(argv[1]);
    n = race_number(argv[2]);
    memset(queue_bytes, 'x', sizeof(queue_bytes));
    for (int i = 3; i < argc; i++) {
        entries[count] = read_entry(argv[i]);
        count += entries[count].kind->enter != NULL;
    }
    for (long round = 0; round < rounds; round++) {
        for (int m = 0; m < MODES; m++) {
            for (size_t i = 0; i < count; i++) {
                measure_queue(&entries[i], m, n);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (int m = 0; m < MODES; m++) {
            snprintf(id, sizeof(id), "%s_put_%s", entries[i].kind->id,
                     modes[m].id);
            race_say(id, entries[i].put[m]);
            snprintf(id, sizeof(id), "%s_done_%s", entries[i].kind->id,
                     modes[m].id);
            race_say(id, entries[i].done[m]);
        }
    }
    free(entries);
    return 0;
}
