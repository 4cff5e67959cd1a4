/* Each allocation and each system call of operators' commands fails once, and
 * from then on.  The commands tell the truth about what they did. */
enum { POINTS = 12 };

#include "faulting.h"

#include "base/clock.h"
#include "store/history/recording.h"

static const char shop[] = "[default]\nattempts = 2\n"
                           "[mail]\nattempts = 3\nwait = fixed\n"
                           "wait_initial = 1ms\nimportance = postponable\n"
                           "warn_retry_rate = 10%\n"
                           "[quick]\nextends = mail\nwait = none\n";

static struct bide_outcome
fail_once(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number == 1 ? bide_http(503, NULL) : bide_ok();
}

static void
write_policies(struct scene *s, const struct target *t, int run)
{
    char text[300];

    (void)t;
    snprintf(text, sizeof(text),
             "[mail]\nattempts = %d\nwait = fixed\nwait_initial = 1ms\n"
             "importance = postponable\n"
             "[quick]\nextends = mail\nwait = none\nattempts = %d\n",
             2 + (run + 1) % 90, 3 + (run + 1) % 90);
    process_file(s, text);
}

static void
remake_policy(struct scene *s, const struct target *t, int run)
{
    (void)t;
    scene_apply(s,
                run % 2 ? "[gone]\nattempts = 2\n" : "[gone]\nattempts = 4\n");
}

static void
resume_policy(struct scene *s, const struct target *t, int run)
{
    char text[300];

    (void)t;
    snprintf(text, sizeof(text), "[mail]\nattempts = %d\npaused = no\n",
             2 + run % 90);
    scene_apply(s, text);
}

/* Leaves one recording, an hour ago: a second one of the same minute would
 * change nothing. */
static void
record_earlier(struct scene *s, const struct target *t, int run)
{
    const struct recording_source other = {.begun_ns = 1};
    struct recording *r;
    char path[400];

    (void)t;
    (void)run;
    snprintf(path, sizeof(path), "%s/history/history.mdb", s->dir);
    assert_true(unlink(path) == 0 || errno == ENOENT);
    assert_int_equal(recording_begin(s->dir, &other,
                                     clock_realtime_ns() - 3600 * SECOND,
                                     60 * SECOND, &r),
                     0);
    assert_int_equal(recording_commit(r), 0);
    recording_end(r);
}

/* Makes the live file and counts some calls. */
static void
run_calls(struct scene *s)
{
    struct bide_policy *p;
    struct bide_result r;
    struct bide *b;

    assert_int_equal(bide_open(s->dir, 0, &b), 0);
    assert_int_equal(bide_lookup(b, "mail", "scope", &p), 0);
    for (int i = 0; i < 30; i++) {
        scene_call(p, fail_once, NULL, &r);
        assert_int_equal(r.verdict, BIDE_SUCCEEDED);
    }
    assert_int_equal(bide_close(b), 0);
}

/* ---- the test ---- */

static void
commands_tell_the_truth(void **state)
{
    struct scene *s = *state;
    char file[300];
    const struct target targets[] = {
        {.name = "set",
         .argv = WORDS("set", "mail", "attempts=@"),
         .parts = POLICIES,
         .changes = true,
         .contains = "attempts = @\n"},
        {.name = "apply",
         .argv = WORDS("apply", file),
         .parts = POLICIES,
         .changes = true,
         .prepare = write_policies,
         .contains = "attempts = @\n"},
        {.name = "delete",
         .argv = WORDS("delete", "gone"),
         .parts = POLICIES,
         .changes = true,
         .prepare = remake_policy},
        {.name = "pause",
         .argv = WORDS("pause", "mail"),
         .parts = POLICIES,
         .changes = true,
         .prepare = resume_policy,
         .contains = "paused = yes"},
        {.name = "list", .argv = WORDS("list"), .parts = POLICIES},
        {.name = "stats", .argv = WORDS("stats"), .parts = POLICIES},
        {.name = "record",
         .argv = WORDS("record"),
         .parts = HISTORY,
         .changes = true,
         .prepare = record_earlier},
        {.name = "check", .argv = WORDS("check"), .parts = POLICIES},
        {.name = "doctor", .argv = WORDS("doctor"), .parts = POLICIES},
        {.name = "simulate",
         .argv = WORDS("simulate", "mail", "--for", "2s"),
         .parts = POLICIES},
    };

    process_registry(s, shop);
    run_calls(s);
    snprintf(file, sizeof(file), "%s/p.ini", s->top);
    try_targets(s, targets, COUNT(targets));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {SCENE(commands_tell_the_truth)};

    setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
