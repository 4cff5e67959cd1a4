/* Declares what a history knows of itself.  Part of history.h. */
#ifndef BIDE_STORE_HISTORY_KNOWN_H
#define BIDE_STORE_HISTORY_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

struct history_known {
    uint64_t last_ns; /* the last recording; 0: none */
    bool state_lost;  /* damaged: the counts since then are not known */
    uint64_t minutes_from_ns, hours_from_ns; /* 0: all since the beginning */
    uint64_t lost;       /* cells that lost counts by a damaged base */
    uint64_t unreadable; /* pages and records lost when a file was rescued */
    uint64_t damaged;    /* records and pages, as far as known */
    uint64_t bytes, every_ns; /* of the file; the recorder's interval */
    uint32_t cells;           /* names of policies and scopes */
    /* recording_line.h: of the last recording's boot, or zero. */
    uint8_t boot[16];
    uint64_t live_begun_ns, boottime_ns, offset_ns, newest_ns;
    /* When the live state began anew within a boot, 0: never; and the time
     * before of which calls may be missing. */
    uint64_t anew_ns, anew_lost_ns;
    int64_t jump_ns; /* how far the clock is ahead of this line */
};

#endif
