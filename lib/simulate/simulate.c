/* A discrete-event loop.  At the same instant, attempts that end come first,
 * then attempts that begin and settings, each in the order of the script.  Few
 * calls are running at once, so all of them are searched for the next event. */
#include "simulate.h"

#include <stdlib.h>

#include "rule/machine.h"
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

const char *
simulate_says_name(enum simulate_says says)
{
    static const char *const names[] = {
#define X(name, text) text,
        SIMULATE_SAYS(X)
#undef X
    };

    return (size_t)says < sizeof(names) / sizeof(*names) ? names[says] : "?";
}

static int
report_event(struct simulation *s, const struct script_call *r,
             enum simulate_says says)
{
    struct simulate_event e = {
        .t_ns = s->now_ns,
        .call = r->line->call,
        .attempt = r->m.attempts,
        .says = says,
        .until_ns = says == SAYS_WAIT || says == SAYS_REFUSED ? r->m.wake_ns
                                                              : DURATION_NONE,
        .verdict = r->m.verdict,
        .reason = r->m.reason,
        .end = r->m.end,
    };

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
    return report_event(s, r, SAYS_GO);
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
after_decision(struct simulation *s, struct script_call *r,
               enum machine_says says)
{
    int rc;

    if (says == MACHINE_WAIT) {
        r->due_ns = r->m.wake_ns > s->now_ns ? r->m.wake_ns : s->now_ns;
        return report_event(s, r, SAYS_WAIT);
    }
    rc = report_event(s, r, says == MACHINE_REFUSED ? SAYS_REFUSED : SAYS_DONE);
    remove_call(s, r);
    return rc;
}

static int
begin_call(struct simulation *s, const struct script_line *l)
{
    struct script_call *r = calloc(1, sizeof(*r)), **at = &s->running;
    enum machine_says says;

    if (!r) {
        return BIDE_ENOMEM;
    }
    while (*at && (*at)->line->line < l->line) {
        at = &(*at)->next;
    }
    r->next = *at;
    *at = r;
    r->line = l;
    says = machine_begin(&r->m, s->rules, &s->shared.guard, s->now_ns);
    return says == MACHINE_GO ? start_attempt(s, r)
                              : after_decision(s, r, says);
}

static int
end_attempt(struct simulation *s, struct script_call *r)
{
    uint32_t i = r->m.attempts - 1;
    struct bide_outcome o =
        i < r->line->count ? r->line->outcomes[i].outcome : bide_ok();

    r->in_attempt = false;
    return after_decision(s, r,
                          machine_ended(&r->m, s->rules, &s->shared.guard, o,
                                        s->now_ns, s->random, s->random));
}

static int
advance_call(struct simulation *s, struct script_call *r)
{
    if (r->in_attempt) {
        return end_attempt(s, r);
    }
    if (machine_due(&r->m, s->rules, &s->shared.guard, s->now_ns) ==
        MACHINE_DONE) {
        return after_decision(s, r, MACHINE_DONE);
    }
    return start_attempt(s, r);
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
        enum machine_says says;

        next = r->next;
        if (r->in_attempt) {
            continue;
        }
        says = machine_changed(&r->m, s->rules, &s->shared.guard, s->now_ns);
        if (says == MACHINE_WAIT && r->m.wake_ns == before) {
            continue;
        }
        rc = after_decision(s, r, says);
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
