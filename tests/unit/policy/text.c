#include "check.h"

static struct policy_text *
text_with(const char *const *pairs)
{
    struct policy_text *t = policy_text_new("p");
    struct faults faults = {0};

    for (; *pairs; pairs += 2) {
        assert_int_equal(
            policy_text_set(t, pairs[0], pairs[1], "set", 0, &faults), 0);
    }
    assert_false(faults_any(&faults));
    return t;
}

static void
keys_are_written_in_the_tables_order(void **state)
{
    static const char *const pairs[] = {
        "wait_max", "2000ms", "attempts", "4",  "description", "a b",
        "paused",   "no",     "wait_max", "3s", NULL,
    };
    struct policy_text *t = text_with(pairs);
    char *written = policy_text_write(t);

    (void)state;
    assert_string_equal(written, "[p]\ndescription = a b\npaused = no\n"
                                 "attempts = 4\nwait_max = 3s\n");
    free(written);
    policy_text_free(t);
}

static void
a_refused_value_changes_nothing(void **state)
{
    static const char *const pairs[] = {"attempts", "4", NULL};
    static const struct {
        const char *key, *value, *what, *hint;
    } rows[] = {
        {"attempts", "0", "attempts = 0: must be 1 to 1000000, or unlimited",
         NULL},
        {"attemps", "3", "attemps: no such key", "did you mean attempts?"},
        {"wait_initial", "100", "wait_initial = 100: a duration needs its unit",
         "did you mean 100ms?"},
        {"defer_attempts", "0",
         "defer_attempts = 0: must be 1 to 1000000, or unlimited", NULL},
        {"warn_p95", "0", "warn_p95 = 0: must be 1ns to 36500d, or none", NULL},
        {"attempts", "",
         "attempts =: must be a whole number, 1 to 1000000, "
         "or unlimited",
         NULL},
    };
    struct policy_text *t = text_with(pairs);
    struct policy_text *before = policy_text_copy(t);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct faults faults = {0};

        assert_int_equal(
            policy_text_set(t, rows[i].key, rows[i].value, "set", 7, &faults),
            BIDE_EINPUT);
        assert_int_equal(faults.count, 1);
        assert_string_equal(faults.list[0].file, "set");
        assert_int_equal(faults.list[0].line, 7);
        assert_string_equal(faults.list[0].what, rows[i].what);
        if (rows[i].hint) {
            assert_string_equal(faults.list[0].hint, rows[i].hint);
        } else {
            assert_null(faults.list[0].hint);
        }
        faults_free(&faults);
        assert_true(policy_text_same(t, before));
    }
    policy_text_free(before);
    policy_text_free(t);
}

static void
unset_removes_a_key(void **state)
{
    static const char *const pairs[] = {"attempts", "4",    "paused", "yes",
                                        "wait",     "none", NULL};
    struct policy_text *t = text_with(pairs);
    struct faults faults = {0};
    char *written;

    (void)state;
    assert_int_equal(policy_text_unset(t, "attempts", "set", &faults), 0);
    assert_int_equal(policy_text_unset(t, "attempts", "set", &faults), 0);
    assert_int_equal(policy_text_unset(t, "budget", "set", &faults), 0);
    assert_null(policy_text_get(t, key_find("attempts")));
    assert_string_equal(policy_text_get(t, key_find("paused")), "yes");
    assert_int_equal(policy_text_unset(t, "pausd", "set", &faults),
                     BIDE_EINPUT);
    assert_string_equal(faults.list[0].hint, "did you mean paused?");
    faults_free(&faults);
    written = policy_text_write(t);
    assert_string_equal(written, "[p]\npaused = yes\nwait = none\n");
    free(written);
    policy_text_free(t);
}

static void
copies_are_equal_and_independent(void **state)
{
    static const char *const pairs[] = {"attempts", "4", NULL};
    struct policy_text *a = text_with(pairs), *b = policy_text_copy(a);
    struct policy_text *empty = policy_text_new("p");
    struct policy_text *also = policy_text_copy(empty);
    struct fault f;

    (void)state;
    assert_true(policy_text_same(a, b));
    assert_true(policy_text_same(empty, also));
    assert_false(policy_text_same(a, empty));
    policy_text_set(b, "attempts", "5", "set", 3, NULL);
    assert_false(policy_text_same(a, b));
    assert_string_equal(policy_text_get(a, key_find("attempts")), "4");
    policy_text_set(b, "attempts", "4", "set", 9, NULL);
    assert_true(policy_text_same(a, b)); /* the line is no part of it */
    f = policy_text_fault(b, "t", FAULT_CONFLICT, key_find("attempts"), NULL);
    assert_int_equal(f.line, 9);
    f = policy_text_fault(b, "t", FAULT_CONFLICT, key_find("wait"), NULL);
    assert_int_equal(f.line, 0);
    policy_text_set(also, "wait", "none", "set", 0, NULL);
    assert_null(policy_text_get(empty, key_find("wait")));
    assert_null(policy_text_new("No Name"));
    policy_text_free(a);
    policy_text_free(b);
    policy_text_free(empty);
    policy_text_free(also);
    policy_text_free(NULL);
}

/* Sets a description.  If it is accepted, writes it and checks that it reads
 * back unchanged. */
static bool
description_survives(const char *value)
{
    struct policy_text *t = policy_text_new("p");
    struct faults faults = {0};
    int rc = policy_text_set(t, "description", value, "set", 0, &faults);

    assert_true(rc == 0 || rc == BIDE_EINPUT);
    assert_int_equal(rc != 0, faults_any(&faults));
    if (rc == 0) {
        char *written = policy_text_write(t);
        struct policy_list list = read_good(written);

        assert_int_equal(list.count, 1);
        assert_true(policy_text_same(t, list.list[0]));
        assert_string_equal(
            policy_text_get(list.list[0], key_find("description")), value);
        for (char *line = strtok(written, "\n"); line;
             line = strtok(NULL, "\n")) {
            assert_true(strlen(line) <= POLICY_LINE_MAX);
        }
        policy_list_free(&list);
        free(written);
    }
    faults_free(&faults);
    policy_text_free(t);
    return rc == 0;
}

static void
a_description_reads_back_or_is_refused(void **state)
{
    static const struct {
        const char *value;
        bool accepted;
    } rows[] = {
        {"", true},
        {"plain", true},
        {"\"quoted\"", true},
        {"it's = equal", true},
        {"key: value", true},
        {"#1", true},
        {"[x]", true},
        {"a;b", true},
        {"a #b", true},
        {"two  blanks", true},
        {"ünïcödé ☃ 𝄞", true},
        {"\xef\xbb\xbf", true},
        {";x", false},
        {"a ;b", false},
        {"a ;", false},
        {" a", false},
        {"a ", false},
        {"a\nattempts = 9", false},
        {"a\r", false},
        {"a\t", false},
        {"\x01", false},
        {"\xc3", false},
        {"\xed\xa0\x80", false}, /* half a surrogate pair */
        {"\xc0\x80", false},     /* an overlong NUL */
        {"\xe0\x80\x80", false}, /* overlong in three bytes */
        {"\xf4\x90\x80\x80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (description_survives(rows[i].value) != rows[i].accepted) {
            fail_msg("%s", rows[i].value);
        }
    }
}

static void
a_word_may_be_as_long_as_a_line(void **state)
{
    char value[400];
    size_t room = POLICY_LINE_MAX - strlen("description = ");

    (void)state;
    memset(value, 'x', sizeof(value));
    value[room] = '\0';
    assert_true(description_survives(value));
    value[room] = 'x';
    value[room + 1] = '\0';
    assert_false(description_survives(value));
    value[1] = ' '; /* the rest has a line of its own */
    value[room + 1] = 'x';
    value[2 + POLICY_LINE_MAX - 4] = '\0';
    assert_true(description_survives(value));
    value[2 + POLICY_LINE_MAX - 4] = 'x';
    value[2 + POLICY_LINE_MAX - 3] = '\0';
    assert_false(description_survives(value));
}

/* Random texts made of pieces that have a meaning at the start of a line. */
static void
wrapped_descriptions_read_back_unchanged(void **state)
{
    static const char *const words[] = {
        "word",  "attempts",
        "=",     "=3",
        "wait:", "#no",
        "[sec]", "a;b",
        "x=y",   "description",
        ":",     "\"",
        "",      /* a second blank */ "a-rather-long-word-that-takes-room",
        "wärme",
    };
    uint64_t x = 88172645463325252;
    int accepted = 0;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        char value[4096] = "start";

        for (int n = (int)(x % 120); n > 0; n--) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            strcat(value, " ");
            strcat(value, words[(x >> 20) % (sizeof(words) / sizeof(*words))]);
        }
        x = x * 6364136223846793005u + 1;
        strcat(value, ".");
        accepted += description_survives(value);
    }
    assert_true(accepted > 1500);
}

static void
wrapped_lists_read_back_unchanged(void **state)
{
    struct policy_text *t = policy_text_new("p");
    struct policy_list list;
    char value[16384] = "any", *written;

    (void)state;
    for (int i = 0; i < OUTCOME_SET_MAX; i++) {
        char item[64];

        snprintf(item, sizeof(item), ",app.%048d", i);
        strcat(value, item);
    }
    assert_int_equal(policy_text_set(t, "retry_on", value, "set", 0, NULL), 0);
    written = policy_text_write(t);
    list = read_good(written);
    assert_true(policy_text_same(t, list.list[0]));
    policy_list_free(&list);
    free(written);
    policy_text_free(t);
}

static void
a_list_has_a_fault_for_each_bad_item(void **state)
{
    struct policy_text *t = policy_text_new("p");
    struct faults faults = {0};

    (void)state;
    assert_int_equal(policy_text_set(t, "retry_on",
                                     "any, 503, http.1, errno.EIO", "set", 0,
                                     &faults),
                     BIDE_EINPUT);
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.list[0].hint, "did you mean http.503?");
    assert_non_null(strstr(faults.list[1].what, "retry_on = http.1: "));
    faults_free(&faults);
    assert_int_equal(
        policy_text_set(t, "retry_on", "any, none", "set", 0, &faults),
        BIDE_EINPUT);
    assert_int_equal(faults.count, 1);
    assert_non_null(strstr(faults.list[0].what, "none cannot be in a list"));
    faults_free(&faults);
    assert_int_equal(policy_text_set(t, "retry_on",
                                     "http.503 http.502, any;EIO", "set", 0,
                                     &faults),
                     BIDE_EINPUT);
    assert_int_equal(faults.count, 2);
    assert_non_null(strstr(faults.list[0].what, ": commas separate outcomes"));
    assert_non_null(strstr(faults.list[1].what, ": commas separate outcomes"));
    faults_free(&faults);
    assert_int_equal(policy_text_set(t, "retry_on",
                                     "[http.503], [http.9], \"any\"", "set", 0,
                                     &faults),
                     BIDE_EINPUT);
    assert_int_equal(faults.count, 3);
    assert_string_equal(faults.list[0].hint, "did you mean http.503?");
    assert_null(faults.list[1].hint);
    assert_string_equal(faults.list[2].hint, "did you mean any?");
    faults_free(&faults);
    policy_text_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_written_in_the_tables_order),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(unset_removes_a_key),
        cmocka_unit_test(copies_are_equal_and_independent),
        cmocka_unit_test(a_description_reads_back_or_is_refused),
        cmocka_unit_test(a_word_may_be_as_long_as_a_line),
        cmocka_unit_test(wrapped_descriptions_read_back_unchanged),
        cmocka_unit_test(wrapped_lists_read_back_unchanged),
        cmocka_unit_test(a_list_has_a_fault_for_each_bad_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
