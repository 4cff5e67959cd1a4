/* A shared registry with the policy `pay`, and calls that succeed. */
#ifndef TESTS_RECORD_PAYING_H
#define TESTS_RECORD_PAYING_H

#include "unit/registry/scene.h"

static void
begin(struct scene *s)
{
    scene_init(s);
    scene_apply(s, "[pay]\nattempts = 2\n");
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
}

static void
run_calls(struct scene *s, int calls)
{
    while (calls-- > 0) {
        bide_run(scene_policy(s, "pay"), scene_succeed, NULL);
    }
}

#endif
