/* A queue of numbered things, ordered by due time: a binary heap.  Things with
 * the same time are ordered by `order`.  The place of every thing is known, so
 * that any of them can be removed. */
#ifndef BIDE_SIMULATE_QUEUE_H
#define BIDE_SIMULATE_QUEUE_H

#include <stdint.h>

struct queue_entry {
    uint64_t due_ns;
    uint64_t order;
    uint32_t thing;
};

struct queue {
    struct queue_entry *heap;
    uint32_t *place; /* index in the heap, of each thing in it */
    uint32_t count, room;
};

/* Makes room for things 0 to room - 1.  BIDE_ENOMEM: the queue is unchanged. */
int queue_grow(struct queue *q, uint32_t room);
void queue_free(struct queue *q); /* leaves an empty one without room */

/* Adds a thing, which must not be in the queue. */
void queue_put(struct queue *q, uint32_t thing, uint64_t due_ns,
               uint64_t order);

/* Returns the first entry, valid until the queue changes; NULL if the queue is
 * empty. */
const struct queue_entry *queue_first(const struct queue *q);

/* Removes a thing, which must be in the queue. */
void queue_take(struct queue *q, uint32_t thing);

#endif
