/* Reads any bytes as a registry: that must neither crash nor hang.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude
 *       -Ilib tests/fuzz/pages.c (all of lib/store) -llmdb
 *       -o fuzz_pages
 *   mkdir corpus && BIDE_FUZZ_SEEDS=corpus ./fuzz_pages -runs=0
 *   ./fuzz_pages -max_len=170000 -timeout=5 corpus */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/pages/pages.h"
#include "store/policies/record.h"
#include "store/policies/writer.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const char *const names[] = {"policies", "versions", "log", "children",
                                    "meta"};

struct visits {
    unsigned long count, bytes;
    uint8_t key[512];
    size_t key_length;
};

static int
read_record(void *arg, const void *key, size_t key_length, const void *value,
            size_t length)
{
    struct visits *v = arg;
    struct record r;

    v->count++;
    for (size_t i = 0; i < length; i++) { /* reads every byte */
        v->bytes += ((const uint8_t *)value)[i];
    }
    if (!record_read(value, length, NULL, &r)) {
        record_free(&r);
    }
    memcpy(v->key, key, key_length);
    v->key_length = key_length;
    return 0;
}

static void
read_database(const struct snapshot *s, const char *name)
{
    struct visits forwards = {0}, backwards = {0}, from = {0};
    void *value;
    size_t length;

    if (!pages_walk(s, name, NULL, 0, false, read_record, &forwards, NULL) &&
        !pages_walk(s, name, NULL, 0, true, read_record, &backwards, NULL) &&
        (forwards.count != backwards.count ||
         forwards.bytes != backwards.bytes)) {
        abort(); /* both walks succeed, but see different records */
    }
    pages_walk(s, name, forwards.key, forwards.key_length, true, read_record,
               &from, NULL);
    pages_walk(s, name, "p1", 2, false, read_record, &from, NULL);
    if (forwards.count && !pages_get(s, name, forwards.key, forwards.key_length,
                                     &value, &length)) {
        free(value);
    }
    if (!pages_get(s, name, "p1", 2, &value, &length)) {
        free(value);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    int fd = memfd_create("registry", MFD_CLOEXEC);
    struct pages_stamp stamp;
    struct snapshot s;
    struct pages *f;
    char path[64];

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length) {
        abort();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!pages_open(path, &f)) {
        pages_look(f, &stamp);
        pages_check(f);
        if (!pages_begin(f, &s)) {
            for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                read_database(&s, names[i]);
            }
            pages_end(&s);
        }
        pages_close(f);
    }
    close(fd);
    return 0;
}

/* ---- seeds ---- */

/* Writes to `dir` a registry after `changes` changes of `policies` policies,
 * with texts of up to `longest` bytes. */
static void
write_seed(const char *dir, unsigned changes, unsigned policies, size_t longest)
{
    char here[] = "/tmp/bide-fuzz-XXXXXX", path[300], to[300];
    char who[] = "ops", note[] = "", *text = malloc(longest + 1);
    uint8_t id[REGISTRY_ID_SIZE];
    struct writer *w = NULL;

    if (!text || !mkdtemp(here) || writer_create(here, "/run/bide", NULL, id)) {
        abort();
    }
    for (unsigned i = 0; i < changes; i++) {
        struct record r = {.who = who, .note = note, .text = text};

        snprintf(r.name, sizeof(r.name), "p%u", i % policies);
        memset(text, 'a' + (int)(i % 26), longest);
        text[longest * (i % 7) / 6] = '\0';
        if ((i % 10 == 0 && writer_begin(here, "seed", 0, &w)) ||
            writer_put(w, &r, i % 2 ? "p0" : NULL)) {
            abort();
        }
        if (i % 10 == 9 || i + 1 == changes) {
            if (writer_commit(w)) {
                abort();
            }
            writer_end(w);
        }
    }
    snprintf(path, sizeof(path), "%s/policies/registry.mdb", here);
    snprintf(to, sizeof(to), "cp %s '%s/seed-%u-%u-%zu' && rm -r %s", path, dir,
             changes, policies, longest, here);
    if (system(to)) {
        abort();
    }
    free(text);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = getenv("BIDE_FUZZ_SEEDS");

    (void)argc;
    (void)argv;
    if (dir) {
        write_seed(dir, 0, 1, 0);
        write_seed(dir, 1, 1, 100);
        write_seed(dir, 3, 2, 7000);
        write_seed(dir, 12, 5, 300);
        write_seed(dir, 40, 40, 400);
        write_seed(dir, 150, 150, 20);
    }
    return 0;
}
