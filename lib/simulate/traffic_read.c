#include "traffic_read.h"

#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "base/duration.h"

#define CALLS_PER_S_MAX 1e6

/* Writes "TEXT: REASON (HINT?)".  Returns -1. */
static int
refuse_text(const char *text, const char *reason, const char *hint,
            char why[TRAFFIC_WHY])
{
    snprintf(why, TRAFFIC_WHY, "%.40s: %s%s%s%s", text, reason,
             *hint ? " (" : "", hint, *hint ? "?)" : "");
    return -1;
}

/* ---- durations ---- */

static int
read_duration(const char *text, uint64_t most_ns, uint64_t *out,
              char why[TRAFFIC_WHY])
{
    struct duration_fault fault;
    uint64_t ns;

    if (duration_read(text, &ns, &fault) != 0) {
        return refuse_text(text, fault.why, fault.hint, why);
    }
    if (ns > most_ns) {
        snprintf(why, TRAFFIC_WHY, "%.40s: at most %s", text,
                 duration_write(most_ns).text);
        return -1;
    }
    *out = ns;
    return 0;
}

int
traffic_read_for(const char *text, struct traffic *out, char why[TRAFFIC_WHY])
{
    uint64_t ns;

    if (read_duration(text, DURATION_MAX, &ns, why) != 0) {
        return -1;
    }
    if (ns < TRAFFIC_SLICES * 1000) {
        return refuse_text(text, "at least 1ms", "", why);
    }
    out->for_ns = ns;
    return 0;
}

static int
read_between(const char *text, const char *dots, struct traffic_time *out,
             char why[TRAFFIC_WHY])
{
    struct traffic_time t = {.form = TRAFFIC_BETWEEN};
    char from[64];

    snprintf(from, sizeof(from), "%.*s", (int)(dots - text), text);
    from[strcspn(from, " ")] = '\0';
    dots += 2 + strspn(dots + 2, " ");
    if (read_duration(from, DAY_NS, &t.ns, why) != 0 ||
        read_duration(dots, DAY_NS, &t.to_ns, why) != 0) {
        return -1;
    }
    if (t.to_ns < t.ns) {
        return refuse_text(text, "the shorter time must come first", "", why);
    }
    *out = t;
    return 0;
}

int
traffic_read_time(const char *text, struct traffic_time *out,
                  char why[TRAFFIC_WHY])
{
    static const char word[] = "exponential ";
    struct traffic_time t = {.form = TRAFFIC_FIXED};
    const char *dots = strstr(text, "..");

    if (dots) {
        return read_between(text, dots, out, why);
    }
    if (strncmp(text, word, sizeof(word) - 1) == 0) {
        t.form = TRAFFIC_EXPONENTIAL;
        text += sizeof(word) - 1;
    }
    if (read_duration(text, DAY_NS, &t.ns, why) != 0) {
        return -1;
    }
    *out = t;
    return 0;
}

/* ---- calls ---- */

static double
seconds_in(char unit)
{
    return unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
}

int
traffic_read_calls(const char *text, struct traffic *out, char why[TRAFFIC_WHY])
{
    const char *at = text;
    struct decimal number;
    double rate;
    bool even;

    if (decimal_read(&at, &number) != 0 || *at != '/' ||
        seconds_in(at[1]) <= 0 || (at[2] && at[2] != ' ')) {
        return refuse_text(text, "write a rate like 200/s or 6000/m", "", why);
    }
    rate = decimal_value(number) / seconds_in(at[1]);
    at += 2 + strspn(at + 2, " ");
    even = strcmp(at, "even") == 0;
    if (*at && !even) {
        return refuse_text(text, "only even may follow the rate", "", why);
    }
    if (rate <= 0 || rate > CALLS_PER_S_MAX) {
        return refuse_text(text, "must be above 0 and at most 1000000/s", "",
                           why);
    }
    out->calls_per_s = rate;
    out->even = even;
    return 0;
}

/* ---- failures ---- */

/* Reads "30%" or "30% until 20s". */
static int
read_share(const char *text, struct traffic_share *out, char why[TRAFFIC_WHY])
{
    static const char word[] = "until";
    const char *at = text;
    struct decimal number;

    out->until_ns = DURATION_NONE;
    if (decimal_read(&at, &number) != 0 || *at != '%') {
        return refuse_text(text, "write a share like 30% or 30% until 20s", "",
                           why);
    }
    out->share = decimal_value(number) / 100;
    if (out->share > 1) {
        return refuse_text(text, "at most 100%", "", why);
    }
    at++;
    at += strspn(at, " ");
    if (*at == '\0') {
        return 0;
    }
    if (strncmp(at, word, sizeof(word) - 1) != 0 ||
        at[sizeof(word) - 1] != ' ') {
        return refuse_text(text, "only until and a time may follow a share", "",
                           why);
    }
    at += sizeof(word) - 1;
    at += strspn(at, " ");
    return read_duration(at, DURATION_MAX, &out->until_ns, why);
}

/* Checks that each part except the last has an end, later than the end of the
 * part before it. */
static int
check_end_of_share(const char *text, const struct traffic_share *part,
                   int count, bool last, char why[TRAFFIC_WHY])
{
    uint64_t before = count ? part[-1].until_ns : 0;

    if (last && part->until_ns != DURATION_NONE) {
        snprintf(why, TRAFFIC_WHY,
                 "%.40s: the last share must have no end; add one, "
                 "as in %.40s, 0%%",
                 text, text);
        return -1;
    }
    if (!last && part->until_ns == DURATION_NONE) {
        return refuse_text(text, "only the last share may have no end", "",
                           why);
    }
    if (part->until_ns <= before) {
        return refuse_text(text, "each end must be later than the one before",
                           "", why);
    }
    return 0;
}

int
traffic_read_fail(const char *text, struct traffic *out, char why[TRAFFIC_WHY])
{
    struct traffic_share parts[TRAFFIC_SHARES] = {{0}};
    bool last = false;

    for (int i = 0; !last; i++) {
        size_t length = strcspn(text, ",");
        char part[64];
        int end;

        if (i == TRAFFIC_SHARES || length >= sizeof(part)) {
            snprintf(why, TRAFFIC_WHY, "%.40s: too long, at most %d shares",
                     text, TRAFFIC_SHARES);
            return -1;
        }
        last = text[length] == '\0';
        end = snprintf(part, sizeof(part), "%.*s", (int)length, text);
        while (end > 0 && part[end - 1] == ' ') {
            part[--end] = '\0';
        }
        if (read_share(part, &parts[i], why) != 0 ||
            check_end_of_share(part, &parts[i], i, last, why) != 0) {
            return -1;
        }
        text += length + !last;
        text += strspn(text, " ");
    }
    memcpy(out->fail, parts, sizeof(parts));
    return 0;
}

int
traffic_read_outcome(const char *text, struct traffic *out,
                     char why[TRAFFIC_WHY])
{
    struct outcome_fault f;
    struct bide_outcome o;

    if (outcome_read(text, &o, &f) != 0) {
        return refuse_text(text, f.why, f.meant, why);
    }
    if (outcome_is_success(o)) {
        return refuse_text(text, "this outcome is not a failure", "", why);
    }
    out->failure = o;
    return 0;
}
