/* bide fleet status, hosts. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "base/array.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "fleet.h"
#include "fleet/stage.h"

/* ---- the pointer as text ---- */

struct fleet_words
fleet_stage(const struct pointer *p)
{
    struct fleet_words w = {""};
    size_t used = 0;
    const char *const parts[] = {p->hosts, *p->label ? "hosts with " : "",
                                 p->label};

    if (p->percent == 100) {
        strcpy(w.text, "all hosts");
        return w;
    }
    for (size_t i = 0; i < 3; i++) {
        used = strlen(w.text);
        snprintf(w.text + used, sizeof(w.text) - used, "%s%.200s",
                 used && *parts[i] && i == 1 ? ", " : "", parts[i]);
    }
    used = strlen(w.text);
    if (p->percent) {
        snprintf(w.text + used, sizeof(w.text) - used, "%s%u %% of hosts",
                 used ? ", " : "", p->percent);
    }
    used = strlen(w.text);
    if (*p->then) {
        snprintf(w.text + used, sizeof(w.text) - used, "; then %s, every %s%s",
                 p->then, duration_write(p->every_ms * 1000000).text,
                 p->paused ? " (paused)" : "");
    }
    return w;
}

void
fleet_put_pointer(struct json *j, const struct pointer *p)
{
    json_put_count(j, "release", p->release);
    json_put_count(j, "before", p->before);
    json_put_text(j, "hosts", *p->hosts ? p->hosts : NULL);
    json_put_text(j, "label", *p->label ? p->label : NULL);
    json_put_count(j, "percent", p->percent);
    json_put_text(j, "then", *p->then ? p->then : NULL);
    json_put_ms(j, "every_ms", p->every_ms * 1000000);
    json_put_time(j, "since", p->since_ms * 1000000);
    json_put_truth(j, "paused", p->paused);
    json_put_text(j, "guard", *p->guard ? p->guard : NULL);
    json_put_count(j, "tolerate", p->tolerate);
    json_put_text(j, "author", p->by);
    json_put_text(j, "note", *p->note ? p->note : NULL);
}

/* ---- the hosts ---- */

struct seen {
    struct stage_look look; /* first: the visit's argument */
    const char *pattern;    /* NULL: all */
    uint64_t now_ms;
    size_t count;
    struct host_record *list;
};

static int
keep_host(void *look, const struct host_record *r)
{
    struct seen *s = look;

    if (s->pattern && fnmatch(s->pattern, r->host, 0) != 0) {
        return 0;
    }
    return array_put(&s->list, &s->count, r, sizeof(*r)) ? 0 : BIDE_ENOMEM;
}

static bool
is_silent(const struct seen *s, const struct host_record *r)
{
    return s->now_ms > r->time_ms + HOST_SILENT_MS;
}

/* Reads the hosts; the exit status after an error message. */
static int
see_hosts(struct command_line *line, struct seen *s)
{
    struct fleet f;
    int status = fleet_open(line, &f);

    s->look.visit = keep_host;
    s->now_ms = clock_realtime_ns() / 1000000;
    status =
        status
            ? status
            : fleet_say(&f, stage_look(f.etcd, f.setup.prefix, &s->look, f.why),
                        "fleet");
    fleet_close(&f);
    return status;
}

static const char *
state_word(const struct seen *s, const struct host_record *r)
{
    static const char *const words[] = {"ok", "waiting", "refused", "broke"};
    bool in;
    enum host_state state = stage_state(&s->look.pointer, r, &in);

    return is_silent(s, r) ? "silent" : words[state];
}

static void
put_host(struct json *j, const struct seen *s, const struct host_record *r)
{
    bool in;

    stage_state(&s->look.pointer, r, &in);
    json_put_text(j, "host", r->host);
    json_put_text(j, "state", state_word(s, r));
    json_put_truth(j, "in_stage", in);
    json_put_count(j, "release", r->release);
    json_put_time(j, "since", r->since_ms * 1000000);
    json_put_count(j, "refused", r->refused);
    json_put_text(j, "fault", *r->fault ? r->fault : NULL);
    json_put_count(j, "broke", r->broke);
    json_put_text(j, "figures", *r->figures ? r->figures : NULL);
    json_put_text(j, "local", *r->local ? r->local : NULL);
    json_put_text(j, "labels", *r->labels ? r->labels : NULL);
    json_put_text(j, "agent", r->agent);
    json_put_text(j, "library", r->library);
    json_put_time(j, "time", r->time_ms * 1000000);
}

static struct brief
write_release(uint32_t release)
{
    struct brief b = {"-"};

    if (release) {
        snprintf(b.text, sizeof(b.text), "%u", release);
    }
    return b;
}

static int
print_hosts(const struct seen *s)
{
    static const struct table_column columns[] = {
        {"HOST", TABLE_NAME},
        {"RELEASE", TABLE_RIGHT},
        {"STATE", 0},
        {"SEEN", TABLE_RIGHT},
        {"LABELS", TABLE_WRAP | TABLE_SPARE},
        {"LOCAL", TABLE_WRAP},
        {"WHAT", TABLE_WRAP}};
    struct table *t = table_new(columns, 7);

    for (size_t i = 0; i < s->count; i++) {
        const struct host_record *r = &s->list[i];
        const char *state = state_word(s, r);
        uint64_t ago = s->now_ms > r->time_ms ? s->now_ms - r->time_ms : 0;

        table_row_of(t, r->host);
        table_cell(t, 1, "%s", write_release(r->release).text);
        table_cell(t, 2, "%s", state);
        if (r->time_ms) {
            table_cell(t, 3, "%s ago", duration_round(ago * 1000000).text);
        }
        if (*r->labels) {
            table_cell(t, 4, "%s", r->labels);
        }
        if (*r->local) {
            table_cell(t, 5, "%s", r->local);
        }
        if (*r->fault) {
            table_cell(t, 6, "release %u: %s", r->refused, r->fault);
        } else if (r->broke) {
            table_cell(t, 6, "release %u: %s", r->broke, r->figures);
        }
        if (strcmp(state, "ok") != 0) {
            table_mark_cell(t, 2);
        }
    }
    return table_print(t) ? say_no_memory() : STATUS_DONE;
}

int
fleet_hosts_command(struct command_line *line)
{
    struct seen s = {.pattern = line->operands[0]};
    int status = see_hosts(line, &s);

    if (status == 0 && line->option[OPTION_JSON]) {
        struct json *j = json_object_new();
        struct json *array = json_in_array(j, "hosts");

        for (size_t i = 0; i < s.count; i++) {
            put_host(json_add_object(array), &s, &s.list[i]);
        }
        status = json_out(j) ? say_no_memory() : STATUS_DONE;
    } else if (status == 0 && s.count) {
        status = print_hosts(&s);
    }
    if (status == 0 && s.count == 0) {
        say("fleet: no host %s%s", s.pattern ? "is named " : "has reported yet",
            s.pattern ? s.pattern : "");
        status = s.pattern ? STATUS_ABSENT : STATUS_DONE;
    }
    free(s.list);
    return status;
}

/* ---- status ---- */

enum { NAMED_MAX = 5 };

/* Prints the hosts of a state, the first ones with what they say. */
static void
print_state(const struct seen *s, const char *title, const char *state)
{
    size_t count = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct host_record *r = &s->list[i];
        const char *what = strcmp(state, "refused") == 0 ? r->fault
                           : strcmp(state, "broke") == 0 ? r->figures
                                                         : "";

        if (strcmp(state_word(s, r), state) != 0) {
            continue;
        }
        if (count++ < NAMED_MAX) {
            printf("%-10s %s%s%s\n", count == 1 ? title : "", r->host,
                   *what ? ": " : "", what);
        }
    }
    if (count > NAMED_MAX) {
        printf("%-10s and %zu more: bide fleet hosts\n", "", count - NAMED_MAX);
    }
}

/* Calls `each` for each release that hosts have, highest first. */
static void
each_release(const struct seen *s,
             void (*each)(void *arg, uint32_t release, size_t hosts), void *arg)
{
    uint64_t below = UINT64_MAX;

    for (;;) {
        size_t hosts = 0;
        uint64_t highest = 0;

        for (size_t i = 0; i < s->count; i++) {
            uint64_t release = (uint64_t)s->list[i].release + 1;

            if (release < below && release > highest) {
                highest = release;
                hosts = 0;
            }
            hosts += release == highest;
        }
        if (!highest) {
            return;
        }
        each(arg, (uint32_t)(highest - 1), hosts);
        below = highest;
    }
}

static void
put_releases(void *arg, uint32_t release, size_t hosts)
{
    struct json *j = json_add_object(arg);

    json_put_count(j, "release", release);
    json_put_count(j, "hosts", hosts);
}

static void
print_release(void *arg, uint32_t release, size_t hosts)
{
    bool *more = arg;

    printf("%s%zu %s ", *more ? ", " : "", hosts, hosts == 1 ? "has" : "have");
    *more = true;
    if (release) {
        printf("release %u", release);
    } else {
        printf("none");
    }
}

static int
print_status(const struct seen *s)
{
    const struct pointer *p = &s->look.pointer;
    const struct stage_counts *c = &s->look.counts;
    uint64_t now_ns = s->now_ms * 1000000;
    bool more = false;

    if (!p->release) {
        puts("no release is rolled out yet; bide fleet rollout N does that");
    } else {
        printf("%-10s %u, before it %s\n", "release", p->release,
               write_release(p->before).text);
        printf("%-10s by %s, %s%s%s\n", "changed", p->by,
               when_write(p->since_ms * 1000000, now_ns).text,
               *p->note ? ": " : "", p->note);
        printf("%-10s %s\n", "stage", fleet_stage(p).text);
        printf("%-10s %u of %u %s in it, %u applied it\n", "", c->in_stage,
               c->hosts, text_plural(c->hosts, "host", "hosts"),
               c->state[HOST_GOOD] + c->state[HOST_BROKE]);
    }
    if (*p->guard) {
        printf("%-10s %s for %s: %u broke it, %u may\n", "guard", p->guard,
               duration_write(p->every_ms * 1000000).text, c->state[HOST_BROKE],
               p->tolerate);
    }
    printf("%-10s ", "hosts");
    each_release(s, print_release, &more);
    puts(s->count ? "" : "none has reported yet");
    print_state(s, "broke", "broke");
    print_state(s, "refused", "refused");
    print_state(s, "waiting", "waiting");
    print_state(s, "silent", "silent");
    return STATUS_DONE;
}

int
fleet_status_command(struct command_line *line)
{
    struct seen s = {.pattern = NULL};
    int status = see_hosts(line, &s);

    if (status == 0 && line->option[OPTION_JSON]) {
        struct json *j = json_object_new(), *array;

        fleet_put_pointer(json_in_object(j, "rollout"), &s.look.pointer);
        json_put_count(j, "hosts", s.look.counts.hosts);
        json_put_count(j, "in_stage", s.look.counts.in_stage);
        array = json_in_array(j, "releases");
        each_release(&s, put_releases, array);
        array = json_in_array(j, "unusual");
        for (size_t i = 0; i < s.count; i++) {
            if (strcmp(state_word(&s, &s.list[i]), "ok") != 0) {
                put_host(json_add_object(array), &s, &s.list[i]);
            }
        }
        status = json_out(j) ? say_no_memory() : STATUS_DONE;
    } else if (status == 0) {
        status = print_status(&s);
    }
    free(s.list);
    return status;
}
