#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

/* ---- the boot ---- */

bool
boot_id_text(char out[BOOT_ID_TEXT])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    bool whole;

    if (fd < 0) {
        return false;
    }
    whole = read(fd, out, BOOT_ID_TEXT - 1) == BOOT_ID_TEXT - 1;
    out[BOOT_ID_TEXT - 1] = '\0';
    close(fd);
    return whole;
}

void
boot_id(uint8_t out[16])
{
    char text[BOOT_ID_TEXT];
    unsigned digits = 0;

    memset(out, 0, 16);
    if (!boot_id_text(text)) {
        return;
    }
    for (const char *c = text; *c && digits < 32; c++) {
        unsigned value;

        if (sscanf(c, "%1x", &value) == 1) {
            out[digits / 2] |= (uint8_t)(value << (digits % 2 ? 0 : 4));
            digits++;
        }
    }
}

/* ---- this process ---- */

enum { ID, PID, SPACE, WORDS_SIZE = 3 * sizeof(uint32_t) };

_Atomic uint32_t *
process_words(void)
{
    static _Atomic(_Atomic uint32_t *) page;
    _Atomic uint32_t *seen = atomic_load(&page), *fresh;

    if (seen) {
        return seen;
    }
    fresh = mmap(NULL, WORDS_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) {
        return NULL;
    }
    if (!madvise((void *)fresh, WORDS_SIZE, MADV_WIPEONFORK) &&
        atomic_compare_exchange_strong(&page, &seen, fresh)) {
        return fresh;
    }
    munmap((void *)fresh, WORDS_SIZE);
    return seen;
}

uint64_t
process_random(void)
{
    uint64_t bits;

    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits)) {
        bits = clock_realtime_ns(); /* early in the boot */
    }
    return bits;
}

struct process
process_self(void)
{
    _Atomic uint32_t *k = process_words();
    uint32_t none = 0;
    uint64_t bits;
    struct stat st;

    if (!k) {
        return (struct process){0, (uint32_t)getpid(), 0};
    }
    if (!atomic_load_explicit(&k[ID], memory_order_acquire)) {
        k[PID] = (uint32_t)getpid();
        k[SPACE] = stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
        bits = process_random() ^ (uint64_t)k[SPACE] << 32 ^ k[PID];
        bits = bits * 0xff51afd7ed558ccdull >> 32;
        /* Of several threads the first one decides. */
        atomic_compare_exchange_strong(&k[ID], &none, (uint32_t)bits | 1);
    }
    return (struct process){k[ID], k[PID], k[SPACE]};
}

bool
process_is_elsewhere(uint32_t space)
{
    uint32_t own = process_self().space;

    return space && own && space != own;
}

bool
process_is_gone(uint32_t pid, uint32_t space)
{
    return space && space == process_self().space &&
           (!pid || pid > INT32_MAX || (kill((pid_t)pid, 0) && errno == ESRCH));
}
