/* What history.c and history_each.c share. */
#ifndef BIDE_STORE_HISTORY_INSIDE_H
#define BIDE_STORE_HISTORY_INSIDE_H

#include "store/pages/pages.h"
#include "history.h"
#include "history_form.h"

struct history_name {
    char kind; /* 'c', 'o'; 0: none */
    char name[64], scope[BIDE_NAME_MAX + 1];
};

struct history {
    struct pages *pages;
    struct history_state state;
    bool state_lost;     /* it was damaged: `state` says what the rest says */
    uint64_t txn;        /* that `state` is of */
    uint64_t unreadable; /* pages and records of names */
    uint32_t names;      /* the first id that is not known */
    struct history_name *name;    /* by id */
    struct history_name **sorted; /* by kind, name, scope */
    uint32_t sorted_count;
};

/* One consistent reading: `body` may run again, and starts afresh then. */
typedef int history_body_fn(void *arg, const struct snapshot *s);
int history_read(struct history *h, history_body_fn *body, void *arg);

/* The state and all names as of now. */
int history_refresh(struct history *h);

#endif
