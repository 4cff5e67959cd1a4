#include "sections.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "outcome_app.h"
#include "text.h"

/* Returns the slot of a name, or the free slot for it. */
static uint32_t *
find_slot(const struct sections *s, const char *name)
{
    size_t i = app_hash(name, strlen(name)) & (s->slots - 1);

    while (s->index[i] &&
           strcmp(policy_text_name(s->list.list[s->index[i] - 1]), name)) {
        i = (i + 1) & (s->slots - 1);
    }
    return &s->index[i];
}

static int
grow_index(struct sections *s)
{
    struct sections larger = *s;

    if (s->slots > 2 * s->list.count) {
        return 0;
    }
    larger.slots = s->slots ? 4 * s->slots : 64;
    larger.index = calloc(larger.slots, sizeof(*larger.index));
    if (!larger.index) {
        return BIDE_ENOMEM;
    }
    for (size_t i = 0; i < s->slots; i++) {
        uint32_t position = s->index[i];

        if (position) {
            const char *name = policy_text_name(s->list.list[position - 1]);

            *find_slot(&larger, name) = position;
        }
    }
    free(s->index);
    *s = larger;
    return 0;
}

int
sections_add(struct sections *s, const char *name, int line,
             struct policy_text **out, int *first)
{
    struct policy_text *text;
    int rc = 0;

    if (grow_index(s) != 0) {
        return BIDE_ENOMEM;
    }
    text = policy_text_new(name ? name : "no-name");
    if (policy_list_add(&s->list, text) != 0) {
        return BIDE_ENOMEM;
    }
    policy_text_set_line(text, line);
    if (name) {
        uint32_t *slot = find_slot(s, name);

        if (*slot) {
            *first = policy_text_line(s->list.list[*slot - 1]);
            rc = BIDE_EEXIST;
        } else {
            *slot = (uint32_t)s->list.count;
        }
    }
    *out = text;
    return rc;
}

void
sections_finish(struct sections *s, struct policy_list *out)
{
    free(s->index);
    if (out) {
        *out = s->list;
    } else {
        policy_list_free(&s->list);
    }
    *s = (struct sections){0};
}

int
policy_list_add(struct policy_list *list, struct policy_text *t)
{
    if (t && array_put(&list->list, &list->count, &t, sizeof(t))) {
        return 0;
    }
    policy_text_free(t);
    return BIDE_ENOMEM;
}

int
policy_list_find(void *arg, const char *name, const struct policy_text **out)
{
    const struct policy_list *list = arg;

    for (size_t i = list->count; i-- > 0;) {
        if (strcmp(policy_text_name(list->list[i]), name) == 0) {
            *out = list->list[i];
            return 0;
        }
    }
    return BIDE_ENOPOLICY;
}

void
policy_list_free(struct policy_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        policy_text_free(list->list[i]);
    }
    free(list->list);
    *list = (struct policy_list){0};
}
