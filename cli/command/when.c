#include "when.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/duration.h"

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

static struct brief
write_local(uint64_t ns, const char *format)
{
    struct tm when = local_time(ns);
    struct brief out;

    strftime(out.text, sizeof(out.text), format, &when);
    return out;
}

struct brief
when_write(uint64_t when_ns, uint64_t now_ns)
{
    int days = days_between(local_time(when_ns), local_time(now_ns));

    return write_local(when_ns, days == 0   ? "today %H:%M:%S"
                                : days == 1 ? "yesterday %H:%M:%S"
                                            : "%Y-%m-%d %H:%M:%S");
}

struct brief
when_write_iso(uint64_t when_ns)
{
    return write_local(when_ns, "%Y-%m-%d %H:%M:%S");
}

struct brief
when_write_until(uint64_t when_ns, uint64_t now_ns)
{
    int days = days_between(local_time(now_ns), local_time(when_ns));
    uint64_t left = when_ns > now_ns ? when_ns - now_ns : 0;
    uint64_t step = left < 2 * MINUTE_NS ? SECOND_NS : MINUTE_NS;
    const char *format = days == 0   ? "%H:%M"
                         : days == 1 ? "tomorrow %H:%M"
                                     : "%Y-%m-%d %H:%M";
    struct brief out;

    snprintf(out.text, sizeof(out.text), "%.24s (in %.30s)",
             write_local(when_ns, format).text,
             duration_round((left + step / 2) / step * step).text);
    return out;
}

/* Reads `text` in one of the formats, the last of which is NULL, as a local
 * time or, after "%z", with its offset from UTC; `start` has the fields that
 * the format omits.  Returns 0; -1 if no format fits or the date does not exist
 * (mktime takes the 31st of February for the 3rd of March). */
static int
read_calendar(const char *text, const char *const *formats, struct tm start,
              uint64_t *out)
{
    for (; *formats; formats++) {
        struct tm tm = start, again;
        const char *end = strptime(text, *formats, &tm);
        bool offset = strstr(*formats, "%z") != NULL;
        time_t seconds;

        if (!end || *end) {
            continue;
        }
        again = tm;
        again.tm_isdst = -1;
        seconds = offset ? timegm(&again) - tm.tm_gmtoff : mktime(&again);
        if (seconds < 0 || again.tm_mday != tm.tm_mday) {
            return -1;
        }
        *out = (uint64_t)seconds * SECOND_NS;
        return 0;
    }
    return -1;
}

/* Reads "-2h", "2h" or "2h ago". */
static int
read_ago(const char *text, uint64_t now_ns, uint64_t *out)
{
    size_t length = strlen(text);
    char number[40];
    uint64_t ago;

    if (*text == '-') {
        text++;
    } else if (length > 4 && strcmp(text + length - 4, " ago") == 0) {
        length -= 4;
    }
    snprintf(number, sizeof(number), "%.*s", (int)length, text);
    if (length >= sizeof(number) || duration_read(number, &ago, NULL) ||
        ago > now_ns) {
        return -1;
    }
    *out = now_ns - ago;
    return 0;
}

int
when_read(const char *text, uint64_t now_ns, uint64_t *out)
{
    static const char *const times[] = {"%H:%M:%S", "%H:%M", NULL};
    static const char *const dates[] = {"%Y-%m-%dT%H:%M:%S%z",
                                        "%Y-%m-%dT%H:%M:%S",
                                        "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%dT%H:%M%z",
                                        "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d %H:%M",
                                        "%Y-%m-%d",
                                        NULL};
    static const char *const days[] = {"today", "yesterday"};
    struct tm day = local_time(now_ns);

    day.tm_hour = day.tm_min = day.tm_sec = 0;
    if (strcmp(text, "now") == 0) {
        *out = now_ns;
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(days[i]);

        if (strncmp(text, days[i], length) == 0 && strchr(" ", text[length])) {
            day.tm_mday -= i;
            day.tm_hour = 12; /* exists on every day, unlike midnight */
            day.tm_isdst = -1;
            mktime(&day);
            day.tm_hour = 0;
            return read_calendar(text[length] ? text + length + 1 : "0:00",
                                 times, day, out);
        }
    }
    return read_ago(text, now_ns, out) == 0 ||
                   read_calendar(text, dates, day, out) == 0
               ? 0
               : read_calendar(text, times, day, out);
}
