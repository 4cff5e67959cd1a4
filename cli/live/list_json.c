/* The JSON of bide list. */
#include "list.h"

#include <string.h>

#include "base/array.h"
#include "cli/out/json.h"
#include "cli/view/guard.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* Adds an object for a policy, in the order of --sort. */
static struct json *
add_object(struct list *list, const struct list_row *row)
{
    double rank = list_rank(list, row);
    size_t at = list->rank_count;

    if (!array_add(&list->ranks, &list->rank_count, sizeof(*list->ranks))) {
        return NULL;
    }
    for (; at > 0 && list->ranks[at - 1] < rank; at--) {
        list->ranks[at] = list->ranks[at - 1];
    }
    list->ranks[at] = rank;
    return json_insert_object(list->array, at);
}

static void
put_counts(struct json *j, const struct count *c)
{
    static const struct count none;
    const struct bide_stats *s = c ? &c->cell.stats : &none.cell.stats;

    json_put_count(j, "calls", counter_calls(s));
    json_put_count(j, "attempts", s->attempts);
    json_put_count(j, "retries", s->retries);
    if (s->latency_succeeded.count > 0) {
        json_put_ms(j, "p95_ms", s->latency_succeeded.p95_ns);
    } else {
        json_put_null(j, "p95_ms");
    }
    json_put_count(j, "sleeping", c ? c->sleeping : 0);
    now_json(j, c ? &c->cell : &none.cell);
}

/* Adds the state and the figures of each scope. */
static void
put_scopes(struct json *j, const struct policy *p, const struct count *c,
           uint32_t most)
{
    struct json *array = json_in_array(j, "scopes");
    uint32_t left = most;

    for (size_t i = 0; i < c->part_count; i++) {
        const struct count *part = &c->parts[i];
        const struct bide_stats *now = &part->cell.now;
        struct json *one;

        if (!part->cell.only_scopes &&
            (most == 0 || (left > 0 && (counter_failed(now) > 0 ||
                                        !guard_is_usual(&part->guard))))) {
            left -= most > 0;
            one = json_add_object(array);
            json_put_text(one, "scope", part->cell.scope);
            put_counts(one, part);
            guard_put(one, p, &part->guard);
        }
    }
}

static void
put_warning(struct json *j, struct list *list, const struct list_row *row)
{
    struct alarm_verdict v;

    list_judge(row, &v);
    json_put_text(j, "level", alarm_word(v.level));
    json_put_text(j, "warnings", v.words);
    json_put_time(j, "since", *v.words ? list_since_ns(list, row) : 0);
}

struct layers {
    struct json *array;
    uint64_t ends_ns; /* the next end of one; 0: none */
};

static int
put_layers(void *arg, const char *of, const struct record_part *parts,
           size_t count)
{
    struct layers *l = arg;

    for (size_t i = 0; i < count; i++) {
        if (!l->ends_ns || parts[i].until_ns < l->ends_ns) {
            l->ends_ns = parts[i].until_ns;
        }
    }
    return layer_put(l->array, of, parts, count);
}

static void
put_policy(struct list *list, struct json *j, const struct list_row *row)
{
    const struct policy *p = row->policy;
    struct layers layers = {0};
    char rules[128];

    json_put_text(j, "policy", row->record->name);
    json_put_count(j, "version", row->record->version);
    if (p) {
        json_put_text(j, "importance", guard_importance(p->importance));
        json_put_text(j, "rules", policy_summary(p, rules, sizeof(rules)));
        json_put_truth(j, "paused", p->paused);
    } else {
        json_put_null(j, "rules");
    }
    layers.array = json_in_array(j, "layers");
    layer_each(list->registry, row->record, put_layers, &layers);
    if (layers.ends_ns > 0) {
        json_put_s(j, "until", layers.ends_ns);
    }
}

static void
put_missing(struct json *j, const struct list_row *row)
{
    const struct admin_cell *c = &row->count->cell;
    char rules[128];

    json_put_text(j, "policy", c->name);
    json_put_null(j, "version");
    if (row->policy) {
        json_put_text(j, "rules",
                      policy_summary(row->policy, rules, sizeof(rules)));
    }
    if (c->declared) {
        json_put_text(j, "declared_by", c->declared->by.program);
        json_put_count(j, "declared_pid", c->declared->by.pid);
        json_put_truth(j, "declared_other_container",
                       c->declared->by.elsewhere);
        json_put_truth(j, "declared_ended", c->declared->by.ended);
    }
    json_put_truth(j, "default", row->is_default);
    if (c->asked_by.pid > 0) {
        json_put_count(j, "asked_by", c->asked_by.pid);
        json_put_text(j, "program", c->asked_by.program);
        json_put_truth(j, "other_container", c->asked_by.elsewhere);
    }
}

void
list_put_row(struct list *list, const struct list_row *row)
{
    struct json *j = add_object(list, row);
    const struct count *c = row->count;
    const struct policy *p =
        admin_live_failed(list->registry) ? NULL : row->policy;

    if (row->record) {
        put_policy(list, j, row);
    } else {
        put_missing(j, row);
    }
    put_counts(j, c);
    if (row->record) {
        put_warning(j, list, row);
        guard_put(j, p, &row->worst);
    }
    if (c && c->part_count > 1) {
        put_scopes(j, p, c, list->most);
    }
    if (c && c->cell.scopes_refused > 0) {
        json_put_count(j, "scopes_refused", c->cell.scopes_refused);
    }
}
