/* Checks the live file: impossible counters, and requests of services that were
 * refused. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "admin/live.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/boot.h"
#include "live/live.h"
#include "record/past.h"
#include "registry/announce.h"
#include "rule/breaker.h"
#include "rule/budget.h"
#include "rule/histogram.h"
#include "store/policies/reader.h"
#include "doctor.h"
#include "inside.h"

enum { TMPFS = 0x01021994, RAMFS = 0x858458f6 };

/* The counters are not read at one instant: a small excess is no fault. */
#define SLACK 1000

#define COUNT_LIMIT (UINT64_C(1) << 56) /* no counter gets this far */

struct policies_seen {
    uint32_t count;
    char first[BIDE_NAME_MAX + 1];
};

struct seen {
    struct doctor *d;
    struct live *live;
    uint64_t now_ns;
    uint32_t nameless;
    struct policies_seen unannounced, undefined, full;
};

/* ---- one cell ---- */

static bool
more_than(uint64_t part, uint64_t whole)
{
    return part > whole + whole / 100 + SLACK;
}

/* Returns what cannot be right about the counters of a cell; NULL: nothing. */
static const char *
impossible_count(const struct cell_reading *r)
{
    uint64_t succeeded = histogram_count(r->succeeded);
    uint64_t failed = histogram_count(r->failed);

    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        if (i != COUNTER_SLEPT_NS && r->counter[i] >= COUNT_LIMIT) {
            return "a counter is larger than possible";
        }
    }
    return succeeded >= COUNT_LIMIT || failed >= COUNT_LIMIT
               ? "the number of attempts is larger than possible"
           : more_than(r->counter[COUNTER_RECOVERED], succeeded)
               ? "more calls succeeded after a retry than succeeded at all"
           : more_than(r->counter[COUNTER_RETRIES], succeeded + failed)
               ? "there are more retries than attempts"
               : NULL;
}

static void
find_cell_fault(struct doctor *d, enum finding_id id, const char *name,
                const char *scope, const char *why)
{
    struct doctor_finding *f = doctor_find(d, id, d->out->live, why);

    strcpy(f->name, name);
    strcpy(f->scope, scope);
}

static void
check_numbers(struct seen *s, uint32_t index, const struct cell *c,
              const char *name, const char *scope)
{
    uint64_t gate = atomic_load_explicit(&c->gate, memory_order_relaxed);
    struct cell_reading reading;
    const char *fault;

    cell_read(s->live, index, &reading);
    fault = impossible_count(&reading);
    if (fault) {
        find_cell_fault(s->d, FINDING_COUNT_IMPOSSIBLE, name, scope, fault);
    }
    if (gate & GATE_BREAKER_ON && !breaker_is_sound(&c->breaker, s->now_ns)) {
        find_cell_fault(s->d, FINDING_BREAKER_INVALID, name, scope, NULL);
    }
    if (gate & GATE_BUDGET_ON && !budget_is_sound(&c->budget)) {
        find_cell_fault(s->d, FINDING_BUDGET_INVALID, name, scope, NULL);
    }
}

/* Counts a policy, and keeps its name if it is the first one. */
static void
count_policy(struct policies_seen *p, const char *name)
{
    if (p->count++ == 0) {
        strcpy(p->first, name);
    }
}

/* Finds a name that nobody defined, and a change whose author died before
 * announcing it.  The end of a temporary change is noticed by the first call
 * after it. */
static void
check_version(struct seen *s, const struct cell *c, const char *name,
              bool announced)
{
    uint32_t version = atomic_load_explicit(&c->version, memory_order_relaxed);
    struct record r = {0};
    int rc;

    if (announced && version) {
        return;
    }
    rc = admin_policy(s->d->admin, name, &r);
    if (rc == BIDE_ENOPOLICY && !version) {
        count_policy(&s->undefined, name);
    } else if (!announced && (rc == 0 || rc == BIDE_ENOPOLICY) && version &&
               r.version != version && !(atomic_load(&c->gate) & GATE_ENDS)) {
        count_policy(&s->unannounced, name);
    }
    record_free(&r);
}

static void
check_cell(struct seen *s, uint32_t index, bool announced)
{
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    const struct cell *c = cell_at(s->live, index);

    if (!c || !cell_names(c, name, scope)) {
        s->nameless += !c || !(atomic_load(&c->gate) & GATE_FREED);
        return;
    }
    check_numbers(s, index, c, name, scope);
    if (*name == '@') {
        return;
    }
    if (atomic_load_explicit(&c->scopes_refused, memory_order_relaxed)) {
        count_policy(&s->full, name);
    }
    check_version(s, c, name, announced);
}

/* ---- all cells ---- */

static const struct timespec moment = {0, 20000000};

/* Reports whether the last change was announced.  A writer announces right
 * after its commit, so waits for that up to 300 ms. */
static bool
is_announced(struct doctor *d, struct live *l)
{
    struct pages_stamp stamp;

    for (int i = 0; i < 15; i++) {
        if (reader_look(admin_past(d->admin)->reader, &stamp) ||
            announced(l) >= stamp.txn) {
            return true;
        }
        nanosleep(&moment, NULL);
    }
    return false;
}

static void
find_policies(struct doctor *d, enum finding_id id,
              const struct policies_seen *p)
{
    struct doctor_finding *f;

    if (p->count > 0) {
        f = doctor_find(d, id, NULL, NULL);
        f->count = p->count;
        strcpy(f->name, p->first);
    }
}

/* Finds calls that do not follow the registry.  A change may be under way, so
 * a gate must be wrong twice. */
static void
find_wrong_gates(struct doctor *d, struct live *l)
{
    struct reader *r = admin_past(d->admin)->reader;
    struct policies_seen wrong;

    if (announce_wrong_gates(l, r, wrong.first) > 0) {
        nanosleep(&moment, NULL);
        wrong.count = announce_wrong_gates(l, r, wrong.first);
        find_policies(d, FINDING_GATE_WRONG, &wrong);
    }
}

static void
check_cells(struct doctor *d, struct live *l)
{
    bool announced = is_announced(d, l);
    struct seen s = {.d = d, .live = l, .now_ns = clock_monotonic_ns()};

    d->out->cells = cell_count(l);
    for (uint32_t i = 0; i < d->out->cells; i++) {
        check_cell(&s, i, announced);
    }
    find_policies(d, FINDING_CHANGE_UNANNOUNCED, &s.unannounced);
    if (s.unannounced.count == 0) {
        find_wrong_gates(d, l);
    }
    find_policies(d, FINDING_POLICY_UNDEFINED, &s.undefined);
    find_policies(d, FINDING_SCOPES_TOO_MANY, &s.full);
    doctor_find_count(d, FINDING_CELLS_NAMELESS, s.nameless);
}

/* ---- refused requests, dead processes ---- */

static void
check_refused(struct doctor *d, struct live *l)
{
    struct live_header *h = live_header(l);
    uint32_t cells = atomic_load(&h->cells_refused);
    uint32_t shares = atomic_load(&h->shares_refused);
    uint64_t pages = atomic_load(&h->pages_refused), when = 0;
    int trouble = admin_trouble(d->admin, &when);

    if (cells) {
        doctor_find_count(d, FINDING_CELLS_OF_PROCESS, shares);
        cells = cells > shares ? cells - shares : 0;
    }
    if (cell_count(l) == d->out->cells_max) {
        doctor_find_count(d, FINDING_CELLS_REFUSED, cells);
        cells = 0;
    }
    if (pages + cells) {
        doctor_find(d, FINDING_MEMORY_REFUSED, NULL,
                    d->out->memory.free < DOCTOR_LOW
                        ? "free space on the file system of the live "
                          "file"
                        : "the file system has room now; if this stays, "
                          "look at quotas and memory limits")
            ->count = pages + cells;
    }
    if (trouble) {
        struct doctor_finding *f =
            doctor_find(d, FINDING_SERVICE_CANNOT_READ, NULL, NULL);
        uint64_t now = clock_realtime_ns();

        f->age_ns = now > when ? now - when : 0;
        f->rc = trouble;
        d->is_unread = trouble == BIDE_EFORMAT;
        strcpy(f->words, d->is_unread ? "its libbide is older\nstart it again "
                                        "with the newer library"
                                      : "");
    }
}

/* Counts a waiting call, or finds a process that closed its registry and has
 * not ended its calls. */
static int
see_sleeper(void *arg, const struct sleeper *s)
{
    struct doctor *d = arg;
    struct doctor_finding *f;

    if (s->cell != SLEEPER_CLOSED) {
        d->out->sleeping++;
    } else if (!s->by.elsewhere) { /* else it may be dead */
        f = doctor_find(d, FINDING_CALLS_UNENDED, NULL, NULL);
        snprintf(f->words, sizeof(f->words), "%s (pid %u)", s->by.program,
                 s->by.pid);
        f->count = s->attempts;
        f->age_ns = clock_monotonic_ns() + SLEEPER_CLOSED_NS - s->wake_ns;
    }
    return 0;
}

static void
check_sleepers(struct doctor *d, struct live *l)
{
    uint64_t now = clock_monotonic_ns();
    uint32_t dead = sleeper_dead(l, now);

    sleeper_each(l, now, see_sleeper, d);
    if (d->out->sleeping + dead >= SLEEPER_SLOTS) {
        doctor_find_count(d, FINDING_WAITING_CALLS_FULL, d->out->sleeping);
    }
    doctor_find_count(d, FINDING_WAITING_CALLS_DEAD, dead);
}

/* ---- the file ---- */

static void
check_place(struct doctor *d, struct live *l)
{
    struct tick_scale scale = {live_header(l)->tick_mult};
    struct statfs fs;
    struct stat st;

    /* Again, as a measurement may be disturbed. */
    if (scale.mult && !clock_scale_ok(scale) && !clock_scale_ok(scale)) {
        doctor_find(d, FINDING_LIVE_SCALE, d->out->live, NULL);
    }
    if (stat(d->out->live, &st) == 0) {
        d->out->live_bytes = (uint64_t)st.st_blocks * 512;
    }
    if (statfs(d->out->live, &fs) == 0) {
        d->out->on_tmpfs = fs.f_type == TMPFS || fs.f_type == RAMFS;
        if (!d->out->on_tmpfs) {
            doctor_find(d, FINDING_LIVE_ON_DISK, d->out->live, NULL);
        }
    }
}

/* Reports whether there was a live file: the history has a recording of this
 * boot, or there is the bell that the first service made beside it.  A live
 * file of an earlier boot stays where it is, and is replaced. */
static bool
live_was_there(struct doctor *d)
{
    char bell[sizeof(d->out->live) + sizeof(".bell")];
    struct history_known k;
    uint8_t boot[16];

    boot_id(boot);
    snprintf(bell, sizeof(bell), "%s.bell", d->out->live);
    return access(bell, F_OK) == 0 ||
           (past_known(admin_past(d->admin), &k) == 0 && k.boottime_ns &&
            memcmp(k.boot, boot, sizeof(boot)) == 0);
}

/* Finds a live file that another one is recorded in the place of: this is a
 * container without the directory of the host's. */
static void
check_recorded(struct doctor *d, const struct live_header *h)
{
    struct history_known k;

    if (!atomic_load(&h->recorded_ns) &&
        past_known(admin_past(d->admin), &k) == 0 && k.live_begun_ns &&
        k.live_begun_ns != h->begun_ns &&
        k.last_ns > h->begun_ns - (uint64_t)k.jump_ns) {
        doctor_find(d, FINDING_LIVE_UNSHARED, d->out->live, NULL);
    }
}

struct live *
doctor_attach(struct doctor *d)
{
    struct past *p = admin_past(d->admin);
    struct live *l = NULL;
    struct live_header h;
    int rc = live_look(d->out->live, reader_id(p->reader), &h);

    d->has_ours = rc == 0 || rc == BIDE_EPERM || rc == BIDE_EFORMAT;
    if (rc == 0) {
        d->out->has_live = true;
        d->out->cells_max = h.cell_max;
        d->out->begun_ns = h.begun_ns;
        l = past_live(p, false);
        rc = p->live_rc ? p->live_rc : BIDE_EMISSING;
        if (l) {
            check_recorded(d, &h);
            check_refused(d, l);
            return l;
        }
        if (rc == BIDE_EDAMAGED) {
            return NULL; /* found by doctor_rights */
        }
    }
    doctor_find(d,
                rc == BIDE_EMISSING && live_was_there(d) ? FINDING_LIVE_REMOVED
                : rc == BIDE_EMISSING                    ? FINDING_LIVE_NONE
                : rc == LIVE_STALE                       ? FINDING_LIVE_STALE
                : rc == BIDE_EDAMAGED                    ? FINDING_LIVE_FOREIGN
                : rc == BIDE_EPERM   ? FINDING_LIVE_FORBIDDEN
                : rc == BIDE_EFORMAT ? FINDING_LIVE_NEWER
                                     : FINDING_LIVE_UNREADABLE,
                d->out->live, NULL)
        ->rc = rc;
    return NULL;
}

void
doctor_live(struct doctor *d)
{
    const char *original;
    struct live *l;

    if (!d->admin) {
        return;
    }
    original = reader_original(admin_past(d->admin)->reader);
    if (original) {
        doctor_find(d, FINDING_LIVE_OF_COPY, original, NULL);
    }
    l = doctor_attach(d);
    if (l) {
        check_place(d, l);
        check_cells(d, l);
        check_sleepers(d, l);
    }
}
