/* One HTTP exchange over a new TCP connection to 127.0.0.1.  Only the part of
 * HTTP that these examples need; a real service uses libcurl or its like. */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <stdint.h>

struct http_answer {
    int status;
    char retry_after[64]; /* the header's value, "" without one */
    char body[1024];
};

/* Posts to `path` and reads the answer.  `deadline_ns` is a time of
 * CLOCK_MONOTONIC, UINT64_MAX for none.  Returns 0 or an errno: ETIMEDOUT at
 * the deadline, ECONNRESET if the server closed the connection. */
int http_post(int port, const char *path, uint64_t deadline_ns,
              struct http_answer *out);

#endif
