/* Fetches a path of 127.0.0.1 many times at once, with libuv:
 * fetch_uv PORT PATH COUNT.  Prints how the calls ended.  SIGTERM cancels those
 * in progress. */
#include <bide_uv.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* One attempt: a connection, freed when it is closed. */
struct request {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct bide_loop_call *call; /* NULL: stopped, or it has reported */
    char answer[256];
    size_t length;
};

static struct bide_uv calls;
static char question[256];
static int port;
static unsigned ended[BIDE_CANCELLED + 1]; /* by verdict */

static void
free_request(uv_handle_t *tcp)
{
    free(tcp->data);
}

/* Closes the connection, and reports the outcome unless that was done. */
static void
end_request(struct request *r, struct bide_outcome o)
{
    struct bide_loop_call *c = r->call;

    r->call = NULL;
    if (!uv_is_closing((uv_handle_t *)&r->tcp)) {
        uv_close((uv_handle_t *)&r->tcp, free_request);
    }
    if (c) {
        bide_loop_ended(c, o);
    }
}

static void
give_room(uv_handle_t *tcp, size_t size, uv_buf_t *out)
{
    struct request *r = tcp->data;

    (void)size;
    *out = uv_buf_init(r->answer + r->length,
                       (unsigned)(sizeof(r->answer) - 1 - r->length));
}

static void
read_answer(uv_stream_t *tcp, ssize_t count, const uv_buf_t *bytes)
{
    struct request *r = tcp->data;
    int status;

    (void)bytes;
    if (count < 0) {
        end_request(r, bide_errno(ECONNRESET));
        return;
    }
    r->length += (size_t)count;
    r->answer[r->length] = '\0';
    if (strstr(r->answer, "\r\n\r\n") &&
        sscanf(r->answer, "HTTP/1.%*d %d", &status) == 1) {
        end_request(r, bide_http(status, NULL));
    }
}

static void
check_write(uv_write_t *write, int status)
{
    struct request *r = write->handle->data;

    if (status) {
        end_request(r, bide_errno(status));
    }
}

static void
send_question(uv_connect_t *connect, int status)
{
    struct request *r = connect->handle->data;
    uv_buf_t bytes = uv_buf_init(question, (unsigned)strlen(question));

    if (status) { /* an errno, negated: as bide_errno takes it */
        end_request(r, bide_errno(status));
        return;
    }
    uv_write(&r->write, connect->handle, &bytes, 1, check_write);
    uv_read_start(connect->handle, give_room, read_answer);
}

static void
start_request(struct bide_loop_call *c, const struct bide_attempt *attempt)
{
    struct request *r = calloc(1, sizeof(*r));
    struct sockaddr_in server;
    int error;

    (void)attempt; /* the loop keeps its time limit */
    if (!r) {
        bide_loop_ended(c, bide_errno(ENOMEM));
        return;
    }
    c->arg = r;
    r->call = c;
    uv_tcp_init(calls.timer.loop, &r->tcp);
    r->tcp.data = r;
    uv_ip4_addr("127.0.0.1", port, &server);
    error = uv_tcp_connect(&r->connect, &r->tcp,
                           (const struct sockaddr *)&server, send_question);
    if (error) {
        end_request(r, bide_errno(error));
    }
}

static void
stop_request(struct bide_loop_call *c)
{
    struct request *r = c->arg;

    r->call = NULL;
    end_request(r, bide_ok());
}

static void
count_call(struct bide_loop_call *c, const struct bide_result *result)
{
    ended[result->verdict]++;
    free(c);
}

static void
close_all(uv_signal_t *on_term, int signal)
{
    (void)signal;
    uv_close((uv_handle_t *)on_term, NULL);
    bide_uv_close(&calls);
}

int
main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct bide_policy *policy;
    uv_signal_t on_term;
    struct bide *bide;

    if (argc != 4 || bide_open(NULL, 0, &bide) ||
        bide_lookup(bide, "fetch", NULL, &policy) ||
        bide_uv_init(&calls, loop, bide)) {
        return 2;
    }
    port = atoi(argv[1]);
    snprintf(question, sizeof(question), "GET %.200s HTTP/1.0\r\n\r\n",
             argv[2]);
    uv_signal_init(loop, &on_term);
    uv_signal_start(&on_term, close_all, SIGTERM);
    uv_unref((uv_handle_t *)&on_term);
    for (int i = 0; i < atoi(argv[3]); i++) {
        struct bide_loop_call *c = calloc(1, sizeof(*c));

        if (c) {
            c->attempt = start_request;
            c->stop = stop_request;
            c->done = count_call;
            bide_loop_start(&calls.loop, c, policy);
        }
    }
    uv_run(loop, UV_RUN_DEFAULT); /* until no call is in progress, or SIGTERM */
    if (calls.loop.watch) {
        close_all(&on_term, SIGTERM);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    for (int v = BIDE_SUCCEEDED; v <= BIDE_CANCELLED; v++) {
        if (ended[v]) {
            printf("%u %s\n", ended[v], bide_verdict_name(v));
        }
    }
    bide_close(bide);
    return uv_loop_close(loop) != 0 || ended[BIDE_SUCCEEDED] == 0;
}
