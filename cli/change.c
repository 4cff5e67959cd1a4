#include "change.h"

#include <stdlib.h>
#include <string.h>

#include "difference.h"

/* What was in force before `r`; NULL: nothing. */
static int
before(struct admin *registry, const struct record *r, struct policy_text **out)
{
    struct record older;
    int rc = admin_before(registry, r, &older);

    *out = NULL;
    if (rc) {
        return rc == BIDE_ENOVERSION ? 0 : rc;
    }
    rc = older.deleted ? 0 : admin_text(&older, out);
    record_free(&older);
    return rc;
}

int
change_words(struct admin *registry, const struct record *r, char **out)
{
    struct policy_text *old, *now = NULL;
    char *what;
    int rc;

    if (r->deleted) {
        *out = strdup("deleted");
        return *out ? 0 : BIDE_ENOMEM;
    }
    rc = before(registry, r, &old);
    if (rc == 0) {
        rc = admin_text(r, &now);
    }
    if (rc) {
        policy_text_free(old);
        return rc;
    }
    what = old ? difference_line(old, now) : strdup("created");
    policy_text_free(old);
    policy_text_free(now);
    *out = what;
    return what ? 0 : BIDE_ENOMEM;
}
