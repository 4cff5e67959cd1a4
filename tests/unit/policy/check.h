/* Shared by the tests of lib/policy. */
#ifndef TESTS_POLICY_CHECK_H
#define TESTS_POLICY_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

/* Reads a text that must have no fault.  The caller frees the list. */
static inline struct policy_list
read_good(const char *text)
{
    struct policy_list list = {0, NULL};
    struct faults faults = {0};
    int rc = policy_read("t.ini", text, strlen(text), &list, &faults);

    if (rc != 0) {
        for (size_t i = 0; i < faults.count; i++) {
            print_message("%d: %s\n", faults.list[i].line, faults.list[i].what);
        }
    }
    assert_int_equal(rc, 0);
    assert_false(faults_any(&faults));
    return list;
}

/* Finds an extended policy in a list. */
static inline int
find_in_list(void *arg, const char *name, const struct policy_text **out)
{
    const struct policy_list *list = arg;

    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(policy_text_name(list->list[i]), name) == 0) {
            *out = list->list[i];
            return 0;
        }
    }
    return BIDE_ENOPOLICY;
}

#endif
