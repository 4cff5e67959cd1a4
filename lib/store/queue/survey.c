/* Reads deferred work without changing anything, for bide doctor: deferred.mdb
 * and its journal.  Takes no lock; if deferred.mdb changes meanwhile, it starts
 * again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/pages/pages.h"
#include "check.h"
#include "file.h"
#include "tree.h"

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
survey_piece(struct verify *v, uint64_t id, struct tree_item *item)
{
    struct deferred_survey *out = v->arg;
    void *bytes;
    int rc = item ? tree_payload(v->w, item, &bytes) : MDB_NOTFOUND;

    if (!rc) {
        free(bytes);
        count_work(out, &item->head);
    } else if (rc == MDB_NOTFOUND) {
        if (out->damaged_pieces < DEFERRED_NAMED) {
            out->damaged_id[out->damaged_pieces] = id;
        }
        out->damaged_pieces++;
        rc = 0;
    }
    return rc;
}

static void
survey_counts(struct verify *v, const char *policy, uint64_t pieces)
{
    struct deferred_survey *out = v->arg;
    struct deferred_held *h =
        array_add(&out->held, &out->held_count, sizeof(*h));

    if (h) {
        h->pieces = pieces;
        strcpy(h->policy, policy);
    }
}

/* Judges what all records say together. */
static void
judge_records(const struct work *w, const struct verify *v)
{
    const uint64_t most = v->places > v->counted ? v->places : v->counted;
    const uint8_t key = DEFERRED_JOURNAL;
    struct deferred_survey *out = v->arg;
    struct work again = *w;
    MDB_val mark;

    tree_note_missing(&again);
    out->registry = w->meta.registry;
    out->lost = (struct deferred_lost){again.meta.lost, again.meta.lost_ns};
    out->damaged = v->damaged;
    out->unlisted = v->unlisted;
    if (most > v->heads) {
        out->lost.pieces += most - v->heads;
    } else if (!out->unlisted) {
        out->unlisted = v->heads - v->counted;
    }
    out->journal_missing = w->d->journal.state == JOURNAL_UNUSABLE;
    out->journal_gone = (w->d->journal.state == JOURNAL_FOREIGN ||
                         w->d->journal.state == JOURNAL_UNUSABLE) &&
                        !tree_get(&again, &key, 1, &mark);
}

/* Returns 0, a result of LMDB, or PAGES_AGAIN: a batch is missing, which
 * another process may be writing now. */
static int
survey_once(struct deferred *d, bool last, struct deferred_survey *out)
{
    struct work w = {.d = d};
    struct verify v = {
        .piece = survey_piece, .count = survey_counts, .arg = out};
    int rc;

    free(out->held);
    *out = (struct deferred_survey){.bytes = d->check.stamp.size};
    deferred_journal_set_state(d, JOURNAL_UNREAD);
    rc = deferred_follow(d);
    if (!rc && d->journal.state == JOURNAL_UNSOUND && !last) {
        return PAGES_AGAIN;
    }
    if (!rc) {
        rc = tree_meta(&w);
        w.meta.next = rc == MDB_NOTFOUND ? 1 : w.meta.next;
        rc = rc == MDB_NOTFOUND || rc == DEFERRED_REPAIR ? 0 : rc;
    }
    rc = rc ? rc : tree_verify(&w, &v);
    if (!rc) {
        judge_records(&w, &v);
        out->damaged += d->journal.state == JOURNAL_UNSOUND;
    }
    return rc;
}

int
deferred_survey(const char *dir, struct deferred_survey *out)
{
    enum { TRIES = 20 };
    struct pages_stamp now;
    struct deferred *d;
    int rc = deferred_new(dir, true, &d);

    *out = (struct deferred_survey){.bytes = 0};
    rc = rc ? rc : pages_open(d->path, &d->file.pages);
    if (rc == BIDE_EMISSING && d) {
        /* All ids that were given to work of the missing file. */
        deferred_read_next(d, false);
        out->lost.pieces = d->check.next ? d->check.next - 1 : 0;
    }
    rc = rc ? rc : pages_check(d->file.pages);
    for (int i = 0; i < TRIES && !rc; i++) {
        rc = pages_look(d->file.pages, &d->check.stamp);
        if (rc) {
            break;
        }
        rc = survey_once(d, i + 1 == TRIES, out);
        /* The journal may have been emptied into the file meanwhile. */
        if (!pages_look(d->file.pages, &now) && now.txn == d->check.stamp.txn &&
            rc != PAGES_AGAIN) {
            rc = rc == 0        ? 0
                 : rc == ENOMEM ? BIDE_ENOMEM
                 : rc == MDB_NOTFOUND || rc == MDB_VERSION_MISMATCH
                     ? BIDE_EFORMAT /* of another kind, or of another bide */
                     : BIDE_ESYS;
            break;
        }
        rc = i + 1 < TRIES ? 0 : BIDE_ELOCKED;
    }
    deferred_close(d);
    return rc;
}
