/* What the files of recording.h share: recording.c, recording_put.c,
 * recording_prune.c, recording_rescue.c. */
#ifndef BIDE_STORE_RECORDING_INSIDE_H
#define BIDE_STORE_RECORDING_INSIDE_H

#include "store/file/env.h"
#include "history_form.h"
#include "recording.h"

enum { NAMES, BASE, MINUTES, HOURS, STATE, RECORDING_DATABASES };
enum { RENEWED_MAX = 64 };

/* A block that is being filled. */
struct block {
    int db; /* MINUTES or HOURS */
    uint64_t begin_ns, end_ns;
    uint64_t key_ns; /* its hour's end */
    uint32_t part;   /* the next one's number */
    bool part_known;
    uint32_t last_id;
    size_t length;
    uint8_t bytes[BLOCK_ROOM + ENTRY_MAX];
};

struct recording {
    char *dir, *path;
    int lock;
    pid_t pid;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[RECORDING_DATABASES];
    struct pages *pages;
    struct history_state state;
    struct recording_result result;
    struct block minute, hour;
    int failed;
    bool quick; /* no check of a whole file, and no rescue */
    bool new_hour;
    bool all_cells; /* it puts every cell of the live state */
    /* Outcomes with new numbers: what was counted before is not known. */
    uint32_t renewed_count, renewed[RENEWED_MAX];
    /* Room for one cell at a time. */
    uint8_t base[4 + BASE_MAX], bytes[FIGURES_BYTES], entry[ENTRY_MAX];
    struct figures before, difference;
};

#define ASIDE "move it away: counting goes on, and a new one is made"

const char *recording_database(int db); /* its name */

/* LMDB's results, with words. */
int recording_failed(struct recording *r, int rc);
int recording_damaged(struct recording *r, const char *what);

/* A sealed value; *out stays LMDB's.  BIDE_ENOPOLICY: there is none.
 * BIDE_EDAMAGED without words: its checksum does not hold. */
int recording_get(struct recording *r, int db, const void *key,
                  size_t key_length, const uint8_t **out, size_t *out_length);
/* `value` has 4 bytes of room before it, for the seal. */
int recording_set(struct recording *r, int db, const void *key,
                  size_t key_length, uint8_t *sealed, size_t length);

/* Under another name first, so that one half made is none: `fill` puts what
 * belongs into it and sets r->state, `before` is asked before it takes the
 * place of what is there (NULL: nothing is). */
typedef int recording_fill_fn(struct recording *r);
int recording_make(struct recording *r, recording_fill_fn *fill,
                   recording_fill_fn *before);

/* ---- recording_rescue.c ---- */

/* Pages are damaged: as much as can be read (r->pages) goes into a new file,
 * and the old one is kept as HISTORY_DAMAGED. */
int recording_rescue(struct recording *r);

/* ---- recording_put.c ---- */

/* The hour that was going on is over: its counts become records. */
int recording_close_hour(struct recording *r);
/* Another live state: what was counted in the one before is recorded. */
int recording_forget_base(struct recording *r);
/* Writes what is left. */
int recording_flush(struct recording *r, struct block *b);

/* ---- recording_prune.c ---- */

/* Pages of the file that hold something, in bytes. */
int recording_bytes(struct recording *r, uint64_t *out);

#endif
