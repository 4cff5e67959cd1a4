/* Makes the answers of bide serve.  Most are the output of a command with
 * --json. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "base/clock.h"
#include "cli/command/explain.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/watch/metrics.h"
#include "cli/watch/uncounted.h"
#include "record/past.h"
#include "store/history/history.h"
#include "serve.h"

#define JSON "application/json; charset=utf-8"
/* Longer recorded intervals are too coarse for the trend. */
#define LONGEST_PAST_NS (15 * TREND_STEP_NS)

enum { OPTIONS_MOST = 3, HOST_SIZE = 65 };

/* A path and the command that answers it; * is the name of a policy. */
struct route {
    const char *path, *command;
    struct {
        enum option option;
        const char *value;
    } options[OPTIONS_MOST];
};

static const struct route routes[] = {
    {"/api/policies", "list", {{0}}},
    {"/api/policies/*", "stats", {{0}}},
    {"/api/policies/*/rules", "show", {{OPTION_RESOLVED, ""}}},
    {"/api/policies/*/history",
     "stats",
     {{OPTION_SINCE, "-1h"}, {OPTION_BY, "minute"}}},
    {"/api/policies/*/log", "log", {{OPTION_MOST, "100"}}},
    {"/api/calls", "calls", {{OPTION_MOST, "1000"}}},
    {"/api/check", "check", {{0}}},
    {"/api/log", "log", {{OPTION_MOST, "100"}}},
    {"/api/audit", "audit", {{OPTION_SINCE, "-1h"}}},
    {"/api/deferred", "deferred stats", {{0}}},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* The parts of /api/now, with their names. */
static const struct route parts[] = {
    {"list", "list", {{0}}},
    {"calls", "calls", {{OPTION_MOST, "100"}}},
    {"check", "check", {{0}}},
    {"log", "log", {{OPTION_MOST, "30"}}},
    {"deferred", "deferred stats", {{0}}},
};

/* ---- answers ---- */

/* A text that is written in memory. */
struct draft {
    FILE *out; /* NULL: no memory */
    char *text;
    size_t length;
};

static bool
draft_open(struct draft *d)
{
    *d = (struct draft){0};
    d->out = open_memstream(&d->text, &d->length);
    return d->out != NULL;
}

/* Returns the text, malloc'ed, or NULL without memory. */
static char *
draft_close(struct draft *d)
{
    bool failed = !d->out || ferror(d->out);

    if ((d->out && fclose(d->out) != 0) || failed) {
        free(d->text);
        d->text = NULL;
    }
    return d->text;
}

/* Writes `j` to `out` and frees it.  Returns 0 or BIDE_ENOMEM. */
static int
write_json(struct json *j, FILE *out)
{
    int rc;

    json_divert(out);
    rc = json_out(j);
    json_divert(NULL);
    return rc;
}

static void
set_json(unsigned status, struct draft *d, struct serve_text *out)
{
    *out = (struct serve_text){status, JSON, draft_close(d), 0, false};
    out->length = out->text ? d->length : 0;
    out->cacheable = out->text != NULL;
}

/* Fills `out` with `j`, and frees it. */
static void
answer_json(unsigned status, struct json *j, struct serve_text *out)
{
    struct draft d;

    if (draft_open(&d)) {
        write_json(j, d.out);
    } else {
        json_free(j);
    }
    set_json(status, &d, out);
}

/* Fills `out` with {"error": why, "next": next}; next "": none. */
static void
answer_error(unsigned status, const char *why, const char *next,
             struct serve_text *out)
{
    struct json *j = json_object_new();

    json_put_text(j, "error", *why ? why : "the command failed");
    if (*next) {
        json_put_text(j, "next", next);
    }
    answer_json(status, j, out);
}

void
serve_refuse(unsigned status, const char *why, struct serve_text *out)
{
    answer_error(status, why, "", out);
    out->cacheable = false;
}

static void
refuse_path(struct serve_text *out)
{
    answer_error(404, "no such path", "see: /api", out);
    out->cacheable = false;
}

/* Fills `out` with the message of a command that cannot open the registry. */
static void
answer_no_registry(int rc, struct serve_text *out)
{
    struct explained e;

    explain_last(rc, &e);
    e.to_do[strcspn(e.to_do, "\n")] = '\0';
    answer_error(rc == BIDE_ENOMEM ? 500 : 503, e.why, e.to_do, out);
}

/* ---- commands ---- */

/* Runs the command with --json: `printed` gets its standard output, `said` its
 * messages.  Returns the exit status. */
static int
run_command(const struct route *r, struct admin *registry, const char *dir,
            const char *name, struct draft *printed, struct draft *said)
{
    char *operands[] = {(char *)(uintptr_t)name, NULL};
    struct command_line line = {
        .command = command_find(r->command),
        .registry = registry,
        .operands = operands,
        .count = name ? 1 : 0,
    };
    int status;

    line.option[OPTION_DIR] = dir;
    line.option[OPTION_JSON] = "";
    for (size_t i = 0; i < OPTIONS_MOST && r->options[i].value; i++) {
        line.option[r->options[i].option] = r->options[i].value;
    }
    json_divert(printed->out);
    say_divert(said->out);
    status = line.command->run(&line);
    say_divert(NULL);
    json_divert(NULL);
    fflush(printed->out);
    fflush(said->out);
    return status;
}

static unsigned
http_status(int status)
{
    switch (status) {
    case STATUS_ABSENT:
    case STATUS_INPUT: /* not a valid name */
        return 404;
    case STATUS_REGISTRY:
        return 503;
    default:
        return 500;
    }
}

static void
answer_command(const struct route *r, struct admin *registry, const char *dir,
               const char *name, struct serve_text *out)
{
    struct draft printed, said = {0};
    int status = STATUS_NO;

    if (draft_open(&printed) && draft_open(&said)) {
        status = run_command(r, registry, dir, name, &printed, &said);
    }
    if (printed.length > 0 && (status == STATUS_DONE || said.length == 0)) {
        set_json(200, &printed, out);
        free(draft_close(&said));
    } else {
        char *words = draft_close(&said), *rest = words;
        const char *why = words ? strsep(&rest, "\n") : "";
        const char *next = rest ? strsep(&rest, "\n") : "";

        free(draft_close(&printed));
        answer_error(http_status(status), why, next, out);
        free(words);
    }
    out->cacheable = name == NULL;
}

/* ---- /api/now ---- */

/* Rounds to three digits after the point. */
static double
round_3(double value)
{
    return value < 1e12 ? (double)(int64_t)(value * 1000 + 0.5) / 1000 : value;
}

struct rate_row {
    const char *name;
    size_t offset; /* in struct trend_rates */
};
static const struct rate_row rate_rows[] = {
    {"calls", offsetof(struct trend_rates, calls)},
    {"retries", offsetof(struct trend_rates, retries)},
    {"failed", offsetof(struct trend_rates, failed)},
    {"p95_ms", offsetof(struct trend_rates, p95_ms)},
};

static void
put_trend_series(struct json *j, const struct trend_view *v, size_t known)
{
    for (size_t k = 0; k < sizeof(rate_rows) / sizeof(rate_rows[0]); k++) {
        struct json *array = json_in_array(j, rate_rows[k].name);

        for (size_t i = TREND_POINTS - known; i < TREND_POINTS; i++) {
            float value;

            memcpy(&value, (const char *)&v->point[i] + rate_rows[k].offset,
                   sizeof(value));
            json_put_number(array, NULL,
                            value < 0 ? -1 : round_3((double)value));
        }
    }
}

static void
put_trend_policy(struct json *policies, const struct trend *t, size_t i)
{
    struct trend_view v;
    struct json *j, *inside;

    trend_get(t, i, &v);
    j = json_in_object(policies, v.name);
    inside = json_in_object(j, "now");
    json_put_ms(inside, "over_ms", v.over_ns / 1000000 * 1000000);
    json_put_number(inside, "calls_per_s", round_3(v.calls));
    json_put_number(inside, "retries_per_s", round_3(v.retries));
    json_put_number(inside, "failed_per_s", round_3(v.failed));
    json_put_number(inside, "refused_per_s", round_3(v.refused));
    json_put_number(inside, "rejected_per_s", round_3(v.rejected));
    inside = json_in_object(j, "latency_ms");
    json_put_ms(inside, "over_ms", v.window_ns / 1000000 * 1000000);
    json_put_count(inside, "count", v.window_succeeded);
    json_put_number(inside, "p50", round_3(v.p50_ms));
    json_put_number(inside, "p95", round_3(v.p95_ms));
    json_put_number(inside, "p99", round_3(v.p99_ms));
    put_trend_series(json_in_object(j, "trend"), &v, t->known);
}

/* Writes `j`, and frees it; without memory, null. */
static void
put_json(FILE *out, struct json *j)
{
    if (write_json(j, out)) {
        fputs("null", out);
    }
}

static void
put_trend(FILE *out, const struct trend *t)
{
    struct json *j = json_object_new();
    struct json *policies;

    json_put_count(j, "step_s", TREND_STEP_NS / 1000000000);
    json_put_count(j, "points", TREND_POINTS);
    json_put_count(j, "known", t->known);
    json_put_count(j, "left_out", t->left_out);
    policies = json_in_object(j, "policies");
    for (size_t i = 0; i < t->count; i++) {
        put_trend_policy(policies, t, i);
    }
    put_json(out, j);
}

static void
put_host(FILE *out, struct admin *registry, const char *dir)
{
    struct json *j = json_object_new();
    struct history_known past = {0};
    uint64_t trouble_ns = 0;
    int rc, trouble = admin_trouble(registry, &trouble_ns);
    char host[HOST_SIZE] = "", uncounted[1024];

    gethostname(host, sizeof(host) - 1);
    json_put_text(j, "name", host);
    json_put_text(j, "version", BIDE_VERSION);
    json_put_text(j, "registry", dir);
    json_put_s(j, "time", clock_realtime_ns());
    json_put_truth(j, "live", admin_has_live(registry));
    if (uncounted_look(registry, uncounted, sizeof(uncounted))) {
        json_put_text(j, "not_counted", uncounted);
    }
    rc = past_known(admin_past(registry), &past);
    json_put_time(j, "recorded", rc ? 0 : past.last_ns);
    if (trouble < 0) {
        json_put_text(j, "trouble", bide_strerror(trouble));
        json_put_s(j, "trouble_at", trouble_ns);
    }
    put_json(out, j);
}

/* Writes one part of /api/now.  A part that failed is named "NAME_error". */
static void
put_part(FILE *out, const struct serve_text *t, const char *name)
{
    bool good = t->status == 200 && t->text;

    fprintf(out, ",\"%s%s\":", name, good ? "" : "_error");
    fputs(t->text ? t->text : "null", out);
}

static void
answer_now(struct serve_api *api, struct admin *registry,
           struct serve_text *out)
{
    struct draft d;

    if (!draft_open(&d)) {
        set_json(500, &d, out);
        return;
    }
    fputs("{\"host\":", d.out);
    put_host(d.out, registry, api->dir);
    fputs(",\"trend\":", d.out);
    put_trend(d.out, &api->trend);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct serve_text part;

        answer_command(&parts[i], registry, api->dir, NULL, &part);
        if (i == 0 && part.status != 200) { /* the page needs the list */
            free(draft_close(&d));
            *out = part;
            return;
        }
        put_part(d.out, &part, parts[i].path);
        free(part.text);
    }
    fputs("}\n", d.out);
    set_json(200, &d, out);
}

static void
answer_metrics(struct admin *registry, struct serve_text *out)
{
    struct metrics m = {0};
    bool up = registry && metrics_read(registry, &m) == 0;
    struct draft d;

    if (draft_open(&d)) {
        metrics_write(up ? &m : NULL, d.out);
    }
    metrics_free(&m);
    set_json(200, &d, out);
    out->type = "text/plain; version=0.0.4; charset=utf-8";
}

/* Lists all paths. */
static void
answer_index(struct serve_text *out)
{
    struct json *j = json_object_new(), *paths = json_in_array(j, "paths");

    json_put_text(paths, NULL, "/metrics");
    json_put_text(paths, NULL, "/api/now");
    for (size_t i = 0; i < ROUTES; i++) {
        json_put_text(paths, NULL, routes[i].path);
    }
    answer_json(200, j, out);
}

/* ---- the trend ---- */

struct trend_start {
    struct trend *trend;
    uint64_t now_ns; /* wall clock of the first reading */
};

static int
add_recorded_interval(void *arg, const struct history_interval *i)
{
    const struct trend_start *b = arg;
    uint64_t end = i->end_ns < b->now_ns ? i->end_ns : b->now_ns;
    struct bide_stats stats;

    if (end <= i->begin_ns || end - i->begin_ns > LONGEST_PAST_NS) {
        return 0;
    }
    past_figures(i->figures, i->version, &stats);
    trend_past(b->trend, i->name, b->now_ns - i->begin_ns, b->now_ns - end,
               &stats);
    return 0;
}

/* Reads all cells; at the first time, also the recorded past. */
static void
read_trend(struct serve_api *api, struct admin *registry, uint64_t now_ns)
{
    struct history_range range = {.until_ns = UINT64_MAX, .minutes = true};
    struct trend_start start = {&api->trend, 0};
    struct history_known past;

    trend_begin(&api->trend);
    if (admin_each_cell(registry, NULL, trend_add, &api->trend) != 0) {
        return;
    }
    trend_end(&api->trend, now_ns);
    if (!api->begun) {
        api->begun = true;
        start.now_ns = clock_realtime_ns();
        range.since_ns = start.now_ns - TREND_POINTS * TREND_STEP_NS;
        /* On failure, the trend begins now. */
        past_each_interval(admin_past(registry), &range, NULL,
                           add_recorded_interval, &start, &past);
    }
}

void
serve_read_trend(struct serve_api *api, uint64_t now_ns)
{
    struct admin *registry;

    api->read_ns = now_ns;
    if (admin_open(api->dir, &registry) == 0) {
        read_trend(api, registry, now_ns);
        admin_close(registry);
    }
}

/* ---- paths ---- */

/* Reports whether the path matches the route, and copies the policy's name in
 * the path to `name`; "" if the route has none. */
static bool
match_route(const struct route *r, const char *path,
            char name[BIDE_NAME_MAX + 1])
{
    const char *star = strchr(r->path, '*');
    size_t before = star ? (size_t)(star - r->path) : strlen(r->path), length;

    name[0] = '\0';
    if (!star || strncmp(path, r->path, before) != 0) {
        return strcmp(path, r->path) == 0;
    }
    length = strcspn(path + before, "/");
    if (length == 0 || length > BIDE_NAME_MAX ||
        strcmp(path + before + length, star + 1) != 0) {
        return false;
    }
    memcpy(name, path + before, length);
    name[length] = '\0';
    return true;
}

/* Answers a path below /api/. */
static void
answer_api(struct serve_api *api, struct admin *registry, const char *path,
           uint64_t now_ns, struct serve_text *out)
{
    char name[BIDE_NAME_MAX + 1];

    if (strcmp(path, "/api/now") == 0) {
        api->read_ns = now_ns;
        read_trend(api, registry, now_ns);
        answer_now(api, registry, out);
        return;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        if (match_route(&routes[i], path, name)) {
            answer_command(&routes[i], registry, api->dir, *name ? name : NULL,
                           out);
            return;
        }
    }
    refuse_path(out);
}

void
serve_answer(struct serve_api *api, const char *path, uint64_t now_ns,
             struct serve_text *out)
{
    bool metrics = strcmp(path, "/metrics") == 0;
    struct admin *registry = NULL;
    int rc;

    if (strcmp(path, "/api") == 0) {
        answer_index(out);
        return;
    }
    if (!metrics && strncmp(path, "/api/", 5) != 0) {
        refuse_path(out);
        return;
    }
    rc = admin_open(api->dir, &registry);
    if (metrics) {
        answer_metrics(registry, out);
    } else if (rc) {
        answer_no_registry(rc, out);
    } else {
        answer_api(api, registry, path, now_ns, out);
    }
    admin_close(registry);
}
