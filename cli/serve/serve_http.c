/* Connections and requests.  The only user of libmicrohttpd (MHD), which runs
 * in this one thread.
 *
 * No client can lock others out.  There are slots for CONNECTIONS.  A client
 * that has not sent a whole request within WAIT_NS, or has not read the answer
 * within ANSWER_NS, is disconnected.  When nearly all slots are taken, the
 * limits are CROWDED_WAIT_NS and CROWDED_ANSWER_NS, and the clients that are
 * above them longest are disconnected first. */

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/safe.h"
#include "cli/command/say.h"
#include "listen.h"
#include "serve.h"

#define WAIT_NS (10 * SECOND_NS)
#define ANSWER_NS (30 * SECOND_NS)
#define CROWDED_WAIT_NS (SECOND_NS / 10)
#define CROWDED_ANSWER_NS (2 * SECOND_NS)
#define FRESH_NS SECOND_NS

enum {
    CONNECTIONS = 256,
    SPARE = 8,         /* with fewer free slots, the crowded limits apply */
    RESERVED_FDS = 32, /* for the registry's files and standard streams */
    CONNECTION_MEMORY = 16 * 1024,
    CACHED = 8, /* answers */
    CACHED_PATH = 256,
    SWEEP_MS = 50,
};

struct slot {
    bool used, answering, shut;
    int fd;
    uint64_t since_ns; /* the last time that it connected, sent a request, or
                          received an answer */
};

struct cached_answer {
    char path[CACHED_PATH];
    uint64_t until_ns; /* valid until this time */
    struct MHD_Response *response;
    unsigned status;
};

struct serve_http {
    struct serve_api *api;
    struct MHD_Daemon *daemon;
    bool only_this_host, closing;
    int listening; /* the listening socket, after MHD has released it; else -1
                    */
    int fd;
    uint64_t now_ns;
    uint32_t limit, used;
    bool freed; /* a slot was freed: MHD must run to accept the next client */
    struct slot slot[CONNECTIONS];
    struct cached_answer cached[CACHED];
};

/* ---- slots ---- */

static struct slot *
take_slot(struct serve_http *h, int fd)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (!h->slot[i].used) {
            h->slot[i] = (struct slot){true, false, false, fd, h->now_ns};
            h->used++;
            return &h->slot[i];
        }
    }
    return NULL;
}

static void
on_connection(void *arg, struct MHD_Connection *c, void **context,
              enum MHD_ConnectionNotificationCode what)
{
    struct serve_http *h = arg;
    struct slot *s = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

        *context = info ? take_slot(h, info->connect_fd) : NULL;
    } else if (s) {
        assert(s->used && h->used > 0);
        s->used = false;
        h->used--;
        h->freed = true;
    }
}

static struct slot *
slot_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void
set_answering(struct serve_http *h, struct MHD_Connection *c, bool answering)
{
    struct slot *s = slot_of(c);

    if (s) {
        s->answering = answering;
        s->since_ns = h->now_ns;
    }
}

static void
on_completed(void *arg, struct MHD_Connection *c, void **request,
             enum MHD_RequestTerminationCode how)
{
    (void)how;
    *request = NULL;
    set_answering(arg, c, false);
}

/* Disconnects a client: MHD then reads the end of the stream and closes the
 * socket. */
static void
shut_down(struct slot *s)
{
    shutdown(s->fd, SHUT_RDWR);
    s->shut = true;
}

static int
compare_since(const void *a, const void *b)
{
    const struct slot *const *x = a, *const *y = b;

    return ((*x)->since_ns > (*y)->since_ns) -
           ((*x)->since_ns < (*y)->since_ns);
}

/* Disconnects clients above the crowded limits, the oldest first and at most
 * half of all. */
static void
shut_oldest(struct serve_http *h)
{
    struct slot *old[CONNECTIONS];
    size_t count = 0;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct slot *s = &h->slot[i];
        uint64_t limit = s->answering ? CROWDED_ANSWER_NS : CROWDED_WAIT_NS;

        if (s->used && !s->shut && h->now_ns - s->since_ns > limit) {
            old[count++] = s;
        }
    }
    qsort(old, count, sizeof(struct slot *), compare_since);
    for (size_t i = 0; i < count && i < h->limit / 2 + 1; i++) {
        shut_down(old[i]);
    }
}

static void
shut_expired(struct serve_http *h)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct slot *s = &h->slot[i];
        uint64_t limit = s->answering ? ANSWER_NS : WAIT_NS;

        if (s->used && !s->shut &&
            (h->now_ns - s->since_ns > limit ||
             (h->closing && !s->answering))) {
            shut_down(s);
        }
    }
    if (h->used + SPARE >= h->limit) {
        shut_oldest(h);
    }
}

/* ---- answers ---- */

/* Returns a response with the text, which it frees if `mode` says so, or NULL
 * without memory.  `policy` is the Content-Security-Policy. */
static struct MHD_Response *
make_response(const struct serve_text *t, enum MHD_ResponseMemoryMode mode,
              const char *policy)
{
    struct MHD_Response *r =
        t->text ? MHD_create_response_from_buffer(t->length, t->text, mode)
                : NULL;

    if (r) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, t->type);
        MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(r, "Cross-Origin-Resource-Policy",
                                "same-origin");
        MHD_add_response_header(r, "Content-Security-Policy", policy);
    } else if (mode == MHD_RESPMEM_MUST_FREE) {
        free(t->text);
    }
    return r;
}

static struct MHD_Response *
make_text_response(const struct serve_text *t)
{
    return make_response(t, MHD_RESPMEM_MUST_FREE,
                         "default-src 'none'; frame-ancestors 'none'");
}

static struct MHD_Response *
make_page_response(void)
{
    const struct serve_text page = {.type = "text/html; charset=utf-8",
                                    .text = (char *)(uintptr_t)serve_page,
                                    .length = serve_page_length};

    return make_response(&page, MHD_RESPMEM_PERSISTENT, serve_page_policy);
}

/* Queues the response and releases it.  NULL (no memory) closes the
 * connection. */
static enum MHD_Result
send_response(struct serve_http *h, struct MHD_Connection *c, unsigned status,
              struct MHD_Response *r)
{
    enum MHD_Result sent = MHD_NO;

    if (r) {
        if (h->closing) {
            MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
        }
        sent = MHD_queue_response(c, status, r);
        MHD_destroy_response(r);
    }
    return sent;
}

static enum MHD_Result
send_error(struct serve_http *h, struct MHD_Connection *c, unsigned status,
           const char *why)
{
    struct serve_text text;
    struct MHD_Response *r;

    serve_refuse(status, why, &text);
    r = make_text_response(&text);
    if (r && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    return send_response(h, c, status, r);
}

/* ---- the cache ----
 *
 * Many clients may ask for the same path, so an answer is sent again for
 * FRESH_NS.  An answer that was slow to make is kept for four times as long as
 * that took: otherwise many clients could keep the server busy with it. */

static struct cached_answer *
find_cached(struct serve_http *h, const char *path)
{
    for (size_t i = 0; i < CACHED; i++) {
        struct cached_answer *k = &h->cached[i];

        if (k->response && strcmp(k->path, path) == 0) {
            return k;
        }
    }
    return NULL;
}

/* Stores the response in the cache, which then owns it, in place of an old one.
 * `begun_ns` is when the response was begun.  Reports false, and does nothing,
 * if the path is too long or the cache is full. */
static bool
cache_response(struct serve_http *h, const char *path, uint64_t begun_ns,
               unsigned status, struct MHD_Response *r)
{
    struct cached_answer *k = find_cached(h, path);
    uint64_t now = clock_monotonic_ns(), took = now - begun_ns;

    if (strlen(path) >= CACHED_PATH) {
        return false;
    }
    for (size_t i = 0; i < CACHED && !k; i++) {
        k = h->cached[i].until_ns < now ? &h->cached[i] : NULL;
    }
    if (!k) {
        return false;
    }
    if (k->response) {
        MHD_destroy_response(k->response);
    }
    strcpy(k->path, path);
    k->until_ns = now + (took > FRESH_NS / 4 ? 4 * took : FRESH_NS);
    k->response = r;
    k->status = status;
    return true;
}

static const char *
get_argument(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

/* Writes the path and the arguments, which contain no newline if they are
 * valid; an empty scope differs from none. */
static void
write_key(const struct serve_request *r, char *out, size_t size)
{
    snprintf(out, size, "%s\n%s\n%s\n%s%s", r->path, r->since ? r->since : "",
             r->until ? r->until : "", r->scope ? "=" : "",
             r->scope ? r->scope : "");
}

static enum MHD_Result
answer_path(struct serve_http *h, struct MHD_Connection *c, const char *url)
{
    const struct serve_request request = {url, get_argument(c, "since"),
                                          get_argument(c, "until"),
                                          get_argument(c, "scope")};
    const struct cached_answer *k;
    uint64_t begun = clock_monotonic_ns();
    struct serve_text text;
    struct MHD_Response *r;
    char path[CACHED_PATH + 1];

    write_key(&request, path, sizeof(path));
    k = find_cached(h, path);
    if (k && begun < k->until_ns) {
        return MHD_queue_response(c, k->status, k->response);
    }
    serve_answer(h->api, &request, &text);
    r = make_text_response(&text);
    if (!r || !text.cacheable ||
        !cache_response(h, path, begun, text.status, r)) {
        return send_response(h, c, text.status, r);
    }
    return MHD_queue_response(c, text.status, r);
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *c, const char *path,
           const char *method, const char *version, const char *upload,
           size_t *upload_length, void **request)
{
    struct serve_http *h = arg;
    const char *host =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

    (void)version;
    (void)upload;
    if (!*request || *upload_length == 0) {
        set_answering(h, c, true);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return send_error(h, c, MHD_HTTP_METHOD_NOT_ALLOWED,
                          "only GET and HEAD are allowed");
    }
    if (h->only_this_host && !listen_host_ok(host)) {
        return send_error(h, c, MHD_HTTP_FORBIDDEN,
                          "the Host header must be localhost or a loopback "
                          "address");
    }
    if (!*request || *upload_length > 0) {
        /* The head is complete; the body is ignored.  An answer before the end
         * of the body would close the connection. */
        *request = h;
        *upload_length = 0;
        return MHD_YES;
    }
    if (strcmp(path, "/") == 0) {
        return send_response(h, c, MHD_HTTP_OK, make_page_response());
    }
    return answer_path(h, c, path);
}

/* ---- the daemon ---- */

/* Raises the limit of descriptors to 4096 or the highest value allowed, and
 * returns the number of connections that it leaves. */
static uint32_t
connection_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 64;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
            getrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return 64;
        }
    }
    return limit.rlim_cur >= CONNECTIONS + RESERVED_FDS ? CONNECTIONS
           : limit.rlim_cur > 2 * RESERVED_FDS
               ? (uint32_t)limit.rlim_cur - RESERVED_FDS
               : 16;
}

static bool
start_daemon(struct serve_http *h, int fd)
{
    const union MHD_DaemonInfo *info = NULL;

    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_CONNECTION_LIMIT, h->limit,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(ANSWER_NS / SECOND_NS),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (h->daemon) {
        info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        h->fd = info ? info->epoll_fd : -1;
    }
    return info != NULL;
}

struct serve_http *
serve_http_new(struct serve_api *api, int fd, bool only_this_host)
{
    struct serve_http *h = calloc(1, sizeof(*h));

    if (!h) {
        close(fd);
        say_no_memory();
        return NULL;
    }
    h->api = api;
    h->only_this_host = only_this_host;
    h->limit = connection_limit();
    h->listening = -1;
    if (!start_daemon(h, fd)) {
        say("cannot start the HTTP server");
        if (h->daemon) {
            MHD_stop_daemon(h->daemon);
        } else {
            close(fd);
        }
        free(h);
        return NULL;
    }
    return h;
}

int
serve_http_fd(const struct serve_http *h)
{
    return h->fd;
}

int
serve_http_run(struct serve_http *h, uint64_t now_ns)
{
    MHD_UNSIGNED_LONG_LONG wait;
    int sweep_ms;

    h->now_ns = now_ns;
    h->freed = false;
    MHD_run(h->daemon);
    shut_expired(h);
    if (h->freed) {
        return 0;
    }
    sweep_ms = h->used + SPARE >= h->limit ? SWEEP_MS
               : h->used > 0               ? 20 * SWEEP_MS
                                           : 1200 * SWEEP_MS;
    return MHD_get_timeout(h->daemon, &wait) == MHD_YES &&
                   wait < (unsigned)sweep_ms
               ? (int)wait
               : sweep_ms;
}

void
serve_http_stop_accepting(struct serve_http *h)
{
    h->closing = true;
    h->listening = MHD_quiesce_daemon(h->daemon);
}

bool
serve_http_is_idle(const struct serve_http *h)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (h->slot[i].used && h->slot[i].answering) {
            return false;
        }
    }
    return true;
}

void
serve_http_free(struct serve_http *h)
{
    MHD_stop_daemon(h->daemon);
    safe_close(h->listening);
    for (size_t i = 0; i < CACHED; i++) {
        if (h->cached[i].response) {
            MHD_destroy_response(h->cached[i].response);
        }
    }
    free(h);
}
