/* Shared by history.c and history_each.c. */
#ifndef BIDE_STORE_HISTORY_INSIDE_H
#define BIDE_STORE_HISTORY_INSIDE_H

#include "store/pages/pages_file.h"
#include "history.h"
#include "history_form.h"

struct history_name {
    char kind; /* 'c', 'o'; 0: none */
    char name[64], scope[BIDE_NAME_MAX + 1];
};

struct history {
    struct pages *pages;
    char *checked; /* the path of PATH_HISTORY_CHECKED */
    struct history_state state;
    bool state_lost;     /* damaged: `state` was derived from other records */
    uint64_t txn;        /* the transaction of `state` */
    uint64_t unreadable; /* pages and records of names */
    uint64_t damaged;    /* pages and records, as far as it was checked */
    uint32_t names;      /* the length of `name` */
    struct history_name *name;    /* by id */
    struct history_name **sorted; /* by kind, name, scope */
    uint32_t sorted_count;
};

enum { HISTORY_TRIES = 100 /* for pages_try */ };

/* Raises next_id and last_ns of a state to what a record needs: the id of a
 * lost name must not be used again. */
void history_note(struct history_state *s, int db, const void *key,
                  size_t key_length, const uint8_t *value, size_t length);
/* Reads an unsealed state of `path`; NULL: its checksum is wrong.  Fails with
 * BIDE_EFORMAT or BIDE_EDAMAGED, and a message of pages.h. */
int history_read_state(const char *path, const uint8_t *value, size_t length,
                       struct history_state *out);
/* Reads the present state and names. */
int history_refresh(struct history *h);

#endif
