#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of nothing but mistakes must not fill the memory with them. */
enum { FAULTS_MAX = 1000 };

static void
fault_free(struct fault *f)
{
    free(f->file);
    free(f->what);
    free(f->hint);
}

/* What was read may hold anything, and ends up on a terminal. */
static void
blank_controls(char *text)
{
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            *text = '?';
        }
    }
}

static bool
fault_room(struct faults *faults)
{
    struct fault *grown;

    if (faults->count & (faults->count - 1)) {
        return true; /* grows at the powers of two */
    }
    grown = realloc(faults->list,
                    (faults->count ? 2 * faults->count : 1) * sizeof(*grown));
    if (!grown) {
        return false;
    }
    faults->list = grown;
    return true;
}

static bool
fault_fill(struct fault *f, const char *file, int line, const char *hint,
           const char *format, va_list args)
{
    memset(f, 0, sizeof(*f));
    f->line = line;
    f->file = strdup(file);
    f->hint = hint ? strdup(hint) : NULL;
    if (vasprintf(&f->what, format, args) < 0) {
        f->what = NULL;
    }
    if (!f->file || !f->what || (hint && !f->hint)) {
        fault_free(f);
        return false;
    }
    blank_controls(f->what);
    blank_controls(f->hint);
    return true;
}

void
fault_add(struct faults *faults, const char *file, int line, const char *hint,
          const char *format, ...)
{
    va_list args;
    bool added;

    if (!faults || faults->count >= FAULTS_MAX) {
        return;
    }
    if (faults->count == FAULTS_MAX - 1) {
        hint = NULL;
        format = "more faults follow, which are not shown";
    }
    va_start(args, format);
    added = fault_room(faults) && fault_fill(&faults->list[faults->count], file,
                                             line, hint, format, args);
    va_end(args);
    if (added) {
        faults->count++;
    } else {
        faults->out_of_memory = true;
    }
}

void
faults_sort(struct faults *faults, size_t first)
{
    size_t end = faults->count;

    if (end == FAULTS_MAX) {
        end--; /* that more follow stays the last word */
    }
    for (size_t i = first + 1; i < end; i++) {
        struct fault moved = faults->list[i];
        size_t to = i;

        /* Nearly in order already; equal lines keep theirs. */
        for (; to > first && faults->list[to - 1].line > moved.line; to--) {
            faults->list[to] = faults->list[to - 1];
        }
        faults->list[to] = moved;
    }
}

bool
faults_any(const struct faults *faults)
{
    return faults->count || faults->out_of_memory;
}

void
faults_free(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        fault_free(&faults->list[i]);
    }
    free(faults->list);
    *faults = (struct faults){0};
}
