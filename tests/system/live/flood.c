/* A service that floods the live file with names: what operators see and do
 * goes on working, within bounds. */
#include <bide.h>
#include "system/process.h"

static struct bide_outcome
succeed(const struct bide_attempt *a, void *arg)
{
    (void)a, (void)arg;
    return bide_ok();
}

/* Makes more names than a process may have, and a call of each. */
static void
flood(const struct scene *s, unsigned names)
{
    struct bide *b;

    MUST(bide_open(s->dir, 0, &b) == 0);
    for (unsigned i = 0; i < names; i++) {
        struct bide_policy *p;
        char name[32];

        snprintf(name, sizeof(name), "n%u", i);
        MUST(bide_lookup(b, name, NULL, &p) == 0);
        MUST(bide_run(p, succeed, NULL) == BIDE_SUCCEEDED);
    }
    _exit(bide_close(b) ? 1 : 0);
}

/* Counts the lines, and those with `word`, that a command prints. */
static void
count_lines(const struct scene *s, const char *command, const char *word,
            unsigned *lines, unsigned *with)
{
    char line[4096];
    FILE *f;

    *lines = *with = 0;
    snprintf(line, sizeof(line), "\"$BIDE\" --dir '%s' %s", s->dir, command);
    f = popen(line, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        ++*lines;
        *with += strstr(line, word) != NULL;
    }
    assert_true(pclose(f) >= 0);
}

static void
after_a_flood_of_names_a_new_policy_works_and_screens_are_bounded(void **state)
{
    enum { SHARE = CELL_MAX / 8, SCREEN = ADMIN_CELLS_SHOWN + 50 };
    struct scene *s = *state;
    unsigned lines, with;
    pid_t child;

    process_registry(s, "[pay]\nattempts = 3\n");
    child = fork();
    if (child == 0) {
        flood(s, SHARE + 500);
    }
    scene_wait_for(child);
    count_lines(s, "doctor", "an eighth of all cells", &lines, &with);
    assert_int_equal(with, 1);
    count_lines(s, "list", "share one", &lines, &with);
    assert_int_equal(with, 1);
    assert_in_range(lines, ADMIN_CELLS_SHOWN, SCREEN);
    count_lines(s, "list", "added up as @others", &lines, &with);
    assert_int_equal(with, 1);
    count_lines(s, "list --json", "@others", &lines, &with);
    assert_int_equal(with, 1);
    count_lines(s, "metrics", "bide_calls_total{policy=\"@others\"", &lines,
                &with);
    assert_in_range(with, 1, 20);
    count_lines(s, "stats", "@others", &lines, &with);
    assert_in_range(with, 1, 2); /* its row, and the names not defined */
    assert_in_range(lines, ADMIN_CELLS_SHOWN, SCREEN);
    BIDE(s, "apply", process_file(s, "[late]\nattempts = 3\n"));
    BIDE(s, "exec", "late", "true");
    count_lines(s, "list", "late", &lines, &with);
    assert_int_equal(with, 1);
    BIDE(s, "pause", "late");
    assert_int_equal(
        process_run(s, (const char *const[]){"exec", "late", "true", NULL}),
        75);
    count_lines(s, "list", "share one", &lines, &with);
    assert_int_equal(with, 0); /* a cell was made since */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(
            after_a_flood_of_names_a_new_policy_works_and_screens_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
