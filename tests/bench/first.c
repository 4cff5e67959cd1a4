/* first DIR: opens the registry and makes one call that fails.  Writes two
 * times, as uint64_t: when main began, and when the call had ended. */
#include <errno.h>
#include <unistd.h>

#include <bide.h>
#include "race.h"

static struct bide_outcome
refuse_connection(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_errno(ECONNREFUSED);
}

int
main(int argc, char **argv)
{
    uint64_t times[2] = {race_now_ns()};
    struct bide_policy *p;
    struct bide *b;

    if (argc != 2 || bide_open(argv[1], 0, &b) ||
        bide_lookup(b, "once", NULL, &p) ||
        bide_run(p, refuse_connection, NULL) != BIDE_EXHAUSTED) {
        return 1;
    }
    times[1] = race_now_ns();
    return write(STDOUT_FILENO, times, sizeof(times)) != sizeof(times);
}
