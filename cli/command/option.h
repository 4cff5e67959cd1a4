/* The table of options, for main, help and the completion. */
#ifndef BIDE_CLI_OPTION_H
#define BIDE_CLI_OPTION_H

#include "option_table.h"

enum option {
#define X(id, name, value, help) OPTION_##id,
    OPTIONS(X)
#undef X
        OPTION_COUNT
};
/* A set of options, up to 128. */
__extension__ typedef unsigned __int128 option_set;
#define TAKES(id) ((option_set)1 << OPTION_##id)

struct option_row {
    const char *name;
    const char *value; /* NULL: the option has no value */
    const char *help;  /* NULL: hidden */
};
extern const struct option_row option_rows[OPTION_COUNT];

#endif
