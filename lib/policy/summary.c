/* Writes a short form of a policy, for tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "policy.h"

/* The text written so far.  A piece that does not fit is left out whole, so
 * that no character is cut. */
struct summary {
    char *at;
    size_t left;
};

static void
append_text(struct summary *s, const char *text)
{
    int length = snprintf(NULL, 0, "%s", text);

    if ((size_t)length < s->left) {
        snprintf(s->at, s->left, "%s", text);
        s->at += length;
        s->left -= (size_t)length;
    }
}

static void
append_time(struct summary *s, const char *before, uint64_t ns)
{
    append_text(s, before);
    append_text(s, duration_round(ns).text);
}

/* Appends a number with up to 6 decimals. */
static void
append_number(struct summary *s, const char *before, double n)
{
    struct decimal d = {(uint64_t)(n * 1e6 + 0.5), 6};
    char text[32];

    append_text(s, before);
    append_text(s, decimal_write(d, text, sizeof(text)));
}

static void
append_attempts(struct summary *s, const struct policy *p)
{
    char text[32];

    if (p->attempts == ATTEMPTS_UNLIMITED) {
        append_text(s, "unlimited");
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu32 " %s", p->attempts,
             p->attempts == 1 ? "try" : "tries");
    append_text(s, text);
}

/* Appends the first steps of a chain: "1s x3, 2s ..". */
static void
append_chain(struct summary *s, const struct chain *chain)
{
    enum { SHOWN = 3 };

    for (uint32_t i = 0; i < chain->count && i < SHOWN; i++) {
        char times[16];

        append_time(s, i ? " " : "", chain->steps[i].wait_ns);
        if (chain->steps[i].times > 1 && i + 1 < chain->count) {
            snprintf(times, sizeof(times), " x%" PRIu32, chain->steps[i].times);
            append_text(s, times);
        }
    }
    if (chain->count > SHOWN) {
        append_time(s, " .. ", chain->steps[chain->count - 1].wait_ns);
    }
}

static void
append_jitter(struct summary *s, const struct jitter *j)
{
    if (j->form == JITTER_FULL || j->form == JITTER_EQUAL) {
        append_text(s, j->form == JITTER_FULL ? " ±full" : " ±equal");
    } else if (j->form == JITTER_SHARE) {
        append_number(s, " ±", j->share * 100);
        append_text(s, "%");
    } else if (j->form == JITTER_PLUS) {
        append_time(s, " +0..", j->plus_ns);
    }
}

static void
append_form(struct summary *s, const struct wait_rules *w)
{
    bool fixed = w->form == WAIT_FIXED;

    if (w->form == WAIT_CHAIN) {
        append_chain(s, &w->chain);
        return;
    }
    /* A fixed wait is never above the maximum, so "≤" is not needed. */
    append_time(s, "",
                fixed && w->initial_ns > w->max_ns ? w->max_ns : w->initial_ns);
    if (w->form == WAIT_LINEAR || w->form == WAIT_POLYNOMIAL) {
        append_time(s, " +", w->increment_ns);
    }
    if (w->form == WAIT_POLYNOMIAL) {
        append_number(s, " n^", w->power);
    } else if (w->form == WAIT_DECORRELATED || w->form == WAIT_EXPONENTIAL) {
        append_number(s, w->form == WAIT_EXPONENTIAL ? " x" : " decorrelated x",
                      w->factor);
    }
}

static void
append_waits(struct summary *s, const struct policy *p)
{
    const struct wait_rules *w = &p->wait;

    if (p->attempts == 1) {
        return;
    }
    if (w->form == WAIT_NONE) {
        append_text(s, ", no wait");
        return;
    }
    append_text(s, ", ");
    append_form(s, w);
    if (w->form != WAIT_DECORRELATED) {
        append_jitter(s, &w->jitter);
    }
    if (w->form != WAIT_FIXED && w->form != WAIT_CHAIN) {
        append_time(s, ", ≤", w->max_ns);
    }
}

static void
append_limits(struct summary *s, const struct policy *p)
{
    unsigned seconds = 1;

    if (strcmp(p->limit.group, "none") != 0) {
        append_number(s, ", ", p->limit.places);
        append_text(s, " at once");
    }
    if (strcmp(p->rate.group, "none") != 0) {
        while (p->rate.per_s * seconds < 1 && seconds < 3600) {
            seconds *= 60;
        }
        append_number(s, ", ", p->rate.per_s * seconds);
        append_text(s, seconds == 1 ? "/s" : seconds == 60 ? "/m" : "/h");
    }
}

char *
policy_summary(const struct policy *p, char *buffer, size_t size)
{
    struct summary s = {buffer, size};

    append_attempts(&s, p);
    append_waits(&s, p);
    append_limits(&s, p);
    return buffer;
}
