/* bide serve: a web page, an API and metrics over HTTP. */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <bide.h>
#include "admin/open.h"
#include "base/clock.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "listen.h"

/* At the end, the time limit for sending the answers in progress. */
#define END_NS UINT64_C(2000000000)

/* Returns the milliseconds until the trend must be read again; 0: now. */
static int
ms_until_step(const struct serve_api *api, uint64_t now_ns)
{
    uint64_t due = api->read_ns + TREND_STEP_NS;

    return due > now_ns ? (int)((due - now_ns) / 1000000) + 1 : 0;
}

/* Serves until a signal arrives.  Returns 0, or -1 with errno. */
static int
serve_until_signal(struct serve_api *api, struct serve_http *http, int signals)
{
    struct pollfd fds[] = {{.fd = serve_http_fd(http), .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        int wait = serve_http_run(http, now), step = ms_until_step(api, now);

        if (step == 0) {
            serve_read_trend(api, now);
            continue;
        }
        if (poll(fds, 2, wait < step ? wait : step) < 0 && errno != EINTR) {
            return -1;
        }
        if (fds[1].revents) {
            return 0;
        }
    }
}

/* Waits until the answers in progress are sent, at most END_NS. */
static void
finish_answers(struct serve_http *http)
{
    struct pollfd fd = {.fd = serve_http_fd(http), .events = POLLIN};
    uint64_t begin = clock_monotonic_ns(), now = begin;

    serve_http_stop_accepting(http);
    while (!serve_http_is_idle(http) && now - begin < END_NS) {
        poll(&fd, 1, 20);
        now = clock_monotonic_ns();
        serve_http_run(http, now);
    }
}

/* Serves on `fd`, which it closes.  Returns the exit status. */
static int
serve_on(struct command_line *line, int fd, int signals, bool loopback)
{
    struct serve_api api = {.dir = line->option[OPTION_DIR]};
    struct serve_http *http;
    int status = STATUS_NO;

    serve_read_trend(&api, clock_monotonic_ns());
    http = serve_http_new(&api, fd, loopback);
    if (http) {
        status = serve_until_signal(&api, http, signals) ? say_errno("poll")
                                                         : STATUS_DONE;
        finish_answers(http);
        serve_http_free(http);
    }
    trend_free(&api.trend);
    return status;
}

/* Sets *out to the socket that systemd passed, and `a` to its address; without
 * one, sets *out to -1 and `a` to the address of --listen.  Returns 0 or the
 * exit status. */
static int
find_address(struct command_line *line, struct listen_address *a, int *out)
{
    const char *text = line->option[OPTION_LISTEN];
    const char *why = listen_passed(a, out);

    if (why) {
        say_why("the socket of systemd", why);
        return STATUS_NO;
    }
    if (*out >= 0 && text) {
        return say_usage(line, "--listen %s: systemd passed a socket already",
                         text);
    }
    text = text ? text : "127.0.0.1:9747";
    if (*out < 0 && !listen_read(text, a)) {
        return say_usage(
            line,
            "--listen %s: not an address and a port, such as 127.0.0.1:9747",
            text);
    }
    return 0;
}

int
serve_command(struct command_line *line)
{
    struct listen_address address;
    char where[64];
    int fd, signals, status = find_address(line, &address, &fd);
    bool loopback;

    if (status) {
        return status;
    }
    admin_close(line->registry); /* each answer opens the registry itself */
    line->registry = NULL;
    if (!line->option[OPTION_DIR]) {
        return say_failure(BIDE_EMISSING, "registry");
    }
    fd = fd < 0 ? listen_open(&address) : fd;
    if (fd < 0) {
        return say_errno(listen_write(&address, where, sizeof(where)));
    }
    signals = signals_open_stop();
    if (signals < 0) {
        status = say_errno("signals");
        close(fd);
        return status;
    }
    loopback = listen_is_loopback(&address);
    listen_write(&address, where, sizeof(where));
    if (!loopback) {
        say("warning: %s can be reached from other hosts: anybody there can "
            "read everything, without a password",
            where);
    }
    printf("http://%s/\n", where);
    fflush(stdout);
    status = serve_on(line, fd, signals, loopback);
    close(signals);
    return status;
}
