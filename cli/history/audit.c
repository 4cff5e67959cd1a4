/* Collects the entries: changes from the log, events and counts from history,
 * and counts that are not recorded yet from the live state. */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/open.h"
#include "admin/read.h"
#include "base/array.h"
#include "base/duration.h"
#include "base/draft.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/text.h"
#include "cli/policy/difference.h"
#include "policy/policy.h"
#include "rule/alarm.h"
#include "rule/breaker.h"
#include "store/history/history.h"
#include "store/policies/record.h"
#include "history.h"

/* ---- entries ---- */

struct audit_entry *
audit_new_entry(struct audit *a, enum audit_kind kind, const char *name,
                const char *scope, uint64_t when_ns)
{
    struct audit_entry *e = array_add(&a->list, &a->count, sizeof(*e));

    if (e) {
        e->kind = kind;
        e->when_ns = e->end_ns = when_ns;
        strcpy(e->name, name);
        strcpy(e->scope, scope);
    }
    return e;
}

static void
audit_free(struct audit *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->list[i].what);
        free(a->list[i].who);
        free(a->list[i].note);
    }
    free(a->list);
}

const char *
audit_kind_word(enum audit_kind kind)
{
    static const char *const words[] = {
        [AUDIT_CHANGE] = "change",   [AUDIT_FORCED] = "forced",
        [AUDIT_BREAKER] = "breaker", [AUDIT_LEVEL] = "warning",
        [AUDIT_HOST] = "host",       [AUDIT_WORK] = "work",
        [AUDIT_CALLS] = "calls",
    };

    return words[kind];
}

bool
audit_hides(const struct audit *a, const struct audit_entry *e)
{
    return !(a->kinds & 1U << e->kind);
}

char *
audit_words(const struct audit_entry *e, bool timed)
{
    struct draft text = {0};

    if (e->what) {
        return strdup(e->what);
    }
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        if (e->count[i] > 0) {
            draft_item(&text, text_count(e->count[i]).text);
            draft_print(&text, " %s", counter_rows[i].name);
        }
    }
    draft_print(&text, " of %s %s", text_count(e->calls).text,
                text_plural(e->calls, "call", "calls"));
    if (timed && e->end_ns > e->when_ns) {
        draft_print(&text, " in %s",
                    duration_round(e->end_ns - e->when_ns).text);
    }
    draft_print(&text, "%s%s", *e->outcome ? ", most often " : "", e->outcome);
    return draft_take(&text);
}

/* ---- changes ---- */

/* Reports whether a change overrides the rules (pauses the policy, forces its
 * breaker) or ends such an override. */
static bool
is_override(const char *words)
{
    return strstr(words, "paused ") || strstr(words, "-> open") ||
           strstr(words, "-> closed") || strstr(words, "breaker open ->") ||
           strstr(words, "breaker closed ->") || strstr(words, "breaker is ");
}

/* Adds the end of a temporary change.  The clock was `ahead` of the history. */
static int
add_planned_end(struct audit *a, const struct record *r, uint64_t ahead)
{
    struct audit_entry *e;
    uint64_t end_ns = record_end(r), when_ns = end_ns - ahead;
    uint32_t back;
    bool ended;
    int rc;

    if (end_ns == 0 || when_ns > a->now_ns || when_ns < a->since_ns ||
        when_ns > a->until_ns) {
        return 0;
    }
    rc = admin_ended(a->line->registry, r, end_ns, &ended, &back);
    if (rc || !ended) {
        return rc;
    }
    e = audit_new_entry(a, AUDIT_CHANGE, r->name, "", when_ns);
    return !e ? BIDE_ENOMEM
           : asprintf(&e->what, "v%u ended as planned: %s v%u", r->version,
                      back < r->version ? "back to" : "in force is", back) < 0
               ? (e->what = NULL, BIDE_ENOMEM)
               : 0;
}

static int
add_change(void *arg, const struct record *r)
{
    struct audit *a = arg;
    struct audit_entry *e;
    struct record before;
    char *words, until[96] = "";
    uint64_t ahead = history_ahead(&a->past.changes, r->sequence);
    uint64_t when_ns = r->when_ns - ahead;
    int rc = add_planned_end(a, r, ahead);

    if (rc || when_ns < a->since_ns || when_ns > a->until_ns) {
        return rc;
    }
    rc = difference_before(a->line->registry, r, &before);
    if (rc) {
        return rc;
    }
    rc = difference_words(&before, r, &words);
    record_free(&before);
    if (rc) {
        return rc;
    }
    e = audit_new_entry(a, is_override(words) ? AUDIT_FORCED : AUDIT_CHANGE,
                        r->name, "", when_ns);
    if (record_end(r) > 0) {
        snprintf(until, sizeof(until), "%suntil %s",
                 *words ? ", " : "same rules, ",
                 when_write_iso(record_end(r)).text);
    }
    if (e && asprintf(&e->what, "v%u: %s%s", r->version, words, until) < 0) {
        e->what = NULL;
    }
    free(words);
    if (e) {
        e->who = strdup(r->who);
        e->uid = r->uid;
        e->note = *r->note ? strdup(r->note) : NULL;
    }
    return e && e->what && e->who ? 0 : BIDE_ENOMEM;
}

static int
add_changes(struct audit *a)
{
    int rc = admin_each_version(a->line->registry, a->name, add_change, a);

    return rc == BIDE_ENOPOLICY ? 0 : rc;
}

/* ---- events and calls ---- */

static const char *
breaker_words(uint8_t to)
{
    return to == STATE_OPEN     ? "breaker opens: calls are refused"
           : to == STATE_CLOSED ? "breaker closes: calls are allowed again"
                                : "breaker is half open: only probe calls";
}

static int
add_event(void *arg, const char *name, const char *scope,
          const struct history_event *event)
{
    struct audit *a = arg;
    struct audit_entry *e;
    char text[256], *who = NULL, *uid = NULL;

    if (event->kind == HISTORY_WAKE) { /* "... woken by NAME (uid N)" */
        snprintf(text, sizeof(text), "%s", event->words);
        who = strstr(text, " by ");
        uid = who ? strrchr(who, '(') : NULL;
    } else if (event->kind == HISTORY_BREAKER) {
        snprintf(text, sizeof(text), "%s", breaker_words(event->to));
        a->opened += event->to == STATE_OPEN;
    } else if (event->kind == HISTORY_CLOCK || event->kind == HISTORY_ANEW) {
        snprintf(text, sizeof(text), "%s", event->words);
    } else if (event->kind == HISTORY_LEVEL) {
        snprintf(text, sizeof(text), "%s -> %s%s%s", alarm_word(event->from),
                 alarm_word(event->to), *event->words ? ": " : "",
                 event->words);
    } else {
        return 0; /* written by a later version of bide */
    }
    e = audit_new_entry(a,
                        event->kind == HISTORY_BREAKER ? AUDIT_BREAKER
                        : event->kind == HISTORY_WAKE  ? AUDIT_FORCED
                        : event->kind == HISTORY_LEVEL ? AUDIT_LEVEL
                                                       : AUDIT_HOST,
                        name, scope, event->when_ns);
    if (e && uid) {
        *who = uid[-1] = '\0';
        e->who = strdup(who + strlen(" by "));
        e->uid = (uint32_t)strtoul(uid + strlen("(uid "), NULL, 10);
    }
    if (!e || !(e->what = strdup(text)) || (uid && !e->who)) {
        return BIDE_ENOMEM;
    }
    e->to = event->to;
    return 0;
}

/* Returns the entry that an interval continues: same cell, no gap; or NULL. */
static struct audit_entry *
find_span(struct audit *a, const struct audit_entry *i)
{
    for (size_t k = a->count; k > 0; k--) {
        struct audit_entry *e = &a->list[k - 1];

        if (e->kind != AUDIT_CALLS || e->end_ns + 2 * DAY_NS < i->when_ns) {
            break; /* earlier entries ended even earlier */
        }
        if (strcmp(e->name, i->name) == 0 && strcmp(e->scope, i->scope) == 0) {
            return e->end_ns >= i->when_ns ? e : NULL;
        }
    }
    return NULL;
}

/* Adds the interval that was visited if it has failed calls; one that continues
 * an entry extends it. */
static int
end_interval(struct audit *a)
{
    struct audit_entry *i = &a->interval, *e;
    uint64_t failed = 0;

    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        failed += i->count[k];
    }
    a->calls += i->calls;
    if (failed == 0) {
        return 0;
    }
    e = find_span(a, i);
    e = e ? e : audit_new_entry(a, AUDIT_CALLS, i->name, i->scope, i->when_ns);
    if (!e) {
        return BIDE_ENOMEM;
    }
    e->end_ns = i->end_ns;
    e->calls += i->calls;
    if (i->most > e->most) {
        e->most = i->most;
        strcpy(e->outcome, i->outcome);
    }
    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        e->count[k] += i->count[k];
    }
    return 0;
}

/* Adds the parts of one interval, one for each version, up. */
static int
add_calls(void *arg, const struct history_interval *part)
{
    struct audit *a = arg;
    struct audit_entry *i = &a->interval;
    int rc = 0;

    if (*part->name == '@') {
        return 0;
    }
    if (i->end_ns != part->end_ns || strcmp(i->name, part->name) != 0 ||
        strcmp(i->scope, part->scope) != 0) {
        rc = end_interval(a);
        *i = (struct audit_entry){.when_ns = part->begin_ns,
                                  .end_ns = part->end_ns};
        strcpy(i->name, part->name);
        strcpy(i->scope, part->scope);
    }
    i->calls += figures_calls(part->figures);
    past_most(admin_past(a->line->registry), part->figures, i->outcome,
              &i->most);
    for (size_t k = 0; k < COUNTER_ROWS; k++) {
        if (counter_rows[k].flags & COUNTER_IS_FAILED) {
            i->count[k] += part->figures->counter[counter_rows[k].counter];
        }
    }
    return rc;
}

static int
collect_entries(struct audit *a)
{
    uint64_t until = smaller_ns(a->until_ns, a->now_ns);
    struct history_range range = {
        .name = a->name,
        .since_ns = a->since_ns,
        .until_ns = a->until_ns,
        .minutes = until - a->since_ns <= 2 * DAY_NS,
    };
    struct admin *registry = a->line->registry;
    int rc = past_each_interval(admin_past(registry), &range, NULL, add_calls,
                                a, &a->past);

    rc = rc ? rc : end_interval(a);
    a->damaged = a->past.damaged;
    rc = rc ? rc
            : past_each_event(admin_past(registry), &range, add_event, a,
                              &a->damaged);
    rc = rc ? rc : add_changes(a);
    return rc ? rc : audit_add_work(a);
}

/* ---- the command ---- */

static int
compare_entries(const void *x, const void *y)
{
    const struct audit_entry *a = x, *b = y;

    if (a->when_ns != b->when_ns) {
        return a->when_ns < b->when_ns ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* Reads --kind, such as "change,breaker".  Returns 0 or the exit status. */
static int
read_kinds(struct audit *a)
{
    const char *text = a->line->option[OPTION_KIND];
    size_t length;
    int kind;

    a->kinds = text ? 0 : AUDIT_ALL_KINDS;
    for (; text; text = text[length] ? text + length + 1 : NULL) {
        length = strcspn(text, ",");
        for (kind = 0; kind <= AUDIT_CALLS; kind++) {
            if (strlen(audit_kind_word(kind)) == length &&
                strncmp(audit_kind_word(kind), text, length) == 0) {
                break;
            }
        }
        if (kind > AUDIT_CALLS) {
            return say_usage(a->line, "--kind %.*s: takes %s",
                             (int)(length < 60 ? length : 60), text,
                             "change, forced, breaker, warning, host, work or "
                             "calls, separated by commas");
        }
        a->kinds |= 1U << kind;
    }
    return 0;
}

static int
print_audit(struct audit *a)
{
    if (a->damaged > 0) {
        history_say_damaged(&a->past, a->damaged);
    }
    return a->line->option[OPTION_CSV]    ? audit_csv(a)
           : a->line->option[OPTION_JSON] ? audit_json(a)
                                          : audit_table(a);
}

int
audit_command(struct command_line *line)
{
    struct audit a = {.line = line,
                      .name = line->operands[0],
                      .now_ns = past_now_ns(admin_past(line->registry))};
    int rc, status;

    if (a.name && !policy_name_ok(a.name)) {
        return say_no_policy(line->registry, a.name);
    }
    if (line->option[OPTION_CSV] && line->option[OPTION_JSON]) {
        return say_usage(line, "--csv and --json exclude each other");
    }
    status = read_kinds(&a);
    status = status ? status
                    : history_times(line, a.now_ns, &a.since_ns, &a.until_ns);
    if (status) {
        return status;
    }
    rc = collect_entries(&a);
    if (!rc && a.count > 0) {
        qsort(a.list, a.count, sizeof(*a.list), compare_entries);
    }
    if (!rc && a.count == 0 && a.name) {
        status = say_unless_found(line->registry, a.name, NULL);
    }
    if (!rc && !status) {
        rc = print_audit(&a);
    }
    audit_free(&a);
    return rc == BIDE_ENOMEM ? say_no_memory()
           : rc              ? say_failure(rc, "audit")
                             : status;
}
