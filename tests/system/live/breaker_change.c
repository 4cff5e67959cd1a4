/* Changes of the rules of a breaker that processes share: no process reads them
 * in between. */
#include <bide.h>
#include "rule/breaker.h"
#include "guarding.h"

#define RULES                                             \
    "retry_on = any\nattempts = 1\nbreaker_window = 1h\n" \
    "breaker_min_calls = 4\nbreaker_open_for = 1h\nbudget = own\n"
#define ON "[pay]\n" RULES "breaker = on\n"

struct failing {
    const struct scene *s;
    int calls, refused;
};

static void
make_failing_calls(void *arg)
{
    struct failing *f = arg;
    struct bide_policy *p = guarding_policy(f->s, "pay", "");
    struct bide_result r;

    for (int i = 0; i < f->calls; i++) {
        scene_call(p, guarding_fails, NULL, &r);
        f->refused += r.verdict == BIDE_REFUSED;
    }
}

/* Makes calls that fail in a process of its own, which has ended on return.
 * Returns how many were refused. */
static int
fail_elsewhere(struct scene *s, int calls)
{
    struct failing *f = guarding_share(sizeof(*f));
    int refused;

    *f = (struct failing){.s = s, .calls = calls};
    guarding_end(guarding_start(make_failing_calls, f));
    refused = f->refused;
    munmap(f, sizeof(*f));
    return refused;
}

static void
run_commands(struct scene *s, const char *const commands[][WORDS_MAX])
{
    for (size_t i = 0; commands[i][0]; i++) {
        assert_int_equal(process_run(s, commands[i]), 0);
    }
}

/* Pairs of commands after which the breaker has counted nothing.  The first
 * ones switch it off, and on again; the last pair changes only its window. */
enum { WINDOW_CHANGES = 1 };
static const char *const switches[][3][WORDS_MAX] = {
    {{"set", "pay", "breaker=off"}, {"set", "pay", "breaker=on"}},
    {{"breaker", "pay", "open"}, {"breaker", "pay", "auto"}},
    {{"breaker", "pay", "closed"}, {"breaker", "pay", "auto"}},
    {{"delete", "pay"}, {"rollback", "pay", "1"}},
    {{"set", "pay", "breaker_window=9 calls"},
     {"set", "pay", "breaker_window=1h"}},
};

static void
a_breaker_that_is_switched_on_is_closed(void **state)
{
    struct scene *s = *state;

    process_registry(s, ON);
    for (size_t i = 0; i < COUNT(switches) - WINDOW_CHANGES; i++) {
        assert_int_equal(fail_elsewhere(s, 6), 2);
        assert_int_equal(guarding_look(s, "pay", "").state, STATE_OPEN);
        run_commands(s, switches[i]);
        assert_int_equal(guarding_look(s, "pay", "").state, STATE_CLOSED);
    }
}

static void
a_breaker_that_is_switched_on_has_counted_nothing(void **state)
{
    struct scene *s = *state;

    process_registry(s, ON);
    for (size_t i = 0; i < COUNT(switches); i++) {
        assert_int_equal(fail_elsewhere(s, 3), 0);
        run_commands(s, switches[i]);
        assert_int_equal(fail_elsewhere(s, 3), 0);
        run_commands(s, switches[i]);
        assert_int_equal(fail_elsewhere(s, 5), 1);
        run_commands(s, switches[i]);
    }
}

static void
a_change_of_a_parent_switches_it_on(void **state)
{
    struct scene *s = *state;

    process_registry(s,
                     "[base]\n" RULES "breaker = on\n[pay]\nextends = base\n");
    assert_int_equal(fail_elsewhere(s, 6), 2);
    BIDE(s, "set", "base", "breaker=off");
    BIDE(s, "set", "base", "breaker=on");
    assert_int_equal(guarding_look(s, "pay", "").state, STATE_CLOSED);
}

static void
other_changes_keep_what_was_counted(void **state)
{
    static const char *const kept[][WORDS_MAX] = {
        {"set", "pay", "breaker_window=2h"},
        {"set", "pay", "breaker_window=10m"},
        {"set", "pay", "attempts=1"},
        {"set", "pay", "breaker_min_calls=5"},
        {NULL},
    };
    struct scene *s = *state;

    process_registry(s, ON);
    assert_int_equal(fail_elsewhere(s, 3), 0);
    run_commands(s, kept);
    assert_int_equal(fail_elsewhere(s, 3), 1);
    BIDE(s, "set", "pay", "breaker_window=1h");
    assert_int_equal(guarding_look(s, "pay", "").state, STATE_OPEN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_breaker_that_is_switched_on_is_closed),
        SCENE(a_breaker_that_is_switched_on_has_counted_nothing),
        SCENE(a_change_of_a_parent_switches_it_on),
        SCENE(other_changes_keep_what_was_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
