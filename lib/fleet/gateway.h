/* The bodies of etcd's JSON gateway: keys and values are base64, 64-bit numbers
 * are strings, and what is zero or false is left out.  Pure. */
#ifndef BIDE_FLEET_GATEWAY_H
#define BIDE_FLEET_GATEWAY_H

#include "etcd.h"

enum { GATEWAY_WHY = 256 };

/* Write the body of a request, malloc'ed; NULL without memory. */
char *gateway_write(const struct etcd_step *steps, size_t count);
char *gateway_write_watch(const char *key, uint64_t revision);

/* Reads the answer to a transaction, or one line of a watch.  Returns 0, a code
 * of etcd.h with the reason in `why` (GATEWAY_WHY bytes), or BIDE_ENOMEM. */
int gateway_read(const char *bytes, size_t length, struct etcd_reply *out,
                 char *why);

#endif
