#include "load.h"

#include <stdlib.h>
#include <string.h>

#include "live/live.h"

/* Texts live as long as the compilation. */
struct texts {
    const struct snapshot *snapshot;
    uint64_t realtime_ns, until_ns;
    struct policy_text *text[POLICY_CHAIN_MAX + 2];
    size_t count;
};

static int
text_of(const struct record *r, struct policy_text **out)
{
    struct faults faults = {0};
    struct policy_list list = {0};
    int rc = policy_read(r->name, r->text, strlen(r->text), &list, &faults);

    if (rc == 0 && (list.count != 1 ||
                    strcmp(policy_text_name(list.list[0]), r->name) != 0)) {
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = list.list[0];
        list.list[0] = NULL;
    }
    policy_list_free(&list);
    faults_free(&faults);
    /* It was checked when it was stored. */
    return rc == BIDE_EINPUT ? BIDE_EDAMAGED : rc;
}

static int
fetch(struct texts *t, const char *name, struct policy_text **out,
      uint32_t *out_version)
{
    struct record r;
    int rc;

    if (t->count == sizeof t->text / sizeof *t->text) {
        return BIDE_EDAMAGED;
    }
    rc = reader_in_force(t->snapshot, name, t->realtime_ns, &r);
    if (rc) {
        return rc;
    }
    if (r.deleted) {
        rc = BIDE_ENOVERSION;
    } else {
        rc = text_of(&r, &t->text[t->count]);
    }
    if (rc == 0) {
        *out = t->text[t->count++];
        *out_version = r.version;
    }
    if (rc == 0 && r.until_ns && (!t->until_ns || r.until_ns < t->until_ns)) {
        t->until_ns = r.until_ns;
    }
    record_free(&r);
    return rc;
}

static int
find_parent(void *arg, const char *name, const struct policy_text **out)
{
    struct policy_text *found;
    uint32_t version;
    int rc = fetch(arg, name, &found, &version);

    if (rc == 0) {
        *out = found;
    }
    /* A parent cannot be deleted while it has children. */
    return rc == BIDE_ENOPOLICY || rc == BIDE_ENOVERSION ? BIDE_EDAMAGED : rc;
}

int
load_policy(const struct snapshot *s, const char *name, uint64_t realtime_ns,
            struct loaded *out)
{
    struct texts t = {.snapshot = s, .realtime_ns = realtime_ns};
    struct policy_text *text;
    struct policy *p = NULL;
    uint32_t version;
    int rc = fetch(&t, name, &text, &version);

    if (rc == 0) {
        rc = policy_compile(text, find_parent, &t, name, &p, NULL);
        rc = rc == BIDE_EINPUT ? BIDE_EDAMAGED : rc;
    }
    if (rc == 0) {
        p->version = version;
        *out = (struct loaded){p, t.until_ns};
    }
    while (t.count) {
        policy_text_free(t.text[--t.count]);
    }
    return rc;
}

uint32_t
load_gate(const struct policy *p, uint32_t *out_limit_ms)
{
    uint64_t limit = p->attempt_timeout_ns < p->deadline_ns
                         ? p->attempt_timeout_ns
                         : p->deadline_ns;
    uint32_t bits = 0;

    if (p->paused) {
        bits |= GATE_PAUSED;
    }
    if (outcome_set_has_success(&p->retry_on) ||
        outcome_set_has_success(&p->never_on)) {
        bits |= GATE_CLASSIFY;
    }
    if (limit == DURATION_NONE) {
        *out_limit_ms = 0;
    } else if (limit >= UINT32_MAX * 1000000ull) {
        *out_limit_ms = UINT32_MAX;
    } else {
        *out_limit_ms = limit < 1000000 ? 1 : (uint32_t)(limit / 1000000);
    }
    return bits;
}
