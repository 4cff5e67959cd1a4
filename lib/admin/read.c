/* Reads policies, versions and changes. */
#include "read.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/failure.h"
#include "base/near.h"
#include "record/past.h"
#include "store/policies/reader.h"
#include "inside.h"

/* ---- early warning ---- */

int
admin_each_alarm(struct admin *a, char *const *names, size_t count,
                 int (*visit)(void *arg, const struct past_alarm *alarm),
                 void *arg)
{
    for (size_t i = 0; i < count; i++) {
        struct record r;
        int rc = admin_policy(a, names[i], &r); /* has more facts */

        if (rc) {
            return rc;
        }
        record_free(&r);
    }
    return past_each_alarm(&a->past, names, count, visit, arg);
}

/* ---- one record ---- */

struct record_query {
    const char *name;
    uint32_t version; /* 0: the one in force */
    uint64_t at_ns;   /* not 0: without the layers that have ended by then, or
                         the version before if there is none */
    struct record *out;
};

static int
read_queried_record(void *arg, const struct snapshot *s)
{
    struct record_query *w = arg;
    int rc;

    if (!w->version) {
        return reader_in_force(s, w->name, clock_realtime_ns(), w->out);
    }
    do {
        rc = reader_version(s, w->name, w->version, w->out);
    } while (rc == BIDE_EMISSING && w->at_ns && --w->version);
    rc = rc == BIDE_EMISSING ? BIDE_ENOVERSION : rc;
    if (rc == 0 && w->at_ns) {
        record_settle(w->out, w->at_ns);
    }
    return rc;
}

struct nearness {
    const char *name;
    struct failure *to;
};

static int
keep_near_name(void *arg, struct record *r)
{
    struct nearness *n = arg;
    struct near near = near_begin(n->name);

    if (!r->deleted && near_offer(&near, r->name)) {
        snprintf(n->to->near, sizeof(n->to->near), "%s", r->name);
        return 1;
    }
    return 0;
}

static int
find_near_name(void *arg, const struct snapshot *s)
{
    return reader_each_policy(s, keep_near_name, arg);
}

static int
fail_read(struct admin *a, const char *name, int rc)
{
    struct failure *f;

    if (rc == BIDE_ENOPOLICY) {
        f = failure_begin(FAILURE_NO_POLICY, rc, name);
        reader_read(a->past.reader, find_near_name, &(struct nearness){name, f},
                    NULL);
        return rc;
    }
    if (rc == BIDE_ENOVERSION) {
        return failure_begin(FAILURE_NO_VERSION, rc, name)->rc;
    }
    return failure_of_store(rc, a->past.dir, pages_why());
}

static int
fetch_record(struct admin *a, struct record_query *w)
{
    int rc = reader_read(a->past.reader, read_queried_record, w, NULL);

    return rc ? fail_read(a, w->name, rc) : 0;
}

static int
read_fleet(void *arg, const struct snapshot *s)
{
    reader_fleet(s, arg);
    return 0;
}

int
admin_fleet(struct admin *a, struct record_fleet *out, uint64_t *out_txn)
{
    int rc = reader_read(a->past.reader, read_fleet, out, out_txn);

    return rc ? fail_read(a, a->past.dir, rc) : 0;
}

int
admin_policy(struct admin *a, const char *name, struct record *out)
{
    struct record r;
    struct record_query w = {.name = name, .out = &r};
    int rc = fetch_record(a, &w);

    if (rc) {
        return rc;
    }
    if (r.deleted) {
        struct failure *f =
            failure_begin(FAILURE_DELETED, BIDE_ENOPOLICY, name);

        f->version = r.version;
        snprintf(f->who, sizeof(f->who), "%s", author_write(r.who, r.uid).text);
        if (record_renamed_to(&r)) {
            snprintf(f->near, sizeof(f->near), "%s", record_renamed_to(&r));
        }
        record_free(&r);
        return BIDE_ENOPOLICY;
    }
    *out = r;
    return 0;
}

int
admin_version(struct admin *a, const char *name, uint32_t version,
              struct record *out)
{
    struct record_query w = {name, version, 0, out};

    return fetch_record(a, &w);
}

int
admin_before(struct admin *a, const struct record *r, struct record *out)
{
    struct record_query w = {r->name, r->version - 1, r->when_ns, out};

    return r->version > 1 ? fetch_record(a, &w) : BIDE_ENOVERSION;
}

/* ---- the end of a layer ---- */

struct ending {
    const struct record *of;
    uint64_t end_ns;
    struct record last; /* the last version made before that end */
};

static int
read_ending(void *arg, const struct snapshot *s)
{
    struct ending *e = arg;
    int rc;

    record_free(&e->last);
    rc = reader_version(s, e->of->name, e->of->version, &e->last);
    for (uint32_t v = e->of->version + 1; !rc || rc == BIDE_EMISSING; v++) {
        struct record next;

        rc = reader_version(s, e->of->name, v, &next);
        if (rc == 0 && next.when_ns < e->end_ns) {
            record_free(&e->last);
            e->last = next;
        } else if (rc == 0) {
            record_free(&next);
            return 0;
        }
    }
    return rc == BIDE_ENOVERSION ? 0 : rc;
}

int
admin_ended(struct admin *a, const struct record *r, uint64_t end_ns,
            bool *out_ended, uint32_t *out_back)
{
    struct ending e = {.of = r, .end_ns = end_ns};
    int rc = reader_read(a->past.reader, read_ending, &e, NULL);

    *out_ended = false;
    for (size_t i = 1; rc == 0 && i < e.last.part_count; i++) {
        *out_ended |= e.last.parts[i].version == r->version;
    }
    if (*out_ended) {
        record_settle(&e.last, end_ns);
        *out_back = e.last.version;
    }
    record_free(&e.last);
    return rc ? fail_read(a, r->name, rc) : 0;
}

/* ---- many records ---- */

/* Policies are shown as of one commit, so they are collected before the visits.
 */
struct collected {
    size_t count;
    struct record *records;
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
collect_policy(void *arg, struct record *r)
{
    struct collected *c = arg;
    struct record *to =
        r->deleted ? NULL : array_add(&c->records, &c->count, sizeof(*to));

    if (to) {
        *to = *r;
        *r = (struct record){0};
        record_settle(to, c->now_ns);
    }
    return to || r->deleted ? 0 : BIDE_ENOMEM;
}

static int
collect_policies(void *arg, const struct snapshot *s)
{
    struct collected *c = arg;

    collected_free(c);
    return reader_each_policy(s, collect_policy, c);
}

int
admin_each_policy(struct admin *a, admin_visit_fn *visit, void *arg)
{
    struct collected c = {.now_ns = clock_realtime_ns()};
    int rc = reader_read(a->past.reader, collect_policies, &c, NULL), ended = 0;
    char why[512]; /* visits read as well */

    snprintf(why, sizeof(why), "%s", pages_why());
    for (size_t i = 0; i < c.count && !ended && (!rc || rc == BIDE_EDAMAGED);
         i++) {
        ended = visit(arg, &c.records[i]);
    }
    collected_free(&c);
    return ended || !rc ? ended : failure_of_store(rc, a->past.dir, why);
}

/* There may be many versions and changes, so they are visited while they are
 * read.  When a writer interferes the reading begins again, and those visited
 * already are skipped. */
struct stream {
    const char *name; /* NULL: the log */
    admin_visit_fn *visit;
    void *arg;
    uint64_t next; /* those below it have not been visited */
    int result;    /* of the visit that ended it */
};

static int
stream_record(void *arg, struct record *r)
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
stream_records(void *arg, const struct snapshot *snapshot)
{
    struct stream *s = arg;
    int rc;

    if (s->result) {
        return s->result;
    }
    rc = s->name ? reader_each_version(snapshot, s->name, stream_record, s)
                 : reader_each_change(snapshot, stream_record, s);
    return s->result ? s->result : rc;
}

int
admin_each_version(struct admin *a, const char *name, admin_visit_fn *visit,
                   void *arg)
{
    struct stream s = {name, visit, arg, UINT64_MAX, 0};
    int rc = reader_read(a->past.reader, stream_records, &s, NULL);

    if (s.result || rc == 0) {
        return s.result;
    }
    return name ? fail_read(a, name, rc)
                : failure_of_store(rc, a->past.dir, pages_why());
}

/* ---- texts and names ---- */

static int
text_result(const struct record *r, int rc)
{
    if (rc == BIDE_EDAMAGED) {
        failure_begin(FAILURE_TEXT, rc, r->name)->version = r->version;
    }
    return rc;
}

int
admin_text(const struct record *r, struct policy_text **out)
{
    return text_result(r, record_compose(r, out));
}

int
admin_base(const struct record *r, struct policy_text **out)
{
    return text_result(r, record_base(r, out));
}

int
admin_find(void *arg, const char *name, const struct policy_text **out)
{
    struct admin *a = arg;
    struct policy_text *t = NULL;
    struct record r;
    int rc;

    if (policy_list_find(&a->found, name, out) == 0) {
        return 0;
    }
    rc = admin_policy(a, name, &r);
    if (rc) {
        return rc;
    }
    rc = admin_text(&r, &t);
    record_free(&r);
    rc = rc ? rc : policy_list_add(&a->found, t);
    if (rc == 0) {
        *out = t;
    }
    return rc;
}

/* Many policies of a large registry have the same keys and values: those are
 * compiled once. */
struct compiled {
    const char *keys; /* the text after the name */
    struct policy *policy;
};

enum { COMPILED_MAX = 1024 };

static void
free_compiled(void *one)
{
    policy_free(((struct compiled *)one)->policy);
    free(one);
}

static int
compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct compiled *)a)->keys,
                  ((const struct compiled *)b)->keys);
}

/* Keeps a copy of a compiled policy; without memory, does not. */
static void
keep_compiled(struct admin *a, const char *keys, const struct policy *p)
{
    struct compiled *one = malloc(sizeof(*one) + strlen(keys) + 1);

    if (one) {
        one->keys = strcpy((char *)(one + 1), keys);
        one->policy = policy_copy(p, "");
    }
    if (one && one->policy && tsearch(one, &a->compiled, compare_keys)) {
        a->compiled_count++;
    } else if (one) {
        free_compiled(one);
    }
}

int
admin_compile(struct admin *a, const struct record *r, struct faults *faults,
              struct policy **out)
{
    const char *keys = r->part_count == 1 && !r->deleted && !faults
                           ? strchr(r->text, '\n')
                           : NULL;
    struct compiled key = {.keys = keys}, **found;
    struct policy_text *text = NULL;
    int rc;

    found = keys ? tfind(&key, &a->compiled, compare_keys) : NULL;
    if (found) {
        *out = policy_copy((*found)->policy, r->name);
        return *out ? 0 : BIDE_ENOMEM;
    }
    *out = NULL;
    rc = admin_text(r, &text);
    rc = rc ? rc : policy_compile(text, admin_find, a, r->name, out, faults);
    policy_text_free(text);
    if (rc == 0 && keys && a->compiled_count < COMPILED_MAX) {
        keep_compiled(a, keys, *out);
    }
    return rc;
}

void
admin_forget_compiled(struct admin *a)
{
    tdestroy(a->compiled, free_compiled);
    a->compiled = NULL;
    a->compiled_count = 0;
}

struct author
author_write(const char *who, uint32_t uid)
{
    bool given = uid == 0 && *who && strcmp(who, "root") && strcmp(who, "0");
    struct author out;

    snprintf(out.text, sizeof(out.text), "%.64s%s", who,
             given ? " (uid 0)" : "");
    return out;
}
