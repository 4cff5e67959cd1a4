/* Stages: what hosts make of them, and how the pointer goes on and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fleet/stage.h"

static void
a_host_is_judged_by_the_release_that_it_should_have(void **state)
{
    static const struct {
        struct host_record r;
        enum host_state state;
        bool in;
    } rows[] = {
        {{.host = "in", .release = 2}, HOST_GOOD, true},
        {{.host = "in", .release = 1}, HOST_WAITING, true},
        {{.host = "in", .release = 1, .refused = 2}, HOST_REFUSED, true},
        {{.host = "in", .release = 2, .broke = 2}, HOST_BROKE, true},
        /* It broke the guard in a rollout before. */
        {{.host = "in", .release = 1, .broke = 2}, HOST_WAITING, true},
        {{.host = "out", .release = 1}, HOST_GOOD, false},
        {{.host = "out", .release = 2, .broke = 2}, HOST_WAITING, false},
    };
    const struct pointer p = {.release = 2, .before = 1, .hosts = "in"};
    struct stage_look l = {.count = 0};
    struct host_record list[sizeof(rows) / sizeof(*rows)];
    bool in;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(stage_state(&p, &rows[i].r, &in), rows[i].state);
        assert_int_equal(in, rows[i].in);
        list[l.count++] = rows[i].r;
    }
    l.list = list;
    stage_count(&l, &p);
    assert_int_equal(l.in_stage, 5);
    assert_int_equal(l.state[HOST_GOOD], 1);
    assert_int_equal(l.state[HOST_WAITING], 2);
    assert_int_equal(l.state[HOST_REFUSED], 1);
    assert_ptr_equal(l.broke, &list[3]);
}

static void
the_pointer_goes_on_by_its_percents_and_back_for_all(void **state)
{
    struct pointer p = {.release = 2,
                        .before = 1,
                        .hosts = "web-1",
                        .then = "10%,50,100%",
                        .guard = "failed<2%",
                        .by = "ann",
                        .modified = 7};

    (void)state;
    stage_next(&p);
    assert_int_equal(p.percent, 10);
    assert_string_equal(p.then, "50,100%");
    stage_next(&p);
    stage_next(&p);
    assert_int_equal(p.percent, 100);
    assert_string_equal(p.then, "");
    strcpy(p.then, "0%"); /* written by hand */
    stage_next(&p);
    assert_int_equal(p.percent, 100);
    assert_string_equal(p.then, "");
    stage_back(&p);
    assert_int_equal(p.release, 1);
    assert_int_equal(p.before, 0);
    assert_int_equal(p.percent, 100);
    assert_int_equal(p.modified, 7);
    assert_string_equal(p.by, "ann");
    assert_string_equal(p.hosts, "");
    assert_string_equal(p.guard, "");
}

static void
a_percent_is_1_to_100(void **state)
{
    static const char *const wrong[] = {"0",   "101", "-1", "x",  "5%%",
                                        "5%,", ",5",  " 5", "5 ", "5x,6"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const char *at = wrong[i];

        assert_int_equal(stage_percent(&at), -1);
        assert_ptr_equal(at, wrong[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_judged_by_the_release_that_it_should_have),
        cmocka_unit_test(the_pointer_goes_on_by_its_percents_and_back_for_all),
        cmocka_unit_test(a_percent_is_1_to_100),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
