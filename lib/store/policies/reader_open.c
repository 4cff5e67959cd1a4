/* Opens a registry for reading, and finds out whether it is a copy. */
#include "reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "base/paths.h"
#include "store/file/seal.h"
#include "store/pages/pages_view.h"

enum { READ_TRIES = 100 };

struct reader {
    struct pages *pages;
    uint8_t id[REGISTRY_ID_SIZE];
    char *live;
    bool journal;   /* init --journal */
    char *dir;      /* the directory that the registry was made or last changed
                       in; NULL: unknown */
    char *original; /* the same if that is another registry with this id */
};

/* ---- meta ---- */

/* Reads a value of "meta", malloc'ed with a NUL after it.  BIDE_ENOPOLICY:
 * there is none. */
static int
read_meta_value(const struct snapshot *s, const char *key, char **out,
                size_t *out_length)
{
    const uint8_t *value;
    size_t length;
    char *copy;
    void *bytes;
    int rc = pages_get(s, "meta", key, strlen(key), &bytes, &length);

    if (rc) {
        return rc;
    }
    value = seal_read(key, strlen(key), bytes, length, &length);
    if (!value) {
        free(bytes);
        return pages_damaged("the registry's %s is damaged", key);
    }
    copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, value, length);
        copy[length] = '\0';
        *out = copy;
        *out_length = length;
    }
    free(bytes);
    return copy ? 0 : BIDE_ENOMEM;
}

static int
require_meta_value(const struct snapshot *s, const char *key, char **out,
                   size_t *out_length)
{
    int rc = read_meta_value(s, key, out, out_length);

    return rc == BIDE_ENOPOLICY
               ? pages_damaged("the registry's %s is missing", key)
               : rc;
}

static int
read_meta_fixed(const struct snapshot *s, const char *key, void *out,
                size_t size)
{
    size_t length;
    char *bytes;
    int rc = require_meta_value(s, key, &bytes, &length);

    if (rc) {
        return rc;
    }
    if (length == size) {
        memcpy(out, bytes, size);
    } else {
        rc = pages_damaged("the registry's %s has a wrong length", key);
    }
    free(bytes);
    return rc;
}

/* Checks the format, which a newer bide may have changed since the file was
 * opened, and compares the stored number of the transaction with the meta
 * page's.  A copy that LMDB compacted begins again at transaction 1. */
static int
check_commit(const struct snapshot *s)
{
    uint32_t format = 0;
    uint64_t commit = 0;
    int rc = read_meta_fixed(s, "format", &format, sizeof(format));

    rc = rc ? rc : pages_format(s->file->path, format, STORE_FORMAT);
    rc = rc ? rc : read_meta_fixed(s, "commit", &commit, sizeof(commit));

    if (!rc && s->meta.txn > 1 && commit != s->meta.txn) {
        rc = pages_damaged("%s: transaction %llu has the data of %llu",
                           s->file->path, (unsigned long long)s->meta.txn,
                           (unsigned long long)commit);
    }
    return rc;
}

uint32_t
reader_floor(const struct snapshot *s)
{
    uint32_t floor = 0;

    return read_meta_fixed(s, "floor", &floor, sizeof(floor)) ? 0 : floor;
}

void
reader_fleet(const struct snapshot *s, struct record_fleet *out)
{
    if (read_meta_fixed(s, "fleet", out, sizeof(*out))) {
        *out = (struct record_fleet){0};
    }
}

int
reader_rename(const struct snapshot *s, unsigned number,
              struct record_rename *out)
{
    const struct brief key = record_rename_key(number);
    size_t length;
    char *bytes;
    int rc = read_meta_value(s, key.text, &bytes, &length);

    if (rc) {
        return rc;
    }
    free(bytes);
    rc = read_meta_fixed(s, key.text, out, sizeof(*out));
    out->from[BIDE_NAME_MAX] = out->to[BIDE_NAME_MAX] = '\0';
    return rc;
}

static int
read_meta(void *arg, const struct snapshot *s)
{
    struct reader *r = arg;
    size_t length;
    char *live, *dir = NULL, *journal = NULL;
    int rc = read_meta_fixed(s, "id", r->id, sizeof(r->id));

    rc = rc ? rc : require_meta_value(s, "live", &live, &length);
    if (rc) {
        return rc;
    }
    if (live[0] != '/' || strlen(live) != length || length >= PATH_MAX) {
        free(live);
        return pages_damaged("the registry's live is not a path");
    }
    rc = read_meta_value(s, "dir", &dir, &length);
    if (!rc || rc == BIDE_ENOPOLICY) { /* earlier versions did not store it */
        rc = read_meta_value(s, "journal", &journal, &length);
    }
    if (rc && rc != BIDE_ENOPOLICY) {
        free(live);
        free(dir);
        return rc;
    }
    r->journal = journal && *journal;
    free(journal);
    free(r->live);
    free(r->dir);
    r->live = live;
    r->dir = dir;
    return 0;
}

/* ---- copies ---- */

static int
read_id(void *arg, const struct snapshot *s)
{
    return read_meta_fixed(s, "id", arg, REGISTRY_ID_SIZE);
}

/* Reports whether the registry at `path` has this id, or cannot be read. */
static bool
may_have_id(const char *path, const uint8_t id[REGISTRY_ID_SIZE])
{
    uint8_t other[REGISTRY_ID_SIZE];
    struct reader r = {.pages = NULL};
    int rc = pages_open(path, &r.pages);

    if (!rc) {
        rc = reader_read(&r, read_id, other, NULL);
        pages_close(r.pages);
    }
    return rc ? rc != BIDE_EMISSING : memcmp(other, id, sizeof(other)) == 0;
}

/* Reports whether `there`/registry.mdb is another file than `path`, with the
 * same id. */
static bool
is_other_registry(const char *there, const char *path,
                  const uint8_t id[REGISTRY_ID_SIZE])
{
    const struct file_path its_path = path_of(there, PATH_REGISTRY);
    struct stat here, other;

    return !stat(path, &here) && !stat(its_path.text, &other) &&
           (here.st_dev != other.st_dev || here.st_ino != other.st_ino) &&
           may_have_id(its_path.text, id);
}

/* Gives a copy of a registry that still exists a live file of its own: calls
 * under the copy must not open the breakers of the original. */
static int
separate_copy(struct reader *r, const char *dir, const char *path)
{
    char here[PATH_MAX], *live;

    if (!r->dir || strcmp(dir, r->dir) == 0 || !realpath(dir, here) ||
        strcmp(here, r->dir) == 0 || !is_other_registry(r->dir, path, r->id)) {
        return 0;
    }
    if (asprintf(&live, "%s.%08x", r->live, crc32c(0, here, strlen(here))) <
        0) {
        return BIDE_ENOMEM;
    }
    free(r->live);
    r->live = live;
    r->original = r->dir;
    r->dir = NULL;
    return 0;
}

const char *
reader_original(const struct reader *r)
{
    return r->original;
}

/* ---- opening ---- */

int
reader_open(const char *dir, struct reader **out)
{
    struct reader *r = calloc(1, sizeof(*r));
    const struct file_path path = path_of(dir, PATH_REGISTRY);
    int rc;

    if (!r) {
        return BIDE_ENOMEM;
    }
    rc = pages_open(path.text, &r->pages);
    rc = rc ? rc : reader_read(r, read_meta, r, NULL);
    rc = rc ? rc : separate_copy(r, dir, path.text);
    if (rc) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void
reader_close(struct reader *r)
{
    if (!r) {
        return;
    }
    pages_close(r->pages);
    free(r->live);
    free(r->dir);
    free(r->original);
    free(r);
}

void
reader_keep(struct reader *r)
{
    pages_keep(r->pages);
}

bool
reader_journal(const struct reader *r)
{
    return r->journal;
}

const uint8_t *
reader_id(const struct reader *r)
{
    return r->id;
}

const char *
reader_live_path(const struct reader *r)
{
    return r->live;
}

int
reader_look(struct reader *r, struct pages_stamp *out)
{
    return pages_look(r->pages, out);
}

struct reading {
    reader_body_fn *body;
    void *arg;
    uint64_t txn;
    int rc; /* of body */
};

static int
read_commit(void *arg, const struct snapshot *s)
{
    struct reading *r = arg;

    r->txn = s->meta.txn;
    r->rc = check_commit(s);
    if (!r->rc) {
        r->rc = r->body(r->arg, s);
    }
    return r->rc;
}

int
reader_read(struct reader *r, reader_body_fn *body, void *arg,
            uint64_t *out_txn)
{
    struct reading reading = {.body = body, .arg = arg, .rc = PAGES_AGAIN};
    int rc = pages_try(r->pages, read_commit, &reading, READ_TRIES);

    if (out_txn && rc == reading.rc) {
        *out_txn = reading.txn;
    }
    return rc;
}
