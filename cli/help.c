/* bide help and bide version: text made from the tables of commands, options,
 * keys and outcomes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "policy/key.h"
#include "policy/outcome.h"
#include "manual.h"

enum { HELP_WIDTH = 79 };

int
version_command(struct command_line *line)
{
    (void)line;
    puts("bide " BIDE_VERSION);
    return STATUS_DONE;
}

/* ---- bide help ---- */

static void
print_command_row(const struct command *command)
{
    printf("  %-16s  ", command->name);
    text_put_folded(stdout, command->help, 20, 20, HELP_WIDTH);
}

static int
help_all(void)
{
    puts("usage: bide [--dir DIR] COMMAND ...\n\n"
         "Named retry policies that all programs on this host share.");
    for (int section = 0; section < SECTION_COUNT; section++) {
        printf("\n%s\n", section_titles[section]);
        for (int i = 0; i < command_count; i++) {
            if ((int)commands[i].section == section) {
                print_command_row(&commands[i]);
            }
        }
    }
    puts("\nMore help: bide help COMMAND, bide help keys (what a policy can "
         "contain),\nbide help outcomes (results of an attempt), man 7 bide "
         "(how to operate bide).\n\n"
         "Exit status: 0 done; 1 the answer is no, or it failed; 2 usage; 3 no "
         "such\npolicy or version; 4 --if-version does not hold; 5 invalid "
         "input; 6 the registry\nis missing, locked, damaged, full or not "
         "permitted.");
    return STATUS_DONE;
}

/* ---- bide help COMMAND ---- */

static void
print_option_row(const struct command *command, int option)
{
    const struct option_row *row = &option_rows[option];
    char name[64];

    snprintf(name, sizeof(name), "--%s%s%s", row->name, row->value ? " " : "",
             row->value ? row->value : "");
    printf("  %-24s  ", name);
    text_put_folded(stdout, command_option_help(command, option), 28, 28,
                    HELP_WIDTH);
}

static void
print_examples(const char *lines)
{
    if (!lines) {
        return;
    }
    puts("\nExamples:");
    for (; *lines; lines += strcspn(lines, "\n") + 1) {
        printf("  %.*s\n", (int)strcspn(lines, "\n"), lines);
    }
}

static int
help_on_command(const struct command *command)
{
    char *usage = command_usage(command);

    if (!usage) {
        return say_no_memory();
    }
    printf("usage: ");
    text_put_folded(stdout, usage, 7, 7 + 5 + (int)strlen(command->name) + 1,
                    HELP_WIDTH);
    printf("\n%s: %s\n\n", command->name, command->help);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (command->options & (option_set)1 << i && option_rows[i].help) {
            print_option_row(command, i);
        }
    }
    print_option_row(command, OPTION_DIR);
    print_option_row(command, OPTION_HELP);
    print_examples(command->examples);
    free(usage);
    return STATUS_DONE;
}

static int
help_on_group(const char *group)
{
    printf("usage: bide %s COMMAND ...\n\n", group);
    for (int i = 0; i < command_count; i++) {
        if (command_is_group(group, &commands[i])) {
            print_command_row(&commands[i]);
        }
    }
    printf("\nMore help: bide help %s COMMAND.\n", group);
    return STATUS_DONE;
}

/* ---- bide help keys, bide help KEY ---- */

static int
help_keys(void)
{
    static const struct table_column columns[] = {
        {"KEY", 0}, {"DEFAULT", 0}, {"MEANING", TABLE_WRAP}};
    struct table *t = table_new(columns, 3);

    for (size_t i = 0; i < policy_key_count; i++) {
        const struct key *key = &policy_keys[i];

        table_row_of(t, key->name);
        if (*key->preset) {
            table_cell(t, 1, "%s", key->preset);
        }
        table_cell(t, 2, "%s", key->help);
    }
    return table_print(t) ? say_no_memory() : STATUS_DONE;
}

static int
help_on_key(const struct key *key)
{
    char values[256];

    printf("%s: %s\n", key->name, key->help);
    printf("  default  %s\n", *key->preset ? key->preset : "none");
    printf("  values   %s\n", manual_values(key, values, sizeof(values)));
    return STATUS_DONE;
}

/* Adds the bounds of a number, of a duration in ms, of a share in %. */
static void
put_bounds(struct json *j, const struct key *key)
{
    double unit = key->type == KEY_DURATION ? 1e6 : 1;

    if (key->type == KEY_COUNT || key->type == KEY_NUMBER ||
        key->type == KEY_DURATION || key->type == KEY_SHARE) {
        json_put_number(j, "low", key->low / unit);
        json_put_number(j, "high", key->high / unit);
    }
}

/* Prints the key `only`; NULL: all keys. */
static int
help_keys_json(const struct key *only)
{
    struct json *object = json_object_new(), *array, *j, *words;
    char values[256], *word, *rest;

    array = json_in_array(object, "keys");
    for (size_t i = 0; i < policy_key_count; i++) {
        const struct key *key = &policy_keys[i];

        if (only && only != key) {
            continue;
        }
        j = json_add_object(array);
        json_put_text(j, "key", key->name);
        json_put_text(j, "type", manual_type(key));
        json_put_text(j, "default", *key->preset ? key->preset : NULL);
        json_put_text(j, "values", manual_values(key, values, sizeof(values)));
        json_put_text(j, "help", key->help);
        put_bounds(j, key);
        words = json_in_array(j, "words");
        manual_words(key, values, sizeof(values));
        for (word = strtok_r(values, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest)) {
            json_put_text(words, NULL, word);
        }
    }
    return json_out(object) ? say_no_memory() : STATUS_DONE;
}

/* ---- bide help --json ---- */

static int
help_json(void)
{
    struct json *j = json_object_new(), *all, *array, *one;

    all = json_in_array(j, "sections");
    for (int i = 0; i < SECTION_COUNT; i++) {
        json_put_text(all, NULL, section_titles[i]);
    }
    all = json_in_array(j, "commands");
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        char *usage = command_usage(c);

        one = json_add_object(all);
        json_put_text(one, "command", c->name);
        json_put_text(one, "section", section_titles[c->section]);
        json_put_text(one, "operands", c->usage);
        json_put_text(one, "usage", usage);
        json_put_text(one, "help", c->help);
        array = json_in_array(one, "options");
        for (int k = 0; k < OPTION_COUNT; k++) {
            if (c->options & (option_set)1 << k && option_rows[k].help) {
                one = json_add_object(array);
                json_put_text(one, "option", option_rows[k].name);
                json_put_text(one, "help", command_option_help(c, k));
            }
        }
        free(usage);
    }
    all = json_in_array(j, "options");
    for (int k = 0; k < OPTION_COUNT; k++) {
        one = json_add_object(all);
        json_put_text(one, "option", option_rows[k].name);
        json_put_text(one, "value", option_rows[k].value);
        json_put_text(one, "help", option_rows[k].help);
    }
    return json_out(j) ? say_no_memory() : STATUS_DONE;
}

/* ---- bide help outcomes ---- */

static int
help_outcomes(void)
{
    static const struct table_column columns[] = {
        {"OUTCOME", 0}, {"CLASSES", 0}, {"", TABLE_WRAP}};
    const struct outcome_class_row *class;
    const struct outcome_row *row;
    struct table *t = table_new(columns, 3);
    char name[64], *classes;

    puts("Outcomes of an attempt, as in retry_on = transient, http.409\n");
    for (size_t i = 0; (class = outcome_class_row(i)); i++) {
        printf("  %-10s %s\n", class->name, class->note);
    }
    puts(
        "\nOthers: by number or range (http.5xx, exit.64-78), and app.NAME for "
        "outcomes\nthat a program defines.\n");
    for (size_t i = 0; (row = outcome_row(i)); i++) {
        bide_outcome_name(
            (struct bide_outcome){.domain = row->domain, .code = row->code},
            name, sizeof(name));
        table_row_of(t, name);
        classes =
            outcome_set_write(&(struct outcome_set){.classes = row->classes});
        table_cell(t, 1, "%s", row->classes && classes ? classes : "-");
        free(classes);
        table_cell(t, 2, "%s", row->note ? row->note : "");
    }
    return table_print(t) ? say_no_memory() : STATUS_DONE;
}

/* ---- the command ---- */

int
help_command(struct command_line *line)
{
    const char *topic = line->operands[0], *second = line->operands[1];
    const struct command *command = second  ? command_in_group(topic, second)
                                    : topic ? command_find(topic)
                                            : NULL;
    const struct key *key = topic && !second ? key_find(topic) : NULL;

    if (line->option[OPTION_JSON]) {
        return key || (topic && !second && strcmp(topic, "keys") == 0)
                   ? help_keys_json(key)
               : topic ? say_usage(line, "--json: only alone, with keys, or "
                                         "with a key")
                       : help_json();
    }
    if (!topic) {
        return help_all();
    }
    if (!second && command_group(topic)) {
        return help_on_group(topic);
    }
    if (second && !command) {
        return say_usage(line, "%s %s: no such command", topic, second);
    }
    if (strcmp(topic, "keys") == 0) {
        return help_keys();
    }
    if (strcmp(topic, "outcomes") == 0) {
        return help_outcomes();
    }
    if (command) {
        return help_on_command(command);
    }
    if (key) {
        return help_on_key(key);
    }
    return say_usage(line, "%s: no such command, key or subject", topic);
}
