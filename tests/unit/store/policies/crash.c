/* Real processes: writers that are killed or stopped, readers beside a writer,
 * and a full file system. */
#include "policies.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "store/policies/reader.h"

/* ---- killed ---- */

enum { KILLS = 300, SET = 4 };

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Writes SET policies in each transaction, all to their next version, and
 * reports each commit to the pipe `out`. */
static void
write_until_killed(const char *dir, int out)
{
    for (;;) {
        struct writer *w;
        struct record in = {.version = 0};

        if (writer_begin(dir, "test", 0, &w)) {
            _exit(1);
        }
        for (unsigned i = 0; i < SET; i++) {
            char name[] = "p0";
            struct record now;
            uint32_t next = 1;

            name[1] = (char)('0' + i);
            if (!writer_policy(w, name, &now)) {
                next = now.version + 1;
                record_free(&now);
            }
            in = policy(name, next);
            if (writer_put(w, &in, NULL)) {
                _exit(2);
            }
        }
        if (writer_commit(w)) {
            _exit(3);
        }
        writer_end(w);
        if (write(out, &in.version, sizeof(in.version)) != sizeof(in.version)) {
            _exit(4);
        }
    }
}

/* Reads the set, which must have one version; returns that in *version. */
static int
read_set(void *arg, const struct snapshot *s)
{
    uint32_t *version = arg;

    *version = 0;
    for (unsigned i = 0; i < SET; i++) {
        char name[] = "p0";
        struct record r;
        bool right;
        int rc;

        name[1] = (char)('0' + i);
        rc = reader_policy(s, name, &r);
        if (rc) {
            return rc == BIDE_ENOPOLICY && !i ? 0 : rc;
        }
        right = is_right(&r) && (!i || r.version == *version);
        *version = r.version;
        record_free(&r);
        if (!right) {
            return PAGES_AGAIN + 1;
        }
    }
    return 0;
}

/* Kills a writer a short time after some commit; returns the last version that
 * it reported, 0 if none. */
static uint32_t
kill_writer(const char *dir, uint64_t *seed)
{
    uint32_t reported = 0, version;
    uint64_t commits = below(seed, 4), until;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (!child) {
        write_until_killed(dir, ends[1]);
    }
    close(ends[1]);
    while (commits--) {
        assert_int_equal(read(ends[0], &reported, sizeof(reported)),
                         sizeof(reported));
    }
    for (until = now_ns() + below(seed, 3000000); now_ns() < until;) {
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &version, sizeof(version)) == sizeof(version)) {
        reported = version;
    }
    close(ends[0]);
    return reported;
}

static void
a_killed_writer_loses_no_committed_policy_and_blocks_nobody(void **state)
{
    struct scratch *t = *state;
    uint32_t version = 0, before, reported;
    unsigned ahead = 0;
    uint64_t seed = (uint64_t)getpid() * 2654435761u + 1;
    struct reader *r;

    writer_end(began(t->dir));
    assert_int_equal(reader_open(t->dir, &r), 0);
    for (int i = 0; i < KILLS; i++) {
        struct writer *w;

        before = version;
        reported = kill_writer(t->dir, &seed);
        assert_int_equal(reader_read(r, read_set, &version, NULL), 0);
        /* At most one commit was made but not reported. */
        assert_true(version >= (reported ? reported : before));
        assert_true(version <= (reported ? reported : before) + 1);
        ahead += version > (reported ? reported : before);
        assert_int_equal(writer_begin(t->dir, "next", 0, &w), 0);
        writer_end(w);
    }
    print_message("%d kills, %u commits, %u of them not reported\n", KILLS,
                  version, ahead);
    reader_close(r);
}

/* ---- stopped ---- */

static void
others_can_read_beside_a_stopped_writer_and_see_its_name(void **state)
{
    struct scratch *t = *state;
    uint32_t version = 9;
    struct writer *w;
    struct reader *r;
    char byte, words[64];
    int ends[2], status;
    pid_t child;

    writer_end(began(t->dir));
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (!child) {
        struct record in = policy("p0", 1);

        if (writer_begin(t->dir, "bide apply", 0, &w) ||
            writer_put(w, &in, NULL) || write(ends[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_int_equal(reader_open(t->dir, &r), 0);
    assert_int_equal(reader_read(r, read_set, &version, NULL), 0);
    assert_int_equal(version, 0);
    reader_close(r);
    assert_int_equal(writer_begin(t->dir, "other", 20, &w), BIDE_ELOCKED);
    snprintf(words, sizeof(words), "by pid %d (bide apply, for 0 s)",
             (int)child);
    assert_non_null(strstr(place_why(), words));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(writer_begin(t->dir, "other", 0, &w), 0);
    writer_end(w);
    close(ends[0]);
    close(ends[1]);
}

/* ---- reading beside a writer ---- */

static void
a_reader_never_sees_half_a_transaction(void **state)
{
    struct scratch *t = *state;
    uint32_t version = 0, last = 0, reported = 0;
    uint64_t reads = 0, locked = 0;
    struct pollfd ready;
    struct reader *r;
    int ends[2], status;
    pid_t child;

    writer_end(began(t->dir));
    assert_int_equal(reader_open(t->dir, &r), 0);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (!child) {
        write_until_killed(t->dir, ends[1]);
    }
    close(ends[1]);
    ready = (struct pollfd){.fd = ends[0], .events = POLLIN};
    while (reported < 1000) {
        int rc = reader_read(r, read_set, &version, NULL);

        if (rc == BIDE_ELOCKED) {
            locked++;
            continue;
        }
        assert_int_equal(rc, 0);
        assert_true(version >= last && version >= reported);
        last = version;
        reads++;
        while (reported < 1000 && poll(&ready, 1, 0) == 1) {
            assert_int_equal(read(ends[0], &reported, sizeof(reported)),
                             sizeof(reported));
        }
    }
    print_message("%llu readings, %llu gave up\n", (unsigned long long)reads,
                  (unsigned long long)locked);
    assert_int_equal(locked, 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ends[0]);
    reader_close(r);
}

/* ---- full ---- */

/* Commits versions until it fails; returns how it failed. */
static int
write_until_full(const char *dir, uint32_t *stored)
{
    for (;;) {
        struct writer *w;
        int rc = writer_begin(dir, "test", 0, &w);

        if (rc) {
            return rc;
        }
        for (unsigned i = 0; i < SET && !rc; i++) {
            char name[] = "p0";
            struct record in;

            name[1] = (char)('0' + i);
            in = policy(name, *stored + 1);
            rc = writer_put(w, &in, NULL);
        }
        rc = rc ? rc : writer_commit(w);
        writer_end(w);
        if (rc) {
            return rc;
        }
        ++*stored;
    }
}

/* Runs in a child with its own mounts.  Returns 0 if all is right, 77 if it may
 * not mount, otherwise the number of the failed step. */
static int
fill_file_system(const char *dir)
{
    uint8_t id[REGISTRY_ID_SIZE];
    uint32_t stored = 0, seen;
    struct writer *w;
    struct reader *r;

    if (unshare(CLONE_NEWNS) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("bide", dir, "tmpfs", 0, "size=1m")) {
        return 77;
    }
    if (writer_create(dir, "/run/bide", NULL, id)) {
        return 1;
    }
    if (write_until_full(dir, &stored) != BIDE_EFULL || stored < 5 ||
        !strstr(place_why(), "make room")) {
        return 2;
    }
    if (reader_open(dir, &r) || reader_read(r, read_set, &seen, NULL) ||
        seen != stored) {
        return 4;
    }
    reader_close(r);
    if (writer_begin(dir, "test", 0, &w)) {
        return 5;
    }
    writer_end(w);
    return 0;
}

static void
a_full_disk_is_reported_and_changes_nothing(void **state)
{
    struct scratch *t = *state;
    pid_t child = fork();
    int status;

    if (!child) {
        _exit(fill_file_system(t->dir));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status == 77 << 8) {
        skip();
    }
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_killed_writer_loses_no_committed_policy_and_blocks_nobody),
        SCRATCH(others_can_read_beside_a_stopped_writer_and_see_its_name),
        SCRATCH(a_reader_never_sees_half_a_transaction),
        SCRATCH(a_full_disk_is_reported_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
