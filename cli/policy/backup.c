/* bide backup, bide restore and bide init --adopt. */
#include "backup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/backup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "base/safe.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/replace.h"
#include "cli/out/text.h"

/* ---- backup ---- */

struct writing {
    struct command_line *line;
    struct admin_backup did;
    int rc;
};

/* Copies the backup, which is in `from`, to standard output. */
static int
copy_out(FILE *from)
{
    char bytes[1 << 16];
    size_t n;

    rewind(from);
    while ((n = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        fwrite(bytes, 1, n, stdout); /* main reports a failure */
    }
    return ferror(from) ? say_errno("backup") : STATUS_DONE;
}

static int
write_file(void *arg, FILE *out)
{
    struct writing *w = arg;

    w->rc = admin_backup(w->line->registry, out, &w->did);
    return w->rc ? EIO : 0;
}

/* Reports whether a backup may replace what is at `path`: nothing, or an
 * earlier one. */
static bool
is_replaceable(const char *path)
{
    char magic[sizeof(BACKUP_MAGIC)] = "";
    FILE *f = safe_look(path) ? NULL : fopen(path, "re");

    if (!f) {
        return true; /* replace_file() refuses what is no file */
    }
    if (fread(magic, 1, sizeof(magic) - 1, f) > 0 &&
        strcmp(magic, BACKUP_MAGIC) != 0) {
        say("%s: this file is no backup, so it stays", path);
        say("name another file, or remove it");
        fclose(f);
        return false;
    }
    fclose(f);
    return true;
}

int
backup_command(struct command_line *line)
{
    const char *path = line->operands[0];
    struct writing w = {.line = line};
    int error = 0, status = STATUS_DONE;
    FILE *f;

    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO)) {
            return say_usage(line, "a backup is not for a terminal");
        }
        /* Standard output may be slow, and cannot be written again. */
        f = tmpfile();
        error = f ? write_file(&w, f) : errno;
        status = f && !error ? copy_out(f) : STATUS_NO;
        if (f) {
            fclose(f);
        }
    } else if (!is_replaceable(path)) {
        return STATUS_NO;
    } else {
        error = replace_file(path, 0600, write_file, &w);
    }
    if (w.rc) {
        return say_failure(w.rc, path);
    }
    if (error) {
        say_why(path, safe_why(error));
        return STATUS_NO;
    }
    if (strcmp(path, "-") != 0) {
        text_put(stdout, path, false);
        printf(": policies, history and %s %s of deferred work\n",
               text_count(w.did.pieces).text,
               text_plural(w.did.pieces, "piece", "pieces"));
    }
    return status;
}

/* ---- restore ---- */

static void
print_restored(const char *dir, const struct admin_backup *did)
{
    fputs("Restored ", stdout);
    text_put(stdout, dir, false);
    printf(" as of %s\n", when_write(did->made_ns, clock_realtime_ns()).text);
    if (did->changes) {
        printf("Policies: %s later %s no longer in force\n",
               text_count(did->changes).text,
               text_plural(did->changes, "change is", "changes are"));
    }
    if (!did->has_history) {
        puts("History: goes on as it is");
    }
    if (did->has_deferred) {
        puts("Deferred work: that of the backup; what was done since then is "
             "done again");
        if (did->pieces) {
            printf("%s %s of deferred work %s only in the old files, or as of "
                   "the backup\n",
                   text_count(did->pieces).text,
                   text_plural(did->pieces, "piece", "pieces"),
                   text_plural(did->pieces, "is", "are"));
        }
    } else {
        printf("Deferred work: goes on as it is, %s %s\n",
               text_count(did->pieces).text,
               text_plural(did->pieces, "piece", "pieces"));
    }
    if (did->kept) {
        fputs("The old files are in ", stdout);
        text_put(stdout, dir, false);
        printf("/replaced-%u\n", did->kept);
    }
}

int
restore_command(struct command_line *line)
{
    const char *path = line->operands[0], *dir = line->option[OPTION_DIR];
    char standard[4096];
    struct admin_backup did = {.kept = 0};
    FILE *f;
    int rc;

    if (!dir && paths_registry(standard, sizeof(standard))) {
        return say_failure(BIDE_EINVAL, "where the registry goes");
    }
    dir = dir ? dir : standard;
    f = fopen(path, "re");
    if (!f) {
        return say_errno(path);
    }
    rc = admin_restore(dir, f, path, line->option[OPTION_FORCE], &did);
    fclose(f);
    if (did.finished) {
        say("a restore that was interrupted is finished now");
    }
    if (rc) {
        return say_failure(rc, path);
    }
    say_changed();
    print_restored(dir, &did);
    return STATUS_DONE;
}

int
backup_adopt(const char *dir)
{
    struct admin_backup did;
    int rc = admin_adopt(dir, &did);

    if (rc) {
        return say_failure(rc, dir);
    }
    say_changed();
    fputs("Registry of its own now: ", stdout);
    text_put(stdout, dir, false);
    putchar('\n');
    if (did.pieces) {
        printf("Deferred work: %s %s in both registries; see bide deferred "
               "drop\n",
               text_count(did.pieces).text,
               text_plural(did.pieces, "piece is", "pieces are"));
    }
    return STATUS_DONE;
}
