#include "difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/draft.h"
#include "policy/policy.h"
#include "store/policies/record.h"

size_t
difference_of(const struct policy_text *old, const struct policy_text *now,
              struct difference *out)
{
    size_t count = 0;

    for (size_t i = 0; i < policy_key_count; i++) {
        const struct key *key = &policy_keys[i];
        const char *before = old ? policy_text_get(old, key) : NULL;
        const char *after = now ? policy_text_get(now, key) : NULL;

        if ((before || after) &&
            (!before || !after || strcmp(before, after) != 0)) {
            out[count++] = (struct difference){key, before, after};
        }
    }
    return count;
}

static char *
value_from(const char *value, const char *from)
{
    char *text = NULL;

    if (asprintf(&text, "%s (%s)", *value ? value : "none",
                 *from ? from : "default") < 0) {
        return NULL;
    }
    return text;
}

char *
difference_silent(const struct policy_text *t, const struct key *key,
                  policy_find_fn *find, void *arg)
{
    const struct key *extends = key_find("extends");
    const char *parent = t && extends ? policy_text_get(t, extends) : NULL;
    size_t index = (size_t)(key - policy_keys);
    struct policy_origin *origins;
    struct faults faults = {0};
    char *text = NULL;

    if (!parent || key == extends) {
        return value_from(key->preset ? key->preset : "", "");
    }
    if (!find) {
        return strdup("(inherited)");
    }
    origins = calloc(policy_key_count, sizeof(*origins));
    if (origins && policy_resolve(t, find, arg, "", origins, &faults) == 0) {
        text = value_from(origins[index].value, origins[index].from);
    } else if (origins) {
        text = strdup("(inherited)");
    }
    faults_free(&faults);
    free(origins);
    return text;
}

static void
add_side(struct draft *to, const struct policy_text *t, const struct key *key,
         const char *own)
{
    char *silent = own ? NULL : difference_silent(t, key, NULL, NULL);

    draft_text(to, own ? own : silent ? silent : "?");
    free(silent);
}

char *
difference_line(const struct policy_text *old, const struct policy_text *now)
{
    struct difference *all = calloc(policy_key_count, sizeof(*all));
    struct draft line = {.failed = !all};
    size_t count = all ? difference_of(old, now, all) : 0;

    for (size_t i = 0; i < count; i++) {
        draft_item(&line, all[i].key->name);
        draft_text(&line, " ");
        add_side(&line, old, all[i].key, all[i].old);
        draft_text(&line, " -> ");
        add_side(&line, now, all[i].key, all[i].now);
    }
    free(all);
    return draft_take(&line);
}

/* ---- the changes of a version ---- */

/* Reads the text that was in force before `r`; NULL if there was none.  Stores
 * in `ended` whether it was a temporary change. */
static int
read_before(struct admin *registry, const struct record *r,
            struct policy_text **out, bool *ended)
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

int
difference_words(struct admin *registry, const struct record *r, char **out)
{
    struct policy_text *old, *now = NULL;
    char *what;
    bool ended;
    int rc;

    if (r->deleted) {
        *out = strdup("deleted");
        return *out ? 0 : BIDE_ENOMEM;
    }
    rc = read_before(registry, r, &old, &ended);
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
    if (what && !*what && ended && r->until_ns == 0) {
        free(what);
        what = strdup("made permanent"); /* what was for a time is for good */
    }
    *out = what;
    return what ? 0 : BIDE_ENOMEM;
}
