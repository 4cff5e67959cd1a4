/* bide fleet push, releases, diff. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/table.h"
#include "cli/out/text.h"
#include "cli/policy/change.h"
#include "cli/policy/difference.h"
#include "cli/policy/source.h"
#include "fleet.h"
#include "fleet/release.h"

/* ---- the differences of two releases ---- */

enum { LISTED_MAX = 40 };

struct changes {
    struct table *table; /* NULL: as JSON */
    struct json *array;
    size_t count;
};

/* Adds a policy that differs; NULL: it is in one of the two only. */
static int
add_change(struct changes *c, const struct policy_text *old,
           const struct policy_text *now)
{
    const char *did = !old ? "created" : !now ? "deleted" : "changed";
    const char *name = policy_text_name(now ? now : old);
    char *what = old && now ? difference_line(old, now) : strdup("");

    if (!what) {
        return BIDE_ENOMEM;
    }
    if (c->array) {
        struct json *j = json_add_object(c->array);

        json_put_text(j, "policy", name);
        json_put_text(j, "change", did);
        json_put_text(j, "what", what);
    } else if (c->count < LISTED_MAX) {
        table_row(c->table);
        table_cell(c->table, 0, "  %s", did);
        table_cell(c->table, 1, "%s", name);
        table_cell(c->table, 2, "%s", what);
    }
    c->count++;
    free(what);
    return 0;
}

/* Compares the texts of two releases, which are ordered by name. */
static int
compare_texts(const char *old, const char *now, struct changes *c)
{
    struct policy_list a = {0}, b = {0};
    struct faults faults = {0};
    size_t i = 0, k = 0;
    int rc = *old ? policy_read("release", old, strlen(old), &a, &faults) : 0;

    rc = rc ? rc : policy_read("release", now, strlen(now), &b, &faults);
    while (rc == 0 && (i < a.count || k < b.count)) {
        int order = i == a.count   ? 1
                    : k == b.count ? -1
                                   : strcmp(policy_text_name(a.list[i]),
                                            policy_text_name(b.list[k]));

        if (order || !policy_text_same(a.list[i], b.list[k])) {
            rc = add_change(c, order > 0 ? NULL : a.list[i],
                            order < 0 ? NULL : b.list[k]);
        }
        i += order <= 0;
        k += order >= 0;
    }
    faults_free(&faults);
    policy_list_free(&a);
    policy_list_free(&b);
    return rc;
}

/* Prints how `now` differs from release `from` (0: from nothing), in `j` or as
 * a table.  Returns 0, or the exit status after an error message. */
static int
show_changes(struct fleet *f, uint32_t from, const char *now, struct json *j,
             size_t *out_count)
{
    static const struct table_column columns[] = {
        {"", 0}, {"", 0}, {"", TABLE_WRAP}};
    struct changes c = {.table = j ? NULL : table_new(columns, 3),
                        .array = json_in_array(j, "changes")};
    struct release before;
    char *old = NULL, what[32];
    int rc = 0;

    snprintf(what, sizeof(what), "release %u", from);
    if (from) {
        rc = release_get(f->etcd, f->setup.prefix, from, &before, &old, f->why);
    }
    rc = rc ? rc : compare_texts(old ? old : "", now, &c);
    free(old);
    *out_count = c.count;
    if (rc || j) {
        table_free(c.table);
        return fleet_say(f, rc, what);
    }
    if (table_print_bare(c.table)) {
        return say_no_memory();
    }
    if (c.count > LISTED_MAX) {
        printf("  and %zu more\n", c.count - LISTED_MAX);
    }
    return STATUS_DONE;
}

/* ---- push ---- */

static void
put_release(struct json *j, const struct release *r)
{
    json_put_count(j, "release", r->release);
    json_put_time(j, "time", r->time_ms * 1000000);
    json_put_text(j, "author", r->by);
    json_put_text(j, "note", *r->note ? r->note : NULL);
    json_put_count(j, "policies", r->policies);
    json_put_count(j, "bytes", r->bytes);
}

/* Stores the text as a release, and prints how it differs from the last. */
static int
push_text(struct command_line *line, struct fleet *f, struct release *r,
          const char *text)
{
    bool dry_run = line->option[OPTION_DRY_RUN] != NULL;
    struct json *j = line->option[OPTION_JSON] ? json_object_new() : NULL;
    struct release *all;
    size_t count, changes = 0;
    uint32_t last = 0;
    int rc = release_list(f->etcd, f->setup.prefix, &all, &count, f->why);
    int status = fleet_say(f, rc, "fleet");

    if (status == 0) {
        while (count && !*all[count - 1].id) {
            count--; /* of a newer bide */
        }
        last = count ? all[count - 1].release : 0;
        free(all);
        status = show_changes(f, last, text, j, &changes);
    }
    if (status == 0 && !dry_run) {
        rc = release_push(f->etcd, f->setup.prefix, text, r, f->why);
        status = fleet_say(f, rc, "fleet");
    }
    if (status || (!j && dry_run)) {
        json_free(j);
        if (status == 0) {
            printf("%u policies, %zu would differ from release %u; nothing "
                   "was pushed\n",
                   r->policies, changes, last);
        }
        return status;
    }
    if (!dry_run) {
        say_changed();
    }
    if (j) {
        put_release(j, r);
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    printf("release %u: %u %s, %zu changed\n", r->release, r->policies,
           text_plural(r->policies, "policy", "policies"), changes);
    printf("Next: bide fleet rollout %u\n", r->release);
    return STATUS_DONE;
}

int
fleet_push_command(struct command_line *line)
{
    struct source s = {.registry = NULL}; /* a release stands alone */
    struct release r = {0};
    struct faults faults = {0};
    struct change change;
    struct fleet f = {.etcd = NULL};
    char *text = NULL;
    int status = change_begin(line, &change), rc;

    if (status) {
        return status;
    }
    if (change.change.note && strlen(change.change.note) > FLEET_NOTE_MAX) {
        say("--note: at most %d bytes", FLEET_NOTE_MAX);
        status = STATUS_INPUT;
    }
    snprintf(r.by, sizeof(r.by), "%s", change.who);
    snprintf(r.note, sizeof(r.note), "%.*s", FLEET_NOTE_MAX,
             change.change.note ? change.change.note : "");
    change_end(&change);
    if (status == 0) {
        rc = source_read(&s, line->operands, &faults);
        rc = rc ? rc : source_check(&s, &faults);
        status = say_refusal(rc, &faults, "files", "nothing was pushed");
    }
    if (status == 0) {
        status = fleet_open(line, &f);
    }
    if (status == 0) {
        r.policies = (uint32_t)s.all.count;
        text = release_text(&s.all);
        status = text ? push_text(line, &f, &r, text) : say_no_memory();
    }
    free(text);
    fleet_close(&f);
    source_free(&s);
    return status;
}

/* ---- releases ---- */

static int
print_releases(const struct release *all, size_t count)
{
    static const struct table_column columns[] = {
        {"RELEASE", TABLE_RIGHT},  {"WHEN", 0},           {"WHO", 0},
        {"POLICIES", TABLE_RIGHT}, {"SIZE", TABLE_RIGHT}, {"NOTE", TABLE_WRAP}};
    struct table *t = table_new(columns, 6);
    uint64_t now_ns = clock_realtime_ns();

    for (size_t i = count; i > 0; i--) {
        const struct release *r = &all[i - 1];

        table_row(t);
        table_cell(t, 0, "%u", r->release);
        if (!*r->id) {
            table_cell(t, 5, "cannot be read by this bide");
            continue;
        }
        table_cell(t, 1, "%s", when_write(r->time_ms * 1000000, now_ns).text);
        table_cell(t, 2, "%s", r->by);
        table_cell(t, 3, "%u", r->policies);
        table_cell(t, 4, "%s", text_bytes(r->bytes).text);
        table_cell(t, 5, "%s", r->note);
    }
    return table_print(t) ? say_no_memory() : STATUS_DONE;
}

int
fleet_releases_command(struct command_line *line)
{
    struct fleet f;
    struct release *all = NULL;
    size_t count = 0;
    int status = fleet_open(line, &f);

    if (status == 0) {
        status = fleet_say(
            &f, release_list(f.etcd, f.setup.prefix, &all, &count, f.why),
            "fleet");
    }
    if (status == 0 && line->option[OPTION_JSON]) {
        struct json *j = json_object_new();
        struct json *array = json_in_array(j, "releases");

        for (size_t i = count; i > 0; i--) {
            put_release(json_add_object(array), &all[i - 1]);
        }
        status = json_out(j) ? say_no_memory() : STATUS_DONE;
    } else if (status == 0 && count == 0) {
        puts("no releases yet; bide fleet push FILE makes one");
    } else if (status == 0) {
        status = print_releases(all, count);
    }
    free(all);
    fleet_close(&f);
    return status;
}

/* ---- diff ---- */

int
fleet_diff_command(struct command_line *line)
{
    struct json *j = NULL;
    struct release r;
    struct fleet f = {.etcd = NULL};
    uint32_t number[2] = {0, 0};
    size_t changes = 0;
    char *text = NULL, what[32];
    int status = 0;

    for (int i = 0; i < line->count && status == 0; i++) {
        status = number_read_version(line, line->operands[i], &number[i]);
    }
    if (line->count == 1) { /* to it, from the one before */
        number[1] = number[0]--;
    }
    status = status ? status : fleet_open(line, &f);
    snprintf(what, sizeof(what), "release %u", number[1]);
    if (status == 0) {
        status = fleet_say(
            &f,
            release_get(f.etcd, f.setup.prefix, number[1], &r, &text, f.why),
            what);
    }
    if (status == 0) {
        j = line->option[OPTION_JSON] ? json_object_new() : NULL;
        status = show_changes(&f, number[0], text, j, &changes);
    }
    if (status == 0 && j) {
        json_put_count(j, "from", number[0]);
        json_put_count(j, "to", number[1]);
        status = json_out(j) ? say_no_memory() : 0;
    } else {
        json_free(j);
    }
    free(text);
    fleet_close(&f);
    return status ? status : changes ? STATUS_NO : STATUS_DONE;
}
