/* A backup is one file with the images of a registry's files:
 *
 *    0 magic "bidebkup" | 8 crc u32 of the rest of the head | 12 format u32 |
 *   16 registry's id | 32 made_ns u64 | 40 size u64 of each of `names`, 0: it
 *   was missing | 72 their crc u32 each | 88 their bytes, one after another
 *
 * Little-endian, CRC-32C.  The sizes give the length of the whole, so nothing
 * may be missing or follow.  Each image is of one moment: it is read again
 * until nothing changes meanwhile, and at the last try its writers wait.
 * Policies come last, so they have every change that the history knows.
 *
 * A restore makes the new files in DIR/restored.new and renames that to
 * DIR/restored.  Before, nothing has changed.  Then it is decided: the files
 * are moved to their places, the old ones to DIR/replaced-N; if that is
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
enum { FORMAT = 1, TRIES = 4 };

static const char *const names[FILES] = {PATH_DEFERRED_JOURNAL, PATH_DEFERRED,
                                         PATH_HISTORY, PATH_REGISTRY};
/* Keep the writers of a file away. */
static const char *const locks[FILES] = {NULL, PATH_DEFERRED, PATH_HISTORY_LOCK,
                                         PATH_REGISTRY_LOCK};
static const mode_t modes[FILES] = {0660, 0660, 0640, 0640};

struct head {
    char magic[8];
    uint32_t crc, format;
    uint8_t registry[REGISTRY_ID_SIZE];
    uint64_t made_ns, size[FILES];
    uint32_t file_crc[FILES];
};
_Static_assert(sizeof(struct head) == 88, "no gaps");

static bool
has_file(const char *dir, int file)
{
    char *path = place_path(dir, names[file]);
    bool yes = path && !access(path, F_OK);

    free(path);
    return yes;
}

static uint32_t
crc_of_head(const struct head *h)
{
    return crc32c(0, &h->format, sizeof(*h) - offsetof(struct head, format));
}

/* Copies bytes until the end or `most`; *out_crc is their checksum.  Returns
 * their number; UINT64_MAX: errno. */
static uint64_t
copy_bytes(FILE *from, FILE *to, uint64_t most, uint32_t *out_crc)
{
    char bytes[1 << 16];
    uint64_t done = 0;
    size_t n;

    *out_crc = 0;
    do {
        n = most - done < sizeof(bytes) ? most - done : sizeof(bytes);
        n = fread(bytes, 1, n, from);
        *out_crc = crc32c(*out_crc, bytes, n);
        done += fwrite(bytes, 1, n, to);
    } while (n && !ferror(to));
    return ferror(from) || ferror(to) ? UINT64_MAX : done;
}

/* ---- backup ---- */

/* Appends a file; a missing one has no bytes. */
static int
append_file(const char *dir, int file, FILE *to, struct head *h)
{
    char *path = place_path(dir, names[file]);
    FILE *from = path ? fopen(path, "re") : NULL;
    int rc = from || errno == ENOENT ? 0 : place_failed(dir, errno);

    h->size[file] =
        from ? copy_bytes(from, to, UINT64_MAX, &h->file_crc[file]) : 0;
    if (h->size[file] == UINT64_MAX) {
        rc = place_failed("the backup", errno);
    }
    if (from) {
        fclose(from);
    }
    free(path);
    return rc;
}

/* Appends an LMDB file, after the journal of deferred work. */
static int
append_checked(const char *dir, int file, FILE *to, struct head *h)
{
    char *path = place_path(dir, names[file]);
    struct pages_stamp before, after = {.txn = 0};
    const long begin = ftell(to);
    struct pages *p = NULL;
    int lock = -1, rc = path ? pages_open(path, &p) : BIDE_ENOMEM;
    bool missing = rc == BIDE_EMISSING && file != POLICIES;

    rc = rc ? rc : pages_check(p);
    rc = rc ? place_say(rc, "%s", pages_why()) : PAGES_AGAIN;
    for (int i = 1; rc == PAGES_AGAIN && i <= TRIES; i++) {
        rc = i < TRIES ? 0 : place_wait(dir, locks[file], LOCK_WAIT_MS, &lock);
        if (!rc && (pages_look(p, &before) || fseek(to, begin, SEEK_SET))) {
            rc = place_failed(path, EIO);
        }
        rc = rc || file != DEFERRED ? rc : append_file(dir, JOURNAL, to, h);
        rc = rc ? rc : append_file(dir, file, to, h);
        if (!rc && (pages_look(p, &after) || before.txn != after.txn)) {
            rc = PAGES_AGAIN;
        }
    }
    if (lock >= 0) {
        close(lock);
    }
    pages_close(p);
    free(path);
    return missing ? 0 : rc;
}

static int
write_backup(const char *dir, const uint8_t *id, int first, FILE *to)
{
    struct head h = {.format = FORMAT, .made_ns = clock_realtime_ns()};
    int rc = fseek(to, sizeof(h), SEEK_SET) ? place_failed(dir, errno) : 0;

    memcpy(h.magic, BACKUP_MAGIC, sizeof(h.magic));
    memcpy(h.registry, id, sizeof(h.registry));
    for (int i = first; i < FILES && !rc; i++) {
        rc = append_checked(dir, i, to, &h);
    }
    h.crc = crc_of_head(&h);
    if (!rc && (fflush(to) || ftruncate(fileno(to), ftell(to)) ||
                fseek(to, 0, SEEK_SET) || fwrite(&h, sizeof(h), 1, to) != 1 ||
                fflush(to))) {
        rc = place_failed("the backup", errno);
    }
    return rc;
}

/* Counts deferred work. */
static uint64_t
count_pieces(const char *dir)
{
    struct deferred_survey s;
    int rc = deferred_survey(dir, &s);

    free(s.held);
    return rc ? 0 : s.waiting + s.leased + s.dead;
}

int
admin_backup(struct admin *a, FILE *file, struct admin_backup *out)
{
    const char *dir = a->past.dir;
    struct reader_newest newest;
    int rc = reader_newest(a->past.reader, &newest); /* reads all versions */

    *out = (struct admin_backup){.pieces = count_pieces(dir)};
    rc = rc ? place_say(rc, "%s", pages_why())
            : write_backup(dir, reader_id(a->past.reader), DEFERRED, file);
    return failure_of_store(rc, dir, place_why());
}

/* ---- restored.new ---- */

static int
read_head(FILE *file, struct head *out)
{
    uint64_t size = sizeof(*out);

    if (fread(out, sizeof(*out), 1, file) != 1 ||
        memcmp(out->magic, BACKUP_MAGIC, sizeof(out->magic)) != 0) {
        return place_say(BIDE_EINPUT, "this is no backup of bide");
    }
    if (out->format != FORMAT) {
        return place_say(BIDE_EFORMAT,
                         "its format is %u, this bide knows %d\n"
                         "use the bide that wrote it",
                         out->format, FORMAT);
    }
    for (int i = 0; i < FILES; i++) {
        size += out->size[i]; /* wraps only if the checksum is wrong */
    }
    return out->crc != crc_of_head(out) || fseek(file, 0, SEEK_END) ||
                   (uint64_t)ftell(file) != size ||
                   fseek(file, sizeof(*out), SEEK_SET)
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

struct image {
    FILE *from;
    uint64_t size;
    uint32_t crc;
    int file;
};

static int
fill_image(void *arg, const char *fresh, int fd)
{
    const struct image *i = arg;
    FILE *to = fdopen(dup(fd), "w");
    uint32_t crc = 0;
    uint64_t size = to ? copy_bytes(i->from, to, i->size, &crc) : UINT64_MAX;
    int rc = size == UINT64_MAX || fflush(to) || fsync(fd)
                 ? place_failed(fresh, errno)
             : i->size != UINT64_MAX && (size != i->size || crc != i->crc)
                 ? place_say(BIDE_EINPUT, "damaged: %s", names[i->file])
                 : 0;

    if (to) {
        fclose(to);
    }
    return rc;
}

static int
fill_stage(const char *stage, FILE *from, const struct head *h)
{
    int rc = place_make(stage);

    for (int i = 0; i < FILES && !rc; i++) {
        struct image image = {from, h->size[i], h->file_crc[i], i};
        char *path = h->size[i] ? place_path(stage, names[i]) : NULL;

        if (path) {
            rc = place_make_file(&(struct place_new){.dir = stage,
                                                     .path = path,
                                                     .mode = modes[JOURNAL],
                                                     .fill = fill_image,
                                                     .arg = &image});
        }
        free(path);
    }
    return rc;
}

/* Empties the journal of a stage into its deferred.mdb, and gives the registry
 * a floor: new versions are above it.  `id`: a new one, for a copy. */
static int
finish_stage(const char *stage, uint32_t floor, const uint8_t *id,
             const char *live)
{
    struct deferred *d = NULL;
    struct deferred_lost lost;
    struct writer *w;
    int rc = writer_begin(stage, "bide restore", LOCK_WAIT_MS, &w);

    if (rc) {
        return rc;
    }
    rc = writer_set(w, "floor", &floor, sizeof(floor));
    if (id) {
        rc = rc ? rc : writer_set(w, "id", id, REGISTRY_ID_SIZE);
        rc = rc ? rc : writer_set(w, "live", live, strlen(live));
    }
    rc = rc ? rc : writer_commit(w);
    writer_end(w);
    if (!rc && has_file(stage, DEFERRED)) {
        rc = deferred_open(stage, &d);
        rc = rc ? rc : deferred_lost(d, true, &lost);
        deferred_close(d);
    }
    return rc;
}

/* ---- putting the files in place ---- */

/* Copies the journal of deferred work that is replaced, because that of the new
 * deferred.mdb is written in its place. */
static int
keep_journal(const char *dir, const char *kept)
{
    char *path = place_path(dir, names[JOURNAL]);
    struct image image = {.from = path ? fopen(path, "re") : NULL,
                          .size = UINT64_MAX};
    char *copy = place_path(kept, names[JOURNAL]);
    int rc = path && copy ? 0 : place_failed(dir, ENOMEM);

    if (!rc && image.from) {
        rc = place_make_file(&(struct place_new){.dir = kept,
                                                 .path = copy,
                                                 .mode = modes[JOURNAL],
                                                 .fill = fill_image,
                                                 .arg = &image});
    }
    if (image.from) {
        fclose(image.from);
    }
    free(path);
    free(copy);
    return rc;
}

/* Puts a file in its place, and keeps the old one. */
static int
move_file(const char *from, const char *dir, const char *kept, int file)
{
    char *new = place_path(from, names[file]),
         *old = place_path(kept, names[file]);
    char *place = place_path(dir, names[file]);
    int lock = -1, rc = new &&place &&old ? 0 : place_failed(dir, ENOMEM);

    /* The writers of the policies wait already. */
    if (!rc && file != POLICIES && has_file(dir, file)) {
        rc = place_wait(dir, locks[file], LOCK_WAIT_MS, &lock);
    }
    if (!rc && file == DEFERRED) {
        rc = keep_journal(dir, kept);
    }
    if (!rc) { /* the stage may have another group */
        int fd = open(new, O_RDONLY | O_CLOEXEC);

        rc =
            fd < 0 ? place_failed(new, errno) : place_own(fd, dir, modes[file]);
        close(fd);
    }
    if (!rc && ((link(place, old) && errno != ENOENT) || rename(new, place))) {
        rc = place_failed(place, errno);
    }
    rc = rc ? rc : place_sync(place);
    if (lock >= 0) {
        close(lock);
    }
    free(new);
    free(place);
    free(old);
    return rc;
}

/* Moves the files of DIR/restored to their places, if there are any. */
static int
finish_restore(const char *dir, unsigned *out_kept)
{
    char *from = place_path(dir, "restored"), kept[PATH_MAX];
    int rc = from ? 0 : place_failed(dir, ENOMEM);
    unsigned n = 0;

    if (rc || access(from, F_OK)) {
        free(from);
        return rc;
    }
    do {
        snprintf(kept, sizeof(kept), "%s/replaced-%u", dir, ++n);
    } while (!access(kept, F_OK));
    rc = place_make(kept);
    for (int i = DEFERRED; i < FILES && !rc; i++) {
        rc = has_file(from, i) ? move_file(from, dir, kept, i) : 0;
        rc = !rc && i == DEFERRED ? deferred_create(dir) : rc;
    }
    if (!rc) {
        remove_stage(from);
        *out_kept = n;
    }
    free(from);
    return rc ? place_say(rc,
                          "%.*s\nmend this and run bide restore again: the "
                          "rest of the files is in %s/restored",
                          (int)strcspn(place_why(), "\n"), place_why(), dir)
              : 0;
}

/* ---- restore ---- */

/* A change of all files, with the writers' lock. */
struct restoring {
    const char *dir;
    char *stage;
    int lock;           /* -1: not held */
    struct past before; /* the registry as it was, unless before_rc */
    int before_rc;
    struct live *live; /* of it, or NULL */
    struct reader_newest newest;
    struct admin_backup *out;
};

static int
begin_restoring(struct restoring *r, const char *command)
{
    int rc = place_make(r->dir);

    r->lock = -1;
    r->before_rc = BIDE_EMISSING;
    *r->out = (struct admin_backup){.kept = 0};
    r->stage = place_path(r->dir, "restored.new");
    rc = rc         ? rc
         : r->stage ? place_lock(r->dir, command, LOCK_WAIT_MS, &r->lock)
                    : place_failed(r->dir, ENOMEM);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    r->out->finished = r->out->kept > 0;
    if (!rc) {
        remove_stage(r->stage); /* of one that was interrupted */
        r->before_rc = past_open(r->dir, &r->before);
        r->out->pieces = count_pieces(r->dir);
    }
    if (r->before_rc == 0) {
        past_record_until_now(&r->before);
        r->live = past_live(&r->before, false);
        (void)reader_newest(r->before.reader, &r->newest);
    }
    return rc;
}

/* Wakes the calls of the registry as it was and as it is: they read the rules
 * anew.  Without a live file services see it when they look next. */
static int
announce_all(struct restoring *r)
{
    struct reader_newest now = {.sequence = 0};
    struct past after;
    struct live *l;
    int rc = past_open(r->dir, &after);

    if (rc) {
        return place_say(rc, "%s", pages_why());
    }
    (void)reader_newest(after.reader, &now);
    r->out->changes = r->newest.sequence > now.sequence
                          ? r->newest.sequence - now.sequence
                          : 0;
    l = past_live(&after, false);
    if (l) {
        r->out->woken = announce(l, after.reader, NULL, now.txn);
    }
    if (r->live && memcmp(reader_id(r->before.reader), reader_id(after.reader),
                          REGISTRY_ID_SIZE) != 0) {
        r->out->woken += announce(r->live, after.reader, NULL, now.txn);
    }
    past_close(&after);
    return 0;
}

/* Ends it: without an error the stage becomes the registry. */
static int
end_restoring(struct restoring *r, int rc)
{
    char *decided = place_path(r->dir, "restored");

    rc = rc || decided ? rc : place_failed(r->dir, ENOMEM);
    if (!rc && rename(r->stage, decided)) {
        rc = place_failed(decided, errno);
    }
    rc = rc ? rc : place_sync(decided);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    rc = rc ? rc : announce_all(r);
    if (r->stage) {
        remove_stage(r->stage);
    }
    if (r->before_rc == 0) {
        past_close(&r->before);
    }
    if (r->lock >= 0) {
        place_unlock(r->lock);
    }
    free(r->stage);
    free(decided);
    return rc;
}

/* Removes a file of the backup from the stage if the registry keeps its own.
 * Returns whether it stays. */
static bool
take_file(const struct restoring *r, int file, bool force)
{
    char *path = place_path(r->stage, names[file]);
    bool keeps = !force && has_file(r->dir, file);

    if (keeps && path) {
        unlink(path);
    }
    free(path);
    return !keeps && has_file(r->stage, file);
}

static int
stage_backup(struct restoring *r, FILE *file, const struct head *h, bool force)
{
    int rc = fill_stage(r->stage, file, h);

    if (!rc) {
        r->out->has_history = take_file(r, HISTORY, force);
        r->out->has_deferred = take_file(r, DEFERRED, force);
        rc = finish_stage(r->stage, r->newest.highest, NULL, NULL);
    }
    return rc;
}

int
admin_restore(const char *dir, FILE *file, const char *name, bool force,
              struct admin_backup *out)
{
    struct restoring r = {.dir = dir, .out = out};
    struct head h;
    int rc = read_head(file, &h);

    if (rc) {
        return failure_at(FAILURE_STORE, rc, name, place_why());
    }
    rc = begin_restoring(&r, "bide restore");
    if (!rc && !force && r.before_rc == 0 &&
        memcmp(reader_id(r.before.reader), h.registry, sizeof(h.registry))) {
        rc = place_say(BIDE_EEXIST,
                       "another registry is there, not the one of this backup\n"
                       "restore into another directory, or with --force, which "
                       "keeps the old files");
    }
    rc = rc ? rc : stage_backup(&r, file, &h, force);
    out->made_ns = h.made_ns;
    rc = end_restoring(&r, rc);
    return rc ? failure_at(FAILURE_STORE, rc, rc == BIDE_EINPUT ? name : dir,
                           place_why())
              : 0;
}

/* ---- adopt ---- */

/* Stages the registry under a new id. */
static int
stage_adopted(struct restoring *r)
{
    char live[PATH_MAX], path[PATH_MAX + 64], hex[2 * REGISTRY_ID_SIZE + 1];
    uint8_t id[REGISTRY_ID_SIZE];
    FILE *f = tmpfile();
    struct head h;
    int rc = f && getrandom(id, sizeof(id), 0) == sizeof(id)
                 ? write_backup(r->dir, id, POLICIES, f)
                 : place_failed(r->dir, errno);

    for (size_t i = 0; i < sizeof(id); i++) {
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
    snprintf(live, sizeof(live), "%s", reader_live_path(r->before.reader));
    snprintf(path, sizeof(path), "%s/%s.live", dirname(live), hex);
    if (!rc) {
        rewind(f);
        rc = read_head(f, &h);
    }
    rc = rc ? rc : fill_stage(r->stage, f, &h);
    rc = rc ? rc : finish_stage(r->stage, r->newest.highest, id, path);
    if (!rc && has_file(r->dir, HISTORY)) {
        rc = recording_adopt(r->dir, id); /* if interrupted, it is done again */
    }
    if (f) {
        fclose(f);
    }
    return rc;
}

int
admin_adopt(const char *dir, struct admin_backup *out)
{
    struct restoring r = {.dir = dir, .out = out};
    struct deferred *d = NULL;
    struct deferred_lost lost;
    int rc = begin_restoring(&r, "bide init --adopt");

    rc = rc            ? rc
         : r.before_rc ? place_say(r.before_rc, "%s", pages_why())
         : reader_original(r.before.reader)
             ? stage_adopted(&r)
             : place_say(BIDE_EEXIST, "not a copy of a registry that exists");
    rc = end_restoring(&r, rc);
    rc = rc ? rc : deferred_open(dir, &d);
    rc = rc ? rc : deferred_lost(d, true, &lost); /* sets its registry */
    deferred_close(d);
    return rc ? failure_at(FAILURE_STORE, rc, dir, place_why()) : 0;
}
