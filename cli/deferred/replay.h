/* Doing what was deferred: many pieces at a time, in one thread. */
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

/* A policy whose work is taken. */
struct replay_queue {
    char name[BIDE_NAME_MAX + 1];
    struct bide_policy *policy;
    struct deferred_kind kind; /* commands, or all else */
    uint64_t held_ns;          /* nothing is let out before; 0: as usual */
    bool closed; /* nothing is let out, and nobody knows how long */
};

enum piece_state {
    PIECE_NONE,
    PIECE_RUNNING, /* an attempt */
    PIECE_WAITING, /* for the next attempt */
    PIECE_HELD,    /* the policy lets nothing out yet */
    PIECE_ENDED,   /* it is to be given back */
};

/* What it is given back as. */
enum piece_fate {
    PIECE_FAILED,
    PIECE_DONE,
    /* These do not count as tried. */
    PIECE_NOT_LET_OUT,
    PIECE_UNTRIED, /* it could not be run, or not to its end */
};

struct piece {
    enum piece_state state;
    struct replay_queue *queue;
    struct bide_deferred work;
    struct bide_call call;
    struct exec_child child;
    struct exec_work command; /* without --exec; arguments NULL: none */
    int input;                /* the work, to be read; -1: none */
    uint64_t again_ns;        /* when to look at it again, unless it waits */
    uint64_t extend_ns, lease_end_ns; /* CLOCK_MONOTONIC */
    enum piece_fate fate;             /* when it has ended */
    bool stopped;     /* its command was ended since we are to stop */
    bool said;        /* that it can not be given back */
    char reason[128]; /* why it is not done */
};

struct replay {
    const char *shell; /* the command of --exec; NULL: each has its own */
    bool verbose, until_empty;
    struct bide *bide;
    struct deferred *deferred; /* the same registry's */
    struct exec_signals signals;
    struct exec_guard guard;
    struct exec_terminal terminal; /* none: they run in the background */
    struct piece *pieces;
    uint32_t jobs;
    size_t queue_count;
    struct replay_queue *queues;
    int stop;         /* 1: nothing new; 2: and what runs is to end */
    bool cannot_run;  /* there is no such command: no piece would be done */
    uint64_t look_ns; /* when to look at all of the queues again */
    bool changed;     /* a policy, perhaps: each waiting call looks again */
    uint64_t done, failed, lost, not_let_out, untried;
    char last_reason[128]; /* a failure's, if there was one */
    uint64_t shown_ns;     /* progress, on a terminal */
    bool on_line;          /* of it, the cursor is */
};

/* Something was taken: begins its call. */
void piece_begin(struct replay *r, struct piece *p);
/* Moves it on as far as it goes now. */
void piece_turn(struct replay *r, struct piece *p);
/* When to call that again, if nothing comes before. */
uint64_t piece_next_ns(const struct piece *p);

/* A line on stderr that does not run into the one of progress. */
void replay_say(struct replay *r, const struct piece *p, const char *text);

#endif
