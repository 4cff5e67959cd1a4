#include "layer.h"

#include "base/draft.h"
#include "cli/out/json.h"
#include "store/policies/record.h"

char *
layer_words(const struct record *r, size_t *at)
{
    uint32_t version = r->parts[*at].version;
    struct draft words = {0};

    for (; *at < r->part_count && r->parts[*at].version == version; ++*at) {
        const struct record_part *p = &r->parts[*at];

        draft_item(&words, p->key);
        draft_text(&words, " is ");
        draft_text(&words, p->value ? p->value : "not set");
    }
    return draft_take(&words);
}

void
layer_put_all(struct json *j, const struct record *r)
{
    struct json *array = json_in_array(j, "layers"), *layer, *keys = NULL;

    for (size_t i = 1; i < r->part_count; i++) {
        const struct record_part *p = &r->parts[i];

        if (i == 1 || p->version != p[-1].version) {
            layer = json_add_object(array);
            json_put_count(layer, "version", p->version);
            json_put_text(layer, "who", p->who);
            json_put_s(layer, "when", p->when_ns);
            json_put_s(layer, "until", p->until_ns);
            json_put_text(layer, "note", p->note);
            keys = json_in_object(layer, "keys");
        }
        if (p->value) {
            json_put_text(keys, p->key, p->value);
        } else {
            json_put_null(keys, p->key);
        }
    }
}
