/* bide fleet join, leave, follow. */
#include "fleet.h"

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

static int
take_urls(struct command_line *line, struct host_setup *s)
{
    for (int i = 0; i < line->count; i++) {
        const char *url = line->operands[i];
        size_t used = strlen(s->urls);

        if (strncmp(url, "http://", 7) != 0 &&
            strncmp(url, "https://", 8) != 0) {
            say("%s: not a URL of etcd, such as https://etcd-1:2379", url);
            return STATUS_INPUT;
        }
        if (used + strlen(url) + 2 > sizeof(s->urls) || strpbrk(url, ", ")) {
            say("%s: too long, or it has a comma or blank", url);
            return STATUS_INPUT;
        }
        snprintf(s->urls + used, sizeof(s->urls) - used, "%s%s",
                 used ? "," : "", url);
    }
    return STATUS_DONE;
}

/* Files are kept with their whole path: the agent runs elsewhere. */
static int
take_path(struct command_line *line, enum option option, char *to, size_t size)
{
    const char *path = line->option[option];
    char *whole = path ? paths_absolute(path) : NULL;
    int status;

    if (!path) {
        return STATUS_DONE;
    }
    if (!whole || access(whole, R_OK)) {
        free(whole);
        return say_errno(path);
    }
    status = fleet_take(option_rows[option].name, whole, to, size);
    free(whole);
    return status;
}

static int
take_options(struct command_line *line, struct host_setup *s)
{
    const char *name = line->option[OPTION_NAME];
    const char *prefix = line->option[OPTION_PREFIX];
    char host[256] = "";
    int status;

    if (!name) {
        gethostname(host, sizeof(host) - 1);
        name = host;
    }
    if (!host_name_ok(name)) {
        say("%s: not a name of a host: letters, digits and ._- only", name);
        return STATUS_INPUT;
    }
    prefix = prefix ? prefix : FLEET_PREFIX;
    if (*prefix != '/' || !prefix[1] || prefix[strlen(prefix) - 1] == '/') {
        say("--prefix %s: must begin, and not end, with a slash", prefix);
        return STATUS_INPUT;
    }
    status = fleet_take("name", name, s->name, sizeof(s->name));
    status = status
                 ? status
                 : fleet_take("prefix", prefix, s->prefix, sizeof(s->prefix));
    status = status ? status
                    : fleet_take("label", line->option[OPTION_LABEL], s->labels,
                                 sizeof(s->labels));
    status = status ? status
                    : fleet_take("local", line->option[OPTION_LOCAL], s->local,
                                 sizeof(s->local));
    host_machine(name, s->machine);
    return status;
}

int
fleet_join_command(struct command_line *line)
{
    struct fleet f = {.etcd = NULL};
    struct host_setup *s = &f.setup;
    int status = take_urls(line, s), rc;
    const struct {
        enum option option;
        char *to;
    } paths[] = {{OPTION_CACERT, s->cacert},
                 {OPTION_CERT, s->cert},
                 {OPTION_KEY, s->key},
                 {OPTION_TOKEN_FILE, s->token_file}};

    status = status ? status : take_options(line, s);
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths) && !status; i++) {
        status =
            take_path(line, paths[i].option, paths[i].to, sizeof(s->cacert));
    }
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
    struct etcd_step step = {.verb = ETCD_DELETE, .key = key.text};
    struct etcd_reply reply;
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
    rc = rc ? rc : etcd_do(f.etcd, &step, 1, &reply);
    if (rc == 0) {
        etcd_reply_free(&reply);
    } else {
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
