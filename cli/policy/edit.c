/* bide set, unset, delete, rollback: changes single policies. */
#include "edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
#include "admin/read.h"
#include "base/clock.h"
#include "base/draft.h"
#include "base/failure.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/view/layer.h"
#include "policy/fault.h"
#include "policy/key.h"
#include "store/policies/record.h"
#include "change.h"
#include "difference.h"
#include "setting.h"
#include "source.h"

/* ---- results ---- */

static void
put_value(struct table *t, struct change_side *s,
          const struct policy_text *text, const struct key *key,
          const char *own)
{
    char *silent = own ? NULL : difference_silent(text, key, change_find, s);

    table_cell(t, s->after ? 3 : 1, "%s", own ? own : silent ? silent : "?");
    free(silent);
}

static int
print_keys(struct change_side *s, const struct admin_result *r)
{
    static const struct table_column columns[] = {
        {"", 0}, {"", TABLE_WRAP}, {"", 0}, {"", TABLE_WRAP}};
    struct difference all[POLICY_KEY_MAX];
    size_t count = difference_of(r->old, r->now, all);
    struct table *t;

    if (count == 0) {
        puts("  the rules in force are the same");
        return 0;
    }
    t = table_new(columns, 4);
    for (size_t i = 0; i < count; i++) {
        table_row(t);
        table_cell(t, 0, "  %s", all[i].key->name);
        put_value(t, &s[0], r->old, all[i].key, all[i].old);
        table_cell(t, 2, "->");
        put_value(t, &s[1], r->now, all[i].key, all[i].now);
    }
    return table_print_bare(t);
}

static int
print_result(struct change_side *s, const struct admin_result *r)
{
    switch (r->did) {
    case ADMIN_UNCHANGED:
        printf("%s v%u: already so, nothing was changed\n", r->name, r->after);
        return 0;
    case ADMIN_DELETED:
        printf("%s v%u deleted; to restore it: bide rollback %s\n", r->name,
               r->before, r->name);
        return 0;
    default:
        break;
    }
    if (r->before > 0) {
        printf("%s v%u -> v%u", r->name, r->before, r->after);
    } else {
        printf("%s v%u", r->name, r->after);
    }
    if (r->as > 0) {
        printf(" (as v%u)", r->as);
    }
    putchar('\n');
    return r->old && r->now ? print_keys(s, r) : 0;
}

/* ---- policies that extend a changed one ---- */

struct reach {
    struct admin *registry;
    const char *name;
    const struct admin_setting *set;
    struct draft inherit, missed; /* "kid, mail"; "post (no)" */
    struct json *inherit_array, *missed_array;
};

/* Adds a policy that extends r->name, at any depth, if it inherits the setting,
 * or has another value from a nearer policy. */
static int
add_extending(void *arg, const struct record *of)
{
    const struct policy_text *t = NULL;
    const char *next = of->name, *value = NULL, *from = next;
    struct reach *r = arg;

    for (int i = 0; strcmp(next, r->name) != 0; i++) {
        int rc = admin_find(r->registry, next, &t);

        if (rc || i > POLICY_CHAIN_MAX) {
            return rc == BIDE_ENOMEM ? rc : 0;
        }
        from = value ? from : policy_text_name(t);
        value = value ? value : policy_text_get(t, key_find(r->set->key));
        next = policy_text_get(t, key_find("extends"));
        if (!next) {
            return 0;
        }
    }
    if (t && !value) {
        draft_item(&r->inherit, of->name);
        json_put_text(r->inherit_array, NULL, of->name);
    } else if (t && strcmp(value, r->set->value) != 0) {
        draft_item(&r->missed, of->name);
        draft_print(&r->missed, " (%s%s%s)", value,
                    strcmp(from, of->name) ? " from " : "",
                    strcmp(from, of->name) ? from : "");
        json_put_text(r->missed_array, NULL, of->name);
    }
    return 0;
}

/* Reports which policies an override reaches.  If the end of one leaves a value
 * of its own in a policy that extends another, says so.  `j` NULL: as text.
 * Returns 0 or a BIDE_E code. */
static int
report_reach(struct command_line *line, const struct change *c,
             const struct admin_result *r, struct json *j)
{
    const char *key = c->forces->key, *parent;
    struct reach reach = {.registry = line->registry,
                          .name = r->name,
                          .set = c->forces,
                          .inherit_array = json_in_array(j, "inherited_by"),
                          .missed_array = json_in_array(j, "not_reached")};
    int rc = 0;

    if (!c->change.undo) {
        if (strcmp(key, "breaker") == 0 && !j && !c->change.dry_run &&
            !r->cover_count) {
            printf("Every call is now %s. To end that: bide breaker %s auto\n",
                   strcmp(c->forces->value, "open") ? "allowed" : "refused",
                   r->name);
        }
        rc = admin_each_policy(line->registry, add_extending, &reach);
    } else if (r->detached) {
        parent = policy_text_get(r->now, key_find("extends"));
        json_put_text(j, "no_longer_follows", parent);
        if (!j) {
            printf("%s now has its own %s = %s: a change of it in %s does not "
                   "reach %s; to inherit it again: bide unset %s %s\n",
                   r->name, key, policy_text_get(r->now, key_find(key)), parent,
                   r->name, r->name, key);
        }
    }
    if (reach.inherit.used && !j) {
        printf("Also in what inherits it: %s\n", reach.inherit.bytes);
    }
    if (reach.missed.used && !j) {
        printf("Not reached, because they have another value: %s\n",
               reach.missed.bytes);
    }
    draft_free(&reach.inherit);
    draft_free(&reach.missed);
    return rc;
}

static void
put_result(struct json *j, const struct admin_result *r)
{
    static const char *const did[] = {"unchanged", "created", "changed",
                                      "deleted"};
    char *what = difference_line(r->old, r->now);

    json_put_text(j, "policy", r->name);
    json_put_text(j, "did", did[r->did]);
    json_put_text(j, "what", what);
    json_put_count(j, "before", r->before);
    json_put_count(j, "version", r->after);
    json_put_time(j, "until", r->until_ns);
    layer_put(json_in_array(j, "covered_by"), NULL, r->covers, r->cover_count);
    free(what);
}

int
edit_report(struct command_line *line, struct change *c,
            struct admin_results *results, const struct faults *faults)
{
    struct json *j = line->option[OPTION_JSON] ? json_object_new() : NULL;
    struct json *array = json_in_array(j, "policies");
    struct change_side sides[] = {{line->registry, results, false},
                                  {line->registry, results, true}};
    int rc = 0;

    for (size_t i = 0; i < results->count && !c->change.dry_run; i++) {
        if (results->list[i].did != ADMIN_UNCHANGED) {
            say_changed();
        }
    }
    for (size_t i = 0; i < results->count && rc == 0; i++) {
        const struct admin_result *r = &results->list[i];
        struct json *one = json_add_object(array);

        if (j) {
            put_result(one, r);
        } else {
            rc = print_result(sides, r);
        }
        if (r->until_ns > 0 && !j) {
            printf("until %s, then v%u is in force again\n",
                   when_write_until(r->until_ns, clock_realtime_ns()).text,
                   r->back_to);
        }
        if (rc == 0 && c->forces) {
            rc = report_reach(line, c, r, one);
        }
    }
    if (j && faults) {
        source_put_faults(j, faults);
    }
    if (!j) {
        change_print_told(c, results);
        if (c->change.dry_run && !c->preview) {
            puts("--dry-run: nothing was changed");
        }
        change_say_covers(results);
        change_preview(line, c, results);
    } else if (json_out(j)) {
        rc = BIDE_ENOMEM;
    }
    admin_results_free(results);
    return rc ? say_failure(rc, line->operands[0]) : STATUS_DONE;
}

int
edit_end(struct command_line *line, struct change *c, int rc,
         struct admin_results *results, struct faults *faults)
{
    const char *name = line->operands[0];
    struct failure last = *failure_last();
    int status;

    if (rc == BIDE_ENOPOLICY) {
        faults_free(faults);
        return say_no_policy(line->registry, last.name);
    }
    status = say_refusal(rc, faults, name, "nothing was changed");
    return status ? status : edit_report(line, c, results, NULL);
}

/* ---- the commands ---- */

/* Is a change of the first operands, `arg` their number. */
static int
change_keys(struct command_line *line, struct change *c, void *arg)
{
    struct admin_results results = {0};
    struct faults faults = {0};
    int rc = admin_change_each(
        line->registry, &c->change, (const char *const *)line->operands,
        *(size_t *)arg, c->set, c->set_count, &results, &faults);

    if (rc == BIDE_EINPUT && !c->set && faults_any(&faults)) {
        say("%s: cannot be deleted: other policies extend it",
            line->operands[0]);
    }
    return edit_end(line, c, rc, &results, &faults);
}

int
edit_keys(struct command_line *line, size_t names,
          const struct admin_setting *settings, size_t count, bool undo)
{
    struct change c;
    int status = change_begin(line, &c);

    if (status == 0 && names > 1 && c.change.if_version) {
        status = say_usage(line, "--if-version: only with one policy");
    }
    c.change.undo = undo;
    c.set = settings;
    c.set_count = count;
    for (size_t i = 0; i < count; i++) {
        if (undo || admin_forces(settings[i].key, settings[i].value)) {
            c.forces = &settings[i];
        }
    }
    status = status ? status : change_make(line, &c, change_keys, &names);
    change_end(&c);
    return status;
}

/* Changes the policy that is the first operand: sets KEY=VALUE, or unsets the
 * keys that the other operands name.  Returns the exit status. */
static int
edit_first_operand(struct command_line *line, bool set)
{
    struct admin_setting *settings =
        calloc((size_t)line->count, sizeof(*settings));
    int status = 0;

    if (!settings) {
        return say_no_memory();
    }
    if (set) {
        status = setting_read(line, line->operands + 1, settings);
    }
    for (int i = 1; i < line->count && !set; i++) {
        settings[i - 1].key = line->operands[i];
    }
    if (status == 0) {
        status = edit_keys(line, 1, settings, (size_t)line->count - 1, false);
    }
    free(settings);
    return status;
}

int
set_command(struct command_line *line)
{
    return edit_first_operand(line, true);
}

int
unset_command(struct command_line *line)
{
    return edit_first_operand(line, false);
}

int
delete_command(struct command_line *line)
{
    return edit_keys(line, (size_t)line->count, NULL, 0, false);
}

/* Restores the version `arg`; 0: undoes the newest change, or ends a layer. */
static int
roll_back(struct command_line *line, struct change *c, void *arg)
{
    const char *name = line->operands[0];
    uint32_t version = *(uint32_t *)arg;
    struct admin_results results = {0};
    struct faults faults = {0};
    int rc = admin_rollback(line->registry, &c->change, name, version, &results,
                            &faults);

    if (rc == BIDE_ENOVERSION) {
        faults_free(&faults);
        return version > 0 ? say_no_version(line->registry, name, version, rc)
                           : say_failure(rc, name);
    }
    if (rc == 0 && !version && results.list[0].did == ADMIN_UNCHANGED) {
        say_warnings(&faults);
        say("%s: nothing to undo: v%u is the same as v%u before it", name,
            results.list[0].after, results.list[0].as);
        say("see: bide log %s", name);
        admin_results_free(&results);
        return STATUS_NO;
    }
    return edit_end(line, c, rc, &results, &faults);
}

int
rollback_command(struct command_line *line)
{
    struct change c;
    uint32_t version = 0;
    int status = change_begin(line, &c);

    if (status == 0 && line->count > 1) {
        status = number_read_version(line, line->operands[1], &version);
    }
    if (status == 0) {
        status = number_read_option(line, OPTION_LAYER, 1, &c.change.layer);
    }
    if (status == 0 && c.change.layer && (version || c.change.for_ns)) {
        status = say_usage(line, "--layer: only without VERSION and --for");
    }
    status = status ? status : change_make(line, &c, roll_back, &version);
    change_end(&c);
    return status;
}
