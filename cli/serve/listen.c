#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/safe.h"

enum { ADDRESS_MAX = 64, BACKLOG = 4096 };

/* ---- text ---- */

/* Splits "ADDRESS:PORT" or "ADDRESS"; an address with colons is in brackets.
 * *port points into `text`; NULL if `text` has no port.  Reports whether `text`
 * has this form. */
static bool
split_address(const char *text, char address[ADDRESS_MAX], const char **port)
{
    bool brackets = *text == '[';
    const char *begin = text + brackets;
    size_t length = strcspn(begin, brackets ? "]" : ":");
    const char *rest = begin + length;

    if (length == 0 || length >= ADDRESS_MAX || (brackets && *rest != ']')) {
        return false;
    }
    memcpy(address, begin, length);
    address[length] = '\0';
    rest += brackets;
    *port = *rest == ':' ? rest + 1 : NULL;
    return *rest == ':' || *rest == '\0';
}

static bool
is_port(const char *port)
{
    size_t digits = strspn(port, "0123456789");

    return digits > 0 && digits <= 5 && port[digits] == '\0' &&
           strtol(port, NULL, 10) <= 65535;
}

bool
listen_read(const char *text, struct listen_address *out)
{
    const struct addrinfo how = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_family = *text == '[' ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found;
    char address[ADDRESS_MAX];
    const char *port;

    if (!split_address(text, address, &port) || !port || !is_port(port)) {
        return false;
    }
    if (*text != '[' && strcasecmp(address, "localhost") == 0) {
        strcpy(address, "127.0.0.1");
    }
    if (getaddrinfo(address, port, &how, &found) != 0) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    memcpy(&out->at, found->ai_addr, found->ai_addrlen);
    out->length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

char *
listen_write(const struct listen_address *a, char *buffer, size_t size)
{
    char address[NI_MAXHOST], port[NI_MAXSERV];
    bool six = a->at.ss_family == AF_INET6;

    if (getnameinfo((const struct sockaddr *)&a->at, a->length, address,
                    sizeof(address), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(buffer, size, "?");
    } else {
        snprintf(buffer, size, "%s%.40s%s:%.8s", six ? "[" : "", address,
                 six ? "]" : "", port);
    }
    return buffer;
}

/* ---- loopback ---- */

static bool
is_loopback4(const struct in_addr *a)
{
    return ntohl(a->s_addr) >> 24 == 127;
}

static bool
is_loopback6(const struct in6_addr *a)
{
    struct in_addr mapped;

    memcpy(&mapped, a->s6_addr + 12, sizeof(mapped));
    return IN6_IS_ADDR_LOOPBACK(a) ||
           (IN6_IS_ADDR_V4MAPPED(a) && is_loopback4(&mapped));
}

bool
listen_is_loopback(const struct listen_address *a)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;

    if (a->at.ss_family == AF_INET) {
        memcpy(&four, &a->at, sizeof(four));
        return is_loopback4(&four.sin_addr);
    }
    memcpy(&six, &a->at, sizeof(six));
    return is_loopback6(&six.sin6_addr);
}

static bool
is_localhost(const char *name)
{
    static const char word[] = "localhost";
    size_t length = strlen(name), tail = sizeof(word) - 1;

    length -= length > 0 && name[length - 1] == '.';
    return length >= tail &&
           strncasecmp(name + length - tail, word, tail) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

bool
listen_host_ok(const char *host)
{
    char name[ADDRESS_MAX];
    const char *port;
    struct in6_addr six;
    struct in_addr four;

    if (!host) {
        return true; /* HTTP/1.0, which browsers do not speak */
    }
    if (!split_address(host, name, &port) || (port && !is_port(port))) {
        return false;
    }
    if (*host == '[') {
        return inet_pton(AF_INET6, name, &six) == 1 && is_loopback6(&six);
    }
    return is_localhost(name) ||
           (inet_pton(AF_INET, name, &four) == 1 && is_loopback4(&four));
}

/* ---- the socket ---- */

static int
bind_and_listen(int fd, struct listen_address *a)
{
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (a->at.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&a->at, a->length) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return -1;
    }
    a->length = sizeof(a->at);
    return getsockname(fd, (struct sockaddr *)&a->at, &a->length);
}

int
listen_open(struct listen_address *a)
{
    int fd =
        socket(a->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && bind_and_listen(fd, a) != 0) {
        safe_close(fd);
        return -1;
    }
    return fd;
}

/* ---- a socket of systemd, sd_listen_fds(3) ---- */

/* Returns the number in an environment variable; 0: not set, -1: no number. */
static long
read_number(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : 0;

    return end && (end == text || *end || number < 0) ? -1 : number;
}

static int
socket_option(int fd, int option)
{
    int value;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) ? -1 : value;
}

const char *
listen_passed(struct listen_address *a, int *out)
{
    enum { FIRST = 3 }; /* the number of the first socket that is passed */
    long sockets = read_number("LISTEN_FDS");

    *out = -1;
    if (sockets == 0 || read_number("LISTEN_PID") != getpid()) {
        return NULL; /* none, or they are for another process */
    }
    a->length = sizeof(a->at);
    if (sockets != 1) {
        return "LISTEN_FDS is not 1\n"
               "keep one ListenStream=ADDRESS:PORT in the socket unit";
    }
    if (getsockname(FIRST, (struct sockaddr *)&a->at, &a->length) != 0) {
        return strerror(errno);
    }
    if (socket_option(FIRST, SO_TYPE) != SOCK_STREAM ||
        (a->at.ss_family != AF_INET && a->at.ss_family != AF_INET6)) {
        return "not a TCP socket\n"
               "write ListenStream=ADDRESS:PORT in the socket unit";
    }
    if (socket_option(FIRST, SO_ACCEPTCONN) != 1) {
        return "it does not listen\nwrite Accept=no in the socket unit";
    }
    if (fcntl(FIRST, F_SETFD, FD_CLOEXEC) != 0) {
        return strerror(errno);
    }
    *out = FIRST;
    return NULL;
}
