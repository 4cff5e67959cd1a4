#include "duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "decimal.h"

struct unit {
    const char *name;
    uint64_t ns;
};

/* The largest unit comes first: if two texts have the same length,
 * duration_write uses the one with the larger unit. */
static const struct unit units[] = {
    {"d", 86400000000000},
    {"h", 3600000000000},
    {"m", 60000000000},
    {"s", 1000000000},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

/* Other spellings of the units, for the hint. */
static const struct {
    const char *written, *unit;
} aliases[] = {
    {"sec", "s"},     {"secs", "s"},          {"second", "s"}, {"seconds", "s"},
    {"min", "m"},     {"mins", "m"},          {"minute", "m"}, {"minutes", "m"},
    {"hr", "h"},      {"hrs", "h"},           {"hour", "h"},   {"hours", "h"},
    {"day", "d"},     {"days", "d"},          {"msec", "ms"},  {"msecs", "ms"},
    {"millis", "ms"}, {"milliseconds", "ms"}, {"usec", "us"},  {"µs", "us"},
    {"μs", "us"},     {"micros", "us"},       {"nsec", "ns"},  {"nanos", "ns"},
};

static const struct unit *
find_unit(const char *name, int (*compare)(const char *a, const char *b))
{
    for (int i = 0; i < UNITS; i++) {
        if (compare(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

static const char *
find_meant_unit(const char *written)
{
    const struct unit *unit = find_unit(written, strcasecmp);

    for (size_t i = 0; !unit && i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcasecmp(aliases[i].written, written) == 0) {
            return aliases[i].unit;
        }
    }
    return unit ? unit->name : NULL;
}

/* Writes "5s" to `hint` for "5 sec" or "5S". */
static void
suggest_unit(const char *text, const char *rest, char *hint, size_t hint_size)
{
    const char *unit = find_meant_unit(rest + strspn(rest, " "));

    if (unit && (size_t)(rest - text) < hint_size - 4) {
        snprintf(hint, hint_size, "%.*s%s", (int)(rest - text), text, unit);
    }
}

/* Reads one number with one unit, or 0.  Returns NULL, or the reason why the
 * text is not a duration. */
static const char *
read_one_unit(const char *text, uint64_t *out, char *hint, size_t hint_size)
{
    const char *at = text;
    const struct unit *unit;
    struct decimal number;
    uint64_t ns;
    bool whole;

    if (*text == '-') {
        return "a duration cannot be negative";
    }
    if (decimal_read(&at, &number) != 0) {
        return "a duration is a number and its unit, such as 250ms or 1.5s";
    }
    if (*at == '\0') {
        if (number.digits == 0) {
            *out = 0;
            return NULL;
        }
        snprintf(hint, hint_size, "%sms", text);
        return "a duration needs its unit";
    }
    unit = find_unit(at, strcmp);
    if (!unit) {
        suggest_unit(text, at, hint, hint_size);
        return "a duration has one unit: ns us ms s m h d";
    }
    whole = decimal_scale(number, unit->ns, &ns);
    if (decimal_value(number) * (double)unit->ns > 2.0 * DURATION_MAX ||
        (whole && ns > DURATION_MAX)) {
        return "longer than 36500d";
    }
    *out = whole ? ns : *out;
    return whole ? NULL : "finer than 1ns";
}

int
duration_read(const char *text, uint64_t *out, struct duration_fault *fault)
{
    struct duration_fault found = {.hint = ""};

    found.why = read_one_unit(text, out, found.hint, sizeof(found.hint));
    if (found.why && fault) {
        *fault = found;
    }
    return found.why ? -1 : 0;
}

/* Converts `ns` to a unit.  Returns false if the result is below 1 or not
 * exact. */
static bool
convert_to_unit(uint64_t ns, uint64_t unit, struct decimal *out)
{
    uint64_t scale = 1;

    if (ns < unit) {
        return false;
    }
    for (int places = 0; places <= 9; places++, scale *= 10) {
        unsigned __int128 n = (unsigned __int128)ns * scale;

        if (n % unit == 0 && n / unit <= UINT64_MAX) {
            *out = (struct decimal){(uint64_t)(n / unit), places};
            return true;
        }
    }
    return false;
}

struct brief
duration_write(uint64_t ns)
{
    struct brief best = {""};

    if (ns == 0 || ns == DURATION_NONE) {
        strcpy(best.text, ns ? "none" : "0");
        return best;
    }
    for (int i = 0; i < UNITS; i++) {
        struct decimal d;
        char number[32], text[40];

        if (!convert_to_unit(ns, units[i].ns, &d)) {
            continue;
        }
        decimal_write(d, number, sizeof(number));
        snprintf(text, sizeof(text), "%s%s", number, units[i].name);
        if (!best.text[0] || strlen(text) < strlen(best.text)) {
            strcpy(best.text, text);
        }
        if (d.places == 0) {
            break; /* a smaller unit only adds digits */
        }
    }
    return best;
}

/* Writes "2m 52s": a whole number of units `i` and of the next smaller one.
 * Returns false if the rounded duration is a unit of the next larger kind. */
static bool
write_two_units(uint64_t ns, int i, struct brief *out)
{
    uint64_t small = units[i + 1].ns, each = units[i].ns / small;
    uint64_t n = ns / small + (ns % small >= small / 2);
    int used;

    if (i > 0 && n >= units[i - 1].ns / small) {
        return false;
    }
    used = sprintf(out->text, "%" PRIu64 "%s", n / each, units[i].name);
    if (n % each) {
        sprintf(out->text + used, " %" PRIu64 "%s", n % each,
                units[i + 1].name);
    }
    return true;
}

/* Writes "12.3s": three digits of units `i`, without zeros at the end.  Returns
 * false if the rounded duration is a unit of the next larger kind. */
static bool
write_three_digits(uint64_t ns, int i, struct brief *out)
{
    uint64_t whole = ns / units[i].ns;
    int places = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;
    uint64_t scale = places == 2 ? 100 : places == 1 ? 10 : 1;
    uint64_t n = (ns * scale + units[i].ns / 2) / units[i].ns;
    char number[32];

    if (n * units[i].ns >= units[i - 1].ns * scale) {
        return false; /* 999.9ms rounds to 1000ms, which is written as 1s */
    }
    snprintf(out->text, sizeof(out->text), "%s%s",
             decimal_write((struct decimal){n, places}, number, sizeof(number)),
             units[i].name);
    return true;
}

struct brief
duration_round(uint64_t ns)
{
    struct brief out;
    int i = UNITS - 1;

    if (ns == 0 || ns == DURATION_NONE) {
        return duration_write(ns);
    }
    while (i > 0 && ns >= units[i - 1].ns) {
        i--;
    }
    while (!(units[i].ns > SECOND_NS ? write_two_units
                                     : write_three_digits)(ns, i, &out)) {
        i--;
    }
    return out;
}
