/* Opening a registry as an operator, and reading it. */
#include "admin/past_inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "store/writer.h"

/* ---- failures in words ---- */

static __thread char why[1024], what_to_do[512];

const char *
admin_why(void)
{
    return why;
}

const char *
admin_what_to_do(void)
{
    return what_to_do;
}

int
admin_fail(int rc, const char *todo, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(what_to_do, sizeof what_to_do, "%s", todo ? todo : "");
    return rc;
}

/* What to do where the store does not know better. */
static const char *
usual_remedy(int rc)
{
    switch (rc) {
    case BIDE_EMISSING:
        return "make one with bide init, or name another with --dir";
    case BIDE_EPERM:
        return "try again as root, or as a member of the group that owns it";
    case BIDE_EDAMAGED:
        return "services go on under their last good rules; move it away, then "
               "bide init and bide apply the policies again";
    case BIDE_EFORMAT:
        return "it was made by another version of bide: use that one";
    case BIDE_EFULL:
        return "free some space there and try again: nothing was changed";
    case BIDE_ELOCKED:
        return "try again when it is done";
    default:
        return NULL;
    }
}

int
admin_fail_store(int rc, const char *dir, const char *words)
{
    const char *todo = strchr(words, '\n');
    int length = (int)(todo ? (size_t)(todo - words) : strlen(words));

    if (rc == 0) {
        return 0;
    }
    todo = todo ? todo + 1 : usual_remedy(rc);
    if (!*words) {
        return admin_fail(rc, todo, "%s: %s", dir, bide_strerror(rc));
    }
    /* Words that begin with a path say by themselves where it is. */
    return *words == '/' || strncmp(words, dir, strlen(dir)) == 0
               ? admin_fail(rc, todo, "%.*s", length, words)
               : admin_fail(rc, todo, "%s: %.*s", dir, length, words);
}

/* ---- places ---- */

int
admin_default_dir(char *buffer, size_t size)
{
    return place_registry(buffer, size);
}

int
admin_default_live_dir(char *buffer, size_t size)
{
    return place_live(buffer, size);
}

int
admin_init(const char *dir, const char *live_dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    int rc = writer_create(dir, live_dir, id);

    if (rc == BIDE_EEXIST) {
        return admin_fail(rc, "bide list shows what is in it",
                          "%s: there is a registry already", dir);
    }
    if (rc == BIDE_EMISSING) {
        const char *words = writer_why();

        return admin_fail(rc,
                          "it can not be made there: name another place "
                          "with --dir",
                          "%.*s", (int)strcspn(words, "\n"), words);
    }
    return admin_fail_store(rc, dir, writer_why());
}

/* ---- open ---- */

int
admin_open(const char *dir, struct admin **out)
{
    struct admin *a = calloc(1, sizeof *a);
    int rc;

    if (!a || !(a->dir = strdup(dir))) {
        free(a);
        return admin_fail(BIDE_ENOMEM, NULL, "%s", bide_strerror(BIDE_ENOMEM));
    }
    rc = reader_open(dir, &a->reader);
    if (rc) {
        admin_close(a);
        return admin_fail_store(rc, dir,
                                rc == BIDE_EMISSING ? "" : pages_why());
    }
    *out = a;
    return 0;
}

void
admin_close(struct admin *a)
{
    if (!a) {
        return;
    }
    while (a->found) {
        struct found_text *f = a->found;

        a->found = f->next;
        policy_text_free(f->text);
        free(f);
    }
    past_close(a);
    deferred_close(a->deferred);
    live_close(a->live);
    reader_close(a->reader);
    free(a->dir);
    free(a);
}

const char *
admin_live_path(const struct admin *a)
{
    return reader_live_path(a->reader);
}

struct live *
admin_live(struct admin *a, bool create)
{
    const char *path = reader_live_path(a->reader);

    if (!a->live && (create || access(path, F_OK) == 0) &&
        live_open(path, reader_id(a->reader), &a->live) != 0) {
        a->live = NULL;
    }
    return a->live;
}

/* ---- one record ---- */

struct wanted {
    const char *name;
    uint32_t version; /* 0: the one in force */
    uint64_t at_ns;   /* of a version: what it has given way to by then */
    struct record *out;
};

static int
read_one(void *arg, const struct snapshot *s)
{
    struct wanted *w = arg;

    if (w->at_ns) {
        return reader_of_version(s, w->name, w->version, w->at_ns, w->out);
    }
    if (w->version) {
        return reader_version(s, w->name, w->version, w->out);
    }
    return reader_in_force(s, w->name, clock_realtime_ns(), w->out);
}

static int
fail_read(struct admin *a, const char *name, int rc)
{
    const char *near;
    char todo[128] = "";

    if (rc != BIDE_ENOPOLICY && rc != BIDE_ENOVERSION) {
        return admin_fail_store(rc, a->dir, pages_why());
    }
    if (rc == BIDE_ENOPOLICY) {
        near = admin_near(a, name);
        if (*near) {
            snprintf(todo, sizeof todo, "did you mean %s?", near);
        }
    } else {
        snprintf(todo, sizeof todo, "see: bide log %s", name);
    }
    return admin_fail(rc, todo, "%s: %s", name, bide_strerror(rc));
}

static int
fetch(struct admin *a, struct wanted *w)
{
    uint64_t txn;
    int rc = reader_read(a->reader, read_one, w, &txn);

    return rc ? fail_read(a, w->name, rc) : 0;
}

int
admin_policy(struct admin *a, const char *name, struct record *out)
{
    struct record r;
    struct wanted w = {.name = name, .out = &r};
    int rc = fetch(a, &w);

    if (rc) {
        return rc;
    }
    if (r.deleted) {
        char todo[128];

        snprintf(todo, sizeof todo, "bide rollback %s brings it back", name);
        rc = admin_fail(BIDE_ENOPOLICY, todo,
                        "%s: no such policy: version %u deleted it, by %s",
                        name, r.version, r.who);
        record_free(&r);
        return rc;
    }
    *out = r;
    return 0;
}

int
admin_version(struct admin *a, const char *name, uint32_t version,
              struct record *out)
{
    struct wanted w = {name, version, 0, out};

    return fetch(a, &w);
}

int
admin_before(struct admin *a, const struct record *r, struct record *out)
{
    struct wanted w = {r->name, r->version - 1, r->when_ns, out};

    return r->version > 1 ? fetch(a, &w) : BIDE_ENOVERSION;
}

/* ---- the end of a temporary change ---- */

struct ending {
    const struct record *of;
    bool ended;
    uint32_t back;
};

/* The last version that was there when the temporary one was to end. */
static int
last_before_end(const struct snapshot *s, const struct record *of,
                uint32_t *out)
{
    struct record r;
    int rc = 0;

    for (*out = of->version; rc == 0; ++*out) {
        rc = reader_version(s, of->name, *out + 1, &r);
        if (rc) {
            return rc == BIDE_ENOVERSION ? 0 : rc;
        }
        rc = r.when_ns < of->until_ns ? 0 : 1;
        record_free(&r);
        if (rc) {
            break;
        }
    }
    return 0;
}

static int
read_ending(void *arg, const struct snapshot *s)
{
    struct ending *e = arg;
    const struct record *of = e->of;
    uint32_t last;
    struct record r;
    int rc = last_before_end(s, of, &last);

    if (rc == 0) {
        rc = reader_of_version(s, of->name, last, of->until_ns - 1, &r);
    }
    if (rc) {
        return rc;
    }
    e->ended = r.version == of->version;
    record_free(&r);
    if (e->ended) {
        rc = reader_of_version(s, of->name, last, of->until_ns, &r);
        if (rc == 0) {
            e->back = r.version;
            record_free(&r);
        }
    }
    return rc;
}

int
admin_ended(struct admin *a, const struct record *r, bool *out_ended,
            uint32_t *out_back)
{
    struct ending e = {.of = r};
    uint64_t txn;
    int rc = reader_read(a->reader, read_ending, &e, &txn);

    *out_ended = e.ended;
    *out_back = e.back;
    return rc ? fail_read(a, r->name, rc) : 0;
}

/* ---- many records ---- */

/* Policies are shown as of one commit, so they are collected first. */
struct collected {
    size_t count;
    struct record *records;
    const struct snapshot *snapshot;
    uint64_t now_ns;
};

static void
collected_free(struct collected *c)
{
    while (c->count) {
        record_free(&c->records[--c->count]);
    }
    free(c->records);
    c->records = NULL;
}

static int
collect_one(void *arg, const struct record *r)
{
    struct collected *c = arg;
    struct record *longer = c->records;
    int rc;

    if ((c->count & (c->count - 1)) == 0) {
        longer =
            realloc(c->records, (c->count ? c->count * 2 : 1) * sizeof *longer);
        if (!longer) {
            return BIDE_ENOMEM;
        }
        c->records = longer;
    }
    rc = reader_in_force(c->snapshot, r->name, c->now_ns, &longer[c->count]);
    if (rc) {
        return rc;
    }
    if (longer[c->count].deleted) {
        record_free(&longer[c->count]);
    } else {
        c->count++;
    }
    return 0;
}

static int
collect(void *arg, const struct snapshot *s)
{
    struct collected *c = arg;

    collected_free(c);
    c->snapshot = s;
    return reader_each_policy(s, collect_one, c);
}

int
admin_each_policy(struct admin *a, admin_visit_fn *visit, void *arg)
{
    struct collected c = {.now_ns = clock_realtime_ns()};
    uint64_t txn;
    size_t i;
    int rc = reader_read(a->reader, collect, &c, &txn);

    if (rc) {
        collected_free(&c);
        return admin_fail_store(rc, a->dir, pages_why());
    }
    for (i = 0; i < c.count && rc == 0; i++) {
        rc = visit(arg, &c.records[i]);
    }
    collected_free(&c);
    return rc;
}

/* Versions and changes may be many: they are visited as they are read, and
 * after a writer got in between those that were visited are passed over. */
struct stream {
    const char *name; /* NULL: the log */
    admin_visit_fn *visit;
    void *arg;
    uint64_t next; /* only what is below has not been visited */
    int result;    /* of the visit that ended it */
};

static int
stream_one(void *arg, const struct record *r)
{
    struct stream *s = arg;
    uint64_t place = s->name ? r->version : r->sequence;

    if (place >= s->next) {
        return 0;
    }
    s->next = place;
    s->result = s->visit(s->arg, r);
    return s->result;
}

static int
stream_body(void *arg, const struct snapshot *snapshot)
{
    struct stream *s = arg;
    int rc;

    if (s->result) {
        return s->result;
    }
    rc = s->name ? reader_each_version(snapshot, s->name, stream_one, s)
                 : reader_each_change(snapshot, stream_one, s);
    return s->result ? s->result : rc;
}

static int
stream_all(struct admin *a, struct stream *s)
{
    uint64_t txn;
    int rc = reader_read(a->reader, stream_body, s, &txn);

    if (s->result || rc == 0) {
        return s->result;
    }
    return s->name ? fail_read(a, s->name, rc)
                   : admin_fail_store(rc, a->dir, pages_why());
}

int
admin_each_version(struct admin *a, const char *name, admin_visit_fn *visit,
                   void *arg)
{
    struct stream s = {name, visit, arg, UINT64_MAX, 0};

    return stream_all(a, &s);
}

int
admin_each_change(struct admin *a, admin_visit_fn *visit, void *arg)
{
    struct stream s = {NULL, visit, arg, UINT64_MAX, 0};

    return stream_all(a, &s);
}

/* ---- texts and names ---- */

int
admin_text(const struct record *r, struct policy_text **out)
{
    struct faults faults = {0};
    struct policy_list list = {0};
    int rc = policy_read(r->name, r->text, strlen(r->text), &list, &faults);

    if (rc == 0 && list.count != 1) {
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = list.list[0];
        list.list[0] = NULL;
    } else if (rc == BIDE_EINPUT) {
        rc = admin_fail(BIDE_EDAMAGED, NULL,
                        "%s: version %u is not a policy's text", r->name,
                        r->version);
    }
    policy_list_free(&list);
    faults_free(&faults);
    return rc;
}

int
admin_find(void *arg, const char *name, const struct policy_text **out)
{
    struct admin *a = arg;
    struct found_text *f;
    struct record r;
    int rc;

    for (f = a->found; f; f = f->next) {
        if (strcmp(policy_text_name(f->text), name) == 0) {
            *out = f->text;
            return 0;
        }
    }
    rc = admin_policy(a, name, &r);
    if (rc) {
        return rc;
    }
    f = calloc(1, sizeof *f);
    rc = f ? admin_text(&r, &f->text) : BIDE_ENOMEM;
    record_free(&r);
    if (rc) {
        free(f);
        return rc;
    }
    f->next = a->found;
    a->found = f;
    *out = f->text;
    return 0;
}

struct nearness {
    struct admin *a;
    const char *name;
};

static int
try_name(void *arg, const struct record *r)
{
    struct nearness *n = arg;
    const char *candidate = r->name;

    if (!r->deleted && name_near(n->name, &candidate, 1)) {
        snprintf(n->a->near, sizeof n->a->near, "%s", candidate);
        return 1;
    }
    return 0;
}

static int
look_for_near(void *arg, const struct snapshot *s)
{
    return reader_each_policy(s, try_name, arg);
}

const char *
admin_near(struct admin *a, const char *name)
{
    struct nearness n = {a, name};
    uint64_t txn;

    a->near[0] = '\0';
    reader_read(a->reader, look_for_near, &n, &txn);
    return a->near;
}
