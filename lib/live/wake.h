/* Announces changes and deferred work to other processes: with futexes (no
 * other file uses them) to waiting calls, and with the bell to event loops.
 * The bell is a file beside the live file; each announcement touches it.
 */
#ifndef BIDE_LIVE_WAKE_H
#define BIDE_LIVE_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <bide.h>
#include "layout.h"

struct live;
struct place_words;

/* Increments the generation and wakes the calls that wait on it; returns the
 * number of calls woken. */
uint32_t cell_announce(struct cell *c);

/* Ends the waits that are in progress; returns as cell_announce. */
uint32_t cell_wake(struct cell *c);

/* As cell_announce, for deferred work and c->arrivals. */
void cell_arrived(struct cell *c);

/* Sleeps until one of these two words differs from `seen`, or until until_ns
 * (monotonic; UINT64_MAX: no limit).  May return earlier: false if a signal
 * handler has run. */
bool cell_sleep(_Atomic uint32_t *word, uint32_t seen, uint64_t until_ns);

/* As cell_sleep, until `bell` differs from `bell_seen` too: a place is free. */
bool cell_sleep_either(_Atomic uint32_t *word, uint32_t seen,
                       _Atomic uint32_t *bell, uint32_t bell_seen,
                       uint64_t until_ns);

/* Wakes the next call that waits for a place, the most important one first.
 * Returns true if that is one of an event loop: call live_ring then. */
bool place_wake(struct place_words *w);

/* Wakes event loops (watches). Call it once after any number of
 * cell_announce. */
void live_ring(struct live *l);

/* Reports that another live file was made after this one, as the bell knows: an
 * earlier one was put back.  `accept`: this is the newest one from now on. */
bool live_put_back(struct live *l, bool accept);

/* Returns a new descriptor that becomes readable after each live_ring: inotify
 * on the bell, or a timer of 100 ms if that fails.  Negative: BIDE_E. */
int live_bell(struct live *l);

/* Makes the descriptor wait for the next live_ring. */
void live_bell_clear(int fd);

#endif
