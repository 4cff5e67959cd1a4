/* All findings of doctor: FINDING(ID, LEVEL, area, WHAT, COMMAND, TO_DO), where
 * WHAT is wrong, a COMMAND for a shell that repairs it ("": there is none), and
 * what else there is TO_DO.  The three are templates: a fact of the finding is
 * put in place of its name in braces.  In a command, paths are quoted.
 *
 *   {bide}    the command bide, with its --dir
 *   {path} {name} {version} {count} {user}
 *   {cell}    the policy, with its scope: pay, pay/api.example.com
 *   {in}      " --scope api.example.com" if there is a scope
 *   {others}  " and others" if there are more policies than {name}
 *   {s}       "s" if {count} is not 1
 *   {size}    12.5 MiB
 *   {age}     27m
 *   {why}     the reason, in the words of the store
 *
 * Included where FINDING is defined, so it has no guard. */
/* clang-format off */
#define RECORD_EVERY_MINUTE \
    "enable bide-record.service, or run bide record --every 1m"

FINDING(FAILED, WRONG, registry, "no memory to keep the reason", "", "")
FINDING(PAGES_DAMAGED, WRONG, registry, "{why}", "", "services continue under "
        "the last good policies, but nothing can be changed; save the readable "
        "policies with bide export, move registry.mdb away, then run bide init "
        "and bide apply, and bide deferred repair to keep deferred work")
FINDING(REGISTRY_REMOVED, WRONG, registry, "{path}: there is no registry.mdb, "
        "but history or deferred work of a registry", "", "put registry.mdb "
        "back; or run bide init and bide apply, and bide deferred repair to "
        "keep the deferred work: the history begins anew")
FINDING(VERSION_DAMAGED, WRONG, registry, "{why}", "", "policies in force are "
        "whole, but this one of the past cannot be shown or returned to; "
        "restore registry.mdb from a backup, or leave it so")
FINDING(PAGES_BUSY, NOTE, registry, "the registry changed all the time, so its "
        "pages were not checked", "", "run bide doctor again")
FINDING(POLICY_INVALID, WRONG, registry, "{name}: version {version} is not "
        "valid: {why}", "{bide} rollback {name}", "or correct it with bide set")
FINDING(RESTORE_CUT, WRONG, registry, "a restore was interrupted: the files "
        "that it has not put in place are in {path}", "{bide} init", "that "
        "finishes it; until then no policy can be changed")
FINDING(NO_POLICIES, NOTE, registry, "there are no policies yet", "",
        "apply a policy file with bide apply")
FINDING(SERVICE_CANNOT_READ, WRONG, registry, "a service could not read the "
        "registry {age} ago: {why}", "", "check that the service may read "
        "registry.mdb; the next service that can read it withdraws this report")

FINDING(LIVE_NONE, NOTE, live, "no service has started yet, so there are no "
        "statistics", "", "")
FINDING(LIVE_REMOVED, WRONG, live, "{path} was removed, and calls that were "
        "not recorded may be missing", "", "nothing to do: the next service "
        "creates a new one, and one that runs does so within 5 s of calls")
FINDING(LIVE_STALE, NOTE, live, "{path} is from an earlier boot, or was cut "
        "short", "", "nothing to do: the next service creates a new one")
FINDING(LIVE_FOREIGN, WRONG, live, "{path} is not a live file of this "
        "registry, so services share no live state", "mv {path} {path}.foreign",
        "")
FINDING(LIVE_OF_COPY, NOTE, live, "this registry is a copy of {path}, so it "
        "has live state of its own", "", "")
FINDING(LIVE_FORBIDDEN, UNKNOWN, live, "{path} was not checked: {why}", "",
        "run bide doctor as root, or as a member of the group that owns the "
        "file")
FINDING(LIVE_UNREADABLE, WRONG, live, "{path}: {why}", "", "until it can be "
        "opened, services count each for itself")
FINDING(LIVE_UNSHARED, WRONG, live, "{path} is not the live file that is "
        "recorded: services elsewhere use another one", "", "in a container, "
        "mount the directory of the host's live file there")
FINDING(LIVE_NEWER, WRONG, live, "{path} was made by a newer bide, so programs "
        "with this one count each for itself", "", "use the newer bide; its "
        "doctor names the programs that must be started again")
FINDING(LIVE_ON_DISK, NOTE, live, "{path} is not on a tmpfs, so calls may "
        "stall while the disk is written", "", "create a new registry with its "
        "live file on a tmpfs: bide init --live /run/bide")
FINDING(LIVE_SCALE, WRONG, live, "{path} has a clock speed that is not this "
        "host's, so each program measures it for itself: another program wrote "
        "into the file, or the host was moved", "mv {path} {path}.spoilt",
        "that begins all statistics since the last recording anew; programs "
        "that started before the speed changed measure wrong latencies")
FINDING(COUNT_IMPOSSIBLE, WRONG, live, "{cell}: {why}: another program wrote "
        "into the live file", "mv {path} {path}.spoilt", "that begins all "
        "statistics since the last recording anew; or ignore those of this "
        "policy")
FINDING(BREAKER_INVALID, WRONG, live, "{cell}: the state of the breaker is not "
        "valid, so calls go on without it", "{bide} breaker {name} reset{in}",
        "")
FINDING(BUDGET_INVALID, WRONG, live, "{cell}: the state of the budget is not "
        "valid, so calls go on without it", "{bide} budget {name} reset{in}",
        "")
FINDING(CHANGE_UNANNOUNCED, WRONG, live, "a change was stored but not "
        "announced: {name}{others}; calls that run do not follow it yet",
        "{bide} record", "each recording announces it")
FINDING(GATE_WRONG, WRONG, live, "calls do not follow the registry: "
        "{name}{others}; another program wrote into the live file", "{bide} "
        "record", "each recording repairs it")
FINDING(POLICY_UNDEFINED, NOTE, live, "services ask for a policy that is not "
        "defined: {name}{others}", "", "define it with bide apply FILE; bide "
        "list shows who asks for it")
FINDING(SCOPES_TOO_MANY, NOTE, live, "too many scopes, so the newest ones "
        "share the scope @others: {name}{others}", "", "use a scope for each "
        "host, not for each customer or request")
FINDING(CELLS_NAMELESS, NOTE, live, "{count} unusable cell{s} of half a KiB: a "
        "process was killed while it created one", "", "")
FINDING(CELLS_REFUSED, WRONG, live, "{count} time{s} there was no cell for a "
        "policy or scope", "", "use fewer policies and scopes")
FINDING(CELLS_OF_PROCESS, WRONG, live, "{count} time{s} a process that has an "
        "eighth of all cells asked for another: calls of the names without a "
        "cell are in no statistics", "", "use fewer policies and scopes in one "
        "process; bide list shows those that have a cell")
FINDING(MEMORY_REFUSED, WRONG, live, "{count} time{s} there was no memory for "
        "counters, so statistics are incomplete", "", "{why}; the next call "
        "that gets memory withdraws this report")
FINDING(WAITING_CALLS_FULL, WRONG, live, "{count} calls wait, all that bide "
        "calls can list", "", "others wait as well, and follow changes, but "
        "are not listed")
FINDING(WAITING_CALLS_DEAD, NOTE, live, "{count} waiting call{s} of processes "
        "that died", "", "nothing to do: the entries are freed later, and "
        "delay no other call")
FINDING(CALLS_UNENDED, NOTE, live,
        "{why} closed its registry {age} ago with {count} call{s} in "
        "progress, and has not ended all", "",
        "nothing while they wait or retry; if this stays, a thread hangs in an "
        "attempt, or has left its call without bide_call_abandon")

FINDING(HISTORY_NONE, NOTE, history, "nothing was recorded yet, so there are "
        "only current statistics", "", RECORD_EVERY_MINUTE)
FINDING(HISTORY_REMOVED, WRONG, history, "history.mdb was removed: what was "
        "counted before is missing, or will be one interval of the present "
        "versions", "{bide} record", "if history.mdb was moved away, put it "
        "back with mv -n instead")
FINDING(PUT_BACK, WRONG, history, "{why}", "{bide} record", "that notes it in "
        "the audit; or first put the newer file back")
FINDING(HISTORY_DAMAGED, WRONG, history, "history.mdb: {why}", "rm -f {path} "
        "&& {bide} record", "it keeps all readable records in a new file")
FINDING(HISTORY_BROKEN, WRONG, history, "history.mdb: {why}", "mv {path} "
        "{path}.damaged && {bide} record", "nothing in it can be read; a new "
        "file is created")
FINDING(HISTORY_FOREIGN, WRONG, history, "history.mdb: {why}", "mv {path} "
        "{path}.other && {bide} record", "a new file is created")
FINDING(HISTORY_NEWER, WRONG, history, "{why}", "", "")
FINDING(HISTORY_UNREADABLE, UNKNOWN, history, "history.mdb was not checked: "
        "{why}", "", "mend what else is wrong, then run bide doctor as root")
FINDING(HISTORY_RECORDS_DAMAGED, WRONG, history, "damaged records and pages of "
        "history.mdb: {count}", "rm -f {path} && {bide} record", "until then "
        "they are skipped; it keeps all others in a new file")
FINDING(HISTORY_RECORDS_LOST, NOTE, history, "records and pages were lost in "
        "earlier damage: {count}", "", "")
FINDING(HISTORY_INTERVALS_LOST, NOTE, history, "{count} interval{s} left out, "
        "because the totals of the policy or scope before the interval were "
        "damaged", "", "")
FINDING(HISTORY_TOO_LARGE, NOTE, history, "the file has {size}, more than "
        "--keep-size allows", "", "if recorders have another --keep-size, give "
        "it to bide doctor too")
FINDING(HISTORY_IN_FUTURE, NOTE, history, "the time of the last recording is "
        "in the future", "", "check the clock of this host")
FINDING(HISTORY_CLOCK, NOTE, history, "the clock was set {why} since the host "
        "was started, and the times of the history did not follow", "",
        "they do after the next start of the host")
FINDING(HISTORY_ANEW, NOTE, history, "{age} ago: {why}", "", "")
FINDING(MARKS_REFUSED, NOTE, history, "{count} time{s} counts of earlier "
        "versions joined those of a later one: there was no space to note "
        "where each ends", "", "record more often")
FINDING(HISTORY_STOPPED, WRONG, history, "the recorder has stopped: nothing "
        "was recorded for {age}", "{bide} record", RECORD_EVERY_MINUTE)
FINDING(HISTORY_ONCE, NOTE, history, "nothing was recorded for {age}, and no "
        "recorder was ever started", "", RECORD_EVERY_MINUTE)
FINDING(HISTORY_OLD_FILE, NOTE, history, "{path} ({size}) is the old file, "
        "kept because it was damaged", "", "remove it if nobody wants to "
        "examine it")

FINDING(DEFERRED_REMOVED, WRONG, deferred, "deferred.mdb is missing; up to "
        "{count} piece{s} of deferred work were in it or are in "
        "deferred.journal", "{bide} deferred repair", "{why}")
FINDING(DEFERRED_LOST, WRONG, deferred, "up to {count} piece{s} of deferred "
        "work may be missing: a file of the queue was removed, cut, damaged or "
        "replaced", "{bide} deferred repair", "{why}")
FINDING(DEFERRED_ANEW, WRONG, deferred, "deferred.mdb was removed; deferred "
        "work may have been in it", "{bide} deferred repair", "{why}")
FINDING(DEFERRED_JOURNAL_GONE, WRONG, deferred, "deferred.journal is missing "
        "or is that of another deferred.mdb; deferred work may have been in it",
        "{bide} deferred repair", "{why}")
FINDING(DEFERRED_UNLISTED, WRONG, deferred, "{count} piece{s} of deferred work "
        "are in no list, so no worker finds them", "{bide} deferred repair",
        "the next worker does so too")
FINDING(DEFERRED_FOREIGN, WRONG, deferred, "deferred.mdb was made for another "
        "registry", "{bide} deferred repair", "if its work does not belong "
        "here, move it and deferred.journal away instead")
FINDING(DEFERRED_DAMAGED, WRONG, deferred, "deferred.mdb: {why}", "{bide} "
        "deferred repair", "it keeps what can be read; the damaged file stays "
        "as deferred.mdb.damaged")
FINDING(DEFERRED_FORMAT, WRONG, deferred, "deferred.mdb: {why}", "mv {path} "
        "{path}.other && {bide} deferred repair", "a new file is created")
FINDING(DEFERRED_NEWER, WRONG, deferred, "{why}", "", "")
FINDING(DEFERRED_UNREADABLE, UNKNOWN, deferred, "deferred.mdb was not checked: "
        "{why}", "", "mend what else is wrong, then run bide doctor as root")
FINDING(DEFERRED_RECORDS_DAMAGED, WRONG, deferred, "damaged records of "
        "deferred.mdb: {count}", "{bide} deferred repair", "")
FINDING(DEFERRED_PIECES_DAMAGED, WRONG, deferred, "{count} damaged piece{s} of "
        "deferred work cannot be done", "{bide} deferred drop {why}",
        "see bide deferred show ID")
FINDING(DEFERRED_FULL, WRONG, deferred, "{name}: {count} piece{s} of deferred "
        "work, as many as defer_max allows: more is refused", "{bide} set "
        "{name} defer_max={version}", "or have it done: bide deferred work, or "
        "bide deferred replay")
FINDING(DEFERRED_DEAD, WRONG, deferred, "{count} piece{s} of deferred work "
        "will not be tried again", "", "bide deferred list --dead, then bide "
        "deferred requeue or drop")
FINDING(DEFERRED_OVERDUE, WRONG, deferred, "deferred work has been due for "
        "{age}", "", "check that a worker runs: bide deferred work, or bide "
        "deferred replay")

FINDING(RIGHTS_WRONG, WRONG, rights, "{path}{others}: {why}, so those who "
        "should use it cannot", "{bide} init", "run it as root, or as the "
        "owner of the registry")
FINDING(RIGHTS_OPEN, WRONG, rights, "{path}{others}: {why}, so more users can "
        "use it than should", "{bide} init", "run it as root, or as the owner "
        "of the registry")
FINDING(FILE_REFUSED, WRONG, rights, "{path}: {why}", "mv {path} {path}.away",
        "")
FINDING(LIVE_LINKED, WRONG, rights, "{path}: {why}", "target=$(readlink -f "
        "{path}) && rm {path} && mv \"$target\" {path}", "")
FINDING(LIVE_NAMED_TWICE, WRONG, rights, "{path}: {why}", "find \"$(findmnt "
        "-fno TARGET -T {path})\" -xdev -samefile {path} -print0 | grep -zvFxe "
        "\"$(realpath {path})\" | xargs -0r rm", "")
FINDING(FILE_LINKED, WRONG, rights, "{path}: {why}", "cp -p {path} {path}.new "
        "&& mv {path}.new {path}", "meanwhile nothing may write it")
FINDING(FILE_IMMUTABLE, WRONG, rights, "{path} has an attribute that forbids "
        "changes", "chattr -i -a {path}", "")
FINDING(SERVICE_OUTSIDE, WRONG, rights, "process {count} ({name}) of user "
        "{user} uses this registry, but may not read it or write {path}: it "
        "follows no change, or counts for itself", "", "make the user a member "
        "of the group that owns these files, and start the program again")
FINDING(SERVICE_OLDER, WRONG, rights, "process {count} ({name}) of user {user} "
        "runs with libbide {why}, which is older than this command, and does "
        "not follow this registry or its live file", "", "start it again with "
        "the newer library: until then its calls go on under the last good or "
        "declared rules, and are not counted here")
FINDING(WAY_CLOSED, WRONG, rights, "services cannot pass through {path}",
        "chmod a+x {path}", "")
FINDING(LIVE_DIRECTORY_NONE, WRONG, rights, "{path} is missing and services "
        "cannot make it, so they count each for itself", "{bide} init",
        "systemd-tmpfiles can make it at each boot")
FINDING(LIVE_DIRECTORY_REFUSED, WRONG, rights, "{path}: no directory for live "
        "state: {why}", "mv {path} {path}.away && {bide} init", "")
FINDING(LIVE_DIRECTORY_SHARED, WRONG, rights, "{path}: {why}", "",
        "create a new registry whose --live is a directory of its own")
FINDING(LOCK_STOPPED, WRONG, rights, "{path} is locked by process {count} "
        "({name}), which is stopped", "kill -CONT {count}", "until then others "
        "wait for it, and give up")
FINDING(UNSEEN, UNKNOWN, rights, "{path} was not checked: {why}", "",
        "run bide doctor as root")

FINDING(INODES_NONE, WRONG, space, "{path}: the file system has no free "
        "inodes, so no file can be made", "", "remove files there")
FINDING(SPACE_FULL, WRONG, space, "{path}: only {size} are free", "",
        "free space: {why}")
FINDING(SPACE_LOW, NOTE, space, "{path}: only {size} are free", "", "free "
        "space: {why}")
FINDING(DISK_READ_ONLY, WRONG, space, "{path} is on a read-only file system",
        "mount -o remount,rw \"$(findmnt -fno TARGET -T {path})\"", "")

#undef RECORD_EVERY_MINUTE
#undef FINDING
/* clang-format on */
