/* The live file: numbers that cannot be, and what services could not do. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "live/live.h"
#include "record/past.h"
#include "registry/announce.h"
#include "rule/breaker.h"
#include "rule/budget.h"
#include "rule/histogram.h"
#include "store/policies/reader.h"
#include "doctor.h"
#include "doctor_inside.h"
#include "inside.h"
#include "live.h"
#include "read.h"

enum { TMPFS = 0x01021994, RAMFS = 0x858458f6 };

/* Readings are not of one instant: a little more here than there is no sign. */
#define SLACK 1000

#define SO_MUCH (UINT64_C(1) << 56)

struct seen {
    struct doctor *d;
    struct live *live;
    uint64_t now_ns;
    uint32_t nameless, missing, untold, full;
    char untold_name[BIDE_NAME_MAX + 1], missing_name[BIDE_NAME_MAX + 1];
    char full_name[BIDE_NAME_MAX + 1];
    struct cell_reading reading;
};

/* ---- one cell ---- */

static uint64_t
sum(const uint64_t *counts, size_t count)
{
    uint64_t all = 0;

    for (size_t i = 0; i < count; i++) {
        all = all > UINT64_MAX - counts[i] ? UINT64_MAX : all + counts[i];
    }
    return all;
}

static bool
more_than(uint64_t part, uint64_t whole)
{
    return part > whole + whole / 100 + SLACK;
}

/* What of a cell's numbers cannot be, or NULL. */
static const char *
impossible(const struct cell_reading *r)
{
    uint64_t succeeded = sum(r->succeeded, HISTOGRAM_BUCKETS);
    uint64_t failed = sum(r->failed, HISTOGRAM_BUCKETS);
    uint64_t attempts =
        succeeded < SO_MUCH && failed < SO_MUCH ? succeeded + failed : SO_MUCH;

    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        if (i != COUNTER_SLEPT_NS && r->counter[i] >= SO_MUCH) {
            return "more than can ever have been counted";
        }
    }
    return attempts >= SO_MUCH ? "more attempts than can ever have been made"
           : more_than(r->counter[COUNTER_RECOVERED], succeeded)
               ? "more calls recovered than succeeded"
           : more_than(r->counter[COUNTER_RETRIES], attempts)
               ? "more retries than attempts"
               : NULL;
}

static void
check_numbers(struct seen *s, const struct cell *c, const char *name,
              const char *scope)
{
    const char *fault = impossible(&s->reading), *of = *scope ? "/" : "";

    if (fault) {
        doctor_find(s->d, DOCTOR_WRONG, "live",
                    "a process has written there that should not: counts of "
                    "this policy are void until the live file is new (remove "
                    "it while no service runs)",
                    "%s%s%s: %s", name, of, scope, fault);
    }
    if (!breaker_is_sound(&c->breaker, s->now_ns) ||
        !budget_is_sound(&c->budget)) {
        char todo[160];

        snprintf(todo, sizeof(todo),
                 "calls go on without it; bide breaker %s reset, bide budget "
                 "%s reset",
                 name, name);
        doctor_find(s->d, DOCTOR_WRONG, "live", todo,
                    "%s%s%s: the breaker's or the budget's state cannot be",
                    name, of, scope);
    }
}

static void
note(uint32_t *count, char *first, const char *name)
{
    if ((*count)++ == 0) {
        strcpy(first, name);
    }
}

/* A change whose author died before telling: calls find it when they fail. */
static void
check_version(struct seen *s, const struct cell *c, const char *name)
{
    uint32_t version = atomic_load_explicit(&c->version, memory_order_relaxed);
    struct record r;

    if (version && admin_policy(s->d->admin, name, &r) == 0) {
        if (r.version != version) {
            note(&s->untold, s->untold_name, name);
        }
        record_free(&r);
    }
}

static void
check_cell(struct seen *s, uint32_t index, bool told)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    const struct cell *c = cell_at(s->live, index);

    if (!c || !cell_names(c, name, scope)) {
        s->nameless++;
        return;
    }
    cell_read(s->live, index, &s->reading);
    check_numbers(s, c, name, scope);
    if (*name == '@') {
        return;
    }
    if (atomic_load_explicit(&c->gate, memory_order_relaxed) & GATE_MISSING) {
        note(&s->missing, s->missing_name, name);
    }
    if (atomic_load_explicit(&c->scopes_refused, memory_order_relaxed)) {
        note(&s->full, s->full_name, name);
    }
    if (!told) {
        check_version(s, c, name);
    }
}

/* ---- all cells ---- */

/* A writer tells right after its commit: it gets a moment. */
static bool
is_told(struct doctor *d, struct live *l)
{
    static const struct timespec moment = {0, 20000000};
    struct pages_stamp stamp;

    for (int i = 0; i < 15; i++) {
        if (reader_look(d->admin->past.reader, &stamp) ||
            announced(l) >= stamp.txn) {
            return true;
        }
        nanosleep(&moment, NULL);
    }
    return false;
}

static void
tell_cells(struct seen *s)
{
    struct doctor *d = s->d;

    if (s->untold) {
        doctor_find(d, DOCTOR_NOTE, "live",
                    "the next call that fails tells all others; at once: bide "
                    "set or bide apply anything",
                    "a change was stored, and not announced: %s%s",
                    s->untold_name, s->untold > 1 ? " and others" : "");
    }
    if (s->missing) {
        doctor_find(d, DOCTOR_NOTE, "live",
                    "define it: bide apply FILE; bide list tells who asks",
                    "services ask for %s%s, which nobody has defined",
                    s->missing_name, s->missing > 1 ? " and others" : "");
    }
    if (s->full) {
        doctor_find(d, DOCTOR_NOTE, "live",
                    "is the scope a host's name, and not a customer's?",
                    "%s%s: more scopes than get a place of their own; the rest "
                    "share %s",
                    s->full_name, s->full > 1 ? " and others" : "",
                    SCOPE_OTHERS);
    }
    if (s->nameless) {
        doctor_find(d, DOCTOR_NOTE, "live", NULL,
                    "%u %s of a process that was killed while it made %s: it "
                    "costs half a KiB each",
                    s->nameless, s->nameless > 1 ? "places" : "place",
                    s->nameless > 1 ? "them" : "it");
    }
}

static void
check_cells(struct doctor *d, struct live *l)
{
    struct seen *s = calloc(1, sizeof(*s));
    bool told = is_told(d, l);
    uint32_t count = cell_count(l);

    if (!s) {
        d->out->out_of_memory = true;
        return;
    }
    s->d = d;
    s->live = l;
    s->now_ns = clock_monotonic_ns();
    d->out->cells = count;
    for (uint32_t i = 0; i < count; i++) {
        check_cell(s, i, told);
    }
    tell_cells(s);
    free(s);
}

/* ---- what was refused, and who died ---- */

static void
check_refused(struct doctor *d, struct live *l)
{
    struct live_header *h = live_header(l);
    uint32_t cells = atomic_load(&h->cells_refused);
    uint64_t pages = atomic_load(&h->pages_refused), when = 0;
    int trouble = admin_trouble(d->admin, &when);

    if (cells) {
        doctor_find(d, DOCTOR_WRONG, "live",
                    "fewer policies and scopes, or more room on its file "
                    "system",
                    "%u times there was no place for a policy or scope", cells);
    }
    if (pages) {
        doctor_find(d, DOCTOR_WRONG, "live", "make room on its file system",
                    "%llu times there was no memory to count in: counts are "
                    "missing",
                    (unsigned long long)pages);
    }
    if (trouble) {
        uint64_t now = clock_realtime_ns();

        doctor_find(
            d, DOCTOR_WRONG, "registry",
            "may the service read registry.mdb? It says so when all "
            "is well again",
            "a service could not read it %llu s ago: %s",
            (unsigned long long)(now > when ? (now - when) / 1000000000 : 0),
            bide_strerror(trouble));
    }
}

static int
count_sleeper(void *arg, const struct sleeper *s)
{
    (void)s;
    *(uint32_t *)arg += 1;
    return 0;
}

static void
check_sleepers(struct doctor *d, struct live *l)
{
    uint64_t now = clock_monotonic_ns();
    uint32_t dead = sleeper_dead(l, now);

    sleeper_each(l, now, count_sleeper, &d->out->sleeping);
    if (dead) {
        doctor_find(d, DOCTOR_NOTE, "live",
                    "nothing: they free themselves, and keep nobody",
                    "%u %s of processes that died while they waited", dead,
                    dead > 1 ? "calls" : "call");
    }
}

/* ---- the file ---- */

static void
check_place(struct doctor *d)
{
    struct statfs fs;
    struct stat st;

    if (stat(d->out->live, &st) == 0) {
        d->out->live_bytes = (uint64_t)st.st_blocks * 512;
    }
    if (statfs(d->out->live, &fs) == 0) {
        d->out->on_tmpfs = fs.f_type == TMPFS || fs.f_type == RAMFS;
        if (!d->out->on_tmpfs) {
            doctor_find(d, DOCTOR_NOTE, "live",
                        "put it on a tmpfs: bide init --live /run/bide (a new "
                        "registry)",
                        "%s is not on a tmpfs: calls may stall while the disk "
                        "is written",
                        d->out->live);
        }
    }
}

static bool
can_attach(struct doctor *d, struct live_header *h)
{
    int rc = live_look(d->out->live, reader_id(d->admin->past.reader), h);

    switch (rc) {
    case 0:
        return true;
    case BIDE_EMISSING:
        doctor_find(d, DOCTOR_NOTE, "live", NULL,
                    "no service has begun yet: nothing was counted");
        return false;
    case LIVE_STALE:
        doctor_find(d, DOCTOR_NOTE, "live",
                    "nothing: the next service makes a new one",
                    "%s is of an earlier boot, or was cut short", d->out->live);
        return false;
    case BIDE_EDAMAGED:
        doctor_find(d, DOCTOR_WRONG, "live", "move it away",
                    "%s is no live file of this registry: services count for "
                    "themselves",
                    d->out->live);
        return false;
    default:
        doctor_find(d, DOCTOR_WRONG, "live",
                    rc == BIDE_EPERM ? "look as root, or as a member of the "
                                       "group that owns it"
                                     : NULL,
                    "%s: %s", d->out->live, bide_strerror(rc));
        return false;
    }
}

void
doctor_live(struct doctor *d)
{
    struct live_header h;
    struct live *l;

    if (!d->admin) {
        return;
    }
    snprintf(d->out->live, sizeof(d->out->live), "%s",
             reader_live_path(d->admin->past.reader));
    if (!can_attach(d, &h)) {
        return;
    }
    d->out->has_live = true;
    d->out->cells_max = h.cell_max;
    d->out->begun_ns = h.begun_ns;
    check_place(d);
    l = past_live(&d->admin->past, false);
    if (!l) {
        doctor_find(d, DOCTOR_WRONG, "live", NULL, "%s: it cannot be mapped",
                    d->out->live);
        return;
    }
    check_cells(d, l);
    check_refused(d, l);
    check_sleepers(d, l);
}
