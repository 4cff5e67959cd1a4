/* Rescues a history with damaged pages, with which LMDB could crash or read
 * anything: copies the readable records one by one to a new file, where
 * counting continues.  Counts that may have been recorded before are dropped
 * rather than counted twice. */
#include "recording_inside.h"
#include "history_inside.h"

#include <string.h>

#include "store/file/place.h"
#include "store/file/seal.h"
#include "store/pages/pages_file.h"

struct copying {
    struct recording *recording;
    int db;
    bool found_state;
    bool found_counts;          /* of an interval, or totals */
    struct history_state noted; /* history_note, of all records */
    uint64_t unreadable;        /* pages and records of this database */
    int rc;
};

static bool
is_state(const struct copying *c, const void *key, size_t key_length)
{
    return c->db == STATE && key_length == 1 && memcmp(key, "m", 1) == 0;
}

static int
copy_record(void *arg, const void *key, size_t key_length, const void *bytes,
            size_t size)
{
    struct copying *c = arg;
    struct recording *r = c->recording;
    size_t length;
    const uint8_t *value = seal_read(key, key_length, bytes, size, &length);
    MDB_val k, v;
    int rc;

    if (value && is_state(c, key, key_length)) {
        rc = history_read_state(r->path, value, length, &r->state);
        c->found_state = rc == 0;
        c->unreadable += rc != 0;
        return c->rc =
                   rc == BIDE_EFORMAT ? place_say(rc, "%s", pages_why()) : 0;
    }
    if (!value) {
        c->unreadable++;
        return 0;
    }
    c->found_counts |= c->db == BASE || c->db == MINUTES || c->db == HOURS;
    history_note(&c->noted, c->db, key, key_length, value, length);
    k = lmdb_val(key, key_length);
    v = lmdb_val(bytes, size);
    rc = mdb_put(r->txn, r->dbi[c->db], &k, &v, MDB_APPEND);
    if (rc == MDB_KEYEXIST || rc == MDB_BAD_VALSIZE) {
        c->unreadable++; /* out of order: not written by a recorder */
        rc = 0;
    }
    return c->rc = recording_failed(r, rc);
}

static int
copy_database(struct copying *c, const struct snapshot *s, int db)
{
    int rc;

    c->db = db;
    c->unreadable = 0;
    rc = pages_walk(s, history_databases[db], NULL, 0, false, copy_record, c,
                    &c->unreadable);
    if (rc == BIDE_EDAMAGED || rc == BIDE_ENOPOLICY) {
        c->unreadable++; /* the whole database */
        rc = c->rc;
    }
    c->recording->result.unreadable += c->unreadable;
    return rc && !c->rc
               ? place_say(rc, "%s: %s", c->recording->path, pages_why())
               : rc;
}

static void
restore_state(struct copying *c, bool bases_lost)
{
    struct history_state *s = &c->recording->state;

    if (!c->found_state) {
        *s = (struct history_state){.format = HISTORY_FORMAT,
                                    .last_ns = c->noted.last_ns,
                                    .flags = HISTORY_LIVE_LOST};
        s->hour_from_ns =
            hour_end(s->last_ns) > HOUR_NS ? hour_end(s->last_ns) - HOUR_NS : 0;
        bases_lost = true;
    }
    s->flags |= bases_lost ? HISTORY_BASES_LOST : 0;
    if (bases_lost && !c->found_counts) {
        /* As if the file was removed: the live totals count nothing twice. */
        s->last_ns = s->live_begun_ns = s->boottime_ns = 0;
        s->flags = HISTORY_REMADE;
    }
    s->next_id = c->noted.next_id > s->next_id ? c->noted.next_id : s->next_id;
    s->unreadable += c->recording->result.unreadable;
}

static int
fill_from_damaged(struct recording *r)
{
    struct copying c = {.recording = r, .noted.next_id = 1};
    struct snapshot s;
    bool bases_lost = false;
    int rc = pages_begin(r->pages, &s);

    if (rc) {
        return place_say(rc, "%s: %s\n" ASIDE, r->path, pages_why());
    }
    r->result.unreadable = 0;
    for (int i = 0; i < HISTORY_DATABASES && !rc; i++) {
        rc = copy_database(&c, &s, i);
        bases_lost |= (i == BASE || i == NAMES) && c.unreadable > 0;
    }
    if (!rc) {
        restore_state(&c, bases_lost);
    }
    return rc;
}

int
recording_rescue(struct recording *r)
{
    int rc = recording_make(r, fill_from_damaged);

    r->result.rescued = rc == 0;
    return rc;
}
