/* bide audit: one time line of changes, breakers, warnings and failed calls. */
#ifndef BIDE_CLI_AUDIT_H
#define BIDE_CLI_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bide.h>
#include "cli/command/command.h"
#include "live/counters.h"
#include "record/past.h"

enum audit_kind {
    AUDIT_CHANGE,
    AUDIT_FORCED,
    AUDIT_BREAKER,
    AUDIT_LEVEL,
    AUDIT_HOST, /* of no policy */
    AUDIT_WORK,
    AUDIT_CALLS
};
#define AUDIT_ALL_KINDS ((1U << (AUDIT_CALLS + 1)) - 1)

struct audit_entry {
    enum audit_kind kind;
    uint64_t when_ns, end_ns; /* equal if the entry has no duration */
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];
    uint64_t calls, count[COUNTER_ROWS]; /* AUDIT_CALLS: of audited rows */
    uint64_t most;    /* the most attempts with one outcome in an interval, */
    char outcome[64]; /* and the outcome; "": none */
    uint8_t to;       /* AUDIT_BREAKER: the new state, STATE_* */
    uint64_t dropped, requeued; /* AUDIT_WORK: number of items */
    char *what;                 /* NULL for AUDIT_CALLS */
    char *who, *note;           /* may be NULL */
    uint32_t uid;               /* with who */
};

struct audit {
    struct command_line *line;
    const char *name; /* NULL: all policies */
    uint64_t since_ns, until_ns, now_ns;
    unsigned kinds; /* that are shown: 1 << AUDIT_... each */
    size_t count;
    struct audit_entry *list; /* by time */
    struct history_known past;
    uint64_t damaged;
    uint64_t opened;             /* number of times that breakers opened */
    uint64_t calls;              /* all, also those of no entry */
    struct audit_entry interval; /* the one that is visited */
};

/* Reports whether --kind leaves the entry out. */
bool audit_hides(const struct audit *a, const struct audit_entry *e);
const char *audit_kind_word(enum audit_kind kind);
/* Returns the text of the entry, such as "12 aborted, 3 dropped of 40 calls in
 * 5m, most often http.503", malloc'ed, `timed` with its duration; NULL without
 * memory. */
char *audit_words(const struct audit_entry *e, bool timed);

/* audit_work.c: adds the operators' changes of deferred work.  If these cannot
 * be read, prints a message.  Returns 0 or BIDE_ENOMEM. */
int audit_add_work(struct audit *a);
/* audit.c: appends an entry and returns it; NULL without memory. */
struct audit_entry *audit_new_entry(struct audit *a, enum audit_kind kind,
                                    const char *name, const char *scope,
                                    uint64_t when_ns);

/* audit_show.c: these return 0 or BIDE_ENOMEM. */
int audit_table(const struct audit *a);
int audit_json(const struct audit *a);
int audit_csv(const struct audit *a);

#endif
