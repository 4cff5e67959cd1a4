/* Adds to rows by version their author, note and time in force. */

#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "cli/command/say.h"
#include "store/policies/record.h"
#include "history.h"

struct version_walk {
    struct history_rows *rows;
    uint64_t next_ns; /* when the version after this one was made */
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

/* Adds author, note and time in force of a version to its row; visits the
 * newest version first.  When a temporary version ends, another version is in
 * force again. */
static int
add_version_facts(void *arg, const struct record *r)
{
    struct version_walk *w = arg;
    struct history_row *row = find_version_row(w->rows, r->version);
    uint64_t end = w->next_ns;

    if (r->until_ns > 0 && r->until_ns < end) {
        add_time_in_force(w->rows, r->back_to, r->until_ns, end);
        end = r->until_ns;
    }
    add_time_in_force(w->rows, r->version, r->when_ns, end);
    w->next_ns = r->when_ns;
    if (row) {
        row->when_ns = r->when_ns;
        row->who = strdup(r->who);
        row->note = strdup(r->note);
        w->rc = row->who && row->note ? 0 : BIDE_ENOMEM;
    }
    return w->rc;
}

int
history_versions(struct command_line *line, struct history_rows *rows)
{
    struct version_walk w = {rows, UINT64_MAX, 0};
    int rc =
        admin_each_version(line->registry, rows->name, add_version_facts, &w);

    if (w.rc) {
        return say_no_memory();
    }
    /* Services may count calls under a name that is not defined. */
    return rc && rc != BIDE_ENOPOLICY ? say_failure(rc, rows->name) : 0;
}
