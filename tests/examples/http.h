/* One HTTP exchange over a TCP connection of its own, to 127.0.0.1.  As much of
 * HTTP as these examples need; a real service takes libcurl or its like. */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <stdint.h>

struct http_answer {
    int status;
    char retry_after[64]; /* the header's value, "" without one */
    char body[1024];
};

/* Posts to `path` and reads the answer.  `deadline_ns` is a time of
 * CLOCK_MONOTONIC, UINT64_MAX for none.  0, or the errno of what went wrong:
 * ETIMEDOUT at the deadline, ECONNRESET when the server hung up. */
int http_post(int port, const char *path, uint64_t deadline_ns,
              struct http_answer *out);

#endif
