#include "wrap.h"

#include <string.h>

#include "policy.h"

#define INDENT "    "

static bool
is_key_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

/* Reports whether a word is the name of a key.  In a description "note: 3" is
 * prose; "wait: 3" looks like a key. */
static bool
is_known_key(const char *text, size_t length)
{
    char name[BIDE_NAME_MAX + 1];

    if (length >= sizeof(name)) {
        return false;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    return key_find(name) != NULL;
}

bool
wrap_continues(const char *text, size_t length)
{
    size_t word, i = 0;

    if (length && strchr(";#[", text[0])) {
        return false;
    }
    while (i < length && is_key_letter(text[i])) {
        i++;
    }
    word = i;
    while (i < length && (text[i] == ' ' || text[i] == '\t')) {
        i++;
    }
    if (word == 0 || i == length) {
        return true;
    }
    return text[i] != '=' && !(text[i] == ':' && is_known_key(text, word));
}

/* Returns the length of the part of a value that fits on a line of `room`
 * bytes; 0 if there is no place to break it. */
static size_t
first_part_length(const char *value, size_t length, size_t room)
{
    if (length <= room) {
        return length;
    }
    for (size_t i = room; i > 0; i--) {
        /* Of two spaces in a row only one would be read back. */
        if (value[i] == ' ' && value[i - 1] != ' ' && value[i + 1] != ' ' &&
            wrap_continues(value + i + 1, length - i - 1)) {
            return i;
        }
    }
    return 0;
}

/* Breaks a value into lines and writes them to `d`, unless it is NULL.  Returns
 * false if a part does not fit on a line. */
static bool
wrap_lines(struct draft *d, const char *key, const char *value)
{
    size_t length = strlen(value);
    size_t room = POLICY_LINE_MAX - strlen(key) - strlen(" = ");

    while (length) {
        size_t part = first_part_length(value, length, room);

        if (part == 0) {
            return false;
        }
        if (d) {
            draft_add(d, value, part);
            draft_text(d, "\n");
        }
        if (part == length) {
            break;
        }
        value += part + 1;
        length -= part + 1;
        room = POLICY_LINE_MAX - strlen(INDENT);
        if (d) {
            draft_text(d, INDENT);
        }
    }
    return true;
}

bool
wrap_possible(const char *key, const char *value)
{
    return wrap_lines(NULL, key, value);
}

void
wrap_write(struct draft *d, const char *key, const char *value)
{
    draft_text(d, key);
    if (*value == '\0') {
        draft_text(d, " =\n");
        return;
    }
    draft_text(d, " = ");
    wrap_lines(d, key, value);
}
