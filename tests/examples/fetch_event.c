/* Fetches a path of 127.0.0.1 many times at once, with libevent:
 * fetch_event PORT PATH COUNT.  Prints how the calls ended.  SIGTERM cancels
 * those in progress. */
#include <bide_event.h>

#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct fetch {
    struct bide_loop_call call;
    struct evhttp_request *request;
};

static struct bide_event calls;
static struct event_base *base;
static const char *path;
static int port;
static unsigned ended[BIDE_CANCELLED + 1]; /* by verdict */

/* Ends an attempt: the request was answered, or failed (status 0). */
static void
end_request(struct evhttp_request *request, void *arg)
{
    struct fetch *f = arg;
    int status = request ? evhttp_request_get_response_code(request) : 0;
    const char *after =
        status ? evhttp_find_header(evhttp_request_get_input_headers(request),
                                    "Retry-After")
               : NULL;

    bide_loop_ended(&f->call,
                    status ? bide_http(status, after) : bide_errno(ECONNRESET));
}

static void
start_request(struct bide_loop_call *c, const struct bide_attempt *attempt)
{
    struct fetch *f = (struct fetch *)c;
    struct evhttp_connection *connection =
        evhttp_connection_base_new(base, NULL, "127.0.0.1", (ev_uint16_t)port);

    (void)attempt; /* the loop keeps its time limit */
    f->request = evhttp_request_new(end_request, f);
    /* Only a connection that the header closes is freed on completion. */
    evhttp_add_header(evhttp_request_get_output_headers(f->request),
                      "Connection", "close");
    evhttp_connection_free_on_completion(connection);
    if (evhttp_make_request(connection, f->request, EVHTTP_REQ_GET, path)) {
        bide_loop_ended(c, bide_errno(ECONNREFUSED));
    }
}

static void
stop_request(struct bide_loop_call *c)
{
    evhttp_cancel_request(((struct fetch *)c)->request);
}

static void
count_call(struct bide_loop_call *c, const struct bide_result *result)
{
    ended[result->verdict]++;
    free(c);
}

static void
stop(evutil_socket_t signal, short what, void *arg)
{
    (void)signal, (void)what, (void)arg;
    event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
    struct bide_policy *policy;
    struct event *on_term;
    struct bide *bide;

    base = event_base_new();
    if (argc != 4 || !base || bide_open(NULL, 0, &bide) ||
        bide_lookup(bide, "fetch", NULL, &policy) ||
        bide_event_init(&calls, base, bide)) {
        return 2;
    }
    port = atoi(argv[1]);
    path = argv[2];
    for (int i = 0; i < atoi(argv[3]); i++) {
        struct fetch *f = calloc(1, sizeof(*f));

        if (f) {
            f->call.attempt = start_request;
            f->call.stop = stop_request;
            f->call.done = count_call;
            bide_loop_start(&calls.loop, &f->call, policy);
        }
    }
    on_term = evsignal_new(base, SIGTERM, stop, NULL);
    event_add(on_term, NULL);
    while (calls.loop.calls && event_base_loop(base, EVLOOP_ONCE) == 0 &&
           !event_base_got_break(base)) {
    }
    bide_event_close(&calls);
    event_free(on_term);
    event_base_free(base);
    for (int v = BIDE_SUCCEEDED; v <= BIDE_CANCELLED; v++) {
        if (ended[v]) {
            printf("%u %s\n", ended[v], bide_verdict_name(v));
        }
    }
    bide_close(bide);
    return ended[BIDE_SUCCEEDED] == 0;
}
