/* bide: named retry policies that all programs on a host share.
 *
 * CONVENTIONS
 *   Results      0, or a negative BIDE_E code (bide_strerror names it).
 *                Outputs come last, are called `out`, and stay untouched on
 *                failure.
 *   Units        are in the names: _ns, _ms, _pct.  Points in time are
 *                nanoseconds of CLOCK_MONOTONIC.
 *   Ownership    what bide_open gives is given back by bide_close.  A policy
 *                handle belongs to its registry and lives as long; asking
 *                twice gives the same handle.  Strings passed in are copied.
 *   Threads      everything may be called from any thread, but a call (struct
 *                bide_call) belongs to one thread at a time; only
 *                bide_call_cancel reaches it from others.
 *   Fork         a child may go on with what its parent opened: it notices by
 *                itself, draws other random numbers, and has a bide_fd of its
 *                own.  Calls of the parent's other threads do not exist there.
 *   Outages      a missing, damaged or unreadable registry is never the reason
 *                for a call to fail: rules then come from the last good
 *                reading, or from bide_declare.  bide_registry_status tells.
 *   The library never prints, exits or touches signals, and starts no
 *   thread but the one of bide_record_every. */
#ifndef BIDE_H
#define BIDE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BIDE_VERSION "0.1.0"

#if defined(__GNUC__)
#define BIDE_API __attribute__((visibility("default")))
#else
#define BIDE_API
#endif

/* Names of policies and scopes: [a-z0-9][a-z0-9._-]{0,47}. */
#define BIDE_NAME_MAX 48

/* ---- errors ---- */

#define BIDE_ERRORS(X)                                                        \
    X(BIDE_ENOMEM, -1, "out of memory")                                       \
    X(BIDE_EINVAL, -2, "invalid argument")                                    \
    X(BIDE_ENAME, -3, "not a name: [a-z0-9][a-z0-9._-]{0,47}")                \
    X(BIDE_ENOPOLICY, -4, "no such policy")                                   \
    X(BIDE_ENOVERSION, -5, "no such version")                                 \
    X(BIDE_EVERSION, -6, "the policy is at another version")                  \
    X(BIDE_EINPUT, -7, "the input is invalid")                                \
    X(BIDE_EMISSING, -8, "there is no registry")                              \
    X(BIDE_EPERM, -9, "no permission")                                        \
    X(BIDE_ELOCKED, -10, "the registry is being written")                     \
    X(BIDE_EDAMAGED, -11, "the registry is damaged")                          \
    X(BIDE_EFULL, -12, "no space left")                                       \
    X(BIDE_EFORMAT, -13, "the registry has a format of another version")      \
    X(BIDE_EBUSY, -14, "calls are still running")                             \
    X(BIDE_ESYS, -15, "a system call failed")                                 \
    X(BIDE_EEXIST, -16, "it exists already")                                  \
    X(BIDE_ELEASE, -17, "the lease ran out")                                  \
    X(BIDE_ENOWORK, -18, "no such work: it is done, or was dropped")

enum bide_error {
#define X(name, number, text) name = number,
    BIDE_ERRORS(X)
#undef X
};

/* What a result code means, in English; never NULL. */
BIDE_API const char *bide_strerror(int rc);

/* ---- the registry ---- */

struct bide;
struct bide_policy;

/* Opens the registry in `dir`; NULL: $BIDE_DIR, else /var/lib/bide for root,
 * $XDG_STATE_HOME/bide (~/.local/state/bide) for others.  Succeeds also when
 * there is none: calls then run under declared rules, and follow the registry
 * as soon as it appears.  `flags` is 0.  BIDE_ENOMEM, BIDE_EINVAL. */
BIDE_API int bide_open(const char *dir, unsigned flags, struct bide **out);

/* Gives everything back, handles included.  BIDE_EBUSY, and nothing done,
 * while a call of this registry is running.  NULL: does nothing. */
BIDE_API int bide_close(struct bide *b);

/* The rules to use where the registry has none: the text of a policy file.
 * May be called again; a section replaces the earlier one of its name.  A
 * section may extend others that are declared.  BIDE_EINPUT, and nothing
 * declared, when the text is wrong: bide_declare_error says where. */
BIDE_API int bide_declare(struct bide *b, const char *ini);

/* The fault of this thread's last bide_declare that failed, as "declared:LINE:
 * WHAT: WHY"; "" when there was none.  Valid until the thread's next. */
BIDE_API const char *bide_declare_error(void);

/* The handle for a policy, made on first use.  `scope` may be NULL: same
 * rules, own live state.  The policy need not exist (then: what was declared,
 * else the registry's `default`, else one attempt), and the handle follows
 * when somebody defines it.  Costs tens of ns when it was asked for before;
 * keep the handle all the same.  BIDE_ENAME, BIDE_ENOMEM. */
BIDE_API int bide_lookup(struct bide *b, const char *name, const char *scope,
                         struct bide_policy **out);

/* How the last look at the registry went: 0, or why rules come from
 * elsewhere (BIDE_EMISSING, BIDE_EPERM, BIDE_EDAMAGED ...). */
BIDE_API int bide_registry_status(struct bide *b);

/* ---- outcomes ---- */

/* What an attempt came to.  16 bytes; make it with one of the functions. */
struct bide_outcome {
    uint8_t domain;    /* enum bide_domain */
    uint8_t hint;      /* enum bide_hint: what the server asked for */
    uint16_t reserved;
    int32_t code;      /* within its domain */
    uint64_t after_ns; /* with BIDE_HINT_AFTER */
};

enum bide_domain {
    BIDE_DOMAIN_OK = 0,
    BIDE_DOMAIN_ERRNO,
    BIDE_DOMAIN_HTTP,
    BIDE_DOMAIN_GRPC,
    BIDE_DOMAIN_EXIT,
    BIDE_DOMAIN_SIGNAL,
    BIDE_DOMAIN_CURL,
    BIDE_DOMAIN_APP,
};

enum bide_hint { BIDE_HINT_NONE = 0, BIDE_HINT_AFTER, BIDE_HINT_NEVER };

BIDE_API struct bide_outcome bide_ok(void);

/* 0 is success. */
BIDE_API struct bide_outcome bide_errno(int error);

/* 100 to 399 is success unless the policy says otherwise; 0, or anything else
 * that is no status, counts as http.0: no answer.  `retry_after` is the
 * header's value or NULL: seconds or an HTTP date (RFC 9110, 10.2.3); what
 * cannot be read is no hint. */
BIDE_API struct bide_outcome bide_http(int status, const char *retry_after);

/* A gRPC status code; 0 is success. */
BIDE_API struct bide_outcome bide_grpc(int status);

/* A status from waitpid(2): an exit status (0 is success) or a signal. */
BIDE_API struct bide_outcome bide_exit(int wait_status);

/* A CURLcode; 0 is success. */
BIDE_API struct bide_outcome bide_curl(int code);

/* A failure of the program's own, as app.NAME; the name obeys BIDE_NAME_MAX
 * but may hold capitals and `_`.  Anything else, and names past the first
 * 1,000 of a process, become app.other. */
BIDE_API struct bide_outcome bide_app(const char *name);

/* The same outcome with the server's wish to be asked again after `after_ns`;
 * UINT64_MAX: never. */
BIDE_API struct bide_outcome bide_outcome_after(struct bide_outcome o,
                                                uint64_t after_ns);

/* Writes its name ("http.503") and returns its length, as snprintf does. */
BIDE_API int bide_outcome_name(struct bide_outcome o, char *buffer,
                               size_t size);

/* ---- how calls end ---- */

#define BIDE_VERDICTS(X)                                                      \
    X(BIDE_SUCCEEDED, "succeeded")                                            \
    X(BIDE_EXHAUSTED, "exhausted")                                            \
    X(BIDE_REFUSED, "refused")                                                \
    X(BIDE_REJECTED, "rejected")                                              \
    X(BIDE_CANCELLED, "cancelled")

/* Why: what stopped a call that did not succeed. */
#define BIDE_REASONS(X)                                                       \
    X(BIDE_BY_NONE, "none")                                                   \
    X(BIDE_BY_ATTEMPTS, "attempts")                                           \
    X(BIDE_BY_MAX_ELAPSED, "max_elapsed")                                     \
    X(BIDE_BY_RETRY_AFTER, "retry_after")                                     \
    X(BIDE_BY_DEADLINE, "deadline")                                           \
    X(BIDE_BY_BREAKER, "breaker")                                             \
    X(BIDE_BY_BUDGET, "budget")                                               \
    X(BIDE_BY_PAUSED, "paused")                                               \
    X(BIDE_BY_REJECTED, "rejected")                                           \
    X(BIDE_BY_CANCELLED, "cancelled")

/* What exhausted means to the caller, from the policy's importance: a
 * mandatory step aborts its whole, a postponable one is to be done later, an
 * optional one is let go.  A call that carries its work (bide_run_work) says
 * deferred only when that is stored and durable; else not_stored: the caller
 * still has it, and result.defer_error says why. */
#define BIDE_ENDS(X)                                                          \
    X(BIDE_END_NONE, "none")                                                  \
    X(BIDE_ABORTED, "aborted")                                                \
    X(BIDE_DEFERRED, "deferred")                                              \
    X(BIDE_DROPPED, "dropped")                                                \
    X(BIDE_NOT_STORED, "not_stored")

#define X(name, text) name,
enum bide_verdict { BIDE_VERDICTS(X) };
enum bide_reason { BIDE_REASONS(X) };
enum bide_end { BIDE_ENDS(X) };
#undef X

BIDE_API const char *bide_verdict_name(enum bide_verdict verdict);
BIDE_API const char *bide_reason_name(enum bide_reason reason);
BIDE_API const char *bide_end_name(enum bide_end end);

struct bide_result {
    enum bide_verdict verdict;
    enum bide_reason reason;
    enum bide_end end;            /* with BIDE_EXHAUSTED and BIDE_REFUSED */
    uint32_t attempts;            /* made; 0 when refused */
    struct bide_outcome outcome;  /* of the last attempt */
    uint64_t elapsed_ns;          /* from the call's begin to its end; with
                                     one attempt, its duration */
    uint64_t slept_ns;            /* of that, between attempts */
    uint64_t ask_again_ns;        /* refused: when to try again (monotonic);
                                     0: not known */
    uint64_t deferred_id;         /* with work, BIDE_DEFERRED: its id */
    int defer_error;              /* BIDE_NOT_STORED: a BIDE_E code */
};

/* ---- blocking ---- */

/* What an attempt is told. */
struct bide_attempt {
    uint32_t number;      /* 1 is the first */
    uint32_t timeout_ms;  /* how long it may take; 0: no limit */
    uint64_t deadline_ns; /* the same as a point in time; UINT64_MAX: none */
};

typedef struct bide_outcome bide_attempt_fn(const struct bide_attempt *attempt,
                                            void *arg);

/* Runs `fn` until it succeeds or the policy says stop; sleeps in between.
 * A call that succeeds at once costs two clock readings and little else.
 * `out` may be NULL. */
BIDE_API enum bide_verdict bide_run(struct bide_policy *p, bide_attempt_fn *fn,
                                    void *arg, struct bide_result *out);

/* ---- around the caller's own code ---- */

struct bide_call {
    struct bide_result result;   /* valid once the call has ended */
    struct bide_attempt attempt; /* the attempt in progress */
    uint64_t opaque[40];
};

/* The block runs once for each attempt and says with bide_call_outcome how it
 * went; one that says nothing is an app.no_outcome.  After the loop call.result
 * is filled in.  To leave by break, goto or return, bide_call_abandon first. */
#define BIDE_TRY(call, policy)                                                \
    for (bide_call_begin((call), (policy)); bide_call_next((call));)

BIDE_API void bide_call_begin(struct bide_call *c, struct bide_policy *p);
BIDE_API int bide_call_next(struct bide_call *c);
BIDE_API void bide_call_outcome(struct bide_call *c, struct bide_outcome o);

/* Ends a call of any kind without an outcome, as cancelled.  On one that has
 * ended: does nothing. */
BIDE_API void bide_call_abandon(struct bide_call *c);

/* Makes a call stop at its next decision, and a sleeping one at once.  From
 * any thread, while the call's memory is valid and bide_run or its like has
 * been entered; an attempt in progress is not interrupted. */
BIDE_API void bide_call_cancel(struct bide_call *c);

/* As bide_run, on a call of the caller's, so that it can be cancelled. */
BIDE_API enum bide_verdict bide_call_run(struct bide_call *c,
                                         struct bide_policy *p,
                                         bide_attempt_fn *fn, void *arg);

/* ---- for event loops: nothing blocks ---- */

enum bide_next {
    BIDE_GO,         /* start an attempt (call->attempt) */
    BIDE_WAIT,       /* until bide_step_deadline_ns, or bide_fd is readable */
    BIDE_NOT_LET_OUT, /* ended before the first attempt: call->result */
    BIDE_DONE,       /* ended: call->result */
};

BIDE_API enum bide_next bide_step_begin(struct bide_call *c,
                                        struct bide_policy *p);
BIDE_API enum bide_next bide_step_ended(struct bide_call *c,
                                        struct bide_outcome o);

/* At the deadline, or when the descriptor is readable.  Too early is fine:
 * says BIDE_WAIT again.  Ask at least every 5 s: a change whose writer was
 * killed while announcing it is found by looking. */
BIDE_API enum bide_next bide_step_resume(struct bide_call *c);
BIDE_API uint64_t bide_step_deadline_ns(const struct bide_call *c);

/* A descriptor that becomes readable when any policy may have changed, for
 * poll and its like; stays readable until bide_fd_clear.  Belongs to the
 * registry.  Negative: a BIDE_E code. */
BIDE_API int bide_fd(struct bide *b);
BIDE_API void bide_fd_clear(struct bide *b);

/* ---- postponed work ---- */

enum {
    BIDE_WORK_MAX = 1 << 20, /* bytes */
    BIDE_WORK_TYPE_MAX = 63,
    BIDE_WORK_KEY_MAX = 200,
};

/* What is to be done later.  Read, never kept. */
struct bide_work {
    const void *bytes;
    size_t length;
    const char *type; /* a content type for those who do it, or NULL */
    const char *key;  /* against duplicates: while work of this policy with the
                         same key waits, is being done, or is dead, this is the
                         same work, whose id is given; or NULL */
    uint64_t delay_ns; /* not before that time has passed */
};

/* Runs as bide_run.  When the call is exhausted or refused and the policy is
 * postponable, the work is stored durably before the verdict is given. */
BIDE_API enum bide_verdict bide_run_work(struct bide_policy *p,
                                         bide_attempt_fn *fn, void *arg,
                                         const struct bide_work *work,
                                         struct bide_result *out);

/* The same for a call of the caller's, right after bide_call_begin or
 * bide_step_begin: it ends with its work stored, or says why not.  One that was
 * refused is stored at once.  The work stays the caller's, and unchanged until
 * the call has ended; NULL: none after all.  Storing waits for the disk, event
 * loops included. */
BIDE_API void bide_call_work(struct bide_call *c,
                             const struct bide_work *work);

/* Stores at once, durably; waits for other writers 5 s at most.  *out_id is
 * never 0.  BIDE_EINVAL (too large, a text too long), BIDE_EFULL (disk, or the
 * policy's defer_max), BIDE_EMISSING, BIDE_EPERM, BIDE_ELOCKED, BIDE_EDAMAGED,
 * BIDE_ENOMEM, BIDE_ESYS. */
BIDE_API int bide_defer(struct bide_policy *p, const void *work, size_t length,
                        uint64_t *out_id);
BIDE_API int bide_defer_work(struct bide_policy *p,
                             const struct bide_work *work, uint64_t *out_id);

/* Work that was taken: this consumer's until its lease runs out. */
struct bide_deferred {
    uint64_t id;
    uint64_t lease;       /* proves that it is ours */
    uint64_t lease_ends_ns; /* CLOCK_BOOTTIME */
    void *bytes;
    size_t length;
    char type[BIDE_WORK_TYPE_MAX + 1];
    char key[BIDE_WORK_KEY_MAX + 1];
    uint32_t attempts;    /* times it was taken, this one included */
    uint64_t deferred_realtime_ns; /* when it was stored */
    char last_error[128]; /* of the attempt before, "" if none */
};

/* Takes up to `room` pieces of a policy's work that are due, longest due first,
 * each leased for defer_lease; waits until there is one or wait_until_ns
 * (CLOCK_MONOTONIC; 0: not at all).  Returns how many, or a BIDE_E code.  Give
 * each back with ack or nack, or let its lease run out: then it returns by
 * itself.  Free what was taken with bide_deferred_free. */
BIDE_API int bide_deferred_take(struct bide_policy *p, uint64_t wait_until_ns,
                                struct bide_deferred *out, int room);

/* Done: it is gone, durably.  BIDE_ELEASE: it is not, for the lease ran out (at
 * lease_ends_ns, by the clock of the moment of this call) or somebody made it
 * due anew, whether anybody else came for it or not: the work stays, and is
 * done again.  BIDE_ENOWORK: there is no such work any more: it was done, or an
 * operator dropped it.  Otherwise as bide_defer; the work then stays this
 * consumer's until the lease ends, and the call may be repeated (an earlier one
 * whose answer was BIDE_ESYS may then turn out to be done: BIDE_ENOWORK). */
BIDE_API int bide_deferred_ack(struct bide_policy *p,
                               const struct bide_deferred *d);

/* Not done: due again after the policy's defer_wait, doubled with each attempt
 * up to defer_wait_max; after defer_expire it is dead.  Fails as ack does; with
 * BIDE_ELEASE the work is due at once, and the reason is not kept. */
BIDE_API int bide_deferred_nack(struct bide_policy *p,
                                const struct bide_deferred *d,
                                const char *reason);

/* The lease lasts defer_lease from now.  Fails as ack does: one that ran out is
 * not had back but by taking the work again. */
BIDE_API int bide_deferred_extend(struct bide_policy *p,
                                  struct bide_deferred *d);
BIDE_API void bide_deferred_free(struct bide_deferred *d);

/* ---- what happened ---- */

struct bide_latency {
    uint64_t count;
    double p50_ms, p95_ms, p99_ms, max_ms; /* within 3 %; 0 without any */
};

/* Totals of one policy and scope since its live state began, all processes of
 * the host together. */
struct bide_stats {
    uint32_t version;           /* in force; 0: not defined */
    uint64_t succeeded;         /* calls, recovered ones included */
    uint64_t recovered;         /* calls that succeeded after a failure */
    uint64_t exhausted;         /* calls: aborted + deferred + dropped */
    uint64_t aborted, deferred, dropped;
    uint64_t refused, rejected, cancelled; /* calls */
    uint64_t not_stored;        /* aborted or refused calls whose work could not
                                   be put off */
    uint64_t attempts, attempts_failed, retries;
    uint64_t slept_ns;          /* between attempts */
    struct bide_latency latency_succeeded, latency_failed; /* of attempts */
};

BIDE_API int bide_read_stats(struct bide_policy *p, struct bide_stats *out);

/* Keeps history as `bide record --every` does, in a thread of its own, which
 * gets no signals: for hosts where nobody runs the command.  Any number may do
 * so, each minute is recorded once.  0 stops it, and so does bide_close; a
 * forked child has none.  BIDE_EPERM: this process may not write the registry's
 * directory; BIDE_EINVAL: less than a second.  What fails later shows where
 * operators look, never here. */
BIDE_API int bide_record_every(struct bide *b, uint64_t every_ns);

/* ---- hooks, clock, seed ---- */

/* Each may be NULL; they run in the thread of the call, which waits for them.
 * They may not use the call. */
struct bide_hooks {
    void *arg;
    void (*before_attempt)(void *arg, const char *policy,
                           const struct bide_attempt *attempt);
    void (*after_attempt)(void *arg, const char *policy, uint32_t number,
                          struct bide_outcome outcome, uint64_t took_ns);
    void (*before_wait)(void *arg, const char *policy, uint32_t attempts,
                        struct bide_outcome outcome, uint64_t wait_ns);
    void (*at_verdict)(void *arg, const char *policy,
                       const struct bide_result *result);
};

/* Copied; NULL removes them.  Not while calls are running (BIDE_EBUSY). */
BIDE_API int bide_set_hooks(struct bide *b, const struct bide_hooks *hooks);

/* The caller's time instead of CLOCK_MONOTONIC.  now_ns never goes back;
 * sleep_until_ns returns when that time has come, or earlier. */
struct bide_clock {
    void *arg;
    uint64_t (*now_ns)(void *arg);
    void (*sleep_until_ns)(void *arg, uint64_t until_ns);
};

/* Copied; NULL: the system's.  Not while calls are running (BIDE_EBUSY). */
BIDE_API int bide_set_clock(struct bide *b, const struct bide_clock *clock);

/* Same seed, same clock, same outcomes in the same order: same waits, on every
 * machine. */
BIDE_API int bide_set_seed(struct bide *b, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
