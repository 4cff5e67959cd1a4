/* Hooks: the events of a call that a program can observe. */
#include "unit/registry/scene.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n";

struct diary {
    char text[1024];
    size_t length;
};

static void
note(struct diary *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    d->length += (size_t)vsnprintf(d->text + d->length,
                                   sizeof(d->text) - d->length, format, args);
    va_end(args);
}

static void
before_attempt(void *arg, const char *policy, const struct bide_attempt *a)
{
    note(arg, "before %s %u;", policy, a->number);
}

static void
after_attempt(void *arg, const char *policy, uint32_t number,
              struct bide_outcome o, uint64_t took_ns)
{
    char name[64];

    bide_outcome_name(o, name, sizeof(name));
    note(arg, "after %s %u %s %llums;", policy, number, name,
         (unsigned long long)(took_ns / MS));
}

static void
before_wait(void *arg, const char *policy, uint32_t attempts,
            struct bide_outcome o, uint64_t wait_ns)
{
    (void)o;
    note(arg, "wait %s %u %llums;", policy, attempts,
         (unsigned long long)(wait_ns / MS));
}

static void
at_verdict(void *arg, const char *policy, const struct bide_result *r)
{
    note(arg, "%s %s %u;", policy, bide_verdict_name(r->verdict), r->attempts);
}

static void
hooks_run_in_the_order_of_events(void **state)
{
    const struct bide_outcome script[] = {bide_http(503, NULL), bide_ok()};
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct diary d = {0};
    struct bide_hooks hooks = {&d, before_attempt, after_attempt, before_wait,
                               at_verdict};

    scene_start(s, shop);
    s->took_ns = 7 * MS;
    assert_int_equal(bide_set_hooks(s->b, &hooks), 0);
    scene_run(s, "shop", script, 2, NULL);
    assert_string_equal(d.text,
                        "before shop 1;after shop 1 http.503 7ms;"
                        "wait shop 1 100ms;before shop 2;after shop 2 ok 7ms;"
                        "shop succeeded 2;");
    memset(&d, 0, sizeof(d));
    scene_run(s, "shop", &ok, 1, NULL);
    assert_string_equal(d.text,
                        "before shop 1;after shop 1 ok 7ms;shop succeeded 1;");
    assert_int_equal(bide_set_hooks(s->b, NULL), 0);
    memset(&d, 0, sizeof(d));
    scene_run(s, "shop", script, 2, NULL);
    assert_string_equal(d.text, "");
    assert_int_equal(scene_stats(s, "shop").succeeded, 3);
}

static struct bide_outcome
set_things_in_an_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    (void)attempt;
    assert_int_equal(bide_set_hooks(s->b, NULL), BIDE_EBUSY);
    assert_int_equal(bide_set_clock(s->b, NULL), BIDE_EBUSY);
    assert_int_equal(bide_close(s->b), BIDE_EBUSY);
    return bide_ok();
}

static void
hooks_clock_and_closing_wait_for_calls_to_end(void **state)
{
    struct scene *s = *state;

    scene_start(s, shop);
    assert_int_equal(
        bide_run(scene_policy(s, "shop"), set_things_in_an_attempt, s, NULL),
        BIDE_SUCCEEDED);
    assert_int_equal(bide_set_clock(s->b, NULL), 0);
    assert_int_equal(
        bide_run(scene_policy(s, "shop"), set_things_in_an_attempt, s, NULL),
        BIDE_SUCCEEDED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(hooks_run_in_the_order_of_events),
        SCENE(hooks_clock_and_closing_wait_for_calls_to_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
