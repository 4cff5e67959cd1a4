/* Who made a version and why, and how long it was in force. */

#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "cli/command/say.h"
#include "store/policies/record.h"
#include "history.h"

struct force {
    struct history_rows *rows;
    uint64_t next_ns; /* when the version after this one was made */
    int rc;
};

static struct history_row *
row_of(struct history_rows *rows, uint32_t version)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->list[i].version == version) {
            return &rows->list[i];
        }
    }
    return NULL;
}

/* What of the time from `from` to `to` lies within what is shown. */
static void
add_force(struct history_rows *rows, uint32_t version, uint64_t from,
          uint64_t to)
{
    struct history_row *row = row_of(rows, version);
    uint64_t begin = rows->begin_ns, end = rows->end_ns;

    begin = begin > from ? begin : from;
    end = end < to ? end : to;
    if (row && begin < end) {
        row->force_ns += end - begin;
    }
}

/* Newest first.  What was changed for a time gives way to another version when
 * that is over. */
static int
add_version(void *arg, const struct record *r)
{
    struct force *f = arg;
    struct history_row *row = row_of(f->rows, r->version);
    uint64_t end = f->next_ns;

    if (r->until_ns > 0 && r->until_ns < end) {
        add_force(f->rows, r->back_to, r->until_ns, end);
        end = r->until_ns;
    }
    add_force(f->rows, r->version, r->when_ns, end);
    f->next_ns = r->when_ns;
    if (row) {
        row->when_ns = r->when_ns;
        row->who = strdup(r->who);
        row->note = strdup(r->note);
        f->rc = row->who && row->note ? 0 : BIDE_ENOMEM;
    }
    return f->rc;
}

int
history_versions(struct command_line *line, struct history_rows *rows)
{
    struct force f = {rows, UINT64_MAX, 0};
    int rc = admin_each_version(line->registry, rows->name, add_version, &f);

    if (f.rc) {
        return say_no_memory();
    }
    /* Services may count for a name that nobody defined. */
    return rc && rc != BIDE_ENOPOLICY ? say_failure(rc, rows->name) : 0;
}
