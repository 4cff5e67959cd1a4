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
    const struct policy_origin *origin;
    struct policy_origin origins[POLICY_KEY_MAX];
    struct faults faults = {0};
    char *text;

    if (!parent || key == extends) {
        return value_from(key->preset ? key->preset : "", "");
    }
    if (!find) {
        return strdup("(inherited)");
    }
    origin = &origins[key - policy_keys];
    text = policy_resolve(t, find, arg, "", origins, &faults) == 0
               ? value_from(origin->value, origin->from)
               : strdup("(inherited)");
    faults_free(&faults);
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
    struct difference all[POLICY_KEY_MAX];
    size_t count = difference_of(old, now, all);
    struct draft line = {0};

    for (size_t i = 0; i < count; i++) {
        draft_item(&line, all[i].key->name);
        draft_text(&line, " ");
        add_side(&line, old, all[i].key, all[i].old);
        draft_text(&line, " -> ");
        add_side(&line, now, all[i].key, all[i].now);
    }
    return draft_take(&line);
}

/* ---- the changes of a version ---- */

/* Writes the differences of a version to the one before it: of the rules in
 * force, or of the bases. */
static int
compare_texts(const struct record *before, const struct record *r,
              int (*read)(const struct record *r, struct policy_text **out),
              char **out)
{
    struct policy_text *old = NULL, *now = NULL;
    int rc = read(before, &old);

    rc = rc ? rc : read(r, &now);
    if (rc == 0) {
        *out = difference_line(old, now);
        rc = *out ? 0 : BIDE_ENOMEM;
    }
    policy_text_free(old);
    policy_text_free(now);
    return rc;
}

int
difference_words(struct admin *registry, const struct record *r, char **out)
{
    struct record before = {.deleted = true};
    char *what = NULL;
    int rc = admin_before(registry, r, &before);

    if (rc && rc != BIDE_ENOVERSION) {
        return rc;
    }
    rc = 0;
    if (r->deleted || before.deleted) {
        what = strdup(r->deleted ? "deleted" : "created");
    } else if (record_end(r) == 0) {
        rc = compare_texts(&before, r, admin_base, &what);
    }
    if (rc == 0 && (!what || !*what) && !r->deleted && !before.deleted) {
        /* A layer, or a change that ended layers only. */
        free(what);
        what = NULL;
        rc = compare_texts(&before, r, admin_text, &what);
    }
    record_free(&before);
    if (rc) {
        free(what);
        return rc;
    }
    *out = what;
    return what ? 0 : BIDE_ENOMEM;
}
