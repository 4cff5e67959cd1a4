/* The id of this boot of the host, which the kernel draws anew each time. */
#ifndef BIDE_BOOT_H
#define BIDE_BOOT_H

#include <stdbool.h>
#include <stdint.h>

enum { BOOT_ID_TEXT = 37 };

/* Reads it as text: 36 characters, no newline.  False: it cannot be read. */
bool boot_id_text(char out[BOOT_ID_TEXT]);
/* The same as 16 bytes; zeros where it cannot be read. */
void boot_id(uint8_t out[16]);

#endif
