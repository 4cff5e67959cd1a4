/* What a policy does to a call that only fails: bide preview. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/plot.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/policy/setting.h"
#include "cli/policy/source.h"

/* How many rows are enough for what goes on and on, and how many are too many
 * for anybody. */
enum { ROWS_OF_UNLIMITED = 10, ROWS_MAX = 100000, PLOTTED_MAX = 60 };

struct shown {
    const struct policy *policy;
    struct preview_row *rows;
    size_t count;
    enum bide_reason ends;
};

static int
print_json(const struct shown *s)
{
    struct json *j = json_object_new(), *waits;

    json_put_text(j, "policy", s->policy->name);
    waits = json_in_array(j, "waits");
    for (size_t i = 0; i < s->count; i++) {
        const struct preview_row *row = &s->rows[i];
        struct json *wait = json_add_object(waits);

        json_put_count(wait, "attempt", row->attempt);
        json_put_ms(wait, "min_ms", row->min_ns);
        json_put_ms(wait, "max_ms", row->max_ns);
        json_put_ms(wait, "total_min_ms", row->total_min_ns);
        json_put_ms(wait, "total_max_ms", row->total_max_ns);
    }
    json_put_text(j, "ends", bide_reason_name(s->ends));
    return json_out(j);
}

/* ---- for people ---- */

static char *
range(uint64_t min_ns, uint64_t max_ns, char *buffer, size_t size)
{
    char from[32], to[32];

    duration_round(min_ns, from, sizeof(from));
    duration_round(max_ns, to, sizeof(to));
    if (min_ns == max_ns) {
        snprintf(buffer, size, "%s", to);
    } else {
        snprintf(buffer, size, "%s .. %s", from, to);
    }
    return buffer;
}

/* Room that the plot has beside the other three columns. */
static size_t
plot_width(const struct shown *s)
{
    size_t waits = strlen("WAITS BEFORE"), all = strlen("AFTER IN ALL");
    size_t taken, width = text_width();
    char buffer[80];

    for (size_t i = 0; i < s->count; i++) {
        const struct preview_row *row = &s->rows[i];
        size_t w = text_columns(
            range(row->min_ns, row->max_ns, buffer, sizeof(buffer)));
        size_t a = text_columns(range(row->total_min_ns, row->total_max_ns,
                                      buffer, sizeof(buffer)));

        waits = w > waits ? w : waits;
        all = a > all ? a : all;
    }
    taken = strlen("ATTEMPT") + waits + all + 3 * 2;
    width = width > taken + 1 ? width - taken - 1 : 0;
    return width > 70 ? 70 : width;
}

static void
plot_cell(struct table *t, const struct plot *plot, uint64_t from, uint64_t to)
{
    char *span = plot->width ? plot_span(plot, from, to) : NULL;

    table_cell(t, 3, "%s", span ? span : "");
    free(span);
}

static int
print_table(const struct shown *s)
{
    uint64_t last_ns = s->count ? s->rows[s->count - 1].total_max_ns : 0;
    struct plot plot = plot_for(last_ns, plot_width(s));
    char *axis = plot_axis(&plot), buffer[80];
    struct table_column columns[] = {{"ATTEMPT", 0},
                                     {"WAITS BEFORE", 0},
                                     {"AFTER IN ALL", 0},
                                     {axis ? axis : "", 0}};
    struct table *t;

    t = table_new(columns, last_ns > 0 && s->count <= PLOTTED_MAX ? 4 : 3);
    table_row(t);
    table_cell(t, 0, "1");
    table_cell(t, 2, "0");
    plot_cell(t, &plot, 0, 0);
    for (size_t i = 0; i < s->count; i++) {
        const struct preview_row *row = &s->rows[i];

        table_row(t);
        table_cell(t, 0, "%u", row->attempt);
        table_cell(t, 1, "%s",
                   range(row->min_ns, row->max_ns, buffer, sizeof(buffer)));
        table_cell(t, 2, "%s",
                   range(row->total_min_ns, row->total_max_ns, buffer,
                         sizeof(buffer)));
        plot_cell(t, &plot, row->total_min_ns, row->total_max_ns);
    }
    free(axis);
    return table_print(t);
}

/* "attempts (at most 3)". */
static void
print_reason(const struct shown *s)
{
    char limit[32];

    fputs(bide_reason_name(s->ends), stdout);
    switch (s->ends) {
    case BIDE_BY_ATTEMPTS:
        printf(" (at most %u)", s->policy->attempts);
        break;
    case BIDE_BY_MAX_ELAPSED:
        printf(" (none begins %s after the first)",
               duration_round(s->policy->max_elapsed_ns, limit, sizeof(limit)));
        break;
    case BIDE_BY_DEADLINE:
        printf(" (no wait ends %s or more after the beginning)",
               duration_round(s->policy->deadline_ns, limit, sizeof(limit)));
        break;
    default:
        break;
    }
}

static void
print_end(const struct shown *s)
{
    static const char *const meaning[] = {
        [MANDATORY] = "Mandatory: the caller gets \"aborted\".",
        [POSTPONABLE] = "Postponable: the caller gets \"deferred\".",
        [OPTIONAL] = "Optional: the caller gets \"dropped\".",
    };

    if (s->policy->paused) {
        puts("paused: new calls are refused until paused = no");
    }
    if (s->ends == BIDE_BY_NONE) {
        puts(s->policy->attempts == ATTEMPTS_UNLIMITED
                 ? "and so on: attempts are unlimited (--attempts N shows more)"
                 : "and so on (--attempts N shows more)");
        return;
    }
    fputs("then gives up: ", stdout);
    print_reason(s);
    printf(". %s\n", meaning[s->policy->importance]);
}

/* ---- the command ---- */

/* How many retries to ask for. */
static size_t
room_for(const struct policy *p, uint32_t asked)
{
    uint32_t attempts = asked                               ? asked
                        : p->attempts == ATTEMPTS_UNLIMITED ? ROWS_OF_UNLIMITED
                                                            : p->attempts;

    attempts = attempts > ROWS_MAX ? ROWS_MAX : attempts;
    return attempts > 0 ? attempts - 1 : 0;
}

static int
show(struct command_line *line, const struct policy *p, uint32_t asked)
{
    size_t room = room_for(p, asked);
    struct shown s = {.policy = p};
    int rc;

    s.rows = calloc(room + 1, sizeof(*s.rows));
    if (!s.rows) {
        return say_no_memory();
    }
    s.count = preview(p, s.rows, room, &s.ends);
    rc = line->option[OPTION_JSON] ? print_json(&s) : print_table(&s);
    free(s.rows);
    if (rc) {
        return say_no_memory();
    }
    if (!line->option[OPTION_JSON]) {
        print_end(&s);
    }
    return STATUS_DONE;
}

static int
compile_and_show(struct command_line *line, struct source *source,
                 const struct policy_text *text, uint32_t asked)
{
    struct policy *policy = NULL;
    struct faults faults = {0};
    int status, rc = policy_compile(text, source_find, source,
                                    line->operands[0], &policy, &faults);

    if (rc) {
        return say_refusal(rc, &faults, line->operands[0], NULL);
    }
    faults_free(&faults);
    status = show(line, policy, asked);
    policy_free(policy);
    return status;
}

int
preview_command(struct command_line *line)
{
    struct source source = {0};
    struct policy_text *text = NULL;
    uint32_t asked = 0;
    int status = 0;

    if (line->option[OPTION_ATTEMPTS]) {
        status = setting_count(line, OPTION_ATTEMPTS, 1, &asked);
    }
    if (status == 0) {
        status = source_policy(&source, line, &text);
    }
    if (status == 0) {
        status = compile_and_show(line, &source, text, asked);
    }
    policy_text_free(text);
    source_free(&source);
    return status;
}
