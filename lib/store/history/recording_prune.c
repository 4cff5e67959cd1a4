/* Removes old records, a few with each recording. */
#include "recording_line.h"

#include <string.h>

#include "store/file/seal.h"

int
recording_bytes(struct recording *r, uint64_t *out)
{
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t unused = 0;
    int rc = mdb_env_info(r->env, &info);

    rc = rc ? rc : mdb_env_stat(r->env, &stat);
    rc = rc ? rc : lmdb_free_pages(r->env, &unused);
    if (rc) {
        return recording_failed(r, rc);
    }
    *out =
        (info.me_last_pgno + 1 > unused ? info.me_last_pgno + 1 - unused : 0) *
        stat.ms_psize;
    return 0;
}

/* Reports whether a name was last recorded on a day before until_ns. */
static bool
name_is_old(const MDB_val *key, const MDB_val *value, uint64_t until_ns)
{
    struct form_name name;

    return seal_copy(key->mv_data, key->mv_size, value->mv_data, value->mv_size,
                     &name, sizeof(name)) &&
           (name.day + UINT64_C(1)) * DAY_NS <= until_ns;
}

/* Removes records from the key `first` on, *most at most: those before `limit`,
 * or, if that is NULL, the names that are old. */
static int
remove_records(struct recording *r, int db, MDB_val first, const MDB_val *limit,
               uint64_t until_ns, uint32_t *most)
{
    uint8_t copy[NAME_KEY_MAX];
    MDB_cursor *cursor;
    MDB_val key = first, value;
    int rc = mdb_cursor_open(r->txn, r->dbi[db], &cursor);

    if (rc) {
        return recording_failed(r, rc);
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!rc && *most > 0 &&
           (!limit || mdb_cmp(r->txn, r->dbi[db], &key, limit) < 0)) {
        if (key.mv_size > sizeof(copy) ||
            (!limit && !name_is_old(&key, &value, until_ns))) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
            continue;
        }
        memcpy(copy, key.mv_data, key.mv_size);
        rc = mdb_cursor_del(cursor, 0);
        if (!rc) {
            r->result.pruned++;
            (*most)--;
            /* Searches again: LMDB does not document the cursor's position
             * after a deletion, and in an empty tree it has none. */
            key.mv_data = copy;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : recording_failed(r, rc);
}

static int
remove_blocks(struct recording *r, int db, uint64_t until_ns, uint32_t *most)
{
    uint8_t first[BLOCK_KEY], last[BLOCK_KEY];
    MDB_val limit = lmdb_val(last, form_block_key(until_ns + 1, 0, last));

    return remove_records(r, db, lmdb_val(first, form_block_key(0, 0, first)),
                          &limit, 0, most);
}

/* Sets *out to the begin of the hour with the first block; `none` if there is
 * no block. */
static int
find_first_hour(struct recording *r, int db, uint64_t none, uint64_t *out)
{
    uint8_t key[BLOCK_KEY];
    MDB_val k = lmdb_val(key, form_block_key(0, 0, key)), v;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->dbi[db], &cursor);

    *out = none;
    if (rc) {
        return recording_failed(r, rc);
    }
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    if (!rc && form_block_end(k.mv_data, k.mv_size) > HOUR_NS) {
        *out = hour_end(form_block_end(k.mv_data, k.mv_size)) - HOUR_NS;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : recording_failed(r, rc);
}

/* Moves the limit of the records kept towards `target`, by one step at most,
 * and only if that removes records. */
static int
move_limit(struct recording *r, int db, uint64_t target, uint64_t step_ns,
           uint64_t *limit)
{
    uint64_t first;
    int rc;

    target = target / HOUR_NS * HOUR_NS;
    rc = find_first_hour(r, db, target, &first);
    if (!rc && first < target) {
        target = first + step_ns < target ? first + step_ns : target;
        *limit = target > *limit ? target : *limit;
    }
    return rc;
}

/* Returns the time before which records are older than `keep_ns`.  The time of
 * this recording or of the one before may be wrong: it takes the earlier. */
static uint64_t
age_limit(const struct recording *r, uint64_t keep_ns)
{
    uint64_t now_ns = smaller_ns(r->before_ns, r->result.end_ns);

    return line_before(&r->state, now_ns, keep_ns);
}

static uint64_t
this_hour(const struct recording *r)
{
    uint64_t end = hour_end(r->state.last_ns);

    return end > HOUR_NS ? end - HOUR_NS : 0;
}

/* If the file is too large, moves the limit of the records kept: by an hour of
 * minutes, or a day of hours when no old minutes are left. */
static int
bound_size(struct recording *r, uint64_t bytes)
{
    uint64_t used, first, until = this_hour(r);
    int rc = recording_bytes(r, &used);

    if (rc || used <= bytes) {
        return rc;
    }
    rc = find_first_hour(r, MINUTES, until, &first);
    return rc ? rc
           : first < until
               ? move_limit(r, MINUTES, until, HOUR_NS,
                            &r->state.minutes_from_ns)
               : move_limit(r, HOURS, until, DAY_NS, &r->state.hours_from_ns);
}

static int
remove_events(struct recording *r, uint64_t until_ns, uint32_t *most)
{
    uint8_t first[EVENT_KEY], last[EVENT_KEY];
    MDB_val limit = lmdb_val(last, form_event_key(until_ns, 0, 0, last));

    return remove_records(r, STATE,
                          lmdb_val(first, form_event_key(0, 0, 0, first)),
                          &limit, 0, most);
}

/* Removes all records that end before the limits in r->state, but no minutes of
 * the hour that has not ended: the hours do not have them. */
static int
remove_old(struct recording *r, uint32_t *most)
{
    const struct history_state *s = &r->state;
    uint64_t hour = this_hour(r);
    int rc =
        remove_blocks(r, MINUTES, smaller_ns(s->minutes_from_ns, hour), most);

    rc = rc ? rc : remove_blocks(r, HOURS, s->hours_from_ns, most);
    return rc ? rc : remove_events(r, s->hours_from_ns, most);
}

int
recording_prune(struct recording *r, const struct recording_keep *keep,
                uint32_t most)
{
    struct history_state *s = &r->state;
    int rc = r->failed;

    rc = rc ? rc
            : move_limit(r, MINUTES, age_limit(r, keep->minutes_ns), HOUR_NS,
                         &s->minutes_from_ns);
    rc = rc ? rc
            : move_limit(r, HOURS, age_limit(r, keep->hours_ns), DAY_NS,
                         &s->hours_from_ns);
    rc = rc ? rc : bound_size(r, keep->bytes);
    rc = rc ? rc : remove_old(r, &most);
    /* Names without records: those of the day on which they were last recorded
     * have been removed.  Only once an hour, because it reads all names. */
    if (!rc && most > 0 && r->new_hour) {
        rc = remove_records(r, NAMES, lmdb_val("c", 1), NULL,
                            s->hours_from_ns < s->minutes_from_ns
                                ? s->hours_from_ns
                                : s->minutes_from_ns,
                            &most);
    }
    return r->failed = rc;
}
