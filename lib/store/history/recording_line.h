/* The line on which the minutes of a history lie: CLOCK_BOOTTIME plus an offset
 * that is taken at the first recording of each boot.  It follows a clock that
 * drifts or is slewed, and not one that jumps.  Private to this room. */
#ifndef BIDE_STORE_RECORDING_LINE_H
#define BIDE_STORE_RECORDING_LINE_H

#include "recording_inside.h"

/* Returns `now_ns`, the clock, as a time of the line, and notes in r->state and
 * r->jump_ns how far the clock is from it and has jumped. */
uint64_t line_place(struct recording *r, const struct recording_source *from,
                    uint64_t now_ns);

/* Records as events that the clock has jumped, and that the live state began
 * anew (`anew`) in this boot. */
int line_note(struct recording *r, const struct recording_source *from,
              bool anew, uint64_t before_ns);

/* Notes the time between two recordings if nobody recorded for a day. */
void line_note_gap(struct history_state *s, uint64_t before_ns,
                   uint64_t now_ns);

/* Returns the time that was `ago_ns` before `now_ns`, without such gaps. */
uint64_t line_before(const struct history_state *s, uint64_t now_ns,
                     uint64_t ago_ns);

#endif
