/* Reads any bytes as a record, with a right checksum: that is damage, or a
 * record that is written to the same bytes, and whose layers can be laid.
 *
 *   ./fuzz_record corpus        seeds: BIDE_FUZZ_SEEDS=corpus ./fuzz_record
 * -runs=0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "policy/policy.h"
#include "store/policies/record.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
compose_at_each_end(struct record *r)
{
    struct policy_text *t;
    uint64_t end;

    do {
        end = r->until_ns;
        if (record_compose(r, &t) == 0) {
            free(policy_text_write(t));
            policy_text_free(t);
        }
        if (record_base(r, &t) == 0) {
            policy_text_free(t);
        }
        if (record_end(r) && record_end(r) < end) {
            abort(); /* the first end is later than one of them */
        }
        record_settle(r, end);
    } while (end);
    if (r->part_count != 1 || r->version != r->parts[0].version) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length + 1);
    struct record r;
    size_t again_length;
    uint32_t crc;
    void *again;

    memcpy(copy, bytes, length);
    if (length > 4) {
        crc = crc32c(0, copy + 4, length - 4);
        memcpy(copy, &crc, 4);
    }
    if (record_read(copy, length, NULL, &r) == 0) {
        if (record_write(&r, &again, &again_length) || again_length != length ||
            memcmp(again, copy, length) != 0) {
            abort();
        }
        free(again);
        compose_at_each_end(&r);
        record_free(&r);
    }
    free(copy);
    return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct record_part parts[] = {
        {3, 30, 0, 1000, "bea", "", "", "[pay]\nattempts = 4\n"},
        {2, 20, 1000, 1000, "ann", "", "attempts", "9"},
        {4, 40, 2000, 1000, "cid", "n", "attempts", "8"},
        {4, 40, 2000, 1000, "cid", "n", "wait_max", NULL},
    };
    struct record r = {.name = "pay", .version = 4, .parts = parts};
    const char *dir = getenv("BIDE_FUZZ_SEEDS");

    (void)argc;
    (void)argv;
    for (r.part_count = 3; dir && r.part_count <= 4; r.part_count++) {
        char path[300];
        size_t length;
        void *bytes;
        FILE *f;

        snprintf(path, sizeof(path), "%s/record-%zu", dir, r.part_count);
        f = fopen(path, "w");
        if (!f || record_write(&r, &bytes, &length) ||
            fwrite(bytes, 1, length, f) != length || fclose(f)) {
            abort();
        }
        free(bytes);
    }
    return 0;
}
