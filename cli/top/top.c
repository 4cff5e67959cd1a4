#include "top.h"

#include <curses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#include <bide.h>
#include "base/clock.h"
#include "cli/command/command.h"
#include "cli/command/say.h"
#include "cli/out/text.h"

/* Moves the choice, or the text. */
static void
move_by(struct top *t, long by)
{
    struct top_row *r = top_selected(t);
    long at = t->detail ? (long)t->line : r ? (long)(r - t->rows) : 0;

    at = at + by < 0 ? 0 : at + by;
    if (t->detail) {
        long most = -1;

        for (const char *c = t->detail; *c; c++) {
            most += *c == '\n';
        }
        t->line = (size_t)(at < most ? at : most > 0 ? most : 0);
    } else if (r) {
        at = at < (long)t->count ? at : (long)t->count - 1;
        strcpy(t->selected, t->rows[at].cell.name);
    }
}

static void
leave_detail(struct top *t)
{
    free(t->detail);
    t->detail = NULL;
}

static void
next_sort(struct top *t)
{
    static const enum now_figure next[] = {[NOW_FAILED] = NOW_CALLS,
                                           [NOW_CALLS] = NOW_RETRIES,
                                           [NOW_RETRIES] = NOW_P95,
                                           [NOW_OK] = NOW_FAILED,
                                           [NOW_P95] = NOW_FAILED};

    if (t->by_name || t->sort != NOW_P95) {
        t->sort = next[t->sort];
        t->by_name = false;
    } else {
        t->by_name = true;
    }
    top_sort(t);
}

/* Handles a key.  Returns false if it ends the program. */
static bool
handle_key(struct top *t, int key)
{
    struct top_row *r = top_selected(t);

    snprintf(t->selected, sizeof(t->selected), "%s", r ? r->cell.name : "");
    if (t->help && key != KEY_RESIZE) {
        t->help = false;
        return key != 'q';
    }
    switch (key) {
    case 'q':
        return false;
    case KEY_UP:
    case 'k':
        move_by(t, -1);
        break;
    case KEY_DOWN:
    case 'j':
        move_by(t, 1);
        break;
    case KEY_PPAGE:
        move_by(t, -(long)LINES / 2);
        break;
    case KEY_NPAGE:
        move_by(t, (long)LINES / 2);
        break;
    case KEY_HOME:
        move_by(t, -1000000);
        if (!t->detail) {
            t->selected[0] = '\0'; /* whichever is first */
        }
        break;
    case KEY_END:
        move_by(t, 1000000);
        break;
    case KEY_RIGHT:
        t->column += 8;
        break;
    case KEY_LEFT:
        t->column -= t->column < 8 ? t->column : 8;
        break;
    case '\n':
    case '\r':
    case KEY_ENTER:
    case 'd':
        if (t->detail) {
            leave_detail(t);
        } else if (r) {
            t->line = t->column = 0;
            top_read_detail(t);
        }
        break;
    case 27:
        leave_detail(t);
        break;
    case 's':
        next_sort(t);
        break;
    case '/':
        (void)top_ask("Only names with (Enter: all): ", t->filter,
                      sizeof(t->filter));
        t->read_ns = 0;
        break;
    case '?':
    case 'h':
        t->help = true;
        break;
    default:
        top_act(t, key);
    }
    return true;
}

/* Reports whether the terminal is still there. */
static bool
has_terminal(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&in, 1, 0) >= 0 && !(in.revents & (POLLHUP | POLLERR));
}

static void
run_top(struct top *t)
{
    int key = ERR;

    do {
        if (t->read_ns == 0 || top_wait_ms(t) == 0) {
            top_read(t);
            if (t->detail) {
                top_read_detail(t);
            }
        }
        top_draw(t);
        timeout(top_wait_ms(t));
        key = getch();
    } while (has_terminal() && (key == ERR || handle_key(t, key)));
}

int
top_command(struct command_line *line)
{
    struct top t = {.dir = line->option[OPTION_DIR], .sort = NOW_FAILED};
    SCREEN *screen;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        say("top: needs a terminal; without one: bide list --sort failed");
        return STATUS_NO;
    }
    snprintf(t.filter, sizeof(t.filter), "%s",
             line->operands[0] ? line->operands[0] : "");
    screen = newterm(NULL, stdout, stdin);
    if (!screen || !cursor_address) {
        if (screen) {
            endwin();
        }
        say("top: TERM=%s: cannot move the cursor; without it: bide list "
            "--sort failed",
            getenv("TERM") ? getenv("TERM") : "");
        return STATUS_NO;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    if (text_in_colour() && start_color() != ERR &&
        use_default_colors() != ERR) {
        init_pair(1, COLOR_RED, -1);
        init_pair(2, COLOR_YELLOW, -1);
    }
    run_top(&t);
    endwin();
    delscreen(screen);
    free(t.rows);
    free(t.detail);
    trend_free(&t.trend);
    return STATUS_DONE;
}
