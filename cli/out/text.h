/* Text for terminals.  Names, notes and messages come from files and other
 * processes and can hold any byte: characters that could control a terminal are
 * shown as \xNN. */
#ifndef BIDE_CLI_TEXT_H
#define BIDE_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/plain.h"

/* Uses the character set of the locale, but not its format of numbers.  Call it
 * once, before the other functions. */
void text_locale(void);

/* Writes `text`. With `newlines`, line breaks in it are written unchanged. */
void text_put(FILE *out, const char *text, bool newlines);

/* Returns the text that text_put() would write, malloc'ed; NULL without memory.
 * If the locale is not UTF-8, "±" and "≤" become "+-" and "<=". */
char *text_safe(const char *text);

/* Writes `word` as one word of a shell: unchanged, or in quotes.  Each command
 * that is printed has its paths by this function.  Needs four bytes for each of
 * the word, and eight; returns the buffer. */
char *text_shell(const char *word, char *buffer, size_t size);

/* Returns how many columns the text takes on a terminal. */
size_t text_columns(const char *text);

bool text_is_utf8(void);
bool text_to_terminal(void); /* standard output is a terminal */
/* The terminal shows colours, by NO_COLOR and TERM. */
bool text_in_colour(void);
/* The columns of the terminal, or COLUMNS if that is less; 80 without one. */
size_t text_width(void);

/* Returns the length in bytes of a line of at most `width` columns: it ends
 * before three blanks, else before a blank, after `least` bytes, else between
 * two characters.  Blanks at its end may exceed `width` if `least` is less. */
size_t text_line_length(const char *text, size_t least, size_t width);

/* Prints `text` from column `at` on, and a line break.  Lines are folded at
 * `width` and the next ones indented, below a label of `indent` bytes if `at`
 * is 0; "[--note TEXT]" stays in one piece. */
void text_put_folded(FILE *out, const char *text, size_t at, size_t indent,
                     size_t width);

/* Writes 30214 as "30,214". */
struct brief text_count(uint64_t count);

/* Writes a number of at least 0 for people: "3,510", "12.3", "0.25". */
struct brief text_number(double number);

/* Writes a number for programs, with six decimals at most and no exponent. */
struct brief text_plain(double number);

/* Writes "631 B", "2.71 MiB". */
struct brief text_bytes(uint64_t bytes);

/* Writes "99.91%"; "100%" only if part = whole, "0%" only if part = 0, and "-"
 * if whole = 0. */
struct brief text_share(uint64_t part, uint64_t whole, int decimals);

/* Returns the word that fits the count: "1 policy", "2 policies". */
const char *text_plural(uint64_t count, const char *one, const char *many);

#endif
