#include "plain.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool
is_continuation_byte(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Returns the length of the UTF-8 character of several bytes at `s`.  Returns 0
 * for a control character (U+0080 to U+009F; some terminals obey them) and for
 * bytes that do not encode a character: overlong forms, surrogates, values
 * above U+10FFFF. */
static size_t
character_length(const unsigned char *s, size_t left)
{
    static const uint32_t lowest[] = {0, 0, 0xa0, 0x800, 0x10000};
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t c = s[0] & (0x7f >> length);

    if (s[0] < 0xc2 || s[0] > 0xf4 || left < length) {
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
    return length;
}

size_t
plain_length(const char *bytes, size_t length)
{
    const unsigned char *s = (const unsigned char *)bytes;
    size_t i = 0;

    while (i < length) {
        unsigned char c = s[i];

        if (c >= 0x80) {
            size_t wide = character_length(s + i, length - i);

            if (!wide) {
                return i;
            }
            i += wide;
        } else if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t' ||
                   (c == '\r' && i + 1 < length && s[i + 1] == '\n')) {
            i++;
        } else {
            return i;
        }
    }
    return length;
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
