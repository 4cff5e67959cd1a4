/* The format of deferred.journal, and reading it; needs no struct deferred. */
#ifndef BIDE_STORE_DEFERRED_SCAN_H
#define BIDE_STORE_DEFERRED_SCAN_H

#include "journal.h"

enum {
    JOURNAL_MAGIC = 0x6e726a64, /* "djrn" */
    BATCH_MAGIC = 0x63746162,   /* "batc" */
};

/* The beginning of the file. */
struct journal_head {
    uint32_t magic, crc; /* of id */
    uint64_t id;
};

/* A batch in the file; its entries follow. */
struct journal_batch {
    uint32_t magic,
        crc; /* of the journal's id and the batch from `length` on */
    uint32_t length, zero;
    uint64_t number;
};

struct journal_entry {
    uint16_t key_length, gone;
    uint32_t value_length;
    /* key, value */
};

/* The sealed record of deferred.mdb under DEFERRED_JOURNAL. */
struct journal_mark {
    uint64_t id, last; /* the last batch that deferred.mdb includes */
};

/* Reports whether a batch may begin with *b at offset `at`: its magic is right
 * and its length fits. */
bool scan_may_be_batch(const struct journal_batch *b, size_t at);
/* Returns the checksum of a batch of `length` bytes in the journal `id`. */
uint32_t scan_batch_crc(uint64_t id, const uint8_t *bytes, size_t length);

/* A position in a journal.  The caller sets fd, buffer, id, next, at, batch and
 * arg. */
struct scan {
    int fd;
    uint8_t *buffer;   /* JOURNAL_BATCH_MAX bytes of the file ... */
    size_t from, size; /* ... and which of them */
    int failed;        /* errno of a read */

    uint64_t id;
    uint64_t next; /* number of the next batch */
    size_t at;     /* where the next batch should be */
    bool tail;     /* end at the first batch that is not the next */
    bool unsound;  /* a batch is missing, but there are later ones */
    /* Called for each batch; a result other than 0 ends the scan. */
    int (*batch)(void *arg, const uint8_t *entries, size_t length);
    void *arg;
};

/* Sets *out to the mark before the first batch of the journal in `dir`; false:
 * it holds none. */
bool deferred_journal_left(const char *dir, struct journal_mark *out);

/* Returns the id in the file; 0: unreadable. */
uint64_t scan_id(struct scan *s);
/* Reads all batches from `next` on.  0, errno, or the result of `batch`. */
int scan_journal(struct scan *s);
/* Sets `next` beyond the number of every batch in the file, whole or not.  0 or
 * errno. */
int scan_past(struct scan *s);

typedef int scan_entry_fn(void *arg, const struct journal_entry *e,
                          const uint8_t *key);
/* Calls `entry` for each entry of a batch.  0, EBADMSG: malformed, or the
 * result of `entry`. */
int scan_entries(const uint8_t *from, size_t left, scan_entry_fn *entry,
                 void *arg);

#endif
