/* Thousands of damaged files.  Each read gives right records or an error, a
 * file that passes pages_check is safe for LMDB, and nothing crashes or hangs
 * (an alarm ends the test if it does). */
#include "policies.h"

#include <sys/wait.h>

#include "store/policies/reader.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { TRIALS = 400 };
#else
enum { TRIALS = 1500 };
#endif
enum { PAGE = 4096, NAMES = 300 };

struct tally {
    unsigned refused, errors, right, unknown, accepted;
};

static void
write_name(char out[16], unsigned number)
{
    snprintf(out, 16, "p%04u", number);
}

static void
fill_registry(const char *dir)
{
    for (unsigned round = 1; round <= 3; round++) {
        struct writer *w = began(dir);

        for (unsigned i = 0; i < NAMES; i++) {
            char name[16];
            struct record in;

            write_name(name, i);
            in = policy(name, round);
            assert_int_equal(writer_put(w, &in, i % 3 ? "p0000" : NULL), 0);
        }
        assert_int_equal(writer_commit(w), 0);
        writer_end(w);
    }
}

/* ---- reading ---- */

static int
assert_record_right(void *arg, struct record *r)
{
    (void)arg;
    assert_true(is_right(r));
    return 0;
}

static void
read_policy(const struct snapshot *s, const char *name, struct tally *t)
{
    struct record r;
    int rc = reader_policy(s, name, &r);

    if (!rc) {
        assert_right(&r, 3);
        record_free(&r);
        t->right++;
        return;
    }
    /* Never BIDE_ENOPOLICY: the policy exists. */
    assert_true(rc == BIDE_EDAMAGED || rc == BIDE_ESYS || rc == BIDE_ENOMEM);
    t->errors++;
}

static int
read_all(void *arg, const struct snapshot *s)
{
    struct tally *t = arg;
    char name[16];

    for (unsigned i = 0; i < NAMES; i += 7) {
        write_name(name, i);
        read_policy(s, name, t);
    }
    reader_each_policy(s, assert_record_right, NULL);
    reader_each_version(s, "p0007", assert_record_right, NULL);
    reader_each_change(s, assert_record_right, NULL);
    return 0;
}

static void
read_damaged_file(const char *dir, const char *file, struct tally *t)
{
    struct reader *r;
    struct pages *f;

    if (reader_open(dir, &r)) {
        t->refused++;
        return;
    }
    reader_read(r, read_all, t, NULL);
    reader_close(r);
    if (!pages_open(file, &f)) {
        t->accepted += !pages_check(f);
        pages_close(f);
    }
}

/* ---- damage ---- */

typedef void damage_fn(uint8_t *bytes, size_t *length, uint64_t *seed);

static void
flip_a_bit(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    bytes[below(seed, *length)] ^= (uint8_t)(1u << below(seed, 8));
}

static void
flip_a_bit_of_a_header(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    bytes[below(seed, *length / PAGE) * PAGE + below(seed, 64)] ^=
        (uint8_t)(1u << below(seed, 8));
}

static void
flip_a_bit_of_a_meta(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    (void)length;
    bytes[below(seed, 2) * PAGE + below(seed, 152)] ^=
        (uint8_t)(1u << below(seed, 8));
}

static void
zero_a_page(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    memset(bytes + below(seed, *length / PAGE) * PAGE, 0, PAGE);
}

static void
randomize(uint8_t *bytes, size_t count, uint64_t *seed)
{
    while (count--) {
        *bytes++ = (uint8_t)draw(seed);
    }
}

static void
randomize_a_page(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    randomize(bytes + below(seed, *length / PAGE) * PAGE, PAGE, seed);
}

static void
randomize_a_header(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    randomize(bytes + below(seed, *length / PAGE) * PAGE, 16, seed);
}

/* Copies a page over another one and adjusts its number: the damage that is
 * hardest to detect. */
static void
copy_a_page(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    uint64_t from = below(seed, *length / PAGE);
    uint64_t to = 2 + below(seed, *length / PAGE - 2);

    memcpy(bytes + to * PAGE, bytes + from * PAGE, PAGE);
    memcpy(bytes + to * PAGE, &to, sizeof(to));
}

static void
change_an_offset(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    uint16_t value = (uint16_t)below(seed, PAGE);

    memcpy(bytes + below(seed, *length / PAGE) * PAGE + 12 +
               below(seed, 20) * 2,
           &value, 2);
}

static void
cut_off(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    (void)bytes;
    *length = below(seed, *length);
}

static void
cut_off_at_a_page(uint8_t *bytes, size_t *length, uint64_t *seed)
{
    (void)bytes;
    *length = below(seed, *length / PAGE) * PAGE;
}

static const struct {
    const char *name;
    damage_fn *damage;
} damages[] = {
    {"a bit flipped", flip_a_bit},
    {"a bit of a page's beginning", flip_a_bit_of_a_header},
    {"a bit of a meta page", flip_a_bit_of_a_meta},
    {"a page zeroed", zero_a_page},
    {"a page of random bytes", randomize_a_page},
    {"a random header", randomize_a_header},
    {"a page copied over another", copy_a_page},
    {"a random offset", change_an_offset},
    {"cut off", cut_off},
    {"cut off at a page", cut_off_at_a_page},
};

enum { DAMAGES = sizeof(damages) / sizeof(*damages) };

static void
reading_a_damaged_file_gives_right_records_or_an_error(void **state)
{
    struct scratch *t = *state;
    uint64_t seed = 2024;
    uint8_t *bytes, *copy;
    size_t whole;

    fill_registry(t->dir);
    bytes = slurp(t->file, &whole);
    copy = malloc(whole);
    assert_non_null(copy);
    for (size_t i = 0; i < DAMAGES; i++) {
        struct tally tally = {0};

        for (size_t trial = 0; trial < TRIALS / DAMAGES; trial++) {
            size_t length = whole;

            alarm(60);
            memcpy(copy, bytes, whole);
            damages[i].damage(copy, &length, &seed);
            spill(t->file, copy, length);
            read_damaged_file(t->dir, t->file, &tally);
        }
        print_message("%-30s refused %u, of the rest: right %u, error %u; "
                      "%u passed the check\n",
                      damages[i].name, tally.refused, tally.right, tally.errors,
                      tally.accepted);
    }
    alarm(0);
    free(copy);
    free(bytes);
}

/* LMDB itself writes to a file that passed the check: in a child, because a
 * crash is the failure that the test looks for. */
static void
write_at_random(const char *dir, uint64_t seed)
{
    struct writer *w;

    alarm(20);
    if (writer_begin(dir, "test", 0, &w)) {
        _exit(0);
    }
    for (int i = 0; i < 40; i++) {
        char name[16];
        struct record in;
        int rc;

        write_name(name, (unsigned)below(&seed, NAMES * 2));
        in = policy(name, 1);
        rc = writer_put(w, &in, below(&seed, 2) ? "p0001" : NULL);
        if (rc && rc != BIDE_EDAMAGED && rc != BIDE_EFULL) {
            _exit(3);
        }
        if (rc) {
            break;
        }
    }
    writer_commit(w);
    writer_end(w);
    _exit(1);
}

static void
lmdb_does_not_crash_on_files_that_passed_the_check(void **state)
{
    struct scratch *t = *state;
    unsigned wrote = 0, refused = 0;
    uint64_t seed = 77;
    uint8_t *bytes, *copy;
    size_t whole;

    fill_registry(t->dir);
    bytes = slurp(t->file, &whole);
    copy = malloc(whole);
    assert_non_null(copy);
    for (unsigned trial = 0; trial < 200; trial++) {
        size_t length = whole;
        int status;
        pid_t child;

        memcpy(copy, bytes, whole);
        damages[trial % DAMAGES].damage(copy, &length, &seed);
        spill(t->file, copy, length);
        child = fork();
        if (!child) {
            write_at_random(t->dir, seed);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        wrote += (unsigned)WEXITSTATUS(status);
        refused += !WEXITSTATUS(status);
    }
    print_message("%u refused, %u written\n", refused, wrote);
    assert_true(wrote && refused);
    free(copy);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(reading_a_damaged_file_gives_right_records_or_an_error),
        SCRATCH(lmdb_does_not_crash_on_files_that_passed_the_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
