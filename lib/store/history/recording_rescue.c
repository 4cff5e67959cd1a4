/* Rescues a history with damaged pages, with which LMDB could crash or read
 * anything: copies the readable records one by one to a new file, where
 * counting continues.  Counts that may have been recorded before are dropped
 * rather than counted twice. */
#include "recording_inside.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/file/place.h"
#include "store/file/seal.h"
#include "store/pages/pages_file.h"

struct copying {
    struct recording *recording;
    int db;
    bool found_state;
    uint32_t last_id;    /* the highest id in any record */
    uint64_t last_ns;    /* the end of the last interval */
    uint64_t unreadable; /* pages and records of this database */
    int rc;
};

/* Notes the ids in a block: the id of a lost name must not be used again. */
static void
note_block(struct copying *c, const void *key, size_t key_length,
           const uint8_t *value, size_t length)
{
    uint64_t end = form_block_end(key, key_length);
    struct form_block block;
    struct form_entry e;

    c->last_ns = c->db == MINUTES && end > c->last_ns ? end : c->last_ns;
    if (!form_block_open(value, length, &block)) {
        return;
    }
    while (form_block_next(&block, &e)) {
        c->last_id = e.id > c->last_id ? e.id : c->last_id;
    }
}

static void
note_record_id(struct copying *c, const uint8_t *bytes)
{
    uint32_t id;

    memcpy(&id, bytes, sizeof(id));
    id = c->db == BASE ? be32toh(id) : id;
    c->last_id = id > c->last_id ? id : c->last_id;
}

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

    if (!value ||
        (is_state(c, key, key_length) && length != sizeof(r->state))) {
        c->unreadable++;
        return 0;
    }
    if (is_state(c, key, key_length)) {
        memcpy(&r->state, value, length);
        c->found_state = true;
        return 0;
    }
    if (c->db == MINUTES || c->db == HOURS) {
        note_block(c, key, key_length, value, length);
    } else if (c->db == NAMES && length == sizeof(struct form_name)) {
        note_record_id(c, value);
    } else if (c->db == BASE && key_length == sizeof(uint32_t)) {
        note_record_id(c, key);
    }
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
    rc = pages_walk_whole(s, history_databases[db], NULL, 0, copy_record, c,
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
                                    .last_ns = c->last_ns,
                                    .flags = HISTORY_LIVE_LOST};
        s->hour_from_ns =
            hour_end(s->last_ns) > HOUR_NS ? hour_end(s->last_ns) - HOUR_NS : 0;
        bases_lost = true;
    }
    s->flags |= bases_lost ? HISTORY_BASES_LOST : 0;
    s->next_id = c->last_id >= s->next_id ? c->last_id + 1 : s->next_id;
    s->unreadable += c->recording->result.unreadable;
}

static int
fill_from_damaged(struct recording *r)
{
    struct copying c = {.recording = r};
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
    if (!rc && c.found_state && r->state.format != HISTORY_FORMAT) {
        return place_say(BIDE_EFORMAT,
                         "%s: its format is %u, this bide knows %d\n" ASIDE,
                         r->path, r->state.format, HISTORY_FORMAT);
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
