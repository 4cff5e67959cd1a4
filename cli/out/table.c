#include "out/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include <libsmartcols.h>

#include "out/text.h"

struct table {
    struct libscols_table *scols;
    struct libscols_line *last;
    size_t columns;
    bool failed; /* something did not fit into memory */
};

void
table_free(struct table *t)
{
    if (!t) {
        return;
    }
    scols_unref_table(t->scols);
    free(t);
}

static int
add_column(struct table *t, const struct table_column *column)
{
    int flags = (column->flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0) |
                (column->flags & TABLE_CUT ? SCOLS_FL_TRUNC : 0) |
                (column->flags & TABLE_WRAP ? SCOLS_FL_WRAP : 0);

    return scols_table_new_column(t->scols, column->title, 0, flags) ? 0 : -1;
}

struct table *
table_new(const struct table_column *columns, size_t count)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t) {
        return NULL;
    }
    t->columns = count;
    t->scols = scols_new_table();
    if (!t->scols || scols_table_set_column_separator(t->scols, "  ") != 0) {
        table_free(t);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (add_column(t, &columns[i])) {
            table_free(t);
            return NULL;
        }
    }
    scols_table_enable_noencoding(t->scols, 1); /* text_safe has done it */
    scols_table_enable_colors(t->scols, text_in_colour());
    if (!text_to_terminal()) {
        scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
    } else {
        scols_table_set_termwidth(t->scols, text_width());
    }
    return t;
}

void
table_row(struct table *t)
{
    if (!t || t->failed) {
        return;
    }
    t->last = scols_table_new_line(t->scols, NULL);
    t->failed = !t->last;
    for (size_t i = 0; !t->failed && i < t->columns; i++) {
        t->failed = scols_line_set_data(t->last, i, "-") != 0;
    }
}

void
table_cell(struct table *t, size_t column, const char *format, ...)
{
    char *text = NULL, *safe = NULL;
    va_list args;

    if (!t || t->failed) {
        return;
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
    }
    va_end(args);
    safe = text ? text_safe(text) : NULL;
    free(text);
    if (!safe || scols_line_refer_data(t->last, column, safe) != 0) {
        free(safe);
        t->failed = true;
    }
}

void
table_mark_cell(struct table *t, size_t column)
{
    if (t && !t->failed && text_in_colour()) {
        struct libscols_cell *cell = scols_line_get_cell(t->last, column);

        scols_cell_set_color(cell, "\033[31m");
    }
}

void
table_mark_row(struct table *t)
{
    if (t && !t->failed && text_in_colour()) {
        scols_line_set_color(t->last, "\033[33m");
    }
}

/* Without the blanks that fill an empty last column: they are noise in a diff,
 * and break lines on a narrow terminal. */
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

int
table_print(struct table *t)
{
    char *text = NULL;
    int rc;

    if (!t) {
        return BIDE_ENOMEM;
    }
    rc = t->failed || scols_print_table_to_string(t->scols, &text) != 0
             ? BIDE_ENOMEM
             : 0;
    if (rc == 0 && text) {
        print_trimmed(text);
    }
    free(text);
    table_free(t);
    return rc;
}

int
table_print_bare(struct table *t)
{
    if (t) {
        scols_table_enable_noheadings(t->scols, 1);
    }
    return table_print(t);
}
