/* Reads the state, the names and the bases of a history. */
#include "history_inside.h"
#include "store/pages/pages_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/paths.h"
#include "store/file/place.h"
#include "store/file/seal.h"

enum {
    NAMES_MAX = 64 * 1024 * 1024,
    SMALL = 1 << 20, /* a file that is checked at each change */
};

/* ---- state ---- */

int
history_read_state(const char *path, const uint8_t *value, size_t length,
                   struct history_state *out)
{
    uint32_t format = 0;
    int rc = 0;

    /* First of all: the state of another format may have another size. */
    if (value && length >= sizeof(format)) {
        memcpy(&format, value, sizeof(format));
        rc = format == HISTORY_OLDER
                 ? 0
                 : pages_format(path, format, HISTORY_FORMAT);
    }
    if (!rc && (!format || length < STATE_LEAST || length > sizeof(*out))) {
        rc = pages_damaged("the history's state is damaged");
    }
    if (!rc) {
        memcpy(out, value, length);
        out->format = HISTORY_FORMAT; /* that of the next recording */
    }
    return rc;
}

/* Reads the state.  BIDE_EDAMAGED: it is lost, but other records may be whole.
 */
static int
read_state(const struct snapshot *s, struct history_state *out)
{
    struct history_state found = {0};
    const uint8_t *value;
    size_t length;
    void *bytes;
    int rc = pages_get(s, "state", "m", 1, &bytes, &length);

    if (rc == BIDE_ENOPOLICY) {
        return pages_damaged("the history's state is missing");
    }
    if (rc) {
        return rc;
    }
    value = seal_read("m", 1, bytes, length, &length);
    rc = history_read_state(s->file->path, value, length, &found);
    free(bytes);
    if (!rc && s->meta.txn > 1 && found.commit != s->meta.txn) {
        rc = pages_damaged("the history's state is of another transaction");
    }
    if (!rc) {
        *out = found;
    }
    return rc;
}

void
history_note(struct history_state *s, int db, const void *key,
             size_t key_length, const uint8_t *value, size_t length)
{
    uint64_t end = form_block_end(key, key_length);
    struct form_block block;
    struct form_entry e;
    uint32_t id = 0;

    if (db == MINUTES || db == HOURS) {
        s->last_ns = db == MINUTES && end > s->last_ns ? end : s->last_ns;
        if (form_block_open(value, length, &block)) {
            while (form_block_next(&block, &e)) {
                id = e.id > id ? e.id : id;
            }
        }
    } else if (db == NAMES && length == sizeof(struct form_name)) {
        memcpy(&id, value, sizeof(id));
    } else if (db == BASE && key_length == sizeof(id)) {
        id = (uint32_t)key_get(key, sizeof(id));
    }
    s->next_id = id >= s->next_id ? id + 1 : s->next_id;
}

/* Reads the records of a database: adds to `out`, and to `noted` unless that is
 * NULL. */
struct survey_walk {
    struct history_survey *out;
    struct history_state *noted;
    int db;
};

static int
survey_record(void *arg, const void *key, size_t key_length, const void *value,
              size_t length)
{
    struct survey_walk *w = arg;
    struct history_survey *out = w->out;
    const uint64_t end = form_block_end(key, key_length);
    const uint8_t *bytes = seal_read(key, key_length, value, length, &length);

    if (!bytes) {
        out->damaged++;
        return 0;
    }
    if (w->noted) {
        history_note(w->noted, w->db, key, key_length, bytes, length);
    }
    if (w->db == MINUTES) {
        out->minutes++;
        out->minute_first_ns =
            out->minute_first_ns ? out->minute_first_ns : end;
        out->minute_last_ns = end;
    } else if (w->db == HOURS) {
        out->hours++;
        out->hour_first_ns = out->hour_first_ns ? out->hour_first_ns : end;
        out->hour_last_ns = end;
    } else if (w->db == STATE) {
        out->events += *(const char *)key == 'e';
    }
    return 0;
}

static int
survey_database(struct survey_walk *w, const struct snapshot *s, int db)
{
    w->db = db;
    return pages_walk(s, history_databases[db], NULL, 0, false, survey_record,
                      w, &w->out->damaged);
}

/* Derives a lost state from the names and minutes. */
static int
guess_state(const struct snapshot *s, struct history_state *out)
{
    struct history_survey unused = {.damaged = 0};
    struct survey_walk w = {.out = &unused, .noted = out};
    int rc;

    *out = (struct history_state){.format = HISTORY_FORMAT, .next_id = 1};
    rc = survey_database(&w, s, NAMES);
    return rc ? rc : survey_database(&w, s, MINUTES);
}

/* ---- names ---- */

static bool
parse_name(const uint8_t *key, size_t length, struct history_name *out)
{
    const uint8_t *end = length < 2 ? NULL : memchr(key + 1, '\0', length - 1);
    size_t name = (end ? (size_t)(end - key) : length) - 1;
    size_t scope = end ? length - name - 2 : 0;

    memset(out, 0, sizeof(*out));
    if (length < 2 || *key != (end ? 'c' : 'o') || name >= sizeof(out->name) ||
        scope > BIDE_NAME_MAX) {
        return false;
    }
    out->kind = (char)*key;
    memcpy(out->name, key + 1, name);
    memcpy(out->scope, key + length - scope, scope);
    return true;
}

/* Stores a name under its id; an id whose record is damaged has no name. */
static int
store_name(void *arg, const void *key, size_t key_length, const void *value,
           size_t value_length)
{
    struct history *h = arg;
    struct history_name name;
    struct form_name found;

    if (seal_copy(key, key_length, value, value_length, &found,
                  sizeof(found)) &&
        found.id < h->names && parse_name(key, key_length, &name)) {
        h->name[found.id] = name;
    } else {
        h->unreadable++;
    }
    return 0;
}

static int
compare_names(const void *a, const void *b)
{
    const struct history_name *const *x = a, *const *y = b;
    int order = (*x)->kind - (*y)->kind;

    order = order ? order : strcmp((*x)->name, (*y)->name);
    return order ? order : strcmp((*x)->scope, (*y)->scope);
}

static int
sort_names(struct history *h)
{
    free(h->sorted);
    h->sorted_count = 0;
    h->sorted = calloc((size_t)h->names + 1, sizeof(*h->sorted));
    if (!h->sorted) {
        return BIDE_ENOMEM;
    }
    for (uint32_t i = 0; i < h->names; i++) {
        if (h->name[i].kind) {
            h->sorted[h->sorted_count++] = &h->name[i];
        }
    }
    qsort(h->sorted, h->sorted_count, sizeof(*h->sorted), compare_names);
    return 0;
}

static int
read_names(struct history *h, const struct snapshot *s)
{
    struct history_name *longer =
        calloc((size_t)h->state.next_id + 1, sizeof(*longer));
    int rc;

    if (!longer) {
        return BIDE_ENOMEM;
    }
    free(h->name);
    h->name = longer;
    h->names = h->state.next_id;
    h->unreadable = 0;
    rc = pages_walk(s, "names", NULL, 0, false, store_name, h, &h->unreadable);
    h->unreadable += rc == BIDE_ENOPOLICY;
    if (!rc || rc == BIDE_ENOPOLICY) {
        rc = sort_names(h);
    }
    if (rc) {
        h->names = 0; /* history_refresh tries again */
    }
    return rc;
}

static int
refresh_in_snapshot(void *arg, const struct snapshot *s)
{
    struct history *h = arg;
    struct history_state state;
    int rc = read_state(s, &state);
    bool lost = rc == BIDE_EDAMAGED;

    if (lost && h->state_lost && h->txn == s->meta.txn) {
        return 0;
    }
    if (lost) {
        rc = guess_state(s, &state);
    }
    if (!rc && state.next_id > NAMES_MAX) {
        rc = pages_damaged("the history has too many names");
    }
    if (rc) {
        return rc;
    }
    h->state = state;
    h->state_lost = lost;
    h->txn = s->meta.txn;
    return state.next_id == h->names && h->name ? 0 : read_names(h, s);
}

/* ---- damage ---- */

static int
survey_snapshot(void *arg, const struct snapshot *s)
{
    struct survey_walk w = {.out = arg};
    int rc = 0;

    *w.out = (struct history_survey){.damaged = 0};
    for (int db = 0; db < HISTORY_DATABASES && !rc; db++) {
        rc = survey_database(&w, s, db);
        if (rc == BIDE_EDAMAGED || rc == BIDE_ENOPOLICY) {
            w.out->damaged++; /* the whole database */
            rc = 0;
        }
    }
    return rc;
}

int
history_survey(struct pages *f, struct history_survey *out)
{
    int pages = pages_check(f), rc;

    if (pages && pages != BIDE_EDAMAGED) {
        return pages;
    }
    rc = pages_try(f, survey_snapshot, out, HISTORY_TRIES);
    out->damaged += pages && !out->damaged;
    return rc;
}

/* Counts the damage of the present file, unless a recorder has checked it.  A
 * small file is checked in any case: a disk can damage it without a trace. */
static void
find_damage(struct history *h)
{
    static _Thread_local struct {
        struct pages_stamp stamp;
        struct history_survey survey;
    } last;
    struct pages_stamp now;

    h->damaged = 0;
    if (pages_look(h->pages, &now)) {
        return;
    }
    if (memcmp(&now, &last.stamp, sizeof(now)) != 0 &&
        (now.size <= SMALL || !place_was_checked(h->checked, &now)) &&
        history_survey(h->pages, &last.survey) == 0) {
        last.stamp = now;
    }
    if (memcmp(&now, &last.stamp, sizeof(now)) == 0) {
        h->damaged = last.survey.damaged;
    }
}

int
history_refresh(struct history *h)
{
    int rc = pages_try(h->pages, refresh_in_snapshot, h, HISTORY_TRIES);

    if (!rc) {
        find_damage(h);
    }
    return rc;
}

/* ---- opening ---- */

int
history_open(const char *dir, struct history **out)
{
    struct history *h = calloc(1, sizeof(*h));
    int rc;

    if (!h || !(h->checked = place_path(dir, PATH_HISTORY_CHECKED))) {
        free(h);
        return BIDE_ENOMEM;
    }
    rc = pages_open(path_of(dir, PATH_HISTORY).text, &h->pages);
    rc = rc ? rc : history_refresh(h);
    if (rc) {
        history_close(h);
        return rc;
    }
    pages_keep(h->pages);
    *out = h;
    return 0;
}

void
history_close(struct history *h)
{
    if (!h) {
        return;
    }
    pages_close(h->pages);
    free(h->checked);
    free(h->name);
    free(h->sorted);
    free(h);
}

int
history_belongs(struct history *h, const uint8_t registry[16])
{
    static const uint8_t unknown[sizeof(h->state.registry)];

    if (!memcmp(h->state.registry, registry, sizeof(unknown)) ||
        !memcmp(h->state.registry, unknown, sizeof(unknown))) {
        return 0;
    }
    pages_damaged("%s is of another registry\nmove it away: a new file is "
                  "created, and counting continues",
                  h->pages->path);
    return BIDE_EFORMAT;
}

int
history_known(struct history *h, struct history_known *out)
{
    struct pages_stamp stamp;
    int rc = history_refresh(h);

    rc = rc ? rc : pages_look(h->pages, &stamp);
    if (rc) {
        return rc;
    }
    *out = (struct history_known){
        .last_ns = h->state.last_ns,
        .minutes_from_ns = h->state.minutes_from_ns,
        .hours_from_ns = h->state.hours_from_ns,
        .state_lost = h->state_lost,
        .lost = h->state.lost,
        .unreadable = h->state.unreadable,
        .damaged = (h->damaged > h->unreadable ? h->damaged : h->unreadable) +
                   h->state_lost,
        .every_ns = h->state.every_ns,
        .bytes = stamp.size,
        .live_begun_ns = h->state.live_begun_ns,
        .boottime_ns = h->state.boottime_ns,
        .offset_ns = h->state.offset_ns,
        .newest_ns = h->state.newest_ns > h->state.last_ns ? h->state.newest_ns
                                                           : h->state.last_ns,
        .anew_ns = h->state.anew_ns,
        .anew_lost_ns = h->state.anew_lost_ns,
        .jump_ns = h->state.jump_ns,
        .changes = h->state.changes,
    };
    memcpy(out->boot, h->state.live_boot, sizeof(out->boot));
    for (uint32_t i = 0; i < h->names; i++) {
        out->cells += h->name[i].kind == 'c';
    }
    return 0;
}

uint64_t
history_ahead(const struct history_changes *c, uint64_t sequence)
{
    int i = 0;

    while (i < HISTORY_SHIFTS && c->shift[i].sequence >= sequence) {
        i++;
    }
    return i < HISTORY_SHIFTS ? (uint64_t)c->shift[i].jump_ns : 0;
}

/* ---- live states and files that were moved ---- */

bool
history_was_made(const char *dir)
{
    return !access(path_of(dir, PATH_HISTORY_CHECKED).text, F_OK);
}

void
history_anew_words(uint64_t lost_ns, char out[ALARM_WORDS])
{
    snprintf(out, ALARM_WORDS,
             lost_ns == ANEW_PUT_BACK
                 ? "an earlier live file was put back%.0s: calls since its "
                   "recording may be missing"
             : lost_ns == ANEW_HISTORY
                 ? "history.mdb was removed or cut%.0s: earlier calls are "
                   "missing, or one interval"
             : lost_ns == ANEW_OLD_HISTORY
                 ? "an older history.mdb was put back%.0s: the calls that it "
                   "lacks are one interval of the versions that are known"
             : lost_ns == ANEW_OLD_REGISTRY
                 ? "an older registry.mdb was put back%.0s: the numbers of the "
                   "versions that it lacks are not used again"
                 : "live state began anew: calls of the %s before may be "
                   "missing",
             duration_round(lost_ns).text);
}

/* ---- names and bases ---- */

const char *
history_outcome(const struct history *h, uint32_t id)
{
    return id && id < h->names && h->name[id].kind == 'o' ? h->name[id].name
                                                          : "other";
}

static uint32_t
find_name_id(const struct history *h, char kind, const char *name,
             const char *scope)
{
    struct history_name wanted = {.kind = kind}, *key = &wanted, **found;

    snprintf(wanted.name, sizeof(wanted.name), "%s", name);
    snprintf(wanted.scope, sizeof(wanted.scope), "%s", scope);
    if (h->sorted_count == 0) {
        return 0;
    }
    found = bsearch(&key, h->sorted, h->sorted_count, sizeof(*h->sorted),
                    compare_names);
    return found ? (uint32_t)(*found - h->name) : 0;
}

uint32_t
history_outcome_id(const struct history *h, const char *name)
{
    return strcmp(name, "other") == 0 ? 0 : find_name_id(h, 'o', name, "");
}

struct base_wanted {
    struct history *history;
    uint64_t live_begun_ns;
    const char *name, *scope;
    uint64_t begun;
    struct figures *out;
};

static int
read_base(void *arg, const struct snapshot *s)
{
    struct base_wanted *w = arg;
    uint8_t key[4];
    struct form_base base;
    const uint8_t *value;
    size_t length;
    void *bytes;
    uint32_t id;
    int rc = refresh_in_snapshot(w->history, s);

    if (!rc && w->history->state_lost) {
        return pages_damaged("the history's state is damaged");
    }
    if (rc || w->history->state.live_begun_ns != w->live_begun_ns) {
        return rc;
    }
    id = find_name_id(w->history, 'c', w->name, w->scope);
    if (!id) {
        return w->history->unreadable
                   ? pages_damaged("a name of the history is damaged")
                   : 0;
    }
    rc = pages_get(s, "base", key, form_id_key(id, key), &bytes, &length);
    if (rc == BIDE_ENOPOLICY && w->history->state.flags & HISTORY_BASES_LOST) {
        return pages_damaged("a base of the history is missing");
    }
    if (rc) {
        return rc == BIDE_ENOPOLICY ? 0 : rc;
    }
    value = seal_read(key, sizeof(key), bytes, length, &length);
    if (!value || !form_base_read(value, length, &base) ||
        !figures_read(base.now, base.now_length, w->out)) {
        rc = pages_damaged("a base of the history is damaged");
    } else if (base.begun != w->begun) {
        memset(w->out, 0, sizeof(*w->out));
    }
    free(bytes);
    return rc;
}

int
history_base(struct history *h, uint64_t live_begun_ns, const char *name,
             const char *scope, uint64_t begun, struct figures *out)
{
    struct base_wanted w = {h, live_begun_ns, name, scope, begun, out};

    memset(out, 0, sizeof(*out));
    return pages_try(h->pages, read_base, &w, HISTORY_TRIES);
}
