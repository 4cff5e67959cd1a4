/* An attempt of bide_call_run that uses its own call. */
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = none\n"
                           "retry_on = http.503\n";

struct inside {
    struct bide_call call;
    struct bide_policy *policy;
    unsigned made;
    struct bide_outcome first, second;
    void (*use)(struct inside *i);
};

static struct bide_outcome
use_call(const struct bide_attempt *attempt, void *arg)
{
    struct inside *i = arg;

    (void)attempt;
    i->made++;
    assert_true(i->made < 10);
    if (i->made == 1) {
        i->use(i);
    }
    return i->second;
}

static void
make_attempt_out(const struct bide_attempt *attempt, void *arg,
                 struct bide_outcome *out)
{
    *out = use_call(attempt, arg);
}

static void
set_outcome(struct inside *i)
{
    bide_call_outcome(&i->call, i->first);
}

static void
end_step(struct inside *i)
{
    bide_step_ended(&i->call, i->first);
}

static void
abandon(struct inside *i)
{
    bide_call_abandon(&i->call);
}

static void
cancel_and_abandon(struct inside *i)
{
    bide_call_cancel(&i->call);
    bide_call_abandon(&i->call);
}

static void
run_again(struct inside *i)
{
    assert_int_equal(bide_call_run(&i->call, i->policy, scene_succeed, NULL),
                     BIDE_SUCCEEDED);
}

static void
begin_again(struct inside *i)
{
    assert_int_equal(bide_step_begin(&i->call, i->policy, NULL), BIDE_GO);
}

static void
try_again(struct inside *i)
{
    BIDE_TRY(&i->call, i->policy)
    {
        bide_call_outcome(&i->call, bide_ok());
    }
}

static const struct {
    const char *what;
    void (*use)(struct inside *i);
    int first, second; /* HTTP */
    enum bide_verdict verdict;
    unsigned attempts, made;
} rows[] = {
    {"a failure, then success", set_outcome, 503, 200, BIDE_SUCCEEDED, 2, 2},
    {"a success, then failure", set_outcome, 200, 503, BIDE_SUCCEEDED, 1, 1},
    {"a failure that is rejected", set_outcome, 404, 200, BIDE_REJECTED, 1, 1},
    {"a step", end_step, 503, 200, BIDE_SUCCEEDED, 2, 2},
    {"abandon", abandon, 0, 200, BIDE_CANCELLED, 1, 1},
    {"cancel, abandon", cancel_and_abandon, 0, 200, BIDE_CANCELLED, 1, 1},
    {"a run", run_again, 0, 503, BIDE_CANCELLED, 2, 1},
    {"a step that begins", begin_again, 0, 503, BIDE_CANCELLED, 2, 1},
    {"a loop", try_again, 0, 503, BIDE_CANCELLED, 2, 1},
};

static void
an_attempt_may_use_its_own_call(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    for (size_t r = 0; r < 2 * COUNT(rows); r++) {
        size_t row = r / 2;
        struct inside i = {.policy = scene_policy(s, "shop"),
                           .use = rows[row].use,
                           .first = bide_http(rows[row].first, NULL),
                           .second = bide_http(rows[row].second, NULL)};
        enum bide_verdict verdict;

        print_message("         %s\n", rows[row].what);
        verdict =
            r % 2 ? bide_call_run_out(&i.call, i.policy, make_attempt_out, &i)
                  : bide_call_run(&i.call, i.policy, use_call, &i);
        assert_int_equal(verdict, rows[row].verdict);
        assert_int_equal(bide_call_result(&i.call)->verdict, verdict);
        assert_int_equal(bide_call_result(&i.call)->attempts,
                         rows[row].attempts);
        assert_int_equal(i.made, rows[row].made);
        assert_null(bide_call_policy(&i.call));
    }
}

static void
a_call_without_an_attempt_has_no_time_limit(void **state)
{
    struct scene *s = *state;
    struct bide_call zeroed, call;

    scene_start(s, shop);
    memset(&zeroed, 0, sizeof(zeroed));
    memset(&call, 0xa5, sizeof(call));
    bide_call_init(&call);
    assert_int_equal(bide_attempt_poll_ms(bide_call_attempt(&zeroed)), 0);
    assert_int_equal(bide_attempt_poll_ms(bide_call_attempt(&call)), -1);
    assert_int_equal(bide_step_poll_ms(&call), -1);
    bide_call_set_deadline_ns(&call, 0);
    assert_int_equal(bide_step_begin(&call, scene_policy(s, "shop"), NULL),
                     BIDE_DONE);
    assert_int_equal(bide_attempt_poll_ms(bide_call_attempt(&call)), -1);
}

static void
a_cancelled_call_that_waits_is_due_at_once(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};

    scene_start(s, "[shop]\nattempts = 3\nwait_initial = 1s\n"
                   "wait_jitter = none\nretry_on = any\n");
    assert_int_equal(bide_step_begin(&call, scene_policy(s, "shop"), NULL),
                     BIDE_GO);
    assert_int_equal(bide_step_ended(&call, bide_errno(EIO)), BIDE_WAIT);
    assert_int_equal(bide_step_poll_ms(&call), 1000);
    assert_int_equal(bide_now_ns(s->b), s->now);
    bide_call_cancel(&call);
    assert_int_equal(bide_step_poll_ms(&call), 0);
    assert_int_equal(bide_step_resume(&call), BIDE_DONE);
    assert_int_equal(bide_step_poll_ms(&call), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_attempt_may_use_its_own_call),
        SCENE(a_call_without_an_attempt_has_no_time_limit),
        SCENE(a_cancelled_call_that_waits_is_due_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
