/* A discrete-event loop.  At the same instant, attempts that end come first,
 * then attempts that begin and settings, each in the order of the script.  Few
 * calls are running at once, so all of them are searched for the next event. */
#include "simulate.h"

#include <stdlib.h>

#include "script.h"
#include "virtual.h"

struct script_call {
    const struct script_line *line;
    struct machine m;
    bool in_attempt;
    uint64_t due_ns; /* the attempt's end, or the wait's */
    struct script_call *next;
};

struct simulation {
    const struct script *script;
    struct policy_text *text;
    struct policy *rules;
    policy_find_fn *find;
    void *find_arg;
    double random;
    simulate_visit_fn *visit;
    void *arg;
    struct faults *faults;
    struct script_call *running; /* in the order of the script */
    uint64_t now_ns;
    struct virtual_guard shared;
};

static int
report_event(struct simulation *s, const struct script_call *r)
{
    struct simulate_event e = {s->now_ns, r->line->call, &r->m};

    return s->visit(s->arg, &e);
}

/* ---- calls ---- */

static int
start_attempt(struct simulation *s, struct script_call *r)
{
    uint32_t i = r->m.attempts;

    machine_started(&r->m, s->now_ns);
    r->in_attempt = true;
    r->due_ns = s->now_ns;
    if (i < r->line->count) {
        r->due_ns = duration_add(s->now_ns, r->line->outcomes[i].took_ns);
    }
    return report_event(s, r);
}

static void
remove_call(struct simulation *s, struct script_call *r)
{
    struct script_call **at = &s->running;

    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    free(r);
}

/* Reports the decision of the machine; frees the call if it has ended. */
static int
after_decision(struct simulation *s, struct script_call *r)
{
    int rc;

    if (r->m.state == MACHINE_GO) {
        return start_attempt(s, r);
    }
    rc = report_event(s, r);
    if (r->m.state == MACHINE_WAIT) {
        r->due_ns = r->m.wake_ns > s->now_ns ? r->m.wake_ns : s->now_ns;
    } else {
        remove_call(s, r);
    }
    return rc;
}

static int
begin_call(struct simulation *s, const struct script_line *l)
{
    struct script_call *r = calloc(1, sizeof(*r)), **at = &s->running;

    if (!r) {
        return BIDE_ENOMEM;
    }
    while (*at && (*at)->line->line < l->line) {
        at = &(*at)->next;
    }
    r->next = *at;
    *at = r;
    r->line = l;
    machine_begin(&r->m, s->rules, &s->shared.guard, s->now_ns);
    return after_decision(s, r);
}

static int
advance_call(struct simulation *s, struct script_call *r)
{
    uint32_t i = r->m.attempts - 1;

    if (r->in_attempt) {
        r->in_attempt = false;
        machine_ended(&r->m, s->rules, &s->shared.guard,
                      i < r->line->count ? r->line->outcomes[i].outcome
                                         : bide_ok(),
                      s->now_ns, s->random, s->random);
    } else {
        machine_due(&r->m, s->rules, &s->shared.guard, s->now_ns);
    }
    return after_decision(s, r);
}

/* ---- changes ---- */

/* Decides every waiting call again; reports it if the result differs. */
static int
decide_waiting_calls(struct simulation *s)
{
    struct script_call *r, *next;
    int rc = 0;

    for (r = s->running; r && rc == 0; r = next) {
        uint64_t before = r->m.wake_ns;

        next = r->next;
        if (r->in_attempt) {
            continue;
        }
        machine_changed(&r->m, s->rules, &s->shared.guard, s->now_ns);
        if (r->m.state != MACHINE_WAIT || r->m.wake_ns != before) {
            rc = after_decision(s, r);
        }
    }
    return rc;
}

static int
apply_settings(struct simulation *s, const struct script_line *l)
{
    struct policy *rules;
    int rc = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        int one =
            policy_text_set(s->text, l->settings[i].key, l->settings[i].value,
                            s->script->file, l->line, s->faults);

        rc = one ? one : rc;
    }
    if (rc) {
        return rc;
    }
    rc = policy_compile(s->text, s->find, s->find_arg, s->script->file, &rules,
                        s->faults);
    if (rc) {
        return rc;
    }
    policy_free(s->rules);
    s->rules = rules;
    virtual_follow(&s->shared, s->rules, s->now_ns);
    return decide_waiting_calls(s);
}

/* ---- time ---- */

static struct script_call *
earliest_call(const struct simulation *s)
{
    struct script_call *r, *first = NULL;

    for (r = s->running; r; r = r->next) {
        if (!first || r->due_ns < first->due_ns ||
            (r->due_ns == first->due_ns && r->in_attempt &&
             !first->in_attempt)) {
            first = r;
        }
    }
    return first;
}

/* Reports that the next event of the call comes before the line. */
static bool
comes_before(const struct script_call *r, const struct script_line *l)
{
    if (r->due_ns != l->at_ns) {
        return r->due_ns < l->at_ns;
    }
    return r->in_attempt || r->line->line < l->line;
}

static int
run_next_event(struct simulation *s, struct script_call *r,
               const struct script_line *l, uint32_t *line)
{
    if (r && (!l || comes_before(r, l))) {
        s->now_ns = r->due_ns;
        return advance_call(s, r);
    }
    s->now_ns = l->at_ns;
    (*line)++;
    return l->call[0] ? begin_call(s, l) : apply_settings(s, l);
}

static int
run_script(struct simulation *s)
{
    uint32_t line = 0;
    int rc = 0;

    while (rc == 0) {
        const struct script_line *l =
            line < s->script->count ? &s->script->lines[line] : NULL;
        struct script_call *r = earliest_call(s);

        if (!l && !r) {
            break;
        }
        rc = run_next_event(s, r, l, &line);
        if (rc == 0 && s->shared.guard.turned) {
            s->shared.guard.turned = 0;
            rc = decide_waiting_calls(s);
        }
    }
    return rc;
}

int
simulate_script(const struct policy_text *t, policy_find_fn *find,
                void *find_arg, const struct script *script, double random,
                simulate_visit_fn *visit, void *arg, struct faults *faults)
{
    struct simulation s = {
        .script = script,
        .text = policy_text_copy(t),
        .find = find,
        .find_arg = find_arg,
        .random = random,
        .visit = visit,
        .arg = arg,
        .faults = faults,
    };
    int rc = BIDE_ENOMEM;

    if (s.text) {
        rc = policy_compile(s.text, find, find_arg, script->file, &s.rules,
                            faults);
    }
    if (rc == 0) {
        virtual_begin(&s.shared, s.rules);
        rc = run_script(&s);
    }
    while (s.running) {
        remove_call(&s, s.running);
    }
    policy_text_free(s.text);
    policy_free(s.rules);
    return rc;
}
