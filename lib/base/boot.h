/* Identifies this boot of the host and this process. */
#ifndef BIDE_BOOT_H
#define BIDE_BOOT_H

#include <stdbool.h>
#include <stdint.h>

enum { BOOT_ID_TEXT = 37 };

/* Writes the random id that the kernel gives to each boot, as text: 36
 * characters and a NUL.  Returns false if it cannot be read. */
bool boot_id_text(char out[BOOT_ID_TEXT]);
/* Writes the id as 16 bytes; zeros if it cannot be read. */
void boot_id(uint8_t out[16]);

/* A process.  Two processes may have the same number in two PID namespaces
 * (containers), or one after the other in one; their ids differ. */
struct process {
    uint32_t id;    /* random; 0: out of memory, never after a success */
    uint32_t pid;   /* its number in `space` */
    uint32_t space; /* inode of its PID namespace; 0: unknown */
};

/* Returns this process.  Takes a few ns, and is right in a forked child. */
struct process process_self(void);
/* Returns what process_self found: id, number, namespace, in a page that the
 * kernel clears in each child; id 0: nothing yet.  NULL: out of memory. */
_Atomic uint32_t *process_words(void);
/* Returns random bits; early in the boot, when there are none, the time. */
uint64_t process_random(void);
/* Reports that the process `pid` of `space` has ended.  Of another namespace,
 * or an unknown one, nothing is known: false. */
bool process_is_gone(uint32_t pid, uint32_t space);
/* Reports that `space` is not the namespace of this process; the number is then
 * shown with these words after it. */
bool process_is_elsewhere(uint32_t space);
#define PROCESS_ELSEWHERE " in another container"

#endif
