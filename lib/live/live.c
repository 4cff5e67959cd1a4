/* Attaches to a live file, maps its segments and reserves its pages. */
#include "inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_limit.h"
#include "base/safe.h"

/* ---- opening and closing ---- */

/* Allocates zeroed memory by mmap, because it is large and mostly unused: only
 * touched pages take memory. */
static void *
map_anonymous(size_t size, int sharing)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void
unmap_if_mapped(void *p, size_t size)
{
    if (p) {
        munmap(p, size);
    }
}

static struct live *
allocate_live(void)
{
    struct live *l = map_anonymous(sizeof(*l), MAP_PRIVATE);

    if (l) {
        atomic_init(&l->fd, -1);
    }
    return l;
}

static int
attach_file(struct live *l, const char *path, const uint8_t id[16],
            bool reading, enum live_readers readers)
{
    struct live_header h;
    struct stat st;
    int fd, rc;

    l->path = strdup(path);
    l->parts_size = CELL_MAX * sizeof(*l->parts);
    l->parts = map_anonymous(l->parts_size, MAP_PRIVATE);
    if (!l->path || !l->parts) {
        return BIDE_ENOMEM;
    }
    rc = reading ? file_look(path, id, &h, &fd)
                 : file_attach(path, id,
                               readers == LIVE_FOR_ALL ? SAFE_FILE : SAFE_LOCK,
                               &h, &fd);
    if (rc) {
        return rc;
    }
    if (fstat(fd, &st)) {
        close(fd);
        return BIDE_ESYS;
    }
    l->device = st.st_dev;
    l->inode = st.st_ino;
    atomic_store(&l->fd, fd);
    l->cell_max = CELL_MAX;
    l->stripes = h.stripes;
    l->scale.mult = h.tick_mult;
    if (l->scale.mult && !clock_scale_ok(l->scale)) {
        l->scale = clock_measure();
    }
    l->sharing = reading ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    l->memory =
        mmap(NULL, LIVE_CELLS, PROT_READ | PROT_WRITE, l->sharing, fd, 0);
    if (l->memory == MAP_FAILED) {
        l->memory = NULL;
        return BIDE_ENOMEM;
    }
    l->memory_size = LIVE_CELLS;
    return 0;
}

static int
open_live(const char *path, const uint8_t id[16], bool reading,
          enum live_readers readers, struct live **out)
{
    struct live *l = allocate_live();
    struct file_limit limit;
    int rc;

    if (!l) {
        return BIDE_ENOMEM;
    }
    file_limit_begin(&limit);
    rc = attach_file(l, path, id, reading, readers);
    file_limit_end(&limit);
    if (rc) {
        live_close(l);
        return rc;
    }
    /* Makes the bell if there is none.  If that fails, live_bell uses a timer.
     */
    live_put_back(l, !atomic_load(&live_header(l)->cells_used));
    *out = l;
    return 0;
}

int
live_open(const char *path, const uint8_t id[16], enum live_readers readers,
          struct live **out)
{
    return open_live(path, id, false, readers, out);
}

int
live_open_reading(const char *path, const uint8_t id[16],
                  enum live_readers readers, struct live **out)
{
    int rc = open_live(path, id, false, readers, out);

    return rc == BIDE_EPERM && open_live(path, id, true, readers, out) == 0
               ? 0
               : rc;
}

/* Returns the offset of the bodies in a private live state.  They follow the
 * cells without a gap, and the parts follow the bodies. */
static size_t
private_bodies_offset(uint32_t cells)
{
    return (size_t)LIVE_CELLS + cells * sizeof(struct cell);
}

int
live_open_private(struct live **out)
{
    static const uint8_t nobody[16];
    struct live *l = allocate_live();
    uint32_t cells = PRIVATE_CELLS;

    if (!l) {
        return BIDE_ENOMEM;
    }
    /* If the address space is limited, fewer cells may fit. */
    for (; cells >= 16 && !l->memory; cells /= 2) {
        l->parts_size = cells * sizeof(*l->parts);
        l->memory_size = private_bodies_offset(cells) +
                         cells * (size_t)BODY_SIZE + l->parts_size;
        l->memory = map_anonymous(l->memory_size, MAP_SHARED);
        l->cell_max = cells;
    }
    if (!l->memory) {
        live_close(l);
        return BIDE_ENOMEM;
    }
    l->parts = (void *)(l->memory + l->memory_size - l->parts_size);
    file_header(nobody, live_header(l));
    live_header(l)->cell_max = l->cell_max;
    l->stripes = live_header(l)->stripes;
    l->scale.mult = live_header(l)->tick_mult;
    *out = l;
    return 0;
}

static void
close_file(struct live *l)
{
    int fd = atomic_load(&l->fd);
    struct stat st;

    /* If the program closed all its descriptors, the number may now belong to
     * another file. */
    if (fd >= 0 && !fstat(fd, &st) && st.st_dev == l->device &&
        st.st_ino == l->inode) {
        close(fd);
    }
}

void
live_close(struct live *l)
{
    if (!l) {
        return;
    }
    for (size_t i = 0; i < CELL_MAX / CELL_SEGMENT; i++) {
        unmap_if_mapped(atomic_load(&l->cell_segment[i]),
                        CELL_SEGMENT * sizeof(struct cell));
    }
    for (size_t i = 0; i < CELL_MAX / BODY_SEGMENT; i++) {
        unmap_if_mapped(atomic_load(&l->body_segment[i]),
                        BODY_SEGMENT * (size_t)BODY_SIZE);
    }
    live_leave_processes(l);
    close_file(l);
    if (!live_is_private(l)) {
        unmap_if_mapped(l->parts, l->parts_size);
    }
    unmap_if_mapped(l->memory, l->memory_size);
    free(l->path);
    munmap(l, sizeof(*l));
}

/* ---- properties ---- */

bool
live_is_private(const struct live *l)
{
    return !l->path;
}

bool
live_is_reading(const struct live *l)
{
    return l->sharing & MAP_PRIVATE;
}

static bool
is_attached_file(const struct live *l, const struct stat *st)
{
    return st->st_dev == l->device && st->st_ino == l->inode &&
           (uint64_t)st->st_size == LIVE_SIZE;
}

bool
live_is_current(const struct live *l)
{
    struct stat st;

    return !l->path || (!lstat(l->path, &st) && is_attached_file(l, &st));
}

struct tick_scale
live_scale(const struct live *l)
{
    return l->scale;
}

uint32_t
live_stripes(const struct live *l)
{
    return l->stripes;
}

void
live_raise(_Atomic uint64_t *word, uint64_t to)
{
    uint64_t old = atomic_load(word);

    while (old < to && !atomic_compare_exchange_weak(word, &old, to)) {
    }
}

struct live_header *
live_header(struct live *l)
{
    return (struct live_header *)(void *)l->memory;
}

void
live_note_trouble(struct live *l, int rc)
{
    struct live_header *h = live_header(l);
    uint32_t code = rc < 0 ? (uint32_t)-rc : 0;

    if (code) {
        atomic_store(&h->trouble_ns, clock_realtime_ns());
    }
    if (atomic_load(&h->trouble) != code) {
        atomic_store(&h->trouble, code);
    }
}

/* ---- the descriptor ---- */

int
live_fd(struct live *l)
{
    int old = atomic_load(&l->fd), fd;
    struct stat st;

    if (!l->path) {
        return -1;
    }
    if (old >= 0 && !fstat(old, &st) && is_attached_file(l, &st)) {
        return old;
    }
    fd = live_is_reading(l) ? -1 : safe_open(l->path);
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) || !is_attached_file(l, &st) ||
        !atomic_compare_exchange_strong(&l->fd, &old, fd)) {
        close(fd); /* another thread was first: the next call finds its fd */
        return -1;
    }
    return fd;
}

/* ---- mapping ---- */

/* Maps the segment of an item, which has `each` items of `size` bytes; the
 * first of all is at `begin` in the file.  Returns the item.  Inlined, so that
 * the divisions are by constants. */
static inline __attribute__((always_inline)) void *
map_item(struct live *l, _Atomic(char *) *segments, uint32_t index,
         uint32_t each, uint64_t begin, size_t size)
{
    _Atomic(char *) *place = &segments[index / each];
    char *seen = atomic_load_explicit(place, memory_order_acquire), *p;
    size_t length = each * size;
    uint64_t offset = begin + index / each * length;
    int fd;

    if (seen) {
        return seen + index % each * size;
    }
    fd = live_fd(l);
    if (fd < 0) {
        return NULL;
    }
    p = mmap(NULL, length, PROT_READ | PROT_WRITE, l->sharing, fd,
             (off_t)offset);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (offset >= LIVE_BODIES) {
        madvise(p, length, MADV_DONTDUMP); /* not needed in a core file */
    }
    if (!atomic_compare_exchange_strong(place, &seen, p)) {
        munmap(p, length);
        p = seen;
    }
    return p + index % each * size;
}

struct cell *
live_map_cell(struct live *l, uint32_t index)
{
    assert(index < l->cell_max);
    return live_is_private(l)
               ? (void *)(l->memory + cell_offset(index))
               : map_item(l, l->cell_segment, index, CELL_SEGMENT, LIVE_CELLS,
                          sizeof(struct cell));
}

struct body *
live_map_body(struct live *l, uint32_t index)
{
    assert(index < l->cell_max);
    return live_is_private(l)
               ? (void *)(l->memory + private_bodies_offset(l->cell_max) +
                          index * (size_t)BODY_SIZE)
               : map_item(l, l->body_segment, index, BODY_SEGMENT, LIVE_BODIES,
                          BODY_SIZE);
}

/* ---- space ---- */

int
live_reserve(struct live *l, uint64_t offset, uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t end = (offset + size + page - 1) / page * page;
    struct file_limit limit;
    int fd, rc;

    if (live_is_private(l)) {
        return 0;
    }
    fd = live_fd(l);
    if (fd < 0) {
        return BIDE_ESYS;
    }
    offset = offset / page * page;
    file_limit_begin(&limit);
    rc = file_reserve(fd, offset, end - offset);
    file_limit_end(&limit);
    return rc;
}

bool
live_has(struct live *l, uint64_t offset)
{
    off_t page = (off_t)(offset / 4096 * 4096);
    int fd;

    if (live_is_private(l)) {
        return true;
    }
    fd = live_fd(l);
    return fd >= 0 && lseek(fd, page, SEEK_DATA) == page;
}

bool
live_copy(int fd, uint64_t offset, void *out, size_t size)
{
    return fd >= 0 && pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

bool
live_write(struct live *l, uint64_t offset, const void *from, size_t size)
{
    struct file_limit limit;
    int fd = live_fd(l);
    bool done;

    file_limit_begin(&limit);
    done = fd >= 0 && pwrite(fd, from, size, (off_t)offset) == (ssize_t)size;
    file_limit_end(&limit);
    return done;
}
