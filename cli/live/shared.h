/* The commands about what policies may share: a budget, a limit, a rate. */
#ifndef BIDE_CLI_SHARED_H
#define BIDE_CLI_SHARED_H

#include "cli/view/guard.h"
#include "policy/group.h"

struct shared_view {
    enum group_kind kind;
    bool (*has)(const struct policy *p);
    void (*print_rules)(const struct policy *p); /* "; ..." and a newline */
    int (*print_table)(const struct policy *p, const struct counts *parts);
    /* For the message after a reset. */
    struct brief (*write_level)(const struct admin_guard *g);
    int (*reset)(struct admin *a, const struct policy *p, const char *name,
                 const char *scope);
};

/* Runs "NAME [reset]": shows the state in each scope, or resets it. */
int shared_command(struct command_line *line, const struct shared_view *v);

#endif
