/* Outcomes and sets of them as people write them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/draft.h"
#include "base/near.h"
#include "base/plain.h"
#include "outcome_app.h"
#include "outcome_table.h"
#include "policy.h"

enum {
    ITEM_MAX = 64, /* "app." and 48 characters; all else is shorter */
    NUMBER_DIGITS_MAX = 10,
};

/* One item of a list: a class or a range. */
struct item {
    uint32_t classes;
    struct outcome_range range;
};

/* What is wrong with an item, and what was probably meant. */
struct wrong {
    const char *why;
    char meant[ITEM_MAX + 16];
};

static const char unknown_item[] =
    "no such outcome: any connect timeout throttle transient, or as "
    "errno.ECONNRESET http.503 http.5xx grpc.UNAVAILABLE exit.75 "
    "signal.SIGKILL curl.28 app.NAME";

static uint32_t
class_named(const char *name)
{
    const struct outcome_class_row *row;

    for (size_t i = 0; (row = outcome_class_row(i)); i++) {
        if (strcmp(row->name, name) == 0) {
            return row->bit;
        }
    }
    return 0;
}

/* The digits at *text as a code; moves past them. */
static bool
read_number(const char **text, int32_t *out)
{
    int64_t n = 0;
    size_t digits = strspn(*text, "0123456789");

    if (digits == 0 || digits > NUMBER_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        n = 10 * n + (*(*text)++ - '0');
    }
    *out = (int32_t)n;
    return n <= INT32_MAX;
}

static bool
in_domain(const struct outcome_domain *d, const struct outcome_range *r)
{
    bool no_answer = r->domain == BIDE_DOMAIN_HTTP && !r->low && !r->high;

    return no_answer ||
           (r->low >= d->low && r->high <= d->high && r->low <= r->high);
}

/* "503", "500-504", "5xx". */
static bool
read_codes(const char *text, struct outcome_range *r)
{
    if (r->domain == BIDE_DOMAIN_HTTP && text[0] >= '1' && text[0] <= '9' &&
        strcmp(text + 1, "xx") == 0) {
        r->low = (text[0] - '0') * 100;
        r->high = r->low + 99;
        return true;
    }
    if (!read_number(&text, &r->low)) {
        return false;
    }
    r->high = r->low;
    if (*text == '-') {
        text++;
        if (!read_number(&text, &r->high)) {
            return false;
        }
    }
    return *text == '\0';
}

static int
read_app(const char *name, struct outcome_range *r, struct wrong *wrong)
{
    size_t length = strlen(name);
    int32_t code;

    if (!app_name_ok(name, length)) {
        wrong->why = outcome_domain(BIDE_DOMAIN_APP)->rule;
        return BIDE_EINPUT;
    }
    code = app_code(name, length, APP_NAMES_MAX);
    if (code == APP_NO_MEMORY) {
        return BIDE_ENOMEM;
    }
    if (code == APP_OTHER && strcmp(name, "other") != 0) {
        wrong->why = "there are too many different app names already";
        return BIDE_EINPUT;
    }
    r->low = r->high = code;
    return 0;
}

/* The row of a domain with the name nearest to a misspelt one. */
static const char *
near_row(unsigned domain, const char *name)
{
    const struct outcome_row *row;
    const char *best = NULL;
    int best_distance = near_limit(name) + 1;

    for (size_t i = 0; (row = outcome_row(i)); i++) {
        int d;

        if (row->domain != domain || !row->name) {
            continue;
        }
        d = near_distance(name, row->name);
        if (d < best_distance) {
            best = row->name;
            best_distance = d;
        }
    }
    return best;
}

/* "signal.KILL" lacks its SIG; else a name that is near. */
static void
suggest_name(unsigned domain, const char *name, struct wrong *wrong)
{
    const char *prefix = outcome_domain(domain)->name;
    const char *best = NULL;
    char full[ITEM_MAX];

    if (*name >= '0' && *name <= '9') {
        return; /* a number is near to no name */
    }
    if (domain == BIDE_DOMAIN_SIGNAL) {
        snprintf(full, sizeof(full), "SIG%s", name);
        best = near_distance(full, name) ? near_row(domain, full) : NULL;
    }
    if (!best) {
        best = near_row(domain, name);
    }
    if (best) {
        snprintf(wrong->meant, sizeof(wrong->meant), "%s.%s", prefix, best);
    }
}

static int
read_coded(const char *rest, struct item *item, struct wrong *wrong)
{
    unsigned domain = item->range.domain;
    const struct outcome_domain *d = outcome_domain(domain);
    const struct outcome_row *row;

    if (read_codes(rest, &item->range) && in_domain(d, &item->range)) {
        return 0;
    }
    row = outcome_row_named(item->range.domain, rest);
    if (row) {
        item->range.low = item->range.high = row->code;
        return 0;
    }
    wrong->why = d->rule;
    suggest_name(domain, rest, wrong);
    return BIDE_EINPUT;
}

/* A number alone is likely an HTTP status; ECONNRESET and UNAVAILABLE alone
 * name only one thing. */
static void
suggest_whole(const char *text, struct wrong *wrong)
{
    static const unsigned named[] = {BIDE_DOMAIN_ERRNO, BIDE_DOMAIN_GRPC,
                                     BIDE_DOMAIN_SIGNAL};
    struct outcome_range r = {.domain = BIDE_DOMAIN_HTTP};
    const struct outcome_class_row *row;

    if (read_codes(text, &r) && r.low >= 100 && r.high <= 599) {
        snprintf(wrong->meant, sizeof(wrong->meant), "http.%s", text);
        return;
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (outcome_row_named((uint8_t)named[i], text)) {
            snprintf(wrong->meant, sizeof(wrong->meant), "%s.%s",
                     outcome_domain(named[i])->name, text);
            return;
        }
    }
    for (size_t i = 0; (row = outcome_class_row(i)); i++) {
        if (near_distance(text, row->name) <= near_limit(text)) {
            snprintf(wrong->meant, sizeof(wrong->meant), "%s", row->name);
            return;
        }
    }
}

static void
suggest_domain(const char *text, size_t prefix, struct wrong *wrong)
{
    const char *names[BIDE_DOMAIN_APP + 1];
    char written[ITEM_MAX];
    const char *near;

    for (unsigned i = BIDE_DOMAIN_ERRNO; i <= BIDE_DOMAIN_APP; i++) {
        names[i] = outcome_domain(i)->name;
    }
    snprintf(written, sizeof(written), "%.*s", (int)prefix, text);
    near = name_near(written, names + 1, BIDE_DOMAIN_APP);
    if (near) {
        snprintf(wrong->meant, sizeof(wrong->meant), "%s%s", near,
                 text + prefix);
    }
}

static unsigned
domain_named(const char *text, size_t length)
{
    for (unsigned i = BIDE_DOMAIN_ERRNO; i <= BIDE_DOMAIN_APP; i++) {
        const char *name = outcome_domain(i)->name;

        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            return i;
        }
    }
    return BIDE_DOMAIN_OK;
}

static int
read_item(const char *text, struct item *item, struct wrong *wrong)
{
    const char *dot = strchr(text, '.');

    *item = (struct item){.classes = class_named(text)};
    *wrong = (struct wrong){.why = unknown_item};
    if (item->classes) {
        return 0;
    }
    if (!dot) {
        suggest_whole(text, wrong);
        return BIDE_EINPUT;
    }
    item->range.domain = (uint8_t)domain_named(text, (size_t)(dot - text));
    switch (item->range.domain) {
    case BIDE_DOMAIN_OK:
        suggest_domain(text, (size_t)(dot - text), wrong);
        return BIDE_EINPUT;
    case BIDE_DOMAIN_APP:
        return read_app(dot + 1, &item->range, wrong);
    default:
        return read_coded(dot + 1, item, wrong);
    }
}

int
outcome_read(const char *text, struct bide_outcome *out, const char **why,
             char *hint, size_t hint_size)
{
    struct bide_outcome o = {0};
    struct wrong wrong = {.why = unknown_item};
    struct item item;
    int rc = BIDE_EINPUT;

    if (strcmp(text, "ok") == 0) {
        *out = o;
        return 0;
    }
    if (strlen(text) < ITEM_MAX) {
        rc = read_item(text, &item, &wrong);
    }
    if (rc == 0 && (item.classes || item.range.low != item.range.high)) {
        wrong.why = "one outcome is needed here, not several";
        rc = BIDE_EINPUT;
    }
    if (rc != 0) {
        *why = rc == BIDE_ENOMEM ? "out of memory" : wrong.why;
        snprintf(hint, hint_size, "%s", wrong.meant);
        return rc;
    }
    o.domain = item.range.domain;
    o.code = item.range.low;
    *out = o;
    return 0;
}

/* In the order in which they are written: names of a program's own by name,
 * since their codes differ from process to process. */
static int
by_text(const void *a, const void *b)
{
    const struct outcome_range *x = a, *y = b;

    if (x->domain != y->domain) {
        return x->domain < y->domain ? -1 : 1;
    }
    if (x->domain == BIDE_DOMAIN_APP) {
        return strcmp(app_name(x->low), app_name(y->low));
    }
    if (x->low != y->low) {
        return x->low < y->low ? -1 : 1;
    }
    return (x->high > y->high) - (x->high < y->high);
}

static void
sort_ranges(struct outcome_set *set)
{
    uint32_t kept = 0;

    if (set->count < 2) {
        return;
    }
    qsort(set->ranges, set->count, sizeof(set->ranges[0]), by_text);
    for (uint32_t i = 0; i < set->count; i++) {
        if (!kept || by_text(&set->ranges[kept - 1], &set->ranges[i])) {
            set->ranges[kept++] = set->ranges[i];
        }
    }
    set->count = kept;
}

static int
add_range(struct outcome_set *set, struct outcome_range range)
{
    struct outcome_range *grown;

    if ((set->count & (set->count - 1)) == 0) { /* grows at powers of two */
        grown = realloc(set->ranges,
                        (set->count ? 2 * set->count : 1) * sizeof(range));
        if (!grown) {
            return BIDE_ENOMEM;
        }
        set->ranges = grown;
    }
    set->ranges[set->count++] = range;
    return 0;
}

/* The next item of a list, without the blanks around it; moves past its comma.
 * False: longer than any item can be. */
static bool
next_item(const char **text, char *out)
{
    const char *start = *text + strspn(*text, " \t");
    const char *end = start + strcspn(start, ",");
    size_t length;

    *text = *end ? end + 1 : NULL;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    length = (size_t)(end - start);
    plain_excerpt(start, length, out, ITEM_MAX);
    return length < ITEM_MAX;
}

static int
add_item(struct outcome_set *set, const char *item_text, struct wrong *wrong)
{
    struct item item;
    int rc;

    if (item_text[0] == '\0') {
        *wrong = (struct wrong){.why = "an outcome is missing between commas"};
        return BIDE_EINPUT;
    }
    if (strcmp(item_text, "none") == 0) {
        *wrong = (struct wrong){.why = "none stands alone"};
        return BIDE_EINPUT;
    }
    rc = read_item(item_text, &item, wrong);
    if (rc != 0) {
        return rc;
    }
    set->classes |= item.classes;
    if (item.classes) {
        return 0;
    }
    if (set->count == OUTCOME_SET_MAX) {
        *wrong = (struct wrong){.why = "more than 256 outcomes"};
        return BIDE_EINPUT;
    }
    return add_range(set, item.range);
}

int
outcome_set_read(const char *text, struct outcome_set *out, char *bad,
                 size_t bad_size, const char **why, char *hint,
                 size_t hint_size)
{
    struct outcome_set set = {0};
    struct wrong wrong;
    char item[ITEM_MAX];
    int rc = 0;

    text += strspn(text, " \t");
    if (*text == '\0' || strcmp(text, "none") == 0) {
        *out = set;
        return 0;
    }
    while (text && rc == 0) {
        if (next_item(&text, item)) {
            rc = add_item(&set, item, &wrong);
        } else {
            wrong = (struct wrong){.why = unknown_item};
            rc = BIDE_EINPUT;
        }
    }
    if (rc == 0) {
        sort_ranges(&set);
        *out = set;
        return 0;
    }
    outcome_set_free(&set);
    if (rc == BIDE_EINPUT) {
        *why = wrong.why;
        snprintf(bad, bad_size, "%s", item);
        snprintf(hint, hint_size, "%s", wrong.meant);
    }
    return rc;
}

static void
write_range(struct draft *d, const struct outcome_range *r)
{
    struct bide_outcome o = {.domain = r->domain, .code = r->low};
    char text[ITEM_MAX];

    if (r->low == r->high) {
        bide_outcome_name(o, text, sizeof(text));
    } else if (r->domain == BIDE_DOMAIN_HTTP && r->low % 100 == 0 &&
               r->high == r->low + 99) {
        snprintf(text, sizeof(text), "http.%dxx", (int)(r->low / 100));
    } else {
        snprintf(text, sizeof(text), "%s.%d-%d",
                 outcome_domain(r->domain)->name, (int)r->low, (int)r->high);
    }
    draft_item(d, text);
}

char *
outcome_set_write(const struct outcome_set *set)
{
    const struct outcome_class_row *row;
    struct draft d = {0};

    for (size_t i = 0; (row = outcome_class_row(i)); i++) {
        if (set->classes & row->bit) {
            draft_item(&d, row->name);
        }
    }
    for (uint32_t i = 0; i < set->count; i++) {
        write_range(&d, &set->ranges[i]);
    }
    if (!set->classes && !set->count) {
        draft_text(&d, "none");
    }
    return draft_take(&d);
}

void
outcome_set_free(struct outcome_set *set)
{
    free(set->ranges);
    *set = (struct outcome_set){0};
}
