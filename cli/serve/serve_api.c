/* Makes the answers of bide serve.  Most are the output of a command with
 * --json. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/open.h"
#include "cli/command/explain.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/watch/metrics.h"
#include "serve.h"

#define JSON "application/json; charset=utf-8"

enum { OPTIONS_MOST = 3 };

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
    {"/api/policies/*/declared", "show", {{OPTION_DECLARED, ""}}},
    {"/api/policies/*/past", NULL, {{0}}},
    {"/api/calls", "calls", {{OPTION_MOST, "1000"}}},
    {"/api/check", "check", {{0}}},
    {"/api/log", "log", {{OPTION_MOST, "100"}}},
    {"/api/audit", "audit", {{OPTION_SINCE, "-1h"}}},
    {"/api/deferred", "deferred stats", {{0}}},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* The parts of /api/now, with their names. */
static const struct route parts[] = {
    {"list", "list", {{OPTION_MOST, "20"}}},
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

int
serve_write_json(struct json *j, FILE *out)
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

void
serve_json(unsigned status, struct json *j, struct serve_text *out)
{
    struct draft d;

    if (draft_open(&d)) {
        serve_write_json(j, d.out);
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
    serve_json(status, j, out);
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
    fputs("{", d.out);
    serve_put_now(api, registry, d.out);
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
    serve_json(200, j, out);
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
answer_api(struct serve_api *api, struct admin *registry,
           const struct serve_request *request, struct serve_text *out)
{
    char name[BIDE_NAME_MAX + 1];

    if (strcmp(request->path, "/api/now") == 0) {
        answer_now(api, registry, out);
        return;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        if (!match_route(&routes[i], request->path, name)) {
            continue;
        }
        if (routes[i].command) {
            answer_command(&routes[i], registry, api->dir, *name ? name : NULL,
                           out);
        } else {
            serve_past(api, registry, name, request, out);
        }
        return;
    }
    refuse_path(out);
}

void
serve_answer(struct serve_api *api, const struct serve_request *request,
             struct serve_text *out)
{
    const char *path = request->path;
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
        answer_api(api, registry, request, out);
    }
    admin_close(registry);
}
