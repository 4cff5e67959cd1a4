/* A backup is one file with the images of a registry's files:
 *
 *    0 magic "bidebkup" | 8 crc u32 of the rest of the head | 12 format u32 |
 *   16 registry's id | 32 made_ns u64 | 40 size u64 of each of `names`, 0: none
 *   72 their crc u32 each | 88 their bytes, one after another
 *
 * Little-endian, CRC-32C.  The sizes give the length of the whole.  Each image
 * is of one moment: it is read again until nothing changes meanwhile, and at
 * the last try its writers wait.  Policies come last, so they have every change
 * that the history knows.  Live state is not in it.
 *
 * A file that is damaged is left out, except the policies. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/failure.h"
#include "base/paths.h"
#include "base/safe.h"
#include "store/queue/queue.h"
#include "backup_inside.h"
#include "inside.h"

enum { TRIES = 4 };

const struct backup_file backup_files[FILES] = {
    {PATH_DEFERRED_JOURNAL, NULL},
    {PATH_DEFERRED, PATH_DEFERRED},
    {PATH_HISTORY, PATH_HISTORY_LOCK},
    {PATH_REGISTRY, PATH_REGISTRY_LOCK}};

static const char magic[8] = "bidebkup";

static uint32_t
crc_of_head(const struct head *h)
{
    return crc32c(0, &h->format, sizeof(*h) - offsetof(struct head, format));
}

struct file_path
backup_path(const char *dir, int file)
{
    return path_of(dir, backup_files[file].name);
}

bool
backup_has(const char *dir, int file)
{
    return !access(backup_path(dir, file).text, F_OK);
}

int
backup_copy(FILE *from, FILE *to, uint64_t most, uint64_t *out_size,
            uint32_t *out_crc)
{
    char bytes[1 << 16];
    size_t n;

    *out_size = *out_crc = 0;
    do {
        n = most - *out_size < sizeof(bytes) ? most - *out_size : sizeof(bytes);
        n = fread(bytes, 1, n, from);
        *out_crc = crc32c(*out_crc, bytes, n);
        *out_size += fwrite(bytes, 1, n, to);
    } while (n && !ferror(to));
    return ferror(from) || fflush(to) || ferror(to)
               ? place_failed("the backup", errno ? errno : EIO)
               : 0;
}

/* ---- backup ---- */

/* Appends a file; a missing one has no bytes.  A service may have put a link or
 * a pipe in its place. */
static int
append_file(const char *dir, int file, FILE *to, struct head *h)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    const struct file_path path = backup_path(dir, file);
    int fd = open(path.text, flags), rc;
    FILE *from = fd < 0 ? NULL : fdopen(fd, "r");

    if (!from) {
        return errno == ENOENT ? 0 : place_failed(path.text, errno);
    }
    rc = backup_copy(from, to, UINT64_MAX, &h->size[file], &h->crcs[file]);
    fclose(from);
    return rc;
}

/* Appends an LMDB file, after the journal of deferred work. */
static int
append_checked(const char *dir, int file, FILE *to, struct head *h)
{
    struct pages_stamp before, after = {.txn = 0};
    const struct file_path path = backup_path(dir, file);
    const off_t begin = ftello(to);
    struct pages *p = NULL;
    int lock = -1, rc = pages_open(path.text, &p);

    if (rc == BIDE_EMISSING && file != POLICIES) {
        return 0;
    }
    rc = rc ? rc : pages_check(p);
    rc = rc ? place_say(rc, "%s", pages_why()) : PAGES_AGAIN;
    for (int i = 1; rc == PAGES_AGAIN && i <= TRIES; i++) {
        rc = i < TRIES ? 0
                       : place_wait(dir, backup_files[file].lock, LOCK_WAIT_MS,
                                    &lock);
        if (!rc && (pages_look(p, &before) || fseeko(to, begin, SEEK_SET))) {
            rc = place_failed(path.text, EIO);
        }
        rc = rc || file != DEFERRED ? rc : append_file(dir, JOURNAL, to, h);
        rc = rc ? rc : append_file(dir, file, to, h);
        if (!rc && (pages_look(p, &after) || before.txn != after.txn)) {
            rc = PAGES_AGAIN;
        }
    }
    safe_close(lock);
    pages_close(p);
    return rc;
}

uint64_t
backup_pieces(const char *dir, uint64_t *out_damaged)
{
    struct deferred_survey s;
    int rc = deferred_survey(dir, &s);

    free(s.held);
    *out_damaged = rc ? 0 : s.damaged + s.damaged_pieces;
    return rc ? 0 : s.waiting + s.leased + s.dead;
}

/* Says that records are damaged: the backup has them as they are. */
static void
warn_of_records(const char *dir, struct admin_backup *out)
{
    struct history_survey found = {.damaged = 0};
    struct pages *p = NULL;

    out->pieces = backup_pieces(dir, &out->damaged[0]);
    if (!pages_open(backup_path(dir, HISTORY).text, &p)) {
        (void)history_survey(p, &found);
        out->damaged[1] = found.damaged;
    }
    pages_close(p);
}

int
backup_write(struct past *p, int first, FILE *to, struct admin_backup *out)
{
    struct head h = {.format = BACKUP_FORMAT, .made_ns = clock_realtime_ns()};
    struct history_changes all = {.sequence = 0};
    int rc = past_compare(p, &all); /* reads all versions */

    rc = rc < 0 ? place_say(rc, "%s", pages_why()) : 0;
    memcpy(h.magic, magic, sizeof(magic));
    memcpy(h.registry, reader_id(p->reader), sizeof(h.registry));
    fseeko(to, sizeof(h), SEEK_SET);
    for (int i = first; i < FILES && !rc; i++) {
        const off_t begin = ftello(to);

        rc = append_checked(p->dir, i, to, &h);
        if (rc == BIDE_EDAMAGED && i != POLICIES) {
            snprintf(out->left_out[i - DEFERRED], sizeof(out->left_out[0]),
                     "%s", place_why());
            h.size[i] = h.size[i == DEFERRED ? JOURNAL : i] = 0;
            rc = fseeko(to, begin, SEEK_SET) ? place_failed("it", errno) : 0;
        }
    }
    h.crc = crc_of_head(&h);
    if (!rc && (ftruncate(fileno(to), ftello(to)) || fseeko(to, 0, SEEK_SET) ||
                fwrite(&h, sizeof(h), 1, to) != 1 || fflush(to))) {
        rc = place_failed("the backup", errno);
    }
    return rc;
}

int
admin_backup(struct admin *a, FILE *file, struct admin_backup *out)
{
    *out = (struct admin_backup){.pieces = 0};
    warn_of_records(a->past.dir, out);
    return failure_of_store(backup_write(&a->past, DEFERRED, file, out),
                            a->past.dir, place_why());
}

/* ---- the head ---- */

int
backup_read_head(FILE *file, struct head *out)
{
    uint64_t size = sizeof(*out);

    if (fread(out, sizeof(*out), 1, file) != 1 ||
        memcmp(out->magic, magic, sizeof(magic)) != 0) {
        return place_say(BIDE_EINPUT, "this is no backup of bide");
    }
    if (pages_format("it", out->format, BACKUP_FORMAT)) {
        return place_say(BIDE_EFORMAT, "%s", pages_why());
    }
    for (int i = 0; i < FILES; i++) {
        size += out->size[i]; /* wraps only if the checksum is wrong */
    }
    return out->crc != crc_of_head(out) || fseeko(file, 0, SEEK_END) ||
                   (uint64_t)ftello(file) != size ||
                   fseeko(file, sizeof(*out), SEEK_SET)
               ? place_say(BIDE_EINPUT, "damaged or cut short")
               : 0;
}
