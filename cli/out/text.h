/* Text for terminals.  Names, notes and messages come from files and other
 * processes and can hold any byte: characters that could control a terminal are
 * shown as \xNN. */
#ifndef BIDE_CLI_TEXT_H
#define BIDE_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Uses the character set of the locale, but not its format of numbers.  Call it
 * once, before the other functions. */
void text_locale(void);

/* Writes `text`. With `newlines`, line breaks in it are written unchanged. */
void text_put(FILE *out, const char *text, bool newlines);

/* Returns the text that text_put() would write, malloc'ed; NULL without memory.
 * If the locale is not UTF-8, "±" and "≤" become "+-" and "<=". */
char *text_safe(const char *text);

/* Returns how many columns the text takes on a terminal. */
size_t text_columns(const char *text);

bool text_is_utf8(void);
bool text_to_terminal(void); /* standard output is a terminal */
bool
text_in_colour(void);    /* the terminal shows colours, by NO_COLOR and TERM */
size_t text_width(void); /* columns of the terminal; 80 without a terminal */

/* Prints the words of `text` on standard output from column `at` on, and a line
 * break.  Lines are folded at `width` and the next ones indented; "[--note
 * TEXT]" stays in one piece. */
void text_put_folded(const char *text, size_t at, size_t indent, size_t width);

/* Writes 30214 as "30,214".  Needs 32 bytes; returns the buffer. */
char *text_count(uint64_t count, char *buffer, size_t size);

/* Writes "99.91%"; "100%" only if part = whole, "0%" only if part = 0, and "-"
 * if whole = 0.  Returns the buffer. */
char *text_share(uint64_t part, uint64_t whole, int decimals, char *buffer,
                 size_t size);

/* Returns the word that fits the count: "1 policy", "2 policies". */
const char *text_plural(uint64_t count, const char *one, const char *many);

#endif
