/* Traffic as people write it.  On failure -1, nothing changed but `why`, which
 * is then a sentence about the text. */
#ifndef BIDE_RULE_TRAFFIC_READ_H
#define BIDE_RULE_TRAFFIC_READ_H

#include <stddef.h>

#include "traffic.h"

/* "200/s", "0.5/s", "6000/m", "200/s even". */
int traffic_read_calls(const char *text, struct traffic *out, char *why,
                       size_t size);

/* "30%"; "30% until 20s, 100% until 40s, 0%". */
int traffic_read_fail(const char *text, struct traffic *out, char *why,
                      size_t size);

/* "60s": calls begin for so long. */
int traffic_read_for(const char *text, struct traffic *out, char *why,
                     size_t size);

/* "20ms", "10ms..50ms", "exponential 20ms". */
int traffic_read_time(const char *text, struct traffic_time *out, char *why,
                      size_t size);

/* "http.503": a failure. */
int traffic_read_outcome(const char *text, struct traffic *out, char *why,
                         size_t size);

#endif
