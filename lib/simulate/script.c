#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { SCRIPT_LINES_MAX = 1000000, WORDS_MAX = 10000 };

struct script_place {
    const char *file;
    int line;
    struct faults *faults;
};

/* ---- one word: OUTCOME+TOOK[;after=HINT] ---- */

static int
add_fault(const struct script_place *at, const char *word, const char *why,
          const char *hint)
{
    fault_add(at->faults,
              &(struct fault){.file = at->file,
                              .line = at->line,
                              .rule = FAULT_SCRIPT,
                              .hint = hint},
              "%.100s: %s", word, why);
    return BIDE_EINPUT;
}

/* Reads one word, which it changes. */
static int
read_outcome(const struct script_place *at, char *word,
             struct script_outcome *out)
{
    struct outcome_fault f;
    struct duration_fault fault;
    char whole[128];
    char *semicolon, *plus;

    snprintf(whole, sizeof(whole), "%s", word);
    semicolon = strchr(word, ';');
    if (semicolon) {
        *semicolon++ = '\0';
    }
    plus = strrchr(word, '+');
    if (!plus) {
        return add_fault(at, whole,
                         "write an outcome as OUTCOME+TOOK, for example "
                         "http.503+5ms",
                         NULL);
    }
    *plus++ = '\0';
    if (outcome_read(word, &out->outcome, &f) != 0) {
        return add_fault(at, whole, f.why, f.meant);
    }
    if (duration_read(plus, &out->took_ns, &fault) != 0) {
        return add_fault(at, whole, fault.why, fault.hint);
    }
    if (out->took_ns == DURATION_NONE) {
        return add_fault(at, whole, "the time of an attempt cannot be none",
                         NULL);
    }
    return semicolon && outcome_read_hint(semicolon, &out->outcome, &f) != 0
               ? add_fault(at, whole, f.why, f.meant)
               : 0;
}

/* ---- a line ---- */

static char *
next_word(char **text)
{
    char *start = *text + strspn(*text, " \t\r");
    size_t length = strcspn(start, " \t\r");

    if (length == 0) {
        return NULL;
    }
    *text = start + length;
    if (**text) {
        *(*text)++ = '\0';
    }
    return start;
}

/* Reads the rest of `set KEY=VALUE ...`.  Only lists contain blanks, so a word
 * without `=` belongs to the value before it. */
static int
read_settings(const struct script_place *at, char *text, struct script_line *l)
{
    char *word;

    while ((word = next_word(&text))) {
        char *equals = strchr(word, '=');
        struct script_setting *s;

        if (!equals && l->count == 0) {
            return add_fault(at, word, "set takes KEY=VALUE", NULL);
        }
        if (!equals) {
            char *joined;

            s = &l->settings[l->count - 1];
            if (asprintf(&joined, "%s %s", s->value, word) < 0) {
                return BIDE_ENOMEM;
            }
            free(s->value);
            s->value = joined;
            continue;
        }
        *equals++ = '\0';
        s = array_add(&l->settings, &l->count, sizeof(*s));
        if (!s) {
            return BIDE_ENOMEM;
        }
        s->key = strdup(word);
        s->value = strdup(equals);
        if (!s->key || !s->value) {
            return BIDE_ENOMEM;
        }
    }
    return l->count ? 0 : add_fault(at, "set", "takes KEY=VALUE", NULL);
}

static int
read_outcomes(const struct script_place *at, char *text, struct script_line *l)
{
    char *word;
    int worst = 0;

    while ((word = next_word(&text))) {
        struct script_outcome *o;
        int rc;

        if (l->count == WORDS_MAX) {
            return add_fault(at, l->call, "too many outcomes", NULL);
        }
        o = array_add(&l->outcomes, &l->count, sizeof(*o));
        if (!o) {
            return BIDE_ENOMEM;
        }
        rc = read_outcome(at, word, o);
        if (rc == BIDE_ENOMEM) {
            return rc;
        }
        worst = rc ? rc : worst;
    }
    return worst;
}

static int
read_line(const struct script_place *at, char *text, struct script_line *l)
{
    char *time = next_word(&text), *name = next_word(&text);
    struct duration_fault fault;

    l->line = at->line;
    if (duration_read(time, &l->at_ns, &fault) != 0) {
        return add_fault(at, time, fault.why, fault.hint);
    }
    if (l->at_ns == DURATION_NONE) {
        return add_fault(at, time, "a line must begin with a time", NULL);
    }
    if (!name) {
        return add_fault(
            at, time, "write the name of a call, or set, after the time", NULL);
    }
    if (strcmp(name, "set") == 0) {
        return read_settings(at, text, l);
    }
    if (strlen(name) > BIDE_NAME_MAX) {
        return add_fault(at, name, "a call's name has at most 48 characters",
                         NULL);
    }
    strcpy(l->call, name);
    return read_outcomes(at, text, l);
}

/* ---- the whole script ---- */

static int
compare_times(const void *a, const void *b)
{
    const struct script_line *x = a, *y = b;

    if (x->at_ns != y->at_ns) {
        return x->at_ns < y->at_ns ? -1 : 1;
    }
    return x->line - y->line;
}

static int
read_next_line(struct script *s, const struct script_place *at, char *text)
{
    struct script_line *l;

    text += strspn(text, " \t\r");
    if (*text == '\0' || *text == '#') {
        return 0;
    }
    if (s->count == SCRIPT_LINES_MAX) {
        return add_fault(at, "script", "too many lines", NULL);
    }
    l = array_add(&s->lines, &s->count, sizeof(*l));
    return l ? read_line(at, text, l) : BIDE_ENOMEM;
}

static int
read_lines(struct script *s, char *text, struct script_place *at)
{
    int worst = 0;

    while (text) {
        char *next = strchr(text, '\n');
        int rc;

        if (next) {
            *next++ = '\0';
        }
        at->line++;
        rc = read_next_line(s, at, text);
        if (rc == BIDE_ENOMEM) {
            return rc;
        }
        worst = rc ? rc : worst;
        text = next;
    }
    return worst;
}

int
script_read(const char *file, const char *bytes, size_t length,
            struct script **out, struct faults *faults)
{
    struct script_place at = {file, 0, faults};
    struct script *s;
    char *text;
    int rc;

    if (memchr(bytes, '\0', length)) {
        fault_add(faults, &(struct fault){.file = file}, "not a text file");
        return BIDE_EINPUT;
    }
    s = calloc(1, sizeof(*s));
    text = strndup(bytes, length);
    if (!s || !text || !(s->file = strdup(file))) {
        rc = BIDE_ENOMEM;
    } else {
        rc = read_lines(s, text, &at);
    }
    free(text);
    if (rc == 0 && s->count == 0) {
        fault_add(faults, &(struct fault){.file = file},
                  "the script has no calls");
        rc = BIDE_EINPUT;
    }
    if (rc) {
        script_free(s);
        return rc;
    }
    qsort(s->lines, s->count, sizeof(*s->lines), compare_times);
    *out = s;
    return 0;
}

void
script_free(struct script *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; s->lines[i].settings && k < s->lines[i].count; k++) {
            free(s->lines[i].settings[k].key);
            free(s->lines[i].settings[k].value);
        }
        free(s->lines[i].settings);
        free(s->lines[i].outcomes);
    }
    free(s->lines);
    free(s->file);
    free(s);
}
