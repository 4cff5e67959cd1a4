/* Keeps the words of this thread's last failure, for whoever reports it. */
#ifndef BIDE_FAILURE_H
#define BIDE_FAILURE_H

/* Keeps what failed, and what to do ("" or NULL: not known).  Returns rc. */
int failure_say(int rc, const char *what_to_do, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps the words of the store: `words` is what happened and, after a line
 * break, what to do; "" if it has none.  Returns rc, and keeps nothing for 0.
 */
int failure_of_store(int rc, const char *dir, const char *words);

/* The words that were kept last, "" if none. */
const char *failure_why(void);
const char *failure_what_to_do(void);

#endif
