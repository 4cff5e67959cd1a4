#include "queue.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include <bide.h>

int
queue_grow(struct queue *q, uint32_t room)
{
    struct queue_entry *heap = realloc(q->heap, room * sizeof(*heap));
    uint32_t *place;

    if (!heap) {
        return BIDE_ENOMEM;
    }
    q->heap = heap;
    place = realloc(q->place, room * sizeof(*place));
    if (!place) {
        return BIDE_ENOMEM;
    }
    q->place = place;
    q->room = room;
    return 0;
}

void
queue_free(struct queue *q)
{
    free(q->heap);
    free(q->place);
    *q = (struct queue){0};
}

static bool
is_before(const struct queue_entry *a, const struct queue_entry *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void
set_entry(struct queue *q, uint32_t at, struct queue_entry e)
{
    q->heap[at] = e;
    q->place[e.thing] = at;
}

/* Stores `e` at the free place `at`, or at a place above it where it
 * belongs. */
static void
move_up(struct queue *q, uint32_t at, struct queue_entry e)
{
    while (at > 0) {
        uint32_t above = (at - 1) / 2;

        if (!is_before(&e, &q->heap[above])) {
            break;
        }
        set_entry(q, at, q->heap[above]);
        at = above;
    }
    set_entry(q, at, e);
}

/* Stores `e` at the free place `at`, or at a place below it where it
 * belongs. */
static void
move_down(struct queue *q, uint32_t at, struct queue_entry e)
{
    for (;;) {
        uint32_t below = 2 * at + 1;

        if (below + 1 < q->count &&
            is_before(&q->heap[below + 1], &q->heap[below])) {
            below++;
        }
        if (below >= q->count || !is_before(&q->heap[below], &e)) {
            break;
        }
        set_entry(q, at, q->heap[below]);
        at = below;
    }
    set_entry(q, at, e);
}

void
queue_put(struct queue *q, uint32_t thing, uint64_t due_ns, uint64_t order)
{
    assert(thing < q->room && q->count < q->room);
    move_up(q, q->count++, (struct queue_entry){due_ns, order, thing});
}

const struct queue_entry *
queue_first(const struct queue *q)
{
    return q->count ? &q->heap[0] : NULL;
}

void
queue_take(struct queue *q, uint32_t thing)
{
    uint32_t at = q->place[thing];
    struct queue_entry last;

    assert(at < q->count && q->heap[at].thing == thing);
    last = q->heap[--q->count];
    if (at == q->count) {
        return;
    }
    if (at > 0 && is_before(&last, &q->heap[(at - 1) / 2])) {
        move_up(q, at, last);
    } else {
        move_down(q, at, last);
    }
}
