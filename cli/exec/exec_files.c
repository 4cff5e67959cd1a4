/* The files that an attempt writes to: its outcome, and with --output last its
 * output.  Files, not pipes: a process that the command leaves behind may keep
 * them open and write on, and no reader has to keep up. */
#include "exec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/safe.h"
#include "cli/command/command.h"
#include "cli/command/say.h"

enum {
    OUTCOMES = 0,        /* the other files have the command's descriptors */
    OUTCOME_FD = 7,      /* dash knows 0 to 9; scripts like 3, 4, 5 and 9 */
    REPORT_BYTES = 4096, /* read from the end of what was reported */
    PIECE_BYTES = 65536,
};

/* Opens a file without a name in $TMPDIR, or in memory if that is not possible.
 * Returns -1 with errno. */
static int
open_temporary(void)
{
    const char *folder = getenv("TMPDIR");
    int fd = open(folder && *folder ? folder : "/tmp",
                  O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

    return fd < 0 ? memfd_create("bide-output", MFD_CLOEXEC) : fd;
}

static bool
is_same_file(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

int
exec_files_options(struct exec_files *f, struct command_line *line)
{
    const char *output = line->option[OPTION_OUTPUT],
               *success = line->option[OPTION_SUCCESS_ON];

    *f = (struct exec_files){.keep = output != NULL, .fd = {-1, -1, -1}};
    if (output && strcmp(output, "last") != 0) {
        return say_usage(line, "--output %s: must be last", output);
    }
    if (success && !exec_read_statuses(success, f->success)) {
        return say_usage(line,
                         "--success-on %s: must be exit statuses, 0 to "
                         "255, such as 1,64-78",
                         success);
    }
    return 0;
}

void
exec_files_open(struct exec_files *f)
{
    const char *ignored;
    int outer = exec_outcome_fd(&ignored), spare;

    do {
        spare = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (spare >= 0 && spare <= STDERR_FILENO);
    f->joined = is_same_file(STDOUT_FILENO, STDERR_FILENO);
    f->number = outer >= 0 ? outer : fcntl(spare, F_DUPFD_CLOEXEC, OUTCOME_FD);
    safe_close(spare);
}

static void
close_files(struct exec_files *f)
{
    for (int i = 0; i < EXEC_FILES; i++) {
        safe_close(f->fd[i]);
        f->fd[i] = -1;
    }
}

int
exec_files_begin(struct exec_files *f)
{
    close_files(f);
    f->reported = false;
    f->fd[OUTCOMES] = memfd_create(EXEC_OUTCOME_FILE, MFD_CLOEXEC);
    if (f->fd[OUTCOMES] < 0 || fcntl(f->fd[OUTCOMES], F_SETFL, O_APPEND) < 0) {
        return -1;
    }
    for (int i = STDOUT_FILENO; f->keep && i < EXEC_FILES; i++) {
        /* Output that is closed (>&-) stays closed. */
        if (fcntl(i, F_GETFD) & FD_CLOEXEC) {
            continue;
        }
        f->fd[i] = i == STDERR_FILENO && f->joined && f->fd[STDOUT_FILENO] >= 0
                       ? fcntl(f->fd[STDOUT_FILENO], F_DUPFD_CLOEXEC, 0)
                       : open_temporary();
        if (f->fd[i] < 0) {
            return -1;
        }
    }
    return 0;
}

int
exec_files_give(void *files)
{
    const struct exec_files *f = files;
    char number[16];

    for (int i = 0; i < EXEC_FILES; i++) {
        int to = i == OUTCOMES ? f->number : i;

        if (f->fd[i] >= 0 && to >= 0) {
            dup2(f->fd[i], to);
        }
    }
    snprintf(number, sizeof(number), "%d", f->number);
    return f->number < 0 ? 0 : setenv(EXEC_OUTCOME_FD, number, 1);
}

/* ---- after an attempt ---- */

/* Makes the next message begin a new line on the terminal, wherever the command
 * left the cursor: blanks fill the line, and wrap unless the cursor was in the
 * first column. */
static void
begin_line(void)
{
    static char blanks[512];
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        size.ws_col < sizeof(blanks) - 1) {
        snprintf(blanks, sizeof(blanks), "%*s\r", size.ws_col, "");
        say_first(blanks);
    }
}

void
exec_files_end(struct exec_files *f, const char *title)
{
    off_t size = lseek(f->fd[OUTCOMES], 0, SEEK_END),
          from = size > REPORT_BYTES ? size - REPORT_BYTES : 0;
    char text[REPORT_BYTES + 1], *rest = text, *line;
    ssize_t n = pread(f->fd[OUTCOMES], text, REPORT_BYTES, from);
    char before[EXEC_TITLE_MAX + 16];
    bool said = false;

    if (!f->keep) {
        begin_line();
    }
    for (ssize_t i = 0; i < n; i++) {
        text[i] = text[i] ? text[i] : '?';
    }
    text[n > 0 ? n : 0] = '\0';
    if (from > 0) {
        strsep(&rest, "\n"); /* it may lack its beginning */
    }
    snprintf(before, sizeof(before), "%s: ignored: ", title);
    while ((line = strsep(&rest, "\n"))) {
        if (*line &&
            exec_outcome_read(line, said ? NULL : before, &f->outcome)) {
            f->reported = true;
        } else if (*line) {
            said = true;
        }
    }
}

/* Prints a file, up to its present end.  Returns 0; -1 with errno. */
static int
print_file(int fd, int to, bool ends_line)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char piece[PIECE_BYTES], last = '\n';
    ssize_t n;

    for (off_t at = 0; at < size; at += n) {
        n = pread(fd, piece, sizeof(piece), at);
        if (n <= 0 || exec_write_whole(to, piece, (size_t)n) < 0) {
            return n ? -1 : 0;
        }
        last = piece[n - 1];
        say_first(last == '\n' || ends_line ? "" : "\n");
    }
    return last == '\n' || !ends_line ? 0 : exec_write_whole(to, "\n", 1);
}

int
exec_files_show(struct exec_files *f, const char *title)
{
    struct statvfs disk;
    bool full = false;
    int rc = 0;

    for (int i = STDOUT_FILENO; i < EXEC_FILES; i++) {
        if (f->fd[i] < 0 || (i == STDERR_FILENO && f->joined)) {
            continue;
        }
        full = full || (fstatvfs(f->fd[i], &disk) == 0 && disk.f_blocks > 0 &&
                        disk.f_bavail == 0);
        if (print_file(f->fd[i], i, f->ends_line) < 0) {
            rc = -1;
            say("%s: output: %s", title, strerror(errno));
        }
    }
    if (full) {
        say("%s: output may be missing: the disk of TMPDIR is full", title);
    }
    close_files(f);
    return rc;
}
