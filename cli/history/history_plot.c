/* Plots amounts over time: one line of blocks for each. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "record/past.h"
#include "history.h"

enum { TITLE_WIDTH = 14 };

/* All lines but the last are rates per minute. */
static const struct {
    const char *title;
    enum history_amount amount; /* HISTORY_AMOUNTS: the 95th percentile */
    bool if_any;
} lines[] = {
    {"calls/min", AMOUNT_CALLS, false},
    {"retries/min", AMOUNT_RETRIES, false},
    {"exhausted/min", AMOUNT_EXHAUSTED, true},
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

/* Returns the value of a column, which shows `each` bins: the mean of rates,
 * the greatest of latencies. */
static double
column_value(const struct history_bins *b, size_t line, size_t column,
             size_t each)
{
    size_t end =
        (column + 1) * each < b->count ? (column + 1) * each : b->count;
    double value = 0;

    for (size_t i = column * each; i < end; i++) {
        double v = bin_value(b, line, i);

        value = is_rate(line) ? value + v : v > value ? v : value;
    }
    return is_rate(line) ? value / (double)(end - column * each) : value;
}

static void
plot_line(const struct history_bins *b, size_t line, size_t each)
{
    size_t columns = (b->count + each - 1) / each;
    double most = 0;
    char text[32];

    for (size_t i = 0; i < columns; i++) {
        double v = column_value(b, line, i, each);

        most = v > most ? v : most;
    }
    if (most <= 0 && lines[line].if_any) {
        return;
    }
    printf("%-*s", TITLE_WIDTH, lines[line].title);
    for (size_t i = 0; i < columns; i++) {
        double v = column_value(b, line, i, each);

        /* A bin without succeeded attempts has no latency. */
        fputs(!is_rate(line) && v <= 0 ? " "
                                       : block_for(most > 0 ? v / most : 0),
              stdout);
    }
    if (is_rate(line)) {
        printf("  up to %s\n", text_number(most, text, sizeof(text)));
    } else {
        printf("  up to %s\n",
               duration_round((uint64_t)(most * 1e6), text, sizeof(text)));
    }
}

void
history_plot(const struct history_rows *rows)
{
    const struct history_bins *b = &rows->bins;
    size_t width = text_width(),
           room = width > 40 ? width - TITLE_WIDTH - 16 : 10;
    size_t each = text_to_terminal() ? (b->count + room - 1) / room : 1;
    char from[64], step[32];

    if (b->count < 2) {
        return;
    }
    putchar('\n');
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        plot_line(b, i, each);
    }
    printf("%-*sfrom %s, %s each\n", TITLE_WIDTH, "",
           when_write(b->first_ns, rows->now_ns, from, sizeof(from)),
           duration_round(b->step_ns * each, step, sizeof(step)));
}
