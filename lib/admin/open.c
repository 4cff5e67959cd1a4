/* Opens a registry, or makes one. */
#include "open.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failure.h"
#include "base/paths.h"
#include "policy/policy.h"
#include "record/past.h"
#include "registry/announce.h"
#include "store/file/place.h"
#include "store/pages/pages.h"
#include "store/policies/reader.h"
#include "store/policies/writer.h"
#include "store/queue/queue.h"
#include "inside.h"

/* ---- making and mending ---- */

struct mending {
    const char *dir;
    struct admin_init *how;
    bool locked;
    size_t count;
};

static void
mend_one(void *arg, const struct rights_fault *f)
{
    struct mending *m = arg;
    size_t length = strlen(m->dir);
    int error;

    if (!f->is_wrong && !f->refused) {
        return;
    }
    m->count++;
    /* Without the lock, only what the lock needs. */
    if (!m->locked &&
        (strncmp(f->path, m->dir, length) ||
         (f->path[length] && strcmp(f->path + length, "/" PATH_POLICIES) &&
          strcmp(f->path + length, "/" PATH_REGISTRY_LOCK)))) {
        return;
    }
    error = f->refused || !rights_mend(f) ? 0 : errno;
    m->how->failed += f->refused || error;
    m->how->mended += !f->refused && !error;
    if (m->how->existed || f->refused || error) {
        m->how->told(f->path, f, error);
    }
}

/* Chooses the group of an option; root's is none. */
static int
choose_group(const char *dir, const char *name, gid_t *group)
{
    if (name) {
        *group = rights_group(name);
        if (*group == (gid_t)-1) {
            return place_say(BIDE_EINVAL,
                             "%s: there is no group %s\nmake it: addgroup "
                             "--system %s",
                             dir, name, name);
        }
        *group = *group ? *group : (gid_t)-1;
    }
    return 0;
}

static int
choose_rights(const char *dir, const char *live, struct admin_init *how)
{
    struct rights *r = &how->rights;
    int rc = rights_read(dir, live, r) ? place_failed(dir, errno) : 0;

    rc = rc ? rc : choose_group(dir, how->group, &r->services);
    rc = rc ? rc : choose_group(dir, how->operators, &r->operators);
    r->is_private = how->is_private ? how->is_private > 0 : r->is_private;
    return rc;
}

static int
mend_rights(const char *dir, const char *live, struct admin_init *how)
{
    struct mending m = {.dir = dir, .how = how};
    int lock, rc = choose_rights(dir, live, how);

    if (rc) {
        return rc;
    }
    rights_each(dir, live, &how->rights, mend_one, &m);
    if (m.count) {
        rc = place_lock(dir, "bide init", LOCK_WAIT_MS, &lock);
        if (!rc) {
            m.locked = true;
            rights_each(dir, live, &how->rights, mend_one, &m);
            place_unlock(lock);
        }
    }
    return rc;
}

/* Makes the directories that are missing, and names them. */
static int
make_directories(const char *dir, struct admin_init *how)
{
    static const char *const names[] = {PATH_POLICIES, PATH_HISTORIES,
                                        PATH_QUEUE};

    for (size_t i = 0; i < 3 && how->existed; i++) {
        const struct file_path path = path_of(dir, names[i]);

        if (access(path.text, F_OK) && errno == ENOENT) {
            how->told(path.text, NULL, 0);
            how->mended++;
        }
    }
    return place_make(dir);
}

/* Makes the registry, after the place of its live file. */
static int
make_registry(const char *dir, const char *live_dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    int rc;

    if (paths_make_live(dir, path_of(live_dir, "live").text)) {
        return place_failed(live_dir, errno);
    }
    rc = writer_create(dir, live_dir, deferred_create, id);
    return rc == BIDE_EEXIST ? 0 : rc; /* another process was faster */
}

/* Stores whether changes and alarms go to the journal. */
static int
set_journal(const char *dir, const struct reader *r, struct admin_init *how)
{
    const uint8_t journal = how->journal > 0;
    struct writer *w = NULL;
    struct past past;
    int rc = 0;

    if (how->journal && journal != reader_journal(r)) {
        rc = writer_begin(dir, "bide init", LOCK_WAIT_MS, &w);
        rc = rc ? rc : writer_set(w, "journal", &journal, sizeof(journal));
        rc = rc ? rc : writer_commit(w);
        writer_end(w);
        how->mended++;
    }
    if (rc == 0 && how->mended && past_open(dir, &past) == 0) {
        if (past_live_shared(&past, false)) {
            announce_repair(past.live, past.reader);
        }
        past_close(&past);
    }
    return rc;
}

int
admin_init(const char *dir, struct admin_init *how)
{
    const struct file_path old = path_of(dir, "registry.mdb");
    struct reader *r = NULL;
    gid_t none;
    int rc;

    rc = choose_group(dir, how->group, &none);
    rc = rc ? rc : choose_group(dir, how->operators, &none);
    if (rc) {
        return failure_of_store(rc, dir, place_why());
    }
    how->existed = !access(path_of(dir, PATH_REGISTRY).text, F_OK);
    if (how->existed) {
        rc = reader_open(dir, &r);
        if (rc && rc != BIDE_EPERM) {
            return failure_at(FAILURE_STORE, rc, dir, pages_why());
        }
    }
    if (!access(old.text, F_OK)) {
        rc = place_say(
            BIDE_EFORMAT,
            "%s lies where an earlier bide kept "
            "it\nexport its policies with that bide, and move it away",
            old.text);
        return failure_of_store(rc, dir, place_why());
    }
    rc = make_directories(dir, how);
    rc = rc ? rc : mend_rights(dir, r ? reader_live_path(r) : "", how);
    rc = rc || how->existed ? rc : make_registry(dir, how->live_dir);
    if (!rc && !r) {
        rc = reader_open(dir, &r);
        rc = rc ? place_say(rc, "%s", pages_why())
                : mend_rights(dir, reader_live_path(r), how);
    }
    if (!rc && r && paths_make_live(dir, reader_live_path(r))) {
        rc = place_failed(reader_live_path(r), errno);
    }
    rc = rc || !r ? rc : set_journal(dir, r, how);
    reader_close(r);
    return rc ? failure_at(rc == BIDE_EMISSING ? FAILURE_CREATE : FAILURE_STORE,
                           rc, dir, place_why())
              : 0;
}

int
admin_open(const char *dir, struct admin **out)
{
    struct admin *a = calloc(1, sizeof(*a));
    char standard[PATH_MAX] = "";
    int rc = a ? 0 : BIDE_ENOMEM;

    if (!dir) {
        rc = rc ? rc : paths_registry(standard, sizeof(standard));
        dir = standard;
    }
    rc = rc ? rc : past_open(dir, &a->past);
    if (rc) {
        free(a);
        return rc == BIDE_ENOMEM
                   ? failure_plain(rc)
                   : failure_of_store(rc, dir,
                                      rc == BIDE_EMISSING ? "" : pages_why());
    }
    reader_keep(a->past.reader);
    *out = a;
    return 0;
}

void
admin_close(struct admin *a)
{
    if (!a) {
        return;
    }
    policy_list_free(&a->found);
    admin_forget_compiled(a);
    deferred_close(a->deferred);
    past_close(&a->past);
    free(a);
}

struct past *
admin_past(struct admin *a)
{
    return &a->past;
}

const char *
admin_live_path(const struct admin *a)
{
    return reader_live_path(a->past.reader);
}

/* ---- deferred work ---- */

int
admin_deferred(struct admin *a, struct deferred **out)
{
    int rc = a->deferred ? 0 : deferred_open(a->past.dir, &a->deferred);

    if (!rc) {
        *out = a->deferred;
    }
    return failure_of_store(rc, a->past.dir, place_why());
}

int
admin_deferred_repair(struct admin *a, struct deferred_lost *out)
{
    struct deferred *d = NULL;
    int rc = admin_deferred(a, &d);

    if (rc == BIDE_EDAMAGED) {
        rc = deferred_salvage(a->past.dir);
        rc = rc ? rc : admin_deferred(a, &d);
    }
    rc = rc ? rc : deferred_lost(d, true, out);
    return failure_of_store(rc, a->past.dir, place_why());
}

void
admin_deferred_arrived(struct admin *a, const char *policy)
{
    struct live *l = past_live_shared(&a->past, false);
    struct cell *c;
    uint32_t index;

    /* Without a cell nobody waits. */
    if (!l || cell_find(l, policy, "", false, &index) != 0) {
        return;
    }
    c = cell_at(l, index);
    if (c) {
        cell_arrived(c);
        live_ring(l);
    }
}
