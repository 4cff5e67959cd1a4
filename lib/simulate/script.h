/* A script of `bide simulate` in memory: each line is a call or a change. */
#ifndef BIDE_SIMULATE_SCRIPT_H
#define BIDE_SIMULATE_SCRIPT_H

#include "simulate.h"

struct script_outcome {
    struct bide_outcome outcome;
    uint64_t took_ns;
};

struct script_setting {
    char *key, *value;
};

struct script_line {
    uint64_t at_ns;
    int line;
    char call[BIDE_NAME_MAX + 1]; /* "": a `set` line */
    size_t count;                 /* outcomes or settings */
    struct script_outcome *outcomes;
    struct script_setting *settings;
};

struct script {
    char *file;
    size_t count;
    struct script_line *lines; /* in order of time, then of the file */
};

#endif
