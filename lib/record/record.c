/* Records the totals of each cell, and then the level of each policy. */
#include "past_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/array.h"
#include "base/duration.h"
#include "base/failure.h"
#include "journal.h"
#include "registry/announce.h"
#include "rule/breaker.h"

/* Upper bound on the records that one recording removes: a little more than it
 * adds. */
enum { PRUNE_MOST = 2000 };

static int
fail_recording(int rc)
{
    return failure_at(FAILURE_RECORDING, rc, "", place_why());
}

/* ---- cells ---- */

/* One cell, too large for the stack. */
struct cell_space {
    struct recording *recording;
    struct live *live;
    struct cell *cell;
    int rc; /* of naming an outcome */
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    struct figures total;
    bool begun;      /* a part is recorded: */
    uint64_t turned; /* the transitions before it */
    bool marked;     /* some mark was not recorded before */
};

static uint32_t
outcome_id(void *arg, const char *name)
{
    struct cell_space *s = arg;
    uint32_t id = 0;

    if (!s->rc) {
        s->rc = recording_outcome(s->recording, name, &id);
    }
    return id;
}

/* Records the transitions of the breaker since the last recording.  Times come
 * from shared memory, so they are kept within the interval. */
static int
record_transitions(struct cell_space *space, struct live *l, uint32_t index)
{
    struct recording *r = space->recording;
    struct recording_result times;
    struct guard_rings rings;
    uint64_t count;
    int rc = 0;

    recording_result(r, &times);
    cell_guard_read(l, index, &rings);
    count = space->total.turned;
    count = count > space->turned ? count - space->turned : 0;
    count = count < TRANSITIONS ? count : TRANSITIONS;
    while (count-- > 0 && !rc) {
        struct history_event event = {.kind = HISTORY_BREAKER};
        enum breaker_state to;

        if (!breaker_transition(&rings, (uint32_t)count, &to, &event.when_ns)) {
            continue;
        }
        event.to = (uint8_t)to;
        event.when_ns -= (uint64_t)times.jump_ns;
        if (event.when_ns < times.begin_ns || event.when_ns > times.end_ns) {
            event.when_ns = times.end_ns;
        }
        rc = recording_event(r, space->name, space->scope, &event);
    }
    return rc;
}

/* Records what a version has counted since the recording and the version
 * before. */
static int
record_part(void *arg, const struct cell_part *part)
{
    struct cell_space *space = arg;
    struct recording_result then, now;
    uint64_t before;
    int rc;

    past_total(&part->reading, outcome_id, space, &space->total);
    if (space->rc || figures_none(&space->total)) {
        return space->rc;
    }
    recording_result(space->recording, &then);
    rc = recording_put(space->recording, space->name, space->scope,
                       atomic_load(&space->cell->begun), part->version,
                       !part->last, &space->total, &before);
    recording_result(space->recording, &now);
    space->turned = space->begun ? space->turned : before;
    space->begun = true;
    if (part->cut && now.cells != then.cells) {
        atomic_fetch_add(&live_header(space->live)->marks_refused, 1);
    }
    if (!part->last) {
        space->marked |= now.cells != then.cells || before == UINT64_MAX;
    } else if (!space->marked && part->counting >> 32) {
        cell_forget_marks(space->cell, part->counting);
    }
    return rc;
}

static int
record_cell(struct recording *r, struct live *l, uint32_t index,
            struct cell_space *space)
{
    struct cell *c = past_cell(l, index, space->name, space->scope);
    struct recording_result then, now;
    int rc;

    if (!c) {
        return 0;
    }
    space->recording = r;
    space->live = l;
    space->cell = c;
    space->rc = 0;
    space->begun = space->marked = false;
    recording_result(r, &then);
    rc = cell_each_part(l, index, record_part, space);
    recording_result(r, &now);
    if (now.cells != then.cells) {
        atomic_store(&c->quiet_ns, 0); /* it is in use */
    }
    return rc || !space->begun ? rc : record_transitions(space, l, index);
}

/* Records all cells, and that an older registry was put back; removes what is
 * older than `keep` (NULL: nothing), and commits. */
static int
record_all_cells(struct past *p, struct recording *r, struct live *l,
                 const struct recording_source *from,
                 const struct recording_keep *keep)
{
    struct cell_space *space = malloc(sizeof(*space));
    uint32_t count = cell_count(l);
    int older = 0, rc = space ? 0 : BIDE_ENOMEM;
    struct pages_stamp now;

    for (uint32_t i = 0; i < count && !rc; i++) {
        rc = record_cell(r, l, i, space);
    }
    free(space);
    older = past_compare(p, recording_changes(r));
    if (!rc && older == 1) {
        rc = recording_anew(r, 0, ANEW_OLD_REGISTRY);
    }
    rc = rc || !keep ? rc : recording_prune(r, keep, PRUNE_MOST);
    rc = rc ? rc : recording_commit(r);
    if (!rc) {
        atomic_store(&live_header(l)->recorded_ns, from->boottime_ns);
        live_put_back(l, from->put_back);
        if (older == 1 && reader_look(p->reader, &now) == 0) {
            atomic_store(&live_header(l)->newest_txn, now.txn);
        }
    }
    return rc;
}

static struct recording_source
source_of(struct past *p, struct live *l)
{
    struct recording_source from = {
        .begun_ns = live_header(l)->begun_ns,
        .boottime_ns = clock_boottime_ns(),
        .recorded_ns = atomic_load(&live_header(l)->recorded_ns),
        .older = announce_is_older(l, p->reader),
        .put_back = live_put_back(l, false)};

    memcpy(from.boot, live_header(l)->boot_id, sizeof(from.boot));
    memcpy(from.registry, live_header(l)->registry_id, sizeof(from.registry));
    return from;
}

static int
record_cells(struct past *p, struct live *l, const struct recorder_options *how,
             struct recorded *out)
{
    struct recording_source from = source_of(p, l);
    struct recording *r;
    int rc;

    from.once = how->once;
    rc = recording_begin(p->dir, &from, clock_realtime_ns(), how->every_ns, &r);
    if (rc == RECORDING_DONE) {
        struct history_known known;

        out->done = true;
        rc = past_known(p, &known);
        out->result.end_ns = rc ? 0 : known.last_ns;
        return rc;
    }
    if (rc) {
        return fail_recording(rc);
    }
    out->untold_ns = recording_tell(r);
    if (how->since_ns) {
        out->untold_ns = how->since_ns;
    }
    rc = record_all_cells(p, r, l, &from, &how->keep);
    recording_result(r, &out->result);
    if (!rc) {
        cell_free_unused(l, how->free_after_ns);
    }
    recording_end(r); /* last: it lets other recorders in */
    return rc ? fail_recording(rc) : 0;
}

struct live *
past_live_shared(struct past *p, bool create)
{
    bool shared = past_live(p, create) && !live_is_reading(p->live);

    p->live_rc = p->live && !shared ? BIDE_EPERM : p->live_rc;
    return shared ? p->live : NULL;
}

/* Records under the present versions; `quick`: only if the file was checked. */
static void
record_now(struct past *p, bool quick)
{
    struct live *l = past_live_shared(p, false);
    struct recording_source from;
    struct recording *r;

    if (!l) {
        return;
    }
    from = source_of(p, l);
    if (quick ? recording_begin_now(p->dir, &from, clock_realtime_ns(), &r)
              : recording_begin(p->dir, &from, clock_realtime_ns(), 0, &r)) {
        return;
    }
    record_all_cells(p, r, l, &from, NULL);
    recording_end(r);
}

void
past_record_until_now(struct past *p)
{
    record_now(p, true);
}

void
past_record_restored(struct past *p, bool has_history)
{
    if (has_history) {
        record_now(p, false);
    }
    if (past_live_shared(p, false)) { /* without a history, nothing notes it */
        struct pages_stamp now;

        if (!reader_look(p->reader, &now)) {
            atomic_store(&live_header(p->live)->newest_txn, now.txn);
        }
    }
}

int
past_note_wake(struct past *p, const char *name, const char *scope,
               uint32_t calls, const char *who, uint32_t uid)
{
    struct history_event event = {.kind = HISTORY_WAKE,
                                  .when_ns = past_now_ns(p)};
    struct recording *r;
    int rc;

    snprintf(event.words, sizeof(event.words),
             "%u waiting call%s woken by %.160s (uid %u)", calls,
             calls == 1 ? "" : "s", who, uid);
    rc = recording_begin_levels(p->dir, event.when_ns, &r);
    if (!rc) {
        rc = recording_event(r, name, scope, &event);
        rc = rc ? rc : recording_commit(r);
        recording_end(r);
    }
    return rc ? fail_recording(rc) : 0;
}

/* ---- levels ---- */

static int
add_if_changed(void *arg, const struct past_alarm *alarm)
{
    const struct alarm_verdict *v = &alarm->verdict;
    enum alarm_level recorded = (enum alarm_level)alarm->recorded.level;
    struct recorded *out = arg;
    struct alarm_change *change;

    if (v->level == recorded ||
        (v->unknown && (v->level == ALARM_UNKNOWN || v->level < recorded))) {
        return 0;
    }
    change = array_add(&out->changes, &out->change_count, sizeof(*change));
    if (!change) {
        return failure_plain(BIDE_ENOMEM);
    }
    strcpy(change->name, alarm->name);
    change->before = recorded;
    change->now = v->level;
    change->seen = alarm->seen;
    memcpy(change->words, v->words, sizeof(change->words));
    return 0;
}

/* Stores the changes.  Of several recorders that see a change only one stores
 * it; the others remove it from `out`. */
static int
keep_changes(struct recording *r, struct recorded *out, uint64_t now_ns)
{
    size_t kept = 0;
    int rc = 0;

    for (size_t i = 0; i < out->change_count && !rc; i++) {
        struct alarm_change *c = &out->changes[i];
        struct history_level level = {.level = (uint8_t)c->now,
                                      .since_ns = now_ns};
        struct history_level before;
        bool changed;

        memcpy(level.words, c->words, sizeof(level.words));
        rc = recording_level(r, c->name, &level, &changed, &before);
        if (!rc && changed) {
            c->before = (enum alarm_level)before.level;
            out->changes[kept++] = *c;
        }
    }
    out->change_count = kept;
    return rc ? rc : kept > 0 ? recording_commit(r) : 0;
}

static int
judge_levels(struct past *p, struct recorded *out)
{
    struct recording *r;
    int rc = past_each_alarm(p, NULL, 0, add_if_changed, out);

    if (rc || out->change_count == 0) {
        return rc;
    }
    rc = recording_begin_levels(p->dir, past_now_ns(p), &r);
    if (!rc) {
        rc = keep_changes(r, out, past_now_ns(p));
        recording_end(r);
    }
    return rc ? fail_recording(rc) : 0;
}

/* ---- breakers ---- */

struct turning {
    struct recorded *out;
    size_t first; /* of its changes, behind those of levels */
    uint64_t since_ns;
};

/* Counts how often each breaker opened and closed; half open is not closed. */
static int
count_turn(void *arg, const char *name, const char *scope,
           const struct history_event *event)
{
    struct turning *t = arg;
    struct recorded *out = t->out;
    struct alarm_change *c = NULL;
    bool open = event->to != STATE_CLOSED;

    if (event->kind != HISTORY_BREAKER) {
        return 0;
    }
    for (size_t i = t->first; i < out->change_count && !c; i++) {
        struct alarm_change *old = &out->changes[i];

        c = strcmp(old->name, name) || strcmp(old->scope, scope) ? NULL : old;
    }
    if (!c) {
        c = array_add(&out->changes, &out->change_count, sizeof(*c));
        if (!c) {
            return failure_plain(BIDE_ENOMEM);
        }
        *c = (struct alarm_change){.open = event->to != STATE_OPEN};
        strcpy(c->name, name);
        strcpy(c->scope, scope);
    }
    if (event->when_ns > t->since_ns && open != c->open) {
        *(open ? &c->opened : &c->closed) += 1;
    }
    c->open = open;
    return 0;
}

/* Adds a change for each breaker that opened or closed. */
static int
add_breakers(struct past *p, uint64_t since_ns, struct recorded *out)
{
    struct turning t = {out, out->change_count, since_ns};
    /* Begins earlier, to know whether a breaker that opens was closed. */
    struct history_range range = {.since_ns = since_ns - HOUR_NS,
                                  .until_ns = out->result.end_ns};
    struct history_known known;
    uint64_t damaged = 0;
    size_t kept = t.first;
    int rc = past_known(p, &known);

    rc = rc || !p->history
             ? rc
             : history_each_event(p->history, &range, count_turn, &t, &damaged);
    for (size_t i = t.first; i < out->change_count && !rc; i++) {
        struct alarm_change *c = &out->changes[i];

        if (c->opened + c->closed > 1) {
            snprintf(c->words, sizeof(c->words),
                     "breaker is %s (opened: %u, closed: %u)",
                     c->open ? "open" : "closed", c->opened, c->closed);
        } else {
            sprintf(c->words, "breaker %s", c->open ? "opened" : "closed");
        }
        if (c->opened + c->closed > 0) {
            out->changes[kept++] = *c;
        }
    }
    out->change_count = kept;
    return rc;
}

/* Opens the history, if there is or was one: a damaged one is rescued, and one
 * that was removed is made. */
static void
rescue_history(struct past *p, struct recorded *out)
{
    struct history_known known;
    struct recording *r;

    if ((past_known(p, &known) || p->history || history_was_made(p->dir)) &&
        !recording_begin_levels(p->dir, past_now_ns(p), &r)) {
        recording_result(r, &out->result);
        recording_end(r);
    }
}

bool
past_has_stopped(struct past *p, const struct history_known *k,
                 uint64_t *out_age_ns)
{
    uint64_t now = past_now_ns(p), since = k->last_ns;
    uint64_t most = k->every_ns + k->every_ns / 2 + 10 * SECOND_NS;
    struct live *l = past_live(p, false);

    *out_age_ns = now > since ? now - since : 0;
    if (l && live_header(l)->begun_ns != k->live_begun_ns) {
        /* Before it began there was nothing to record. */
        uint64_t begun = live_header(l)->begun_ns - (uint64_t)k->jump_ns;

        since = larger_ns(begun, since);
    }
    return l && k->every_ns && now > since && now - since > most;
}

static void
write_journal(struct past *p, const struct recorded *done)
{
    static const int priorities[] = {LOG_INFO, LOG_WARNING, LOG_CRIT};
    bool go_on = reader_journal(p->reader);
    char message[BIDE_NAME_MAX + ALARM_WORDS + 80];

    for (size_t i = 0; i < done->change_count && go_on; i++) {
        const struct alarm_change *c = &done->changes[i];
        bool breaker = c->opened + c->closed > 0;
        const char *word = !breaker  ? alarm_word(c->now)
                           : c->open ? "open"
                                     : "closed";

        snprintf(message, sizeof(message), "%s%s%s: %s%s%s", c->name,
                 *c->scope ? "/" : "", c->scope, breaker ? "" : word,
                 breaker || !*c->words ? "" : ": ", c->words);
        go_on = journal_write(
            breaker ? JOURNAL_BREAKER : JOURNAL_LEVEL,
            !breaker  ? priorities[c->now]
            : c->open ? LOG_WARNING
                      : LOG_INFO,
            message,
            JOURNAL_FIELDS("BIDE_POLICY", c->name, "BIDE_SCOPE", c->scope,
                           breaker ? "BIDE_BREAKER" : "BIDE_ALARM", word,
                           "BIDE_WHY", c->words, "BIDE_REGISTRY", p->dir));
    }
}

int
past_record(struct past *p, const struct recorder_options *how,
            struct recorded *out)
{
    struct live *l = past_live_shared(p, false);
    int rc;

    *out = (struct recorded){.nothing = l == NULL};
    if (!l) {
        rescue_history(p, out);
        return p->live_rc ? failure_at(FAILURE_RECORDING, p->live_rc,
                                       reader_live_path(p->reader), "")
                          : 0;
    }
    announce_repair(l, p->reader);
    rc = record_cells(p, l, how, out);
    if (!rc && !out->done) {
        out->unjudged = judge_levels(p, out);
        if (out->unjudged) {
            recorded_free(out);
        } else {
            out->unjudged = add_breakers(p, out->untold_ns, out);
        }
    }
    write_journal(p, out);
    return rc;
}

void
recorded_free(struct recorded *r)
{
    free(r->changes);
    r->changes = NULL;
    r->change_count = 0;
}
