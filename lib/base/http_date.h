/* Reads Retry-After (RFC 9110, 10.2.3): seconds, or a date in one of the three
 * forms of 5.6.7.  Uses no clock and no locale. */
#ifndef BIDE_HTTP_DATE_H
#define BIDE_HTTP_DATE_H

#include <stdint.h>

/* Sets *out_ns to the wait from `now` (seconds since 1970): 0 for a date in the
 * past, at most DURATION_MAX.  Returns -1 if the value cannot be read. */
int http_retry_after(const char *value, int64_t now, uint64_t *out_ns);

#endif
