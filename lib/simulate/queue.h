/* What is due next, of things that have a number each: a binary heap by time,
 * and at the same time by order.  Every place is known, so that what is not to
 * happen after all can be taken out. */
#ifndef BIDE_RULE_QUEUE_H
#define BIDE_RULE_QUEUE_H

#include <stdint.h>

struct queue_entry {
    uint64_t due_ns;
    uint64_t order;
    uint32_t thing;
};

struct queue {
    struct queue_entry *heap;
    uint32_t *place; /* of each thing in it */
    uint32_t count, room;
};

/* Room for things 0 to room - 1.  BIDE_ENOMEM: all as it was. */
int queue_grow(struct queue *q, uint32_t room);
void queue_free(struct queue *q); /* leaves an empty one without room */

/* `thing` is not in it yet. */
void queue_put(struct queue *q, uint32_t thing, uint64_t due_ns,
               uint64_t order);

/* NULL: nothing is due.  Valid until the queue changes. */
const struct queue_entry *queue_first(const struct queue *q);

/* `thing` is in it. */
void queue_take(struct queue *q, uint32_t thing);

#endif
