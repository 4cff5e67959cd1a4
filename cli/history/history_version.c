/* Adds to rows by version their author, note and time in force. */

#include <string.h>

#include "admin/read.h"
#include "cli/command/say.h"
#include "store/policies/record.h"
#include "history.h"

struct version_walk {
    struct history_rows *rows;
    uint64_t next_ns; /* when the version after this one was made, as the
                         history has it */
    int rc;
};

static struct history_row *
find_version_row(struct history_rows *rows, uint32_t version)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->list[i].version == version) {
            return &rows->list[i];
        }
    }
    return NULL;
}

/* Adds to the version's row the part of `from` to `to` that the rows cover. */
static void
add_time_in_force(struct history_rows *rows, uint32_t version, uint64_t from,
                  uint64_t to)
{
    struct history_row *row = find_version_row(rows, version);
    uint64_t begin = rows->begin_ns, end = rows->end_ns;

    begin = begin > from ? begin : from;
    end = end < to ? end : to;
    if (row && begin < end) {
        row->force_ns += end - begin;
    }
}

/* Returns the version in force at a time, among the parts of a record, and the
 * next end of a layer in *end; leaves that if there is none before it. */
static uint32_t
version_at(const struct record *r, uint64_t at_ns, uint64_t *end)
{
    uint32_t version = r->parts[0].version;

    for (size_t i = 1; i < r->part_count; i++) {
        const struct record_part *p = &r->parts[i];

        if (p->until_ns > at_ns) {
            version = p->version > version ? p->version : version;
            *end = p->until_ns < *end ? p->until_ns : *end;
        }
    }
    return version;
}

/* Adds author, note and time in force of a version to its row; visits the
 * newest version first.  When a layer ends, another version may be in force. */
static int
add_version_facts(void *arg, const struct record *r)
{
    struct version_walk *w = arg;
    struct history_row *row = find_version_row(w->rows, r->version);
    uint64_t ahead = history_ahead(&w->rows->past.changes, r->sequence);
    uint64_t at = r->when_ns - ahead, end;

    for (; at < w->next_ns; at = end) {
        uint32_t version;

        end = w->next_ns + ahead;
        version = version_at(r, at + ahead, &end);
        end -= ahead;
        add_time_in_force(w->rows, version, at, end);
    }
    w->next_ns = r->when_ns - ahead;
    if (row) {
        row->when_ns = w->next_ns;
        row->who = strdup(r->who);
        row->uid = r->uid;
        row->note = strdup(r->note);
        w->rc = row->who && row->note ? 0 : BIDE_ENOMEM;
    }
    return w->rc;
}

int
history_versions(struct command_line *line, struct history_rows *rows)
{
    struct version_walk w = {rows, INT64_MAX, 0};
    int rc =
        admin_each_version(line->registry, rows->name, add_version_facts, &w);

    if (w.rc) {
        return say_no_memory();
    }
    /* Services may count calls under a name that is not defined. */
    return rc && rc != BIDE_ENOPOLICY ? say_failure(rc, rows->name) : 0;
}
