#include "text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static bool utf8;
static bool wide; /* libc can read characters beyond ASCII */

void
text_locale(void)
{
    mbstate_t state = {0};
    wchar_t c;

    setlocale(LC_CTYPE, "");
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!utf8) {
        /* Policies are UTF-8 in every locale: else a non-ASCII character would
         * count as several invalid ones. */
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    /* Without memory, or such a locale, libc cannot. */
    wide = mbrtowc(&c, "µ", 2, &state) == 2;
}

bool
text_is_utf8(void)
{
    return utf8;
}

/* Reports whether a character changes the display of others: controls (C0, DEL,
 * C1), line separators, and marks of writing direction. */
static bool
is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           c == 0x200e || c == 0x200f || c == 0xfeff;
}

/* Returns the length of the character at `text`; 0 if it is not valid UTF-8 or
 * must not be shown. */
static size_t
printable_length(const char *text)
{
    uint32_t c;
    size_t length = plain_character(text, SIZE_MAX, &c); /* ends at the NUL */

    return length == 0 || is_control(c) ? 0 : length;
}

void
text_put(FILE *out, const char *text, bool newlines)
{
    while (*text) {
        size_t length = printable_length(text);

        if (length > 0) {
            fwrite(text, 1, length, out);
            text += length;
        } else if (*text == '\n' && newlines) {
            fputc(*text++, out);
        } else {
            fprintf(out, "\\x%02x", (unsigned char)*text++);
        }
    }
}

char *
text_shell(const char *word, char *buffer, size_t size)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                               "uvwxyz0123456789_@%+:,./-";
    size_t length, used = 0;
    bool escapes = false;

    if (*word && !word[strspn(word, safe)]) {
        snprintf(buffer, size, "%s", word);
        return buffer;
    }
    for (const char *c = word; *c && !escapes; c += length) {
        length = printable_length(c);
        escapes = length == 0;
    }
    used += (size_t)snprintf(buffer, size, escapes ? "$'" : "'");
    for (; *word && used + 6 < size; word += length) {
        length = printable_length(word);
        if (escapes && (length == 0 || *word == '\'' || *word == '\\')) {
            length = 1;
            used += (size_t)snprintf(buffer + used, size - used, "\\x%02x",
                                     (unsigned char)*word);
        } else {
            used += (size_t)snprintf(buffer + used, size - used, "%.*s",
                                     *word == '\'' ? 4 : (int)length,
                                     *word == '\'' ? "'\\''" : word);
        }
    }
    snprintf(buffer + used, size - used, "'");
    return buffer;
}

/* Returns the ASCII form of a sign that bide uses, for a locale without UTF-8;
 * else NULL. */
static const char *
plain_sign(const char *text, size_t length)
{
    static const struct {
        const char *sign, *plain;
    } signs[] = {{"±", "+-"}, {"≤", "<="}, {"×", "x"}, {"µ", "u"}};

    for (size_t i = 0; !utf8 && i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strlen(signs[i].sign) == length &&
            memcmp(signs[i].sign, text, length) == 0) {
            return signs[i].plain;
        }
    }
    return NULL;
}

char *
text_safe(const char *text)
{
    char *safe = malloc(strlen(text) * 4 + 1), *to = safe;

    if (!safe) {
        return NULL;
    }
    while (*text) {
        size_t length;
        const char *plain;

        if (*text >= ' ' && *text < 0x7f) {
            *to++ = *text++;
            continue;
        }
        length = printable_length(text);
        plain = plain_sign(text, length);
        if (length > 1 && !wide && !plain) {
            length = 0;
        }
        if (plain) {
            to = stpcpy(to, plain);
        } else if (length > 0) {
            to = mempcpy(to, text, length);
        } else {
            to += sprintf(to, "\\x%02x", (unsigned char)*text);
        }
        text += length > 0 ? length : 1;
    }
    *to = '\0';
    return safe;
}

size_t
text_columns(const char *text)
{
    size_t columns = 0;
    mbstate_t state = {0};
    wchar_t c;

    while (*text) {
        size_t length;
        int width;

        if (*text >= ' ' && *text < 0x7f) {
            columns++;
            text++;
            continue;
        }
        length = mbrtowc(&c, text, MB_CUR_MAX, &state);
        if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
            memset(&state, 0, sizeof(state));
            columns++;
            text++;
            continue;
        }
        width = wcwidth(c);
        columns += width > 0 ? (size_t)width : 0;
        text += length;
    }
    return columns;
}

bool
text_to_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool
text_in_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return text_to_terminal() && !(no && *no) && term && *term &&
           strcmp(term, "dumb") != 0;
}

size_t
text_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long asked = columns ? strtol(columns, NULL, 10) : 0;

    if (!text_to_terminal()) {
        return 80;
    }
    asked = asked > 0 && asked < 10000 ? asked : 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        (asked == 0 || size.ws_col < asked)) {
        return size.ws_col;
    }
    return asked > 0 ? (size_t)asked : 80;
}

size_t
text_line_length(const char *text, size_t least, size_t width)
{
    size_t end = 0, blank = 0, apart = 0, columns = 0;
    bool option = false;

    while (text[end]) {
        char one[8] = "";
        size_t length = 1;

        if (text[end] == '\033') { /* a colour takes no columns */
            end += strcspn(text + end, "m");
            end += text[end] == 'm';
            continue;
        }
        while ((text[end + length] & 0xc0) == 0x80 && length < 4) {
            length++;
        }
        memcpy(one, text + end, length);
        columns += text_columns(one);
        if (columns > width && (text[end] != ' ' || least >= width)) {
            return apart > 0   ? apart
                   : blank > 0 ? blank
                   : end > 0   ? end
                               : length;
        }
        if (text[end] == '[' && text[end + 1] == '-') {
            option = true; /* "[--note TEXT]" stays in one piece */
        } else if (text[end] == ']') {
            option = false;
        }
        if (text[end] == ' ' && end > least && text[end - 1] != ' ' &&
            !option) {
            blank = end;
            apart = strncmp(text + end, "   ", 3) == 0 ? end : apart;
        }
        end += length;
    }
    return end;
}

void
text_put_folded(FILE *out, const char *text, size_t at, size_t indent,
                size_t width)
{
    size_t length = text_line_length(text, at > 0 ? 0 : indent, width - at);

    for (;;) {
        fprintf(out, "%.*s\n", (int)length, text);
        text += length;
        text += strspn(text, " ");
        if (!*text) {
            return;
        }
        fprintf(out, "%*s", (int)indent, "");
        length = text_line_length(text, 0, width - indent);
    }
}

struct brief
text_count(uint64_t count)
{
    struct brief out;
    char digits[32];
    int length =
        snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    size_t at = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out.text[at++] = ',';
        }
        out.text[at++] = digits[i];
    }
    out.text[at] = '\0';
    return out;
}

struct brief
text_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    struct brief out;
    size_t i = 0;

    for (; i < 4 && number >= 1023.95; i++) {
        number /= 1024;
    }
    out = text_number(number);
    strcat(strcat(out.text, " "), units[i]);
    return out;
}

/* Writes the number with at most `decimals` decimals, without zeros at the end.
 */
static struct brief
write_decimals(double number, int decimals)
{
    struct brief out;
    char *end = out.text +
                snprintf(out.text, sizeof(out.text), "%.*f", decimals, number);

    while (decimals > 0 && (end[-1] == '0' || end[-1] == '.')) {
        decimals = *--end == '.' ? 0 : decimals;
        *end = '\0';
    }
    return out;
}

struct brief
text_number(double number)
{
    return number >= 100 ? text_count((uint64_t)(number + 0.5))
                         : write_decimals(number, number >= 10    ? 1
                                                  : number >= 0.1 ? 2
                                                                  : 4);
}

struct brief
text_plain(double number)
{
    return write_decimals(number, 6);
}

struct brief
text_share(uint64_t part, uint64_t whole, int decimals)
{
    double least = decimals == 2 ? 0.01 : decimals == 1 ? 0.1 : 1;
    double share = whole ? 100.0 * (double)part / (double)whole : 0;
    struct brief out = {"-"};

    if (whole == 0) {
        return out;
    }
    if (part > 0 && share < least) {
        share = least;
    } else if (part < whole && share > 100 - least) {
        share = 100 - least;
    }
    snprintf(out.text, sizeof(out.text), "%.*f%%", decimals, share);
    return out;
}

const char *
text_plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}
