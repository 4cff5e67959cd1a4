/* places DIR ROUNDS N WAKES: measures a call under a limit, alone and beside
 * another process, in turn with other ways to limit what a host does at once: a
 * System V semaphore with SEM_UNDO (as Shopify's semian) and flock.  The
 * registry in DIR has the policies "plain", "placed" and "queued" (one place,
 * and calls wait).  Also measures how soon a call that waits for a place goes
 * on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bide.h>
#include "race.h"

static const char *dir;
static int semaphore;
static _Atomic uint64_t *word;

static struct bide_outcome
succeed(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return (struct bide_outcome){0};
}

/* Each process opens the registry, or the file, itself. */
static struct bide_policy *
open_policy(const char *name)
{
    struct bide_policy *p;
    struct bide *b;
    int rc = bide_open(dir, 0, &b);

    rc = rc ? rc : bide_lookup(b, name, NULL, &p);
    if (rc) {
        race_stop(name, bide_strerror(rc));
    }
    bide_run(p, succeed, NULL);
    return p;
}

static void
run_calls(void *arg, long n)
{
    static struct bide_policy *of[2];
    static pid_t opened;
    int which = strcmp(arg, "plain") != 0;

    if (opened != getpid()) {
        opened = getpid();
        of[0] = of[1] = NULL;
    }
    of[which] = of[which] ? of[which] : open_policy(arg);
    while (n-- > 0) {
        bide_run(of[which], succeed, NULL);
    }
}

static void
run_semaphore(void *arg, long n)
{
    struct sembuf take = {0, -1, SEM_UNDO}, give = {0, 1, SEM_UNDO};

    (void)arg;
    while (n-- > 0) {
        if (semop(semaphore, &take, 1) || semop(semaphore, &give, 1)) {
            race_stop("semop", strerror(errno));
        }
    }
}

static void
run_flock(void *arg, long n)
{
    static pid_t opened;
    static int fd;

    if (opened != getpid()) {
        opened = getpid();
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    (void)arg;
    while (n-- > 0) {
        if (flock(fd, LOCK_SH) || flock(fd, LOCK_UN)) {
            race_stop("flock", strerror(errno));
        }
    }
}

static void
run_add(void *arg, long n)
{
    (void)arg;
    while (n-- > 0) {
        atomic_fetch_add(word, 1);
    }
}

/* Runs a racer beside another process that does the same all the time. */
static void
run_beside(void *arg, long n)
{
    const struct racer *r = arg;
    pid_t other = fork();

    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            r->run(r->arg, 1000);
        }
    }
    r->run(r->arg, n);
    if (other > 0) {
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
    }
}

/* ---- waking ---- */

static uint32_t wake_count;
struct wakes {
    _Atomic uint32_t bare, round; /* rounds: first the bare futex, then bide */
    _Atomic uint64_t woke_ns;
};
static struct wakes *wakes;

static struct bide_outcome
note_wake(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    atomic_store(&wakes->woke_ns, race_now_ns());
    return (struct bide_outcome){0};
}

/* Sleeps twice in each round: on a word, then for a place. */
static void
wait_in_child(void)
{
    struct bide_policy *p = open_policy("queued");

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t i = 0;; i++) {
        atomic_store(&wakes->round, 2 * i + 1);
        while (atomic_load(&wakes->bare) == i) {
            syscall(SYS_futex, &wakes->bare, FUTEX_WAIT, i, NULL, NULL, 0);
        }
        atomic_store(&wakes->woke_ns, race_now_ns());
        while (atomic_load(&wakes->round) == 2 * i + 1) {
            usleep(100);
        }
        bide_run(p, note_wake, NULL);
    }
}

static int
order_times(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static uint64_t
await_wake(uint64_t begun_ns)
{
    uint64_t woke;

    while ((woke = atomic_exchange(&wakes->woke_ns, 0)) == 0) {
        usleep(50);
    }
    return woke - begun_ns;
}

static void
race_wakes(void)
{
    uint64_t *took[2] = {calloc(wake_count, 8), calloc(wake_count, 8)};
    struct bide_policy *p = open_policy("queued");
    struct bide_call c;
    pid_t child = fork();

    if (child == 0) {
        wait_in_child();
    }
    if (!took[0] || !took[1]) {
        race_stop("wakes", "out of memory");
    }
    bide_call_init(&c);
    for (uint32_t i = 0; i < wake_count; i++) {
        uint64_t begun;

        while (atomic_load(&wakes->round) != 2 * i + 1) {
            usleep(100);
        }
        if (bide_step_begin(&c, p, NULL) != BIDE_GO) {
            race_stop("queued", "no place");
        }
        usleep(2000);
        begun = race_now_ns();
        atomic_store(&wakes->bare, i + 1);
        syscall(SYS_futex, &wakes->bare, FUTEX_WAKE, 1, NULL, NULL, 0);
        took[0][i] = await_wake(begun);
        atomic_store(&wakes->round, 2 * i + 2);
        usleep(2000);
        begun = race_now_ns();
        bide_step_ended(&c, (struct bide_outcome){0});
        took[1][i] = await_wake(begun);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 2; i++) {
        qsort(took[i], wake_count, sizeof(*took[i]), order_times);
        race_say(i ? "place_wake_p50" : "place_futex_p50",
                 (double)took[i][wake_count / 2]);
    }
}

int
main(int argc, char **argv)
{
    static char plain[] = "plain", placed[] = "placed";
    struct racer alone[] = {
        {"place_add", run_add, NULL, 0, 0},
        {"place_plain", run_calls, plain, 0, 0},
        {"place_call", run_calls, placed, 0, 0},
        {"place_semaphore", run_semaphore, NULL, 0, 0},
        {"place_flock", run_flock, NULL, 0, 0},
    };
    struct racer beside[] = {
        {"place_add_2", run_beside, &alone[0], 0, 0},
        {"place_plain_2", run_beside, &alone[1], 0, 0},
        {"place_call_2", run_beside, &alone[2], 0, 0},
        {"place_semaphore_2", run_beside, &alone[3], 0, 0},
        {"place_flock_2", run_beside, &alone[4], 0, 0},
    };
    union {
        int val;
        void *other;
    } places = {.val = 8};

    if (argc != 5) {
        race_stop("usage", "places DIR ROUNDS N WAKES");
    }
    dir = argv[1];
    wake_count = (uint32_t)race_number(argv[4]);
    word = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    wakes = mmap(NULL, sizeof(*wakes), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    if (word == MAP_FAILED || wakes == MAP_FAILED || semaphore < 0 ||
        semctl(semaphore, 0, SETVAL, places)) {
        race_stop("semget", strerror(errno));
    }
    race(alone, sizeof(alone) / sizeof(*alone), (int)race_number(argv[2]),
         race_number(argv[3]));
    race(beside, sizeof(beside) / sizeof(*beside), (int)race_number(argv[2]),
         race_number(argv[3]));
    semctl(semaphore, 0, IPC_RMID);
    race_wakes();
    return 0;
}
