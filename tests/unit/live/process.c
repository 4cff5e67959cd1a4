/* The table of processes: what the kernel knows of who runs. */
#include "scene.h"

#include <sched.h>
#include <sys/prctl.h>

struct asking {
    uint32_t count, perhaps, pid[64];
};

static int
note_process(void *arg, const struct live_process *p)
{
    struct asking *a = arg;

    if (a->count < 64) {
        a->pid[a->count] = p->by.pid;
    }
    a->count++;
    a->perhaps += p->perhaps;
    return 0;
}

static struct asking
asking(struct live *l, uint32_t index)
{
    struct asking a = {0};

    CHECK(live_asking(l, index, note_process, &a) == 0);
    return a;
}

static bool
is_alive(struct live *l, uint32_t owner)
{
    return live_process_alive(l, OWNER_ROW(owner), OWNER_GENERATION(owner));
}

/* Memory that a child tells its owner word in. */
struct child {
    struct scene *s;
    struct live *l;
    _Atomic uint32_t owner, state;
    char *const *argv;
};

static pid_t
start_child(void (*body)(struct child *c), struct child *c)
{
    pid_t pid;

    atomic_store(&c->state, 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body(c);
        _exit(0);
    }
    while (atomic_load(&c->state) == 0 && waitpid(pid, NULL, WNOHANG) == 0) {
        sched_yield();
    }
    return pid;
}

static void
end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void
claim_and_stay(struct child *c)
{
    struct live *l = c->l ? c->l : scene_open(c->s);

    atomic_store(&c->owner, live_owner(l));
    atomic_store(&c->state, 1);
    for (;;) {
        pause();
    }
}

static void
a_row_is_free_when_its_process_is_killed(void **state)
{
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state);
    uint32_t own = live_owner(l);
    pid_t pid;

    c->s = *state;
    pid = start_child(claim_and_stay, c);
    assert_true(own && c->owner && own != c->owner);
    assert_true(is_alive(l, own));
    assert_true(is_alive(l, c->owner));
    assert_false(is_alive(l, c->owner + 1)); /* another generation */
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_true(is_alive(l, c->owner));
    assert_int_equal(asking(l, UINT32_MAX).count, 2);
    end_child(pid);
    assert_false(is_alive(l, c->owner));
    assert_int_equal(asking(l, UINT32_MAX).count, 1);
    live_close(l);
}

static void
a_child_has_a_row_of_its_own_which_ends_with_it(void **state)
{
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state);
    uint32_t own = live_owner(l);
    pid_t pid;

    c->l = l; /* inherited */
    pid = start_child(claim_and_stay, c);
    assert_true(c->owner && c->owner != own);
    assert_true(is_alive(l, own) && is_alive(l, c->owner));
    end_child(pid);
    assert_true(is_alive(l, own));
    assert_false(is_alive(l, c->owner));
    live_close(l);
}

static void
claim_and_exec(struct child *c)
{
    atomic_store(&c->owner, live_owner(scene_open(c->s)));
    atomic_store(&c->state, 1);
    while (atomic_load(&c->state) == 1) {
        sched_yield();
    }
    execv(c->argv[0], c->argv);
    _exit(99);
}

static void
exec_frees_the_row(void **state)
{
    static char sleep[] = "/bin/sleep", time[] = "100";
    char *const argv[] = {sleep, time, NULL};
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state);
    pid_t pid;

    c->s = *state;
    c->argv = argv;
    pid = start_child(claim_and_exec, c);
    assert_true(is_alive(l, c->owner));
    atomic_store(&c->state, 2);
    while (is_alive(l, c->owner)) {
        sched_yield(); /* or the test runs until its timeout */
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    end_child(pid);
    live_close(l);
}

static void
a_second_live_state_shares_the_row_and_leaves_it(void **state)
{
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state), *second = scene_open(*state);
    uint32_t own = live_owner(l);
    pid_t pid;

    c->s = *state;
    pid = start_child(claim_and_stay, c);
    assert_int_equal(live_owner(second), own);
    live_close(l);
    assert_int_equal(live_owner(second), own);
    live_check_owner(second, true);
    assert_int_equal(live_owner(second), own); /* still has the lock */
    end_child(pid);
    live_close(second);
}

static void
close_all_and_stay(struct child *c)
{
    struct live *l = scene_open(c->s);
    uint32_t first = live_owner(l);

    live_ask(l, scene_cell(l, "a"));
    for (int fd = 3; fd < 256; fd++) {
        close(fd);
    }
    live_check_owner(l, true);
    atomic_store(&c->owner, live_owner(l));
    atomic_store(&c->state, live_owner(l) != first ? 1 : 2);
    pause();
}

static void
a_program_that_closed_all_descriptors_claims_again(void **state)
{
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state);
    uint32_t index = scene_cell(l, "a");
    pid_t pid;

    c->s = *state;
    pid = start_child(close_all_and_stay, c);
    assert_true(is_alive(l, c->owner));
    assert_int_equal(asking(l, index).count, 1);
    end_child(pid);
    assert_int_equal(asking(l, index).count, 0);
    live_close(l);
}

static void
asks_last_until_the_live_state_is_closed(void **state)
{
    struct live *l = scene_open(*state), *a = scene_open(*state),
                *b = scene_open(*state);
    uint32_t index = scene_cell(l, "a"), other = scene_cell(l, "b");

    assert_int_equal(asking(l, index).count, 0);
    live_ask(a, index);
    live_ask(a, index);
    live_ask(b, index);
    live_ask(b, other);
    assert_int_equal(asking(l, index).count, 1);
    assert_int_equal(asking(l, index).pid[0], getpid());
    live_close(b);
    assert_int_equal(asking(l, index).count, 1);
    assert_int_equal(asking(l, other).count, 0);
    live_close(a);
    assert_int_equal(asking(l, index).count, 0);
    live_close(l);
}

static void
more_asks_than_fit_may_be_of_any_cell(void **state)
{
    struct live *l = scene_open(*state);
    uint32_t unasked = scene_cell(l, "unasked"), first = 0;

    for (int i = 0; i <= PROCESS_ASKS; i++) {
        uint32_t index;
        char name[16];

        snprintf(name, sizeof(name), "a%d", i);
        index = scene_cell(l, name);
        first = i ? first : index;
        assert_int_equal(asking(l, unasked).count, 0);
        live_ask(l, index);
    }
    assert_int_equal(asking(l, unasked).perhaps, 1);
    assert_int_equal(asking(l, first).count, 1);
    assert_int_equal(asking(l, first).perhaps, 0);
    live_close(l);
}

static void
a_cell_freed_for_another_name_is_not_asked_for(void **state)
{
    struct live *l = scene_open(*state);
    uint32_t index = scene_cell(l, "a");
    struct cell *c = cell_at(l, index);

    live_ask(l, index);
    atomic_fetch_add(&c->gate, GATE_NEXT_INCARNATION);
    assert_int_equal(asking(l, index).count, 0);
    live_close(l);
}

static void
claim_in_another_namespace(struct child *c)
{
    pid_t pid;

    if (unshare(CLONE_NEWPID)) {
        atomic_store(&c->state, 2);
        return;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        claim_and_stay(c);
    }
    waitpid(pid, NULL, 0);
}

static void
a_process_in_another_pid_namespace_is_known_too(void **state)
{
    struct child *c = scene_shared(sizeof(*c));
    struct live *l = scene_open(*state);
    pid_t pid;

    c->s = *state;
    pid = start_child(claim_in_another_namespace, c);
    if (atomic_load(&c->state) != 1) {
        end_child(pid);
        live_close(l);
        skip();
    }
    assert_true(is_alive(l, c->owner));
    end_child(pid);
    while (is_alive(l, c->owner)) {
        sched_yield(); /* its own child dies next */
    }
    live_close(l);
}

static void
without_a_file_nothing_is_claimed(void **state)
{
    struct live *l;

    (void)state;
    assert_int_equal(live_open_private(&l), 0);
    live_ask(l, scene_cell(l, "a"));
    live_check_owner(l, true);
    assert_int_equal(live_owner(l), 0);
    assert_int_equal(asking(l, UINT32_MAX).count, 0);
    live_close(l);
}

static void
a_link_in_place_of_the_file_is_refused(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    char path[160];

    snprintf(path, sizeof(path), "%s" PROCESS_FILE, s->path);
    assert_int_equal(symlink("/etc/motd", path), 0);
    assert_int_equal(live_owner(l), 0);
    unlink(path);
    live_check_owner(l, true);
    assert_int_not_equal(live_owner(l), 0);
    live_close(l);
}

static void
a_replaced_file_is_followed(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other;
    char path[160];

    snprintf(path, sizeof(path), "%s" PROCESS_FILE, s->path);
    assert_int_not_equal(live_owner(l), 0);
    assert_int_equal(unlink(path), 0);
    live_check_owner(l, true);
    assert_int_equal(access(path, F_OK), 0);
    other = scene_open(s);
    assert_int_equal(live_owner(other), live_owner(l));
    live_close(other);
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_row_is_free_when_its_process_is_killed),
        SCENE_TEST(a_child_has_a_row_of_its_own_which_ends_with_it),
        SCENE_TEST(exec_frees_the_row),
        SCENE_TEST(a_second_live_state_shares_the_row_and_leaves_it),
        SCENE_TEST(a_program_that_closed_all_descriptors_claims_again),
        SCENE_TEST(asks_last_until_the_live_state_is_closed),
        SCENE_TEST(more_asks_than_fit_may_be_of_any_cell),
        SCENE_TEST(a_cell_freed_for_another_name_is_not_asked_for),
        SCENE_TEST(a_process_in_another_pid_namespace_is_known_too),
        SCENE_TEST(without_a_file_nothing_is_claimed),
        SCENE_TEST(a_link_in_place_of_the_file_is_refused),
        SCENE_TEST(a_replaced_file_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
