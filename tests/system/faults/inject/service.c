/* A service that uses the whole API.  `service DIR ACTION` prints nothing and
 * exits 0, or prints the function that failed and exits 1. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>

static struct bide_outcome
fail_once(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

/* Calls go on whatever fails below them. */
static int
run_calls(struct bide_policy *p)
{
    struct bide_call c;

    bide_call_init(&c);
    for (int i = 0; i < 3; i++) {
        bide_call_run(&c, p, fail_once, NULL);
        if (bide_call_result(&c)->attempts < 1) {
            return BIDE_EINVAL;
        }
    }
    return 0;
}

static int
put_work(struct bide_policy *p, size_t length)
{
    static char bytes[100000];

    struct bide_work work = {.bytes = bytes, .length = length};

    return bide_defer(p, &work, NULL);
}

static int
take_work(struct bide_policy *p, bool completes, const char **out_failed)
{
    struct bide_deferred *d;
    int rc = bide_deferred_take(p, 0, 1, &d);

    if (rc <= 0) {
        return rc < 0 ? rc : BIDE_ENOWORK;
    }
    *out_failed = "end";
    rc = completes ? bide_deferred_ack(p, d)
                   : bide_deferred_nack(p, d, "not now");
    bide_deferred_free(d);
    return rc;
}

static int
act(struct bide_policy *p, const char *action, const char **out_failed)
{
    *out_failed = action;
    if (strcmp(action, "run") == 0) {
        return run_calls(p);
    }
    if (strcmp(action, "put") == 0) {
        return put_work(p, 100);
    }
    if (strcmp(action, "put-large") == 0) {
        return put_work(p, 100000);
    }
    return take_work(p, strcmp(action, "ack") == 0, out_failed);
}

int
main(int argc, char **argv)
{
    struct bide *b = NULL;
    struct bide_policy *p;
    const char *failed = "open";
    int rc;

    if (argc != 3) {
        return 2;
    }
    rc = bide_open(argv[1], 0, &b);
    if (!rc) {
        failed = "lookup";
        rc = bide_lookup(b, "mail", NULL, &p);
    }
    rc = rc ? rc : act(p, argv[2], &failed);
    if (rc) {
        fprintf(stderr, "bide: %s: %s\n", failed, bide_strerror(rc));
    }
    if (bide_close(b) && !rc) {
        fprintf(stderr, "bide: close\n");
        rc = 1;
    }
    return rc ? 1 : 0;
}
