/* transfers DIR ROUNDS N: measures a transfer of libcurl's multi interface, of
 * which 200 are in progress, without bide and under the policy `plain` of the
 * registry in DIR.  A thread of this program is the server. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bide_curl.h>
#include "race.h"

enum { IN_PROGRESS = 200 };

static struct bide_curl_transfer transfers[IN_PROGRESS];
static struct bide_policy *policy;
static struct bide *bide;
static long to_start, succeeded;
static CURLM *multi; /* of the race without bide */

/* ---- the server ---- */

static void *
serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int listener = *(int *)arg, loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    char question[4096];

    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e);
    while (epoll_wait(loop, &e, 1, -1) == 1) {
        if (e.data.fd == listener) {
            e.data.fd = accept(listener, NULL, NULL);
            epoll_ctl(loop, EPOLL_CTL_ADD, e.data.fd, &e);
        } else if (recv(e.data.fd, question, sizeof(question), 0) <= 0) {
            close(e.data.fd);
        } else {
            send(e.data.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        }
    }
    return NULL;
}

/* Starts the server.  Returns its port. */
static int
start_server(void)
{
    static int listener;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    pthread_t thread;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
        listen(listener, IN_PROGRESS) ||
        getsockname(listener, (struct sockaddr *)&at, &size) ||
        pthread_create(&thread, NULL, serve, &listener)) {
        race_stop("the server", "cannot start");
    }
    return ntohs(at.sin_port);
}

/* ---- the race ---- */

static void
check_all(long n)
{
    if (succeeded != n) {
        race_stop("transfers", "some failed");
    }
}

static void
transfer_without(void *arg, long n)
{
    int running, left;
    CURLMsg *message;

    (void)arg;
    succeeded = 0;
    to_start = n;
    for (int i = 0; i < IN_PROGRESS && to_start > 0; i++, to_start--) {
        curl_multi_add_handle(multi, transfers[i].easy);
    }
    do {
        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left))) {
            CURL *easy = message->easy_handle;
            long status;

            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            succeeded += message->data.result == CURLE_OK && status == 200;
            curl_multi_remove_handle(multi, easy);
            if (to_start > 0) {
                to_start--;
                running++;
                curl_multi_add_handle(multi, easy);
            }
        }
        curl_multi_poll(multi, NULL, 0, running ? 1000 : 0, NULL);
    } while (running > 0);
    check_all(n);
}

static void
start_next(struct bide_loop_call *c, const struct bide_result *result)
{
    struct bide_curl_transfer *t = (struct bide_curl_transfer *)c;

    succeeded += result->verdict == BIDE_SUCCEEDED;
    if (to_start > 0) {
        to_start--;
        bide_curl_start((struct bide_curl_multi *)c->loop, t, policy);
    }
}

static void
transfer_with(void *arg, long n)
{
    succeeded = 0;
    to_start = n;
    for (int i = 0; i < IN_PROGRESS && to_start > 0; i++) {
        to_start--;
        bide_curl_start(arg, &transfers[i], policy);
    }
    while (bide_curl_turn(arg, -1) > 0) {
    }
    check_all(n);
}

int
main(int argc, char **argv)
{
    struct bide_curl_multi m;
    char url[64];

    if (argc != 4 || bide_open(argv[1], 0, &bide) ||
        bide_lookup(bide, "plain", NULL, &policy) || bide_curl_init(&m, bide)) {
        race_stop("transfers", "DIR ROUNDS N");
    }
    multi = curl_multi_init();
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", start_server());
    for (int i = 0; i < IN_PROGRESS; i++) {
        transfers[i].easy = curl_easy_init();
        transfers[i].call.done = start_next;
        curl_easy_setopt(transfers[i].easy, CURLOPT_URL, url);
    }
    race((struct racer[]){{.id = "curl_multi", .run = transfer_without},
                          {.id = "curl_multi_bide", .run = transfer_with, &m}},
         2, (int)race_number(argv[2]), race_number(argv[3]));
    bide_curl_close(&m);
    return bide_close(bide) != 0;
}
