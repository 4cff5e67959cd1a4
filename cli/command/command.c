#include "command.h"

#include <stdio.h>
#include <string.h>

#include "base/draft.h"

const struct option_row option_rows[OPTION_COUNT] = {
#define X(id, name, value, help) {name, value, help},
    OPTIONS(X)
#undef X
};

const char *const section_titles[SECTION_COUNT] = {
#define X(id, title) title,
    SECTIONS(X)
#undef X
};

const char *
command_option_help(const struct command *command, int option)
{
    const struct option_note *note = command->notes;

    for (; note && note->help; note++) {
        if (note->option == option) {
            return note->help;
        }
    }
    return option_rows[option].help;
}

const struct command *
command_find(const char *name)
{
    for (int i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool
command_is_group(const char *word, const struct command *c)
{
    size_t length = strlen(word);

    return length > 0 && strncmp(c->name, word, length) == 0 &&
           c->name[length] == ' ';
}

const struct command *
command_group(const char *word)
{
    for (int i = 0; i < command_count; i++) {
        if (command_is_group(word, &commands[i])) {
            return &commands[i];
        }
    }
    return NULL;
}

const struct command *
command_in_group(const char *group, const char *word)
{
    char name[128]; /* longer than any: what is cut is no name */

    snprintf(name, sizeof(name), "%s %s", group, word);
    return command_find(name);
}

static void
add_options(struct draft *to, const struct command *command)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (command->options & (option_set)1 << i && option_rows[i].help) {
            draft_print(to, " [--%s%s%s]", option_rows[i].name,
                        option_rows[i].value ? " " : "",
                        option_rows[i].value ? option_rows[i].value : "");
        }
    }
}

char *
command_usage(const struct command *command)
{
    /* Options of bide stand before the other program's command line. */
    size_t before = command->rest_from > 0 ? strcspn(command->usage, " ")
                                           : strlen(command->usage);
    struct draft usage = {0};

    draft_print(&usage, "bide %s%s", command->name, before > 0 ? " " : "");
    draft_add(&usage, command->usage, before);
    add_options(&usage, command);
    draft_text(&usage, command->usage + before);
    return draft_take(&usage);
}
