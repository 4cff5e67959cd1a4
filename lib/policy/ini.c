/* Reads policy files.  The only file that knows inih.
 *
 * inih splits a line into a key and its value, and its result is used
 * unchanged.  But inih 55 loses or changes unexpected text:
 *
 *   - the rest of a line over 198 bytes becomes a line of its own;
 *   - " ;" begins a comment, except on an indented line;
 *   - an indented line continues the value above it, even one that looks like
 *     the next key;
 *   - ":" counts as "=", and the key may be empty;
 *   - text behind "]" is dropped, and a section without keys is not reported;
 *   - of all errors only the first one's line number is reported.
 *
 * So the function that feeds inih, read_line(), checks each line first: a bad
 * line becomes a fault and is not passed on.  inih's settings are variables of
 * the process.  They are not set here, because other code may use inih too; a
 * line that the present settings would change is a fault. */
#include <ini.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/plain.h"
#include "sections.h"
#include "text.h"
#include "wrap.h"

enum { FILE_MAX = 64 << 20, SHOWN_MAX = 64 };

/* A part of the file's bytes. */
struct span {
    const char *start;
    size_t length;
};

struct reading {
    const char *file;
    struct faults *faults;
    const char *at, *end;
    const char *start; /* of the line */
    int line;
    bool bad;       /* there was a fault */
    bool no_memory; /* nothing more is read */

    struct sections sections;
    struct policy_text *text; /* of the section, NULL before the first */

    /* The key whose value is being read; NULL between keys and after a bad
     * key. */
    const struct key *key;
    int key_line;
    const char *key_start; /* of its line */
    bool in_value; /* an indented line continues a value, even a bad one */
    struct draft value;
    int seen[POLICY_KEY_MAX]; /* the last line with the key, any section */
};

/* Adds a fault at `where` in the line; NULL: at its first character.  `more` is
 * another member of the fault. */
#define FAULT(r, broken, where, more, ...)                         \
    do {                                                           \
        fault_add((r)->faults,                                     \
                  &(struct fault){.file = (r)->file,               \
                                  .line = (r)->line,               \
                                  .column = find_column(r, where), \
                                  .rule = FAULT_##broken,          \
                                  more},                           \
                  __VA_ARGS__);                                    \
        (r)->bad = true;                                           \
    } while (0)

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Returns the column of `where` in the line; NULL: of its first character. */
static int
find_column(const struct reading *r, const char *where)
{
    const char *at = where ? where : r->start;

    while (!where && at < r->end && is_blank(*at)) {
        at++;
    }
    return r->line ? (int)(at - r->start) + 1 : 0;
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
trim_span(struct span s)
{
    while (s.length && is_blank(s.start[0])) {
        s.start++;
        s.length--;
    }
    return trim_end(s);
}

/* Returns the part of a line before a `;` that follows a blank.  inih does not
 * do so on indented lines; one rule for all lines is easier to remember. */
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
write_excerpt(struct span s, char *buffer)
{
    return plain_excerpt(s.start, s.length, buffer, SHOWN_MAX);
}

/* ---- sections ---- */

/* Moves a fault, whose column is an offset in the value plus 1, to the line
 * with that part of the value; to the key if there is none. */
static void
place_in_value(const struct reading *r, struct fault *f)
{
    size_t offset = (size_t)f->column - 1;
    const char *start = r->key_start, *at = strchr(start, '=') + 1;

    f->line = r->key_line;
    f->column = 1;
    for (int line = r->key_line; line <= r->line; line++) {
        const char *end = memchr(at, '\n', (size_t)(r->end - at));
        struct span part = {at, (size_t)((end ? end : r->end) - at)};

        part.length -= part.length && at[part.length - 1] == '\r';
        part = trim_span(without_comment(part));
        if (part.length && (line == r->key_line ||
                            (is_blank(*at) && !strchr(";#", *part.start)))) {
            if (offset < part.length) {
                f->line = line;
                f->column = (int)(part.start - start) + (int)offset + 1;
                return;
            }
            offset -= part.length + 1; /* lines are joined by a blank */
        }
        if (!end) {
            return;
        }
        start = at = end + 1;
    }
}

/* Stores the value, whose last line was read, in the policy of the section. */
static void
finish_key(struct reading *r)
{
    struct fault at = {.file = r->file, .column = 1};
    size_t first = r->faults ? r->faults->count : 0;
    const struct key *key = r->key;
    int rc;

    r->key = NULL;
    if (!key || r->no_memory) {
        return;
    }
    assert(r->text); /* a key has a section, see begin_key() */
    draft_add(&r->value, "", 0);
    if (r->value.failed) {
        r->no_memory = true;
        return;
    }
    place_in_value(r, &at);
    rc = policy_text_put(r->text, key, r->value.bytes, &at, r->faults);
    for (size_t i = first; r->faults && i < r->faults->count; i++) {
        r->faults->list[i].column -= at.column - 1;
        place_in_value(r, &r->faults->list[i]);
    }
    r->bad = r->bad || rc == BIDE_EINPUT;
    r->no_memory = r->no_memory || rc == BIDE_ENOMEM;
}

static void
report_bad_name(struct reading *r, struct span name)
{
    char text[SHOWN_MAX], near[BIDE_NAME_MAX + 1], meant[SHOWN_MAX + 32];

    policy_name_near(write_excerpt(trim_span(name), text), near);
    snprintf(meant, sizeof(meant), "[%s]", near);
    FAULT(r, NAME, NULL, .meant = near[0] ? meant : "",
          "[%s]: not a name: [a-z0-9][a-z0-9._-]{0,47}",
          write_excerpt(name, text));
}

/* Reads "[name]".  A section whose line has a fault is added without a name, so
 * that the faults of its keys are reported too. */
static bool
read_section_line(struct reading *r, struct span line)
{
    const char *close = memchr(line.start, ']', line.length);
    struct span name = {line.start + 1, line.length - 1};
    char copy[BIDE_NAME_MAX + 1] = "", text[SHOWN_MAX];
    bool good = true;
    int rc, first;

    finish_key(r);
    r->in_value = false;
    if (!close) {
        FAULT(r, SYNTAX, NULL, .hint = NULL, "%s: the ] is missing",
              write_excerpt(line, text));
        good = false;
    } else {
        name.length = (size_t)(close - name.start);
        if (close + 1 != line.start + line.length) {
            FAULT(r, SYNTAX, close + 1 + strspn(close + 1, " \t"), .hint = NULL,
                  "%s: nothing may follow the ]", write_excerpt(line, text));
            good = false;
        }
    }
    if (name.length <= BIDE_NAME_MAX) {
        memcpy(copy, name.start, name.length);
        copy[name.length] = '\0';
    }
    if (good && !policy_name_ok(copy)) {
        report_bad_name(r, name);
        good = false;
    }
    rc = sections_add(&r->sections, good ? copy : NULL, r->line, &r->text,
                      &first);
    if (rc == BIDE_EEXIST) {
        FAULT(r, DUPLICATE, NULL, .hint = NULL,
              "[%s]: defined twice, first in line %d", copy, first);
    }
    r->no_memory = r->no_memory || rc == BIDE_ENOMEM;
    return good;
}

/* ---- keys and values, as inih returns them ---- */

/* Begins the value of a key.  After a fault r->key stays NULL, and the lines
 * that continue the value are skipped. */
static void
begin_key(struct reading *r, const char *name)
{
    const struct fault at = {
        .file = r->file, .line = r->line, .column = find_column(r, NULL)};
    const struct key *key = policy_text_key(name, &at, r->faults);
    int *seen;

    if (!key) {
        r->bad = true;
        return;
    }
    if (!r->text) {
        FAULT(r, SYNTAX, NULL, .hint = "begin a policy with [NAME]",
              "%s: this key is before the first section", key->name);
        return;
    }
    seen = &r->seen[key - policy_keys];
    if (*seen > policy_text_line(r->text)) {
        FAULT(r, DUPLICATE, NULL, .key = key, "%s: set twice, first in line %d",
              key->name, *seen);
        return;
    }
    *seen = r->line;
    r->key = key;
    r->key_line = r->line;
    r->key_start = r->start;
    draft_clear(&r->value);
}

/* Stores a part of a value.  inih calls it for each key, and again with the
 * same name for each line that continues its value. */
static int
take_value(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *r = arg;

    (void)section; /* read_section_line() knows it */
    if (!r->key) {
        begin_key(r, name);
    }
    if (!r->key) {
        return 1;
    }
    if (r->value.used && *value) {
        draft_add(&r->value, " ", 1);
    }
    draft_text(&r->value, value);
    if (r->value.used > POLICY_VALUE_MAX) {
        FAULT(r, LENGTH, NULL, .key = r->key, "%s: longer than %d bytes",
              r->key->name, POLICY_VALUE_MAX);
        r->key = NULL;
    }
    return 1;
}

/* ---- lines, before inih parses them ---- */

static void
report_misread(struct reading *r)
{
    FAULT(r, SYNTAX, NULL,
          .hint = "does other code of this process change inih's settings?",
          "inih's settings would change this line");
    r->key = NULL;
}

/* Reports whether inih, with the present settings of this process, would take
 * a key's line or an indented line for something else. */
static bool
inih_would_change(struct span line)
{
    if (strchr(ini_start_comment_prefixes, trim_span(line).start[0])) {
        return true;
    }
    if (is_blank(line.start[0])) {
        return !ini_allow_multiline;
    }
    for (size_t i = 1; ini_allow_inline_comments && i < line.length; i++) {
        if (is_blank(line.start[i - 1]) &&
            strchr(ini_inline_comment_prefixes, line.start[i])) {
            return true;
        }
    }
    return false;
}

/* Reports whether a line has a key and then "=".  Sets `name` to the key. */
static bool
check_separator(struct reading *r, struct span line, struct span *name)
{
    char text[SHOWN_MAX], meant[3 * SHOWN_MAX], value_text[SHOWN_MAX];
    size_t at = 0;

    while (at < line.length && line.start[at] != '=' && line.start[at] != ':') {
        at++;
    }
    *name = trim_span((struct span){line.start, at});
    if (at == line.length) {
        FAULT(r, SYNTAX, NULL, .hint = "a key is written as KEY = VALUE",
              "%s: there is no = in this line", write_excerpt(line, text));
        return false;
    }
    if (name->length == 0) {
        FAULT(r, SYNTAX, NULL, .hint = NULL,
              "%s: there is no key before the %c", write_excerpt(line, text),
              line.start[at]);
        return false;
    }
    if (line.start[at] == ':') {
        struct span value = {line.start + at + 1, line.length - at - 1};

        snprintf(meant, sizeof(meant), "%s = %s", write_excerpt(*name, text),
                 write_excerpt(trim_span(value), value_text));
        FAULT(r, SYNTAX, NULL, .meant = meant,
              "%s: a key and its value have = between them",
              write_excerpt(line, text));
        return false;
    }
    return true;
}

/* Checks "key = value". */
static bool
check_key_line(struct reading *r, struct span line, bool too_long)
{
    char text[SHOWN_MAX];
    struct span name;

    finish_key(r);
    r->in_value = true;
    if (!check_separator(r, line, &name)) {
        return false;
    }
    if (too_long) { /* inih cannot read it; its key may have more faults */
        begin_key(r, write_excerpt(name, text));
    }
    return true;
}

/* Checks an indented line, which continues the value above it. */
static bool
check_indented_line(struct reading *r, struct span line)
{
    struct span part = trim_span(line);
    char text[SHOWN_MAX];

    if (!wrap_continues(part.start, part.length)) {
        FAULT(r, SYNTAX, NULL, .hint = NULL,
              "%s: an indented line continues the value above it; keys and "
              "sections are not indented",
              write_excerpt(part, text));
        return false;
    }
    if (!r->in_value) {
        FAULT(r, SYNTAX, NULL, .hint = NULL,
              "%s: an indented line continues a value, and there is no value "
              "above it",
              write_excerpt(part, text));
        return false;
    }
    return r->key != NULL;
}

/* Checks a line, and cuts its comment off.  Returns true if inih is to parse
 * it. */
static bool
check_line(struct reading *r, struct span *line, size_t limit)
{
    struct span text = trim_span(*line);
    bool too_long = line->length > limit;
    bool good;

    if (too_long) {
        FAULT(r, LENGTH, NULL,
              .hint = "continue a long value on the next line, indented",
              "a line of %zu bytes: the maximum is %zu", line->length, limit);
    }
    if (text.length == 0 || text.start[0] == ';' || text.start[0] == '#') {
        return false;
    }
    *line = without_comment(trim_end(*line));
    if (line->start[0] == '[') {
        return read_section_line(r, *line) && !too_long;
    }
    good = is_blank(line->start[0]) ? check_indented_line(r, *line)
                                    : check_key_line(r, *line, too_long);
    if (too_long) {
        r->key = NULL; /* the rest of its value is not checked */
        return false;
    }
    if (good && inih_would_change(*line)) {
        report_misread(r);
        return false;
    }
    return good;
}

/* Returns the next line without its end, and moves past it. */
static struct span
take_next_line(struct reading *r)
{
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    struct span line = {r->at, 0};

    line.length = (size_t)((newline ? newline : r->end) - r->at);
    r->at = newline ? newline + 1 : r->end;
    r->line++;
    r->start = line.start;
    if (line.length && line.start[line.length - 1] == '\r') {
        line.length--;
    }
    return line;
}

/* Writes the next good line to `out`, which has room for `size` bytes.  inih
 * calls it instead of fgets.  Returns NULL at the end. */
static char *
read_line(char *out, int size, void *arg)
{
    struct reading *r = arg;
    size_t limit = size > 2 ? (size_t)size - 2 : 0; /* "\n" and a NUL */

    if (limit > POLICY_LINE_MAX) {
        limit = POLICY_LINE_MAX;
    }
    while (r->at < r->end && !r->no_memory) {
        struct span line = take_next_line(r);

        if (check_line(r, &line, limit)) {
            memcpy(out, line.start, line.length);
            strcpy(out + line.length, "\n");
            return out;
        }
    }
    return NULL;
}

/* ---- the file ---- */

/* Checks that the file is text.  A binary file or another encoding gets one
 * fault, not one for each line. */
static bool
check_text(struct reading *r, const char *bytes, size_t length)
{
    size_t plain;

    if (length > FILE_MAX) {
        FAULT(r, FILE, bytes, .hint = NULL, "larger than 64 MiB");
        return false;
    }
    plain = plain_length(bytes, length);
    if (plain < length) {
        r->line = 1;
        r->start = bytes;
        for (size_t i = 0; i < plain; i++) {
            r->line += bytes[i] == '\n';
            r->start = bytes[i] == '\n' ? bytes + i + 1 : r->start;
        }
        FAULT(r, FILE, bytes + plain, .hint = NULL,
              "not a text file: the byte 0x%02x is neither UTF-8 nor a "
              "printable character",
              (unsigned)(unsigned char)bytes[plain]);
        return false;
    }
    return true;
}

static void
parse_lines(struct reading *r)
{
    int rc = ini_parse_stream(read_line, r, take_value, r);

    r->no_memory = r->no_memory || rc < 0;
    if (rc > 0 && !r->no_memory) {
        report_misread(r); /* the settings changed while inih was parsing */
    }
    finish_key(r);
    if (!r->bad && !r->no_memory && r->sections.list.count == 0) {
        r->line = 0;
        FAULT(r, FILE, r->end, .hint = "begin a policy with [NAME]",
              "contains no policy");
    }
}

int
policy_read(const char *file, const char *bytes, size_t length,
            struct policy_list *out, struct faults *faults)
{
    struct reading r = {.file = file, .faults = faults};
    size_t first = faults ? faults->count : 0;
    int rc = 0;

    if (check_text(&r, bytes, length)) {
        size_t bom = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;

        r.at = bytes + 3 * bom;
        r.end = bytes + length;
        parse_lines(&r);
    }
    draft_free(&r.value);
    if (faults) {
        /* The faults of a value were added after the faults of its last line.
         */
        faults_sort(faults, first);
    }
    if (r.no_memory || (faults && faults->out_of_memory)) {
        rc = BIDE_ENOMEM;
    } else if (r.bad) {
        rc = BIDE_EINPUT;
    }
    sections_finish(&r.sections, rc == 0 ? out : NULL);
    return rc;
}
