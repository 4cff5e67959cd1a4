#include "top.h"

#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command/command.h"
#include "cli/out/text.h"

enum { WORDS = 24 };

bool
top_ask(const char *question, char *text, size_t size)
{
    size_t used = strlen(text);

    for (;;) {
        int key;

        move(LINES - 1, 0);
        clrtoeol();
        mvaddnstr(LINES - 1, 0, question, COLS);
        addnstr(text, COLS);
        refresh();
        timeout(-1);
        key = getch();
        if (key == '\n' || key == '\r' || key == KEY_ENTER) {
            return true;
        }
        if (key == 27 || key == ERR) {
            return false;
        }
        if ((key == KEY_BACKSPACE || key == 127 || key == 8) && used > 0) {
            text[--used] = '\0';
        } else if (key >= ' ' && key < 127 && used + 1 < size) {
            text[used++] = (char)key;
            text[used] = '\0';
        }
    }
}

/* Appends the words of a line to `words`. */
static void
split_words(char *line, const char **words, size_t *count)
{
    char *rest;

    for (char *word = strtok_r(line, " ", &rest); word && *count < WORDS - 8;
         word = strtok_r(NULL, " ", &rest)) {
        words[(*count)++] = word;
    }
}

/* Shows what a command printed, folded, until a key is pressed. */
static int
show_text(char *text, const char *question)
{
    char *folded = NULL, *rest = text;
    size_t size;
    FILE *out = open_memstream(&folded, &size);

    while (out && rest) {
        text_put_folded(out, strsep(&rest, "\n"), 0, 2, (size_t)COLS);
    }
    if (out) {
        fclose(out);
    }
    top_draw_text(folded ? folded : "", 0, 0, question);
    free(folded);
    timeout(-1);
    return getch();
}

/* Runs the command with --dry-run, asks, and runs it; if it `stores` a version,
 * for the one that was seen, with a note. */
static void
run_if_wanted(struct top *t, const char **words, size_t count, bool can_try,
              bool stores)
{
    struct draft out = {0};
    char note[160] = "", version[16];
    struct top_row *r = top_selected(t);
    int status = 0;

    snprintf(version, sizeof(version), "%u", r ? r->version : 0);
    draft_text(&out, "bide");
    for (size_t i = 0; i < count; i++) {
        draft_text(&out, " ");
        draft_text(&out, words[i]);
    }
    draft_text(&out, "\n\n");
    if (can_try) {
        words[count] = "--dry-run";
        status = top_run(t, words, &out);
        words[count] = NULL;
    }
    if (status || out.failed) {
        show_text(out.bytes, "any key: back");
    } else if (show_text(out.bytes, "Do it? y: yes, other keys: no") == 'y' &&
               (!stores ||
                top_ask("Note (Enter: none): ", note, sizeof(note)))) {
        if (stores) {
            words[count++] = "--if-version";
            words[count++] = version;
        }
        if (*note) {
            words[count++] = "--note";
            words[count++] = note;
        }
        draft_clear(&out);
        top_run(t, words, &out);
        show_text(out.bytes, "any key: back");
    }
    draft_free(&out);
}

void
top_act(struct top *t, int key)
{
    static const struct {
        int key;
        const char *command, *question;
    } acts[] = {
        {'e', "set", "set KEY=VALUE...: "},
        {'p', "pause", NULL},
        {'r', "resume", NULL},
        {'b', "breaker", "breaker (open, closed, auto, reset): "},
        {'w', "wake", NULL},
        {'R', "rollback", NULL},
    };
    const char *words[WORDS] = {0};
    char line[200] = "";
    size_t count = 0;

    for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
        if (acts[i].key != key || !*t->selected) {
            continue;
        }
        words[count++] = acts[i].command;
        words[count++] = t->selected;
        if (acts[i].question &&
            !top_ask(acts[i].question, line, sizeof(line))) {
            return;
        }
        split_words(line, words, &count);
        if (!acts[i].question || count > 2) {
            bool can_try = count < 3 || strcmp(words[2], "reset") != 0;

            run_if_wanted(t, words, count, can_try, can_try && key != 'w');
        }
        t->read_ns = 0;
    }
}
