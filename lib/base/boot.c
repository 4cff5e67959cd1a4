#include "boot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
