#include "difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/draft.h"
#include "cli/view/layer.h"
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

static void
add_line(struct draft *to, const struct policy_text *old,
         const struct policy_text *now)
{
    struct difference all[POLICY_KEY_MAX];
    size_t count = difference_of(old, now, all);

    for (size_t i = 0; i < count; i++) {
        draft_item(to, all[i].key->name);
        draft_text(to, " ");
        add_side(to, old, all[i].key, all[i].old);
        draft_text(to, " -> ");
        add_side(to, now, all[i].key, all[i].now);
    }
}

char *
difference_line(const struct policy_text *old, const struct policy_text *now)
{
    struct draft line = {0};

    add_line(&line, old, now);
    return draft_take(&line);
}

/* ---- the changes of a version ---- */

/* Adds the differences between two texts of a version and the one before it: of
 * the rules in force, or of the bases. */
static int
add_differences(const struct record *before, const struct record *r,
                int (*read)(const struct record *r, struct policy_text **out),
                struct draft *to)
{
    struct policy_text *old = NULL, *now = NULL;
    int rc = read(before, &old);

    rc = rc ? rc : read(r, &now);
    if (rc == 0) {
        add_line(to, old, now);
    }
    policy_text_free(old);
    policy_text_free(now);
    return rc;
}

/* Adds the layers of `r` that `other` has not, without that of `change`. */
static void
add_layers(const char *word, const struct record *r, const struct record *other,
           const struct record *change, struct draft *to)
{
    struct record_part parts[RECORD_PARTS_MAX];
    size_t count = layer_only(r, other, parts);

    for (size_t i = 0; i < count && parts[i].version != change->version;) {
        char *line = layer_line(parts, count, NULL, change->when_ns, &i);

        draft_item(to, word);
        draft_text(to, line ? line : "?");
        free(line);
    }
}

int
difference_before(struct admin *registry, const struct record *r,
                  struct record *out)
{
    int rc = admin_before(registry, r, out);

    if (rc == BIDE_ENOVERSION) {
        *out = (struct record){.deleted = true};
        rc = 0;
    }
    return rc;
}

int
difference_words(const struct record *before, const struct record *r,
                 char **out)
{
    struct draft what = {0};
    int rc = 0;

    if (r->deleted || before->deleted) {
        draft_text(&what, r->deleted ? "deleted" : "created");
        draft_text(&what,
                   strstr(r->text, "\npaused = yes\n") ? ", paused = yes" : "");
        if (strstr(r->text, "\nbreaker = open\n") ||
            strstr(r->text, "\nbreaker = closed\n")) {
            draft_text(&what, ", breaker is forced");
        }
    } else {
        rc = record_end(r) ? 0 : add_differences(before, r, admin_base, &what);
        if (rc == 0 && !what.used) { /* layers only */
            rc = add_differences(before, r, admin_text, &what);
        }
    }
    if (rc) {
        draft_free(&what);
        return rc;
    }
    add_layers("ended: ", before, r, r, &what);
    add_layers("brought back: ", r, before, r, &what);
    *out = draft_take(&what);
    return *out ? 0 : BIDE_ENOMEM;
}
