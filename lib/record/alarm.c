/* Early warning: compares the last minutes of each policy, and its breakers,
 * with its warn_ and crit_ keys. */
#include "past_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/failure.h"
#include "registry/load.h"
#include "rule/breaker.h"

struct judged {
    char name[BIDE_NAME_MAX + 1];
    struct policy *policy;
    struct figures *seen; /* NULL: no counts */
    uint64_t begin_ns;
    struct alarm_seen now; /* the breaker, the calls of long intervals, and the
                              scope where calls fail most */
    uint64_t ahead; /* failed calls of this scope, less those of others */
    struct history_level recorded;
};

struct judging {
    struct past *past;
    char *const *names; /* the policies to judge, unless `all` */
    size_t name_count;
    const struct snapshot *snapshot;
    bool said;                  /* why it failed */
    bool all;                   /* each policy with warn_ or crit_ keys */
    uint64_t now_ns, window_ns; /* the longest warn_window */
    uint64_t damaged;
    size_t count;
    struct judged *list; /* by name */
    int (*visit)(void *arg, const struct past_alarm *alarm);
    void *arg;
};

/* ---- choosing the policies ---- */

static int
keep_policy(struct judging *j, struct policy *p, const char *name)
{
    struct judged *added = array_add(&j->list, &j->count, sizeof(*added));

    if (!added) {
        return failure_plain(BIDE_ENOMEM);
    }
    added->policy = p;
    added->begin_ns = UINT64_MAX;
    snprintf(added->name, sizeof(added->name), "%s", name);
    j->window_ns = larger_ns(p->warn_window_ns, j->window_ns);
    return 0;
}

static int
add_policy(struct judging *j, const char *name)
{
    struct loaded loaded;
    int rc = load_policy(j->snapshot, name, j->now_ns, &loaded);

    if (rc == BIDE_EDAMAGED) {
        j->said = true;
        return failure_begin(FAILURE_RULES, rc, name)->rc;
    }
    if (rc) {
        return rc;
    }
    if (!j->all || alarm_has_rules(loaded.policy)) {
        rc = keep_policy(j, loaded.policy, name);
        loaded.policy = rc ? loaded.policy : NULL;
    }
    policy_free(loaded.policy);
    return rc;
}

static int
add_undeleted(void *arg, struct record *r)
{
    int rc = add_policy(arg, r->name);

    return rc == BIDE_ENOVERSION ? 0 : rc; /* it was deleted */
}

static void
forget_policies(struct judging *j)
{
    for (size_t i = 0; i < j->count; i++) {
        policy_free(j->list[i].policy);
        free(j->list[i].seen);
    }
    free(j->list);
    j->list = NULL;
    j->count = 0;
    j->window_ns = 0;
}

/* Reads all policies from one commit; may be repeated. */
static int
read_policies(void *arg, const struct snapshot *s)
{
    struct judging *j = arg;
    int rc = 0;

    forget_policies(j);
    j->said = false;
    j->snapshot = s;
    if (j->all) {
        return reader_each_policy(s, add_undeleted, j);
    }
    for (size_t i = 0; i < j->name_count && !rc; i++) {
        rc = add_policy(j, j->names[i]);
    }
    return rc;
}

static int
compare_judged(const void *a, const void *b)
{
    return strcmp(((const struct judged *)a)->name,
                  ((const struct judged *)b)->name);
}

static int
choose_policies(struct judging *j)
{
    size_t kept = 0;
    int rc = reader_read(j->past->reader, read_policies, j, NULL);

    if (rc) {
        return j->said ? rc : failure_of_store(rc, j->past->dir, pages_why());
    }
    if (j->count == 0) {
        return 0;
    }
    qsort(j->list, j->count, sizeof(*j->list), compare_judged);
    for (size_t i = 1; i < j->count; i++) { /* named twice */
        if (compare_judged(&j->list[kept], &j->list[i]) == 0) {
            policy_free(j->list[i].policy);
        } else {
            j->list[++kept] = j->list[i];
        }
    }
    j->count = kept + 1;
    return 0;
}

static struct judged *
find_judged(const struct judging *j, const char *name)
{
    struct judged key;

    if (j->count == 0 || strlen(name) > BIDE_NAME_MAX) {
        return NULL;
    }
    strcpy(key.name, name);
    return bsearch(&key, j->list, j->count, sizeof(*j->list), compare_judged);
}

static bool
is_judged(void *arg, const char *name)
{
    return find_judged(arg, name) != NULL;
}

/* ---- judging ---- */

static uint64_t
judged_calls(const struct figures *f)
{
    return figures_calls(f) - f->counter[COUNTER_CANCELLED];
}

/* Finds the scope that has more failed calls than all others.  One scope at a
 * time is ahead of the others; the failed calls of these count against it. */
static void
compare_scopes(struct judged *one, const struct history_interval *i)
{
    uint64_t failed = figures_failed(i->figures);

    if (strcmp(one->now.worst_scope, i->scope) == 0) {
        one->ahead += failed;
    } else if (failed > one->ahead) {
        one->ahead = failed - one->ahead;
        snprintf(one->now.worst_scope, sizeof(one->now.worst_scope), "%s",
                 i->scope);
    } else {
        one->ahead -= failed;
    }
}

/* Adds up the intervals of the last warn_window.  Of a much longer one nobody
 * knows how many of its calls ended in the window: it is left out. */
static int
add_interval(void *arg, const struct history_interval *i)
{
    struct judging *j = arg;
    struct judged *one = find_judged(j, i->name);
    uint64_t window = one ? one->policy->warn_window_ns : 0;

    if (!one || (window < j->now_ns && i->end_ns <= j->now_ns - window)) {
        return 0;
    }
    if ((i->end_ns - i->begin_ns) / 2 > window) {
        one->now.unclear += judged_calls(i->figures);
        one->now.unclear_ns = i->end_ns - i->begin_ns;
        return 0;
    }
    if (!one->seen) {
        one->seen = calloc(1, sizeof(*one->seen));
        if (!one->seen) {
            return failure_plain(BIDE_ENOMEM);
        }
    }
    figures_add(one->seen, i->figures);
    compare_scopes(one, i);
    one->begin_ns = smaller_ns(i->begin_ns, one->begin_ns);
    return 0;
}

/* Finds the breaker of each policy that left the closed state first. */
static void
look_at_breakers(struct judging *j)
{
    struct live *l = past_live(j->past, false);
    uint64_t now_ns = clock_monotonic_ns(), until_ns, left_ns;
    char name[BIDE_NAME_MAX + 1], scope[BIDE_NAME_MAX + 1];

    for (uint32_t i = 0; l && i < cell_count(l); i++) {
        const struct cell *c = cell_at(l, i);
        struct judged *one =
            c && cell_names(c, name, scope) ? find_judged(j, name) : NULL;
        enum breaker_state state;

        if (!one || !breaker_is_sound(&c->breaker, now_ns)) {
            continue;
        }
        state =
            breaker_look(&one->policy->breaker, &c->breaker, now_ns, &until_ns);
        left_ns = breaker_left_ns(&c->breaker, now_ns);
        if (state != STATE_CLOSED && (one->now.breaker == STATE_CLOSED ||
                                      left_ns > one->now.breaker_ns)) {
            one->now.breaker = state;
            one->now.breaker_ns = left_ns;
            strcpy(one->now.scope, scope);
        }
    }
}

/* Keeps the level of a policy that is judged.  Of all policies, visits also
 * those with a level that are not judged any more: they were deleted, or lost
 * their keys. */
static int
set_recorded_level(void *arg, const char *name,
                   const struct history_level *level)
{
    struct judging *j = arg;
    struct judged *one = find_judged(j, name);
    struct past_alarm alarm = {
        .name = name, .verdict.words = "no longer watched", .recorded = *level};

    if (one) {
        one->recorded = *level;
    }
    return one || !j->all || level->level == ALARM_OK
               ? 0
               : j->visit(j->arg, &alarm);
}

void
past_most(struct past *p, const struct figures *f, char out[64], uint64_t *most)
{
    for (uint32_t i = 0; i < f->outcome_count; i++) {
        if (f->outcome[i].count > *most) {
            *most = f->outcome[i].count;
            snprintf(out, 64, "%s", past_outcome(p, f->outcome[i].id));
        }
    }
}

static int
judge_policy(const struct judging *j, const struct judged *one)
{
    const struct figures *f = one->seen;
    uint64_t window = one->policy->warn_window_ns;
    uint64_t begin = j->now_ns > window ? j->now_ns - window : 0, most = 0;
    struct past_alarm alarm = {
        .name = one->name,
        .policy = one->policy,
        .begin_ns = smaller_ns(one->begin_ns, begin),
        .end_ns = j->now_ns,
        .seen = one->now,
        .recorded = one->recorded,
        .damaged = j->damaged,
    };

    if (f) {
        alarm.seen.calls = judged_calls(f);
        alarm.seen.failed = figures_failed(f);
        alarm.rejected = f->counter[COUNTER_REJECTED];
        alarm.seen.attempts = figures_attempts(f);
        alarm.seen.retries = f->counter[COUNTER_RETRIES];
        alarm.seen.p95_ns = figures_at_ns(f, 0.95);
        if (2 * one->ahead <= alarm.seen.failed) {
            *alarm.seen.worst_scope = '\0';
        }
        past_most(j->past, f, alarm.seen.outcome, &most);
    }
    alarm.seen.damaged = j->damaged > 0;
    if (alarm.seen.calls >= one->policy->warn_min_calls) {
        alarm.seen.unclear = 0; /* enough is known without them */
    }
    alarm_judge(one->policy, &alarm.seen, &alarm.verdict);
    return j->visit(j->arg, &alarm);
}

int
past_each_alarm(struct past *p, char *const *names, size_t count,
                int (*visit)(void *arg, const struct past_alarm *alarm),
                void *arg)
{
    struct judging j = {.past = p,
                        .names = names,
                        .name_count = count,
                        .all = count == 0,
                        .now_ns = past_now_ns(p),
                        .visit = visit,
                        .arg = arg};
    struct history_range range = {.name = count == 1 ? names[0] : NULL,
                                  .until_ns = UINT64_MAX,
                                  .minutes = true};
    struct history_known known = {.damaged = 0};
    int rc = choose_policies(&j);

    range.since_ns = j.now_ns > j.window_ns ? j.now_ns - j.window_ns : 0;
    if (!rc) {
        rc = j.count > 0 ? past_each_interval(p, &range, is_judged,
                                              add_interval, &j, &known)
                         : past_known(p, &known);
        j.damaged = known.damaged;
    }
    look_at_breakers(&j);
    if (!rc && p->history) {
        rc = history_each_level(p->history, set_recorded_level, &j);
    }
    for (size_t i = 0; i < j.count && !rc; i++) {
        rc = judge_policy(&j, &j.list[i]);
    }
    forget_policies(&j);
    return rc;
}
