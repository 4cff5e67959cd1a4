/* Makes every allocation and every read fail once: the result is a fitting
 * error, nothing is lost, and the next try succeeds.  This program replaces
 * malloc and pread. */
#include "policies.h"
#include "seen.h"

#include <errno.h>
#include <sys/syscall.h>

#include "store/policies/reader.h"

static long countdown; /* calls until one fails; 0: none fails */
static int failing;    /* 0: allocations, 1: reads, 2: short reads */

static bool
fails_now(int kind)
{
    return countdown && (kind == 0) == (failing == 0) && !--countdown;
}

#if OWN_MALLOC
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);

SEEN void *
malloc(size_t size)
{
    if (fails_now(0)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

SEEN void *
calloc(size_t count, size_t size)
{
    if (fails_now(0)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}
#endif

SEEN ssize_t
pread(int fd, void *bytes, size_t size, off_t offset)
{
    if (fails_now(1)) {
        if (failing == 2) {
            return syscall(SYS_pread64, fd, bytes, size / 3, offset);
        }
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

/* ---- reading ---- */

static int
check_record(void *arg, struct record *r)
{
    (void)arg;
    return is_right(r) ? 0 : 1;
}

static int
read_records(void *arg, const struct snapshot *s)
{
    struct record r;
    int rc;

    (void)arg;
    rc = reader_policy(s, "p7", &r);
    if (!rc) {
        rc = check_record(NULL, &r);
        record_free(&r);
    }
    rc = rc ? rc : reader_version(s, "p8", 1, &r);
    if (!rc) {
        record_free(&r);
        rc = reader_in_force(s, "p8", 5, &r);
    }
    if (!rc) {
        record_free(&r);
        rc = reader_each_policy(s, check_record, NULL);
    }
    rc = rc ? rc : reader_each_change(s, check_record, NULL);
    return rc ? rc : reader_each_version(s, "p2", check_record, NULL);
}

static int
read_everything(const char *dir)
{
    struct pages_stamp stamp;
    struct reader *r;
    char path[320];
    struct pages *f;
    int rc = reader_open(dir, &r);

    if (rc) {
        return rc;
    }
    rc = reader_look(r, &stamp);
    rc = rc ? rc : reader_read(r, read_records, NULL, NULL);
    reader_close(r);
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", dir);
    rc = rc ? rc : pages_open(path, &f);
    if (!rc) {
        rc = pages_check(f);
        pages_close(f);
    }
    return rc;
}

static int
write_something(const char *dir)
{
    struct record in = policy("p5", 3);
    struct writer *w;
    char path[320];
    int rc;

    snprintf(path, sizeof(path), "%s/policies/registry.checked", dir);
    unlink(path);
    rc = writer_begin(dir, "test", 0, &w);
    if (rc) {
        return rc;
    }
    rc = writer_put(w, &in, "p3");
    rc = rc ? rc : writer_commit(w);
    writer_end(w);
    return rc;
}

static void
fill_registry(const char *dir)
{
    struct writer *w = began(dir);

    for (unsigned i = 0; i < 10; i++) {
        char name[] = "p0";

        name[1] = (char)('0' + i);
        for (uint32_t version = 1; version < 3; version++) {
            struct record in = policy(name, version);

            assert_int_equal(writer_put(w, &in, i > 1 ? "p1" : NULL), 0);
        }
    }
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
}

/* Repeats `run`, failing its first call, its second and so on, until a run has
 * no further call to fail.  Returns the number of calls. */
static long
fail_each_call(int kind, int (*run)(const char *dir), const char *dir,
               bool (*fits)(int rc))
{
    long n;

    for (n = 1;; n++) {
        bool spared;
        int rc;

        failing = kind;
        countdown = n;
        rc = run(dir);
        spared = countdown > 0;
        countdown = 0;
        if (spared) {
            assert_int_equal(rc, 0);
            return n - 1;
        }
        if (!fits(rc)) {
            fail_msg("call %ld: %d, %s", n, rc, place_why());
        }
    }
}

/* Success too: asprintf works without its second allocation, and a failure to
 * store a stamp is ignored. */
UNUSED static bool
is_enomem_or_success(int rc)
{
    return rc == BIDE_ENOMEM || rc == 0;
}

static bool
is_esys(int rc)
{
    return rc == BIDE_ESYS;
}

static bool
is_success(int rc)
{
    return rc == 0;
}

static void
a_reader_survives_each_failure(void **state)
{
    struct scratch *t = *state;

    fill_registry(t->dir);
#if OWN_MALLOC
    assert_true(
        fail_each_call(0, read_everything, t->dir, is_enomem_or_success) > 100);
#endif
    assert_true(fail_each_call(1, read_everything, t->dir, is_esys) > 50);
    assert_true(fail_each_call(2, read_everything, t->dir, is_success) > 50);
}

static bool
is_esys_or_success(int rc)
{
    return rc == BIDE_ESYS || rc == 0;
}

static void
a_writer_survives_each_failure(void **state)
{
    struct scratch *t = *state;

    fill_registry(t->dir);
    assert_true(fail_each_call(1, write_something, t->dir, is_esys_or_success) >
                10);
    assert_int_equal(read_everything(t->dir), 1); /* p5 has changed */
#if OWN_MALLOC
    assert_true(
        fail_each_call(0, write_something, t->dir, is_enomem_or_success) > 20);
#endif
    assert_int_equal(write_something(t->dir), 0);
}

static int
create_and_remove(const char *dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    char path[320];
    int rc = writer_create(dir, "/run/bide", NULL, id);

    snprintf(path, sizeof(path), "%s/policies/registry.mdb", dir);
    assert_int_equal(unlink(path), rc ? -1 : 0);
    return rc;
}

static void
a_failure_leaves_no_half_made_registry(void **state)
{
    struct scratch *t = *state;

    fail_each_call(1, create_and_remove, t->dir, is_esys_or_success);
#if OWN_MALLOC
    assert_true(fail_each_call(0, create_and_remove, t->dir,
                               is_enomem_or_success) > 10);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_reader_survives_each_failure),
        SCRATCH(a_writer_survives_each_failure),
        SCRATCH(a_failure_leaves_no_half_made_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
