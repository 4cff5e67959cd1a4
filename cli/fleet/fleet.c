/* bide fleet join, leave, follow. */
#include "fleet.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/open.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/paths.h"
#include "base/plain.h"
#include "cli/command/say.h"
#include "cli/command/signals.h"
#include "cli/out/json.h"
#include "fleet/agent.h"
#include "policy/policy.h"

/* ---- shared ---- */

int
fleet_say(const struct fleet *f, int rc, const char *what)
{
    if (rc == 0) {
        return STATUS_DONE;
    }
    say_why(what, *f->why ? f->why : bide_strerror(rc));
    return rc == BIDE_EMISSING                        ? STATUS_ABSENT
           : rc == BIDE_EVERSION                      ? STATUS_VERSION
           : rc == BIDE_EINPUT || rc == BIDE_EDAMAGED ? STATUS_INPUT
                                                      : STATUS_NO;
}

/* Reads the setup of this host. */
static int
read_setup(struct command_line *line, struct fleet *f)
{
    int rc = host_setup_read(line->option[OPTION_DIR], &f->setup, f->why);

    if (rc == BIDE_EMISSING) {
        say("fleet: this host has not joined one");
        say("to do so: bide fleet join URL...");
        return STATUS_NO;
    }
    return fleet_say(f, rc, "fleet");
}

int
fleet_open(struct command_line *line, struct fleet *out)
{
    struct fleet *f = out;
    int status, rc;

    *f = (struct fleet){.etcd = NULL};
    status = read_setup(line, f);
    if (status) {
        return status;
    }
    rc = etcd_open(&f->setup, &f->etcd);
    rc =
        rc ? rc : agent_fleet(f->etcd, f->setup.prefix, f->setup.fleet, f->why);
    return fleet_say(f, rc, "fleet");
}

int
fleet_look(struct command_line *line, struct fleet *out)
{
    int status = fleet_open(line, out), rc = 0;

    if (status == 0) {
        rc = stage_look(out->etcd, out->setup.prefix, &out->look, out->why);
        out->now_ns = clock_realtime_ns();
    }
    return status ? status : fleet_say(out, rc, "fleet");
}

void
fleet_close(struct fleet *f)
{
    stage_look_end(&f->look);
    etcd_close(f->etcd);
    f->etcd = NULL;
}

int
fleet_take(const char *what, const char *text, char *to, size_t size)
{
    size_t length = text ? strlen(text) : 0;

    if (length >= size || plain_length(text, length) != length) {
        say("--%s: too long, or not plain text", what);
        return STATUS_INPUT;
    }
    snprintf(to, size, "%s", text ? text : "");
    return STATUS_DONE;
}

void
fleet_put(struct json *j, const struct field *fields, const void *from)
{
    for (const struct field *f = fields; f->name; f++) {
        const char *at = (const char *)from + f->offset;
        uint64_t number = 0;

        if (f->kind == FIELD_TEXT) {
            json_put_text(j, f->name, *at ? at : NULL);
        } else if (f->kind == FIELD_TRUTH) {
            json_put_truth(j, f->name, *at);
        } else {
            memcpy(&number, at, f->size); /* little-endian */
            json_put_count(j, f->name, number);
        }
    }
}

/* ---- join ---- */

/* Where the options of join go.  Files are kept with their whole path: the
 * agent runs elsewhere. */
static const struct taken {
    enum option option;
    size_t offset, size;
    bool is_file;
} taken[] = {
#define TAKEN(option, member, is_file)                        \
    {                                                         \
        OPTION_##option, offsetof(struct host_setup, member), \
            sizeof(((struct host_setup *)0)->member), is_file \
    }
    TAKEN(NAME, name, false),    TAKEN(PREFIX, prefix, false),
    TAKEN(LABEL, labels, false), TAKEN(LOCAL, local, false),
    TAKEN(CACERT, cacert, true), TAKEN(CERT, cert, true),
    TAKEN(KEY, key, true),       TAKEN(TOKEN_FILE, token_file, true),
};

/* Copies an option.  Returns 0 or the exit status, as the functions below. */
static int
take_option(const struct taken *t, const char *given, struct host_setup *s)
{
    char *whole = t->is_file ? paths_absolute(given) : strdup(given);
    int status = !whole || (t->is_file && access(whole, R_OK))
                     ? say_errno(given)
                     : fleet_take(option_rows[t->option].name, whole,
                                  (char *)s + t->offset, t->size);

    free(whole);
    return status;
}

static int
take_urls(struct command_line *line, struct host_setup *s)
{
    for (int i = 0; i < line->count; i++) {
        const char *url = line->operands[i];
        size_t used = strlen(s->urls);

        if ((strncmp(url, "http://", 7) && strncmp(url, "https://", 8)) ||
            strpbrk(url, ", ") || used + strlen(url) + 2 > sizeof(s->urls)) {
            say("%s: not a URL of etcd, such as https://etcd-1:2379", url);
            return STATUS_INPUT;
        }
        snprintf(s->urls + used, sizeof(s->urls) - used, "%s%s",
                 used ? "," : "", url);
    }
    return STATUS_DONE;
}

static int
take_options(struct command_line *line, struct host_setup *s)
{
    int status = take_urls(line, s);

    gethostname(s->name, sizeof(s->name) - 1);
    strcpy(s->prefix, FLEET_PREFIX);
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken) && !status; i++) {
        const char *given = line->option[taken[i].option];

        status = given ? take_option(&taken[i], given, s) : STATUS_DONE;
    }
    if (status == 0 && !host_name_ok(s->name)) {
        say("%s: not a name of a host: letters, digits and ._- only", s->name);
        status = STATUS_INPUT;
    }
    if (status == 0 && (*s->prefix != '/' || !s->prefix[1] ||
                        s->prefix[strlen(s->prefix) - 1] == '/')) {
        say("--prefix %s: must begin, and not end, with a slash", s->prefix);
        status = STATUS_INPUT;
    }
    host_machine(s->name, s->machine);
    return status;
}

int
fleet_join_command(struct command_line *line)
{
    struct fleet f = {.etcd = NULL};
    struct host_setup *s = &f.setup;
    int status = take_options(line, s), rc;

    if (status) {
        return status;
    }
    rc = etcd_open(s, &f.etcd);
    rc = rc ? rc : agent_fleet(f.etcd, s->prefix, s->fleet, f.why);
    rc = rc ? rc : host_setup_write(line->option[OPTION_DIR], s, f.why);
    status = fleet_say(&f, rc, "fleet");
    if (status == 0) {
        say_changed();
        printf("%s joined the fleet at %s%s\n", s->name, s->urls, s->prefix);
        puts("Next: systemctl enable --now bide-fleet, or bide fleet follow");
    }
    fleet_close(&f);
    return status;
}

/* ---- leave ---- */

/* Removes the setup, and the record if etcd can be reached. */
int
fleet_leave_command(struct command_line *line)
{
    struct fleet f;
    struct fleet_key key;
    int status, rc;

    f = (struct fleet){.etcd = NULL};
    status = read_setup(line, &f);
    if (status) {
        return status;
    }
    rc = host_setup_remove(line->option[OPTION_DIR], f.why);
    if (rc) {
        return fleet_say(&f, rc, "fleet");
    }
    say_changed();
    key = fleet_key(f.setup.prefix, "host", f.setup.name);
    rc = etcd_open(&f.setup, &f.etcd);
    rc = rc ? rc : etcd_one(f.etcd, ETCD_DELETE, key, NULL, 0, NULL);
    if (rc) {
        say("the record of %s stays in etcd: %s", f.setup.name,
            f.etcd ? etcd_why(f.etcd) : bide_strerror(rc));
    }
    fleet_close(&f);
    printf("%s left the fleet; its policies stay as they are\n", f.setup.name);
    return STATUS_DONE;
}

/* ---- follow ---- */

static void
print_line(void *arg, const char *line)
{
    (void)arg;
    puts(line);
    fflush(stdout);
}

int
fleet_follow_command(struct command_line *line)
{
    struct fleet f = {.etcd = NULL};
    struct agent_options o = {.dir = line->option[OPTION_DIR],
                              .setup = &f.setup,
                              .report_ns = 5 * MINUTE_NS,
                              .version = BIDE_VERSION,
                              .told = print_line};
    int status;

    admin_close(line->registry); /* each change opens it again */
    line->registry = NULL;
    o.signals = signals_open_stop();
    if (o.signals < 0) {
        return say_errno("signals");
    }
    if (line->count) {
        return follow_directory(line, o.signals);
    }
    status = read_setup(line, &f);
    return status ? status : fleet_say(&f, agent_run(&o), "fleet");
}
