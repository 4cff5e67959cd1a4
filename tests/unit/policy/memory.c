/* Lets the n-th allocation fail, for every n.  Then nothing may leak, nothing
 * may be half done, and the failure must not read as success or as a fault of
 * the file. The three functions below replace those of the C library. */
#include "check.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

static long until_failure; /* 0: never */
static long failures;

/* The thread sanitizer allocates before it is ready.  With it no allocation
 * fails, and each test runs once. */
#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *old, size_t size);

static bool
fails(void)
{
    if (until_failure && --until_failure == 0) {
        failures++;
        return true;
    }
    return false;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : REAL(malloc)(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : REAL(calloc)(count, size);
}

void *
realloc(void *old, size_t size)
{
    return fails() ? NULL : REAL(realloc)(old, size);
}
#endif

static const char good[] =
    "[a]\ndescription = a text that is a little longer than others are, so "
    "that it grows\nextends = b\nattempts = 4\nretry_on = http.503, exit.75, "
    "app.memory\n[b]\nwait = chain\nwait_chain = 1s x3, 2s\nnever_on = "
    "http.4xx,\n  grpc.INTERNAL\nwait_initial = 250ms \n"
    "breaker_ignore = exit.75\n";

static const char bad[] =
    "[a]\nattemps = 4\nwait_initial = 100\nretry_on = any, 503, http.1\n"
    "[a]\n[B]\nfoo\n";

/* Reads, compiles and writes.  Returns the first code that is not 0. */
static int
all_the_way(void)
{
    struct policy_list list = {0, NULL};
    struct policy *p;
    char *text;
    int rc = policy_read("t", good, strlen(good), &list, NULL);

    if (rc != 0) {
        assert_null(list.list);
        return rc;
    }
    rc = policy_compile(list.list[0], find_in_list, &list, "t", &p, NULL);
    if (rc == 0) {
        policy_free(p);
        text = policy_text_write(list.list[0]);
        rc = text ? 0 : BIDE_ENOMEM;
        free(text);
    }
    if (rc == 0) {
        struct policy_text *copy = policy_text_copy(list.list[1]);

        rc = copy
                 ? policy_text_set(copy, "retry_on", " any, none.", "", 0, NULL)
                 : BIDE_ENOMEM;
        rc = rc == BIDE_EINPUT ? 0 : rc;
        policy_text_free(copy);
    }
    if (rc == 0) {
        rc = policy_builtin("x", &p);
        if (rc == 0) {
            policy_free(p);
        }
    }
    policy_list_free(&list);
    return rc;
}

static void
a_good_file_survives_every_failed_allocation(void **state)
{
    bool last = false;

    (void)state;
    for (long n = 1; !last; n++) {
        int rc;

        failures = 0;
        until_failure = n;
        rc = all_the_way();
        until_failure = 0;
        /* The C library gets over some failures of its own. */
        assert_true(rc == 0 || (failures && rc == BIDE_ENOMEM));
        last = failures == 0;
        assert_true(n < 10000);
    }
}

static void
a_lost_fault_never_reads_as_no_fault(void **state)
{
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        struct policy_list list = {0, NULL};
        struct faults faults = {0};
        int rc;

        failures = 0;
        until_failure = n;
        rc = policy_read("t", bad, strlen(bad), &list, &faults);
        until_failure = 0;
        failed = failures != 0;
        if (rc == BIDE_EINPUT) { /* then no fault got lost */
            assert_int_equal(faults.count, 7);
            assert_false(faults.out_of_memory);
        } else {
            assert_true(failed);
            assert_int_equal(rc, BIDE_ENOMEM);
        }
        faults_free(&faults);
        assert_true(n < 10000);
    }
}

static void
setting_a_key_without_memory_changes_nothing(void **state)
{
    struct policy_text *t = policy_text_new("p");
    struct policy_text *before;
    int rc = BIDE_ENOMEM;

    (void)state;
    assert_int_equal(policy_text_set(t, "attempts", "3", "", 0, NULL), 0);
    before = policy_text_copy(t);
    for (long n = 1; rc != 0; n++) {
        until_failure = n;
        rc = policy_text_set(t, "description",
                             "long enough to need a larger block of memory", "",
                             0, NULL);
        until_failure = 0;
        assert_int_equal(policy_text_same(t, before), rc != 0);
    }
    policy_text_free(before);
    policy_text_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_survives_every_failed_allocation),
        cmocka_unit_test(a_lost_fault_never_reads_as_no_fault),
        cmocka_unit_test(setting_a_key_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
