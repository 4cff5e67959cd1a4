/* The work of a call: a copy, whatever becomes of the original. */
#include "unit/registry/scene.h"

static const char mail[] = "[mail]\n"
                           "importance = postponable\n"
                           "attempts = 2\n"
                           "wait = none\n";

enum { LETTER = 1000 };

/* Gives the call work of which no byte outlives this function. */
static __attribute__((noinline)) void
set_local_work(struct bide_call *c)
{
    char bytes[LETTER], type[] = "text/plain", key[] = "order-7";
    struct bide_work work = {.bytes = bytes,
                             .length = sizeof(bytes),
                             .type = type,
                             .key = key,
                             .delay_ns = 2 * SECOND};

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 7);
    }
    assert_int_equal(bide_call_set_work(c, &work), 0);
    memset(bytes, 'x', sizeof(bytes));
    memset(type, 'x', sizeof(type));
    memset(key, 'x', sizeof(key));
    memset(&work, 0xff, sizeof(work));
}

/* Uses the memory of the frame again. */
static __attribute__((noinline)) int
overwrite_stack(void)
{
    volatile char bytes[4 * LETTER];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)0xff;
    }
    return bytes[7];
}

static struct bide_outcome
fail_attempt(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_errno(ECONNREFUSED);
}

static void
assert_stored_whole(struct scene *s, uint64_t id)
{
    struct bide_policy *p = scene_policy(s, "mail");
    const unsigned char *bytes;
    struct bide_deferred *d;

    assert_int_equal(bide_deferred_take(p, 0, 1, &d), 0);
    s->now += 2 * SECOND;
    assert_int_equal(bide_deferred_take(p, 0, 1, &d), 1);
    assert_int_equal(d->id, id);
    assert_int_equal(d->length, LETTER);
    bytes = d->bytes;
    for (size_t i = 0; i < LETTER; i++) {
        assert_int_equal(bytes[i], (unsigned char)(i * 7));
    }
    assert_int_equal(bytes[LETTER], 0);
    assert_string_equal(d->type, "text/plain");
    assert_string_equal(d->key, "order-7");
    assert_int_equal(bide_deferred_ack(p, d), 0);
    bide_deferred_free(d);
}

static void
work_of_a_frame_that_has_returned_is_stored_whole(void **state)
{
    struct scene *s = *state;
    struct bide_call c = {0};

    scene_start(s, mail);
    for (int driver = 0; driver < 3; driver++) {
        struct bide_policy *p = scene_policy(s, "mail");

        if (driver == 0) {
            set_local_work(&c);
            overwrite_stack();
            bide_call_run(&c, p, fail_attempt, NULL);
        } else if (driver == 1) {
            BIDE_TRY(&c, p)
            {
                set_local_work(&c); /* again in each attempt */
                overwrite_stack();
                bide_call_outcome(&c, bide_errno(ECONNREFUSED));
            }
        } else {
            bide_step_begin(&c, p, NULL);
            bide_step_ended(&c, bide_errno(ECONNREFUSED));
            set_local_work(&c); /* while it waits */
            overwrite_stack();
            assert_int_equal(bide_step_resume(&c), BIDE_GO);
            bide_step_ended(&c, bide_errno(ECONNREFUSED));
        }
        assert_int_equal(bide_call_result(&c)->end, BIDE_END_DEFERRED);
        assert_stored_whole(s, bide_call_result(&c)->deferred_id);
    }
}

static uint64_t
defer_once(struct scene *s, struct bide_call *c)
{
    bide_call_run(c, scene_policy(s, "mail"), fail_attempt, NULL);
    return bide_call_result(c)->deferred_id;
}

static void
later_work_replaces_earlier_work(void **state)
{
    const struct bide_work one = {.bytes = "one", .length = 3};
    const struct bide_work two = {.bytes = "two!", .length = 4};
    const struct bide_work none = {.length = 0};
    struct scene *s = *state;
    struct bide_deferred *d[8];
    struct bide_call c = {0};

    scene_start(s, mail);
    assert_int_equal(bide_call_set_work(&c, &one), 0);
    assert_int_equal(bide_call_set_work(&c, &two), 0);
    assert_int_not_equal(defer_once(s, &c), 0);
    assert_int_equal(defer_once(s, &c), 0); /* it was of that call only */
    assert_int_equal(bide_call_set_work(&c, &one), 0);
    assert_int_equal(bide_call_set_work(&c, NULL), 0);
    assert_int_equal(defer_once(s, &c), 0);
    assert_int_equal(bide_call_set_work(&c, &none), 0); /* empty work */
    assert_int_not_equal(defer_once(s, &c), 0);
    assert_int_equal(bide_deferred_take(scene_policy(s, "mail"), 0, 8, d), 2);
    assert_int_equal(d[0]->length, 4);
    assert_memory_equal(d[0]->bytes, "two!", 4);
    assert_string_equal(d[0]->type, "");
    assert_int_equal(d[1]->length, 0);
    bide_deferred_free(d[0]);
    bide_deferred_free(d[1]);
}

static void
invalid_work_leaves_the_earlier_work(void **state)
{
    static char huge[BIDE_WORK_MAX + 1], text[BIDE_WORK_KEY_MAX + 2];
    const struct bide_work one = {.bytes = "one", .length = 3};
    const struct bide_work invalid[] = {
        {.bytes = huge, .length = sizeof(huge)},
        {.bytes = NULL, .length = 1},
        {.bytes = "x", .length = 1, .type = text},
        {.bytes = "x", .length = 1, .key = text},
        {.bytes = "x", .length = 1, .reserved = {0, 0, 1}},
    };
    struct scene *s = *state;
    struct bide_deferred *d;
    struct bide_call c = {0};

    memset(text, 'k', sizeof(text) - 1);
    scene_start(s, mail);
    assert_int_equal(bide_call_set_work(&c, &one), 0);
    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_int_equal(bide_call_set_work(&c, &invalid[i]), BIDE_EINVAL);
    }
    assert_int_not_equal(defer_once(s, &c), 0);
    assert_int_equal(bide_deferred_take(scene_policy(s, "mail"), 0, 1, &d), 1);
    assert_memory_equal(d->bytes, "one", 4);
    bide_deferred_free(d);
}

/* LeakSanitizer finds work that nobody frees. */
static void
every_end_frees_the_work(void **state)
{
    const struct bide_work one = {.bytes = "one", .length = 3};
    struct scene *s = *state;
    struct bide_deferred *d;
    struct bide_call c = {0};
    struct bide_policy *p;

    scene_start(s, mail);
    p = scene_policy(s, "mail");
    for (int end = 0; end < 4; end++) {
        assert_int_equal(bide_call_set_work(&c, &one), 0);
        if (end == 0) {
            bide_call_run(&c, p, scene_succeed, NULL);
        } else if (end < 3) {
            bide_step_begin(&c, p, NULL);
            if (end == 1) {
                bide_step_ended(&c, bide_http(404, NULL));
            }
        }
        bide_call_abandon(&c); /* also of a call that was never begun */
    }
    assert_int_equal(bide_deferred_take(p, 0, 1, &d), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(work_of_a_frame_that_has_returned_is_stored_whole),
        SCENE(later_work_replaces_earlier_work),
        SCENE(invalid_work_leaves_the_earlier_work),
        SCENE(every_end_frees_the_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
