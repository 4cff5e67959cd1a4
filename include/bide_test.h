/* Tests of programs that use bide, in C11 or C++: a registry of the test alone,
 * with a clock that stands still.  A wait moves the clock and takes no time.
 *
 *   bide_test_open(&t, NULL, "[pay]\nattempts = 3\nwait_jitter = none\n");
 *   BIDE_TEST_PLAY(&t, bide_http(503, NULL), bide_ok());
 *   pay(t.bide);           // the service; its attempts return
 *                          // bide_test_outcome(&t)
 *   bide_test_expect_story(&t, "http.503, 100ms, ok: succeeded");
 *   bide_test_close(&t);   // fails if a call is still open
 *
 * If cmocka.h is included before, a failed expectation fails the test of
 * cmocka; else it prints the reason and aborts.  Define BIDE_TEST_FAIL(text,
 * file, line) for another framework.  A test belongs to one thread. */
#ifndef BIDE_TEST_H
#define BIDE_TEST_H

#include <bide.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(BIDE_TEST_FAIL)
#elif defined(CMOCKA_H_)
#define BIDE_TEST_FAIL(text, file, line) \
    (print_error("%s\n", text), _fail(file, line))
#else
#define BIDE_TEST_FAIL(text, file, line) \
    (fprintf(stderr, "%s:%d: %s\n", file, line, text), abort())
#endif

static inline void
bide_test_fail_(const char *text, const char *file, int line)
{
    (void)file, (void)line;
    BIDE_TEST_FAIL(text, file, line);
}

/* ---- a registry for a test ---- */

/* The number of outcomes of a script, and of waits that are kept. */
#define BIDE_TEST_MAX 64

/* A test; the functions are below. */
struct bide_test {
    struct bide *bide; /* for the code under test */
    uint64_t now_ns;   /* the time: a program may add to it */
    uint64_t took_ns;  /* the time of each bide_test_outcome; 0 at first */
    struct bide_outcome script[BIDE_TEST_MAX];
    size_t outcomes, played;
    /* The last call: its waits, the first of which is before attempt 2, its
     * story, for bide_test_expect_story, and its end. */
    uint64_t wait_ns[BIDE_TEST_MAX];
    size_t waits;
    char story[1024];
    int is_over;
    struct bide_result result;
};

/* Adds to the story of a call; after the end of a call it begins another. */
static inline void
bide_test_add_(struct bide_test *t, const char *before, const char *text)
{
    size_t used = t->is_over ? 0 : strlen(t->story);

    if (t->is_over) {
        t->is_over = 0;
        t->waits = 0;
    }
    snprintf(t->story + used, sizeof(t->story) - used, "%s%s",
             used ? before : "", text);
}

static inline void
bide_test_ended_(void *arg, const struct bide_call *c,
                 const struct bide_attempt *attempt,
                 const struct bide_outcome *outcome, uint64_t took_ns)
{
    char name[BIDE_NAME_MAX + 16];

    (void)c, (void)attempt, (void)took_ns;
    bide_outcome_name(*outcome, name, sizeof(name));
    bide_test_add_((struct bide_test *)arg, ", ", name);
}

static inline void
bide_test_wait_(void *arg, const struct bide_call *c, uint32_t attempts,
                const struct bide_outcome *outcome, uint64_t wait_ns)
{
    struct bide_test *t = (struct bide_test *)arg;
    char text[32];

    (void)c, (void)attempts, (void)outcome;
    snprintf(text, sizeof(text), "%.9gms", (double)wait_ns / 1e6);
    bide_test_add_(t, ", ", text);
    if (t->waits < BIDE_TEST_MAX) {
        t->wait_ns[t->waits++] = wait_ns;
    }
}

static inline void
bide_test_verdict_(void *arg, const struct bide_call *c,
                   const struct bide_result *result)
{
    struct bide_test *t = (struct bide_test *)arg;

    (void)c;
    t->result = *result;
    bide_test_add_(t, ": ", bide_verdict_name(result->verdict));
    if (result->verdict != BIDE_SUCCEEDED) {
        bide_test_add_(t, " by ", bide_reason_name(result->reason));
    }
    t->is_over = 1;
}

static inline uint64_t
bide_test_now_(void *arg)
{
    return ((struct bide_test *)arg)->now_ns;
}

static inline void
bide_test_sleep_(void *arg, uint64_t until_ns)
{
    ((struct bide_test *)arg)->now_ns = until_ns;
}

/* Opens the registry of a test: private, with its clock at 1 s and always the
 * same random numbers.  `ini` (or NULL) declares the rules of policies.  `dir`
 * is NULL, or a registry with the policies to test; only work that a call
 * defers is written there. */
static inline void
bide_test_open(struct bide_test *t, const char *dir, const char *ini)
{
    struct bide_options options;
    struct bide_clock clock;
    struct bide_hooks hooks;
    int rc;

    memset(t, 0, sizeof(*t));
    memset(&hooks, 0, sizeof(hooks));
    memset(&options, 0, sizeof(options));
    t->now_ns = 1000000000;
    clock.arg = hooks.arg = t;
    clock.now_ns = bide_test_now_;
    clock.sleep_until_ns = bide_test_sleep_;
    hooks.after_attempt = bide_test_ended_;
    hooks.before_wait = bide_test_wait_;
    hooks.at_verdict = bide_test_verdict_;
    options.dir = dir ? dir : "/nonexistent";
    options.flags = BIDE_PRIVATE;
    options.seed = 1;
    options.clock = &clock;
    options.hooks = &hooks;
    options.hooks_size = sizeof(hooks);
    rc = bide_open_with(&options, sizeof(options), &t->bide);
    if (rc || (ini && (rc = bide_declare(t->bide, ini)))) {
        bide_test_fail_(rc == BIDE_EINPUT ? bide_declare_error()
                                          : bide_strerror(rc),
                        __FILE__, __LINE__);
    }
}

/* Ends the registry of a test; fails the test if a call is still open. */
static inline void
bide_test_close(struct bide_test *t)
{
    int running = bide_close(t->bide);

    t->bide = NULL;
    if (running) {
        bide_test_fail_("a call is still open", __FILE__, __LINE__);
    }
}

/* ---- scripted outcomes ---- */

/* Sets the outcomes of the next attempts; the last one is repeated. */
#define BIDE_TEST_PLAY(t, ...)                                        \
    do {                                                              \
        const struct bide_outcome bide_test_script[] = {__VA_ARGS__}; \
        bide_test_play((t), bide_test_script,                         \
                       sizeof(bide_test_script) /                     \
                           sizeof(bide_test_script[0]));              \
    } while (0)

static inline void
bide_test_play(struct bide_test *t, const struct bide_outcome *outcomes,
               size_t count)
{
    t->outcomes = count < BIDE_TEST_MAX ? count : BIDE_TEST_MAX;
    memcpy(t->script, outcomes, t->outcomes * sizeof(*outcomes));
    t->played = 0;
}

/* Lets took_ns pass, and returns the next outcome of the script; without a
 * script, success.  For what replaces the server in the code under test. */
static inline struct bide_outcome
bide_test_outcome(struct bide_test *t)
{
    t->now_ns += t->took_ns;
    if (t->played < t->outcomes) {
        t->played++;
    }
    return t->played ? t->script[t->played - 1] : bide_ok();
}

/* Is an attempt of the script, for bide_run; `arg` is a struct bide_test. */
static inline struct bide_outcome
bide_test_attempt(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    return bide_test_outcome((struct bide_test *)arg);
}

/* Runs a call of the script under a policy: what would this policy do?  Fails
 * the test if `name` is no name of a policy. */
static inline enum bide_verdict
bide_test_run(struct bide_test *t, const char *name)
{
    struct bide_policy *policy = NULL;
    int rc = bide_lookup(t->bide, name, NULL, &policy);

    if (rc) {
        bide_test_fail_(bide_strerror(rc), __FILE__, __LINE__);
        return BIDE_UNFINISHED;
    }
    return bide_run(policy, bide_test_attempt, t);
}

/* ---- expectations of the last call ---- */

/* Fails the test unless the last call had this story: the outcomes, the waits
 * between them, and the verdict, as in "http.503, 100ms, ok: succeeded" or
 * "errno.EIO: exhausted by attempts".  It is made for rules without random
 * waits. */
#define bide_test_expect_story(t, text)                                       \
    bide_test_expect_(strcmp((t)->story, (text)) == 0, (t), (text), __FILE__, \
                      __LINE__)

/* Fails the test, with the story of the last call, unless `condition` is true:
 * bide_test_expect(&t, t.result.attempts == 3 && t.wait_ns[0] < 100000000). */
#define bide_test_expect(t, condition) \
    bide_test_expect_((condition), (t), #condition, __FILE__, __LINE__)

static inline void
bide_test_expect_(int is_so, const struct bide_test *t, const char *expected,
                  const char *file, int line)
{
    char text[sizeof(t->story) + 256];

    if (!is_so) {
        snprintf(text, sizeof(text), "expected: %.200s\n     was: %s", expected,
                 t->story);
        bide_test_fail_(text, file, line);
    }
}

#endif
