#include "unit/policy/check.h"

#include "base/near.h"

static const char *const names[] = {"payments", "orders", "order", "mail", "a"};

static const char *
near_name(const char *name, const char *const *list, size_t count)
{
    struct near near = near_begin(name);

    for (size_t i = 0; i < count; i++) {
        near_offer(&near, list[i]);
    }
    return near.best;
}

static void
the_nearest_name_within_two_edits_is_found(void **state)
{
    static const struct {
        const char *written, *near;
    } rows[] = {
        {"payments", "payments"},
        {"paymnets", "payments"},
        {"pyments", "payments"},
        {"paymentsss", "payments"},
        {"PAYMENTS", "payments"},
        {"orderz", "orders"},
        {"ordr", "order"},
        {"mial", "mail"},
        {"mali", "mail"},
        {"milk", NULL},
        {"b", NULL},
        {"A", "a"},
        {"", NULL},
        {"paynemtz", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *near = near_name(rows[i].written, names, 5);

        if (!near || !rows[i].near) {
            if (near != rows[i].near) {
                fail_msg("%s: %s", rows[i].written, near ? near : "nothing");
            }
        } else {
            assert_string_equal(near, rows[i].near);
        }
    }
    assert_null(near_name("payments", names, 0));
}

static void
very_long_names_get_no_suggestion(void **state)
{
    char longer[200];
    const char *one = longer;

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(near_name(longer, &one, 1));
    assert_null(near_name(longer, names, 5));
    longer[64] = '\0';
    assert_int_equal(near_distance(longer, longer), 0);
    assert_int_equal(near_distance(longer, ""), 64);
}

static void
every_character_of_a_name_is_checked(void **state)
{
    static const struct {
        const char *name;
        bool ok;
        const char *near;
    } rows[] = {
        {"a", true, "a"},
        {"0", true, "0"},
        {"a.b_c-d", true, "a.b_c-d"},
        {"012345678901234567890123456789012345678901234567", true,
         "012345678901234567890123456789012345678901234567"},
        {"0123456789012345678901234567890123456789012345678", false, ""},
        {"", false, ""},
        {"-a", false, ""},
        {".a", false, ""},
        {"A", false, "a"},
        {"Do Transaction", false, "do-transaction"},
        {"a/b", false, "a-b"},
        {"a\n", false, "a-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char near[BIDE_NAME_MAX + 1];

        assert_int_equal(policy_name_ok(rows[i].name), rows[i].ok);
        policy_name_near(rows[i].name, near);
        assert_string_equal(near, rows[i].near);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_name_within_two_edits_is_found),
        cmocka_unit_test(very_long_names_get_no_suggestion),
        cmocka_unit_test(every_character_of_a_name_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
