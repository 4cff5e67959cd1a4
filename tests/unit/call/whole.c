/* The latency and the attempts of whole calls, in each driver.  The clock is
 * the caller's: each attempt takes 10 ms, each wait 100 ms. */
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "retry_on = http.503\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n"
                           "[tried]\nextends = shop\nattempts = 100\n"
                           "wait = none\n"
                           "[later]\nextends = shop\n"
                           "importance = postponable\n"
                           "[closed]\nextends = shop\npaused = yes\n";

#define OK bide_ok()
#define BAD bide_http(503, NULL)

/* ---- the drivers ---- */

static void
drive_short(struct scene *s, struct bide_policy *p)
{
    bide_run(p, scene_attempt, s);
}

static void
drive_run(struct scene *s, struct bide_policy *p)
{
    struct bide_call c = {0};

    bide_call_run(&c, p, scene_attempt, s);
}

static void
drive_block(struct scene *s, struct bide_policy *p)
{
    struct bide_call c = {0};

    BIDE_TRY(&c, p)
    {
        bide_call_outcome(&c, scene_attempt(bide_call_attempt(&c), s));
    }
}

static void
drive_steps(struct scene *s, struct bide_policy *p)
{
    struct bide_call c = {0};
    enum bide_next next = bide_step_begin(&c, p, NULL);

    while (next != BIDE_DONE) {
        if (next == BIDE_GO) {
            next = bide_step_ended(&c, scene_attempt(bide_call_attempt(&c), s));
            continue;
        }
        s->now = bide_step_deadline_ns(&c);
        next = bide_step_resume(&c);
    }
}

static void
drive_work(struct scene *s, struct bide_policy *p)
{
    const struct bide_work work = {.bytes = "x", .length = 1};
    struct bide_call c = {0};

    assert_int_equal(bide_call_set_work(&c, &work), 0);
    bide_call_run(&c, p, scene_attempt, s);
}

static const struct {
    const char *name;
    void (*run)(struct scene *s, struct bide_policy *p);
} drivers[] = {{"bide_run", drive_short},
               {"bide_call_run", drive_run},
               {"BIDE_TRY", drive_block},
               {"steps", drive_steps},
               {"work", drive_work}};

/* ---- what is counted ---- */

struct row {
    const char *what, *policy;
    struct bide_outcome outcome[4]; /* the last one repeats */
    size_t count;
    uint64_t attempts, took_ms; /* 0: no latency */
};

/* Returns the place of a number of attempts in calls_by_attempts. */
static size_t
place_of(uint64_t attempts)
{
    static const uint64_t most[] = {1, 2, 3, 4, 8, 16, 32, 64};
    size_t i = 0;

    while (i < COUNT(most) && attempts > most[i]) {
        i++;
    }
    return i;
}

static void
assert_counted(const struct bide_stats *n, const struct row *r)
{
    print_message("         %s\n", r->what);
    assert_int_equal(n->latency_calls.count, r->took_ms > 0);
    for (size_t i = 0; i < COUNT(n->calls_by_attempts); i++) {
        assert_int_equal(n->calls_by_attempts[i],
                         r->took_ms > 0 && i == place_of(r->attempts));
    }
    assert_true(n->latency_calls.max_ns >=
                (uint64_t)r->took_ms * MS / 100 * 97);
    assert_true(n->latency_calls.max_ns <=
                (uint64_t)r->took_ms * MS / 100 * 103);
    assert_true(n->latency_calls.p50_ns == n->latency_calls.max_ns);
}

static void
a_whole_call_takes_its_attempts_and_its_waits(void **state)
{
    const struct row rows[] = {
        {"succeeds at once", "shop", {OK}, 1, 1, 10},
        {"a second attempt", "shop", {BAD, OK}, 2, 2, 120},
        {"a third attempt", "shop", {BAD, BAD, OK}, 3, 3, 230},
        {"exhausted", "shop", {BAD}, 1, 3, 230},
        {"rejected", "shop", {bide_http(404, NULL)}, 1, 1, 10},
        {"rejected later", "shop", {BAD, bide_http(404, NULL)}, 2, 2, 120},
        {"deferred", "later", {BAD}, 1, 3, 230},
        {"refused", "closed", {OK}, 1, 0, 0},
        {"many attempts", "tried", {BAD}, 1, 100, 1000},
    };
    struct scene *s = *state;

    s->took_ns = 10 * MS;
    for (size_t d = 0; d < COUNT(drivers); d++) {
        print_message("      %s\n", drivers[d].name);
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct bide_stats n;

            scene_start(s, shop);
            s->outcomes = rows[i].outcome;
            s->outcome_count = rows[i].count;
            s->made = 0;
            drivers[d].run(s, scene_policy(s, rows[i].policy));
            assert_int_equal(s->made, rows[i].attempts);
            n = scene_stats(s, rows[i].policy);
            assert_counted(&n, &rows[i]);
            /* Attempts stay what they were. */
            assert_int_equal(n.latency_succeeded.count, n.succeeded);
            assert_int_equal(n.attempts, rows[i].attempts);
            bide_close(s->b);
            s->b = NULL;
            scene_remove(s->dir);
        }
    }
}

static void
attempts_are_counted_in_groups(void **state)
{
    static const uint32_t attempts[] = {2,  3,  4,  5,  8,  9,  16,
                                        17, 32, 33, 64, 65, 100};
    struct scene *s = *state;

    scene_start(s, shop);
    for (size_t i = 0; i < COUNT(attempts); i++) {
        const struct bide_outcome bad = BAD;
        struct bide_stats before = scene_stats(s, "tried"), after;
        char number[16];

        snprintf(number, sizeof(number), "%u", attempts[i]);
        scene_set(s, "tried", "attempts", number);
        scene_run(s, "tried", &bad, 1, NULL);
        after = scene_stats(s, "tried");
        for (size_t k = 0; k < COUNT(after.calls_by_attempts); k++) {
            assert_int_equal(after.calls_by_attempts[k] -
                                 before.calls_by_attempts[k],
                             k == place_of(attempts[i]));
        }
    }
}

/* ---- cancelled ---- */

struct cancelling {
    struct scene *s;
    struct bide_call call;
    uint32_t at; /* the attempt that is cancelled; earlier ones fail */
};

static struct bide_outcome
cancel_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct cancelling *t = arg;

    t->s->now += 10 * MS;
    if (attempt->number >= t->at) {
        bide_call_cancel(&t->call);
    }
    return BAD;
}

static void
a_cancelled_call_took_until_it_was_cancelled(void **state)
{
    const struct row rows[] = {{"before", "shop", {{0}}, 0, 0, 0},
                               {"first", "shop", {{0}}, 0, 1, 10},
                               {"second", "shop", {{0}}, 0, 2, 120}};
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cancelling t = {.s = s, .at = (uint32_t)rows[i].attempts};
        struct bide_stats n;

        scene_start(s, shop);
        if (!t.at) {
            bide_call_init(&t.call);
            bide_call_cancel(&t.call);
        }
        assert_int_equal(
            bide_call_run(&t.call, scene_policy(s, "shop"), cancel_attempt, &t),
            BIDE_CANCELLED);
        n = scene_stats(s, "shop");
        assert_int_equal(n.cancelled, 1);
        assert_counted(&n, &rows[i]);
        bide_close(s->b);
        s->b = NULL;
        scene_remove(s->dir);
    }
}

/* An event loop may resume a call late. */
static void
a_late_step_is_part_of_the_call(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_stats n;

    scene_start(s, shop);
    assert_int_equal(bide_step_begin(&c, scene_policy(s, "shop"), NULL),
                     BIDE_GO);
    s->now += 10 * MS;
    assert_int_equal(bide_step_ended(&c, BAD), BIDE_WAIT);
    s->now = bide_step_deadline_ns(&c) + 30 * MS;
    assert_int_equal(bide_step_resume(&c), BIDE_GO);
    s->now += 10 * MS;
    assert_int_equal(bide_step_ended(&c, OK), BIDE_DONE);
    n = scene_stats(s, "shop");
    assert_counted(&n, &(struct row){"late", "shop", {{0}}, 0, 2, 150});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_whole_call_takes_its_attempts_and_its_waits),
        SCENE(attempts_are_counted_in_groups),
        SCENE(a_cancelled_call_took_until_it_was_cancelled),
        SCENE(a_late_step_is_part_of_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
