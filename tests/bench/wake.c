/* wake DIR SLEEPERS ROUNDS [BIDE]: measures the time from a change of a policy
 * to the next attempt of waiting calls in other processes, in turn with a bare
 * futex in the same processes.  DIR has the policy "asleep".  BIDE is the path
 * of the command; with it, changes by `bide set` are measured too. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bide.h>
#include "admin/change.h"
#include "admin/open.h"
#include "base/failure.h"
#include "live/live.h"
#include "policy/fault.h"
#include "registry/announce.h"
#include "race.h"

extern char **environ;

enum kind { FUTEX, SET, COMMAND };

/* Memory that all processes share. */
struct board {
    _Atomic uint32_t round, kind;  /* the round in progress, from 1 */
    _Atomic uint32_t bare;         /* the word of the bare futex */
    _Atomic uint32_t asleep, done; /* numbers of sleepers, in this round */
    _Atomic uint64_t woke_ns[];    /* of each sleeper, in this round */
};

static struct board *board;

static void
futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void
futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the sleepers ---- */

/* The first attempt fails, and the call waits for an hour.  The second attempt
 * starts when the call follows the change, and stores the time. */
static struct bide_outcome
attempt_twice(const struct bide_attempt *a, void *arg)
{
    if (a->number == 1) {
        atomic_fetch_add(&board->asleep, 1);
        return bide_errno(ECONNREFUSED);
    }
    atomic_store((_Atomic uint64_t *)arg, race_now_ns());
    return bide_ok();
}

static void
sleep_bare(_Atomic uint64_t *out_ns)
{
    uint32_t seen = atomic_load(&board->bare);

    atomic_fetch_add(&board->asleep, 1);
    while (atomic_load(&board->bare) == seen) {
        futex_wait(&board->bare, seen);
    }
    atomic_store(out_ns, race_now_ns());
}

static void
run_sleeper(const char *dir, int number)
{
    _Atomic uint64_t *woke_ns = &board->woke_ns[number];
    struct bide_policy *p;
    uint32_t round = 0;
    struct bide *b;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bide_open(dir, 0, &b) || bide_lookup(b, "asleep", NULL, &p)) {
        _exit(1);
    }
    for (;;) {
        while (atomic_load(&board->round) == round) {
            futex_wait(&board->round, round);
        }
        round++;
        if (atomic_load(&board->kind) == FUTEX) {
            sleep_bare(woke_ns);
        } else if (bide_run(p, attempt_twice, woke_ns) != BIDE_SUCCEEDED) {
            _exit(1);
        }
        atomic_fetch_add(&board->done, 1);
    }
}

/* ---- the change ---- */

static uint64_t committed_ns, woken_ns;

uint32_t __real_announce(struct live *, struct reader *, const struct names *,
                         uint64_t);
uint32_t __wrap_announce(struct live *, struct reader *, const struct names *,
                         uint64_t);

/* Stores the time of the commit: the library calls announce() right after it.
 */
uint32_t
__wrap_announce(struct live *l, struct reader *r, const struct names *t,
                uint64_t txn)
{
    committed_ns = race_now_ns();
    woken_ns = 0;
    return __real_announce(l, r, t, txn);
}

uint32_t __real_cell_announce(struct cell *);
uint32_t __wrap_cell_announce(struct cell *);

/* Stores the time of the wake: the library calls cell_announce() right before
 * the first futex wake. */
uint32_t
__wrap_cell_announce(struct cell *c)
{
    woken_ns = woken_ns ? woken_ns : race_now_ns();
    return __real_cell_announce(c);
}

static uint32_t
set_wait(struct admin *a, const char *value)
{
    const struct admin_change change = {
        .who = "bench", .command = "wake", .wait_ms = 1000};
    const struct admin_setting setting = {"wait_initial", value};
    struct admin_results results = {0};
    struct faults faults = {0};
    uint32_t woken;

    if (admin_change_each(a, &change, (const char *[]){"asleep"}, 1, &setting,
                          1, &results, &faults)) {
        race_stop("set", failure_last()->words);
    }
    woken = results.woken;
    admin_results_free(&results);
    return woken;
}

static void
set_by_command(char *bide, char *dir)
{
    char *argv[] = {bide,     "--dir",          dir, "set",
                    "asleep", "wait_initial=0", NULL};
    posix_spawn_file_actions_t quiet;
    int status = 1;
    pid_t pid;

    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", 1, 0);
    if (posix_spawn(&pid, bide, &quiet, NULL, argv, environ) ||
        waitpid(pid, &status, 0) != pid || status) {
        race_stop(bide, "failed");
    }
    posix_spawn_file_actions_destroy(&quiet);
}

/* ---- rounds ---- */

struct results {
    double *value;
    size_t count;
};

static void
wait_for_sleepers(_Atomic uint32_t *word, uint32_t n)
{
    while (atomic_load(word) < n) {
        usleep(500);
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            race_stop("wake", "a sleeper failed");
        }
    }
}

static void
begin_round(enum kind kind, uint32_t n)
{
    atomic_store(&board->asleep, 0);
    atomic_store(&board->done, 0);
    atomic_store(&board->kind, kind);
    atomic_fetch_add(&board->round, 1);
    futex_wake(&board->round);
    wait_for_sleepers(&board->asleep, n);
    usleep(n > 100 ? 200000 : 5000); /* until they sleep in the kernel */
}

/* Appends the latency of each sleeper since `since_ns`. */
static void
collect_latencies(struct results *r, uint32_t n, uint64_t since_ns)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t woke = atomic_load(&board->woke_ns[i]);

        r->value[r->count++] = woke > since_ns ? (double)(woke - since_ns) : 0;
    }
}

/* Changes the policy by the library.  Collects the latencies since the commit,
 * since the begin of the change, and since the wake. */
static void
measure_set(struct admin *a, uint32_t n, struct results out[3])
{
    uint64_t begin;

    begin_round(SET, n);
    begin = race_now_ns();
    if (set_wait(a, "0") != n) {
        race_stop("wake", "not all were asleep; try again");
    }
    wait_for_sleepers(&board->done, n);
    collect_latencies(&out[0], n, committed_ns);
    collect_latencies(&out[1], n, begin);
    collect_latencies(&out[2], n, woken_ns);
    set_wait(a, "1h");
}

static void
measure_command(struct admin *a, char *bide, char *dir, uint32_t n,
                struct results *out)
{
    uint64_t begin;

    begin_round(COMMAND, n);
    begin = race_now_ns();
    set_by_command(bide, dir);
    wait_for_sleepers(&board->done, n);
    collect_latencies(out, n, begin);
    set_wait(a, "1h");
}

static void
measure_futex(uint32_t n, struct results *out)
{
    uint64_t begin;

    begin_round(FUTEX, n);
    begin = race_now_ns();
    atomic_fetch_add(&board->bare, 1);
    futex_wake(&board->bare);
    wait_for_sleepers(&board->done, n);
    collect_latencies(out, n, begin);
}

/* ---- results ---- */

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void
say_percentiles(const char *what, uint32_t n, struct results *r)
{
    char id[64];

    if (!r->count) {
        return;
    }
    qsort(r->value, r->count, sizeof(*r->value), compare_doubles);
    snprintf(id, sizeof(id), "%s_%u_p50", what, n);
    race_say(id, r->value[r->count / 2]);
    snprintf(id, sizeof(id), "%s_%u_p99", what, n);
    race_say(id, r->value[r->count * 99 / 100]);
}

static void
start_sleepers(const char *dir, uint32_t n)
{
    board = mmap(NULL, sizeof(*board) + n * sizeof(*board->woke_ns),
                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        race_stop("mmap", strerror(errno));
    }
    for (uint32_t i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            race_stop("fork", strerror(errno));
        }
        if (pid == 0) {
            run_sleeper(dir, (int)i);
        }
    }
}

int
main(int argc, char **argv)
{
    enum { BARE, COMMIT, BEGIN, WAKE, WHOLE, RESULTS };
    struct results r[RESULTS] = {0};
    uint32_t n, rounds;
    struct admin *a;

    if (argc != 4 && argc != 5) {
        race_stop("usage", "wake DIR SLEEPERS ROUNDS [BIDE]");
    }
    n = (uint32_t)race_number(argv[2]);
    rounds = (uint32_t)race_number(argv[3]);
    for (int i = 0; i < RESULTS; i++) {
        r[i].value = calloc((size_t)n * rounds, sizeof(double));
        if (!r[i].value) {
            race_stop("wake", "out of memory");
        }
    }
    start_sleepers(argv[1], n);
    if (admin_open(argv[1], &a)) {
        race_stop("wake", failure_last()->words);
    }
    for (uint32_t i = 0; i < rounds; i++) {
        measure_futex(n, &r[BARE]);
        measure_set(a, n, &r[COMMIT]); /* also BEGIN and WAKE */
        if (argc == 5) {
            measure_command(a, argv[4], argv[1], n, &r[WHOLE]);
        }
    }
    say_percentiles("futex", n, &r[BARE]);
    say_percentiles("commit", n, &r[COMMIT]);
    say_percentiles("set", n, &r[BEGIN]);
    say_percentiles("wake", n, &r[WAKE]);
    say_percentiles("command", n, &r[WHOLE]);
    admin_close(a);
    return 0; /* the sleepers end with this process: PR_SET_PDEATHSIG */
}
