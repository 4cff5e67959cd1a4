/* The parts of `bide serve`, which runs in one thread:
 *
 *   serve.c       the command: the loop, signals, the address to listen on
 *   serve_http.c  connections and their limits, requests (libmicrohttpd)
 *   serve_api.c   the answers: /metrics, /api/...
 *   serve_now.c   the host and the trend of /api/now
 *   serve_past.c  /api/policies/NAME/past
 *   listen.c      addresses
 *   page/         the web page, one file that is built into the program */
#ifndef BIDE_CLI_SERVE_H
#define BIDE_CLI_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/command/command.h"
#include "cli/view/trend.h"

/* ---- answers ---- */

struct serve_api {
    const char *dir;
    struct trend trend;
    uint64_t read_ns; /* time of the last reading, CLOCK_MONOTONIC */
    uint64_t rest_ns; /* until then, serve_past refuses */
};

struct serve_request {
    const char *path, *since, *until, *scope; /* NULL: absent */
};

/* An answer; `text` is malloc'ed, or NULL without memory. */
struct serve_text {
    unsigned status; /* HTTP status */
    const char *type;
    char *text;
    size_t length;
    bool cacheable; /* valid for every request within a second */
};

/* Answers a request.  Opens the registry each time, because it may have been
 * replaced or restored. */
void serve_answer(struct serve_api *api, const struct serve_request *request,
                  struct serve_text *out);
void serve_past(struct serve_api *api, struct admin *registry, const char *name,
                const struct serve_request *request, struct serve_text *out);
void serve_put_now(struct serve_api *api, struct admin *registry, FILE *out);

struct json;
/* Writes `j` to `out` and frees it.  Returns 0 or BIDE_ENOMEM. */
int serve_write_json(struct json *j, FILE *out);
/* Fills `out` with `j`, and frees it. */
void serve_json(unsigned status, struct json *j, struct serve_text *out);
/* Fills `out` with an error. */
void serve_refuse(unsigned status, const char *why, struct serve_text *out);

/* Reads the counters for the trend.  The caller must call it every
 * TREND_STEP_NS. */
void serve_read_trend(struct serve_api *api, uint64_t now_ns);

/* ---- serve_http.c ---- */

struct serve_http;

/* Returns a server on the listening socket `fd`, which it then owns.  On
 * failure, prints the error, closes `fd` and returns NULL. */
struct serve_http *serve_http_new(struct serve_api *api, int fd,
                                  bool only_this_host);
/* Returns a descriptor that is readable when serve_http_run has work. */
int serve_http_fd(const struct serve_http *h);
/* Handles all pending events.  Returns the number of milliseconds after which
 * it must be called again. */
int serve_http_run(struct serve_http *h, uint64_t now_ns);
/* Accepts no more connections. */
void serve_http_stop_accepting(struct serve_http *h);
/* Reports whether no request is being answered. */
bool serve_http_is_idle(const struct serve_http *h);
void serve_http_free(struct serve_http *h);

/* ---- page/ ---- */

extern const unsigned char serve_page[];
extern const size_t serve_page_length;
extern const char serve_page_policy[]; /* Content-Security-Policy */

#endif
