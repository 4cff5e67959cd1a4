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

enum { HOST_SIZE = 65 };

void
serve_read_trend(struct serve_api *api, uint64_t now_ns)
{
    struct admin *registry;

    api->read_ns = now_ns;
    if (admin_open(api->dir, &registry) == 0) {
        trend_begin(&api->trend);
        if (admin_each_cell(registry, NULL, ADMIN_TOTALS, trend_add,
                            &api->trend) == 0) {
            trend_end(&api->trend, now_ns);
        }
        admin_close(registry);
    }
}

enum { NUMBER_MOST = 24 };

/* Writes a number with up to three digits after the point, and a comma.  An
 * answer has many thousands, and printf would take most of its time. */
static char *
write_number(double value, char *to)
{
    uint64_t n = (uint64_t)(value < 1e12 ? value * 1000 + 0.5 : 1e15);
    char text[NUMBER_MOST], *end = text + sizeof(text), *at = end;
    int digits = 0;

    *--at = ',';
    for (; digits < 3 && n % 10 == 0; digits++) {
        n /= 10;
    }
    for (; digits < 3; digits++, n /= 10) {
        *--at = (char)('0' + n % 10);
    }
    if (at + 1 < end) {
        *--at = '.';
    }
    do {
        *--at = (char)('0' + n % 10);
    } while (n /= 10);
    memcpy(to, at, (size_t)(end - at));
    return to + (end - at);
}

/* Adds a line, unless all of it is 0; a value below 0 is -1. */
static void
put_line(FILE *out, const char *name, const float *line, size_t known)
{
    char text[TREND_POINTS * NUMBER_MOST], *to = text;
    bool any = false;

    for (size_t i = TREND_POINTS - known; i < TREND_POINTS; i++) {
        if (line[i] < 0) {
            *to++ = '-';
        }
        to = write_number(line[i] < 0 ? 1 : (double)line[i], to);
        any |= line[i] > 0 || line[i] < 0;
    }
    if (any) {
        fprintf(out, ",\"%s\":[", name);
        fwrite(text, 1, (size_t)(to - text) - 1, out);
        putc(']', out);
    }
}

static void
put_trend(FILE *out, const struct trend *t, uint64_t now_ns)
{
    static const char *const names[TREND_LINES] = {"calls", "retries", "failed",
                                                   "refused", "p95_ms"};

    /* age_ms: since the last point. */
    fprintf(out,
            "{\"step_s\":%d,\"points\":%d,\"known\":%zu,\"left_out\":%zu,"
            "\"age_ms\":%llu,\"policies\":{",
            (int)(TREND_STEP_NS / 1000000000), TREND_POINTS, t->known,
            t->left_out, (unsigned long long)((now_ns - t->step_ns) / 1000000));
    for (size_t i = 0; i < t->count; i++) {
        /* No name has a character that JSON would escape. */
        fprintf(out, "%s\"%s\":{\"name\":\"%s\"", i > 0 ? "," : "",
                t->list[i]->name, t->list[i]->name);
        for (size_t k = 0; k < TREND_LINES; k++) {
            put_line(out, names[k], t->list[i]->line[k], t->known);
        }
        fputc('}', out);
    }
    fputs("}}", out);
}

static void
put_host(FILE *out, struct admin *registry, const char *dir)
{
    struct json *j = json_object_new();
    struct history_known past = {0};
    uint64_t trouble_ns = 0;
    int rc, trouble = admin_trouble(registry, &trouble_ns);
    char host[HOST_SIZE] = "", uncounted[1024], unrecorded[160];

    gethostname(host, sizeof(host) - 1);
    json_put_text(j, "name", host);
    json_put_text(j, "version", BIDE_VERSION);
    json_put_text(j, "registry", dir);
    json_put_s(j, "time", clock_realtime_ns());
    json_put_truth(j, "live", admin_has_live(registry));
    if (uncounted_look(registry, uncounted, sizeof(uncounted))) {
        json_put_text(j, "not_counted", uncounted);
    }
    if (unrecorded_look(registry, unrecorded, sizeof(unrecorded))) {
        json_put_text(j, "not_recorded", unrecorded);
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
    fputs("\"host\":", out);
    put_host(out, registry, api->dir);
    fputs(",\"trend\":", out);
    put_trend(out, &api->trend, clock_monotonic_ns());
}
