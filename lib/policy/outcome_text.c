/* Reads and writes outcomes, and sets of them, as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/draft.h"
#include "base/duration.h"
#include "base/near.h"
#include "base/plain.h"
#include "outcome_app.h"
#include "outcome_table.h"

enum {
    ITEM_MAX = 64, /* "app." and 48 characters; all else is shorter */
    NUMBER_DIGITS_MAX = 10,
};

/* One item of a list: a class or a range. */
struct outcome_item {
    uint32_t classes;
    struct outcome_range range;
};

static const char unknown_item[] =
    "no such outcome: use any connect timeout throttle transient, or a code "
    "such as errno.ECONNRESET http.503 http.5xx grpc.UNAVAILABLE exit.75 "
    "signal.SIGKILL curl.28 dns.EAI_AGAIN app.NAME";

/* Fills in the fault and returns BIDE_EINPUT. */
static int
refuse_item(struct outcome_fault *fault, const char *why)
{
    *fault = (struct outcome_fault){.why = why};
    return BIDE_EINPUT;
}

static uint32_t
find_class(const char *name)
{
    const struct outcome_class_row *row;

    for (size_t i = 0; (row = outcome_class_row(i)); i++) {
        if (strcmp(row->name, name) == 0) {
            return row->bit;
        }
    }
    return 0;
}

/* Reads the digits at *text as a code, and moves past them. */
static bool
read_code(const char **text, int32_t *out)
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

/* Reports whether the codes are allowed in their domain. */
static bool
is_in_domain(const struct outcome_domain *d, const struct outcome_range *r)
{
    bool no_answer = r->domain == BIDE_DOMAIN_HTTP && !r->low && !r->high;

    return no_answer ||
           (r->low >= d->low && r->high <= d->high && r->low <= r->high);
}

/* Reads "503", "500-504" or "5xx". */
static bool
read_code_range(const char *text, struct outcome_range *r)
{
    if (r->domain == BIDE_DOMAIN_HTTP && text[0] >= '1' && text[0] <= '9' &&
        strcmp(text + 1, "xx") == 0) {
        r->low = (text[0] - '0') * 100;
        r->high = r->low + 99;
        return true;
    }
    if (!read_code(&text, &r->low)) {
        return false;
    }
    r->high = r->low;
    if (*text == '-') {
        text++;
        if (!read_code(&text, &r->high)) {
            return false;
        }
    }
    return *text == '\0';
}

static int
read_app_name(const char *name, struct outcome_range *r,
              struct outcome_fault *fault)
{
    size_t length = strlen(name);
    int32_t code;

    if (!app_name_ok(name, length)) {
        return refuse_item(fault, outcome_domain(BIDE_DOMAIN_APP)->rule);
    }
    code = app_code(name, length, APP_NAMES_MAX);
    if (code == APP_NO_MEMORY) {
        return BIDE_ENOMEM;
    }
    if (code == APP_OTHER && strcmp(name, "other") != 0) {
        return refuse_item(fault,
                           "too many different app names in this process");
    }
    r->low = r->high = code;
    return 0;
}

/* Returns the name in a domain that is nearest to a misspelt one, or NULL. */
static const char *
find_near_name(unsigned domain, const char *name)
{
    struct near near = near_begin(name);
    const struct outcome_row *row;

    for (size_t i = 0; (row = outcome_row(i)); i++) {
        if (row->domain == domain && row->name) {
            near_offer(&near, row->name);
        }
    }
    return near.best;
}

/* Suggests SIGKILL for signal.KILL and EAI_AGAIN for dns.AGAIN, else the
 * nearest name of the domain. */
static void
suggest_name(unsigned domain, const char *name, struct outcome_fault *fault)
{
    const char *prefix = outcome_domain(domain)->name;
    const char *best = NULL;
    char full[ITEM_MAX];

    if (*name >= '0' && *name <= '9') {
        return; /* a number resembles no name */
    }
    if (domain == BIDE_DOMAIN_SIGNAL || domain == BIDE_DOMAIN_DNS) {
        snprintf(full, sizeof(full), "%s%s",
                 domain == BIDE_DOMAIN_DNS ? "EAI_" : "SIG", name);
        best = near_distance(full, name) ? find_near_name(domain, full) : NULL;
    }
    best = best ? best : find_near_name(domain, name);
    if (best) {
        snprintf(fault->meant, sizeof(fault->meant), "%s.%s", prefix, best);
    }
}

static int
read_domain_code(const char *rest, struct outcome_item *item,
                 struct outcome_fault *fault)
{
    unsigned domain = item->range.domain;
    const struct outcome_domain *d = outcome_domain(domain);
    const struct outcome_row *row;

    if (read_code_range(rest, &item->range) && is_in_domain(d, &item->range)) {
        return 0;
    }
    row = outcome_row_named(item->range.domain, rest);
    if (row) {
        item->range.low = item->range.high = row->code;
        return 0;
    }
    fault->why = d->rule;
    suggest_name(domain, rest, fault);
    return BIDE_EINPUT;
}

/* Suggests an outcome for a text without a domain: http.503 for 503,
 * errno.ECONNRESET for ECONNRESET, or the nearest class. */
static void
suggest_domain_and_code(const char *text, struct outcome_fault *fault)
{
    struct outcome_range r = {.domain = BIDE_DOMAIN_HTTP};
    const struct outcome_class_row *row;

    if (read_code_range(text, &r) && r.low >= 100 && r.high <= 599) {
        snprintf(fault->meant, sizeof(fault->meant), "http.%s", text);
        return;
    }
    for (unsigned i = BIDE_DOMAIN_ERRNO; outcome_domain(i); i++) {
        if (outcome_row_named((uint8_t)i, text)) {
            snprintf(fault->meant, sizeof(fault->meant), "%s.%s",
                     outcome_domain(i)->name, text);
            return;
        }
    }
    for (size_t i = 0; (row = outcome_class_row(i)); i++) {
        struct near near = near_begin(text);

        if (near_offer(&near, row->name)) {
            snprintf(fault->meant, sizeof(fault->meant), "%s", row->name);
            return;
        }
    }
}

static void
suggest_domain(const char *text, size_t prefix, struct outcome_fault *fault)
{
    char written[ITEM_MAX];
    struct near near;

    snprintf(written, sizeof(written), "%.*s", (int)prefix, text);
    near = near_begin(written);
    for (unsigned i = BIDE_DOMAIN_ERRNO; outcome_domain(i); i++) {
        near_offer(&near, outcome_domain(i)->name);
    }
    if (near.best) {
        snprintf(fault->meant, sizeof(fault->meant), "%s%s", near.best,
                 text + prefix);
    }
}

static unsigned
find_domain(const char *text, size_t length)
{
    for (unsigned i = BIDE_DOMAIN_ERRNO; outcome_domain(i); i++) {
        const char *name = outcome_domain(i)->name;

        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            return i;
        }
    }
    return BIDE_DOMAIN_OK;
}

static int
read_good_item(const char *text, struct outcome_item *item,
               struct outcome_fault *fault)
{
    const char *dot = strchr(text, '.');

    *item = (struct outcome_item){.classes = find_class(text)};
    *fault = (struct outcome_fault){.why = unknown_item};
    if (item->classes) {
        return 0;
    }
    if (!dot) {
        suggest_domain_and_code(text, fault);
        return BIDE_EINPUT;
    }
    item->range.domain = (uint8_t)find_domain(text, (size_t)(dot - text));
    switch (item->range.domain) {
    case BIDE_DOMAIN_OK:
        suggest_domain(text, (size_t)(dot - text), fault);
        return BIDE_EINPUT;
    case BIDE_DOMAIN_APP:
        return read_app_name(dot + 1, &item->range, fault);
    default:
        return read_domain_code(dot + 1, item, fault);
    }
}

/* Improves the fault of `text` if it is several items without commas, or a good
 * item in brackets or quotes.  Drops a suggestion that is no outcome. */
static void
improve_fault(const char *text, struct outcome_fault *fault)
{
    static const char around[] = "[](){}<>\"'`";
    const char *start = text + strspn(text, around);
    struct outcome_item item;
    struct outcome_fault ignored;
    char inner[ITEM_MAX];
    size_t length = strcspn(text, " \t;|");

    snprintf(inner, sizeof(inner), "%.*s", (int)length, text);
    if (text[length] && read_good_item(inner, &item, &ignored) == 0) {
        refuse_item(fault, "commas separate outcomes");
        return;
    }
    snprintf(inner, sizeof(inner), "%.*s", (int)strcspn(start, around), start);
    if (strcmp(inner, text) != 0 &&
        read_good_item(inner, &item, &ignored) == 0) {
        memcpy(fault->meant, inner, sizeof(inner));
    } else if (*fault->meant &&
               read_good_item(fault->meant, &item, &ignored) != 0) {
        fault->meant[0] = '\0';
    }
}

static int
read_outcome_item(const char *text, struct outcome_item *item,
                  struct outcome_fault *fault)
{
    int rc = read_good_item(text, item, fault);

    if (rc == BIDE_EINPUT) {
        improve_fault(text, fault);
    }
    return rc;
}

int
outcome_read(const char *text, struct bide_outcome *out,
             struct outcome_fault *fault)
{
    struct outcome_item item;
    int rc = BIDE_EINPUT;

    *fault = (struct outcome_fault){.why = unknown_item};
    if (strcmp(text, "ok") == 0) {
        *out = (struct bide_outcome){0};
        return 0;
    }
    if (strlen(text) < ITEM_MAX) {
        rc = read_outcome_item(text, &item, fault);
    }
    if (rc == BIDE_ENOMEM) {
        fault->why = "out of memory";
    } else if (rc == 0 && (item.classes || item.range.low != item.range.high)) {
        fault->why = "exactly one outcome is needed here";
        rc = BIDE_EINPUT;
    }
    if (rc == 0) {
        *out = (struct bide_outcome){.domain = item.range.domain,
                                     .code = item.range.low};
    }
    return rc;
}

int
outcome_read_hint(const char *text, struct bide_outcome *o,
                  struct outcome_fault *fault)
{
    struct duration_fault wrong = {.why = "write never"};
    uint64_t ns;

    if (strncmp(text, "after=", 6) != 0) {
        return refuse_item(fault,
                           "write after=DURATION or after=never after ;");
    }
    text += 6;
    if (strcmp(text, "never") == 0) {
        ns = DURATION_NONE;
    } else if (duration_read(text, &ns, &wrong) != 0 || ns == DURATION_NONE) {
        *fault = (struct outcome_fault){.why = wrong.why};
        strcpy(fault->meant, wrong.hint);
        return BIDE_EINPUT;
    }
    *o = bide_outcome_after(*o, ns);
    return 0;
}

/* Compares ranges in canonical order.  app names are ordered by name, because
 * their codes differ between processes. */
static int
compare_ranges(const void *a, const void *b)
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

/* Sorts the ranges and removes duplicates. */
static void
sort_ranges(struct outcome_set *set)
{
    uint32_t kept = 0;

    if (set->count < 2) {
        return;
    }
    qsort(set->ranges, set->count, sizeof(set->ranges[0]), compare_ranges);
    for (uint32_t i = 0; i < set->count; i++) {
        if (!kept || compare_ranges(&set->ranges[kept - 1], &set->ranges[i])) {
            set->ranges[kept++] = set->ranges[i];
        }
    }
    set->count = kept;
}

static int
add_range(struct outcome_set *set, struct outcome_range range)
{
    struct outcome_range *longer =
        array_more(set->ranges, set->count, sizeof(range));

    if (!longer) {
        return BIDE_ENOMEM;
    }
    set->ranges = longer;
    set->ranges[set->count++] = range;
    return 0;
}

/* Copies the next item of a list without the spaces around it, and moves past
 * its comma.  Returns false if it is longer than any outcome. */
static bool
next_list_item(const char **text, char *out)
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
add_list_item(struct outcome_set *set, const char *item_text,
              struct outcome_fault *fault)
{
    struct outcome_item item;
    int rc;

    if (item_text[0] == '\0') {
        return refuse_item(fault, "an outcome is missing between commas");
    }
    if (strcmp(item_text, "none") == 0) {
        return refuse_item(fault, "none cannot be in a list");
    }
    rc = read_outcome_item(item_text, &item, fault);
    if (rc != 0) {
        return rc;
    }
    set->classes |= item.classes;
    if (item.classes) {
        return 0;
    }
    if (set->count == OUTCOME_SET_MAX) {
        return refuse_item(fault, "more than 256 outcomes");
    }
    return add_range(set, item.range);
}

int
outcome_set_read(const char *text, struct outcome_set *out,
                 struct outcome_fault *fault)
{
    struct outcome_set set = {0};
    char item[ITEM_MAX];
    int rc = 0;

    text += strspn(text, " \t");
    if (*text == '\0' || strcmp(text, "none") == 0) {
        *out = set;
        return 0;
    }
    while (text && rc == 0) {
        rc = next_list_item(&text, item) ? add_list_item(&set, item, fault)
                                         : refuse_item(fault, unknown_item);
    }
    if (rc == 0) {
        sort_ranges(&set);
        *out = set;
        return 0;
    }
    outcome_set_free(&set);
    strcpy(fault->bad, item);
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
