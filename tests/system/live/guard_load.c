/* Forty processes call a dead server: how many attempts arrive there, with and
 * without budget and breaker. */

#include <netinet/in.h>
#include <sys/socket.h>

#include <bide.h>
#include "guarding.h"

enum { CALLERS = 40, WARM_UP = 25, CALLS = 100, SERVERS = 4 };

struct server {
    int listening;
    uint16_t port;
    _Atomic uint64_t arrived;
};

/* ---- the server: accepts, counts, and breaks the connection ---- */

static void
serve(void *arg)
{
    struct server *v = arg;
    const struct linger at_once = {1, 0};

    for (;;) {
        int fd = accept(v->listening, NULL, NULL);

        if (fd < 0) {
            continue;
        }
        atomic_fetch_add(&v->arrived, 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
    }
}

static struct server *
server_start(pid_t *pids)
{
    struct server *v = guarding_share(sizeof(*v));
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(at);

    v->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(v->listening >= 0);
    assert_int_equal(bind(v->listening, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(v->listening, 4096), 0);
    assert_int_equal(getsockname(v->listening, (struct sockaddr *)&at, &length),
                     0);
    v->port = at.sin_port;
    for (int i = 0; i < SERVERS; i++) {
        pids[i] = guarding_start(serve, v);
    }
    return v;
}

/* ---- the callers ---- */

struct load {
    const struct scene *s;
    const char *name;
    struct server *server;
    _Atomic uint32_t warm; /* callers that made their first calls */
    _Atomic uint32_t begin;
    _Atomic uint64_t calls, attempts;
};

/* Connects, and waits until the server resets the connection. */
static struct bide_outcome
call_server(const struct bide_attempt *attempt, void *arg)
{
    struct load *l = arg;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = l->server->port};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

    (void)attempt;
    MUST(fd >= 0);
    atomic_fetch_add(&l->attempts, 1);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        read(fd, &byte, 1) < 0) {
        error = errno;
    }
    close(fd);
    return bide_errno(error ? error : ECONNRESET);
}

static void
make_calls(struct bide_policy *p, struct load *l, int count)
{

    for (int i = 0; i < count; i++) {
        atomic_fetch_add(&l->calls, 1);
        MUST(bide_run(p, call_server, l) != BIDE_SUCCEEDED);
    }
}

static void
call_until_done(void *arg)
{
    struct load *l = arg;
    struct bide_policy *p = guarding_policy(l->s, l->name, NULL);
    const struct timespec pause = {0, 1000000};

    make_calls(p, l, WARM_UP);
    atomic_fetch_add(&l->warm, 1);
    while (!atomic_load(&l->begin)) {
        nanosleep(&pause, NULL);
    }
    make_calls(p, l, CALLS);
}

static bool
all_are_warm(void *arg)
{
    return atomic_load(&((struct load *)arg)->warm) == CALLERS;
}

/* Returns the attempts that arrived per call, after a warm-up. */
static double
amplification(struct scene *s, struct server *v, const char *name)
{
    struct load *l = guarding_share(sizeof(*l));
    pid_t pids[CALLERS];
    uint64_t arrived, calls;
    double factor;

    l->s = s;
    l->name = name;
    l->server = v;
    atomic_store(&v->arrived, 0);
    for (int i = 0; i < CALLERS; i++) {
        pids[i] = guarding_start(call_until_done, l);
    }
    assert_true(scene_until(all_are_warm, l));
    arrived = atomic_load(&v->arrived);
    calls = atomic_load(&l->calls);
    atomic_store(&l->begin, 1);
    for (int i = 0; i < CALLERS; i++) {
        guarding_end(pids[i]);
    }
    /* The server ended each attempt, so all have arrived. */
    assert_int_equal(atomic_load(&v->arrived), atomic_load(&l->attempts));
    arrived = atomic_load(&v->arrived) - arrived;
    calls = atomic_load(&l->calls) - calls;
    assert_int_equal(calls, CALLERS * CALLS);
    factor = (double)arrived / (double)calls;
    print_message("         %-8s %6llu calls, %6llu attempts arrived: %.3f\n",
                  name, (unsigned long long)calls, (unsigned long long)arrived,
                  factor);
    return factor;
}

static void
budget_and_breaker_limit_the_attempts_at_a_dead_server(void **state)
{
    struct scene *s = *state;
    pid_t servers[SERVERS];
    struct server *v = server_start(servers);

    process_registry(
        s, "[off]\nattempts = 3\nwait = fixed\nwait_initial = 1ms\n"
           "wait_jitter = none\nretry_on = any\n"
           "[budget]\nextends = off\nbudget = own\nbudget_capacity = 500\n"
           "budget_cost = 5\n"
           "[ratio]\nextends = off\nbudget = own\nbudget_kind = ratio\n"
           "budget_ratio = 5%\nbudget_min_rate = 0/s\nbudget_window = 1h\n"
           "[breaker]\nextends = off\nbreaker = on\nbreaker_open_for = 20ms\n"
           "breaker_min_calls = 20\n"
           "[both]\nextends = breaker\nbudget = own\nbudget_capacity = 500\n"
           "budget_cost = 5\n");
    assert_true(amplification(s, v, "off") == 3);
    assert_true(amplification(s, v, "budget") <= 1.1);
    assert_true(amplification(s, v, "ratio") <= 1.1);
    assert_true(amplification(s, v, "breaker") < 3);
    assert_true(amplification(s, v, "both") <= 1.1);
    for (int i = 0; i < SERVERS; i++) {
        guarding_kill(servers[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(budget_and_breaker_limit_the_attempts_at_a_dead_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
