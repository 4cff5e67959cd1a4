/* The bytes in which `bide exec --defer` stores a command: written bytes can be
 * read, and any other bytes of that type are refused or read within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The command is not a library, so its source file is included. */
#include "cli/exec/exec_work.c"

static char *arguments[] = {(char *)"sendmail", (char *)"", (char *)"a b\n",
                            (char *)"\xff\xfe", NULL};
static char *environment[] = {(char *)"PATH=/bin",
                              (char *)"A=", (char *)"B==", NULL};
static const char input[] = "1\0002\n";

static unsigned char *
encode_example(size_t *out_length)
{
    struct exec_work w = {.directory = (char *)"/srv/a b",
                          .arguments = arguments,
                          .environment = environment,
                          .input = input,
                          .input_length = sizeof(input)};
    void *bytes;

    assert_int_equal(exec_work_write(&w, &bytes, out_length), 0);
    return bytes;
}

/* Decodes a copy in memory of its own, so that a sanitizer sees any access
 * beyond its end.  Returns the result of exec_work_read. */
static int
decode_copy(const void *bytes, size_t length)
{
    struct exec_work w = {0};
    void *copy = malloc(length > 0 ? length : 1);
    size_t texts = 0;
    int rc;

    assert_non_null(copy);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    rc = exec_work_read(copy, length, &w);
    if (rc == 0) {
        assert_int_equal(*w.directory, '/');
        assert_non_null(w.arguments[0]);
        texts = strlen(w.directory);
        for (char **a = w.arguments; *a; a++) {
            texts += strlen(*a);
        }
        for (char **e = w.environment; *e; e++) {
            assert_non_null(strchr(*e, '='));
            texts += strlen(*e);
        }
        assert_true(texts + w.input_length < length);
        exec_work_free(&w);
    } else {
        assert_null(w.arguments);
    }
    free(copy);
    return rc;
}

static void
assert_texts(char **texts, char **expected)
{
    for (; *expected; texts++, expected++) {
        assert_string_equal(*texts, *expected);
    }
    assert_null(*texts);
}

static void
an_encoded_command_decodes_to_the_same(void **state)
{
    struct exec_work w;
    size_t length;
    unsigned char *bytes = encode_example(&length);

    (void)state;
    assert_int_equal(exec_work_read(bytes, length, &w), 0);
    assert_string_equal(w.directory, "/srv/a b");
    assert_texts(w.arguments, arguments);
    assert_texts(w.environment, environment);
    assert_int_equal(w.input_length, sizeof(input));
    assert_memory_equal(w.input, input, sizeof(input));
    exec_work_free(&w);
    free(bytes);
}

static void
no_input_differs_from_empty_input(void **state)
{
    char *command[] = {(char *)"true", NULL}, *none[] = {NULL};
    struct exec_work w = {
        .directory = (char *)"/", .arguments = command, .environment = none};
    static const unsigned char example[] =
        "bide-exec 1\nd\1\0\0\0/\0a\4\0\0\0true";
    size_t length;
    void *bytes;

    (void)state;
    assert_int_equal(exec_work_write(&w, &bytes, &length), 0);
    assert_int_equal(length, sizeof(example));
    assert_memory_equal(bytes, example, length);
    assert_int_equal(exec_work_read(bytes, length, &w), 0);
    assert_null(w.input);
    exec_work_free(&w);
    free(bytes);
}

static void
truncated_bytes_are_refused(void **state)
{
    size_t length;
    unsigned char *bytes = encode_example(&length);

    (void)state;
    for (size_t n = 0; n < length; n++) {
        int rc = decode_copy(bytes, n);

        /* Only a cut between two fields, after an argument, is valid. */
        assert_true(rc == -1 || (rc == 0 && bytes[n - 1] == '\0'));
    }
    free(bytes);
}

static void
any_changed_byte_is_read_within_bounds(void **state)
{
    size_t length;
    unsigned char *bytes = encode_example(&length);

    (void)state;
    for (size_t i = 0; i < length; i++) {
        unsigned char was = bytes[i];

        for (int value = 0; value < 256; value++) {
            bytes[i] = (unsigned char)value;
            decode_copy(bytes, length);
        }
        bytes[i] = was;
    }
    free(bytes);
}

static void
random_bytes_are_read_within_bounds(void **state)
{
    unsigned char bytes[256];
    uint64_t draw = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t length = 12;

        memcpy(bytes, "bide-exec 1\nd\1\0\0\0/", length);
        for (draw = draw * 6364136223846793005u + 1; length < sizeof(bytes);
             length++) {
            static const char likely[] = "daei/=\0\0\0\0\1\2\3\4x";

            draw = draw * 6364136223846793005u + 1442695040888963407u;
            bytes[length] =
                (unsigned char)likely[(draw >> 33) % (sizeof(likely) - 1)];
            if (draw >> 58 == 0) {
                break;
            }
        }
        decode_copy(bytes, length);
    }
}

#define HEAD_TEXT "bide-exec 1\n"
#define ROOT "d\1\0\0\0/\0"
#define LS "a\2\0\0\0ls\0"

static void
bytes_that_break_a_rule_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int rc;
    } cases[] = {
#define CASE(text, rc) {text, sizeof(text) - 1, rc}
        CASE(HEAD_TEXT ROOT LS, 0),
        CASE(HEAD_TEXT ROOT LS "i\0\0\0\0\0", 0),
        CASE("", -1),
        CASE(HEAD_TEXT, -1),
        CASE("bide-exec 2\n" ROOT LS, -1),
        CASE(HEAD_TEXT ROOT, -1),                    /* no argument */
        CASE(HEAD_TEXT LS, -1),                      /* no directory */
        CASE(HEAD_TEXT LS ROOT, -1),                 /* wrong order */
        CASE(HEAD_TEXT ROOT ROOT LS, -1),            /* two directories */
        CASE(HEAD_TEXT "d\1\0\0\0x\0" LS, -1),       /* a relative path */
        CASE(HEAD_TEXT ROOT "a\0\0\0\0\0", -1),      /* an empty program name */
        CASE(HEAD_TEXT ROOT "a\2\0\0\0l\0\0", -1),   /* a 0 inside */
        CASE(HEAD_TEXT ROOT "a\2\0\0\0lsx", -1),     /* no 0 at its end */
        CASE(HEAD_TEXT ROOT LS "e\1\0\0\0A\0", -1),  /* not a variable */
        CASE(HEAD_TEXT ROOT LS "e\2\0\0\0=A\0", -1), /* without a name */
        CASE(HEAD_TEXT ROOT LS "i\0\0\0\0\0" LS, -1),
        CASE(HEAD_TEXT ROOT LS "x\0\0\0\0\0", -1), /* an unknown field */
        CASE(HEAD_TEXT ROOT "a\377\377\377\377ls\0", -1),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (decode_copy(cases[i].bytes, cases[i].length) != cases[i].rc) {
            fail_msg("case %zu", i);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encoded_command_decodes_to_the_same),
        cmocka_unit_test(no_input_differs_from_empty_input),
        cmocka_unit_test(truncated_bytes_are_refused),
        cmocka_unit_test(any_changed_byte_is_read_within_bounds),
        cmocka_unit_test(random_bytes_are_read_within_bounds),
        cmocka_unit_test(bytes_that_break_a_rule_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
