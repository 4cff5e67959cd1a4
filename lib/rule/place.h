/* How many attempts may run at once, in all processes together.  A place is one
 * word: 0, or the word of its owner.  Taking and giving are one CAS each, so a
 * process that is killed leaves nothing half done: its places are taken over
 * once it is known to be dead, or is overdue. */
#ifndef BIDE_RULE_PLACE_H
#define BIDE_RULE_PLACE_H

#include <stdbool.h>

#include "policy/rules.h"
#include "limits.h"

/* One that asks for a place. */
struct place_ask {
    uint32_t owner;  /* word of the process: with the top bit, of one whose end
                        is_gone() finds out; others hold a place 37 min */
    bool waited;     /* it need not stay behind those that wait already */
    bool watched;    /* an event loop waits, not a thread */
    bool beside;     /* it never waits */
    uint64_t now_ns; /* CLOCK_MONOTONIC */
    uint64_t limit_ns; /* the longest attempt; DURATION_NONE: no limit */
    bool (*is_gone)(void *arg, uint32_t owner); /* NULL: nobody is */
    void *arg;
};

/* The rules that place_take_at_once needs, in one word. */
struct place_rules {
    uint16_t places, reserve;
    enum importance who;
};
struct place_rules place_rules(const struct limit_rules *r,
                               enum importance who);

/* Takes a place: returns its number, from 1 on, and its word.  Returns 0 if all
 * are taken, or if others wait that come first; under rules with a wait it has
 * noted then that this one waits.  The first of the `slots` are reserved for
 * mandatory policies, which take the others first. */
uint32_t place_take(const struct limit_rules *rules, enum importance who,
                    struct place_words *w, _Atomic uint64_t *slots,
                    const struct place_ask *a, uint64_t *out_word);

/* As place_take, but only if one is free or overdue.  With now_ns 0, a place
 * that is overdue counts as taken, and any that wait come first. */
uint32_t place_take_at_once(struct place_rules r, const struct place_words *w,
                            _Atomic uint64_t *slots, const struct place_ask *a,
                            uint64_t *out_word);

/* Gives a place back, unless another owner has taken it over.  Returns true if
 * calls wait for one: call place_wake then. */
bool place_give(struct place_words *w, _Atomic uint64_t *slots, uint32_t place,
                uint64_t word);

/* What waits for a place, in place_words.waiting. */
#define PLACE_SLEEPS(who) (1u << (who))
#define PLACE_WATCHES(who) (8u << (who))

/* Returns the number of places that are taken. */
uint32_t place_used(const _Atomic uint64_t *slots);

/* Frees all places. */
void place_reset(struct place_words *w, _Atomic uint64_t *slots);

#endif
