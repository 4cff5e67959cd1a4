/* bide: parses the command line and runs the command. */
#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/live.h"
#include "admin/open.h"
#include "admin/role.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/near.h"
#include "base/paths.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/command/when.h"
#include "cli/out/fold.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "cli/watch/uncounted.h"

enum { GO_ON = -1 }; /* no exit status yet */

/* ---- names that do not exist ---- */

/* Suggests a command, or with line->group the second word of one of its
 * commands. */
static int
say_unknown_command(const struct command_line *line, const char *name)
{
    const char *group = line->group ? line->group : "";
    struct near near = near_begin(name);

    for (int i = 0; i < command_count; i++) {
        if (!line->group) {
            near_offer(&near, commands[i].name);
        } else if (command_is_group(group, &commands[i])) {
            near_offer(&near, commands[i].name + strlen(group) + 1);
        }
    }
    return say_usage(line, "%s%s%s: no such command%s%s%s", group,
                     *group ? " " : "", name,
                     near.best ? "; did you mean " : "",
                     near.best ? near.best : "", near.best ? "?" : "");
}

/* Reports whether `command` accepts `option`. `command` is NULL while no
 * command was read. */
static bool
takes_option(const struct command *command, int option)
{
    return option == OPTION_DIR || option == OPTION_HELP ||
           (command && (command->options & (option_set)1 << option)) ||
           (!command && option == OPTION_VERSION);
}

static int
say_unknown_option(const struct command_line *line, const char *name)
{
    struct near near;
    char typed[64];

    snprintf(typed, sizeof(typed), "%.*s",
             (int)strcspn(name, name[1] == '-' ? "=" : ""), name);
    near = near_begin(typed + strspn(typed, "-"));
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (takes_option(line->command, i) && option_rows[i].help) {
            near_offer(&near, option_rows[i].name);
        }
    }
    return say_usage(line, "%s: no such option%s%s%s", typed,
                     near.best ? "; did you mean --" : "",
                     near.best ? near.best : "", near.best ? "?" : "");
}

/* ---- options ---- */

/* Returns the option of a word, "--most=5" or "-n"; OPTION_COUNT: none. */
static int
find_option(const char *word)
{
    static const struct {
        char word[3];
        unsigned char option;
    } shorts[] = {{"-h", OPTION_HELP},
                  {"-p", OPTION_PATCH},
                  {"-n", OPTION_MOST},
                  {"-f", OPTION_FOLLOW},
                  {"-w", OPTION_WATCH}};
    size_t length = word[1] == '-' ? strcspn(word + 2, "=") : 0;
    int i = 0;

    for (size_t k = 0; k < sizeof(shorts) / sizeof(*shorts); k++) {
        if (strcmp(word, shorts[k].word) == 0) {
            return shorts[k].option;
        }
    }
    while (i < OPTION_COUNT &&
           !(length > 0 && strlen(option_rows[i].name) == length &&
             strncmp(option_rows[i].name, word + 2, length) == 0)) {
        i++;
    }
    return i;
}

/* Reads the option at `*at`, "--name=value", "--name value" or "-n value", into
 * `line`.  Moves `*at` to the last word of the option.  Returns GO_ON or an
 * exit status. */
static int
read_option(struct command_line *line, char ***at)
{
    const char *word = **at, *value = strchr(word, '=');
    int i = find_option(word), length = (int)strcspn(word, "=");

    if (i == OPTION_VERSION && !takes_option(line->command, i) && !value) {
        line->option[i] = ""; /* after any command: print the version of bide */
        return GO_ON;
    }
    if (i == OPTION_COUNT || !takes_option(line->command, i)) {
        return say_unknown_option(line, word);
    }
    line->typed[i] = length == 2 ? word : NULL;
    if (!option_rows[i].value || (i == OPTION_VERSION && !line->command)) {
        line->option[i] = "";
        return value ? say_usage(line, "%.*s takes no value", length, word)
                     : GO_ON;
    }
    value = value ? value + 1 : *++*at;
    if (!value) {
        return say_usage(line, "%s needs a value: %s", word,
                         option_rows[i].value);
    }
    if (line->option[i]) {
        return say_usage(line, "%.*s is given twice", length, word);
    }
    line->option[i] = value;
    return GO_ON;
}

static int
read_operand(struct command_line *line, char *arg)
{
    if (!line->command && !line->group && command_group(arg)) {
        line->group = arg;
        return GO_ON;
    }
    if (!line->command) {
        line->command = line->group ? command_in_group(line->group, arg)
                                    : command_find(arg);
        return line->command ? GO_ON : say_unknown_command(line, arg);
    }
    line->operands[line->count++] = arg;
    return GO_ON;
}

static int
read_line(struct command_line *line, char **at)
{
    bool options = true;
    int status = GO_ON;

    for (; *at && status == GO_ON; at++) {
        /* The words of another program (exec) are no options of bide. */
        options = options && !(line->command && line->command->rest_from > 0 &&
                               line->count > line->command->rest_from);
        if (options && strcmp(*at, "--") == 0) {
            options = false;
        } else if (options && **at == '-' && (*at)[1]) {
            status = read_option(line, &at);
            if (!*at) {
                break;
            }
        } else {
            status = read_operand(line, *at);
        }
    }
    return status;
}

static int
check_operand_count(struct command_line *line)
{
    const struct command *command = line->command;

    if (line->count < command->least) {
        return say_usage(line, "%s: an argument is missing", command->name);
    }
    if (command->most >= 0 && line->count > command->most) {
        return say_usage(line, "%s: unexpected argument: %s", command->name,
                         line->operands[command->most]);
    }
    return GO_ON;
}

/* ---- running the command ---- */

static int
open_registry(struct command_line *line)
{
    static char standard[4096]; /* `line` points to it until the process ends */
    int rc = 0;

    if (!line->option[OPTION_DIR]) {
        rc = paths_registry(standard, sizeof(standard));
        line->option[OPTION_DIR] = rc ? NULL : standard;
    }
    return rc ? rc : admin_open(line->option[OPTION_DIR], &line->registry);
}

/* Reports whether the output is for programs or files, also at a terminal. */
static bool
is_for_programs(const struct command_line *line)
{
    static const enum option options[] = {OPTION_JSON, OPTION_CSV, OPTION_RAW};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (line->option[options[i]]) {
            return true;
        }
    }
    return line->command->verbatim;
}

static int
run_command(struct command_line *line)
{
    const struct command *command = line->command;
    char uncounted[1024] = "", unrecorded[160];
    struct role_answer answer;
    int rc = 0, status;

    assert(command && command->run); /* each row of the table has .run */
    if (!is_for_programs(line)) {
        fold_output();
    }
    if (command->rest_from == 0) {
        /* Writing to a closed pipe is an error to ignore, not a signal that
         * kills.  exec leaves SIGPIPE as it is, for the program it runs. */
        signals_ignore_pipe();
    }
    if (command->registry != REGISTRY_NONE) {
        rc = open_registry(line);
    }
    if (rc && command->registry == REGISTRY_NEEDED) {
        return say_failure(rc, "registry");
    }
    if (command->counts) {
        json_note(uncounted_look(line->registry, uncounted, sizeof(uncounted))
                      ? uncounted
                      : NULL);
    }
    status = command->run(line);
    rc = line->registry && !status ? admin_live_failed(line->registry) : 0;
    if (command->counts && !status && !is_for_programs(line) &&
        unrecorded_look(line->registry, unrecorded, sizeof(unrecorded))) {
        printf("\nwarning: %s; see: bide doctor\n", unrecorded);
    }
    if (*uncounted && !status && !is_for_programs(line)) {
        printf("\nnote: ");
        text_put(stdout, uncounted, false);
        puts("; see: bide doctor");
    } else if (rc == BIDE_EPERM && say_has_changed()) {
        role_missing(line->option[OPTION_DIR], admin_live_path(line->registry),
                     &answer);
        say("services follow within 5 s; for at once: %s",
            *answer.run ? answer.run : answer.why);
    } else if (rc && !*uncounted) {
        if (!uncounted_look(line->registry, uncounted, sizeof(uncounted))) {
            snprintf(uncounted, sizeof(uncounted), "%s: %s",
                     admin_live_path(line->registry), bide_strerror(rc));
        }
        say("%s; see: bide doctor", uncounted);
    }
    admin_close(line->registry);
    return status;
}

/* Squeezes blanks, because the columns of a table become wider. */
static void
squeeze_blanks(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from != ' ' || from[1] != ' ') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* Prints the events in `text` that `before`, squeezed, does not have.  An event
 * begins with its time; the counts in an event of calls may grow. */
static void
print_new_lines(const char *before, const char *text)
{
    for (size_t length; *text; text += length) {
        char *line, *calls;

        length = strcspn(text, "\n");
        length += text[length] == '\n';
        line = strndup(text, length);
        if (line && strcspn(line, ":") < 20 && strchr(line, ':')) {
            squeeze_blanks(line);
            calls = strstr(line, " calls ");
            if (calls) {
                calls[7] = '\0';
            }
            if (!before || !strstr(before, line)) {
                printf("%.*s", (int)length, text);
            }
        }
        free(line);
    }
}

static uint64_t files_sum; /* of the times and sizes of a registry's files */

static int
add_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)type;
    (void)at;
    files_sum = files_sum * 31 + (uint64_t)st->st_mtim.tv_sec * SECOND_NS +
                (uint64_t)st->st_mtim.tv_nsec + (uint64_t)st->st_size;
    return 0;
}

/* Waits `seconds`.  Returns false as soon as nobody reads the output. */
static bool
wait_while_read(int seconds)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, seconds * 1000) == 0;
}

/* Waits until a file of the registry changes, at most 10 s: what was temporary
 * can end without that.  Then only the last hours are read again; `since` has
 * room for that option. */
static bool
wait_for_change(struct command_line *line, struct brief *since)
{
    const char *text = line->option[OPTION_SINCE];
    uint64_t before = files_sum, now_ns = clock_realtime_ns(), ns;

    for (int i = 0; i < 10 && files_sum == before; i++) {
        if (!wait_while_read(1)) {
            return false;
        }
        files_sum = 0;
        nftw(line->option[OPTION_DIR], add_file, 8, FTW_PHYS);
    }
    if (!text || when_read(text, now_ns, &ns) || ns + 2 * HOUR_NS < now_ns) {
        *since = when_write_iso(now_ns - HOUR_NS);
        line->option[OPTION_SINCE] = since->text;
    }
    return true;
}

/* Runs the command again and again: --watch shows it from the top of the
 * screen, --follow prints the lines that the run before did not print.  Each
 * time the registry is opened anew. */
static int
repeat_command(struct command_line *line)
{
    bool follow = line->option[OPTION_FOLLOW];
    char *before = NULL, *text = NULL;
    FILE *screen = stdout, *memory;
    struct brief since;
    size_t size;
    int status;

    do {
        fflush(screen);
        memory = open_memstream(&text, &size);
        if (!memory) {
            free(before);
            return say_no_memory();
        }
        stdout = memory;
        status = run_command(line);
        fflush(stdout);
        fold_end();
        fclose(memory);
        stdout = screen;
        if (follow) {
            print_new_lines(before, text);
            squeeze_blanks(text);
        } else {
            printf("%s%s\n", text_to_terminal() ? "\033[H\033[J" : "", text);
        }
        free(before);
        before = text;
        fflush(stdout);
    } while (!status && !ferror(stdout) &&
             (follow ? wait_for_change(line, &since) : wait_while_read(2)));
    free(before);
    return status;
}

static int
dispatch_command(struct command_line *line)
{
    int status;

    if (line->option[OPTION_HELP]) {
        /* --help has priority over everything else on the line. */
        line->operands[0] =
            line->command ? (char *)line->command->name : (char *)line->group;
        line->operands[1] = NULL;
        line->count = line->operands[0] ? 1 : 0;
        line->command = command_find("help");
        return run_command(line);
    }
    if (line->option[OPTION_VERSION] && !*line->option[OPTION_VERSION] &&
        !(line->command && takes_option(line->command, OPTION_VERSION))) {
        line->command = command_find("version");
        line->count = 0;
    }
    if (!line->command) {
        return say_usage(line, "%s%sno command given",
                         line->group ? line->group : "",
                         line->group ? ": " : "");
    }
    status = check_operand_count(line);
    return status != GO_ON ? status
           : line->option[OPTION_WATCH] || line->option[OPTION_FOLLOW]
               ? repeat_command(line)
               : run_command(line);
}

/* Flushes standard output and returns the exit status: `status`, or a failure
 * if the output could not be written.  A reader that has seen enough and closed
 * the pipe (bide list | head -1) is no failure. */
static int
flush_output(int status)
{
    if (ferror(stdout)) {
        /* errno is gone; write again to get it back. */
        clearerr(stdout);
        fputc('\n', stdout);
    }
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE) {
        fold_end();
        return status;
    }
    say("standard output: %s", errno ? strerror(errno) : "cannot be written");
    return status ? status : STATUS_NO;
}

int
main(int argc, char **argv)
{
    struct command_line line = {0};
    int status;

    text_locale();
    line.operands = calloc((size_t)argc + 2, sizeof(*line.operands));
    if (!line.operands) {
        return say_no_memory();
    }
    status = argc > 0 ? read_line(&line, argv + 1) : GO_ON;
    if (status == GO_ON) {
        status = dispatch_command(&line);
    }
    free(line.operands);
    return say_end(flush_output(status));
}
