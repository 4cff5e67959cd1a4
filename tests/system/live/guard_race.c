/* Eight threads in four processes use one budget as fast as they can, and are
 * killed: no token is lost or created. */

#include <sched.h>

#include "policy/rules.h"
#include "rule/budget.h"
#include "rule/guard.h"
#include "guarding.h"

#define TIME (86400 * SECOND)

enum { PROCESSES = 4, THREADS = 2, ALL = PROCESSES * THREADS };

/* The tokens that a thread holds, in a cache line of its own. */
struct holder {
    _Atomic int64_t held;
    _Atomic uint64_t operations;
    uint64_t spare[6];
};

struct arena {
    struct budget_words words;
    _Atomic int64_t capacity; /* in thousandths, as set by transaction `txn` */
    _Atomic uint64_t txn;
    _Atomic uint32_t stop;
    uint64_t operations; /* of each thread; 0: until `stop` */
    struct budget_rules rules;
    struct holder holder[ALL];
};

struct start {
    struct arena *a;
    uint32_t place; /* index of its holder */
};

static uint64_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Takes tokens at a random price, or returns a part of those it holds. */
static void
operate(struct arena *a, struct holder *mine, uint64_t *seed)
{
    struct guard g = {.budget = &a->words, .txn = 1};
    struct budget_paid paid = {0, PAID_TOKENS, &a->words};
    int64_t held = atomic_load(&mine->held);

    if (draw(seed) % 2) {
        if (budget_take(&a->rules, MANDATORY, &g,
                        (enum budget_price)(draw(seed) % 3), TIME, &paid)) {
            atomic_fetch_add(&mine->held, paid.price);
        }
    } else if (held > 0) {
        paid.price = 1 + (int32_t)(draw(seed) % (uint64_t)held);
        budget_return(&a->rules, &g, &paid, TIME, TIME);
        atomic_fetch_sub(&mine->held, paid.price);
    }
    atomic_fetch_add(&mine->operations, 1);
}

static void *
take_and_give(void *arg)
{
    const struct start *s = arg;
    struct arena *a = s->a;
    uint64_t seed = (s->place + 1) * 88172645463325252ull, n;

    for (n = 0; !a->operations || n < a->operations; n++) {
        operate(a, &a->holder[s->place], &seed);
        if (!a->operations && atomic_load(&a->stop)) {
            break;
        }
    }
    return NULL;
}

static void
run_threads(void *arg)
{
    struct start s[THREADS];
    pthread_t threads[THREADS];

    for (uint32_t i = 0; i < THREADS; i++) {
        s[i] = *(const struct start *)arg;
        s[i].place += i;
        MUST(pthread_create(&threads[i], NULL, take_and_give, &s[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
}

static pid_t
start_process(struct arena *a, uint32_t i)
{
    struct start s = {a, i * THREADS};

    return guarding_start(run_threads, &s);
}

/* A small budget, so that it is often empty and often full. */
static struct arena *
arena_new(uint64_t operations)
{
    struct arena *a = guarding_share(sizeof(*a));

    a->operations = operations;
    a->rules = (struct budget_rules){
        .group = "own",
        .kind = BUDGET_TOKENS,
        .charge = CHARGE_RETRY,
        .capacity = 20000,
        .cost = 5000,
        .timeout_cost = 1,
        .throttle_cost = 777,
        .refund = -1,
    };
    return a;
}

static int64_t
missing(const struct arena *a)
{
    return (int64_t)(atomic_load(&a->words.tokens) >> 36);
}

static int64_t
held_by_all(const struct arena *a)
{
    int64_t sum = 0;

    for (int i = 0; i < ALL; i++) {
        sum += atomic_load(&a->holder[i].held);
    }
    return sum;
}

static void
assert_bounds(const struct arena *a)
{
    int64_t m = missing(a);

    assert_true(m >= 0 && m <= a->rules.capacity);
}

static void
without_kills_the_count_is_exact(void **state)
{
    struct arena *a = arena_new(200000);
    int running = PROCESSES;

    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        start_process(a, (uint32_t)i);
    }
    while (running) {
        int status;
        pid_t gone = waitpid(-1, &status, WNOHANG);

        assert_bounds(a);
        if (gone > 0) {
            assert_int_equal(status, 0);
            running--;
        }
    }
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(a->holder[i].operations, 200000);
    }
    assert_int_equal(missing(a), held_by_all(a));
}

static uint64_t
operations_of(const struct arena *a, int process)
{
    return atomic_load(&a->holder[process * THREADS].operations) +
           atomic_load(&a->holder[process * THREADS + 1].operations);
}

struct progress {
    const struct arena *a;
    int process;
    uint64_t to;
};

static bool
has_made_progress(void *arg)
{
    const struct progress *p = arg;

    assert_bounds(p->a);
    return operations_of(p->a, p->process) >= p->to;
}

static void
a_kill_loses_at_most_one_operation_of_each_thread(void **state)
{
    enum { KILLS = 100 };
    struct arena *a = arena_new(0);
    pid_t pids[PROCESSES];
    uint64_t seed = 4711;
    int64_t most = KILLS * THREADS * a->rules.capacity, off;

    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = start_process(a, (uint32_t)i);
    }
    for (int i = 0; i < KILLS; i++) {
        int k = (int)(draw(&seed) % PROCESSES);
        struct progress p = {a, k, operations_of(a, k) + draw(&seed) % 300 + 1};

        assert_true(scene_until(has_made_progress, &p));
        guarding_kill(pids[k]);
        pids[k] = start_process(a, (uint32_t)k);
    }
    atomic_store(&a->stop, 1);
    for (int i = 0; i < PROCESSES; i++) {
        guarding_end(pids[i]);
    }
    assert_bounds(a);
    off = missing(a) - held_by_all(a);
    print_message("         %d kills, off by %lld thousandths\n", KILLS,
                  (long long)off);
    assert_true(off <= most && off >= -most);
    /* The budget still works. */
    a->operations = 1000;
    guarding_end(start_process(a, 0));
    assert_bounds(a);
    assert_int_equal(missing(a) - held_by_all(a), off);
}

/* ---- changes of the capacity ---- */

static void *
settle_until_stopped(void *arg)
{
    struct arena *a = arg;

    while (!atomic_load(&a->stop)) {
        uint64_t txn = atomic_load(&a->txn);
        struct budget_rules r = a->rules;
        struct guard g = {.budget = &a->words, .txn = txn};
        struct budget_paid paid;

        r.capacity = atomic_load(&a->capacity);
        r.refill_per_s = r.capacity / 1000;
        r.cost = 0;
        if (atomic_load(&a->txn) == txn) { /* capacity and txn match */
            MUST(budget_take(&r, MANDATORY, &g, PRICE_USUAL, TIME, &paid));
        }
        atomic_fetch_add(&a->holder[0].operations, 1);
    }
    return NULL;
}

static void
settle_in_threads(void *arg)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_create(&threads[i], NULL, settle_until_stopped, arg) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
}

static void
change_size(struct arena *a, int64_t capacity)
{
    uint64_t txn = atomic_load(&a->txn);

    atomic_store(&a->txn, 0); /* no thread uses it meanwhile */
    atomic_store(&a->capacity, capacity);
    atomic_store(&a->txn, txn + 1);
}

/* The capacity is doubled and halved in turn, so nothing is rounded. */
static void
a_change_of_capacity_is_applied_once_by_many_processes(void **state)
{
    struct arena *a = arena_new(0);
    struct guard g = {.budget = &a->words, .txn = 1};
    pid_t pids[PROCESSES];
    struct budget_paid paid;

    (void)state;
    a->rules.capacity = 1000000;
    a->capacity = 1000000;
    a->txn = 1;
    a->rules.cost = 400000;
    assert_true(
        budget_take(&a->rules, MANDATORY, &g, PRICE_USUAL, TIME, &paid));
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = guarding_start(settle_in_threads, a);
    }
    for (int i = 0; i < 500; i++) {
        uint64_t seen = atomic_load(&a->holder[0].operations);

        change_size(a, i % 2 ? 1000000 : 2000000);
        while (atomic_load(&a->holder[0].operations) < seen + 5) {
            sched_yield();
        }
        if (i % 20 == 0) { /* sometimes kill a process meanwhile */
            guarding_kill(pids[i / 20 % PROCESSES]);
            pids[i / 20 % PROCESSES] = guarding_start(settle_in_threads, a);
        }
    }
    atomic_store(&a->stop, 1);
    for (int i = 0; i < PROCESSES; i++) {
        guarding_end(pids[i]);
    }
    a->rules.capacity = a->capacity;
    a->rules.refill_per_s = a->rules.capacity / 1000;
    g.txn = a->txn;
    a->rules.cost = 0;
    assert_true(
        budget_take(&a->rules, MANDATORY, &g, PRICE_USUAL, TIME, &paid));
    assert_int_equal(missing(a), 400000);
    assert_int_equal(a->words.refill[a->words.size >> 62],
                     a->rules.refill_per_s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_kills_the_count_is_exact),
        cmocka_unit_test(a_kill_loses_at_most_one_operation_of_each_thread),
        cmocka_unit_test(
            a_change_of_capacity_is_applied_once_by_many_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
