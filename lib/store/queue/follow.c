/* Reads the batches that other processes have added to the journal into
 * d->recent. */
#include "journal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/file/seal.h"
#include "check.h"
#include "recent.h"
#include "record.h"
#include "scan.h"

/* ---- a batch ---- */

static int
add_entry(void *arg, const struct journal_entry *e, const uint8_t *key)
{
    struct deferred *d = arg;
    MDB_val k = lmdb_val(key, e->key_length), v;
    enum recent_kind kind = RECENT_HERE;
    int rc;

    if (e->gone) {
        rc = deferred_view_get(d, &k, &v);
        if (rc && rc != MDB_NOTFOUND) {
            return rc;
        }
        kind = rc ? RECENT_NOWHERE : RECENT_GONE;
    }
    return recent_set(d->recent, key, e->key_length, kind, key + e->key_length,
                      e->value_length);
}

static int
add_batch(void *arg, const uint8_t *entries, size_t length)
{
    struct deferred *d = arg;
    int rc = scan_entries(entries, length, add_entry, d);

    if (rc) {
        recent_undo(d->recent);
        return rc == EBADMSG ? MDB_CORRUPTED : rc;
    }
    recent_keep(d->recent);
    return 0;
}

static struct scan
scan_from_position(struct deferred *d)
{
    return (struct scan){.fd = d->journal.file.fd,
                         .buffer = d->journal.buffer,
                         .id = d->journal.id,
                         .next = d->journal.next,
                         .at = d->journal.at,
                         .batch = add_batch,
                         .arg = d};
}

static void
keep_position(struct deferred *d, const struct scan *s)
{
    d->journal.id = s->id;
    d->journal.next = s->next;
    /* Nothing may be written between batches that cannot be read. */
    d->journal.at = s->unsound ? JOURNAL_SIZE : s->at;
    deferred_journal_set_state(d, s->unsound ? JOURNAL_UNSOUND : JOURNAL_READY);
}

/* ---- new batches ---- */

static int
read_tail(struct deferred *d)
{
    struct scan s = scan_from_position(d);
    int rc;

    s.tail = true;
    rc = scan_journal(&s);
    keep_position(d, &s);
    return rc;
}

/* ---- the whole journal ---- */

void
deferred_forget_recent(struct deferred *d)
{
    struct recent *old = d->recent;

    d->recent = NULL; /* first: a forked child must not find it half freed */
    recent_free(old);
    d->recent = recent_new();
}

/* Reads the mark of deferred.mdb.  MDB_NOTFOUND; DEFERRED_REPAIR: damaged. */
static int
read_mark(struct deferred *d, struct journal_mark *out)
{
    const uint8_t key = DEFERRED_JOURNAL;
    MDB_val k = lmdb_val(&key, 1), v;
    int rc = deferred_view_get(d, &k, &v);

    if (rc) {
        return rc;
    }
    return seal_copy(&key, 1, v.mv_data, v.mv_size, out, sizeof(*out))
               ? 0
               : DEFERRED_REPAIR;
}

/* Handles a journal of another deferred.mdb, or a deferred.mdb without a mark.
 * The next commit adopts the journal, and its old batches do not count.  Until
 * then it stays unchanged, because the other deferred.mdb may come back. */
static int
note_foreign(struct deferred *d, struct scan *s)
{
    int rc = scan_past(s);

    d->journal.next = s->next;
    d->journal.id = 0;
    deferred_journal_set_state(d, JOURNAL_FOREIGN);
    return rc;
}

static int
read_all(struct deferred *d)
{
    struct scan s = scan_from_position(d);
    struct journal_mark mark = {0};
    off_t size = lseek(d->journal.file.fd, 0, SEEK_END);
    int rc = read_mark(d, &mark);
    uint64_t id;

    if (rc && rc != MDB_NOTFOUND && rc != DEFERRED_REPAIR) {
        return rc;
    }
    /* Before the journal: bide doctor reads it while batches are added. */
    deferred_read_next(d, true);
    id = scan_id(&s);
    if (!id || id != mark.id) {
        deferred_read_next(d, false);
    }
    s.next = mark.last + 1;
    if (rc == MDB_NOTFOUND || (!rc && id && id != mark.id) || (rc && !id)) {
        return note_foreign(d, &s);
    }
    /* Without a readable mark all batches count. */
    d->journal.cut = size < JOURNAL_SIZE
                         ? (JOURNAL_SIZE - (size_t)size) / JOURNAL_STEP + 1
                         : 0;
    s.unsound = rc == DEFERRED_REPAIR || d->journal.cut;
    s.id = rc ? id : mark.id;
    rc = scan_journal(&s);
    keep_position(d, &s);
    d->journal.slow = s.at > JOURNAL_SLOW;
    return rc;
}

static int
read_from_start(struct deferred *d)
{
    int rc;

    if (!deferred_has_beside(&d->journal.file)) {
        deferred_journal_close(d);
    }
    rc = deferred_open_beside(d, &d->journal.file, deferred_journal_make);
    deferred_forget_recent(d);
    deferred_journal_set_state(d, JOURNAL_UNREAD);
    d->journal.slow = false;
    d->journal.at = JOURNAL_START;
    if (rc || !d->recent) {
        return rc ? rc : ENOMEM;
    }
    if (d->journal.file.fd < 0) {
        deferred_read_next(d, false);
        deferred_journal_set_state(d, JOURNAL_UNUSABLE);
        return 0;
    }
    return read_all(d);
}

/* Reports whether the next batch may be there: one short read. */
static bool
has_grown(const struct deferred *d)
{
    const struct journal *journal = &d->journal;
    struct journal_batch b;

    return journal->at + sizeof(b) <= JOURNAL_SIZE &&
           pread(journal->file.fd, &b, sizeof(b), (off_t)journal->at) ==
               sizeof(b) &&
           scan_may_be_batch(&b, journal->at) && b.number == journal->next;
}

/* Reports whether d->recent still belongs to the files as they are, apart from
 * batches that have been added. */
static bool
is_recent_current(const struct deferred *d)
{
    const struct journal *journal = &d->journal;

    return (journal->state == JOURNAL_READY ||
            journal->state == JOURNAL_UNSOUND) &&
           !memcmp(&journal->base, &d->check.stamp, sizeof(d->check.stamp)) &&
           deferred_has_beside(&journal->file);
}

int
deferred_follow(struct deferred *d)
{
    bool current = is_recent_current(d);
    int rc;

    if (current && !has_grown(d)) {
        return 0;
    }
    if (!current) {
        deferred_journal_set_state(d, JOURNAL_UNREAD);
    }
    rc = deferred_view(d);
    rc = rc ? rc : current ? read_tail(d) : read_from_start(d);
    if (rc) {
        deferred_journal_set_state(d, JOURNAL_UNREAD);
    }
    d->journal.base = d->check.stamp;
    return rc;
}
