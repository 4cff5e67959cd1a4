#include "outcome_app.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>

/* A hash table with open addressing.  Names are added and never removed.  A
 * name is published by one CAS of its pointer, after its bytes were written, so
 * a reader sees the whole name or none.  The code of a name is its slot + 1. */
enum { SLOTS = 16384 };
_Static_assert(APP_NAMES_MAX < SLOTS * 3 / 4,
               "the table always has free slots");

static _Atomic(char *) slots[SLOTS];
static atomic_uint names;

bool
app_name_ok(const char *name, size_t length)
{
    if (length < 1 || length > BIDE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

/* Copies a new name.  Counts it first, so that threads that race cannot make
 * too many.  On failure returns NULL and sets *code. */
static char *
reserve_name(const char *name, size_t length, uint32_t limit, int32_t *code)
{
    char *copy = NULL;

    *code = APP_OTHER;
    if (atomic_fetch_add(&names, 1) < limit) {
        /* The full size, so that a comparison never reads past the end. */
        copy = calloc(1, BIDE_NAME_MAX + 1);
        *code = APP_NO_MEMORY;
    }
    if (copy) {
        memcpy(copy, name, length);
    } else {
        atomic_fetch_sub(&names, 1);
    }
    return copy;
}

int32_t
app_code(const char *name, size_t length, uint32_t limit)
{
    char *mine = NULL;
    int32_t code;
    uint32_t i;

    if (!app_name_ok(name, length) ||
        (length == 5 && memcmp(name, "other", 5) == 0)) {
        return APP_OTHER;
    }
    for (i = app_hash(name, length) % SLOTS;; i = (i + 1) % SLOTS) {
        char *there = atomic_load_explicit(&slots[i], memory_order_acquire);

        if (!there) {
            if (!mine) {
                mine = reserve_name(name, length, limit, &code);
                if (!mine) {
                    return code;
                }
            }
            if (atomic_compare_exchange_strong(&slots[i], &there, mine)) {
                return (int32_t)i + 1;
            }
        }
        if (memcmp(there, name, length) == 0 && there[length] == '\0') {
            code = (int32_t)i + 1;
            break;
        }
    }
    if (mine) { /* another thread added the same name first */
        free(mine);
        atomic_fetch_sub(&names, 1);
    }
    return code;
}

const char *
app_name(int32_t code)
{
    const char *name = NULL;

    if (code > 0 && code <= SLOTS) {
        name = atomic_load_explicit(&slots[code - 1], memory_order_acquire);
    }
    return name ? name : "other";
}
