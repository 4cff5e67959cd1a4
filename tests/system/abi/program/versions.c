/* A service for versions.py, which runs it with an older and a newer library.
 * For each line of standard input it makes a call that fails, or defers work,
 * and prints one line: what was in force, and what bide_registry_status says. */
#include <stdio.h>
#include <string.h>

#include <bide.h>

static struct bide_outcome
fail(const struct bide_attempt *attempt, void *arg)
{
    *(uint32_t *)arg = attempt->number;
    return bide_http(503, NULL);
}

static void
make_call(struct bide *b, struct bide_policy *p)
{
    static const char *const sources[] = {"builtin", "declared", "default",
                                          "registry"};
    uint32_t version = 0, attempts = 0;
    int source;

    (void)bide_run(p, fail, &attempts);
    source = bide_policy_source(p, &version);
    printf("%s version %u, %u attempts, status %d\n", sources[source], version,
           attempts, bide_registry_status(b));
}

static void
defer_work(struct bide_policy *p)
{
    const struct bide_work work = {.bytes = "x", .length = 1};

    printf("deferred: %d\n", bide_defer(p, &work, NULL));
}

int
main(int argc, char **argv)
{
    struct bide_policy *p;
    char line[64];
    struct bide *b;

    if (argc < 2 || bide_open(argv[1], 0, &b) ||
        bide_declare(b, "[shop]\nattempts = 2\nwait = none\n") ||
        bide_lookup(b, "shop", NULL, &p)) {
        return 1;
    }
    while (fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "defer\n") == 0) {
            defer_work(p);
        } else {
            make_call(b, p);
        }
        fflush(stdout);
    }
    bide_close(b);
    return 0;
}
