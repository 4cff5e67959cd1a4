/* busy DIR POLICIES ROUNDS: makes a call of each policy, "policy-0" and so on,
 * ROUNDS times, about a second apart; a tenth of the calls fail once.  Writes a
 * line after the last round, and waits until its input ends. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bide.h>
#include "race.h"

static struct bide_outcome
fail_sometimes(const struct bide_attempt *attempt, void *arg)
{
    int *left = arg;

    (void)attempt;
    return (*left)-- > 0 ? bide_http(503, NULL) : bide_ok();
}

int
main(int argc, char **argv)
{
    struct bide_policy **p;
    struct bide *b;
    long count, rounds;
    char byte;

    if (argc != 4) {
        race_stop("busy", "DIR POLICIES ROUNDS");
    }
    count = race_number(argv[2]);
    rounds = race_number(argv[3]);
    p = calloc((size_t)count, sizeof(struct bide_policy *));
    if (!p || bide_open(argv[1], 0, &b)) {
        race_stop(argv[1], "cannot be opened");
    }
    for (long r = 0; r < rounds; r++) {
        for (long i = 0; i < count; i++) {
            char name[32];
            int left = (r + i) % 10 == 0;

            snprintf(name, sizeof(name), "policy-%ld", i);
            if (!p[i] && bide_lookup(b, name, NULL, &p[i])) {
                race_stop(name, "cannot be looked up");
            }
            bide_run(p[i], fail_sometimes, &left);
        }
        if (r + 1 < rounds) {
            sleep(1);
        }
    }
    puts("ready");
    fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) < 0;
}
