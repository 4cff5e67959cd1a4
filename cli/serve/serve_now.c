/* The part of /api/now that no command prints: the host and the trend, which is
 * read here. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bide.h>
#include "admin/live.h"
#include "admin/open.h"
#include "base/clock.h"
#include "cli/out/json.h"
#include "cli/watch/uncounted.h"
#include "record/past.h"
#include "store/history/history.h"
#include "serve.h"

/* Longer recorded intervals are too coarse for the trend. */
#define LONGEST_PAST_NS (15 * TREND_STEP_NS)

enum { HOST_SIZE = 65 };

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

/* ---- as JSON ---- */

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
    {"refused", offsetof(struct trend_rates, refused)},
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

static void
put_trend(FILE *out, const struct trend *t)
{
    struct json *j = json_object_new();
    struct json *policies;

    json_put_count(j, "step_s", TREND_STEP_NS / 1000000000);
    json_put_ms(j, "age_ms", t->now_ns - t->step_ns); /* of the last point */
    json_put_count(j, "points", TREND_POINTS);
    json_put_count(j, "known", t->known);
    json_put_count(j, "left_out", t->left_out);
    policies = json_in_object(j, "policies");
    for (size_t i = 0; i < t->count; i++) {
        put_trend_policy(policies, t, i);
    }
    if (serve_write_json(j, out)) {
        fputs("null", out);
    }
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
    if (serve_write_json(j, out)) {
        fputs("null", out);
    }
}

void
serve_put_now(struct serve_api *api, struct admin *registry, FILE *out)
{
    api->read_ns = clock_monotonic_ns();
    read_trend(api, registry, api->read_ns);
    fputs("\"host\":", out);
    put_host(out, registry, api->dir);
    fputs(",\"trend\":", out);
    put_trend(out, &api->trend);
}
