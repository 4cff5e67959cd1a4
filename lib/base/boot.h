/* The random id that the kernel gives to each boot of the host. */
#ifndef BIDE_BOOT_H
#define BIDE_BOOT_H

#include <stdbool.h>
#include <stdint.h>

enum { BOOT_ID_TEXT = 37 };

/* Writes the id as text: 36 characters and a NUL.  Returns false if it cannot
 * be read. */
bool boot_id_text(char out[BOOT_ID_TEXT]);
/* Writes the id as 16 bytes; zeros if it cannot be read. */
void boot_id(uint8_t out[16]);

#endif
