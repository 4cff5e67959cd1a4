/* deferred.journal: what changed since deferred.mdb was last brought up to
 * date, so that a change waits for the disk once, and for one short write.  How
 * it works stands in deferred_journal.c.  All with the lock held; results are
 * LMDB's, errno's, or those of deferred_inside.h. */
#ifndef BIDE_STORE_DEFERRED_JOURNAL_H
#define BIDE_STORE_DEFERRED_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/pages/pages.h"

struct deferred;

enum {
    JOURNAL_SIZE = 256 << 10,
    JOURNAL_START = 64,
    JOURNAL_STEP = 64, /* batches begin at multiples of it */
    JOURNAL_BATCH_MAX = 64 << 10,
    JOURNAL_SLOW = 24 << 10, /* is read in a tenth of a ms */
};

struct journal {
    _Atomic int fd; /* -1 */
    uint64_t device, inode;
    uint64_t id;   /* written in deferred.mdb too: these two go together */
    uint64_t next; /* number of the batch that comes next */
    size_t at;     /* where it goes */
    bool usable;   /* changes may go there */
    bool followed; /* what is in it is in d->recent, over base */
    bool unsound;  /* a batch in the middle can not be read: repair */
    bool foreign;  /* of another deferred.mdb: a fresh id is to be written */
    bool slow; /* it took long to read: those who start shall find it short */
    _Atomic bool failed;     /* it may not be on the disk: away with it */
    struct pages_stamp base; /* the state of deferred.mdb */
    uint8_t *buffer;         /* JOURNAL_BATCH_MAX */
};

/* A batch as it stands in the journal.  Entries follow. */
struct journal_batch {
    uint32_t magic, crc; /* of the journal's id, and all that follows */
    uint32_t length, zero;
    uint64_t number;
};

struct journal_entry {
    uint16_t key_length, gone;
    uint32_t value_length;
    /* key, value */
};

/* What is kept of it in deferred.mdb, sealed, under DEFERRED_JOURNAL. */
struct journal_mark {
    uint64_t id, last; /* the last batch that deferred.mdb knows of */
};

int deferred_journal_make(const char *dir); /* BIDE_E; unless it is there */
/* Opens it; it stays closed where there is none, and none can be made. */
int deferred_journal_open(struct deferred *d);
void deferred_journal_close(struct deferred *d);
void deferred_journal_lose(struct deferred *d); /* in a forked child */
bool deferred_journal_is_ours(const struct deferred *d);
/* Writes a fresh id into one that was of another deferred.mdb, for that not to
 * take for its own what is written there from now on; journal.id is 0 where it
 * can not be written. */
void deferred_journal_take_over(struct deferred *d);
/* Of the first bytes of the file; 0: it can not be read. */
uint64_t deferred_journal_id(const uint8_t *bytes, size_t size);
/* Whether it begins as a batch does. */
bool deferred_journal_begins(const uint8_t *bytes);
/* Whether a batch may begin so, and fits. */
bool deferred_journal_may_be(const struct journal_batch *b, size_t at);
/* False: the record is damaged. */
bool deferred_journal_mark_read(const void *value, size_t length,
                                struct journal_mark *out);
/* Of a batch that begins so: whether it is what was written. */
bool deferred_journal_whole(uint64_t id, const uint8_t *bytes, size_t length);

/* Writes what is on trial, and keeps it.  DEFERRED_DIRECT: it can not go there
 * (it is too much, or there is no room); nothing has changed then. */
int deferred_journal_append(struct deferred *d);
/* What is in it, once more; not waited for. */
int deferred_journal_rewrite(struct deferred *d);

#endif
