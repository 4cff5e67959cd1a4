/* Values that are one number or one word, and the table of all types.
 *
 * A type has functions TYPE_read, TYPE_write and TYPE_store, see value.h. */
#include "value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/near.h"

int
complain(struct complaint *c, const char *meant, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->why, sizeof(c->why), format, args);
    va_end(args);
    snprintf(c->meant, sizeof(c->meant), "%s", meant ? meant : "");
    return BIDE_EINPUT;
}

static const char *
key_suffix(const struct key *key)
{
    switch (key->type) {
    case KEY_SHARE:
        return "%";
    case KEY_RATE:
    case KEY_REFILL:
        return "/s";
    default:
        return "";
    }
}

static struct brief
write_bound(const struct key *key, double n)
{
    struct brief out = duration_write((uint64_t)n);

    if (key->type != KEY_DURATION && key->type != KEY_WINDOW) {
        /* Bounds are whole numbers. */
        snprintf(out.text, sizeof(out.text), "%" PRIu64 "%s", (uint64_t)n,
                 key_suffix(key));
    }
    return out;
}

static char *
key_range(const struct key *key, char *buffer, size_t size)
{
    snprintf(buffer, size, "%.30s to %.30s%s%s%s",
             write_bound(key, key->low).text, write_bound(key, key->high).text,
             key->type == KEY_WINDOW
                 ? ", or a number of calls such as 100 calls"
                 : "",
             key->open ? ", or " : "", key->open ? key->open : "");
    return buffer;
}

int
value_bounds(const struct key *key, double n, struct complaint *c)
{
    char range[128];

    if (n >= key->low && n <= key->high) {
        return 0;
    }
    return complain(c, NULL, "must be %s",
                    key_range(key, range, sizeof(range)));
}

/* Returns the key's word for no limit if `text` is another word for it, else
 * NULL. */
static const char *
suggest_open_word(const struct key *key, const char *text)
{
    static const char *const words[] = {
        "none",    "unlimited", "infinite", "infinity", "inf",
        "forever", "never",     "no",       "off",      "-1",
    };

    for (size_t i = 0; key->open && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return key->open;
        }
    }
    return NULL;
}

static bool
read_open_word(const struct key *key, const char *text, struct value *out)
{
    if (key->open && strcmp(text, key->open) == 0) {
        *out = (struct value){.whole = UINT64_MAX, .open = true};
        return true;
    }
    return false;
}

/* Returns the length in seconds of the unit in "/s", "/m" or "/h"; 0: another
 * text. */
static unsigned
rate_unit_s(const char *suffix)
{
    return strcmp(suffix, "/s") == 0   ? 1
           : strcmp(suffix, "/m") == 0 ? 60
           : strcmp(suffix, "/h") == 0 ? 3600
                                       : 0;
}

/* Reads a number with the key's suffix ("%", "/s" or none). */
static int
read_suffixed_number(const struct key *key, const char *text,
                     struct decimal *out, struct complaint *c)
{
    static const char *const wanted[] = {
        [KEY_COUNT] = "a whole number", [KEY_NUMBER] = "a number",
        [KEY_SHARE] = "a percentage",   [KEY_RATE] = "a rate",
        [KEY_TOKENS] = "a number",      [KEY_REFILL] = "a rate per second",
    };
    const char *suffix = key_suffix(key);
    const char *at = text, *guess = NULL;
    char range[128], meant[64];

    if (decimal_read(&at, out) != 0) {
        guess = suggest_open_word(key, text);
    } else if (strcmp(at, suffix) == 0 ||
               (key->type == KEY_RATE && rate_unit_s(at))) {
        return 0;
    } else if (*suffix && *at == '\0' && at - text < 40) {
        snprintf(meant, sizeof(meant), "%s%s", text, suffix);
        guess = meant;
    }
    return complain(c, guess, "must be %s, %s", wanted[key->type],
                    key_range(key, range, sizeof(range)));
}

static int
number_read(const struct key *key, const char *text, struct value *out,
            struct complaint *c)
{
    struct decimal d;
    int rc;

    if (read_open_word(key, text, out)) {
        return 0;
    }
    rc = read_suffixed_number(key, text, &d, c);
    rc = rc ? rc : value_bounds(key, decimal_value(d), c);
    if (rc == 0) {
        *out = (struct value){.number = d, .per = text[strlen(text) - 1]};
    }
    return rc;
}

/* Reads a whole number, or one of thousandths. */
static int
whole_read(const struct key *key, const char *text, struct value *out,
           struct complaint *c)
{
    bool count = key->type == KEY_COUNT;
    struct value v;
    uint64_t whole;
    int rc = number_read(key, text, &v, c);

    if (rc == 0 && !v.open) {
        if (!decimal_scale(v.number, count ? 1 : 1000, &whole)) {
            return complain(c, NULL, "%s",
                            count ? "must be a whole number"
                                  : "at most three decimals");
        }
        v = (struct value){.whole = whole};
    }
    if (rc == 0) {
        *out = v;
    }
    return rc;
}

static int
time_read(const struct key *key, const char *text, struct value *out,
          struct complaint *c)
{
    struct duration_fault fault;
    uint64_t ns;
    int rc;

    if (read_open_word(key, text, out)) {
        return 0;
    }
    if (duration_read(text, &ns, &fault) != 0) {
        const char *open = suggest_open_word(key, text);

        return complain(c, open ? open : fault.hint, "%s%s%s", fault.why,
                        key->open ? ", or " : "", key->open ? key->open : "");
    }
    rc = value_bounds(key, (double)ns, c);
    if (rc == 0) {
        *out = (struct value){.whole = ns};
    }
    return rc;
}

static int
switch_read(const struct key *key, const char *text, struct value *out,
            struct complaint *c)
{
    static const char *const yes[] = {"yes", "true", "on", "1", "y"};
    static const char *const no[] = {"no", "false", "off", "0", "n"};
    const char *meant = NULL;

    (void)key;
    if (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0) {
        *out = (struct value){.choice = text[0] == 'y'};
        return 0;
    }
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            meant = "yes";
        } else if (strcasecmp(text, no[i]) == 0) {
            meant = "no";
        }
    }
    return complain(c, meant, "must be yes or no");
}

/* Returns the next word of a list, NULL after the last. */
static const char *
next_word(const char *word)
{
    word = strchr(word, ' ');
    return word ? word + 1 : NULL;
}

/* Writes the word of the key that is nearest to `text`, if one is near. */
static void
find_near_word(const struct key *key, const char *text, char *best, size_t size)
{
    struct near near = near_begin(text);
    const char *word;
    char copy[32];

    for (word = key->choices; word; word = next_word(word)) {
        snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(word, " "), word);
        if (near_offer(&near, copy)) {
            snprintf(best, size, "%s", copy);
        }
    }
}

static int
choice_read(const struct key *key, const char *text, struct value *out,
            struct complaint *c)
{
    char near[32] = "";
    const char *word;
    int32_t i = 0;

    for (word = key->choices; word; word = next_word(word), i++) {
        size_t length = strcspn(word, " ");

        if (strncmp(word, text, length) == 0 && text[length] == '\0') {
            *out = (struct value){.choice = i};
            return 0;
        }
    }
    find_near_word(key, text, near, sizeof(near));
    return complain(c, near, "must be one of: %s", key->choices);
}

static void
choice_write(const struct key *key, const struct value *v, struct draft *d)
{
    const char *word = key->choices;

    for (int32_t i = 0; i < v->choice; i++) {
        word = next_word(word);
    }
    draft_add(d, word, strcspn(word, " "));
}

static void
switch_write(const struct key *key, const struct value *v, struct draft *d)
{
    (void)key;
    draft_text(d, v->choice ? "yes" : "no");
}

static void
number_write(const struct key *key, const struct value *v, struct draft *d)
{
    char text[32];

    if (v->open) {
        draft_text(d, key->open);
        return;
    }
    draft_text(d, decimal_write(v->number, text, sizeof(text)));
    if (key->type == KEY_RATE) {
        draft_print(d, "/%c", v->per);
    } else {
        draft_text(d, key_suffix(key));
    }
}

static void
whole_write(const struct key *key, const struct value *v, struct draft *d)
{
    struct value number = {.number = {v->whole, key->type == KEY_COUNT ? 0 : 3},
                           .open = v->open};

    number_write(key, &number, d);
}

static void
time_write(const struct key *key, const struct value *v, struct draft *d)
{
    draft_text(d, v->open ? key->open : duration_write(v->whole).text);
}

static void
number_store(const struct key *key, const struct value *v, void *field)
{
    (void)key;
    *(double *)field = decimal_value(v->number);
}

static void
rate_store(const struct key *key, const struct value *v, void *field)
{
    const char suffix[] = {'/', v->per, '\0'};

    (void)key;
    *(double *)field = decimal_value(v->number) / rate_unit_s(suffix);
}

static void
share_store(const struct key *key, const struct value *v, void *field)
{
    (void)key;
    *(double *)field = v->open ? -1.0 : decimal_value(v->number) / 100.0;
}

/* A smaller field gets the low bytes, which are first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian only");
#define COPIED(member) NULL, sizeof(((struct value *)0)->member)

const struct value_type value_types[] = {
    [KEY_TEXT] = {text_read, text_write, NULL, 0, NULL},
    [KEY_NAME] = {name_read, text_write, NULL, 0, NULL},
    [KEY_CHOICE] = {choice_read, choice_write, COPIED(choice), NULL},
    [KEY_SWITCH] = {switch_read, switch_write, NULL, sizeof(bool), NULL},
    [KEY_COUNT] = {whole_read, whole_write, NULL, sizeof(uint32_t), NULL},
    [KEY_NUMBER] = {number_read, number_write, number_store, 0, NULL},
    [KEY_DURATION] = {time_read, time_write, COPIED(whole), NULL},
    [KEY_SHARE] = {number_read, number_write, share_store, 0, NULL},
    [KEY_RATE] = {number_read, number_write, rate_store, 0, NULL},
    [KEY_TOKENS] = {whole_read, whole_write, COPIED(whole), NULL},
    [KEY_WINDOW] = {window_read, window_write, COPIED(window), NULL},
    [KEY_OUTCOMES] = {outcomes_read, outcomes_write, COPIED(outcomes),
                      outcomes_release},
    [KEY_CHAIN] = {chain_read, chain_write, COPIED(chain), chain_release},
    [KEY_JITTER] = {jitter_read, jitter_write, COPIED(jitter), NULL},
    [KEY_GROUP] = {name_read, text_write, group_store, 0, NULL},
    [KEY_REFILL] = {whole_read, whole_write, COPIED(whole), NULL},
    [KEY_HEDGE] = {hedge_read, hedge_write, COPIED(hedge), NULL},
};
_Static_assert(offsetof(struct value, jitter) == 0, "all members are first");

static int
write_canonical(const struct key *key, const char *text, char **out,
                struct complaint *c)
{
    const struct value_type *type = &value_types[key->type];
    struct draft d = {0};
    struct value v;
    char *written;
    int rc = type->read(key, text, &v, c);

    if (rc != 0) {
        return rc;
    }
    type->write(key, &v, &d);
    if (type->release) {
        type->release(&v);
    }
    written = draft_take(&d);
    if (!written) {
        return BIDE_ENOMEM;
    }
    *out = written;
    return 0;
}

int
key_canonical(const struct key *key, const char *value, char **out,
              struct complaint *c)
{
    const char *start = value + strspn(value, " \t");
    size_t length = strlen(start);
    char *copy = NULL;
    int rc;

    while (length && (start[length - 1] == ' ' || start[length - 1] == '\t')) {
        length--;
    }
    if (key->type != KEY_TEXT && (start > value || start[length])) {
        copy = strndup(start, length);
        if (!copy) {
            return BIDE_ENOMEM;
        }
        value = copy;
    }
    rc = write_canonical(key, value, out, c);
    free(copy);
    return rc;
}

int
key_load(const struct key *key, const char *value, struct policy *p)
{
    const struct value_type *type = &value_types[key->type];
    void *field = (char *)p + key->offset;
    struct complaint c;
    struct value v;
    int rc;

    if (!type->store && !type->size) {
        return 0;
    }
    rc = type->read(key, value, &v, &c);
    if (rc == 0 && type->store) {
        type->store(key, &v, field);
    } else if (rc == 0) {
        memcpy(field, &v, type->size);
    }
    return rc;
}
