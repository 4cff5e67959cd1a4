#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

#include <bide.h>
#include "base/array.h"
#include "base/draft.h"
#include "text.h"

#define CELL_COLOUR "\033[31m"
#define ROW_COLOUR "\033[33m"

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
    size_t width; /* of the longest cell, or of the title */
    bool filled;  /* a cell is filled */
    bool hidden;  /* not printed */
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
narrowest(const struct table *t, size_t column)
{
    return t->column[column].flags & TABLE_NAME && !t->narrow ? NARROWEST_NAME
           : t->column[column].flags & (TABLE_NAME | TABLE_WRAP) ? NARROWEST
                                                                 : 0;
}

/* Reports whether the table fits if each column is as narrow as it may be. */
static bool
can_fit(const struct table *t)
{
    size_t total = total_width(t);

    for (size_t i = 0; i < t->columns; i++) {
        size_t least = narrowest(t, i);

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
            if (!t->column[i].hidden && narrowest(t, i) > 0 &&
                t->column[i].width > narrowest(t, i) &&
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

/* Returns the text with line ends for libsmartcols, malloc'ed. */
static char *
fold_text(const char *text, size_t width)
{
    char *lines = malloc(2 * strlen(text) + 1), *at = lines;

    while (lines && *text) {
        size_t length = text_line_length(text, 0, width);

        at = mempcpy(at, text, length);
        text += length;
        text += strspn(text, " ");
        if (*text) {
            *at++ = '\n';
        }
    }
    if (lines) {
        *at = '\0';
    }
    return lines;
}

/* Returns the text, cut to `width` columns, malloc'ed. */
static char *
cut_text(struct table *t, const char *text, size_t width)
{
    char *cut = NULL;

    if (text_columns(text) <= width) {
        return strdup(text);
    }
    t->cut = true;
    return asprintf(&cut, "%.*s...",
                    (int)text_line_length(text, width - 3, width - 3), text) < 0
               ? NULL
               : cut;
}

/* ---- printing ---- */

static int
add_column(const struct table *t, struct libscols_table *scols, size_t column)
{
    bool wraps = narrowest(t, column) > 0;
    int flags = (t->column[column].flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0) |
                (wraps ? SCOLS_FL_WRAP : 0);
    struct libscols_column *added =
        scols_table_new_column(scols, t->column[column].title, 0, flags);

    if (!added) {
        return -1;
    }
    return wraps ? scols_column_set_wrapfunc(added, scols_wrapnl_chunksize,
                                             scols_wrapnl_nextchunk, NULL)
                 : 0;
}

static int
add_cell(struct table *t, struct libscols_line *line, size_t at, size_t column,
         const struct cell *cell, bool colour)
{
    const char *text = cell->text ? cell->text : "-";
    char *own = narrowest(t, column) == 0 ? strdup(text)
                : t->column[column].flags & TABLE_CUT
                    ? cut_text(t, text, t->column[column].width)
                    : fold_text(text, t->column[column].width);

    if (!own || scols_line_refer_data(line, at, own) != 0) {
        free(own);
        return -1;
    }
    if (colour && cell->marked) {
        scols_cell_set_color(scols_line_get_cell(line, at), CELL_COLOUR);
    }
    return 0;
}

static int
add_row(struct table *t, struct libscols_table *scols, size_t row, bool colour)
{
    struct libscols_line *line = scols_table_new_line(scols, NULL);
    size_t at = 0;

    if (!line) {
        return -1;
    }
    if (colour && t->cells[row * t->columns].row_marked) {
        scols_line_set_color(line, ROW_COLOUR);
    }
    for (size_t i = 0; i < t->columns; i++) {
        const struct cell *cell = &t->cells[row * t->columns + i];

        if (!t->column[i].hidden && add_cell(t, line, at++, i, cell, colour)) {
            return -1;
        }
    }
    return 0;
}

static int
fill_scols(struct table *t, struct libscols_table *scols)
{
    bool colour = text_in_colour();

    if (scols_table_set_column_separator(scols, column_gap(t)) != 0) {
        return -1;
    }
    scols_table_enable_noencoding(scols, 1); /* text_safe did the encoding */
    scols_table_enable_colors(scols, colour);
    scols_table_set_termforce(scols, text_to_terminal()
                                         ? SCOLS_TERMFORCE_ALWAYS
                                         : SCOLS_TERMFORCE_NEVER);
    scols_table_set_termwidth(scols, text_width());
    for (size_t i = 0; i < t->columns; i++) {
        if (!t->column[i].hidden && add_column(t, scols, i)) {
            return -1;
        }
    }
    for (size_t i = 0; i < t->rows; i++) {
        if (add_row(t, scols, i, colour)) {
            return -1;
        }
    }
    return 0;
}

/* Prints the text without the blanks at the ends of lines: they disturb a diff,
 * and wrap on a narrow terminal. */
static void
print_trimmed(const char *text)
{
    while (*text) {
        size_t whole = strcspn(text, "\n"), length = whole;

        while (length > 0 && text[length - 1] == ' ') {
            length--;
        }
        fwrite(text, 1, length, stdout);
        putchar('\n');
        text += whole + (text[whole] == '\n');
    }
}

/* Prints the columns that are not hidden. */
static int
print_columns(struct table *t, bool titles)
{
    struct libscols_table *scols = scols_new_table();
    char *text = NULL;
    int rc = scols && fill_scols(t, scols) == 0 ? 0 : BIDE_ENOMEM;

    if (rc == 0) {
        scols_table_enable_noheadings(scols, !titles);
        rc = scols_print_table_to_string(scols, &text) ? BIDE_ENOMEM : 0;
    }
    if (rc == 0 && text) {
        print_trimmed(text);
    }
    free(text);
    scols_unref_table(scols);
    return rc;
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
static int
print_parts(struct table *t, size_t labels)
{
    int rc = 0;

    hide_columns(t, labels);
    t->close = false;
    fold_columns(t, text_width() / 2);
    for (size_t from = labels, to; from < t->columns && !rc; from = to) {
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
        rc = print_columns(t, true);
    }
    return rc;
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
    int rc = 0;

    if (!t || t->failed) {
        table_free(t);
        return BIDE_ENOMEM;
    }
    if (t->ranked) {
        qsort(t->cells, t->rows, t->columns * sizeof(*t->cells), compare_rows);
    }
    if (!text_to_terminal() || total_width(t) <= text_width()) {
        rc = print_columns(t, titles);
    } else if (fit_to_terminal(t)) {
        rc = print_columns(t, titles);
        print_hidden(t, "");
        if (t->cut) {
            puts("Long texts are cut. To see all: --verbose.");
        }
    } else {
        if (titles && (labels = count_labels(t)) > 0) {
            rc = print_parts(t, labels);
        } else {
            print_blocks(t, titles);
        }
        hide_columns(t, t->columns);
        print_hidden(t, "\n");
    }
    table_free(t);
    return rc;
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
