/* The file, and the threads and children that use it. */
#include "queue.h"

#include <stdatomic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- the file ---- */

static off_t
file_size(struct queue *q)
{
    struct stat st;

    assert_int_equal(stat(q->scratch->file, &st), 0);
    return st.st_size;
}

static void
fill_and_drain(struct queue *q, int count, const struct bide_work *work)
{
    uint64_t id;
    int i, n;

    for (i = 0; i < count; i++) {
        assert_int_equal(deferred_put(q->d, "mail", &q->rules, work, &id, NULL),
                         0);
    }
    for (i = 0; i < count; i += n) {
        n = queue_take(q, TAKEN);
        assert_true(n > 0);
        for (int k = 0; k < n; k++) {
            assert_int_equal(
                deferred_ack(q->d, q->taken[k].id, q->taken[k].lease), 0);
        }
        queue_free(q, n);
    }
}

static void
space_of_completed_work_is_used_again(void **state)
{
    static char bytes[20000];
    struct queue *q = *state;
    struct bide_work work = {.bytes = bytes, .length = sizeof(bytes)};
    off_t size;
    int i;

    fill_and_drain(q, 50, &work);
    fill_and_drain(q, 50, &work);
    size = file_size(q);
    for (i = 0; i < 10; i++) {
        fill_and_drain(q, 50, &work);
    }
    assert_true(file_size(q) <= size + size / 4);
    assert_int_equal(queue_counts(q).done, 600);
    assert_int_equal(queue_counts(q).bytes, 0);
}

static void
a_missing_file_is_made_only_beside_a_registry(void **state)
{
    struct queue *q = *state;
    char path[400];
    struct stat st;

    assert_int_equal(stat(q->scratch->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(unlink(q->scratch->file), 0);
    queue_put(q, "x"); /* notices that it is gone, and makes it again */
    assert_int_equal(stat(q->scratch->file, &st), 0);
    assert_int_equal(unlink(q->scratch->file), 0);
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", q->scratch->dir);
    assert_int_equal(unlink(path), 0);
    deferred_close(q->d);
    q->d = NULL;
    assert_int_equal(deferred_open(q->scratch->dir, &q->d), BIDE_EMISSING);
    assert_int_equal(stat(q->scratch->file, &st), -1);
}

static void
a_queue_works_after_the_program_closed_all_descriptors(void **state)
{
    struct queue *q = *state;
    int fd, own[64];

    queue_put(q, "x");
    for (fd = 3; fd < 100; fd++) {
        close(fd);
    }
    for (fd = 0; fd < 64; fd++) {
        own[fd] = open("/dev/null", O_RDWR);
        assert_true(own[fd] >= 0);
    }
    queue_put(q, "y");
    assert_string_equal(queue_take_text(q), "x");
    for (fd = 0; fd < 64; fd++) {
        assert_int_equal(close(own[fd]), 0);
    }
    assert_string_equal(queue_take_text(q), "y");
}

/* ---- threads and forks ---- */

enum { THREADS = 8, EACH = 50 };

static void *
put_many(void *arg)
{
    struct queue *q = arg;
    uint64_t id;
    int i;

    for (i = 0; i < EACH; i++) {
        if (queue_try_put(q, "x", NULL, 0, &id)) {
            return (char *)"failed";
        }
    }
    return NULL;
}

static _Atomic int done;

static void *
take_many(void *arg)
{
    struct queue *q = arg;
    struct deferred_item item;

    while (atomic_load(&done) < THREADS * EACH) {
        int n = deferred_take(q->d, "mail", &q->rules, NULL, &item, 1, NULL);

        if (n < 0) {
            return (char *)"failed";
        }
        if (n) {
            deferred_item_free(&item);
            if (deferred_ack(q->d, item.id, item.lease)) {
                return (char *)"lost";
            }
            atomic_fetch_add(&done, 1);
        }
    }
    return NULL;
}

static void
threads_share_commits_and_lose_nothing(void **state)
{
    struct queue *q = *state;
    pthread_t put[THREADS], take[2];
    void *result;
    int i;

    atomic_store(&done, 0);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&put[i], NULL, put_many, q), 0);
    }
    for (i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&take[i], NULL, take_many, q), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(put[i], &result);
        assert_null(result);
    }
    for (i = 0; i < 2; i++) {
        pthread_join(take[i], &result);
        assert_null(result);
    }
    assert_int_equal(queue_counts(q).done, THREADS * EACH);
}

static void
a_child_and_its_parent_both_continue(void **state)
{
    struct queue *q = *state;
    uint64_t id;
    int i, status;
    pid_t child;

    queue_put(q, "before");
    child = fork();
    if (child == 0) {
        for (i = 0; i < 50; i++) {
            if (queue_try_put(q, "child", NULL, 0, &id)) {
                _exit(1);
            }
        }
        deferred_close(q->d);
        _exit(0);
    }
    for (i = 0; i < 50; i++) {
        queue_put(q, "parent");
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(queue_counts(q).stored, 101);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(space_of_completed_work_is_used_again),
        QUEUE(a_missing_file_is_made_only_beside_a_registry),
        QUEUE(a_queue_works_after_the_program_closed_all_descriptors),
        QUEUE(threads_share_commits_and_lose_nothing),
        QUEUE(a_child_and_its_parent_both_continue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
