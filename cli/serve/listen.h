/* Addresses to listen on, and the check of a request's Host header. */
#ifndef BIDE_CLI_LISTEN_H
#define BIDE_CLI_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct listen_address {
    struct sockaddr_storage at;
    socklen_t length;
};

/* Reads "127.0.0.1:9747", "[::1]:9747" or "localhost:9747" into `out`; port 0
 * means any free port.  Other names are not resolved.  Reports whether `text`
 * is an address and a port. */
bool listen_read(const char *text, struct listen_address *out);

/* Reports whether only this host can reach the address. */
bool listen_is_loopback(const struct listen_address *a);

/* Writes "127.0.0.1:9747".  Needs 64 bytes; returns the buffer. */
char *listen_write(const struct listen_address *a, char *buffer, size_t size);

/* Returns a listening socket and stores its real address in `a`, or returns -1
 * with errno. */
int listen_open(struct listen_address *a);

/* Finds the listening socket that systemd passed to this process, if it did,
 * and stores its address in `a`.  Returns 0 and the socket or -1 (none was
 * passed); else the reason why it cannot be used. */
const char *listen_passed(struct listen_address *a, int *out);

/* Reports whether a request's Host header (NULL: none) names this host itself.
 * On a loopback address, other names come from web pages that made their DNS
 * name point to this host (DNS rebinding); they must not read its answers. */
bool listen_host_ok(const char *host);

#endif
