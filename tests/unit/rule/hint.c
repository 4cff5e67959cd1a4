/* One hint for all calls, with time as a number. */
#include "compiled.h"

#include "rule/hint.h"

#define NOW (5000 * SECOND)
#define MINUTE (60 * SECOND)

static void
the_later_time_holds_and_none_beyond_the_maximum(void **state)
{
    struct hint_words w = {0};

    (void)state;
    assert_int_equal(hint_until(&w, NOW, MINUTE), 0);
    hint_hold(&w, NOW + 2 * SECOND, NOW, MINUTE);
    hint_hold(&w, NOW + SECOND, NOW, MINUTE);
    hint_hold(&w, NOW, NOW, MINUTE);
    hint_hold(&w, NOW - 1, NOW, MINUTE);
    assert_int_equal(hint_until(&w, NOW, MINUTE), NOW + 2 * SECOND);
    assert_int_equal(hint_until(&w, NOW + 2 * SECOND - 1, MINUTE),
                     NOW + 2 * SECOND);
    assert_int_equal(hint_until(&w, NOW + 2 * SECOND, MINUTE), 0);
    hint_hold(&w, UINT64_MAX, NOW, MINUTE);
    assert_int_equal(hint_until(&w, NOW, MINUTE), NOW + MINUTE);
    /* A lower maximum frees those who wait longer. */
    assert_int_equal(hint_until(&w, NOW, 30 * SECOND), 0);
    atomic_store(&w.until, 0);
    assert_int_equal(hint_until(&w, NOW, MINUTE), 0);
    hint_hold(&w, UINT64_MAX, NOW, UINT64_MAX);
    assert_int_equal(hint_until(&w, NOW, UINT64_MAX), NOW + 86400 * SECOND);
}

static void
garbage_holds_nothing_and_is_replaced(void **state)
{
    struct hint_words w;

    (void)state;
    memset(&w, 0xff, sizeof(w));
    assert_int_equal(hint_until(&w, NOW, MINUTE), 0);
    assert_int_equal(hint_turn(&w, 0, 0, NOW, MINUTE), 0);
    hint_hold(&w, NOW + SECOND, NOW, MINUTE);
    assert_int_equal(hint_until(&w, NOW, MINUTE), NOW + SECOND);
    atomic_store(&w.waiting, UINT64_MAX);
    for (int i = 0; i < 10; i++) {
        assert_in_range(hint_turn(&w, i % 2 * HOUR_NS, 0, NOW, MINUTE),
                        NOW + SECOND, NOW + MINUTE);
    }
}

static void
calls_come_back_at_the_rate(void **state)
{
    struct hint_words w = {0};

    (void)state;
    hint_hold(&w, NOW + SECOND, NOW, MINUTE);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(hint_turn(&w, 20 * MS, 0, NOW, MINUTE),
                         NOW + SECOND + i * 20 * MS);
    }
    hint_hold(&w, NOW + 3 * SECOND, NOW + SECOND, MINUTE);
    assert_int_equal(hint_turn(&w, 20 * MS, 0, NOW + SECOND, MINUTE),
                     NOW + 3 * SECOND);
}

/* Any number of calls is spread evenly. */
static void
without_a_rate_they_are_spread(void **state)
{
    static const uint64_t spreads[] = {0, 10 * SECOND};

    (void)state;
    for (int k = 0; k < 2; k++) {
        uint64_t length = spreads[k] ? spreads[k] : 4 * SECOND;
        struct hint_words w = {0};
        int part[8] = {0};

        hint_hold(&w, NOW + 40 * SECOND, NOW, MINUTE);
        for (int i = 0; i < 80; i++) {
            uint64_t at = hint_turn(&w, 0, spreads[k], NOW, MINUTE);

            assert_in_range(at, NOW + 40 * SECOND,
                            NOW + 40 * SECOND + length - 1);
            part[(at - NOW - 40 * SECOND) * 8 / length]++;
        }
        for (int i = 0; i < 8; i++) {
            assert_in_range(part[i], 8, 12);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_later_time_holds_and_none_beyond_the_maximum),
        cmocka_unit_test(garbage_holds_nothing_and_is_replaced),
        cmocka_unit_test(calls_come_back_at_the_rate),
        cmocka_unit_test(without_a_rate_they_are_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
