/* The protocols are datagrams.  Of the journal: for each field its name, LF,
 * the length of the value as a little-endian u64, the value, LF, so that no
 * value can make a field.  Of syslog: "<13>bide[815]: " and the message. */
#include "journal.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/draft.h"

static void
add_field(struct draft *d, const char *name, const char *value)
{
    uint64_t length = htole64(strlen(value));

    draft_print(d, "%s\n", name);
    draft_add(d, (const char *)&length, sizeof(length));
    draft_print(d, "%s\n", value);
}

static bool
send_to(int fd, const char *path, const struct draft *d)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    strcpy(to.sun_path, path);
    return !d->failed && sendto(fd, d->bytes, d->used, MSG_NOSIGNAL,
                                (struct sockaddr *)&to, sizeof(to)) >= 0;
}

bool
journal_write(const char *id, int priority, const char *message,
              const char *const *fields)
{
    const struct timeval most = {.tv_usec = 100000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct draft entry = {0}, line = {0};
    char text[64];
    bool done, stuck;

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
    snprintf(text, sizeof(text), "%d", priority);
    add_field(&entry, "MESSAGE", message);
    add_field(&entry, "MESSAGE_ID", id);
    add_field(&entry, "PRIORITY", text);
    add_field(&entry, "SYSLOG_IDENTIFIER", "bide");
    for (; *fields; fields += 2) {
        add_field(&entry, fields[0], fields[1]);
    }
    draft_print(&line, "<%d>bide[%d]: %s", LOG_USER | priority, (int)getpid(),
                message);
    for (char *c = line.bytes; c && *c; c++) {
        *c = (unsigned char)*c < ' ' || *c == '\177' ? ' ' : *c;
    }
    done = send_to(fd, "/run/systemd/journal/socket", &entry);
    stuck = !done && errno == EAGAIN;
    done = done || (send_to(fd, "/dev/log", &line) && !stuck);
    draft_free(&entry);
    draft_free(&line);
    close(fd);
    return done;
}
