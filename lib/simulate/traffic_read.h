/* Reads the options of `bide simulate` that describe traffic.  On failure the
 * functions return -1, change nothing but `why`, and write the reason there. */
#ifndef BIDE_SIMULATE_TRAFFIC_READ_H
#define BIDE_SIMULATE_TRAFFIC_READ_H

#include "traffic.h"

enum { TRAFFIC_WHY = 200 };

/* Reads a rate: "200/s", "0.5/s", "6000/m", "200/s even". */
int traffic_read_calls(const char *text, struct traffic *out,
                       char why[TRAFFIC_WHY]);

/* Reads shares of failures: "30%"; "30% until 20s, 100% until 40s, 0%". */
int traffic_read_fail(const char *text, struct traffic *out,
                      char why[TRAFFIC_WHY]);

/* Reads the time in which calls begin: "60s". */
int traffic_read_for(const char *text, struct traffic *out,
                     char why[TRAFFIC_WHY]);

/* Reads the time of an attempt: "20ms", "10ms..50ms", "exponential 20ms". */
int traffic_read_time(const char *text, struct traffic_time *out,
                      char why[TRAFFIC_WHY]);

/* Reads the outcome of failed attempts: "http.503". */
int traffic_read_outcome(const char *text, struct traffic *out,
                         char why[TRAFFIC_WHY]);

#endif
