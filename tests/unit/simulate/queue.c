#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "rule/draw.h"
#include "simulate/queue.h"

static void
things_due_at_once_come_in_order(void **state)
{
    struct queue q = {0};

    (void)state;
    assert_null(queue_first(&q));
    assert_int_equal(queue_grow(&q, 3), 0);
    queue_put(&q, 2, 5, 12);
    queue_put(&q, 0, 5, 10);
    queue_put(&q, 1, 5, 11);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(queue_first(&q)->thing, i);
        queue_take(&q, i);
    }
    assert_null(queue_first(&q));
    queue_free(&q);
}

/* Compares the queue with a linear search; things are removed from anywhere. */
static void
the_first_entry_is_always_the_earliest(void **state)
{
    enum { THINGS = 200, STEPS = 20000, ABSENT = 0 };
    struct queue q = {0};
    uint64_t due[THINGS] = {ABSENT};

    (void)state;
    assert_int_equal(queue_grow(&q, THINGS / 2), 0);
    assert_int_equal(queue_grow(&q, THINGS), 0);
    for (uint32_t n = 0; n < STEPS; n++) {
        uint32_t thing = (uint32_t)(draw_bits(1, n, 0) % THINGS), first = 0;

        if (due[thing] == ABSENT) {
            due[thing] = 1 + draw_bits(1, n, 1) % 50;
            queue_put(&q, thing, due[thing], thing);
        } else {
            queue_take(&q, thing);
            due[thing] = ABSENT;
        }
        for (uint32_t i = 1; i < THINGS; i++) {
            if (due[i] != ABSENT &&
                (due[first] == ABSENT || due[i] < due[first])) {
                first = i;
            }
        }
        if (due[first] == ABSENT) {
            assert_null(queue_first(&q));
        } else {
            assert_int_equal(queue_first(&q)->thing, first);
            assert_int_equal(queue_first(&q)->due_ns, due[first]);
        }
    }
    queue_free(&q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_due_at_once_come_in_order),
        cmocka_unit_test(the_first_entry_is_always_the_earliest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
