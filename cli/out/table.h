/* Tables for people, by libsmartcols (the only user).  They fit the terminal:
 * where it is narrow, columns without any entry are left out and long cells
 * folded; then columns stand closer, and some are spared.  Piped they are plain
 * and whole, and every row is a line. */
#ifndef BIDE_CLI_TABLE_H
#define BIDE_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum table_flags {
    TABLE_RIGHT = 1,
    TABLE_WRAP = 2,  /* goes on below where the terminal is too narrow */
    TABLE_NAME = 4,  /* as TABLE_WRAP, but only what is very long */
    TABLE_SPARE = 8, /* left out where the terminal is too narrow even so */
};

struct table_column {
    const char *title;
    unsigned flags;
};

struct table;

/* Copies the titles.  NULL without memory: the functions below then do nothing,
 * and table_print says BIDE_ENOMEM. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_row(struct table *t);

/* Printf-like, into the last row; what is never filled is "-". */
void table_cell(struct table *t, size_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The cell, or the whole row, is out of the ordinary: in colour, if any. */
void table_mark_cell(struct table *t, size_t column);
void table_mark_row(struct table *t);

/* Whether no cell needs to be folded, or more. */
bool table_fits(const struct table *t);
void table_free(struct table *t); /* unprinted; NULL: does nothing */

/* Prints on standard output and frees.  0 or BIDE_ENOMEM. */
int table_print(struct table *t);
int table_print_bare(struct table *t); /* without titles */

#endif
