/* Helpers for tests in which many processes share a budget and a breaker. */
#ifndef TESTS_SYSTEM_GUARDING_H
#define TESTS_SYSTEM_GUARDING_H

#include <sys/mman.h>

#include "../process.h"
#include "admin/guard.h"
#include "admin/inside.h"
#include "admin/open.h"
#include "admin/read.h"
#include "live/live.h"
#include "policy/policy.h"
#include "record/past.h"
#include "rule/budget.h"
#include "store/policies/record.h"

/* Returns zeroed memory that the test shares with its children. */
UNUSED static void *
guarding_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

/* Forks a child that runs `work` and ends, at the latest after 240 s. */
UNUSED static pid_t
guarding_start(void (*work)(void *arg), void *arg)
{
    pid_t child = fork();

    if (child == 0) {
        alarm(240);
        work(arg);
        _exit(0);
    }
    assert_true(child > 0);
    return child;
}

UNUSED static void
guarding_end(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

UNUSED static void
guarding_kill(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Opens the registry in a child and returns its handle of a policy.  Both are
 * released when the child ends. */
UNUSED static struct bide_policy *
guarding_policy(const struct scene *s, const char *name, const char *scope)
{
    struct bide_policy *p;
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    MUST(bide_lookup(b, name, scope, &p) == 0);
    return p;
}

UNUSED static struct bide_outcome
guarding_fails(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_http(503, NULL);
}

UNUSED static struct bide_outcome
guarding_succeeds(const struct bide_attempt *attempt, void *arg)
{
    (void)attempt;
    (void)arg;
    return bide_ok();
}

/* Returns the state of breaker and budget as an operator sees it. */
UNUSED static struct admin_guard
guarding_look(struct scene *s, const char *name, const char *scope)
{
    struct admin *a = scene_admin(s);
    struct admin_guard view;
    struct policy_text *text;
    struct policy *p;
    struct record r;

    assert_int_equal(admin_policy(a, name, &r), 0);
    assert_int_equal(admin_text(&r, &text), 0);
    assert_int_equal(policy_compile(text, admin_find, a, name, &p, NULL), 0);
    admin_guard(a, p, name, scope, &view);
    policy_free(p);
    policy_text_free(text);
    record_free(&r);
    admin_close(a);
    return view;
}

UNUSED static uint64_t
guarding_count(struct scene *s, const char *name, enum counter which)
{
    struct admin *a = scene_admin(s);
    struct live *l = past_live(admin_past(a), false);
    struct cell_reading reading;
    uint32_t index;

    assert_non_null(l);
    assert_int_equal(cell_find(l, name, "", false, &index), 0);
    cell_read(l, index, &reading);
    admin_close(a);
    return reading.counter[which];
}

#endif
