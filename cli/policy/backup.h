/* bide init --adopt (backup.c). */
#ifndef BIDE_CLI_BACKUP_H
#define BIDE_CLI_BACKUP_H

/* Gives the copy in `dir` an identity of its own, and prints that.  Returns the
 * exit status. */
int backup_adopt(const char *dir);

#endif
