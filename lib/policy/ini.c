/* Reading policy files.  The only file that knows inih.
 *
 * inih 55 loses or bends what it does not expect: the tail of a line over 198
 * bytes becomes a line of its own, names are cut at 49, a line that goes on
 * under one key may have been meant as the next key, `:` counts as `=`, text
 * behind `]` is dropped, a section without keys is never told, and of all
 * errors only the first one's line is.  Its settings are variables of the
 * process, which any other user of it may have changed; they are not touched
 * here.  So the reader that feeds it looks at each line first: what is wrong
 * becomes a fault and is not passed on, and what is passed on must come back
 * as the reader understood it. */
#include <ini.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "base/plain.h"
#include "sections.h"
#include "text.h"
#include "wrap.h"

enum { FILE_MAX = 64 << 20, SHOWN_MAX = 64 };

/* A stretch of the file. */
struct span {
    const char *start;
    size_t length;
};

struct reading {
    const char *file;
    struct faults *faults;
    const char *at, *end;
    int line;
    bool bad;       /* there was a fault */
    bool no_memory; /* nothing goes on after this */

    struct sections sections;
    struct policy_text *text; /* of the section, NULL before the first */

    /* The key that is being read, NULL between keys and after a bad one. */
    const struct key *key;
    int key_line;
    bool goes_on; /* an indented line has something to go on with */
    struct draft value;
    int seen[POLICY_KEY_MAX]; /* the last line with the key, any section */

    /* What inih must say about the line that it was given. */
    bool expected;
    struct span name, part;
};

#define FAULT(r, hint, ...)                                                \
    do {                                                                   \
        fault_add((r)->faults, (r)->file, (r)->line, (hint), __VA_ARGS__); \
        (r)->bad = true;                                                   \
    } while (0)

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct span
trim_end(struct span s)
{
    while (s.length && is_blank(s.start[s.length - 1])) {
        s.length--;
    }
    return s;
}

static struct span
trim(struct span s)
{
    while (s.length && is_blank(s.start[0])) {
        s.start++;
        s.length--;
    }
    return trim_end(s);
}

/* What stands before a `;` that follows a blank.  inih keeps it on a line that
 * goes on; one rule for all lines is easier to keep in mind. */
static struct span
without_comment(struct span s)
{
    for (size_t i = 1; i < s.length; i++) {
        if (s.start[i] == ';' && is_blank(s.start[i - 1])) {
            s.length = i;
            break;
        }
    }
    return trim_end(s);
}

static const char *
shown(struct span s, char *buffer)
{
    return plain_excerpt(s.start, s.length, buffer, SHOWN_MAX);
}

/* ---- keys and sections, once they are complete ---- */

/* Puts the key whose last line was read into its policy. */
static void
finish_key(struct reading *r)
{
    const struct key *key = r->key;
    int rc;

    r->key = NULL;
    if (!key || r->no_memory) {
        return;
    }
    draft_add(&r->value, "", 0);
    if (r->value.failed) {
        r->no_memory = true;
        return;
    }
    rc = policy_text_put(r->text, key, r->value.bytes, r->file, r->key_line,
                         r->faults);
    r->bad = r->bad || rc == BIDE_EINPUT;
    r->no_memory = r->no_memory || rc == BIDE_ENOMEM;
}

static void
begin_section(struct reading *r, const char *name)
{
    int rc, first;

    rc = sections_add(&r->sections, name, r->line, &r->text, &first);
    if (rc == BIDE_EEXIST) {
        FAULT(r, NULL, "[%s]: defined twice, first in line %d", name, first);
    } else if (rc != 0) {
        r->no_memory = true;
    }
}

static void
bad_section_name(struct reading *r, struct span name)
{
    char text[SHOWN_MAX], near[BIDE_NAME_MAX + 1], hint[SHOWN_MAX + 32];

    policy_name_near(shown(trim(name), text), near);
    snprintf(hint, sizeof(hint), "did you mean [%s]?", near);
    FAULT(r, near[0] ? hint : NULL,
          "[%s]: not a name: [a-z0-9][a-z0-9._-]{0,47}", shown(name, text));
}

/* "[name]".  A section whose own line is wrong is read all the same, so that
 * the faults of its keys are told too. */
static bool
section_line(struct reading *r, struct span line)
{
    const char *close = memchr(line.start, ']', line.length);
    struct span name = {line.start + 1, line.length - 1};
    char copy[BIDE_NAME_MAX + 1] = "", text[SHOWN_MAX];
    bool good = true;

    finish_key(r);
    r->goes_on = false;
    if (!close) {
        FAULT(r, NULL, "%s: the ] is missing", shown(line, text));
        good = false;
    } else {
        name.length = (size_t)(close - name.start);
        if (close + 1 != line.start + line.length) {
            FAULT(r, NULL, "%s: nothing may follow the ]", shown(line, text));
            good = false;
        }
    }
    if (name.length <= BIDE_NAME_MAX) {
        memcpy(copy, name.start, name.length);
        copy[name.length] = '\0';
    }
    if (good && !policy_name_ok(copy)) {
        bad_section_name(r, name);
        good = false;
    }
    begin_section(r, good ? copy : NULL);
    return good;
}

/* ---- lines ---- */

/* Whether the line has the form of a key and its value; sets both. */
static bool
split_key(struct reading *r, struct span line, struct span *name,
          struct span *value)
{
    char text[SHOWN_MAX], hint[3 * SHOWN_MAX], value_text[SHOWN_MAX];
    size_t at = 0;

    while (at < line.length && line.start[at] != '=' && line.start[at] != ':') {
        at++;
    }
    *name = trim((struct span){line.start, at});
    if (at == line.length) {
        FAULT(r, "a key is written as KEY = VALUE",
              "%s: there is no = in this line", shown(line, text));
        return false;
    }
    *value = trim((struct span){line.start + at + 1, line.length - at - 1});
    if (name->length == 0) {
        FAULT(r, NULL, "%s: there is no key before the %c", shown(line, text),
              line.start[at]);
        return false;
    }
    if (line.start[at] == ':') {
        snprintf(hint, sizeof(hint), "did you mean %s = %s?",
                 shown(*name, text), shown(*value, value_text));
        FAULT(r, hint, "%s: a key and its value have = between them",
              shown(line, text));
        return false;
    }
    return true;
}

static const struct key *
known_key(struct reading *r, struct span name)
{
    char text[SHOWN_MAX], hint[SHOWN_MAX];
    const struct key *key;
    const char *near;

    shown(name, text);
    key = key_find(text);
    if (!key) {
        near = key_near(text);
        snprintf(hint, sizeof(hint), "did you mean %s?", near ? near : "");
        FAULT(r, near ? hint : NULL, "%s: no such key", text);
    }
    return key;
}

/* "key = value".  A bad key leaves r->key NULL, and lines that go on with it
 * are not looked at. */
static bool
key_line(struct reading *r, struct span line)
{
    const struct key *key;
    struct span name, value;
    int *seen;

    finish_key(r);
    r->goes_on = true;
    if (!split_key(r, line, &name, &value)) {
        return false;
    }
    key = known_key(r, name);
    if (!key) {
        return false;
    }
    if (!r->text) {
        FAULT(r, "a policy begins with [its-name]",
              "%s: stands before the first section", key->name);
        return false;
    }
    seen = &r->seen[key - policy_keys];
    if (*seen > policy_text_line(r->text, NULL)) {
        FAULT(r, NULL, "%s: set twice, first in line %d", key->name, *seen);
        return false;
    }
    *seen = r->line;
    r->key = key;
    r->key_line = r->line;
    draft_clear(&r->value);
    r->name = name;
    r->part = value;
    return true;
}

/* An indented line, which goes on with the value above it. */
static bool
more_line(struct reading *r, struct span line)
{
    struct span part = trim(line);
    char text[SHOWN_MAX];

    if (!wrap_goes_on(part.start, part.length)) {
        FAULT(r, NULL,
              "%s: an indented line goes on with the value above it; keys "
              "and sections begin at the left",
              shown(part, text));
        return false;
    }
    if (!r->goes_on) {
        FAULT(r, NULL,
              "%s: an indented line goes on with a value, and there is none "
              "above it",
              shown(part, text));
        return false;
    }
    r->part = part;
    return r->key != NULL;
}

/* What inih can not hold is not passed on to it. */
static void
long_line(struct reading *r, struct span line, size_t limit)
{
    FAULT(r, "a long value goes on, indented, on the next line",
          "a line of %zu bytes: at most %zu are read", line.length, limit);
}

/* Looks at a line.  True: it is for inih, as `pass`. */
static bool
take_line(struct reading *r, struct span line, size_t limit, struct span *pass)
{
    bool long_one = line.length > limit;
    bool good;

    *pass = trim_end(line);
    line = trim(line);
    if (long_one) {
        long_line(r, *pass, limit);
    }
    if (line.length == 0 || line.start[0] == ';' || line.start[0] == '#') {
        return false;
    }
    *pass = without_comment(*pass);
    if (is_blank(pass->start[0])) {
        good = more_line(r, *pass);
    } else if (pass->start[0] == '[') {
        good = section_line(r, *pass);
    } else {
        good = key_line(r, *pass);
    }
    if (long_one) {
        r->key = NULL; /* told already: the value is not looked at */
    }
    r->expected = good && !long_one && pass->start[0] != '[';
    return good && !long_one;
}

static struct span
next_line(struct reading *r)
{
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    struct span line = {r->at, 0};

    line.length = (size_t)((newline ? newline : r->end) - r->at);
    r->at = newline ? newline + 1 : r->end;
    r->line++;
    if (line.length && line.start[line.length - 1] == '\r') {
        line.length--;
    }
    return line;
}

/* ---- inih ---- */

static void
misread(struct reading *r)
{
    FAULT(r, "does other code of this process change inih's settings?",
          "the line was not read as it stands there");
    r->expected = false;
    r->key = NULL;
}

/* inih's fgets: gives it the next line that it can do something with. */
static char *
read_line(char *out, int size, void *arg)
{
    struct reading *r = arg;
    size_t limit = POLICY_LINE_MAX;
    struct span pass;

    if (r->expected) {
        misread(r); /* it kept the last one to itself */
    }
    if (size < 3) {
        return NULL;
    }
    if ((size_t)size - 2 < limit) {
        limit = (size_t)size - 2;
    }
    while (r->at < r->end && !r->no_memory) {
        if (take_line(r, next_line(r), limit, &pass)) {
            memcpy(out, pass.start, pass.length);
            strcpy(out + pass.length, "\n");
            return out;
        }
    }
    return NULL;
}

static bool
is_text(struct span s, const char *text)
{
    return strlen(text) == s.length && memcmp(text, s.start, s.length) == 0;
}

static int
take_value(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *r = arg;

    (void)section;
    if (!r->expected || !value || !is_text(r->name, name) ||
        !is_text(r->part, value)) {
        misread(r);
        return 1;
    }
    r->expected = false;
    if (r->value.used && *value) {
        draft_add(&r->value, " ", 1);
    }
    draft_text(&r->value, value);
    if (r->value.used > POLICY_VALUE_MAX) {
        FAULT(r, NULL, "%s: longer than %d bytes", r->key->name,
              POLICY_VALUE_MAX);
        r->key = NULL;
    }
    return 1;
}

/* ---- the file ---- */

static int
line_at(const char *bytes, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < offset; i++) {
        line += bytes[i] == '\n';
    }
    return line;
}

/* Binary files and other encodings get one fault, not one for each line. */
static bool
looks_like_text(struct reading *r, const char *bytes, size_t length)
{
    size_t plain;

    if (length > FILE_MAX) {
        FAULT(r, NULL, "larger than 64 MiB");
        return false;
    }
    plain = plain_length(bytes, length);
    if (plain < length) {
        r->line = line_at(bytes, plain);
        FAULT(r, NULL,
              "not a text file: the byte 0x%02x is neither UTF-8 nor a "
              "printable character",
              (unsigned)(unsigned char)bytes[plain]);
        return false;
    }
    return true;
}

static void
read_all(struct reading *r)
{
    int rc = ini_parse_stream(read_line, r, take_value, r);

    if (r->expected || (rc > 0 && !r->no_memory)) {
        misread(r);
    }
    finish_key(r);
    if (rc < 0 || r->at < r->end) {
        r->no_memory = r->no_memory || rc == -2;
        if (!r->no_memory) {
            misread(r);
        }
    }
    if (!r->bad && !r->no_memory && r->sections.list.count == 0) {
        r->line = 0;
        FAULT(r, "a policy begins with [its-name]", "holds no policy");
    }
}

int
policy_read(const char *file, const char *bytes, size_t length,
            struct policy_list *out, struct faults *faults)
{
    struct reading r = {.file = file, .faults = faults};
    size_t first = faults ? faults->count : 0;
    int rc = 0;

    if (looks_like_text(&r, bytes, length)) {
        size_t bom = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;

        r.at = bytes + 3 * bom;
        r.end = bytes + length;
        read_all(&r);
    }
    draft_free(&r.value);
    if (faults) {
        faults_sort(faults,
                    first); /* a key's fault comes after its last line */
    }
    if (r.no_memory || (faults && faults->out_of_memory)) {
        rc = BIDE_ENOMEM;
    } else if (r.bad) {
        rc = BIDE_EINPUT;
    }
    sections_finish(&r.sections, rc == 0 ? out : NULL);
    return rc;
}
