#include "check.h"

#include <ini.h>

/* Returns the faults of a text, one per line: "LINE: WHAT (HINT)\n". */
static char *
faults_of(const char *text, size_t length)
{
    struct policy_list untouched = {7, NULL};
    struct faults faults = {0};
    char *all = calloc(1, 1 << 20);
    size_t used = 0;

    if (policy_read("t.ini", text, length, &untouched, &faults) !=
        BIDE_EINPUT) {
        fail_msg("accepted: %s", text);
    }
    assert_int_equal(untouched.count, 7);
    for (size_t i = 0; i < faults.count; i++) {
        const struct fault *f = &faults.list[i];

        assert_string_equal(f->file, "t.ini");
        used += (size_t)snprintf(all + used, (1 << 20) - used, "%d: %s%s%s%s\n",
                                 f->line, f->what, f->hint ? " (" : "",
                                 f->hint ? f->hint : "", f->hint ? ")" : "");
    }
    faults_free(&faults);
    return all;
}

static void
assert_faults(const char *text, const char *expected)
{
    char *all = faults_of(text, strlen(text));

    assert_string_equal(all, expected);
    free(all);
}

static void
assert_reads_as(const char *text, const char *canonical)
{
    struct policy_list list = read_good(text);
    char all[8192] = "";

    for (size_t i = 0; i < list.count; i++) {
        char *written = policy_text_write(list.list[i]);

        strcat(all, written);
        free(written);
    }
    policy_list_free(&list);
    assert_string_equal(all, canonical);
}

static void
the_layout_of_a_file_does_not_matter(void **state)
{
    static const char canonical[] = "[a]\nattempts = 3\n[b]\nwait = none\n";
    static const char *const rows[] = {
        canonical,
        "[a]\nattempts=3\n[b]\nwait=none",
        "\xef\xbb\xbf[a]\nattempts = 3\n[b]\nwait = none\n",
        "[a]\r\nattempts = 3\r\n\r\n[b]\r\nwait = none\r\n",
        "; comment\n# comment\n\n  # indented\n[a]\n\nattempts\t=\t3\t\n"
        "[b] ; why\nwait = none ; because\n",
        "[a]\nattempts =\n  3\n[b]\n  ; c\nwait =\n\n\tnone\n",
        "[a]  \nattempts = 3   \n[b]\t\nwait = none\n   \n",
        "\n\n[a]\nattempts = 03\n[b]\nwait = none\n\n\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_reads_as(rows[i], canonical);
    }
}

static void
a_section_without_keys_is_a_policy(void **state)
{
    (void)state;
    assert_reads_as("[a]\n[b]\n", "[a]\n[b]\n");
    assert_reads_as("[a]", "[a]\n");
    assert_reads_as("[a]\nattempts = 2\n[b]\n; the end",
                    "[a]\nattempts = 2\n[b]\n");
}

static void
indented_lines_continue_a_value(void **state)
{
    (void)state;
    assert_reads_as("[a]\ndescription = one\n  two\n\tthree ; not four\n"
                    "  # a comment\n\n  five: x\n",
                    "[a]\ndescription = one two three five: x\n");
    assert_reads_as("[a]\nretry_on = http.503,\n  http.502\n",
                    "[a]\nretry_on = http.502, http.503\n");
    assert_reads_as("[a]\ndescription =\n", "[a]\ndescription =\n");
}

static const struct {
    const char *text, *faults;
} bad_lines[] = {
    {"[a]\nattempts 3\n",
     "2: attempts 3: there is no = in this line (a key is written as KEY "
     "= VALUE)\n"},
    {"[a]\nattempts: 3\n",
     "2: attempts: 3: a key and its value have = between them (did you "
     "mean attempts = 3?)\n"},
    {"[a]\nattempts : a=b\n",
     "2: attempts : a=b: a key and its value have = between them (did you "
     "mean attempts = a=b?)\n"},
    {"[a]\n= 3\n", "2: = 3: there is no key before the =\n"},
    {"[a]\nattempts ;= 3\n",
     "2: attempts: there is no = in this line (a key is written as KEY = "
     "VALUE)\n"},
    {"[a\nattempts = 3\n", "1: [a: the ] is missing\n"},
    {"[a ;]\n", "1: [a: the ] is missing\n"},
    {"[a] b\n", "1: [a] b: nothing may follow the ]\n"},
    {"[a]b = 3\n", "1: [a]b = 3: nothing may follow the ]\n"},
    {"[a]]\n", "1: [a]]: nothing may follow the ]\n"},
    {"[]\n", "1: []: not a name: [a-z0-9][a-z0-9._-]{0,47}\n"},
    {"[ a ]\n", "1: [ a ]: not a name: [a-z0-9][a-z0-9._-]{0,47} (did you "
                "mean [a]?)\n"},
    {"[A b]\n", "1: [A b]: not a name: [a-z0-9][a-z0-9._-]{0,47} (did you "
                "mean [a-b]?)\n"},
    {"[0123456789012345678901234567890123456789012345678]\n",
     "1: [0123456789012345678901234567890123456789012345678]: not a name: "
     "[a-z0-9][a-z0-9._-]{0,47}\n"},
    {"attempts = 3\n[a]\n",
     "1: attempts: this key is before the first section (begin a policy with "
     "[NAME])\n"},
    {"[a]\n  attempts = 3\n",
     "2: attempts = 3: an indented line continues the value above it; keys and "
     "sections are not indented\n"},
    {"[a]\n  more\n", "2: more: an indented line continues a value, and there "
                      "is no value above it\n"},
    {"  more\n[a]\n", "1: more: an indented line continues a value, and there "
                      "is no value above it\n"},
    {"[a]\ndescription = x\n[b]\n  more\n",
     "4: more: an indented line continues a value, and there is no value above "
     "it\n"},
    {"[a]\ndescription = x\n  attempts = 3\n",
     "3: attempts = 3: an indented line continues the value above it; keys and "
     "sections are not indented\n"},
    {"[a]\ndescription = x\n  attempts: 3\n",
     "3: attempts: 3: an indented line continues the value above it; keys and "
     "sections are not indented\n"},
    {"[a]\ndescription = x\n  [b]\n",
     "3: [b]: an indented line continues the value above it; keys and sections "
     "are not indented\n"},
    {"[a]\ndescription =;x\n", "2: description = ;x: ; after a space begins a "
                               "comment in a policy file\n"},
    {"[a]\nattempts = 2\nattempts = 3\n",
     "3: attempts: set twice, first in line 2\n"},
    {"[a]\nattempts = x\nattempts = 3\nattempts = 4\n",
     "2: attempts = x: must be a whole number, 1 to 1000000, or "
     "unlimited\n3: attempts: set twice, first in line 2\n"
     "4: attempts: set twice, first in line 2\n"},
    {"[a]\n\n[b]\n[a]\nattempts = 0\n[a]\n",
     "4: [a]: defined twice, first in line 1\n"
     "5: attempts = 0: must be 1 to 1000000, or unlimited\n"
     "6: [a]: defined twice, first in line 1\n"},
    {"[a]\nattemps = 3\n  4\ncolour = red\n",
     "2: attemps: no such key (did you mean attempts?)\n"
     "4: colour: no such key\n"},
    {"[a]\ndefer_wait = 1\n",
     "2: defer_wait = 1: a duration needs its unit (did you mean 1ms?)\n"},
    {"", "0: contains no policy (begin a policy with [NAME])\n"},
    {"\n; nothing\n", "0: contains no policy (begin a policy with [NAME])\n"},
    {"\xef\xbb\xbf", "0: contains no policy (begin a policy with [NAME])\n"},
};

static void
lines_that_inih_would_lose_or_change_are_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        assert_faults(bad_lines[i].text, bad_lines[i].faults);
    }
}

static void
all_faults_of_a_file_are_reported_in_order(void **state)
{
    (void)state;
    assert_faults(
        "x = 1\n"
        "[shop]\n"
        "wait_initial = 100\n"
        "attemps = 3\n"
        "retry_on = any, 503,\n"
        "  http.1\n"
        "foo\n"
        "[Shop]\n"
        "wait = fixd",
        "1: x: no such key\n"
        "3: wait_initial = 100: a duration needs its unit (did you "
        "mean 100ms?)\n"
        "4: attemps: no such key (did you mean attempts?)\n"
        "5: retry_on = 503: no such outcome: use any connect timeout throttle "
        "transient, or a code such as errno.ECONNRESET http.503 "
        "http.5xx grpc.UNAVAILABLE exit.75 signal.SIGKILL curl.28 "
        "dns.EAI_AGAIN app.NAME (did you mean http.503?)\n"
        "6: retry_on = http.1: an HTTP status is http.503, http.5xx "
        "or http.500-504, from 100 to 999\n"
        "7: foo: there is no = in this line (a key is written as "
        "KEY = VALUE)\n"
        "8: [Shop]: not a name: [a-z0-9][a-z0-9._-]{0,47} (did you "
        "mean [shop]?)\n"
        "9: wait = fixd: must be one of: none fixed linear "
        "polynomial exponential decorrelated chain (did you mean "
        "fixed?)\n");
}

static void
a_binary_file_has_one_fault_with_its_line(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *start;
    } rows[] = {
        {"[a]\n\0", 5, "2: not a text file: the byte 0x00"},
        {"[a]\n\n\x07\x07\x07", 8, "3: not a text file: the byte 0x07"},
        {"\xff\xfe[\0a\0]\0", 8, "1: not a text file: the byte 0xff"},
        {"[a]\ndescription = \xe9t\xe9\n", 21,
         "2: not a text file: the byte 0xe9"},
        {"[a]\rattempts = 3\r", 17, "1: not a text file: the byte 0x0d"},
        {"[a]\n\x7f\x45LF", 8, "2: not a text file: the byte 0x7f"},
        {"[a]\xc2", 4, "1: not a text file: the byte 0xc2"},
        {"[a]\xc2\x85", 5, "1: not a text file: the byte 0xc2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *all = faults_of(rows[i].bytes, rows[i].length);

        if (strncmp(all, rows[i].start, strlen(rows[i].start)) != 0) {
            fail_msg("%s", all);
        }
        assert_ptr_equal(strchr(all, '\n'), all + strlen(all) - 1);
        free(all);
    }
}

static void
a_line_has_at_most_198_bytes(void **state)
{
    static const char *const ends[] = {"\n", "\r\n", ""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[512], expected[256], *all;
        size_t start = (size_t)sprintf(text, "[a]\n");

        start += (size_t)sprintf(text + start, "description = ");
        memset(text + start, 'x', 300);
        strcpy(text + 4 + POLICY_LINE_MAX, ends[i]);
        snprintf(expected, sizeof(expected), "[a]\n%.*s\n", POLICY_LINE_MAX,
                 text + 4);
        assert_reads_as(text, expected);
        sprintf(text + 4 + POLICY_LINE_MAX, "x%s", ends[i]);
        all = faults_of(text, strlen(text));
        assert_string_equal(
            all, "2: a line of 199 bytes: the maximum is 198 (continue a long "
                 "value on the next line, indented)\n");
        free(all);
    }
}

static void
the_rest_of_a_long_line_is_not_read_as_a_line(void **state)
{
    static const struct {
        const char *start, *rest;
    } rows[] = {
        {"; ", ""},   {"retry_on = any,", ""}, {"[b]", ""}, {"colour = ", NULL},
        {"  ", NULL},
    };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t start =
            (size_t)sprintf(text, "[a]\ndescription = d\n%s", rows[i].start);
        char *all;

        memset(text + start, ' ', 300);
        strcpy(text + start + 198 - strlen(rows[i].start),
               "attempts = 9 and more\n[c]\n");
        all = faults_of(text, strlen(text));
        assert_non_null(strstr(all, "3: a line of 219 bytes"));
        assert_null(strstr(all, "4:"));
        free(all);
    }
}

static void
spaces_at_the_end_count_for_the_length_of_a_line(void **state)
{
    char text[256], *all;

    (void)state;
    snprintf(text, sizeof(text), "[a]\nattempts = 3%*s\n", 190, "");
    all = faults_of(text, strlen(text));
    assert_string_equal(all, "2: a line of 202 bytes: the maximum is 198 "
                             "(continue a long value on the next line, "
                             "indented)\n");
    free(all);
}

static void
a_value_has_at_most_16384_bytes(void **state)
{
    char *text = calloc(1, 40000), *all;
    size_t used = (size_t)sprintf(text, "[a]\ndescription = x\n");
    struct policy_list list;

    (void)state;
    /* one byte, then 126 times a space and 129 bytes, and a few more */
    for (int i = 0; i < 126; i++) {
        used += (size_t)sprintf(text + used, "  %0129d\n", 0);
    }
    sprintf(text + used, " x\n");
    list = read_good(text);
    assert_int_equal(
        strlen(policy_text_get(list.list[0], key_find("description"))),
        POLICY_VALUE_MAX - 1);
    policy_list_free(&list);
    sprintf(text + used, " xx\n");
    list = read_good(text);
    policy_list_free(&list);
    sprintf(text + used, " xxx\n more\n");
    all = faults_of(text, strlen(text));
    assert_string_equal(all, "129: description: longer than 16384 bytes\n");
    free(all);
    free(text);
}

static void
a_file_has_at_most_64_mib(void **state)
{
    size_t length = (64 << 20) + 1;
    char *text = malloc(length);
    char *all;

    (void)state;
    memset(text, '\n', length);
    memcpy(text, "[a]\n", 4);
    all = faults_of(text, length);
    assert_string_equal(all, "0: larger than 64 MiB\n");
    free(all);
    length--;
    {
        struct policy_list list = {0, NULL};

        assert_int_equal(policy_read("t", text, length, &list, NULL), 0);
        assert_int_equal(list.count, 1);
        policy_list_free(&list);
    }
    free(text);
}

static int
key_line(const struct policy_text *t, const char *key)
{
    return policy_text_fault(t, "t", FAULT_CONFLICT, key_find(key), NULL).line;
}

static void
values_and_sections_know_their_places(void **state)
{
    struct policy_list list =
        read_good("; c\n[a]\nattempts = 3\n\n[b]\nretry_on =\n  any\n");
    struct fault f;

    (void)state;
    assert_int_equal(policy_text_line(list.list[0]), 2);
    assert_int_equal(key_line(list.list[0], "attempts"), 3);
    assert_int_equal(policy_text_line(list.list[1]), 5);
    assert_int_equal(key_line(list.list[1], "retry_on"), 7);
    f = policy_text_fault(list.list[1], "t", FAULT_CONFLICT, key_find("wait"),
                          key_find("retry_on"));
    assert_int_equal(f.line, 7); /* of the key that is set */
    assert_int_equal(f.column, 3);
    f = policy_text_fault(list.list[1], "t", FAULT_CONFLICT, key_find("wait"),
                          NULL);
    assert_int_equal(f.line, 5); /* else of the section */
    assert_int_equal(f.column, 1);
    policy_list_free(&list);
}

static void
faults_point_at_the_key_or_value_that_is_wrong(void **state)
{
    static const char text[] = "\xef\xbb\xbf[a]\r\n"
                               "wait_initial =  100 ; short\r\n"
                               "retry_on = http.503, htp.429,\n"
                               "    ; why\n"
                               "\n"
                               "\ttimeout, nonsense ; more\n"
                               "deadline =\n"
                               "; a value that is no value\n"
                               "wait =\n"
                               "  fixd\n"
                               "attempts: 3\n"
                               "  x = 4\n"
                               "[b] c\n"
                               "[B]\n"
                               "attemps = 3\n"
                               "paused = no\n"
                               "paused = no";
    static const struct {
        int line, column;
        enum fault_rule rule;
        const char *key, *meant;
    } rows[] = {
        {2, 17, FAULT_VALUE, "wait_initial", "100ms"},
        {3, 22, FAULT_VALUE, "retry_on", "http.429"},
        {6, 11, FAULT_VALUE, "retry_on", NULL},
        {7, 1, FAULT_VALUE, "deadline", NULL},
        {10, 3, FAULT_VALUE, "wait", "fixed"},
        {11, 1, FAULT_SYNTAX, NULL, "attempts = 3"},
        {12, 3, FAULT_SYNTAX, NULL, NULL},
        {13, 5, FAULT_SYNTAX, NULL, NULL},
        {14, 1, FAULT_NAME, NULL, "[b]"},
        {15, 1, FAULT_UNKNOWN_KEY, NULL, "attempts"},
        {17, 1, FAULT_DUPLICATE, "paused", NULL},
    };
    struct policy_list list = {0, NULL};
    struct faults faults = {0};

    (void)state;
    assert_int_equal(policy_read("t", text, strlen(text), &list, &faults),
                     BIDE_EINPUT);
    assert_int_equal(faults.count, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < faults.count; i++) {
        const struct fault *f = &faults.list[i];

        assert_int_equal(f->line, rows[i].line);
        assert_int_equal(f->column, rows[i].column);
        assert_int_equal(f->rule, rows[i].rule);
        assert_ptr_equal(f->key, rows[i].key ? key_find(rows[i].key) : NULL);
        if (rows[i].meant) {
            assert_string_equal(f->meant, rows[i].meant);
        } else {
            assert_null(f->meant);
        }
    }
    faults_free(&faults);
}

static void
reading_works_without_a_list_of_faults(void **state)
{
    struct policy_list list = {0, NULL};

    (void)state;
    assert_int_equal(policy_read("t", "[a", 2, &list, NULL), BIDE_EINPUT);
    assert_null(list.list);
}

/* Other code of the process may have changed each of these settings.  Then a
 * line may be a fault, but no value is read as another one. */
static void
changed_settings_of_inih_never_change_a_value(void **state)
{
    static const char text[] = "[a]\ndescription = one #two ; three\n"
                               "  four\n  five\nattempts = 4\n[b]\n"
                               "wait = none ; x\n";
    static const char canonical[] =
        "[a]\ndescription = one #two four five\nattempts = 4\n";
    static bool *const flags[] = {
        &ini_allow_multiline,     &ini_allow_inline_comments, &ini_allow_bom,
        &ini_stop_on_first_error, &ini_allow_no_value,
    };
    char *prefixes = ini_inline_comment_prefixes;
    char hash[] = "#", *starts = ini_start_comment_prefixes, d[] = "d";
    int lines = ini_max_line;

    (void)state;
    for (size_t i = 0; i < 3 + sizeof(flags) / sizeof(flags[0]); i++) {
        struct policy_list list = {0, NULL};
        struct faults faults = {0};
        int rc;

        if (i >= 3) {
            *flags[i - 3] = !*flags[i - 3];
        }
        ini_inline_comment_prefixes = i == 0 ? hash : prefixes;
        ini_start_comment_prefixes = i == 1 ? d : starts;
        ini_max_line = i == 2 ? 20 : lines;
        rc = policy_read("t", text, strlen(text), &list, &faults);
        if (i >= 3) {
            *flags[i - 3] = !*flags[i - 3];
        }
        if (rc == 0) {
            char *written = policy_text_write(list.list[0]);

            assert_string_equal(written, canonical);
            assert_int_equal(list.count, 2);
            free(written);
            policy_list_free(&list);
        } else {
            assert_int_equal(rc, BIDE_EINPUT);
            assert_true(faults_any(&faults));
        }
        faults_free(&faults);
    }
    ini_inline_comment_prefixes = prefixes;
    ini_start_comment_prefixes = starts;
    ini_max_line = lines;
}

static void
duplicates_are_found_among_many_sections(void **state)
{
    enum { MANY = 20000 };
    char *text = malloc(MANY * 32 + 32), *all;
    struct policy_list list;
    size_t used = 0;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        used += (size_t)sprintf(text + used, "[p%d]\nattempts = %d\n", i,
                                i % 9 + 1);
    }
    list = read_good(text);
    assert_int_equal(list.count, MANY);
    for (int i = 0; i < MANY; i++) {
        char name[32];

        snprintf(name, sizeof(name), "p%d", i);
        assert_string_equal(policy_text_name(list.list[i]), name);
    }
    policy_list_free(&list);
    strcpy(text + used, "[p777]\n");
    all = faults_of(text, strlen(text));
    assert_string_equal(all, "40001: [p777]: defined twice, first in line "
                             "1555\n");
    free(all);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_of_a_file_does_not_matter),
        cmocka_unit_test(a_section_without_keys_is_a_policy),
        cmocka_unit_test(indented_lines_continue_a_value),
        cmocka_unit_test(lines_that_inih_would_lose_or_change_are_faults),
        cmocka_unit_test(all_faults_of_a_file_are_reported_in_order),
        cmocka_unit_test(a_binary_file_has_one_fault_with_its_line),
        cmocka_unit_test(a_line_has_at_most_198_bytes),
        cmocka_unit_test(the_rest_of_a_long_line_is_not_read_as_a_line),
        cmocka_unit_test(spaces_at_the_end_count_for_the_length_of_a_line),
        cmocka_unit_test(a_value_has_at_most_16384_bytes),
        cmocka_unit_test(a_file_has_at_most_64_mib),
        cmocka_unit_test(values_and_sections_know_their_places),
        cmocka_unit_test(faults_point_at_the_key_or_value_that_is_wrong),
        cmocka_unit_test(reading_works_without_a_list_of_faults),
        cmocka_unit_test(changed_settings_of_inih_never_change_a_value),
        cmocka_unit_test(duplicates_are_found_among_many_sections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
