/* Numbers and lines for people: cli/out/text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/out/text.h"

static void
numbers_for_people_have_separators_and_no_exponent(void **state)
{
    static const struct {
        double number;
        const char *people, *programs;
    } rows[] = {
        {0, "0", "0"},
        {0.00005, "0.0001", "0.00005"},
        {0.25, "0.25", "0.25"},
        {9.999, "10", "9.999"},
        {12.34, "12.3", "12.34"},
        {100, "100", "100"},
        {3510, "3,510", "3510"},
        {1e15, "1,000,000,000,000,000", "1000000000000000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        assert_string_equal(text_number(rows[i].number).text, rows[i].people);
        assert_string_equal(text_plain(rows[i].number).text, rows[i].programs);
    }
}

static void
sizes_have_the_largest_unit_below_1024(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {1023, "1,023 B"},
        {1024, "1 KiB"},
        {2847000, "2.72 MiB"},
        {1073741823, "1 GiB"},
        {UINT64_C(77) << 30, "77 GiB"},
        {UINT64_MAX, "16,777,216 TiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        assert_string_equal(text_bytes(rows[i].bytes).text, rows[i].text);
    }
}

static void
a_line_ends_between_parts_else_between_words_else_anywhere(void **state)
{
    static const struct {
        const char *text;
        size_t least, width, length;
    } rows[] = {
        {"", 0, 10, 0},
        {"short", 0, 10, 5},
        {"exactly 10", 0, 10, 10},
        {"some words here", 0, 10, 10},
        {"some words here", 0, 9, 4},
        {"a 1   b 2   c 3", 0, 12, 9},
        {"label   averylongword", 8, 12, 12},
        {"averylongword", 0, 4, 4},
        {"支付网关", 0, 5, 6},
        {"支付", 0, 1, 3},
        {"\033[31mred\033[0m blue", 0, 8, 17},
    };

    (void)state;
    text_locale();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length =
            text_line_length(rows[i].text, rows[i].least, rows[i].width);

        if (length != rows[i].length) {
            fail_msg("\"%s\": %zu, not %zu", rows[i].text, length,
                     rows[i].length);
        }
    }
}

/* A shell must read each of these as one word: the text itself. */
static void
words_for_a_shell_are_quoted_if_needed(void **state)
{
    static const struct {
        const char *word, *quoted;
    } rows[] = {
        {"/var/lib/bide", "/var/lib/bide"},
        {"", "''"},
        {"/a b", "'/a b'"},
        {"$(x)`y`;\\", "'$(x)`y`;\\'"},
        {"it's", "'it'\\''s'"},
        {"a\nb\\", "$'a\\x0ab\\x5c'"},
        {"\xff", "$'\\xff'"},
    };
    char buffer[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_string_equal(text_shell(rows[i].word, buffer, sizeof(buffer)),
                            rows[i].quoted);
    }
    assert_string_equal(text_shell("a b c d e f", buffer, 10), "'a b'");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_for_a_shell_are_quoted_if_needed),
        cmocka_unit_test(numbers_for_people_have_separators_and_no_exponent),
        cmocka_unit_test(sizes_have_the_largest_unit_below_1024),
        cmocka_unit_test(
            a_line_ends_between_parts_else_between_words_else_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
