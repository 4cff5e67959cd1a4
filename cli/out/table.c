#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "base/draft.h"
#include "text.h"

#define CELL_COLOUR "\033[31m"
#define ROW_COLOUR "\033[33m"
#define COLOUR_OFF "\033[0m"

/* Limits of folding, in columns: narrower text would be unreadable. */
enum { NARROWEST = 12, NARROWEST_NAME = 24 };

struct cell {
    char *text; /* NULL: "-" */
    bool marked;
    bool row_marked; /* of the first cell of a row, as the next two */
    double rank;
    size_t row; /* its number */
};

struct column {
    char *title;
    unsigned flags;
    size_t width;     /* of the longest cell, or of the title */
    bool filled;      /* a cell is filled */
    bool hidden;      /* not printed */
    const char *rest; /* what is not printed yet of the present row */
};

struct table {
    size_t columns, rows;
    struct column *column;
    bool close;         /* columns stand closer */
    bool narrow;        /* names are folded like other text */
    struct cell *cells; /* row by row */
    double rank;        /* of the last row */
    bool ranked;        /* some rank is not 0 */
    bool cut;           /* a text is not printed completely */
    bool failed;        /* out of memory */
};

void
table_free(struct table *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        free(t->cells[i].text);
    }
    for (size_t i = 0; t->column && i < t->columns; i++) {
        free(t->column[i].title);
    }
    free(t->column);
    free(t->cells);
    free(t);
}

struct table *
table_new(const struct table_column *columns, size_t count)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t) {
        return NULL;
    }
    t->columns = count;
    t->column = calloc(count, sizeof(*t->column));
    t->failed = !t->column;
    for (size_t i = 0; t->column && i < count; i++) {
        t->column[i].title = strdup(columns[i].title);
        t->failed = t->failed || !t->column[i].title;
        t->column[i].flags = columns[i].flags;
        t->column[i].width = text_columns(columns[i].title);
    }
    return t;
}

/* ---- filling ---- */

void
table_row(struct table *t)
{
    if (t && !t->failed) {
        t->failed =
            !array_add(&t->cells, &t->rows, t->columns * sizeof(*t->cells));
        table_rank(t, t->rank);
    }
}

void
table_row_of(struct table *t, const char *text)
{
    table_row(t);
    table_cell(t, 0, "%s", text);
}

static struct cell *
last_cell(struct table *t, size_t column)
{
    assert(t->rows > 0 && column < t->columns);
    return &t->cells[(t->rows - 1) * t->columns + column];
}

void
table_cell(struct table *t, size_t column, const char *format, ...)
{
    char *text = NULL;
    struct cell *cell;
    va_list args;
    size_t width;

    if (!t || t->failed || column >= t->columns) {
        return;
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
    }
    va_end(args);
    cell = last_cell(t, column);
    free(cell->text);
    cell->text = text ? text_safe(text) : NULL;
    free(text);
    t->failed = !cell->text;
    t->column[column].filled = true;
    width = cell->text ? text_columns(cell->text) : 1;
    t->column[column].width =
        width > t->column[column].width ? width : t->column[column].width;
}

void
table_rank(struct table *t, double rank)
{
    if (t && !t->failed) {
        t->rank = last_cell(t, 0)->rank = rank;
        t->ranked |= rank != 0;
        last_cell(t, 0)->row = t->rows;
    }
}

static int
compare_rows(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    return x->rank != y->rank ? (x->rank < y->rank ? 1 : -1)
           : x->row < y->row  ? -1
                              : 1;
}

void
table_mark_cell(struct table *t, size_t column)
{
    if (t && !t->failed) {
        last_cell(t, column)->marked = true;
    }
}

void
table_mark_row(struct table *t)
{
    if (t && !t->failed) {
        last_cell(t, 0)->row_marked = true;
    }
}

/* ---- fitting ---- */

/* Returns the space between two columns. */
static const char *
column_gap(const struct table *t)
{
    return t->close ? " " : "  ";
}

static size_t
total_width(const struct table *t)
{
    size_t total = 0;

    for (size_t i = 0; i < t->columns; i++) {
        if (!t->column[i].hidden) {
            total +=
                t->column[i].width + (total > 0 ? strlen(column_gap(t)) : 0);
        }
    }
    return total;
}

/* Returns the least width to which the column may be folded; 0: not folded. */
static size_t
narrowest(const struct table *t, const struct column *c)
{
    return c->flags & TABLE_NAME && !t->narrow    ? NARROWEST_NAME
           : c->flags & (TABLE_NAME | TABLE_WRAP) ? NARROWEST
                                                  : 0;
}

/* Reports whether the table fits if each column is as narrow as it may be. */
static bool
can_fit(const struct table *t)
{
    size_t total = total_width(t);

    for (size_t i = 0; i < t->columns; i++) {
        size_t least = narrowest(t, &t->column[i]);

        if (!t->column[i].hidden && least > 0 && t->column[i].width > least) {
            total -= t->column[i].width - least;
        }
    }
    return total <= text_width();
}

/* Narrows the widest of the foldable columns, step by step, to `width`. */
static void
fold_columns(struct table *t, size_t width)
{
    for (size_t total = total_width(t); total > width; total--) {
        size_t widest = t->columns;

        for (size_t i = 0; i < t->columns; i++) {
            if (!t->column[i].hidden && narrowest(t, &t->column[i]) > 0 &&
                t->column[i].width > narrowest(t, &t->column[i]) &&
                (widest == t->columns ||
                 t->column[i].width > t->column[widest].width)) {
                widest = i;
            }
        }
        if (widest == t->columns) {
            return;
        }
        t->column[widest].width--;
    }
}

/* Hides the empty columns, and all from column `end` on. */
static void
hide_columns(struct table *t, size_t end)
{
    for (size_t i = 0; i < t->columns; i++) {
        t->column[i].hidden = i >= end || !t->column[i].filled;
    }
}

/* Hides the column that is least needed.  Returns false if there is none. */
static bool
hide_sparest(struct table *t)
{
    struct column *sparest = NULL;

    for (size_t i = 0; i < t->columns; i++) {
        struct column *c = &t->column[i];

        if (!c->hidden && c->flags / TABLE_SPARE >
                              (sparest ? sparest->flags / TABLE_SPARE : 0)) {
            sparest = c;
        }
    }
    if (sparest) {
        sparest->hidden = true;
    }
    return sparest;
}

/* Makes the table fit the terminal, in this order: leaves out empty columns,
 * brings columns together, leaves out TABLE_SPARE columns, folds names.
 * Reports whether it fits. */
static bool
fit_to_terminal(struct table *t)
{
    hide_columns(t, t->columns);
    t->close = !can_fit(t);
    while (!can_fit(t) && hide_sparest(t)) {
    }
    t->narrow = !can_fit(t);
    if (!can_fit(t)) {
        return false;
    }
    fold_columns(t, text_width());
    return true;
}

/* ---- printing ---- */

/* Returns the length of what the next line shows of the text of a column; and
 * whether that is cut, so that nothing follows. */
static size_t
next_length(struct table *t, const struct column *c, const char *text,
            bool *out_cut)
{
    size_t length = strlen(text);

    *out_cut = false;
    if (narrowest(t, c) == 0 || text_columns(text) <= c->width) {
        return length;
    }
    *out_cut = c->flags & TABLE_CUT;
    t->cut |= *out_cut;
    return *out_cut ? text_line_length(text, c->width - 3, c->width - 3)
                    : text_line_length(text, 0, c->width);
}

/* Prints a part of a text behind the blanks that are due.  Blanks at its end
 * become due: at the end of a line they disturb a diff, and wrap on a narrow
 * terminal. */
static void
print_part(const char *text, size_t length, size_t *due)
{
    size_t used = length;

    while (used > 0 && text[used - 1] == ' ') {
        used--;
    }
    for (; used > 0 && *due > 0; --*due) {
        putchar_unlocked(' ');
    }
    fwrite_unlocked(text, 1, used, stdout);
    *due += length - used;
}

/* Prints the next line of each text, in colour if `cells` are marked. */
static void
print_line(struct table *t, const struct cell *cells)
{
    size_t due = 0;

    fputs(cells && cells->row_marked ? ROW_COLOUR : "", stdout);
    for (size_t i = 0; i < t->columns; i++) {
        struct column *c = &t->column[i];
        bool cut, marked = cells && cells[i].marked;
        size_t length, width, blanks;

        if (c->hidden) {
            continue;
        }
        length = next_length(t, c, c->rest, &cut);
        width = text_columns(c->rest) - text_columns(c->rest + length) +
                (cut ? 3 : 0);
        blanks = c->width > width ? c->width - width : 0;
        due += c->flags & TABLE_RIGHT ? blanks : 0;
        fputs(marked ? CELL_COLOUR : "", stdout);
        print_part(c->rest, length, &due);
        print_part("...", cut ? 3 : 0, &due);
        fputs(marked ? COLOUR_OFF : "", stdout);
        fputs(marked && cells->row_marked ? ROW_COLOUR : "", stdout);
        due += (c->flags & TABLE_RIGHT ? 0 : blanks) + strlen(column_gap(t));
        c->rest += length;
        c->rest += cut ? strlen(c->rest) : strspn(c->rest, " ");
    }
    fputs(cells && cells->row_marked ? COLOUR_OFF : "", stdout);
    putchar_unlocked('\n');
}

/* Prints the columns that are not hidden, folded to their widths. */
static void
print_columns(struct table *t, bool titles)
{
    bool colour = text_in_colour(), more;

    for (size_t i = 0; i < t->columns; i++) {
        t->column[i].rest = t->column[i].title;
    }
    if (titles) {
        print_line(t, NULL);
    }
    for (size_t row = 0; row < t->rows; row++) {
        const struct cell *cells = &t->cells[row * t->columns];

        for (size_t i = 0; i < t->columns; i++) {
            t->column[i].rest = cells[i].text ? cells[i].text : "-";
        }
        do {
            print_line(t, colour ? cells : NULL);
            more = false;
            for (size_t i = 0; i < t->columns; i++) {
                more |= !t->column[i].hidden && *t->column[i].rest;
            }
        } while (more);
    }
}

/* Returns the number of columns before the first figure; 0 if text follows a
 * figure, or if there is no room for a figure. */
static size_t
count_labels(const struct table *t)
{
    size_t labels = 0, widest = 0;

    while (labels < t->columns && !(t->column[labels].flags & TABLE_RIGHT)) {
        labels++;
    }
    for (size_t i = labels; i < t->columns; i++) {
        if (!(t->column[i].flags & TABLE_RIGHT)) {
            return 0;
        }
        widest = t->column[i].width > widest ? t->column[i].width : widest;
    }
    return labels * (NARROWEST + 2) + widest <= text_width() ? labels : 0;
}

/* Prints the figures in as many tables as they need, each with the first
 * columns, `labels`. */
static void
print_parts(struct table *t, size_t labels)
{
    hide_columns(t, labels);
    t->close = false;
    fold_columns(t, text_width() / 2);
    for (size_t from = labels, to; from < t->columns; from = to) {
        hide_columns(t, labels);
        for (to = from; to < t->columns; to++) {
            t->column[to].hidden = !t->column[to].filled;
            if (total_width(t) > text_width() && to > from) {
                t->column[to].hidden = true;
                break;
            }
        }
        if (from > labels) {
            putchar('\n');
        }
        print_columns(t, true);
    }
}

/* Prints each row as lines "TITLE  cell", which the output folds. */
static void
print_blocks(const struct table *t, bool titles)
{
    size_t widest = 0;

    for (size_t i = 0; i < t->columns && titles; i++) {
        size_t width = text_columns(t->column[i].title);

        widest = t->column[i].filled && width > widest ? width : widest;
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        const char *title = titles ? t->column[i % t->columns].title : "";

        if (i > 0 && i % t->columns == 0 && titles) {
            putchar('\n');
        }
        if (t->cells[i].text &&
            strspn(t->cells[i].text, " ") < strlen(t->cells[i].text)) {
            printf("%s%*s%s\n", title,
                   (int)(widest - text_columns(title)) + (widest ? 2 : 0), "",
                   t->cells[i].text);
        }
    }
}

/* Says, after `before`, which columns are not printed. */
static void
print_hidden(const struct table *t, const char *before)
{
    struct draft names = {0};

    for (size_t i = 0; i < t->columns; i++) {
        if (t->column[i].hidden && *t->column[i].title) {
            draft_item(&names, t->column[i].title);
            draft_text(&names, t->column[i].filled ? "" : " (empty)");
        }
    }
    if (names.used > 0 && !names.failed) {
        printf("%sNot shown: %s. To see all: --json or a wider terminal.\n",
               before, names.bytes);
    }
    draft_free(&names);
}

static int
print_table(struct table *t, bool titles)
{
    size_t labels;

    if (!t || t->failed) {
        table_free(t);
        return BIDE_ENOMEM;
    }
    if (t->rows == 0) { /* titles alone would look like an answer */
        table_free(t);
        return 0;
    }
    if (t->ranked) {
        qsort(t->cells, t->rows, t->columns * sizeof(*t->cells), compare_rows);
    }
    if (!text_to_terminal() || total_width(t) <= text_width()) {
        print_columns(t, titles);
    } else if (fit_to_terminal(t)) {
        print_columns(t, titles);
        print_hidden(t, "");
        if (t->cut) {
            puts("Long texts are cut. To see all: --verbose.");
        }
    } else {
        if (titles && (labels = count_labels(t)) > 0) {
            print_parts(t, labels);
        } else {
            print_blocks(t, titles);
        }
        hide_columns(t, t->columns);
        print_hidden(t, "\n");
    }
    table_free(t);
    return 0;
}

int
table_print(struct table *t)
{
    return print_table(t, true);
}

int
table_print_bare(struct table *t)
{
    return print_table(t, false);
}
