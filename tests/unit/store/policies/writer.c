#include "unit/store/file/scratch.h"
#include "policies.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "store/policies/reader.h"
#include "store/policies/writer.h"

/* ---- creation ---- */

static void
a_new_registry_can_be_read_and_written(void **state)
{
    struct scratch *t = *state;
    uint8_t id[REGISTRY_ID_SIZE];
    struct writer *w;
    struct reader *r;
    struct stat st;
    char live[100];
    int n;

    assert_int_equal(writer_create(t->dir, "/run/bide", NULL, id), 0);
    assert_int_equal(reader_open(t->dir, &r), 0);
    assert_memory_equal(reader_id(r), id, sizeof(id));
    n = snprintf(live, sizeof(live), "/run/bide/");
    for (int i = 0; i < REGISTRY_ID_SIZE; i++) {
        n += snprintf(live + n, sizeof(live) - (size_t)n, "%02x", id[i]);
    }
    strcat(live, ".live");
    assert_string_equal(reader_live_path(r), live);
    reader_close(r);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), 0);
    writer_end(w);
    assert_int_equal(stat(t->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void
a_new_directory_gets_its_mode_whatever_the_umask(void **state)
{
    static const char *const ends[] = {"", "/"};
    struct scratch *t = *state;
    uint8_t id[REGISTRY_ID_SIZE];
    mode_t mask = umask(077);
    char dir[400], file[500];
    struct stat st;

    for (size_t i = 0; i < 2; i++) {
        snprintf(dir, sizeof(dir), "%s/%zu/b/c%s", t->dir, i, ends[i]);
        assert_int_equal(writer_create(dir, "/run/bide", NULL, id), 0);
        assert_int_equal(stat(dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0755);
        snprintf(file, sizeof(file), "%s/policies/registry.mdb", dir);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
    }
    umask(mask);
}

static void
making_a_registry_twice_is_refused_and_changes_nothing(void **state)
{
    struct scratch *t = *state;
    uint8_t id[REGISTRY_ID_SIZE], again[REGISTRY_ID_SIZE] = {9};
    size_t before, after;
    uint8_t *a, *b;

    assert_int_equal(writer_create(t->dir, "run/bide", NULL, id), BIDE_EINVAL);
    assert_int_equal(writer_create(t->dir, "/run/bide", NULL, id), 0);
    a = slurp(t->file, &before);
    assert_int_equal(writer_create(t->dir, "/run/bide", NULL, again),
                     BIDE_EEXIST);
    b = slurp(t->file, &after);
    assert_int_equal(before, after);
    assert_memory_equal(a, b, before);
    assert_int_equal(again[0], 9);
    free(a);
    free(b);
}

static void
an_interrupted_creation_leaves_no_registry(void **state)
{
    struct scratch *t = *state;
    uint8_t id[REGISTRY_ID_SIZE];
    struct writer *w;
    struct reader *r;
    char fresh[320];

    snprintf(fresh, sizeof(fresh), "%s.new", t->file);
    spill(fresh, "half", 4);
    assert_int_equal(reader_open(t->dir, &r), BIDE_EMISSING);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EMISSING);
    assert_non_null(strstr(place_why(), "bide init"));
    assert_int_equal(writer_create(t->dir, "/run/bide", NULL, id), 0);
    assert_int_equal(access(fresh, F_OK), -1);
    assert_int_equal(reader_open(t->dir, &r), 0);
    reader_close(r);
}

/* ---- records ---- */

static void
each_change_is_the_next_version(void **state)
{
    struct scratch *t = *state;
    struct record r;
    struct writer *w = began(t->dir);

    for (uint32_t version = 1; version <= 5; version++) {
        struct record in = policy("pay", version);

        in.deleted = version == 3;
        if (in.deleted) {
            in.text += strlen(in.text);
        }
        assert_int_equal(writer_put(w, &in, NULL), 0);
        assert_int_equal(in.version, version);
        assert_int_equal(in.sequence, version);
    }
    assert_int_equal(writer_policy(w, "pay", &r), 0);
    assert_int_equal(r.version, 5);
    record_free(&r);
    assert_int_equal(writer_version(w, "pay", 3, &r), 0);
    assert_true(r.deleted);
    assert_string_equal(r.text, "");
    record_free(&r);
    assert_int_equal(writer_version(w, "pay", 2, &r), 0);
    assert_right(&r, 2);
    record_free(&r);
    assert_int_equal(writer_version(w, "pay", 0, &r), BIDE_ENOVERSION);
    assert_int_equal(writer_version(w, "pay", 6, &r), BIDE_ENOVERSION);
    assert_int_equal(writer_version(w, "pa", 1, &r), BIDE_ENOPOLICY);
    assert_int_equal(writer_policy(w, "", &r), BIDE_ENAME);
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);

    w = began(t->dir); /* the next transaction continues */
    {
        struct record in = policy("pay", 6);

        assert_int_equal(writer_put(w, &in, NULL), 0);
        assert_int_equal(in.version, 6);
        assert_int_equal(in.sequence, 6);
    }
    writer_end(w);
}

static void
an_uncommitted_change_is_undone(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    struct record r, in = policy("pay", 1);
    uint64_t txn = writer_txn(w);

    assert_int_equal(writer_put(w, &in, NULL), 0);
    writer_end(w);
    w = began(t->dir);
    assert_int_equal(writer_txn(w), txn);
    assert_int_equal(writer_policy(w, "pay", &r), BIDE_ENOPOLICY);
    assert_int_equal(writer_commit(w), 0); /* no change, no transaction */
    assert_int_equal(writer_txn(w), txn - 1);
    assert_int_equal(writer_put(w, &in, NULL), BIDE_EINVAL);
    assert_int_equal(writer_commit(w), BIDE_EINVAL);
    writer_end(w);
}

static void
a_record_too_long_is_refused_and_the_transaction_goes_on(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    struct record r, in = policy("pay", 1), before;
    char *longer = calloc(1, RECORD_TEXT_MAX + 2);
    char note[RECORD_NOTE_MAX + 2];

    memset(longer, 'x', RECORD_TEXT_MAX + 1);
    memset(note, 'n', sizeof(note) - 1);
    note[RECORD_NOTE_MAX + 1] = '\0';
    in.text = longer;
    before = in;
    assert_int_equal(writer_put(w, &in, NULL), BIDE_EINVAL);
    assert_memory_equal(&in, &before, sizeof(in)); /* untouched */
    longer[RECORD_TEXT_MAX] = '\0';
    in.note = note;
    assert_int_equal(writer_put(w, &in, NULL), BIDE_EINVAL);
    note[RECORD_NOTE_MAX] = '\0';
    in.name[0] = '\0';
    assert_int_equal(writer_put(w, &in, NULL), BIDE_EINVAL);
    in = before;
    in.note = note;
    assert_int_equal(
        writer_put(w, &in,
                   "a-name-that-is-longer-than-any-name-has-a-right-to-be"),
        BIDE_EINVAL);
    assert_int_equal(writer_put(w, &in, NULL), 0);
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
    w = began(t->dir);
    assert_int_equal(writer_policy(w, "pay", &r), 0);
    assert_string_equal(r.text, longer);
    assert_string_equal(r.note, note);
    record_free(&r);
    writer_end(w);
    free(longer);
}

static int
count_record(void *arg, struct record *r)
{
    int *left = arg;

    (void)r;
    return --*left ? 0 : 5;
}

static int
append_name(void *arg, const char *name)
{
    strcat(arg, name);
    strcat(arg, " ");
    return strcmp(name, "stop") ? 0 : 7;
}

static void
put_under(struct writer *w, const char *name, const char *parent)
{
    struct record in = policy(name, 1);

    assert_int_equal(writer_put(w, &in, parent), 0);
}

static void
children_are_listed_under_the_policy_they_extend(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    char names[200] = "";
    int left;

    put_under(w, "base", NULL);
    put_under(w, "base-2", NULL);
    put_under(w, "b", "base");
    put_under(w, "a", "base");
    put_under(w, "c", "base-2");
    put_under(w, "a", "base"); /* again */
    assert_int_equal(writer_each_child(w, "base", append_name, names), 0);
    assert_string_equal(names, "a b ");
    put_under(w, "a", "base-2"); /* moves */
    put_under(w, "b", "");       /* has no parent any more */
    names[0] = '\0';
    assert_int_equal(writer_each_child(w, "base", append_name, names), 0);
    assert_string_equal(names, "");
    assert_int_equal(writer_each_child(w, "base-2", append_name, names), 0);
    assert_string_equal(names, "a c ");
    put_under(w, "stop", "base-2");
    put_under(w, "x", "base-2");
    names[0] = '\0';
    assert_int_equal(writer_each_child(w, "base-2", append_name, names), 7);
    assert_string_equal(names, "a c stop ");
    assert_int_equal(writer_each_child(w, "nobody", append_name, names), 0);
    assert_int_equal(writer_each_child(w, "", append_name, names), BIDE_ENAME);
    left = 3;
    assert_int_equal(writer_each_policy(w, count_record, &left), 5);
    left = 100;
    assert_int_equal(writer_each_policy(w, count_record, &left), 0);
    assert_int_equal(left, 100 - 7);
    writer_end(w);
}

/* ---- the lock ---- */

static void
a_second_writer_is_told_the_holder_of_the_lock(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir), *second = NULL;
    char pid[32];

    snprintf(pid, sizeof(pid), "by pid %d (test, for 0 s)", (int)getpid());
    assert_int_equal(writer_begin(t->dir, "other", 0, &second), BIDE_ELOCKED);
    assert_non_null(strstr(place_why(), pid));
    assert_int_equal(writer_begin(t->dir, "other", 30, &second), BIDE_ELOCKED);
    assert_null(second);
    assert_int_equal(writer_commit(w), 0); /* keeps the lock */
    assert_int_equal(writer_begin(t->dir, "other", 0, &second), BIDE_ELOCKED);
    writer_end(w);
    assert_int_equal(writer_begin(t->dir, "other", 0, &second), 0);
    writer_end(second);
    writer_end(NULL);
}

static void
a_removed_lock_file_is_made_again(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    char path[320];

    snprintf(path, sizeof(path), "%s/policies/registry.lock", t->dir);
    writer_end(w);
    assert_int_equal(unlink(path), 0);
    w = began(t->dir);
    writer_end(w);
}

static void
a_forked_child_cannot_use_its_parents_writer(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir), *second;
    struct record r, in = policy("pay", 1);
    int status;
    pid_t child;

    assert_int_equal(writer_put(w, &in, NULL), 0);
    child = fork();
    if (!child) {
        struct record mine = policy("pay", 1);
        int bad = writer_put(w, &mine, NULL) != BIDE_EINVAL;

        bad |= writer_policy(w, "pay", &r) != BIDE_EINVAL;
        bad |= writer_commit(w) != BIDE_EINVAL;
        writer_end(w);
        _exit(bad);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(writer_begin(t->dir, "other", 0, &second), BIDE_ELOCKED);
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
    w = began(t->dir);
    assert_int_equal(writer_policy(w, "pay", &r), 0);
    record_free(&r);
    writer_end(w);
}

/* ---- refusals ---- */

static void
a_writer_without_permission_is_refused(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    const bool is_root = geteuid() == 0;
    pid_t child;
    int status;

    writer_end(w);
    assert_int_equal(chmod(t->dir, 0755) | chmod(t->file, 0644), 0);
    child = fork();
    if (!child) {
        uint8_t id[REGISTRY_ID_SIZE];
        char dir[400];

        if (!is_root) {
            chmod(t->file, 0444);
        } else if (setuid(65534)) {
            _exit(2);
        }
        if (writer_begin(t->dir, "test", 0, &w) != BIDE_EPERM ||
            !strstr(place_why(), "registry.mdb")) {
            _exit(1);
        }
        snprintf(dir, sizeof(dir), "%s/new/dir", t->dir);
        _exit(is_root &&
              writer_create(dir, "/run/bide", NULL, id) != BIDE_EPERM);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
a_file_that_is_not_a_registry_is_refused(void **state)
{
    struct scratch *t = *state;
    struct writer *w = NULL;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    spill(t->file, "", 0);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    spill(t->file, "[pay]\n", 6);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    unlink(t->file);
    assert_int_equal(mkdir(t->file, 0700), 0);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    assert_non_null(strstr(place_why(), "directory"));
    rmdir(t->file);
    env = lmdb_env(t->file); /* an LMDB file, but not a registry */
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "policies", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    assert_null(w);
}

static void
a_newer_format_is_refused(void **state)
{
    struct scratch *t = *state;
    struct writer *w = began(t->dir);
    uint32_t format = STORE_FORMAT + 1;
    uint8_t sealed[16];
    char key[] = "format";
    struct reader *r;
    MDB_val k = {6, key}, v = {0, sealed};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    writer_end(w);
    v.mv_size = seal_write(key, 6, &format, sizeof(format), sealed);
    env = lmdb_env(t->file);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    lmdb_commit_number(txn, dbi);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EFORMAT);
    assert_non_null(strstr(place_why(), "has format 4"));
    assert_int_equal(reader_open(t->dir, &r), BIDE_EFORMAT);
}

/* ---- the check before LMDB ---- */

static void
put_many(const char *dir, unsigned from, unsigned to)
{
    struct writer *w = began(dir);
    char name[16];

    for (; from < to; from++) {
        struct record in;

        snprintf(name, sizeof(name), "p%05u", from);
        in = policy(name, 1);
        assert_int_equal(writer_put(w, &in, NULL), 0);
    }
    assert_int_equal(writer_commit(w), 0);
    writer_end(w);
}

/* Zeroes the leaf with this key. */
static void
zero_leaf_of(uint8_t *bytes, size_t length, const char *key)
{
    for (size_t at = 2 * 4096; at < length; at += 4096) {
        for (size_t i = 16; bytes[at + 10] == 2 && i < 4096 - strlen(key);
             i++) {
            if (!memcmp(bytes + at + i, key, strlen(key))) {
                memset(bytes + at, 0, 4096);
            }
        }
    }
}

static void
a_file_damaged_since_the_last_writer_is_refused(void **state)
{
    struct scratch *t = *state;
    struct writer *w = NULL;
    uint8_t *bytes;
    size_t length;

    put_many(t->dir, 0, 500);
    bytes = slurp(t->file, &length);
    zero_leaf_of(bytes, length, "p00100");
    spill(t->file, bytes, length);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    assert_non_null(strstr(place_why(), "backup"));
    free(bytes);
}

static void
a_file_that_was_checked_is_not_checked_again(void **state)
{
    struct scratch *t = *state;
    struct timespec times[2];
    char path[320];
    struct stat st;
    uint8_t *bytes;
    size_t length;
    struct writer *w;
    int fd;

    put_many(t->dir, 0, 500);
    /* Damages the file without a trace in its inode, so that writer_begin
     * succeeds only if it does not check the file. */
    assert_int_equal(stat(t->file, &st), 0);
    bytes = slurp(t->file, &length);
    fd = open(t->file, O_WRONLY);
    zero_leaf_of(bytes, length, "p00100");
    assert_int_equal(pwrite(fd, bytes, length, 0), length);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    free(bytes);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), 0);
    writer_end(w);
    /* Without the stamp, or with a damaged one, it is checked. */
    snprintf(path, sizeof(path), "%s/policies/registry.checked", t->dir);
    bytes = slurp(path, &length);
    assert_int_equal(length, 48);
    bytes[20] ^= 1;
    spill(path, bytes, length);
    free(bytes);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
    unlink(path);
    assert_int_equal(writer_begin(t->dir, "test", 0, &w), BIDE_EDAMAGED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(a_new_registry_can_be_read_and_written),
        SCRATCH(a_new_directory_gets_its_mode_whatever_the_umask),
        SCRATCH(making_a_registry_twice_is_refused_and_changes_nothing),
        SCRATCH(an_interrupted_creation_leaves_no_registry),
        SCRATCH(each_change_is_the_next_version),
        SCRATCH(an_uncommitted_change_is_undone),
        SCRATCH(a_record_too_long_is_refused_and_the_transaction_goes_on),
        SCRATCH(children_are_listed_under_the_policy_they_extend),
        SCRATCH(a_second_writer_is_told_the_holder_of_the_lock),
        SCRATCH(a_removed_lock_file_is_made_again),
        SCRATCH(a_forked_child_cannot_use_its_parents_writer),
        SCRATCH(a_writer_without_permission_is_refused),
        SCRATCH(a_file_that_is_not_a_registry_is_refused),
        SCRATCH(a_newer_format_is_refused),
        SCRATCH(a_file_damaged_since_the_last_writer_is_refused),
        SCRATCH(a_file_that_was_checked_is_not_checked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
