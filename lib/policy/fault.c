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

const char *
fault_rule_name(enum fault_rule rule)
{
    static const char *const names[] = {
#define X(id, name) name,
        FAULT_RULES(X)
#undef X
    };

    return names[rule];
}

static void
fault_free(struct fault *f)
{
    free((char *)f->file);
    free((char *)f->what);
    free((char *)f->hint);
    free((char *)f->meant);
}

/* Copies a text of a fault; it may come from the file.  Sets *failed if out of
 * memory. */
static char *
copy_text(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;

    *failed = *failed || (text && !copy);
    plain_hide_controls(copy);
    return copy;
}

/* Makes the texts of a fault its own. */
static bool
fill_fault(struct fault *f, const char *format, va_list args)
{
    char *what, hint[256];
    bool failed = vasprintf(&what, format, args) < 0;

    what = failed ? NULL : what;
    f->file = strdup(f->file);
    failed = failed || !f->file;
    f->meant = copy_text(f->meant && *f->meant ? f->meant : NULL, &failed);
    if (f->meant) {
        snprintf(hint, sizeof(hint), "did you mean %s?", f->meant);
        f->hint = hint;
    }
    f->hint = copy_text(f->hint && *f->hint ? f->hint : NULL, &failed);
    f->what = failed ? NULL : what;
    if (failed) {
        free(what);
        fault_free(f);
    } else {
        plain_hide_controls(what);
    }
    return !failed;
}

void
fault_add(struct faults *faults, const struct fault *f, const char *format, ...)
{
    size_t count = !faults      ? FAULTS_MAX
                   : f->warning ? faults->warnings
                                : faults->count - faults->warnings;
    struct fault *added;
    va_list args;

    if (count >= FAULTS_MAX) {
        return;
    }
    va_start(args, format);
    added = array_add(&faults->list, &faults->count, sizeof(*added));
    if (added) {
        *added = *f;
        if (count == FAULTS_MAX - 1) {
            *added = (struct fault){.file = f->file,
                                    .line = f->line,
                                    .rule = FAULT_MORE,
                                    .warning = f->warning};
            format = f->warning ? "more warnings follow; they are not shown"
                                : "more errors follow; they are not shown";
        }
    }
    if (added && fill_fault(added, format, args)) {
        faults->warnings += f->warning;
    } else {
        faults->count -= added != NULL;
        faults->out_of_memory |= !f->warning;
    }
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
