/* The message and the advice for each kind of failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "cli/command/explain.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct {
    struct failure facts;
    const char *why, *to_do;
} rows[] = {
    {{FAILURE_NONE}, "", ""},
    {{FAILURE_PLAIN, .rc = BIDE_EINPUT}, "the input is invalid", ""},
    {{FAILURE_STORE, BIDE_EMISSING, .path = "/r"},
     "/r: there is no registry",
     "create one with bide init, or name another directory with --dir"},
    {{FAILURE_STORE, BIDE_ESYS, .path = "/r", .words = "it is in use"},
     "/r: it is in use",
     ""},
    {{FAILURE_STORE, BIDE_EPERM, .path = "r", .words = "r/a.mdb: no\nask root"},
     "r/a.mdb: no",
     "ask root"},
    {{FAILURE_STORE, BIDE_EFULL, .path = "r", .words = "/d/a.mdb: full"},
     "/d/a.mdb: full",
     "free some space there and try again: nothing was changed"},
    {{FAILURE_HISTORY, BIDE_EDAMAGED, .path = "/r/history.mdb", .words = "bad"},
     "/r/history.mdb: bad",
     "run bide record: it keeps everything that can be read; if that fails, "
     "move the file away"},
    {{FAILURE_RECORDING, BIDE_EPERM, .words = "/r: no\nask root"},
     "/r: no",
     "ask root"},
    {{FAILURE_STORE, BIDE_EPERM, .words = "/dev/null: no"},
     "/dev/null: no",
     "try again as root"},
    {{FAILURE_CREATE, BIDE_EMISSING, .words = "/x/r: no\nsomething"},
     "/x/r: no",
     "the registry cannot be created there: name another directory with --dir"},
    {{FAILURE_NO_POLICY, BIDE_ENOPOLICY, .name = "pax", .near = "pay"},
     "pax: no such policy",
     "did you mean pay?"},
    {{FAILURE_NO_POLICY, BIDE_ENOPOLICY, .name = "pax"},
     "pax: no such policy",
     ""},
    {{FAILURE_DELETED, BIDE_ENOPOLICY, 3, .name = "pay", .who = "ann"},
     "pay: no such policy: version 3 deleted it, by ann",
     "to restore it: bide rollback pay"},
    {{FAILURE_NO_VERSION, BIDE_ENOVERSION, .wanted = 7, .name = "pay"},
     "pay: no such version",
     "see: bide log pay"},
    {{FAILURE_NO_LAYER, BIDE_ENOVERSION, .wanted = 7, .name = "pay"},
     "pay: version 7 is no temporary change that is in force",
     "see: bide show pay"},
    {{FAILURE_FIRST_VERSION, BIDE_ENOVERSION, 1, .name = "pay"},
     "pay: nothing to undo: no version is before 1",
     ""},
    {{FAILURE_VERSION, BIDE_EVERSION, 0, 4, .name = "pay"},
     "pay: no such policy, but --if-version expects version 4",
     ""},
    {{FAILURE_TEXT, BIDE_EDAMAGED, 2, .name = "pay"},
     "pay: the text of version 2 is damaged",
     ""},
    {{FAILURE_RULES, BIDE_EDAMAGED, .name = "pay"},
     "pay: the version in force is not valid",
     ""},
    {{FAILURE_UNUSED, BIDE_ENOPOLICY, .name = "pay", .scope = "api"},
     "pay api: no process has used it yet",
     ""},
};

static void
each_failure_has_its_message_and_advice(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct explained e;

        memset(&e, 'x', sizeof(e));
        explain(&rows[i].facts, &e);
        assert_string_equal(e.why, rows[i].why);
        assert_string_equal(e.to_do, rows[i].to_do);
    }
}

static void
a_conflict_names_both_versions_and_the_author(void **state)
{
    struct failure f = {FAILURE_VERSION, BIDE_EVERSION, 5, 3,
                        .name = "pay",   .who = "ann"};
    struct explained e;

    (void)state;
    explain(&f, &e);
    assert_ptr_equal(
        strstr(e.why, "pay: the version in force is 5, not 3: changed by ann "),
        e.why);
    assert_string_equal(e.to_do, "see: bide diff pay 3 5");
    f.wanted = 6; /* a version that does not exist yet has no differences */
    explain(&f, &e);
    assert_string_equal(e.to_do, "");
}

static void
without_a_failure_the_code_is_explained(void **state)
{
    struct explained e;

    (void)state;
    explain_last(BIDE_ENOMEM, &e);
    assert_string_equal(e.why, bide_strerror(BIDE_ENOMEM));
    failure_begin(FAILURE_RULES, BIDE_EDAMAGED, "pay");
    explain_last(BIDE_ENOMEM, &e);
    assert_string_equal(e.why, "pay: the version in force is not valid");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_has_its_message_and_advice),
        cmocka_unit_test(a_conflict_names_both_versions_and_the_author),
        cmocka_unit_test(without_a_failure_the_code_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
