/* Reads the history of one policy, as the input of a simulation. */
#ifndef BIDE_ADMIN_REPLAY_H
#define BIDE_ADMIN_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "record/past.h"
#include "simulate/profile.h"
#include "store/history/figures.h"

struct admin;
struct open_interval;

struct admin_replay_scope {
    char scope[BIDE_NAME_MAX + 1];
    struct profile profile;     /* times from begin_ns below */
    struct open_interval *open; /* while it is collected */
};

struct admin_replay {
    uint64_t begin_ns, end_ns; /* of what was found */
    size_t scope_count;        /* 0: nothing was */
    struct admin_replay_scope *scopes;
    struct figures recorded;              /* all of it */
    uint32_t first_version, last_version; /* that were in force; 0: none */
    uint64_t longest_ns;                  /* interval */
    uint64_t unknown; /* failed attempts without an outcome's name */
    struct history_known past;
};

/* `scope` NULL: all of them, each by itself.  Always fills `out`;
 * admin_replay_free in any case. */
int admin_replay(struct admin *a, const char *name, const char *scope,
                 uint64_t since_ns, uint64_t until_ns,
                 struct admin_replay *out);
void admin_replay_free(struct admin_replay *r);

#endif
