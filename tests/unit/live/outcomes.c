/* Counts of outcomes of every domain. */
#include "policy/outcome.h"
#include "scene.h"

static void
outcomes_of_every_domain_are_counted_by_name(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct cell_reading r;

    for (int domain = BIDE_DOMAIN_ERRNO; domain < OUTCOME_DOMAINS; domain++) {
        struct bide_outcome o = {.domain = (uint8_t)domain, .code = 3};

        if (domain == BIDE_DOMAIN_APP) {
            o = bide_app("out_of_stock");
        }
        cell_count_outcome(l, index, o);
    }
    cell_count_outcome(l, index,
                       (struct bide_outcome){.domain = OUTCOME_DOMAINS});
    cell_read(l, index, &r);
    assert_int_equal(r.outcome_count, OUTCOME_DOMAINS - 1);
    for (uint32_t i = 0; i < r.outcome_count; i++) {
        char name[64];

        assert_int_equal(r.outcome[i].count, 1);
        assert_string_not_equal(r.outcome[i].name, "other");
        bide_outcome_name(bide_dns(3), name, sizeof(name));
        if (strncmp(r.outcome[i].name, "dns.", 4) == 0) {
            assert_string_equal(r.outcome[i].name, name);
        }
    }
    live_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(outcomes_of_every_domain_are_counted_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
