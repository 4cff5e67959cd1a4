/* Results of bide: error codes, the outcomes of attempts, and how calls end.
 * bide.h includes this and has the conventions. */
#ifndef BIDE_OUTCOME_H
#define BIDE_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BIDE_API __attribute__((visibility("default")))
#define BIDE_CHECKED __attribute__((warn_unused_result))
#define BIDE_NONNULL_2 __attribute__((nonnull(1, 2))) /* the first two */
#define BIDE_NONNULL_3 __attribute__((nonnull(1, 2, 3)))
#else
#define BIDE_API
#define BIDE_CHECKED
#define BIDE_NONNULL_2
#define BIDE_NONNULL_3
#endif

/* Names of policies and scopes: [a-z0-9][a-z0-9._-]{0,47}. */
#define BIDE_NAME_MAX 48

/* Makes enumerators from the tables below. */
#define BIDE_ENUMERATOR(name, number, text) name = number,

/* ---- errors ---- */

#define BIDE_ERRORS(ROW)                                                      \
    ROW(BIDE_ENOMEM, -1, "out of memory")                                     \
    ROW(BIDE_EINVAL, -2, "invalid argument")                                  \
    ROW(BIDE_ENAME, -3, "not a name: [a-z0-9][a-z0-9._-]{0,47}")              \
    ROW(BIDE_ENOPOLICY, -4, "no such policy")                                 \
    ROW(BIDE_ENOVERSION, -5, "no such version")                               \
    ROW(BIDE_EVERSION, -6, "the policy is at another version")                \
    ROW(BIDE_EINPUT, -7, "the input is invalid")                              \
    ROW(BIDE_EMISSING, -8, "there is no registry")                            \
    ROW(BIDE_EPERM, -9, "no permission")                                      \
    ROW(BIDE_ELOCKED, -10, "the registry is being written")                   \
    ROW(BIDE_EDAMAGED, -11, "the registry is damaged")                        \
    ROW(BIDE_EFULL, -12, "no space left")                                     \
    ROW(BIDE_EFORMAT, -13, "the registry has a format of another version")    \
    ROW(BIDE_ESYS, -14, "a system call failed")                               \
    ROW(BIDE_EEXIST, -15, "it exists already")                                \
    ROW(BIDE_ELEASE, -16, "the lease has expired")                            \
    ROW(BIDE_ENOWORK, -17, "no such work: it is done, or was dropped")

enum bide_error { BIDE_ERRORS(BIDE_ENUMERATOR) };

/* Returns the meaning of a result code in English; never NULL.  The string is
 * static. */
BIDE_API const char *bide_strerror(int rc);

/* ---- outcomes ---- */

/* The result of an attempt, always 16 bytes.  The functions below make it. */
struct bide_outcome {
    uint8_t domain;    /* enum bide_domain */
    uint8_t hint;      /* enum bide_hint: the request of the server */
    uint16_t reserved; /* 0 */
    int32_t code;      /* within its domain */
    uint64_t after_ns; /* BIDE_HINT_AFTER: the wait the server asks for */
};

enum bide_domain {
    BIDE_DOMAIN_OK = 0,
    BIDE_DOMAIN_ERRNO = 1,
    BIDE_DOMAIN_HTTP = 2,
    BIDE_DOMAIN_GRPC = 3,
    BIDE_DOMAIN_EXIT = 4,
    BIDE_DOMAIN_SIGNAL = 5,
    BIDE_DOMAIN_CURL = 6,
    BIDE_DOMAIN_APP = 7,
    BIDE_DOMAIN_DNS = 8,
};

enum bide_hint {
    BIDE_HINT_NONE = 0,
    BIDE_HINT_AFTER = 1,
    BIDE_HINT_NEVER = 2,
};

/* Returns success, whatever the policy says about codes. */
BIDE_API struct bide_outcome bide_ok(void);

/* Returns the outcome of an errno value, also negated (-EIO); 0 is success. */
BIDE_API struct bide_outcome bide_errno(int error);

/* Returns the outcome of an HTTP status; 100 to 399 is success unless the
 * policy says otherwise.  A number outside of 100 to 999 becomes http.0: no
 * answer.  `retry_after` is the value of the header Retry-After, seconds or an
 * HTTP date (RFC 9110, 10.2.3), or NULL.  A value that cannot be read is
 * ignored; so are 0 and a date that is not in the future, which leave the wait
 * to the policy. */
BIDE_API struct bide_outcome bide_http(int status, const char *retry_after);

/* Returns the outcome of a gRPC status code; 0 is success.  Other numbers than
 * those of gRPC become UNKNOWN. */
BIDE_API struct bide_outcome bide_grpc(int status);

/* Returns the outcome of a status from waitpid(2): an exit status (0 is
 * success) or a signal. */
BIDE_API struct bide_outcome bide_wait_status(int wait_status);

/* Returns the outcome of the exit status of a program; 0 is success.  A number
 * outside of 0 to 255 becomes 255. */
BIDE_API struct bide_outcome bide_exit_status(int status);

/* Returns the outcome of a CURLcode; 0 is success.  A negative number becomes
 * CURLE_FAILED_INIT. */
BIDE_API struct bide_outcome bide_curl(int code);

/* Returns the outcome of getaddrinfo(3), EAI_AGAIN ..., also negated; 0 is
 * success.  Its code is positive.  For EAI_SYSTEM use bide_errno(errno). */
BIDE_API struct bide_outcome bide_dns(int code);

/* Returns a failure that only the program knows: app.NAME.  NAME has 1 to
 * BIDE_NAME_MAX letters, digits and `.`, `_`, `-`.  Any other name, and each
 * new name after the first 1,000 of a process, becomes app.other. */
BIDE_API struct bide_outcome bide_app(const char *name);

/* Makes any of these outcomes, for bindings: `text` is the Retry-After of
 * BIDE_DOMAIN_HTTP and the name of BIDE_DOMAIN_APP, and not used otherwise.
 * For BIDE_DOMAIN_SIGNAL, a number outside of 1 to 64 becomes exit.255.  Fails
 * with BIDE_EINVAL: no such domain, or `out` is NULL. */
BIDE_API int bide_outcome_make(int domain, int code, const char *text,
                               struct bide_outcome *out);

/* Returns `o` with the hint of the server: retry after `after_ns`, or, with
 * UINT64_MAX, never. */
BIDE_API struct bide_outcome bide_outcome_after(struct bide_outcome o,
                                                uint64_t after_ns);

/* Writes the name of `o` ("http.503") to `buffer` of `size` bytes.  Returns its
 * length, as snprintf does. */
BIDE_API int bide_outcome_name(struct bide_outcome o, char *buffer,
                               size_t size);

/* ---- how calls end ---- */

#define BIDE_VERDICTS(ROW)                                                    \
    ROW(BIDE_UNFINISHED, 0, "unfinished")                                     \
    ROW(BIDE_SUCCEEDED, 1, "succeeded")                                       \
    ROW(BIDE_EXHAUSTED, 2, "exhausted")                                       \
    ROW(BIDE_REFUSED, 3, "refused")                                           \
    ROW(BIDE_REJECTED, 4, "rejected")                                         \
    ROW(BIDE_CANCELLED, 5, "cancelled")

/* The rule or event that ended a call without success. */
#define BIDE_REASONS(ROW)                                                     \
    ROW(BIDE_BY_NONE, 0, "none")                                              \
    ROW(BIDE_BY_ATTEMPTS, 1, "attempts")                                      \
    ROW(BIDE_BY_MAX_ELAPSED, 2, "max_elapsed")                                \
    ROW(BIDE_BY_RETRY_AFTER, 3, "retry_after")                                \
    ROW(BIDE_BY_DEADLINE, 4, "deadline")                                      \
    ROW(BIDE_BY_BREAKER, 5, "breaker")                                        \
    ROW(BIDE_BY_BUDGET, 6, "budget")                                          \
    ROW(BIDE_BY_PAUSED, 7, "paused")                                          \
    ROW(BIDE_BY_REJECTED, 8, "rejected")                                      \
    ROW(BIDE_BY_CANCELLED, 9, "cancelled")                                    \
    ROW(BIDE_BY_LIMIT, 10, "limit")                                           \
    ROW(BIDE_BY_RATE, 11, "rate")                                             \
    ROW(BIDE_BY_HINT, 12, "hint")

/* The consequence of a failed call for the caller, by the importance of the
 * policy.  mandatory: the caller aborts.  postponable: the work is deferred.
 * optional: the work is dropped.  A call with work ends as deferred only if its
 * work is stored durably; else as not_stored: only the caller has the work, and
 * result->defer_error is the error. */
#define BIDE_ENDS(ROW)                                                        \
    ROW(BIDE_END_NONE, 0, "none")                                             \
    ROW(BIDE_END_ABORTED, 1, "aborted")                                       \
    ROW(BIDE_END_DEFERRED, 2, "deferred")                                     \
    ROW(BIDE_END_DROPPED, 3, "dropped")                                       \
    ROW(BIDE_END_NOT_STORED, 4, "not_stored")

enum bide_verdict { BIDE_VERDICTS(BIDE_ENUMERATOR) };
enum bide_reason { BIDE_REASONS(BIDE_ENUMERATOR) };
enum bide_end { BIDE_ENDS(BIDE_ENUMERATOR) };

/* How a call ended. */
struct bide_result {
    enum bide_verdict verdict;    /* BIDE_UNFINISHED: the rest is not valid */
    enum bide_reason reason;
    enum bide_end end;            /* with BIDE_EXHAUSTED and BIDE_REFUSED */
    uint32_t attempts;            /* attempts made; 0 is possible */
    struct bide_outcome outcome;  /* of the last attempt; all 0 without one */
    uint64_t elapsed_ns;          /* from start to end of the call; with one
                                     attempt, its latency */
    uint64_t slept_ns;            /* the part of it between attempts */
    uint64_t ask_again_ns;        /* BIDE_REFUSED: time from which a call may
                                     be allowed again; 0: not known */
    uint64_t deferred_id;         /* BIDE_END_DEFERRED with work: its id */
    int defer_error;              /* BIDE_END_NOT_STORED: a BIDE_E code */
};

/* Return the name of a value, a static string; "unknown" for other numbers. */
BIDE_API const char *bide_verdict_name(enum bide_verdict verdict);
BIDE_API const char *bide_reason_name(enum bide_reason reason);
BIDE_API const char *bide_end_name(enum bide_end end);

#ifdef __cplusplus
}
#endif
#endif
