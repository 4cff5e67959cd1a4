/* bide fleet status, hosts. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "fleet.h"

struct fleet_words
fleet_stage(const struct pointer *p)
{
    struct fleet_words w = {"all hosts"};
    char percent[32] = "", then[256] = "";
    bool named = *p->hosts || *p->label;

    if (*p->then) {
        snprintf(then, sizeof(then), "; then %s, every %s%s", p->then,
                 duration_write(p->every_ms * 1000000).text,
                 p->paused ? " (paused)" : "");
    }
    if (p->percent) {
        snprintf(percent, sizeof(percent), "%s%u %% of hosts",
                 named ? ", " : "", p->percent);
    }
    if (p->percent < 100) {
        snprintf(w.text, sizeof(w.text), "%.200s%s%s%s%s", p->hosts,
                 *p->hosts && *p->label ? ", " : "", p->label, percent, then);
    }
    return w;
}

/* ---- hosts ---- */

static const char *
state_word(const struct fleet *f, const struct host_record *r)
{
    static const char *const words[] = {"ok", "waiting", "refused", "broke"};
    bool in;
    enum host_state state = stage_state(&f->look.pointer, r, &in);

    return f->now_ns / 1000000 > r->time_ms + HOST_SILENT_MS ? "silent"
                                                             : words[state];
}

static void
put_host(struct json *j, const struct fleet *f, const struct host_record *r)
{
    fleet_put(j, host_record_fields, r);
    json_put_text(j, "state", state_word(f, r));
}

/* Returns what a host reports: "release 12: payments failed 14% ..."; "":
 * nothing. */
static struct fleet_words
write_report(const struct host_record *r)
{
    struct fleet_words w = {""};

    if (*r->fault || r->broke) {
        snprintf(w.text, sizeof(w.text), "release %u: %s",
                 *r->fault ? r->refused : r->broke,
                 *r->fault ? r->fault : r->figures);
    }
    return w;
}

static void
add_host_row(struct table *t, const struct fleet *f,
             const struct host_record *r)
{
    const char *state = state_word(f, r), *words;
    uint64_t seen_ns = r->time_ms * 1000000;
    struct fleet_words report = write_report(r);
    const char *const cells[] = {r->labels, r->local, report.text};

    table_row_of(t, r->host);
    if (r->release) {
        table_cell(t, 1, "%u", r->release);
    }
    table_cell(t, 2, "%s", state);
    if (strcmp(state, "ok") != 0) {
        table_mark_cell(t, 2);
    }
    if (seen_ns) {
        words = duration_round(f->now_ns - smaller_ns(seen_ns, f->now_ns)).text;
        table_cell(t, 3, "%s ago", words);
    }
    for (size_t i = 0; i < 3; i++) {
        if (*cells[i]) {
            table_cell(t, 4 + i, "%s", cells[i]);
        }
    }
}

int
fleet_hosts_command(struct command_line *line)
{
    static const struct table_column columns[] = {
        {"HOST", TABLE_NAME},  {"RELEASE", TABLE_RIGHT}, {"STATE", 0},
        {"SEEN", TABLE_RIGHT}, {"LABELS", TABLE_WRAP},   {"LOCAL", TABLE_WRAP},
        {"REPORT", TABLE_WRAP}};
    const char *pattern = line->operands[0];
    struct json *j = line->option[OPTION_JSON] ? json_object_new() : NULL;
    struct json *array = json_in_array(j, "hosts");
    struct table *t = j ? NULL : table_new(columns, 7);
    struct fleet f;
    size_t count = 0;
    int status = fleet_look(line, &f);

    for (size_t i = 0; i < f.look.count && status == 0; i++) {
        const struct host_record *r = &f.look.list[i];

        if (!pattern || fnmatch(pattern, r->host, 0) == 0) {
            count++;
            add_host_row(t, &f, r);
            put_host(json_add_object(array), &f, r);
        }
    }
    if (status == 0 && count == 0) {
        say("fleet: no host %s%s", pattern ? "is named " : "has reported yet",
            pattern ? pattern : "");
        status = pattern ? STATUS_ABSENT : STATUS_DONE;
    }
    fleet_close(&f);
    if (status || (!j && count == 0)) {
        json_free(j);
        table_free(t);
        return status;
    }
    return (j ? json_out(j) : table_print(t)) ? say_no_memory() : STATUS_DONE;
}

/* ---- status ---- */

enum { NAMED_MAX = 5 };

/* Prints the hosts of a state, the first ones with their reports. */
static void
print_state(const struct fleet *f, const char *state)
{
    size_t count = 0;

    for (size_t i = 0; i < f->look.count; i++) {
        const struct host_record *r = &f->look.list[i];
        struct fleet_words report = write_report(r);

        if (strcmp(state_word(f, r), state) == 0 && count++ < NAMED_MAX) {
            printf("%-9s %s%s%s\n", count == 1 ? state : "", r->host,
                   *report.text ? ": " : "", report.text);
        }
    }
    if (count > NAMED_MAX) {
        printf("%-9s and %zu more: bide fleet hosts\n", "", count - NAMED_MAX);
    }
}

/* Prints how many hosts have which release. */
static void
print_releases(const struct fleet *f)
{
    const struct pointer *p = &f->look.pointer;
    size_t now = 0, before = 0;

    for (size_t i = 0; i < f->look.count; i++) {
        now += f->look.list[i].release == p->release;
        before += p->before && f->look.list[i].release == p->before;
    }
    if (p->release) {
        printf("hosts     %zu with release %u", now, p->release);
    }
    if (p->before) {
        printf(", %zu with release %u", before, p->before);
    }
    printf(p->release ? ", %zu others\n" : "hosts     %zu\n",
           f->look.count - before - (p->release ? now : 0));
}

static void
print_status(const struct fleet *f)
{
    const struct pointer *p = &f->look.pointer;
    const struct stage_look *l = &f->look;
    static const char *const unusual[] = {"broke", "refused", "waiting",
                                          "silent"};

    if (!p->release) {
        puts("no release is rolled out yet; bide fleet rollout N does that");
    } else {
        printf("release   %u", p->release);
        printf(p->before ? ", before it %u\n" : "\n", p->before);
        printf("changed   by %s, %s%s%s\n", p->by,
               when_write(p->since_ms * 1000000, f->now_ns).text,
               *p->note ? ": " : "", p->note);
        printf("stage     %s\n", fleet_stage(p).text);
        printf("          %zu of %zu %s, %zu applied it\n", l->in_stage,
               l->count, text_plural(l->count, "host", "hosts"),
               l->state[HOST_GOOD] + l->state[HOST_BROKE]);
    }
    if (*p->guard) {
        printf("guard     %s for %s: %zu broke it, %u may\n", p->guard,
               duration_write(p->every_ms * 1000000).text, l->state[HOST_BROKE],
               p->tolerate);
    }
    print_releases(f);
    for (size_t i = 0; i < sizeof(unusual) / sizeof(*unusual); i++) {
        print_state(f, unusual[i]);
    }
}

int
fleet_status_command(struct command_line *line)
{
    struct fleet f;
    int status = fleet_look(line, &f);

    if (status == 0 && line->option[OPTION_JSON]) {
        struct json *j = json_object_new(), *array;

        fleet_put(json_in_object(j, "rollout"), pointer_fields,
                  &f.look.pointer);
        json_put_count(j, "hosts", f.look.count);
        json_put_count(j, "in_stage", f.look.in_stage);
        json_put_count(j, "applied",
                       f.look.state[HOST_GOOD] + f.look.state[HOST_BROKE]);
        array = json_in_array(j, "unusual");
        for (size_t i = 0; i < f.look.count; i++) {
            if (strcmp(state_word(&f, &f.look.list[i]), "ok") != 0) {
                put_host(json_add_object(array), &f, &f.look.list[i]);
            }
        }
        status = json_out(j) ? say_no_memory() : STATUS_DONE;
    } else if (status == 0) {
        print_status(&f);
    }
    fleet_close(&f);
    return status;
}
