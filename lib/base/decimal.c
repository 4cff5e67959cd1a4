#include "decimal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { PLACES_MAX = 9 };

static const uint64_t powers[PLACES_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
append_digit(uint64_t *digits, char c)
{
    return !__builtin_mul_overflow(*digits, 10, digits) &&
           !__builtin_add_overflow(*digits, (uint64_t)(c - '0'), digits);
}

int
decimal_read(const char **text, struct decimal *out)
{
    const char *at = *text;
    struct decimal d = {0, 0};

    if (!is_digit(*at)) {
        return -1;
    }
    for (; is_digit(*at); at++) {
        if (!append_digit(&d.digits, *at)) {
            return -1;
        }
    }
    if (at[0] == '.' && is_digit(at[1])) {
        const char *last = at;

        for (const char *p = at + 1; is_digit(*p); p++) {
            last = *p == '0' ? last : p;
        }
        for (at++; at <= last; at++, d.places++) {
            if (d.places == PLACES_MAX || !append_digit(&d.digits, *at)) {
                return -1;
            }
        }
        while (is_digit(*at)) {
            at++; /* zeros at the end */
        }
    }
    *text = at;
    *out = d;
    return 0;
}

char *
decimal_write(struct decimal d, char *buffer, size_t size)
{
    uint64_t unit;

    assert(d.places >= 0 && d.places <= PLACES_MAX);
    for (; d.places && d.digits % 10 == 0; d.places--) {
        d.digits /= 10;
    }
    unit = powers[d.places];
    if (d.places) {
        snprintf(buffer, size, "%" PRIu64 ".%0*" PRIu64, d.digits / unit,
                 d.places, d.digits % unit);
    } else {
        snprintf(buffer, size, "%" PRIu64, d.digits);
    }
    return buffer;
}

double
decimal_value(struct decimal d)
{
    /* Both are exact below 2^53, so the one division rounds correctly. */
    return (double)d.digits / (double)powers[d.places];
}

bool
decimal_scale(struct decimal d, uint64_t scale, uint64_t *out)
{
    unsigned __int128 n = (unsigned __int128)d.digits * scale;

    if (n % powers[d.places]) {
        return false;
    }
    n /= powers[d.places];
    if (n > UINT64_MAX) {
        return false;
    }
    *out = (uint64_t)n;
    return true;
}
