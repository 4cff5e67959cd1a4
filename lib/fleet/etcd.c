/* Talks to etcd.  Requests use one connection, a watch another, which stays
 * open.  What is known to go wrong, and how it shows:
 *
 *   compaction        "canceled" in the watch; the response stays open
 *   no leader         the header hasleader makes etcd end the watch
 *   etcd is killed    curl error 18: the stream ends within a chunk
 *   a silent network  TCP keep-alive ends the connection after 35 s */
#include "etcd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <bide.h>
#include "base/clock.h"
#include "base/draft.h"
#include "gateway.h"
#include "host.h"

enum {
    ENDPOINTS_MAX = 16,
    ANSWER_MAX = 256 << 20, /* the records of 100,000 hosts */
    CONNECT_MS = 3000,
    REQUEST_MS = 20000,
    WAIT_MS = 60000,
};

/* One transfer: the bytes that came. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct draft came;
    char *body; /* of the request */
};

struct etcd {
    const struct host_setup *setup;
    char *urls, *url[ENDPOINTS_MAX];
    size_t count, at; /* the endpoint that answered last */
    struct transfer ask, watch;
    CURLM *multi; /* of the watch */
    bool watching;
    char why[GATEWAY_WHY + 256];
};

const char *
etcd_why(const struct etcd *e)
{
    return e->why;
}

/* ---- opening ---- */

static void
split_urls(struct etcd *e)
{
    char *state, *word = strtok_r(e->urls, ",", &state);

    for (; word && e->count < ENDPOINTS_MAX;
         word = strtok_r(NULL, ",", &state)) {
        size_t length = strlen(word);

        while (length && word[length - 1] == '/') {
            word[--length] = '\0';
        }
        e->url[e->count++] = word;
    }
}

int
etcd_open(const struct host_setup *setup, struct etcd **out)
{
    struct etcd *e = calloc(1, sizeof(*e));

    if (!e) {
        return BIDE_ENOMEM;
    }
    e->setup = setup;
    e->urls = strdup(setup->urls);
    if (!e->urls || curl_global_init(CURL_GLOBAL_DEFAULT)) {
        etcd_close(e);
        return BIDE_ENOMEM;
    }
    split_urls(e);
    *out = e;
    return 0;
}

static void
end_transfer(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    draft_free(&t->came);
    free(t->body);
    *t = (struct transfer){0};
}

static void
end_watch(struct etcd *e)
{
    if (e->watching) {
        curl_multi_remove_handle(e->multi, e->watch.easy);
    }
    end_transfer(&e->watch);
    curl_multi_cleanup(e->multi);
    e->multi = NULL;
    e->watching = false;
}

void
etcd_rest(struct etcd *e)
{
    end_transfer(&e->ask);
}

void
etcd_close(struct etcd *e)
{
    if (e) {
        end_watch(e);
        etcd_rest(e);
        free(e->urls);
        free(e);
    }
}

/* ---- a transfer ---- */

static size_t
take_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    if (t->came.used + size * count > ANSWER_MAX) {
        return 0;
    }
    draft_add(&t->came, bytes, size * count);
    return t->came.failed ? 0 : size * count;
}

/* Adds the token, which may have been replaced since the last request. */
static int
add_token(struct etcd *e, struct transfer *t)
{
    char header[4200] = "Authorization: ", *token = header + strlen(header);
    FILE *f = fopen(e->setup->token_file, "re");
    const char *got =
        f ? fgets(token, (int)(header + sizeof(header) - token), f) : NULL;

    if (f) {
        fclose(f);
    }
    token[strcspn(token, " \r\n")] = '\0';
    if (!got || !*token) {
        snprintf(e->why, sizeof(e->why), "%.400s: there is no token",
                 e->setup->token_file);
        return BIDE_EPERM;
    }
    t->headers = curl_slist_append(t->headers, header);
    return t->headers ? 0 : BIDE_ENOMEM;
}

static int
set_headers(struct etcd *e, struct transfer *t)
{
    static const char *const lines[] = {
        "Content-Type: application/json",
        "Expect:", "Grpc-Metadata-hasleader: true"};
    int rc;

    curl_slist_free_all(t->headers);
    t->headers = NULL;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        t->headers = curl_slist_append(t->headers, lines[i]);
    }
    rc = !t->headers             ? BIDE_ENOMEM
         : *e->setup->token_file ? add_token(e, t)
                                 : 0;
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return rc;
}

static void
set_tls(CURL *easy, const struct host_setup *s)
{
    if (*s->cacert) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, s->cacert);
    }
    curl_easy_setopt(easy, CURLOPT_SSLCERT, *s->cert ? s->cert : NULL);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, *s->key ? s->key : NULL);
}

/* Prepares a request of `body`, which it takes, to the endpoint. */
static int
set_request(struct etcd *e, struct transfer *t, const char *path, char *body)
{
    char url[1100];

    free(t->body);
    t->body = body;
    t->easy = t->easy ? t->easy : curl_easy_init();
    if (!t->easy || !body) {
        return BIDE_ENOMEM;
    }
    snprintf(url, sizeof(url), "%s/v3/%s", e->url[e->at], path);
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)strlen(body));
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, 20L);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, 5L);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    set_tls(t->easy, e->setup);
    draft_clear(&t->came);
    return set_headers(e, t);
}

static int
keep_curl_failure(struct etcd *e, CURLcode code)
{
    snprintf(e->why, sizeof(e->why), "%.400s: %s", e->url[e->at],
             curl_easy_strerror(code));
    return BIDE_ESYS;
}

/* Reads an answer, and keeps why it is a failure. */
static int
read_answer(struct etcd *e, const char *bytes, size_t length,
            struct etcd_reply *out)
{
    char why[GATEWAY_WHY] = "out of memory";
    int rc = gateway_read(bytes ? bytes : "", length, out, why);

    if (rc) {
        snprintf(e->why, sizeof(e->why), "%.400s: %.100s", e->url[e->at], why);
    }
    return rc;
}

/* ---- requests ---- */

static int
ask_one(struct etcd *e, const struct etcd_step *steps, size_t count,
        struct etcd_reply *out)
{
    int rc = set_request(e, &e->ask, "kv/txn", gateway_write(steps, count));
    CURLcode code;

    if (rc) {
        return rc;
    }
    curl_easy_setopt(e->ask.easy, CURLOPT_TIMEOUT_MS, (long)REQUEST_MS);
    code = curl_easy_perform(e->ask.easy);
    return code ? keep_curl_failure(e, code)
                : read_answer(e, e->ask.came.bytes, e->ask.came.used, out);
}

/* Reports whether the keys already have what the steps would put. */
static bool
is_done(const struct etcd_step *steps, size_t count, const struct etcd_reply *r)
{
    bool done = true;

    for (size_t i = 0; i < count; i++) {
        const struct etcd_pair *pair = etcd_find(r, steps[i].key);

        done &= steps[i].verb == ETCD_IF ||
                (steps[i].verb == ETCD_PUT && pair &&
                 pair->length == steps[i].length &&
                 memcmp(pair->value, steps[i].value, pair->length) == 0);
    }
    return done;
}

int
etcd_do(struct etcd *e, const struct etcd_step *steps, size_t count,
        struct etcd_reply *out)
{
    int rc = BIDE_EINPUT;

    snprintf(e->why, sizeof(e->why), "there is no endpoint");
    for (size_t i = 0; i < e->count; i++) {
        rc = ask_one(e, steps, count, out);
        if (rc == 0 && !out->held && i > 0 && is_done(steps, count, out)) {
            out->held = true;
        }
        if (rc != BIDE_ESYS && rc != BIDE_EINPUT) {
            return rc;
        }
        e->at = (e->at + 1) % e->count;
    }
    return rc;
}

int
etcd_one(struct etcd *e, enum etcd_verb verb, struct fleet_key key,
         const char *value, size_t length, struct etcd_reply *out)
{
    const struct etcd_step step = {verb, key.text, value, length, 0};
    struct etcd_reply reply;
    int rc = etcd_do(e, &step, 1, out ? out : &reply);

    if (rc == 0 && !out) {
        etcd_reply_free(&reply);
    }
    return rc;
}

int
etcd_swap(struct etcd *e, struct fleet_key key, uint64_t modified,
          const char *text, struct etcd_reply *out)
{
    const struct etcd_step steps[] = {
        {.verb = ETCD_IF, .key = key.text, .modified = modified},
        {ETCD_PUT, key.text, text, text ? strlen(text) : 0, 0}};
    int rc = text ? etcd_do(e, steps, 2, out) : BIDE_ENOMEM;

    return rc || out->held ? rc : BIDE_EVERSION;
}

/* ---- watching ---- */

int
etcd_watch(struct etcd *e, const char *key, uint64_t revision)
{
    int rc;

    end_watch(e);
    e->multi = curl_multi_init();
    rc = e->multi ? set_request(e, &e->watch, "watch",
                                gateway_write_watch(key, revision))
                  : BIDE_ENOMEM;
    e->watching =
        rc == 0 && curl_multi_add_handle(e->multi, e->watch.easy) == CURLM_OK;
    return rc || e->watching ? rc : BIDE_ENOMEM;
}

/* Takes the next whole line with events out of what came.  ETCD_NOTHING: there
 * is none. */
static int
take_line(struct etcd *e, struct etcd_reply *out)
{
    struct draft *d = &e->watch.came;
    int rc = ETCD_NOTHING;

    while (rc == ETCD_NOTHING && d->used) {
        char *end = memchr(d->bytes, '\n', d->used);
        size_t length = end ? (size_t)(end - d->bytes) + 1 : 0;

        if (!end) {
            break;
        }
        rc = read_answer(e, d->bytes, length, out);
        d->used -= length;
        memmove(d->bytes, d->bytes + length, d->used + 1);
        if (rc == 0 && out->count == 0 && !out->compacted) {
            etcd_reply_free(out); /* it was created, or progress */
            rc = ETCD_NOTHING;
        }
    }
    return rc;
}

/* Returns the failure with which the stream ended; ETCD_NOTHING: it goes on. */
static int
find_end(struct etcd *e)
{
    int left;
    CURLMsg *m = curl_multi_info_read(e->multi, &left);
    struct etcd_reply reply;
    int rc;

    if (!m || m->msg != CURLMSG_DONE) {
        return ETCD_NOTHING;
    }
    if (m->data.result) {
        return keep_curl_failure(e, m->data.result);
    }
    rc = read_answer(e, e->watch.came.bytes, e->watch.came.used, &reply);
    if (rc == 0) {
        etcd_reply_free(&reply);
    }
    if (rc == 0 || !e->watch.came.used) {
        snprintf(e->why, sizeof(e->why), "%.400s: the watch ended",
                 e->url[e->at]);
    }
    return rc == 0 || rc == BIDE_EINPUT ? BIDE_ESYS : rc;
}

int
etcd_watch_next(struct etcd *e, int fd, uint64_t until_ns,
                struct etcd_reply *out)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    int running, rc;

    if (!e->watching) {
        return BIDE_ESYS;
    }
    for (;;) {
        uint64_t now = clock_monotonic_ns(), left;

        if (curl_multi_perform(e->multi, &running)) {
            rc = keep_curl_failure(e, CURLE_RECV_ERROR);
            break;
        }
        rc = take_line(e, out);
        rc = rc == ETCD_NOTHING ? find_end(e) : rc;
        if (rc != ETCD_NOTHING || extra.revents || now >= until_ns) {
            break;
        }
        left = (until_ns - now) / 1000000 + 1;
        curl_multi_poll(e->multi, &extra, 1,
                        left < WAIT_MS ? (int)left : WAIT_MS, NULL);
    }
    if (rc < 0) {
        if (rc == BIDE_ESYS) {
            e->at = (e->at + 1) % e->count;
        }
        end_watch(e);
    }
    return rc;
}
