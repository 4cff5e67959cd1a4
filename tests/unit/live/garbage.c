/* Another process may write anything into the live file; that must not cause a
 * crash or a hang.  Each trial is a child process with a time limit: it writes
 * random garbage into parts of the file and then uses everything. */
#include "scene.h"

enum { TRIALS = 1000, LIMIT_S = 60, CELLS = 20 };

struct trial {
    struct scene *s;
    uint64_t seed;
};

static uint64_t
draw_random(struct trial *t)
{
    t->seed ^= t->seed >> 12;
    t->seed ^= t->seed << 25;
    t->seed ^= t->seed >> 27;
    return t->seed * 0x2545f4914f6cdd1dull;
}

/* Returns a word that may do harm: random, small, all ones, or with some bits
 * of `old` changed. */
static uint64_t
bad_word(struct trial *t, uint64_t old)
{
    switch (draw_random(t) % 6) {
    case 0:
        return draw_random(t);
    case 1:
        return draw_random(t) % 256;
    case 2:
        return UINT64_MAX;
    case 3:
        return old ^ 1ull << draw_random(t) % 64;
    case 4:
        return old << 32 | (draw_random(t) % (2 * CELL_MAX));
    default:
        return 0;
    }
}

/* Replaces each word of `size` bytes with a probability of 1 in `rarity`. */
static void
write_garbage(struct trial *t, void *place, size_t size, uint64_t rarity)
{
    _Atomic uint64_t *words = place;

    for (size_t i = 0; i < size / 8; i++) {
        if (draw_random(t) % rarity == 0) {
            atomic_store(&words[i], bad_word(t, atomic_load(&words[i])));
        }
    }
}

static void
write_garbage_somewhere(struct trial *t, struct live *l)
{
    static const uint64_t rarities[] = {1, 2, 10, 100};
    char *base = (char *)live_header(l);
    uint64_t what = draw_random(t) % 64;

    if (what & 1) {
        write_garbage(t, base, sizeof(struct live_header),
                      rarities[draw_random(t) % 4]);
    }
    if (what & 2) {
        write_garbage(t, base + LIVE_SLEEPERS, LIVE_DIRECTORY - LIVE_SLEEPERS,
                      rarities[draw_random(t) % 4]);
    }
    if (what & 4) {
        write_garbage(t, base + LIVE_DIRECTORY, DIRECTORY_WORDS * 8,
                      rarities[draw_random(t) % 4]);
    }
    for (uint32_t i = 0; what & 8 && i < CELLS; i++) {
        struct cell *c = cell_at(l, i);

        if (c) {
            write_garbage(t, c, sizeof(*c), rarities[draw_random(t) % 4]);
        }
    }
    for (uint32_t i = 0; what & 48 && i < CELLS; i += 7) {
        struct stripe *stripe = cell_stripe(l, i, (uint32_t)draw_random(t) % 9);
        char *body = (char *)cell_stripe(l, i, 0);

        if (stripe) {
            write_garbage(t, stripe, sizeof(*stripe),
                          rarities[draw_random(t) % 4]);
        }
        cell_count_outcome(l, i, bide_app("x"));
        write_garbage(t, body + offsetof(struct body, outcomes),
                      sizeof(struct outcomes), rarities[draw_random(t) % 4]);
    }
}

static int
check_sleeper(void *arg, const struct sleeper *s)
{
    (void)arg;
    CHECK(strlen(s->by.program) < sizeof(s->by.program));
    CHECK(strlen(s->outcome) < sizeof(s->outcome));
    return 0;
}

static void
use_cell(struct live *l, uint32_t i)
{
    char name[BIDE_NAME_MAX + 1] = "", scope[BIDE_NAME_MAX + 1] = "";
    struct who who;
    struct cell *c = cell_at(l, i);
    struct cell_reading r;

    if (c) {
        if (cell_names(c, name, scope)) {
            CHECK(*name && strlen(name) <= BIDE_NAME_MAX);
            CHECK(strlen(scope) <= BIDE_NAME_MAX);
        }
        if (cell_asked(c, &who)) {
            CHECK(strlen(who.program) < sizeof(who.program));
        }
        cell_ask(c);
        cell_set_gate(c, i, i, i);
        cell_announce(c);
        cell_sleep(&c->generation, 1, 1);
    }
    cell_count_outcome(l, i, bide_app("y"));
    cell_count_outcome(l, i, bide_errno(EIO));
    cell_stripe(l, i, i % STRIPE_MAX);
    cell_read(l, i, &r);
    CHECK(r.outcome_count <= CELL_OUTCOMES + 1);
    for (uint32_t n = 0; n < r.outcome_count; n++) {
        CHECK(*r.outcome[n].name);
        CHECK(strlen(r.outcome[n].name) < sizeof(r.outcome[n].name));
    }
}

static void
use_everything(struct live *l, struct live *private)
{
    uint32_t index;
    char name[16];

    CHECK(cell_count(l) <= CELL_MAX);
    for (uint32_t i = 0; i < CELLS + 10; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        cell_find(l, name, "", i % 2, &index);
        if (cell_find(l, name, "x", true, &index) == 0) {
            CHECK(index < CELL_MAX);
        }
        use_cell(l, i);
        cell_fold(private, 0, l, i);
        cell_fold(l, i, private, 0);
    }
    use_cell(l, cell_count(l) - 1);
    for (uint32_t i = 0; i < 100; i++) {
        int slot = sleeper_enter(l, i, i, i, bide_errno(EIO), BIDE_BY_NONE,
                                 UINT64_MAX / 2);

        sleeper_move(l, slot, 1, BIDE_BY_NONE, 2);
        sleeper_leave(l, slot);
    }
    sleeper_each(l, 0, check_sleeper, NULL);
    live_note_trouble(l, BIDE_ESYS);
    live_ring(l);
    live_is_current(l);
    CHECK(live_stripes(l) >= 1 && live_stripes(l) <= STRIPE_MAX);
}

static void
run_trial(void *arg)
{
    struct trial *t = arg;
    struct live *l = NULL, *again = NULL, *private = NULL;
    uint32_t index;
    char name[16];

    alarm(LIMIT_S);
    CHECK(live_open(t->s->path, t->s->id, LIVE_FOR_ALL, &l) == 0);
    CHECK(live_open_private(&private) == 0);
    CHECK(cell_find(private, "a", "", true, &index) == 0);
    for (uint32_t i = 0; i < CELLS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        CHECK(cell_find(l, name, "", true, &index) == 0);
    }
    sleeper_enter(l, 1, 1, 1, bide_errno(EIO), BIDE_BY_NONE, UINT64_MAX);
    write_garbage_somewhere(t, l);
    use_everything(l, private);
    if (live_open(t->s->path, t->s->id, LIVE_FOR_ALL, &again) == 0) {
        use_everything(again, private);
    }
    live_close(again);
    live_close(l);
    live_close(private);
}

static void
garbage_falsifies_numbers_and_nothing_else(void **state)
{
    struct scene *s = *state;
    int trials = TRIALS;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    trials /= 10;
#endif
    for (int i = 1; i <= trials; i++) {
        struct trial t = {s, (uint64_t)i * 0x9e3779b97f4a7c15ull};
        int status = scene_child(run_trial, &t);

        if (status) {
            fail_msg("trial %d: %d", i, status);
        }
        unlink(s->path);
    }
}

/* Garbage in the file before any process has attached. */
static void
attach_trial(void *arg)
{
    struct trial *t = arg;
    struct live *l = NULL;
    int rc;

    alarm(LIMIT_S);
    rc = live_open(t->s->path, t->s->id, LIVE_FOR_ALL, &l);
    CHECK(rc == 0 || rc == BIDE_EDAMAGED || rc == BIDE_EFORMAT);
    CHECK((rc == 0) == (l != NULL));
    live_close(l);
}

static void
a_file_of_garbage_is_replaced_or_refused(void **state)
{
    struct scene *s = *state;

    live_close(scene_open(s));
    for (int i = 1; i <= 500; i++) {
        struct trial t = {s, (uint64_t)i * 0x9e3779b97f4a7c15ull};
        uint64_t bytes[16];
        int fd;

        for (size_t w = 0; w < 16; w++) {
            bytes[w] = draw_random(&t);
        }
        fd = open(s->path, O_RDWR);
        if (draw_random(&t) % 4 == 0) {
            assert_int_equal(ftruncate(fd, (off_t)(draw_random(&t) % 9000)), 0);
        }
        assert_true(
            pwrite(fd, bytes, draw_random(&t) % 129,
                   draw_random(&t) % 2 ? 0 : (off_t)(draw_random(&t) % 120)) >=
            0);
        close(fd);
        assert_int_equal(scene_child(attach_trial, &t), 0);
        if (draw_random(&t) % 3 == 0) {
            unlink(s->path);
            live_close(scene_open(s));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(garbage_falsifies_numbers_and_nothing_else),
        SCENE_TEST(a_file_of_garbage_is_replaced_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
