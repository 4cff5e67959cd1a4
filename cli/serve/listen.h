/* Where to listen, and to whom to answer. */
#ifndef BIDE_CLI_LISTEN_H
#define BIDE_CLI_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct listen_address {
    struct sockaddr_storage at;
    socklen_t length;
};

/* "127.0.0.1:9747", "[::1]:9747", "localhost:9747"; port 0 is any that is free.
 * Names other than localhost are not looked up.  False: it is no such thing. */
bool listen_read(const char *text, struct listen_address *out);

/* Nobody on another host can reach it. */
bool listen_is_loopback(const struct listen_address *a);

/* "127.0.0.1:9747".  Needs 64 bytes; returns the buffer. */
char *listen_write(const struct listen_address *a, char *buffer, size_t size);

/* A socket that listens, and `a` as it came to be; or -1 and errno. */
int listen_open(struct listen_address *a);

/* Whether a request's Host header (NULL: it had none) names this host itself.
 * On a loopback address others come from web pages whose name was made to point
 * here (DNS rebinding), which must not read what is for this host. */
bool listen_host_ok(const char *host);

#endif
