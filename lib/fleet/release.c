#include "release.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/draft.h"
#include "document.h"
#include "etcd.h"
#include "policy/policy.h"

enum {
    RELEASE_BYTES_MAX = 512 << 20,
    PUSH_TRIES = 100, /* others may push at the same time */
};

#define OF_RELEASE(kind, member) FIELD(kind, struct release, member)

static const struct field fields[] = {
    OF_RELEASE(FIELD_NUMBER, release),  OF_RELEASE(FIELD_TEXT, by),
    OF_RELEASE(FIELD_TEXT, note),       OF_RELEASE(FIELD_NUMBER, time_ms),
    OF_RELEASE(FIELD_NUMBER, policies), OF_RELEASE(FIELD_NUMBER, bytes),
    OF_RELEASE(FIELD_NUMBER, checksum), OF_RELEASE(FIELD_NUMBER, parts),
    OF_RELEASE(FIELD_TEXT, id),         {NULL, 0, 0, 0}};

static int
say_etcd(const struct etcd *e, int rc, char *why)
{
    if (rc) {
        snprintf(why, DOCUMENT_WHY, "%s", etcd_why(e));
    }
    return rc;
}

static struct fleet_key
release_key(const char *prefix, uint32_t number)
{
    char name[16];

    snprintf(name, sizeof(name), "%010" PRIu32, number);
    return fleet_key(prefix, "release", name);
}

static struct fleet_key
part_key(const char *prefix, const char *id, size_t part)
{
    char name[64];

    snprintf(name, sizeof(name), "%s/%05zu", id, part);
    return fleet_key(prefix, "part", name);
}

int
release_read(const char *bytes, size_t length, struct release *out, char *why)
{
    struct release r;
    int rc = document_read(fields, bytes, length, &r, sizeof(r), why);
    uint64_t parts = (r.bytes + ETCD_VALUE_MAX - 1) / ETCD_VALUE_MAX;

    if (rc == 0 && (!host_name_ok(r.id) || r.bytes > RELEASE_BYTES_MAX ||
                    r.parts != parts)) {
        snprintf(why, DOCUMENT_WHY, "its number of parts is wrong");
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = r;
    }
    return rc;
}

/* ---- text ---- */

static int
compare_policies(const void *a, const void *b)
{
    return strcmp(policy_text_name(*(struct policy_text *const *)a),
                  policy_text_name(*(struct policy_text *const *)b));
}

char *
release_text(const struct policy_list *policies)
{
    struct policy_text **sorted = calloc(policies->count + 1, sizeof(*sorted));
    struct draft d = {.failed = !sorted};

    if (sorted && policies->count) {
        memcpy(sorted, policies->list, policies->count * sizeof(*sorted));
        qsort(sorted, policies->count, sizeof(*sorted), compare_policies);
    }
    for (size_t i = 0; i < policies->count && !d.failed; i++) {
        char *one = policy_text_write(sorted[i]);

        d.failed |= !one;
        draft_text(&d, one ? one : "");
        free(one);
    }
    free(sorted);
    return draft_take(&d);
}

/* ---- pushing ---- */

static int
put_parts(struct etcd *e, const char *prefix, const char *text,
          const struct release *r)
{
    int rc = 0;

    for (size_t i = 0; i < r->parts && rc == 0; i++) {
        size_t from = i * ETCD_VALUE_MAX;
        size_t left = r->bytes - from;

        rc = etcd_one(e, ETCD_PUT, part_key(prefix, r->id, i), text + from,
                      left < ETCD_VALUE_MAX ? left : ETCD_VALUE_MAX, NULL);
    }
    return rc;
}

/* Makes the release visible under its number.  BIDE_EEXIST: that is taken. */
static int
put_release(struct etcd *e, const char *prefix, const struct release *r)
{
    char *text = document_write(fields, r);
    struct etcd_reply reply = {0};
    int rc = etcd_swap(e, release_key(prefix, r->release), 0, text, &reply);

    etcd_reply_free(&reply);
    free(text);
    return rc == BIDE_EVERSION ? BIDE_EEXIST : rc;
}

int
release_push(struct etcd *e, const char *prefix, const char *text,
             struct release *io, char *why)
{
    struct release *all;
    size_t count;
    int rc = release_list(e, prefix, &all, &count, why);

    if (rc) {
        return rc;
    }
    io->release = count ? all[count - 1].release + 1 : 1;
    free(all);
    host_draw_id(io->id);
    io->time_ms = clock_realtime_ns() / 1000000;
    io->bytes = strlen(text);
    io->checksum = crc32c(0, text, io->bytes);
    io->parts = (uint32_t)((io->bytes + ETCD_VALUE_MAX - 1) / ETCD_VALUE_MAX);
    rc = put_parts(e, prefix, text, io);
    if (rc == 0) {
        rc = put_release(e, prefix, io);
    }
    for (int i = 0; i < PUSH_TRIES && rc == BIDE_EEXIST; i++) {
        io->release++;
        rc = put_release(e, prefix, io);
    }
    return say_etcd(e, rc, why);
}

/* ---- reading ---- */

int
release_list(struct etcd *e, const char *prefix, struct release **out,
             size_t *out_count, char *why)
{
    struct fleet_key key = fleet_key(prefix, "release", "");
    struct etcd_reply reply;
    int rc = etcd_one(e, ETCD_LIST, key, NULL, 0, &reply);
    struct release *all;

    if (rc) {
        return say_etcd(e, rc, why);
    }
    all = calloc(reply.count + 1, sizeof(*all));
    for (size_t i = 0; all && i < reply.count; i++) {
        const struct etcd_pair *pair = &reply.list[i];
        const char *number = pair->key + strlen(key.text);

        if (release_read(pair->value, pair->length, &all[i], why)) {
            all[i].release = (uint32_t)strtoul(number, NULL, 10);
        }
    }
    *out = all;
    *out_count = reply.count;
    etcd_reply_free(&reply);
    return all ? 0 : BIDE_ENOMEM;
}

static int
get_parts(struct etcd *e, const char *prefix, const struct release *r,
          char **out)
{
    struct draft d = {0};
    int rc = 0;

    for (size_t i = 0; i < r->parts && rc == 0; i++) {
        struct etcd_reply reply;

        rc = etcd_one(e, ETCD_GET, part_key(prefix, r->id, i), NULL, 0, &reply);
        if (rc == 0) {
            if (reply.count == 1) {
                draft_add(&d, reply.list[0].value, reply.list[0].length);
            }
            etcd_reply_free(&reply);
        }
    }
    if (rc == 0 && !d.failed &&
        (d.used != r->bytes || crc32c(0, d.bytes, d.used) != r->checksum)) {
        rc = BIDE_EDAMAGED;
    }
    rc = d.failed ? BIDE_ENOMEM : rc;
    if (rc == 0) {
        *out = draft_take(&d);
        rc = *out ? 0 : BIDE_ENOMEM;
    }
    draft_free(&d);
    return rc;
}

int
release_get(struct etcd *e, const char *prefix, uint32_t number,
            struct release *out, char **text, char *why)
{
    struct etcd_reply reply;
    int rc =
        etcd_one(e, ETCD_GET, release_key(prefix, number), NULL, 0, &reply);

    if (rc) {
        return say_etcd(e, rc, why);
    }
    if (reply.count != 1) {
        snprintf(why, DOCUMENT_WHY, "there is no such release");
        rc = BIDE_EMISSING;
    } else {
        rc = release_read(reply.list[0].value, reply.list[0].length, out, why);
    }
    etcd_reply_free(&reply);
    if (rc || !text) {
        return rc;
    }
    rc = get_parts(e, prefix, out, text);
    if (rc == BIDE_EDAMAGED) {
        snprintf(why, DOCUMENT_WHY, "parts of its text are missing or wrong");
        return rc;
    }
    return say_etcd(e, rc, why);
}
