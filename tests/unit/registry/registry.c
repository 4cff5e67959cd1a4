/* Opening, declaring, looking up, closing, forking. */
#define SCENE_FLAGS 0
#include "scene.h"

#include <sched.h>

static uint32_t
attempts_of(struct scene *s, const char *name)
{
    const struct bide_outcome bad = bide_http(503, NULL);

    scene_run(s, name, &bad, 1, NULL);
    return (uint32_t)s->made;
}

/* ---- open, status, close ---- */

static void
opening_without_a_registry_succeeds_and_reports_it(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_registry_status(s->b), BIDE_EMISSING);
    assert_int_equal(attempts_of(s, "shop"), 1);
    assert_int_equal(scene_stats(s, "shop").attempts_failed, 1);
}

static void
opening_refuses_invalid_arguments(void **state)
{
    struct scene *s = *state;
    struct bide *b = (struct bide *)(void *)s;
    char *longest = malloc(5001);

    assert_non_null(longest);
    memset(longest, 'a', 5000);
    longest[5000] = '\0';
    assert_int_equal(bide_open("", 0, &b), BIDE_EINVAL);
    assert_int_equal(bide_open(longest, 0, &b), BIDE_EINVAL);
    assert_int_equal(bide_open(s->dir, 2, &b), BIDE_EINVAL);
    assert_int_equal(bide_open(s->dir, 0, NULL), BIDE_EINVAL);
    assert_ptr_equal(b, s);
    assert_int_equal(bide_registry_status(NULL), BIDE_EINVAL);
    free(longest);
}

static void
closing_nothing_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(bide_close(NULL), 0);
}

static void
many_registries_open_at_once(void **state)
{
    struct scene *s = *state;
    struct bide *b[40];
    size_t i;

    scene_init(s);
    for (i = 0; i < COUNT(b); i++) {
        assert_int_equal(bide_open(s->dir, 0, &b[i]), 0);
        assert_int_equal(bide_registry_status(b[i]), 0);
    }
    for (i = 0; i < COUNT(b); i++) {
        assert_int_equal(bide_close(b[i]), 0);
    }
}

static void
opening_and_closing_leaves_no_descriptor(void **state)
{
    struct scene *s = *state;
    int before, after, i;

    scene_start(s, "[shop]\nattempts = 2\n");
    before = dup(0);
    close(before);
    for (i = 0; i < 10; i++) {
        struct bide *b;
        struct bide_policy *p;
        struct bide_watch *watch;

        assert_int_equal(bide_open(s->dir, 0, &b), 0);
        assert_int_equal(bide_lookup(b, "shop", NULL, &p), 0);
        assert_int_equal(bide_watch_new(b, &watch), 0);
        bide_watch_free(watch);
        assert_int_equal(bide_close(b), 0);
    }
    after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

/* ---- declare ---- */

static void
wrong_declarations_change_nothing_and_report_the_line(void **state)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"[shop]\nattempts = some\n", "declared:2: attempts"},
        {"[shop]\n\nattemps = 2\n", "declared:3: attemps"},
        {"[a]\nextends = nowhere\n", "nowhere"},
        {"[a]\nextends = b\n[b]\nextends = a\n", "declared:"},
        {"[shop]\nattempts = 2\n[shop]\nattempts = 3\n", "declared:3"},
        {"[SHOP]\nattempts = 2\n", "declared:1"},
        {"attempts = 2\n", "declared:1"},
        {"", "declared"},
        {"[fine]\nattempts = 9\n[shop]\nwait = often\n", "declared:4: wait"},
    };
    struct scene *s = *state;
    size_t i;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[shop]\nattempts = 3\nwait = none\n"),
                     0);
    assert_string_equal(bide_declare_error(), "");
    for (i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(bide_declare(s->b, wrong[i].text), BIDE_EINPUT);
        if (!strstr(bide_declare_error(), wrong[i].says)) {
            fail_msg("%s: not in: %s", wrong[i].says, bide_declare_error());
        }
        assert_int_equal(attempts_of(s, "shop"), 3);
        assert_int_equal(attempts_of(s, "fine"), 1);
    }
    assert_int_equal(bide_declare(s->b, NULL), BIDE_EINVAL);
    assert_int_equal(bide_declare(NULL, ""), BIDE_EINVAL);
    assert_int_equal(attempts_of(s, "shop"), 3);
}

static void
a_later_declaration_replaces_its_name_only(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[a]\nattempts = 2\nwait = none\n"
                                        "[b]\nattempts = 3\nwait = none\n"),
                     0);
    assert_int_equal(attempts_of(s, "a"), 2);
    assert_int_equal(bide_declare(s->b, "[a]\nattempts = 5\nwait = none\n"), 0);
    assert_int_equal(attempts_of(s, "a"), 5);
    assert_int_equal(attempts_of(s, "b"), 3);
}

static void
declared_policies_may_extend_each_other(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[child]\nextends = base\n"
                                        "[base]\nattempts = 4\nwait = none\n"),
                     0);
    assert_int_equal(attempts_of(s, "child"), 4);
    assert_int_equal(bide_declare(s->b, "[grandchild]\nextends = child\n"), 0);
    assert_int_equal(attempts_of(s, "grandchild"), 4);
    /* The replacement of a parent changes the policies that extend it. */
    assert_int_equal(bide_declare(s->b, "[base]\nattempts = 6\nwait = none\n"),
                     0);
    assert_int_equal(attempts_of(s, "child"), 6);
    assert_int_equal(attempts_of(s, "grandchild"), 6);
}

/* A replacement that would make declared policies invalid. */
static void
a_declaration_cannot_extend_itself_in_a_circle(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[base]\nattempts = 4\nwait = none\n"
                                        "[child]\nextends = base\n"),
                     0);
    assert_int_equal(bide_declare(s->b, "[base]\nextends = child\n"),
                     BIDE_EINPUT);
    assert_int_equal(attempts_of(s, "child"), 4);
}

static void
a_declared_policy_can_be_paused_and_limited(void **state)
{
    const struct bide_outcome ok = bide_ok();
    struct scene *s = *state;

    scene_open(s);
    assert_int_equal(bide_declare(s->b, "[p]\npaused = yes\n"
                                        "[t]\nattempt_timeout = 20ms\n"
                                        "[c]\nretry_on = http.202\n"
                                        "attempts = 2\nwait = none\n"),
                     0);
    assert_int_equal(scene_run(s, "p", &ok, 1, NULL), BIDE_REFUSED);
    assert_int_equal(scene_run(s, "t", &ok, 1, NULL), BIDE_SUCCEEDED);
    assert_int_equal(s->told[0].timeout_ns, 20 * MS);
    assert_int_equal(bide_declare(s->b, "[t]\nattempts = 2\n"), 0);
    scene_run(s, "t", &ok, 1, NULL);
    assert_int_equal(s->told[0].timeout_ns, UINT64_MAX);
}

/* ---- lookup ---- */

static void
invalid_names_are_refused(void **state)
{
    static const char *const bad[] = {
        "",     "-a",
        ".a",   "_a",
        "Shop", "a b",
        "a/b",  "caf\xc3\xa9",
        "a\n",  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee"};
    static const char longest[] =
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeee";
    struct scene *s = *state;
    struct bide_policy *p = (struct bide_policy *)(void *)s;
    size_t i;

    scene_open(s);
    for (i = 0; i < COUNT(bad); i++) {
        assert_int_equal(bide_lookup(s->b, bad[i], NULL, &p), BIDE_ENAME);
        if (*bad[i]) {
            assert_int_equal(bide_lookup(s->b, "a", bad[i], &p), BIDE_ENAME);
        }
    }
    assert_int_equal(bide_lookup(NULL, "a", NULL, &p), BIDE_EINVAL);
    assert_int_equal(bide_lookup(s->b, NULL, NULL, &p), BIDE_EINVAL);
    assert_int_equal(bide_lookup(s->b, "a", NULL, NULL), BIDE_EINVAL);
    assert_ptr_equal(p, s);
    assert_int_equal(strlen(longest), BIDE_NAME_MAX);
    assert_int_equal(bide_lookup(s->b, longest, longest, &p), 0);
}

static void
two_lookups_return_the_same_handle(void **state)
{
    struct scene *s = *state;
    struct bide_policy *a, *b, *c;

    scene_open(s);
    assert_int_equal(bide_lookup(s->b, "shop", "x", &a), 0);
    assert_int_equal(bide_lookup(s->b, "shop", "x", &b), 0);
    assert_ptr_equal(a, b);
    assert_int_equal(bide_lookup(s->b, "shop", "", &a), 0);
    assert_int_equal(bide_lookup(s->b, "shop", NULL, &b), 0);
    assert_ptr_equal(a, b);
    /* The border between name and scope is part of the key. */
    assert_int_equal(bide_lookup(s->b, "ab", "c", &a), 0);
    assert_int_equal(bide_lookup(s->b, "a", "bc", &b), 0);
    assert_int_equal(bide_lookup(s->b, "abc", NULL, &c), 0);
    assert_ptr_not_equal(a, b);
    assert_ptr_not_equal(a, c);
}

enum { NAMES = 10000 };

static void
look_up_many(struct scene *s)
{
    struct bide_policy **all = calloc(NAMES, sizeof(*all));
    const struct bide_outcome ok = bide_ok();
    char name[32];
    int i;

    assert_non_null(all);
    s->outcomes = &ok;
    s->outcome_count = 1;
    for (i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "policy-%d", i);
        assert_int_equal(bide_lookup(s->b, name, NULL, &all[i]), 0);
    }
    for (i = NAMES - 1; i >= 0; i--) {
        struct bide_policy *p;

        snprintf(name, sizeof(name), "policy-%d", i);
        assert_int_equal(bide_lookup(s->b, name, NULL, &p), 0);
        assert_ptr_equal(p, all[i]);
    }
    for (i = 0; i < NAMES; i += 997) {
        assert_int_equal(bide_run(all[i], scene_attempt, s), BIDE_SUCCEEDED);
    }
    free(all);
}

static void
ten_thousand_names_are_fine(void **state)
{
    struct scene *s = *state;

    scene_start(s, "[shop]\nattempts = 2\n");
    look_up_many(s);
    assert_int_equal(scene_stats(s, "policy-997").succeeded, 1);
}

static void
ten_thousand_names_are_fine_without_a_registry(void **state)
{
    struct scene *s = *state;

    scene_open(s);
    look_up_many(s);
    /* They still have the declared rules. */
    assert_int_equal(
        bide_declare(s->b, "[policy-9999]\nattempts = 7\nwait = none\n"), 0);
    assert_int_equal(attempts_of(s, "policy-9999"), 7);
}

/* ---- fork ---- */

static void
parent_and_child_both_continue_after_a_fork(void **state)
{
    const struct bide_outcome script[] = {bide_http(503, NULL), bide_ok()};
    struct scene *s = *state;
    struct pollfd parent = {.events = POLLIN};
    struct bide_watch *watch;
    struct bide_stats stats;
    pid_t child;

    scene_start(s, "[shop]\nattempts = 3\nwait_initial = 1ms\n");
    scene_run(s, "shop", script, 2, NULL);
    assert_int_equal(bide_watch_new(s->b, &watch), 0);
    parent.fd = bide_watch_fd(watch);
    child = fork();
    if (child == 0) {
        struct pollfd own = {.events = POLLIN};

        MUST(scene_run(s, "shop", script, 2, NULL) == BIDE_SUCCEEDED);
        MUST(bide_watch_fd(watch) < 0); /* it is the parent's */
        bide_watch_free(watch);
        MUST(bide_watch_new(s->b, &watch) == 0);
        own.fd = bide_watch_fd(watch);
        MUST(poll(&own, 1, 0) == 0);
        scene_set(s, "shop", "attempts", "4");
        MUST(poll(&own, 1, 60000) == 1);
        bide_watch_clear(watch);
        MUST(poll(&own, 1, 0) == 0);
        bide_watch_free(watch);
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
    assert_int_equal(poll(&parent, 1, 60000), 1);
    bide_watch_clear(watch);
    assert_int_equal(poll(&parent, 1, 0), 0);
    bide_watch_free(watch);
    scene_run(s, "shop", script, 2, NULL);
    stats = scene_stats(s, "shop");
    assert_int_equal(stats.succeeded, 3);
    assert_int_equal(stats.recovered, 3);
    assert_int_equal(stats.attempts_failed, 3);
    assert_int_equal(stats.version, 2);
}

static struct bide_outcome
fork_in_an_attempt(const struct bide_attempt *attempt, void *arg)
{
    struct scene *s = arg;

    (void)attempt;
    s->made = (size_t)fork();
    return bide_ok();
}

/* Parent and child both end the attempt, so both count it. */
static void
a_fork_within_an_attempt_ends_in_both(void **state)
{
    struct scene *s = *state;
    struct bide_policy *p;

    scene_start(s, "[shop]\nattempts = 3\n");
    p = scene_policy(s, "shop");
    assert_int_equal(bide_run(p, fork_in_an_attempt, s), BIDE_SUCCEEDED);
    if (s->made == 0) {
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for((pid_t)s->made);
    assert_int_equal(scene_stats(s, "shop").succeeded, 2);
}

struct held_gate {
    struct bide_policy *p;
    int entered[2], leave[2];
};

static struct bide_outcome
stay(const struct bide_attempt *attempt, void *arg)
{
    struct held_gate *g = arg;
    char byte = 0;

    (void)attempt;
    if (write(g->entered[1], &byte, 1) != 1 ||
        read(g->leave[0], &byte, 1) != 1) {
        return bide_errno(EIO);
    }
    return bide_ok();
}

static void *
run_and_stay(void *arg)
{
    struct held_gate *g = arg;

    (void)bide_run(g->p, stay, g);
    return NULL;
}

static void
calls_of_the_parents_threads_do_not_exist_in_the_child(void **state)
{
    struct scene *s = *state;
    struct held_gate g;
    pthread_t thread;
    pid_t child;
    char byte = 0;

    scene_start(s, "[shop]\nattempts = 3\n");
    g.p = scene_policy(s, "shop");
    assert_int_equal(pipe(g.entered), 0);
    assert_int_equal(pipe(g.leave), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_and_stay, &g), 0);
    assert_int_equal(read(g.entered[0], &byte, 1), 1);
    child = fork();
    if (child == 0) {
        MUST(bide_close(s->b) == 0);
        _exit(0);
    }
    scene_wait_for(child);
    assert_int_equal(bide_close(s->b), 1);
    s->b = NULL; /* freed by the call */
    assert_int_equal(write(g.leave[1], &byte, 1), 1);
    pthread_join(thread, NULL);
    close(g.entered[0]);
    close(g.entered[1]);
    close(g.leave[0]);
    close(g.leave[1]);
}

static struct bide_outcome
always_failing(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_http(503, NULL);
}

/* The attempt of thread A begins before the child has noticed the fork; the
 * failure of thread B makes it notice, while A is still in its attempt. */
static void
a_childs_threads_are_counted_when_another_notices_the_fork(void **state)
{
    struct scene *s = *state;
    struct held_gate g;
    pid_t child;

    scene_start(s, "[shop]\nattempts = 1\n");
    scene_set_clock(s->b, NULL);
    g.p = scene_policy(s, "shop");
    assert_int_equal(pipe(g.entered), 0);
    assert_int_equal(pipe(g.leave), 0);
    child = fork();
    if (child == 0) {
        pthread_t thread;
        char byte = 0;

        MUST(pthread_create(&thread, NULL, run_and_stay, &g) == 0);
        MUST(read(g.entered[0], &byte, 1) == 1);
        MUST(bide_run(g.p, always_failing, NULL) == BIDE_EXHAUSTED);
        MUST(bide_close(s->b) == 1);
        MUST(write(g.leave[1], &byte, 1) == 1);
        pthread_join(thread, NULL);
        _exit(0);
    }
    scene_wait_for(child);
    close(g.entered[0]);
    close(g.entered[1]);
    close(g.leave[0]);
    close(g.leave[1]);
}

struct looker {
    struct bide *b;
    _Atomic bool stop;
    _Atomic unsigned looks;
};

static void *
look_all_the_time(void *arg)
{
    struct looker *l = arg;

    while (!atomic_load(&l->stop)) {
        bide_registry_status(l->b);
        atomic_fetch_add(&l->looks, 1);
    }
    return NULL;
}

/* Holds the lock nearly all the time from then on. */
static void
until_it_looks(struct looker *l)
{
    unsigned before = atomic_load(&l->looks);

    while (atomic_load(&l->looks) == before) {
        sched_yield();
    }
}

/* The child has no thread that would release the lock. */
static void
a_lock_held_at_the_fork_does_not_stop_the_child(void **state)
{
    struct scene *s = *state;
    struct looker l = {0};
    pthread_t thread;
    int bad = 0;

    scene_start(s, "[shop]\nattempts = 3\n");
    scene_set_clock(s->b, NULL);
    l.b = s->b;
    assert_int_equal(pthread_create(&thread, NULL, look_all_the_time, &l), 0);
    for (int i = 0; i < 60 && bad == 0; i++) {
        char name[16];
        struct bide_policy *p;
        pid_t child;
        int status;

        snprintf(name, sizeof(name), "p%d", i);
        p = scene_policy(s, name); /* its counters are not mapped yet */
        until_it_looks(&l);
        child = fork();
        if (child == 0) {
            alarm(10);
            MUST(bide_run(p, i % 2 ? scene_succeed : always_failing, NULL) ==
                 (i % 2 ? BIDE_SUCCEEDED : BIDE_EXHAUSTED));
            _exit(0);
        }
        bad = waitpid(child, &status, 0) != child || status != 0;
    }
    atomic_store(&l.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bad, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(opening_without_a_registry_succeeds_and_reports_it),
        SCENE(opening_refuses_invalid_arguments),
        SCENE(closing_nothing_does_nothing),
        SCENE(many_registries_open_at_once),
        SCENE(opening_and_closing_leaves_no_descriptor),
        SCENE(wrong_declarations_change_nothing_and_report_the_line),
        SCENE(a_later_declaration_replaces_its_name_only),
        SCENE(declared_policies_may_extend_each_other),
        SCENE(a_declaration_cannot_extend_itself_in_a_circle),
        SCENE(a_declared_policy_can_be_paused_and_limited),
        SCENE(invalid_names_are_refused),
        SCENE(two_lookups_return_the_same_handle),
        SCENE(ten_thousand_names_are_fine),
        SCENE(ten_thousand_names_are_fine_without_a_registry),
        SCENE(parent_and_child_both_continue_after_a_fork),
        SCENE(a_fork_within_an_attempt_ends_in_both),
        SCENE(calls_of_the_parents_threads_do_not_exist_in_the_child),
        SCENE(a_lock_held_at_the_fork_does_not_stop_the_child),
        SCENE(a_childs_threads_are_counted_when_another_notices_the_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
