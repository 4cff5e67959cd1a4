/* bide breaker NAME open, closed, auto: forces a breaker, or ends the forcing.
 */
#include <assert.h>
#include <string.h>

#include "admin/change.h"
#include "admin/read.h"
#include "cli/policy/edit.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "store/policies/record.h"

static bool
is_forced(const char *value)
{
    return value &&
           (strcmp(value, "open") == 0 || strcmp(value, "closed") == 0);
}

/* Returns the value of the base before that was forced: "on" or "off"; NULL:
 * the key was not set.  Returns "on" if that value is unknown, or if the
 * breaker is not forced. */
static const char *
find_value_before(struct admin *registry, const char *name)
{
    const char *value = "open"; /* of `r` */
    struct record r, older;
    bool forced = false;
    int rc = admin_policy(registry, name, &r); /* edit_keys() reports errors */

    while (rc == 0) {
        struct policy_text *t = NULL;

        if (!r.deleted && admin_base(&r, &t) == 0) {
            value = policy_text_get(t, key_find("breaker"));
            value = is_forced(value)            ? "open"
                    : !value                    ? NULL
                    : strcmp(value, "off") == 0 ? "off"
                                                : "on";
        }
        policy_text_free(t);
        rc = is_forced(value) ? admin_before(registry, &r, &older) : 1;
        forced |= is_forced(value);
        record_free(&r);
        r = older;
    }
    return forced && !is_forced(value) ? value : "on";
}

int
force_breaker(struct command_line *line, const char *value)
{
    struct admin_setting setting = {"breaker", value};

    assert(!*value || is_forced(value));
    if (!*value) {
        setting.value = find_value_before(line->registry, line->operands[0]);
    }
    return edit_keys(line, (const char *const *)line->operands, 1, &setting, 1,
                     !*value);
}
