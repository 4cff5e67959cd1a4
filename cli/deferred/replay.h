/* Processes deferred work: many pieces at a time, in one thread. */
#ifndef BIDE_CLI_REPLAY_H
#define BIDE_CLI_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "cli/command/command.h"
#include "cli/exec/exec.h"
#include "cli/exec/exec_work.h"
#include "store/queue/queue.h"

/* A policy from which work is taken. */
struct replay_queue {
    char name[BIDE_NAME_MAX + 1];
    struct bide_policy *policy;
    struct deferred_kind kind; /* only commands, or all but commands */
    uint64_t held_ns;          /* take nothing before; 0: no limit */
    bool closed;               /* the policy refuses, with no known end */
};

enum piece_state {
    PIECE_NONE,
    PIECE_RUNNING, /* an attempt runs */
    PIECE_WAITING, /* waits for its next attempt */
    PIECE_HELD,    /* the policy refuses calls at present */
    PIECE_ENDED,   /* its result is not stored yet */
};

/* The result that is stored for a piece. */
enum piece_result {
    PIECE_FAILED,
    PIECE_DONE,
    /* The next two do not count as tried. */
    PIECE_REFUSED,
    PIECE_UNTRIED, /* the command could not run, or was interrupted */
};

struct piece {
    enum piece_state state;
    struct replay_queue *queue;
    struct bide_deferred work;
    struct bide_call call;
    struct exec_child child;
    struct exec_work command; /* without --exec; arguments NULL: unused */
    int input;                /* a file with the work; -1: none */
    uint64_t again_ns;        /* when piece_turn is due, except if waiting */
    uint64_t extend_ns, lease_end_ns; /* CLOCK_MONOTONIC */
    enum piece_result result;         /* in PIECE_ENDED */
    bool stopped;     /* its command was interrupted: replay stops */
    bool said;        /* the error of storing the result was printed */
    char reason[128]; /* why it is not done */
};

struct replay {
    const char *shell; /* the command of --exec; NULL: each has its own */
    bool verbose, until_empty;
    struct bide *bide;
    struct deferred *deferred; /* the same registry's */
    struct exec_signals signals;
    struct exec_guard guard;
    struct exec_terminal terminal; /* none: commands run in the background */
    struct piece *pieces;
    uint32_t jobs;
    size_t queue_count;
    struct replay_queue **queues;
    int stop;         /* 1: take nothing new; 2: also end what runs */
    bool cannot_run;  /* the command of --exec does not exist */
    uint64_t look_ns; /* when all queues are due for a check */
    bool changed;     /* a policy may have changed: waiting calls check it */
    uint64_t done, failed, lost, refused, untried;
    char last_reason[128]; /* of a failure if there was one, else of another */
    uint64_t shown_ns;     /* when progress was printed; UINT64_MAX: never */
    bool on_line;          /* the cursor is on the line of progress */
};

/* Begins the call of a piece that was just taken. */
void piece_begin(struct replay *r, struct piece *p);
/* Does what is due for the piece now. */
void piece_turn(struct replay *r, struct piece *p);
/* Returns when piece_turn is due next, on CLOCK_MONOTONIC. */
uint64_t piece_next_ns(const struct piece *p);

/* Prints "deferred ID of POLICY: TEXT" on stderr, in place of the line of
 * progress. */
void replay_say(struct replay *r, const struct piece *p, const char *text);

#endif
