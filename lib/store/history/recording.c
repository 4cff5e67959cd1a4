/* Begins and ends recordings.  Each opens LMDB and closes it again.  LMDB needs
 * no lock of its own: history.lock keeps other recorders out, and readers do
 * not use LMDB. */
#include "recording_inside.h"
#include "recording_line.h"
#include "history_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/paths.h"
#include "base/safe.h"
#include "store/file/place.h"
#include "store/file/seal.h"
#include "store/pages/pages_file.h"

enum { QUICK_WAIT_MS = 200 };

_Static_assert((int)HISTORY_DATABASES <= (int)LMDB_DATABASES_MAX, "lmdb_open");

int
recording_failed(struct recording *r, int rc)
{
    const int code = lmdb_code(r->dir, &rc);

    if (rc > 0) {
        return place_failed(r->path, rc);
    }
    switch (code) {
    case 0:
        return 0;
    case BIDE_EFULL:
        return place_say(code, "%s: %s\nmake room there", r->path,
                         mdb_strerror(rc));
    default:
        return place_say(code == BIDE_EFORMAT ? code : BIDE_EDAMAGED,
                         "%s: %s\n" ASIDE, r->path, mdb_strerror(rc));
    }
}

int
recording_damaged(struct recording *r, const char *what)
{
    return place_say(BIDE_EDAMAGED, "%s: %s is damaged\n" ASIDE, r->path, what);
}

/* ---- the lock ---- */

static int
take_history_lock(struct recording *r, unsigned wait_ms)
{
    int rc = place_wait(r->dir, PATH_HISTORY_LOCK, wait_ms, &r->lock);

    return rc == BIDE_ELOCKED
               ? place_say(rc,
                           "%s/" PATH_HISTORY_LOCK ": held by another recorder",
                           r->dir)
               : rc;
}

/* ---- small values ---- */

int
recording_get(struct recording *r, int db, const void *key, size_t key_length,
              const uint8_t **out, size_t *out_length)
{
    MDB_val k = lmdb_val(key, key_length), v;
    int rc = mdb_get(r->txn, r->dbi[db], &k, &v);

    if (rc == MDB_NOTFOUND) {
        return BIDE_ENOPOLICY;
    }
    if (rc) {
        return recording_failed(r, rc);
    }
    *out = seal_read(key, key_length, v.mv_data, v.mv_size, out_length);
    return *out ? 0 : BIDE_EDAMAGED;
}

int
recording_set(struct recording *r, int db, const void *key, size_t key_length,
              const void *value, size_t length)
{
    uint8_t *sealed = r->base; /* write_base makes its value there */
    uint32_t crc = crc32c(crc32c(0, key, key_length), value, length);
    MDB_val k = lmdb_val(key, key_length), v = lmdb_val(sealed, 4 + length);
    int rc;

    memmove(sealed + 4, value, length);
    memcpy(sealed, &crc, sizeof(crc));
    /* A block usually has the last key; MDB_APPEND fills its page. */
    rc = mdb_put(r->txn, r->dbi[db], &k, &v,
                 db == MINUTES || db == HOURS ? MDB_APPEND : 0);
    if (rc == MDB_KEYEXIST) {
        rc = mdb_put(r->txn, r->dbi[db], &k, &v, 0);
    }
    if (rc) {
        r->failed = recording_failed(r, rc);
    }
    return r->failed;
}

static int
write_state(struct recording *r)
{
    r->state.commit = mdb_txn_id(r->txn);
    return recording_set(r, STATE, "m", 1, &r->state, sizeof(r->state));
}

struct history_changes *
recording_changes(struct recording *r)
{
    return &r->state.changes;
}

static int
get_state(struct recording *r)
{
    const uint8_t *value = NULL;
    size_t length;
    int rc = recording_get(r, STATE, "m", 1, &value, &length);

    rc = rc ? rc : history_read_state(r->path, value, length, &r->state);
    return rc == BIDE_ENOPOLICY || rc == BIDE_EDAMAGED
               ? recording_damaged(r, "its state")
           : rc == BIDE_EFORMAT ? place_say(rc, "%s", pages_why())
                                : rc;
}

/* ---- opening ---- */

static int
open_databases(struct recording *r, unsigned flags)
{
    return recording_failed(r,
                            lmdb_databases(r->txn, history_databases,
                                           HISTORY_DATABASES, flags, r->dbi));
}

static void
close_history_file(struct recording *r)
{
    mdb_txn_abort(r->txn);
    r->txn = NULL;
    if (r->env) {
        mdb_env_close(r->env);
    }
    r->env = NULL;
}

static int
fill_history(void *arg, MDB_txn *txn)
{
    struct recording *r = arg;
    int rc;

    r->txn = txn;
    rc = open_databases(r, MDB_CREATE);
    rc = rc ? rc : r->fill(r);
    rc = rc ? rc : write_state(r);
    r->txn = NULL; /* lmdb_make_file ends it */
    return rc;
}

static int
map_making_result(void *arg, int rc)
{
    return recording_failed(arg, rc);
}

int
recording_make(struct recording *r, recording_fill_fn *fill)
{
    r->fill = fill;
    return lmdb_make_file(&(struct lmdb_new){.dir = r->dir,
                                             .path = r->path,
                                             .keep_old = r->pages != NULL,
                                             .fill = fill_history,
                                             .failed = map_making_result,
                                             .arg = r});
}

static int
fill_nothing(struct recording *r)
{
    r->state = (struct history_state){
        .format = HISTORY_FORMAT,
        .next_id = 1,
        .flags = history_was_made(r->dir) ? HISTORY_REMADE : 0};
    return 0;
}

/* Reports damaged records too: they are left out of the new file. */
static int
check_records(struct pages *f)
{
    struct history_survey s;
    int rc = history_survey(f, &s);

    return rc || !s.damaged
               ? rc
               : pages_damaged("%s: damaged records and pages: %llu", f->path,
                               (unsigned long long)s.damaged);
}

static int
check_history_file(struct recording *r)
{
    int rc;

    pages_close(r->pages);
    r->pages = NULL;
    rc = place_open_checked(r->dir, r->path, PATH_HISTORY_CHECKED,
                            r->quick ? NULL : check_records, &r->pages);
    if (rc == BIDE_EDAMAGED || rc == BIDE_EFORMAT) {
        return place_say(rc, "%s\n" ASIDE, pages_why());
    }
    return rc ? place_say(rc, "%s: %s", r->path, pages_why()) : 0;
}

static int
open_checked(struct recording *r)
{
    int rc = check_history_file(r);

    if (!rc && safe_check(r->pages->fd, r->path)) {
        rc = place_failed(r->path, errno);
    }
    rc = rc ? rc
            : recording_failed(r, lmdb_open(r->path, r->pages->fd, 0, &r->env));
    rc = rc ? rc : recording_failed(r, mdb_txn_begin(r->env, NULL, 0, &r->txn));
    rc = rc ? rc : open_databases(r, 0);
    return rc ? rc : get_state(r);
}

static int
open_history_file(struct recording *r)
{
    int rc = 0;

    if (access(r->path, F_OK)) {
        rc = errno == ENOENT ? recording_make(r, fill_nothing)
                             : place_failed(r->path, errno);
    }
    rc = rc ? rc : open_checked(r);
    if (rc == BIDE_EDAMAGED && r->pages && !r->quick) {
        close_history_file(r);
        rc = recording_rescue(r);
        rc = rc ? rc : open_checked(r);
    }
    return rc;
}

static int
open_recording(const char *dir, bool quick, struct recording **out)
{
    struct recording *r = calloc(1, sizeof(*r));
    int rc = 0;

    if (!r) {
        return place_failed(dir, ENOMEM);
    }
    r->quick = quick;
    r->lock = -1;
    r->process = process_self().id;
    r->dir = strdup(dir);
    r->path = place_path(dir, PATH_HISTORY);
    if (!r->dir || !r->path) {
        rc = place_failed(dir, ENOMEM);
    }
    rc = rc ? rc : take_history_lock(r, quick ? QUICK_WAIT_MS : LOCK_WAIT_MS);
    rc = rc ? rc : open_history_file(r);
    if (rc) {
        recording_end(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* ---- beginning ---- */

static bool
is_same_live(const struct recording *r, const struct recording_source *from)
{
    return r->state.live_begun_ns == from->begun_ns &&
           !memcmp(r->state.live_boot, from->boot, sizeof(from->boot));
}

/* Binds the file to the registry `from`, or fails if it is of another one. */
static int
bind_registry(struct recording *r, const struct recording_source *from)
{
    static const uint8_t unknown[sizeof(from->registry)];
    uint8_t *mine = r->state.registry;

    if (!memcmp(mine, unknown, sizeof(unknown))) {
        memcpy(mine, from->registry, sizeof(unknown));
    }
    return !memcmp(mine, from->registry, sizeof(unknown)) ||
                   !memcmp(from->registry, unknown, sizeof(unknown))
               ? 0
               : place_say(BIDE_EFORMAT, "%s is of another registry\n" ASIDE,
                           r->path);
}

/* Sets the interval that ends now; the clock may have been set back. */
static void
set_interval(struct recording *r, const struct recording_source *from,
             bool same, uint64_t now_ns)
{
    struct history_state *s = &r->state;
    uint64_t begin = same ? s->last_ns : from->begun_ns - (uint64_t)s->jump_ns;

    if (now_ns <= s->last_ns && s->last_ns - now_ns < HOUR_NS) {
        now_ns = s->last_ns + 1;
    }
    r->result.begin_ns = smaller_ns(begin, now_ns);
    r->result.end_ns = now_ns;
    r->before_ns = s->last_ns;
    s->newest_ns = larger_ns(s->newest_ns, now_ns);
    if (s->hours_from_ns > now_ns) {
        s->hours_from_ns = 0; /* the clock is behind, or was ahead: nothing is
                                 old because of that */
    }
    line_note_gap(s, s->last_ns, now_ns);
}

/* Begins the blocks of this interval.  Call it after the hour of the recording
 * before was closed. */
static void
begin_blocks(struct recording *r, bool new_hour)
{
    uint64_t begin = r->result.begin_ns, end = r->result.end_ns;

    r->new_hour = new_hour;
    if (new_hour) {
        r->state.hour_from_ns = begin;
    }
    r->state.last_ns = end;
    r->minute = (struct block){.db = MINUTES,
                               .begin_ns = begin,
                               .end_ns = end,
                               .key_ns = end,
                               .part_known = true,
                               .length = BLOCK_HEADER};
    r->hour = (struct block){.db = HOURS,
                             .begin_ns = r->state.hour_from_ns,
                             .end_ns = end,
                             .key_ns = hour_end(end),
                             .length = BLOCK_HEADER};
}

/* Begins an interval, or ends `r`. */
static int
begin_interval(struct recording *r, const struct recording_source *from,
               uint64_t now_ns, struct recording **out)
{
    struct history_state *s = &r->state;
    /* If it is not known which live state was recorded, assumes this one. */
    bool same = is_same_live(r, from) || s->flags & HISTORY_LIVE_LOST;
    bool new_hour;
    int rc = bind_registry(r, from);

    r->put_back = !same && !r->stale && s->last_ns && from->recorded_ns;
    set_interval(r, from, same || r->put_back, now_ns);
    new_hour = hour_end(s->last_ns) != hour_end(r->result.end_ns);
    if (!rc && s->last_ns && (new_hour || !same)) {
        r->hour = (struct block){.db = HOURS,
                                 .begin_ns = s->hour_from_ns,
                                 .end_ns = s->last_ns,
                                 .key_ns = hour_end(s->last_ns),
                                 .length = BLOCK_HEADER};
        rc = recording_close_hour(r);
    }
    if (!rc && !same) {
        /* All counts are new: another live state begins at 0. */
        rc = recording_failed(r, mdb_drop(r->txn, r->dbi[BASE], 0));
        s->flags &= HISTORY_REMADE;
    }
    s->live_begun_ns = from->begun_ns;
    memcpy(s->live_boot, from->boot, sizeof(from->boot));
    r->all_cells = true;
    begin_blocks(r, new_hour);
    rc = rc ? rc : line_note(r, from, !same, r->before_ns);
    if (rc) {
        recording_end(r);
    } else {
        *out = r;
    }
    return rc;
}

int
recording_begin(const char *dir, const struct recording_source *from,
                uint64_t now_ns, uint64_t every_ns, struct recording **out)
{
    struct recording *r;
    int rc = open_recording(dir, false, &r);

    if (rc) {
        return rc;
    }
    now_ns = line_place(r, from, now_ns);
    if (!r->result.rescued && is_same_live(r, from) && !from->older &&
        !r->stale && !from->put_back && every_ns &&
        r->state.last_ns / every_ns == now_ns / every_ns) {
        recording_end(r);
        return RECORDING_DONE;
    }
    r->state.every_ns = every_ns && !from->once ? every_ns : r->state.every_ns;
    return begin_interval(r, from, now_ns, out);
}

int
recording_begin_now(const char *dir, const struct recording_source *from,
                    uint64_t now_ns, struct recording **out)
{
    const struct file_path path = path_of(dir, PATH_HISTORY);
    struct recording *r = NULL;
    int rc = access(path.text, W_OK) ? place_failed(path.text, errno)
                                     : open_recording(dir, true, &r);

    return rc ? rc : begin_interval(r, from, line_place(r, from, now_ns), out);
}

int
recording_begin_levels(const char *dir, uint64_t now_ns, struct recording **out)
{
    int rc = open_recording(dir, false, out);

    if (!rc) {
        (*out)->result.begin_ns = (*out)->result.end_ns = now_ns;
    }
    return rc;
}

/* ---- ending ---- */

/* Writes the blocks and the state. */
static int
write_rest(struct recording *r)
{
    struct history_changes *c = &r->state.changes;
    int rc = recording_flush(r, &r->minute);

    rc = rc ? rc : recording_flush(r, &r->hour);
    rc = rc ? rc : recording_bytes(r, &r->result.bytes);
    if (r->all_cells) {
        r->state.flags = 0; /* every cell has a base again */
    }
    if (llabs(r->state.jump_ns - c->shift[0].jump_ns) > INT64_C(1000000000)) {
        memmove(&c->shift[1], c->shift, sizeof(c->shift) - sizeof(*c->shift));
        c->shift[0].sequence = c->sequence;
        c->shift[0].jump_ns = r->state.jump_ns;
    }
    return rc ? rc : write_state(r);
}

int
recording_commit(struct recording *r)
{
    int rc;

    if (r->process != process_self().id || !r->txn) {
        return place_say(BIDE_EINVAL, "the recording has ended");
    }
    rc = r->failed ? r->failed : write_rest(r);
    if (rc) {
        mdb_txn_abort(r->txn);
    } else {
        rc = recording_failed(r, mdb_txn_commit(r->txn));
    }
    r->txn = NULL;
    if (!rc) {
        place_set_checked(r->dir, PATH_HISTORY_CHECKED, r->pages);
    }
    return rc;
}

void
recording_end(struct recording *r)
{
    if (!r) {
        return;
    }
    if (r->process == process_self().id) {
        close_history_file(r);
        pages_close(r->pages);
    }
    if (r->lock >= 0) {
        if (r->process == process_self().id) {
            /* A child that was forked meanwhile has the same open file, so
             * closing ours would not release the lock. */
            flock(r->lock, LOCK_UN);
        }
        close(r->lock);
    }
    free(r->dir);
    free(r->path);
    free(r);
}

void
recording_result(const struct recording *r, struct recording_result *out)
{
    *out = r->result;
    out->lost = r->state.lost;
    out->jump_ns = r->state.jump_ns;
}

uint64_t
recording_tell(struct recording *r)
{
    uint64_t told = r->state.told_ns;

    r->state.told_ns = r->result.end_ns;
    return told && told < r->result.begin_ns ? told : r->result.begin_ns;
}

int
recording_adopt(const char *dir, const uint8_t registry[16])
{
    struct recording *r;
    int rc = open_recording(dir, false, &r);

    if (!rc) {
        memcpy(r->state.registry, registry, sizeof(r->state.registry));
        rc = write_state(r);
        if (!rc) {
            rc = recording_failed(r, mdb_txn_commit(r->txn));
            r->txn = NULL;
        }
        recording_end(r);
    }
    return rc;
}
