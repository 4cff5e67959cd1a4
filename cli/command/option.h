/* The table of options, for main, help and the completion. */
#ifndef BIDE_CLI_OPTION_H
#define BIDE_CLI_OPTION_H

#include <stdint.h>

#include "option_table.h"

enum option {
#define X(id, name, value, help) OPTION_##id,
    OPTIONS(X)
#undef X
        OPTION_COUNT
};
#define TAKES(id) (UINT64_C(1) << OPTION_##id)

struct option_row {
    const char *name;
    const char *value; /* NULL: the option has no value */
    const char *help;  /* NULL: hidden */
};
extern const struct option_row option_rows[OPTION_COUNT];

#endif
