#include "layer.h"

#include <stdio.h>
#include <string.h>

#include "admin/read.h"
#include "base/draft.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "policy/policy.h"
#include "store/policies/record.h"

char *
layer_line(const struct record_part *parts, size_t count, const char *of,
           uint64_t now_ns, size_t *at)
{
    const struct record_part *first = &parts[*at];
    struct draft line = {0};

    for (; *at < count && parts[*at].version == first->version; ++*at) {
        draft_item(&line, parts[*at].key);
        draft_print(&line, " is %s",
                    parts[*at].value ? parts[*at].value : "not set");
    }
    draft_print(&line, " until %s (version %u%s%s, %s)",
                now_ns ? when_write(first->until_ns, now_ns).text
                       : when_write_iso(first->until_ns).text,
                first->version, of ? " of " : "", of ? of : "",
                author_write(first->who, first->uid).text);
    return line.failed ? (draft_free(&line), strdup("?")) : draft_take(&line);
}

size_t
layer_only(const struct record *r, const struct record *other,
           struct record_part *out)
{
    size_t count = 0, k;

    for (size_t i = 1; i < r->part_count; i++) {
        for (k = 1; k < other->part_count; k++) {
            if (other->parts[k].version == r->parts[i].version &&
                strcmp(other->parts[k].key, r->parts[i].key) == 0) {
                break;
            }
        }
        if (k >= other->part_count) {
            out[count++] = r->parts[i];
        }
    }
    return count;
}

/* ---- inherited layers ---- */

struct layer_walk {
    struct admin *registry;
    layer_visit_fn *visit;
    void *arg;
    bool set[POLICY_KEY_MAX]; /* keys with a value from a nearer policy */
};

/* Visits those layers of `r` that reach the policy, and those it extends. */
static int
visit_layers(struct layer_walk *w, const char *of, const struct record *r)
{
    struct record_part parts[RECORD_PARTS_MAX];
    struct policy_text *t = NULL;
    struct record parent;
    size_t count = 0;
    int rc;

    for (size_t i = 1; i < r->part_count; i++) {
        if (!w->set[key_find(r->parts[i].key) - policy_keys]) {
            parts[count++] = r->parts[i];
        }
    }
    rc = count ? w->visit(w->arg, of, parts, count) : 0;
    if (rc || !strstr(r->text, "extends = ") || admin_text(r, &t)) {
        return rc;
    }
    for (size_t i = 0; i < policy_key_count; i++) {
        w->set[i] |= policy_text_get(t, &policy_keys[i]) != NULL;
    }
    of = policy_text_get(t, key_find("extends"));
    if (of && admin_policy(w->registry, of, &parent) == 0) {
        rc = visit_layers(w, of, &parent);
        record_free(&parent);
    }
    policy_text_free(t);
    return rc;
}

int
layer_each(struct admin *registry, const struct record *r,
           layer_visit_fn *visit, void *arg)
{
    return visit_layers(&(struct layer_walk){registry, visit, arg, {false}},
                        NULL, r);
}

int
layer_put(void *array, const char *of, const struct record_part *parts,
          size_t count)
{
    struct json *layer, *keys = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct record_part *p = &parts[i];

        if (i == 0 || p->version != p[-1].version) {
            layer = json_add_object(array);
            json_put_text(layer, "inherited_from", of);
            json_put_count(layer, "version", p->version);
            json_put_text(layer, "who", p->who);
            json_put_count(layer, "uid", p->uid);
            json_put_s(layer, "when", p->when_ns);
            json_put_s(layer, "until", p->until_ns);
            json_put_text(layer, "note", p->note);
            keys = json_in_object(layer, "keys");
        }
        json_put_text(keys, p->key, p->value);
    }
    return 0;
}
