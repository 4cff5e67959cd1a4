/* Deferred work under kill -9.  A ledger outside of bide shows that each
 * accepted piece is completed, and that no two leases of a piece overlap. */

#include <sys/mman.h>
#include <sys/prctl.h>

#include <bide.h>
#include "../process.h"
#include "admin/open.h"
#include "store/queue/queue.h"

enum { ITEMS = 2000, PRODUCERS = 4, CONSUMERS = 4, WORKERS = 8, EACH = 500 };

static const char rules[] = "[mail]\nimportance = postponable\n"
                            "defer_lease = 200ms\ndefer_wait = 1s\n"
                            "defer_wait_max = 1s\n";
#define LEASE_NS 200000000ull

/* Shared by all processes. */
struct ledger {
    _Atomic uint32_t accepted[ITEMS], done[ITEMS];
    _Atomic uint64_t lease_ends[ITEMS]; /* end of the current lease; 0: none */
    _Atomic uint32_t overlaps, strangers, late;
};

static struct ledger *ledger;

/* ---- the workers ---- */

/* The time of the work itself, so that many workers are killed during it. */
static void
toil(void)
{
    const struct timespec moment = {0, 2000000};

    nanosleep(&moment, NULL);
}

static struct bide_policy *
open_mail(const struct scene *s)
{
    struct bide_policy *p;
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    MUST(bide_lookup(b, "mail", NULL, &p) == 0);
    return p;
}

/* A producer that was killed before it recorded the result stores the work
 * again. The key makes it the same work, unless that is completed already. */
static void
produce(const struct scene *s, int number)
{
    struct bide_policy *p = open_mail(s);
    int i;

    for (i = number * EACH; i < (number + 1) * EACH; i++) {
        char bytes[1600], key[20];
        struct bide_work work = {.bytes = bytes, .key = key};
        uint64_t id;

        if (atomic_load(&ledger->accepted[i])) {
            continue;
        }
        snprintf(key, sizeof(key), "item-%d", i);
        memset(bytes, 'x', sizeof(bytes));
        work.length = (size_t)i % 1500 + sizeof(i);
        memcpy(bytes, &i, sizeof(i));
        toil();
        MUST(bide_defer(p, &work, &id) == 0);
        atomic_store(&ledger->accepted[i], 1);
    }
}

/* Two leases of the same work must not overlap. */
static void
enter(int i, uint64_t ends_ns)
{
    uint64_t other = atomic_exchange(&ledger->lease_ends[i], ends_ns);
    uint64_t apart = other > ends_ns ? other - ends_ns : ends_ns - other;

    if (other && apart < LEASE_NS) {
        atomic_fetch_add(&ledger->overlaps, 1);
    }
}

static void
consume_one(struct bide_policy *p, struct bide_deferred *d, unsigned *seed)
{
    int i = -1, rc;

    if (d->length >= sizeof(i)) {
        memcpy(&i, d->bytes, sizeof(i));
    }
    if (i < 0 || i >= ITEMS || d->length != (size_t)i % 1500 + sizeof(i)) {
        atomic_fetch_add(&ledger->strangers, 1);
        return;
    }
    enter(i, d->lease_ends_boottime_ns);
    toil();
    /* Before the answer: whoever is killed after an ack that succeeded must not
     * leave an entry, because the producer may store this work once more. */
    atomic_store(&ledger->lease_ends[i], 0);
    if (rand_r(seed) % 8 == 0) {
        rc = bide_deferred_nack(p, d, "not now");
    } else {
        atomic_fetch_add(&ledger->done[i], 1);
        rc = bide_deferred_ack(p, d);
    }
    MUST(rc == 0 || rc == BIDE_ELEASE || rc == BIDE_ENOWORK);
    if (rc) {
        atomic_fetch_add(&ledger->late, 1);
    }
}

static void
consume(const struct scene *s, unsigned seed)
{
    struct bide_policy *p = open_mail(s);

    for (;;) {
        struct bide_deferred *d[3];
        int n = bide_deferred_take(p, scene_monotonic() + SECOND,
                                   1 + rand_r(&seed) % 3, d);

        MUST(n >= 0);
        while (n--) {
            consume_one(p, d[n], &seed);
            bide_deferred_free(d[n]);
        }
    }
}

static pid_t
start(const struct scene *s, int number, unsigned seed)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (number < PRODUCERS) {
            produce(s, number);
        } else {
            consume(s, seed);
        }
        _exit(0);
    }
    return child;
}

/* ---- the killer ---- */

static bool
all_is_done(void)
{
    int i;

    for (i = 0; i < ITEMS; i++) {
        if (!atomic_load(&ledger->accepted[i]) ||
            !atomic_load(&ledger->done[i])) {
            return false;
        }
    }
    return true;
}

static void
end(pid_t child)
{
    int status;

    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

/* Returns the number of workers that it killed. */
static unsigned
kill_at_random(const struct scene *s, pid_t workers[WORKERS])
{
    unsigned seed = 5, killed = 0;
    int i;

    for (i = 0; i < WORKERS; i++) {
        workers[i] = start(s, i, (unsigned)i);
    }
    while (!all_is_done()) {
        const struct timespec pause = {0, 500000 + rand_r(&seed) % 10000000};

        nanosleep(&pause, NULL);
        i = (int)(rand_r(&seed) % WORKERS);
        end(workers[i]);
        workers[i] = start(s, i, seed);
        killed++;
    }
    return killed;
}

static int
keep_counts(void *arg, const struct deferred_counts *c)
{
    *(struct deferred_counts *)arg = *c;
    return 0;
}

static struct deferred_counts
counts(struct scene *s)
{
    struct deferred_counts c = {.stored = 0};
    struct admin *a = scene_admin(s);
    struct deferred *d;

    assert_int_equal(admin_deferred(a, &d), 0);
    assert_int_equal(deferred_counts(d, keep_counts, &c), 0);
    admin_close(a);
    return c;
}

static bool
nothing_is_left(void *arg)
{
    struct deferred_counts c = counts(arg);

    return c.waiting + c.leased == 0;
}

static void
accepted_work_is_completed_whichever_process_is_killed(void **state)
{
    struct scene *s = *state;
    struct deferred_counts c;
    pid_t workers[WORKERS];
    unsigned killed;
    int i;

    /* In memory, so that more happens between two kills. */
    snprintf(s->dir, sizeof(s->dir), "%s/registry", s->live);
    scene_init(s);
    scene_apply(s, rules);
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(ledger != MAP_FAILED);
    killed = kill_at_random(s, workers);
    for (i = 0; i < PRODUCERS; i++) {
        end(workers[i]);
    }
    assert_true(scene_until(nothing_is_left, s));
    for (; i < WORKERS; i++) {
        end(workers[i]);
    }
    c = counts(s);
    assert_true(c.stored >= ITEMS);
    assert_int_equal(c.stored, c.done);
    assert_int_equal(c.dead + c.dropped + c.bytes, 0);
    assert_int_equal(atomic_load(&ledger->overlaps), 0);
    assert_int_equal(atomic_load(&ledger->strangers), 0);
    assert_true(killed > 50);
    printf("           %u killed, %u answers came too late\n", killed,
           atomic_load(&ledger->late));
    munmap(ledger, sizeof(*ledger));
}

/* ---- children of a killed process ---- */

static void *
put_for_ever(void *arg)
{
    uint64_t id;

    for (;;) {
        bide_defer(arg, &(struct bide_work){.bytes = "x", .length = 1}, &id);
    }
    return NULL;
}

/* The children live on, and must not keep the lock that their parent held. */
static void
fork_and_die(const struct scene *s, int out)
{
    struct bide_policy *p = open_mail(s);
    pthread_t thread;
    int i;

    MUST(pthread_create(&thread, NULL, put_for_ever, p) == 0);
    for (i = 0; i < 20; i++) {
        const struct timespec moment = {0, 500000};
        pid_t child;

        nanosleep(&moment, NULL);
        child = fork();
        MUST(child >= 0);
        if (child == 0) {
            for (;;) {
                pause();
            }
        }
        MUST(write(out, &child, sizeof(child)) == sizeof(child));
    }
    raise(SIGKILL);
}

static void
children_of_a_killed_process_do_not_keep_the_lock(void **state)
{
    struct scene *s = *state;
    int pipes[2], i, status;
    pid_t parent, children[20];
    uint64_t id;

    scene_init(s);
    scene_apply(s, rules);
    assert_int_equal(pipe(pipes), 0);
    parent = fork();
    if (parent == 0) {
        fork_and_die(s, pipes[1]);
    }
    close(pipes[1]);
    assert_true(process_read_all(pipes[0], children, sizeof(children)));
    close(pipes[0]);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(bide_defer(scene_policy(s, "mail"),
                                &(struct bide_work){.bytes = "x", .length = 1},
                                &id),
                     0);
    for (i = 0; i < 20; i++) {
        kill(children[i], SIGKILL);
    }
}

/* ---- waiting consumers ---- */

static pid_t
start_waiter(const struct scene *s, int out)
{
    pid_t child = fork();

    if (child == 0) {
        struct bide_deferred *d;
        struct bide_policy *p = open_mail(s);

        MUST(write(out, "w", 1) == 1);
        MUST(bide_deferred_take(p, scene_monotonic() + 60 * SECOND, 1, &d) ==
             1);
        MUST(bide_deferred_ack(p, d) == 0);
        MUST(write(out, d->bytes, 1) == 1);
        _exit(0);
    }
    assert_true(child > 0);
    return child;
}

static void
one_piece_of_work_wakes_one_waiting_consumer(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;
    int pipes[2], status, i;
    pid_t waiters[2];
    uint64_t id;
    char heard;

    scene_init(s);
    /* The default lease, which a slow consumer does not outlive. */
    scene_apply(s, "[mail]\nimportance = postponable\n");
    assert_int_equal(pipe(pipes), 0);
    for (i = 0; i < 2; i++) {
        waiters[i] = start_waiter(s, pipes[1]);
    }
    for (i = 0; i < 2; i++) {
        assert_true(process_read_all(pipes[0], &heard, 1));
        assert_int_equal(heard, 'w');
    }
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    p = scene_policy(s, "mail");
    for (i = 0; i < 2; i++) {
        char text = (char)('1' + i);

        assert_int_equal(
            bide_defer(p, &(struct bide_work){.bytes = &text, .length = 1},
                       &id),
            0);
        assert_true(process_read_all(pipes[0], &heard, 1));
        assert_int_equal(heard, text);
    }
    for (i = 0; i < 2; i++) {
        assert_int_equal(waitpid(waiters[i], &status, 0), waiters[i]);
        assert_int_equal(status, 0);
    }
    close(pipes[0]);
    close(pipes[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(accepted_work_is_completed_whichever_process_is_killed),
        SCENE(children_of_a_killed_process_do_not_keep_the_lock),
        SCENE(one_piece_of_work_wakes_one_waiting_consumer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
