/* bide preview: shows the wait before each retry of a call that always fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/duration.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/plot.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/policy/source.h"
#include "policy/policy.h"
#include "simulate/preview.h"

enum {
    ROWS_OF_UNLIMITED = 10, /* number of rows if attempts are unlimited */
    ROWS_MAX = 1000000,     /* as many as a limited policy can have */
    TABLE_ROWS = 1000, /* of one table; without --attempts, of the output */
    PLOTTED_MAX = 60,  /* limit of rows with a plot */
};

struct forecast {
    const struct policy *policy;
    struct preview_row *rows;
    size_t most, count, left_out; /* of rows */
    enum bide_reason ends;
};

static int
print_preview_json(const struct forecast *f)
{
    struct json *j = json_object_new(), *waits;

    json_put_text(j, "policy", f->policy->name);
    waits = json_in_array(j, "waits");
    for (size_t i = 0; i < f->count; i++) {
        const struct preview_row *row = &f->rows[i];
        struct json *wait = json_add_object(waits);

        json_put_count(wait, "attempt", row->attempt);
        json_put_ms(wait, "min_ms", row->min_ns);
        json_put_ms(wait, "max_ms", row->max_ns);
        json_put_ms(wait, "total_min_ms", row->total_min_ns);
        json_put_ms(wait, "total_max_ms", row->total_max_ns);
    }
    json_put_text(j, "ends", bide_reason_name(f->ends));
    return json_out(j);
}

/* ---- as text ---- */

static struct brief
write_range(uint64_t min_ns, uint64_t max_ns)
{
    struct brief out = duration_round(max_ns);

    if (min_ns != max_ns) {
        snprintf(out.text, sizeof(out.text), "%.28s .. %.28s",
                 duration_round(min_ns).text, duration_round(max_ns).text);
    }
    return out;
}

/* Returns the columns that remain for the plot beside the other three. */
static size_t
plot_width(const struct forecast *f)
{
    size_t waits = strlen("WAIT BEFORE"), total = strlen("TOTAL WAIT");
    size_t taken, width = text_width();

    for (size_t i = 0; i < f->count; i++) {
        const struct preview_row *row = &f->rows[i];
        size_t w = text_columns(write_range(row->min_ns, row->max_ns).text);
        size_t t = text_columns(
            write_range(row->total_min_ns, row->total_max_ns).text);

        waits = w > waits ? w : waits;
        total = t > total ? t : total;
    }
    taken = strlen("ATTEMPT") + waits + total + 3 * 2;
    width = width > taken + 1 ? width - taken - 1 : 0;
    return width > 70 ? 70 : width;
}

static void
add_preview_row(struct table *t, const struct preview_row *row,
                const struct plot *plot)
{
    char *span = plot->width
                     ? plot_span(plot, row->total_min_ns, row->total_max_ns)
                     : NULL;

    table_row(t);
    table_cell(t, 0, "%u", row->attempt);
    if (row->attempt > 1) {
        table_cell(t, 1, "%s", write_range(row->min_ns, row->max_ns).text);
    }
    table_cell(t, 2, "%s",
               write_range(row->total_min_ns, row->total_max_ns).text);
    table_cell(t, 3, "%s", span ? span : "");
    free(span);
}

/* Prints rows `from` to `to`, and the first attempt if `from` is 0. */
static int
print_preview_rows(const struct forecast *f, size_t from, size_t to)
{
    static const struct preview_row first = {.attempt = 1};
    uint64_t last_ns = f->count ? f->rows[f->count - 1].total_max_ns : 0;
    bool plotted = last_ns > 0 && f->count <= PLOTTED_MAX;
    struct plot plot =
        plotted ? plot_for(last_ns, plot_width(f)) : (struct plot){0};
    char *axis = plotted ? plot_axis(&plot) : NULL;
    struct table_column columns[] = {{"ATTEMPT", 0},
                                     {"WAIT BEFORE", 0},
                                     {"TOTAL WAIT", 0},
                                     {axis ? axis : "", 0}};
    struct table *t = table_new(columns, plotted ? 4 : 3);

    free(axis);
    if (from == 0) {
        add_preview_row(t, &first, &plot);
    }
    for (size_t i = from; i < to; i++) {
        add_preview_row(t, &f->rows[i], &plot);
    }
    return table_print(t);
}

/* Prints many rows as several tables, because a table needs much memory. */
static int
print_preview(const struct forecast *f)
{
    size_t from = 0, to;
    int rc;

    do {
        to = f->count - from > TABLE_ROWS ? from + TABLE_ROWS : f->count;
        rc = print_preview_rows(f, from, to);
        from = to;
    } while (rc == 0 && from < f->count && !ferror(stdout));
    if (rc == 0 && f->left_out > 0) {
        printf("Not shown: %s more %s. To see all: --attempts %zu or --json.\n",
               text_count(f->left_out).text,
               text_plural(f->left_out, "attempt", "attempts"),
               1 + f->count + f->left_out);
    }
    return rc;
}

/* Prints why the call ends: "attempts (at most 3)". */
static void
print_reason(const struct forecast *f)
{
    fputs(bide_reason_name(f->ends), stdout);
    switch (f->ends) {
    case BIDE_BY_ATTEMPTS:
        printf(" (at most %u)", f->policy->attempts);
        break;
    case BIDE_BY_MAX_ELAPSED:
        printf(" (no attempt begins %s or more after the first)",
               duration_round(f->policy->max_elapsed_ns).text);
        break;
    case BIDE_BY_DEADLINE:
        printf(" (no wait ends %s or more after the call began)",
               duration_round(f->policy->deadline_ns).text);
        break;
    default:
        break;
    }
}

static void
print_end(const struct forecast *f)
{
    static const char *const meaning[] = {
        [MANDATORY] = "Mandatory: the caller gets \"aborted\".",
        [POSTPONABLE] = "Postponable: the caller gets \"deferred\".",
        [OPTIONAL] = "Optional: the caller gets \"dropped\".",
    };

    if (f->policy->paused) {
        puts("Paused: new calls are refused until paused = no.");
    }
    if (f->ends == BIDE_BY_NONE) {
        puts(f->policy->attempts == ATTEMPTS_UNLIMITED
                 ? "More attempts follow: they are unlimited. Show more with "
                   "--attempts N."
                 : "More attempts follow. Show more with --attempts N.");
        return;
    }
    fputs("Then the call gives up: ", stdout);
    print_reason(f);
    printf(". %s\n", meaning[f->policy->importance]);
}

/* ---- the command ---- */

static int
keep_row(void *arg, const struct preview_row *row)
{
    struct forecast *f = arg;

    if (f->count == f->most) {
        f->left_out++;
        return 0;
    }
    return array_put(&f->rows, &f->count, row, sizeof(*row)) ? 0 : BIDE_ENOMEM;
}

/* `asked` is --attempts, 0 if absent. */
static int
show_forecast(struct command_line *line, const struct policy *p, uint32_t asked)
{
    bool as_json = line->option[OPTION_JSON] != NULL;
    struct forecast f = {.policy = p,
                         .most = as_json || asked ? ROWS_MAX : TABLE_ROWS - 1};
    uint32_t attempts = asked                               ? asked
                        : p->attempts == ATTEMPTS_UNLIMITED ? ROWS_OF_UNLIMITED
                                                            : p->attempts;
    int rc = preview(p, attempts - 1, keep_row, &f, &f.ends);

    rc = rc ? rc : as_json ? print_preview_json(&f) : print_preview(&f);
    free(f.rows);
    if (rc) {
        return say_no_memory();
    }
    if (!as_json) {
        print_end(&f);
    }
    return STATUS_DONE;
}

static int
compile_and_show(struct command_line *line, struct source *source,
                 const struct policy_text *text, uint32_t asked)
{
    struct policy *policy = NULL;
    struct faults faults = {0};
    int rc = policy_compile(text, source_find, source, line->operands[0],
                            &policy, &faults);
    int status = say_refusal(rc, &faults, line->operands[0], NULL);

    status = status ? status : show_forecast(line, policy, asked);
    policy_free(policy);
    return status;
}

int
preview_command(struct command_line *line)
{
    struct source source = {0};
    struct policy_text *text = NULL;
    uint32_t asked = 0;
    int status = number_read_option(line, OPTION_ATTEMPTS, 1, &asked);

    if (status == 0 && asked > ROWS_MAX) {
        status = say_usage(line, "--attempts: at most %d", ROWS_MAX);
    }
    status = status ? status : source_policy(&source, line, &text);
    status = status ? status : compile_and_show(line, &source, text, asked);
    policy_text_free(text);
    source_free(&source);
    return status;
}
