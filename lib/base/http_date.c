#include "http_date.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "duration.h"

/* The three forms of a date.  * stands for the name of the weekday, MMM for the
 * name of the month, and D, Y, h, m, s for a digit of the day, year, hour,
 * minute and second. */
static const char *const forms[] = {
    "*, DD MMM YYYY hh:mm:ss GMT", /* Sun, 06 Nov 1994 08:49:37 GMT */
    "*, DD-MMM-YY hh:mm:ss GMT",   /* Sunday, 06-Nov-94 08:49:37 GMT */
    "* MMM DD hh:mm:ss YYYY",      /* Sun Nov  6 08:49:37 1994 */
};

/* The letters of the numbers in a form, and their places in a date. */
static const char letters[] = "DYhms";
enum { DAY, YEAR, HOUR, MINUTE, SECOND, NUMBERS };

struct date {
    int number[NUMBERS], month, year_digits;
};

static int
find_month(const char *name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++) {
        if (strncmp(months + 3 * i, name, 3) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static bool
is_weekday(const char *text, size_t length)
{
    static const char *const days[] = {"Monday",   "Tuesday", "Wednesday",
                                       "Thursday", "Friday",  "Saturday",
                                       "Sunday"};

    for (int i = 0; i < 7; i++) {
        if (length >= 3 && strncmp(days[i], text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Matches one letter of a form with one character of the text. */
static bool
match_letter(struct date *d, char letter, char c)
{
    const char *found = strchr(letters, letter);
    int *number;

    if (!found) {
        return letter == c;
    }
    number = &d->number[found - letters];
    if (c == ' ' && letter == 'D' && *number == 0) {
        return true; /* the third form pads with a blank */
    }
    if (c < '0' || c > '9') {
        return false;
    }
    *number = 10 * *number + (c - '0');
    d->year_digits += letter == 'Y';
    return true;
}

static bool
match_form(const char *form, const char *text, size_t length, struct date *out)
{
    struct date d = {0};
    size_t word = strcspn(text, ", ");

    if (!is_weekday(text, word)) {
        return false;
    }
    form++;
    for (size_t i = word; *form; form++, i++) {
        if (i >= length) {
            return false;
        }
        if (strncmp(form, "MMM", 3) == 0) {
            if (i + 3 > length || !(d.month = find_month(text + i))) {
                return false;
            }
            form += 2;
            i += 2;
        } else if (!match_letter(&d, *form, text[i])) {
            return false;
        }
        if (form[1] == '\0' && i + 1 != length) {
            return false;
        }
    }
    *out = d;
    return true;
}

/* Returns the days from 1970 to the first day of a month, 1 to 13, in the
 * Gregorian calendar.  Each year starts in March, so that the leap day is its
 * last day. */
static int64_t
days_to_month(int year, int month)
{
    int64_t of = year - (month <= 2), era = of / 400, of_era = of % 400;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
           (153 * ((month + 9) % 12) + 2) / 5 - 719468;
}

static bool
date_ok(const struct date *d)
{
    const int *n = d->number;

    assert(d->month >= 1 && d->month <= 12); /* every form has a month */
    /* 60 is a leap second. */
    return n[DAY] >= 1 &&
           n[DAY] <= days_to_month(n[YEAR], d->month + 1) -
                         days_to_month(n[YEAR], d->month) &&
           n[HOUR] <= 23 && n[MINUTE] <= 59 && n[SECOND] <= 60;
}

static int64_t
seconds_since_1970(const struct date *d)
{
    const int *n = d->number;
    int64_t days = days_to_month(n[YEAR], d->month) + n[DAY] - 1;

    return days * 86400 + n[HOUR] * 3600 + n[MINUTE] * 60 + n[SECOND];
}

static bool
read_date(const char *text, size_t length, int64_t now, int64_t *out)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct date d;

        if (!match_form(forms[i], text, length, &d)) {
            continue;
        }
        if (d.year_digits == 2) {
            /* More than 50 years ahead means the last century (5.6.7). */
            d.number[YEAR] += 2000;
            if (seconds_since_1970(&d) > now + INT64_C(50) * 365 * 86400) {
                d.number[YEAR] -= 100;
            }
        }
        *out = seconds_since_1970(&d);
        return date_ok(&d);
    }
    return false;
}

static bool
read_seconds(const char *text, size_t length, uint64_t *out)
{
    uint64_t seconds = 0;

    if (length == 0 || strspn(text, "0123456789") < length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (seconds < DURATION_MAX / 1000000000) {
            seconds = 10 * seconds + (uint64_t)(text[i] - '0');
        }
    }
    *out = seconds;
    return true;
}

int
http_retry_after(const char *value, int64_t now, uint64_t *out_ns)
{
    size_t length;
    uint64_t seconds;
    int64_t then;

    value += strspn(value, " \t");
    length = strnlen(value, 64);
    while (length && strchr(" \t\r\n", value[length - 1])) {
        length--;
    }
    if (!read_seconds(value, length, &seconds)) {
        if (!read_date(value, length, now, &then)) {
            return -1;
        }
        seconds = then > now ? (uint64_t)(then - now) : 0;
    }
    *out_ns = seconds < DURATION_MAX / 1000000000 ? seconds * 1000000000
                                                  : DURATION_MAX;
    return 0;
}
