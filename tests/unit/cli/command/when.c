/* Times that people write and read: cli/command/when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/command/when.h"

#define S UINT64_C(1000000000)
/* 2026-03-01 10:00:00 in UTC+2, which is the zone of these tests. */
#define NOW (UINT64_C(1772352000) * S)

static int
use_zone(void **state)
{
    (void)state;
    setenv("TZ", "TEST-2", 1);
    tzset();
    return 0;
}

static void
times_are_read_in_every_documented_form(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } rows[] = {
        {"now", NOW},
        {"0", NOW},
        {"-2h", NOW - 7200 * S},
        {"2h", NOW - 7200 * S},
        {"2h ago", NOW - 7200 * S},
        {"1.5m", NOW - 90 * S},
        {"today", NOW - 36000 * S},
        {"today 14:00", NOW + 14400 * S},
        {"today 9:30", NOW - 1800 * S},
        {"yesterday", NOW - (36000 + 86400) * S},
        {"yesterday 9:30", NOW - (1800 + 86400) * S},
        {"yesterday 23:59:59", NOW - 36001 * S},
        {"9:30", NOW - 1800 * S},
        {"2026-03-01", NOW - 36000 * S},
        {"2026-03-01 09:30", NOW - 1800 * S},
        {"2026-03-01T09:30", NOW - 1800 * S},
        {"2026-03-01T09:30:00", NOW - 1800 * S},
        {"2026-03-01T09:30:00Z", NOW + 5400 * S},
        {"2026-03-01T09:30Z", NOW + 5400 * S},
        {"2026-03-01T09:30:00+01:00", NOW + 1800 * S},
        {"2026-03-01T09:30:00-0100", NOW + 9000 * S},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 0;

        if (when_read(rows[i].text, NOW, &ns) != 0 || ns != rows[i].ns) {
            fail_msg("%s is %+ld s", rows[i].text,
                     (long)(ns - NOW) / 1000000000);
        }
    }
}

static void
what_is_not_a_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "",           "2",           "2 hours",
        "-2h ago",    "--2h",        "2h  ago",
        "ago",        " ago",        "todays",
        "today ",     "today 25:00", "tomorrow",
        "2026-02-30", "2026-13-01",  "2026-02-30T00:00Z",
        "9:30 pm",    "36500d",
    };
    uint64_t ns = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (when_read(texts[i], NOW, &ns) == 0) {
            fail_msg("%s is accepted", texts[i]);
        }
    }
    assert_int_equal(ns, 7);
}

static void
a_time_to_come_is_written_with_the_time_that_is_left(void **state)
{
    static const struct {
        uint64_t left_ns;
        const char *text;
    } rows[] = {
        {0, "10:00 (in 0)"},
        {90 * S, "10:01 (in 1m 30s)"},
        {3599 * S, "10:59 (in 1h)"},
        {3600 * S - 1, "10:59 (in 1h)"},
        {5400 * S, "11:30 (in 1h 30m)"},
        {86400 * S, "tomorrow 10:00 (in 1d)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(when_write_until(NOW + rows[i].left_ns, NOW).text,
                            rows[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_in_every_documented_form),
        cmocka_unit_test(what_is_not_a_time_is_refused),
        cmocka_unit_test(a_time_to_come_is_written_with_the_time_that_is_left),
    };

    return cmocka_run_group_tests(tests, use_zone, NULL);
}
