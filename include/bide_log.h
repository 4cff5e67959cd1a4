/* Hooks that log failed attempts, calls that did not succeed at once, and
 * changes of breakers, policies and the registry: with syslog(3), or in the
 * journal if <systemd/sd-journal.h> is included before this (fields BIDE_EVENT,
 * BIDE_POLICY, BIDE_OUTCOME).
 *
 *   bide_log_hooks(&hooks);   // then bide_open_with(), in its options
 *
 *   bide: exhausted policy=pay outcome=http.503 attempts=4 elapsed_ms=712
 *         reason=attempts end=aborted */
#ifndef BIDE_LOG_H
#define BIDE_LOG_H

#include <bide.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

__attribute__((format(printf, 5, 6))) static inline void
bide_log_(int priority, const char *event, struct bide_policy *p,
          const struct bide_outcome *o, const char *format, ...)
{
    char policy[2 * BIDE_NAME_MAX + 4] = "", name[BIDE_NAME_MAX + 16] = "";
    char detail[256];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    if (p) {
        const char *scope = bide_policy_scope(p);

        snprintf(policy, sizeof(policy), "%s%s%s", bide_policy_name(p),
                 *scope ? "/" : "", scope);
    }
    if (o) {
        bide_outcome_name(*o, name, sizeof(name));
    }
#ifdef SD_JOURNAL_FOREACH
    sd_journal_send("MESSAGE=bide: %s%s%s%s%s %s", event, p ? " policy=" : "",
                    policy, o ? " outcome=" : "", name, detail, "PRIORITY=%i",
                    priority, "BIDE_EVENT=%s", event, "BIDE_POLICY=%s", policy,
                    "BIDE_OUTCOME=%s", name, NULL);
#else
    syslog(priority, "bide: %s%s%s%s%s %s", event, p ? " policy=" : "", policy,
           o ? " outcome=" : "", name, detail);
#endif
}

static inline void
bide_log_wait_(void *arg, const struct bide_call *c, uint32_t attempts,
               const struct bide_outcome *o, uint64_t wait_ns)
{
    (void)arg;
    bide_log_(LOG_INFO, "wait", bide_call_policy(c), o,
              "attempts=%u wait_ms=%g", attempts, (double)wait_ns / 1e6);
}

static inline void
bide_log_verdict_(void *arg, const struct bide_call *c,
                  const struct bide_result *r)
{
    int is_fine = r->verdict == BIDE_SUCCEEDED;

    (void)arg;
    if (!is_fine || r->attempts > 1) {
        bide_log_(is_fine ? LOG_INFO : LOG_WARNING,
                  bide_verdict_name(r->verdict), bide_call_policy(c),
                  &r->outcome, "attempts=%u elapsed_ms=%g reason=%s end=%s",
                  r->attempts, (double)r->elapsed_ns / 1e6,
                  bide_reason_name(r->reason), bide_end_name(r->end));
    }
}

static inline void
bide_log_breaker_(void *arg, struct bide_policy *p, enum bide_breaker state)
{
    static const char *const names[] = {"closed", "open", "half_open"};

    (void)arg;
    bide_log_(state == BIDE_BREAKER_OPEN ? LOG_WARNING : LOG_NOTICE, "breaker",
              p, NULL, "state=%s", names[state]);
}

static inline void
bide_log_policy_(void *arg, struct bide_policy *p, enum bide_source source,
                 uint32_t version)
{
    (void)arg, (void)source;
    bide_log_(LOG_NOTICE, "policy", p, NULL, "version=%u", version);
}

static inline void
bide_log_status_(void *arg, struct bide *b, int status)
{
    (void)arg, (void)b;
    bide_log_(status ? LOG_ERR : LOG_NOTICE, "registry", NULL, NULL, "%s",
              status ? bide_strerror(status) : "is in use again");
}

/* Sets these hooks, and the others to NULL. */
static inline void
bide_log_hooks(struct bide_hooks *hooks)
{
    memset(hooks, 0, sizeof(*hooks));
    hooks->before_wait = bide_log_wait_;
    hooks->at_verdict = bide_log_verdict_;
    hooks->on_breaker = bide_log_breaker_;
    hooks->on_policy = bide_log_policy_;
    hooks->on_status = bide_log_status_;
}

#endif
