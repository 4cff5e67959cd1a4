#include "scene.h"

static struct bide_outcome
outcome(enum bide_domain domain, int32_t code)
{
    return (struct bide_outcome){.domain = (uint8_t)domain, .code = code};
}

static uint64_t
sum(const uint64_t *counts, size_t n)
{
    uint64_t total = 0;

    while (n) {
        total += counts[--n];
    }
    return total;
}

static void
a_reading_is_the_sum_of_all_stripes_of_all_processes(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s), *other = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct cell_reading r;

    for (uint32_t i = 0; i < STRIPE_MAX; i++) {
        struct stripe *stripe = cell_stripe(i % 2 ? l : other, index, i);

        assert_non_null(stripe);
        atomic_fetch_add(&stripe->succeeded[i], 1);
        atomic_fetch_add(&stripe->succeeded[HISTOGRAM_BUCKETS - 1], 10);
        atomic_fetch_add(&stripe->failed[0], 100);
        atomic_fetch_add(&stripe->counter[COUNTER_COUNT - 1], 1000);
    }
    for (int i = 0; i < 2; i++) {
        cell_read(i ? l : other, index, &r);
        assert_int_equal(r.succeeded[0], 1);
        assert_int_equal(r.succeeded[STRIPE_MAX - 1], 1);
        assert_int_equal(r.succeeded[HISTOGRAM_BUCKETS - 1], 80);
        assert_int_equal(sum(r.succeeded, HISTOGRAM_BUCKETS), 88);
        assert_int_equal(sum(r.failed, HISTOGRAM_BUCKETS), 800);
        assert_int_equal(r.counter[COUNTER_COUNT - 1], 8000);
        assert_int_equal(sum(r.counter, COUNTER_COUNT), 8000);
    }
    live_close(l);
    live_close(other);
}

static void
cells_have_separate_counts(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell_reading r;

    for (uint32_t i = 0; i < 40; i++) {
        char name[16];
        uint32_t index;

        snprintf(name, sizeof(name), "p%u", i);
        index = scene_cell(l, name);
        for (uint32_t stripe = 0; stripe < STRIPE_MAX; stripe++) {
            memset((void *)cell_stripe(l, index, stripe), 0, 8);
            atomic_fetch_add(&cell_stripe(l, index, stripe)->counter[0], i);
        }
        cell_count_outcome(l, index, outcome(BIDE_DOMAIN_HTTP, 500));
    }
    for (uint32_t i = 0; i < 40; i++) {
        cell_read(l, i, &r);
        assert_int_equal(r.counter[0], i * STRIPE_MAX);
        assert_int_equal(r.outcome_count, 1);
        assert_int_equal(r.outcome[0].count, 1);
    }
    live_close(l);
}

static void
indices_and_stripes_that_do_not_exist_are_refused(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    struct cell_reading r;

    assert_null(cell_stripe(l, CELL_MAX, 0));
    assert_null(cell_stripe(l, UINT32_MAX, 0));
    assert_null(cell_stripe(l, 0, STRIPE_MAX));
    assert_null(cell_stripe(l, 0, UINT32_MAX));
    assert_non_null(cell_stripe(l, CELL_MAX - 1, STRIPE_MAX - 1));
    cell_read(l, UINT32_MAX, &r);
    assert_int_equal(sum(r.counter, COUNTER_COUNT), 0);
    cell_count_outcome(l, UINT32_MAX, outcome(BIDE_DOMAIN_HTTP, 500));
    cell_fold(l, UINT32_MAX, l, 0);
    cell_fold(l, 0, l, UINT32_MAX);
    assert_non_null(live_scrap(l));
    live_close(l);
}

static void
reading_takes_no_space(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    uint64_t before = scene_space(s);
    struct cell_reading r;

    memset(&r, 0xff, sizeof(r));
    cell_read(l, index, &r);
    assert_int_equal(sum(r.succeeded, HISTOGRAM_BUCKETS), 0);
    assert_int_equal(r.outcome_count, 0);
    for (uint32_t i = 0; i < CELL_MAX; i += 1009) {
        cell_read(l, i, &r);
        assert_null(i > index ? cell_at(l, i) : NULL);
    }
    atomic_store(&live_header(l)->cells_used, CELL_MAX); /* garbage */
    for (uint32_t i = 0; i < CELL_MAX; i += 1009) {
        assert_true(i < 8 || !cell_at(l, i));
    }
    assert_int_equal(scene_space(s), before);
    live_close(l);
}

static void
a_cell_takes_space_only_for_stripes_in_use(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint64_t fresh = scene_space(s), used;
    uint32_t index = scene_cell(l, "a");

    used = scene_space(s);
    assert_int_equal(used - fresh, 4096); /* a page of 8 cells */
    cell_stripe(l, index, 0);
    assert_true(scene_space(s) - used <= 3 * 4096);
    cell_count_outcome(l, index, outcome(BIDE_DOMAIN_HTTP, 500));
    assert_true(scene_space(s) - used <= 4 * 4096);
    for (uint32_t i = 0; i < STRIPE_MAX; i++) {
        cell_stripe(l, index, i);
    }
    assert_true(scene_space(s) - used <= 80 * 1024);
    live_close(l);
}

/* ---- outcomes ---- */

static void
outcomes_are_listed_by_name_with_the_most_frequent_first(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct cell_reading r;

    for (int i = 0; i < 5; i++) {
        cell_count_outcome(l, index, outcome(BIDE_DOMAIN_HTTP, 503));
        cell_count_outcome(l, index, bide_app("Out_of.stock"));
        if (i < 3) {
            cell_count_outcome(l, index,
                               outcome(BIDE_DOMAIN_ERRNO, ECONNRESET));
        }
    }
    cell_count_outcome(l, index, outcome(BIDE_DOMAIN_EXIT, 75));
    cell_count_outcome(l, index, bide_ok());
    cell_read(l, index, &r);
    assert_int_equal(r.outcome_count, 4);
    assert_string_equal(r.outcome[0].name, "app.Out_of.stock");
    assert_int_equal(r.outcome[0].count, 5);
    assert_string_equal(r.outcome[1].name, "http.503");
    assert_int_equal(r.outcome[1].count, 5);
    assert_string_equal(r.outcome[2].name, "errno.ECONNRESET");
    assert_int_equal(r.outcome[2].count, 3);
    assert_string_equal(r.outcome[3].name, "exit.75");
    assert_int_equal(r.outcome[3].count, 1);
    live_close(l);
}

static void
outcomes_without_a_slot_are_counted_as_other(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct cell_reading r;

    for (int32_t round = 0; round < 3; round++) {
        for (int32_t i = 0; i < CELL_OUTCOMES + 9; i++) {
            cell_count_outcome(l, index, outcome(BIDE_DOMAIN_HTTP, 400 + i));
        }
    }
    cell_read(l, index, &r);
    assert_int_equal(r.outcome_count, CELL_OUTCOMES + 1);
    assert_string_equal(r.outcome[CELL_OUTCOMES].name, "other");
    assert_int_equal(r.outcome[CELL_OUTCOMES].count, 27);
    for (int i = 0; i < CELL_OUTCOMES; i++) {
        assert_int_equal(r.outcome[i].count, 3);
    }
    live_close(l);
}

static void
count_apps(void *arg)
{
    struct scene *s = arg;
    struct live *l = NULL;
    uint32_t index;

    CHECK(live_open(s->path, s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(cell_find(l, "a", "", true, &index) == 0);
    bide_app("something-else"); /* makes the codes differ from the parent's */
    cell_count_outcome(l, index, bide_app("two"));
    cell_count_outcome(l, index, bide_app("one"));
}

static void
app_outcomes_of_all_processes_are_counted_by_name(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct cell_reading r;

    assert_int_equal(scene_child(count_apps, s), 0);
    cell_count_outcome(l, index, bide_app("one"));
    cell_read(l, index, &r);
    assert_int_equal(r.outcome_count, 2);
    assert_string_equal(r.outcome[0].name, "app.one");
    assert_int_equal(r.outcome[0].count, 2);
    assert_string_equal(r.outcome[1].name, "app.two");
    live_close(l);
}

static void
the_missing_name_of_an_app_outcome_is_written_later(void **state)
{
    struct scene *s = *state;
    struct live *l = scene_open(s);
    uint32_t index = scene_cell(l, "a");
    struct body *body;
    struct cell_reading r;

    cell_count_outcome(l, index, bide_app("one"));
    body = (struct body *)(void *)cell_stripe(l, index, 0);
    for (int byte = 0; byte < 256; byte++) {
        for (int i = 0; i < CELL_OUTCOMES; i++) {
            memset((void *)body->outcomes.slot[i].app, byte, 48);
        }
        cell_read(l, index, &r);
        assert_int_equal(r.outcome_count, 1);
        assert_string_equal(r.outcome[0].name, "other");
        assert_int_equal(r.unnamed, r.outcome[0].count);
    }
    cell_count_outcome(l, index, bide_app("one"));
    cell_read(l, index, &r);
    assert_int_equal(r.outcome_count, 1);
    assert_string_equal(r.outcome[0].name, "app.one");
    assert_int_equal(r.outcome[0].count, 2);
    live_close(l);
}

/* ---- moving ---- */

static void
count_something(struct live *l, uint32_t index)
{
    for (uint32_t i = 0; i < STRIPE_MAX; i++) {
        struct stripe *stripe = cell_stripe(l, index, i);

        for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
            atomic_fetch_add(&stripe->succeeded[b], b);
            atomic_fetch_add(&stripe->failed[b], b + 1);
        }
        for (uint32_t c = 0; c < COUNTER_COUNT; c++) {
            atomic_fetch_add(&stripe->counter[c], c + 5);
        }
    }
    cell_count_outcome(l, index, bide_app("x"));
    for (int32_t i = 0; i < 40; i++) {
        cell_count_outcome(l, index, outcome(BIDE_DOMAIN_HTTP, 400 + i));
    }
}

static void
assert_empty(struct live *l, uint32_t index)
{
    struct cell_reading r;

    cell_read(l, index, &r);
    assert_int_equal(sum(r.succeeded, HISTOGRAM_BUCKETS), 0);
    assert_int_equal(sum(r.failed, HISTOGRAM_BUCKETS), 0);
    assert_int_equal(sum(r.counter, COUNTER_COUNT), 0);
    assert_int_equal(sum((uint64_t *)&r.calls, sizeof(r.calls) / 8), 0);
    assert_int_equal(r.outcome_count, 0);
}

static void
moving_moves_each_count_once(void **state)
{
    struct scene *s = *state;
    struct live *from, *to = scene_open(s);
    uint32_t a, b;
    struct cell_reading before, after;
    uint64_t outcomes = 0;

    assert_int_equal(live_open_private(&from), 0);
    scene_cell(from, "first");
    a = scene_cell(from, "a");
    b = scene_cell(to, "a");
    assert_int_not_equal(a, b);
    count_something(from, a);
    atomic_fetch_add(&cell_calls(from, a)->took[7], 3);
    atomic_fetch_add(&cell_calls(from, a)->again[8], 2);
    atomic_fetch_add(&cell_calls(from, a)->attempts[1], 2);
    cell_read(from, a, &before);
    cell_fold(from, a, to, b);
    assert_empty(from, a);
    cell_fold(from, a, to, b);
    cell_read(to, b, &after);
    assert_memory_equal(before.succeeded, after.succeeded,
                        sizeof(before.succeeded));
    assert_memory_equal(before.failed, after.failed, sizeof(before.failed));
    assert_memory_equal(before.counter, after.counter, sizeof(before.counter));
    assert_memory_equal(&before.calls, &after.calls, sizeof(before.calls));
    assert_int_equal(after.calls.took[7], 3);
    for (uint32_t i = 0; i < after.outcome_count; i++) {
        outcomes += after.outcome[i].count;
    }
    assert_int_equal(outcomes, 41);
    assert_int_equal(after.outcome_count, CELL_OUTCOMES + 1);
    assert_empty(to, b + 1);
    live_close(from);
    live_close(to);
}

static void
count_in_child(void *arg)
{
    struct live *l = arg;

    atomic_fetch_add(&cell_stripe(l, 0, 3)->counter[1], 7);
    cell_count_outcome(l, 0, outcome(BIDE_DOMAIN_HTTP, 503));
}

static void
private_counts_of_a_child_move_too(void **state)
{
    struct scene *s = *state;
    struct live *from, *to = scene_open(s);
    struct cell_reading r;

    assert_int_equal(live_open_private(&from), 0);
    assert_int_equal(scene_cell(from, "a"), 0);
    assert_int_equal(scene_cell(to, "a"), 0);
    atomic_fetch_add(&cell_stripe(from, 0, 0)->counter[1], 1);
    assert_int_equal(scene_child(count_in_child, from), 0);
    cell_fold(from, 0, to, 0);
    cell_read(to, 0, &r);
    assert_int_equal(r.counter[1], 8);
    assert_int_equal(r.outcome_count, 1);
    live_close(from);
    live_close(to);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_reading_is_the_sum_of_all_stripes_of_all_processes),
        SCENE_TEST(cells_have_separate_counts),
        SCENE_TEST(indices_and_stripes_that_do_not_exist_are_refused),
        SCENE_TEST(reading_takes_no_space),
        SCENE_TEST(a_cell_takes_space_only_for_stripes_in_use),
        SCENE_TEST(outcomes_are_listed_by_name_with_the_most_frequent_first),
        SCENE_TEST(outcomes_without_a_slot_are_counted_as_other),
        SCENE_TEST(app_outcomes_of_all_processes_are_counted_by_name),
        SCENE_TEST(the_missing_name_of_an_app_outcome_is_written_later),
        SCENE_TEST(moving_moves_each_count_once),
        SCENE_TEST(private_counts_of_a_child_move_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
