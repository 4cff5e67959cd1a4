#include "change.h"

#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "difference.h"

/* What was in force before `r`; NULL: nothing.  `ended`: only for a time. */
static int
before(struct admin *registry, const struct record *r, struct policy_text **out,
       bool *ended)
{
    struct record older;
    int rc = admin_before(registry, r, &older);

    *out = NULL;
    *ended = false;
    if (rc) {
        return rc == BIDE_ENOVERSION ? 0 : rc;
    }
    *ended = older.until_ns > 0;
    rc = older.deleted ? 0 : admin_text(&older, out);
    record_free(&older);
    return rc;
}

static char *
words(const struct policy_text *old, const struct policy_text *now)
{
    return old ? difference_line(old, now) : strdup("created");
}

int
change_words(struct admin *registry, const struct record *r, char **out)
{
    struct policy_text *old, *now = NULL;
    char *what;
    bool ended;
    int rc;

    if (r->deleted) {
        *out = strdup("deleted");
        return *out ? 0 : BIDE_ENOMEM;
    }
    rc = before(registry, r, &old, &ended);
    if (rc == 0) {
        rc = admin_text(r, &now);
    }
    if (rc) {
        policy_text_free(old);
        return rc;
    }
    what = words(old, now);
    policy_text_free(old);
    policy_text_free(now);
    if (what && !*what && ended && r->until_ns == 0) {
        free(what);
        what = strdup("the end: none"); /* what was for a time is for good */
    }
    *out = what;
    return what ? 0 : BIDE_ENOMEM;
}
