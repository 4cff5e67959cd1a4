/* The words of a finding are templates: what is wrong, a command that repairs
 * it
 * (`run`, for a shell), and what else there is to do.  A fact of the finding is
 * put in place of its name in braces; in a command, paths are quoted:
 *
 *   {bide}    the command bide, with its --dir
 *   {path} {name} {version} {count} {user} {owner}
 *   {cell}    the policy, with its scope: pay, pay/api.example.com
 *   {others}  " and others" if there are more policies than {name}
 *   {s}       "s" if {count} is not 1
 *   {size}    12.5 MiB
 *   {age}     27m
 *   {why}     the reason, in the words of the store */
#include "findings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "base/duration.h"
#include "cli/out/text.h"

#define RECORD_EVERY_MINUTE \
    "enable bide-record.service, or run bide record --every 1m"
#define COUNTERS_SPOILT                                                        \
    "another program wrote into the live file: ignore the statistics of this " \
    "policy; to start new ones, stop all services and remove the live file"

#define SAY(what, to_do) \
    {                    \
        what, to_do, ""  \
    }
#define RUN(what, run, to_do) \
    {                         \
        what, to_do, run      \
    }

static const struct {
    const char *what, *to_do, *run;
} words[FINDING_COUNT] = {
    [FINDING_FAILED] = SAY("no memory to keep the reason", ""),
    [FINDING_PAGES_DAMAGED] = SAY(
        "{why}", "services continue under the last good policies, but nothing "
                 "can be changed; save the readable policies with bide export, "
                 "move the directory away, then run bide init and bide apply"),
    [FINDING_PAGES_BUSY] =
        SAY("the registry changed all the time, so its pages were not checked",
            "run bide doctor again"),
    [FINDING_POLICY_INVALID] =
        RUN("{name}: version {version} is not valid: {why}",
            "{bide} rollback {name}", "or correct it with bide set"),
    [FINDING_NO_POLICIES] =
        SAY("there are no policies yet", "apply a policy file with bide apply"),
    [FINDING_SERVICE_CANNOT_READ] =
        SAY("a service could not read the registry {age} ago: {why}",
            "check that the service may read registry.mdb; the next service "
            "that can read it withdraws this report"),

    [FINDING_LIVE_NONE] =
        SAY("no service has started yet, so there are no statistics", ""),
    [FINDING_LIVE_STALE] =
        SAY("{path} is from an earlier boot, or was cut short",
            "nothing: the next service creates a new one"),
    [FINDING_LIVE_FOREIGN] = RUN("{path} is not a live file of this registry, "
                                 "so services share no live state",
                                 "mv {path} {path}.foreign", ""),
    [FINDING_LIVE_OF_COPY] = SAY(
        "this registry is a copy of {path}, so it has live state of its own",
        ""),
    [FINDING_LIVE_FORBIDDEN] =
        SAY("{path} was not checked: {why}",
            "run bide doctor as root, or as a member of the "
            "group that owns the file"),
    [FINDING_LIVE_UNREADABLE] = SAY("{path}: {why}", ""),
    [FINDING_LIVE_UNMAPPED] = SAY("{path} cannot be mapped into memory", ""),
    [FINDING_LIVE_ON_DISK] = SAY("{path} is not on a tmpfs, so calls may stall "
                                 "while the disk is written",
                                 "create a new registry with its live file on "
                                 "a tmpfs: bide init --live /run/bide"),
    [FINDING_COUNTER_TOO_LARGE] =
        SAY("{cell}: a counter is larger than possible", COUNTERS_SPOILT),
    [FINDING_ATTEMPTS_TOO_MANY] =
        SAY("{cell}: the number of attempts is larger than possible",
            COUNTERS_SPOILT),
    [FINDING_RECOVERED_TOO_MANY] =
        SAY("{cell}: more calls succeeded after a retry than succeeded at all",
            COUNTERS_SPOILT),
    [FINDING_RETRIES_TOO_MANY] =
        SAY("{cell}: there are more retries than attempts", COUNTERS_SPOILT),
    [FINDING_STATE_INVALID] =
        SAY("{cell}: the state of the breaker or of the budget is not valid",
            "calls continue without it; repair it with bide breaker {name} "
            "reset and bide budget {name} reset"),
    [FINDING_CHANGE_UNANNOUNCED] =
        RUN("a change was stored but not announced: {name}{others}",
            "{bide} record", "each recording announces it"),
    [FINDING_GATE_WRONG] =
        RUN("calls do not follow the registry: {name}{others}; another program "
            "wrote into the live file",
            "{bide} record", "each recording repairs it"),
    [FINDING_POLICY_UNDEFINED] =
        SAY("services ask for a policy that is not defined: {name}{others}",
            "define it with bide apply FILE; bide list shows who asks for it"),
    [FINDING_SCOPES_TOO_MANY] =
        SAY("too many scopes, so the newest ones share the scope @others: "
            "{name}{others}",
            "use a scope for each host, not for each customer or request"),
    [FINDING_CELLS_NAMELESS] = SAY("{count} unusable cell{s} of half a KiB: a "
                                   "process was killed while it created one",
                                   ""),
    [FINDING_CELLS_REFUSED] =
        SAY("{count} time{s} there was no cell for a policy or scope",
            "use fewer policies and scopes"),
    [FINDING_MEMORY_REFUSED] =
        SAY("{count} time{s} there was no memory for counters, so statistics "
            "are incomplete",
            "free space on the file system of the live file; the next call "
            "that gets memory withdraws this report"),
    [FINDING_MEMORY_LIMITED] =
        SAY("{count} time{s} there was no memory for counters, so statistics "
            "are incomplete",
            "the file system of the live file has room now: the next call that "
            "gets memory withdraws this report; if it stays, look at quotas "
            "and at the memory limits of services"),
    [FINDING_WAITING_CALLS_DEAD] =
        SAY("{count} waiting call{s} of processes that died",
            "nothing: the entries are freed later, and delay no other call"),
    [FINDING_HISTORY_NONE] =
        SAY("nothing was recorded yet, so there are only current statistics",
            RECORD_EVERY_MINUTE),
    [FINDING_HISTORY_DAMAGED] =
        SAY("history.mdb: {why}",
            "run bide record: it keeps all readable records in a new file"),
    [FINDING_HISTORY_UNREADABLE] = SAY("history.mdb: {why}", ""),
    [FINDING_HISTORY_RECORDS_DAMAGED] =
        SAY("damaged records and pages: {count}",
            "they are skipped, and their statistics are lost; to start a new "
            "history, move history.mdb away"),
    [FINDING_HISTORY_TOTALS_LOST] =
        SAY("the totals of the last recording are damaged",
            "nothing: bide record continues from now on"),
    [FINDING_HISTORY_RECORDS_LOST] =
        SAY("records and pages were lost in earlier damage: {count}", ""),
    [FINDING_HISTORY_INTERVALS_LOST] =
        SAY("{count} interval{s} left out, because the totals of the policy or "
            "scope before the interval were damaged",
            ""),
    [FINDING_HISTORY_TOO_LARGE] = SAY(
        "the file has {size}, more than --keep-size allows",
        "if recorders have another --keep-size, give it to bide doctor too"),
    [FINDING_HISTORY_IN_FUTURE] =
        SAY("the time of the last recording is in the future",
            "check the clock of this host"),
    [FINDING_HISTORY_STOPPED] =
        SAY("nothing was recorded for {age}; the statistics since then will be "
            "one interval",
            RECORD_EVERY_MINUTE),
    [FINDING_HISTORY_OLD_FILE] =
        SAY("{path} ({size}) is the old file, kept because it was damaged",
            "remove it if nobody wants to examine it"),
    [FINDING_DEFERRED_NONE] = SAY(
        "there is no deferred.mdb yet: the first deferred work creates it", ""),
    [FINDING_DEFERRED_DAMAGED] =
        RUN("deferred.mdb: {why}", "mv {path} {path}.damaged",
            "the work in it will not be done, but new work can be deferred"),
    [FINDING_DEFERRED_UNREADABLE] = SAY("deferred.mdb: {why}", ""),
    [FINDING_DEFERRED_RECORDS_DAMAGED] =
        SAY("damaged records: {count}",
            "bide deferred list --dead, then bide deferred drop ID"),
    [FINDING_DEFERRED_DEAD] =
        SAY("{count} piece{s} of deferred work will not be tried again",
            "bide deferred list --dead, then bide deferred requeue or drop"),
    [FINDING_DEFERRED_OVERDUE] = SAY("deferred work has been due for {age}",
                                     "check that a worker runs: bide deferred "
                                     "work, or bide deferred replay"),
    [FINDING_DIRECTORY_UNREADABLE] = SAY("{path}: {why}", ""),
    [FINDING_DIRECTORY_WRITABLE] =
        RUN("{path}: users other than the owner can replace policies",
            "chmod g-w,o-w {path}", ""),
    [FINDING_REGISTRY_WRITABLE] =
        RUN("{path}: users other than the owner can change policies",
            "chmod g-w,o-w {path}", ""),
    [FINDING_REGISTRY_LOCK_OPEN] =
        RUN("{path}: users other than the owner can block changes",
            "chmod 600 {path}", ""),
    [FINDING_HISTORY_WRITABLE] =
        RUN("{path}: users other than the owner can change the history",
            "chmod g-w,o-w {path}", ""),
    [FINDING_HISTORY_LOCK_OPEN] =
        RUN("{path}: users other than the owner can block recorders",
            "chmod 600 {path}", ""),
    [FINDING_DEFERRED_OPEN] =
        RUN("{path}: all users can read or change deferred work",
            "chmod o-rwx {path}", ""),
    [FINDING_LIVE_OPEN] = RUN("{path}: all users can change statistics",
                              "chmod o-rwx {path}", ""),
    [FINDING_FILE_REFUSED] = RUN("{path}: {why}", "mv {path} {path}.away", ""),
    [FINDING_FILE_LINKED] =
        RUN("{path}: {why}", "cp -p {path} {path}.new && mv {path}.new {path}",
            "meanwhile nothing may write it"),
    [FINDING_FILE_IMMUTABLE] =
        RUN("{path} has an attribute that forbids changes",
            "chattr -i -a {path}", ""),
    [FINDING_FILE_OWNER] =
        RUN("{path} belongs to user {user}, its directory to user {owner}",
            "chown {owner} {path}", ""),
    [FINDING_GROUP_CANNOT_USE] =
        RUN("{path}: services cannot use it: group {owner} needs {why}",
            "chgrp {owner} {path} && chmod {why} {path}", ""),
    [FINDING_OWNER_CANNOT_USE] =
        RUN("{path}: services cannot use it: user {owner} needs {why}",
            "chown {owner} {path} && chmod {why} {path}", ""),
    [FINDING_WAY_CLOSED] =
        RUN("services cannot pass through {path}", "chmod a+x {path}", ""),
    [FINDING_LIVE_DIRECTORY_NONE] =
        RUN("{path} is missing and services cannot make it, so they count each "
            "for itself",
            "install -d -m {count} -o {user} -g {owner} {path}",
            "systemd-tmpfiles can make it at each boot"),
    [FINDING_LIVE_DIRECTORY_REFUSED] =
        RUN("{path}: no directory for live state: {why}",
            "mv {path} {path}.away && install -d -m {count} -o {user} -g "
            "{owner} {path}",
            ""),
    [FINDING_LIVE_DIRECTORY_OPEN] = RUN(
        "{path}: all users can replace the live file", "chmod o-w {path}", ""),
    [FINDING_LIVE_DIRECTORY_SHARED] =
        SAY("{path}: all users can make files there, so services of other "
            "users do not trust the live file",
            "create a new registry whose --live is a directory of its own"),
    [FINDING_LOCK_STOPPED] =
        RUN("{path} is locked by process {count} ({name}), which is stopped",
            "kill -CONT {count}", "until then others wait for it, and give up"),
    [FINDING_UNSEEN] =
        SAY("{path} was not checked: {why}", "run bide doctor as root"),
    [FINDING_INODES_NONE] = SAY(
        "{path}: the file system has no free inodes, so no file can be made",
        "remove files there"),

    [FINDING_DISK_FULL] =
        SAY("{path}: only {size} are free",
            "free space: changes, history and deferred work need it"),
    [FINDING_DISK_LOW] =
        SAY("{path}: only {size} are free",
            "free space: changes, history and deferred work need it"),
    [FINDING_MEMORY_FULL] =
        SAY("{path}: only {size} are free",
            "free space: without it, calls are not counted"),
    [FINDING_MEMORY_LOW] = SAY("{path}: only {size} are free",
                               "free space: without it, calls are not counted"),
    [FINDING_DISK_READ_ONLY] =
        RUN("{path} is on a read-only file system",
            "mount -o remount,rw \"$(findmnt -fno TARGET -T {path})\"", ""),
};

/* ---- templates ---- */

struct fact {
    const char *key;
    char text[2100];
};
enum { FACTS = 13 };

static void
write_facts(const struct doctor_finding *f, const char *bide, bool shell,
            struct fact facts[FACTS])
{
    char age[32], quoted[4 * sizeof(f->path) + 8];
    int i = 0;

#define FACT(name, ...)    \
    facts[i].key = (name); \
    snprintf(facts[i++].text, sizeof(facts->text), __VA_ARGS__)
    FACT("bide", "%s", bide);
    FACT("path", "%s",
         shell ? text_shell(f->path, quoted, sizeof(quoted)) : f->path);
    FACT("name", "%s", f->name);
    FACT("cell", "%s%s%s", f->name, *f->scope ? "/" : "", f->scope);
    FACT("others", "%s", f->count > 1 ? " and others" : "");
    FACT("version", "%u", f->version);
    FACT("count", "%llu", (unsigned long long)f->count);
    FACT("s", "%s", f->count == 1 ? "" : "s");
    FACT("user", "%u", f->user);
    FACT("owner", "%u", f->owner);
    FACT("size", "%s", text_bytes(f->bytes, age, sizeof(age)));
    FACT("age", "%s", duration_round(f->age_ns, age, sizeof(age)));
    FACT("why", "%s", *f->words ? f->words : bide_strerror(f->rc));
#undef FACT
    assert(i == FACTS);
}

static const char *
find_fact(const struct fact facts[FACTS], const char *key, size_t length)
{
    for (int i = 0; i < FACTS; i++) {
        if (strlen(facts[i].key) == length &&
            memcmp(facts[i].key, key, length) == 0) {
            return facts[i].text;
        }
    }
    assert(!"the template names an unknown fact");
    return "";
}

/* Writes the template with its facts to `out`, cut at `size`. */
static void
fill_template(const char *template, const struct fact facts[FACTS], char *out,
              size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    while (*template && used < size) {
        size_t length = strcspn(template, "{");

        used += (size_t)snprintf(out + used, size - used, "%.*s", (int)length,
                                 template);
        template += length;
        if (*template == '{' && used < size) {
            length = strcspn(++template, "}");
            used += (size_t)snprintf(out + used, size - used, "%s",
                                     find_fact(facts, template, length));
            template += length + 1;
        }
    }
}

void
findings_explain(const struct doctor_finding *f, const char *bide,
                 struct finding_words *out)
{
    struct explained *said = &out->said;
    struct fact facts[FACTS];
    char *rest;

    out->run[0] = '\0';
    if (f->failure) {
        explain(f->failure, said);
        return;
    }
    write_facts(f, bide, false, facts);
    fill_template(words[f->id].what, facts, said->why, sizeof(said->why));
    fill_template(words[f->id].to_do, facts, said->to_do, sizeof(said->to_do));
    write_facts(f, bide, true, facts);
    fill_template(words[f->id].run, facts, out->run, sizeof(out->run));
    rest = strchr(said->why, '\n');
    if (rest) { /* the remedy is the second line of {why} */
        *rest = '\0';
        snprintf(said->to_do, sizeof(said->to_do), "%s",
                 *out->run ? "" : rest + 1);
    }
}
