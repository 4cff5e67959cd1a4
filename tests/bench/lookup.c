/* lookup FEW_DIR FEW_NAMES MANY_DIR MANY_NAMES ROUNDS N: measures bide_lookup
 * in a registry of few and in one of many policies: the first look-up of each
 * name, then repeated look-ups in random order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "race.h"

enum { ORDER = 65536, SOME = 1000 };

/* The names in the order of their look-ups.  They are contiguous in memory, as
 * names in requests would be, so that reading them costs little. */
struct queries {
    struct bide *bide;
    long next;
    char name[ORDER][BIDE_NAME_MAX + 1];
};

static void
lookup_one(struct queries *q, const char *name, struct bide_policy **out)
{
    int rc = bide_lookup(q->bide, name, NULL, out);

    if (rc) {
        race_stop(name, bide_strerror(rc));
    }
}

static void
lookup_in_turn(void *arg, long n)
{
    struct queries *q = arg;
    struct bide_policy *p;

    while (n-- > 0) {
        lookup_one(q, q->name[q->next++ % ORDER], &p);
    }
}

/* Looks up each of the first `used` names once, and prints the cost of that as
 * `first_id` unless it is NULL.  Returns random queries for the same names. */
static struct queries *
make_queries(struct bide *b, char **names, long used, const char *first_id)
{
    struct queries *q = calloc(1, sizeof(*q));
    struct bide_policy *p;
    uint64_t begin;

    if (!q) {
        race_stop("lookup", "out of memory");
    }
    q->bide = b;
    begin = race_now_ns();
    for (long i = 0; i < used; i++) {
        lookup_one(q, names[i], &p);
    }
    if (first_id) {
        race_say(first_id, (double)(race_now_ns() - begin) / (double)used);
    }
    srandom(1);
    for (long i = 0; i < ORDER; i++) {
        strcpy(q->name[i], names[random() % used]);
    }
    return q;
}

static struct bide *
open_registry(const char *dir)
{
    struct bide *b;
    int rc = bide_open(dir, 0, &b);

    if (rc) {
        race_stop(dir, bide_strerror(rc));
    }
    return b;
}

int
main(int argc, char **argv)
{
    long few, many, some;
    char **few_names, **many_names;

    if (argc != 7) {
        race_stop("usage", "lookup FEW_DIR FEW_NAMES MANY_DIR MANY_NAMES "
                           "ROUNDS N");
    }
    few_names = race_lines(argv[2], &few);
    many_names = race_lines(argv[4], &many);
    some = many < SOME ? many : SOME;
    /* The large registry is opened twice: once to use some names, once all. */
    struct racer racers[] = {
        {.id = "lookup_few",
         .run = lookup_in_turn,
         .arg =
             make_queries(open_registry(argv[1]), few_names, few, "first_few")},
        {.id = "lookup_some",
         .run = lookup_in_turn,
         .arg = make_queries(open_registry(argv[3]), many_names, some, NULL)},
        {.id = "lookup_many",
         .run = lookup_in_turn,
         .arg = make_queries(open_registry(argv[3]), many_names, many,
                             "first_many")},
    };
    race(racers, sizeof(racers) / sizeof(*racers), (int)race_number(argv[5]),
         race_number(argv[6]));
    return 0;
}
