/* bide fleet rollout, pause, resume, abort: each replaces the pointer that it
 * read, or changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "cli/policy/change.h"
#include "fleet.h"
#include "fleet/release.h"
#include "fleet/stage.h"
#include "fleet/trial.h"

/* ---- one change of the pointer ---- */

struct turn {
    struct command_line *line;
    struct fleet f;
    struct stage_look look; /* the pointer, and hosts by the new one */
    struct pointer next;
};

/* Reads the author, the note and the pointer.  Returns 0 or the exit status. */
static int
begin_turn(struct command_line *line, struct turn *t)
{
    struct change c;
    int status = change_begin(line, &c);

    *t = (struct turn){.line = line};
    if (status) {
        return status;
    }
    if (c.change.note && strlen(c.change.note) > FLEET_NOTE_MAX) {
        say("--note: at most %d bytes", FLEET_NOTE_MAX);
        change_end(&c);
        return STATUS_INPUT;
    }
    status = fleet_open(line, &t->f);
    status = status ? status
                    : fleet_say(&t->f,
                                stage_look(t->f.etcd, t->f.setup.prefix,
                                           &t->look, t->f.why),
                                "fleet");
    t->next = t->look.pointer;
    snprintf(t->next.by, sizeof(t->next.by), "%s", c.who);
    snprintf(t->next.note, sizeof(t->next.note), "%s",
             c.change.note ? c.change.note : "");
    change_end(&c);
    return status;
}

/* Replaces the pointer.  Returns 0 or the exit status. */
static int
swap_pointer(struct turn *t)
{
    struct pointer now = {0};
    int rc;

    t->next.since_ms = clock_realtime_ns() / 1000000;
    t->next.known = t->look.counts.hosts;
    rc = pointer_swap(t->f.etcd, t->f.setup.prefix, &t->next, &now, t->f.why);
    if (rc == BIDE_EVERSION) {
        snprintf(t->f.why, sizeof(t->f.why),
                 "%s changed the rollout just now: nothing was changed",
                 *now.by ? now.by : "somebody");
    }
    if (rc) {
        int status = fleet_say(&t->f, rc, "fleet");

        say("%s: bide fleet status",
            rc == BIDE_ESYS ? "it is not known whether it was changed; see"
                            : "see");
        return status;
    }
    say_changed();
    return STATUS_DONE;
}

/* Prints what the pointer says now. */
static int
print_turn(const struct turn *t, const char *did)
{
    const struct pointer *p = &t->next;

    if (t->line->option[OPTION_JSON]) {
        struct json *j = json_object_new();

        fleet_put_pointer(j, p);
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    printf("release %u %s: %s\n", p->release, did, fleet_stage(p).text);
    if (strcmp(did, "begins") == 0) {
        const struct stage_counts *c = &t->look.counts;

        printf("%u of %u %s in this stage\n", c->in_stage, c->hosts,
               text_plural(c->hosts, "host", "hosts"));
        puts("See: bide fleet status");
    }
    return STATUS_DONE;
}

/* ---- rollout ---- */

static int
copy_list(const char *option, const char *text, char *to, size_t size)
{
    if (text && strlen(text) >= size) {
        say("--%s: too long", option);
        return STATUS_INPUT;
    }
    snprintf(to, size, "%s", text ? text : "");
    return STATUS_DONE;
}

/* Reads --percent and --then: rising percents. */
static int
read_stages(struct command_line *line, struct pointer *p)
{
    const char *first = line->option[OPTION_PERCENT];
    const char *then = line->option[OPTION_THEN], *at = then;
    bool named = *p->hosts || *p->label;
    int percent = first ? stage_percent(&first) : named || then ? 0 : 100;
    int last = percent, next = 0;

    if (percent < 0 || (line->option[OPTION_PERCENT] && (!percent || *first))) {
        say("--percent: must be 1%% to 100%%");
        return STATUS_INPUT;
    }
    while (at && last >= 0 && (next = stage_percent(&at)) != 0) {
        last = next > last ? next : -1;
    }
    if (last < 0 || (then && !*then)) {
        say("--then %s: must be rising percents, such as 10%%,50%%,100%%",
            then);
        return STATUS_INPUT;
    }
    p->percent = (uint32_t)percent;
    if (copy_list("then", then, p->then, sizeof(p->then))) {
        return STATUS_INPUT;
    }
    if (!percent && !named) {
        stage_next(p);
    }
    return STATUS_DONE;
}

static int
read_guard(struct command_line *line, struct pointer *p)
{
    const char *guard = line->option[OPTION_GUARD];
    const char *every = line->option[OPTION_EVERY];
    char why[TRIAL_WORDS];
    struct trial_rules rules;
    uint64_t ns = STAGE_EVERY_MS * UINT64_C(1000000);

    if (guard && (!*guard || trial_read(guard, &rules, why))) {
        say("--guard %s", *guard ? why : "'': has no rule");
        return STATUS_INPUT;
    }
    if (every && (duration_read(every, &ns, NULL) || ns < SECOND_NS ||
                  ns > DURATION_MAX)) {
        say("--every %s: must be 1s or longer, such as 10m", every);
        return STATUS_INPUT;
    }
    p->every_ms = ns / 1000000;
    p->tolerate = 0;
    if (copy_list("guard", guard, p->guard, sizeof(p->guard))) {
        return STATUS_INPUT;
    }
    return number_read_option(line, OPTION_TOLERATE, 0, &p->tolerate);
}

/* What --hosts and --label name. */
struct named {
    struct stage_look look; /* first: the visit's argument */
    const struct pointer *p;
    size_t hosts, labelled;
    struct stage_counts counts; /* by `p` */
};

static int
count_named(void *look, const struct host_record *r)
{
    struct named *n = look;

    stage_count(n->p, r, &n->counts);
    n->hosts += host_list_has(n->p->hosts, r->host);
    n->labelled += *n->p->label && host_list_has(r->labels, n->p->label);
    return 0;
}

/* Refuses hosts and labels that the fleet does not have: their stage would be
 * over before it began.  Counts the hosts in the stage. */
static int
check_named(struct turn *t)
{
    struct named n = {.look.visit = count_named, .p = &t->next};
    size_t listed = *t->next.hosts != '\0';
    int rc = stage_look(t->f.etcd, t->f.setup.prefix, &n.look, t->f.why);

    if (rc) {
        return fleet_say(&t->f, rc, "fleet");
    }
    for (const char *c = t->next.hosts; *c; c++) {
        listed += *c == ',';
    }
    if (n.hosts < listed) {
        say("--hosts %s: the fleet has %zu of these %zu", t->next.hosts,
            n.hosts, listed);
        say("see: bide fleet hosts");
        return STATUS_ABSENT;
    }
    if (*t->next.label && !n.labelled) {
        say("--label %s: no host has it", t->next.label);
        say("see: bide fleet hosts");
        return STATUS_ABSENT;
    }
    t->look.counts = n.counts;
    return STATUS_DONE;
}

/* Finds the release of the other hosts.  A release on its way ends first: one
 * host cannot be in two stages. */
static int
find_before(struct turn *t, uint32_t number)
{
    const struct pointer *p = &t->look.pointer;

    if (number == p->release) {
        return STATUS_DONE; /* the same release for more or other hosts */
    }
    if (p->release && p->percent < 100) {
        say("release %u is on its way, by %s: %s", p->release, p->by,
            fleet_stage(p).text);
        say("to go on with it: bide fleet rollout %u; or first: bide fleet "
            "abort",
            p->release);
        return STATUS_NO;
    }
    t->next.before = p->release;
    return STATUS_DONE;
}

int
fleet_rollout_command(struct command_line *line)
{
    struct turn t;
    struct release r;
    uint32_t number = 0;
    char what[32];
    int status = number_read_version(line, line->operands[0], &number);

    if (status) {
        return status;
    }
    snprintf(what, sizeof(what), "release %u", number);
    status = begin_turn(line, &t);
    status = status ? status
                    : fleet_say(&t.f,
                                release_get(t.f.etcd, t.f.setup.prefix, number,
                                            &r, NULL, t.f.why),
                                what);
    status = status ? status : find_before(&t, number);
    status = status ? status
                    : copy_list("hosts", line->option[OPTION_HOSTS],
                                t.next.hosts, sizeof(t.next.hosts));
    status = status ? status
                    : copy_list("label", line->option[OPTION_LABEL],
                                t.next.label, sizeof(t.next.label));
    t.next.release = number;
    t.next.paused = false;
    status = status ? status : read_stages(line, &t.next);
    status = status ? status : read_guard(line, &t.next);
    status = status ? status : check_named(&t);
    status = status ? status : swap_pointer(&t);
    status = status ? status : print_turn(&t, "begins");
    fleet_close(&t.f);
    return status;
}

/* ---- pause, resume, abort ---- */

static int
set_paused(struct command_line *line, bool paused)
{
    struct turn t;
    int status = begin_turn(line, &t);

    if (status == 0 && !*t.next.then) {
        say("fleet: no stage follows, so there is nothing to %s",
            paused ? "pause" : "resume");
        status = STATUS_NO;
    } else if (status == 0) {
        t.next.paused = paused;
        status = swap_pointer(&t);
        status =
            status ? status : print_turn(&t, paused ? "is paused" : "goes on");
    }
    fleet_close(&t.f);
    return status;
}

int
fleet_pause_command(struct command_line *line)
{
    return set_paused(line, true);
}

int
fleet_resume_command(struct command_line *line)
{
    return set_paused(line, false);
}

int
fleet_abort_command(struct command_line *line)
{
    struct turn t;
    int status = begin_turn(line, &t);

    if (status == 0 && !t.next.before) {
        say("fleet: there is no release to go back to");
        say("to choose one: bide fleet rollout N");
        status = STATUS_NO;
    } else if (status == 0) {
        stage_back(&t.next);
        status = swap_pointer(&t);
        status = status ? status : print_turn(&t, "is in force again");
    }
    fleet_close(&t.f);
    return status;
}
