/* Declares what a history knows of itself.  Part of history.h. */
#ifndef BIDE_STORE_HISTORY_KNOWN_H
#define BIDE_STORE_HISTORY_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_SHIFTS = 8 };

/* The newest change of the registry at the last recording, as its record has
 * it: a registry that lacks it is an older copy.  And how far the clock was
 * ahead of the line of the history for the changes after `sequence`. */
struct history_changes {
    uint64_t sequence, when_ns; /* sequence 0: not known */
    uint32_t highest;           /* of all versions that the registry ever had */
    uint32_t floor; /* `highest` when an older copy was put back last */
    struct {
        uint64_t sequence;
        int64_t jump_ns;
    } shift[HISTORY_SHIFTS]; /* the newest first */
};

/* Returns how far the clock was ahead of the line at a change, as a number to
 * subtract; 0 if it is not known. */
uint64_t history_ahead(const struct history_changes *c, uint64_t sequence);
/* Instead of the time of which calls may be missing: */
#define ANEW_PUT_BACK UINT64_MAX      /* an earlier live file was put back */
#define ANEW_HISTORY (UINT64_MAX - 1) /* history.mdb was removed */
#define ANEW_OLD_HISTORY (UINT64_MAX - 2)  /* an older one was put back */
#define ANEW_OLD_REGISTRY (UINT64_MAX - 3) /* of registry.mdb */

struct history_known {
    uint64_t last_ns; /* the last recording; 0: none */
    bool state_lost;  /* damaged: the counts since then are not known */
    uint64_t minutes_from_ns, hours_from_ns; /* 0: all since the beginning */
    uint64_t lost;       /* cells that lost counts by a damaged base */
    uint64_t unreadable; /* pages and records lost when a file was rescued */
    uint64_t damaged;    /* records and pages, as far as known */
    uint64_t bytes;
    uint64_t every_ns; /* the interval of the newest recorder; 0: none */
    uint32_t cells;    /* names of policies and scopes */
    /* recording_line.h: of the last recording's boot, or zero. */
    uint8_t boot[16];
    uint64_t live_begun_ns, boottime_ns, offset_ns, newest_ns;
    /* When the live state began anew within a boot, 0: never; and the time
     * before of which calls may be missing, or one of ANEW_. */
    uint64_t anew_ns, anew_lost_ns;
    bool stale;      /* an older history was put back: not noted yet */
    bool put_back;   /* so was an earlier live file: its counts are unknown */
    uint64_t joined; /* cells whose counts since the last one mix versions */
    int64_t jump_ns; /* how far the clock is ahead of this line */
    struct history_changes changes;
};

/* Makes the history in `dir` that of another registry: it is a copy's.  0 or
 * BIDE_E (place_why). */
int recording_adopt(const char *dir, const uint8_t registry[16]);

/* Reports that the registry in `dir` has, or had, a history. */
bool history_was_made(const char *dir);

#endif
