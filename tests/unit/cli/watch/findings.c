/* The words of what bide doctor finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "base/failure.h"
#include "cli/watch/findings.h"

static const struct {
    struct doctor_finding facts;
    const char *what, *to_do, *run;
} rows[] = {
    {{FINDING_CELLS_REFUSED, .count = 1},
     "1 time there was no cell for a policy or scope",
     .to_do = "use fewer policies and scopes"},
    {{FINDING_WAITING_CALLS_DEAD, .count = 2},
     "2 waiting calls of processes that died",
     .to_do =
         "nothing to do: the entries are freed later, and delay no other call"},
    {{FINDING_POLICY_INVALID, .version = 3, .name = "pay", .words = "bad key"},
     "pay: version 3 is not valid: bad key",
     .to_do = "or correct it with bide set",
     .run = "bide --dir /r rollback pay"},
    {{FINDING_BREAKER_INVALID, .name = "pay", .scope = "api"},
     "pay/api: the state of the breaker is not valid, so calls go on without "
     "it",
     .run = "bide --dir /r breaker pay reset --scope api"},
    {{FINDING_CHANGE_UNANNOUNCED, .count = 1, .name = "pay"},
     "a change was stored but not announced: pay; calls that run do not "
     "follow it yet",
     .to_do = "each recording announces it",
     .run = "bide --dir /r record"},
    {{FINDING_POLICY_UNDEFINED, .count = 2, .name = "pay"},
     "services ask for a policy that is not defined: pay and others",
     .to_do =
         "define it with bide apply FILE; bide list shows who asks for it"},
    {{FINDING_LIVE_UNREADABLE, .rc = BIDE_ENOMEM, .path = "/l"},
     "/l: out of memory",
     .to_do = "until it can be opened, services count each for itself"},
    {{FINDING_SERVICE_OUTSIDE, .user = 7, .count = 815, .name = "shop",
      .path = "/r/l"},
     "process 815 (shop) of user 7 uses this registry, but may not read it or "
     "write /r/l: it follows no change, or counts for itself",
     .to_do = "make the user a member of the group that owns these files, and "
              "start the program again"},
    {{FINDING_FILE_REFUSED, .path = "/r/a b's/registry.mdb",
      .words = "this is a link"},
     "/r/a b's/registry.mdb: this is a link",
     .run = "mv '/r/a b'\\''s/registry.mdb' '/r/a b'\\''s/registry.mdb'.away"},
    {{FINDING_SPACE_FULL, .bytes = 1572864, .path = "/r", .words = "for x"},
     "/r: only 1.5 MiB are free",
     .to_do = "free space: for x"},
    {{FINDING_DEFERRED_OVERDUE, .age_ns = 7200000000000},
     "deferred work has been due for 2h",
     .to_do = "check that a worker runs: bide deferred work, or bide deferred "
              "replay"},
};

static void
facts_become_sentences(void **state)
{
    struct finding_words e;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        findings_explain(&rows[i].facts, "bide --dir /r", &e);
        assert_string_equal(e.said.why, rows[i].what);
        assert_string_equal(e.said.to_do, rows[i].to_do ? rows[i].to_do : "");
        assert_string_equal(e.run, rows[i].run ? rows[i].run : "");
    }
}

static void
each_finding_has_words_with_known_facts(void **state)
{
    struct finding_words e;

    (void)state;
    for (int i = 0; i < FINDING_COUNT; i++) {
        findings_explain(&(struct doctor_finding){.id = (enum finding_id)i},
                         "bide", &e);
        assert_string_not_equal(e.said.why, "");
        assert_null(strpbrk(e.said.why, "{}"));
        assert_null(strpbrk(e.said.to_do, "{}"));
        assert_null(strpbrk(e.run, "{}"));
    }
}

static void
a_failure_has_its_own_words(void **state)
{
    struct failure failure = {FAILURE_PLAIN, .rc = BIDE_EINPUT};
    struct finding_words e;

    (void)state;
    findings_explain(
        &(struct doctor_finding){FINDING_FAILED, .failure = &failure}, "bide",
        &e);
    assert_string_equal(e.said.why, "the input is invalid");
    assert_string_equal(e.said.to_do, "");
}

static void
a_long_path_is_whole_in_a_command(void **state)
{
    struct doctor_finding f = {.id = FINDING_FILE_IMMUTABLE};
    struct finding_words e;

    (void)state;
    memset(f.path, '\n', sizeof(f.path) - 1);
    findings_explain(&f, "bide", &e);
    assert_int_equal(strlen(e.run), strlen("chattr -i -a $''") + 4 * 511);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_become_sentences),
        cmocka_unit_test(each_finding_has_words_with_known_facts),
        cmocka_unit_test(a_failure_has_its_own_words),
        cmocka_unit_test(a_long_path_is_whole_in_a_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
