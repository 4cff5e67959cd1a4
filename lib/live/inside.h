/* The live file as one process has it open. */
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
    PART_OUTCOMES = STRIPE_MAX, /* parts of a body: stripes, then these */
    PART_CALLS,
    PART_GUARD,
    PART_DECLARED,
    PART_LIMITS,
    PARTS,
    PRIVATE_CELLS = 4096,
};

struct live {
    char *memory; /* private: everything; else header to directory */
    size_t memory_size;
    char *path;  /* NULL: private */
    int sharing; /* MAP_SHARED; MAP_PRIVATE: opened for reading */
    _Atomic int fd;
    uint64_t device, inode;
    uint32_t cell_max, stripes;
    struct tick_scale scale;
    _Atomic uint32_t sleeper_serial, made; /* made: cells by this process */
    _Atomic uint64_t made_counted_ns;

    /* Mapped segments; pages and parts known to be reserved, a bit for each
     * part of each body.  Children share a private live state's `parts`. */
    _Atomic(char *) cell_segment[CELL_MAX / CELL_SEGMENT];
    _Atomic(char *) body_segment[CELL_MAX / BODY_SEGMENT];
    _Atomic uint8_t cell_page[CELL_MAX / CELLS_IN_PAGE];
    _Atomic uint16_t *parts;
    size_t parts_size;
    struct stripe scrap;
    struct process_use process;
};

/* Returns the BIDE_E code for an errno. */
int live_error(int error);

/* Returns the descriptor of the file, opened again if it was closed; or -1. */
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

/* Map a cell or body, index < cell_max, reserved or not.  NULL: no memory. */
struct cell *live_map_cell(struct live *l, uint32_t index);
struct body *live_map_body(struct live *l, uint32_t index);

/* Reserves the pages of a range.  0 or BIDE_E. */
int live_reserve(struct live *l, uint64_t offset, uint64_t size);
/* Reports whether the page at `offset` was ever written. */
bool live_has(struct live *l, uint64_t offset);
/* Read (`fd`: of live_fd) and write the file, without touching its pages. */
bool live_copy(int fd, uint64_t offset, void *out, size_t size);
bool live_write(struct live *l, uint64_t offset, const void *from, size_t size);

/* Opens or makes the file, with rights within `mask`.  In file.c. */
int file_attach(const char *path, const uint8_t id[16], mode_t mask,
                struct live_header *out, int *out_fd);
/* Opens the file for reading, as live_look. */
int file_look(const char *path, const uint8_t id[16], struct live_header *out,
              int *out_fd);
/* Reserve space for a range (0 or BIDE_E), fill in a new file's header. */
int file_reserve(int fd, uint64_t offset, uint64_t size);
void file_header(const uint8_t id[16], struct live_header *out);
/* Opens the bell for live_ring, or makes it; -1 on failure.  In wake.c. */
int bell_open(struct live *l);

#endif
