/* lookup FEW_DIR FEW_NAMES MANY_DIR MANY_NAMES ROUNDS N: bide_lookup of names
 * that were asked for before, in random order, in a registry of few and in one
 * of many policies; and what the first look at each costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "race.h"

enum { ORDER = 65536, SOME = 1000 };

/* Names in the order in which they are asked for, one after the other in
 * memory, as they would come with requests: what is measured is our look-up,
 * not the fetching of its question. */
struct questions {
    struct bide *bide;
    long next;
    char name[ORDER][BIDE_NAME_MAX + 1];
};

static void
ask(struct questions *q, const char *name, struct bide_policy **out)
{
    int rc = bide_lookup(q->bide, name, NULL, out);

    if (rc) {
        race_stop(name, bide_strerror(rc));
    }
}

static void
look_up(void *arg, long n)
{
    struct questions *q = arg;
    struct bide_policy *p;

    while (n-- > 0) {
        ask(q, q->name[q->next++ % ORDER], &p);
    }
}

/* Asks once for each of the first `used` names. */
static struct questions *
prepare(struct bide *b, char **names, long used, const char *first_id)
{
    struct questions *q = calloc(1, sizeof(*q));
    struct bide_policy *p;
    uint64_t begin;

    if (!q) {
        race_stop("lookup", "out of memory");
    }
    q->bide = b;
    begin = race_now_ns();
    for (long i = 0; i < used; i++) {
        ask(q, names[i], &p);
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
opened(const char *dir)
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
    /* A process that uses all, and one that uses some of the many. */
    struct racer racers[] = {
        {.id = "lookup_few",
         .run = look_up,
         .arg = prepare(opened(argv[1]), few_names, few, "first_few")},
        {.id = "lookup_some",
         .run = look_up,
         .arg = prepare(opened(argv[3]), many_names, some, NULL)},
        {.id = "lookup_many",
         .run = look_up,
         .arg = prepare(opened(argv[3]), many_names, many, "first_many")},
    };
    race(racers, sizeof(racers) / sizeof(*racers), (int)race_number(argv[5]),
         race_number(argv[6]));
    return 0;
}
