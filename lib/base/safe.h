/* Opens files for writing, and makes new ones.  Nothing is written through a
 * link, into a device or pipe, or into the file of a stranger, and nothing
 * blocks.
 *
 * A file may be written if it is a regular file with one name, and belongs to
 *   root, the caller, or the owner of its directory,
 *   or to the group of its directory, if that group may make files there.
 *
 * Example: in a directory of user "eve", root runs a command that writes
 * registry.lock.  If that name leads to another file (symbolic link), or is a
 * second name of another file (hard link), the command is refused.
 *
 * On failure these functions return -1 and set errno; safe_why explains it. */
#ifndef BIDE_SAFE_H
#define BIDE_SAFE_H

#include <stdbool.h>
#include <sys/types.h>

struct owner {
    uid_t user;
    gid_t group;
};

/* The most rights of a file; of one that is locked, because who can open a file
 * can lock it. */
enum { SAFE_FILE = 0664, SAFE_LOCK = 0660 };
enum { SAFE_STRANGER = 133 /* EHWPOISON: no file operation of ours has it */ };

/* Opens an existing file for reading and writing. */
int safe_open(const char *path);
/* Makes a file with mode 0600.  EEXIST if the name is taken, by a link too. */
int safe_make(const char *path);
/* Opens the file; makes it if it is missing, as safe_inherit. */
int safe_open_or_make(const char *path, mode_t mask);
/* Returns the rights of a file in a directory of this mode: who may write there
 * may write it, and who may read or pass it may read it, within `mask`. */
mode_t safe_mode_in(mode_t directory, mode_t mask);
/* Gives a new file the owner (if the caller is root), group and rights of its
 * directory. */
int safe_inherit(int fd, const char *path, mode_t mask);
/* Makes `path`, a name that is ours alone; removes what has that name. */
int safe_make_anew(const char *path);

/* Closes a descriptor, if there is one (not -1).  Keeps errno. */
void safe_close(int fd);

/* Returns 0 if `path` still names the open file and it may be written. */
int safe_check(int fd, const char *path);
/* Returns 0 if the file at `path` may be written. */
int safe_look(const char *path);
/* Returns 0 if a new file may be renamed to `path`: nothing is there, or a file
 * that may be written.  It may have more names, which then keep it. */
int safe_replaceable(const char *path);

/* Makes the missing parents of `path`, open to all but for the umask. */
int safe_make_parents(const char *path);
/* Makes a directory for that owner, as far as the caller may; with another
 * group only for all.  EEXIST if the name is taken. */
int safe_make_directory(const char *path, mode_t mode, struct owner o);
/* Returns 0 if `path` is a directory, not a link, that no stranger can have
 * made: strangers can make one where all users may write. */
int safe_directory(const char *path);

/* Returns the BIDE_E code of an errno of a file operation. */
int safe_code(int error);
/* Returns the words of an errno; for a refused file also what to do, after a
 * line break. */
const char *safe_why(int error);
/* Reports whether safe_check refused the file. */
bool safe_refused(int error);

#endif
