/* Visits the records of a history.  Records are copied in chunks, so that a
 * slow visit works on data of one snapshot and does not make it invalid. */
#include "history_inside.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/file/seal.h"

enum { CHUNK = 256 * 1024, KEY_ROOM = 64, CHUNK_END = 1 };

struct chunk {
    const char *db;
    uint8_t from[KEY_ROOM], until[KEY_ROOM]; /* until: not included */
    size_t from_length, until_length;
    uint8_t *bytes; /* key length, value length, key, value; ... */
    size_t length;
    uint8_t next[KEY_ROOM]; /* when full: the key of the next record */
    size_t next_length;
    bool full;
    uint64_t damaged;
};

struct lengths {
    uint32_t key, value;
};

static int
collect_record(void *arg, const void *key, size_t key_length, const void *value,
               size_t value_length)
{
    struct chunk *c = arg;
    struct lengths lengths = {(uint32_t)key_length, (uint32_t)value_length};
    size_t need = sizeof(lengths) + key_length + value_length;
    uint8_t *to = c->bytes + c->length;

    if (page_compare(false, key, key_length, c->until, c->until_length) >= 0) {
        return CHUNK_END;
    }
    if (need > CHUNK || key_length > KEY_ROOM) {
        return 0; /* no recorder writes such a record */
    }
    if (need > CHUNK - c->length) {
        c->full = true;
        memcpy(c->next, key, key_length);
        c->next_length = key_length;
        return CHUNK_END;
    }
    memcpy(to, &lengths, sizeof(lengths));
    memcpy(to + sizeof(lengths), key, key_length);
    memcpy(to + sizeof(lengths) + key_length, value, value_length);
    c->length += need;
    return 0;
}

static int
collect_chunk(void *arg, const struct snapshot *s)
{
    struct chunk *c = arg;
    int rc;

    c->length = 0;
    c->full = false;
    c->damaged = 0;
    rc = pages_walk(s, c->db, c->from, c->from_length, false, collect_record, c,
                    &c->damaged);
    return rc == CHUNK_END ? 0 : rc == BIDE_ENOPOLICY ? BIDE_EDAMAGED : rc;
}

/* ---- chunk by chunk ---- */

/* Sees the value without its seal; returns SEEN_DAMAGED, or 0 to go on. */
typedef int record_fn(void *arg, const uint8_t *key, size_t key_length,
                      const uint8_t *value, size_t length);
enum { SEEN_DAMAGED = INT_MIN };

static int
visit_chunk(struct chunk *c, record_fn *see, void *arg)
{
    size_t at = 0;
    int rc = 0;

    while (at < c->length && !rc) {
        struct lengths l;
        const uint8_t *key = c->bytes + at + sizeof(l), *value;
        size_t length;

        memcpy(&l, c->bytes + at, sizeof(l));
        at += sizeof(l) + l.key + l.value;
        value = seal_read(key, l.key, key + l.key, l.value, &length);
        rc = value ? see(arg, key, l.key, value, length) : SEEN_DAMAGED;
        if (rc == SEEN_DAMAGED) {
            c->damaged++;
            rc = 0;
        }
    }
    return rc;
}

static int
visit_records(struct history *h, struct chunk *c, record_fn *see, void *arg,
              uint64_t *damaged)
{
    int rc;

    c->bytes = malloc(CHUNK);
    if (!c->bytes) {
        return BIDE_ENOMEM;
    }
    do {
        rc = pages_try(h->pages, collect_chunk, c, HISTORY_TRIES);
        if (rc == BIDE_EDAMAGED) {
            *damaged += 1; /* the whole database; others may be whole */
            rc = 0;
            break;
        }
        rc = rc ? rc : visit_chunk(c, see, arg);
        *damaged += c->damaged;
        memcpy(c->from, c->next, c->next_length);
        c->from_length = c->next_length;
    } while (!rc && c->full);
    free(c->bytes);
    c->bytes = NULL;
    return rc;
}

/* ---- intervals ---- */

struct walk {
    struct history *history;
    const struct history_range *range;
    history_visit_fn *visit;
    void *arg;
    uint64_t *damaged;
    bool hour;
    struct figures figures;
};

static int
visit_entry(struct walk *w, const struct form_block *b,
            const struct form_entry *e)
{
    const struct history *h = w->history;
    struct history_interval i = {.version = e->version,
                                 .begin_ns = b->begin_ns,
                                 .end_ns = b->end_ns,
                                 .hour = w->hour,
                                 .figures = &w->figures};

    if (e->id >= h->names || h->name[e->id].kind != 'c') {
        *w->damaged += 1; /* its name is lost */
        return 0;
    }
    i.name = h->name[e->id].name;
    i.scope = h->name[e->id].scope;
    if (w->range->name && strcmp(i.name, w->range->name) != 0) {
        return 0;
    }
    if (!figures_read(e->bytes, e->length, &w->figures)) {
        *w->damaged += 1;
        return 0;
    }
    return w->visit(w->arg, &i);
}

static int
visit_block(void *arg, const uint8_t *key, size_t key_length,
            const uint8_t *value, size_t length)
{
    struct walk *w = arg;
    struct form_block block;
    struct form_entry entry;
    int rc = 0;

    (void)key;
    (void)key_length;
    if (!form_block_open(value, length, &block)) {
        return SEEN_DAMAGED;
    }
    while (!rc && form_block_next(&block, &entry)) {
        rc = visit_entry(w, &block, &entry);
    }
    *w->damaged += block.bad;
    return rc;
}

/* Visits the blocks that end after since_ns and not after until_ns. */
static int
visit_blocks(struct walk *w, bool hour, uint64_t since_ns, uint64_t until_ns)
{
    struct chunk c = {.db = hour ? "hours" : "minutes"};

    if (since_ns >= until_ns) {
        return 0;
    }
    w->hour = hour;
    c.from_length = form_block_key(since_ns + 1, 0, c.from);
    c.until_length = form_block_key(
        until_ns == UINT64_MAX ? until_ns : until_ns + 1, 0, c.until);
    return visit_records(w->history, &c, visit_block, w, w->damaged);
}

/* Visits minutes until the first full hour, then hours, then minutes after the
 * last full hour; hours only where minutes are no longer kept.  The hour of the
 * last recording, after `over`, has minutes only; later hours and the limit of
 * the minutes are after it if the clock is behind. */
int
history_each(struct history *h, const struct history_range *range,
             history_visit_fn *visit, void *arg, uint64_t *out_damaged)
{
    uint64_t since = range->since_ns, until = range->until_ns, over, from, to;
    struct walk *w;
    int rc = history_refresh(h);

    if (rc) {
        return rc;
    }
    w = malloc(sizeof(*w));
    if (!w) {
        return BIDE_ENOMEM;
    }
    *w = (struct walk){.history = h,
                       .range = range,
                       .visit = visit,
                       .arg = arg,
                       .damaged = out_damaged};
    over = hour_end(h->state.last_ns);
    over = over > HOUR_NS ? over - HOUR_NS : 0;
    to = until - over < HOUR_NS ? until : until / HOUR_NS * HOUR_NS;
    to = smaller_ns(to, range->minutes || over < h->state.minutes_from_ns
                            ? h->state.minutes_from_ns
                            : over);
    from = since < h->state.minutes_from_ns || since > UINT64_MAX - HOUR_NS
               ? since
               : hour_end(since);
    if (to > from) {
        rc = visit_blocks(w, false, since, from);
        rc = rc ? rc : visit_blocks(w, true, from, smaller_ns(to, over));
        rc = rc ? rc
                : visit_blocks(w, false, larger_ns(from, over),
                               smaller_ns(to, over + HOUR_NS));
        rc = rc ? rc
                : visit_blocks(w, true, larger_ns(from, over + HOUR_NS), to);
        since = to;
    }
    rc = rc ? rc
            : visit_blocks(w, false, larger_ns(since, h->state.minutes_from_ns),
                           until);
    free(w);
    return rc;
}

/* ---- events ---- */

struct event_walk {
    struct history *history;
    const char *name;
    history_event_fn *visit;
    void *arg;
};

static int
visit_event(void *arg, const uint8_t *key, size_t key_length,
            const uint8_t *value, size_t length)
{
    struct event_walk *w = arg;
    struct history_event event = {.kind = 0};
    static const struct history_name host = {.kind = 'c'};
    const struct history_name *name = NULL;
    uint32_t id;

    if (key_length == EVENT_KEY) {
        event.when_ns = key_get(key + 1, 8);
        id = (uint32_t)key_get(key + 9, 4);
        name = id == 0                  ? &host
               : id < w->history->names ? &w->history->name[id]
                                        : NULL;
    }
    if (length < 3 || length - 3 >= sizeof(event.words) || !name ||
        name->kind != 'c') {
        return SEEN_DAMAGED;
    }
    if (w->name && *name->name && strcmp(w->name, name->name) != 0) {
        return 0;
    }
    event.kind = value[0];
    event.from = value[1];
    event.to = value[2];
    memcpy(event.words, value + 3, length - 3);
    return w->visit(w->arg, name->name, name->scope, &event);
}

int
history_each_event(struct history *h, const struct history_range *range,
                   history_event_fn *visit, void *arg, uint64_t *out_damaged)
{
    struct event_walk w = {h, range->name, visit, arg};
    struct chunk c = {.db = "state"};
    int rc = history_refresh(h);

    if (rc) {
        return rc;
    }
    c.from_length = form_event_key(range->since_ns, 0, 0, c.from);
    c.until_length = form_event_key(
        range->until_ns == UINT64_MAX ? UINT64_MAX : range->until_ns + 1, 0, 0,
        c.until);
    return visit_records(h, &c, visit_event, &w, out_damaged);
}

/* ---- levels ---- */

struct level_walk {
    history_level_fn *visit;
    void *arg;
};

static int
visit_level(void *arg, const uint8_t *key, size_t key_length,
            const uint8_t *value, size_t length)
{
    struct level_walk *w = arg;
    char name[BIDE_NAME_MAX + 1] = "";
    struct history_level level = {.level = 0};

    if (length < 9 || length - 9 >= sizeof(level.words) || key_length < 2 ||
        key_length - 1 > BIDE_NAME_MAX) {
        return 0; /* the next recording decides the level again */
    }
    memcpy(name, key + 1, key_length - 1);
    level.level = value[0];
    memcpy(&level.since_ns, value + 1, sizeof(level.since_ns));
    memcpy(level.words, value + 9, length - 9);
    return w->visit(w->arg, name, &level);
}

int
history_each_level(struct history *h, history_level_fn *visit, void *arg)
{
    struct level_walk w = {visit, arg};
    struct chunk c = {.db = "state",
                      .from = "n",
                      .from_length = 1,
                      .until = "o",
                      .until_length = 1};
    uint64_t damaged = 0;

    return visit_records(h, &c, visit_level, &w, &damaged);
}
