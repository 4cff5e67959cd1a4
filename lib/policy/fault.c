#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/plain.h"

/* Limits the memory that a file full of mistakes can take: the most faults, and
 * the most warnings. */
enum { FAULTS_MAX = 1000 };

static void
fault_free(struct fault *f)
{
    free(f->file);
    free(f->what);
    free(f->hint);
}

static bool
fill_fault(struct fault *f, const char *file, int line, const char *hint,
           const char *format, va_list args)
{
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
    plain_hide_controls(f->what); /* they come from the file */
    plain_hide_controls(f->hint);
    return true;
}

/* Appends to the list; does nothing if it has FAULTS_MAX of the kind. */
static void
append_fault(struct faults *faults, bool warning, const char *file, int line,
             const char *hint, const char *format, va_list args)
{
    size_t count = !faults   ? FAULTS_MAX
                   : warning ? faults->warnings
                             : faults->count - faults->warnings;
    struct fault *f;

    if (count >= FAULTS_MAX) {
        return;
    }
    if (count == FAULTS_MAX - 1) {
        hint = NULL;
        format = warning ? "more warnings follow; they are not shown"
                         : "more errors follow; they are not shown";
    }
    f = array_add(&faults->list, &faults->count, sizeof(*f));
    if (f && fill_fault(f, file, line, hint, format, args)) {
        f->warning = warning;
        faults->warnings += warning;
    } else {
        faults->count -= f != NULL;
        faults->out_of_memory |= !warning;
    }
}

void
fault_add(struct faults *faults, const char *file, int line, const char *hint,
          const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_fault(faults, false, file, line, hint, format, args);
    va_end(args);
}

void
warning_add(struct faults *faults, const char *file, int line, const char *hint,
            const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_fault(faults, true, file, line, hint, format, args);
    va_end(args);
}

const struct fault *
faults_first(const struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        if (!faults->list[i].warning) {
            return &faults->list[i];
        }
    }
    return NULL;
}

void
faults_sort(struct faults *faults, size_t first)
{
    size_t end = faults->count;

    if (end - faults->warnings == FAULTS_MAX) {
        end--; /* "more errors follow" stays the last one */
    }
    for (size_t i = first + 1; i < end; i++) {
        struct fault moved = faults->list[i];
        size_t to = i;

        /* Insertion sort: nearly sorted already, and equal lines keep their
         * order. */
        for (; to > first && faults->list[to - 1].line > moved.line; to--) {
            faults->list[to] = faults->list[to - 1];
        }
        faults->list[to] = moved;
    }
}

bool
faults_any(const struct faults *faults)
{
    return faults->count > faults->warnings || faults->out_of_memory;
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
