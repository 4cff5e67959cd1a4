/* Tables.  On a terminal that is too narrow, empty columns are left out and
 * long cells are folded; if that is not enough, the gap between columns
 * shrinks, and columns are left out by TABLE_SPARE.  A line below the table
 * names the columns that are left out.  If the table does not fit even so,
 * columns of figures are printed in several tables, and any other table as
 * lines "TITLE  cell".  In a pipe or file a table is complete and plain, and
 * each row is one line. */
#ifndef BIDE_CLI_TABLE_H
#define BIDE_CLI_TABLE_H

#include <stddef.h>

enum table_flags {
    TABLE_RIGHT = 1,
    TABLE_WRAP = 2,   /* folded if the terminal is too narrow */
    TABLE_NAME = 4,   /* as TABLE_WRAP, but only if it is very long */
    TABLE_CUT = 8,    /* with TABLE_WRAP: cut instead of folded, and said */
    TABLE_SPARE = 16, /* left out if folding is not enough; of several columns
                        the first one with the highest multiple of this */
};

struct table_column {
    const char *title;
    unsigned flags;
};

struct table;

/* Returns a new table; copies the titles.  NULL without memory: the functions
 * below then do nothing, and table_print returns BIDE_ENOMEM. */
struct table *table_new(const struct table_column *columns, size_t count);
/* Begin a new row; table_row_of() fills its first cell. */
void table_row(struct table *t);
void table_row_of(struct table *t, const char *text);

/* Fills a cell of the last row, as printf does.  An unfilled cell is "-". */
void table_cell(struct table *t, size_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Mark the cell, or the last row, as unusual: shown in colour. */
void table_mark_cell(struct table *t, size_t column);
void table_mark_row(struct table *t);

/* Sets the rank of the last row, and of the rows after it; table_print then
 * puts rows of a higher rank first. */
void table_rank(struct table *t, double rank);

void table_free(struct table *t); /* frees without printing */

/* Prints the table on standard output and frees it.  Returns 0 or BIDE_ENOMEM.
 */
int table_print(struct table *t);
int table_print_bare(struct table *t); /* without titles */

#endif
