/* Reads deferred work without changing anything, for bide doctor: deferred.mdb
 * and its journal.  Takes no lock; if deferred.mdb changes meanwhile, it starts
 * again. */
#include "store/file/place.h"
#include "store/pages/pages.h"
#include "check.h"
#include "file.h"
#include "recent.h"
#include "scan.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/crc32c.h"
#include "store/file/seal.h"

struct survey {
    const struct snapshot *snapshot;
    struct recent *recent;
    struct deferred_survey *out;
    uint64_t heads, places, counted;
    struct deferred_meta meta;
    const char *dir;
    bool intact; /* the journal is the one of the file */
    int rc;
};

/* Reads a record: *out_copy, which the caller frees, or one of s->recent.
 * BIDE_ENOPOLICY: there is none. */
static int
find_record(const struct survey *s, const uint8_t *key, size_t length,
            const void **out, size_t *out_length, void **out_copy)
{
    const struct recent_node *n = recent_find(s->recent, key, length);
    int rc;

    *out_copy = NULL;
    if (n) {
        *out = n->value->bytes;
        *out_length = n->value->length;
        return n->value->kind == RECENT_HERE ? 0 : BIDE_ENOPOLICY;
    }
    rc = pages_get(s->snapshot, "work", key, length, out_copy, out_length);
    *out = *out_copy;
    return rc;
}

/* Returns 1 if the payload is whole, 0 if it is damaged, or BIDE_E. */
static int
payload_is_whole(const struct survey *s, const struct deferred_item *item,
                 const struct deferred_payload *p)
{
    uint8_t key[DEFERRED_KEY_ROOM];
    size_t length = deferred_id_key(DEFERRED_PAYLOAD, item->id, key);
    const void *bytes;
    void *copy;
    int rc;

    if (p->bytes) {
        return crc32c(0, p->bytes, item->length) == p->crc;
    }
    rc = find_record(s, key, length, &bytes, &length, &copy);
    if (rc) {
        return rc == BIDE_ENOPOLICY || rc == BIDE_EDAMAGED ? 0 : rc;
    }
    rc = length == item->length && crc32c(0, bytes, length) == p->crc;
    free(copy);
    return rc;
}

/* Counts a piece that is not in the index: no worker finds it. */
static int
check_place(struct survey *s, const struct deferred_item *item)
{
    struct deferred_place p = deferred_place_of(item);
    uint8_t key[DEFERRED_KEY_ROOM];
    const void *value;
    size_t length;
    void *copy;
    int rc = find_record(s, key, deferred_place_key(&p, key), &value, &length,
                         &copy);

    free(copy);
    s->out->unlisted += rc == BIDE_ENOPOLICY;
    return rc == BIDE_ENOPOLICY ? 0 : rc;
}

static void
count_work(struct deferred_survey *out, const struct deferred_item *item)
{
    out->waiting += item->state == DEFERRED_WAITING;
    out->leased += item->state == DEFERRED_LEASED;
    out->dead += item->state == DEFERRED_DEAD;
    if (out->oldest_ns == 0 || item->stored_ns < out->oldest_ns) {
        out->oldest_ns = item->stored_ns;
    }
    if (item->state == DEFERRED_WAITING &&
        (out->due_ns == 0 || item->due_ns < out->due_ns)) {
        out->due_ns = item->due_ns;
    }
}

static int
survey_head(struct survey *s, const void *key, size_t key_length,
            const void *value, size_t length)
{
    struct deferred_item item;
    struct deferred_payload payload;
    int whole = 0;

    if (deferred_head_read(deferred_key_id(key, key_length), value, length,
                           &item, &payload)) {
        whole = payload_is_whole(s, &item, &payload);
    }
    s->heads++;
    if (whole < 0) {
        return s->rc = whole;
    }
    if (!whole) {
        if (s->out->damaged_pieces < DEFERRED_NAMED) {
            s->out->damaged_id[s->out->damaged_pieces] =
                deferred_key_id(key, key_length);
        }
        s->out->damaged_pieces++;
        return 0;
    }
    count_work(s->out, &item);
    return s->rc = check_place(s, &item);
}

static void
add_held(struct survey *s, const uint8_t *key, size_t key_length,
         uint64_t pieces)
{
    struct deferred_held *h =
        key_length - 1 <= BIDE_NAME_MAX
            ? array_add(&s->out->held, &s->out->held_count, sizeof(*h))
            : NULL;

    if (h) {
        *h = (struct deferred_held){.pieces = pieces};
        memcpy(h->policy, key + 1, key_length - 1);
    }
}

static int
survey_record(struct survey *s, const void *key, size_t key_length,
              const void *value, size_t length)
{
    uint8_t kind = key_length > 0 ? *(const uint8_t *)key : 0;
    struct tree_counts c = {0};
    size_t unsealed;

    switch (kind) {
    case DEFERRED_HEAD:
        return survey_head(s, key, key_length, value, length);
    case DEFERRED_PAYLOAD: /* checked with its head */
        return 0;
    case DEFERRED_META:
        seal_copy(key, key_length, value, length, &s->meta, sizeof(s->meta));
        break;
    case DEFERRED_COUNTS:
        seal_copy(key, key_length, value, length, &c, sizeof(c));
        s->counted += c.waiting + c.leased + c.dead;
        add_held(s, key, key_length, c.waiting + c.leased + c.dead);
        break;
    default:
        s->places += kind == DEFERRED_INDEX;
    }
    s->out->damaged += !seal_read(key, key_length, value, length, &unsealed);
    return 0;
}

/* Judges what all records say together. */
static void
judge_records(struct survey *s, uint64_t next)
{
    struct deferred_survey *out = s->out;
    uint64_t most = s->places > s->counted ? s->places : s->counted;

    out->registry = s->meta.registry;
    out->lost = (struct deferred_lost){s->meta.lost, s->meta.lost_ns};
    if (s->meta.next && s->meta.next < next) {
        out->lost.pieces += next - s->meta.next;
    }
    if (most > s->heads) {
        out->lost.pieces += most - s->heads;
    } else if (!out->unlisted) {
        out->unlisted = s->heads - s->counted;
    }
}

static int
survey_file_record(void *arg, const void *key, size_t key_length,
                   const void *value, size_t length)
{
    struct survey *s = arg;

    return recent_find(s->recent, key, key_length)
               ? 0
               : survey_record(s, key, key_length, value, length);
}

static int
survey_recent(struct survey *s)
{
    const struct recent_node *n = recent_seek(s->recent, NULL, 0);
    int rc = 0;

    for (; n && !rc; n = n->next[0]) {
        if (n->value && n->value->kind == RECENT_HERE) {
            rc = survey_record(s, n->key, n->key_length, n->value->bytes,
                               n->value->length);
        }
    }
    return rc;
}

/* ---- the journal ---- */

static int
open_beside(const char *dir, const char *name)
{
    char *path = place_path(dir, name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    free(path);
    return fd;
}

static int
add_journal_entry(void *arg, const struct journal_entry *e, const uint8_t *key)
{
    return recent_set(arg, key, e->key_length,
                      e->gone ? RECENT_GONE : RECENT_HERE, key + e->key_length,
                      e->value_length);
}

static int
add_journal_batch(void *arg, const uint8_t *entries, size_t length)
{
    int rc = scan_entries(entries, length, add_journal_entry, arg);

    recent_keep(arg);
    return rc;
}

/* Reads the journal.  PAGES_AGAIN: a batch is missing; another process may be
 * writing it now. */
static int
read_journal(struct survey *s, const struct journal_mark *m)
{
    struct scan scan = {.fd = open_beside(s->dir, "deferred.journal"),
                        .buffer = malloc(JOURNAL_BATCH_MAX),
                        .id = m->id,
                        .next = m->last + 1,
                        .at = JOURNAL_START,
                        .batch = add_journal_batch,
                        .arg = s->recent};
    int rc = 0;

    if (scan.fd < 0) {
        s->out->journal_gone = errno == ENOENT;
        rc = errno == ENOENT ? 0 : errno == EACCES ? BIDE_EPERM : BIDE_ESYS;
    } else if (!scan.buffer) {
        rc = BIDE_ENOMEM;
    } else {
        uint64_t id = scan_id(&scan);

        s->intact = id && id == m->id;
        s->out->journal_gone = id && id != m->id;
        rc = id && id != m->id ? 0 : scan_journal(&scan);
        rc = rc == ENOMEM ? BIDE_ENOMEM : rc ? BIDE_ESYS : 0;
    }
    if (scan.fd >= 0) {
        close(scan.fd);
    }
    free(scan.buffer);
    return rc ? rc : scan.unsound ? PAGES_AGAIN : 0;
}

static int
read_recent(struct survey *s)
{
    const uint8_t key = DEFERRED_JOURNAL;
    struct journal_mark mark;
    size_t length;
    void *value;
    int rc = pages_get(s->snapshot, "work", &key, 1, &value, &length);

    if (rc) {
        return rc == BIDE_ENOPOLICY || rc == BIDE_EDAMAGED ? 0 : rc;
    }
    if (scan_read_mark(value, length, &mark)) {
        rc = read_journal(s, &mark);
    } else {
        s->out->damaged++;
    }
    free(value);
    return rc;
}

/* ---- the whole survey ---- */

static int
survey_snapshot(struct survey *s, struct pages *p, bool last)
{
    /* Before the journal, which is written first. */
    int fd = open_beside(s->dir, "deferred.checked"), rc, end;
    uint64_t any = deferred_next_in(fd, 0, false);
    uint64_t sure = deferred_next_in(fd, deferred_boot(), true);
    struct pages_stamp stamp;

    if (fd >= 0) {
        close(fd);
    }
    free(s->out->held);
    *s->out = (struct deferred_survey){.bytes = 0};
    rc = read_recent(s);
    if (rc == PAGES_AGAIN && last) {
        s->out->damaged++;
        rc = 0;
    }
    if (!rc) {
        rc = pages_walk_whole(s->snapshot, "work", NULL, 0, survey_file_record,
                              s, &s->out->damaged);
    }
    rc = rc == BIDE_ENOPOLICY ? 0 : rc;
    rc = rc ? rc : survey_recent(s);
    judge_records(s, s->intact ? sure : any);
    end = pages_end(s->snapshot);
    if (!end && !pages_look(p, &stamp) && stamp.txn != s->snapshot->meta.txn) {
        end = PAGES_AGAIN; /* the journal may have been emptied */
    }
    return end ? end : rc;
}

static int
survey_once(struct pages *p, const char *dir, bool last,
            struct deferred_survey *out)
{
    struct snapshot snapshot;
    struct survey s = {
        .snapshot = &snapshot, .recent = recent_new(), .out = out, .dir = dir};
    int rc = s.recent ? pages_begin(p, &snapshot) : BIDE_ENOMEM;

    rc = rc ? rc : survey_snapshot(&s, p, last);
    recent_free(s.recent);
    return rc;
}

int
deferred_survey(const char *dir, struct deferred_survey *out)
{
    enum { TRIES = 20 };
    char *path = place_path(dir, "deferred.mdb");
    struct pages_stamp stamp;
    struct pages *p = NULL;
    int rc = path ? pages_open(path, &p) : BIDE_ENOMEM, fd;

    *out = (struct deferred_survey){.bytes = 0};
    if (rc == BIDE_EMISSING) {
        fd = open_beside(dir, "deferred.checked");
        out->lost.pieces = deferred_next_in(fd, 0, false);
        out->lost.pieces -= out->lost.pieces > 0;
        close(fd);
    }
    if (!rc) {
        rc = pages_check(p);
    }
    for (int i = 0; i < TRIES && !rc; i++) {
        rc = survey_once(p, dir, i + 1 == TRIES, out);
        if (rc != PAGES_AGAIN) {
            break;
        }
        rc = i + 1 < TRIES ? 0 : BIDE_ELOCKED;
    }
    if (!rc && !pages_look(p, &stamp)) {
        out->bytes = stamp.size;
    }
    pages_close(p);
    free(path);
    return rc;
}
