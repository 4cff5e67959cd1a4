/* A live file as this process holds it.  For the files of this room only. */
#ifndef BIDE_LIVE_INSIDE_H
#define BIDE_LIVE_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"

enum {
    CELL_SEGMENT = 256, /* cells mapped at a time: 128 KiB */
    BODY_SEGMENT = 16,  /* bodies: 1.2 MiB */
    CELLS_IN_PAGE = 4096 / sizeof(struct cell),
    PART_OUTCOMES = STRIPE_MAX, /* the parts of a body: stripes, then this, */
    PART_GUARD,                 /* then this */
    PARTS,
    PRIVATE_CELLS = 4096,
};

struct live {
    char *memory; /* private: all of it; else header to directory */
    size_t memory_size;
    char *path; /* NULL: private */
    _Atomic int fd;
    uint64_t device, inode;
    uint32_t cell_max, stripes;
    struct tick_scale scale;
    _Atomic uint32_t sleeper_serial;

    /* What is mapped, and what is known to be reserved.  `parts` has a bit for
     * each part of each body; it is shared with children when private, since
     * then it is all that tells what was used. */
    _Atomic(char *) cell_segment[CELL_MAX / CELL_SEGMENT];
    _Atomic(char *) body_segment[CELL_MAX / BODY_SEGMENT];
    _Atomic uint8_t cell_page[CELL_MAX / CELLS_IN_PAGE];
    _Atomic uint16_t *parts;
    size_t parts_size;
    struct stripe scrap;
};

/* A BIDE_E code for an errno. */
int live_error(int error);

/* The file's descriptor, opened again if the program closed it; -1. */
int live_fd(struct live *l);

static inline uint64_t
cell_offset(uint32_t index)
{
    return LIVE_CELLS + (uint64_t)index * sizeof(struct cell);
}

static inline uint64_t
body_offset(uint32_t index)
{
    return LIVE_BODIES + (uint64_t)index * BODY_SIZE;
}

/* Maps a cell or body (index < cell_max); its pages may not be reserved yet.
 * NULL: no memory. */
struct cell *live_map_cell(struct live *l, uint32_t index);
struct body *live_map_body(struct live *l, uint32_t index);

/* Makes sure that the pages of a range have space.  0 or BIDE_E. */
int live_reserve(struct live *l, uint64_t offset, uint64_t size);

/* Whether something was ever written to the page at `offset`. */
bool live_has(struct live *l, uint64_t offset);

/* Reads without touching (which would take space); false: nothing read. */
bool live_copy(struct live *l, uint64_t offset, void *out, size_t size);

/* file.c: opens the file for live_open, or makes it.  `out` is its header,
 * checked. */
int file_attach(const char *path, const uint8_t id[16], struct live_header *out,
                int *out_fd);
void file_header(const uint8_t id[16], struct live_header *out); /* a new one */
/* Opens for reading and writing what must be a regular file. */
int file_open(const char *path);

/* wake.c: the file for live_ring to touch; -1. */
int bell_open(struct live *l, bool create);

/* who.c: this process, as others see it. */
void who_program(char program[16]);
uint32_t who_pid_space(void);

#endif
