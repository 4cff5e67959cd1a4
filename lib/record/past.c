/* Reads the history together with the counts since the last recording, which
 * are called pending: the totals of the cells minus those at the last
 * recording. */
#include "past_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/boot.h"
#include "base/clock.h"
#include "base/draft.h"
#include "base/failure.h"
#include "base/paths.h"
#include "registry/announce.h"
#include "registry/stats.h"

/* Outcomes whose names are not in the history get numbers from here on. */
#define UNNAMED 0x80000000u

/* ---- opening ---- */

int
past_fail_history(struct past *p, int rc)
{
    struct failure *f = failure_begin(FAILURE_HISTORY, rc, NULL);

    snprintf(f->path, sizeof(f->path), "%s/" PATH_HISTORY, p->dir);
    snprintf(f->words, sizeof(f->words), "%s", pages_why());
    return rc;
}

int
past_open(const char *dir, struct past *out)
{
    int rc;

    *out = (struct past){.dir = strdup(dir)};
    if (!out->dir) {
        return failure_plain(BIDE_ENOMEM);
    }
    rc = reader_open(dir, &out->reader);
    if (rc) {
        free(out->dir);
        out->dir = NULL;
    }
    return rc;
}

struct live *
past_live(struct past *p, bool create)
{
    const char *path = reader_live_path(p->reader);

    if (!p->live && (create || access(path, F_OK) == 0 || errno != ENOENT)) {
        int rc = paths_make_live(p->dir, path);

        rc = rc ? rc
                : live_open_reading(path, reader_id(p->reader),
                                    paths_private(p->dir) ? LIVE_FOR_GROUP
                                                          : LIVE_FOR_ALL,
                                    &p->live);
        p->live_rc = rc ? rc : p->live_rc;
    }
    return p->live;
}

/* Opens the history again each time: a recorder may have made or replaced it.
 * Without one, p->history is NULL, which counts as an empty history. */
static int
open_history(struct past *p)
{
    int rc;

    history_close(p->history);
    p->history = NULL;
    rc = history_open(p->dir, &p->history);
    rc = rc ? rc : history_belongs(p->history, reader_id(p->reader));
    return rc == BIDE_EMISSING ? 0 : rc ? past_fail_history(p, rc) : 0;
}

void
past_close(struct past *p)
{
    history_close(p->history);
    for (size_t i = 0; i < p->unnamed_count; i++) {
        free(p->unnamed[i]);
    }
    free(p->unnamed);
    free(p->renames);
    live_close(p->live);
    reader_close(p->reader);
    free(p->dir);
}

/* Finds what the next recording will note, as line_note. */
static void
foresee_anew(const struct live_header *h, struct history_known *k)
{
    bool same_boot = memcmp(h->boot_id, k->boot, sizeof(k->boot)) == 0;

    k->stale =
        k->boottime_ns && (same_boot ? k->boottime_ns : 0) < h->recorded_ns;
    if (!k->stale && (h->begun_ns == k->live_begun_ns || !same_boot)) {
        return;
    }
    k->put_back = !k->stale && h->recorded_ns;
    k->anew_ns = h->recorded_ns ? clock_boottime_ns() + k->offset_ns
                                : h->begun_ns - (uint64_t)k->jump_ns;
    k->anew_lost_ns = k->stale                  ? ANEW_OLD_HISTORY
                      : k->put_back             ? ANEW_PUT_BACK
                      : k->anew_ns > k->last_ns ? k->anew_ns - k->last_ns
                                                : 0;
}

static int
read_known(struct past *p, struct history_known *out)
{
    struct history_known k = {.last_ns = 0};
    int rc = p->history ? history_known(p->history, &k) : 0;

    if (rc) {
        return past_fail_history(p, rc);
    }
    if (p->history && past_live(p, false)) {
        foresee_anew(live_header(p->live), &k);
    } else if (!p->history && history_was_made(p->dir)) {
        k.anew_lost_ns = ANEW_HISTORY;
    }
    *out = k;
    return 0;
}

uint64_t
past_now_ns(struct past *p)
{
    struct history_known k;
    uint64_t now = clock_boottime_ns();
    uint8_t boot[16];

    boot_id(boot);
    return open_history(p) == 0 && p->history &&
                   history_known(p->history, &k) == 0 && k.boottime_ns &&
                   k.boottime_ns <= now && !memcmp(k.boot, boot, sizeof(boot))
               ? now + k.offset_ns
               : clock_realtime_ns();
}

int
past_known(struct past *p, struct history_known *out)
{
    int rc = open_history(p);

    return rc ? rc : read_known(p, out);
}

/* ---- the changes of the registry ---- */

struct comparing {
    const struct history_changes *known;
    struct history_changes newest;
    bool found;
};

/* Ends with 1 where the known change should be, if all versions are known. */
static int
compare_change(void *arg, struct record *r)
{
    struct comparing *c = arg;
    const struct history_changes *k = c->known;
    uint32_t *highest = &c->newest.highest;

    if (!c->newest.sequence) {
        c->newest.sequence = r->sequence;
        c->newest.when_ns = r->when_ns;
    }
    *highest = r->version > *highest ? r->version : *highest;
    c->found |= r->sequence == k->sequence && r->when_ns == k->when_ns;
    return k->highest && r->sequence <= k->sequence;
}

static int
compare_changes(void *arg, const struct snapshot *s)
{
    const uint32_t floor = reader_floor(s);
    struct comparing *c = arg;

    c->found = c->known->sequence == 0;
    c->newest = (struct history_changes){.highest = c->known->highest,
                                         .floor = c->known->floor};
    c->newest.floor = floor > c->newest.floor ? floor : c->newest.floor;
    c->newest.highest = floor > c->newest.highest ? floor : c->newest.highest;
    return reader_each_change(s, compare_change, c);
}

int
past_compare(struct past *p, struct history_changes *changes)
{
    struct comparing c = {.known = changes};
    struct live *l = past_live(p, false);
    bool older = l && announce_is_older(l, p->reader);
    uint64_t counted = older ? atomic_load(&live_header(l)->newest_version) : 0;
    int rc = reader_read(p->reader, compare_changes, &c, NULL);

    if (rc < 0) {
        return rc;
    }
    older |= !c.found;
    if (counted > c.newest.highest && counted < 1000000 /* else garbage */) {
        c.newest.highest = (uint32_t)counted;
    }
    c.newest.floor = older ? c.newest.highest : c.newest.floor;
    memcpy(c.newest.shift, changes->shift, sizeof(c.newest.shift));
    *changes = c.newest;
    return older;
}

/* ---- a cell's totals ---- */

static uint32_t
unnamed_id(struct past *p, const char *name)
{
    char **added;
    size_t i = 0;

    while (i < p->unnamed_count && strcmp(p->unnamed[i], name) != 0) {
        i++;
    }
    if (i < p->unnamed_count) {
        return UNNAMED + (uint32_t)i;
    }
    added = array_add(&p->unnamed, &p->unnamed_count, sizeof(*added));
    if (added && !(*added = strdup(name))) {
        p->unnamed_count--;
        added = NULL;
    }
    return added ? UNNAMED + (uint32_t)i : 0;
}

static uint32_t
outcome_id(void *arg, const char *name)
{
    struct past *p = arg;
    uint32_t id = p->history ? history_outcome_id(p->history, name) : 0;

    return id || strcmp(name, "other") == 0 ? id : unnamed_id(p, name);
}

const char *
past_outcome(struct past *p, uint32_t id)
{
    if (id >= UNNAMED) {
        return id - UNNAMED < p->unnamed_count ? p->unnamed[id - UNNAMED]
                                               : "other";
    }
    return p->history ? history_outcome(p->history, id) : "other";
}

void
past_total(const struct cell_reading *reading,
           uint32_t (*outcome)(void *arg, const char *name), void *arg,
           struct figures *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->counter, reading->counter, sizeof(reading->counter));
    memcpy(out->succeeded, reading->succeeded, sizeof(out->succeeded));
    memcpy(out->failed, reading->failed, sizeof(out->failed));
    out->calls = reading->calls;
    out->opened = reading->guard[TOTAL_OPENED];
    out->half_opened = reading->guard[TOTAL_HALF_OPENED];
    out->closed = reading->guard[TOTAL_CLOSED];
    out->turned = reading->guard[TOTAL_TURNED];
    out->budget_refused = reading->guard[TOTAL_BUDGET_REFUSED];
    for (uint32_t i = 0; i < reading->outcome_count; i++) {
        const struct cell_outcome *o = &reading->outcome[i];
        bool other = strcmp(o->name, "other") == 0;

        /* "other" also counts outcomes whose name is about to be published:
         * they are left out until then, else they would be counted twice. */
        figures_add_outcome(out, outcome(arg, o->name),
                            other && o->count >= reading->unnamed
                                ? o->count - reading->unnamed
                                : o->count);
    }
}

struct cell *
past_cell(struct live *l, uint32_t index, char name[BIDE_NAME_MAX + 1],
          char scope[BIDE_NAME_MAX + 1])
{
    struct cell *c = cell_at(l, index);

    /* The longest names of groups may be cut, and so mean another group. */
    return c && cell_names(c, name, scope) &&
                   !(*name == '@' && strlen(name) == BIDE_NAME_MAX) &&
                   cell_is_found(l, index)
               ? c
               : NULL;
}

/* ---- since the last recording ---- */

struct pending {
    struct draft cells; /* pairs of pending_head and figures */
    uint64_t now_ns, begin_ns, end_ns;
    uint64_t until_ns;      /* earlier than now: nothing is wanted */
    uint64_t damaged;       /* cells without a readable last recording */
    uint64_t joined;        /* cells that lost marks since then */
    past_wanted_fn *wanted; /* names to read; NULL: all */
    void *arg;
    bool only_joined; /* nobody visits the counts */
};

struct pending_head {
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint32_t version;
    uint32_t length; /* of the figures that follow, in bytes */
};

/* Working space for one cell, too large for the stack. */
struct pending_space {
    struct past *past;
    struct pending *out;
    struct pending_head head;
    struct figures now, before, between;
    uint8_t bytes[FIGURES_BYTES];
};

/* Adds what a version has counted since the recording and the version before.
 */
static int
pending_part(void *arg, const struct cell_part *part)
{
    struct pending_space *r = arg;
    struct draft *cells = &r->out->cells;

    past_total(&part->reading, outcome_id, r->past, &r->now);
    if (!part->last) {
        figures_raise(&r->now, &r->before);
    }
    figures_between(&r->before, &r->now, &r->between);
    r->before = r->now;
    if (figures_none(&r->between)) {
        return 0;
    }
    r->out->joined += part->cut;
    r->head.version = part->version;
    r->head.length = (uint32_t)figures_write(&r->between, r->bytes);
    draft_add(cells, (const char *)&r->head, sizeof(r->head));
    draft_add(cells, (const char *)r->bytes, r->head.length);
    return cells->failed ? BIDE_ENOMEM : 0;
}

static int
pending_cell(struct past *p, struct live *l, uint32_t index, const char *name,
             struct pending_space *r, struct pending *out)
{
    struct pending_head *head = &r->head;
    const struct cell *c = past_cell(l, index, head->name, head->scope);
    int rc = 0;

    r->past = p;
    r->out = out;
    if (!c || (name && strcmp(name, head->name) != 0) ||
        (out->only_joined && !cell_has_marks(c))) {
        return 0;
    }
    memset(&r->before, 0, sizeof(r->before));
    if (p->history) {
        rc = history_base(p->history, live_header(l)->begun_ns, head->name,
                          head->scope, atomic_load(&c->begun), &r->before);
    }
    if (rc == BIDE_EDAMAGED) {
        out->damaged++; /* the next recording finds out */
        return 0;
    }
    if (rc || (out->wanted && !out->wanted(out->arg, head->name))) {
        return rc;
    }
    return cell_each_part(l, index, pending_part, r);
}

static int
collect_pending(struct past *p, const char *name,
                const struct history_known *known, struct pending *out)
{
    struct live *l = past_live(p, false);
    struct pending_space *r;
    uint64_t begun;
    int rc = 0;

    draft_clear(&out->cells);
    out->damaged = out->joined = out->begin_ns = out->end_ns = 0;
    if (!l || known->state_lost || known->put_back ||
        out->now_ns > out->until_ns) {
        return 0;
    }
    r = malloc(sizeof(*r));
    if (!r) {
        return BIDE_ENOMEM;
    }
    for (uint32_t i = 0; i < cell_count(l) && !rc; i++) {
        rc = pending_cell(p, l, i, name, r, out);
    }
    free(r);
    begun = live_header(l)->begun_ns;
    out->end_ns = out->now_ns;
    out->begin_ns = known->last_ns > begun ? known->last_ns : begun;
    if (out->begin_ns > out->end_ns) { /* the clock was set back */
        out->end_ns = out->begin_ns;
    }
    return rc;
}

/* Reads the pending counts, again if a recording ended meanwhile: all must be
 * relative to the same recording. */
static int
read_pending(struct past *p, const char *name, struct history_known *known,
             struct pending *out)
{
    enum { TRIES = 10 };
    struct history_known before;
    int rc = read_known(p, known), tries = 0;

    do {
        before = *known;
        if (!rc) {
            rc = collect_pending(p, name, &before, out);
            rc = rc == BIDE_ENOMEM ? failure_plain(rc)
                 : rc              ? past_fail_history(p, rc)
                                   : read_known(p, known);
        }
    } while (!rc && known->last_ns != before.last_ns && ++tries < TRIES);
    known->joined = out->joined;
    return rc;
}

static int
visit_pending(const struct pending *p, history_visit_fn *visit, void *arg)
{
    struct figures *f = malloc(sizeof(*f));
    size_t at = 0;
    int rc = f ? 0 : BIDE_ENOMEM;

    while (!rc && at < p->cells.used) {
        struct pending_head head;
        struct history_interval i = {
            .begin_ns = p->begin_ns, .end_ns = p->end_ns, .figures = f};

        memcpy(&head, p->cells.bytes + at, sizeof(head));
        at += sizeof(head);
        i.name = head.name;
        i.scope = head.scope;
        i.version = head.version;
        if (figures_read((const uint8_t *)p->cells.bytes + at, head.length,
                         f)) {
            rc = visit(arg, &i);
        }
        at += head.length;
    }
    free(f);
    return rc;
}

/* Keeps the result of `visit`, to tell it from an error of the history. */
struct visiting {
    const struct past *past;
    const char *name; /* as policies are named now; NULL: all */
    history_visit_fn *visit;
    void *arg;
    int result;
};

static int
visit_recorded(void *arg, const struct history_interval *i)
{
    struct visiting *t = arg;
    struct history_interval now = *i;

    now.name = renamed_now(t->past, i->name, i->version, i->end_ns);
    t->result =
        t->name && strcmp(t->name, now.name) != 0 ? 0 : t->visit(t->arg, &now);
    return t->result;
}

int
past_each_interval(struct past *p, const struct history_range *range,
                   past_wanted_fn *wanted, history_visit_fn *visit, void *arg,
                   struct history_known *out)
{
    struct pending pending = {.now_ns = past_now_ns(p),
                              .until_ns = range->until_ns,
                              .wanted = wanted,
                              .arg = arg,
                              .only_joined = !visit};
    struct visiting t = {p, range->name, visit, arg, 0};
    struct history_range recorded = *range;
    uint64_t skipped = 0; /* `out` has more if the whole file was checked */
    int rc = open_history(p);

    renamed_read(p);
    recorded.name = p->rename_count ? NULL : range->name;
    rc = rc ? rc : read_pending(p, recorded.name, out, &pending);
    if (rc) {
        draft_free(&pending.cells);
        return rc;
    }
    if (recorded.until_ns > out->newest_ns) {
        recorded.until_ns = out->newest_ns; /* later counts are pending */
    }
    if (p->history) {
        rc = history_each(p->history, &recorded, visit_recorded, &t, &skipped);
        if (rc && !t.result) {
            rc = past_fail_history(p, rc);
        }
    }
    skipped += pending.damaged;
    out->damaged = skipped > out->damaged ? skipped : out->damaged;
    if (!rc && pending.end_ns > range->since_ns &&
        pending.end_ns <= range->until_ns) {
        rc = visit_pending(&pending, visit_recorded, &t);
    }
    draft_free(&pending.cells);
    return rc;
}

/* ---- statistics ---- */

void
past_figures(const struct figures *f, uint32_t version, struct bide_stats *out)
{
    struct cell_reading *r = calloc(1, sizeof(*r));

    *out = (struct bide_stats){.version = version};
    if (!r) {
        return;
    }
    memcpy(r->counter, f->counter, sizeof(r->counter));
    memcpy(r->succeeded, f->succeeded, sizeof(r->succeeded));
    memcpy(r->failed, f->failed, sizeof(r->failed));
    r->calls = f->calls;
    stats_from(r, version, out);
    free(r);
}
