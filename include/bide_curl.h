/* Transfers of libcurl, 7.66 or newer, under policies.
 *
 *   bide_curl_perform(&call, policy, easy, NULL, NULL);   one, blocking
 *   bide_curl_start(&m, &transfer, policy);               many in a thread
 *   while (bide_curl_turn(&m, -1) > 0) {}
 *
 * The page of an error also reaches the write function of the handle, unless
 * CURLOPT_FAILONERROR is set.  `before` runs before each attempt: it can drop
 * what an attempt has received, and rewind an upload. */
#ifndef BIDE_CURL_H
#define BIDE_CURL_H

#include "bide_loop.h"

#include <curl/curl.h>

/* Returns the outcome of a transfer that ended with `code`: its HTTP status and
 * Retry-After, else the code. */
static inline struct bide_outcome
bide_curl_outcome(CURL *easy, CURLcode code)
{
    curl_off_t after_s = 0;
    struct bide_outcome o;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after_s);
    if (status < 100 || status > 999 ||
        (code != CURLE_OK && code != CURLE_HTTP_RETURNED_ERROR)) {
        return bide_curl((int)code);
    }
    o = bide_http((int)status, NULL);
    return after_s > 0 && after_s < 1000000000 /* a past date is below 0 */
               ? bide_outcome_after(o, (uint64_t)after_s * 1000000000)
               : o;
}

/* Sets CURLOPT_TIMEOUT_MS if the attempt has a time limit.  After such an
 * attempt the handle has none: the limit must not reach other transfers. */
static inline void
bide_curl_limit(CURL *easy, const struct bide_attempt *attempt)
{
    int ms = bide_attempt_poll_ms(attempt);

    if (ms >= 0) { /* 0 would be no limit */
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(ms ? ms : 1));
    }
}

static inline void
bide_curl_unlimit_(CURL *easy, const struct bide_attempt *attempt)
{
    if (attempt->timeout_ns != UINT64_MAX) {
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 0L);
    }
}

/* Is called before each attempt; `arg` is that of bide_curl_perform, or of the
 * transfer. */
typedef void bide_curl_before(CURL *easy, const struct bide_attempt *attempt,
                              void *arg);

/* ---- one transfer ---- */

struct bide_curl_one_ {
    CURL *easy;
    bide_curl_before *before;
    void *arg;
};

static inline struct bide_outcome
bide_curl_attempt_(const struct bide_attempt *attempt, void *arg)
{
    const struct bide_curl_one_ *one = (const struct bide_curl_one_ *)arg;
    CURLcode code;

    bide_curl_limit(one->easy, attempt);
    if (one->before) {
        one->before(one->easy, attempt, one->arg);
    }
    code = curl_easy_perform(one->easy);
    bide_curl_unlimit_(one->easy, attempt);
    return bide_curl_outcome(one->easy, code);
}

/* Runs a call of which each attempt is curl_easy_perform; `before` may be NULL.
 * Returns as bide_call_run. */
static inline enum bide_verdict
bide_curl_perform(struct bide_call *c, struct bide_policy *p, CURL *easy,
                  bide_curl_before *before, void *arg)
{
    struct bide_curl_one_ one;

    one.easy = easy;
    one.before = before;
    one.arg = arg;
    return bide_call_run(c, p, bide_curl_attempt_, &one);
}

/* ---- many transfers ---- */

/* Transfers of one thread.  The fields belong to the library. */
struct bide_curl_multi {
    struct bide_loop loop;
    CURLM *multi;
};

/* A transfer.  Zero it, set `easy` and call.done.  CURLOPT_PRIVATE is used. */
struct bide_curl_transfer {
    struct bide_loop_call call; /* call.call may have a deadline or work */
    CURL *easy;
    bide_curl_before *before; /* with call.arg; or NULL */
};

static inline void
bide_curl_go_(struct bide_loop_call *c, const struct bide_attempt *attempt)
{
    struct bide_curl_transfer *t = (struct bide_curl_transfer *)c;
    CURLM *multi = ((struct bide_curl_multi *)c->loop)->multi;

    bide_curl_limit(t->easy, attempt);
    if (t->before) {
        t->before(t->easy, attempt, c->arg);
    }
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    if (curl_multi_add_handle(multi, t->easy)) {
        bide_loop_ended(c, bide_curl(CURLE_FAILED_INIT));
    }
}

static inline void
bide_curl_stop_(struct bide_loop_call *c)
{
    CURL *easy = ((struct bide_curl_transfer *)c)->easy;

    curl_multi_remove_handle(((struct bide_curl_multi *)c->loop)->multi, easy);
    bide_curl_unlimit_(easy, bide_call_attempt(&c->call));
}

/* Sets up transfers; the caller frees it with bide_curl_close before it closes
 * the registry.  Fails as bide_watch_new. */
static inline int
bide_curl_init(struct bide_curl_multi *m, struct bide *b)
{
    int rc = bide_loop_init(&m->loop, b);

    m->multi = rc ? NULL : curl_multi_init();
    if (!rc && !m->multi) {
        bide_loop_close(&m->loop);
        return BIDE_ENOMEM;
    }
    return rc;
}

/* Begins a transfer that is not in progress; bide_loop_stop(&t->call) cancels
 * it.  Fails with BIDE_EINVAL after bide_curl_close. */
static inline int
bide_curl_start(struct bide_curl_multi *m, struct bide_curl_transfer *t,
                struct bide_policy *p)
{
    t->call.attempt = bide_curl_go_;
    t->call.stop = bide_curl_stop_;
    t->call.keeps_time = 1;
    return bide_loop_start(&m->loop, &t->call, p);
}

/* Does what is due, then waits for the next event, at most max_ms (-1: no
 * limit).  Returns the number of transfers in progress; 0 after
 * bide_curl_close, which `done` may use. */
static inline size_t
bide_curl_turn(struct bide_curl_multi *m, int max_ms)
{
    struct curl_waitfd watch;
    CURLMsg *message;
    int left;

    if (m->multi) {
        curl_multi_perform(m->multi, &left);
    }
    while (m->multi && (message = curl_multi_info_read(m->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct bide_curl_transfer *t = NULL;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(m->multi, easy); /* ends `message` */
        bide_curl_unlimit_(easy, bide_call_attempt(&t->call.call));
        bide_loop_ended(&t->call, bide_curl_outcome(easy, code));
    }
    if (m->multi) {
        bide_loop_turn(&m->loop, 0);
    }
    if (!m->multi) {
        return 0;
    }
    left = bide_loop_poll_ms(&m->loop);
    if (left < 0 || (max_ms >= 0 && max_ms < left)) {
        left = max_ms;
    }
    watch.fd = bide_watch_fd(m->loop.watch);
    watch.events = CURL_WAIT_POLLIN;
    watch.revents = 0;
    if (m->loop.calls) {
        curl_multi_poll(m->multi, &watch, 1, left < 0 ? 1000000 : left, NULL);
    }
    if (watch.revents) {
        bide_loop_turn(&m->loop, 1);
    }
    return m->loop.calls;
}

/* Ends all transfers as cancelled.  The easy handles belong to the caller. */
static inline void
bide_curl_close(struct bide_curl_multi *m)
{
    bide_loop_close(&m->loop);
    curl_multi_cleanup(m->multi);
    m->multi = NULL;
}

#endif
