#include "shared.h"

#include <stdio.h>
#include <string.h>

#include "admin/read.h"
#include "cli/command/say.h"
#include "store/policies/record.h"

/* ---- the policies that share it ---- */

struct members {
    struct admin *registry;
    enum group_kind kind;
    const char *group;
    struct json *array; /* NULL: print the names */
    size_t count;
};

static int
add_if_member(void *arg, const struct record *r)
{
    struct members *m = arg;
    struct policy *p;
    int rc = guard_compile(m->registry, r, &p);
    const char *group = rc == 0 && p ? group_of(p, m->kind) : NULL;

    if (group && strcmp(group, m->group) == 0) {
        if (m->array) {
            json_put_text(m->array, NULL, r->name);
        } else {
            printf("%s%s", m->count > 0 ? ", " : "", r->name);
        }
        m->count++;
    }
    policy_free(p);
    return rc;
}

static int
print_state(struct command_line *line, const struct shared_view *v,
            const struct policy *p, const struct counts *parts)
{
    const char *word = group_word(v->kind);
    struct members m = {line->registry, v->kind, group_of(p, v->kind), NULL, 0};
    int rc = 0;

    if (m.group) {
        printf("%s: %s %s", p->name, word, m.group);
    } else {
        printf("%s: a %s of its own", p->name, word);
    }
    v->print_rules(p);
    if (m.group) {
        fputs("shared by ", stdout);
        rc = admin_each_policy(line->registry, add_if_member, &m);
        putchar('\n');
    }
    putchar('\n');
    return rc ? rc : v->print_table(p, parts);
}

static int
print_json(struct command_line *line, const struct shared_view *v,
           const struct policy *p, const struct counts *parts)
{
    struct json *j = json_object_new();
    struct members m = {line->registry, v->kind, group_of(p, v->kind), NULL, 0};
    int rc = 0;

    json_put_text(j, "policy", p->name);
    json_put_text(j, "group", m.group ? m.group : v->has(p) ? "own" : "none");
    m.array = json_in_array(j, "members");
    if (m.array && m.group) {
        rc = admin_each_policy(line->registry, add_if_member, &m);
    } else if (m.array && v->has(p)) {
        json_put_text(m.array, NULL, p->name);
    }
    if (rc) {
        json_free(j);
        return rc;
    }
    guard_put_parts(j, p, parts->list, parts->count);
    return json_out(j);
}

/* ---- the command ---- */

static int
reset_parts(struct command_line *line, const struct shared_view *v,
            const struct policy *p, const struct counts *parts)
{
    const char *full = v->kind == GROUP_LIMIT ? "free" : "full";

    for (size_t i = 0; i < parts->count; i++) {
        const struct count *part = &parts->list[i];
        int rc = v->reset(line->registry, p, p->name, part->cell.scope);

        if (rc == BIDE_ENOPOLICY) {
            printf("%s: no process has used it yet: it is %s\n", p->name, full);
            break;
        }
        if (rc) {
            return say_failure(rc, p->name);
        }
        printf("%s%s%s: %s, was at %s\n", p->name, *part->cell.scope ? " " : "",
               *part->cell.scope ? guard_scope(part->cell.scope) : "", full,
               v->write_level(&part->guard).text);
    }
    return STATUS_DONE;
}

static int
report_none(struct command_line *line, const struct shared_view *v,
            const struct policy *p)
{
    const char *word = group_word(v->kind);
    struct counts none = {0};
    int rc = line->option[OPTION_JSON] ? print_json(line, v, p, &none) : 0;

    if (rc) {
        return say_failure(rc, p->name);
    }
    say("%s: the policy has no %s", p->name, word);
    say("to give it one: bide set %s %s=own", p->name, word);
    return STATUS_NO;
}

static int
show_or_reset(struct command_line *line, const struct shared_view *v,
              const struct policy *p, bool to_reset)
{
    /* All scopes of its members share what a group has. */
    const char *scope = group_of(p, v->kind)
                            ? ""
                            : guard_scope_read(line->option[OPTION_SCOPE]);
    struct counts parts = {0};
    int rc, status = guard_parts_find(line, p, scope, &parts);

    if (status == 0 && to_reset) {
        status = reset_parts(line, v, p, &parts);
    } else if (status == 0) {
        rc = line->option[OPTION_JSON] ? print_json(line, v, p, &parts)
                                       : print_state(line, v, p, &parts);
        status = rc ? say_failure(rc, p->name) : STATUS_DONE;
    }
    counts_free(&parts);
    return status;
}

int
shared_command(struct command_line *line, const struct shared_view *v)
{
    const char *word = line->count > 1 ? line->operands[1] : NULL;
    struct policy *p;
    int status;

    if (word && strcmp(word, "reset") != 0) {
        return say_usage(line, "%s: no such action; the only action is reset",
                         word);
    }
    if (word && line->option[OPTION_JSON]) {
        return say_usage(line, "--json: only to show the state");
    }
    status = guard_find(line, &p);
    if (status) {
        return status;
    }
    if (!v->has(p)) {
        status = report_none(line, v, p);
    } else if (line->option[OPTION_SCOPE] && group_of(p, v->kind)) {
        status = say_usage(line, "--scope: %s %s is shared by all scopes",
                           group_word(v->kind), group_of(p, v->kind));
    } else {
        status = show_or_reset(line, v, p, word != NULL);
    }
    policy_free(p);
    return status;
}
