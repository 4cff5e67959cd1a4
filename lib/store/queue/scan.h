/* Reading a journal: for those who follow it, and those who only look. */
#ifndef BIDE_STORE_DEFERRED_SCAN_H
#define BIDE_STORE_DEFERRED_SCAN_H

#include "journal.h"

struct scan {
    int fd;
    uint8_t *buffer;   /* JOURNAL_BATCH_MAX */
    size_t from, size; /* what of the file is in it */
    int failed;        /* an errno */

    uint64_t id;
    uint64_t next; /* number of the batch that is looked for */
    size_t at;     /* where it should be */
    bool unsound;  /* one is missing, but there are later ones */
    /* Told of each batch; not 0 ends it. */
    int (*batch)(void *arg, const uint8_t *entries, size_t length);
    void *arg;
};

/* The id that the file carries; 0: it can not be read. */
uint64_t scan_id(struct scan *s);
/* All there are from `next` on.  0, errno, what `batch` gave. */
int scan_journal(struct scan *s);
/* The next one, if it has come; false in *out_there: it has not. */
int scan_next(struct scan *s, bool *out_there);
/* Past all numbers that stand there, whatever they are of. */
int scan_past(struct scan *s);

typedef int scan_entry_fn(void *arg, const struct journal_entry *e,
                          const uint8_t *key);
int scan_entries(const uint8_t *from, size_t left, scan_entry_fn *entry,
                 void *arg);

#endif
