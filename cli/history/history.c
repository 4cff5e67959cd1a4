/* Adds up recorded intervals by policy, scope, version or time. */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "admin/open.h"
#include "base/array.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/number.h"
#include "store/history/history.h"

enum { ROWS_MAX = 60000 }; /* one per minute for about six weeks */

struct row_builder {
    struct admin *registry;
    struct history_rows *rows;
    int rc;
};

/* ---- the rows ---- */

uint64_t
history_step_ns(enum history_by by)
{
    return by == BY_MINUTE ? MINUTE_NS : by == BY_HOUR ? HOUR_NS : 0;
}

static void
set_row_key(struct history_row *row, enum history_by by,
            const struct history_interval *i)
{
    uint64_t step = history_step_ns(by);

    memset(row, 0, sizeof(*row));
    strcpy(row->name, i->name);
    if (by == BY_SCOPE) {
        strcpy(row->scope, i->scope);
    }
    row->version = by == BY_VERSION ? i->version : 0;
    row->slot_ns = step > 0 ? (i->end_ns + step - 1) / step * step : 0;
}

static int
compare_rows(const struct history_row *a, const struct history_row *b)
{
    int order = strcmp(a->name, b->name);

    order = order ? order : strcmp(a->scope, b->scope);
    if (order == 0) {
        order = (a->version > b->version) - (a->version < b->version);
    }
    return order ? order
                 : (a->slot_ns > b->slot_ns) - (a->slot_ns < b->slot_ns);
}

/* Returns the index of the row with the name, scope, version and slot of `key`,
 * or the index at which to insert it. */
static size_t
find_row_place(const struct history_rows *rows, const struct history_row *key)
{
    size_t low = 0, high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_rows(&rows->list[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct history_row *
find_or_insert_row(struct row_builder *b, const struct history_row *key)
{
    struct history_rows *rows = b->rows;
    size_t at = find_row_place(rows, key);

    if (at < rows->count && compare_rows(&rows->list[at], key) == 0) {
        return &rows->list[at];
    }
    if (!array_add(&rows->list, &rows->count, sizeof(*rows->list))) {
        return NULL;
    }
    memmove(&rows->list[at + 1], &rows->list[at],
            (rows->count - 1 - at) * sizeof(*rows->list));
    rows->list[at] = *key;
    rows->list[at].begin_ns = UINT64_MAX;
    return &rows->list[at];
}

/* Converts the figures of a complete row to the statistics that are shown, and
 * frees them, because they are large.  Returns 0 or BIDE_ENOMEM. */
static int
finish_row(struct row_builder *b, struct history_row *row)
{
    const struct figures *f = row->figures;

    if (!f) {
        return 0;
    }
    past_figures(f, row->version, &row->stats);
    row->outcomes = calloc(f->outcome_count + 1u, sizeof(*row->outcomes));
    if (!row->outcomes) {
        return BIDE_ENOMEM;
    }
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        struct cell_outcome *to = &row->outcomes[i];
        const char *name =
            past_outcome(admin_past(b->registry), f->outcome[i].id);

        strncpy(to->name, name, sizeof(to->name) - 1);
        to->count = f->outcome[i].count;
    }
    row->outcome_count = f->outcome_count;
    qsort(row->outcomes, row->outcome_count, sizeof(*row->outcomes),
          cell_outcome_order);
    free(row->figures);
    row->figures = NULL;
    return 0;
}

/* Finishes all rows before `row` if rows are by time: intervals come in the
 * order of their ends, so that those rows are complete. */
static int
finish_rows_before(struct row_builder *b, const struct history_row *row)
{
    int rc = 0;

    if (row->slot_ns == 0 || !b->rows->name) {
        return 0;
    }
    for (size_t i = (size_t)(row - b->rows->list); i > 0 && rc == 0; i--) {
        if (!b->rows->list[i - 1].figures) {
            break;
        }
        rc = finish_row(b, &b->rows->list[i - 1]);
    }
    return rc;
}

/* ---- the plot's bins ---- */

/* At the first interval, chooses the shortest step with which the bins cover
 * the rest of the range. */
static void
begin_bins(struct history_rows *rows, const struct history_interval *i)
{
    static const uint64_t steps[] = {
        MINUTE_NS,      2 * MINUTE_NS, 5 * MINUTE_NS, 10 * MINUTE_NS,
        30 * MINUTE_NS, HOUR_NS,       2 * HOUR_NS,   6 * HOUR_NS,
        12 * HOUR_NS,   DAY_NS,        2 * DAY_NS,    7 * DAY_NS};
    uint64_t first = i->end_ns > rows->since_ns ? rows->since_ns : 0;
    uint64_t last = smaller_ns(rows->until_ns, rows->now_ns);
    struct history_bins *b = &rows->bins;
    uint64_t span;
    size_t k = 0;

    first = first > 0 && i->end_ns - first < 730 * DAY_NS ? first : i->begin_ns;
    span = last > first ? last - first : 1;
    while (k + 1 < sizeof(steps) / sizeof(steps[0]) &&
           span / steps[k] + 2 > HISTORY_BINS) {
        k++;
    }
    b->step_ns = steps[k];
    while (span / b->step_ns + 2 > HISTORY_BINS) {
        b->step_ns *= 2;
    }
    b->first_ns = first / b->step_ns * b->step_ns;
}

static size_t
find_bin(const struct history_bins *b, uint64_t ns)
{
    uint64_t at = ns > b->first_ns ? (ns - b->first_ns) / b->step_ns : 0;

    return at < HISTORY_BINS ? (size_t)at : HISTORY_BINS - 1;
}

/* Returns the share (0 to 1) of an interval that lies within a bin. */
static double
share_in_bin(const struct history_bins *b, const struct history_interval *i,
             size_t at)
{
    uint64_t begin = b->first_ns + at * b->step_ns, end = begin + b->step_ns;

    begin = larger_ns(begin, i->begin_ns);
    end = smaller_ns(end, i->end_ns);
    return end > begin && i->end_ns > i->begin_ns
               ? (double)(end - begin) / (double)(i->end_ns - i->begin_ns)
               : 0;
}

static int
add_to_bin(struct history_bins *b, const struct history_interval *i, size_t at,
           bool all)
{
    const struct figures *f = i->figures;
    const double amounts[HISTORY_AMOUNTS] = {
        [AMOUNT_CALLS] = (double)figures_calls(f),
        [AMOUNT_RETRIES] = (double)f->counter[COUNTER_RETRIES],
        [AMOUNT_FAILED] = (double)figures_failed(f),
        [AMOUNT_REFUSED] = (double)f->counter[COUNTER_REFUSED],
    };
    double share = all ? 1 : share_in_bin(b, i, at);

    if (!b->bin[at]) {
        b->bin[at] = calloc(1, sizeof(*b->bin[at]));
        if (!b->bin[at]) {
            return BIDE_ENOMEM;
        }
    }
    figures_add(b->bin[at], f);
    for (size_t k = 0; k < HISTORY_AMOUNTS; k++) {
        b->amount[k][at] += amounts[k] * share;
    }
    return 0;
}

static int
add_to_bins(struct history_rows *rows, const struct history_interval *i)
{
    struct history_bins *b = &rows->bins;
    size_t first, last;

    if (b->step_ns == 0) {
        begin_bins(rows, i);
    }
    first = find_bin(b, i->begin_ns);
    last = find_bin(b, i->end_ns > 0 ? i->end_ns - 1 : 0);
    for (size_t at = first < last ? first : last; at <= last; at++) {
        int rc = add_to_bin(b, i, at, first == last);

        if (rc) {
            return rc;
        }
    }
    b->count = last + 1 > b->count ? last + 1 : b->count;
    return 0;
}

/* ---- reading ---- */

static int
add_interval(void *arg, const struct history_interval *i)
{
    struct row_builder *b = arg;
    struct history_rows *rows = b->rows;
    struct history_row key, *row;
    int rc = rows->name ? add_to_bins(rows, i) : 0;

    if (*i->name == '@') {
        return 0; /* the interval is of a budget's group */
    }
    set_row_key(&key, rows->by, i);
    row = rc ? NULL : find_or_insert_row(b, &key);
    if (row && !row->figures && !row->outcomes) {
        row->figures = calloc(1, sizeof(*row->figures));
    }
    if (!row || !row->figures || finish_rows_before(b, row)) {
        return b->rc = BIDE_ENOMEM;
    }
    if (rows->count > ROWS_MAX) {
        return b->rc = BIDE_EFULL;
    }
    figures_add(row->figures, i->figures);
    row->begin_ns = smaller_ns(i->begin_ns, row->begin_ns);
    row->end_ns = larger_ns(i->end_ns, row->end_ns);
    rows->begin_ns = smaller_ns(row->begin_ns, rows->begin_ns);
    rows->end_ns = larger_ns(row->end_ns, rows->end_ns);
    return 0;
}

int
history_times(struct command_line *line, uint64_t now_ns, uint64_t *out_since,
              uint64_t *out_until)
{
    static const enum option options[] = {OPTION_SINCE, OPTION_UNTIL};
    uint64_t times[] = {0, UINT64_MAX};

    for (size_t i = 0; i < 2; i++) {
        int status = number_read_time(line, options[i], now_ns, &times[i]);

        if (status) {
            return status;
        }
    }
    if (times[0] >= times[1]) {
        return say_usage(line, "--since is not before --until");
    }
    *out_since = times[0];
    *out_until = times[1];
    return 0;
}

static int
read_grouping(struct command_line *line, struct history_rows *rows)
{
    static const char *const words[] = {[BY_POLICY] = "policy",
                                        [BY_SCOPE] = "scope",
                                        [BY_VERSION] = "version",
                                        [BY_MINUTE] = "minute",
                                        [BY_HOUR] = "hour"};
    const char *text = line->option[OPTION_BY];

    rows->by = rows->name ? BY_VERSION : BY_POLICY;
    for (size_t i = 0; text && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], text) == 0) {
            rows->by = (enum history_by)i;
            text = NULL;
        }
    }
    if (text) {
        return say_usage(line,
                         "--by %s: not one of minute, hour, version, scope, "
                         "policy",
                         text);
    }
    if (!rows->name && rows->by != BY_POLICY) {
        return say_usage(line, "--by %s: needs the name of a policy",
                         line->option[OPTION_BY]);
    }
    rows->beside = rows->by == BY_VERSION && line->option[OPTION_BY];
    return 0;
}

/* Returns the range to read.  Up to two days, minutes are read, so that the
 * plot is exact. */
static struct history_range
make_range(const struct history_rows *rows)
{
    uint64_t until = smaller_ns(rows->until_ns, rows->now_ns);

    return (struct history_range){
        .name = rows->name,
        .since_ns = rows->since_ns,
        .until_ns = rows->until_ns,
        .minutes =
            rows->by == BY_MINUTE || (rows->name && until > rows->since_ns &&
                                      until - rows->since_ns <= 2 * DAY_NS),
    };
}

int
history_read_rows(struct command_line *line, struct history_rows *out)
{
    struct row_builder b = {.registry = line->registry, .rows = out};
    struct history_range range;
    int rc, status;

    *out =
        (struct history_rows){.name = line->operands[0],
                              .now_ns = past_now_ns(admin_past(line->registry)),
                              .begin_ns = UINT64_MAX};
    status = read_grouping(line, out);
    if (status == 0) {
        status =
            history_times(line, out->now_ns, &out->since_ns, &out->until_ns);
    }
    if (status) {
        return status;
    }
    range = make_range(out);
    rc = past_each_interval(admin_past(line->registry), &range, NULL,
                            add_interval, &b, &out->past);
    for (size_t i = 0; i < out->count && !rc; i++) {
        rc = b.rc = finish_row(&b, &out->list[i]);
    }
    if (b.rc == BIDE_EFULL) {
        say("history: more than %d rows", ROWS_MAX);
        say("choose a shorter period, or --by hour");
        return STATUS_NO;
    }
    return b.rc ? say_no_memory() : rc ? say_failure(rc, "history") : 0;
}

void
history_free(struct history_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->list[i].outcomes);
        free(rows->list[i].figures);
        free(rows->list[i].who);
        free(rows->list[i].note);
    }
    for (size_t i = 0; i < HISTORY_BINS; i++) {
        free(rows->bins.bin[i]);
    }
    free(rows->list);
}
