/* A budget that processes share: changes of its rules, and calls that earn. */
#include <bide.h>
#include "rule/breaker.h"
#include "guarding.h"

#define RULES                                                          \
    "retry_on = any\nattempts = 2\nwait = none\nbudget_capacity = 2\n" \
    "budget_cost = 1\nbudget_deposit = 0\nbudget_refund = 0\n"

static void
fail_calls(void *arg)
{
    const struct scene *s = arg;
    struct bide_policy *p = guarding_policy(s, "pay", "");

    for (int i = 0; i < 3; i++) {
        bide_run(p, guarding_fails, NULL);
    }
}

/* Empties the budget of `pay` in another process, which has ended on return. */
static void
empty_budget(struct scene *s)
{
    guarding_end(guarding_start(fail_calls, s));
    assert_true(guarding_look(s, "pay", "").budget_level < 0.5);
}

static double
level(struct scene *s)
{
    return guarding_look(s, "pay", "").budget_level;
}

/* Makes the last refill of a budget an hour older, as if an hour had passed. */
static void
pass_an_hour(struct scene *s, const char *cell)
{
    struct admin *a = scene_admin(s);
    struct live *l = past_live(admin_past(a), false);
    uint32_t index;

    assert_non_null(l);
    assert_int_equal(cell_find(l, cell, "", false, &index), 0);
    atomic_fetch_sub(&cell_at(l, index)->budget.tokens, 3600000);
    admin_close(a);
}

/* A refill of 0.001/s adds 3.6 tokens in an hour, and next to nothing while the
 * test runs. */
static void
change_refill(struct scene *s, const char *cell)
{
    empty_budget(s);
    pass_an_hour(s, cell);
    BIDE(s, "set", "pay", "budget_refill=0.001/s");
    assert_true(level(s) < 0.5); /* there was no refill in that hour */
    pass_an_hour(s, cell);
    assert_true(level(s) == 1); /* no call has used the new rules */
    empty_budget(s);
    pass_an_hour(s, cell);
    BIDE(s, "set", "pay", "budget_refill=0/s");
    assert_true(level(s) == 1);
}

static void
the_command_that_changes_the_refill_settles_the_budget(void **state)
{
    process_registry(*state, "[pay]\n" RULES "budget = own\n");
    change_refill(*state, "pay");
}

static void
it_settles_the_budget_of_a_group_too(void **state)
{
    process_registry(*state, "[pay]\n" RULES "budget = all\n");
    change_refill(*state, "@all");
}

static void
raising_the_capacity_keeps_the_share_of_now(void **state)
{
    struct scene *s = *state;

    process_registry(s,
                     "[pay]\n" RULES "budget = own\nbudget_refill = 0.001/s\n");
    empty_budget(s);
    pass_an_hour(s, "pay");
    BIDE(s, "set", "pay", "budget_capacity=1000");
    assert_true(level(s) == 1);
}

static void
a_budget_that_is_not_used_for_a_while_starts_full(void **state)
{
    static const char *const off[][WORDS_MAX] = {
        {"set", "pay", "budget=none", NULL},
        {"set", "pay", "budget=all", NULL},
        {"set", "pay", "budget_kind=ratio", NULL},
        {"delete", "pay", NULL},
    };
    struct scene *s = *state;
    const char *path;

    process_registry(s, "[pay]\n" RULES "budget = own\n");
    for (size_t i = 0; i < COUNT(off); i++) {
        empty_budget(s);
        assert_int_equal(process_run(s, off[i]), 0);
        path = process_file(s, "[pay]\n" RULES "budget = own\n");
        BIDE(s, "apply", path);
        assert_true(level(s) == 1);
    }
}

static void
a_group_that_nobody_uses_starts_full_when_it_is_used_again(void **state)
{
    struct scene *s = *state;

    process_registry(s, "[base]\n" RULES "budget = all\n"
                        "[pay]\nextends = base\n" RULES "[refund]\n" RULES);
    empty_budget(s);
    BIDE(s, "set", "base", "budget=none"); /* also that of pay */
    BIDE(s, "set", "refund", "budget=all");
    assert_true(guarding_look(s, "refund", "").budget_level == 1);
    BIDE(s, "set", "pay", "budget=all");
    empty_budget(s);
    BIDE(s, "set", "pay", "budget=own"); /* refund still uses it */
    BIDE(s, "set", "pay", "budget=all");
    assert_true(level(s) < 0.5);
    BIDE(s, "delete", "refund");
    assert_true(level(s) < 0.5);
    BIDE(s, "set", "pay", "budget=own");
    BIDE(s, "set", "pay", "budget=all");
    assert_true(level(s) == 1);
}

static void
make_calls(void *arg)
{
    const struct scene *s = arg;
    struct bide_policy *p = guarding_policy(s, "pay", "");
    struct bide_result r;

    for (int i = 0; i < 10; i++) {
        MUST(scene_call(p, guarding_fails, NULL, &r) == BIDE_EXHAUSTED);
        MUST(r.reason == BIDE_BY_BUDGET); /* nothing is earned yet */
    }
    MUST(bide_run(p, guarding_succeeds, NULL) == BIDE_SUCCEEDED);
    MUST(bide_run(p, guarding_succeeds, NULL) == BIDE_SUCCEEDED);
    for (uint32_t i = 0; i < 3; i++) {
        scene_call(p, guarding_fails, NULL, &r);
        MUST(r.attempts == (i < 2 ? 2 : 1));
    }
}

static void
calls_that_succeed_earn_retries(void **state)
{
    struct scene *s = *state;

    process_registry(s, "[pay]\n" RULES "budget = own\nbudget_kind = ratio\n"
                        "budget_ratio = 100%\nbudget_min_rate = 0/s\n"
                        "budget_window = 1h\nbudget_earn = success\n");
    guarding_end(guarding_start(make_calls, s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_command_that_changes_the_refill_settles_the_budget),
        SCENE(it_settles_the_budget_of_a_group_too),
        SCENE(raising_the_capacity_keeps_the_share_of_now),
        SCENE(a_group_that_nobody_uses_starts_full_when_it_is_used_again),
        SCENE(calls_that_succeed_earn_retries),
        SCENE(a_budget_that_is_not_used_for_a_while_starts_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
