/* A registry that is closed while calls run is listed until they have ended. */
#define SCENE_FLAGS 0
#include "scene.h"

#include "doctor/doctor.h"

static const char shop[] = "[shop]\nattempts = 2\nwait_initial = 1h\n"
                           "wait_max = 1h\nwait_jitter = none\n";

/* Returns the number of calls in progress that doctor finds for closed
 * registries. */
static uint64_t
find_unended(struct scene *s, char words[400])
{
    struct doctor_report r;
    uint64_t count = 0;

    assert_int_equal(admin_doctor(s->dir, 1 << 20, &r), 0);
    for (size_t i = 0; i < r.count; i++) {
        if (r.findings[i].id == FINDING_CALLS_UNENDED) {
            count += r.findings[i].count;
            strcpy(words, r.findings[i].words);
            assert_true(r.findings[i].age_ns < 600 * SECOND);
        }
        assert_int_not_equal(r.findings[i].id, FINDING_WAITING_CALLS_DEAD);
    }
    doctor_free(&r);
    return count;
}

static void
calls_that_outlive_bide_close_are_named_until_they_end(void **state)
{
    struct scene *s = *state;
    struct bide_call attempt = {0}, waiting = {0};
    char words[400] = "", self[32];

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    bide_step_begin(&attempt, scene_policy(s, "shop"), NULL);
    bide_step_begin(&waiting, scene_policy(s, "shop"), NULL);
    assert_int_equal(bide_step_ended(&waiting, bide_http(503, NULL)),
                     BIDE_WAIT);
    assert_int_equal(find_unended(s, words), 0);
    assert_int_equal(bide_close(s->b), 2);
    s->b = NULL;
    assert_int_equal(find_unended(s, words), 2);
    snprintf(self, sizeof(self), " (pid %d)", (int)getpid());
    assert_non_null(strstr(words, self));
    assert_int_equal(scene_sleepers(s), 1);
    bide_call_abandon(&waiting);
    assert_int_equal(scene_sleepers(s), 0);
    assert_int_equal(find_unended(s, words), 2);
    bide_step_ended(&attempt, bide_ok());
    assert_int_equal(find_unended(s, words), 0);
}

static void
a_registry_without_calls_leaves_nothing(void **state)
{
    struct scene *s = *state;
    struct bide_call call = {0};
    struct bide_policy *p;
    char words[400];
    struct bide *b;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    bide_step_begin(&call, scene_policy(s, "shop"), NULL);
    bide_step_ended(&call, bide_ok());
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
    assert_int_equal(find_unended(s, words), 0);
    /* nor does private live state */
    assert_int_equal(bide_open(s->dir, BIDE_PRIVATE, &b), 0);
    assert_int_equal(bide_lookup(b, "shop", NULL, &p), 0);
    bide_step_begin(&call, p, NULL);
    assert_int_equal(bide_close(b), 1);
    assert_int_equal(find_unended(s, words), 0);
    bide_call_abandon(&call);
}

static void
a_killed_process_is_not_named(void **state)
{
    struct scene *s = *state;
    char words[400];
    int ready[2];
    char byte;
    pid_t child;

    scene_init(s);
    scene_apply(s, shop);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct bide_call call = {0};
        struct bide_policy *p;
        struct bide *b;

        MUST(bide_open(s->dir, 0, &b) == 0);
        MUST(bide_lookup(b, "shop", NULL, &p) == 0);
        MUST(bide_step_begin(&call, p, NULL) == BIDE_GO);
        MUST(bide_close(b) == 1);
        MUST(write(ready[1], "", 1) == 1);
        pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(find_unended(s, words), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    scene_reap(child);
    assert_int_equal(find_unended(s, words), 0);
    close(ready[0]);
    close(ready[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(calls_that_outlive_bide_close_are_named_until_they_end),
        SCENE(a_registry_without_calls_leaves_nothing),
        SCENE(a_killed_process_is_not_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
