/* Breakers taken away from their rules, and given back: bide breaker NAME open,
 * closed, auto. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
#include "admin/read.h"
#include "cli/command/say.h"
#include "cli/policy/edit.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "store/policies/record.h"

enum { NAMED_MAX = 5 }; /* of those that are forced with it */

static const struct key *
breaker_key(void)
{
    return key_find("breaker");
}

static bool
is_forced(const char *value)
{
    return value &&
           (strcmp(value, "open") == 0 || strcmp(value, "closed") == 0);
}

/* ---- what it was ---- */

/* Whether a version says something else than that it is forced; then *out is
 * what, NULL for nothing. */
static bool
is_before(const struct record *r, const char **out)
{
    struct policy_text *t = NULL;
    const char *value;
    bool found = false;

    if (!r->deleted && admin_text(r, &t) == 0) {
        value = policy_text_get(t, breaker_key());
        found = !is_forced(value);
        *out = !value ? NULL : strcmp(value, "off") == 0 ? "off" : "on";
    }
    policy_text_free(t);
    return found;
}

/* The value before it was forced.  Where none is known, and where it is not
 * forced here, the rules are to decide. */
static const char *
value_before(struct admin *registry, const char *name)
{
    const char *value = "on";
    struct record r, older;
    bool found;

    if (admin_policy(registry, name, &r)) {
        return "on"; /* the change will say why */
    }
    found = is_before(&r, &value);
    if (found) {
        value = "on";
    }
    while (!found && admin_before(registry, &r, &older) == 0) {
        record_free(&r);
        r = older;
        found = is_before(&r, &value);
    }
    record_free(&r);
    return found ? value : "on";
}

/* ---- what is forced with it ---- */

struct forced {
    struct admin *registry;
    const char *name;
    size_t count;
    char names[NAMED_MAX][BIDE_NAME_MAX + 1];
};

static bool
is_from(struct forced *f, const struct policy_text *t,
        struct policy_origin *origins)
{
    const struct key *key = breaker_key();
    struct faults faults = {0};
    int rc =
        policy_resolve(t, admin_find, f->registry, f->name, origins, &faults);

    faults_free(&faults);
    return rc == 0 && strcmp(origins[key - policy_keys].from, f->name) == 0;
}

static int
look_at(void *arg, const struct record *r)
{
    struct forced *f = arg;
    struct policy_origin *origins;
    struct policy_text *t = NULL;
    int rc;

    if (strcmp(r->name, f->name) == 0 || !strstr(r->text, "extends = ")) {
        return 0;
    }
    origins = calloc(policy_key_count, sizeof(*origins));
    rc = origins ? admin_text(r, &t) : BIDE_ENOMEM;
    if (rc == 0 && is_from(f, t, origins)) {
        if (f->count < NAMED_MAX) {
            strcpy(f->names[f->count], r->name);
        }
        f->count++;
    }
    policy_text_free(t);
    free(origins);
    return rc;
}

/* Policies that inherit it: people force one, and do not think of those. */
static int
print_with_it(struct admin *registry, const char *name)
{
    struct forced f = {.registry = registry, .name = name};
    int rc = admin_each_policy(registry, look_at, &f);

    if (rc) {
        return say_failure(rc, name);
    }
    if (f.count == 1) {
        printf("So is what extends it: ");
    } else if (f.count > 1) {
        printf("So are %zu policies that extend it: ", f.count);
    }
    for (size_t i = 0; i < f.count && i < NAMED_MAX; i++) {
        printf("%s%s", i > 0 ? ", " : "", f.names[i]);
    }
    if (f.count > 0) {
        puts(f.count > NAMED_MAX ? ", ..." : "");
    }
    return 0;
}

int
force_breaker(struct command_line *line, const char *value)
{
    const char *name = line->operands[0];
    struct admin_setting setting = {"breaker", value};
    int status;

    if (!*value) {
        setting.value = value_before(line->registry, name);
    }
    status =
        edit_keys(line, (const char *const *)line->operands, 1, &setting, 1);
    if (status || !*value || line->option[OPTION_DRY_RUN]) {
        return status;
    }
    printf("Every call is %s until: bide breaker %s auto\n",
           strcmp(value, "open") == 0 ? "refused" : "let out", name);
    return print_with_it(line->registry, name);
}
