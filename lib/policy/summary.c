/* One policy in a few words, for tables. */
#include <inttypes.h>
#include <stdio.h>

#include "base/decimal.h"
#include "policy.h"

/* Texts added one after the other; what does not fit is left out whole, so
 * that no character is cut. */
struct line {
    char *at;
    size_t left;
};

static void
add(struct line *line, const char *text)
{
    int length = snprintf(NULL, 0, "%s", text);

    if ((size_t)length < line->left) {
        snprintf(line->at, line->left, "%s", text);
        line->at += length;
        line->left -= (size_t)length;
    }
}

static void
add_time(struct line *line, const char *before, uint64_t ns)
{
    char text[32];

    add(line, before);
    add(line, duration_round(ns, text, sizeof(text)));
}

/* A double that came from a decimal, to 6 places. */
static void
add_number(struct line *line, const char *before, double n)
{
    struct decimal d = {(uint64_t)(n * 1e6 + 0.5), 6};
    char text[32];

    while (d.places && d.digits % 10 == 0) {
        d.digits /= 10;
        d.places--;
    }
    add(line, before);
    add(line, decimal_write(d, text, sizeof(text)));
}

static void
add_attempts(struct line *line, const struct policy *p)
{
    char text[32];

    if (p->attempts == ATTEMPTS_UNLIMITED) {
        add(line, "unlimited");
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu32 " %s", p->attempts,
             p->attempts == 1 ? "try" : "tries");
    add(line, text);
}

/* "1s x3, 2s ..": the first steps say enough. */
static void
add_chain(struct line *line, const struct chain *chain)
{
    enum { SHOWN = 3 };

    for (uint32_t i = 0; i < chain->count && i < SHOWN; i++) {
        char times[16];

        add_time(line, i ? " " : "", chain->steps[i].wait_ns);
        if (chain->steps[i].times > 1 && i + 1 < chain->count) {
            snprintf(times, sizeof(times), " x%" PRIu32, chain->steps[i].times);
            add(line, times);
        }
    }
    if (chain->count > SHOWN) {
        add_time(line, " .. ", chain->steps[chain->count - 1].wait_ns);
    }
}

static void
add_jitter(struct line *line, const struct jitter *j)
{
    switch (j->form) {
    case JITTER_NONE:
        break;
    case JITTER_FULL:
        add(line, " ±full");
        break;
    case JITTER_EQUAL:
        add(line, " ±equal");
        break;
    case JITTER_SHARE:
        add_number(line, " ±", j->share * 100);
        add(line, "%");
        break;
    case JITTER_PLUS:
        add_time(line, " +0..", j->plus_ns);
        break;
    }
}

static void
add_form(struct line *line, const struct wait_rules *w)
{
    switch (w->form) {
    case WAIT_CHAIN:
        add_chain(line, &w->chain);
        return;
    case WAIT_FIXED:
        /* Fixed is never above the maximum, and needs no "at most". */
        add_time(line, "",
                 w->initial_ns < w->max_ns ? w->initial_ns : w->max_ns);
        return;
    default:
        add_time(line, "", w->initial_ns);
    }
    switch (w->form) {
    case WAIT_LINEAR:
        add_time(line, " +", w->increment_ns);
        break;
    case WAIT_POLYNOMIAL:
        add_time(line, " +", w->increment_ns);
        add_number(line, " n^", w->power);
        break;
    case WAIT_DECORRELATED:
        add_number(line, " decorrelated x", w->factor);
        break;
    default:
        add_number(line, " x", w->factor);
    }
}

char *
policy_summary(const struct policy *p, char *buffer, size_t size)
{
    struct line line = {buffer, size};
    const struct wait_rules *w = &p->wait;

    add_attempts(&line, p);
    if (p->attempts == 1) {
        return buffer;
    }
    if (w->form == WAIT_NONE) {
        add(&line, ", no wait");
        return buffer;
    }
    add(&line, ", ");
    add_form(&line, w);
    if (w->form != WAIT_DECORRELATED) {
        add_jitter(&line, &w->jitter);
    }
    if (w->form != WAIT_FIXED && w->form != WAIT_CHAIN) {
        add_time(&line, ", ≤", w->max_ns);
    }
    return buffer;
}
