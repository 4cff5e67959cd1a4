/* The bytes begin with "bide-exec 1\n"; then fields, to the last byte:
 *
 *   tag, one byte   length, 4 bytes, little-endian   that many bytes, one 0
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
 * The 0 is not counted; it makes a text of what is read, in its place.  Another
 * number after the name is another format, which we refuse. */
#include "exec_work.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "bide-exec 1\n";
enum { MAGIC = sizeof(magic) - 1, HEAD = 5 };

/* ---- writing ---- */

static void
put_field(FILE *out, char tag, const void *bytes, size_t length)
{
    unsigned char head[HEAD] = {(unsigned char)tag};

    for (int i = 0; i < 4; i++) {
        head[1 + i] = (unsigned char)(length >> 8 * i);
    }
    fwrite(head, 1, sizeof(head), out);
    if (length > 0) {
        fwrite(bytes, 1, length, out);
    }
    fputc('\0', out);
}

static void
put_texts(FILE *out, char tag, char *const *texts)
{
    for (; *texts; texts++) {
        put_field(out, tag, *texts, strlen(*texts));
    }
}

int
exec_work_write(const struct exec_work *w, void **out_bytes, size_t *out_length)
{
    char *bytes = NULL;
    size_t length = 0;
    bool failed;
    FILE *out;

    if (w->input_length > UINT32_MAX ||
        !(out = open_memstream(&bytes, &length))) {
        return -1;
    }
    fwrite(magic, 1, MAGIC, out);
    put_field(out, 'd', w->directory, strlen(w->directory));
    put_texts(out, 'a', w->arguments);
    put_texts(out, 'e', w->environment);
    if (w->input) {
        put_field(out, 'i', w->input, w->input_length);
    }
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(bytes);
        return -1;
    }
    *out_bytes = bytes;
    *out_length = length;
    return 0;
}

/* ---- reading ---- */

struct field {
    char tag;
    const char *bytes; /* ended by a 0 that is not counted */
    size_t length;
};

/* 1: there is one; 0: the end; -1: it is not whole. */
static int
next_field(const char **at, size_t *left, struct field *out)
{
    const unsigned char *head = (const unsigned char *)*at;
    size_t length;

    if (*left == 0) {
        return 0;
    }
    if (*left < HEAD + 1) {
        return -1;
    }
    length = (size_t)head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 |
             (size_t)head[4] << 24;
    if (length > *left - HEAD - 1 || (*at)[HEAD + length] != '\0') {
        return -1;
    }
    *out = (struct field){(*at)[0], *at + HEAD, length};
    *at += HEAD + length + 1;
    *left -= HEAD + length + 1;
    return 1;
}

struct counts {
    size_t arguments, variables;
};

static bool
is_variable(const struct field *f)
{
    return f->length > 0 && *f->bytes != '=' &&
           memchr(f->bytes, '=', f->length) != NULL;
}

/* Whether it may stand here. */
static bool
field_ok(const struct field *f, bool first, bool last, struct counts *c)
{
    bool text = memchr(f->bytes, '\0', f->length) == NULL;

    switch (f->tag) {
    case 'd':
        return first && text && *f->bytes == '/';
    case 'a':
        /* Nothing can be run that has no name. */
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

static bool
check(const char *at, size_t left, struct counts *out)
{
    bool first = true;
    struct field f;
    int rc;

    while ((rc = next_field(&at, &left, &f)) > 0) {
        if (!field_ok(&f, first, left == 0, out)) {
            return false;
        }
        first = false;
    }
    return rc == 0 && !first && out->arguments > 0;
}

static void
fill(const char *at, size_t left, struct exec_work *w)
{
    size_t arguments = 0, variables = 0;
    struct field f;

    while (next_field(&at, &left, &f) > 0) {
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
    struct counts c = {0};

    if (length < MAGIC || memcmp(at, magic, MAGIC) != 0 ||
        !check(at + MAGIC, length - MAGIC, &c)) {
        return -1;
    }
    w.arguments = calloc(c.arguments + 1, sizeof(*w.arguments));
    w.environment = calloc(c.variables + 1, sizeof(*w.environment));
    if (!w.arguments || !w.environment) {
        exec_work_free(&w);
        return -2;
    }
    fill(at + MAGIC, length - MAGIC, &w);
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
