/* Restores a backup, and adopts a copy.
 *
 * A restore makes the new files in DIR/restored.new and renames that to
 * DIR/restored.  Before, nothing has changed.  Then it is decided: the old
 * files are kept in DIR/replaced-N, and the new ones move to their places; if
 * that is interrupted, bide init or the next restore finishes it.  DIR/restored
 * has a journal if deferred work is restored: all that work is in deferred.mdb.
 */
#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/paths.h"
#include "base/safe.h"
#include "record/past.h"
#include "registry/announce.h"
#include "store/file/place.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "backup_inside.h"

/* ---- restored.new ---- */

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

/* Makes the file `path` of at most `most` bytes, with the rights of `place`. */
static int
copy_file(FILE *from, const char *path, const char *place, uint64_t most,
          uint64_t *out_size, uint32_t *out_crc)
{
    FILE *to = fopen(path, "wxe");
    int rc = !from || !to || safe_inherit(fileno(to), place, SAFE_FILE)
                 ? place_failed(path, errno)
                 : backup_copy(from, to, most, out_size, out_crc);

    rc = rc ? rc : fsync(fileno(to)) ? place_failed(path, errno) : 0;
    if (to) {
        fclose(to);
    }
    return rc ? rc : place_sync(path);
}

/* Makes a file of the stage from the next bytes of the backup. */
static int
extract_file(const char *stage, int file, FILE *from, const struct head *h)
{
    const struct file_path path = backup_path(stage, file);
    uint64_t size;
    uint32_t crc;
    int rc = copy_file(from, path.text, path.text, h->size[file], &size, &crc);

    return rc ? rc
           : size != h->size[file] || crc != h->crcs[file]
               ? place_say(BIDE_EINPUT, "damaged: %s", backup_files[file].name)
               : 0;
}

/* Moves the work in the journal to deferred.mdb, and makes a new journal for
 * it.  Then it belongs to the registry beside it. */
static int
settle_deferred(const char *dir, bool new_journal)
{
    struct deferred *d = NULL;
    struct deferred_lost lost;
    int rc = deferred_open(dir, &d);

    rc = rc ? rc : deferred_lost(d, true, &lost);
    deferred_close(d);
    if (rc || !new_journal) {
        return rc;
    }
    unlink(backup_path(dir, JOURNAL).text);
    return settle_deferred(dir, false);
}

/* ---- putting the files in place ---- */

/* Copies a file that will be replaced, so that it has one name, in its place,
 * at each moment. */
static int
keep_file(const char *dir, const char *kept, int file)
{
    const struct file_path place = backup_path(dir, file);
    FILE *from = fopen(place.text, "re");
    uint64_t size;
    uint32_t crc;
    int rc = copy_file(from, backup_path(kept, file).text, place.text,
                       UINT64_MAX, &size, &crc);

    if (from) {
        fclose(from);
    }
    return rc;
}

/* Puts a file in its place.  Of history, which can be large, the old file is
 * moved away; an empty new one means that there is none. */
static int
move_file(const char *from, const char *dir, const char *kept, int file)
{
    const struct file_path fresh = backup_path(from, file);
    const struct file_path place = backup_path(dir, file);
    FILE *f = fopen(fresh.text, "re");
    struct stat st;
    int rc = !f || fstat(fileno(f), &st) ||
                     safe_inherit(fileno(f), place.text, SAFE_FILE)
                 ? place_failed(fresh.text, errno)
                 : 0;

    if (!rc &&
        ((file == HISTORY && rename(place.text, backup_path(kept, file).text) &&
          errno != ENOENT) ||
         (st.st_size ? rename(fresh.text, place.text) : unlink(fresh.text)))) {
        rc = place_failed(place.text, errno);
    }
    if (f) {
        fclose(f);
    }
    return rc ? rc : place_sync(place.text);
}

static int
place_files(const char *from, const char *dir, const char *kept)
{
    int lock[FILES] = {-1, -1, -1, -1}, rc = place_make(kept);

    for (int i = DEFERRED; i < POLICIES && !rc; i++) {
        rc = backup_has(from, i) && backup_has(dir, i)
                 ? place_wait(dir, backup_files[i].lock, LOCK_WAIT_MS, &lock[i])
                 : 0;
    }
    for (int i = 0; i < FILES && !rc; i++) {
        rc = i != HISTORY && backup_has(dir, i) &&
                     backup_has(from, i == JOURNAL ? DEFERRED : i)
                 ? keep_file(dir, kept, i)
                 : 0;
    }
    for (int i = DEFERRED; i < FILES && !rc; i++) {
        rc = i == POLICIES ? deferred_create(dir) : 0;
        rc = rc || !backup_has(from, i) ? rc : move_file(from, dir, kept, i);
    }
    safe_close(lock[DEFERRED]);
    safe_close(lock[HISTORY]);
    /* The files beside deferred.mdb are still those of the old one. */
    return rc || !backup_has(from, JOURNAL) ? rc : settle_deferred(dir, false);
}

/* Moves the files of DIR/restored to their places, if there are any, with all
 * locks: the caller has that of the policies. */
static int
finish_restore(const char *dir, unsigned *out_kept)
{
    const struct file_path from = path_of(dir, PATH_RESTORED);
    struct file_path kept;
    int rc;

    if (access(from.text, F_OK)) {
        return 0;
    }
    do {
        kept = path_print("%s/replaced-%u", dir, ++*out_kept);
    } while (!access(kept.text, F_OK));
    rc = place_files(from.text, dir, kept.text);
    if (rc) {
        return place_say(rc,
                         "%.*s\nmend this and run bide init: the rest of the "
                         "files is in %s",
                         (int)strcspn(place_why(), "\n"), place_why(),
                         from.text);
    }
    remove_stage(from.text);
    for (int i = DEFERRED; i < FILES; i++) {
        rmdir(dirname(backup_path(kept.text, i).text));
    }
    *out_kept = rmdir(kept.text) ? *out_kept : 0; /* fails unless it is empty */
    return 0;
}

int
admin_finish_restore(const char *dir, unsigned *out_kept)
{
    int lock, rc;

    *out_kept = 0;
    if (access(path_of(dir, PATH_RESTORED).text, F_OK)) {
        return 0;
    }
    rc = place_lock(dir, "bide init", LOCK_WAIT_MS, &lock);
    if (!rc) {
        rc = finish_restore(dir, out_kept);
        place_unlock(lock);
    }
    return failure_of_store(rc, dir, place_why());
}

/* ---- restore ---- */

/* A change of all files, with the writers' lock. */
struct restoring {
    const char *dir;
    struct file_path stage;
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
    uint64_t damaged;
    int rc = strlen(dir) < PATH_MAX / 2 ? place_make(dir)
                                        : place_failed("", ENAMETOOLONG);

    r->dir = dir;
    r->stage = path_of(dir, "restored.new");
    rc = rc ? rc : place_lock(dir, command, LOCK_WAIT_MS, &r->lock);
    rc = rc ? rc : finish_restore(dir, &out->kept);
    if (rc) {
        return rc;
    }
    out->finished = out->kept;
    out->kept = 0;
    remove_stage(r->stage.text); /* of one that was interrupted */
    out->pieces = backup_pieces(dir, &damaged);
    r->before_rc = past_open(dir, &r->before);
    if (r->before_rc == 0) {
        past_record_until_now(&r->before);
        (void)past_live(&r->before, false);
        (void)past_compare(&r->before, &r->newest);
        (void)reader_look(r->before.reader, &r->stamp);
    }
    /* Nobody else may enter it, who could replace its files by links. */
    return mkdir(r->stage.text, 0700) ? place_failed(r->stage.text, errno)
                                      : place_make(r->stage.text);
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
        past_record_restored(&after, backup_has(r->dir, HISTORY));
    }
    past_close(&after);
    return 0;
}

/* Ends it: without an error the stage becomes the registry. */
static int
end_restoring(struct restoring *r, int rc)
{
    const struct file_path decided = path_of(r->dir, PATH_RESTORED);

    if (!rc && rename(r->stage.text, decided.text)) {
        rc = place_failed(decided.text, errno);
    }
    rc = rc ? rc : place_sync(decided.text);
    rc = rc ? rc : finish_restore(r->dir, &r->out->kept);
    rc = rc ? rc : announce_all(r);
    if (r->before_rc == 0) {
        past_close(&r->before);
    }
    if (r->lock >= 0) {
        remove_stage(r->stage.text);
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
        rc = h->size[i] ? extract_file(r->stage.text, i, from, h) : 0;
    }
    while (!rc && txn == r->stamp.txn) { /* calls must see another commit */
        rc = writer_begin(r->stage.text, "bide restore", LOCK_WAIT_MS, &w);
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
    if (!rc && !id) { /* a backup can be without deferred work */
        rc = h->size[DEFERRED] ? 0 : deferred_create(r->stage.text);
        rc = rc ? rc : settle_deferred(r->stage.text, true);
    }
    if (!rc && history_open(r->stage.text, &past) == BIDE_EFORMAT) {
        rc = place_say(BIDE_EFORMAT, "%s", pages_why());
    }
    history_close(past);
    return rc;
}

/* Leaves out of the stage what the registry keeps; with `force` that is
 * nothing. Returns whether the file is restored. */
static bool
take_file(const struct restoring *r, int file, bool force)
{
    const struct file_path path = backup_path(r->stage.text, file);
    FILE *f;

    if (backup_has(r->dir, file) && !force) {
        unlink(path.text);
    } else if (backup_has(r->dir, file) && !backup_has(r->stage.text, file)) {
        f = fopen(path.text, "wxe"); /* the old one goes */
        if (f) {
            fclose(f);
        }
    }
    return backup_has(r->stage.text, file);
}

int
admin_restore(const char *dir, FILE *file, const char *name, bool force,
              struct admin_restored *out)
{
    struct restoring r = {.lock = -1, .before_rc = 1, .out = out};
    struct head h = {.made_ns = 0};
    int rc = backup_read_head(file, &h);

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
        out->lacks_history = !h.size[HISTORY];
        out->has_deferred = take_file(&r, DEFERRED, force);
        if (!out->has_deferred) {
            unlink(backup_path(r.stage.text, JOURNAL).text);
        }
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
    char live_dir[PATH_MAX], *live = NULL;
    uint8_t id[REGISTRY_ID_SIZE];
    struct head h;
    int rc;

    strcpy(live_dir, reader_live_path(r->before.reader));
    rc = f ? writer_identity(dirname(live_dir), id, &live)
           : place_failed(r->dir, errno);
    rc = rc ? rc : backup_write(&r->before, POLICIES, f, NULL);
    rc = rc ? rc : (rewind(f), backup_read_head(f, &h));
    rc = rc ? rc : fill_stage(r, f, &h, id, live);
    if (!rc && backup_has(r->dir, HISTORY)) {
        rc = recording_adopt(r->dir, id); /* if interrupted, it is done again */
    }
    free(live);
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
