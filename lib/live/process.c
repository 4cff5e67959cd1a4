/* Rows are numbered from 0; row n is claimed by the lock of byte n.
 *
 * An ask is the index of a cell (17 bits), the incarnation of its gate above it
 * (14), and the top bit.  So a cell that was freed for another name is not
 * taken for the one that was asked for.
 *
 * Example: row 5 has generation 7.  The process that held it is killed, and the
 * kernel removes the lock of byte 5.  The next process that locks byte 5 writes
 * generation 8: what the first one held belongs to nobody now, although the
 * byte is locked again. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/safe.h"
#include "inside.h"

/* The open file of locks, shared by all live states that use it. */
struct process_file {
    int fd;
    dev_t device;
    ino_t inode;
    uint32_t process; /* id of the one that has the row, else it is lost */
    uint32_t row;
    struct live *users; /* linked by process.next */
    struct process_file *next;
};
static struct process_file *all_files;

/* ---- the lock of all_files and what is in it ---- */

/* Contains the id of the process whose thread has it.  A forked child takes it
 * from a thread of its parent, which the child does not have. */
static _Atomic uint32_t files_lock;

static int
lock_files(void)
{
    uint32_t self = process_self().id, seen = 0;
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    while (!atomic_compare_exchange_strong(&files_lock, &seen, self)) {
        if (seen == self) {
            sched_yield();
            seen = 0;
        }
    }
    return before;
}

static void
unlock_files(int before)
{
    atomic_store(&files_lock, 0);
    pthread_setcancelstate(before, NULL);
}

/* ---- the file ---- */

static bool
is_open(const struct process_file *f)
{
    struct stat st;

    return f->fd >= 0 && !fstat(f->fd, &st) && st.st_dev == f->device &&
           st.st_ino == f->inode;
}

/* Opens the file.  It must not be open: closing any of its descriptors removes
 * the locks. */
static bool
open_file(struct process_file *f, const char *path)
{
    struct stat st;

    f->process = 0;
    f->fd = safe_open_or_make(path, SAFE_LOCK);
    if (f->fd < 0 || fstat(f->fd, &st)) {
        return false;
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return true;
}

/* Lets `l` use the file beside it.  Returns that, or NULL. */
static struct process_file *
join_file(struct live *l)
{
    char path[PATH_MAX];
    struct process_file *f;
    struct stat st;

    if (l->process.file) {
        return l->process.file;
    }
    if (!l->path || live_is_reading(l) ||
        snprintf(path, sizeof(path), "%s" PROCESS_FILE, l->path) >= PATH_MAX) {
        return NULL;
    }
    f = lstat(path, &st) ? NULL : all_files;
    while (f && (f->device != st.st_dev || f->inode != st.st_ino)) {
        f = f->next;
    }
    if (f && !is_open(f) && !open_file(f, path)) {
        return NULL;
    }
    if (!f) {
        f = calloc(1, sizeof(*f));
        if (!f || !open_file(f, path)) {
            free(f);
            return NULL;
        }
        f->next = all_files;
        all_files = f;
    }
    l->process.next = f->users;
    f->users = l;
    l->process.file = f;
    return f;
}

static int
lock_row(const struct process_file *f, int command, struct flock *out,
         uint32_t row)
{
    *out = (struct flock){.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)row,
                          .l_len = 1};
    return fcntl(f->fd, command, out);
}

/* ---- the row ---- */

static uint64_t
row_offset(uint32_t row)
{
    return LIVE_PROCESSES + row * sizeof(struct process_row);
}

static bool
write_row(struct live *l, uint32_t generation)
{
    struct process self = process_self();
    struct process_row r = {.generation = generation,
                            .pid = self.pid,
                            .space = self.space,
                            .begun_ns = l->process.claimed_ns};
    size_t size;

    who_write(r.program);
    for (struct live *u = l->process.file->users; u; u = u->process.next) {
        for (uint32_t i = 0; u->inode == l->inode && i < u->process.asks; i++) {
            if (r.asks < PROCESS_ASKS && i < PROCESS_ASKS) {
                r.ask[r.asks] = u->process.ask[i];
            }
            r.asks++;
        }
    }
    size = r.asks < PROCESS_ASKS ? r.asks : PROCESS_ASKS;
    return live_write(l, row_offset(l->process.file->row), &r,
                      offsetof(struct process_row, ask) +
                          size * sizeof(*r.ask));
}

/* Returns the owner word under which this process uses the row in the file of
 * `l`; 0: none. */
static uint32_t
find_word(const struct process_file *f, const struct live *l)
{
    for (const struct live *u = f->users; u; u = u->process.next) {
        uint64_t owner = atomic_load(&u->process.owner);

        if (u->inode == l->inode && u->device == l->device &&
            owner >> 32 == process_self().id && (uint32_t)owner) {
            return (uint32_t)owner;
        }
    }
    return 0;
}

static bool
claim_row(struct process_file *f)
{
    uint32_t self = process_self().id;
    struct flock lock;

    for (uint32_t i = 0; f->process != self && i < PROCESS_ROWS; i++) {
        f->row = (self / 2 + i) % PROCESS_ROWS;
        if (!lock_row(f, F_SETLK, &lock, f->row)) {
            f->process = self;
        } else if (errno != EAGAIN && errno != EACCES) {
            break;
        }
    }
    return f->process == self;
}

/* Claims a row for `l`, or none. */
static void
claim_owner(struct live *l)
{
    uint64_t self = process_self().id;
    struct process_file *f = join_file(l);
    uint32_t word = 0, generation = 0;

    if (f && claim_row(f)) {
        word = find_word(f, l);
        if (!word && live_copy(live_fd(l), row_offset(f->row), &generation,
                               sizeof(generation))) {
            generation = OWNER_GENERATION(generation + 1);
            l->process.claimed_ns = clock_realtime_ns();
            word =
                write_row(l, generation) ? OWNER_WORD(f->row, generation) : 0;
        }
    }
    l->process.checked_ns = clock_monotonic_ns();
    atomic_store(&l->process.owner, self << 32 | word);
}

uint32_t
live_owner(struct live *l)
{
    uint64_t self = process_self().id;
    int before;

    if (atomic_load_explicit(&l->process.owner, memory_order_acquire) >> 32 !=
        self) {
        before = lock_files();
        claim_owner(l);
        unlock_files(before);
    }
    return (uint32_t)atomic_load(&l->process.owner);
}

/* Lets `l` use no file. */
static void
leave_file(struct live *l)
{
    struct process_file *f = l->process.file, **at = &all_files;
    uint32_t word = find_word(f, l); /* perhaps the last with one */
    struct live **u = &f->users;

    while (*u != l) {
        u = &(*u)->process.next;
    }
    *u = l->process.next;
    if (word && f->process == process_self().id) {
        write_row(l, OWNER_GENERATION(word));
    }
    l->process.file = NULL;
    if (f->users) {
        return;
    }
    if (is_open(f)) {
        close(f->fd);
    }
    while (*at != f) {
        at = &(*at)->next;
    }
    *at = f->next;
    free(f);
}

void
live_leave_processes(struct live *l)
{
    int before = lock_files();

    if (l->process.file) {
        leave_file(l);
    }
    unlock_files(before);
}

/* ---- checks ---- */

/* Reports whether this process still has its row: nobody closed or replaced the
 * file, and no other process has claimed the row since. */
static bool
has_row(struct live *l, const struct process_file *f)
{
    char path[PATH_MAX];
    uint32_t generation, word = (uint32_t)atomic_load(&l->process.owner);
    struct flock lock;
    struct stat st;

    snprintf(path, sizeof(path), "%s" PROCESS_FILE, l->path);
    return word && f->process == process_self().id && is_open(f) &&
           !lstat(path, &st) && st.st_dev == f->device &&
           st.st_ino == f->inode && !lock_row(f, F_SETLK, &lock, f->row) &&
           live_copy(live_fd(l), row_offset(f->row), &generation,
                     sizeof(generation)) &&
           generation == OWNER_GENERATION(word);
}

void
live_check_owner(struct live *l, bool must)
{
    int before;

    if (!l->path || live_is_reading(l) ||
        (!must &&
         clock_monotonic_ns() - l->process.checked_ns < LOOK_EVERY_NS)) {
        return;
    }
    before = lock_files();
    if (!l->process.file || !has_row(l, l->process.file)) {
        if (l->process.file) {
            l->process.file->process = 0;
            for (struct live *u = l->process.file->users; u;
                 u = u->process.next) {
                atomic_store(&u->process.owner, 0);
            }
            leave_file(l);
        }
        claim_owner(l);
    }
    l->process.checked_ns = clock_monotonic_ns();
    unlock_files(before);
}

/* Reports whether the lock of a row is held; if the file cannot be opened,
 * whether the process of the row is not known to have ended. */
static bool
is_row_locked(struct live *l, uint32_t row, const struct process_row *r)
{
    int before = lock_files();
    const struct process_file *f = join_file(l);
    struct flock lock;
    bool held;

    if (!f || !is_open(f) || lock_row(f, F_GETLK, &lock, row)) {
        held = !process_is_gone(r->pid, r->space);
    } else { /* the kernel does not tell a process of its own locks */
        held = lock.l_type != F_UNLCK ||
               (f->process == process_self().id && f->row == row);
    }
    unlock_files(before);
    return held;
}

bool
live_process_alive(struct live *l, uint32_t row, uint32_t generation)
{
    struct process_row r;

    if (!l->path) {
        return true;
    }
    return row < PROCESS_ROWS &&
           live_copy(live_fd(l), row_offset(row), &r,
                     offsetof(struct process_row, asks)) &&
           r.generation == generation && is_row_locked(l, row, &r);
}

/* ---- asks ---- */

static uint32_t
pack_ask(struct live *l, uint32_t index)
{
    const struct cell *c = cell_at(l, index);
    uint32_t gate = c ? GATE_BITS(atomic_load(&c->gate)) : 0;

    return 1u << 31 |
           (gate & GATE_INCARNATION) / GATE_NEXT_INCARNATION * CELL_MAX | index;
}

_Static_assert(GATE_INCARNATION / GATE_NEXT_INCARNATION < (1 << 14) &&
                   CELL_MAX == 1 << 17,
               "an ask");

void
live_ask(struct live *l, uint32_t index)
{
    uint32_t ask = pack_ask(l, index), word = live_owner(l), i = 0;
    int before;

    if (!word) {
        return;
    }
    before = lock_files();
    while (i < l->process.asks && i < PROCESS_ASKS &&
           l->process.ask[i] != ask) {
        i++;
    }
    if (i == l->process.asks || i == PROCESS_ASKS) {
        if (i < PROCESS_ASKS) {
            l->process.ask[i] = ask;
        }
        l->process.asks++;
        if (l->process.file && l->process.file->process == process_self().id) {
            write_row(l, OWNER_GENERATION(word));
        }
    }
    unlock_files(before);
}

/* Reports whether a row has the ask; 0: any. */
static bool
row_asks(const struct process_row *r, uint32_t ask, bool *out_perhaps)
{
    uint32_t count = r->asks < PROCESS_ASKS ? r->asks : PROCESS_ASKS;

    *out_perhaps = false;
    for (uint32_t i = 0; ask && i < count; i++) {
        if (r->ask[i] == ask) {
            return true;
        }
    }
    *out_perhaps = ask && r->asks > PROCESS_ASKS;
    return !ask || *out_perhaps;
}

int
live_asking(struct live *l, uint32_t index,
            int (*visit)(void *arg, const struct live_process *p), void *arg)
{
    uint32_t ask = index == UINT32_MAX ? 0 : pack_ask(l, index);
    off_t at = (off_t)LIVE_PROCESSES;
    int fd = live_fd(l), rc = 0;

    if (fd < 0) {
        return live_is_private(l) ? 0 : BIDE_ESYS;
    }
    for (; !rc && (at = lseek(fd, at, SEEK_DATA)) >= 0 && at < (off_t)LIVE_SIZE;
         at += (off_t)sizeof(struct process_row)) {
        struct live_process p = {.row =
                                     (uint32_t)((uint64_t)at - LIVE_PROCESSES) /
                                     (uint32_t)sizeof(struct process_row)};
        struct process_row r;

        if (live_copy(live_fd(l), (uint64_t)at, &r, sizeof(r)) &&
            r.generation && row_asks(&r, ask, &p.perhaps) &&
            is_row_locked(l, p.row, &r)) {
            who_read(r.pid, r.space, r.program, &p.by);
            p.generation = r.generation;
            p.begun_ns = r.begun_ns;
            rc = visit(arg, &p);
        }
    }
    return rc;
}
