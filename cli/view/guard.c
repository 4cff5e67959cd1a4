#include "guard.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/live.h"
#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/out/text.h"
#include "policy/policy.h"
#include "rule/breaker.h"
#include "store/policies/record.h"

int
guard_compile(struct admin *registry, const struct record *r,
              struct policy **out)
{
    int rc = admin_compile(registry, r, NULL, out);

    return rc == BIDE_ENOMEM ? rc : 0;
}

int
guard_policy(struct admin *registry, const char *name, struct policy **out)
{
    struct record r;
    int rc;

    *out = NULL;
    if (admin_policy(registry, name, &r) != 0) {
        return 0;
    }
    rc = guard_compile(registry, &r, out);
    record_free(&r);
    return rc;
}

int
guard_find(struct command_line *line, struct policy **out)
{
    const char *name = line->operands[0];
    struct faults faults = {0};
    struct record r;
    int rc =
        admin_has_live(line->registry) ? 0 : admin_live_failed(line->registry);
    int status = guard_scope_check(line);

    if (status == 0 && rc) {
        status = say_failure(rc, admin_live_path(line->registry));
    }
    status = status ? status : say_unless_found(line->registry, name, &r);
    if (status) {
        return status;
    }
    rc = admin_compile(line->registry, &r, &faults, out);
    record_free(&r);
    return say_refusal(rc, &faults, name, NULL);
}

bool
guard_has_breaker(const struct policy *p)
{
    return p && p->breaker.mode != BREAKER_OFF;
}

bool
guard_has_any(const struct policy *p)
{
    return guard_has_breaker(p) || guard_has_budget(p) ||
           (p && admin_has_limits(p));
}

bool
guard_has_budget(const struct policy *p)
{
    return p && strcmp(p->budget.group, "none") != 0;
}

bool
guard_by_scope(const struct policy *p)
{
    return guard_has_breaker(p) ||
           (p && (strcmp(p->budget.group, "own") == 0 || admin_has_limits(p)));
}

/* ---- words ---- */

const char *
guard_mode(int mode)
{
    static const char *const words[] = {
        [BREAKER_OFF] = "off",
        [BREAKER_ON] = "on",
        [BREAKER_OPEN] = "open",
        [BREAKER_CLOSED] = "closed",
    };

    return words[mode];
}

const char *
guard_importance(int importance)
{
    static const char *const words[] = {
        [MANDATORY] = "mandatory",
        [POSTPONABLE] = "postponable",
        [OPTIONAL] = "optional",
    };

    return words[importance];
}

const char *
guard_word(int state)
{
    static const char *const words[] = {
        [STATE_CLOSED] = "closed",
        [STATE_OPEN] = "open",
        [STATE_HALF_OPEN] = "half open",
    };

    return words[state];
}

/* Rounds up to whole seconds, because "0s" would mean that the time is over. */
static struct brief
write_open(uint64_t left_ns)
{
    struct brief out;

    if (left_ns > SECOND_NS) {
        left_ns = (left_ns + SECOND_NS - 1) / SECOND_NS * SECOND_NS;
    }
    snprintf(out.text, sizeof(out.text), "OPEN %.20s",
             duration_round(left_ns).text);
    return out;
}

struct brief
guard_state(const struct admin_guard *g)
{
    struct brief out = {"-"};

    if (g->mode == BREAKER_ON && g->state == STATE_OPEN) {
        return write_open(g->open_for_ns);
    }
    if (g->held > 0) {
        snprintf(out.text, sizeof(out.text), "closed, %.0f%%",
                 (1 - g->held) * 100);
        return out;
    }
    if (g->mode != BREAKER_OFF) {
        strcpy(out.text, g->mode == BREAKER_OPEN     ? "forced open"
                         : g->mode == BREAKER_CLOSED ? "forced closed"
                                                     : guard_word(g->state));
    }
    return out;
}

struct brief
guard_level(const struct admin_guard *g)
{
    double percent = g->budget_level * 100;
    struct brief out = {"-"};

    if (!g->has_budget) {
        return out;
    }
    if (percent > 0 && percent < 1) {
        percent = 1;
    } else if (percent < 100 && percent > 99) {
        percent = 99;
    }
    snprintf(out.text, sizeof(out.text), "%.0f%%", percent);
    return out;
}

/* Returns the tokens in the budget, rounded to thousandths, the unit in which
 * they are counted. */
double
guard_tokens(const struct policy *p, const struct admin_guard *g)
{
    double thousandths = g->budget_level * (double)p->budget.capacity;

    return (double)(int64_t)(thousandths + 0.5) / 1000;
}

bool
guard_is_closed(const struct admin_guard *g)
{
    return g->mode == BREAKER_OFF ||
           (g->mode == BREAKER_ON && g->state == STATE_CLOSED && !g->damaged);
}

bool
guard_is_usual(const struct admin_guard *g)
{
    return guard_is_closed(g) && !g->budget_damaged &&
           (!g->has_budget || g->budget_level >= 1);
}

const char *
guard_scope(const char *scope)
{
    return !*scope                            ? "-"
           : strcmp(scope, ADMIN_OTHERS) == 0 ? "(others)"
                                              : scope;
}

const char *
guard_scope_read(const char *scope)
{
    return scope && strcmp(scope, "(others)") == 0 ? ADMIN_OTHERS
           : scope && strcmp(scope, "-") == 0      ? ""
                                                   : scope;
}

int
guard_scope_check(const struct command_line *line)
{
    const char *scope = guard_scope_read(line->option[OPTION_SCOPE]);

    return !scope || !*scope || strcmp(scope, ADMIN_OTHERS) == 0 ||
                   policy_name_ok(scope)
               ? 0
               : say_no_name("--scope ", scope);
}

/* ---- by scope ---- */

char *
guard_scopes_note(const char *name, uint32_t scopes, uint32_t refused)
{
    char *note = NULL;

    if (asprintf(&note,
                 "note: %s has the maximum of %s scopes; %s %s further ones "
                 "were used: they share (others)",
                 name, text_count(scopes).text, text_count(refused).text,
                 text_plural(refused, "time", "times")) < 0) {
        return NULL;
    }
    return note;
}

int
guard_parts_read(struct admin *registry, const struct policy *p,
                 const char *scope, struct counts *out)
{
    int rc = counts_read(registry, p->name, 0, out);
    size_t count = out->count;
    struct count *one;

    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        one = &out->list[i];
        if (one->cell.only_scopes ||
            (scope && strcmp(scope, one->cell.scope) != 0)) {
            count_free(one);
        } else {
            out->list[out->count++] = *one;
        }
    }
    if (rc == 0 && out->count == 0) {
        one = array_add(&out->list, &out->count, sizeof(*one));
        if (!one) {
            return BIDE_ENOMEM;
        }
        snprintf(one->cell.scope, sizeof(one->cell.scope), "%s",
                 scope ? scope : "");
        one->unused = true;
    }
    for (size_t i = 0; i < out->count; i++) {
        admin_guard(registry, p, p->name, out->list[i].cell.scope,
                    &out->list[i].guard);
    }
    return rc;
}

int
guard_parts_find(struct command_line *line, const struct policy *p,
                 const char *scope, struct counts *out)
{
    int rc = guard_parts_read(line->registry, p, scope, out);

    if (rc) {
        return say_failure(rc, p->name);
    }
    if (line->option[OPTION_SCOPE] && out->list[0].unused) {
        say("%s: no process has used scope %s", p->name, guard_scope(scope));
        say("see: bide stats %s", p->name);
        return STATUS_ABSENT;
    }
    return 0;
}

/* Reports whether `a` is worse than `b`: open is worse than half open, half
 * open than closed, and of two open breakers the one that stays open longer. */
static bool
is_worse(const struct admin_guard *a, const struct admin_guard *b)
{
    static const int rank[] = {
        [STATE_CLOSED] = 0, [STATE_HALF_OPEN] = 1, [STATE_OPEN] = 2};

    return rank[a->state] != rank[b->state] ? rank[a->state] > rank[b->state]
                                            : a->open_for_ns > b->open_for_ns;
}

bool
guard_worse(struct admin_guard *to, const struct admin_guard *from)
{
    uint64_t opened = to->opened + from->opened;
    struct admin_guard budget =
        from->budget_level < to->budget_level ? *from : *to;
    bool damaged = to->damaged || from->damaged;
    bool budget_damaged = to->budget_damaged || from->budget_damaged;
    uint64_t held_ns = larger_ns(to->held_ns, from->held_ns);
    bool worse = is_worse(from, to);

    if (worse || (from->state == to->state && from->held > to->held)) {
        *to = *from;
    }
    to->opened = opened;
    to->damaged = damaged;
    to->budget_level = budget.budget_level;
    to->budget_refused = budget.budget_refused;
    to->budget_damaged = budget_damaged;
    to->held_ns = held_ns;
    return worse;
}

/* ---- JSON ---- */

static void
put_breaker(struct json *j, const struct policy *p, const struct admin_guard *g)
{
    j = json_in_object(j, "breaker");
    json_put_text(j, "mode", guard_mode(p->breaker.mode));
    if (p->breaker.mode == BREAKER_OFF) {
        return;
    }
    json_put_text(j, "state",
                  p->breaker.mode == BREAKER_ON ? guard_word(g->state)
                                                : guard_mode(p->breaker.mode));
    json_put_ms(j, "open_for_ms", g->open_for_ns);
    json_put_number(j, "lets_out", g->held > 0 ? 1 - g->held : 1);
    json_put_count(j, "opened", g->opened);
    if (g->damaged) {
        json_put_truth(j, "damaged", true);
    }
}

static void
put_budget(struct json *j, const struct policy *p, const struct admin_guard *g)
{
    bool tokens = p->budget.kind == BUDGET_TOKENS;

    j = json_in_object(j, "budget");
    json_put_text(j, "group", p->budget.group);
    if (!guard_has_budget(p)) {
        return;
    }
    json_put_text(j, "kind", tokens ? "tokens" : "ratio");
    json_put_number(j, "level", g->budget_level);
    if (tokens) {
        json_put_number(j, "tokens", guard_tokens(p, g));
        json_put_number(j, "capacity", (double)p->budget.capacity / 1000);
    }
    json_put_count(j, "refused", g->budget_refused);
    if (g->budget_damaged) {
        json_put_truth(j, "damaged", true);
    }
}

static void
put_limit(struct json *j, const struct policy *p, const struct admin_guard *g)
{
    if (strcmp(p->limit.group, "none") != 0) {
        j = json_in_object(j, "limit");
        json_put_text(j, "group", p->limit.group);
        json_put_count(j, "used", g->places_used);
        json_put_count(j, "places", p->limit.places);
    }
}

static void
put_rate(struct json *j, const struct policy *p, const struct admin_guard *g)
{
    if (!g->has_rate && p->hint.holds == HINT_HOLDS_CALL) {
        return;
    }
    j = json_in_object(j, "rate");
    json_put_text(j, "group", p->rate.group);
    if (g->has_rate) {
        if (isinf(g->rate.per_s)) {
            json_put_null(j, "per_second");
        } else {
            json_put_number(j, "per_second", g->rate.per_s);
        }
        json_put_number(j, "tokens", g->rate.tokens);
        json_put_number(j, "burst", g->rate.burst);
        json_put_truth(j, "learned", g->rate.is_learned);
        json_put_truth(j, "damaged", g->rate.is_damaged);
    }
    json_put_ms(j, "held_ms", g->held_ns);
}

static void
put_totals(struct json *j, const struct admin_guard *g)
{
    if (!g->has_limits) {
        return;
    }
    j = json_in_object(j, "starts");
    json_put_count(j, "refused_by_limit", g->by_limit);
    json_put_count(j, "refused_by_rate", g->by_rate);
    json_put_count(j, "refused_by_hint", g->by_hint);
    json_put_count(j, "waited", g->asked);
    json_put_count(j, "hedges", g->hedges);
    json_put_count(j, "hedges_won", g->hedges_won);
}

void
guard_put(struct json *j, const struct policy *p, const struct admin_guard *g)
{
    if (!p) {
        json_put_null(j, "breaker");
        json_put_null(j, "budget");
        return;
    }
    put_breaker(j, p, g);
    put_budget(j, p, g);
    put_limit(j, p, g);
    put_rate(j, p, g);
    put_totals(j, g);
}

void
guard_put_parts(struct json *j, const struct policy *p,
                const struct count *parts, size_t count)
{
    struct json *array = json_in_array(j, "scopes");

    for (size_t i = 0; i < count; i++) {
        struct json *one;

        if (!parts[i].cell.only_scopes) {
            one = json_add_object(array);
            json_put_text(one, "scope", parts[i].cell.scope);
            guard_put(one, p, &parts[i].guard);
        }
    }
}
