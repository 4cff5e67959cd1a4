/* Live files and histories that are removed, moved away and put back: no call
 * is counted twice, and what may be missing is an event. */
#include <stdlib.h>

#include "admin/read.h"
#include "record/past.h"
#include "store/history/history.h"
#include "paying.h"

static void
record(struct scene *s)
{
    const struct recorder_options how = {
        .every_ns = 1, .keep = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};

    scene_record(s, &how, NULL);
}

static int
add(void *arg, const struct history_interval *i)
{
    *(uint64_t *)arg += figures_calls(i->figures);
    return 0;
}

static int
copy_words(void *arg, const char *name, const char *scope,
           const struct history_event *event)
{
    assert_string_equal(name, "");
    assert_string_equal(scope, "");
    assert_int_equal(event->kind, HISTORY_ANEW);
    memcpy(arg, event->words, sizeof(event->words));
    return 0;
}

static struct history_known
known_of(struct scene *s)
{
    struct admin *a = scene_admin(s);
    struct history_known known;

    assert_int_equal(past_known(admin_past(a), &known), 0);
    admin_close(a);
    return known;
}

/* Asserts the number of all calls, in minutes and in hours, and a part of the
 * words of the last event; NULL: no event. */
static void
assert_past(struct scene *s, uint64_t expected, const char *words)
{
    char last[ALARM_WORDS] = "";
    uint64_t damaged = 0;

    for (int minutes = 0; minutes < 2; minutes++) {
        struct history_range all = {"pay", 0, UINT64_MAX, minutes};
        struct admin *a = scene_admin(s);
        struct history_known known;
        uint64_t calls = 0;

        assert_int_equal(
            past_each_interval(admin_past(a), &all, NULL, add, &calls, &known),
            0);
        assert_int_equal(calls, expected);
        assert_int_equal(known.damaged + known.lost, 0);
        assert_int_equal(
            past_each_event(admin_past(a), &all, copy_words, last, &damaged),
            0);
        assert_int_equal(damaged, 0);
        admin_close(a);
    }
    assert_int_equal(*last != 0, words != NULL);
    if (words && !strstr(last, words)) {
        fail_msg("%s: not in: %s", words, last);
    }
}

/* Renames a file beside `path`: its name with `from` and then with `to`. */
static void
rename_file(const char *path, const char *from, const char *to)
{
    char a[4096], b[4096];

    snprintf(a, sizeof(a), "%s%s", path, from);
    snprintf(b, sizeof(b), "%s%s", path, to);
    assert_int_equal(rename(a, b), 0);
}

/* Renames the live file, with such ends; another one is made if need be. */
static void
move_live(struct scene *s, const char *from, const char *to)
{
    struct admin *a = scene_admin(s);

    rename_file(reader_live_path(admin_past(a)->reader), from, to);
    admin_close(a);
    assert_int_equal(bide_close(s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
}

static void
move_history(struct scene *s, const char *from, const char *to)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/history/history.mdb", s->dir);
    rename_file(path, from, to);
}

static void
a_live_file_that_is_put_back_counts_nothing_twice(void **state)
{
    static const char *const put_back = "an earlier live file was put back";
    struct scene *s = *state;

    begin(s);
    run_calls(s, 10);
    record(s);
    assert_past(s, 10, NULL);
    move_live(s, "", ".a");
    run_calls(s, 2);
    record(s);
    assert_past(s, 12, "live state began anew");
    for (int i = 0; i < 3; i++) { /* .a and .b in turn */
        move_live(s, "", i % 2 ? ".a" : ".b");
        move_live(s, i % 2 ? ".b" : ".a", "");
        run_calls(s, 1); /* before the recording: not known */
        assert_int_equal(known_of(s).anew_lost_ns, ANEW_PUT_BACK);
        assert_past(s, (uint64_t)(12 + 3 * i),
                    i ? put_back : "live state began anew");
        record(s);
        assert_past(s, (uint64_t)(12 + 3 * i), put_back);
        run_calls(s, 3);
        assert_past(s, (uint64_t)(15 + 3 * i), put_back);
        record(s);
        assert_past(s, (uint64_t)(15 + 3 * i), put_back);
    }
}

/* A live file that was never recorded counts when it is put back. */
static void
what_was_never_recorded_counts_when_it_is_put_back(void **state)
{
    struct scene *s = *state;

    begin(s);
    run_calls(s, 10);
    move_live(s, "", ".a");
    run_calls(s, 2);
    record(s);
    move_live(s, "", ".b");
    move_live(s, ".a", "");
    record(s);
    assert_past(s, 12, "an earlier live file was put back");
}

static void
the_newest_live_states_are_remembered(void **state)
{
    struct scene *s = *state;
    char end[16];

    begin(s);
    for (int i = 1; i <= 33; i++) {
        run_calls(s, 1);
        record(s);
        snprintf(end, sizeof(end), ".%d", i);
        move_live(s, "", end);
    }
    record(s);
    for (int i = 2; i <= 33; i += 31) {
        snprintf(end, sizeof(end), ".%d", i);
        move_live(s, end, "");
        record(s);
        assert_past(s, 33, "put back");
        move_live(s, "", end);
    }
}

static void
a_history_that_is_gone_is_an_event_of_the_next(void **state)
{
    struct scene *s = *state;

    begin(s);
    run_calls(s, 10);
    record(s);
    run_calls(s, 5);
    assert_int_equal(known_of(s).anew_lost_ns, 0);
    move_history(s, "", ".away");
    assert_int_equal(known_of(s).anew_lost_ns, ANEW_HISTORY);
    assert_past(s, 15, NULL);
    record(s);
    assert_past(s, 15, "history.mdb was removed");
    assert_int_equal(known_of(s).anew_lost_ns, ANEW_HISTORY);
    assert_true(known_of(s).anew_ns > 0);
    run_calls(s, 2);
    record(s);
    assert_past(s, 17, "history.mdb was removed");
    move_history(s, "", ".new");
    move_history(s, ".away", "");
    assert_past(s, 17, NULL);
    assert_true(known_of(s).stale);
    record(s);
    assert_past(s, 17, "an older history.mdb was put back");
    assert_false(known_of(s).stale);
}

static void
an_older_history_that_is_put_back_is_an_event(void **state)
{
    char path[400], old[410];
    struct scene *s = *state;

    begin(s);
    run_calls(s, 5);
    record(s);
    snprintf(path, sizeof(path), "%s/history/history.mdb", s->dir);
    snprintf(old, sizeof(old), "%s.old", path);
    scene_copy(path, old);
    run_calls(s, 4);
    record(s);
    assert_false(known_of(s).stale);
    move_history(s, ".old", "");
    assert_true(known_of(s).stale);
    run_calls(s, 1);
    assert_past(s, 10, NULL);
    record(s);
    assert_past(s, 10, "an older history.mdb was put back");
    assert_false(known_of(s).stale);
}

/* No recording knows the file between, whose calls are missing. */
static void
a_live_file_that_is_put_back_unrecorded_is_an_event(void **state)
{
    struct scene *s = *state;

    begin(s);
    run_calls(s, 3);
    record(s);
    move_live(s, "", ".a");
    run_calls(s, 10);
    move_live(s, "", ".b");
    move_live(s, ".a", "");
    run_calls(s, 2);
    assert_past(s, 5, NULL);
    record(s);
    assert_past(s, 5, "an earlier live file was put back");
    move_live(s, "", ".c");
    move_live(s, ".c", "");
    record(s);
    assert_past(s, 5, "an earlier live file was put back");
}

/* Nothing in it can be counted twice. */
static void
the_live_totals_replace_a_history_that_is_cut(void **state)
{
    char path[400];
    struct scene *s = *state;

    begin(s);
    run_calls(s, 5);
    record(s);
    run_calls(s, 4);
    snprintf(path, sizeof(path), "%s/history/history.mdb", s->dir);
    assert_int_equal(truncate(path, 12288), 0);
    snprintf(path, sizeof(path), "%s/history/history.checked", s->dir);
    assert_int_equal(unlink(path), 0);
    record(s);
    assert_past(s, 9, "history.mdb was removed or cut");
    run_calls(s, 3);
    record(s);
    assert_past(s, 12, "history.mdb was removed or cut");
}

/* Without a live file the recorder makes the history, and the first recording
 * has the event. */
static void
a_history_that_is_gone_is_made_without_live_state(void **state)
{
    struct scene *s = *state;

    begin(s);
    run_calls(s, 10);
    record(s);
    move_history(s, "", ".away");
    rename_file(s->live, "", ".away");
    record(s);
    assert_int_equal(known_of(s).anew_lost_ns, 0);
    rename_file(s->live, ".away", "");
    record(s);
    assert_past(s, 10, "history.mdb was removed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_live_file_that_is_put_back_counts_nothing_twice),
        SCENE(what_was_never_recorded_counts_when_it_is_put_back),
        SCENE(the_newest_live_states_are_remembered),
        SCENE(a_history_that_is_gone_is_an_event_of_the_next),
        SCENE(a_history_that_is_gone_is_made_without_live_state),
        SCENE(an_older_history_that_is_put_back_is_an_event),
        SCENE(a_live_file_that_is_put_back_unrecorded_is_an_event),
        SCENE(the_live_totals_replace_a_history_that_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
