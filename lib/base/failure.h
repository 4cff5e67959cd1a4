/* The text of this thread's last failure, for the error message. */
#ifndef BIDE_FAILURE_H
#define BIDE_FAILURE_H

/* Stores what failed, and what to do ("" or NULL: not known).  Returns rc. */
int failure_say(int rc, const char *what_to_do, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Stores the text of an error of the store: `words` is what failed and, after a
 * line break, what to do; "" if there is no text.  Returns rc.  Stores nothing
 * if rc is 0. */
int failure_of_store(int rc, const char *dir, const char *words);

/* Return the texts that were stored last, "" if none. */
const char *failure_why(void);
const char *failure_what_to_do(void);

#endif
