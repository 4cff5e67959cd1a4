/* Runs calls of `payments`, whose first attempt fails, until SIGTERM.  Prints
 * "changed" when the first call is not retried any more, and at the end how many
 * calls there were and how many attempts. */
#include <bide.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t ended;

static void
end(int number)
{
    (void)number;
    ended = 1;
}

static struct bide_outcome
fail_once(const struct bide_attempt *attempt, void *arg)
{
    ++*(unsigned long *)arg;
    return attempt->number == 1 ? bide_errno(ECONNRESET) : bide_ok();
}

int
main(void)
{
    struct bide *b;
    struct bide_policy *payments;
    unsigned long calls = 0, attempts = 0, once = 0;

    signal(SIGTERM, end);
    if (bide_open(NULL, 0, &b) || bide_lookup(b, "payments", NULL, &payments)) {
        return 1;
    }
    while (!ended) {
        calls++;
        if (bide_run(payments, fail_once, &attempts) != BIDE_SUCCEEDED &&
            !once++) {
            puts("changed");
            fflush(stdout);
        }
    }
    printf("%lu calls, %lu attempts, %lu failed\n", calls, attempts, once);
    return bide_close(b);
}
