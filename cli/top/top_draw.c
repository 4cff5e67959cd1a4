#include "top.h"

#include <curses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command/when.h"
#include "cli/out/plot.h"
#include "cli/out/text.h"
#include "cli/view/guard.h"

enum { GOOD_WIDTH = 100, NAME_LEAST = 12, FOOT_LINES = 4 };

/* The keys of actions; on a narrow screen those that fit. */
#define ACTIONS                                                      \
    (COLS >= GOOD_WIDTH                                              \
         ? "e set  p pause  r resume  b breaker  w wake  R rollback" \
         : "e set  p pause  b breaker")

static const char help_text[] =
    "bide top\n\n"
    "  Up Down PgUp PgDn   choose a policy, or move through a text\n"
    "  Home                the first policy, whichever it is\n"
    "  Enter or d          the policy in detail; again or Esc: back\n"
    "  s                   sort by: failed, calls, retries, p95, name\n"
    "  /                   show only names with this part, or that match *\n\n"
    "Actions show first what would change, and ask:\n"
    "  e   set keys of the policy: attempts=2 wait_max=1s\n"
    "  p r pause, resume\n"
    "  b   breaker: open, closed, auto or reset\n"
    "  w   wake: its waiting calls go on now\n"
    "  R   roll back to the version before\n\n"
    "  q   quit\n\n"
    "The figures are of the last minute. The line of blocks is the last ten\n"
    "minutes of what the list is sorted by. With many policies the screen is\n"
    "renewed less often, so that it takes 2 % of a processor.\n";

/* Prints at a place; what does not fit in `room`, or on the screen, is cut and
 * marked. */
static void
put_in(int y, int x, int room, const char *text)
{
    char *safe = text_safe(text);
    const char *mark = text_is_utf8() ? "…" : "~";
    size_t length;

    room = room < COLS - x ? room : COLS - x;
    if (safe && y >= 0 && y < LINES && x >= 0 && room > 0) {
        length = text_line_length(safe, (size_t)room, (size_t)room);
        mvaddnstr(y, x, safe, (int)length);
        if (safe[length + strspn(safe + length, " ")]) {
            mvaddstr(y, x + room - 1, mark);
        }
    }
    free(safe);
}

static void put_at(int y, int x, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void
put_at(int y, int x, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0) {
        put_in(y, x, COLS, text);
        free(text);
    }
    va_end(args);
}

static int
alarm_colour(int level)
{
    return has_colors() ? COLOR_PAIR(level == ALARM_CRIT ? 1 : 2) : 0;
}

/* ---- the list ---- */

/* Draws the last ten minutes of what the list is sorted by. */
static void
draw_trend(const struct top *t, const char *name, int y, int x, int width)
{
    static const enum trend_line lines_of[] = {[NOW_CALLS] = TREND_CALLS,
                                               [NOW_OK] = TREND_FAILED,
                                               [NOW_FAILED] = TREND_FAILED,
                                               [NOW_RETRIES] = TREND_RETRIES,
                                               [NOW_P95] = TREND_P95_MS};
    const struct trend_policy *found =
        text_is_utf8() ? trend_find(&t->trend, name) : NULL;
    double values[TREND_POINTS], top = 0;
    char *line;

    for (size_t i = 0; found && i < TREND_POINTS; i++) {
        double value =
            (double)found->line[lines_of[t->by_name ? NOW_CALLS : t->sort]][i];

        values[i] = value > 0 ? value : 0;
        top = values[i] > top ? values[i] : top;
    }
    line = found ? plot_series(values, TREND_POINTS, top > 0 ? top : 1,
                               (size_t)width)
                 : NULL;
    put_at(y, x, "%s", line ? line : "");
    free(line);
}

/* Puts a figure at the right of a column, and moves *x behind it. */
static void
put_figure(int y, int *x, int width, const char *text)
{
    int columns = (int)text_columns(text);

    put_at(y, *x + (columns < width ? width - columns : 0), "%s", text);
    *x += width + 1;
}

/* Reports whether there is no room for a figure. */
static bool
is_left_out(const struct top *t, int figure)
{
    return COLS < GOOD_WIDTH &&
           figure == (t->sort == NOW_RETRIES ? NOW_P95 : NOW_RETRIES);
}

static void
draw_row(struct top *t, const struct top_row *r, int y, int name_width,
         int trend_width)
{
    bool used = counter_calls(&r->cell.now) + r->cell.now.attempts > 0;
    int x = name_width + 1;

    put_in(y, 0, name_width, r->cell.name);
    for (int f = NOW_CALLS; f <= NOW_P95; f++) {
        if (is_left_out(t, f)) {
            continue;
        }
        put_figure(y, &x, 7,
                   used ? now_write(&r->cell, (enum now_figure)f, false).text
                        : "-");
    }
    put_at(y, x, "%s",
           r->paused       ? "PAUSED"
           : !r->version   ? "undefined"
           : r->worst.mode ? guard_state(&r->worst).text
                           : "-");
    x += 13;
    if (COLS >= GOOD_WIDTH) {
        put_figure(y, &x, 6,
                   r->worst.has_budget ? guard_level(&r->worst).text : "-");
        put_figure(y, &x, 7, text_count(r->waiting).text);
    }
    draw_trend(t, r->cell.name, y, x, trend_width);
}

static void
draw_head(struct top *t)
{
    double calls = 0, failed = 0;
    uint64_t waiting = 0;
    char host[65] = "";

    gethostname(host, sizeof(host) - 1);
    for (size_t i = 0; i < t->count; i++) {
        calls += now_rank(&t->rows[i].cell, NOW_CALLS, false) * 1e9;
        failed += now_rank(&t->rows[i].cell, NOW_FAILED, false) * 1e9;
        waiting += t->rows[i].waiting;
    }
    attron(A_BOLD);
    put_at(0, 0, "bide top  %s  %s %s  %s calls/s  %s failed/s  %s waiting",
           host, text_count(t->count).text,
           text_plural(t->count, "policy", "policies"), text_number(calls).text,
           text_number(failed).text, text_count(waiting).text);
    attroff(A_BOLD);
    if (*t->failure) {
        attron(A_REVERSE);
        put_at(1, 0, "cannot read: %s; the figures are old", t->failure);
        attroff(A_REVERSE);
    } else {
        put_at(1, 0, "by %s%s%s", t->by_name ? "name" : now_word(t->sort),
               *t->filter ? ", only " : "", t->filter);
        attron(alarm_colour(ALARM_WARN));
        put_at(1, getcurx(stdscr) + 2, "%s", t->unrecorded);
        attroff(alarm_colour(ALARM_WARN));
    }
}

static void
draw_foot(struct top *t)
{
    struct top_row *r = top_selected(t);
    int y = LINES - FOOT_LINES;

    if (r) {
        attron(A_BOLD);
        put_at(y, 0, "%s v%u%s%s%s%s", r->cell.name, r->version,
               r->since_ns ? ", " : "", r->since_ns ? alarm_word(r->level) : "",
               r->since_ns ? " since " : "",
               r->since_ns ? when_write(r->since_ns, clock_realtime_ns()).text
                           : "");
        attroff(A_BOLD);
        put_at(y + 1, 0, "  %s", r->rules);
        put_at(y + 2, 0, "  %s%s", r->level ? alarm_word(r->level) : "",
               r->level ? ": " : "");
        put_at(y + 2,
               2 + (r->level ? (int)strlen(alarm_word(r->level)) + 2 : 0), "%s",
               r->why);
    } else {
        put_at(y, 0,
               *t->filter ? "No policy matches; / changes the filter."
                          : "No policies yet. Next: bide apply FILE");
    }
    attron(A_REVERSE);
    put_at(LINES - 1, 0, "q quit  ? help  Enter detail  s sort  / filter  %-*s",
           COLS, ACTIONS);
    attroff(A_REVERSE);
}

static void
draw_list(struct top *t)
{
    int room = LINES - 3 - FOOT_LINES, wide = COLS >= GOOD_WIDTH;
    int fixed = (wide ? 5 * 8 + 15 : 4 * 8) + 13, name, trend;
    struct top_row *selected = top_selected(t);
    size_t at = selected ? (size_t)(selected - t->rows) : 0;

    room = room > 0 ? room : 1;
    if (at < t->first) {
        t->first = at;
    } else if (at >= t->first + (size_t)room) {
        t->first = at - (size_t)room + 1;
    }
    name = COLS - fixed - (wide ? 25 : 13);
    name = name < NAME_LEAST ? NAME_LEAST : name > 40 ? 40 : name;
    trend = COLS - fixed - name - 2;
    trend = trend > TREND_POINTS ? TREND_POINTS : trend > 3 ? trend : 0;
    attron(A_UNDERLINE);
    put_at(2, 0, "%-*s CALLS/s      OK  FAIL/s%s%s BREAKER      %s%s", name,
           "POLICY", is_left_out(t, NOW_RETRIES) ? "" : " RETRIES",
           is_left_out(t, NOW_P95) ? "" : "     P95",
           wide ? "BUDGET WAITING " : "", trend >= 9 ? "10 MINUTES" : "");
    attroff(A_UNDERLINE);
    for (int i = 0; i < room && t->first + (size_t)i < t->count; i++) {
        struct top_row *r = &t->rows[t->first + (size_t)i];
        int look = (r == selected ? A_REVERSE : 0) |
                   (r->level || r->paused ? A_BOLD : 0) |
                   (r->level ? alarm_colour(r->level) : 0);

        attron(look);
        if (r == selected) {
            put_at(3 + i, 0, "%*s", COLS, "");
        }
        draw_row(t, r, 3 + i, name, trend);
        attroff(look);
    }
    draw_foot(t);
}

/* ---- texts ---- */

void
top_draw_text(const char *text, size_t line, size_t column,
              const char *question)
{
    int y = 0;

    erase();
    for (; *text && y < LINES - 1;
         text += strcspn(text, "\n"), text += *text == '\n') {
        size_t length = strcspn(text, "\n");

        if (line > 0) {
            line--;
            continue;
        }
        put_at(y++, 0, "%.*s", (int)(length > column ? length - column : 0),
               text + (length > column ? column : length));
    }
    attron(A_REVERSE);
    put_at(LINES - 1, 0, "%-*s", COLS, question);
    attroff(A_REVERSE);
    refresh();
}

void
top_draw(struct top *t)
{
    char keys[128];

    if (t->help) {
        top_draw_text(help_text, 0, 0, "any key: back");
    } else if (t->detail) {
        snprintf(keys, sizeof(keys), "Esc back  q quit  arrows move  %s",
                 ACTIONS);
        top_draw_text(t->detail, t->line, t->column, keys);
    } else {
        erase();
        draw_head(t);
        draw_list(t);
        refresh();
    }
}
