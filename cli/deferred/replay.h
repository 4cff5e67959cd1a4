/* Processes deferred work: many pieces at a time, in one thread. */
#ifndef BIDE_CLI_REPLAY_H
#define BIDE_CLI_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include <bide.h>
#include "cli/exec/exec.h"
#include "cli/exec/exec_work.h"
#include "store/queue/queue.h"

/* A policy from which work is taken. */
struct replay_queue {
    char name[BIDE_NAME_MAX + 1];
    struct bide_policy *policy;
    struct deferred_kind kind; /* only commands, or all but commands */
    uint64_t held_ns;          /* take no work before this time; 0: no limit */
    bool closed; /* the policy refuses calls until an unknown time */
};

enum piece_state {
    PIECE_NONE,
    PIECE_RUNNING, /* an attempt runs */
    PIECE_WAITING, /* waits for its next attempt */
    PIECE_HELD,    /* the policy refuses calls at present */
    PIECE_ENDED,   /* the call has ended; its result is not stored yet */
};

/* The result of a piece, which is stored in the queue. */
enum piece_result {
    PIECE_FAILED,
    PIECE_DONE,
    /* The next ones do not count as an attempt to do the work. */
    PIECE_REFUSED,
    PIECE_UNTRIED,  /* the command could not run, or was interrupted */
    PIECE_HOMELESS, /* its directory is gone: due again after a wait */
};

struct piece {
    enum piece_state state;
    struct replay_queue *queue;
    struct bide_deferred *work;
    struct bide_call call;
    struct exec_child child;
    struct exec_files files;
    char title[EXEC_TITLE_MAX + 1]; /* for messages: "deferred ID of NAME" */
    struct exec_work command;       /* without --exec; arguments NULL: unused */
    int input;                      /* a file with the work; -1: none */
    uint64_t again_ns; /* when piece_turn is due, except in PIECE_WAITING */
    uint64_t extend_ns, lease_end_ns; /* CLOCK_MONOTONIC */
    enum piece_result result;         /* valid in PIECE_ENDED */
    bool stopped;     /* its command was interrupted, because replay stops */
    bool said;        /* the error from storing the result was printed */
    char reason[128]; /* the reason why the work is not done */
};

struct replay {
    const char *shell; /* the command of --exec; NULL: each has its own */
    bool verbose, until_empty;
    struct bide *bide;
    struct bide_watch *watch;  /* NULL: none */
    struct deferred *deferred; /* the queue of the registry */
    struct exec_signals signals;
    struct exec_guard guard;
    struct exec_files files;       /* what each piece begins with */
    struct exec_terminal terminal; /* unused: commands get none */
    uint32_t jobs;
    struct piece pieces[EXEC_GUARDED]; /* the first `jobs` of them */
    size_t queue_count;
    struct replay_queue **queues;
    int stop;         /* 1: take no new work; 2: also end running commands */
    bool cannot_run;  /* the command of --exec does not exist */
    bool unwritten;   /* output of --output last could not be printed */
    uint64_t look_ns; /* when all queues are due for a check */
    bool changed;     /* a policy may have changed: waiting calls check it */
    uint64_t done, failed, lost, refused, untried;
    char last_reason[128]; /* the last failure, or else another reason */
    uint64_t shown_ns;     /* when progress was printed; UINT64_MAX: never */
    bool on_line;          /* the cursor is on the progress line */
};

/* Begins the call of a piece that was just taken. */
void piece_begin(struct replay *r, struct piece *p);
/* Makes the step that is due for the piece. */
void piece_turn(struct replay *r, struct piece *p);
/* Returns when piece_turn is due next, on CLOCK_MONOTONIC. */
uint64_t piece_next_ns(const struct piece *p);

#endif
