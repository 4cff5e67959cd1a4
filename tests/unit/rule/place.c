/* Places of a limit, with time as a number; and threads that take and give as
 * fast as they can. */
#include <pthread.h>

#include "compiled.h"

#include "rule/place.h"

#define TIME0 (5000 * SECOND)

enum { OWNER_A = 0x80000001, OWNER_B = 0x80000002, DEAD = 0x80000003 };
enum event { TAKE, WAITED, GIVE, OVERDUE_GIVE };
struct step {
    uint64_t at_ms;
    enum event event;
    uint32_t owner;
    enum importance who;
    bool fine;
};

struct held {
    uint32_t owner, place;
    uint64_t word;
};

static bool
is_gone(void *arg, uint32_t owner)
{
    (void)arg;
    return owner == DEAD;
}

/* Takes and gives back; an owner gives back what it took first. */
static void
play(const char *keys, const struct step *steps, size_t count)
{
    struct policy *p = compiled(keys);
    struct limits *l = calloc(1, sizeof(*l));
    struct held held[64] = {0};

    for (size_t i = 0; i < count; i++) {
        const struct step *s = &steps[i];
        struct place_ask a = {.owner = s->owner,
                              .waited = s->event == WAITED,
                              .now_ns = TIME0 + s->at_ms * MS,
                              .limit_ns = p->attempt_timeout_ns,
                              .is_gone = is_gone};
        bool fine = false;
        size_t j = 0;

        if (s->event == TAKE || s->event == WAITED) {
            while (held[j].place) {
                j++;
            }
            held[j].owner = s->owner;
            held[j].place = place_take(&p->limit, s->who, &l->places, l->slot,
                                       &a, &held[j].word);
            fine = held[j].place;
        } else {
            uint32_t before = place_used(l->slot);

            while (!held[j].place || held[j].owner != s->owner) {
                j++;
            }
            place_give(&l->places, l->slot, held[j].place, held[j].word);
            fine = place_used(l->slot) < before;
            held[j].place = 0;
        }
        if (fine != s->fine) {
            fail_msg("step %zu: %d", i, fine);
        }
    }
    policy_free(p);
    free(l);
}
#define PLAY(keys, steps) play(keys, steps, COUNT(steps))

static void
as_many_as_places(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, OWNER_A, MANDATORY, true},
        {0, TAKE, OWNER_B, OPTIONAL, true},
        {0, TAKE, OWNER_B, MANDATORY, false},
        {0, GIVE, OWNER_B, MANDATORY, true},
        {0, TAKE, OWNER_B, MANDATORY, true},
        {1000000, TAKE, OWNER_B, MANDATORY, false}, /* no time limit */
    };

    (void)state;
    PLAY("limit=own\nlimit_places=2", steps);
}

static void
the_reserve_is_for_mandatory_policies(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, OWNER_A, OPTIONAL, true},
        {0, TAKE, OWNER_A, POSTPONABLE, true},
        {0, TAKE, OWNER_A, POSTPONABLE, false},
        {0, TAKE, OWNER_B, MANDATORY, true},
        {0, TAKE, OWNER_B, MANDATORY, true},
        {0, TAKE, OWNER_B, MANDATORY, false},
        {0, GIVE, OWNER_A, OPTIONAL, true},
        {0, TAKE, OWNER_B, MANDATORY, true}, /* the others first */
        {0, TAKE, OWNER_A, OPTIONAL, false},
    };

    (void)state;
    PLAY("limit=own\nlimit_places=4\nlimit_reserve=50%", steps);
}

static void
a_small_reserve_is_one_place_and_leaves_one(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, OWNER_A, OPTIONAL, true},
        {0, TAKE, OWNER_A, OPTIONAL, false},
        {0, TAKE, OWNER_A, MANDATORY, true},
    };

    (void)state;
    PLAY("limit=own\nlimit_places=2\nlimit_reserve=10%", steps);
    PLAY("limit=own\nlimit_places=2\nlimit_reserve=90%", steps);
}

static void
an_overdue_place_is_taken_and_its_late_give_does_nothing(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, OWNER_A, MANDATORY, true},
        {500, TAKE, OWNER_B, MANDATORY, false},
        {1500, TAKE, OWNER_B, MANDATORY, false}, /* a second late is in time */
        {3000, TAKE, OWNER_B, MANDATORY, true},
        {3000, GIVE, OWNER_A, MANDATORY, false},
        {3000, TAKE, OWNER_A, MANDATORY, false},
        {3000, GIVE, OWNER_B, MANDATORY, true},
    };

    (void)state;
    PLAY("limit=own\nlimit_places=1\nattempt_timeout=1s", steps);
}

static void
the_place_of_a_dead_owner_is_taken(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, DEAD, MANDATORY, true},
        {0, TAKE, OWNER_A, MANDATORY, true},
        {0, TAKE, OWNER_A, MANDATORY, true}, /* finds the dead one */
        {1, TAKE, OWNER_B, MANDATORY, false},
    };

    (void)state;
    PLAY("limit=own\nlimit_places=2", steps);
}

static void
newcomers_stay_behind_those_that_wait(void **state)
{
    static const struct step steps[] = {
        {0, TAKE, OWNER_A, OPTIONAL, true},
        {0, TAKE, OWNER_B, POSTPONABLE, false}, /* waits from now on */
        {0, GIVE, OWNER_A, OPTIONAL, true},
        {10, TAKE, OWNER_A, OPTIONAL, false},
        {10, WAITED, OWNER_A, OPTIONAL, false}, /* more important ones first */
        {10, TAKE, OWNER_A, POSTPONABLE, false},
        {10, TAKE, OWNER_A, MANDATORY, true},
        {10, GIVE, OWNER_A, MANDATORY, true},
        {10, WAITED, OWNER_B, POSTPONABLE, true},
    };
    static const struct step killed[] = {
        {0, TAKE, OWNER_A, OPTIONAL, true},
        {0, TAKE, DEAD, POSTPONABLE, false}, /* is killed while it waits */
        {0, GIVE, OWNER_A, OPTIONAL, true},
        {600, TAKE, OWNER_A, OPTIONAL, true},
    };

    (void)state;
    PLAY("limit=own\nlimit_places=1\nlimit_wait=10s", steps);
    PLAY("limit=own\nlimit_places=1\nlimit_wait=10s", killed);
}

static void
garbage_holds_no_place_longer_than_a_dead_owner(void **state)
{
    struct policy *p = compiled("limit=own\nlimit_places=3");
    struct limits *l = calloc(1, sizeof(*l));
    struct place_ask a = {.owner = OWNER_A,
                          .now_ns = TIME0,
                          .limit_ns = DURATION_NONE,
                          .is_gone = is_gone};
    uint64_t word;

    (void)state;
    for (size_t i = 0; i < COUNT(l->slot); i++) {
        l->slot[i] = (uint64_t)DEAD << 32 | 0x34567890 >> i % 7;
    }
    l->places.waiting = l->places.looked = UINT64_MAX;
    assert_int_not_equal(
        place_take(&p->limit, MANDATORY, &l->places, l->slot, &a, &word), 0);
    assert_int_equal(place_used(l->slot), 1);
    assert_false(place_give(&l->places, l->slot, 0, word));
    assert_false(place_give(&l->places, l->slot, UINT32_MAX, word));
    assert_int_equal(place_used(l->slot), 1);
    place_reset(&l->places, l->slot);
    assert_int_equal(place_used(l->slot), 0);
    policy_free(p);
    free(l);
}

static void
all_places_can_be_taken_at_each_number_of_places(void **state)
{
    static const uint32_t numbers[] = {1, 2, 7, 8, 9, 125, 126, 999, 1000};
    struct limits *l = calloc(1, sizeof(*l));
    struct limit_rules r = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        place_reset(&l->places, l->slot);
        r.places = numbers[i];
        for (uint32_t n = 0; n <= numbers[i]; n++) {
            struct place_ask a = {.owner = 1u << 31 | n,
                                  .now_ns = TIME0,
                                  .limit_ns = DURATION_NONE};
            uint64_t word;

            assert_int_equal(
                place_take(&r, MANDATORY, &l->places, l->slot, &a, &word) != 0,
                n < numbers[i]);
        }
        assert_int_equal(place_used(l->slot), numbers[i]);
    }
    free(l);
}

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 20000 };
struct crowd {
    struct policy *p;
    struct limits l;
    _Atomic int inside, most;
    _Atomic uint64_t taken;
};
struct member {
    struct crowd *crowd;
    uint32_t owner;
};

static void *
take_and_give(void *arg)
{
    struct member *m = arg;
    struct crowd *c = m->crowd;
    struct place_ask a = {
        .owner = m->owner, .now_ns = TIME0, .limit_ns = DURATION_NONE};

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t word;
        uint32_t place;
        int now, most;

        a.now_ns += MS;
        place = place_take(&c->p->limit, MANDATORY, &c->l.places, c->l.slot, &a,
                           &word);
        if (!place) {
            continue;
        }
        now = atomic_fetch_add(&c->inside, 1) + 1;
        most = atomic_load(&c->most);
        while (now > most &&
               !atomic_compare_exchange_weak(&c->most, &most, now)) {
        }
        atomic_fetch_add(&c->taken, 1);
        atomic_fetch_sub(&c->inside, 1);
        place_give(&c->l.places, c->l.slot, place, word);
    }
    return NULL;
}

static void
threads_never_hold_more_places_than_there_are(void **state)
{
    struct crowd *c = calloc(1, sizeof(*c));
    struct member member[THREADS];
    pthread_t thread[THREADS];

    (void)state;
    c->p = compiled("limit=own\nlimit_places=3");
    for (uint32_t i = 0; i < THREADS; i++) {
        member[i] = (struct member){c, OWNER_A + i % 3};
        assert_int_equal(
            pthread_create(&thread[i], NULL, take_and_give, &member[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    assert_true(atomic_load(&c->most) <= 3);
    assert_true(atomic_load(&c->taken) > 0);
    assert_int_equal(place_used(c->l.slot), 0);
    policy_free(c->p);
    free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_places),
        cmocka_unit_test(the_reserve_is_for_mandatory_policies),
        cmocka_unit_test(a_small_reserve_is_one_place_and_leaves_one),
        cmocka_unit_test(
            an_overdue_place_is_taken_and_its_late_give_does_nothing),
        cmocka_unit_test(the_place_of_a_dead_owner_is_taken),
        cmocka_unit_test(newcomers_stay_behind_those_that_wait),
        cmocka_unit_test(garbage_holds_no_place_longer_than_a_dead_owner),
        cmocka_unit_test(all_places_can_be_taken_at_each_number_of_places),
        cmocka_unit_test(threads_never_hold_more_places_than_there_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
