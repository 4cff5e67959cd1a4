/* The constructors of outcomes in bide.h, and their names. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/http_date.h"
#include "outcome_app.h"
#include "outcome_table.h"

enum { GRPC_UNKNOWN = 2, GRPC_MAX = 16, CURL_FAILED_INIT = 2, SIGNAL_MAX = 64 };

static struct bide_outcome
make_outcome(enum bide_domain domain, int32_t code)
{
    return (struct bide_outcome){.domain = (uint8_t)domain, .code = code};
}

struct bide_outcome
bide_ok(void)
{
    return make_outcome(BIDE_DOMAIN_OK, 0);
}

struct bide_outcome
bide_errno(int error)
{
    /* Many functions return errors as -EIO. */
    if (error < 0) {
        error = error == INT_MIN ? INT_MAX : -error;
    }
    return make_outcome(BIDE_DOMAIN_ERRNO, error);
}

struct bide_outcome
bide_dns(int code)
{
    return make_outcome(BIDE_DOMAIN_DNS, bide_errno(code).code);
}

struct bide_outcome
bide_http(int status, const char *retry_after)
{
    struct bide_outcome o = make_outcome(
        BIDE_DOMAIN_HTTP, status >= 100 && status <= 999 ? status : 0);
    uint64_t after_ns;

    /* A date is a time of the wall clock, which callers do not pass.  No time
     * to wait is no hint: the policy's own wait holds. */
    return retry_after &&
                   http_retry_after(
                       retry_after,
                       (int64_t)(clock_realtime_ns() / UINT64_C(1000000000)),
                       &after_ns) == 0 &&
                   after_ns > 0
               ? bide_outcome_after(o, after_ns)
               : o;
}

struct bide_outcome
bide_grpc(int status)
{
    /* gRPC maps numbers that are no status to UNKNOWN. */
    if (status < 0 || status > GRPC_MAX) {
        status = GRPC_UNKNOWN;
    }
    return make_outcome(BIDE_DOMAIN_GRPC, status);
}

struct bide_outcome
bide_exit_status(int status)
{
    return make_outcome(BIDE_DOMAIN_EXIT,
                        status >= 0 && status <= 255 ? status : 255);
}

struct bide_outcome
bide_wait_status(int wait_status)
{
    if (WIFEXITED(wait_status)) {
        return make_outcome(BIDE_DOMAIN_EXIT, WEXITSTATUS(wait_status));
    }
    if (WIFSIGNALED(wait_status)) {
        return make_outcome(BIDE_DOMAIN_SIGNAL, WTERMSIG(wait_status));
    }
    /* Stopped or continued: it has not ended, so it cannot have succeeded. */
    return make_outcome(BIDE_DOMAIN_EXIT, 255);
}

struct bide_outcome
bide_curl(int code)
{
    return make_outcome(BIDE_DOMAIN_CURL, code < 0 ? CURL_FAILED_INIT : code);
}

struct bide_outcome
bide_app(const char *name)
{
    size_t length = name ? strnlen(name, BIDE_NAME_MAX + 1) : 0;
    int32_t code = app_code(name, length, APP_NAMES_CALLS);

    return make_outcome(BIDE_DOMAIN_APP, code < 0 ? APP_OTHER : code);
}

int
bide_outcome_make(int domain, int code, const char *text,
                  struct bide_outcome *out)
{
    if (!out || domain < 0 || !outcome_domain((unsigned)domain)) {
        return BIDE_EINVAL;
    }
    *out = domain == BIDE_DOMAIN_OK      ? bide_ok()
           : domain == BIDE_DOMAIN_ERRNO ? bide_errno(code)
           : domain == BIDE_DOMAIN_HTTP  ? bide_http(code, text)
           : domain == BIDE_DOMAIN_GRPC  ? bide_grpc(code)
           : domain == BIDE_DOMAIN_CURL  ? bide_curl(code)
           : domain == BIDE_DOMAIN_APP   ? bide_app(text)
           : domain == BIDE_DOMAIN_DNS   ? bide_dns(code)
           : domain == BIDE_DOMAIN_EXIT  ? bide_exit_status(code)
           : code >= 1 && code <= SIGNAL_MAX
               ? make_outcome(BIDE_DOMAIN_SIGNAL, code)
               : bide_exit_status(255);
    return 0;
}

struct bide_outcome
bide_outcome_after(struct bide_outcome o, uint64_t after_ns)
{
    bool never = after_ns == UINT64_MAX;

    o.hint = never ? BIDE_HINT_NEVER : BIDE_HINT_AFTER;
    o.after_ns = never ? 0 : after_ns;
    return o;
}

int
bide_outcome_name(struct bide_outcome o, char *buffer, size_t size)
{
    const struct outcome_domain *domain = outcome_domain(o.domain);
    const struct outcome_row *row;

    if (!domain) {
        return snprintf(buffer, size, "app.other");
    }
    if (o.domain == BIDE_DOMAIN_OK) {
        return snprintf(buffer, size, "ok");
    }
    if (o.domain == BIDE_DOMAIN_APP) {
        return snprintf(buffer, size, "app.%s", app_name(o.code));
    }
    row = outcome_row_of(o.domain, o.code);
    if (row && row->name) {
        return snprintf(buffer, size, "%s.%s", domain->name, row->name);
    }
    return snprintf(buffer, size, "%s.%d", domain->name, (int)o.code);
}
