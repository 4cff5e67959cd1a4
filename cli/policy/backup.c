/* bide backup, bide restore and bide init --adopt. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/backup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "base/safe.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"

/* ---- backup ---- */

/* Reports whether a file may be replaced by a backup: it is an earlier one, or
 * empty. */
static bool
is_backup(FILE *f)
{
    char magic[8];
    size_t length = fread(magic, 1, sizeof(magic), f);

    return length == 0 || (length == 8 && !memcmp(magic, "bidebkup", 8));
}

static int
check_target(const char *path)
{
    FILE *f = safe_replaceable(path) ? NULL : fopen(path, "re");
    bool ours = f && is_backup(f);

    if (!f && errno != ENOENT) {
        say_why(path, safe_why(errno));
        return STATUS_NO;
    }
    if (f) {
        fclose(f);
    }
    if (f && !ours) {
        say("%s: this file is not a backup, so it stays as it is", path);
        say("name another file, or remove it");
        return STATUS_NO;
    }
    return STATUS_DONE;
}

/* Syncs the directory of `path`, so that the new name lasts. */
static int
sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd < 0 || (fsync(fd) && errno != EINVAL) ? -1 : 0;

    if (fd >= 0) {
        close(fd);
    }
    free(dir);
    return rc;
}

/* Copies the whole backup to standard output. */
static int
copy_out(FILE *from)
{
    char bytes[1 << 16];
    size_t length;

    rewind(from);
    while ((length = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        if (fwrite(bytes, 1, length, stdout) != length) {
            return STATUS_DONE; /* the end of the command reports it */
        }
    }
    return ferror(from) ? say_errno("backup") : STATUS_DONE;
}

static void
print_backup(const char *path, const struct backup_head *head, uint64_t damaged,
             off_t size)
{
    if (damaged) {
        say("history: %" PRIu64 " damaged %s left out; see: bide doctor",
            damaged, text_plural(damaged, "record is", "records are"));
    }
    if (path) {
        text_put(stdout, path, false);
        printf(": %s: policies with all versions, %s%s %s of deferred work\n",
               text_bytes((uint64_t)size).text,
               head->files & 1u << BACKUP_HISTORY ? "history, " : "",
               text_count(head->pieces).text,
               text_plural(head->pieces, "piece", "pieces"));
    }
}

/* Writes the backup to `f`, and gives it the name `path` (NULL: none). */
static int
write_backup(struct command_line *line, FILE *f, const char *draft,
             const char *path)
{
    struct backup_head head;
    uint64_t damaged;
    int status;

    if (admin_backup(line->registry, f, &head, &damaged)) {
        return say_failure(BIDE_ESYS, path ? path : "backup");
    }
    if (!path) {
        status = copy_out(f);
    } else if (fsync(fileno(f)) || rename(draft, path) ||
               sync_directory(path)) {
        status = say_errno(path);
    } else {
        status = STATUS_DONE;
    }
    if (status == STATUS_DONE) {
        print_backup(path, &head, damaged, ftello(f));
    }
    return status;
}

int
backup_command(struct command_line *line)
{
    const char *path = line->operands[0];
    bool to_stdout = strcmp(path, "-") == 0;
    char *draft = NULL;
    int status, fd;
    FILE *f;

    if (to_stdout && isatty(STDOUT_FILENO)) {
        return say_usage(line, "a terminal cannot show a backup");
    }
    if (!to_stdout && check_target(path)) {
        return STATUS_NO;
    }
    if (asprintf(&draft, "%s.XXXXXX", path) < 0) {
        return say_no_memory();
    }
    /* Standard output may be slow, and cannot be written again. */
    fd = to_stdout ? -1 : mkstemp(draft);
    f = to_stdout ? tmpfile() : fd < 0 ? NULL : fdopen(fd, "w+");
    status = f ? write_backup(line, f, draft, to_stdout ? NULL : path)
               : say_errno(path);
    if (fd >= 0 && status) {
        unlink(draft);
    }
    if (f) {
        fclose(f);
    }
    free(draft);
    return status;
}

/* ---- restore ---- */

static void
print_kept(const struct admin_restored *r, const char *dir)
{
    if (r->changes) {
        printf("%s later %s of policies, and the old files, are kept beside "
               "it: ",
               text_count(r->changes).text,
               text_plural(r->changes, "change", "changes"));
    } else {
        fputs("Old files are kept beside it: ", stdout);
    }
    text_put(stdout, dir, false);
    printf("/*.replaced%d\n", r->kept);
}

static void
print_restored(const struct admin_restored *r, const char *dir)
{
    const struct backup_head *b = &r->backup;

    fputs("Restored ", stdout);
    text_put(stdout, dir, false);
    printf(": policies as of %s\n",
           when_write(b->made_ns, clock_realtime_ns()).text);
    printf("History: %s\n",
           r->history ? "that of the backup" : "goes on as it is");
    if (!r->deferred) {
        printf("Deferred work: goes on as it is, %s %s\n",
               text_count(r->pieces).text,
               text_plural(r->pieces, "piece", "pieces"));
    } else {
        printf("Deferred work: %s %s of the backup; what was done since then "
               "is done again\n",
               text_count(b->pieces).text,
               text_plural(b->pieces, "piece", "pieces"));
        if (r->pieces) {
            printf("Only in the old deferred.mdb: %s %s, or newer states of "
                   "the same\n",
                   text_count(r->pieces).text,
                   text_plural(r->pieces, "piece", "pieces"));
        }
    }
    print_kept(r, dir);
}

int
restore_command(struct command_line *line)
{
    const char *path = line->operands[0], *dir = line->option[OPTION_DIR];
    struct admin_restored r;
    char standard[4096];
    FILE *f;
    int rc = 0;

    if (!dir) {
        rc = paths_registry(standard, sizeof(standard));
        dir = standard;
    }
    if (rc) {
        return say_failure(rc, "where the registry goes");
    }
    f = fopen(path, "re");
    if (!f) {
        return say_errno(path);
    }
    rc = admin_restore(dir, f, path, line->option[OPTION_FORCE], &r);
    fclose(f);
    if (r.finished) {
        say("first finished a restore that was interrupted");
    }
    if (rc) {
        return say_failure(rc, path);
    }
    say_changed();
    print_restored(&r, dir);
    return STATUS_DONE;
}

/* ---- adopt ---- */

int
backup_adopt(const char *dir)
{
    struct admin_restored r;
    bool did;
    int rc = admin_adopt(dir, &did, &r);

    if (rc) {
        return say_failure(rc, dir);
    }
    if (!did) {
        say("%s: not a copy of another registry: it stays as it is", dir);
        return STATUS_NO;
    }
    say_changed();
    fputs("This copy is a registry of its own now: ", stdout);
    text_put(stdout, dir, false);
    putchar('\n');
    if (r.pieces) {
        printf("Deferred work: %s %s in both registries; drop what the other "
               "one does: bide deferred drop\n",
               text_count(r.pieces).text,
               text_plural(r.pieces, "piece is", "pieces are"));
    }
    return STATUS_DONE;
}
