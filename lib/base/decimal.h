/* Numbers as people write them, held exactly: "1.5" is 15 with one place. */
#ifndef BIDE_POLICY_DECIMAL_H
#define BIDE_POLICY_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decimal {
    uint64_t digits; /* the value is digits / 10^places */
    int places;      /* 0 to 9; the last place is not 0 */
};

/* Reads the digits at *text and moves past them.  -1, *text untouched: there is
 * no number, it has over 9 places, or it does not fit. */
int decimal_read(const char **text, struct decimal *out);
char *decimal_write(struct decimal d, char *buffer, size_t size); /* 32 bytes */

/* The nearest double; the same on every machine, whatever its locale. */
double decimal_value(struct decimal d);

/* d x scale as a whole number.  False where it is none, or does not fit. */
bool decimal_scale(struct decimal d, uint64_t scale, uint64_t *out);

#endif
