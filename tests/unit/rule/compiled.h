/* Compiles rules from a few lines of text, for the tests of the rules. */
#ifndef TESTS_RULE_COMPILED_H
#define TESTS_RULE_COMPILED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rule/machine.h"

#define UNUSED __attribute__((unused))
#define MS 1000000ull
#define SECOND 1000000000ull
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Returns the policy with these keys, one per line:
 * "budget=own\nbudget_cost=1". */
UNUSED static struct policy *
compiled(const char *keys)
{
    struct policy_text *t = policy_text_new("case");
    struct faults faults = {0};
    struct policy *p = NULL;
    char copy[1024], *line, *rest = copy;

    snprintf(copy, sizeof(copy), "%s", keys);
    while ((line = strsep(&rest, "\n"))) {
        char *equals = strchr(line, '=');

        if (equals) {
            *equals = '\0';
            assert_int_equal(
                policy_text_set(t, line, equals + 1, "case", 1, &faults), 0);
        }
    }
    assert_int_equal(policy_compile(t, NULL, NULL, "case", &p, &faults), 0);
    policy_text_free(t);
    faults_free(&faults); /* warnings */
    return p;
}

#endif
