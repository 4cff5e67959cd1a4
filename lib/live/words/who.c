#include "who.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/boot.h"
#include "words.h"

static pthread_once_t program_once = PTHREAD_ONCE_INIT;
static char program_name[16];

/* Reads the program's name, which is the name of the main thread.  Other
 * threads read it from /proc. */
static void
read_program_name(void)
{
    ssize_t n = -1;
    int fd;

    if (syscall(SYS_gettid) == getpid() && !prctl(PR_GET_NAME, program_name)) {
        return;
    }
    fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, program_name, sizeof(program_name) - 1);
        close(fd);
    }
    if (n <= 0) {
        strncpy(program_name, program_invocation_short_name,
                sizeof(program_name) - 1);
    }
    program_name[strcspn(program_name, "\n")] = '\0';
}

void
who_write(_Atomic uint64_t program[2])
{
    pthread_once(&program_once, read_program_name);
    words_write(program, 2, program_name);
}

void
who_read(uint32_t pid, uint32_t space, const _Atomic uint64_t program[2],
         struct who *out)
{
    out->pid = pid;
    out->elsewhere = process_is_elsewhere(space);
    out->ended = process_is_gone(pid, space);
    words_show(program, 2, out->program, sizeof(out->program));
}

const char *
who_where(const struct who *w)
{
    return w->elsewhere ? PROCESS_ELSEWHERE
           : w->ended   ? ", which has ended"
                        : "";
}
