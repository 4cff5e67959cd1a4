/* Shared by the files of recording.h: recording.c, recording_put.c,
 * recording_prune.c, recording_rescue.c. */
#ifndef BIDE_STORE_RECORDING_INSIDE_H
#define BIDE_STORE_RECORDING_INSIDE_H

#include "store/file/env.h"
#include "history_form.h"
#include "recording.h"

enum { RENEWED_MAX = 64 };

/* A block that is being filled. */
struct block {
    int db; /* MINUTES or HOURS */
    uint64_t begin_ns, end_ns;
    uint64_t key_ns; /* the end in its key */
    uint32_t part;   /* the next part's number */
    bool part_known;
    uint32_t last_id;
    size_t length;
    uint8_t bytes[BLOCK_ROOM + ENTRY_MAX];
};

typedef int recording_fill_fn(struct recording *r);
struct recording {
    char *dir, *path;
    int lock;
    uint32_t process; /* id of the one that began it */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[HISTORY_DATABASES];
    struct pages *pages;
    recording_fill_fn *fill; /* while a file is made */
    struct history_state state;
    struct recording_result result;
    struct block minute, hour;
    int failed;
    bool quick; /* checks and rescues no file */
    bool new_hour, same_boot;
    bool stale;         /* the file is older than the last recording */
    bool put_back;      /* the live state was recorded before the last one */
    int64_t jump_ns;    /* the clock has jumped since the last recording */
    uint64_t before_ns; /* the end of that one */
    bool all_cells;     /* records every cell of the live state */
    uint32_t counted, unnamed; /* the last cells in result.cells, and renamed */
    uint32_t renewed_count, renewed[RENEWED_MAX]; /* outcomes with a new id */
    /* Buffers for one cell. */
    uint8_t base[4 + BASE_MAX], bytes[FIGURES_BYTES], entry[ENTRY_MAX];
    struct figures before, difference;
};

#define ASIDE "move it away: a new file is created, and counting continues"

/* Maps LMDB's result to a BIDE_E code; keeps a message. */
int recording_failed(struct recording *r, int rc);
/* Keeps the message that `what` is damaged and returns BIDE_EDAMAGED. */
int recording_damaged(struct recording *r, const char *what);

/* Reads a sealed value; *out stays LMDB's memory.  BIDE_ENOPOLICY: there is
 * none.  BIDE_EDAMAGED without a message: its checksum is wrong. */
int recording_get(struct recording *r, int db, const void *key,
                  size_t key_length, const uint8_t **out, size_t *out_length);
/* Seals and stores a value of at most BASE_MAX bytes.  Uses r->base. */
int recording_set(struct recording *r, int db, const void *key,
                  size_t key_length, const void *value, size_t length);

/* Makes the file: `fill` writes its records and sets r->state.  If there is a
 * damaged file (r->pages), keeps it as history.mdb.damaged. */
int recording_make(struct recording *r, recording_fill_fn *fill);

/* ---- recording_rescue.c ---- */

/* Copies the readable records of a damaged file (r->pages) to a new file; keeps
 * the old one as history.mdb.damaged. */
int recording_rescue(struct recording *r);

/* ---- recording_put.c ---- */

/* Ends the current hour: stores its counts in the hours. */
int recording_close_hour(struct recording *r);
/* Writes a block to the file and empties it. */
int recording_flush(struct recording *r, struct block *b);

/* ---- recording_prune.c ---- */

/* Returns the size of all used pages, in bytes. */
int recording_bytes(struct recording *r, uint64_t *out);

#endif
