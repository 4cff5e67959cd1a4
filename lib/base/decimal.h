/* Decimal numbers, kept exactly: "1.5" is 15 with one place. */
#ifndef BIDE_DECIMAL_H
#define BIDE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decimal {
    uint64_t digits; /* the value is digits / 10^places */
    int places;      /* 0 to 9; the last place is not 0 */
};

/* Reads the number at the start of *text and moves *text past it.  Returns -1
 * and leaves *text if there is no number, it has over 9 places, or it does not
 * fit. */
int decimal_read(const char **text, struct decimal *out);

/* Writes the number, without zeros at the end of its places.  Returns `buffer`,
 * which needs 32 bytes. */
char *decimal_write(struct decimal d, char *buffer, size_t size);

/* Returns the nearest double, independent of the locale. */
double decimal_value(struct decimal d);

/* Sets *out to d x scale.  Returns false if that is not a whole number or does
 * not fit. */
bool decimal_scale(struct decimal d, uint64_t scale, uint64_t *out);

#endif
