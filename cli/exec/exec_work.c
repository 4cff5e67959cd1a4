/* The bytes begin with "bide-exec 1\n".  Fields follow, up to the last byte:
 *
 *   tag, 1 byte   length, 4 bytes, little-endian   `length` bytes, one 0
 *
 *   d   working directory, once, first     "/srv/shop"
 *   a   an argument, in order, at least 1  "sendmail"  "-t"
 *   e   a variable                         "PATH=/usr/bin"
 *   i   standard input, at most once, last
 *
 * `true` in / is
 *   62 69 64 65 2d 65 78 65 63 20 31 0a
 *   64 01 00 00 00 2f 00   61 04 00 00 00 74 72 75 65 00
 *
 * The length does not count the final 0, which makes each field a string that
 * can be used in place.  A number other than 1 means another format, which is
 * refused. */
#include "exec_work.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/draft.h"

static const char magic[] = "bide-exec 1\n";
enum { MAGIC_LENGTH = sizeof(magic) - 1, HEAD_LENGTH = 5 };

/* ---- writing ---- */

static void
write_field(struct draft *out, char tag, const char *bytes, size_t length)
{
    char head[HEAD_LENGTH] = {tag};

    for (int i = 0; i < 4; i++) {
        head[1 + i] = (char)(length >> 8 * i);
    }
    draft_add(out, head, sizeof(head));
    draft_add(out, bytes, length);
    draft_add(out, "", 1);
}

static void
write_fields(struct draft *out, char tag, char *const *texts)
{
    for (; *texts; texts++) {
        write_field(out, tag, *texts, strlen(*texts));
    }
}

int
exec_work_write(const struct exec_work *w, void **out_bytes, size_t *out_length)
{
    struct draft out = {0};

    if (w->input_length > UINT32_MAX) {
        return -1;
    }
    draft_add(&out, magic, MAGIC_LENGTH);
    write_field(&out, 'd', w->directory, strlen(w->directory));
    write_fields(&out, 'a', w->arguments);
    write_fields(&out, 'e', w->environment);
    if (w->input) {
        write_field(&out, 'i', w->input, w->input_length);
    }
    *out_length = out.used;
    *out_bytes = draft_take(&out);
    return *out_bytes ? 0 : -1;
}

/* ---- reading ---- */

struct field {
    char tag;
    const char *bytes; /* followed by a 0 that `length` does not count */
    size_t length;
};

/* Reads the field at *at and moves *at and *left past it.  Returns 1; 0 at the
 * end; -1 if the field is not complete. */
static int
read_field(const char **at, size_t *left, struct field *out)
{
    const unsigned char *head = (const unsigned char *)*at;
    size_t length;

    if (*left == 0) {
        return 0;
    }
    if (*left < HEAD_LENGTH + 1) {
        return -1;
    }
    length = (size_t)head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 |
             (size_t)head[4] << 24;
    if (length > *left - HEAD_LENGTH - 1 ||
        (*at)[HEAD_LENGTH + length] != '\0') {
        return -1;
    }
    *out = (struct field){(*at)[0], *at + HEAD_LENGTH, length};
    *at += HEAD_LENGTH + length + 1;
    *left -= HEAD_LENGTH + length + 1;
    return 1;
}

struct field_counts {
    size_t arguments, variables;
};

static bool
is_variable(const struct field *f)
{
    return f->length > 0 && *f->bytes != '=' &&
           memchr(f->bytes, '=', f->length) != NULL;
}

/* Reports whether the field is valid at its position, and counts it. */
static bool
check_field(const struct field *f, bool first, bool last,
            struct field_counts *c)
{
    bool text = memchr(f->bytes, '\0', f->length) == NULL;

    switch (f->tag) {
    case 'd':
        return first && text && *f->bytes == '/';
    case 'a':
        /* The first argument is the name of a program, so it is not empty. */
        return !first && text && (c->arguments++ > 0 || f->length > 0);
    case 'e':
        c->variables++;
        return !first && text && is_variable(f);
    case 'i':
        return !first && last;
    default:
        return false;
    }
}

/* Reports whether all fields are valid, and counts them. */
static bool
check_fields(const char *at, size_t left, struct field_counts *out)
{
    bool first = true;
    struct field f;
    int rc;

    while ((rc = read_field(&at, &left, &f)) > 0) {
        if (!check_field(&f, first, left == 0, out)) {
            return false;
        }
        first = false;
    }
    return rc == 0 && !first && out->arguments > 0;
}

/* Sets the members of `w` to point to the fields, which are valid. */
static void
point_to_fields(const char *at, size_t left, struct exec_work *w)
{
    size_t arguments = 0, variables = 0;
    struct field f;

    while (read_field(&at, &left, &f) > 0) {
        switch (f.tag) {
        case 'd':
            w->directory = (char *)f.bytes;
            break;
        case 'a':
            w->arguments[arguments++] = (char *)f.bytes;
            break;
        case 'e':
            w->environment[variables++] = (char *)f.bytes;
            break;
        default:
            w->input = f.bytes;
            w->input_length = f.length;
        }
    }
}

int
exec_work_read(const void *bytes, size_t length, struct exec_work *out)
{
    const char *at = bytes;
    struct exec_work w = {0};
    struct field_counts c = {0};

    if (length < MAGIC_LENGTH || memcmp(at, magic, MAGIC_LENGTH) != 0 ||
        !check_fields(at + MAGIC_LENGTH, length - MAGIC_LENGTH, &c)) {
        return -1;
    }
    w.arguments = calloc(c.arguments + 1, sizeof(*w.arguments));
    w.environment = calloc(c.variables + 1, sizeof(*w.environment));
    if (!w.arguments || !w.environment) {
        exec_work_free(&w);
        return -2;
    }
    assert(c.arguments > 0);
    point_to_fields(at + MAGIC_LENGTH, length - MAGIC_LENGTH, &w);
    *out = w;
    return 0;
}

void
exec_work_free(struct exec_work *w)
{
    free(w->arguments);
    free(w->environment);
    *w = (struct exec_work){0};
}
