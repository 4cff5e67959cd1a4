/* Same seed, same clock, same outcomes: same waits, on every machine. */
#include "unit/registry/scene.h"

static const char rules[] =
    "[full]\nattempts = 8\nwait_initial = 100ms\nwait_max = 1m\n"
    "[equal]\nextends = full\nwait_jitter = equal\n"
    "[percent]\nextends = full\nwait_jitter = 20%\n"
    "[decorrelated]\nextends = full\nwait = decorrelated\nwait_factor = 3\n"
    "[spread]\nextends = full\nretry_after_spread = 1s\n";

enum { CALLS = 2, RETRIES = 7 };

/* Made once from these rules with seed 42.  A difference means that this
 * version or machine waits differently. */
static const struct {
    const char *name;
    uint64_t slept_ns[CALLS][RETRIES];
} table[] = {
#include "seed_table.h"
};

struct waits {
    uint64_t ns[64];
    size_t count;
};

static void
keep_wait(void *arg, const struct bide_call *c, uint32_t attempts,
          const struct bide_outcome *o, uint64_t wait_ns)
{
    struct waits *w = arg;

    (void)c;
    (void)attempts;
    (void)o;
    w->ns[w->count++ % 64] = wait_ns;
}

static struct waits
waits_of(struct scene *s, const char *name, uint64_t seed)
{
    struct bide_outcome bad = bide_http(503, NULL);
    struct waits w = {0};
    struct bide_hooks hooks = {.arg = &w, .before_wait = keep_wait};
    int i;

    if (strcmp(name, "spread") == 0) {
        bad = bide_outcome_after(bad, 2 * SECOND);
    }
    scene_close(s);
    scene_open_with(s, seed, &hooks);
    for (i = 0; i < CALLS; i++) {
        scene_run(s, name, &bad, 1, NULL);
    }
    return w;
}

static void
the_same_seed_gives_the_same_waits(void **state)
{
    struct scene *s = *state;
    size_t i;

    scene_start(s, rules);
    for (i = 0; i < COUNT(table); i++) {
        struct waits a = waits_of(s, table[i].name, 7);
        struct waits b = waits_of(s, table[i].name, 7);
        struct waits c = waits_of(s, table[i].name, 8);

        assert_int_equal(a.count, CALLS * RETRIES);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_memory_not_equal(&a, &c, sizeof(a));
        /* The two calls differ as well. */
        assert_memory_not_equal(a.ns, a.ns + RETRIES, RETRIES * sizeof(*a.ns));
    }
}

static void
waits_are_those_of_the_table(void **state)
{
    struct scene *s = *state;
    bool wrong = false;
    size_t i, n;

    scene_start(s, rules);
    for (i = 0; i < COUNT(table); i++) {
        struct waits w = waits_of(s, table[i].name, 42);

        for (n = 0; n < CALLS * RETRIES; n++) {
            uint64_t expected = table[i].slept_ns[n / RETRIES][n % RETRIES];

            if (w.ns[n] != expected) {
                wrong = true;
                print_error("%s %zu: %llu\n", table[i].name, n,
                            (unsigned long long)w.ns[n]);
            }
        }
    }
    assert_false(wrong);
}

static void
a_registry_opened_again_draws_other_waits(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);
    uint64_t slept[2];
    int i;

    scene_init(s);
    scene_apply(s, rules);
    for (i = 0; i < 2; i++) {
        struct bide_result r;

        scene_close(s);
        scene_open_with(s, 0, NULL); /* no seed */
        scene_run(s, "full", &bad, 1, &r);
        slept[i] = r.slept_ns;
    }
    assert_int_not_equal(slept[0], slept[1]);
}

static uint64_t
next_wait(struct scene *s)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct bide_result r;

    scene_run(s, "full", &bad, 1, &r);
    return r.slept_ns;
}

static void
a_forked_child_draws_other_waits(void **state)
{
    struct scene *s = *state;
    uint64_t theirs[2], ours;
    int pipes[2], i;

    scene_start(s, rules);
    next_wait(s);
    assert_int_equal(pipe(pipes), 0);
    for (i = 0; i < 2; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            uint64_t wait = next_wait(s);

            _exit(write(pipes[1], &wait, sizeof(wait)) != sizeof(wait));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(read(pipes[0], &theirs[i], 8), 8);
    }
    ours = next_wait(s);
    assert_int_not_equal(theirs[0], theirs[1]);
    assert_int_not_equal(theirs[0], ours);
    assert_int_not_equal(theirs[1], ours);
    close(pipes[0]);
    close(pipes[1]);
}

static struct bide_outcome
seeded_in_an_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    (void)attempt;
    s->made++;
    return bide_http(503, NULL);
}

/* Neither hooks nor the driver of a call change the draws. */
static void
every_driver_draws_the_same(void **state)
{
    struct scene *s = *state;
    struct bide_result run;
    struct bide_call tried = {0}, stepped = {0};
    enum bide_next next;

    scene_start(s, rules);
    scene_close(s);
    scene_open_with(s, 5, NULL);
    scene_call(scene_policy(s, "full"), seeded_in_an_attempt, s, &run);
    scene_close(s);
    scene_open_with(s, 5, NULL);
    BIDE_TRY(&tried, scene_policy(s, "full"))
    {
        bide_call_outcome(&tried, bide_http(503, NULL));
    }
    scene_close(s);
    scene_open_with(s, 5, NULL);
    next = bide_step_begin(&stepped, scene_policy(s, "full"), NULL);
    while (next != BIDE_DONE) {
        if (next == BIDE_GO) {
            next = bide_step_ended(&stepped, bide_http(503, NULL));
        } else {
            s->now = bide_step_deadline_ns(&stepped);
            next = bide_step_resume(&stepped);
        }
    }
    assert_int_equal(bide_call_result(&tried)->slept_ns, run.slept_ns);
    assert_int_equal(bide_call_result(&stepped)->slept_ns, run.slept_ns);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_same_seed_gives_the_same_waits),
        SCENE(waits_are_those_of_the_table),
        SCENE(a_registry_opened_again_draws_other_waits),
        SCENE(a_forked_child_draws_other_waits),
        SCENE(every_driver_draws_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
