/* bide: named retry policies that all programs on a host share.
 *
 * CONVENTIONS
 *   Results      0 or more, or a negative BIDE_E code (bide_strerror).
 *                Outputs come last and stay untouched on failure.
 *   Units        times are nanoseconds, _ns.  Points in time are those of
 *                CLOCK_MONOTONIC; other clocks are in the name.  UINT64_MAX is
 *                no limit, or never.
 *   Ownership    bide_close frees the result of bide_open.  A policy handle
 *                belongs to its registry and is valid until bide_close; two
 *                look-ups of one name return the same handle.  The library
 *                copies what a program passes in, except for `arg` and `data`,
 *                which it only passes on.  `const` results belong to the
 *                library.
 *   Growth       fields are only added at the end of a structure to which the
 *                library returns a pointer.  A structure of the caller has
 *                reserved fields, which must be 0, or is passed with its size:
 *                the library refuses a field that it does not know unless the
 *                field is 0, and sets such a field of an output to 0.
 *   Threads      all functions but bide_close are thread-safe.  A call (struct
 *                bide_call) and a watch belong to one thread at a time; only
 *                bide_call_cancel and bide_call_is_cancelled may be used from
 *                others.
 *   Fork         a child may use a registry that its parent opened.  It draws
 *                other random numbers and has no recorder.  Watches, and calls
 *                of the parent's other threads, do not exist there.
 *   Leaving      BIDE_TRY also ends its call if the block is left by break,
 *                return, goto, a C++ exception or, in code compiled with
 *                -fexceptions, by pthread_cancel.  After longjmp, or if an
 *                attempt or a hook of bide_call_run was left in one of these
 *                ways, call bide_call_abandon; bide.hpp does that.  A wait is
 *                no cancellation point of pthread_cancel, which then acts in
 *                the next attempt; and a wait goes on after a signal handler,
 *                except where a function says otherwise.
 *   Outages      a missing, damaged or unreadable registry never makes a call
 *                fail: the rules of the last good reading stay in force, else
 *                the rules of bide_declare.  bide_registry_status reports it.
 *   The library never prints or exits, changes no signal handlers, and starts
 *   no thread except the recorder of bide_record_every. */
#ifndef BIDE_H
#define BIDE_H

#include "bide_outcome.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; the number is major * 65536 + minor * 256 +
 * patch.  bide_version returns the version of the library in use. */
#define BIDE_VERSION "0.1.0"
#define BIDE_VERSION_NUMBER 0x000100

/* Returns BIDE_VERSION of the library in use; a static string. */
BIDE_API const char *bide_version(void);

/* ---- the registry ---- */

struct bide;
struct bide_policy;
struct bide_hooks;
struct bide_clock;

/* A flag of bide_open, for tests: counters, budgets, breakers and waiting calls
 * are kept in this process and the children that it forks.  Nothing is written
 * to the live state of the host.  Policies are read from the registry and their
 * changes are followed: a call looks for changes when it begins, and every 5 s
 * while it waits.  Work is deferred to the registry as usual. */
enum { BIDE_PRIVATE = 1 };

/* Opens the registry in `dir`; NULL: $BIDE_DIR, else the user's own, which is
 * $XDG_STATE_HOME/bide (~/.local/state/bide), else that of the host and of
 * root, /var/lib/bide.  Succeeds also if no registry exists: calls then run
 * under declared rules, and follow the registry as soon as it appears.  `flags`
 * is 0 or BIDE_PRIVATE.  The caller frees *out with bide_close.  Fails with
 * BIDE_EINVAL, BIDE_ENOMEM. */
BIDE_API int bide_open(const char *dir, unsigned flags,
                       struct bide **out) BIDE_CHECKED;

/* How to open a registry.  A field that is 0 or NULL has no effect. */
struct bide_options {
    const char *dir; /* as for bide_open */
    uint32_t flags;
    uint32_t reserved; /* 0 */
    uint64_t seed;     /* of the random part of waits; 0: another one each time.
                          The same seed, clock and outcomes in the same order
                          make the same waits on every machine */
    const struct bide_clock *clock; /* only with BIDE_PRIVATE: other processes
                                       would misread its times */
    const struct bide_hooks *hooks; /* for all calls of this registry */
    size_t hooks_size;              /* sizeof(struct bide_hooks) */
};

/* Opens a registry as bide_open does, with options; `size` is sizeof(*options).
 * All structures that they point to are copied.  Fails as bide_open, and with
 * BIDE_EINVAL if a field that the library does not know is not 0. */
BIDE_API int bide_open_with(const struct bide_options *options, size_t size,
                            struct bide **out) BIDE_CHECKED;

/* Closes the registry and frees its handles: at once if no call is running,
 * else at the end of the last call.  Returns the number of calls that still
 * run; a function on deferred work counts as one.  After this, only
 * functions that end these calls may be used with the registry.  NULL: does
 * nothing. */
BIDE_API int bide_close(struct bide *b);

/* Declares the rules for policies that the registry does not define.  `ini` is
 * the text of a policy file.  May be called again: a section replaces the
 * earlier one of its name.  A section may extend other declared ones.  If the
 * text is wrong, nothing is declared, the result is BIDE_EINPUT, and
 * bide_declare_error has the place.  Fails with BIDE_EINVAL, BIDE_ENOMEM. */
BIDE_API int bide_declare(struct bide *b, const char *ini);

/* Returns the fault found by this thread's last bide_declare, as
 * "declared:LINE: WHAT: WHY"; "" if that succeeded.  Valid until the thread
 * calls bide_declare again. */
BIDE_API const char *bide_declare_error(void);

/* Checks the registry.  Returns 0 if the policies in use could be read from it
 * and live state is shared (or BIDE_PRIVATE).  Otherwise the last good or
 * declared rules are in force, or live state is private to this process;
 * returns the error that caused it (BIDE_EMISSING, BIDE_EPERM ...). */
BIDE_API int bide_registry_status(struct bide *b);

/* Calls `each` with the name of each policy of the registry, sorted, until
 * `each` returns other than 0.  Returns that value, else 0 or a BIDE_E code.
 * If it is BIDE_EDAMAGED, `each` was called with the names that can be read. */
BIDE_API int bide_policies(struct bide *b,
                           int (*each)(void *arg, const char *name), void *arg);

/* ---- policies ---- */

/* Returns the handle of a policy in *out; it belongs to the registry.  A scope
 * has the rules of the policy and a live state of its own; NULL: no scope.  The
 * policy need not exist: it then has the declared rules, else the rules of the
 * registry's `default`, else one attempt; the handle follows when the policy is
 * defined.  A misspelt name is not an error: bide_policy_source shows it.  The
 * first look-up of a name reads the registry, later ones cost tens of ns.
 * Fails with BIDE_EINVAL, BIDE_ENAME, BIDE_ENOMEM. */
BIDE_API int bide_lookup(struct bide *b, const char *name, const char *scope,
                         struct bide_policy **out) BIDE_CHECKED;

/* Return the name and the scope of the look-up; the scope is "" without one. */
BIDE_API const char *bide_policy_name(const struct bide_policy *p);
BIDE_API const char *bide_policy_scope(const struct bide_policy *p);

/* Where rules come from. */
enum bide_source {
    BIDE_SOURCE_BUILTIN = 0,  /* a single attempt: nobody defines the name */
    BIDE_SOURCE_DECLARED = 1, /* bide_declare */
    BIDE_SOURCE_DEFAULT = 2,  /* the registry's policy `default` */
    BIDE_SOURCE_REGISTRY = 3,
};

/* Returns the source of the rules in force, an enum bide_source, and in
 * *out_version (or NULL) the version in the registry of the policy, or of
 * `default`; 0 if the rules come from elsewhere.  Reads the registry if it has
 * changed.  Fails with BIDE_EINVAL, BIDE_ENOMEM. */
BIDE_API int bide_policy_source(struct bide_policy *p, uint32_t *out_version);

/* Writes the value in force of one key ("attempts") to `buffer` of `size`
 * bytes, as in a policy file: also a default, and "" for a key without a value.
 * Returns its length, as snprintf does.  Fails with BIDE_EINVAL (no such key),
 * BIDE_ENOMEM. */
BIDE_API int bide_policy_value(struct bide_policy *p, const char *key,
                               char *buffer, size_t size);

/* Returns a number that changes with each announced change of the policy or of
 * its breaker, for callers that keep values derived from it.  Costs a few
 * loads.  The number may also change without such a change.  With BIDE_PRIVATE
 * nothing is announced: it changes when a call or another function has noticed
 * the change. */
BIDE_API uint64_t bide_policy_generation(struct bide_policy *p);

/* ---- blocking ---- */

/* The attempt in progress. */
struct bide_attempt {
    uint32_t number;      /* 1 is the first */
    uint32_t reserved;
    uint64_t timeout_ns;  /* its time limit, which the caller must keep;
                             UINT64_MAX: none */
    uint64_t deadline_ns; /* the same as a point in time */
    struct bide *bide;    /* the registry of the call */
};

/* Returns the time that is left for the attempt in ms, rounded up, as poll(2)
 * takes it: -1 without a limit, 0 if it is over. */
BIDE_API int bide_attempt_poll_ms(const struct bide_attempt *attempt);

/* Makes one attempt and returns its outcome.  `arg` is that of bide_run. */
typedef struct bide_outcome bide_attempt_fn(const struct bide_attempt *attempt,
                                            void *arg);

/* Runs `fn` until it succeeds or the rules of the policy end the call; sleeps
 * between attempts.  A call that succeeds at once costs two clock readings and
 * little else.  `fn` must return: if an exception or longjmp may leave it, use
 * bide_call_run.  Returns the verdict; bide_call_run has the result too. */
BIDE_API enum bide_verdict bide_run(struct bide_policy *p, bide_attempt_fn *fn,
                                    void *arg) BIDE_NONNULL_2;

/* ---- calls ---- */

/* A call: 640 bytes that the caller owns, set up by bide_call_init or by
 * setting them to 0.  They can be used for one call after another.  They may be
 * moved in memory (not copied: one of the two must be forgotten), but not while
 * the call is in BIDE_TRY or bide_call_run, or another thread may cancel it.
 * Nothing has to be freed when the call has ended.
 *
 * An attempt of bide_call_run, or the block of BIDE_TRY, may use its own call:
 * the first outcome of an attempt counts, and if the call is begun again there,
 * the outer one ends as cancelled, with the attempts of both. */
struct bide_call {
    uint64_t opaque[80];
};

struct bide_work;

/* Sets up a call: no deadline, data or work, and not cancelled.  Its memory may
 * contain anything but a call in progress or with work: abandon that first. */
BIDE_API void bide_call_init(struct bide_call *c);

/* For bindings: return the size and alignment of struct bide_call in the
 * library in use; make and free a call on the heap.  bide_call_free abandons
 * the call; NULL: does nothing.  bide_call_new fails with BIDE_EINVAL,
 * BIDE_ENOMEM. */
BIDE_API size_t bide_call_size(void);
BIDE_API size_t bide_call_alignment(void);
BIDE_API int bide_call_new(struct bide_call **out) BIDE_CHECKED;
BIDE_API void bide_call_free(struct bide_call *c);

/* Set what holds for the calls that are begun with `c` until bide_call_init.  A
 * call ends at the earlier of `deadline_ns` and the deadline of its policy.
 * `data` is for hooks, which get it with bide_call_data. */
BIDE_API void bide_call_set_deadline_ns(struct bide_call *c,
                                        uint64_t deadline_ns);
BIDE_API void bide_call_set_data(struct bide_call *c, void *data);
BIDE_API void *bide_call_data(const struct bide_call *c);

/* Lets calls that are begun with `c` be hedged, as hedge_after of the policy
 * says, but only in steps.  The memory is used until a call ends; NULL: no
 * hedges, as after bide_call_init. */
struct bide_hedges {
    uint64_t opaque[32];
};
BIDE_API void bide_call_set_hedges(struct bide_call *c, struct bide_hedges *h);

/* Gives the call its work, a copy, before it begins or while it runs, in place
 * of earlier work; NULL removes it.  The next call gets the work of one that is
 * abandoned because `c` is begun again.  The work is stored if the call ends as
 * deferred, and freed when it has ended.  Storing waits for the disk, also in
 * an event loop.  Fails with BIDE_EINVAL (too large, a text too long),
 * BIDE_ENOMEM. */
BIDE_API int bide_call_set_work(struct bide_call *c,
                                const struct bide_work *work);

/* Return the policy of a call in progress (else NULL), the attempt in progress,
 * and how the call ended: BIDE_UNFINISHED before.  The pointers to the attempt
 * and the result are the same for all calls with `c`, until it is moved. */
BIDE_API struct bide_policy *bide_call_policy(const struct bide_call *c);
BIDE_API const struct bide_attempt *
bide_call_attempt(const struct bide_call *c);
BIDE_API const struct bide_result *bide_call_result(const struct bide_call *c);

/* Runs a call as bide_run does, with the caller's `c`. */
BIDE_API enum bide_verdict bide_call_run(struct bide_call *c,
                                         struct bide_policy *p,
                                         bide_attempt_fn *fn,
                                         void *arg) BIDE_NONNULL_3;

/* Runs a call as bide_call_run does, for bindings that cannot return a
 * structure: `fn` sets *out, which is bide_app("no_outcome") before. */
BIDE_API enum bide_verdict
bide_call_run_out(struct bide_call *c, struct bide_policy *p,
                  void (*fn)(const struct bide_attempt *attempt, void *arg,
                             struct bide_outcome *out),
                  void *arg);

/* Cancels a call.  If it sleeps, it ends at once.  If it has a watch, that is
 * rung.  An attempt in progress is not interrupted: it can look at
 * bide_call_is_cancelled.  If the attempt succeeds, so does the call; with any
 * other outcome the call ends as cancelled, and neither breaker nor budget
 * counts the attempt.  `c` stays cancelled until bide_call_init: a call that
 * begins later ends at once.  Allowed from any thread, and in a signal handler,
 * while the memory of the call, its registry and its watch are valid. */
BIDE_API void bide_call_cancel(struct bide_call *c);
BIDE_API int bide_call_is_cancelled(const struct bide_call *c);

/* Ends a call of any kind as cancelled, also after its attempt was left by
 * longjmp, an exception or pthread_cancel.  The attempt counts for no breaker
 * and no budget.  Frees the work of the call; that is all if no call is in
 * progress.  Allowed from another thread once the thread of the call has ended.
 */
BIDE_API void bide_call_abandon(struct bide_call *c);

/* ---- a loop around the caller's own code ---- */

/* Runs the block that follows once for each attempt, and sleeps in between.
 * The block passes its outcome to bide_call_outcome; otherwise the outcome is
 * app.no_outcome.  After the loop, bide_call_result is valid.  Leaving the
 * block abandons the call: see "Leaving". */
#define BIDE_TRY(call, policy)                                                \
    BIDE_TRY_AS(BIDE_TRY_NAME(bide_try_, __COUNTER__), call, policy)
#define BIDE_TRY_AS(name, call, policy)                                       \
    for (struct bide_try name __attribute__((cleanup(bide_try_leave))) =      \
             bide_try_begin((call), (policy));                                \
         bide_try_next(&name);)
#define BIDE_TRY_NAME(prefix, number) BIDE_TRY_JOIN(prefix, number)
#define BIDE_TRY_JOIN(prefix, number) prefix##number

/* The parts of BIDE_TRY. */
struct bide_try {
    struct bide_call *call; /* NULL: bide_try_next has returned 0 */
    uint64_t serial; /* to notice that the call was begun again inside */
};
BIDE_API struct bide_try bide_try_begin(struct bide_call *c,
                                        struct bide_policy *p) BIDE_NONNULL_2;
BIDE_API int bide_try_next(struct bide_try *t);
BIDE_API void bide_try_end(struct bide_try *t);
static __inline void
bide_try_leave(struct bide_try *t)
{
    if (t->call) {
        bide_try_end(t);
    }
}

/* Ends the attempt in progress with outcome `o`.  Without an attempt in
 * progress it does nothing, so the first outcome of an attempt counts. */
BIDE_API void bide_call_outcome(struct bide_call *c, struct bide_outcome o);

/* ---- for event loops and bindings: steps ---- */

/* The next step of the caller. */
enum bide_next {
    BIDE_DONE = 0,    /* the call has ended: see bide_call_result */
    BIDE_GO = 1,      /* start an attempt: see bide_call_attempt */
    BIDE_WAIT = 2,    /* at bide_step_deadline_ns, or when the watch is
                         readable, call bide_step_resume */
    BIDE_RUNNING = 3, /* an attempt is in progress: at its end, call
                         bide_step_ended */
    BIDE_HEDGE = 4, /* as BIDE_GO, beside others: see bide_call_set_hedges */
};

struct bide_watch;

/* Begins a call; one that is in progress with `c` is abandoned first.  `w` (or
 * NULL) is rung when the call must be resumed before its time.  Returns
 * BIDE_GO; BIDE_WAIT, for a place or turn; BIDE_DONE, refused or cancelled. */
BIDE_API enum bide_next bide_step_begin(struct bide_call *c,
                                        struct bide_policy *p,
                                        struct bide_watch *w) BIDE_NONNULL_2;

/* End the attempt in progress with outcome `o`, and return BIDE_WAIT or
 * BIDE_DONE.  bide_step_ended_by is for bindings that cannot pass a structure.
 * Without an attempt in progress they only return the state of the call. */
BIDE_API enum bide_next bide_step_ended(struct bide_call *c,
                                        struct bide_outcome o);
BIDE_API enum bide_next bide_step_ended_by(struct bide_call *c,
                                           const struct bide_outcome *o);

/* Ends the attempt with this number, of those in progress.  If the others go on
 * it returns BIDE_RUNNING; else the caller ends and does not report them. */
BIDE_API enum bide_next bide_step_ended_number(struct bide_call *c,
                                               uint32_t number,
                                               const struct bide_outcome *o);

/* Gives a call in progress that was begun without a watch the watch of its
 * waits.  Otherwise it does nothing. */
BIDE_API void bide_step_set_watch(struct bide_call *c, struct bide_watch *w);

/* Decides a waiting call again.  Before its time it returns BIDE_WAIT again;
 * while an attempt is in progress it returns BIDE_RUNNING, or BIDE_HEDGE.  It
 * returns BIDE_GO and BIDE_HEDGE once for each attempt. */
BIDE_API enum bide_next bide_step_resume(struct bide_call *c);

/* Sleeps until the call no longer waits or a signal handler has run, and
 * returns as bide_step_resume: BIDE_WAIT after a signal handler.  With an
 * interpreter that must handle signals, use steps and this instead of
 * bide_call_run_out. */
BIDE_API enum bide_next bide_step_wait(struct bide_call *c);

/* Returns the time at which a waiting call must be resumed: at most 5 s after
 * the last time, because a change may not have been announced.  While an
 * attempt is in progress, returns its deadline; with hedges the earliest, or
 * the time of the next hedge: call bide_step_resume.  UINT64_MAX: never. */
BIDE_API uint64_t bide_step_deadline_ns(const struct bide_call *c);

/* Returns the time at which a waiting call makes its next attempt, unless its
 * rules change; UINT64_MAX: it does not wait. */
BIDE_API uint64_t bide_step_wake_ns(const struct bide_call *c);

/* Returns the time until bide_step_deadline_ns in ms, rounded up, as poll(2)
 * takes it: -1 for never.  If it is 0 while an attempt is in progress, end that
 * attempt; bide_step_resume does nothing then. */
BIDE_API int bide_step_poll_ms(const struct bide_call *c);

/* Returns the time of CLOCK_MONOTONIC or of the clock of bide_open_with. */
BIDE_API uint64_t bide_now_ns(const struct bide *b);

/* Makes the watch of an event loop: its descriptor becomes readable when calls
 * of this loop may have to be resumed.  The caller frees *out with
 * bide_watch_free (NULL: does nothing) before it closes the registry; calls in
 * progress go on without a watch.  Fails with BIDE_EINVAL, BIDE_ENOMEM,
 * BIDE_ESYS. */
BIDE_API int bide_watch_new(struct bide *b, struct bide_watch **out);
BIDE_API void bide_watch_free(struct bide_watch *w);

/* Returns the descriptor, for poll(2) and its like; it belongs to the watch. */
BIDE_API int bide_watch_fd(const struct bide_watch *w);

/* Makes the descriptor unreadable until the next change or cancellation.  Use
 * this before the calls are resumed.  Returns 1 if waiting calls must be
 * resumed, or refused ones may be begun again: a call of the watch was
 * cancelled, or a policy of its waiting or refused calls changed.  Returns 0 if
 * only other policies changed. */
BIDE_API int bide_watch_clear(struct bide_watch *w);

/* ---- deferred work ---- */

enum {
    BIDE_WORK_MAX = 1 << 20, /* bytes of work */
    BIDE_WORK_TYPE_MAX = 63, /* bytes of its type, without the 0 */
    BIDE_WORK_KEY_MAX = 200, /* bytes of its key, without the 0 */
};

/* Work to do later. */
struct bide_work {
    const void *bytes;
    size_t length;
    const char *type; /* a content type for consumers, or NULL */
    const char *key;  /* against duplicates, or NULL: if the policy has work
                         with this key (waiting, leased or dead), nothing is
                         stored and the existing work's id is returned */
    uint64_t delay_ns; /* due after this time, counted from storing */
    uint64_t reserved[3]; /* 0 */
};

/* Stores work durably, without a call.  Waits for other writers at most 5 s.
 * *out_id is never 0; `out_id` may be NULL.  Fails with BIDE_EINVAL (too large,
 * or a text too long), BIDE_EFULL (disk, or the policy's defer_max),
 * BIDE_EMISSING, BIDE_EPERM, BIDE_ELOCKED, BIDE_EDAMAGED, BIDE_EFORMAT (of a
 * newer library), BIDE_ENOMEM, BIDE_ESYS; then nothing is stored. */
BIDE_API int bide_defer(struct bide_policy *p, const struct bide_work *work,
                        uint64_t *out_id);

/* Work that was taken: leased to this consumer until its lease expires.  Made
 * by bide_deferred_take; bide_deferred_extend sets lease_ends_boottime_ns. */
struct bide_deferred {
    uint64_t id;
    uint64_t lease; /* identifies the lease */
    uint64_t lease_ends_boottime_ns;
    const void *bytes; /* a 0 byte follows */
    size_t length;
    const char *type, *key; /* "": none */
    uint64_t attempts;      /* number of times it was taken, with this one */
    uint64_t deferred_realtime_ns; /* when it was stored */
    const char *last_error; /* reason given to the last nack; "": none */
};

/* Takes up to `room` pieces (at most 256) of a policy's work that are due, the
 * longest due first, and leases each for defer_lease.  If none is due, waits
 * for one until wait_until_ns (0: does not wait) or until a signal handler has
 * run.  Returns the number of pieces in out[], or a BIDE_E code as bide_defer.
 * End each lease with ack or nack; a piece whose lease expires is due again.
 * Free each piece with bide_deferred_free. */
BIDE_API int bide_deferred_take(struct bide_policy *p, uint64_t wait_until_ns,
                                size_t room, struct bide_deferred *out[]);

/* Sets *out_ns to the time at which the policy's next work is due, or a lease
 * ends; UINT64_MAX: never.  An event loop takes work then, when a watch is
 * readable (also if clearing returns 0), and every 5 s.  Errors as take. */
BIDE_API int bide_deferred_next_ns(struct bide_policy *p, uint64_t *out_ns);

/* Reports that the work is done, and removes it durably; `p` is its policy.
 * BIDE_ELEASE: the lease has expired (at lease_ends_boottime_ns, compared when
 * this is called) or an operator made the work due again; the work stays and
 * will be done again, even if nobody else has taken it.  BIDE_ENOWORK: the
 * work does not exist any more: it was done, or an operator dropped it.  Other
 * errors as bide_defer: the lease continues, and this may be called again.  If
 * only the last wait for the disk fails, the work is removed: all processes
 * see that, and a loss of power may bring it back. */
BIDE_API int bide_deferred_ack(struct bide_policy *p,
                               const struct bide_deferred *d);

/* Reports that the work could not be done.  It is due again after the policy's
 * defer_wait, doubled with each attempt up to defer_wait_max, with
 * defer_jitter, at least 1 s; after defer_expire it is dead.  `reason` becomes
 * last_error; NULL: none.  Errors as ack; with BIDE_ELEASE the work is due at
 * once and `reason` is not stored. */
BIDE_API int bide_deferred_nack(struct bide_policy *p,
                                const struct bide_deferred *d,
                                const char *reason);

/* Gives back work that was not tried: it is due at once, and this time does not
 * count.  Errors as ack. */
BIDE_API int bide_deferred_release(struct bide_policy *p,
                                   const struct bide_deferred *d);

/* Extends a lease that has not expired to defer_lease from now, else as ack. */
BIDE_API int bide_deferred_extend(struct bide_policy *p,
                                  struct bide_deferred *d);

/* Frees a piece.  Does not end the lease.  NULL: does nothing. */
BIDE_API void bide_deferred_free(struct bide_deferred *d);

/* ---- statistics ---- */

struct bide_latency {
    uint64_t count;                          /* attempts, or calls */
    uint64_t p50_ns, p95_ns, p99_ns, max_ns; /* within 3 %; 0 if count is 0 */
};

/* Totals of one policy and scope since its live state began, of all processes
 * of the host together. */
struct bide_stats {
    uint64_t version;           /* in force; 0: the policy is not defined */
    uint64_t succeeded;         /* calls, with the recovered ones */
    uint64_t recovered;         /* calls that succeeded after a failure */
    uint64_t exhausted;         /* calls: aborted + deferred + dropped */
    uint64_t aborted, deferred, dropped;
    uint64_t refused, rejected, cancelled; /* calls */
    uint64_t not_stored;        /* aborted or refused calls whose work could not
                                   be stored */
    uint64_t attempts, attempts_failed, retries;
    uint64_t slept_ns;          /* sum of all waits between attempts */
    struct bide_latency latency_succeeded, latency_failed; /* of attempts */
    struct bide_latency latency_calls; /* from the first attempt's start to the
                                          verdict, with waits */
    uint64_t calls_by_attempts[9]; /* calls with 1, 2, 3, 4, 5 to 8, 9 to 16, 17
                                      to 32, 33 to 64, more attempts */
};

/* Reads the totals of `p`; `size` is sizeof(*out).  Fails with BIDE_EINVAL,
 * BIDE_ENOMEM. */
BIDE_API int bide_read_stats(struct bide_policy *p, size_t size,
                             struct bide_stats *out);

/* Records history as `bide record --every` does, in a new thread that receives
 * no signals.  For hosts where nobody runs the command.  Any number of
 * processes may record; each minute is recorded once.  `every_ns` is 1 s
 * or more; 0 stops recording, as bide_close does.  A forked child does not
 * record.  Errors of later recordings are not reported here; `bide doctor`
 * shows them.
 * Fails with BIDE_EINVAL (also of a registry opened with BIDE_PRIVATE),
 * BIDE_EMISSING, BIDE_EPERM (this process may not write in the registry's
 * directory), BIDE_ENOMEM, BIDE_ESYS. */
BIDE_API int bide_record_every(struct bide *b, uint64_t every_ns);

/* ---- hooks and clock ---- */

enum bide_breaker {
    BIDE_BREAKER_CLOSED = 0,
    BIDE_BREAKER_OPEN = 1,
    BIDE_BREAKER_HALF_OPEN = 2,
};

/* Functions that run in the thread of a call; each may be NULL.  They may ask
 * the call for its policy, data and attempt, and must not use it otherwise.
 * Structures are valid until they return.  With hooks a call that succeeds at
 * once costs more. */
struct bide_hooks {
    void *arg;
    void (*before_attempt)(void *arg, const struct bide_call *c,
                           const struct bide_attempt *attempt);
    void (*after_attempt)(void *arg, const struct bide_call *c,
                          const struct bide_attempt *attempt,
                          const struct bide_outcome *outcome, uint64_t took_ns);
    void (*before_wait)(void *arg, const struct bide_call *c, uint32_t attempts,
                        const struct bide_outcome *outcome, uint64_t wait_ns);
    void (*at_verdict)(void *arg, const struct bide_call *c,
                       const struct bide_result *result);

    /* These run in the thread of this process that notices a change, without
     * any lock.  The first state is not reported.  on_budget: a retry was
     * refused (1), or is granted again (0).  Two threads may run hooks at the
     * same time and in another order than the changes: bide_policy_source and
     * bide_registry_status return the newest state. */
    void (*on_breaker)(void *arg, struct bide_policy *p,
                       enum bide_breaker state);
    void (*on_budget)(void *arg, struct bide_policy *p, int is_empty);
    void (*on_policy)(void *arg, struct bide_policy *p, enum bide_source source,
                      uint32_t version);
    /* The registry is lost, damaged, or back; `status` is the result of
     * bide_registry_status. */
    void (*on_status)(void *arg, struct bide *b, int status);
};

/* A clock that replaces CLOCK_MONOTONIC, for tests.  now_ns never goes back.
 * sleep_until_ns returns at that time, or earlier. */
struct bide_clock {
    void *arg;
    uint64_t (*now_ns)(void *arg);
    void (*sleep_until_ns)(void *arg, uint64_t until_ns);
};

#ifdef __cplusplus
}
#endif
#endif
