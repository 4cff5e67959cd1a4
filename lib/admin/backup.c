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
 * A restore makes the new files in DIR/restored.new and renames that to
 * DIR/restored.  Before, nothing has changed.  Then it is decided: the files
 * move to their places, and the old ones to DIR/replaced-N; if that is
 * interrupted, the next restore finishes it. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/failure.h"
#include "base/paths.h"
#include "base/safe.h"
#include "registry/announce.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "inside.h"

enum { JOURNAL, DEFERRED, HISTORY, POLICIES, FILES };
enum { TRIES = 4 };

static const struct {
    const char *name, *lock; /* keeps its writers away */
} files[FILES] = {{PATH_DEFERRED_JOURNAL, NULL},
                  {PATH_DEFERRED, PATH_DEFERRED},
                  {PATH_HISTORY, PATH_HISTORY_LOCK},
                  {PATH_REGISTRY, PATH_REGISTRY_LOCK}};

struct head {
    char magic[8];
    uint32_t crc, format;
    uint8_t registry[REGISTRY_ID_SIZE];
    uint64_t made_ns, size[FILES];
    uint32_t crcs[FILES];
};
_Static_assert(sizeof(struct head) == 88, "no gaps");

static const char magic[8] = "bidebkup";

static uint32_t
crc_of_head(const struct head *h)
{
    return crc32c(0, &h->format, sizeof(*h) - offsetof(struct head, format));
}

/* Writes "DIR/NAME", or "" if that is too long. */
static char *
path_in(const char *dir, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX) {
        *out = '\0';
    }
    return out;
}

static bool
has_file(const char *dir, int file)
{
    char path[PATH_MAX];

    return !access(path_in(dir, files[file].name, path), F_OK);
}

/* Copies bytes until the end or `most`; *out_crc is their checksum. */
static int
copy_bytes(FILE *from, FILE *to, uint64_t most, uint64_t *out_size,
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
    char path[PATH_MAX];
    int fd = open(path_in(dir, files[file].name, path), flags), rc;
    FILE *from = fd < 0 ? NULL : fdopen(fd, "r");

    if (!from) {
        return errno == ENOENT ? 0 : place_failed(path, errno);
    }
    rc = copy_bytes(from, to, UINT64_MAX, &h->size[file], &h->crcs[file]);
    fclose(from);
    return rc;
}

/* Appends an LMDB file, after the journal of deferred work. */
static int
append_checked(const char *dir, int file, FILE *to, struct head *h)
{
    struct pages_stamp before, after = {.txn = 0};
    const off_t begin = ftello(to);
    struct pages *p = NULL;
    char path[PATH_MAX];
    int lock = -1, rc = pages_open(path_in(dir, files[file].name, path), &p);

    if (rc == BIDE_EMISSING && file != POLICIES) {
        return 0;
    }
    rc = rc ? rc : pages_check(p);
    rc = rc ? place_say(rc, "%s", pages_why()) : PAGES_AGAIN;
    for (int i = 1; rc == PAGES_AGAIN && i <= TRIES; i++) {
        rc = i < TRIES ? 0
                       : place_wait(dir, files[file].lock, LOCK_WAIT_MS, &lock);
        if (!rc && (pages_look(p, &before) || fseeko(to, begin, SEEK_SET))) {
            rc = place_failed(path, EIO);
        }
        rc = rc || file != DEFERRED ? rc : append_file(dir, JOURNAL, to, h);
        rc = rc ? rc : append_file(dir, file, to, h);
        if (!rc && (pages_look(p, &after) || before.txn != after.txn)) {
            rc = PAGES_AGAIN;
        }
    }
    close(lock);
    pages_close(p);
    return rc;
}

static int
write_backup(struct past *p, int first, FILE *to)
{
    struct head h = {.format = BACKUP_FORMAT, .made_ns = clock_realtime_ns()};
    struct history_changes all = {.sequence = 0};
    int rc = past_compare(p, &all); /* reads all versions */

    rc = rc < 0 ? place_say(rc, "%s", pages_why()) : 0;
    memcpy(h.magic, magic, sizeof(magic));
    memcpy(h.registry, reader_id(p->reader), sizeof(h.registry));
    fseeko(to, sizeof(h), SEEK_SET);
    for (int i = first; i < FILES && !rc; i++) {
        rc = append_checked(p->dir, i, to, &h);
    }
    h.crc = crc_of_head(&h);
    if (!rc && (ftruncate(fileno(to), ftello(to)) || fseeko(to, 0, SEEK_SET) ||
                fwrite(&h, sizeof(h), 1, to) != 1 || fflush(to))) {
        rc = place_failed("the backup", errno);
    }
    return rc;
}

static uint64_t
count_pieces(const char *dir)
{
    struct deferred_survey s;
    int rc = deferred_survey(dir, &s);

    free(s.held);
    return rc ? 0 : s.waiting + s.leased + s.dead;
}

int
admin_backup(struct admin *a, FILE *file, uint64_t *out_pieces)
{
    *out_pieces = count_pieces(a->past.dir);
    return failure_of_store(write_backup(&a->past, DEFERRED, file), a->past.dir,
                            place_why());
}

/* ---- restored.new ---- */

static int
read_head(FILE *file, struct head *out)
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

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void
remove_stage(const char *stage)
{
    nftw(stage, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes a file of the stage from the next bytes of the backup. */
static int
extract_file(const char *stage, int file, FILE *from, const struct head *h)
{
    char path[PATH_MAX];
    FILE *to = fopen(path_in(stage, files[file].name, path), "wxe");
    uint64_t size;
    uint32_t crc;
    int rc;

    if (!to) {
        return place_failed(path, errno);
    }
    rc = copy_bytes(from, to, h->size[file], &size, &crc);
    if (!rc && (size != h->size[file] || crc != h->crcs[file])) {
        rc = place_say(BIDE_EINPUT, "damaged: %s", files[file].name);
    }
    rc = rc ? rc : fsync(fileno(to)) ? place_failed(path, errno) : 0;
    fclose(to);
    return rc ? rc : place_sync(path);
}

/* Moves the work in the journal to deferred.mdb, and makes a new journal for
 * it.  Then it belongs to the registry beside it. */
static int
settle_deferred(const char *dir, bool new_journal)
{
    struct deferred *d = NULL;
    struct deferred_lost lost;
    char path[PATH_MAX];
    int rc = deferred_open(dir, &d);

    rc = rc ? rc : deferred_lost(d, true, &lost);
    deferred_close(d);
    if (rc || !new_journal) {
        return rc;
    }
    unlink(path_in(dir, PATH_DEFERRED_JOURNAL, path));
    return settle_deferred(dir, false);
}

/* ---- putting the files in place ---- */

/* Puts a file in its place, and keeps the old one.  There is a registry at each
 * moment.  The others can be missing for one: a second name would keep their
 * writers away if this process is killed now. */
static int
move_file(const char *from, const char *dir, const char *kept, int file)
{
    char fresh[PATH_MAX], old[PATH_MAX], place[PATH_MAX];
    FILE *f = fopen(path_in(from, files[file].name, fresh), "re");
    int rc =
        !f || safe_inherit(fileno(f), path_in(dir, files[file].name, place),
                           SAFE_FILE)
            ? place_failed(fresh, errno)
            : 0;

    path_in(kept, files[file].name, old);
    if (!rc && (((file == POLICIES ? link(place, old) : rename(place, old)) &&
                 errno != ENOENT) ||
                rename(fresh, place))) {
        rc = place_failed(place, errno);
    }
    if (f) {
        fclose(f);
    }
    return rc ? rc : place_sync(place);
}

/* Moves the files of DIR/restored to their places, if there are any, with all
 * locks: the caller has that of the policies. */
static int
finish_restore(const char *dir, unsigned *out_kept)
{
    char from[PATH_MAX], kept[PATH_MAX];
    int lock[FILES] = {-1, -1, -1, -1}, rc;

    if (access(path_in(dir, "restored", from), F_OK)) {
        return 0;
    }
    do {
        snprintf(kept, sizeof(kept), "%s/replaced-%u", dir, ++*out_kept);
    } while (!access(kept, F_OK));
    rc = place_make(kept);
    for (int i = DEFERRED; i < POLICIES && !rc; i++) {
        rc = has_file(from, i) && has_file(dir, i)
                 ? place_wait(dir, files[i].lock, LOCK_WAIT_MS, &lock[i])
                 : 0;
    }
    for (int i = 0; i < FILES && !rc; i++) {
        rc = i == POLICIES ? deferred_create(dir) : 0;
        rc = rc || !has_file(from, i) ? rc : move_file(from, dir, kept, i);
    }
    close(lock[DEFERRED]);
    close(lock[HISTORY]);
    if (rc) {
        return place_say(rc,
                         "%.*s\nmend this and run bide restore again: the "
                         "rest of the files is in %s",
                         (int)strcspn(place_why(), "\n"), place_why(), from);
    }
    remove_stage(from);
    for (int i = DEFERRED; i < FILES; i++) {
        rmdir(dirname(path_in(kept, files[i].name, from)));
    }
    *out_kept = rmdir(kept) ? *out_kept : 0; /* fails unless it is empty */
    return 0;
}

/* ---- restore ---- */

/* A change of all files, with the writers' lock. */
struct restoring {
    const char *dir;
    char stage[PATH_MAX];
    int lock;           /* -1: not held */
    struct past before; /* the registry as it was, unless before_rc */
    int before_rc;
    struct history_changes newest;
    struct pages_stamp stamp;
    struct admin_restored *out;
};

static int
begin_restoring(struct restoring *r, const char *dir, const char *command)
{
    struct admin_restored *out = r->out;
    int rc = strlen(dir) < PATH_MAX / 2 ? place_make(dir)
                                        : place_failed("", ENAMETOOLONG);

    r->dir = dir;
    path_in(dir, "restored.new", r->stage);
    rc = rc ? rc : place_lock(dir, command, LOCK_WAIT_MS, &r->lock);
    rc = rc ? rc : finish_restore(dir, &out->kept);
    if (rc) {
        return rc;
    }
    out->finished = out->kept > 0;
    out->kept = 0;
    remove_stage(r->stage); /* of one that was interrupted */
    out->pieces = count_pieces(dir);
    r->before_rc = past_open(dir, &r->before);
    if (r->before_rc == 0) {
        past_record_until_now(&r->before);
        (void)past_live(&r->before, false);
        (void)past_compare(&r->before, &r->newest);
        (void)reader_look(r->before.reader, &r->stamp);
    }
    /* Nobody else may enter it, who could replace its files by links. */
    return mkdir(r->stage, 0700) ? place_failed(r->stage, errno)
                                 : place_make(r->stage);
}

/* Wakes the calls of the registry as it was and as it is: they read the rules
 * anew.  Without a live file services see it when they look next. */
static int
announce_all(struct restoring *r)
{
    struct history_changes now = {.sequence = 0};
    struct pages_stamp stamp;
    struct past after;
    int rc = past_open(r->dir, &after);

    if (rc) {
        return place_say(rc, "%s", pages_why());
    }
    past_compare(&after, &now);
    if (r->newest.sequence > now.sequence) {
        r->out->changes = r->newest.sequence - now.sequence;
    }
    if (reader_look(after.reader, &stamp) == 0) {
        if (past_live(&after, false)) {
            announce(after.live, after.reader, NULL, stamp.txn);
        }
        if (r->before_rc == 0 && r->before.live) {
            announce(r->before.live, after.reader, NULL, stamp.txn);
        }
    }
    past_close(&after);
    return 0;
}

/* Ends it: without an error the stage becomes the registry. */
static int
end_restoring(struct restoring *r, int rc)
{
    char decided[PATH_MAX];

    if (!rc && rename(r->stage, path_in(r->dir, "restored", decided))) {
        rc = place_failed(decided, errno);
    }
    rc = rc ? rc : place_sync(decided);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    rc = rc ? rc : announce_all(r);
    if (r->before_rc == 0) {
        past_close(&r->before);
    }
    if (r->lock >= 0) {
        remove_stage(r->stage);
        place_unlock(r->lock);
    }
    return rc;
}

/* Extracts the backup.  New versions are above those of the registry as it was.
 * With `id` and `live` it becomes another registry. */
static int
fill_stage(struct restoring *r, FILE *from, const struct head *h,
           const uint8_t *id, const char *live)
{
    const uint32_t floor = r->newest.highest;
    uint64_t txn = r->stamp.txn;
    struct history *past = NULL;
    struct writer *w;
    int rc = 0;

    for (int i = 0; i < FILES && !rc; i++) {
        rc = h->size[i] ? extract_file(r->stage, i, from, h) : 0;
    }
    while (!rc && txn == r->stamp.txn) { /* calls must see another commit */
        rc = writer_begin(r->stage, "bide restore", LOCK_WAIT_MS, &w);
        if (rc) {
            return rc;
        }
        rc = writer_set(w, "floor", &floor, sizeof(floor));
        if (id) {
            rc = rc ? rc : writer_set(w, "id", id, REGISTRY_ID_SIZE);
            rc = rc ? rc : writer_set(w, "live", live, strlen(live));
        }
        rc = rc ? rc : writer_commit(w);
        txn = writer_txn(w);
        writer_end(w);
    }
    rc = rc || !h->size[DEFERRED] ? rc : settle_deferred(r->stage, true);
    if (!rc && history_open(r->stage, &past) == BIDE_EFORMAT) {
        rc = place_say(BIDE_EFORMAT, "%s", pages_why());
    }
    history_close(past);
    return rc;
}

/* Leaves out of the stage what the registry keeps.  Returns whether the file is
 * restored. */
static bool
take_file(const struct restoring *r, int file, bool force)
{
    char path[PATH_MAX];

    if (!force && has_file(r->dir, file)) {
        unlink(path_in(r->stage, files[file].name, path));
    }
    return has_file(r->stage, file);
}

int
admin_restore(const char *dir, FILE *file, const char *name, bool force,
              struct admin_restored *out)
{
    struct restoring r = {.lock = -1, .before_rc = 1, .out = out};
    struct head h;
    int rc = read_head(file, &h);

    *out = (struct admin_restored){.made_ns = h.made_ns};
    if (rc) {
        return failure_at(FAILURE_STORE, rc, name, place_why());
    }
    rc = begin_restoring(&r, dir, "bide restore");
    if (!rc && !force && r.before_rc && r.before_rc != BIDE_EMISSING &&
        r.before_rc != BIDE_EDAMAGED) {
        rc = place_say(r.before_rc, "%s", pages_why());
    }
    if (!rc && !force && r.before_rc == 0 &&
        memcmp(reader_id(r.before.reader), h.registry, sizeof(h.registry))) {
        rc = place_say(BIDE_EEXIST, "another registry is there\nrestore into "
                                    "another directory, or with --force, which "
                                    "keeps the old files");
    }
    rc = rc ? rc : fill_stage(&r, file, &h, NULL, NULL);
    if (!rc) {
        out->has_history = take_file(&r, HISTORY, force);
        out->has_deferred = take_file(&r, DEFERRED, force);
        force |= out->has_deferred;
        take_file(&r, JOURNAL, force);
    }
    rc = end_restoring(&r, rc);
    return rc ? failure_at(FAILURE_STORE, rc, rc == BIDE_EINPUT ? name : dir,
                           place_why())
              : 0;
}

/* ---- adopt ---- */

/* Stages the registry under a new id. */
static int
stage_adopted(struct restoring *r, FILE *f)
{
    char live[PATH_MAX], path[PATH_MAX], name[2 * REGISTRY_ID_SIZE + 6];
    uint8_t id[REGISTRY_ID_SIZE];
    struct head h;
    int rc = f && getrandom(id, sizeof(id), 0) == sizeof(id)
                 ? write_backup(&r->before, POLICIES, f)
                 : place_failed(r->dir, errno);

    rc = rc ? rc : (rewind(f), read_head(f, &h));
    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < sizeof(id); i++) {
        snprintf(name + 2 * i, 8, "%02x.live", id[i]);
    }
    strcpy(live, reader_live_path(r->before.reader));
    rc = fill_stage(r, f, &h, id, path_in(dirname(live), name, path));
    if (!rc && has_file(r->dir, HISTORY)) {
        rc = recording_adopt(r->dir, id); /* if interrupted, it is done again */
    }
    return rc;
}

int
admin_adopt(const char *dir, struct admin_restored *out)
{
    struct restoring r = {.lock = -1, .before_rc = 1, .out = out};
    FILE *f = tmpfile();
    int rc;

    *out = (struct admin_restored){.kept = 0};
    rc = begin_restoring(&r, dir, "bide init --adopt");
    rc = rc            ? rc
         : r.before_rc ? place_say(r.before_rc, "%s", pages_why())
         : reader_original(r.before.reader)
             ? stage_adopted(&r, f)
             : place_say(BIDE_EEXIST, "this is no copy of another registry");
    rc = end_restoring(&r, rc);
    rc = rc ? rc : settle_deferred(dir, false);
    if (f) {
        fclose(f);
    }
    return rc ? failure_at(FAILURE_STORE, rc, dir, place_why()) : 0;
}
