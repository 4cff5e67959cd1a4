/* Hooks: changes of the breaker, the budget, the rules and the registry. */
#define SCENE_FLAGS 0
#include "diary.h"

static const char rules[] = "[plain]\nattempts = 1\n"
                            "[shop]\nattempts = 1\nbreaker = on\n"
                            "breaker_consecutive = 1\nbreaker_open_for = 10s\n"
                            "breaker_probes = 1\n"
                            "[poor]\nattempts = 2\nwait = none\nbudget = own\n"
                            "budget_capacity = 1\nbudget_cost = 1\n"
                            "budget_threshold = 0%\nbudget_refill = 0/s\n"
                            "budget_deposit = 0\nbudget_refund = 1\n";

/* Compares what was noted, and begins anew. */
static void
assert_noted(struct diary *d, const char *text)
{
    assert_string_equal(d->text, text);
    memset(d, 0, sizeof(*d));
}

/* Uses the registry as hooks may, which locks. */
static void
on_breaker(void *arg, struct bide_policy *p, enum bide_breaker state)
{
    static const char *const names[] = {"closed", "open", "half open"};

    assert_true(bide_policy_source(p, NULL) >= 0);
    assert_int_equal(bide_registry_status(p->bide), 0);
    note(arg, "%s %s;", bide_policy_name(p), names[state]);
}

static void
on_budget(void *arg, struct bide_policy *p, int is_empty)
{
    assert_true(bide_policy_source(p, NULL) >= 0);
    note(arg, "%s %s;", bide_policy_name(p), is_empty ? "empty" : "paid");
}

static void
on_policy(void *arg, struct bide_policy *p, enum bide_source source,
          uint32_t version)
{
    uint32_t now;

    assert_int_equal(bide_policy_source(p, &now), source);
    assert_int_equal(now, version);
    note(arg, "%s %d.%u;", bide_policy_name(p), (int)source, version);
}

static void
on_status(void *arg, struct bide *b, int status)
{
    assert_int_equal(bide_registry_status(b), status);
    note(arg, "%s;", status ? bide_strerror(status) : "fine");
}

static void
open_with_hooks(struct scene *s, struct diary *d)
{
    const struct bide_hooks hooks = {.arg = d,
                                     .on_breaker = on_breaker,
                                     .on_budget = on_budget,
                                     .on_policy = on_policy,
                                     .on_status = on_status};
    const struct bide_clock clock = {s, scene_now, scene_sleep};
    const struct bide_options o = {
        .dir = s->dir, .hooks = &hooks, .hooks_size = sizeof(hooks)};

    assert_int_equal(bide_open_with(&o, sizeof(o), &s->b), 0);
    scene_set_clock(s->b, &clock);
}

static void
run(struct scene *s, const char *name, struct bide_outcome o)
{
    scene_run(s, name, &o, 1, NULL);
}

static void
the_breaker_is_reported_by_the_call_that_changes_it(void **state)
{
    struct scene *s = *state;
    struct diary d = {0};

    scene_init(s);
    scene_apply(s, rules);
    open_with_hooks(s, &d);
    run(s, "shop", bide_ok());
    assert_noted(&d, "");
    run(s, "shop", bide_http(503, NULL));
    assert_noted(&d, "shop open;");
    run(s, "shop", bide_ok());
    assert_noted(&d, ""); /* refused: still open */
    s->now += 10 * SECOND;
    run(s, "shop", bide_ok());
    assert_noted(&d, "shop half open;shop closed;");
    scene_set(s, "shop", "breaker", "open");
    run(s, "shop", bide_ok());
    assert_noted(&d, "shop 3.2;shop open;");
    scene_set(s, "shop", "breaker", "off");
    run(s, "shop", bide_ok());
    assert_noted(&d, "shop 3.3;shop closed;");
}

static void
the_first_state_is_not_reported_and_that_of_others_is(void **state)
{
    struct scene *s = *state, other = *s;
    struct diary d = {0}, none = {0};

    scene_init(s);
    scene_apply(s, rules);
    open_with_hooks(&other, &none);
    run(&other, "shop", bide_http(503, NULL));
    open_with_hooks(s, &d);
    run(s, "shop", bide_ok());
    assert_noted(&d, "");
    other.now += 10 * SECOND;
    run(&other, "shop", bide_ok());
    assert_noted(&d, "");
    s->now = other.now;
    run(s, "shop", bide_ok());
    assert_noted(&d, "shop closed;");
    assert_int_equal(bide_close(other.b), 0);
}

static void
the_budget_is_reported_when_it_refuses_and_when_it_grants_again(void **state)
{
    struct scene *s = *state;
    struct diary d = {0};

    scene_init(s);
    scene_apply(s, rules);
    open_with_hooks(s, &d);
    run(s, "poor", bide_http(503, NULL));
    assert_noted(&d, "");
    run(s, "poor", bide_http(503, NULL));
    run(s, "poor", bide_http(503, NULL));
    assert_noted(&d, "poor empty;");
    run(s, "poor", bide_ok());
    assert_noted(&d, "");
    scene_set(s, "poor", "budget", "none");
    run(s, "poor", bide_http(503, NULL));
    assert_noted(&d, "poor 3.2;poor paid;");
}

static void
a_change_of_rules_is_reported_with_its_version(void **state)
{
    struct scene *s = *state;
    struct diary d = {0};

    scene_init(s);
    scene_apply(s, rules);
    open_with_hooks(s, &d);
    run(s, "plain", bide_ok());
    scene_set(s, "plain", "attempts", "2");
    scene_set(s, "shop", "attempts", "2");
    assert_noted(&d, "");
    run(s, "plain", bide_ok());
    assert_noted(&d, "plain 3.2;");
    run(s, "plain", bide_ok());
    assert_noted(&d, "");
    scene_delete(s, "plain");
    run(s, "plain", bide_ok());
    assert_noted(&d, "plain 0.0;");
    scene_apply(s, "[default]\nattempts = 2\n");
    run(s, "plain", bide_ok());
    assert_noted(&d, "plain 2.1;");
}

static void
a_registry_that_is_lost_and_comes_back_is_reported(void **state)
{
    struct scene *s = *state;
    struct diary d = {0};
    char away[400];

    scene_init(s);
    scene_apply(s, rules);
    open_with_hooks(s, &d);
    run(s, "plain", bide_ok());
    snprintf(away, sizeof(away), "%s.away", s->dir);
    assert_int_equal(rename(s->dir, away), 0);
    s->now += 10 * SECOND;
    run(s, "plain", bide_ok());
    run(s, "plain", bide_ok());
    assert_noted(&d, "there is no registry;");
    assert_int_equal(rename(away, s->dir), 0);
    s->now += 10 * SECOND;
    run(s, "plain", bide_ok());
    assert_noted(&d, "fine;");
    assert_int_equal(rename(s->dir, away), 0);
    assert_int_equal(bide_registry_status(s->b), BIDE_EMISSING);
    assert_noted(&d, "there is no registry;");
}

static void
a_registry_that_was_missing_at_first_is_reported_when_it_appears(void **state)
{
    struct scene *s = *state;
    struct diary d = {0};

    open_with_hooks(s, &d);
    run(s, "plain", bide_ok());
    assert_noted(&d, "");
    scene_init(s);
    s->now += 10 * SECOND;
    run(s, "plain", bide_ok());
    assert_noted(&d, "fine;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_breaker_is_reported_by_the_call_that_changes_it),
        SCENE(the_first_state_is_not_reported_and_that_of_others_is),
        SCENE(the_budget_is_reported_when_it_refuses_and_when_it_grants_again),
        SCENE(a_change_of_rules_is_reported_with_its_version),
        SCENE(a_registry_that_was_missing_at_first_is_reported_when_it_appears),
        SCENE(a_registry_that_is_lost_and_comes_back_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
