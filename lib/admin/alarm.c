/* Every policy's last minutes, held against its warn_ and crit_ keys. */
#include "admin/past_inside.h"

#include <stdlib.h>
#include <string.h>

struct judged {
    char name[BIDE_NAME_MAX + 1];
    struct policy *policy;
    struct figures *seen; /* NULL: nothing yet */
    uint64_t begin_ns;
    struct history_level recorded;
};

struct judging {
    struct admin *a;
    bool all;                   /* else also those without keys */
    uint64_t now_ns, window_ns; /* the longest */
    uint64_t damaged;
    size_t count;
    struct judged *list; /* by name */
};

static int
no_memory(void)
{
    return admin_fail(BIDE_ENOMEM, NULL, "%s", bide_strerror(BIDE_ENOMEM));
}

/* ---- which ---- */

static int
compile(struct admin *a, const struct record *r, struct policy **out)
{
    struct policy_text *text;
    struct faults faults = {0};
    int rc = admin_text(r, &text);

    if (rc) {
        return rc;
    }
    rc = policy_compile(text, admin_find, a, r->name, out, &faults);
    policy_text_free(text);
    faults_free(&faults);
    return rc == BIDE_EINPUT
               ? admin_fail(BIDE_EDAMAGED, NULL, "%s: version %u is not valid",
                            r->name, r->version)
               : rc;
}

static int
add_policy(void *arg, const struct record *r)
{
    struct judging *j = arg;
    struct judged *longer = j->list;
    struct policy *p;
    int rc = compile(j->a, r, &p);

    if (rc) {
        return rc;
    }
    if (j->all && !alarm_has_rules(p)) {
        policy_free(p);
        return 0;
    }
    if ((j->count & (j->count - 1)) == 0) {
        longer =
            realloc(j->list, (j->count ? 2 * j->count : 1) * sizeof(*longer));
        if (!longer) {
            policy_free(p);
            return no_memory();
        }
        j->list = longer;
    }
    longer[j->count] = (struct judged){.policy = p, .begin_ns = UINT64_MAX};
    memcpy(longer[j->count].name, r->name, sizeof(r->name));
    j->count++;
    j->window_ns =
        p->warn_window_ns > j->window_ns ? p->warn_window_ns : j->window_ns;
    return 0;
}

static int
add_named(struct judging *j, const char *name)
{
    struct record r;
    int rc = admin_policy(j->a, name, &r);

    if (rc == 0) {
        rc = add_policy(j, &r);
        record_free(&r);
    }
    return rc;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(((const struct judged *)a)->name,
                  ((const struct judged *)b)->name);
}

static int
choose(struct judging *j, char *const *names, size_t count)
{
    size_t kept = 0;
    int rc = 0;

    if (j->all) {
        rc = admin_each_policy(j->a, add_policy, j);
    }
    for (size_t i = 0; i < count && !rc; i++) {
        rc = add_named(j, names[i]);
    }
    if (rc || j->count == 0) {
        return rc;
    }
    qsort(j->list, j->count, sizeof(*j->list), compare);
    for (size_t i = 1; i < j->count; i++) { /* named twice */
        if (compare(&j->list[kept], &j->list[i]) == 0) {
            policy_free(j->list[i].policy);
        } else {
            j->list[++kept] = j->list[i];
        }
    }
    j->count = kept + 1;
    return 0;
}

static struct judged *
find(const struct judging *j, const char *name)
{
    struct judged key;

    if (j->count == 0 || strlen(name) > BIDE_NAME_MAX) {
        return NULL;
    }
    strcpy(key.name, name);
    return bsearch(&key, j->list, j->count, sizeof(*j->list), compare);
}

/* ---- what they did ---- */

static int
add_interval(void *arg, const struct history_interval *i)
{
    struct judging *j = arg;
    struct judged *one = find(j, i->name);
    uint64_t window = one ? one->policy->warn_window_ns : 0;

    if (!one || (window < j->now_ns && i->end_ns <= j->now_ns - window)) {
        return 0;
    }
    if (!one->seen) {
        one->seen = calloc(1, sizeof(*one->seen));
        if (!one->seen) {
            return no_memory();
        }
    }
    figures_add(one->seen, i->figures);
    one->begin_ns = i->begin_ns < one->begin_ns ? i->begin_ns : one->begin_ns;
    return 0;
}

static int
add_level(void *arg, const char *name, const struct history_level *level)
{
    struct judged *one = find(arg, name);

    if (one) {
        one->recorded = *level;
    }
    return 0;
}

static int
tell(const struct judging *j, const struct judged *one,
     int (*visit)(void *arg, const struct admin_alarm *alarm), void *arg)
{
    static const struct figures none;
    const struct figures *f = one->seen ? one->seen : &none;
    uint64_t window = one->policy->warn_window_ns;
    uint64_t begin = j->now_ns > window ? j->now_ns - window : 0;
    struct admin_alarm alarm = {
        .name = one->name,
        .policy = one->policy,
        .begin_ns = one->begin_ns < begin ? one->begin_ns : begin,
        .end_ns = j->now_ns,
        .recorded = one->recorded,
        .damaged = j->damaged,
        .seen =
            {
                .calls = figures_calls(f),
                .exhausted = figures_exhausted(f),
                .attempts = figures_attempts(f),
                .retries = f->counter[COUNTER_RETRIES],
                .p95_ns = figures_at_ns(f, 0.95),
            },
    };

    alarm_judge(one->policy, &alarm.seen, &alarm.verdict);
    return visit(arg, &alarm);
}

int
admin_each_alarm(struct admin *a, char *const *names, size_t count,
                 int (*visit)(void *arg, const struct admin_alarm *alarm),
                 void *arg)
{
    struct judging j = {.a = a, .all = count == 0};
    struct history_range range = {.name = count == 1 ? names[0] : NULL,
                                  .until_ns = UINT64_MAX,
                                  .minutes = true};
    struct admin_past past = {.damaged = 0};
    int rc = choose(&j, names, count);

    j.now_ns = clock_realtime_ns();
    range.since_ns = j.now_ns > j.window_ns ? j.now_ns - j.window_ns : 0;
    if (!rc && j.count > 0) {
        rc = admin_each_interval(a, &range, add_interval, &j, &past);
        j.damaged = past.damaged;
    }
    if (!rc && a->history) {
        rc = history_each_level(a->history, add_level, &j);
    }
    for (size_t i = 0; i < j.count && !rc; i++) {
        rc = tell(&j, &j.list[i], visit, arg);
    }
    for (size_t i = 0; i < j.count; i++) {
        policy_free(j.list[i].policy);
        free(j.list[i].seen);
    }
    free(j.list);
    return rc;
}
