#include "manual.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/key.h"

/* ---- the values of a key ---- */

static const char *const value_descriptions[] = {
    [KEY_TEXT] = "one line of text",
    [KEY_NAME] = "the name of a policy",
    [KEY_CHOICE] = "one of",
    [KEY_SWITCH] = "yes or no",
    [KEY_COUNT] = "a whole number",
    [KEY_NUMBER] = "a number",
    [KEY_DURATION] = "a duration such as 250ms or 1.5s",
    [KEY_SHARE] = "a percentage such as 20%",
    [KEY_RATE] = "a rate such as 10/s",
    [KEY_TOKENS] = "a number with at most three decimals",
    [KEY_WINDOW] = "a duration, or a number of calls such as 100 calls",
    [KEY_OUTCOMES] = "outcomes: bide help outcomes",
    [KEY_CHAIN] = "waits such as 1s x3, 2s x5, 5s",
    [KEY_JITTER] = "none, full, equal, a percentage (20%) or an addition (+1s)",
    [KEY_GROUP] = "none, own, or the name of a group",
    [KEY_REFILL] = "a rate such as 0.5/s",
};

const char *
manual_type(const struct key *key)
{
    static const char *const types[] = {
        [KEY_TEXT] = "text",         [KEY_NAME] = "name",
        [KEY_CHOICE] = "choice",     [KEY_SWITCH] = "switch",
        [KEY_COUNT] = "count",       [KEY_NUMBER] = "number",
        [KEY_DURATION] = "duration", [KEY_SHARE] = "share",
        [KEY_RATE] = "rate",         [KEY_TOKENS] = "tokens",
        [KEY_WINDOW] = "window",     [KEY_OUTCOMES] = "outcomes",
        [KEY_CHAIN] = "chain",       [KEY_JITTER] = "jitter",
        [KEY_GROUP] = "group",       [KEY_REFILL] = "refill",
    };

    return types[key->type];
}

char *
manual_values(const struct key *key, char *buffer, size_t size)
{
    size_t used = 0;

    snprintf(buffer, size, "%s", value_descriptions[key->type]);
    if (key->type == KEY_CHOICE) {
        snprintf(buffer, size, "one of: %s", key->choices);
    } else if (key->type == KEY_COUNT || key->type == KEY_NUMBER) {
        used = strlen(buffer);
        snprintf(buffer + used, size - used, " from %.15g to %.15g", key->low,
                 key->high);
    }
    if (key->open) {
        used = strlen(buffer);
        snprintf(buffer + used, size - used, ", or %s", key->open);
    }
    return buffer;
}

char *
manual_words(const struct key *key, char *buffer, size_t size)
{
    const char *words = key->type == KEY_SWITCH ? "yes no" : key->choices;

    snprintf(buffer, size, "%s%s%s", words ? words : "",
             words && key->open ? " " : "", key->open ? key->open : "");
    return buffer;
}

/* ---- manual pages ---- */

/* Writes text as roff, where a plain '-' is a hyphen and must be "\-". */
static void
put_roff(const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
}

/* Writes a help text as a sentence. */
static void
put_sentence(const char *text)
{
    putchar(toupper((unsigned char)*text));
    put_roff(text + 1);
    puts(".");
}

void
manual_keys(void)
{
    char values[256];

    for (size_t i = 0; i < policy_key_count; i++) {
        const struct key *key = &policy_keys[i];

        printf(".TP\n.B %s\n", key->name);
        put_sentence(key->help);
        printf("Takes ");
        put_roff(manual_values(key, values, sizeof(values)));
        printf(".\nDefault: ");
        put_roff(*key->preset ? key->preset : "none");
        puts(".");
    }
}

static void
write_manual_entry(const struct command *command)
{
    char *usage = command_usage(command);
    const struct option_note *note = command->notes;

    printf(".TP\n.B ");
    put_roff(usage ? usage : command->name);
    putchar('\n');
    put_sentence(command->help);
    for (; note && note->help; note++) {
        if (command->options & (option_set)1 << note->option) {
            printf(".br\n.BR \\-\\-");
            put_roff(option_rows[note->option].name);
            puts(" :");
            put_roff(note->help);
            puts(".");
        }
    }
    free(usage);
}

void
manual_commands(void)
{
    puts(".SH COMMANDS");
    for (int section = 0; section < SECTION_COUNT; section++) {
        printf(".SS %s\n", section_titles[section]);
        for (int i = 0; i < command_count; i++) {
            if ((int)commands[i].section == section) {
                write_manual_entry(&commands[i]);
            }
        }
    }
    puts(".SH OPTIONS");
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (row->help) {
            printf(".TP\n.B \\-\\-");
            put_roff(row->name);
            printf("%s%s\n", row->value ? " " : "",
                   row->value ? row->value : "");
            put_sentence(row->help);
        }
    }
}

/* ---- completion in bash and zsh ---- */

/* Returns the shell function that completes a command's operands.  It is chosen
 * by the usage: the first row whose text the usage contains. */
static const char *
operand_completer(const struct command *command)
{
    static const struct {
        const char *in_usage, *shell;
    } rows[] = {
        {"NAME KEY", "_bide_names_then_keys"},
        {"NAME [open", "_bide_names_then_states"},
        {"NAME [reset", "_bide_names_then_states"},
        {"NAME|FILE", "_bide_names_then_settings"},
        {"| FILE", "_bide_names_then_settings"},
        {"NAME [VERSION", "_bide_names_then_versions"},
        {"FILE", "_bide_files"},
        {"COMMAND...", "_bide_names_then_commands"},
        {"ID...|NAME", "_bide_names"},
        {"NAME", "_bide_names"},
        {"PATTERN", "_bide_names"},
        {"[COMMAND", "_bide_topics"},
        {"ID", ":"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strstr(command->usage, rows[i].in_usage)) {
            return rows[i].shell;
        }
    }
    return ":";
}

static void
write_command_cases(void)
{
    for (int i = 0; i < command_count; i++) {
        printf("    '%s')\n        options='", commands[i].name);
        for (int k = 0; k < OPTION_COUNT; k++) {
            if (commands[i].options & (option_set)1 << k &&
                option_rows[k].help) {
                printf("--%s ", option_rows[k].name);
            }
        }
        printf("--dir --help'\n        operands=%s\n        ;;\n",
               operand_completer(&commands[i]));
    }
}

/* Writes the function that completes the values of keys that take words. */
static void
write_values(void)
{
    char words[256];

    puts("_bide_values() {\n    case $1 in");
    for (size_t i = 0; i < policy_key_count; i++) {
        if (*manual_words(&policy_keys[i], words, sizeof(words))) {
            printf("    %s) _bide_words '%s' ;;\n", policy_keys[i].name, words);
        }
    }
    puts("    extends) _bide_names ;;\n    esac\n}\n");
}

void
manual_completion(void)
{
    write_values();
    fputs("# Commands of two words have a point between them.\n"
          "_bide_commands='",
          stdout);
    for (int i = 0; i < command_count; i++) {
        const char *name = commands[i].name;
        int first = (int)strcspn(name, " ");

        printf("%s%.*s%s%s", i > 0 ? " " : "", first, name,
               name[first] ? "." : "", name[first] ? name + first + 1 : "");
    }
    fputs("'\n_bide_keys='", stdout);
    for (size_t i = 0; i < policy_key_count; i++) {
        printf("%s%s", i > 0 ? " " : "", policy_keys[i].name);
    }
    fputs("'\n# Options that take a value.\n_bide_valued=' ", stdout);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (option_rows[i].value) {
            printf("--%s ", option_rows[i].name);
        }
    }
    puts("'\n\n_bide_choose() {\n    case $command in");
    write_command_cases();
    puts("    *)\n        options='--dir --help --version'\n"
         "        operands=_bide_first\n        ;;\n    esac\n}");
}
