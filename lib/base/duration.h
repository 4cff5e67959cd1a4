/* Durations, numbers and shares as people write them: "250ms", "1.5s", "20%".
 * Exact: what cannot be held exactly in its unit is refused, not rounded. */
#ifndef BIDE_POLICY_DURATION_H
#define BIDE_POLICY_DURATION_H

#include <stddef.h>
#include <stdint.h>

#define DURATION_NONE UINT64_MAX /* "none": no limit */
#define DURATION_MAX (36500ull * 86400 * 1000000000)

/* Reads "250ms" (ns us ms s m h d; up to 9 decimals; only 0 goes without a
 * unit) as ns.  On failure returns -1 and *why is a constant sentence, and
 * writes into `hint` what was probably meant ("" where nothing is near). */
int duration_read(const char *text, uint64_t *out, const char **why, char *hint,
                  size_t hint_size);

/* The shortest exact text: 1500000000 is "1.5s", 0 is "0", DURATION_NONE is
 * "none".  Returns buffer, which needs 32 bytes. */
char *duration_write(uint64_t ns, char *buffer, size_t size);

/* For people: three digits ("1.23s", "18ms", "27m"). */
char *duration_round(uint64_t ns, char *buffer, size_t size);

#endif
