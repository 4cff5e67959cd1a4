#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Limits the next operation on `fd` to the time left until the deadline. */
static int
set_limit(int fd, uint64_t deadline_ns)
{
    struct timespec now;
    struct timeval left = {0, 0}; /* no limit */

    if (deadline_ns != UINT64_MAX) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t us =
            ((int64_t)deadline_ns - now.tv_sec * 1000000000 - now.tv_nsec) /
            1000;

        if (us <= 0) {
            return ETIMEDOUT;
        }
        left.tv_sec = us / 1000000;
        left.tv_usec = us % 1000000;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left)) < 0) {
        return errno;
    }
    return 0;
}

/* Maps the error of a socket whose time limit has passed. */
static int
map_socket_error(int error)
{
    return error == EAGAIN || error == EINPROGRESS ? ETIMEDOUT : error;
}

static int
connect_to(int fd, int port, uint64_t deadline_ns)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = set_limit(fd, deadline_ns);

    if (error) {
        return error;
    }
    return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0
               ? map_socket_error(errno)
               : 0;
}

static int
send_request(int fd, const char *path, uint64_t deadline_ns)
{
    char request[512];
    int length = snprintf(request, sizeof(request),
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                          "Content-Length: 0\r\nConnection: close\r\n\r\n",
                          path);
    int error = set_limit(fd, deadline_ns);

    if (error) {
        return error;
    }
    if (length < 0 || (size_t)length >= sizeof(request)) {
        return ENAMETOOLONG;
    }
    /* A request this short always fits into the buffer of a new connection. */
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
        return map_socket_error(errno);
    }
    return 0;
}

/* Reads until the server closes the connection. */
static int
receive_answer(int fd, char *buffer, size_t size, uint64_t deadline_ns)
{
    size_t length = 0;

    while (length + 1 < size) {
        int error = set_limit(fd, deadline_ns);
        ssize_t n;

        if (error) {
            return error;
        }
        n = recv(fd, buffer + length, size - 1 - length, 0);
        if (n < 0 && errno != EINTR) {
            return map_socket_error(errno);
        }
        if (n == 0) {
            break;
        }
        length += n > 0 ? (size_t)n : 0;
    }
    buffer[length] = '\0';
    return length == 0 ? ECONNRESET : 0;
}

static int
parse_answer(char *text, struct http_answer *out)
{
    char *body = strstr(text, "\r\n\r\n"), *rest;

    if (sscanf(text, "HTTP/1.%*d %d", &out->status) != 1 || !body) {
        return EPROTO;
    }
    *body = '\0';
    snprintf(out->body, sizeof(out->body), "%s", body + 4);
    for (char *line = strtok_r(text, "\r\n", &rest); line;
         line = strtok_r(NULL, "\r\n", &rest)) {
        if (strncasecmp(line, "Retry-After: ", 13) == 0) {
            snprintf(out->retry_after, sizeof(out->retry_after), "%s",
                     line + 13);
        }
    }
    return 0;
}

int
http_post(int port, const char *path, uint64_t deadline_ns,
          struct http_answer *out)
{
    char text[2048];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error;

    *out = (struct http_answer){0};
    if (fd < 0) {
        return errno;
    }
    error = connect_to(fd, port, deadline_ns);
    error = error ? error : send_request(fd, path, deadline_ns);
    error = error ? error : receive_answer(fd, text, sizeof(text), deadline_ns);
    close(fd);
    return error ? error : parse_answer(text, out);
}
