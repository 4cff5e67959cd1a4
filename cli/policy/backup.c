/* bide backup, bide restore and bide init --adopt. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/backup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "store/file/place.h"
#include "change.h"

/* Prints "BEFORE12 piecesAFTER". */
static void
print_pieces(const char *before, uint64_t pieces, const char *after)
{
    printf("%s%s %s%s\n", before, text_count(pieces).text,
           text_plural(pieces, "piece", "pieces"), after);
}

static void
print_place(const char *before, const char *path, const char *after)
{
    fputs(before, stdout);
    text_put(stdout, path, false);
    puts(after);
}

/* Copies the backup to standard output, which may be slow and cannot be written
 * again.  main reports a failure to write. */
static void
copy_out(FILE *from)
{
    char bytes[1 << 16];
    size_t n;

    rewind(from);
    while ((n = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        fwrite(bytes, 1, n, stdout);
    }
}

/* Says what the backup lacks, or has damaged.  Returns the exit status. */
static int
say_incomplete(const struct admin_backup *b)
{
    static const char *const parts[] = {"deferred work", "history"};
    int status = STATUS_DONE;

    for (size_t i = 0; i < 2; i++) {
        if (*b->left_out[i]) {
            say("the backup has no %s: %.*s", parts[i],
                (int)strcspn(b->left_out[i], "\n"), b->left_out[i]);
        } else if (b->damaged[i]) {
            say("damaged records of %s, in the backup as they are: %" PRIu64,
                parts[i], b->damaged[i]);
        } else {
            continue;
        }
        status = STATUS_NO;
    }
    if (status) {
        say("see: bide doctor");
    }
    return status;
}

/* Makes the backup under another name first.  Never replaces a file. */
int
backup_command(struct command_line *line)
{
    const char *path = line->operands[0];
    bool to_stdout = strcmp(path, "-") == 0;
    int fd = -1, rc, status = STATUS_DONE;
    struct admin_backup did;
    char *draft;
    FILE *f;

    if (to_stdout && isatty(STDOUT_FILENO)) {
        return say_usage(line, "a backup is not for a terminal");
    }
    if (asprintf(&draft, "%s.XXXXXX", path) < 0) {
        return say_no_memory();
    }
    if (!to_stdout) {
        fd = access(path, F_OK) ? mkstemp(draft) : (errno = EEXIST, -1);
    }
    f = to_stdout ? tmpfile() : fd < 0 ? NULL : fdopen(fd, "w+");
    rc = f ? admin_backup(line->registry, f, &did) : 0;
    if (rc) {
        status = say_failure(rc, path);
    } else if (f && to_stdout) {
        copy_out(f);
        status = say_incomplete(&did);
    } else if (!f || fsync(fd) || link(draft, path) || place_sync(path)) {
        status = say_errno(path);
    } else {
        print_place("Backup written to ", path, "");
        printf("It has policies%s", *did.left_out[1] ? "" : ", history");
        print_pieces(" and ", did.pieces, " of deferred work");
        status = say_incomplete(&did);
    }
    if (fd >= 0) {
        unlink(draft);
    }
    if (f) {
        fclose(f);
    }
    free(draft);
    return status;
}

static void
print_restored(const char *dir, const struct admin_restored *did)
{
    char kept[48];

    print_place("Restored ", dir, ":");
    printf("  policies as of %s",
           when_write(did->made_ns, clock_realtime_ns()).text);
    if (did->changes) {
        printf(", without %s later %s", text_count(did->changes).text,
               text_plural(did->changes, "change", "changes"));
    }
    printf("\n  history %s\n", !did->has_history ? "goes on as it is"
                               : did->lacks_history
                                   ? "begins anew: the backup has none"
                                   : "of the backup");
    if (!did->has_deferred) {
        print_pieces("  deferred work goes on as it is: ", did->pieces, "");
    } else {
        puts("  deferred work of the backup: what was done since is done "
             "again");
        print_pieces("  before, the registry had ", did->pieces, "");
    }
    if (did->kept) {
        snprintf(kept, sizeof(kept), "/replaced-%u", did->kept);
        print_place("The old files are in ", dir, kept);
    }
}

int
restore_command(struct command_line *line)
{
    const char *path = line->operands[0], *dir = line->option[OPTION_DIR];
    struct admin_restored did;
    char standard[4096];
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
        say("first finished a restore that was interrupted: its old files are "
            "in %s/replaced-%u",
            dir, did.finished);
    }
    if (rc) {
        return say_failure(rc, path);
    }
    say_changed();
    print_restored(dir, &did);
    return STATUS_DONE;
}

int
finish_cut_restore(const char *dir)
{
    unsigned kept;
    int rc = admin_finish_restore(dir, &kept);

    if (kept && !rc) {
        printf("Finished a restore that was interrupted: the old files are in "
               "replaced-%u\n",
               kept);
    }
    return rc;
}

int
change_identity(const char *dir)
{
    struct admin_restored did;
    int rc = admin_adopt(dir, &did);

    if (rc) {
        return say_failure(rc, dir);
    }
    say_changed();
    print_place("This copy is a registry of its own now: ", dir, "");
    if (did.pieces) {
        print_pieces("", did.pieces,
                     " of deferred work may be in both: bide deferred drop");
    }
    return STATUS_DONE;
}
