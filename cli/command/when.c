#include "when.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/duration.h"

#define SECOND_NS UINT64_C(1000000000)

static struct tm
local_time(uint64_t ns)
{
    time_t seconds = (time_t)(ns / SECOND_NS);
    struct tm tm = {0};

    localtime_r(&seconds, &tm);
    return tm;
}

/* Returns how many calendar days `to` is after `from`; negative if it is
 * before.  Exact within a year and from December to January; else 366 or -366.
 * Days are not divided by 24 hours, because a day can have 23. */
static int
days_between(struct tm from, struct tm to)
{
    int years = to.tm_year - from.tm_year;

    if (years == 0) {
        return to.tm_yday - from.tm_yday;
    }
    if (years == 1 && from.tm_mon == 11 && to.tm_mon == 0) {
        return to.tm_mday + 31 - from.tm_mday;
    }
    return years > 0 ? 366 : -366;
}

char *
when_write(uint64_t when_ns, uint64_t now_ns, char *buffer, size_t size)
{
    struct tm when = local_time(when_ns);
    int days = days_between(when, local_time(now_ns));

    strftime(buffer, size,
             days == 0   ? "today %H:%M:%S"
             : days == 1 ? "yesterday %H:%M:%S"
                         : "%Y-%m-%d %H:%M:%S",
             &when);
    return buffer;
}

char *
when_write_iso(uint64_t when_ns, char *buffer, size_t size)
{
    struct tm when = local_time(when_ns);

    strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &when);
    return buffer;
}

/* Writes a duration, rounded to the largest unit of which it has at least two:
 * "12m". */
static void
write_time_left(uint64_t ns, char *buffer, size_t size)
{
    static const struct {
        uint64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
    uint64_t seconds = ns / SECOND_NS;
    size_t i = 0;

    while (units[i].seconds > 1 && seconds < 2 * units[i].seconds) {
        i++;
    }
    snprintf(buffer, size, "%llu%s",
             (unsigned long long)((seconds + units[i].seconds / 2) /
                                  units[i].seconds),
             units[i].unit);
}

char *
when_write_until(uint64_t when_ns, uint64_t now_ns, char *buffer, size_t size)
{
    struct tm when = local_time(when_ns);
    int days = days_between(local_time(now_ns), when);
    char at[40], in[32];

    strftime(at, sizeof(at),
             days == 0   ? "%H:%M"
             : days == 1 ? "tomorrow %H:%M"
                         : "%Y-%m-%d %H:%M",
             &when);
    write_time_left(when_ns > now_ns ? when_ns - now_ns : 0, in, sizeof(in));
    snprintf(buffer, size, "%s (in %s)", at, in);
    return buffer;
}

static int
local_to_ns(struct tm tm, uint64_t *out)
{
    time_t seconds;

    tm.tm_isdst = -1;
    seconds = mktime(&tm);
    if (seconds < 0) {
        return -1;
    }
    *out = (uint64_t)seconds * SECOND_NS;
    return 0;
}

/* Reads `text` as a local time in `format`; `start` has the fields that the
 * format omits.  Returns 0; -1 if it does not fit or the date does not exist
 * (mktime takes the 31st of February for the 3rd of March). */
static int
read_calendar(const char *text, const char *format, struct tm start,
              uint64_t *out)
{
    const char *end;
    struct tm again;
    int day;

    end = strptime(text, format, &start);
    if (!end || *end) {
        return -1;
    }
    day = start.tm_mday;
    if (local_to_ns(start, out)) {
        return -1;
    }
    again = local_time(*out);
    return again.tm_mday == day ? 0 : -1;
}

int
when_read(const char *text, uint64_t now_ns, uint64_t *out)
{
    static const char *const formats[] = {
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d",
        "%H:%M:%S",
        "%H:%M",
    };
    struct tm midnight = local_time(now_ns);
    uint64_t ago;
    const char *why;
    char hint[64];

    midnight.tm_hour = midnight.tm_min = midnight.tm_sec = 0;
    if (strcmp(text, "now") == 0) {
        *out = now_ns;
        return 0;
    }
    if (strcmp(text, "today") == 0) {
        return local_to_ns(midnight, out);
    }
    if (strcmp(text, "yesterday") == 0) {
        midnight.tm_mday--;
        return local_to_ns(midnight, out);
    }
    if (*text == '-') {
        if (duration_read(text + 1, &ago, &why, hint, sizeof(hint)) ||
            ago > now_ns) {
            return -1;
        }
        *out = now_ns - ago;
        return 0;
    }
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (read_calendar(text, formats[i], midnight, out) == 0) {
            return 0;
        }
    }
    return -1;
}
