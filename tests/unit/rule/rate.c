/* Rates, with time as a number; and threads that take as fast as they can. */
#include <math.h>
#include <pthread.h>

#include "compiled.h"

#include "rule/adapt.h"
#include "rule/rate.h"

#define TIME0 (5000 * SECOND)

enum event { TAKE, OPTIONAL_TAKE, GIVE, CHANGE };
struct step {
    double at_ms;
    enum event event;
    double wait_ms;   /* TAKE...: 0 if there is a token */
    const char *keys; /* CHANGE */
};

static void
play(const char *keys, const struct step *steps, size_t count)
{
    struct policy *p = compiled(keys);
    struct rate_words w = {0};
    uint64_t txn = 7;

    for (size_t i = 0; i < count; i++) {
        uint64_t now = TIME0 + (uint64_t)(steps[i].at_ms * (double)MS);
        uint64_t at = now;

        if (steps[i].event == GIVE) {
            rate_return(&p->rate, &w, now);
        } else if (steps[i].event == CHANGE) {
            policy_free(p);
            p = compiled(steps[i].keys);
            rate_follow(&p->rate, &w, ++txn, now);
        } else {
            rate_take(&p->rate, &w, txn,
                      steps[i].event == TAKE ? MANDATORY : OPTIONAL, now, &at);
        }
        if (fabs((double)(at - now) / (double)MS - steps[i].wait_ms) >
            0.01 + steps[i].wait_ms / 1e5) {
            fail_msg("step %zu: waits %g ms", i, (double)(at - now) / 1e6);
        }
    }
    policy_free(p);
}
#define PLAY(keys, steps) play(keys, steps, COUNT(steps))

static void
five_at_once_then_ten_a_second(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, 0, NULL},    {0, TAKE, 0, NULL},      {0, TAKE, 0, NULL},
        {0, TAKE, 0, NULL},    {0, TAKE, 0, NULL},      {0, TAKE, 100, NULL},
        {50, TAKE, 50, NULL},  {100, TAKE, 0, NULL},    {100, TAKE, 100, NULL},
        {1000, TAKE, 0, NULL}, /* and four more */
        {1000, TAKE, 0, NULL}, {1000, TAKE, 0, NULL},   {1000, TAKE, 0, NULL},
        {1000, TAKE, 0, NULL}, {1000, TAKE, 100, NULL},
    };

    (void)state;
    PLAY("rate=own\nrate_limit=10/s\nrate_burst=5", steps);
}

static void
a_turn_that_is_not_used_goes_to_the_next_call(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, 0, NULL}, {0, TAKE, 12000, NULL}, {0, GIVE, 0, NULL},
        {0, TAKE, 0, NULL}, {0, GIVE, 0, NULL},     {0, GIVE, 0, NULL},
        {0, TAKE, 0, NULL}, {0, TAKE, 12000, NULL}, /* never above the burst */
    };

    (void)state;
    PLAY("rate=own\nrate_limit=5/m", steps);
}

static void
waiting_calls_get_turns_one_token_apart(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, 0, NULL},   {0, TAKE, 20, NULL}, {0, TAKE, 40, NULL},
        {0, TAKE, 60, NULL},  {5, TAKE, 75, NULL}, {20, TAKE, 0, NULL},
        {20, TAKE, 80, NULL}, {35, TAKE, 5, NULL}, /* it was woken early */
    };
    static const struct step impatient[] = {
        {0, TAKE, 0, NULL},  {0, TAKE, 20, NULL},  {0, TAKE, 40, NULL},
        {0, TAKE, 60, NULL}, {0, TAKE, 60, NULL}, /* refused: took no turn */
        {20, TAKE, 0, NULL}, {20, TAKE, 40, NULL},
    };

    (void)state;
    PLAY("rate=own\nrate_limit=50/s\nrate_wait=1s", steps);
    PLAY("rate=own\nrate_limit=50/s\nrate_wait=45ms", impatient);
}

static void
the_reserve_is_for_mandatory_policies(void **state)
{
    static const struct step steps[] = {
        {0, OPTIONAL_TAKE, 0, NULL},
        {0, OPTIONAL_TAKE, 0, NULL},
        {0, OPTIONAL_TAKE, 100, NULL},
        {0, TAKE, 0, NULL},
        {0, TAKE, 0, NULL},
        {0, TAKE, 100, NULL},
        {100, OPTIONAL_TAKE, 200, NULL},
    };
    static const struct step one[] = {
        {0, OPTIONAL_TAKE, 0, NULL}, /* a full bucket has one for everybody */
        {0, OPTIONAL_TAKE, 100, NULL},
    };

    (void)state;
    PLAY("rate=own\nrate_limit=10/s\nrate_burst=4\nrate_reserve=50%", steps);
    PLAY("rate=own\nrate_limit=10/s\nrate_reserve=50%", one);
}

#define RATE(limit) "rate=own\nrate_burst=2\nrate_wait=1h\nrate_limit=" limit

static void
a_change_moves_those_who_wait(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, 0, NULL},
        {0, TAKE, 0, NULL},
        {0, TAKE, 60000, NULL},
        {30000, CHANGE, 0, RATE("1/s")},
        {30000, TAKE, 500, NULL}, /* half a token was there */
        {30500, TAKE, 0, NULL},
        {30500, CHANGE, 0, RATE("1000/s")},
        {30501, TAKE, 0, NULL},
        {30501.5, CHANGE, 0, RATE("1/h")},
        {30501.5, TAKE, 1800e3, NULL},
    };

    (void)state;
    PLAY(RATE("1/m"), steps);
}

static void
rules_of_an_older_commit_change_nothing(void **state)
{
    struct policy *old = compiled(RATE("1/h")), *new = compiled(RATE("10/s"));
    struct rate_words w = {0};
    uint64_t at;

    (void)state;
    rate_follow(&new->rate, &w, 9, TIME0);
    assert_true(rate_take(&old->rate, &w, 8, MANDATORY, TIME0, &at));
    assert_true(adapt_read(&w.pace, 0) == 10);
    assert_true(rate_take(&new->rate, &w, 9, MANDATORY, TIME0, &at));
    assert_false(rate_take(&new->rate, &w, 9, MANDATORY, TIME0, &at));
    assert_int_equal(at, TIME0 + 100 * MS);
    policy_free(old);
    policy_free(new);
}

/* Any single word, or all, hold nothing for longer than the rate itself does:
 * the bucket is filled again after burst / rate. */
static void
garbage_neither_holds_for_long_nor_opens(void **state)
{
    static const uint64_t words[] = {1,
                                     UINT64_MAX,
                                     0x7fc00000ull << 32,
                                     0xff800000ull << 32,
                                     0x7f800000ull << 32,
                                     0x8000000080000000ull,
                                     0x4b18967f00000000ull,
                                     0x7ff0000000000000ull,
                                     0xfff8000000000000ull,
                                     0x0123456789abcdefull};
    static const char *const keys[] = {
        RATE("10/s"), RATE("10/s") "\nrate_adapt=cubic\nrate_min=2/s"};

    (void)state;
    for (size_t i = 0; i < COUNT(words) * 18; i++) {
        struct policy *p = compiled(keys[i % 2]);
        struct rate_words w = {0};
        _Atomic uint64_t *word = (_Atomic uint64_t *)&w;
        size_t nth = i / 2 % 9;
        uint64_t now = TIME0, at;
        int through = 0;

        for (size_t k = 0; k < 8; k++) { /* 4 of each line; 8: all */
            if (nth == 8 || k == nth) {
                word[k < 4 ? k : k + 4] = words[i / 18];
            }
        }
        for (int n = 0; n < 100; n++, now += 100 * MS) {
            while (rate_take(&p->rate, &w, 3, MANDATORY, now, &at)) {
                through++;
                rate_report(&p->rate, &w, false, now, now);
            }
            assert_true(at > now && at <= now + 1000 * MS);
        }
        /* 10 s at 10/s; adaptive ones between rate_min and one second more */
        if (through < (i % 2 ? 20 : 95) || through > (i % 2 ? 115 : 103)) {
            fail_msg("word %zu = %#lx, rules %zu: %d", nth,
                     (unsigned long)words[i / 18], i % 2, through);
        }
        if (rate_look(&p->rate, &w, now).is_damaged) {
            fail_msg("word %zu = %#lx, rules %zu: kept", nth,
                     (unsigned long)words[i / 18], i % 2);
        }
        policy_free(p);
    }
}

static void
a_clock_that_stands_or_steps_back_gives_nothing(void **state)
{
    struct policy *p = compiled(RATE("1000/s"));
    struct rate_words w = {0};
    uint64_t at;
    int through = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        through +=
            rate_take(&p->rate, &w, 1, MANDATORY, TIME0 - (i % 3) * MS, &at);
    }
    assert_int_equal(through, 2);
    policy_free(p);
}

/* ---- several threads ---- */

enum { THREADS = 3, TAKES = 200000 };
struct race {
    struct policy *p;
    struct rate_words w;
    _Atomic uint64_t clock_ns; /* goes on by each question; 0.3 s in all, as a
                                  thread may be a second late */
    _Atomic uint64_t through;
};

static void *
take_many(void *arg)
{
    struct race *r = arg;
    uint64_t at;

    for (int i = 0; i < TAKES; i++) {
        uint64_t now = atomic_fetch_add(&r->clock_ns, 500);

        if (rate_take(&r->p->rate, &r->w, 1, MANDATORY, now, &at)) {
            atomic_fetch_add(&r->through, 1);
        }
    }
    return NULL;
}

static void
threads_together_never_get_more_than_the_rate(void **state)
{
    struct race r = {.p = compiled("rate=own\nrate_limit=500000/s\n"
                                   "rate_burst=10"),
                     .clock_ns = TIME0};
    pthread_t threads[THREADS];
    double bound;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &r), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    bound = 10 + 500000 * (double)(r.clock_ns - TIME0) / 1e9;
    if ((double)r.through > bound) {
        fail_msg("%.0f of at most %.0f", (double)r.through, bound);
    }
    assert_true((double)r.through >= bound * 0.98);
    policy_free(r.p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_at_once_then_ten_a_second),
        cmocka_unit_test(a_turn_that_is_not_used_goes_to_the_next_call),
        cmocka_unit_test(waiting_calls_get_turns_one_token_apart),
        cmocka_unit_test(the_reserve_is_for_mandatory_policies),
        cmocka_unit_test(a_change_moves_those_who_wait),
        cmocka_unit_test(rules_of_an_older_commit_change_nothing),
        cmocka_unit_test(garbage_neither_holds_for_long_nor_opens),
        cmocka_unit_test(a_clock_that_stands_or_steps_back_gives_nothing),
        cmocka_unit_test(threads_together_never_get_more_than_the_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
