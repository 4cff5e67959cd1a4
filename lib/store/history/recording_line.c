#include "recording_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"

enum { PPM_500 = 2000 /* the part of the time */ };

static bool
is_same_boot(const struct history_state *s, const struct recording_source *from)
{
    static const uint8_t unknown[16];

    return s->last_ns && memcmp(from->boot, unknown, sizeof(unknown)) != 0 &&
           memcmp(from->boot, s->live_boot, sizeof(unknown)) == 0 &&
           from->boottime_ns >= s->boottime_ns;
}

uint64_t
line_place(struct recording *r, const struct recording_source *from,
           uint64_t now_ns)
{
    struct history_state *s = &r->state;
    uint64_t offset = now_ns - from->boottime_ns;
    int64_t ahead = (int64_t)(offset - s->offset_ns);
    int64_t most = (int64_t)((from->boottime_ns - s->boottime_ns) / PPM_500);

    r->same_boot = is_same_boot(s, from);
    r->stale = s->boottime_ns &&
               (r->same_boot ? s->boottime_ns : 0) < from->recorded_ns;
    most = most > (int64_t)SECOND_NS ? most : (int64_t)SECOND_NS;
    if (!from->boottime_ns || !r->same_boot || llabs(ahead) <= most) {
        s->offset_ns = offset;
        ahead = 0;
    }
    r->jump_ns = r->same_boot && llabs(ahead - s->jump_ns) > most
                     ? ahead - s->jump_ns
                     : 0;
    s->jump_ns = ahead;
    s->boottime_ns = from->boottime_ns;
    return from->boottime_ns + s->offset_ns;
}

int
recording_anew(struct recording *r, uint64_t when_ns, uint64_t lost_ns)
{
    struct history_event event = {
        .kind = HISTORY_ANEW, .when_ns = when_ns ? when_ns : r->result.end_ns};

    r->state.anew_ns = event.when_ns;
    r->state.anew_lost_ns = lost_ns;
    history_anew_words(lost_ns, event.words);
    return recording_event(r, "", "", &event);
}

int
line_note(struct recording *r, const struct recording_source *from, bool anew,
          uint64_t before_ns)
{
    struct history_state *s = &r->state;
    struct history_event event = {.kind = HISTORY_CLOCK,
                                  .when_ns = r->result.end_ns};
    uint64_t begun_ns = from->begun_ns - (uint64_t)s->jump_ns;
    uint64_t lost_ns = r->stale                        ? ANEW_OLD_HISTORY
                       : r->put_back || from->put_back ? ANEW_PUT_BACK
                       : s->flags & HISTORY_REMADE     ? ANEW_HISTORY
                                                       : 0;
    uint64_t when_ns = r->result.end_ns;
    int rc = 0;

    if (r->jump_ns) {
        snprintf(event.words, sizeof(event.words),
                 "the clock was set %s by %s%s",
                 r->jump_ns > 0 ? "forward" : "back",
                 duration_round((uint64_t)llabs(r->jump_ns)).text,
                 s->jump_ns ? "; the times of counts do not follow it"
                            : " and is right again");
        rc = recording_event(r, "", "", &event);
    }
    if (!rc && (lost_ns || (anew && r->same_boot))) {
        if (!lost_ns && begun_ns > before_ns && begun_ns < when_ns) {
            when_ns = begun_ns;
        }
        rc =
            recording_anew(r, when_ns, lost_ns ? lost_ns : when_ns - before_ns);
    }
    return rc;
}

void
line_note_gap(struct history_state *s, uint64_t before_ns, uint64_t now_ns)
{
    uint32_t n = 0;

    while (n < HISTORY_GAPS && s->gap[n].length_ns &&
           s->gap[n].end_ns < now_ns) {
        n++; /* later ones are of a clock that was ahead */
    }
    memset(&s->gap[n], 0, (HISTORY_GAPS - n) * sizeof(s->gap[0]));
    if (!before_ns || now_ns <= before_ns || now_ns - before_ns <= DAY_NS) {
        return;
    }
    if (n == HISTORY_GAPS) { /* the two oldest become one */
        s->gap[1].length_ns += s->gap[0].length_ns;
        memmove(&s->gap[0], &s->gap[1], --n * sizeof(s->gap[0]));
    }
    s->gap[n] = (struct history_gap){now_ns, now_ns - before_ns};
}

uint64_t
line_before(const struct history_state *s, uint64_t now_ns, uint64_t ago_ns)
{
    uint64_t then = now_ns > ago_ns ? now_ns - ago_ns : 0;

    for (uint32_t i = HISTORY_GAPS; i-- > 0;) {
        if (then < s->gap[i].end_ns) {
            then -= then < s->gap[i].length_ns ? then : s->gap[i].length_ns;
        }
    }
    return then;
}
