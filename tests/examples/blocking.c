/* Asks a server for a quote: at most 2 s, whatever the policy says. */
#include <bide.h>
#include <stdio.h>
#include <time.h>

static const char declared[] = "[get_quote]\n"
                               "attempts = 4\n"
                               "wait_initial = 10ms\n"
                               "retry_on = transient\n";

/* The server answers "unavailable" twice, then with a quote. */
static struct bide_outcome
get_quote(const struct bide_attempt *attempt, void *arg)
{
    int *quote = arg;

    if (attempt->number < 3) {
        return bide_http(503, NULL);
    }
    *quote = 42;
    return bide_http(200, NULL);
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int
main(void)
{
    enum bide_verdict verdict;
    struct bide_policy *policy;
    struct bide_call call;
    struct bide *bide;
    int rc, quote = 0;

    rc = bide_open(NULL, 0, &bide);
    if (rc) {
        fprintf(stderr, "bide_open: %s\n", bide_strerror(rc));
        return 1;
    }
    if (bide_declare(bide, declared)) {
        fprintf(stderr, "%s\n", bide_declare_error());
    }
    rc = bide_lookup(bide, "get_quote", NULL, &policy);
    if (rc) {
        fprintf(stderr, "bide_lookup: %s\n", bide_strerror(rc));
        bide_close(bide);
        return 1;
    }
    bide_call_init(&call);
    bide_call_set_deadline_ns(&call, now_ns() + 2000000000);
    verdict = bide_call_run(&call, policy, get_quote, &quote);
    printf("%s after %u attempts: %d\n", bide_verdict_name(verdict),
           bide_call_result(&call)->attempts, quote);
    bide_close(bide);
    return verdict == BIDE_SUCCEEDED ? 0 : 1;
}
