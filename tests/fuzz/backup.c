/* A backup holds any bytes: restoring it neither crashes nor hangs, and what is
 * refused changes nothing.
 *
 * An input with an odd first byte is the file as it is.  Otherwise the rest is
 * the file from its head on, whose sizes and checksums are made right, so that
 * the images in it are opened. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/backup.h"
#include "admin/open.h"
#include "base/crc32c.h"
#include "base/paths.h"

enum { HEAD = 88, SIZES = 40, CRCS = 72, FILES = 4 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static char dir[] = "/tmp/bide-fuzz-XXXXXX", registry[64], new_one[64];

static int
make_registry(void)
{
    struct admin_init how = {.live_dir = dir};

    return admin_init(registry, &how);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void
remove_all(void)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes the backup of a registry as a seed, with an even first byte. */
static void
write_seed(const char *folder)
{
    struct admin *a = NULL;
    struct admin_backup made;
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/backup", folder);
    f = fopen(path, "w+");
    if (!f || admin_open(registry, &a) || admin_backup(a, f, &made)) {
        abort();
    }
    admin_close(a);
    fclose(f);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *seeds = getenv("BIDE_FUZZ_SEEDS");

    (void)argc, (void)argv;
    if (!mkdtemp(dir)) {
        abort();
    }
    snprintf(registry, sizeof(registry), "%s/old", dir);
    snprintf(new_one, sizeof(new_one), "%s/new", dir);
    if (make_registry()) {
        abort();
    }
    atexit(remove_all);
    if (seeds) {
        write_seed(seeds);
    }
    return 0;
}

/* Makes the sizes fit into the file, and the checksums right. */
static void
mend_head(uint8_t *bytes, size_t length)
{
    size_t at = HEAD;
    uint32_t crc;

    for (int i = 0; i < FILES; i++) {
        uint64_t size;

        memcpy(&size, bytes + SIZES + 8 * i, 8);
        size = i + 1 == FILES ? length - at : size % (length - at + 1);
        crc = crc32c(0, bytes + at, size);
        memcpy(bytes + SIZES + 8 * i, &size, 8);
        memcpy(bytes + CRCS + 4 * i, &crc, 4);
        at += size;
    }
    memcpy(bytes, "bidebkup", 8);
    crc = 1; /* the format */
    memcpy(bytes + 12, &crc, 4);
    crc = crc32c(0, bytes + 12, HEAD - 12);
    memcpy(bytes + 8, &crc, 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct admin_restored did;
    uint8_t *copy = malloc(length + 1);
    char path[sizeof(registry) + sizeof(PATH_REGISTRY) + 1];
    FILE *f = tmpfile();
    bool force = length & 1;
    int rc;

    if (!copy || !f) {
        abort();
    }
    memcpy(copy, bytes, length);
    if (length > HEAD && !(*bytes & 1)) {
        mend_head(copy, length);
    }
    fwrite(copy, 1, length, f);
    rewind(f);
    rc = admin_restore(force ? registry : new_one, f, "it", force, &did);
    fclose(f);
    free(copy);
    snprintf(path, sizeof(path), "%s/" PATH_REGISTRY, registry);
    if (rc && access(path, F_OK)) {
        abort();
    }
    nftw(new_one, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (!rc && force) {
        nftw(registry, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        if (make_registry()) {
            abort();
        }
    }
    return 0;
}
