/* Plots amounts over time: one line of blocks for each. */

#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "cli/command/when.h"
#include "cli/out/plot.h"
#include "cli/out/text.h"
#include "history.h"

enum { TITLE_WIDTH = 14 };

/* All lines but the last are rates per minute. */
static const struct {
    const char *title;
    enum history_amount amount; /* HISTORY_AMOUNTS: the 95th percentile */
    bool if_any;
} lines[] = {
    {"calls/min", AMOUNT_CALLS, false},  {"retries/min", AMOUNT_RETRIES, false},
    {"failed/min", AMOUNT_FAILED, true}, {"refused/min", AMOUNT_REFUSED, true},
    {"p95", HISTORY_AMOUNTS, false},
};

static bool
is_rate(size_t line)
{
    return lines[line].amount < HISTORY_AMOUNTS;
}

static double
bin_value(const struct history_bins *b, size_t line, size_t i)
{
    if (is_rate(line)) {
        return b->amount[lines[line].amount][i] * 60e9 / (double)b->step_ns;
    }
    return b->bin[i] ? (double)histogram_at_ns(b->bin[i]->succeeded, 0.95) / 1e6
                     : 0;
}

static void
plot_line(const struct history_bins *b, size_t line, size_t width)
{
    double most = 0, *values = calloc(b->count, sizeof(*values));
    char *series;

    for (size_t i = 0; values && i < b->count; i++) {
        values[i] = bin_value(b, line, i);
        most = values[i] > most ? values[i] : most;
    }
    series = values ? plot_series(values, b->count, most, width) : NULL;
    if (series && (most > 0 || !lines[line].if_any)) {
        printf("%-*s%s  up to %s\n", TITLE_WIDTH, lines[line].title, series,
               is_rate(line) ? text_number(most).text
                             : duration_round((uint64_t)(most * 1e6)).text);
    }
    free(series);
    free(values);
}

void
history_plot(const struct history_rows *rows)
{
    const struct history_bins *b = &rows->bins;
    size_t width = text_width(),
           taken = TITLE_WIDTH + 16; /* "  up to 3.39ms" */
    size_t room = width > taken + 8 ? width - taken : 8;
    size_t columns = text_to_terminal() && b->count > room ? room : b->count;

    if (b->count < 2) {
        return;
    }
    putchar('\n');
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        plot_line(b, i, columns);
    }
    printf("%-*sfrom %s, %s each\n", TITLE_WIDTH, "",
           when_write(b->first_ns, rows->now_ns).text,
           duration_round(b->step_ns * b->count / columns).text);
}
