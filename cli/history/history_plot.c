/* Plots amounts over time: one line of blocks for each. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "record/past.h"
#include "history.h"

/* All lines but the last are rates per minute. */
static const struct {
    const char *title;
    enum history_amount amount; /* HISTORY_AMOUNTS: the 95th percentile */
    bool if_any;
} lines[] = {
    {"calls/min", AMOUNT_CALLS, false},
    {"retries/min", AMOUNT_RETRIES, false},
    {"given up/min", AMOUNT_GIVEN_UP, true},
    {"refused/min", AMOUNT_REFUSED, true},
    {"p95", HISTORY_AMOUNTS, false},
};

static bool
is_rate(size_t line)
{
    return lines[line].amount < HISTORY_AMOUNTS;
}

static const char *
block_for(double share)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄",
                                         "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    int at = (int)(share * 7 + 0.999);

    at = at < 0 ? 0 : at > 7 ? 7 : at;
    return text_is_utf8() ? blocks[at] : plain[at];
}

static double
bin_value(const struct history_bins *b, size_t line, size_t i)
{
    if (is_rate(line)) {
        return b->amount[lines[line].amount][i] * 60e9 / (double)b->step_ns;
    }
    return b->bin[i] ? past_at_ms(b->bin[i]->succeeded, 0.95) : 0;
}

static void
plot_line(const struct history_bins *b, size_t line)
{
    double most = 0;
    char text[32];

    for (size_t i = 0; i < b->count; i++) {
        double v = bin_value(b, line, i);

        most = v > most ? v : most;
    }
    if (most <= 0 && lines[line].if_any) {
        return;
    }
    printf("%-13s", lines[line].title);
    for (size_t i = 0; i < b->count; i++) {
        /* A bin without succeeded attempts has no latency. */
        bool gap = !is_rate(line) && bin_value(b, line, i) <= 0;

        fputs(gap ? " "
                  : block_for(most > 0 ? bin_value(b, line, i) / most : 0),
              stdout);
    }
    if (is_rate(line)) {
        printf("  up to %.3g\n", most);
    } else {
        printf("  up to %s\n",
               duration_round((uint64_t)(most * 1e6), text, sizeof(text)));
    }
}

void
history_plot(const struct history_rows *rows)
{
    const struct history_bins *b = &rows->bins;
    char from[64], step[32];

    if (b->count < 2) {
        return;
    }
    putchar('\n');
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        plot_line(b, i);
    }
    printf("%-13sfrom %s, %s each\n", "",
           when_write(b->first_ns, rows->now_ns, from, sizeof(from)),
           duration_write(b->step_ns, step, sizeof(step)));
}
