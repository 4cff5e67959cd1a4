/* BIDE_PRIVATE: live state of this process only. */
#include "scene.h"

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>

static const char shop[] = "[shop]\nattempts = 2\nwait = none\n";

/* Returns a hash of all names, sizes, times and bytes of a directory. */
static uint64_t
directory_state(const char *path)
{
    char command[512], line[64] = "";
    FILE *f;

    snprintf(command, sizeof(command),
             "cd '%s' && { find . -printf '%%p %%s %%T@ %%C@ %%i\\n' | sort; "
             "find . -type f ! -size +100M -exec cat {} +; "
             "find . -type f -size +100M -exec head -c 80000000 {} \\; ; } "
             "| cksum",
             path);
    f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    pclose(f);
    return strtoull(line, NULL, 10);
}

/* Makes calls of every kind: they fail, wait, open a breaker, time out. */
static void
use_everything(struct scene *s)
{
    const struct bide_outcome bad = bide_http(503, NULL), good = bide_ok();
    struct bide_call call = {0};

    s->took_ns = 3600 * SECOND;
    scene_run(s, "shop", &good, 1, NULL);
    scene_run(s, "shop", &bad, 1, NULL);
    scene_run(s, "guarded", &bad, 1, NULL);
    scene_run(s, "unknown", &bad, 1, NULL);
    bide_step_begin(&call, scene_policy(s, "slow"), NULL);
    bide_step_ended(&call, bad);
    s->now += 7 * SECOND;
    bide_step_resume(&call);
    bide_call_abandon(&call);
    s->took_ns = 0;
}

static const char guarded[] =
    "[shop]\nattempts = 2\nwait = none\nbudget = shared\n"
    "[guarded]\nattempts = 1\nbreaker = on\nbreaker_consecutive = 1\n"
    "breaker_open_for = 1d\n"
    "[slow]\nattempts = 2\nwait_initial = 1h\nwait_max = 1h\n";

static void
nothing_is_written_to_the_state_of_the_host(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    struct bide_watch *watch;
    struct bide_policy *p;
    uint64_t live, registry;
    struct bide *shared;

    scene_start(s, guarded);
    assert_int_equal(bide_open(s->dir, 0, &shared), 0);
    assert_int_equal(bide_lookup(shared, "shop", NULL, &p), 0);
    assert_int_equal(bide_close(shared), 0);
    live = directory_state(s->live);
    registry = directory_state(s->dir);
    use_everything(s);
    assert_int_equal(bide_watch_new(s->b, &watch), 0);
    bide_watch_clear(watch);
    bide_watch_free(watch);
    assert_int_equal(bide_registry_status(s->b), 0);
    assert_int_equal(scene_stats(s, "shop").attempts, 3);
    assert_int_equal(scene_run(s, "guarded", &bad, 1, NULL), BIDE_REFUSED);
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
    assert_int_equal(directory_state(s->live), live);
    assert_int_equal(directory_state(s->dir), registry);
    assert_int_equal(scene_sleepers(s), 0);
    /* The breaker of the host is closed. */
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    assert_int_equal(scene_run(s, "guarded", &bad, 1, NULL), BIDE_EXHAUSTED);
    assert_int_equal(scene_stats(s, "guarded").refused, 0);
}

static void
the_live_directory_need_not_exist(void **state)
{
    struct scene *s = *state;

    scene_start(s, guarded);
    scene_close(s);
    scene_remove(s->live);
    scene_open(s);
    use_everything(s);
    assert_int_equal(bide_registry_status(s->b), 0);
    assert_int_equal(scene_attempts(s, "shop"), 2);
    assert_int_equal(access(s->live, F_OK), -1);
}

static void
the_live_directory_may_be_read_only(void **state)
{
    struct scene *s = *state;
    pid_t child;
    int status;

    scene_start(s, guarded);
    assert_int_equal(bide_close(s->b), 0);
    s->b = NULL;
    child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount(s->live, s->live, NULL, MS_BIND, NULL) ||
            mount(NULL, s->live, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
                  NULL)) {
            _exit(77);
        }
        scene_open(s);
        use_everything(s);
        MUST(bide_registry_status(s->b) == 0);
        MUST(scene_attempts(s, "shop") == 2);
        _exit(bide_close(s->b) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status == 77 << 8) {
        print_message("         skipped: no mount is permitted\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void
only_a_private_registry_takes_a_clock(void **state)
{
    struct scene *s = *state;
    struct bide_clock clock = {s, scene_now, scene_sleep};
    struct bide_options o = {.dir = s->dir, .clock = &clock};
    struct bide *b = NULL;

    scene_init(s);
    assert_int_equal(bide_open_with(&o, sizeof(o), &b), BIDE_EINVAL);
    assert_null(b);
    o.flags = BIDE_PRIVATE;
    assert_int_equal(bide_open_with(&o, sizeof(o), &b), 0);
    assert_int_equal(bide_record_every(b, SECOND), BIDE_EINVAL);
    assert_int_equal(bide_close(b), 0);
    clock.now_ns = NULL;
    assert_int_equal(bide_open_with(&o, sizeof(o), &b), BIDE_EINVAL);
    o.clock = NULL;
    o.flags = 0;
    assert_int_equal(bide_open_with(&o, sizeof(o), &b), 0);
    assert_int_equal(bide_record_every(b, 0), 0);
    assert_int_equal(bide_close(b), 0);
    for (unsigned flag = 2; flag; flag <<= 1) {
        assert_int_equal(bide_open(s->dir, BIDE_PRIVATE | flag, &b),
                         BIDE_EINVAL);
    }
}

/* ---- following ---- */

static void
calls_that_succeed_follow_a_pause_too(void **state)
{
    const struct bide_outcome good = bide_ok();
    struct scene *s = *state;

    scene_start(s, shop);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(scene_run(s, "shop", &good, 1, NULL), BIDE_SUCCEEDED);
        scene_set(s, "shop", "paused", "yes");
        assert_int_equal(scene_run(s, "shop", &good, 1, NULL), BIDE_REFUSED);
        scene_set(s, "shop", "paused", "no");
    }
    scene_delete(s, "shop");
    assert_int_equal(scene_attempts(s, "shop"), 1);
}

/* A call looks at the registry if nobody did for a ms.  One that begins right
 * after the look of another policy knows of the change, too. */
static void
a_look_is_for_all_policies(void **state)
{
    const struct bide_outcome good = bide_ok();
    struct scene *s = *state;

    assert_int_equal(bide_open(s->dir, BIDE_PRIVATE, &s->b), 0);
    scene_run(s, "shop", &good, 1, NULL);
    scene_run(s, "busy", &good, 1, NULL);
    scene_init(s);
    for (int i = 0; i < 20; i++) {
        scene_apply(s, "[shop]\npaused = yes\n[busy]\nattempts = 2\n");
        usleep(2000);
        scene_run(s, "busy", &good, 1, NULL);
        assert_int_equal(scene_run(s, "shop", &good, 1, NULL), BIDE_REFUSED);
        scene_set(s, "shop", "paused", "no");
        usleep(2000);
        scene_run(s, "busy", &good, 1, NULL);
        assert_int_equal(scene_run(s, "shop", &good, 1, NULL), BIDE_SUCCEEDED);
    }
}

static void
shorten_the_wait(struct scene *s)
{
    if (s->sleeps == 3) {
        scene_set(s, "slow", "wait_initial", "20s");
    }
}

static void
a_waiting_call_looks_every_5_s_of_its_clock(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    struct bide_result r;

    scene_start(s, "[slow]\nattempts = 2\nwait = fixed\nwait_initial = 1h\n"
                   "wait_max = 1h\nwait_jitter = none\n");
    s->on_sleep = shorten_the_wait;
    scene_run(s, "slow", &bad, 1, &r);
    assert_int_equal(r.attempts, 2);
    assert_int_equal(r.slept_ns, 20 * SECOND);
}

static void
a_watch_tells_event_loops_of_a_change(void **state)
{
    struct scene *s = *state;
    struct pollfd p = {.events = POLLIN};
    struct bide_call call = {0};
    struct bide_watch *w;

    scene_start(s, "[slow]\nattempts = 2\nwait_initial = 1h\nwait_max = 1h\n");
    assert_int_equal(bide_watch_new(s->b, &w), 0);
    p.fd = bide_watch_fd(w);
    bide_step_begin(&call, scene_policy(s, "slow"), w);
    assert_int_equal(bide_step_ended(&call, bide_http(503, NULL)), BIDE_WAIT);
    bide_watch_clear(w);
    scene_set(s, "slow", "wait", "none");
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(bide_watch_clear(w), 1);
    assert_int_equal(bide_step_resume(&call), BIDE_GO);
    bide_call_abandon(&call);
    bide_watch_free(w);
}

static void
a_recreated_registry_is_followed(void **state)
{
    struct scene *s = *state;

    scene_start(s, "[shop]\nattempts = 4\nwait = none\n");
    assert_int_equal(scene_attempts(s, "shop"), 4);
    scene_remove(s->dir);
    scene_init(s);
    scene_apply(s, "[shop]\nattempts = 3\nwait = none\n");
    assert_int_equal(scene_attempts(s, "shop"), 3);
}

static void
children_share_the_state_with_their_parent(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    struct scene *s = *state;
    pid_t child;

    scene_start(s, guarded);
    assert_int_equal(scene_attempts(s, "shop"), 2);
    child = fork();
    if (child == 0) {
        MUST(scene_run(s, "guarded", &bad, 1, NULL) == BIDE_EXHAUSTED);
        _exit(scene_attempts(s, "shop") != 2);
    }
    scene_wait_for(child);
    assert_int_equal(scene_stats(s, "shop").attempts, 4);
    assert_int_equal(scene_run(s, "guarded", &bad, 1, NULL), BIDE_REFUSED);
}

static void
work_is_deferred_to_the_registry(void **state)
{
    const struct bide_outcome bad = bide_http(503, NULL);
    const struct bide_work work = {.bytes = "x", .length = 1};
    struct scene *s = *state;
    struct bide_call c = {0};
    struct bide_deferred *d;
    struct bide_policy *p;
    struct bide *shared;

    scene_start(s, "[shop]\nattempts = 1\nimportance = postponable\n"
                   "defer_wait = 1s\n");
    scene_set_clock(s->b, NULL);
    s->outcomes = &bad;
    s->outcome_count = 1;
    assert_int_equal(bide_call_set_work(&c, &work), 0);
    bide_call_run(&c, scene_policy(s, "shop"), scene_attempt, s);
    assert_int_equal(bide_call_result(&c)->end, BIDE_END_DEFERRED);
    assert_int_equal(bide_open(s->dir, 0, &shared), 0);
    assert_int_equal(bide_lookup(shared, "shop", NULL, &p), 0);
    assert_int_equal(
        bide_deferred_take(p, scene_monotonic() + 60 * SECOND, 1, &d), 1);
    assert_int_equal(d->id, bide_call_result(&c)->deferred_id);
    bide_deferred_free(d);
    assert_int_equal(bide_close(shared), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(nothing_is_written_to_the_state_of_the_host),
        SCENE(the_live_directory_need_not_exist),
        SCENE(the_live_directory_may_be_read_only),
        SCENE(only_a_private_registry_takes_a_clock),
        SCENE(calls_that_succeed_follow_a_pause_too),
        SCENE(a_look_is_for_all_policies),
        SCENE(a_waiting_call_looks_every_5_s_of_its_clock),
        SCENE(a_watch_tells_event_loops_of_a_change),
        SCENE(a_recreated_registry_is_followed),
        SCENE(children_share_the_state_with_their_parent),
        SCENE(work_is_deferred_to_the_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
