/* How fast an agent tries again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/duration.h"
#include "fleet/pace.h"

static void
waits_grow_to_30_s_with_full_jitter(void **state)
{
    struct pace p;

    (void)state;
    assert_int_equal(pace_begin(&p), 0);
    for (int i = 0; i < 12; i++) {
        uint64_t now_ns = SECOND_NS * (uint64_t)(1 + i);
        uint64_t most = SECOND_NS / 5 << i;

        pace_start(&p, now_ns);
        assert_true(pace_wait_ns(&p, now_ns, 1.0) ==
                    (most < 30 * SECOND_NS ? most : 30 * SECOND_NS));
    }
    pace_end(&p);
    assert_int_equal(pace_begin(&p), 0);
    assert_int_equal(pace_wait_ns(&p, 1, 0.0), 0);
    pace_end(&p);
}

static void
a_connection_that_lasted_begins_again(void **state)
{
    struct pace p;

    (void)state;
    assert_int_equal(pace_begin(&p), 0);
    for (uint64_t i = 1; i < 6; i++) {
        pace_start(&p, i * HOUR_NS);
        assert_true(pace_wait_ns(&p, i * HOUR_NS + MINUTE_NS, 1.0) ==
                    SECOND_NS / 5);
    }
    pace_end(&p);
}

static void
a_budget_limits_tries_that_do_not_wait(void **state)
{
    uint64_t now_ns = SECOND_NS;
    struct pace p;
    int quick = 0;

    (void)state;
    assert_int_equal(pace_begin(&p), 0);
    for (int i = 0; i < 100; i++) {
        pace_start(&p, now_ns);
        quick += pace_wait_ns(&p, now_ns, 0.0) == 0;
    }
    assert_int_equal(quick, 20);
    pace_end(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_to_30_s_with_full_jitter),
        cmocka_unit_test(a_connection_that_lasted_begins_again),
        cmocka_unit_test(a_budget_limits_tries_that_do_not_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
