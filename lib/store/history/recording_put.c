/* Records cells.  The difference between a cell's totals and its base is
 * appended to this minute's block, and the totals become the base. */
#include "recording_inside.h"

#include <assert.h>
#include <string.h>

#include "store/file/place.h"
#include "store/file/seal.h"

/* ---- blocks ---- */

/* Finds the number of the next part.  An hour has earlier parts if a version
 * ended within it. */
static int
find_part(struct recording *r, struct block *b)
{
    uint8_t key[BLOCK_KEY];
    MDB_val k = lmdb_val(key, form_block_key(b->key_ns, UINT16_MAX, key)), v;
    MDB_cursor *cursor;
    int rc;

    if (b->part_known) {
        return 0;
    }
    rc = mdb_cursor_open(r->txn, r->dbi[b->db], &cursor);
    if (rc) {
        return recording_failed(r, rc);
    }
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    rc = mdb_cursor_get(cursor, &k, &v, rc ? MDB_LAST : MDB_PREV);
    b->part = 0;
    if (rc == 0 && form_block_end(k.mv_data, k.mv_size) == b->key_ns) {
        b->part = 1 + (uint32_t)key_get((const uint8_t *)k.mv_data + 8, 2);
    }
    mdb_cursor_close(cursor);
    b->part_known = rc == 0 || rc == MDB_NOTFOUND;
    return b->part_known ? 0 : recording_failed(r, rc);
}

int
recording_flush(struct recording *r, struct block *b)
{
    uint8_t key[BLOCK_KEY];
    int rc;

    if (b->length <= BLOCK_HEADER) {
        return 0;
    }
    rc = find_part(r, b);
    if (rc) {
        return rc;
    }
    if (b->part >= UINT16_MAX) {
        return place_say(BIDE_EFULL, "%s: too many cells", r->path);
    }
    form_put_header(b->begin_ns, b->end_ns, b->bytes);
    rc = recording_set(r, b->db, key, form_block_key(b->key_ns, b->part, key),
                       b->bytes, b->length);
    b->part++;
    b->length = BLOCK_HEADER;
    b->last_id = 0;
    return rc;
}

static int
append_entry(struct recording *r, struct block *b, const struct form_entry *e)
{
    size_t length = form_put_entry(e, b->last_id, r->entry);

    if (b->length + length > BLOCK_ROOM && b->length > BLOCK_HEADER) {
        int rc = recording_flush(r, b);

        if (rc) {
            return rc;
        }
        length = form_put_entry(e, 0, r->entry);
    }
    b->last_id = e->id;
    assert(b->length + length <= sizeof(b->bytes));
    memcpy(b->bytes + b->length, r->entry, length);
    b->length += length;
    return 0;
}

/* ---- bases ---- */

/* Writes a base, sealed in r->base; b->hour may point there, hence memmove. */
static int
write_base(struct recording *r, uint32_t id, const struct form_base *b)
{
    uint32_t now_length = (uint32_t)b->now_length;
    uint8_t key[4], *value = r->base + 4;

    assert(b->now_length + b->hour_length + BASE_HEADER <= BASE_MAX);
    memmove(value + BASE_HEADER + now_length, b->hour, b->hour_length);
    memmove(value + BASE_HEADER, b->now, now_length);
    memcpy(value, &b->begun, 8);
    memcpy(value + 8, &b->version, 4);
    memcpy(value + 12, &now_length, 4);
    return recording_set(r, BASE, key, form_id_key(id, key), value,
                         BASE_HEADER + b->now_length + b->hour_length);
}

/* Reports whether a cell has counted anything in this hour. */
static bool
has_counted(const struct form_base *b)
{
    return b->now_length != b->hour_length ||
           memcmp(b->now, b->hour, b->now_length);
}

/* Appends a cell's counts of this hour so far to the hour's block.
 * BIDE_EDAMAGED has no message. */
static int
append_hour(struct recording *r, uint32_t id, const struct form_base *b)
{
    struct figures now;
    struct form_entry e = {id, b->version, r->bytes, 0};

    if (!figures_read(b->now, b->now_length, &now) ||
        !figures_read(b->hour, b->hour_length, &r->before)) {
        return BIDE_EDAMAGED;
    }
    figures_between(&r->before, &now, &r->difference);
    e.length = figures_write(&r->difference, r->bytes);
    return append_entry(r, &r->hour, &e);
}

static int
close_cell_hour(struct recording *r, const MDB_val *key, const MDB_val *sealed)
{
    uint32_t id = (uint32_t)key_get(key->mv_data, 4);
    const uint8_t *value;
    struct form_base b;
    size_t length;
    int rc;

    value = seal_read(key->mv_data, key->mv_size, sealed->mv_data,
                      sealed->mv_size, &length);
    if (!id || !value || !form_base_read(value, length, &b)) {
        return 0; /* recording_put handles it if the cell still exists */
    }
    if (!has_counted(&b)) {
        return 0;
    }
    rc = append_hour(r, id, &b);
    if (rc) {
        return rc == BIDE_EDAMAGED ? 0 : rc;
    }
    /* Copies it first, because writing changes LMDB's page. */
    memcpy(r->bytes, b.now, b.now_length);
    b.now = b.hour = r->bytes;
    b.hour_length = b.now_length;
    return write_base(r, id, &b);
}

int
recording_close_hour(struct recording *r)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(r->txn, r->dbi[BASE], &cursor), result = 0;

    if (rc) {
        return recording_failed(r, rc);
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (!rc && !result) {
        uint8_t bytes[4];

        if (key.mv_size != sizeof(bytes)) {
            result = recording_damaged(r, "a base");
            break;
        }
        memcpy(bytes, key.mv_data, sizeof(bytes));
        result = close_cell_hour(r, &key, &value);
        /* Writing the base may have moved the cursor's record. */
        key = lmdb_val(bytes, sizeof(bytes));
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET);
        rc = rc ? rc : mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (!result && rc && rc != MDB_NOTFOUND) {
        result = recording_failed(r, rc);
    }
    return result ? result : recording_flush(r, &r->hour);
}

/* ---- names ---- */

/* Finds or adds the id of a name.  A damaged one gets a new id; the records
 * with its old id have no name any more. */
static int
find_or_add_name(struct recording *r, const uint8_t *key, size_t key_length,
                 uint32_t *out, bool *damaged)
{
    struct form_name name = {0, (uint32_t)(r->result.end_ns / DAY_NS)}, known;
    const uint8_t *value;
    size_t length;
    int rc = recording_get(r, NAMES, key, key_length, &value, &length);

    *damaged = rc == BIDE_EDAMAGED || (rc == 0 && length != sizeof(known));
    if (rc == 0 && !*damaged) {
        memcpy(&known, value, sizeof(known));
        *out = name.id = known.id;
        return known.day >= name.day ? 0 /* the clock may be behind */
                                     : recording_set(r, NAMES, key, key_length,
                                                     &name, sizeof(name));
    }
    if (rc && rc != BIDE_ENOPOLICY && rc != BIDE_EDAMAGED) {
        return rc;
    }
    if (r->state.next_id == UINT32_MAX) {
        return place_say(BIDE_EFULL, "%s: too many names", r->path);
    }
    /* A name that looks new may have been lost when the file was rescued. */
    *damaged |= r->state.flags & HISTORY_BASES_LOST;
    *out = name.id = r->state.next_id++;
    return recording_set(r, NAMES, key, key_length, &name, sizeof(name));
}

static int
find_or_add_cell(struct recording *r, const char *name, const char *scope,
                 uint32_t *out, bool *damaged)
{
    uint8_t key[NAME_KEY_MAX];

    return find_or_add_name(r, key, form_name_key('c', name, scope, key), out,
                            damaged);
}

int
recording_outcome(struct recording *r, const char *name, uint32_t *out)
{
    uint8_t key[NAME_KEY_MAX];
    bool damaged = false;
    int rc;

    if (r->failed) {
        return r->failed;
    }
    if (strcmp(name, "other") == 0) {
        *out = 0;
        return 0;
    }
    rc = find_or_add_name(r, key, form_name_key('o', name, "", key), out,
                          &damaged);
    if (!rc && damaged) {
        if (r->renewed_count < RENEWED_MAX) {
            r->renewed[r->renewed_count] = *out;
        }
        r->renewed_count++;
    }
    return rc;
}

/* Sets the earlier count of each outcome with a new id to its total, because
 * the base has none under that id and all of it would be counted again.
 * Returns false if there were too many to remember. */
static bool
adopt_renewed(struct recording *r, const struct figures *total)
{
    if (r->renewed_count > RENEWED_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < r->renewed_count; i++) {
        if (figures_outcome_count(&r->before, r->renewed[i]) == 0) {
            figures_add_outcome(&r->before, r->renewed[i],
                                figures_outcome_count(total, r->renewed[i]));
        }
    }
    return true;
}

/* ---- one cell ---- */

/* Reads the base of a cell into `buffer`, because LMDB's pages may change, and
 * its totals into r->before.  *lost: the base is damaged or was lost.  A new
 * cell has no base: out->now is NULL and r->before is zero. */
static int
find_base(struct recording *r, uint32_t id, uint8_t *buffer,
          struct form_base *out, bool *lost)
{
    static const uint8_t nothing[8];
    uint8_t key[4];
    const uint8_t *value = nothing;
    size_t length = 0;
    int rc = recording_get(r, BASE, key, form_id_key(id, key), &value, &length);

    *lost = rc == BIDE_EDAMAGED ||
            (rc == BIDE_ENOPOLICY && r->state.flags & HISTORY_BASES_LOST);
    if (rc && rc != BIDE_ENOPOLICY && rc != BIDE_EDAMAGED) {
        return rc;
    }
    *out = (struct form_base){.version = 0};
    if (rc == 0) {
        memcpy(buffer, value, length < BASE_MAX ? length : BASE_MAX);
        *lost = length > BASE_MAX || !form_base_read(buffer, length, out) ||
                !figures_read(out->now, out->now_length, &r->before);
    } else {
        memset(&r->before, 0, sizeof(r->before));
    }
    return 0;
}

/* Makes the totals the base of a cell without counting anything, because its
 * base is lost, or of a live state that was put back, and the totals may have
 * been counted before. */
static int
restart_cell(struct recording *r, uint32_t id, uint64_t begun, uint32_t version,
             const struct figures *total)
{
    struct form_base b = {
        .begun = begun, .version = version, .now = r->bytes, .hour = r->bytes};

    b.now_length = b.hour_length = figures_write(total, r->bytes);
    r->state.lost += !r->put_back;
    return write_base(r, id, &b);
}

/* Writes the totals to r->bytes.  An outcome whose name cannot be read now
 * keeps its earlier count, so that it is not counted again once the name is
 * readable. */
static size_t
write_total(struct recording *r, const struct figures *total)
{
    r->difference = *total;
    for (uint32_t i = 0; i < r->before.outcome_count; i++) {
        const struct figures_outcome *o = &r->before.outcome[i];

        if (figures_outcome_count(total, o->id) < o->count &&
            r->difference.outcome_count < FIGURES_OUTCOMES) {
            figures_add_outcome(&r->difference, o->id,
                                o->count - figures_outcome_count(total, o->id));
        }
    }
    return figures_write(&r->difference, r->bytes);
}

/* Appends the difference to the base, if any, to the minute's block. */
static int
put_difference(struct recording *r, uint32_t id, uint32_t version,
               const struct figures *total)
{
    struct form_entry e = {id, version, r->bytes, 0};

    figures_between(&r->before, total, &r->difference);
    if (figures_none(&r->difference)) {
        return 0;
    }
    r->result.cells += r->counted != id; /* once for all its versions */
    r->counted = id;
    e.length = figures_write(&r->difference, r->bytes);
    return append_entry(r, &r->minute, &e);
}

/* Appends the hour's counts under the old version, because the version changed.
 */
static int
split_hour(struct recording *r, uint32_t id, struct form_base *b)
{
    struct figures kept = r->before;
    int rc;

    if (!b->now || !has_counted(b)) {
        return 0;
    }
    rc = append_hour(r, id, b);
    r->before = kept;
    b->hour = b->now;
    b->hour_length = b->now_length;
    return rc;
}

/* Makes the totals the base of a cell, unless they are unchanged. */
static int
write_total_base(struct recording *r, uint32_t id, uint64_t begun,
                 uint32_t version, const struct figures *total,
                 struct form_base *b)
{
    size_t length = write_total(r, total);

    if (b->now && b->begun == begun && b->version == version &&
        length == b->now_length && !memcmp(r->bytes, b->now, length)) {
        return 0;
    }
    b->begun = begun;
    b->version = version;
    b->now = r->bytes;
    b->now_length = length;
    return write_base(r, id, b);
}

int
recording_put(struct recording *r, const char *name, const char *scope,
              uint64_t begun, uint32_t version, bool ended,
              const struct figures *total, uint64_t *before_turned)
{
    uint8_t buffer[BASE_MAX], empty[64];
    struct figures raised;
    struct form_base b;
    bool lost, unnamed = false;
    uint32_t id = 0;
    int rc =
        r->failed ? r->failed : find_or_add_cell(r, name, scope, &id, &unnamed);

    rc = rc ? rc : find_base(r, id, buffer, &b, &lost);
    if (rc) {
        return rc;
    }
    r->unnamed = unnamed ? id : r->unnamed;
    lost |= r->unnamed == id || r->put_back;
    if (ended && (lost || r->renewed_count > 0)) {
        *before_turned = UINT64_MAX; /* not known: the totals that follow count
                                        nothing either */
        return 0;
    }
    if (!lost && b.now && b.begun != begun) { /* it was freed: it begins at 0 */
        rc = split_hour(r, id, &b);
        b.now = NULL;
        memset(&r->before, 0, sizeof(r->before));
    }
    lost |= !adopt_renewed(r, total);
    *before_turned = lost ? total->turned : r->before.turned;
    if (ended) {
        raised = *total;
        total = &raised;
        figures_raise(&raised, &r->before);
        figures_between(&r->before, &raised, &r->difference);
        if (!rc && figures_none(&r->difference)) {
            return 0;
        }
    }
    if (lost) {
        return restart_cell(r, id, begun, version, total);
    }
    if (!rc && b.now && b.version != version) {
        rc = split_hour(r, id, &b);
    }
    rc = rc ? rc : put_difference(r, id, version, total);
    if (rc) {
        return r->failed = rc;
    }
    if (!b.now) {
        memset(&r->difference, 0, sizeof(r->difference));
        b.hour = empty;
        b.hour_length = figures_write(&r->difference, empty);
    }
    return write_total_base(r, id, begun, version, total, &b);
}

/* ---- events ---- */

int
recording_event(struct recording *r, const char *name, const char *scope,
                const struct history_event *event)
{
    size_t words = strnlen(event->words, sizeof(event->words) - 1);
    uint8_t key[EVENT_KEY], bytes[3 + sizeof(event->words)];
    uint32_t id = 0, number = 0; /* id 0: of the host */
    const uint8_t *value;
    size_t length;
    bool damaged;
    int rc = r->failed ? r->failed
             : *name   ? find_or_add_cell(r, name, scope, &id, &damaged)
                       : 0;

    while (!rc) { /* a damaged event keeps its key */
        form_event_key(event->when_ns, id, number, key);
        rc = recording_get(r, STATE, key, EVENT_KEY, &value, &length);
        rc = rc == BIDE_EDAMAGED ? 0 : rc;
        number++;
    }
    if (rc != BIDE_ENOPOLICY) {
        return rc;
    }
    bytes[0] = (uint8_t)event->kind;
    bytes[1] = event->from;
    bytes[2] = event->to;
    memcpy(bytes + 3, event->words, words);
    return recording_set(r, STATE, key, EVENT_KEY, bytes, 3 + words);
}

static int
read_level(struct recording *r, const uint8_t *key, size_t key_length,
           struct history_level *out)
{
    const uint8_t *value;
    size_t length;
    int rc = recording_get(r, STATE, key, key_length, &value, &length);

    *out = (struct history_level){.level = 0};
    if (rc == BIDE_ENOPOLICY || rc == BIDE_EDAMAGED) {
        return 0; /* a damaged level is treated as the lowest */
    }
    if (rc == 0 && length >= 9 && length - 9 < sizeof(out->words)) {
        out->level = value[0];
        memcpy(&out->since_ns, value + 1, sizeof(out->since_ns));
        memcpy(out->words, value + 9, length - 9);
    }
    return rc;
}

int
recording_level(struct recording *r, const char *name,
                const struct history_level *level, bool *changed,
                struct history_level *before)
{
    size_t words = strnlen(level->words, sizeof(level->words) - 1);
    uint8_t key[NAME_KEY_MAX], bytes[9 + sizeof(level->words)];
    struct history_event event = {.kind = HISTORY_LEVEL,
                                  .when_ns = level->since_ns};
    size_t length = form_name_key('n', name, "", key);
    int rc = r->failed ? r->failed : read_level(r, key, length, before);

    *changed = !rc && before->level != level->level;
    if (!*changed) {
        return rc;
    }
    event.from = before->level;
    event.to = level->level;
    memcpy(event.words, level->words, words);
    bytes[0] = level->level;
    memcpy(bytes + 1, &level->since_ns, 8);
    memcpy(bytes + 9, level->words, words);
    rc = recording_set(r, STATE, key, length, bytes, 9 + words);
    return rc ? rc : recording_event(r, name, "", &event);
}
