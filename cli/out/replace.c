#include "replace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/safe.h"
#include "store/file/place.h"

/* Writes the file and syncs it, so that it is complete before it gets its name.
 * Closes `fd`. */
static int
write_draft(int fd, mode_t mode, int (*write)(void *arg, FILE *out), void *arg)
{
    FILE *out = fdopen(fd, "w+");
    int error = out ? write(arg, out) : errno;

    if (!out) {
        close(fd);
        return error;
    }
    errno = 0;
    error = error                             ? error
            : fflush(out) != 0 || ferror(out) ? errno ? errno : EIO
            : fchmod(fd, mode) || fsync(fd)   ? errno
                                              : 0;
    return fclose(out) != 0 && !error ? errno : error;
}

int
replace_file(const char *path, mode_t mode, int (*write)(void *arg, FILE *out),
             void *arg)
{
    char *draft = NULL;
    int error, fd;

    if (asprintf(&draft, "%s.XXXXXX", path) < 0) {
        return ENOMEM;
    }
    fd = safe_replaceable(path) ? -1 : mkstemp(draft);
    error = fd < 0 ? errno : write_draft(fd, mode, write, arg);
    if (!error && (rename(draft, path) || place_sync(path))) {
        error = errno;
    }
    if (error && fd >= 0) {
        unlink(draft);
    }
    free(draft);
    return error;
}
