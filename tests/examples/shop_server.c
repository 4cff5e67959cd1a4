/* The servers behind a shop in one program: an endpoint for each step of a
 * purchase.  While it runs each can be set to fail, be slow, or hang up.
 *
 *   shop_server --port-file FILE           serves, and writes its port there
 *   shop_server --port N --set payment fail=50% slow=300ms
 *   shop_server --port N --report          prints the requests it got
 *
 * Settings of a step: fail=N% of its answers; status=N of those (503);
 * retry_after=Ns in those; slow=Nms before each answer; off=yes closes the
 * connection without an answer. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

struct step {
    const char *name;
    double fail_pct, slow_ms, retry_after_s, status;
    bool off;
    unsigned long asked, failed;
};

static struct step steps[] = {
    {.name = "auth"},    {.name = "goods"},  {.name = "payment"},
    {.name = "order"},   {.name = "reward"}, {.name = "email"},
    {.name = "metrics"},
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
static pthread_mutex_t steps_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- answering ---- */

static double
draw_percent(void)
{
    uint32_t bits = 0;

    /* If getrandom fails, the result is 0 and a request can fail. */
    (void)!getrandom(&bits, sizeof(bits), 0);
    return bits / 4294967296.0 * 100;
}

static struct step *
find_step(const char *name, size_t length)
{
    for (size_t i = 0; i < STEPS; i++) {
        if (strlen(steps[i].name) == length &&
            strncmp(steps[i].name, name, length) == 0) {
            return &steps[i];
        }
    }
    return NULL;
}

static void
send_answer(int fd, int status, const char *headers, const char *body)
{
    char text[2048];
    int length = snprintf(text, sizeof(text),
                          "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\n"
                          "Connection: close\r\n\r\n%s",
                          status, status < 400 ? "OK" : "Error", headers,
                          strlen(body), body);

    if (length > 0 && (size_t)length < sizeof(text)) {
        (void)!send(fd, text, (size_t)length, MSG_NOSIGNAL);
    }
}

static void
do_step(int fd, struct step *step)
{
    char header[64] = "";
    struct step now; /* a copy of its present settings */
    struct timespec pause;
    bool fails;

    pthread_mutex_lock(&steps_lock);
    now = *step;
    fails = now.off || draw_percent() < now.fail_pct;
    step->asked++;
    step->failed += fails;
    pthread_mutex_unlock(&steps_lock);
    if (now.off) {
        return;
    }
    pause.tv_sec = (time_t)(now.slow_ms / 1000);
    pause.tv_nsec = (long)((now.slow_ms - pause.tv_sec * 1000.0) * 1e6);
    nanosleep(&pause, NULL);
    if (fails && now.retry_after_s > 0) {
        snprintf(header, sizeof(header), "Retry-After: %.0f\r\n",
                 now.retry_after_s);
    }
    send_answer(fd,
                !fails           ? 200
                : now.status > 0 ? (int)now.status
                                 : 503,
                header, fails ? "not now\n" : "done\n");
}

/* Applies a setting, "fail=50%".  Returns false if it is not valid. */
static bool
set_step(struct step *step, const char *setting)
{
    struct {
        const char *name, *unit;
        double *value;
    } known[] = {
        {"fail=", "%", &step->fail_pct},
        {"slow=", "ms", &step->slow_ms},
        {"retry_after=", "s", &step->retry_after_s},
        {"status=", "", &step->status},
    };

    if (strcmp(setting, "off=yes") == 0 || strcmp(setting, "off=no") == 0) {
        step->off = setting[4] == 'y';
        return true;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t length = strlen(known[i].name);
        char *end;

        if (strncmp(setting, known[i].name, length) == 0) {
            double value = strtod(setting + length, &end);

            if (end == setting + length || value < 0 ||
                strcmp(end, known[i].unit) != 0) {
                return false;
            }
            *known[i].value = value;
            return true;
        }
    }
    return false;
}

/* Applies all of "payment/fail=50%/slow=300ms", or nothing. */
static bool
apply_settings(char *path)
{
    char *rest, *name = strtok_r(path, "/", &rest);
    struct step *step = name ? find_step(name, strlen(name)) : NULL;
    struct step wanted;
    bool ok = step != NULL;

    pthread_mutex_lock(&steps_lock);
    wanted = step ? *step : steps[0];
    for (char *s; ok && (s = strtok_r(NULL, "/", &rest));) {
        ok = set_step(&wanted, s);
    }
    if (ok) {
        *step = wanted;
    }
    pthread_mutex_unlock(&steps_lock);
    return ok;
}

static void
send_report(int fd)
{
    char text[1024] = "";
    size_t length = 0;

    pthread_mutex_lock(&steps_lock);
    for (size_t i = 0; i < STEPS && length < sizeof(text); i++) {
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length,
                             "%-8s asked %5lu times, failed %5lu\n",
                             steps[i].name, steps[i].asked, steps[i].failed);
    }
    pthread_mutex_unlock(&steps_lock);
    send_answer(fd, 200, "", text);
}

/* Paths: /STEP/SALE, /set/STEP/SETTING..., /report. */
static void *
serve_client(void *arg)
{
    char text[1024], path[256];
    int fd = (int)(long)arg;
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "POST %255s HTTP", path) == 1) {
        struct step *step = find_step(path + 1, strcspn(path + 1, "/"));

        if (step) {
            do_step(fd, step);
        } else if (strncmp(path, "/set/", 5) == 0) {
            bool ok = apply_settings(path + 5);

            send_answer(fd, ok ? 200 : 400, "", ok ? "" : "no such setting\n");
        } else if (strcmp(path, "/report") == 0) {
            send_report(fd);
        } else {
            send_answer(fd, 404, "", "no such step\n");
        }
    }
    close(fd);
    return NULL;
}

/* ---- serving ---- */

static int
say_errno(const char *what)
{
    fprintf(stderr, "shop_server: %s: %s\n", what, strerror(errno));
    return 1;
}

static int
write_port(const char *path, int fd)
{
    struct sockaddr_in at;
    socklen_t size = sizeof(at);
    char part[512];
    FILE *file;

    /* Renamed when complete, so that no reader sees a part of it. */
    snprintf(part, sizeof(part), "%s.part", path);
    if (getsockname(fd, (struct sockaddr *)&at, &size) < 0 ||
        !(file = fopen(part, "w"))) {
        return -1;
    }
    fprintf(file, "%d\n", ntohs(at.sin_port));
    return fclose(file) == 0 && rename(part, path) == 0 ? 0 : -1;
}

static int
run_server(const char *port_file)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(fd, 128) < 0) {
        return say_errno("listen");
    }
    if (write_port(port_file, fd) < 0) {
        return say_errno(port_file);
    }
    for (;;) {
        pthread_t thread;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0 && pthread_create(&thread, NULL, serve_client,
                                          (void *)(long)client) == 0) {
            pthread_detach(thread);
        } else if (client >= 0) {
            close(client);
        }
    }
}

/* ---- requests to a running server ---- */

static int
post_and_print(int port, const char *path)
{
    struct http_answer a;
    int error = http_post(port, path, UINT64_MAX, &a);

    if (error) {
        errno = error;
        return say_errno("no server");
    }
    fputs(a.body, a.status == 200 ? stdout : stderr);
    return a.status == 200 ? 0 : 1;
}

static int
post_settings(int port, char **words)
{
    char path[256] = "/set";
    size_t length = strlen(path);

    for (; *words && length < sizeof(path); words++) {
        length += (size_t)snprintf(path + length, sizeof(path) - length, "/%s",
                                   *words);
    }
    return post_and_print(port, path);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port-file", required_argument, NULL, 'f'},
        {"port", required_argument, NULL, 'p'},
        {"set", no_argument, NULL, 's'},
        {"report", no_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    const char *port_file = NULL;
    int port = 0, mode = 0, o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'f':
            port_file = optarg;
            break;
        case 'p':
            port = atoi(optarg);
            break;
        case 's':
        case 'r':
            mode = o;
            break;
        default:
            return 2;
        }
    }
    if (mode == 's') {
        return post_settings(port, argv + optind);
    }
    if (mode == 'r') {
        return post_and_print(port, "/report");
    }
    if (!port_file) {
        fputs("usage: shop_server --port-file FILE\n"
              "       shop_server --port N --set STEP SETTING=VALUE...\n"
              "       shop_server --port N --report\n",
              stderr);
        return 2;
    }
    return run_server(port_file);
}
