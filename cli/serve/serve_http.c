/* Connections and requests.  The only user of libmicrohttpd, which is driven
 * from one thread.
 *
 * Nobody can keep others out: there are places for CONNECTIONS; who has not
 * sent a whole request within WAIT_NS, or not taken the answer within
 * ANSWER_NS, is shut out, and when all places are taken those who have waited
 * longest are, almost at once. */

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command/say.h"
#include "listen.h"
#include "serve.h"

#define SECOND_NS UINT64_C(1000000000)
#define WAIT_NS (10 * SECOND_NS)
#define ANSWER_NS (30 * SECOND_NS)
#define CROWDED_WAIT_NS (SECOND_NS / 10)
#define CROWDED_ANSWER_NS (2 * SECOND_NS)
#define FRESH_NS SECOND_NS

enum {
    CONNECTIONS = 256,
    SPARE = 8,         /* places that are kept free */
    RESERVED_FDS = 32, /* the registry's files, and what a program has */
    CONNECTION_MEMORY = 16 * 1024,
    KEPT = 8, /* answers that are given again */
    KEPT_PATH = 64,
    SWEEP_MS = 50,
};

struct place {
    bool used, answering, shut;
    int fd;
    uint64_t since_ns; /* it connected, asked, or was answered last */
};

struct kept {
    char path[KEPT_PATH];
    uint64_t until_ns; /* good enough */
    struct MHD_Response *response;
    unsigned status;
};

struct serve_http {
    struct serve_api *api;
    struct MHD_Daemon *daemon;
    bool only_this_host, closing;
    int listening; /* -1: it is MHD's */
    int fd;
    uint64_t now_ns;
    uint32_t limit, used;
    bool freed; /* a place: MHD lets the next one in when it runs again */
    struct place place[CONNECTIONS];
    struct kept kept[KEPT];
};

/* ---- places ---- */

static struct place *
take_place(struct serve_http *h, int fd)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (!h->place[i].used) {
            h->place[i] = (struct place){true, false, false, fd, h->now_ns};
            h->used++;
            return &h->place[i];
        }
    }
    return NULL;
}

static void
on_connection(void *arg, struct MHD_Connection *c, void **context,
              enum MHD_ConnectionNotificationCode what)
{
    struct serve_http *h = arg;
    struct place *p = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

        *context = info ? take_place(h, info->connect_fd) : NULL;
    } else if (p) {
        p->used = false;
        h->used--;
        h->freed = true;
    }
}

static struct place *
place_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void
set_answering(struct serve_http *h, struct MHD_Connection *c, bool answering)
{
    struct place *p = place_of(c);

    if (p) {
        p->answering = answering;
        p->since_ns = h->now_ns;
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

/* MHD sees the end of the stream, and gives it up. */
static void
shut(struct place *p)
{
    shutdown(p->fd, SHUT_RDWR);
    p->shut = true;
}

static int
by_age(const void *a, const void *b)
{
    const struct place *const *x = a, *const *y = b;

    return ((*x)->since_ns > (*y)->since_ns) -
           ((*x)->since_ns < (*y)->since_ns);
}

/* Half of the places at a time, the longest waiting ones first. */
static void
make_room(struct serve_http *h)
{
    struct place *old[CONNECTIONS];
    size_t count = 0;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct place *p = &h->place[i];
        uint64_t limit = p->answering ? CROWDED_ANSWER_NS : CROWDED_WAIT_NS;

        if (p->used && !p->shut && h->now_ns - p->since_ns > limit) {
            old[count++] = p;
        }
    }
    qsort(old, count, sizeof(struct place *), by_age);
    for (size_t i = 0; i < count && i < h->limit / 2 + 1; i++) {
        shut(old[i]);
    }
}

static void
sweep(struct serve_http *h)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct place *p = &h->place[i];
        uint64_t limit = p->answering ? ANSWER_NS : WAIT_NS;

        if (p->used && !p->shut &&
            (h->now_ns - p->since_ns > limit ||
             (h->closing && !p->answering))) {
            shut(p);
        }
    }
    if (h->used + SPARE >= h->limit) {
        make_room(h);
    }
}

/* ---- answers ---- */

static void
add_headers(struct MHD_Response *r, const char *type, bool page)
{
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(r, "Content-Security-Policy",
                            page
                                ? serve_page_policy
                                : "default-src 'none'; frame-ancestors 'none'");
}

/* NULL: no memory.  Takes the text over. */
static struct MHD_Response *
response_of(struct serve_text *t)
{
    struct MHD_Response *r =
        t->text ? MHD_create_response_from_buffer(t->length, t->text,
                                                  MHD_RESPMEM_MUST_FREE)
                : NULL;

    if (r) {
        add_headers(r, t->type, false);
    } else {
        free(t->text);
    }
    return r;
}

static struct MHD_Response *
page_response(void)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        serve_page_length, (void *)(uintptr_t)serve_page,
        MHD_RESPMEM_PERSISTENT);

    if (r) {
        add_headers(r, "text/html; charset=utf-8", true);
    }
    return r;
}

/* Sends it and lets it go; NULL, out of memory, ends the connection. */
static enum MHD_Result
give(struct serve_http *h, struct MHD_Connection *c, unsigned status,
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
refuse(struct serve_http *h, struct MHD_Connection *c, unsigned status,
       const char *why)
{
    struct serve_text text;
    struct MHD_Response *r;

    serve_refuse(status, why, &text);
    r = response_of(&text);
    if (r && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    return give(h, c, status, r);
}

/* Many may ask for the same: what was made a moment ago will do; and what took
 * long to make does for longer, or a crowd would have it made all the time. */
static struct kept *
find_kept(struct serve_http *h, const char *path)
{
    for (size_t i = 0; i < KEPT; i++) {
        struct kept *k = &h->kept[i];

        if (k->response && strcmp(k->path, path) == 0) {
            return k;
        }
    }
    return NULL;
}

static void
keep(struct serve_http *h, const char *path, uint64_t begun_ns, unsigned status,
     struct MHD_Response *r)
{
    struct kept *k = find_kept(h, path);
    uint64_t now = clock_monotonic_ns(), took = now - begun_ns;

    if (strlen(path) >= KEPT_PATH) {
        return;
    }
    for (size_t i = 0; i < KEPT && !k; i++) {
        k = h->kept[i].response ? NULL : &h->kept[i];
    }
    if (!k) {
        return;
    }
    if (k->response) {
        MHD_destroy_response(k->response);
    }
    strcpy(k->path, path);
    k->until_ns = now + (took > FRESH_NS / 4 ? 4 * took : FRESH_NS);
    k->response = r;
    k->status = status;
}

static enum MHD_Result
answer(struct serve_http *h, struct MHD_Connection *c, const char *path)
{
    const struct kept *k = find_kept(h, path);
    uint64_t begun = clock_monotonic_ns();
    struct serve_text text;
    struct MHD_Response *r;

    if (k && begun < k->until_ns) {
        return MHD_queue_response(c, k->status, k->response);
    }
    serve_answer(h->api, path, begun, &text);
    r = response_of(&text);
    if (!r || !text.keep) {
        return give(h, c, text.status, r);
    }
    keep(h, path, begun, text.status, r);
    k = find_kept(h, path);
    if (!k || k->response != r) {
        return give(h, c, text.status, r);
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
        return refuse(h, c, MHD_HTTP_METHOD_NOT_ALLOWED,
                      "this can only be read: GET and HEAD");
    }
    if (h->only_this_host && !listen_host_ok(host)) {
        return refuse(h, c, MHD_HTTP_FORBIDDEN,
                      "this is for programs that ask for localhost");
    }
    if (!*request || *upload_length > 0) {
        /* The head has come; what may follow it is of no interest.  An answer
         * before the end would close the connection. */
        *request = h;
        *upload_length = 0;
        return MHD_YES;
    }
    if (strcmp(path, "/") == 0) {
        return give(h, c, MHD_HTTP_OK, page_response());
    }
    return answer(h, c, path);
}

/* ---- the daemon ---- */

/* What is wrong with a request is its sender's business. */
static void
on_message(void *arg, const char *format, va_list args)
{
    (void)arg;
    (void)format;
    (void)args;
}

static uint32_t
places(void)
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
start(struct serve_http *h, int fd)
{
    const union MHD_DaemonInfo *info = NULL;

    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
        MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET,
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
    h->limit = places();
    h->listening = -1;
    if (!start(h, fd)) {
        say("the HTTP server does not start");
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
    sweep(h);
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
serve_http_close_door(struct serve_http *h)
{
    h->closing = true;
    h->listening = MHD_quiesce_daemon(h->daemon);
}

bool
serve_http_is_idle(const struct serve_http *h)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (h->place[i].used && h->place[i].answering) {
            return false;
        }
    }
    return true;
}

void
serve_http_free(struct serve_http *h)
{
    MHD_stop_daemon(h->daemon);
    if (h->listening >= 0) {
        close(h->listening);
    }
    for (size_t i = 0; i < KEPT; i++) {
        if (h->kept[i].response) {
            MHD_destroy_response(h->kept[i].response);
        }
    }
    free(h);
}
