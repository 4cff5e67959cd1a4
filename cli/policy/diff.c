/* bide diff: compares two states of policies, key by key: versions, moments,
 * files, or other policies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/clock.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "difference.h"
#include "source.h"

static void
print_line(char sign, const char *text)
{
    const char *colour = sign == '-' ? "\033[31m" : "\033[32m";

    printf("%s%c ", text_in_colour() ? colour : "", sign);
    text_put(stdout, text ? text : "?", false);
    puts(text_in_colour() ? "\033[0m" : "");
}

static void
print_key(char sign, const struct key *key, const char *value)
{
    char *text = NULL;

    if (value && asprintf(&text, "%s = %s", key->name, value) >= 0) {
        print_line(sign, text);
        free(text);
    }
}

/* Prints the keys that differ, below `title`; that one `always`.  Reports
 * whether any key differs. */
static bool
print_differences(const char *title, const struct policy_text *old,
                  const struct policy_text *now, bool always)
{
    struct difference all[POLICY_KEY_MAX];
    size_t count = difference_of(old, now, all);
    bool differ = count > 0 || !old != !now;

    if (differ || always) {
        text_put(stdout, title, false);
        putchar('\n');
    }
    for (size_t i = 0; i < count; i++) {
        print_key('-', all[i].key, all[i].old);
        print_key('+', all[i].key, all[i].now);
    }
    return differ;
}

/* Prints the layers that `r` has and `other` has not.  Returns their number. */
static int
print_layers(char sign, const struct record *r, const struct record *other)
{
    struct record_part parts[RECORD_PARTS_MAX];
    size_t count = layer_only(r, other, parts);
    int lines = 0;

    for (size_t i = 0; i < count; lines++) {
        char *line = layer_line(parts, count, NULL, 0, &i);

        print_line(sign, line);
        free(line);
    }
    return lines;
}

int
difference_print(const char *title, const struct record *before,
                 const struct record *after, bool always)
{
    struct policy_text *old = NULL, *now = NULL;
    int rc = before->deleted ? 0 : admin_base(before, &old), differ;

    rc = rc || after->deleted ? rc : admin_base(after, &now);
    if (rc == 0) {
        differ = print_differences(
            title, old, now,
            always || before->part_count + after->part_count > 2);
        differ += print_layers('-', before, after);
        differ += print_layers('+', after, before);
        rc = differ > 0;
    }
    policy_text_free(old);
    policy_text_free(now);
    return rc;
}

/* ---- the two sides ---- */

struct comparison {
    struct command_line *line;
    char *word[2];         /* what to compare; from NULL: the version before */
    struct source file[2]; /* those that are files, once they are read */
    bool whole;            /* all policies of files: they may lack some */
    bool differ;
};

/* A policy as it was at some time, or is in a file. */
struct side {
    struct record r;
    char *text;     /* of a file */
    const char *of; /* "v5", the file, or "(new)" */
    char version[24];
};

static bool
is_number(const char *word)
{
    word += *word == 'v';
    return *word && word[strspn(word, "0123456789")] == '\0';
}

static int
take_from_file(struct comparison *c, int i, const char *name, struct side *out)
{
    char *paths[] = {c->word[i], NULL};
    struct source *s = &c->file[i];
    const struct policy_text *t;
    struct faults faults = {0};
    int rc = 0;

    if (!s->file_count) {
        s->registry = c->line->registry;
        rc = source_read(s, paths, &faults);
        rc = say_refusal(rc ? rc : source_check(s, &faults), &faults,
                         c->word[i], NULL);
    }
    if (rc) {
        return rc;
    }
    out->of = c->word[i];
    if (policy_list_find(&s->all, name, &t)) {
        out->of = i == 0 ? "(new)" : out->of;
        out->r.deleted = true;
        if (!c->whole) {
            say("%s: it has no section [%s]", c->word[i], name);
        }
        return c->whole ? 0 : STATUS_ABSENT;
    }
    out->text = policy_text_write(t);
    out->r.text = out->text;
    out->r.part_count = 1; /* no layers */
    snprintf(out->r.name, sizeof(out->r.name), "%s", name);
    return out->text ? 0 : say_no_memory();
}

struct moment {
    uint64_t at_ns;
    uint32_t version;
};

static int
find_moment(void *arg, const struct record *r)
{
    struct moment *m = arg;

    m->version = r->version;
    return r->when_ns <= m->at_ns;
}

/* Finds the version in force at the time of "@TIME". */
static int
read_moment(struct comparison *c, const char *name, const char *word,
            struct moment *out)
{
    uint64_t now_ns = clock_realtime_ns();
    int rc;

    if (when_read(word + 1, now_ns, &out->at_ns)) {
        return say_usage(c->line, "%s: not a time, such as @14:00 or @2h",
                         word);
    }
    if (out->at_ns > now_ns) {
        return say_usage(c->line, "%s: this time is in the future", word);
    }
    rc = admin_each_version(c->line->registry, name, find_moment, out);
    if (rc > 0) {
        return 0;
    }
    if (rc == 0 && out->version) {
        say("%s: its first version is later than %s", name, word);
        say("see: bide log %s", name);
        return STATUS_ABSENT;
    }
    return say_no_version(c->line->registry, name, 0, rc ? rc : BIDE_ENOPOLICY);
}

/* Reads what word `i` means for a policy.  Returns 0 or the exit status. */
static int
read_side(struct comparison *c, int i, const char *name, struct side *out)
{
    struct admin *registry = c->line->registry;
    const char *word = c->word[i];
    struct moment m = {.at_ns = 0};
    int rc, status = 0;

    if (source_is_file(word)) {
        return take_from_file(c, i, name, out);
    }
    if (*word == '@') {
        status = read_moment(c, name, word, &m);
    } else if (is_number(word)) {
        status = number_read_version(c->line, word, &m.version);
    } else if (strcmp(word, "now") != 0) {
        name = word;
        status = say_unless_found(registry, name, NULL);
        if (status) {
            say("or give a version (3), @TIME (@14:00), now, or a file");
        }
    }
    if (status) {
        return status;
    }
    rc = admin_version(registry, name, m.version, &out->r);
    if (c->whole && (rc == BIDE_ENOPOLICY || (!rc && out->r.deleted))) {
        out->of = "(new)";
        out->r.deleted = true;
        return 0;
    }
    if (rc == 0) {
        snprintf(out->version, sizeof(out->version), "v%u", out->r.version);
        out->of = out->version;
        /* A file has no layers. */
        record_settle(&out->r, c->word[!i] && source_is_file(c->word[!i])
                                   ? UINT64_MAX
                                   : m.at_ns);
    }
    return say_no_version(registry, name, m.version, rc);
}

/* Compares the two states of a policy.  Returns 0 or the exit status. */
static int
compare_policy(struct comparison *c, const char *name)
{
    struct side s[2] = {{.of = NULL}, {.of = NULL}};
    int rc, status = read_side(c, 1, name, &s[1]);
    char *title = NULL;

    if (status == 0 && c->word[0]) {
        status = read_side(c, 0, name, &s[0]);
    } else if (status == 0) {
        rc = admin_before(c->line->registry, &s[1].r, &s[0].r);
        status = say_no_version(c->line->registry, name, 0, rc);
        snprintf(s[0].version, sizeof(s[0].version), "v%u", s[0].r.version);
        s[0].of = s[0].version;
    }
    if (status == 0) {
        bool other = strcmp(s[1].r.name, name) != 0 && !s[1].r.deleted;

        rc = asprintf(&title, "%s %s -> %s%s%s%s", name, s[0].of,
                      other ? s[1].r.name : "", other ? " " : "", s[1].of,
                      s[1].r.deleted                ? " (deleted)"
                      : s[0].r.deleted && !c->whole ? " (was deleted)"
                                                    : "") < 0
                 ? BIDE_ENOMEM
                 : difference_print(title, &s[0].r, &s[1].r, false);
        c->differ |= rc > 0;
        status = rc < 0 ? say_failure(rc, name) : 0;
        free(title);
    }
    for (int i = 0; i < 2; i++) {
        record_free(&s[i].r);
        free(s[i].text);
    }
    return status;
}

/* Compares a file with the registry, or two files. */
static int
compare_files(struct comparison *c)
{
    struct side none = {.of = NULL};
    int status = 0;

    c->whole = true;
    for (int i = 0; i < 2 && status == 0; i++) {
        status =
            source_is_file(c->word[i]) ? take_from_file(c, i, "", &none) : 0;
    }
    for (size_t i = 0; i < c->file[1].all.count && status == 0; i++) {
        status = compare_policy(c, policy_text_name(c->file[1].all.list[i]));
    }
    for (size_t i = 0; i < c->file[0].all.count && status == 0; i++) {
        const char *name = policy_text_name(c->file[0].all.list[i]);
        const struct policy_text *t;

        status = policy_list_find(&c->file[1].all, name, &t)
                     ? compare_policy(c, name)
                     : 0;
    }
    return status;
}

int
diff_command(struct command_line *line)
{
    char **words = line->operands, now[] = "now", *name = words[0];
    bool from_file = source_is_file(name);
    bool files = from_file && (!words[1] || source_is_file(words[1]));
    struct comparison c = {
        .line = line, .word = {words[1], line->count > 2 ? words[2] : now}};
    int status = 0;

    if (files && line->count > 2) {
        status = say_usage(line, "%s: not a policy", words[1]);
    } else if (files) {
        c.word[0] = words[1] ? name : now;
        c.word[1] = words[1] ? words[1] : name;
    } else if (from_file) {
        c.word[0] = name; /* to this policy */
        name = words[1];
    } else if (line->count == 2 && *words[1] != '@' && !is_number(words[1])) {
        c.word[0] = now; /* to another policy, or to a file */
        c.word[1] = words[1];
    } else if (!words[1]) {
        status = say_unless_found(line->registry, name, NULL);
    }
    status = status  ? status
             : files ? compare_files(&c)
                     : compare_policy(&c, name);
    source_free(&c.file[0]);
    source_free(&c.file[1]);
    return status ? status : c.differ ? STATUS_NO : STATUS_DONE;
}
