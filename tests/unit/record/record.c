/* Recording, by a command and by a thread inside of a service. */
#include "admin/read.h"
#include "live/layout.h"
#include "record/past.h"
#include "rule/alarm.h"
#include "rule/breaker.h"
#include "store/history/history.h"
#define SCENE_FLAGS 0
#include "unit/registry/scene.h"

static const struct recorder_options how = {
    .every_ns = 1, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};

/* ---- pending counts ---- */

static int
add(void *arg, const struct history_interval *i)
{
    if (*i->name != '@') {
        figures_add(arg, i->figures);
    }
    return 0;
}

static struct figures *
history_of(struct scene *s, const char *name, struct history_known *past)
{
    struct history_range range = {name, 0, UINT64_MAX, false};
    struct figures *sum = calloc(1, sizeof(*sum));
    struct admin *a = scene_admin(s);

    assert_non_null(sum);
    assert_int_equal(
        past_each_interval(admin_past(a), &range, NULL, add, sum, past), 0);
    admin_close(a);
    return sum;
}

static uint64_t
calls_of(struct scene *s, const char *name)
{
    struct history_known past;
    struct figures *f = history_of(s, name, &past);
    uint64_t calls = figures_calls(f);

    free(f);
    return calls;
}

static void
totals_are_exact_before_between_and_after_recordings(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad[] = {bide_http(503, NULL), bide_ok()};
    struct recorded done;
    struct history_known past;
    struct figures *f;
    struct admin *a;

    scene_start(s, "[pay]\nattempts = 2\nwait = none\n");
    for (int i = 1; i <= 20; i++) {
        scene_run(s, "pay", bad, 2, NULL);
        if (i % 3 == 0) {
            scene_record(s, &how, &done);
            assert_int_equal(done.result.cells, 1);
            recorded_free(&done);
        }
        f = history_of(s, "pay", &past);
        assert_int_equal(figures_calls(f), i);
        assert_int_equal(f->counter[COUNTER_RETRIES], i);
        assert_int_equal(f->outcome_count, 1);
        assert_int_equal(f->outcome[0].count, i);
        assert_int_equal(past.damaged + past.lost, 0);
        assert_int_equal(past.last_ns != 0, i >= 3);
        free(f);
    }
    a = scene_admin(s);
    assert_int_equal(past_known(admin_past(a), &past), 0);
    assert_string_equal(past_outcome(admin_past(a), 1), "http.503");
    assert_string_equal(past_outcome(admin_past(a), 0), "other");
    assert_string_equal(past_outcome(admin_past(a), 77), "other");
    admin_close(a);
    assert_int_equal(calls_of(s, "nobody"), 0);
}

/* ---- early warning ---- */

static int
see_alarm(void *arg, const struct past_alarm *alarm)
{
    struct past_alarm *seen = arg;

    *seen = *alarm;
    seen->name = NULL;
    seen->policy = NULL;
    return 0;
}

static void
a_level_is_stored_once_and_ends_when_its_keys_are_removed(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);
    struct recorded done;
    struct past_alarm seen = {.begin_ns = 1};
    struct admin *a;

    scene_start(s, "[pay]\nattempts = 2\nwait = none\nwarn_min_calls = 2\n"
                   "warn_failed_rate = 50%\n");
    scene_run(s, "pay", &bad, 1, NULL);
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 0); /* too few */
    scene_run(s, "pay", &bad, 1, NULL);
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 1);
    assert_string_equal(done.changes[0].name, "pay");
    assert_int_equal(done.changes[0].now, ALARM_WARN);
    assert_int_equal(done.changes[0].seen.calls, 2);
    recorded_free(&done);
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 0);
    a = scene_admin(s);
    assert_int_equal(admin_each_alarm(a, NULL, 0, see_alarm, &seen), 0);
    assert_int_equal(seen.verdict.level, ALARM_WARN);
    assert_int_equal(seen.recorded.level, ALARM_WARN);
    admin_close(a);
    scene_apply(s, "[pay]\nattempts = 2\nwait = none\n");
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 1);
    assert_int_equal(done.changes[0].before, ALARM_WARN);
    assert_int_equal(done.changes[0].now, ALARM_OK);
    recorded_free(&done);
}

/* Makes the live state look as if it had begun hours earlier. */
static void
begin_earlier(struct scene *s, uint64_t hours)
{
    const off_t at = offsetof(struct live_header, begun_ns);
    struct admin *a = scene_admin(s);
    int fd = open(reader_live_path(admin_past(a)->reader), O_RDWR);
    uint64_t begun;

    admin_close(a);
    assert_int_equal(pread(fd, &begun, sizeof(begun), at), sizeof(begun));
    begun -= hours * 3600 * SECOND;
    assert_int_equal(pwrite(fd, &begun, sizeof(begun), at), sizeof(begun));
    close(fd);
}

static void
the_first_recording_after_hours_changes_no_level(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL), ok = bide_ok();
    struct recorded done;
    struct past_alarm seen = {.begin_ns = 1};
    struct admin *a;

    scene_start(s, "[pay]\nattempts = 1\nwarn_min_calls = 2\n"
                   "warn_failed_rate = 50%\n");
    scene_run(s, "pay", &bad, 1, NULL);
    scene_run(s, "pay", &bad, 1, NULL);
    begin_earlier(s, 3);
    a = scene_admin(s);
    assert_int_equal(admin_each_alarm(a, NULL, 0, see_alarm, &seen), 0);
    assert_int_equal(seen.verdict.level, ALARM_UNKNOWN);
    admin_close(a);
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 0);
    /* Judges the calls since that recording. */
    scene_run(s, "pay", &bad, 1, NULL);
    scene_run(s, "pay", &bad, 1, NULL);
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 1);
    assert_int_equal(done.changes[0].now, ALARM_WARN);
    assert_int_equal(done.changes[0].seen.calls, 2);
    recorded_free(&done);
    for (int i = 0; i < 3; i++) {
        scene_run(s, "pay", &ok, 1, NULL);
    }
    scene_record(s, &how, &done);
    assert_int_equal(done.change_count, 1);
    assert_int_equal(done.changes[0].now, ALARM_OK);
    recorded_free(&done);
}

static int
count_turn(void *arg, const char *name, const char *scope,
           const struct history_event *event)
{
    unsigned *turns = arg;

    assert_string_equal(name, "pay");
    assert_string_equal(scope, "");
    assert_int_equal(event->kind, HISTORY_BREAKER);
    assert_in_range(event->to, STATE_CLOSED, STATE_HALF_OPEN);
    turns[event->to]++;
    return 0;
}

static void
each_transition_of_a_breaker_is_shown_once_recorded_or_not(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome bad = bide_http(503, NULL);
    struct history_range all = {NULL, 0, UINT64_MAX, false};
    struct recorded done;

    scene_start(s, "[pay]\nattempts = 1\nbreaker = on\n"
                   "breaker_consecutive = 2\nwarn_breaker = none\n");
    scene_run(s, "pay", &bad, 1, NULL);
    scene_run(s, "pay", &bad, 1, NULL);
    for (int i = 0; i < 3; i++) {
        unsigned turns[STATE_HALF_OPEN + 1] = {0};
        uint64_t damaged = 0;
        struct admin *a = scene_admin(s);

        assert_int_equal(
            past_each_event(admin_past(a), &all, count_turn, turns, &damaged),
            0);
        admin_close(a);
        assert_int_equal(turns[STATE_OPEN], 1);
        assert_int_equal(damaged, 0);
        scene_record(s, &how, &done);
        recorded_free(&done);
    }
}

/* ---- the thread ---- */

static bool
is_recorded(void *arg)
{
    struct scene *s = arg;
    struct admin *a = scene_admin(s);
    struct history_known past;
    bool yes = past_known(admin_past(a), &past) == 0 && past.last_ns > 0;

    admin_close(a);
    return yes;
}

static void
a_service_can_record_history_itself(void **state)
{
    struct scene *s = *state;
    const struct bide_outcome ok = bide_ok();

    scene_start(s, "[pay]\nattempts = 2\n");
    scene_run(s, "pay", &ok, 1, NULL);
    assert_int_equal(bide_record_every(s->b, SECOND), 0);
    assert_int_equal(bide_record_every(s->b, 2 * SECOND), 0); /* instead */
    assert_true(scene_until(is_recorded, s));
    assert_int_equal(calls_of(s, "pay"), 1);
    assert_int_equal(bide_record_every(s->b, 0), 0);
    assert_int_equal(bide_record_every(s->b, 0), 0);
    assert_int_equal(bide_record_every(s->b, SECOND), 0); /* close ends it */
}

static void
invalid_arguments_start_no_recorder(void **state)
{
    struct scene *s = *state;

    assert_int_equal(bide_record_every(NULL, SECOND), BIDE_EINVAL);
    scene_open(s);
    assert_int_equal(bide_record_every(s->b, 1), BIDE_EINVAL);
    assert_int_equal(bide_record_every(s->b, SECOND - 1), BIDE_EINVAL);
    assert_int_equal(bide_record_every(s->b, SECOND), BIDE_EMISSING);
    assert_int_equal(bide_record_every(s->b, 0), 0);
}

static void
a_forked_child_has_no_recorder_and_can_close(void **state)
{
    struct scene *s = *state;
    int status;
    pid_t child;

    scene_start(s, "[pay]\nattempts = 2\n");
    assert_int_equal(bide_record_every(s->b, SECOND), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(bide_close(s->b) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(scene_until(is_recorded, s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(totals_are_exact_before_between_and_after_recordings),
        SCENE(a_level_is_stored_once_and_ends_when_its_keys_are_removed),
        SCENE(the_first_recording_after_hours_changes_no_level),
        SCENE(each_transition_of_a_breaker_is_shown_once_recorded_or_not),
        SCENE(a_service_can_record_history_itself),
        SCENE(invalid_arguments_start_no_recorder),
        SCENE(a_forked_child_has_no_recorder_and_can_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
