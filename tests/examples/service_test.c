/* Tests a service with cmocka: no registry, no server, and no time passes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <bide_test.h>

/* ---- the service ---- */

/* Asks for a price; the program sets it to the real client, a test to its own.
 */
static struct bide_outcome (*ask_price)(const struct bide_attempt *attempt,
                                        void *price);

/* Returns the price, or the last known one if the server gives none. */
static int
price_of_goods(struct bide *bide, int last_known)
{
    struct bide_policy *policy;
    int price = last_known;

    if (bide_lookup(bide, "get_price", NULL, &policy) == 0) {
        bide_run(policy, ask_price, &price);
    }
    return price;
}

/* ---- its tests ---- */

static const char rules[] = "[get_price]\n"
                            "attempts = 3\n"
                            "wait_initial = 100ms\n"
                            "wait_jitter = none\n"
                            "retry_on = transient\n"
                            "breaker = on\n"
                            "breaker_consecutive = 6\n"
                            "breaker_open_for = 30s\n";

static struct bide_test t;

static struct bide_outcome
play_price(const struct bide_attempt *attempt, void *price)
{
    struct bide_outcome o = bide_test_attempt(attempt, &t);

    if (o.domain == BIDE_DOMAIN_OK) {
        *(int *)price = 42;
    }
    return o;
}

static int
begin(void **state)
{
    (void)state;
    ask_price = play_price;
    bide_test_open(&t, NULL, rules);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    bide_test_close(&t);
    return 0;
}

static void
a_busy_server_is_asked_again(void **state)
{
    (void)state;
    BIDE_TEST_PLAY(&t, bide_http(503, "2"), bide_errno(ETIMEDOUT), bide_ok());
    assert_int_equal(price_of_goods(t.bide, 40), 42);
    bide_test_expect_story(
        &t, "http.503, 2000ms, errno.ETIMEDOUT, 200ms, ok: succeeded");
}

static void
a_wrong_request_is_not_repeated(void **state)
{
    (void)state;
    BIDE_TEST_PLAY(&t, bide_http(400, NULL));
    assert_int_equal(price_of_goods(t.bide, 40), 40);
    bide_test_expect(&t, t.result.verdict == BIDE_REJECTED &&
                             t.result.attempts == 1);
}

static void
a_server_that_is_down_is_left_alone(void **state)
{
    (void)state;
    BIDE_TEST_PLAY(&t, bide_errno(ECONNREFUSED));
    bide_test_run(&t, "get_price");
    bide_test_run(&t, "get_price");
    assert_int_equal(price_of_goods(t.bide, 40), 40);
    bide_test_expect_story(&t, "refused by breaker");

    t.now_ns += 30000000000; /* after half a minute it is tried again */
    BIDE_TEST_PLAY(&t, bide_ok());
    assert_int_equal(price_of_goods(t.bide, 40), 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_busy_server_is_asked_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_wrong_request_is_not_repeated, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_server_that_is_down_is_left_alone,
                                        begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
