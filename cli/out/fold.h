/* Folds lines that are wider than the terminal. */
#ifndef BIDE_CLI_FOLD_H
#define BIDE_CLI_FOLD_H

/* If standard output is a terminal, replaces stdout by a stream that folds long
 * lines between words.  The next lines begin below the text that follows the
 * first gap of two blanks ("outcomes   http.503 71%"). */
void fold_output(void);
void fold_end(void); /* after the last flush: writes a line without an end */

#endif
