#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/array.h"

static void
all_appended_elements_are_kept(void **state)
{
    uint32_t *list = NULL;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *longer = array_more(list, i, sizeof(*list));

        assert_non_null(longer);
        list = longer;
        list[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(list[i], i);
    }
    free(list);
}

static void
a_list_that_shrank_may_grow_again(void **state)
{
    uint32_t *list = NULL;

    (void)state;
    for (uint32_t i = 0; i < 9; i++) {
        list = array_more(list, i, sizeof(*list));
        assert_non_null(list);
        list[i] = i;
    }
    for (uint32_t i = 3; i < 40; i++) {
        list = array_more(list, i, sizeof(*list));
        assert_non_null(list);
        list[i] = i;
    }
    assert_int_equal(list[0] + list[1] + list[2], 3);
    free(list);
}

static void
a_list_larger_than_memory_is_refused_and_kept(void **state)
{
    char *list = array_more(NULL, 0, 1);

    (void)state;
    assert_non_null(list);
    *list = 'x';
    assert_null(array_more(list, (SIZE_MAX >> 1) + 1, 1));
    assert_null(array_more(list, (size_t)1 << 62, 16));
    assert_int_equal(*list, 'x');
    free(list);
}

static void
a_copy_of_an_element_is_appended(void **state)
{
    uint32_t *list = NULL;
    size_t count = 0;

    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        assert_true(array_put(&list, &count, &i, sizeof(i)));
    }
    assert_int_equal(count, 40);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(list[i], i);
    }
    count = (size_t)1 << 62;
    assert_false(array_put(&list, &count, &list[0], 16));
    assert_int_equal(count, (size_t)1 << 62);
    assert_int_equal(list[39], 39);
    free(list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_appended_elements_are_kept),
        cmocka_unit_test(a_list_that_shrank_may_grow_again),
        cmocka_unit_test(a_list_larger_than_memory_is_refused_and_kept),
        cmocka_unit_test(a_copy_of_an_element_is_appended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
