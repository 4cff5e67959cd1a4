/* Writes in spite of a limit on the size of files (RLIMIT_FSIZE): a write
 * beyond it fails with EFBIG.  It also raises SIGXFSZ, which would end the
 * process; between these two calls the thread does not get it. */
#ifndef BIDE_FILE_LIMIT_H
#define BIDE_FILE_LIMIT_H

#include <signal.h>
#include <stdbool.h>

struct file_limit {
    sigset_t before;
    bool pending; /* before it began */
};

void file_limit_begin(struct file_limit *out);
void file_limit_end(const struct file_limit *l); /* keeps errno */

#endif
