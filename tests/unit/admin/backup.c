/* A backup while the registry changes between two of its readings. */
#include "admin/backup.h"

#include "admin/read.h"
#include "store/policies/record.h"
#include "unit/registry/scene.h"

enum { BEFORE = 2 /* copies of the journal and of deferred.mdb */ };

static struct scene *changing; /* NULL: nothing changes */
static int copies, changes, most;

int __real_fflush(FILE *f);
int __wrap_fflush(FILE *f);

/* A backup flushes each file that it has copied: here another process changes
 * the one that was copied. */
int
__wrap_fflush(FILE *f)
{
    struct scene *s = changing;
    char text[64];

    if (s && ++copies > BEFORE && changes < most) {
        changing = NULL;
        snprintf(text, sizeof(text), "[pay]\nattempts = %d\n", 10 + ++changes);
        scene_apply(s, text);
        changing = s;
    }
    return __real_fflush(f);
}

static void
assert_restored(const struct scene *s, FILE *f, const char *attempts)
{
    char dir[400];
    struct admin_restored did;
    struct admin *a;
    struct record r;

    snprintf(dir, sizeof(dir), "%s/copy", s->top);
    rewind(f);
    assert_int_equal(admin_restore(dir, f, "it", false, &did), 0);
    assert_int_equal(admin_open(dir, &a), 0);
    assert_int_equal(admin_policy(a, "pay", &r), 0);
    assert_non_null(strstr(r.parts[0].value, attempts));
    record_free(&r);
    admin_close(a);
    scene_remove(dir);
}

static void
a_file_that_changed_meanwhile_is_copied_again(void **state)
{
    static const struct {
        int changes, copies;
        const char *attempts;
    } cases[] = {
        /* The head is flushed last. */
        {0, BEFORE + 1 + 1, "= 10"},
        {1, BEFORE + 2 + 1, "= 11"},
        {3, BEFORE + 4 + 1, "= 13"}, /* the last time its writers wait */
    };
    struct scene *s = *state;
    struct admin_backup did;
    struct admin *a;

    scene_init(s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        FILE *f = tmpfile();

        scene_apply(s, "[pay]\nattempts = 10\n");
        a = scene_admin(s);
        changing = s;
        copies = changes = 0;
        most = cases[i].changes;
        assert_int_equal(admin_backup(a, f, &did), 0);
        changing = NULL;
        assert_int_equal(copies, cases[i].copies);
        assert_restored(s, f, cases[i].attempts);
        admin_close(a);
        fclose(f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_file_that_changed_meanwhile_is_copied_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
