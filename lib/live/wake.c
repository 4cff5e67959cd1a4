#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/file_limit.h"
#include "base/safe.h"
#include "rule/place.h"

enum {
    BELL_TIMER_NS = 100000000,
    CLEAR_READS = 64, /* of 4 KiB each; it stays readable if more is left */
};

/* ---- the futex ---- */

/* Calls futex(2), without FUTEX_PRIVATE because processes share the word. */
static long
call_futex(_Atomic uint32_t *word, int operation, uint32_t value,
           const struct timespec *until)
{
    return syscall(SYS_futex, word, operation, value, until, NULL,
                   FUTEX_BITSET_MATCH_ANY);
}

uint32_t
cell_announce(struct cell *c)
{
    long woken;

    atomic_fetch_add(&c->generation, 1);
    woken = call_futex(&c->generation, FUTEX_WAKE, INT_MAX, NULL);
    return woken > 0 ? (uint32_t)woken : 0;
}

uint32_t
cell_wake(struct cell *c)
{
    atomic_store(&c->woken_ns, clock_monotonic_ns());
    return cell_announce(c);
}

static struct timespec
timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

bool
cell_sleep(_Atomic uint32_t *word, uint32_t seen, uint64_t until_ns)
{
    struct timespec until = timespec_of(until_ns);

    /* FUTEX_WAIT_BITSET takes a point in time; FUTEX_WAIT takes a duration. */
    return call_futex(word, FUTEX_WAIT_BITSET, seen,
                      until_ns == UINT64_MAX ? NULL : &until) == 0 ||
           errno != EINTR;
}

bool
cell_sleep_either(_Atomic uint32_t *word, uint32_t seen, _Atomic uint32_t *bell,
                  uint32_t bell_seen, uint64_t until_ns)
{
    struct futex_waitv both[] = {
        {.uaddr = (uintptr_t)word, .val = seen, .flags = FUTEX_32},
        {.uaddr = (uintptr_t)bell, .val = bell_seen, .flags = FUTEX_32},
    };
    struct timespec until = timespec_of(until_ns);
    uint64_t soon_ns;

    if (syscall(SYS_futex_waitv, both, 2, 0, &until, CLOCK_MONOTONIC) >= 0 ||
        errno == EAGAIN || errno == ETIMEDOUT) {
        return true;
    }
    if (errno == EINTR) {
        return false;
    }
    soon_ns = clock_monotonic_ns() + BELL_TIMER_NS / 10; /* before Linux 5.16 */
    return cell_sleep(bell, bell_seen, soon_ns < until_ns ? soon_ns : until_ns);
}

bool
place_wake(struct place_words *w)
{
    for (int who = MANDATORY; who <= OPTIONAL; who++) {
        uint64_t seen = atomic_load(&w->waiting), kept;

        if (seen & PLACE_SLEEPS(who)) {
            atomic_fetch_add(&w->bell[who], 1);
            if (call_futex(&w->bell[who], FUTEX_WAKE, 1, NULL) > 0) {
                return false;
            }
        }
        /* One that notes itself now sees the bell or is asked next time. */
        kept = seen & ~(uint64_t)(PLACE_SLEEPS(who) | PLACE_WATCHES(who));
        atomic_compare_exchange_strong(&w->waiting, &seen, kept);
        if (seen & PLACE_WATCHES(who)) {
            return true;
        }
    }
    return false;
}

void
cell_arrived(struct cell *c)
{
    atomic_fetch_add(&c->arrivals, 1);
    call_futex(&c->arrivals, FUTEX_WAKE, INT_MAX, NULL);
}

/* ---- the bell ---- */

static bool
bell_path(const struct live *l, char path[PATH_MAX])
{
    return l->path && snprintf(path, PATH_MAX, "%s.bell", l->path) < PATH_MAX;
}

int
bell_open(struct live *l)
{
    char path[PATH_MAX];
    int fd;

    if (!bell_path(l, path)) {
        return -1;
    }
    fd = safe_open(path);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = safe_make(path);
    if (fd >= 0 && safe_inherit(fd, path, SAFE_LOCK)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The bell contains begun_ns of the newest live file. */
bool
live_put_back(struct live *l, bool accept)
{
    uint64_t begun = live_header(l)->begun_ns, newest = 0;
    struct file_limit limit;
    int fd = bell_open(l);

    if (fd < 0) {
        return false;
    }
    file_limit_begin(&limit);
    if ((pread(fd, &newest, sizeof(newest), 0) < 0 || newest < begun ||
         accept) &&
        pwrite(fd, &begun, sizeof(begun), 0) < 0) {
        newest = 0; /* nothing is known of later ones */
    }
    file_limit_end(&limit);
    close(fd);
    return newest > begun;
}

void
live_ring(struct live *l)
{
    struct file_limit limit;
    int fd;

    atomic_fetch_add(&live_header(l)->rings, 1);
    fd = bell_open(l);
    if (fd < 0) {
        return;
    }
    /* Setting the times takes no space, so it works on a full filesystem
     * too. */
    if (futimens(fd, NULL)) {
        file_limit_begin(&limit);
        if (pwrite(fd, "", 1, sizeof(uint64_t)) != 1) {
            errno = 0; /* nothing left to try: all processes check every 5 s */
        }
        file_limit_end(&limit);
    }
    close(fd);
}

static int
open_bell_timer(void)
{
    const struct itimerspec each = {{0, BELL_TIMER_NS}, {0, BELL_TIMER_NS}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0) {
        return live_error(errno);
    }
    timerfd_settime(fd, 0, &each, NULL);
    return fd;
}

int
live_bell(struct live *l)
{
    char path[PATH_MAX];
    int fd;

    fd = bell_path(l, path) ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    if (fd >= 0 && inotify_add_watch(
                       fd, path, IN_ATTRIB | IN_MODIFY | IN_DONT_FOLLOW) < 0) {
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : open_bell_timer();
}

void
live_bell_clear(int fd)
{
    char buffer[4096];

    for (int i = 0; i < CLEAR_READS; i++) {
        ssize_t n = read(fd, buffer, sizeof(buffer));

        if (n <= 0 && errno != EINTR) {
            return;
        }
    }
}
