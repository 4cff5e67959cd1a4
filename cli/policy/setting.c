#include "setting.h"

#include <errno.h>
#include <pwd.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/change.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "store/history/recording.h"
#include "store/policies/record.h"

/* How long a command waits for another one that writes. */

static char *
trimmed(char *text)
{
    size_t length;

    text += strspn(text, " \t");
    length = strlen(text);
    while (length > 0 &&
           (text[length - 1] == ' ' || text[length - 1] == '\t')) {
        text[--length] = '\0';
    }
    return text;
}

static bool
is_among(const char *key, const struct admin_setting *from,
         const struct admin_setting *to)
{
    for (; from < to; from++) {
        if (strcmp(from->key, key) == 0) {
            return true;
        }
    }
    return false;
}

int
setting_read(struct command_line *line, char **operands,
             struct admin_setting *out)
{
    const struct admin_setting *first = out;

    for (; *operands; operands++, out++) {
        char *equals = strchr(*operands, '=');

        if (!equals || equals == *operands) {
            return say_usage(line, "%s: a setting is KEY=VALUE", *operands);
        }
        *equals = '\0';
        out->key = trimmed(*operands);
        out->value = trimmed(equals + 1);
        if (is_among(out->key, first, out)) {
            return say_usage(line, "%s is given twice", out->key);
        }
    }
    return 0;
}

static int
try_all(const struct admin_setting *s, size_t count, struct policy_text *t)
{
    struct faults faults = {0};
    int rc = 0;

    for (size_t i = 0; i < count && rc != BIDE_ENOMEM; i++) {
        int bad = policy_text_set(t, s[i].key, s[i].value, "set", 0, &faults);

        rc = bad ? bad : rc;
    }
    if (rc) {
        return say_refusal(rc, &faults, policy_text_name(t), NULL);
    }
    faults_free(&faults);
    return 0;
}

int
setting_try(struct command_line *line, char **operands, struct policy_text *t)
{
    struct admin_setting *settings;
    size_t count = 0;
    int status;

    while (operands[count]) {
        count++;
    }
    settings = calloc(count + 1, sizeof(*settings));
    if (!settings) {
        return say_no_memory();
    }
    status = setting_read(line, operands, settings);
    if (status == 0) {
        status = try_all(settings, count, t);
    }
    free(settings);
    return status;
}

/* Who is behind it: sudo's user, for "root" says nothing. */
static void
who(char *buffer, size_t size)
{
    const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
    struct passwd *user;

    if (sudo && *sudo) {
        snprintf(buffer, size, "%s", sudo);
        return;
    }
    user = getpwuid(getuid());
    if (user) {
        snprintf(buffer, size, "%s", user->pw_name);
    } else {
        snprintf(buffer, size, "%u", (unsigned)getuid());
    }
}

static int
read_count(const char *text, uint32_t least, uint32_t *out)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least ||
        value >= UINT32_MAX) {
        return -1;
    }
    *out = (uint32_t)value;
    return 0;
}

int
setting_count(struct command_line *line, enum option option, uint32_t least,
              uint32_t *out)
{
    const char *text = line->option[option];

    if (read_count(text, least, out)) {
        return say_usage(line, "--%s %s: a whole number from %u on",
                         option_rows[option].name, text, least);
    }
    return 0;
}

int
setting_version(struct command_line *line, const char *text, uint32_t *out)
{
    if (read_count(text + (*text == 'v'), 1, out)) {
        return say_usage(line, "%s: a version is a number, as in bide log",
                         text);
    }
    return 0;
}

int
setting_no_version(struct command_line *line, const char *name,
                   uint32_t version)
{
    struct record r;

    if (admin_policy(line->registry, name, &r)) {
        return say_no_policy(line->registry, name);
    }
    if (version > 0) {
        say("%s: no such version: %u (it is at %u)", name, version, r.version);
    } else {
        say("%s: no version before this one (%u)", name, r.version);
    }
    say("see: bide log %s", name);
    record_free(&r);
    return STATUS_ABSENT;
}

/* A note is one line of the log. */
static int
check_note(const char *note)
{
    if (strlen(note) > RECORD_NOTE_MAX) {
        say("--note: at most %d bytes, this has %zu", RECORD_NOTE_MAX,
            strlen(note));
        return STATUS_INPUT;
    }
    for (; *note; note++) {
        if ((unsigned char)*note < 0x20 || *note == 0x7f) {
            say("--note: one line of text, without control characters");
            return STATUS_INPUT;
        }
    }
    return 0;
}

static int
read_for(struct command_line *line, uint64_t *out)
{
    const char *text = line->option[OPTION_FOR], *why = "";
    char hint[64] = "";
    uint64_t ns;

    if (duration_read(text, &ns, &why, hint, sizeof(hint))) {
        say("--for %s: %s%s%s%s", text, why, *hint ? " (" : "", hint,
            *hint ? "?)" : "");
        return STATUS_INPUT;
    }
    if (ns == 0 || ns > DURATION_MAX) {
        say("--for %s: more than nothing, and an end", text);
        return STATUS_INPUT;
    }
    *out = ns;
    return 0;
}

int
setting_change(struct command_line *line, struct setting_change *out)
{
    struct admin_change *change = &out->change;
    int status = 0;

    memset(out, 0, sizeof(*out));
    who(out->who, sizeof(out->who));
    snprintf(out->command, sizeof(out->command), "bide %s",
             line->command->name);
    change->who = out->who;
    change->command = out->command;
    change->note = line->option[OPTION_NOTE];
    change->wait_ms = LOCK_WAIT_MS;
    change->dry_run = line->option[OPTION_DRY_RUN] != NULL;
    if (change->note) {
        status = check_note(change->note);
    }
    if (status == 0 && line->option[OPTION_IF_VERSION]) {
        status = setting_count(line, OPTION_IF_VERSION, 1, &change->if_version);
    }
    if (status == 0 && line->option[OPTION_FOR]) {
        status = read_for(line, &change->for_ns);
    }
    if (status == 0) {
        /* Without live state nobody waits: no reason not to change. */
        counts_sleeping(line->registry, &out->before);
    }
    return status;
}

void
setting_done(struct setting_change *c)
{
    counts_free(&c->before);
}

void
setting_print_told(const struct setting_change *c,
                   const struct admin_results *results)
{
    uint32_t told = c->change.dry_run ? 0 : counts_told(&c->before, results);

    if (told > 0) {
        printf("%u waiting %s decided again\n", told,
               text_plural(told, "call", "calls"));
    }
}

int
setting_size(struct command_line *line, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"MiB", 20}, {"GiB", 30}, {"M", 20}, {"G", 30}};
    const char *text = line->option[OPTION_KEEP_SIZE];
    unsigned long long number;
    char *end;

    *out = RECORDING_KEEP_BYTES;
    if (!text) {
        return 0;
    }
    errno = 0;
    number = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    for (size_t i = 0; number > 0 && number < 1u << 20 && !errno &&
                       i < sizeof(units) / sizeof(units[0]);
         i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *out = (uint64_t)number << units[i].shift;
            return 0;
        }
    }
    return say_usage(line, "--keep-size %s: a size, as 500MiB or 2GiB", text);
}
