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
    uint32_t crcs[FILES];
};
_Static_assert(sizeof(struct head) == 88, "no gaps");

/* Writes "DIR/NAME"; begin_restoring refuses a DIR that is too long. */
static void
path_in(const char *dir, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX) {
        *out = '\0';
    }
}

static bool
has_file(const char *dir, const char *name)
{
    char path[PATH_MAX];

    path_in(dir, name, path);
    return !access(path, F_OK);
}

static uint32_t
crc_of_head(const struct head *h)
{
    return crc32c(0, &h->format, sizeof(*h) - offsetof(struct head, format));
}

/* Copies bytes until the end or `most`; *out_crc is their checksum.  Returns 0
 * or errno. */
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
    return ferror(from) || ferror(to) || fflush(to) ? errno ? errno : EIO : 0;
}

/* ---- backup ---- */

/* Appends a file; a missing one has no bytes. */
static int
append_file(const char *dir, int file, FILE *to, struct head *h)
{
    char path[PATH_MAX];
    FILE *from;
    int error;

    path_in(dir, names[file], path);
    from = fopen(path, "re");
    if (!from) {
        return errno == ENOENT ? 0 : place_failed(path, errno);
    }
    error = copy_bytes(from, to, UINT64_MAX, &h->size[file], &h->crcs[file]);
    fclose(from);
    return error ? place_failed("the backup", error) : 0;
}

/* Appends an LMDB file, after the journal of deferred work. */
static int
append_checked(const char *dir, int file, FILE *to, struct head *h)
{
    struct pages_stamp before, after = {.txn = 0};
    const off_t begin = ftello(to);
    struct pages *p = NULL;
    char path[PATH_MAX];
    int lock = -1, rc;

    path_in(dir, names[file], path);
    rc = pages_open(path, &p);
    if (rc == BIDE_EMISSING && file != POLICIES) {
        return 0;
    }
    rc = rc ? rc : pages_check(p);
    rc = rc ? place_say(rc, "%s", pages_why()) : PAGES_AGAIN;
    for (int i = 1; rc == PAGES_AGAIN && i <= TRIES; i++) {
        rc = i < TRIES ? 0 : place_wait(dir, locks[file], LOCK_WAIT_MS, &lock);
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
write_backup(const char *dir, const uint8_t *id, int first, FILE *to)
{
    struct head h = {.format = FORMAT, .made_ns = clock_realtime_ns()};
    int rc = fseeko(to, sizeof(h), SEEK_SET) ? place_failed(dir, errno) : 0;

    memcpy(h.magic, BACKUP_MAGIC, sizeof(h.magic));
    memcpy(h.registry, id, sizeof(h.registry));
    for (int i = first; i < FILES && !rc; i++) {
        rc = append_checked(dir, i, to, &h);
    }
    h.crc = crc_of_head(&h);
    if (!rc && (ftruncate(fileno(to), ftello(to)) || fseeko(to, 0, SEEK_SET) ||
                fwrite(&h, sizeof(h), 1, to) != 1 || fflush(to))) {
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

/* ---- the stage: restored.new ---- */

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

/* Makes a file of a directory that nobody uses yet.  Returns errno. */
static int
make_file(const char *dir, int file, FILE *from, uint64_t most,
          uint64_t *out_size, uint32_t *out_crc)
{
    char path[PATH_MAX];
    FILE *to;
    int error;

    path_in(dir, names[file], path);
    to = fopen(path, "wxe");
    if (!to) {
        return errno;
    }
    error = copy_bytes(from, to, most, out_size, out_crc);
    error = error ? error : fsync(fileno(to)) ? errno : 0;
    fclose(to);
    return error ? error : place_sync(path) ? EIO : 0;
}

static int
fill_stage(const char *stage, FILE *from, const struct head *h)
{
    int rc = place_make(stage), error;

    for (int i = 0; i < FILES && !rc; i++) {
        uint64_t size = 0;
        uint32_t crc = 0;

        error =
            h->size[i] ? make_file(stage, i, from, h->size[i], &size, &crc) : 0;
        rc = error ? place_failed(stage, error)
             : size != h->size[i] || crc != h->crcs[i]
                 ? place_say(BIDE_EINPUT, "damaged: %s", names[i])
                 : 0;
    }
    return rc;
}

/* Moves the work that a journal holds into deferred.mdb, and makes a new
 * journal for it: that of the registry, which holds newer work, must not match.
 */
static int
empty_journal(const char *stage)
{
    char path[PATH_MAX];
    int rc = 0;

    path_in(stage, names[JOURNAL], path);
    for (int i = 0; i < 2 && !rc; i++) {
        struct deferred *d = NULL;
        struct deferred_lost lost;

        rc = deferred_open(stage, &d);
        rc = rc ? rc : deferred_lost(d, true, &lost);
        deferred_close(d);
        if (i == 0) {
            unlink(path);
        }
    }
    return rc;
}

/* Gives the registry of a stage a floor: new versions are above it.  `id`: a
 * new one, for a copy. */
static int
finish_stage(const char *stage, uint32_t floor, const uint8_t *id,
             const char *live)
{
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
    return rc || !has_file(stage, PATH_DEFERRED) ? rc : empty_journal(stage);
}

/* ---- putting the files in place ---- */

/* Puts a file in its place and keeps the old one.  The journal of deferred work
 * is copied, for the next owner of its place may write into it.  Returns errno.
 */
static int
move_file(const char *from, const char *dir, const char *kept, int file)
{
    char fresh[PATH_MAX], old[PATH_MAX], place[PATH_MAX];
    uint64_t size;
    uint32_t crc;
    FILE *f;
    int rc;

    path_in(from, names[file], fresh);
    path_in(kept, names[file], old);
    path_in(dir, names[file], place);
    f = file == JOURNAL ? fopen(place, "re") : NULL;
    rc = f ? make_file(kept, file, f, UINT64_MAX, &size, &crc) : 0;
    if (f) {
        fclose(f);
    } else if (link(place, old) && errno != ENOENT) {
        return errno;
    }
    f = rc ? NULL : fopen(fresh, "re");
    rc = rc ? rc
         : !f || place_own(fileno(f), dir, modes[file]) || rename(fresh, place)
             ? errno
             : 0;
    if (f) {
        fclose(f);
    }
    return rc ? rc : place_sync(place) ? EIO : 0;
}

static int
move_locked(const char *from, const char *dir, const char *kept, int file)
{
    int lock = -1, rc = 0, error = 0;

    /* The writers of the policies wait already. */
    if (file != POLICIES && has_file(dir, names[file])) {
        rc = place_wait(dir, locks[file], LOCK_WAIT_MS, &lock);
    }
    if (!rc && file == DEFERRED && has_file(from, names[JOURNAL])) {
        error = move_file(from, dir, kept, JOURNAL);
    }
    if (!rc && !error) {
        error = move_file(from, dir, kept, file);
    }
    close(lock);
    return error ? place_failed(dir, error) : rc;
}

/* Moves the files of DIR/restored to their places, if there are any. */
static int
finish_restore(const char *dir, unsigned *out_kept)
{
    char from[PATH_MAX], kept[PATH_MAX];
    unsigned n = 0;
    int rc;

    path_in(dir, "restored", from);
    if (access(from, F_OK)) {
        return 0;
    }
    do {
        snprintf(kept, sizeof(kept), "%s/replaced-%u", dir, ++n);
    } while (!access(kept, F_OK));
    rc = place_make(kept);
    for (int i = DEFERRED; i < FILES && !rc; i++) {
        rc = has_file(from, names[i]) ? move_locked(from, dir, kept, i) : 0;
        rc = !rc && i == DEFERRED ? deferred_create(dir) : rc;
    }
    if (rc) {
        return place_say(rc,
                         "%.*s\nmend this and run bide restore again: the "
                         "rest of the files is in %s",
                         (int)strcspn(place_why(), "\n"), place_why(), from);
    }
    remove_stage(from);
    for (int i = DEFERRED; i < FILES; i++) {
        path_in(kept, names[i], from);
        rmdir(dirname(from));
    }
    *out_kept = rmdir(kept) ? n : 0; /* fails unless it is empty */
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
    struct live *live; /* of it, or NULL */
    struct reader_newest newest;
    struct admin_backup *out;
};

static int
begin_restoring(struct restoring *r, const char *command)
{
    int rc = strlen(r->dir) < PATH_MAX - 64 ? place_make(r->dir)
                                            : place_failed("", ENAMETOOLONG);

    *r->out = (struct admin_backup){.kept = 0};
    path_in(r->dir, "restored.new", r->stage);
    rc = rc ? rc : place_lock(r->dir, command, LOCK_WAIT_MS, &r->lock);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    if (rc) {
        return rc;
    }
    r->out->finished = r->out->kept > 0;
    remove_stage(r->stage); /* of one that was interrupted */
    r->out->pieces = count_pieces(r->dir);
    r->before_rc = past_open(r->dir, &r->before);
    if (r->before_rc == 0) {
        past_record_until_now(&r->before);
        r->live = past_live(&r->before, false);
        (void)reader_newest(r->before.reader, &r->newest);
    }
    return 0;
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
    past_record_until_now(&after);
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
    char decided[PATH_MAX];

    path_in(r->dir, "restored", decided);
    if (!rc && rename(r->stage, decided)) {
        rc = place_failed(decided, errno);
    }
    rc = rc ? rc : place_sync(decided);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    rc = rc ? rc : announce_all(r);
    remove_stage(r->stage);
    if (r->before_rc == 0) {
        past_close(&r->before);
    }
    if (r->lock >= 0) {
        place_unlock(r->lock);
    }
    return rc;
}

/* Leaves a file of the backup out if the registry keeps its own.  Returns
 * whether it is restored. */
static bool
take_file(const struct restoring *r, int file, bool force)
{
    char path[PATH_MAX];

    path_in(r->stage, names[file], path);
    if (!force && has_file(r->dir, names[file])) {
        unlink(path);
    }
    return has_file(r->stage, names[file]);
}

int
admin_restore(const char *dir, FILE *file, const char *name, bool force,
              struct admin_backup *out)
{
    struct restoring r = {dir, .lock = -1, .before_rc = 1, .out = out};
    struct head h;
    int rc = read_head(file, &h);

    if (rc) {
        return failure_at(FAILURE_STORE, rc, name, place_why());
    }
    rc = begin_restoring(&r, "bide restore");
    if (!rc && !force && r.before_rc == 0 &&
        memcmp(reader_id(r.before.reader), h.registry, sizeof(h.registry))) {
        rc = place_say(BIDE_EEXIST, "another registry is there\nrestore into "
                                    "another directory, or with --force, which "
                                    "keeps the old files");
    }
    rc = rc ? rc : fill_stage(r.stage, file, &h);
    if (!rc) {
        out->has_history = take_file(&r, HISTORY, force);
        out->has_deferred = take_file(&r, DEFERRED, force);
        rc = finish_stage(r.stage, r.newest.highest, NULL, NULL);
    }
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
    char live[PATH_MAX], path[PATH_MAX], hex[2 * REGISTRY_ID_SIZE + 6];
    uint8_t id[REGISTRY_ID_SIZE];
    FILE *f = tmpfile();
    struct head h;
    int rc = f && getrandom(id, sizeof(id), 0) == sizeof(id)
                 ? write_backup(r->dir, id, POLICIES, f)
                 : place_failed(r->dir, errno);

    for (size_t i = 0; i < sizeof(id) && !rc; i++) {
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
    if (!rc) {
        strcpy(live, reader_live_path(r->before.reader));
        strcat(hex, ".live");
        path_in(dirname(live), hex, path);
        rewind(f);
        rc = read_head(f, &h);
    }
    rc = rc ? rc : fill_stage(r->stage, f, &h);
    rc = rc ? rc : finish_stage(r->stage, r->newest.highest, id, path);
    if (!rc && has_file(r->dir, PATH_HISTORY)) {
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
    struct restoring r = {dir, .lock = -1, .before_rc = 1, .out = out};
    struct deferred *d = NULL;
    struct deferred_lost lost;
    int rc = begin_restoring(&r, "bide init --adopt");

    rc = rc            ? rc
         : r.before_rc ? place_say(r.before_rc, "%s", pages_why())
         : reader_original(r.before.reader)
             ? stage_adopted(&r)
             : place_say(BIDE_EEXIST, "this is no copy of another registry");
    rc = end_restoring(&r, rc);
    rc = rc ? rc : deferred_open(dir, &d);
    rc = rc ? rc : deferred_lost(d, true, &lost); /* sets its registry */
    deferred_close(d);
    return rc ? failure_at(FAILURE_STORE, rc, dir, place_why()) : 0;
}
