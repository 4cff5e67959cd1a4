#include "plain.h"

#include <stdbool.h>
#include <string.h>

static bool
is_continuation_byte(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t
plain_character(const char *bytes, size_t left, uint32_t *out)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)bytes;
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = length == 1 ? s[0] : s[0] & (0x7fu >> length);

    if (left < length || (s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation_byte(s[i])) {
            return 0;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < lowest[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *out = c;
    return length;
}

size_t
plain_length(const char *bytes, size_t length)
{
    size_t i = 0;

    while (i < length) {
        uint32_t c;
        size_t wide = plain_character(bytes + i, length - i, &c);

        if (wide == 0 ||
            !((c >= 0x20 && c < 0x7f) || c >= 0xa0 || c == '\n' || c == '\t' ||
              (c == '\r' && i + 1 < length && bytes[i + 1] == '\n'))) {
            break;
        }
        i += wide;
    }
    return i;
}

void
plain_hide_controls(char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

char *
plain_excerpt(const char *text, size_t length, char *buffer, size_t size)
{
    size_t keep = length;

    if (length >= size) {
        keep = size - 4;
        while (keep && is_continuation_byte((unsigned char)text[keep])) {
            keep--;
        }
        strcpy(buffer + keep, "...");
    } else {
        buffer[keep] = '\0';
    }
    memcpy(buffer, text, keep);
    return buffer;
}

bool
plain_list_has(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (list && *list) {
        size_t part = strcspn(list, ",");

        if (part == length && strncmp(list, word, length) == 0) {
            return true;
        }
        list += part + (list[part] == ',');
    }
    return false;
}
