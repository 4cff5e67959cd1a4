/* The parts of a backup, for the files that write and read it. */
#ifndef BIDE_ADMIN_BACKUP_INSIDE_H
#define BIDE_ADMIN_BACKUP_INSIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/paths.h"
#include "store/policies/reader.h"
#include "backup.h"

struct past;

enum { JOURNAL, DEFERRED, HISTORY, POLICIES, FILES };

/* Their names, and the files whose locks keep their writers away. */
extern const struct backup_file {
    const char *name, *lock;
} backup_files[FILES];

struct head {
    char magic[8];
    uint32_t crc, format;
    uint8_t registry[REGISTRY_ID_SIZE];
    uint64_t made_ns, size[FILES];
    uint32_t crcs[FILES];
};
_Static_assert(sizeof(struct head) == 88, "no gaps");

/* Reads and checks the head of a backup, and that the file has its size. */
int backup_read_head(FILE *file, struct head *out);
/* Writes the files from `first` on; *out says what it has not (first POLICIES:
 * unused). */
int backup_write(struct past *p, int first, FILE *to, struct admin_backup *out);

/* Returns the path of one of `names` in a directory. */
struct file_path backup_path(const char *dir, int file);
bool backup_has(const char *dir, int file);
/* Copies bytes until the end or `most`; *out_crc is their checksum. */
int backup_copy(FILE *from, FILE *to, uint64_t most, uint64_t *out_size,
                uint32_t *out_crc);
/* Counts the pieces of deferred work, and what is damaged of it; 0 if it cannot
 * be read. */
uint64_t backup_pieces(const char *dir, uint64_t *out_damaged);

#endif
