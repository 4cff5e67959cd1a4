#include "fold.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/draft.h"
#include "text.h"

static struct draft begun; /* the line that has no end yet */

/* Returns the number of bytes before the text after a label: leading blanks, or
 * those before the end of the first gap of two blanks. */
static size_t
label_length(const char *line)
{
    size_t lead = strspn(line, " ");
    const char *gap = strstr(line + lead, "  ");

    return gap ? (size_t)(gap - line) + strspn(gap, " ") : lead;
}

static int
write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, length);

        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Appends the line to `out`, folded. */
static void
add_folded(struct draft *out, const char *line)
{
    size_t width = text_width(), label = label_length(line);
    size_t indent, length;
    char before[64];

    snprintf(before, sizeof(before), "%.*s", (int)label, line);
    indent = text_columns(before);
    if (label >= sizeof(before) || indent > width / 2) {
        indent = label = 0;
    }
    length = text_line_length(line, label, width);
    for (;;) {
        draft_add(out, line, length);
        draft_text(out, "\n");
        line += length;
        line += strspn(line, " ");
        if (!*line) {
            return;
        }
        for (size_t i = 0; i < indent; i++) {
            draft_text(out, " ");
        }
        length = text_line_length(line, 0, width - indent);
    }
}

static ssize_t
write_folded(void *cookie, const char *bytes, size_t size)
{
    struct draft out = {0};
    size_t at = 0;
    int rc;

    (void)cookie;
    while (at < size) {
        const char *end = memchr(bytes + at, '\n', size - at);
        size_t length = end ? (size_t)(end - bytes) - at : size - at;

        draft_add(&begun, bytes + at, length);
        at += length + (end ? 1 : 0);
        if (end && !begun.failed) {
            add_folded(&out, begun.bytes);
            draft_clear(&begun);
        }
    }
    rc = begun.failed || out.failed ? (errno = ENOMEM, -1)
                                    : write_all(out.bytes, out.used);
    draft_free(&out);
    return rc ? 0 : (ssize_t)size;
}

void
fold_output(void)
{
    cookie_io_functions_t functions = {.write = write_folded};
    FILE *folding =
        text_to_terminal() ? fopencookie(NULL, "w", functions) : NULL;

    stdout = folding ? folding : stdout;
}

void
fold_end(void)
{
    if (begun.used > 0) {
        write_all(begun.bytes, begun.used);
    }
    draft_free(&begun);
}
