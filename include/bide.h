/* bide: named retry policies that all programs on a host share.
 *
 * CONVENTIONS
 *   Results      0, or a negative BIDE_E code (bide_strerror names it).
 *                Outputs come last, are called `out`, and stay untouched on
 *                failure.
 *   Units        are in the names: _ns, _ms, _pct.  Points in time are
 *                nanoseconds of CLOCK_MONOTONIC.
 *   Ownership    bide_close frees the result of bide_open.  A policy handle
 *                belongs to its registry and is valid until bide_close; two
 *                look-ups of one name return the same handle.  Strings passed
 *                in are copied, with the exception of struct bide_work.
 *   Threads      all functions are thread-safe.  A call (struct bide_call)
 *                belongs to one thread at a time; only bide_call_cancel may
 *                be used on it from others.  bide_close: no other thread may
 *                be using the registry or its handles.
 *   Fork         a child may use a registry that its parent opened.  It draws
 *                other random numbers, has a bide_fd of its own and no
 *                recorder.  Calls of the parent's other threads do not exist
 *                there.
 *   Leaving      an attempt that is left by longjmp, by a C++ exception or by
 *                pthread_cancel leaves its call open, and bide_close then
 *                returns BIDE_EBUSY.  Run such an attempt with bide_call_run
 *                or BIDE_TRY, and end the call with bide_call_abandon: in the
 *                cleanup handler, in the catch block, after setjmp.  bide.hpp
 *                does so for C++.  A thread that sleeps between two attempts
 *                is not cancelled before its next attempt.
 *   Outages      a missing, damaged or unreadable registry never makes a call
 *                fail: the rules of the last good reading stay in force, else
 *                the rules of bide_declare.  bide_registry_status reports it.
 *   The library never prints or exits, changes no signal handlers, and starts
 *   no thread except the recorder of bide_record_every. */
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
    X(BIDE_ELEASE, -17, "the lease has expired")                              \
    X(BIDE_ENOWORK, -18, "no such work: it is done, or was dropped")

enum bide_error {
#define X(name, number, text) name = number,
    BIDE_ERRORS(X)
#undef X
};

/* Returns the meaning of a result code in English; never NULL.  The string is
 * static. */
BIDE_API const char *bide_strerror(int rc);

/* ---- the registry ---- */

struct bide;
struct bide_policy;

/* A flag of bide_open, for tests: counters, budgets, breakers and waiting calls
 * are kept in this process and the children that it forks.  Nothing is written
 * to the live state of the host.  Policies are read from the registry, and
 * their changes followed: each call looks for them when it begins, a waiting
 * one every 5 s.  Work is deferred to the registry as usual. */
enum { BIDE_PRIVATE = 1 };

/* Opens the registry in `dir`; NULL: $BIDE_DIR, else /var/lib/bide for root,
 * $XDG_STATE_HOME/bide (~/.local/state/bide) for others.  Succeeds also if no
 * registry exists: calls then run under declared rules, and follow the registry
 * as soon as it appears.  `flags` is 0 or BIDE_PRIVATE.  The caller frees *out
 * with bide_close.  Fails with BIDE_EINVAL, BIDE_ENOMEM. */
BIDE_API int bide_open(const char *dir, unsigned flags, struct bide **out);

/* Closes the registry and frees its handles.  Returns BIDE_EBUSY, and does
 * nothing, while a call of this registry is running.  NULL: does nothing. */
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

/* Returns the handle of a policy in *out; it belongs to the registry.  A scope
 * has the rules of the policy and a live state of its own; NULL: no scope.  The
 * policy need not exist: it then has the declared rules, else the rules of the
 * registry's `default`, else one attempt; the handle follows when the policy is
 * defined.  The first look-up of a name reads the registry, later ones cost
 * tens of ns.  Fails with BIDE_EINVAL, BIDE_ENAME, BIDE_ENOMEM. */
BIDE_API int bide_lookup(struct bide *b, const char *name, const char *scope,
                         struct bide_policy **out);

/* Checks the registry.  Returns 0 if the policies in use could be read from it
 * and live state is shared (or BIDE_PRIVATE).  Otherwise the last good or
 * declared rules are in force, or live state is private to this process;
 * returns the error that caused it (BIDE_EMISSING, BIDE_EPERM ...). */
BIDE_API int bide_registry_status(struct bide *b);

/* ---- outcomes ---- */

/* The result of an attempt, 16 bytes.  Made by the functions below. */
struct bide_outcome {
    uint8_t domain;    /* enum bide_domain */
    uint8_t hint;      /* enum bide_hint: the request of the server */
    uint16_t reserved; /* 0 */
    int32_t code;      /* within its domain */
    uint64_t after_ns; /* BIDE_HINT_AFTER: the wait the server asks for */
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

/* Success, whatever the policy says about codes. */
BIDE_API struct bide_outcome bide_ok(void);

/* An errno value, also negated (-EIO); 0 is success. */
BIDE_API struct bide_outcome bide_errno(int error);

/* An HTTP status; 100 to 399 is success unless the policy says otherwise.  A
 * number outside of 100 to 999 becomes http.0: no answer.  `retry_after` is the
 * value of the header Retry-After, seconds or an HTTP date (RFC 9110, 10.2.3),
 * or NULL.  A value that cannot be read is ignored; so are 0 and a date that is
 * not in the future, which leave the wait to the policy. */
BIDE_API struct bide_outcome bide_http(int status, const char *retry_after);

/* A gRPC status code; 0 is success.  Other numbers become UNKNOWN. */
BIDE_API struct bide_outcome bide_grpc(int status);

/* A status from waitpid(2): an exit status (0 is success) or a signal. */
BIDE_API struct bide_outcome bide_exit(int wait_status);

/* A CURLcode; 0 is success.  A negative number becomes CURLE_FAILED_INIT. */
BIDE_API struct bide_outcome bide_curl(int code);

/* A failure that only the program knows: app.NAME.  NAME has 1 to BIDE_NAME_MAX
 * letters, digits and `.`, `_`, `-`.  Any other name, and each new name after
 * the first 1,000 of a process, becomes app.other. */
BIDE_API struct bide_outcome bide_app(const char *name);

/* Returns `o` with the hint of the server: retry after `after_ns`, or, with
 * UINT64_MAX, never. */
BIDE_API struct bide_outcome bide_outcome_after(struct bide_outcome o,
                                                uint64_t after_ns);

/* Writes the name of `o` ("http.503") to `buffer` of `size` bytes.  Returns its
 * length, as snprintf does. */
BIDE_API int bide_outcome_name(struct bide_outcome o, char *buffer,
                               size_t size);

/* ---- how calls end ---- */

#define BIDE_VERDICTS(X)                                                      \
    X(BIDE_SUCCEEDED, "succeeded")                                            \
    X(BIDE_EXHAUSTED, "exhausted")                                            \
    X(BIDE_REFUSED, "refused")                                                \
    X(BIDE_REJECTED, "rejected")                                              \
    X(BIDE_CANCELLED, "cancelled")

/* The rule or event that ended a call that did not succeed. */
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

/* The consequence of a failed call for the caller, from the importance of the
 * policy.  mandatory: the caller aborts.  postponable: the work is deferred.
 * optional: the work is dropped.  A call with work (bide_run_work) ends as
 * deferred only if its work is stored durably; else as not_stored: the work is
 * still only with the caller, and result.defer_error is the error. */
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

/* Return the name of a value, a static string; "unknown" for other numbers. */
BIDE_API const char *bide_verdict_name(enum bide_verdict verdict);
BIDE_API const char *bide_reason_name(enum bide_reason reason);
BIDE_API const char *bide_end_name(enum bide_end end);

/* How a call ended. */
struct bide_result {
    enum bide_verdict verdict;
    enum bide_reason reason;
    enum bide_end end;            /* with BIDE_EXHAUSTED and BIDE_REFUSED */
    uint32_t attempts;            /* attempts made; 0 if refused at the start */
    struct bide_outcome outcome;  /* of the last attempt */
    uint64_t elapsed_ns;          /* from start to end of the call; with one
                                     attempt, its latency */
    uint64_t slept_ns;            /* the part of it between attempts */
    uint64_t ask_again_ns;        /* BIDE_REFUSED: time from which a call may
                                     be allowed again; 0: not known */
    uint64_t deferred_id;         /* BIDE_DEFERRED with work: its id; else 0 */
    int defer_error;              /* BIDE_NOT_STORED: a BIDE_E code; else 0 */
};

/* ---- blocking ---- */

/* The attempt in progress. */
struct bide_attempt {
    uint32_t number;      /* 1 is the first */
    uint32_t timeout_ms;  /* its time limit, for the caller to keep; 0: none */
    uint64_t deadline_ns; /* the same as a point in time; UINT64_MAX: none */
};

/* Makes one attempt and returns its outcome.  `arg` is the caller's. */
typedef struct bide_outcome bide_attempt_fn(const struct bide_attempt *attempt,
                                            void *arg);

/* Runs `fn` until it succeeds or the rules of the policy end the call; sleeps
 * between attempts.  A call that succeeds at once costs two clock readings and
 * little else.  `fn` must return: if it may not, use bide_call_run.  Returns
 * out->verdict; `out` may be NULL. */
BIDE_API enum bide_verdict bide_run(struct bide_policy *p, bide_attempt_fn *fn,
                                    void *arg, struct bide_result *out);

/* ---- around the caller's own code ---- */

/* A call that the caller runs itself.  The memory is the caller's and needs no
 * initialisation; nothing has to be freed once the call has ended. */
struct bide_call {
    struct bide_result result;   /* valid once the call has ended */
    struct bide_attempt attempt; /* the attempt in progress */
    uint64_t opaque[40];
};

/* Runs the block that follows once for each attempt, and sleeps in between.
 * The block passes its outcome to bide_call_outcome; without that the outcome
 * is app.no_outcome.  After the loop, call->result is valid.  Before leaving
 * the loop by break, goto, return or longjmp, call bide_call_abandon. */
#define BIDE_TRY(call, policy)                                                \
    for (bide_call_begin((call), (policy)); bide_call_next((call));)

/* Begins a call of `p`.  If it is refused it ends at once. */
BIDE_API void bide_call_begin(struct bide_call *c, struct bide_policy *p);

/* Sleeps if the call waits.  Returns 1 if an attempt (c->attempt) has started,
 * 0 if the call has ended. */
BIDE_API int bide_call_next(struct bide_call *c);

/* Ends the attempt in progress with outcome `o`.  Without an attempt in
 * progress it does nothing, so the first outcome of an attempt counts. */
BIDE_API void bide_call_outcome(struct bide_call *c, struct bide_outcome o);

/* Ends a call of any kind as cancelled, also after its attempt was left by
 * longjmp, an exception or pthread_cancel.  The attempt counts for no breaker
 * and no budget.  Allowed from another thread once the thread of the call has
 * ended.  Does nothing if the call has ended. */
BIDE_API void bide_call_abandon(struct bide_call *c);

/* Cancels a call: a sleeping one ends at once, another one at the end of its
 * attempt, which is not interrupted.  If that attempt succeeds, so does the
 * call; with any other outcome the call ends as cancelled, and neither breaker
 * nor budget counts the attempt.  Allowed from any thread once the call has
 * begun and as long as its memory is valid. */
BIDE_API void bide_call_cancel(struct bide_call *c);

/* As bide_run, with the caller's `c`, so that the call can be cancelled, and
 * abandoned if `fn` does not return. */
BIDE_API enum bide_verdict bide_call_run(struct bide_call *c,
                                         struct bide_policy *p,
                                         bide_attempt_fn *fn, void *arg);

/* ---- for event loops: nothing blocks ---- */

/* The next step of the caller. */
enum bide_next {
    BIDE_GO,         /* start an attempt (call->attempt) */
    BIDE_WAIT,       /* until bide_step_deadline_ns, or bide_fd is readable */
    BIDE_NOT_LET_OUT, /* refused before the first attempt: call->result */
    BIDE_DONE,       /* ended: call->result */
};

/* Begins a call.  Returns BIDE_GO or BIDE_NOT_LET_OUT. */
BIDE_API enum bide_next bide_step_begin(struct bide_call *c,
                                        struct bide_policy *p);

/* Ends the attempt in progress with outcome `o`.  Returns BIDE_WAIT or
 * BIDE_DONE. */
BIDE_API enum bide_next bide_step_ended(struct bide_call *c,
                                        struct bide_outcome o);

/* Decides a waiting call again.  Call it at bide_step_deadline_ns, when bide_fd
 * is readable, and at least every 5 s, because a writer may have been killed
 * before it announced its change.  An earlier call is allowed and returns
 * BIDE_WAIT again.  Returns BIDE_GO also while an attempt is in progress. */
BIDE_API enum bide_next bide_step_resume(struct bide_call *c);

/* Returns the end of the wait, or the deadline of the attempt in progress
 * (UINT64_MAX: none); 0 if the call has ended. */
BIDE_API uint64_t bide_step_deadline_ns(const struct bide_call *c);

/* Returns a descriptor for poll(2) and its like that becomes readable when any
 * policy may have changed, and stays readable until bide_fd_clear.  It belongs
 * to the registry.  Negative: BIDE_EINVAL, BIDE_ENOMEM, BIDE_ESYS. */
BIDE_API int bide_fd(struct bide *b);

/* Makes bide_fd unreadable until the next change.  Call it before the calls are
 * resumed. */
BIDE_API void bide_fd_clear(struct bide *b);

/* ---- deferred work ---- */

enum {
    BIDE_WORK_MAX = 1 << 20, /* bytes of work */
    BIDE_WORK_TYPE_MAX = 63, /* bytes of its type, without the 0 */
    BIDE_WORK_KEY_MAX = 200, /* bytes of its key, without the 0 */
};

/* Work to do later.  Owned by the caller; the library copies it when it stores
 * it. */
struct bide_work {
    const void *bytes;
    size_t length;
    const char *type; /* a content type for consumers, or NULL */
    const char *key;  /* against duplicates, or NULL: if the policy has work
                         with this key (waiting, leased or dead), nothing is
                         stored and the existing work's id is returned */
    uint64_t delay_ns; /* due after this time, counted from storing */
};

/* As bide_run, with work.  If the call is exhausted or refused and the policy
 * is postponable, the work is stored durably before this returns.  `work` and
 * `out` may be NULL. */
BIDE_API enum bide_verdict bide_run_work(struct bide_policy *p,
                                         bide_attempt_fn *fn, void *arg,
                                         const struct bide_work *work,
                                         struct bide_result *out);

/* Gives a call its work, right after bide_call_begin or bide_step_begin.  If
 * the call was refused, its work is stored at once; otherwise the work is
 * stored when the call ends as deferred.  See bide_end for the result.  `work`
 * must stay valid and unchanged until the call has ended; NULL removes it.
 * Storing waits for the disk, also in an event loop. */
BIDE_API void bide_call_work(struct bide_call *c,
                             const struct bide_work *work);

/* Stores work durably, without a call.  Waits for other writers at most 5 s.
 * *out_id is never 0; `out_id` may be NULL.  Fails with BIDE_EINVAL (too large,
 * or a text too long), BIDE_EFULL (disk, or the policy's defer_max),
 * BIDE_EMISSING, BIDE_EPERM, BIDE_ELOCKED, BIDE_EDAMAGED, BIDE_ENOMEM,
 * BIDE_ESYS; then nothing is stored. */
BIDE_API int bide_defer(struct bide_policy *p, const void *work, size_t length,
                        uint64_t *out_id);

/* As bide_defer, with type, key and delay. */
BIDE_API int bide_defer_work(struct bide_policy *p,
                             const struct bide_work *work, uint64_t *out_id);

/* Work that was taken: leased to this consumer until its lease expires. */
struct bide_deferred {
    uint64_t id;
    uint64_t lease;       /* identifies the lease */
    uint64_t lease_ends_ns; /* CLOCK_BOOTTIME */
    void *bytes;          /* freed by bide_deferred_free */
    size_t length;
    char type[BIDE_WORK_TYPE_MAX + 1];
    char key[BIDE_WORK_KEY_MAX + 1];
    uint32_t attempts;    /* number of times it was taken, with this one */
    uint64_t deferred_realtime_ns; /* CLOCK_REALTIME at which it was stored */
    char last_error[128]; /* reason given to the last nack; "": none */
};

/* Takes up to `room` pieces (at most 256) of a policy's work that are due, the
 * longest due first, and leases each for defer_lease.  If none is due, waits
 * for one until wait_until_ns (CLOCK_MONOTONIC; 0: does not wait).  Returns the
 * number of pieces in out[], or a BIDE_E code as bide_defer.  End each lease
 * with ack or nack; a piece whose lease expires is due again.  Free each piece
 * with bide_deferred_free. */
BIDE_API int bide_deferred_take(struct bide_policy *p, uint64_t wait_until_ns,
                                struct bide_deferred *out, int room);

/* Reports that the work is done, and removes it durably.  BIDE_ELEASE: the
 * lease has expired (at lease_ends_ns, compared when this is called) or an
 * operator made the work due again; the work stays and will be done again, even
 * if nobody else has taken it.  BIDE_ENOWORK: the work does not exist any more:
 * it was done, or an operator dropped it.  Other errors as bide_defer: the
 * lease continues, and this may be called again.  If only the last wait for the
 * disk fails, the work is removed: all processes see that, and a loss of power
 * may bring it back. */
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

/* Extends the lease to defer_lease from now and updates d->lease_ends_ns.
 * Errors as ack; an expired lease cannot be extended. */
BIDE_API int bide_deferred_extend(struct bide_policy *p,
                                  struct bide_deferred *d);

/* Frees d->bytes, not *d.  Does not end the lease.  NULL: does nothing. */
BIDE_API void bide_deferred_free(struct bide_deferred *d);

/* ---- statistics ---- */

struct bide_latency {
    uint64_t count;                        /* attempts */
    double p50_ms, p95_ms, p99_ms, max_ms; /* within 3 %; 0 if count is 0 */
};

/* Totals of one policy and scope since its live state began, of all processes
 * of the host together. */
struct bide_stats {
    uint32_t version;           /* in force; 0: the policy is not defined */
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
};

/* Reads the totals of `p`.  Fails with BIDE_EINVAL, BIDE_ENOMEM. */
BIDE_API int bide_read_stats(struct bide_policy *p, struct bide_stats *out);

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

/* ---- hooks, clock, seed ---- */

/* Functions that run in the thread of each call, at the moment in their name.
 * Each may be NULL.  They must not use the call.  Strings and structures are
 * valid until they return.  With hooks a call that succeeds at once costs more.
 */
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

/* Sets the hooks of all calls of this registry; they are copied.  NULL removes
 * them.  Fails with BIDE_EBUSY while a call is running; BIDE_EINVAL. */
BIDE_API int bide_set_hooks(struct bide *b, const struct bide_hooks *hooks);

/* A clock that replaces CLOCK_MONOTONIC, for tests.  now_ns never goes back.
 * sleep_until_ns returns at that time, or earlier. */
struct bide_clock {
    void *arg;
    uint64_t (*now_ns)(void *arg);
    void (*sleep_until_ns)(void *arg, uint64_t until_ns);
};

/* Sets the clock of a registry that was opened with BIDE_PRIVATE; it is copied.
 * NULL: the system's clock.  Fails with BIDE_EBUSY while a call is running;
 * BIDE_EINVAL: a function is missing, or live state is shared: other processes
 * would misread the times in it. */
BIDE_API int bide_set_clock(struct bide *b, const struct bide_clock *clock);

/* Sets the seed of the random part of waits, and starts its sequence again.
 * With the same seed, clock and outcomes in the same order, waits are the same
 * on every machine.  Fails with BIDE_EINVAL. */
BIDE_API int bide_set_seed(struct bide *b, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
