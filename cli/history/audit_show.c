/* Prints the audit as a table, JSON and CSV. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/read.h"
#include "base/duration.h"
#include "cli/command/when.h"
#include "cli/out/csv.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "rule/breaker.h"
#include "audit.h"

/* ---- as text ---- */

/* A breaker that changes again within this time flaps. */
#define FLAP_NS UINT64_C(1800000000000)

/* Consecutive changes of one breaker. */
struct flapping {
    size_t count;
    uint64_t opened, closed, end_ns;
    uint8_t last; /* state */
};

/* Returns the next change of the breaker of entry `i`; 0 if it does not flap: a
 * change of the policy or a longer pause follows. */
static size_t
next_flap(const struct audit *a, size_t i)
{
    const struct audit_entry *from = &a->list[i], *e;

    while (++i < a->count) {
        e = &a->list[i];
        if (e->when_ns > from->when_ns + FLAP_NS) {
            break;
        }
        if (strcmp(e->name, from->name) != 0) {
            continue;
        }
        if (e->kind == AUDIT_CHANGE || e->kind == AUDIT_FORCED) {
            break;
        }
        if (e->kind == AUDIT_BREAKER && strcmp(e->scope, from->scope) == 0) {
            return i;
        }
    }
    return 0;
}

/* Sums up the changes from entry `first` on.  Marks those after it as shown if
 * the breaker opened more than once. */
static struct flapping
sum_flapping(const struct audit *a, size_t first, bool *shown)
{
    struct flapping f = {0};
    size_t i = first;

    do {
        f.count++;
        f.opened += a->list[i].to == STATE_OPEN;
        f.closed += a->list[i].to == STATE_CLOSED;
        f.end_ns = a->list[i].when_ns;
        f.last = a->list[i].to;
    } while ((i = next_flap(a, i)) > 0);
    for (i = first; f.opened > 1 && (i = next_flap(a, i)) > 0;) {
        shown[i] = true;
    }
    return f;
}

/* Returns "breaker opened and closed 41 times, 10:02 to 10:31", malloc'ed. */
static char *
flapping_words(const struct audit_entry *e, const struct flapping *f)
{
    struct brief from = when_write_iso(e->when_ns);
    struct brief to = when_write_iso(f->end_ns);
    size_t date = 11; /* "2026-01-31 " */
    char *words;

    date = strncmp(from.text, to.text, date) == 0 ? date : 0;
    from.text[16] = to.text[16] = '\0'; /* without seconds */
    return asprintf(&words, "breaker opened%s%s%s %s times, %s to %s%s",
                    f->closed == f->opened ? "" : " ",
                    f->closed == f->opened ? "" : text_count(f->opened).text,
                    " and closed", text_count(f->closed).text, from.text + date,
                    to.text + date,
                    f->last == STATE_OPEN     ? ", now open"
                    : f->last == STATE_CLOSED ? ""
                                              : ", now half open") < 0
               ? NULL
               : words;
}

/* Fills the cells of a row.  `brief`: scope, author and note are in the text,
 * because a line of a terminal has no room for columns that are mostly empty.
 */
static void
add_cells(struct table *t, const struct audit *a, const struct audit_entry *e,
          const char *words, bool brief)
{
    const char *who = e->who ? author_write(e->who, e->uid).text : "";

    table_row(t);
    table_cell(t, 2, "%s", audit_kind_word(e->kind));
    if (brief) {
        table_cell(t, 0, "%s", when_write(e->when_ns, a->now_ns).text);
        table_cell(t, 1, "%s", e->name);
        table_cell(t, 3, "%s%s%s%s%s%s%s", e->scope, *e->scope ? ": " : "",
                   words, *who ? "; " : "", who, e->note ? ": " : "",
                   e->note ? e->note : "");
        return;
    }
    /* Complete, because the table may be read on another day. */
    table_cell(t, 0, "%s", when_write_iso(e->when_ns).text);
    table_cell(t, 1, "%s%s%s", e->name, *e->scope ? " " : "", e->scope);
    table_cell(t, 3, "%s", words);
    if (*who) {
        table_cell(t, 4, "%s", who);
    }
    if (e->note) {
        table_cell(t, 5, "%s", e->note);
    }
}

/* Sets *folded to the number of changes of breakers that are not listed. */
static int
add_entry_rows(struct table *t, const struct audit *a, bool brief,
               size_t *folded)
{
    bool *shown = calloc(a->count, sizeof(*shown));
    int rc = shown ? 0 : BIDE_ENOMEM;

    for (size_t i = 0; i < a->count && rc == 0; i++) {
        const struct audit_entry *e = &a->list[i];
        struct flapping f = {0};
        char *words;

        if (shown[i] || audit_hides(a, e)) {
            continue;
        }
        if (e->kind == AUDIT_BREAKER) {
            f = sum_flapping(a, i, shown);
        }
        words = f.opened > 1 ? flapping_words(e, &f) : audit_words(e, true);
        *folded += f.opened > 1 ? f.count : 0;
        rc = words ? 0 : BIDE_ENOMEM;
        add_cells(t, a, e, words ? words : "", brief);
        free(words);
        if (e->kind == AUDIT_FORCED) {
            table_mark_row(t);
        }
    }
    free(shown);
    return rc;
}

/* Prints the sums, which are of all kinds. */
static void
print_sums(const struct audit *a)
{
    uint64_t kinds[AUDIT_CALLS + 1] = {0};
    struct audit_entry sum = {.kind = AUDIT_CALLS, .calls = a->calls};
    uint64_t dropped = 0;
    char *words;

    for (size_t i = 0; i < a->count; i++) {
        const struct audit_entry *e = &a->list[i];

        kinds[e->kind]++;
        dropped += e->dropped;
        for (size_t k = 0; k < COUNTER_ROWS; k++) {
            sum.count[k] += e->count[k];
        }
    }
    printf("\n%s %s, %llu of them forced; breakers opened %s %s",
           text_count(kinds[AUDIT_CHANGE] + kinds[AUDIT_FORCED]).text,
           text_plural(kinds[AUDIT_CHANGE] + kinds[AUDIT_FORCED], "change",
                       "changes"),
           (unsigned long long)kinds[AUDIT_FORCED], text_count(a->opened).text,
           text_plural(a->opened, "time", "times"));
    if (dropped > 0) {
        printf("; %s %s of deferred work dropped", text_count(dropped).text,
               text_plural(dropped, "piece", "pieces"));
    }
    words = kinds[AUDIT_CALLS] > 0 ? audit_words(&sum, false) : NULL;
    printf("%s%s.\n", words ? "; in total " : "", words ? words : "");
    free(words);
}

int
audit_table(const struct audit *a)
{
    bool brief = text_to_terminal() && !a->line->option[OPTION_VERBOSE];
    unsigned text = TABLE_WRAP | (brief ? TABLE_CUT : 0);
    const struct table_column columns[] = {
        {"WHEN", 0},   {"POLICY", TABLE_NAME | (text & TABLE_CUT)},
        {"KIND", 0},   {"WHAT", text},
        {"WHO", text}, {"NOTE", text}};
    size_t folded = 0, shown = 0;
    struct table *t;
    int rc;

    printf(
        "%s%s%s%s to %s\n\n", a->name ? a->name : "All policies", ", ",
        a->since_ns > 0 ? "" : "from the beginning",
        a->since_ns > 0 ? when_write_iso(a->since_ns).text : "",
        when_write_iso(a->until_ns < a->now_ns ? a->until_ns : a->now_ns).text);
    for (size_t i = 0; i < a->count; i++) {
        shown += !audit_hides(a, &a->list[i]);
    }
    if (shown == 0) {
        puts(a->kinds == AUDIT_ALL_KINDS ? "No changes and no failed calls."
                                         : "Nothing of these kinds.");
        return 0;
    }
    t = table_new(columns, brief ? 4 : sizeof(columns) / sizeof(columns[0]));
    rc = add_entry_rows(t, a, brief, &folded);
    if (rc) {
        table_free(t);
        return rc;
    }
    rc = table_print(t);
    if (!rc && folded > 0) {
        printf(
            "\n%zu changes of breakers are summed up. To see each: --json or "
            "--csv.\n",
            folded);
    }
    if (!rc && a->kinds == AUDIT_ALL_KINDS) {
        print_sums(a);
    }
    if (!rc && a->damaged > 0) {
        printf("%llu damaged %s skipped.\n", (unsigned long long)a->damaged,
               text_plural(a->damaged, "record or page was",
                           "records or pages were"));
    }
    return rc;
}

/* ---- for programs ---- */

int
audit_json(const struct audit *a)
{
    struct json *object = json_object_new(), *array;

    json_put_count(object, "damaged", a->damaged);
    array = json_in_array(object, "entries");
    for (size_t i = 0; i < a->count; i++) {
        const struct audit_entry *e = &a->list[i];
        struct json *j;

        if (audit_hides(a, e)) {
            continue;
        }
        j = json_add_object(array);
        json_put_s(j, "when", e->when_ns);
        json_put_s(j, "end", e->end_ns);
        json_put_text(j, "policy", e->name);
        json_put_text(j, "scope", e->scope);
        json_put_text(j, "kind", audit_kind_word(e->kind));
        if (e->what) {
            json_put_text(j, "what", e->what);
        }
        if (e->who) {
            json_put_text(j, "who", e->who);
            json_put_count(j, "uid", e->uid);
            json_put_text(j, "note", e->note ? e->note : "");
        }
        if (e->kind == AUDIT_WORK) {
            json_put_count(j, "dropped", e->dropped);
            json_put_count(j, "requeued", e->requeued);
        }
        if (e->kind == AUDIT_CALLS) {
            json_put_count(j, "calls", e->calls);
            json_put_text(j, "outcome", *e->outcome ? e->outcome : NULL);
            for (size_t k = 0; k < COUNTER_ROWS; k++) {
                if (counter_rows[k].flags & COUNTER_IS_FAILED) {
                    json_put_count(j, counter_rows[k].name, e->count[k]);
                }
            }
        }
    }
    return json_out(object);
}

int
audit_csv(const struct audit *a)
{
    puts("when,end,policy,scope,kind,what,who,uid,note");
    for (size_t i = 0; i < a->count; i++) {
        const struct audit_entry *e = &a->list[i];
        char *words;

        if (audit_hides(a, e)) {
            continue;
        }
        words = audit_words(e, false);
        if (!words) {
            return BIDE_ENOMEM;
        }
        printf("%s,%s,%s,%s,%s", csv_time(e->when_ns).text,
               csv_time(e->end_ns).text, e->name, e->scope,
               audit_kind_word(e->kind));
        csv_text(words);
        csv_author(e->who, e->uid);
        csv_text(e->note);
        putchar('\n');
        free(words);
    }
    return 0;
}
