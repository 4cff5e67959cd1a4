/* The history under clocks that are set: no call is hidden, no history is
 * removed, no level fires again.  The test moves the clock of the host. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "admin/read.h"
#include "record/past.h"
#include "store/history/history.h"
#include "paying.h"

#define SEEN __attribute__((visibility("default")))
#define HOUR ((int64_t)(3600 * SECOND))
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

/* How far CLOCK_REALTIME is ahead of the kernel's, and how much time has passed
 * more than for the kernel. */
static int64_t set, passed;
static int boots; /* the boot's number; 0: the kernel's id */

SEEN int
clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);
    int64_t moved = id == CLOCK_REALTIME   ? set + passed
                    : id == CLOCK_BOOTTIME ? passed
                                           : 0;

    moved += (int64_t)out->tv_sec * (int64_t)SECOND + out->tv_nsec;
    out->tv_sec = moved / (int64_t)SECOND;
    out->tv_nsec = moved % (int64_t)SECOND;
    return rc;
}

SEEN int
open(const char *path, int flags, ...)
{
    va_list list;
    unsigned mode;
    int fd;

    va_start(list, flags);
    mode = va_arg(list, unsigned);
    va_end(list);
    if (boots == 0 || strcmp(path, "/proc/sys/kernel/random/boot_id") != 0) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    fd = memfd_create("boot_id", 0);
    dprintf(fd, "%08x-0000-4000-8000-000000000000\n", boots);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int
setup_clock(void **state)
{
    boots = 0;
    set = passed = 0;
    return scene_setup(state);
}

static void
record_keeping(struct scene *s, uint64_t minutes_ns, uint64_t hours_ns)
{
    const struct recorder_options how = {
        .every_ns = 1, .keep = {minutes_ns, hours_ns, UINT64_MAX}};

    scene_record(s, &how, NULL);
}

static void
record(struct scene *s)
{
    record_keeping(s, 35 * DAY, 730 * DAY);
}

static int
add(void *arg, const struct history_interval *i)
{
    *(uint64_t *)arg += figures_calls(i->figures);
    return 0;
}

/* Returns the calls since `ago_ns` before now, and all without it. */
static uint64_t
calls_since(struct scene *s, int64_t ago_ns)
{
    struct history_range range = {"pay", 0, UINT64_MAX, true};
    struct admin *a = scene_admin(s);
    struct history_known known;
    uint64_t calls = 0;

    range.since_ns = ago_ns ? past_now_ns(admin_past(a)) - (uint64_t)ago_ns : 0;
    assert_int_equal(
        past_each_interval(admin_past(a), &range, NULL, add, &calls, &known),
        0);
    admin_close(a);
    return calls;
}

struct seen {
    int clocks, anews;
    char words[128];
    uint64_t when_ns;
};

static int
see_event(void *arg, const char *name, const char *scope,
          const struct history_event *event)
{
    struct seen *seen = arg;

    assert_string_equal(name, "");
    assert_string_equal(scope, "");
    seen->clocks += event->kind == HISTORY_CLOCK;
    seen->anews += event->kind == HISTORY_ANEW;
    memcpy(seen->words, event->words, sizeof(seen->words));
    seen->when_ns = event->when_ns;
    return 0;
}

static struct seen
events_of(struct scene *s)
{
    struct history_range all = {"pay", 0, UINT64_MAX, true};
    struct admin *a = scene_admin(s);
    struct seen seen = {0};
    uint64_t damaged = 0;

    assert_int_equal(
        past_each_event(admin_past(a), &all, see_event, &seen, &damaged), 0);
    assert_int_equal(damaged, 0);
    admin_close(a);
    return seen;
}

/* Each step sets the clock, lets a minute pass and records some calls. */
static void
a_clock_that_is_set_hides_no_call(void **state)
{
    static const int64_t steps[] = {0,         2 * HOUR, 2 * HOUR, 3 * YEAR,
                                    -2 * HOUR, 0,        -YEAR,    0};
    struct scene *s = *state;
    int all = 0;

    begin(s);
    for (size_t i = 0; i < COUNT(steps); i++) {
        set = steps[i];
        passed += 60 * (int64_t)SECOND;
        run_calls(s, 10 + (int)i);
        all += 10 + (int)i;
        assert_int_equal(calls_since(s, 0), all);
        record(s);
        assert_int_equal(calls_since(s, 0), all);
        assert_int_equal(calls_since(s, HOUR), all);
        /* Those of the last minutes; the times are of one line. */
        assert_int_equal(calls_since(s, 50 * (int64_t)SECOND), 10 + (int)i);
    }
    assert_int_equal(events_of(s).clocks, 6);
}

static void
a_jump_is_one_event_and_says_by_how_much(void **state)
{
    struct scene *s = *state;
    struct seen seen;

    begin(s);
    run_calls(s, 1);
    record(s);
    set = 2 * HOUR;
    for (int i = 0; i < 5; i++) {
        run_calls(s, 1);
        passed += 60 * (int64_t)SECOND;
        record(s);
    }
    seen = events_of(s);
    assert_int_equal(seen.clocks, 1);
    assert_non_null(strstr(seen.words, "set forward by 2h"));
    set = 0;
    record(s);
    seen = events_of(s);
    assert_int_equal(seen.clocks, 2);
    assert_non_null(strstr(seen.words, "set back by 2h and is right again"));
}

/* A clock that is slewed by 400 ppm, and by half a second at once. */
static void
a_clock_that_drifts_is_followed(void **state)
{
    struct scene *s = *state;
    struct admin *a;
    int64_t away;

    begin(s);
    run_calls(s, 1);
    record(s);
    for (int i = 0; i < 20; i++) {
        passed += 2 * HOUR;
        set += i % 2 ? 2 * HOUR / 2500 : (int64_t)SECOND / 2;
        record(s);
    }
    assert_int_equal(events_of(s).clocks, 0);
    a = scene_admin(s);
    away = (int64_t)(past_now_ns(admin_past(a)) - clock_realtime_ns());
    assert_true(llabs(away) < (int64_t)SECOND);
    admin_close(a);
}

static void
a_clock_three_years_ahead_removes_no_history(void **state)
{
    struct scene *s = *state;

    begin(s);
    for (int i = 1; i <= 30; i++) {
        run_calls(s, 1);
        passed += HOUR;
        record(s);
    }
    set = 3 * YEAR;
    for (int i = 0; i < 100; i++) {
        record(s);
    }
    assert_int_equal(calls_since(s, 0), 30);
}

/* A host that was off for 40 days, or had the wrong time for them. */
static void
time_without_recordings_is_no_age(void **state)
{
    struct scene *s = *state;

    begin(s);
    for (int i = 1; i <= 30; i++) {
        run_calls(s, 1);
        passed += HOUR;
        record(s);
    }
    passed += 400 * DAY;
    for (int i = 0; i < 50; i++) {
        passed += 60 * (int64_t)SECOND;
        record_keeping(s, 2 * DAY, 300 * DAY);
    }
    assert_int_equal(calls_since(s, 0), 30);
}

/* Recorded time is age; one hour of minutes and one day of hours at a time. */
static void
old_records_are_removed_step_by_step(void **state)
{
    struct scene *s = *state;
    uint64_t before, now;

    begin(s);
    for (int i = 1; i <= 100; i++) {
        run_calls(s, 1);
        passed += HOUR;
        record(s);
    }
    before = calls_since(s, 0);
    assert_int_equal(before, 100);
    for (int i = 0; i < 200; i++) {
        record_keeping(s, 2 * HOUR, 2 * HOUR);
        now = calls_since(s, 0);
        assert_true(now <= before && before - now <= 25);
        before = now;
    }
    assert_in_range(before, 1, 4);
}

static void
a_removed_live_file_is_an_event(void **state)
{
    struct scene *s = *state;
    struct history_known known;
    struct admin *a;
    struct seen seen;

    begin(s);
    run_calls(s, 5);
    record(s);
    passed += 40 * (int64_t)SECOND;
    run_calls(s, 3);
    a = scene_admin(s);
    assert_int_equal(unlink(reader_live_path(admin_past(a)->reader)), 0);
    admin_close(a);
    assert_int_equal(bide_close(s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
    run_calls(s, 2);
    a = scene_admin(s);
    assert_int_equal(past_known(admin_past(a), &known), 0);
    assert_true(known.anew_ns > 0); /* before it is recorded */
    assert_in_range(known.anew_lost_ns, 40 * SECOND, 100 * SECOND);
    admin_close(a);
    passed += 60 * (int64_t)SECOND;
    record(s);
    assert_int_equal(calls_since(s, 0), 7);
    seen = events_of(s);
    assert_int_equal(seen.anews, 1);
    assert_non_null(strstr(seen.words, "calls of the 40"));
    record(s);
    assert_int_equal(events_of(s).anews, 1);
}

/* Starts the host again with its clock set `ahead` of the kernel's. */
static void
boot(struct scene *s, int64_t ahead)
{
    struct admin *a = scene_admin(s);

    boots++;
    set = ahead;
    passed += HOUR;
    assert_int_equal(unlink(reader_live_path(admin_past(a)->reader)), 0);
    admin_close(a);
    assert_int_equal(bide_close(s->b), 0);
    assert_int_equal(bide_open(s->dir, 0, &s->b), 0);
}

/* Runs and records a call each `step_ns`, with history kept for 2 and 30 days.
 */
static void
record_each(struct scene *s, int64_t step_ns, const char *name, int count)
{
    while (count-- > 0) {
        bide_run(scene_policy(s, name), scene_succeed, NULL);
        passed += step_ns;
        record_keeping(s, 2 * DAY, 30 * DAY);
    }
}

static void
record_hours(struct scene *s, int hours)
{
    record_each(s, HOUR, "pay", hours);
}

/* Returns the calls of the last ten minutes until now, or a whole hour more. */
static uint64_t
calls_until_now(struct scene *s)
{
    struct history_range range = {"pay", 0, 0, true};
    struct admin *a = scene_admin(s);
    struct history_known known;
    uint64_t calls = 0;

    range.until_ns = past_now_ns(admin_past(a));
    range.since_ns = range.until_ns - (uint64_t)HOUR / 6;
    assert_int_equal(
        past_each_interval(admin_past(a), &range, NULL, add, &calls, &known),
        0);
    admin_close(a);
    return calls;
}

static void
check_all(struct scene *s, uint64_t calls)
{
    struct history_range hours = {"pay", 0, UINT64_MAX, false};
    struct admin *a = scene_admin(s);
    struct history_known known;
    uint64_t sum = 0;

    assert_int_equal(calls_since(s, 0), calls);
    assert_int_equal(
        past_each_interval(admin_past(a), &hours, NULL, add, &sum, &known), 0);
    assert_int_equal(sum, calls);
    assert_int_equal(known.damaged, 0);
    admin_close(a);
}

/* Minutes are older than two days before the clock is behind. */
static void
a_boot_with_the_clock_behind_removes_no_history(void **state)
{
    static const int64_t behind[] = {31 * DAY, 3 * YEAR, 50 * YEAR};
    struct scene *s = *state;
    uint64_t all = 80;

    begin(s);
    record_hours(s, 80);
    check_all(s, all);
    for (size_t i = 0; i < COUNT(behind); i++) {
        boot(s, -behind[i]);
        for (int k = 0; k < 8; k++) { /* some within an hour */
            record_each(s, HOUR / 4, "pay", 1);
            check_all(s, ++all);
            assert_in_range(calls_until_now(s), 1, 5);
        }
        boot(s, 0);
        for (int k = 0; k < 60; k++) {
            record_hours(s, 1);
            check_all(s, ++all);
        }
    }
}

/* The name's records of before are kept when those of the boot with the wrong
 * clock are removed. */
static void
a_name_is_removed_with_its_last_record(void **state)
{
    struct scene *s = *state;
    struct history_range hours = {NULL, 0, UINT64_MAX, false};
    struct history_known known;
    struct admin *a;
    uint64_t sum = 0;

    begin(s);
    scene_apply(s, "[pay]\nattempts = 2\n[buy]\nattempts = 2\n");
    record_hours(s, 80);
    boot(s, -3 * YEAR);
    record_hours(s, 1);
    boot(s, 0);
    record_each(s, 6 * HOUR, "buy", 31 * 4);
    a = scene_admin(s);
    assert_int_equal(
        past_each_interval(admin_past(a), &hours, NULL, add, &sum, &known), 0);
    admin_close(a);
    assert_true(known.hours_from_ns > 0);
    assert_int_equal(known.damaged, 0);
    assert_in_range(sum, 150, 81 + 31 * 4);
}

static void
a_boot_with_the_clock_ahead_removes_no_history(void **state)
{
    struct scene *s = *state;
    uint64_t all = 80;

    begin(s);
    record_hours(s, 80);
    for (int i = 0; i < 2; i++) {
        boot(s, 3 * YEAR);
        record_hours(s, 5);
        check_all(s, all += 5);
        boot(s, 0);
        for (int k = 0; k < 60; k++) {
            record_hours(s, 1);
            check_all(s, ++all);
        }
    }
}

/* The limits of 40 days with a clock that is ahead are not those of the next
 * boot: its records are kept. */
static void
limits_of_a_clock_ahead_do_not_stay(void **state)
{
    struct scene *s = *state;
    uint64_t before;

    begin(s);
    record_hours(s, 10);
    boot(s, 3 * YEAR);
    record_hours(s, 40 * 24);
    boot(s, 0);
    before = calls_since(s, 0);
    for (int k = 1; k < 60; k++) {
        record_hours(s, 1);
        check_all(s, before + (uint64_t)k);
    }
}

/* Without a removed record history does not say that any was removed. */
static void
history_begins_with_the_oldest_record(void **state)
{
    struct scene *s = *state;
    struct history_known known;
    struct admin *a;

    begin(s);
    for (int i = 0; i <= 31; i++) {
        record_hours(s, 24);
        a = scene_admin(s);
        assert_int_equal(past_known(admin_past(a), &known), 0);
        admin_close(a);
        assert_int_equal(known.minutes_from_ns != 0, i >= 2);
        assert_int_equal(known.hours_from_ns != 0, i >= 30);
    }
}

#define CLOCKED(test) \
    cmocka_unit_test_setup_teardown(test, setup_clock, scene_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOCKED(a_clock_that_is_set_hides_no_call),
        CLOCKED(a_jump_is_one_event_and_says_by_how_much),
        CLOCKED(a_clock_that_drifts_is_followed),
        CLOCKED(a_clock_three_years_ahead_removes_no_history),
        CLOCKED(time_without_recordings_is_no_age),
        CLOCKED(old_records_are_removed_step_by_step),
        CLOCKED(a_boot_with_the_clock_behind_removes_no_history),
        CLOCKED(a_name_is_removed_with_its_last_record),
        CLOCKED(a_boot_with_the_clock_ahead_removes_no_history),
        CLOCKED(limits_of_a_clock_ahead_do_not_stay),
        CLOCKED(history_begins_with_the_oldest_record),
        CLOCKED(a_removed_live_file_is_an_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
