#include "manual.h"

#include <stdio.h>
#include <string.h>

#include "policy/key.h"

/* ---- the values of a key ---- */

static const char *const value_descriptions[] = {
    [KEY_TEXT] = "one line of text",
    [KEY_NAME] = "the name of a policy",
    [KEY_CHOICE] = "one of",
    [KEY_SWITCH] = "yes or no",
    [KEY_COUNT] = "a whole number",
    [KEY_NUMBER] = "a number",
    [KEY_DURATION] = "a duration such as 250ms or 1.5s",
    [KEY_SHARE] = "a percentage such as 20%",
    [KEY_RATE] = "a rate such as 10/s, 5/m or 2/h",
    [KEY_TOKENS] = "a number with at most three decimals",
    [KEY_WINDOW] = "a duration, or a number of calls such as 100 calls",
    [KEY_OUTCOMES] = "outcomes: bide help outcomes",
    [KEY_CHAIN] = "waits such as 1s x3, 2s x5, 5s",
    [KEY_JITTER] = "none, full, equal, a percentage (20%) or an addition (+1s)",
    [KEY_GROUP] = "none, own, or the name of a group",
    [KEY_REFILL] = "a rate such as 0.5/s",
    [KEY_HEDGE] = "a duration, or a percentile such as p95",
};

const char *
manual_type(const struct key *key)
{
    static const char *const types[] = {
        [KEY_TEXT] = "text",         [KEY_NAME] = "name",
        [KEY_CHOICE] = "choice",     [KEY_SWITCH] = "switch",
        [KEY_COUNT] = "count",       [KEY_NUMBER] = "number",
        [KEY_DURATION] = "duration", [KEY_SHARE] = "share",
        [KEY_RATE] = "rate",         [KEY_TOKENS] = "tokens",
        [KEY_WINDOW] = "window",     [KEY_OUTCOMES] = "outcomes",
        [KEY_CHAIN] = "chain",       [KEY_JITTER] = "jitter",
        [KEY_GROUP] = "group",       [KEY_REFILL] = "refill",
        [KEY_HEDGE] = "hedge",
    };

    return types[key->type];
}

char *
manual_values(const struct key *key, char *buffer, size_t size)
{
    size_t used = 0;

    snprintf(buffer, size, "%s", value_descriptions[key->type]);
    if (key->type == KEY_CHOICE) {
        snprintf(buffer, size, "one of: %s", key->choices);
    } else if (key->type == KEY_COUNT || key->type == KEY_NUMBER) {
        used = strlen(buffer);
        snprintf(buffer + used, size - used, " from %.15g to %.15g", key->low,
                 key->high);
    }
    if (key->open) {
        used = strlen(buffer);
        snprintf(buffer + used, size - used, ", or %s", key->open);
    }
    return buffer;
}

char *
manual_words(const struct key *key, char *buffer, size_t size)
{
    const char *words = key->type == KEY_SWITCH ? "yes no" : key->choices;

    snprintf(buffer, size, "%s%s%s", words ? words : "",
             words && key->open ? " " : "", key->open ? key->open : "");
    return buffer;
}
