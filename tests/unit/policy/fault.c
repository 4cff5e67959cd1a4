#include "check.h"

static void
faults_keep_their_place_and_text(void **state)
{
    struct faults faults = {0};

    (void)state;
    assert_false(faults_any(&faults));
    fault_add(&faults,
              &(struct fault){.file = "a.ini",
                              .line = 14,
                              .column = 5,
                              .rule = FAULT_VALUE,
                              .key = key_find("wait_initial"),
                              .meant = "100ms"},
              "x = %d: %s", 100, "a duration needs its unit");
    fault_add(&faults, &(struct fault){.file = "-"}, "contains no policy");
    assert_true(faults_any(&faults));
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.list[0].file, "a.ini");
    assert_int_equal(faults.list[0].line, 14);
    assert_int_equal(faults.list[0].column, 5);
    assert_string_equal(fault_rule_name(faults.list[0].rule), "value");
    assert_ptr_equal(faults.list[0].key, key_find("wait_initial"));
    assert_string_equal(faults.list[0].meant, "100ms");
    assert_string_equal(faults.list[0].what,
                        "x = 100: a duration needs its unit");
    assert_string_equal(faults.list[0].hint, "did you mean 100ms?");
    assert_null(faults.list[1].hint);
    faults_free(&faults);
    assert_false(faults_any(&faults));
    faults_free(&faults);
}

static void
control_characters_do_not_reach_a_terminal(void **state)
{
    struct faults faults = {0};

    (void)state;
    fault_add(&faults, &(struct fault){.file = "-", .hint = "\x7f"}, "%s",
              "a\x1b[31m\nb");
    assert_string_equal(faults.list[0].what, "a?[31m?b");
    assert_string_equal(faults.list[0].hint, "?");
    faults_free(&faults);
}

static void
faults_without_a_list_are_ignored(void **state)
{
    (void)state;
    fault_add(NULL, &(struct fault){.file = "-"}, "x");
}

static void
faults_are_sorted_by_line_from_an_index_on(void **state)
{
    static const int lines[] = {9, 3, 1, 3, 2};
    static const int sorted[] = {9, 1, 2, 3, 3};
    struct faults faults = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        fault_add(&faults, &(struct fault){.file = "-", .line = lines[i]}, "%d",
                  i);
    }
    faults_sort(&faults, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(faults.list[i].line, sorted[i]);
    }
    /* equal lines keep their order */
    assert_string_equal(faults.list[3].what, "1");
    assert_string_equal(faults.list[4].what, "3");
    faults_free(&faults);
}

static void
at_most_a_thousand_faults_are_kept(void **state)
{
    struct faults faults = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        fault_add(&faults, &(struct fault){.file = "-", .line = 5000 - i}, "%d",
                  i);
    }
    faults_sort(&faults, 0);
    assert_int_equal(faults.count, 1000);
    assert_string_equal(faults.list[999].what,
                        "more errors follow; they are not shown");
    assert_false(faults.out_of_memory);
    faults_free(&faults);
}

static void
warnings_are_in_the_list_and_are_no_faults(void **state)
{
    struct faults faults = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        fault_add(&faults,
                  &(struct fault){.file = "-", .line = i, .warning = true},
                  "%d", i);
    }
    fault_add(NULL, &(struct fault){.file = "-", .warning = true}, "x");
    assert_false(faults_any(&faults));
    assert_null(faults_first(&faults));
    assert_int_equal(faults.count, 1000);
    assert_int_equal(faults.warnings, 1000);
    assert_string_equal(faults.list[999].what,
                        "more warnings follow; they are not shown");
    for (int i = 0; i < 5000; i++) {
        fault_add(&faults, &(struct fault){.file = "-", .line = i}, "%d",
                  i); /* not pushed out by them */
    }
    assert_true(faults_any(&faults));
    assert_string_equal(faults_first(&faults)->what, "0");
    assert_int_equal(faults.count, 2000);
    faults_free(&faults);
    assert_int_equal(faults.warnings, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_keep_their_place_and_text),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(faults_without_a_list_are_ignored),
        cmocka_unit_test(faults_are_sorted_by_line_from_an_index_on),
        cmocka_unit_test(at_most_a_thousand_faults_are_kept),
        cmocka_unit_test(warnings_are_in_the_list_and_are_no_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
