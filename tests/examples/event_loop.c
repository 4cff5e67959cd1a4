/* Two calls in one thread.  An attempt sends its request at BIDE_GO and
 * ends when its answer is readable, or at its deadline. */
#include <bide.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { REQUESTS = 2 };

struct request {
    struct bide_call call;
    int answer; /* readable when it is there; -1: none is expected */
};

static int running = REQUESTS;

/* Sends a request.  Here the answer is readable at once. */
static void
send_request(struct request *r)
{
    r->answer = eventfd(1, EFD_CLOEXEC);
}

/* Reads an answer.  Each server is down for its first attempt. */
static struct bide_outcome
read_answer(struct request *r)
{
    uint32_t number = bide_call_attempt(&r->call)->number;

    close(r->answer);
    r->answer = -1;
    return bide_http(number == 1 ? 503 : 200, NULL);
}

/* Does what the call needs now. */
static void
follow(struct request *r, enum bide_next next)
{
    const struct bide_result *result = bide_call_result(&r->call);

    if (next == BIDE_GO) {
        send_request(r);
    } else if (next == BIDE_DONE) {
        printf("%s\n", bide_verdict_name(result->verdict));
        running--;
    }
}

/* Ends or resumes a call whose time has come. */
static void
take_turn(struct request *r, int is_readable)
{
    int is_due = bide_step_poll_ms(&r->call) == 0;

    if (is_readable) {
        follow(r, bide_step_ended(&r->call, read_answer(r)));
    } else if (r->answer < 0 && bide_call_policy(&r->call)) {
        follow(r, bide_step_resume(&r->call));
    } else if (r->answer >= 0 && is_due) {
        close(r->answer);
        r->answer = -1;
        follow(r, bide_step_ended(&r->call, bide_errno(ETIMEDOUT)));
    }
}

/* Waits for an answer, a change of a policy, or the next deadline. */
static void
wait_for_events(struct request *requests, struct bide_watch *watch,
                struct pollfd *fds)
{
    int wait_ms = -1;

    for (int i = 0; i < REQUESTS; i++) {
        int ms = bide_step_poll_ms(&requests[i].call);

        fds[i] = (struct pollfd){requests[i].answer, POLLIN, 0};
        if (ms >= 0 && (wait_ms < 0 || ms < wait_ms)) {
            wait_ms = ms;
        }
    }
    fds[REQUESTS] = (struct pollfd){bide_watch_fd(watch), POLLIN, 0};
    poll(fds, REQUESTS + 1, wait_ms);
    if (fds[REQUESTS].revents) {
        bide_watch_clear(watch);
    }
}

int
main(void)
{
    struct request requests[REQUESTS];
    struct pollfd fds[REQUESTS + 1];
    struct bide_policy *policy;
    struct bide_watch *watch;
    struct bide *bide;

    if (bide_open(NULL, 0, &bide) ||
        bide_declare(bide, "[fetch]\n"
                           "attempts = 3\n"
                           "wait_initial = 10ms\n"
                           "attempt_timeout = 2s\n"
                           "retry_on = transient\n") ||
        bide_lookup(bide, "fetch", NULL, &policy) ||
        bide_watch_new(bide, &watch)) {
        return 1;
    }
    for (int i = 0; i < REQUESTS; i++) {
        struct request *r = &requests[i];

        bide_call_init(&r->call);
        r->answer = -1;
        follow(r, bide_step_begin(&r->call, policy, watch));
    }
    while (running > 0) {
        wait_for_events(requests, watch, fds);
        for (int i = 0; i < REQUESTS; i++) {
            take_turn(&requests[i], fds[i].revents != 0);
        }
    }
    bide_watch_free(watch);
    bide_close(bide);
    return 0;
}
