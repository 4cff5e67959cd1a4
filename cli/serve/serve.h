/* The pieces of `bide serve`, all in one thread:
 *
 *   serve.c       the command: the loop, signals, where to listen
 *   serve_http.c  connections and their limits, requests (libmicrohttpd)
 *   serve_api.c   the texts: /metrics, /api/...
 *   trend.c       the last minutes of each policy
 *   listen.c      addresses
 *   page/         the page, in one file, made part of the program */
#ifndef BIDE_CLI_SERVE_H
#define BIDE_CLI_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/command/command.h"
#include "cli/command/when.h"
#include "trend.h"

/* ---- serve_api.c ---- */

struct serve_api {
    const char *dir;
    struct trend *trend;
    bool begun;         /* the trend has its past */
    uint64_t looked_ns; /* the last reading */
};

/* An answer; `text` is malloc'ed, or NULL without memory. */
struct serve_text {
    unsigned status; /* of HTTP */
    const char *type;
    char *text;
    size_t length;
    bool keep; /* the same for all who ask within a second */
};

/* What is at that path.  Opens the registry anew each time: it may have been
 * replaced, or have come back.  `now_ns`: CLOCK_MONOTONIC. */
void serve_answer(struct serve_api *api, const char *path, uint64_t now_ns,
                  struct serve_text *out);
void serve_refuse(unsigned status, const char *why, struct serve_text *out);

/* For the trend: to be called at every step. */
void serve_look(struct serve_api *api, uint64_t now_ns);

/* ---- serve_http.c ---- */

struct serve_http;

/* `fd` listens, and is closed with it.  NULL: said why. */
struct serve_http *serve_http_new(struct serve_api *api, int fd,
                                  bool only_this_host);
int serve_http_fd(const struct serve_http *h); /* readable: there is work */
/* Does what there is to do; milliseconds after which to come again. */
int serve_http_run(struct serve_http *h, uint64_t now_ns);
/* No new connections; then, when those that are answered are done, or not. */
void serve_http_close_door(struct serve_http *h);
bool serve_http_is_idle(const struct serve_http *h);
void serve_http_free(struct serve_http *h);

/* ---- page/ ---- */

extern const unsigned char serve_page[];
extern const size_t serve_page_length;
extern const char serve_page_policy[]; /* Content-Security-Policy */

#endif
