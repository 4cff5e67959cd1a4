/* A program and a library that know different versions of bide.h.  grown.py
 * builds it with the header of the tree and with one whose structures have more
 * fields (BIDE_GROWN), and runs each with the other's library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>

#define MUST(condition)                                             \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            exit(1);                                                \
        }                                                           \
    } while (0)

static const unsigned char guard[64] = {
    0xa5, 0x5a, 0xc3, 0x3c, 0x99, 0x66, 0xf0, 0x0f, 0xa5, 0x5a, 0xc3, 0x3c,
};

/* A structure of the caller with bytes behind it that stay as they are. */
#define GUARDED(type)                        \
    struct {                                 \
        type it;                             \
        unsigned char behind[sizeof(guard)]; \
    }
#define SET_GUARD(g) memcpy((g).behind, guard, sizeof(guard))
#define CHECK_GUARD(g) MUST(memcmp((g).behind, guard, sizeof(guard)) == 0)

static int attempts_seen, verdicts_seen;

static void
see_attempt(void *arg, const struct bide_call *c,
            const struct bide_attempt *attempt)
{
    MUST(arg == &attempts_seen);
    MUST(bide_call_attempt(c) == attempt);
    attempts_seen++;
}

static void
see_verdict(void *arg, const struct bide_call *c,
            const struct bide_result *result)
{
    MUST(arg == &attempts_seen);
    MUST(bide_call_result(c) == result);
    verdicts_seen++;
}

static struct bide_outcome
fail_twice(const struct bide_attempt *attempt, void *arg)
{
    (*(int *)arg)++;
    MUST(attempt->timeout_ns == UINT64_C(30000000000));
    MUST(bide_attempt_poll_ms(attempt) > 29000);
    return attempt->number < 3 ? bide_http(503, NULL) : bide_ok();
}

static struct bide *
open_with_hooks(const char *dir)
{
    struct bide_hooks hooks = {.arg = &attempts_seen,
                               .before_attempt = see_attempt,
                               .at_verdict = see_verdict};
    struct bide_options options = {.dir = dir,
                                   .flags = BIDE_PRIVATE,
                                   .seed = 7,
                                   .hooks = &hooks,
                                   .hooks_size = sizeof(hooks)};
    struct bide *b = NULL;

    MUST(bide_open_with(&options, sizeof(options), &b) == 0);
    return b;
}

/* A field that the library does not know must be 0. */
static void
check_unknown_options(const char *dir, int library_is_grown)
{
    unsigned char bytes[sizeof(struct bide_options) + 64] = {0};
    struct bide_options options = {.dir = dir};
    struct bide *b = NULL;

    memcpy(bytes, &options, sizeof(options));
    MUST(bide_open_with((const void *)bytes, sizeof(bytes), &b) == 0);
    bide_close(b);
    bytes[sizeof(bytes) - 1] = 1;
    MUST(bide_open_with((const void *)bytes, sizeof(bytes), &b) == BIDE_EINVAL);
#ifdef BIDE_GROWN
    options.grown[0] = 1;
    MUST(bide_open_with(&options, sizeof(options), &b) ==
         (library_is_grown ? 0 : BIDE_EINVAL));
    if (library_is_grown) {
        bide_close(b);
    }
#else
    (void)library_is_grown;
#endif
}

static void
check_call(struct bide_policy *p)
{
    GUARDED(struct bide_call) g;
    const struct bide_result *r;
    int made = 0;

    SET_GUARD(g);
    bide_call_init(&g.it);
    MUST(bide_call_run(&g.it, p, fail_twice, &made) == BIDE_SUCCEEDED);
    r = bide_call_result(&g.it);
    MUST(made == 3 && attempts_seen == 3 && verdicts_seen == 1);
    MUST(r->attempts == 3 && r->verdict == BIDE_SUCCEEDED);
    MUST(r->outcome.domain == BIDE_DOMAIN_OK && r->defer_error == 0);
    CHECK_GUARD(g);
    MUST(bide_call_size() == sizeof(struct bide_call));
}

static void
check_stats(struct bide_policy *p)
{
    GUARDED(struct bide_stats) g;

    memset(&g.it, 0xff, sizeof(g.it));
    SET_GUARD(g);
    MUST(bide_read_stats(p, sizeof(g.it), &g.it) == 0);
    MUST(g.it.succeeded == 1 && g.it.retries == 2);
    MUST(g.it.latency_failed.count == 2);
#ifdef BIDE_GROWN
    MUST(g.it.grown[0] == 0 && g.it.grown[3] == 0);
#endif
    CHECK_GUARD(g);
}

static void
check_deferred(struct bide_policy *p)
{
    struct bide_work work = {
        .bytes = "sale 17", .length = 7, .type = "text/plain", .key = "17"};
    GUARDED(struct bide_deferred *) g[2];
    struct bide_deferred *taken[2] = {NULL, NULL};
    uint64_t id, again;

    SET_GUARD(g[0]);
    MUST(bide_defer(p, &work, &id) == 0 && bide_defer(p, &work, &again) == 0);
    MUST(id == again);
    MUST(bide_deferred_take(p, 0, 1, &g[0].it) == 1);
    CHECK_GUARD(g[0]);
    MUST(g[0].it->id == id && g[0].it->length == 7);
    MUST(memcmp(g[0].it->bytes, "sale 17", 7) == 0);
    MUST(strcmp(g[0].it->type, "text/plain") == 0);
    MUST(strcmp(g[0].it->key, "17") == 0 && !*g[0].it->last_error);
    MUST(bide_deferred_extend(p, g[0].it) == 0);
    MUST(bide_deferred_take(p, 0, 2, taken) == 0 && !taken[0]);
    MUST(bide_deferred_ack(p, g[0].it) == 0);
    bide_deferred_free(g[0].it);
    work.reserved[0] = 1;
    MUST(bide_defer(p, &work, &id) == BIDE_EINVAL);
}

int
main(int argc, char **argv)
{
    struct bide_policy *p;
    struct bide *b;

    MUST(argc == 3); /* DIR, and "grown" if the library is */
    b = open_with_hooks(argv[1]);
    MUST(bide_lookup(b, "shop", NULL, &p) == 0);
    check_unknown_options(argv[1], strcmp(argv[2], "grown") == 0);
    check_call(p);
    check_stats(p);
    check_deferred(p);
    MUST(bide_close(b) == 0);
    printf("%s library: good\n", argv[2]);
    return 0;
}
