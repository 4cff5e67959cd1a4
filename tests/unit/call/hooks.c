/* Hooks: the events of a call that a program can observe. */
#include "diary.h"

static const char shop[] = "[shop]\n"
                           "attempts = 3\n"
                           "wait = fixed\n"
                           "wait_initial = 100ms\n"
                           "wait_jitter = none\n";

static const char *
policy_of(const struct bide_call *c)
{
    return bide_policy_name(bide_call_policy(c));
}

static void
before_attempt(void *arg, const struct bide_call *c,
               const struct bide_attempt *a)
{
    assert_ptr_equal(bide_call_attempt(c), a);
    note(arg, "before %s %u;", policy_of(c), a->number);
}

static void
after_attempt(void *arg, const struct bide_call *c,
              const struct bide_attempt *a, const struct bide_outcome *o,
              uint64_t took_ns)
{
    char name[64];

    bide_outcome_name(*o, name, sizeof(name));
    note(arg, "after %s %u %s %llums;", policy_of(c), a->number, name,
         (unsigned long long)(took_ns / MS));
}

static void
before_wait(void *arg, const struct bide_call *c, uint32_t attempts,
            const struct bide_outcome *o, uint64_t wait_ns)
{
    assert_int_equal(o->code, 503);
    note(arg, "wait %s %u %llums;", policy_of(c), attempts,
         (unsigned long long)(wait_ns / MS));
}

static void
at_verdict(void *arg, const struct bide_call *c, const struct bide_result *r)
{
    const char *data = bide_call_data(c);

    assert_ptr_equal(bide_call_result(c), r);
    note(arg, "%s %s %u%s;", policy_of(c), bide_verdict_name(r->verdict),
         r->attempts, data ? data : "");
}

static void
hooks_run_in_the_order_of_events(void **state)
{
    const struct bide_outcome script[] = {bide_http(503, NULL), bide_ok()};
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;
    struct diary d = {0};
    const struct bide_hooks hooks = {.arg = &d,
                                     .before_attempt = before_attempt,
                                     .after_attempt = after_attempt,
                                     .before_wait = before_wait,
                                     .at_verdict = at_verdict};

    scene_init(s);
    scene_apply(s, shop);
    scene_open_with(s, 1, &hooks);
    s->took_ns = 7 * MS;
    scene_run(s, "shop", script, 2, NULL);
    assert_string_equal(d.text,
                        "before shop 1;after shop 1 http.503 7ms;"
                        "wait shop 1 100ms;before shop 2;after shop 2 ok 7ms;"
                        "shop succeeded 2;");
    memset(&d, 0, sizeof(d));
    scene_run(s, "shop", &ok, 1, NULL);
    assert_string_equal(d.text,
                        "before shop 1;after shop 1 ok 7ms;shop succeeded 1;");
    assert_int_equal(scene_stats(s, "shop").succeeded, 2);
}

static void
hooks_get_the_call_with_its_data_and_scope(void **state)
{
    static char data[] = " of order 7";
    struct scene *s = *state;
    struct diary d = {0};
    const struct bide_hooks hooks = {.arg = &d, .at_verdict = at_verdict};
    struct bide_policy *p;
    struct bide_call c = {0};

    scene_init(s);
    scene_apply(s, shop);
    scene_open_with(s, 1, &hooks);
    assert_int_equal(bide_lookup(s->b, "shop", "eu", &p), 0);
    bide_call_set_data(&c, data);
    for (int i = 0; i < 2; i++) { /* the data stays */
        bide_call_run(&c, p, scene_succeed, NULL);
    }
    assert_string_equal(d.text, "shop succeeded 1 of order 7;"
                                "shop succeeded 1 of order 7;");
    assert_string_equal(bide_policy_scope(p), "eu");
    assert_null(bide_call_policy(&c)); /* no longer in progress */
    bide_call_init(&c);
    assert_null(bide_call_data(&c));
}

/* Otherwise a program that forgets the size has no hooks without a word. */
static void
sizes_that_no_header_had_are_refused(void **state)
{
    static const size_t hooks_sizes[] = {
        0, 3, 8, offsetof(struct bide_hooks, on_status)};
    struct scene *s = *state;
    struct bide_hooks hooks = {.before_attempt = before_attempt};
    struct bide_options o = {.dir = s->dir, .hooks = &hooks};
    struct bide *b = NULL;

    scene_init(s);
    for (size_t i = 0; i < COUNT(hooks_sizes); i++) {
        o.hooks_size = hooks_sizes[i];
        assert_int_equal(bide_open_with(&o, sizeof(o), &b), BIDE_EINVAL);
    }
    o.hooks_size = sizeof(hooks);
    for (size_t size = 0; size < sizeof(o); size += 4) {
        assert_int_equal(bide_open_with(&o, size, &b), BIDE_EINVAL);
    }
    assert_null(b);
    assert_int_equal(bide_open_with(&o, sizeof(o), &s->b), 0);
}

/* A later header may have more fields: only 0 is accepted in them. */
static void
options_that_the_library_does_not_know_are_refused(void **state)
{
    struct scene *s = *state;
    struct {
        struct bide_options known;
        uint64_t later;
    } o = {{.dir = s->dir}, 0};
    struct {
        struct bide_hooks known;
        void (*later)(void);
    } hooks = {.later = abort};
    struct bide *b = NULL;

    assert_int_equal(bide_open_with(&o.known, sizeof(o), &s->b), 0);
    o.later = 1;
    assert_int_equal(bide_open_with(&o.known, sizeof(o), &b), BIDE_EINVAL);
    o.later = 0;
    o.known.reserved = 1;
    assert_int_equal(bide_open_with(&o.known, sizeof(o), &b), BIDE_EINVAL);
    o.known.reserved = 0;
    o.known.hooks = &hooks.known;
    o.known.hooks_size = sizeof(hooks);
    assert_int_equal(bide_open_with(&o.known, sizeof(o), &b), BIDE_EINVAL);
    assert_int_equal(bide_open_with(NULL, sizeof(o), &b), BIDE_EINVAL);
    assert_int_equal(bide_open_with(&o.known, sizeof(o), NULL), BIDE_EINVAL);
    assert_null(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(hooks_run_in_the_order_of_events),
        SCENE(hooks_get_the_call_with_its_data_and_scope),
        SCENE(sizes_that_no_header_had_are_refused),
        SCENE(options_that_the_library_does_not_know_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
