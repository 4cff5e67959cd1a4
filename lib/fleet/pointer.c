#include "pointer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/plain.h"
#include "base/crc32c.h"
#include "document.h"
#include "etcd.h"
#include "rule/draw.h"

#define OF_POINTER(kind, member) FIELD(kind, struct pointer, member)

const struct field pointer_fields[] = {OF_POINTER(FIELD_NUMBER, release),
                                       OF_POINTER(FIELD_NUMBER, before),
                                       OF_POINTER(FIELD_TEXT, hosts),
                                       OF_POINTER(FIELD_TEXT, label),
                                       OF_POINTER(FIELD_NUMBER, percent),
                                       OF_POINTER(FIELD_TEXT, then),
                                       OF_POINTER(FIELD_NUMBER, every_ms),
                                       OF_POINTER(FIELD_NUMBER, since_ms),
                                       OF_POINTER(FIELD_TRUTH, paused),
                                       OF_POINTER(FIELD_TEXT, guard),
                                       OF_POINTER(FIELD_NUMBER, tolerate),
                                       OF_POINTER(FIELD_NUMBER, known),
                                       OF_POINTER(FIELD_TEXT, by),
                                       OF_POINTER(FIELD_TEXT, note),
                                       {NULL, 0, 0, 0}};

uint32_t
pointer_wants(const struct pointer *p, const char *host, const char *machine,
              const char *labels)
{
    uint32_t seed = crc32c(0, machine, strlen(machine));
    bool in = plain_list_has(p->hosts, host) ||
              (*p->label && plain_list_has(labels, p->label)) ||
              draw_bits(seed, p->release, 0) % 100 < p->percent;

    return in ? p->release : p->before;
}

char *
pointer_write(const struct pointer *p)
{
    return document_write(pointer_fields, p);
}

int
pointer_read(const struct etcd_pair *pair, struct pointer *out, char *why)
{
    struct pointer p;
    int rc = document_read(pointer_fields, pair->value, pair->length, &p,
                           sizeof(p), why);

    if (rc == 0 && p.percent > 100) {
        snprintf(why, DOCUMENT_WHY, "percent is above 100");
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = p;
        out->modified = pair->modified;
    }
    return rc;
}

/* Reads the pointer out of a reply that asked for its key. */
static int
pick_pointer(const struct etcd_reply *r, const char *key, struct pointer *out,
             char *why)
{
    const struct etcd_pair *pair = etcd_find(r, key);

    if (!pair) {
        *out = (struct pointer){0};
        return 0;
    }
    return pointer_read(pair, out, why);
}

int
pointer_get(struct etcd *e, const char *prefix, struct pointer *out, char *why)
{
    struct fleet_key key = fleet_key(prefix, "rollout", NULL);
    struct etcd_reply reply;
    int rc = etcd_one(e, ETCD_GET, key, NULL, 0, &reply);

    if (rc) {
        snprintf(why, DOCUMENT_WHY, "%s", etcd_why(e));
        return rc;
    }
    rc = pick_pointer(&reply, key.text, out, why);
    etcd_reply_free(&reply);
    return rc;
}

int
pointer_swap(struct etcd *e, const char *prefix, struct pointer *p,
             struct pointer *now, char *why)
{
    struct fleet_key key = fleet_key(prefix, "rollout", NULL);
    char *text = pointer_write(p);
    struct etcd_reply reply = {0};
    int rc = etcd_swap(e, key, p->modified, text, &reply);

    free(text);
    if (rc && rc != BIDE_EVERSION) {
        snprintf(why, DOCUMENT_WHY, "%s", etcd_why(e));
        return rc;
    }
    if (rc == 0) {
        p->modified = reply.revision;
    } else {
        snprintf(why, DOCUMENT_WHY, "somebody else changed it just now");
        rc = now ? pick_pointer(&reply, key.text, now, why) : 0;
        rc = rc ? rc : BIDE_EVERSION;
    }
    etcd_reply_free(&reply);
    return rc;
}
