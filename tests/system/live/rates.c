/* Rates and hints that processes share: a server that throttles, changes of the
 * rules, one hint for all. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <bide.h>
#include "guarding.h"

enum { CALLERS = 20, SERVED_PER_S = 50, SERVED_BURST = 10 };

static double
seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a server of 50 requests per second ---- */

struct host {
    const struct scene *s;
    int listener;
    in_port_t port;
    double from_s, until_s; /* the time that counts */
    _Atomic uint32_t good, throttled, before;
};

/* Answers a byte for each byte of a request: '2', or '4' if it has no token. */
static void
serve_requests(void *arg)
{
    struct host *h = arg;
    struct pollfd fds[CALLERS + 1] = {{h->listener, POLLIN, 0}};
    double left = SERVED_BURST, settled = seconds_now();
    nfds_t count = 1;

    while (seconds_now() < h->until_s + 0.5) {
        MUST(poll(fds, count, 100) >= 0);
        if (fds[0].revents && count <= CALLERS) {
            fds[count++] =
                (struct pollfd){accept(h->listener, NULL, NULL), POLLIN, 0};
        }
        for (nfds_t i = 1; i < count; i++) {
            double now = seconds_now();
            bool good, counts = now >= h->from_s && now < h->until_s;
            char byte;

            if (!fds[i].revents || read(fds[i].fd, &byte, 1) != 1) {
                fds[i].fd = fds[i].revents ? -1 : fds[i].fd;
                continue;
            }
            left += SERVED_PER_S * (now - settled);
            left = left < SERVED_BURST ? left : SERVED_BURST;
            settled = now;
            good = left >= 1;
            left -= good;
            h->good += counts && good;
            h->throttled += counts && !good;
            h->before += !counts;
            MUST(write(fds[i].fd, good ? "2" : "4", 1) == 1);
        }
    }
}

static struct bide_outcome
ask_server(const struct bide_attempt *attempt, void *arg)
{
    char answer = '4';
    int fd = *(int *)arg;

    (void)attempt;
    if (write(fd, "?", 1) != 1 || read(fd, &answer, 1) != 1) {
        return bide_errno(ECONNRESET);
    }
    return bide_http(answer == '2' ? 200 : 429, NULL);
}

static void
call_server(void *arg)
{
    struct host *h = arg;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = h->port};
    struct bide_policy *p = guarding_policy(h->s, "pay", "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    while (seconds_now() < h->until_s) {
        bide_run(p, ask_server, &fd);
    }
}

/* The exact shares are those of tests/unit/rule/adapt.c, in virtual time.  This
 * one runs on a machine that may be busy, so it asks for less; it prints what
 * the server counted. */
static void
twenty_processes_learn_the_rate_of_their_server(void **state)
{
    struct host *h = guarding_share(sizeof(*h));
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    pid_t server, caller[CALLERS];
    const char *seconds = getenv("RATES_SECONDS");
    double counted = seconds ? atof(seconds) : 4;

    process_registry(*state, "[pay]\nattempts = 1\nrate = own\n"
                             "rate_limit = 1000000/s\nrate_adapt = cubic\n"
                             "rate_wait = 1m\n");
    h->s = *state;
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(h->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(h->listener, CALLERS), 0);
    getsockname(h->listener, (struct sockaddr *)&at, &size);
    h->port = at.sin_port;
    h->from_s = seconds_now() + (seconds ? 10 : 5);
    h->until_s = h->from_s + counted;
    server = guarding_start(serve_requests, h);
    for (int i = 0; i < CALLERS; i++) {
        caller[i] = guarding_start(call_server, h);
    }
    for (int i = 0; i < CALLERS; i++) {
        guarding_end(caller[i]);
    }
    guarding_end(server);
    close(h->listener);
    print_message("%u before; then in %g s %u of %g, and %u throttled\n",
                  h->before, counted, h->good, counted * SERVED_PER_S,
                  h->throttled);
    assert_true(h->good >= 0.7 * counted * SERVED_PER_S);
    assert_true(h->throttled <= 0.1 * h->good);
    /* A process that comes later finds what the others have learned. */
    assert_true(guarding_look(*state, "pay", "").rate.is_learned);
}

/* ---- waiting calls ---- */

struct calls {
    struct scene *s;
    const char *seconds; /* of Retry-After */
    double began_s[8];   /* of an attempt; 0: none */
    _Atomic int next;
    int verdict[8];
};

static struct bide_outcome
note_attempt(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    *(double *)arg = seconds_now();
    return bide_ok();
}

static void
call_once(void *arg)
{
    struct calls *c = arg;
    int i = atomic_fetch_add(&c->next, 1);

    c->verdict[i] = bide_run(guarding_policy(c->s, "pay", ""), note_attempt,
                             &c->began_s[i]);
}

static bool
one_waits(void *arg)
{
    return scene_sleepers(arg) == 1;
}

static bool
three_wait(void *arg)
{
    return scene_sleepers(arg) == 3;
}

static void
a_change_of_the_rate_moves_those_who_wait(void **state)
{
    struct calls *c = guarding_share(sizeof(*c));
    pid_t pid[4];

    c->s = *state;
    process_registry(*state, "[pay]\nrate = all\nrate_limit = 1/h\n"
                             "rate_wait = 10h\n");
    guarding_end(guarding_start(call_once, c)); /* the only token */
    for (int i = 0; i < 3; i++) {
        pid[i] = guarding_start(call_once, c);
    }
    assert_true(scene_until(three_wait, *state));
    assert_int_equal(c->began_s[0] > 0, 1);
    BIDE(c->s, "set", "pay", "rate_limit=1000/s");
    for (int i = 0; i < 3; i++) {
        guarding_end(pid[i]);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(c->verdict[i], BIDE_SUCCEEDED);
    }
}

static void
without_a_wait_a_call_is_refused(void **state)
{
    struct calls *c = guarding_share(sizeof(*c));

    c->s = *state;
    process_registry(*state, "[pay]\nrate = own\nrate_limit = 1/h\n");
    guarding_end(guarding_start(call_once, c));
    guarding_end(guarding_start(call_once, c));
    assert_int_equal(c->verdict[0], BIDE_SUCCEEDED);
    assert_int_equal(c->verdict[1], BIDE_REFUSED);
    assert_true(c->began_s[1] == 0);
    assert_int_equal(guarding_count(c->s, "pay", COUNTER_BY_RATE), 1);
    BIDE(c->s, "rate", "pay", "reset");
    guarding_end(guarding_start(call_once, c));
    assert_int_equal(c->verdict[2], BIDE_SUCCEEDED);
}

static struct bide_outcome
be_told_to_wait(const struct bide_attempt *attempt, void *arg)
{
    const char *seconds = arg;

    (void)attempt;
    return bide_http(429, seconds);
}

static void
ask_once(void *arg)
{
    struct calls *c = arg;

    MUST(bide_run(guarding_policy(c->s, "pay", ""), be_told_to_wait,
                  (void *)(uintptr_t)c->seconds) == BIDE_EXHAUSTED);
}

#define HOLDS                                                              \
    "[pay]\nattempts = 1\nretry_after_holds = all\nretry_after_max = 1h\n" \
    "retry_after_spread = 1ms\n"

static void
one_hint_holds_all_processes(void **state)
{
    struct calls *c = guarding_share(sizeof(*c));
    double told_s;
    pid_t pid[3];

    c->s = *state;
    c->seconds = "2";
    process_registry(*state, HOLDS);
    told_s = seconds_now();
    guarding_end(guarding_start(ask_once, c));
    for (int i = 0; i < 3; i++) {
        pid[i] = guarding_start(call_once, c);
    }
    for (int i = 0; i < 3; i++) {
        guarding_end(pid[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c->verdict[i], BIDE_SUCCEEDED);
        assert_true(c->began_s[i] >= told_s + 2);
    }
}

static void
a_change_frees_those_whom_a_hint_holds(void **state)
{
    static const char *const changes[][WORDS_MAX] = {
        {"set", "pay", "retry_after_holds=call", NULL},
        {"set", "pay", "retry_after_max=1s", NULL},
        {"set", "pay", "retry_after=ignore", NULL},
        {"wake", "pay", NULL},
        {"rate", "pay", "reset", NULL},
    };
    struct calls *c = guarding_share(sizeof(*c));

    c->s = *state;
    c->seconds = "3000";
    for (size_t i = 0; i < COUNT(changes); i++) {
        pid_t pid;

        process_registry(*state, HOLDS "rate = own\nrate_limit = 1000/s\n");
        BIDE(c->s, "rate", "pay", "reset"); /* of the change before */
        guarding_end(guarding_start(ask_once, c));
        assert_true(guarding_look(c->s, "pay", "").held_ns > 2900ull * SECOND);
        pid = guarding_start(call_once, c);
        assert_true(scene_until(one_waits, *state));
        assert_int_equal(process_run(c->s, changes[i]), 0);
        guarding_end(pid);
        assert_int_equal(c->verdict[i], BIDE_SUCCEEDED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(twenty_processes_learn_the_rate_of_their_server),
        SCENE(a_change_of_the_rate_moves_those_who_wait),
        SCENE(without_a_wait_a_call_is_refused),
        SCENE(one_hint_holds_all_processes),
        SCENE(a_change_frees_those_whom_a_hint_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
