/* Runs a program again and again; in each run another call fails.  After each
 * run the state of the registry is compared with the state before. */
#ifndef TESTS_FAULTS_FAULTING_H
#define TESTS_FAULTS_FAULTING_H

#include "system/process.h"

#include <sys/mman.h>

#include "admin/read.h"
#include "inject/fail.h"
#include "record/past.h"
#include "store/policies/record.h"
#include "store/queue/queue.h"

/* The parts of a registry. */
enum { POLICIES = 1, QUEUE = 2, HISTORY = 4 };

/* A program and the change that it makes. */
struct target {
    const char *name;
    const char *const *argv; /* after DIR; "@" becomes the number of the run */
    bool service;            /* runs the service, not the command */
    unsigned parts;          /* the parts that a failure must not change */
    bool changes;            /* a success changes them; else it does not */
    /* Makes what the program needs. */
    void (*prepare)(struct scene *s, const struct target *t, int run);
    const char *leased;   /* NULL, or what the state must contain if the message
                             begins with "bide: end" */
    const char *contains; /* NULL, or a part of the state after success, as argv
                           */
};

enum { STATE_MAX = 64 << 10, SECONDS_MAX = 20 };

struct faulting {
    struct scene *s;
    struct fail *fail; /* shared with the program */
    char path[300];    /* of that file */
    int out, err;      /* files for the output of the program */
    const struct target *target;
    int runs;
    long tried, survived;
    char before[STATE_MAX], after[STATE_MAX], usual[STATE_MAX];
};

static const char *const kind_names[] = {
#define KIND(name, error) #name,
    FAIL_KINDS(KIND)
#undef KIND
};

/* ---- the state ---- */

struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void
text_add(struct text *t, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < t->left);
    t->at += length;
    t->left -= (size_t)length;
}

static int
add_policy(void *arg, const struct record *r)
{
    text_add(arg, "policy %s v%u\n%s", r->name, r->version, r->text);
    return 0;
}

static int
add_item(void *arg, const struct deferred_item *item)
{
    text_add(arg, "work %llu state %d attempts %u\n",
             (unsigned long long)item->id, item->state, item->attempts);
    return 0;
}

static int
add_counts(void *arg, const struct deferred_counts *c)
{
    text_add(arg, "queue %s stored %llu done %llu dropped %llu\n", c->policy,
             (unsigned long long)c->stored, (unsigned long long)c->done,
             (unsigned long long)c->dropped);
    return 0;
}

/* Writes the state of the parts of `f->target` to `out`. */
static void
read_state(struct faulting *f, char out[STATE_MAX])
{
    struct text t = {out, STATE_MAX};
    struct admin *a = scene_admin(f->s);

    out[0] = '\0';
    if (f->target->parts & POLICIES) {
        assert_int_equal(admin_each_policy(a, add_policy, &t), 0);
    }
    if (f->target->parts & HISTORY) {
        struct history_known known;

        assert_int_equal(past_known(admin_past(a), &known), 0);
        assert_int_equal(known.damaged, 0);
        text_add(&t, "recorded %llu\n", (unsigned long long)known.last_ns);
    }
    admin_close(a);
    if (f->target->parts & QUEUE) {
        struct deferred *d;

        assert_int_equal(deferred_open(f->s->dir, &d), 0);
        assert_int_equal(deferred_each(d, NULL, add_item, &t), 0);
        assert_int_equal(deferred_counts(d, add_counts, &t), 0);
        deferred_close(d);
    }
}

/* ---- one run ---- */

/* Writes `word` to `out` with "@" replaced by a number that differs from run to
 * run. */
static const char *
fill_word(const char *word, int run, char out[64])
{
    const char *at = word ? strchr(word, '@') : NULL;

    if (!at) {
        return word;
    }
    snprintf(out, 64, "%.*s%d%s", (int)(at - word), word, 2 + run % 90, at + 1);
    return out;
}

static void
run_in_child(struct faulting *f)
{
    static char words[WORDS_MAX][64];
    const struct target *t = f->target;
    char *argv[WORDS_MAX + 4];
    char file[300];
    int n = 0;

    snprintf(file, sizeof(file), "%s/p.ini", f->s->top);
    argv[n++] = (char *)(t->service ? "service" : "bide");
    if (!t->service) {
        argv[n++] = (char *)"--dir";
    }
    argv[n++] = f->s->dir;
    for (int i = 0; t->argv[i]; i++) {
        argv[n++] = (char *)fill_word(t->argv[i], f->runs, words[i]);
    }
    argv[n] = NULL;
    dup2(open(file, O_RDONLY), 0);
    dup2(f->out, 1);
    dup2(f->err, 2);
    setenv(FAIL_FILE, f->path, 1);
    setenv("LD_PRELOAD", FAIL_LIBRARY, 1);
    setenv("MALLOC_PERTURB_", "165", 1);
    alarm(SECONDS_MAX); /* ends a program that hangs */
    execv(t->service ? FAIL_SERVICE : getenv("BIDE"), argv);
    _exit(127);
}

static void
empty_output(int fd)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
}

static void
read_output(int fd, char *out, size_t size)
{
    ssize_t n = pread(fd, out, size - 1, 0);

    out[n > 0 ? n : 0] = '\0';
}

/* Runs the program; call `nth` of `kind` fails, and later ones if `later`.
 * Returns the status of waitpid. */
static int
run_once(struct faulting *f, int kind, long nth, bool later)
{
    pid_t child;
    int status;

    f->runs++;
    empty_output(f->out);
    empty_output(f->err);
    f->fail->kind = kind;
    f->fail->nth = nth;
    f->fail->later = later;
    f->fail->calls = 0;
    child = fork();
    if (child == 0) {
        run_in_child(f);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    f->fail->nth = 0;
    return status;
}

/* ---- the verdict ---- */

/* Returns what is wrong after a run, NULL: nothing. */
static const char *
find_fault(struct faulting *f, int status, const char *words)
{
    const struct target *t = f->target;
    bool same = strcmp(f->before, f->after) == 0;
    char part[64];

    if (!WIFEXITED(status)) {
        return WTERMSIG(status) == SIGALRM ? "it hung" : "it crashed";
    }
    if (WEXITSTATUS(status) > 6) {
        return "unexpected exit status";
    }
    if (t->leased && strncmp(words, "bide: end", 9) == 0) {
        return strstr(f->after, t->leased) ? NULL : "the work is gone";
    }
    if (WEXITSTATUS(status) != 0) {
        return !same    ? "reported a failure and changed something"
               : *words ? NULL
                        : "failed without a message";
    }
    if (same == t->changes) {
        return same ? "reported success and changed nothing"
                    : "changed something that it only reads";
    }
    if (t->contains &&
        !strstr(f->after, fill_word(t->contains, f->runs, part))) {
        return "reported success and changed something else";
    }
    return NULL;
}

/* Tries one point.  Returns false if the program made fewer calls. */
static bool
try_point(struct faulting *f, int kind, long nth, bool later)
{
    char words[2000];
    const char *fault;
    int status;

    if (f->target->prepare) {
        f->target->prepare(f->s, f->target, f->runs);
    }
    read_state(f, f->before);
    status = run_once(f, kind, nth, later);
    if (f->fail->calls < nth) {
        return false;
    }
    read_state(f, f->after);
    read_output(f->err, words, sizeof(words));
    if (!f->target->changes && !*words) {
        read_output(f->out, words, sizeof(words)); /* a report */
    }
    fault = find_fault(f, status, words);
    f->tried++;
    f->survived += !fault;
    if (fault) {
        print_message("%s: %s %ld%s: %s (status %x)\n%s", f->target->name,
                      kind_names[kind], nth, later ? " and later" : "", fault,
                      (unsigned)status, words);
    }
    return true;
}

/* ---- all points ---- */

/* Returns the number of calls of a kind that the program makes. */
static long
count_calls(struct faulting *f, int kind)
{
    if (f->target->prepare) {
        f->target->prepare(f->s, f->target, f->runs);
    }
    run_once(f, kind, 0, false);
    return f->fail->calls;
}

/* Returns the number of points of one kind that are tried: all if the
 * environment has BIDE_TEST_ALL, else POINTS. */
static long
points_max(void)
{
    const char *all = getenv("BIDE_TEST_ALL");

    return all && *all ? 1000000 : POINTS;
}

static void
try_kind(struct faulting *f, int kind)
{
    for (int later = 0; later < 2; later++) {
        long calls = count_calls(f, kind);
        long step = calls / points_max() + 1;

        /* Other runs begin at other calls. */
        for (long n = 1 + f->runs % step;
             n <= calls + step && try_point(f, kind, n, later); n += step) {
        }
    }
}

static void
try_target(struct faulting *f, const struct target *target)
{
    const char *only = getenv("BIDE_TEST_ONLY");

    if (only && strcmp(only, target->name) != 0) {
        return;
    }
    f->target = target;
    f->tried = f->survived = 0;
    for (int kind = 0; kind < FAIL_KIND_COUNT; kind++) {
        try_kind(f, kind);
    }
    print_message("%s: points tried %ld, survived %ld\n", target->name,
                  f->tried, f->survived);
    assert_true(only || f->tried > 20);
}

static int
open_output(const char *name)
{
    int fd = memfd_create(name, 0);

    assert_true(fd >= 0);
    return fd;
}

/* Tries all targets.  They fail together, after the last. */
UNUSED static void
try_targets(struct scene *s, const struct target *targets, size_t count)
{
    static struct faulting f;
    bool failed = false;
    int fd;

    f = (struct faulting){
        .s = s, .out = open_output("out"), .err = open_output("err")};
    snprintf(f.path, sizeof(f.path), "%s/fail", s->live);
    fd = open(f.path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(*f.fail)), 0);
    f.fail =
        mmap(NULL, sizeof(*f.fail), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(f.fail != MAP_FAILED);
    close(fd);
    for (size_t i = 0; i < count; i++) {
        try_target(&f, &targets[i]);
        failed |= f.tried != f.survived;
    }
    munmap(f.fail, sizeof(*f.fail));
    close(f.out);
    close(f.err);
    assert_false(failed);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
