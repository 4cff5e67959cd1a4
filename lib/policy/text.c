/* The keys of one policy, packed, because `apply` keeps 100,000 policies at
 * once.
 *
 *   block: entries without gaps, in the order of the key table
 *
 *           0        4     5        6        8
 *           | line   | key | column | length | value ... NUL, padded to 4 |
 *
 *           line 14, key 4 (attempts), column 12, length 2, "10\0\0"
 *
 * Only this file reads and writes it, and it never leaves the process. */
#include "text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plain.h"
#include "wrap.h"

struct entry {
    int32_t line;
    uint8_t key;
    uint8_t column; /* of the value; 0: it is in no file */
    uint16_t length;
    char value[];
};
_Static_assert(offsetof(struct entry, value) == 8, "drawn above");
_Static_assert(POLICY_KEY_MAX <= UINT8_MAX, "a key is 8 bits");
_Static_assert(POLICY_LINE_MAX < UINT8_MAX, "a column is 8 bits");
_Static_assert(POLICY_VALUE_MAX < UINT16_MAX, "a length is 16 bits");

struct policy_text {
    char *block;
    uint32_t used, room;
    int32_t line;
    char name[BIDE_NAME_MAX + 1];
};

static size_t
entry_size(size_t length)
{
    return (offsetof(struct entry, value) + length + 1 + 3) & ~(size_t)3;
}

static struct entry *
entry_at(const struct policy_text *t, size_t at)
{
    return (struct entry *)(void *)(t->block + at);
}

/* Returns the offset of a key's entry, or the offset where to insert it. */
static size_t
find_offset(const struct policy_text *t, const struct key *key, bool *found)
{
    uint8_t number = (uint8_t)(key - policy_keys);
    size_t at = 0;

    *found = false;
    while (at < t->used) {
        const struct entry *e = entry_at(t, at);

        if (e->key >= number) {
            *found = e->key == number;
            break;
        }
        at += entry_size(e->length);
    }
    return at;
}

static const struct entry *
find_entry(const struct policy_text *t, const struct key *key)
{
    bool found;
    size_t at = find_offset(t, key, &found);

    return found ? entry_at(t, at) : NULL;
}

struct policy_text *
policy_text_new(const char *name)
{
    struct policy_text *t;

    if (!policy_name_ok(name)) {
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (t) {
        strcpy(t->name, name);
    }
    return t;
}

struct policy_text *
policy_text_copy(const struct policy_text *t)
{
    struct policy_text *copy = malloc(sizeof(*copy));
    char *block = t->used ? malloc(t->used) : NULL;

    if (!copy || (t->used && !block)) {
        free(copy);
        free(block);
        return NULL;
    }
    *copy = *t;
    copy->room = t->used;
    copy->block = t->used ? memcpy(block, t->block, t->used) : NULL;
    return copy;
}

void
policy_text_free(struct policy_text *t)
{
    if (t) {
        free(t->block);
        free(t);
    }
}

const char *
policy_text_name(const struct policy_text *t)
{
    return t->name;
}

void
policy_text_set_line(struct policy_text *t, int line)
{
    t->line = line;
}

const char *
policy_text_get(const struct policy_text *t, const struct key *key)
{
    const struct entry *e = find_entry(t, key);

    return e ? e->value : NULL;
}

int
policy_text_line(const struct policy_text *t)
{
    return t->line;
}

struct fault
policy_text_fault(const struct policy_text *t, const char *file,
                  enum fault_rule rule, const struct key *key,
                  const struct key *other)
{
    struct fault f = {.file = file, .rule = rule, .key = key, .other = other};
    const struct entry *e = key ? find_entry(t, key) : NULL;

    e = e || !other ? e : find_entry(t, other);
    f.line = e && e->line ? e->line : t->line;
    f.column = e && e->line ? e->column : t->line > 0;
    return f;
}

bool
policy_text_next(const struct policy_text *t, size_t *at,
                 struct text_entry *out)
{
    const struct entry *e;

    if (*at >= t->used) {
        return false;
    }
    e = entry_at(t, *at);
    *at += entry_size(e->length);
    *out = (struct text_entry){&policy_keys[e->key], e->value, e->line};
    return true;
}

static int
reserve_block(struct policy_text *t, size_t more)
{
    size_t room = t->room ? t->room : 32;
    char *grown;

    if (more <= t->room - t->used) {
        return 0;
    }
    while (room - t->used < more) {
        room += room / 2;
    }
    room &= ~(size_t)3;
    grown = realloc(t->block, room);
    if (!grown) {
        return BIDE_ENOMEM;
    }
    t->block = grown;
    t->room = (uint32_t)room;
    return 0;
}

static void
remove_entry(struct policy_text *t, size_t at)
{
    size_t size = entry_size(entry_at(t, at)->length);

    memmove(t->block + at, t->block + at + size, t->used - at - size);
    t->used -= (uint32_t)size;
}

/* Stores a canonical value.  On failure nothing has changed. */
static int
store_entry(struct policy_text *t, const struct key *key, const char *value,
            const struct fault *at_file)
{
    size_t length = strlen(value);
    size_t size = entry_size(length);
    struct entry *e;
    bool found;
    size_t at;

    assert(length <= UINT16_MAX);
    if (reserve_block(t, size) != 0) {
        return BIDE_ENOMEM;
    }
    at = find_offset(t, key, &found);
    if (found) {
        remove_entry(t, at);
    }
    memmove(t->block + at + size, t->block + at, t->used - at);
    memset(t->block + at, 0, size);
    e = entry_at(t, at);
    e->line = at_file->line;
    e->column = (uint8_t)at_file->column;
    e->key = (uint8_t)(key - policy_keys);
    e->length = (uint16_t)length;
    memcpy(e->value, value, length);
    t->used += (uint32_t)size;
    return 0;
}

static void
add_value_fault(struct faults *faults, const struct fault *at,
                const struct key *key, const char *value,
                const struct complaint *c)
{
    struct fault f = *at;
    char shown[64];

    plain_excerpt(value, strlen(value), shown, sizeof(shown));
    f.rule = FAULT_VALUE;
    f.key = key;
    f.meant = c->meant;
    fault_add(faults, &f, "%s =%s%s: %s", key->name, *shown ? " " : "", shown,
              c->why);
}

/* Adds a fault for each bad item of a list.  Returns 0 if every item is good by
 * itself, BIDE_EINPUT, or BIDE_ENOMEM. */
static int
add_item_faults(struct faults *faults, const struct fault *at,
                const struct key *key, const char *list)
{
    struct fault f = *at;
    char item[128], *canonical;
    struct complaint c;
    int result = 0;

    for (const char *value = list; list;) {
        size_t length;

        list += strspn(list, " \t");
        length = strcspn(list, ",");
        f.column = at->column ? at->column + (int)(list - value) : 0;
        plain_excerpt(list, length, item, sizeof(item));
        list = list[length] ? list + length + 1 : NULL;
        switch (key_canonical(key, item, &canonical, &c)) {
        case BIDE_EINPUT:
            result = BIDE_EINPUT;
            add_value_fault(faults, &f, key, item, &c);
            break;
        case 0:
            free(canonical);
            break;
        default:
            return BIDE_ENOMEM;
        }
    }
    return result;
}

int
policy_text_put(struct policy_text *t, const struct key *key, const char *value,
                const struct fault *at, struct faults *faults)
{
    struct complaint c;
    char *canonical;
    int rc = key_canonical(key, value, &canonical, &c);

    if (rc == BIDE_EINPUT) {
        bool list = key->type == KEY_OUTCOMES || key->type == KEY_CHAIN;
        int added = list && strchr(value, ',')
                        ? add_item_faults(faults, at, key, value)
                        : 0;

        if (added == 0) {
            add_value_fault(faults, at, key, value, &c);
        }
        rc = added == BIDE_ENOMEM ? added : rc;
    } else if (rc == 0) {
        rc = store_entry(t, key, canonical, at);
        free(canonical);
    }
    return rc;
}

const struct key *
policy_text_key(const char *name, const struct fault *at, struct faults *faults)
{
    const struct key *key = key_find(name);
    struct fault f = *at;
    char shown[64];

    if (!key) {
        plain_excerpt(name, strlen(name), shown, sizeof(shown));
        f.rule = FAULT_UNKNOWN_KEY;
        f.meant = key_near(name);
        fault_add(faults, &f, "%s: no such key", shown);
    }
    return key;
}

int
policy_text_set(struct policy_text *t, const char *key, const char *value,
                const char *file, int line, struct faults *faults)
{
    const struct fault at = {.file = file, .line = line};
    const struct key *known = policy_text_key(key, &at, faults);

    return known ? policy_text_put(t, known, value, &at, faults) : BIDE_EINPUT;
}

int
policy_text_unset(struct policy_text *t, const char *key, const char *file,
                  struct faults *faults)
{
    const struct fault place = {.file = file};
    const struct key *known = policy_text_key(key, &place, faults);
    bool found;
    size_t at;

    if (!known) {
        return BIDE_EINPUT;
    }
    at = find_offset(t, known, &found);
    if (found) {
        remove_entry(t, at);
    }
    return 0;
}

char *
policy_text_write(const struct policy_text *t)
{
    struct draft d = {0};
    struct text_entry e;

    draft_print(&d, "[%s]\n", t->name);
    for (size_t at = 0; policy_text_next(t, &at, &e);) {
        wrap_write(&d, e.key->name, e.value);
    }
    return draft_take(&d);
}

bool
policy_text_same(const struct policy_text *a, const struct policy_text *b)
{
    struct text_entry x, y;
    size_t i = 0, j = 0;

    if (strcmp(a->name, b->name) != 0 || a->used != b->used) {
        return false;
    }
    while (policy_text_next(a, &i, &x)) {
        if (!policy_text_next(b, &j, &y) || x.key != y.key ||
            strcmp(x.value, y.value) != 0) {
            return false;
        }
    }
    return true;
}
