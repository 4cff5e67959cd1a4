/* bide breaker NAME open, closed, auto: forces a breaker, or ends the forcing.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "admin/change.h"
#include "admin/read.h"
#include "cli/command/say.h"
#include "cli/policy/edit.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "store/policies/record.h"

enum { NAMED_MAX = 5 }; /* limit of inheriting policies that are printed */

static bool
is_forced(const char *value)
{
    return value &&
           (strcmp(value, "open") == 0 || strcmp(value, "closed") == 0);
}

/* ---- the value before ---- */

/* Reports whether version `r` can be read and does not force the breaker.  If
 * so, stores in *out the value of the key: "on" or "off", or NULL if it is not
 * set. */
static bool
read_unforced(const struct record *r, const char **out)
{
    struct policy_text *t = NULL;
    const char *value;
    bool found = false;

    if (!r->deleted && admin_base(r, &t) == 0) {
        value = policy_text_get(t, key_find("breaker"));
        found = !is_forced(value);
        *out = !value ? NULL : strcmp(value, "off") == 0 ? "off" : "on";
    }
    policy_text_free(t);
    return found;
}

/* Returns the value of the base before that was forced; NULL if the key was not
 * set. Returns "on" if that value is unknown, or if the breaker is not forced.
 */
static const char *
find_value_before(struct admin *registry, const char *name)
{
    const char *value = "on";
    struct record r, older;
    bool found;

    if (admin_policy(registry, name, &r)) {
        return "on"; /* edit_keys() will report the error */
    }
    found = read_unforced(&r, &value);
    if (found) {
        value = "on";
    }
    while (!found && admin_before(registry, &r, &older) == 0) {
        record_free(&r);
        r = older;
        found = read_unforced(&r, &value);
    }
    record_free(&r);
    return found ? value : "on";
}

/* ---- policies that inherit it ---- */

struct forced_policies {
    struct admin *registry;
    const char *name;
    size_t count;
    char names[NAMED_MAX][BIDE_NAME_MAX + 1];
};

/* Adds the policy if it inherits its breaker from f->name. */
static int
add_forced(void *arg, const struct record *r)
{
    struct policy_origin origins[POLICY_KEY_MAX];
    struct forced_policies *f = arg;
    struct policy_text *t = NULL;
    struct faults faults = {0};
    int rc;

    if (strcmp(r->name, f->name) == 0 || !strstr(r->text, "extends = ")) {
        return 0;
    }
    rc = admin_text(r, &t);
    if (rc == 0 &&
        policy_resolve(t, admin_find, f->registry, f->name, origins, &faults) ==
            0 &&
        strcmp(origins[key_find("breaker") - policy_keys].from, f->name) == 0) {
        if (f->count < NAMED_MAX) {
            strcpy(f->names[f->count], r->name);
        }
        f->count++;
    }
    faults_free(&faults);
    policy_text_free(t);
    return rc;
}

/* Prints the policies that inherit the breaker, because they are forced too and
 * operators may overlook them.  Returns the exit status. */
static int
print_inheriting(struct admin *registry, const char *name)
{
    struct forced_policies f = {.registry = registry, .name = name};
    int rc = admin_each_policy(registry, add_forced, &f);

    if (rc) {
        return say_failure(rc, name);
    }
    if (f.count == 1) {
        printf("The breaker is also forced in the policy that inherits it: ");
    } else if (f.count > 1) {
        printf("The breaker is also forced in %zu policies that inherit it: ",
               f.count);
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
    struct policy *p = NULL;
    int status;

    assert(!*value || is_forced(value));
    if (!*value) {
        setting.value = find_value_before(line->registry, name);
    }
    status = edit_keys(line, (const char *const *)line->operands, 1, &setting,
                       1, !*value);
    if (status || !*value || line->option[OPTION_DRY_RUN]) {
        return status;
    }
    if (guard_policy(line->registry, name, &p) || !p ||
        strcmp(value, guard_mode(p->breaker.mode)) != 0) {
        policy_free(p); /* a temporary change covers it, which was said */
        return status;
    }
    policy_free(p);
    printf("Every call is now %s. To end that: bide breaker %s auto\n",
           strcmp(value, "open") == 0 ? "refused" : "allowed", name);
    return print_inheriting(line->registry, name);
}
