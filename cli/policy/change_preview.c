/* --preview of a change: a dry run, the waits, the last hour, a question. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/read.h"
#include "base/draft.h"
#include "cli/command/command.h"
#include "cli/command/say.h"
#include "policy/policy.h"
#include "change.h"

/* Limit of policies whose waits and last hour are shown. */
enum { SHOWN_MAX = 3 };

struct preview {
    struct command_line *line;
    struct change_side sides[2];
    struct draft inherit; /* those that change by what they extend */
};

/* ---- the difference ---- */

static int
resolve_side(struct change_side *side, const char *name,
             struct policy_origin *out)
{
    const struct policy_text *t;
    struct faults faults = {0};
    int rc = change_find(side, name, &t);

    rc = rc ? rc : policy_resolve(t, change_find, side, "", out, &faults);
    faults_free(&faults);
    return rc;
}

static void
free_operands(char **operands)
{
    for (char **o = operands; *o; o++) {
        free(*o);
    }
}

/* Writes the operands NAME KEY=VALUE... that make of the rules before those
 * after, inherited ones as well; none if a side has no rules.  Returns the
 * number of settings. */
static int
write_operands(struct preview *p, const char *name,
               char *out[POLICY_KEY_MAX + 2])
{
    struct policy_origin origins[2][POLICY_KEY_MAX];
    int count = 0;

    memset(out, 0, (POLICY_KEY_MAX + 2) * sizeof(*out));
    if (resolve_side(&p->sides[0], name, origins[0]) ||
        resolve_side(&p->sides[1], name, origins[1])) {
        return 0;
    }
    out[0] = strdup(name);
    for (size_t i = 0; i < policy_key_count && out[count]; i++) {
        const struct policy_origin *old = &origins[0][i], *now = &origins[1][i];

        /* A default that follows another key does so by itself. */
        if (strcmp(old->value, now->value) != 0 && *now->value &&
            (*old->from || *now->from) &&
            strcmp(policy_keys[i].name, "extends") != 0) {
            count++;
            if (asprintf(&out[count], "%s=%s", policy_keys[i].name,
                         now->value) < 0) {
                out[count] = NULL;
            }
        }
    }
    return count;
}

/* ---- what is shown ---- */

/* Runs a command below `title` for a policy as it is, or changed, with an
 * option that the user did not give.  Returns the number of settings. */
static int
run_below(struct preview *p, const char *name, const char *title,
          command_fn *run, bool changed, enum option option)
{
    char *operands[POLICY_KEY_MAX + 2]; /* the command may change them */
    int count = write_operands(p, name, operands);
    struct command_line of = {.command = p->line->command,
                              .registry = p->line->registry,
                              .count = changed ? count + 1 : 1,
                              .operands = operands};

    of.option[OPTION_DIR] = p->line->option[OPTION_DIR];
    of.option[option] = "preview";
    if (count > 0) {
        if (!changed) {
            free_operands(operands + 1);
            operands[1] = NULL;
        }
        fputs(title, stdout);
        fflush(stdout);
        run(&of);
    }
    free_operands(operands);
    return count;
}

static void
show_policy(struct preview *p, const char *name)
{
    if (p->sides[0].results->count > 1) {
        printf("\n%s\n", name);
    }
    if (run_below(p, name, "\nNow:\n", preview_command, false, OPTION_PREVIEW) >
        0) {
        run_below(p, name, "\nChanged:\n", preview_command, true,
                  OPTION_PREVIEW);
        run_below(p, name, "\nThe last hour:\n", simulate_command, true,
                  OPTION_REPLAY);
    }
}

static int
add_inheriting(void *arg, const struct record *r)
{
    struct preview *p = arg;
    const struct admin_results *results = p->sides[0].results;
    char *operands[POLICY_KEY_MAX + 2];

    for (size_t i = 0; i < results->count; i++) {
        if (results->list[i].did != ADMIN_UNCHANGED &&
            strcmp(results->list[i].name, r->name) == 0) {
            return 0;
        }
    }
    if (write_operands(p, r->name, operands) > 0) {
        draft_item(&p->inherit, r->name);
    }
    free_operands(operands);
    return 0;
}

void
change_preview(struct command_line *line, struct change *c,
               const struct admin_results *results)
{
    struct preview p = {.line = line,
                        .sides = {{line->registry, results, false},
                                  {line->registry, results, true}}};
    size_t changed = 0;

    if (!c->preview) {
        return;
    }
    for (size_t i = 0; i < results->count; i++) {
        if (results->list[i].did != ADMIN_UNCHANGED) {
            c->change.if_txn = results->txn;
        }
        changed += results->list[i].did == ADMIN_CHANGED;
    }
    if (c->change.if_txn && !c->forces &&
        admin_each_policy(line->registry, add_inheriting, &p) == 0 &&
        p.inherit.used) {
        printf("Also in what inherits it: %s\n", p.inherit.bytes);
    }
    draft_free(&p.inherit);
    for (size_t i = 0, shown = 0; i < results->count; i++) {
        if (results->list[i].did == ADMIN_CHANGED && shown++ < SHOWN_MAX) {
            show_policy(&p, results->list[i].name);
        }
    }
    if (changed > SHOWN_MAX) {
        printf("\nNot shown: the waits and the last hour of %zu more. To see "
               "those of one: bide preview, bide simulate --replay\n",
               changed - SHOWN_MAX);
    }
}

/* ---- the question ---- */

/* Asks on a terminal whether to do it.  Returns 0, or the exit status. */
static int
ask_to_change(void)
{
    bool can_ask = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char answer[16];

    if (can_ask) {
        fflush(stdout); /* which keeps a line that is not complete */
        fputs("\nChange it? [y/N] ", stderr);
        if (fgets(answer, sizeof(answer), stdin) && *answer == 'y') {
            return 0;
        }
    }
    puts(can_ask
             ? "nothing was changed"
             : "\nWithout a terminal to ask on, --preview changes nothing.");
    return STATUS_NO;
}

int
change_make(struct command_line *line, struct change *c,
            int (*make)(struct command_line *line, struct change *c, void *arg),
            void *arg)
{
    int status;

    if (!line->option[OPTION_PREVIEW]) {
        return make(line, c, arg);
    }
    if (line->option[OPTION_JSON] || line->option[OPTION_DRY_RUN]) {
        return say_usage(line, "--preview: without --json and --dry-run");
    }
    c->preview = c->change.dry_run = true;
    status = make(line, c, arg);
    if (status || !c->change.if_txn) {
        return status;
    }
    status = ask_to_change();
    c->preview = c->change.dry_run = false;
    return status ? status : make(line, c, arg);
}
