#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <bide.h>
#include "base/array.h"
#include "base/plain.h"

/* ---- base64 ---- */

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *
encode_bytes(const char *bytes, size_t length)
{
    char *text = malloc(4 * (length / 3) + 5), *to = text;
    json_t *j;

    for (size_t i = 0; text && i < length; i += 3) {
        const uint8_t *at = (const uint8_t *)bytes + i;
        size_t left = length - i;
        uint32_t word = (uint32_t)at[0] << 16 |
                        (left > 1 ? (uint32_t)at[1] << 8 : 0) |
                        (left > 2 ? at[2] : 0);

        *to++ = letters[word >> 18];
        *to++ = letters[word >> 12 & 63];
        *to++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[word & 63] : '=';
    }
    j = text ? json_stringn(text, (size_t)(to - text)) : NULL;
    free(text);
    return j;
}

/* Decodes a text, and adds a NUL.  BIDE_EINPUT: it is not base64. */
static int
decode_bytes(const json_t *j, char **out, size_t *out_length)
{
    const char *text = json_string_value(j);
    size_t length = json_string_length(j), used = 0;
    char *bytes = malloc(length / 4 * 3 + 4);
    uint32_t word = 0;

    if (!bytes) {
        return BIDE_ENOMEM;
    }
    while (length > 0 && text[length - 1] == '=') {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        const char *letter = memchr(letters, text[i], 64);

        if (!letter) {
            free(bytes);
            return BIDE_EINPUT;
        }
        word = word << 6 | (uint32_t)(letter - letters);
        if (i % 4) {
            bytes[used++] = (char)(word >> (6 - 2 * (i % 4)));
        }
    }
    bytes[used] = '\0';
    *out = bytes;
    *out_length = used;
    return 0;
}

/* ---- requests ---- */

static json_t *
write_condition(const struct etcd_step *s)
{
    return json_pack("{s:o, s:s, s:s, s:o}", "key",
                     encode_bytes(s->key, strlen(s->key)), "target", "MOD",
                     "result", "EQUAL", "mod_revision",
                     json_sprintf("%llu", (unsigned long long)s->modified));
}

static json_t *
write_step(enum etcd_verb verb, const struct etcd_step *s)
{
    size_t length = strlen(s->key);
    json_t *key = encode_bytes(s->key, length);
    char end[256];

    if (verb == ETCD_PUT) {
        return json_pack("{s:{s:o, s:o}}", "request_put", "key", key, "value",
                         encode_bytes(s->value, s->length));
    }
    if (verb == ETCD_LIST) { /* to the first key that begins otherwise */
        snprintf(end, sizeof(end), "%.*s%c", (int)length - 1, s->key,
                 s->key[length - 1] + 1);
        return json_pack("{s:{s:o, s:o}}", "request_range", "key", key,
                         "range_end", encode_bytes(end, length));
    }
    return json_pack("{s:{s:o}}",
                     verb == ETCD_DELETE ? "request_delete_range"
                                         : "request_range",
                     "key", key);
}

static char *
dump(json_t *j, bool failed)
{
    char *text = failed ? NULL : json_dumps(j, JSON_COMPACT);

    json_decref(j);
    return text;
}

char *
gateway_write(const struct etcd_step *steps, size_t count)
{
    json_t *compare = json_array(), *success = json_array();
    json_t *failure = json_array();
    bool failed = false;

    for (size_t i = 0; i < count; i++) {
        const struct etcd_step *s = &steps[i];

        if (s->verb == ETCD_IF) {
            failed |=
                json_array_append_new(compare, write_condition(s)) != 0 ||
                json_array_append_new(failure, write_step(ETCD_GET, s)) != 0;
        } else {
            failed |=
                json_array_append_new(success, write_step(s->verb, s)) != 0;
        }
    }
    return dump(json_pack("{s:o, s:o, s:o}", "compare", compare, "success",
                          success, "failure", failure),
                failed);
}

char *
gateway_write_watch(const char *key, uint64_t revision)
{
    return dump(json_pack("{s:{s:o, s:o, s:b}}", "create_request", "key",
                          encode_bytes(key, strlen(key)), "start_revision",
                          json_sprintf("%llu", (unsigned long long)revision),
                          "progress_notify", 1),
                false);
}

/* ---- answers ---- */

static uint64_t
read_number(const json_t *object, const char *name)
{
    const json_t *j = json_object_get(object, name);

    return json_is_integer(j)  ? (uint64_t)json_integer_value(j)
           : json_is_string(j) ? strtoull(json_string_value(j), NULL, 10)
                               : 0;
}

/* Adds a pair; `deleted`: it has no value. */
static int
add_pair(struct etcd_reply *r, const json_t *kv, bool deleted)
{
    struct etcd_pair *p = array_add(&r->list, &r->count, sizeof(*p));
    size_t length;
    int rc;

    if (!p) {
        return BIDE_ENOMEM;
    }
    rc = decode_bytes(json_object_get(kv, "key"), &p->key, &length);
    if (rc == 0 && !deleted) {
        rc = decode_bytes(json_object_get(kv, "value"), &p->value, &p->length);
    }
    p->modified = read_number(kv, "mod_revision");
    return rc ? rc : length == strlen(p->key) ? 0 : BIDE_EINPUT;
}

static int
read_pairs(const json_t *root, struct etcd_reply *r)
{
    const json_t *responses = json_object_get(root, "responses"), *response;
    const json_t *events = json_object_get(root, "events"), *j;
    size_t i, k;
    int rc = 0;

    json_array_foreach(responses, i, response)
    {
        const json_t *range = json_object_get(response, "response_range");

        json_array_foreach(json_object_get(range, "kvs"), k, j)
        {
            rc = rc ? rc : add_pair(r, j, false);
        }
    }
    json_array_foreach(events, i, j)
    {
        const char *type = json_string_value(json_object_get(j, "type"));

        rc = rc ? rc
                : add_pair(r, json_object_get(j, "kv"),
                           type && strcmp(type, "DELETE") == 0);
    }
    return rc;
}

/* Returns the code of etcd.h for a failure that etcd reports with a code of
 * gRPC. */
static int
classify_error(uint64_t code, const char *message)
{
    if (strstr(message, "user name is empty")) { /* there is no token */
        return BIDE_EPERM;
    }
    switch (code) {
    case 3:
        return BIDE_EINVAL;
    case 7:
    case 16:
        return BIDE_EPERM;
    case 8:
        return BIDE_EFULL;
    default:
        return BIDE_ESYS;
    }
}

/* An answer has "error" as a text, a line of a watch as an object. */
static int
read_error(const json_t *error, const json_t *root, char *why)
{
    const json_t *inside = json_is_object(error) ? error : root;
    const char *message = json_string_value(json_object_get(inside, "message"));
    uint64_t code = read_number(inside, "code");

    message = message                 ? message
              : json_is_string(error) ? json_string_value(error)
                                      : "unknown failure";
    snprintf(why, GATEWAY_WHY, "%s", message);
    plain_hide_controls(why);
    return classify_error(code ? code : read_number(inside, "grpc_code"),
                          message);
}

int
gateway_read(const char *bytes, size_t length, struct etcd_reply *out,
             char *why)
{
    json_t *root = json_loadb(bytes, length, JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(root, "error");
    const json_t *j = json_object_get(root, "result"), *header;
    struct etcd_reply r = {0};
    int rc;

    j = j ? j : root;
    header = json_object_get(j, "header");
    if (error) {
        rc = read_error(error, root, why);
    } else if (!json_is_object(header)) {
        snprintf(why, GATEWAY_WHY, "the answer is not etcd's");
        rc = BIDE_EINPUT;
    } else {
        r.cluster = read_number(header, "cluster_id");
        r.revision = read_number(header, "revision");
        r.held = json_is_true(json_object_get(j, "succeeded"));
        r.compacted = json_is_true(json_object_get(j, "canceled"));
        rc = read_pairs(j, &r);
        if (rc) {
            snprintf(why, GATEWAY_WHY, "the answer is not etcd's");
        }
    }
    json_decref(root);
    if (rc) {
        etcd_reply_free(&r);
        return rc;
    }
    *out = r;
    return 0;
}

void
etcd_reply_free(struct etcd_reply *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->list[i].key);
        free(r->list[i].value);
    }
    free(r->list);
    *r = (struct etcd_reply){0};
}

const struct etcd_pair *
etcd_find(const struct etcd_reply *r, const char *key)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->list[i].key, key) == 0) {
            return &r->list[i];
        }
    }
    return NULL;
}
