#include "unit/policy/check.h"

#include "base/http_date.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
static const int64_t now = 784111777;
static const uint64_t second = 1000000000;

static void
seconds_and_three_forms_of_dates_are_read(void **state)
{
    static const struct {
        const char *value;
        uint64_t seconds;
    } rows[] = {
        {"0", 0},
        {"120", 120},
        {"  7\t", 7},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:50:00 GMT", 23},
        {"Sunday, 06-Nov-94 08:50:00 GMT", 23},
        {"Sun Nov  6 08:50:00 1994", 23},
        {"Mon Nov 07 08:49:37 1994", 86400},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 01 Mar 1995 08:49:37 GMT", 115 * 86400},
        {"Thursday, 29-Feb-96 08:49:37 GMT", 480 * 86400},
        {"Sat, 31 Dec 1994 23:59:60 GMT", 55 * 86400 + 54623},
        {"Friday, 01-Jan-50 00:00:00 GMT", 0}, /* 1950 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 77;

        if (http_retry_after(rows[i].value, now, &ns) != 0) {
            fail_msg("%s is not read", rows[i].value);
        }
        if (ns != rows[i].seconds * second) {
            fail_msg("%s is %llu", rows[i].value, (unsigned long long)ns);
        }
    }
}

static void
waits_over_the_maximum_become_the_maximum(void **state)
{
    static const char *const rows[] = {
        "99999999999",
        "99999999999999999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 77;

        assert_int_equal(http_retry_after(rows[i], now, &ns), 0);
        assert_int_equal(ns, DURATION_MAX);
    }
}

static void
values_that_cannot_be_read_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "soon",
        "-1",
        "+5",
        "1.5",
        "5s",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1995 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun Nov    08:50:00 1994",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun",
        "Sun, 06 No",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 77;

        if (http_retry_after(rows[i], now, &ns) != -1) {
            fail_msg("%s is read", rows[i]);
        }
        assert_int_equal(ns, 77);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_and_three_forms_of_dates_are_read),
        cmocka_unit_test(waits_over_the_maximum_become_the_maximum),
        cmocka_unit_test(values_that_cannot_be_read_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
