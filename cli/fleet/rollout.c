/* bide fleet rollout, pause, resume, abort: each replaces the pointer that it
 * read, or changes nothing. */
#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/plain.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "cli/policy/change.h"
#include "fleet.h"
#include "fleet/release.h"
#include "fleet/trial.h"

/* ---- one change of the pointer ---- */

struct turn {
    struct command_line *line;
    struct fleet f;
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
    status = fleet_look(line, &t->f);
    t->next = t->f.look.pointer;
    snprintf(t->next.by, sizeof(t->next.by), "%s", c.who);
    change_end(&c);
    return status ? status
                  : fleet_take("note", line->option[OPTION_NOTE], t->next.note,
                               sizeof(t->next.note));
}

/* Replaces the pointer, and prints it. */
static int
swap_pointer(struct turn *t, const char *did)
{
    struct pointer *p = &t->next, now = {0};
    const struct stage_look *look = &t->f.look;
    int rc;

    p->since_ms = clock_realtime_ns() / 1000000;
    p->known = (uint32_t)look->count;
    rc = pointer_swap(t->f.etcd, t->f.setup.prefix, p, &now, t->f.why);
    if (rc == BIDE_EVERSION) {
        snprintf(t->f.why, sizeof(t->f.why),
                 "%s changed the rollout just now: nothing was changed",
                 *now.by ? now.by : "somebody");
    }
    if (rc) {
        rc = fleet_say(&t->f, rc, "fleet");
        say("see whether it was changed: bide fleet status");
        return rc;
    }
    say_changed();
    stage_count(&t->f.look, p);
    if (t->line->option[OPTION_JSON]) {
        struct json *j = json_object_new();

        fleet_put(j, pointer_fields, p);
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    printf("release %u %s: %s (%zu of %zu %s)\nSee: bide fleet status\n",
           p->release, did, fleet_stage(p).text, look->in_stage, look->count,
           text_plural(look->count, "host", "hosts"));
    return STATUS_DONE;
}

/* ---- rollout ---- */

/* Reads --hosts, --label, --percent and --then: rising percents. */
static int
read_stages(struct turn *t)
{
    const char *const *option = t->line->option;
    const char *first = option[OPTION_PERCENT], *then = option[OPTION_THEN];
    bool named = option[OPTION_HOSTS] || option[OPTION_LABEL];
    struct pointer *p = &t->next;
    const char *at = p->then;
    int last = 0, percent,
        used = snprintf(p->then, sizeof(p->then), "%s%s%s", first ? first : "",
                        first && then ? "," : "",
                        then             ? then
                        : first || named ? ""
                                         : "100");

    while ((percent = stage_percent(&at)) > last) {
        last = percent;
    }
    if (percent || used >= (int)sizeof(p->then) || (first && !last)) {
        say("--percent and --then: must be rising, such as 10%%,50%%,100%%");
        return STATUS_INPUT;
    }
    p->percent = 0;
    if (first || !named) {
        stage_next(p);
    }
    percent =
        fleet_take("hosts", option[OPTION_HOSTS], p->hosts, sizeof(p->hosts));
    return percent ? percent
                   : fleet_take("label", option[OPTION_LABEL], p->label,
                                sizeof(p->label));
}

static int
read_guard(struct turn *t)
{
    const char *guard = t->line->option[OPTION_GUARD];
    const char *every = t->line->option[OPTION_EVERY];
    struct pointer *p = &t->next;
    struct trial_rules rules;
    uint64_t ns = STAGE_EVERY_MS * UINT64_C(1000000);

    if (guard && trial_read(guard, &rules, t->f.why)) {
        return fleet_say(&t->f, BIDE_EINPUT, "--guard");
    }
    if (every && (duration_read(every, &ns, NULL) || ns < SECOND_NS ||
                  ns > DURATION_MAX)) {
        say("--every %s: must be 1s or longer, such as 10m", every);
        return STATUS_INPUT;
    }
    p->every_ms = ns / 1000000;
    p->tolerate = 0;
    p->paused = false;
    return fleet_take("guard", guard, p->guard, sizeof(p->guard))
               ? STATUS_INPUT
               : number_read_option(t->line, OPTION_TOLERATE, 0, &p->tolerate);
}

/* Refuses names that the fleet does not have, and a stage without hosts: it
 * would be over before it began. */
static int
check_stage(struct turn *t)
{
    const struct pointer *p = &t->next;
    struct stage_look *look = &t->f.look;
    size_t named = *p->hosts != '\0', found = 0;

    for (const char *c = p->hosts; *c; c++) {
        named += *c == ',';
    }
    for (size_t i = 0; i < look->count; i++) {
        found += plain_list_has(p->hosts, look->list[i].host);
    }
    stage_count(look, p);
    if (found == named && (look->in_stage || p->percent == 100)) {
        return STATUS_DONE;
    }
    if (found < named) {
        say("--hosts %s: the fleet has %zu of these %zu", p->hosts, found,
            named);
    } else {
        say("no host is in this stage: %s", fleet_stage(p).text);
    }
    say("see: bide fleet hosts");
    return STATUS_ABSENT;
}

/* Finds the release of the other hosts.  A release on its way ends first: a
 * host cannot be in the stages of two. */
static int
check_before(struct turn *t)
{
    const struct pointer *p = &t->f.look.pointer;

    if (t->next.release == p->release) {
        return STATUS_DONE; /* for more hosts, or for others */
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

/* Checks that there is such a release. */
static int
check_release(struct turn *t)
{
    struct release r;
    char what[32];
    int rc = release_get(t->f.etcd, t->f.setup.prefix, t->next.release, &r,
                         NULL, t->f.why);

    snprintf(what, sizeof(what), "release %u", t->next.release);
    return fleet_say(&t->f, rc, what);
}

int
fleet_rollout_command(struct command_line *line)
{
    struct turn t;
    uint32_t number = 0;
    int status = number_read_version(line, line->operands[0], &number);

    if (status) {
        return status;
    }
    status = begin_turn(line, &t);
    t.next.release = number;
    status = status ? status : check_release(&t);
    status = status ? status : check_before(&t);
    status = status ? status : read_stages(&t);
    status = status ? status : read_guard(&t);
    status = status ? status : check_stage(&t);
    status = status ? status : swap_pointer(&t, "begins");
    fleet_close(&t.f);
    return status;
}

/* ---- pause, resume, abort ---- */

int
fleet_turn_command(struct command_line *line)
{
    const char *word = line->command->name + strlen("fleet ");
    bool abort = *word == 'a', pause = *word == 'p';
    struct turn t;
    int status = begin_turn(line, &t);

    if (status == 0 && (abort ? !t.next.before : !*t.next.then)) {
        say(abort ? "fleet: there is no release to go back to"
                  : "fleet: no stage follows");
        status = STATUS_NO;
    } else if (status == 0) {
        if (abort) {
            stage_back(&t.next);
        }
        t.next.paused = pause;
        status = swap_pointer(&t, abort   ? "is in force again"
                                  : pause ? "is paused"
                                          : "goes on");
    }
    fleet_close(&t.f);
    return status;
}
