/* The value of Retry-After (RFC 9110, 10.2.3): seconds, or a date in one of
 * the three forms of 5.6.7.  Looks at no clock and no locale. */
#ifndef BIDE_POLICY_HTTP_DATE_H
#define BIDE_POLICY_HTTP_DATE_H

#include <stdint.h>

/* How long after `now` (seconds since 1970).  A date that is past is 0; longer
 * than DURATION_MAX is DURATION_MAX.  -1: cannot be read. */
int http_retry_after(const char *value, int64_t now, uint64_t *out_ns);

#endif
