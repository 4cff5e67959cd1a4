/* Telling others of a change or of an arrival: by the only futexes, and by the
 * bell for event loops. */
#ifndef BIDE_LIVE_WAKE_H
#define BIDE_LIVE_WAKE_H

#include <stdint.h>

#include <bide.h>
#include "layout.h"

struct live;

/* Bumps the generation and wakes who sleeps on it; returns how many. */
uint32_t cell_announce(struct live *l, struct cell *c);

/* Sleeps until the generation is no longer `seen`, or until then (monotonic;
 * UINT64_MAX: no limit).  May return earlier. */
void cell_sleep(struct cell *c, uint32_t seen, uint64_t until_ns);

/* The same for work that was put off, which c->arrivals counts. */
void cell_arrived(struct cell *c);
void cell_await(struct cell *c, uint32_t seen, uint64_t until_ns);

/* Tells event loops (bide_fd): once after any number of cell_announce. */
void live_ring(struct live *l);

/* A new descriptor that becomes readable at each live_ring (inotify on a file
 * beside; where that is not to be had a timer of 100 ms).  Negative: BIDE_E. */
int live_bell(struct live *l);

/* Makes it wait for the next ring. */
void live_bell_clear(int fd);

#endif
