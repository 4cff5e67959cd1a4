/* Prints rows of history as tables; bide stats --since. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/read.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/view/count.h"
#include "cli/view/figure.h"
#include "record/past.h"
#include "history.h"

enum { BESIDE_MAX = 6 };

static bool
has_figure(const struct history_rows *rows, size_t figure)
{
    static const struct bide_stats none;
    bool any = figure < FIGURES && figure_shown(&none, figure);

    for (size_t i = 0; i < rows->count && !any; i++) {
        any = figure_shown(&rows->list[i].stats, figure);
    }
    return any;
}

/* ---- one row below the other ---- */

static void
add_row_label(struct table *t, const struct history_rows *rows,
              const struct history_row *row)
{
    uint64_t usual = history_step_ns(rows->by);
    uint64_t took = row->end_ns - row->begin_ns;
    bool longer;

    switch (rows->by) {
    case BY_POLICY:
        table_cell(t, 0, "%s", row->name);
        break;
    case BY_SCOPE:
        table_cell(t, 0, "%s", *row->scope ? row->scope : "-");
        break;
    case BY_VERSION:
        if (row->version == 0) {
            table_cell(t, 0, "not defined");
            break;
        }
        table_cell(t, 0, "v%u%s%s", row->version, row->force_ns ? ", " : "",
                   row->force_ns ? duration_round(row->force_ns).text : "");
        break;
    case BY_MINUTE:
    case BY_HOUR:
        /* It is longer if nothing was recorded for a time. */
        longer = took > usual + usual / 2;
        table_cell(t, 0, "%s%s%s", when_write(row->begin_ns, rows->now_ns).text,
                   longer ? ", " : "", longer ? duration_round(took).text : "");
        break;
    }
}

static int
print_rows(const struct history_rows *rows)
{
    static const char *const titles[] = {"POLICY", "SCOPE", "VERSION", "FROM",
                                         "FROM"}; /* enum history_by */
    struct table_column columns[FIGURES_ALL + 1] = {
        {titles[rows->by], TABLE_NAME}};
    size_t which[FIGURES_ALL], count = 0;
    bool calls_below = !rows->name || rows->count == 1;
    struct table *t;

    for (size_t i = 0; i < (calls_below ? FIGURES : FIGURES_ALL); i++) {
        if (has_figure(rows, i)) {
            which[count++] = i;
            columns[count] = (struct table_column){
                figure_title(i),
                TABLE_RIGHT | (i < FIGURES ? 0 : (unsigned)TABLE_SPARE)};
        }
    }
    t = table_new(columns, count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        table_row(t);
        add_row_label(t, rows, &rows->list[i]);
        for (size_t k = 0; k < count; k++) {
            table_cell(t, k + 1, "%s",
                       figure_write(&rows->list[i].stats, which[k]).text);
        }
    }
    return table_print(t);
}

/* ---- versions side by side ---- */

/* Returns a fact about a version; NULL: not known. */
static const char *
version_fact(const struct history_rows *rows, const struct history_row *row,
             size_t fact, struct brief *buffer)
{
    bool known = fact == 0 ? row->who != NULL : row->force_ns > 0;

    *buffer = fact == 0 ? when_write(row->when_ns, rows->now_ns)
                        : duration_round(row->force_ns);
    return fact == 1   ? row->who
           : fact == 2 ? row->note && *row->note ? row->note : NULL
           : known     ? buffer->text
                       : NULL;
}

static void
add_beside_changes(struct table *t, const struct history_rows *rows,
                   size_t first)
{
    static const char *const facts[] = {"made", "by", "note", "in force"};
    struct brief buffer;

    for (size_t k = 0; k < sizeof(facts) / sizeof(facts[0]); k++) {
        table_row_of(t, facts[k]);
        for (size_t i = first; i < rows->count; i++) {
            const char *text = version_fact(rows, &rows->list[i], k, &buffer);

            if (text) {
                table_cell(t, i - first + 1, "%s",
                           k == 1 ? author_write(text, rows->list[i].uid).text
                                  : text);
            }
        }
    }
}

static int
print_beside(const struct history_rows *rows)
{
    struct table_column columns[BESIDE_MAX + 1] = {{"", 0}};
    char titles[BESIDE_MAX][16], lower[16];
    size_t first = rows->count > BESIDE_MAX ? rows->count - BESIDE_MAX : 0;
    struct table *t;

    for (size_t i = first; i < rows->count; i++) {
        snprintf(titles[i - first], sizeof(titles[0]), "V%u",
                 rows->list[i].version);
        columns[i - first + 1] =
            (struct table_column){titles[i - first], TABLE_WRAP};
    }
    t = table_new(columns, rows->count - first + 1);
    add_beside_changes(t, rows, first);
    for (size_t k = 0; k < FIGURES_ALL; k++) {
        if (!has_figure(rows, k)) {
            continue;
        }
        snprintf(lower, sizeof(lower), "%s", figure_title(k));
        for (char *c = lower; *c; c++) {
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        }
        table_row_of(t, lower);
        for (size_t i = first; i < rows->count; i++) {
            table_cell(t, i - first + 1, "%s",
                       figure_write(&rows->list[i].stats, k).text);
        }
    }
    if (table_print(t)) {
        return BIDE_ENOMEM;
    }
    if (first > 0) {
        printf("%zu earlier %s not shown; use --json to see all\n", first,
               text_plural(first, "version is", "versions are"));
    }
    return 0;
}

/* ---- around the table ---- */

static void
print_history_title(const struct history_rows *rows)
{
    printf("%s%s%s to %s\n\n", rows->name ? rows->name : "",
           rows->name ? ", " : "",
           when_write(rows->begin_ns, rows->now_ns).text,
           when_write(rows->end_ns, rows->now_ns).text);
}

/* Prints the most frequent outcomes of all rows together. */
static void
print_all_outcomes(const struct history_rows *rows)
{
    struct cell_outcome *sums = NULL;
    size_t count = 0, all = 0;

    for (size_t i = 0; i < rows->count; i++) {
        all += rows->list[i].outcome_count;
    }
    sums = all > 0 ? calloc(all, sizeof(*sums)) : NULL;
    for (size_t i = 0; sums && i < rows->count; i++) {
        for (size_t k = 0; k < rows->list[i].outcome_count; k++) {
            count_outcome(sums, &count, &rows->list[i].outcomes[k]);
        }
    }
    if (count > 0) {
        qsort(sums, count, sizeof(*sums), cell_outcome_order);
    }
    if (count > 0 && sums[0].count > 0) {
        putchar('\n');
        figure_outcomes("", sums, count);
    }
    free(sums);
}

static void
print_source(const struct history_rows *rows)
{
    const struct history_known *k = &rows->past;
    char words[ALARM_WORDS];

    if (k->anew_ns >= rows->since_ns && k->anew_ns > 0 &&
        k->anew_ns <= rows->until_ns) {
        history_anew_words(k->anew_lost_ns, words);
        printf("\nNote, %s:\n%s.\n", when_write(k->anew_ns, rows->now_ns).text,
               words);
    }
    if (k->last_ns == 0 && (k->damaged > 0 || k->state_lost)) {
        puts("\nThe last recording cannot be read: see bide doctor.");
    } else if (k->last_ns == 0) {
        printf("\n%s: these are the totals since the live state was "
               "created.\nTo keep history, run bide record --every 1m.\n",
               k->anew_lost_ns == ANEW_HISTORY ? "history.mdb was removed"
                                               : "There is no history yet");
    } else if (rows->now_ns > k->last_ns &&
               rows->now_ns - k->last_ns > 600000000000) {
        printf("\nLast recorded %s: everything later is one interval.\n",
               when_write(k->last_ns, rows->now_ns).text);
    }
    if (rows->since_ns > 0 && rows->since_ns < k->hours_from_ns) {
        printf("\nHistory begins %s: older records were removed.\n",
               when_write(k->hours_from_ns, rows->now_ns).text);
    }
}

static void
print_no_calls(const struct history_rows *rows)
{
    printf("No calls%s%s were recorded", rows->name ? " of " : "",
           rows->name ? rows->name : "");
    if (rows->since_ns > 0) {
        printf(" since %s", when_write(rows->since_ns, rows->now_ns).text);
    }
    if (rows->until_ns != UINT64_MAX) {
        printf(" until %s", when_write(rows->until_ns, rows->now_ns).text);
    }
    puts(".");
}

static int
print_history_text(const struct history_rows *rows)
{
    int rc;

    if (rows->count == 0) {
        print_no_calls(rows);
        print_source(rows);
        return 0;
    }
    print_history_title(rows);
    rc = rows->beside ? print_beside(rows) : print_rows(rows);
    if (rc) {
        return rc;
    }
    if (rows->name) {
        history_plot(rows);
        print_all_outcomes(rows);
        if (rows->count == 1 && !rows->beside) {
            figure_print_calls(&rows->list[0].stats);
        }
    }
    print_source(rows);
    return 0;
}

/* ---- the command ---- */

bool
history_asked(const struct command_line *line)
{
    return line->option[OPTION_SINCE] || line->option[OPTION_UNTIL] ||
           line->option[OPTION_BY] || line->option[OPTION_CSV];
}

void
history_say_damaged(const struct history_known *past, uint64_t count)
{
    say("history: %llu damaged %s skipped", (unsigned long long)count,
        text_plural(count, "record or page was", "records or pages were"));
    if (past->state_lost) {
        say("history: the counts since the last recording are lost; bide "
            "record continues from now");
    }
}

static int
print_history(struct command_line *line, struct history_rows *rows)
{
    int rc = 0;

    if (rows->past.damaged > 0) {
        history_say_damaged(&rows->past, rows->past.damaged);
    }
    if (line->option[OPTION_CSV]) {
        history_csv(rows);
    } else {
        rc = line->option[OPTION_JSON] ? history_json(rows)
                                       : print_history_text(rows);
    }
    return rc ? say_no_memory() : STATUS_DONE;
}

/* Reads the rows and the data of their versions.  Returns 0, or the exit status
 * after an error message. */
static int
read_rows_and_versions(struct command_line *line, struct history_rows *rows)
{
    int status = history_read_rows(line, rows);

    if (status == 0 && rows->name && rows->count == 0) {
        status = say_unless_found(line->registry, rows->name, NULL);
    }
    if (status == 0 && rows->by == BY_VERSION) {
        status = history_versions(line, rows);
    }
    return status;
}

int
history_command(struct command_line *line)
{
    struct history_rows rows;
    int status;

    if (line->option[OPTION_CSV] && line->option[OPTION_JSON]) {
        return say_usage(line, "--csv and --json exclude each other");
    }
    status = read_rows_and_versions(line, &rows);
    status = status ? status : print_history(line, &rows);
    history_free(&rows);
    return status;
}
