#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/safe.h"
#include "cli/command/signals.h"

/* Returns a pending signal that ends the command; 0 if none is pending.  Stops
 * this process at SIGTSTP. */
static int
next_ending_signal(struct exec_signals *s)
{
    for (int sig; (sig = signals_next(s->fd)) > 0;) {
        if (signals_ask_end(sig)) {
            return sig;
        }
        if (sig == SIGTSTP) {
            exec_stop_self();
        }
    }
    return 0;
}

int
exec_write_whole(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

/* Copies standard input to `to` until its end.  Returns 0; the number of the
 * signal that ended the reading; -1 with errno. */
static int
copy_stdin(int to, struct exec_signals *s)
{
    char buffer[65536];

    for (;;) {
        int sig = next_ending_signal(s);
        ssize_t n;

        if (sig) {
            return sig;
        }
        if (!signals_wait(s->fd, STDIN_FILENO, POLLIN, UINT64_MAX)) {
            continue;
        }
        n = read(STDIN_FILENO, buffer, sizeof(buffer));
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return -1;
        }
        if (n > 0 && exec_write_whole(to, buffer, (size_t)n) < 0) {
            return -1;
        }
    }
}

int
exec_reopen(int fd)
{
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0) {
        return fd;
    }
    close(fd);
    return again;
}

/* Reads standard input into a file in memory.  Returns like copy_stdin. */
static int
keep_stdin(struct exec_input *in, struct exec_signals *s)
{
    int fd = memfd_create("bide-input", MFD_CLOEXEC);
    int rc;

    if (fd < 0) {
        return -1;
    }
    rc = copy_stdin(fd, s);
    if (rc) {
        safe_close(fd);
        return rc;
    }
    in->fd = exec_reopen(fd);
    in->start = 0;
    return 0;
}

int
exec_input_open(struct exec_input *in, bool keep, struct exec_signals *s)
{
    struct stat st;

    *in = (struct exec_input){.fd = -1, .start = -1};
    /* If standard input is closed (<&-), it stays closed for the child. */
    if (!keep || fstat(STDIN_FILENO, &st) < 0) {
        return 0;
    }
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) {
        return keep_stdin(in, s);
    }
    in->fd = STDIN_FILENO;
    if (S_ISREG(st.st_mode)) {
        /* The offset may not be 0: a script may have read a part of the file
         * before. */
        in->start = lseek(STDIN_FILENO, 0, SEEK_CUR);
    }
    return 0;
}

void
exec_input_close(struct exec_input *in)
{
    if (in->fd > STDERR_FILENO) {
        close(in->fd);
    }
    in->fd = -1;
}

int
exec_input_for(struct exec_input *in, uint32_t attempt)
{
    if (in->fd < 0 && attempt == 1) {
        return STDIN_FILENO;
    }
    if (in->fd < 0) {
        /* The first attempt may have read a part of the input; further attempts
         * must not get the rest. */
        in->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        in->start = -1;
        return in->fd;
    }
    if (in->start >= 0 && lseek(in->fd, in->start, SEEK_SET) < 0) {
        return -1;
    }
    return in->fd;
}
