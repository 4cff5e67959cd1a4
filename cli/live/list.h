/* Parts of bide list: what it reads of each policy, and the rows that show it
 * as a table or as JSON. */
#ifndef BIDE_CLI_LIST_H
#define BIDE_CLI_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/draft.h"
#include "cli/view/count.h"
#include "cli/view/now.h"

struct json;
struct policy;
struct record;
struct record_part;
struct table;

struct list_notes {
    size_t count; /* some of them may be left out */
    struct draft lines;
};

struct list_row;
struct list {
    struct admin *registry;
    const char *pattern;         /* NULL: all policies */
    const enum now_figure *sort; /* NULL: by name */
    bool all;                    /* totals instead of the last minute */
    bool scopes;                 /* a row for each scope */
    uint32_t most; /* JSON: limit of scopes, only unusual ones; 0: all */
    void (*add)(struct list *list, const struct list_row *row);
    void *arg; /* of the function */
    struct counts counts;
    bool unread;         /* the present policy could not be read */
    struct table *table; /* NULL: print JSON */
    struct json *object, *array;
    double *ranks; /* of what is in `array`, in order */
    size_t rank_count;
    size_t shown, looked_up;
    uint64_t now_ns;
    const char *name; /* of the present policy */
    uint64_t ends_ns; /* the next end of a layer of the present policy; or 0 */
    struct list_notes warnings;
    struct list_notes temporary; /* about temporary versions */
    struct list_notes
        notes; /* about damage, or about rows that were left out */
};

/* A policy; or a name that services use but that is not defined. */
struct list_row {
    const struct record *record; /* NULL: not defined */
    const struct policy *policy; /* NULL: not valid, or not known */
    const struct count *count;   /* NULL: not used */
    struct admin_guard worst;    /* the worst state of all scopes */
    bool is_default;             /* not defined: `default` applies */
};

/* Calls list->add for each policy and each undefined name that is used; rows
 * are valid during the call.  Returns 0 or a BIDE_E code. */
int list_read(struct list *list);
void list_free(struct list *list); /* what it owns */

const char *list_row_name(const struct list_row *row);
/* Judges the last minute of a policy; ALARM_OK if it was not used, or for an
 * undefined name. */
void list_judge(const struct list_row *row, struct alarm_verdict *out);
/* Returns since when the policy has the level that is recorded, in ns; 0:
 * unknown, or no warning is recorded, or too many were looked up. */
uint64_t list_since_ns(struct list *list, const struct list_row *row);
/* Returns the rank of a row by --sort. */
double list_rank(const struct list *list, const struct list_row *row);

/* Make the table, and add a row to it. */
struct table *list_table(const struct list *list);
void list_add_row(struct list *list, const struct list_row *row);
/* Adds notes on layers, inherited ones too; `arg` is the list (layer_each). */
int list_add_layers(void *arg, const char *of, const struct record_part *parts,
                    size_t count);
/* Prints the table and the notes.  Returns 0 or BIDE_ENOMEM. */
int list_print_table(struct list *list);

/* Adds a row to the JSON array. */
void list_put_row(struct list *list, const struct list_row *row);

#endif
