/* Text on its way to a person.  Names, notes and messages can hold anything
 * that a file or another process put there: what could steer a terminal is
 * shown as \xNN.  Also what kind of place the text goes to. */
#ifndef BIDE_CLI_TEXT_H
#define BIDE_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Takes the locale's characters, never its numbers.  Once, first of all. */
void text_locale(void);

/* Writes it; `newlines`: these are its own, and stay. */
void text_put(FILE *out, const char *text, bool newlines);

/* The same as a string (malloc'ed, NULL without memory).  Where the locale has
 * no "±" and "≤" they become "+-" and "<=". */
char *text_safe(const char *text);

/* Columns that it takes on a terminal. */
size_t text_columns(const char *text);

bool text_is_utf8(void);
bool text_to_terminal(void); /* standard output is one */
bool text_in_colour(void);   /* and wants colours: NO_COLOR, TERM */
size_t text_width(void);     /* of the terminal; 80 when there is none */

/* Words to standard output from column `at` on, folded at the width, the next
 * lines indented, and a line break; "[--note TEXT]" stays in one piece. */
void text_put_folded(const char *text, size_t at, size_t indent, size_t width);

/* 30214 as "30,214".  Needs 32 bytes; returns the buffer. */
char *text_count(uint64_t count, char *buffer, size_t size);

/* "99.91%"; all only for all, none only for none; "-" of nothing. */
char *text_share(uint64_t part, uint64_t whole, int decimals, char *buffer,
                 size_t size);

/* "1 policy", "2 policies": the word for so many. */
const char *text_plural(uint64_t count, const char *one, const char *many);

#endif
