/* The state of limits, rates and hints that all processes share, beside that of
 * guard.h: the same rules hold for its words. */
#ifndef BIDE_RULE_LIMITS_H
#define BIDE_RULE_LIMITS_H

#include <stdatomic.h>
#include <stdint.h>

/* Two cache lines: of a rate that is set, only the first is used. */
struct rate_words {
    _Atomic uint64_t tokens; /* rate.c: level, and when it was that */
    _Atomic uint64_t pace; /* a double: tokens per second, as set or learned */
    _Atomic uint64_t turn; /* the last time that a waiting call was given */
    _Atomic uint64_t txn;  /* the commit that set the pace */
    uint64_t spare[4];
    /* Of a rate that adapts, adapt.c. */
    _Atomic uint64_t cut;      /* when it was cut last */
    _Atomic uint64_t most;     /* a double: the rate before that */
    _Atomic uint64_t meter;    /* half second, and its responses */
    _Atomic uint64_t measured; /* a double: responses per second, smoothed */
    uint64_t spare_too[4];
};

/* One cache line. */
struct hint_words {
    _Atomic uint64_t until;   /* no attempt before this time */
    _Atomic uint64_t waiting; /* calls that were told to wait, since then */
    uint64_t spare[6];
};

/* One cache line. */
struct place_words {
    _Atomic uint64_t waiting; /* place.c: who waits for a place, and since */
    _Atomic uint64_t looked;  /* when dead owners were looked for */
    _Atomic uint32_t bell[3]; /* by enum importance: futexes */
    uint32_t spare[9];
};

/* The state of a policy, or of a group, in its cell. */
struct limits {
    struct rate_words rate;
    struct hint_words hint;
    struct place_words places;
    _Atomic uint64_t slot[1000 /* LIMIT_PLACES_MAX */]; /* place.h */
};

_Static_assert(sizeof(struct rate_words) == 128, "two lines");
_Static_assert(sizeof(struct hint_words) == 64, "a line");
_Static_assert(sizeof(struct place_words) == 64, "a line");

#endif
