/* Records in memory, compared with a plain array. */
#include "unit/store/file/scratch.h"

#include <errno.h>

#include "store/queue/recent.h"

enum { KEYS = 60 };

struct model {
    int value[KEYS]; /* -1: deleted; 0: none */
};

static void
key_of(int number, char key[8])
{
    /* Some keys are a prefix of others. */
    snprintf(key, 8, "%.*s", 1 + number % 6, "kkkkkkk");
    key[number % 6] = (char)('a' + number / 6);
}

static size_t
key_length(int number)
{
    return (size_t)(1 + number % 6);
}

static void
compare_with_model(const struct recent *r, const struct model *m)
{
    const struct recent_node *n, *before = NULL;
    size_t count = 0, gone = 0;
    char key[8];
    int i;

    for (i = 0; i < KEYS; i++) {
        key_of(i, key);
        n = recent_find(r, key, key_length(i));
        if (!m->value[i]) {
            assert_true(!n || n->value->kind == RECENT_NOWHERE);
        } else {
            assert_non_null(n);
            assert_int_equal(n->value->kind,
                             m->value[i] < 0 ? RECENT_GONE : RECENT_HERE);
            assert_int_equal(n->value->length, m->value[i] < 0 ? 0 : 4);
        }
        if (m->value[i] > 0) {
            assert_memory_equal(n->value->bytes, &m->value[i], 4);
        }
        count += m->value[i] != 0;
        gone += m->value[i] < 0;
    }
    assert_int_equal(recent_totals(r).gone, gone);
    for (size_t at = 0; (n = recent_at(r, at)); at++) {
        if (before) {
            assert_true(recent_compare(before->key, before->key_length, n->key,
                                       n->key_length) < 0);
        }
        before = n;
    }
    if (!recent_changes(r)) {
        assert_int_equal(recent_totals(r).count, count);
    }
}

static void
trials_are_kept_or_undone(void **state)
{
    struct recent *r = recent_new();
    struct model now = {{0}}, kept = {{0}};
    uint64_t seed = 17;
    int i, k;

    (void)state;
    assert_non_null(r);
    for (i = 0; i < 3000; i++) {
        for (k = (int)below(&seed, 6); k > 0; k--) {
            int number = (int)below(&seed, KEYS), value = i + 1;
            char key[8];

            key_of(number, key);
            switch (below(&seed, 4)) {
            case 0:
                assert_int_equal(recent_set(r, key, key_length(number),
                                            RECENT_GONE, NULL, 0),
                                 0);
                now.value[number] = -1;
                break;
            case 1:
                assert_int_equal(recent_set(r, key, key_length(number),
                                            RECENT_NOWHERE, NULL, 0),
                                 0);
                now.value[number] = 0;
                break;
            default:
                assert_int_equal(recent_set(r, key, key_length(number),
                                            RECENT_HERE, &value, 4),
                                 0);
                now.value[number] = value;
            }
        }
        compare_with_model(r, &now);
        if (below(&seed, 2)) {
            recent_keep(r);
            kept = now;
        } else {
            recent_undo(r);
            now = kept;
        }
        assert_int_equal(recent_changes(r), 0);
        compare_with_model(r, &now);
    }
    recent_free(r);
}

static void
deleted_records_take_no_bytes(void **state)
{
    struct recent *r = recent_new();
    static uint8_t bytes[10000];

    (void)state;
    assert_non_null(r);
    assert_int_equal(recent_totals(r).bytes, 0);
    assert_int_equal(recent_set(r, "k", 1, RECENT_HERE, bytes, sizeof(bytes)),
                     0);
    assert_true(recent_totals(r).bytes >= sizeof(bytes));
    recent_undo(r);
    assert_int_equal(recent_totals(r).bytes, 0);
    assert_int_equal(recent_set(r, "k", 1, RECENT_HERE, bytes, 100), 0);
    recent_keep(r);
    assert_true(recent_totals(r).bytes >= 100);
    assert_int_equal(recent_set(r, "k", 1, RECENT_GONE, NULL, 0), 0);
    recent_keep(r);
    assert_int_equal(recent_totals(r).bytes, 0);
    assert_int_equal(recent_totals(r).count, 1);
    recent_free(r);
    recent_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trials_are_kept_or_undone),
        cmocka_unit_test(deleted_records_take_no_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
