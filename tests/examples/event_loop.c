/* Two calls in one thread.  A real program starts the attempt of a
 * request at BIDE_GO, and calls bide_step_ended when its answer has
 * arrived.  Here each answer is there at once. */
#include <bide.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

enum { REQUESTS = 2 };

struct request {
    struct bide_call call;
    enum bide_next next;
};

/* Each server is down for its first attempt. */
static struct bide_outcome
send_request(const struct bide_attempt *attempt)
{
    return bide_http(attempt->number == 1 ? 503 : 200, NULL);
}

/* Goes on with a request until it waits or has ended. */
static void
advance(struct request *r)
{
    const struct bide_attempt *attempt = bide_call_attempt(&r->call);
    const struct bide_result *result = bide_call_result(&r->call);

    while (r->next == BIDE_GO) {
        r->next = bide_step_ended(&r->call, send_request(attempt));
    }
    if (r->next == BIDE_DONE) {
        printf("%s\n", bide_verdict_name(result->verdict));
    }
}

/* Returns the time until `until_ns` as poll(2) takes it, rounded up. */
static int
poll_ms(uint64_t until_ns)
{
    struct timespec now;
    uint64_t now_ns;

    if (until_ns == UINT64_MAX) {
        return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if (now_ns >= until_ns) {
        return 0;
    }
    return (int)((until_ns - now_ns) / 1000000 + 1);
}

int
main(void)
{
    struct request requests[REQUESTS];
    struct bide_policy *policy;
    struct bide_watch *watch;
    struct bide *bide;

    if (bide_open(NULL, 0, &bide) ||
        bide_declare(bide, "[fetch]\n"
                           "attempts = 3\n"
                           "wait_initial = 10ms\n"
                           "retry_on = transient\n") ||
        bide_lookup(bide, "fetch", NULL, &policy) ||
        bide_watch_new(bide, &watch)) {
        return 1;
    }
    for (int i = 0; i < REQUESTS; i++) {
        struct request *r = &requests[i];

        bide_call_init(&r->call);
        r->next = bide_step_begin(&r->call, policy, watch);
        advance(r);
    }
    for (;;) {
        struct pollfd changes = {bide_watch_fd(watch), POLLIN, 0};
        uint64_t until_ns = UINT64_MAX;

        for (int i = 0; i < REQUESTS; i++) {
            uint64_t due_ns = bide_step_deadline_ns(&requests[i].call);

            until_ns = due_ns < until_ns ? due_ns : until_ns;
        }
        if (until_ns == UINT64_MAX) {
            break; /* all calls have ended */
        }
        if (poll(&changes, 1, poll_ms(until_ns)) > 0) {
            bide_watch_clear(watch);
        }
        for (int i = 0; i < REQUESTS; i++) {
            struct request *r = &requests[i];

            if (r->next == BIDE_WAIT) {
                r->next = bide_step_resume(&r->call);
                advance(r);
            }
        }
    }
    bide_watch_free(watch);
    bide_close(bide);
    return 0;
}
