/* The journal of a queue holds any batches with correct checksums, or any
 * bytes. Reading, taking, giving back, dropping and storing work neither crash
 * nor hang.
 *
 * An input with an odd first byte is the journal from its first batch on.
 * Otherwise entries follow: flags | key length | value length u16 | key |
 * value; SEALED: the value gets the checksum of a record; CLOSES: this entry is
 * the last of its batch; SKIPS: the batch after it is missing too; LIES: the
 * entry takes the length of its value from the first bytes of the value. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/queue/file.h"
#include "base/crc32c.h"
#include "store/file/seal.h"
#include "store/queue/scan.h"
#include "store/policies/writer.h"

enum { GONE = 1, SEALED = 2, CLOSES = 4, SKIPS = 8, LIES = 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static char dir[] = "/tmp/bide-fuzz-XXXXXX", mdb_path[64], journal_path[64];
static uint8_t *mdb, *journal; /* the files before each input */
static size_t mdb_length, journal_length;
static uint64_t first; /* number of the first batch */

/* ---- files ---- */

static uint8_t *
slurp(const char *path, size_t *out_length)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *bytes;

    if (fd < 0 || fstat(fd, &st)) {
        abort();
    }
    *out_length = (size_t)st.st_size;
    bytes = malloc(*out_length);
    if (!bytes || read(fd, bytes, *out_length) != st.st_size) {
        abort();
    }
    close(fd);
    return bytes;
}

static void
spill(const char *path, const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length) {
        abort();
    }
    close(fd);
}

/* ---- a journal ---- */

struct making {
    uint8_t *bytes; /* JOURNAL_SIZE */
    size_t at, end; /* the batch that is open, and its end so far */
    uint64_t id, number;
};

static void
add(struct making *m, const void *bytes, size_t length)
{
    memcpy(m->bytes + m->end, bytes, length);
    m->end += length;
}

static void
close_batch(struct making *m, bool skip)
{
    struct journal_batch b = {.magic = 0x63746162,
                              .length = (uint32_t)(m->end - m->at),
                              .number = m->number};
    const size_t sum = offsetof(struct journal_batch, length);

    memcpy(m->bytes + m->at, &b, sizeof(b));
    b.crc = crc32c(crc32c(0, &m->id, sizeof(m->id)), m->bytes + m->at + sum,
                   b.length - sum);
    memcpy(m->bytes + m->at, &b, sizeof(b));
    m->number += skip ? 2 : 1;
    m->at = (m->end + JOURNAL_STEP - 1) / JOURNAL_STEP * JOURNAL_STEP;
    m->end = m->at + sizeof(b);
}

/* Returns the number of input bytes that it used; 0: the end. */
static size_t
add_entry(struct making *m, const uint8_t *from, size_t left)
{
    struct journal_entry e = {0};
    uint8_t value[UINT16_MAX + 4];
    const uint8_t *key = from + 4;
    uint16_t length;
    size_t size;

    if (left < 4 || left - 4 < from[1]) {
        return 0;
    }
    memcpy(&length, from + 2, sizeof(length));
    if (length > left - 4 - from[1]) {
        length = (uint16_t)(left - 4 - from[1]);
    }
    e.key_length = from[1];
    e.gone = from[0] & GONE;
    size = length;
    memcpy(value, key + from[1], size);
    if (from[0] & SEALED) {
        size = seal_write(key, from[1], key + from[1], size, value);
    }
    if (m->end + sizeof(e) + from[1] + size > JOURNAL_SIZE) {
        return 0;
    }
    e.value_length = (uint32_t)size;
    if (from[0] & LIES && size >= sizeof(e.value_length)) {
        memcpy(&e.value_length, value, sizeof(e.value_length));
    }
    add(m, &e, sizeof(e));
    add(m, key, from[1]);
    add(m, value, size);
    if (from[0] & CLOSES &&
        m->end + sizeof(struct journal_batch) + JOURNAL_STEP < JOURNAL_SIZE) {
        close_batch(m, from[0] & SKIPS);
    }
    return 4 + (size_t)from[1] + length;
}

static void
make_journal(const uint8_t *bytes, size_t length)
{
    struct making m = {.bytes = malloc(JOURNAL_SIZE), .at = JOURNAL_START};
    size_t n;

    if (!m.bytes) {
        abort();
    }
    memcpy(m.bytes, journal, JOURNAL_SIZE);
    m.end = m.at + sizeof(struct journal_batch);
    memcpy(&m.id, journal + offsetof(struct journal_head, id), sizeof(m.id));
    m.number = first;
    if (length && bytes[0] & 1) {
        n = length - 1 < JOURNAL_SIZE - m.at ? length - 1 : JOURNAL_SIZE - m.at;
        memcpy(m.bytes + m.at, bytes + 1, n);
    } else if (length) {
        for (bytes++, length--; (n = add_entry(&m, bytes, length)) > 0;) {
            bytes += n;
            length -= n;
        }
        if (m.end > m.at + sizeof(struct journal_batch)) {
            close_batch(&m, false);
        }
    }
    spill(journal_path, m.bytes, JOURNAL_SIZE);
    free(m.bytes);
}

/* ---- using the queue ---- */

static const struct defer_rules rules = {.wait_ns = 1,
                                         .wait_max_ns = 1,
                                         .expire_ns = UINT64_MAX / 4,
                                         .lease_ns = 1000000000000,
                                         .max = 100000};

static int
touch(void *arg, const struct deferred_item *item)
{
    *(uint64_t *)arg += item->id + item->length;
    return 0;
}

static int
touch_counts(void *arg, const struct deferred_counts *c)
{
    *(uint64_t *)arg += c->stored + c->waiting;
    return 0;
}

static int
touch_event(void *arg, const struct deferred_event *e)
{
    *(uint64_t *)arg += e->id;
    return 0;
}

static void
work_through(struct deferred *d)
{
    const struct deferred_by by = {"fuzz", "", 0};
    struct bide_work work = {.bytes = "again", .length = 5, .key = "key"};
    struct deferred_item taken[4];
    uint64_t sum = 0, id;
    int n, i;

    deferred_each(d, NULL, touch, &sum);
    deferred_counts(d, touch_counts, &sum);
    deferred_events(d, touch_event, &sum, &id);
    n = deferred_take(d, "mail", &rules, NULL, taken, 4, NULL);
    for (i = 0; i < n; i++) {
        if (i % 2) {
            deferred_nack(d, taken[i].id, taken[i].lease, &rules, true, "no");
        } else {
            deferred_ack(d, taken[i].id, taken[i].lease);
        }
        deferred_item_free(&taken[i]);
    }
    for (id = 1; id < 5; id++) {
        if (id % 2) {
            deferred_change(d, DEFERRED_REQUEUED, id, &by);
        } else {
            deferred_change(d, DEFERRED_DROPPED, id, &by);
        }
    }
    deferred_put(d, "mail", &rules, &work, &id, NULL);
}

/* Aborts if work that could be stored cannot be read again. */
static void
must_serve(struct deferred *d)
{
    struct bide_work work = {.bytes = "sound", .length = 5};
    struct deferred_item item;
    uint64_t id;

    if (deferred_put(d, "sound", &rules, &work, &id, NULL)) {
        return; /* the damage is reported */
    }
    if (deferred_get(d, id, &item) || item.length != 5 ||
        memcmp(item.bytes, "sound", 5)) {
        abort();
    }
    deferred_item_free(&item);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct deferred_survey survey;
    struct deferred *d;

    spill(mdb_path, mdb, mdb_length);
    make_journal(bytes, length);
    deferred_survey(dir, &survey);
    free(survey.held);
    if (!deferred_open(dir, &d)) {
        work_through(d);
        must_serve(d);
        deferred_close(d);
    }
    if (!deferred_open(dir, &d)) {
        must_serve(d);
        deferred_close(d);
    }
    return 0;
}

/* ---- the first queue, and seeds ---- */

static void
begin(struct deferred *d)
{
    struct bide_work work = {.bytes = "one", .length = 3, .key = "key"};
    struct deferred_item item;
    uint64_t id;

    if (deferred_put(d, "mail", &rules, &work, &id, NULL) ||
        deferred_take(d, "mail", &rules, NULL, &item, 1, NULL) != 1) {
        abort();
    }
    deferred_item_free(&item);
    if (deferred_lock(d) || deferred_fold(d)) {
        abort();
    }
    first = d->journal.next;
    deferred_unlock(d);
}

/* Writes the batches of a journal as the entries of an input. */
static void
write_seed(const char *seeds, const uint8_t *from)
{
    char path[300];
    size_t at = JOURNAL_START;
    struct journal_batch b;
    FILE *f;

    snprintf(path, sizeof(path), "%s/batches", seeds);
    f = fopen(path, "w");
    if (!f) {
        abort();
    }
    fputc(0, f);
    for (memcpy(&b, from + at, sizeof(b)); b.magic == 0x63746162;
         memcpy(&b, from + at, sizeof(b))) {
        size_t end = at + b.length, entry = at + sizeof(b);

        while (entry < end) {
            struct journal_entry e;
            uint16_t length;

            memcpy(&e, from + entry, sizeof(e));
            entry += sizeof(e) + e.key_length + e.value_length;
            length = (uint16_t)e.value_length;
            fputc((e.gone ? GONE : 0) | (entry < end ? 0 : CLOSES), f);
            fputc(e.key_length, f);
            fwrite(&length, sizeof(length), 1, f);
            fwrite(from + entry - e.value_length - e.key_length, 1,
                   e.key_length + length, f);
        }
        at = (end + JOURNAL_STEP - 1) / JOURNAL_STEP * JOURNAL_STEP;
    }
    fclose(f);
}

static void
seed(struct deferred *d, const char *seeds)
{
    uint8_t *bytes;
    size_t length;

    work_through(d);
    work_through(d);
    bytes = slurp(journal_path, &length);
    write_seed(seeds, bytes);
    free(bytes);
}

static void
clean_up(void)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command)) {
        perror(dir);
    }
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *seeds = getenv("BIDE_FUZZ_SEEDS");
    uint8_t id[REGISTRY_ID_SIZE];
    struct deferred *d;

    (void)argc;
    (void)argv;
    if (!mkdtemp(dir) || writer_create(dir, "/nowhere", deferred_create, id) ||
        deferred_open(dir, &d)) {
        abort();
    }
    atexit(clean_up);
    snprintf(mdb_path, sizeof(mdb_path), "%s/deferred/deferred.mdb", dir);
    snprintf(journal_path, sizeof(journal_path), "%s/deferred/deferred.journal",
             dir);
    begin(d);
    mdb = slurp(mdb_path, &mdb_length);
    journal = slurp(journal_path, &journal_length);
    if (journal_length != JOURNAL_SIZE) {
        abort();
    }
    if (seeds) {
        seed(d, seeds);
    }
    deferred_close(d);
    return 0;
}
