#include "fold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/draft.h"
#include "text.h"

static struct draft begun; /* the line that has no end yet */
static FILE *terminal;

/* Prints the line, folded: the next lines begin after leading blanks, or after
 * the first gap of two blanks. */
static void
print_line(const char *line)
{
    size_t width = text_width(), lead = strspn(line, " "), indent = lead;
    const char *gap = strstr(line + lead, "  ");

    if (gap) {
        indent = (size_t)(gap - line) + strspn(gap, " ");
    }
    text_put_folded(terminal, line, 0, indent < width / 2 ? indent : 0, width);
}

static ssize_t
write_folded(void *cookie, const char *bytes, size_t size)
{
    size_t at = 0;

    (void)cookie;
    while (at < size && !begun.failed) {
        const char *end = memchr(bytes + at, '\n', size - at);
        size_t length = end ? (size_t)(end - bytes) - at : size - at;

        draft_add(&begun, bytes + at, length);
        at += length + (end ? 1 : 0);
        if (end && !begun.failed) {
            print_line(begun.bytes);
            draft_clear(&begun);
        }
    }
    errno = ENOMEM;
    return begun.failed || fflush(terminal) != 0 ? 0 : (ssize_t)size;
}

void
fold_output(void)
{
    cookie_io_functions_t functions = {.write = write_folded};
    FILE *folding =
        text_to_terminal() ? fopencookie(NULL, "w", functions) : NULL;

    if (folding) {
        terminal = stdout;
        stdout = folding;
    }
}

void
fold_end(void)
{
    if (begun.used > 0) {
        fputs(begun.bytes, terminal);
    }
    draft_free(&begun);
}
