/* Values with a form of their own: text, names, windows, chains, jitter,
 * outcomes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "base/plain.h"
#include "policy.h"
#include "value.h"
#include "wrap.h"

enum { STEP_TIMES_MAX = 1000000, STEP_TEXT_MAX = 64 };

/* Refuses a text that could be written to a file but not read back. */
int
text_read(const struct key *key, const char *text, struct value *out,
          struct complaint *c)
{
    size_t length = strlen(text);

    if (length > POLICY_VALUE_MAX) {
        return complain(c, NULL, "longer than %d bytes", POLICY_VALUE_MAX);
    }
    if (plain_length(text, length) != length || strpbrk(text, "\r\n\t")) {
        return complain(c, NULL,
                        "must be one line of UTF-8 text without control "
                        "characters");
    }
    if (length && (text[0] == ' ' || text[length - 1] == ' ')) {
        return complain(c, NULL,
                        "spaces at the beginning and the end would be lost");
    }
    if (text[0] == ';' || strstr(text, " ;")) {
        return complain(c, NULL,
                        "; after a space begins a comment in a policy file");
    }
    if (!wrap_possible(key->name, text)) {
        return complain(c, NULL,
                        "contains a word that is too long: a line of a policy "
                        "file has at most %d bytes",
                        POLICY_LINE_MAX);
    }
    *out = (struct value){.text = text};
    return 0;
}

void
text_write(const struct key *key, const struct value *v, struct draft *d)
{
    (void)key;
    draft_text(d, v->text);
}

int
name_read(const struct key *key, const char *text, struct value *out,
          struct complaint *c)
{
    char lower[BIDE_NAME_MAX + 1] = "";

    if (policy_name_ok(text)) {
        *out = (struct value){.text = text};
        return 0;
    }
    policy_name_near(text, lower);
    return complain(c, lower, "a name is [a-z0-9][a-z0-9._-]{0,47}%s",
                    key->type == KEY_GROUP ? ", or none, or own" : "");
}

void
group_store(const struct key *key, const struct value *v, void *field)
{
    (void)key;
    snprintf(field, BIDE_NAME_MAX + 1, "%s", v->text);
}

/* ---- a time, or "100 calls" ---- */

int
window_read(const struct key *key, const char *text, struct value *out,
            struct complaint *c)
{
    struct window w = {0, 0};
    struct duration_fault fault;
    const char *at = text;
    struct decimal d;

    if (decimal_read(&at, &d) == 0 && strstr(at, "call")) {
        at += strspn(at, " \t");
        if ((strcmp(at, "calls") != 0 && strcmp(at, "call") != 0) || d.places ||
            d.digits < 1 || d.digits > STEP_TIMES_MAX) {
            return complain(c, NULL, "must be a time, or 1 to %d calls",
                            STEP_TIMES_MAX);
        }
        w.calls = (uint32_t)d.digits;
    } else if (duration_read(text, &w.ns, &fault) != 0) {
        return complain(c, fault.hint,
                        "%s, or a number of calls such as 100 calls",
                        fault.why);
    } else if (value_bounds(key, (double)w.ns, c) != 0) {
        return BIDE_EINPUT;
    }
    *out = (struct value){.window = w};
    return 0;
}

void
window_write(const struct key *key, const struct value *v, struct draft *d)
{
    (void)key;
    if (v->window.calls) {
        draft_print(d, "%u calls", v->window.calls);
    } else {
        draft_text(d, duration_write(v->window.ns).text);
    }
}

/* ---- a time, or "p95" ---- */

int
hedge_read(const struct key *key, const char *text, struct value *out,
           struct complaint *c)
{
    struct hedge_after h = {DURATION_NONE, 0};
    struct duration_fault fault;
    const char *at = text + 1;
    struct decimal d;

    if (*text == 'p' && decimal_read(&at, &d) == 0 && *at == '\0') {
        h.quantile = decimal_value(d) / 100;
        if (h.quantile < 0.5 || h.quantile > 0.999) {
            return complain(c, NULL, "a percentile is p50 to p99.9");
        }
    } else if (strcmp(text, key->open) == 0) {
        /* no hedges */
    } else if (duration_read(text, &h.ns, &fault) != 0) {
        return complain(c, fault.hint, "%s, or a percentile such as p95, or %s",
                        fault.why, key->open);
    } else if (value_bounds(key, (double)h.ns, c) != 0) {
        return BIDE_EINPUT;
    }
    *out = (struct value){.hedge = h};
    return 0;
}

void
hedge_write(const struct key *key, const struct value *v, struct draft *d)
{
    if (v->hedge.quantile > 0) {
        draft_print(d, "p%.4g", v->hedge.quantile * 100);
    } else {
        draft_text(d, v->hedge.ns == DURATION_NONE
                          ? key->open
                          : duration_write(v->hedge.ns).text);
    }
}

/* ---- "1s x3, 2s x5, 5s" ---- */

/* Splits "1s x3": cuts `text` to "1s" and sets *times to 3. */
static bool
split_step(char *text, uint32_t *times)
{
    char *x = strpbrk(text, " \t");
    const char *at;
    struct decimal d;

    *times = 1;
    if (!x) {
        return true;
    }
    at = x + strspn(x, " \t");
    *x = '\0';
    if (*at != 'x') {
        return false;
    }
    at++;
    at += strspn(at, " \t");
    if (decimal_read(&at, &d) != 0 || *at || d.places || d.digits < 1 ||
        d.digits > STEP_TIMES_MAX) {
        return false;
    }
    *times = (uint32_t)d.digits;
    return true;
}

/* Reads one step.  `several`: the fault quotes the step, because the value has
 * more than one. */
static int
read_chain_step(const char *start, size_t length, bool several,
                struct chain_step *out, struct complaint *c)
{
    char text[STEP_TEXT_MAX], shown[STEP_TEXT_MAX + 2];
    struct duration_fault fault;

    if (length == 0) {
        return complain(c, NULL, "a wait is missing between commas");
    }
    plain_excerpt(start, length, text, sizeof(text));
    snprintf(shown, sizeof(shown), "%s%s", several ? text : "",
             several ? ": " : "");
    if (length >= sizeof(text) || !split_step(text, &out->times)) {
        return complain(c, NULL,
                        "%sa step is a wait such as 1s or 1s x3; "
                        "commas separate steps",
                        shown);
    }
    if (duration_read(text, &out->wait_ns, &fault) != 0) {
        return complain(c, fault.hint, "%s%s", shown, fault.why);
    }
    return 0;
}

int
chain_read(const struct key *key, const char *text, struct value *out,
           struct complaint *c)
{
    struct chain_step steps[CHAIN_MAX];
    struct chain chain = {0, NULL};
    bool several = strchr(text, ',') != NULL;

    (void)key;
    if (*text == '\0') {
        return complain(c, NULL,
                        "needs at least one wait, such as 1s x3, 2s, 5s");
    }
    while (text) {
        const char *start = text + strspn(text, " \t");
        const char *end = start + strcspn(start, ",");
        int rc;

        text = *end ? end + 1 : NULL;
        while (end > start && strchr(" \t", end[-1])) {
            end--;
        }
        if (chain.count == CHAIN_MAX) {
            return complain(c, NULL, "more than %d waits", CHAIN_MAX);
        }
        rc = read_chain_step(start, (size_t)(end - start), several,
                             &steps[chain.count++], c);
        if (rc != 0) {
            return rc;
        }
    }
    chain.steps = malloc(chain.count * sizeof(steps[0]));
    if (!chain.steps) {
        return BIDE_ENOMEM;
    }
    memcpy(chain.steps, steps, chain.count * sizeof(steps[0]));
    *out = (struct value){.chain = chain};
    return 0;
}

void
chain_write(const struct key *key, const struct value *v, struct draft *d)
{
    (void)key;
    for (uint32_t i = 0; i < v->chain.count; i++) {
        const struct chain_step *step = &v->chain.steps[i];

        draft_item(d, duration_write(step->wait_ns).text);
        if (step->times > 1) {
            draft_print(d, " x%u", step->times);
        }
    }
}

void
chain_release(struct value *v)
{
    free(v->chain.steps);
}

/* ---- none, full, equal, "20%", "+1s" ---- */

/* The forms without a number, in the order of enum jitter_form. */
static const char *const jitter_words[] = {"none", "full", "equal"};
enum { JITTER_WORDS = sizeof(jitter_words) / sizeof(jitter_words[0]) };

/* Suggests "20%" for "20" and "±20%", and "+1s" for "1s". */
static void
suggest_jitter(const char *text, struct complaint *c)
{
    struct near near = near_begin(text);
    const char *at = text + strspn(text, "+-\xc2\xb1");
    struct decimal d;
    uint64_t ns;

    for (size_t i = 0; i < JITTER_WORDS; i++) {
        near_offer(&near, jitter_words[i]);
    }
    if (near.best) {
        snprintf(c->meant, sizeof(c->meant), "%s", near.best);
    } else if (strlen(at) > 40) {
        return;
    } else if (duration_read(at, &ns, NULL) == 0) {
        snprintf(c->meant, sizeof(c->meant), "+%s", at);
    } else if (decimal_read(&at, &d) == 0 && (!*at || !strcmp(at, "%")) &&
               decimal_value(d) <= 100) {
        char number[32];

        snprintf(c->meant, sizeof(c->meant), "%s%%",
                 decimal_write(d, number, sizeof(number)));
    }
}

int
jitter_read(const struct key *key, const char *text, struct value *out,
            struct complaint *c)
{
    struct jitter j = {JITTER_NONE, 0, 0};
    struct duration_fault fault;
    const char *at = text;
    struct decimal d = {0, 0};
    char meant[72];
    size_t word = 0;
    int rc = 0;

    (void)key;
    while (word < JITTER_WORDS && strcmp(text, jitter_words[word]) != 0) {
        word++;
    }
    if (word < JITTER_WORDS) {
        j.form = (enum jitter_form)word;
    } else if (text[0] == '+' && !strchr(text, '%')) {
        j.form = JITTER_PLUS;
        if (duration_read(text + 1, &j.plus_ns, &fault) != 0) {
            snprintf(meant, sizeof(meant), "%s%s", fault.hint[0] ? "+" : "",
                     fault.hint);
            rc = complain(c, meant, "%s", fault.why);
        }
    } else if (decimal_read(&at, &d) == 0 && strcmp(at, "%") == 0 &&
               decimal_value(d) <= 100) {
        j.form = JITTER_SHARE;
        j.share = decimal_value(d) / 100.0;
    } else {
        rc = complain(c, NULL,
                      "must be none, full, equal, a percentage such as 20%%, "
                      "or an addition such as +1s");
        suggest_jitter(text, c);
    }
    if (rc == 0) {
        *out = (struct value){.jitter = j, .percent = d};
    }
    return rc;
}

void
jitter_write(const struct key *key, const struct value *v, struct draft *d)
{
    char text[32];

    (void)key;
    if (v->jitter.form == JITTER_SHARE) {
        draft_print(d, "%s%%", decimal_write(v->percent, text, sizeof(text)));
    } else if (v->jitter.form == JITTER_PLUS) {
        draft_print(d, "+%s", duration_write(v->jitter.plus_ns).text);
    } else {
        draft_text(d, jitter_words[v->jitter.form]);
    }
}

/* ---- outcomes ---- */

int
outcomes_read(const struct key *key, const char *text, struct value *out,
              struct complaint *c)
{
    struct outcome_fault fault;
    struct outcome_set set;
    int rc = outcome_set_read(text, &set, &fault);

    (void)key;
    if (rc == 0) {
        *out = (struct value){.outcomes = set};
    } else if (rc == BIDE_EINPUT) {
        /* The fault quotes the item if the value has more than one. */
        bool several = strchr(text, ',') && fault.bad[0];

        complain(c, fault.meant, "%s%s%s", several ? fault.bad : "",
                 several ? ": " : "", fault.why);
    }
    return rc;
}

void
outcomes_write(const struct key *key, const struct value *v, struct draft *d)
{
    char *text = outcome_set_write(&v->outcomes);

    (void)key;
    if (text) {
        draft_text(d, text);
    } else {
        d->failed = true;
    }
    free(text);
}

void
outcomes_release(struct value *v)
{
    outcome_set_free(&v->outcomes);
}
