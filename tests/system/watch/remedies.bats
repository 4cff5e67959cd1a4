#!/usr/bin/env bats
# Each fault is made in a fresh registry.  doctor must report it; the command that
# it prints must mend it.
load ../registry
load remedies

GATES=2686976 # of the first cell, in the live file

# unannounced COMMAND...: runs the command as a writer that is killed after its
# commit.
unannounced() {
    mv "$T/live" "$T/away"
    bide "$@" >/dev/null
    rm -rf "$T/live"
    mv "$T/away" "$T/live"
}

@test "a gate that disagrees with the registry" {
    shop
    bide pause pay >/dev/null
    gives 75 bide exec pay -- true
    # The gate of another time: calls go again.
    poke "$(live_file)" $GATES 0000
    gives 0 bide exec pay -- true || true
    poke "$(live_file)" $GATES 0000
    mends "calls do not follow the registry: pay"
    gives 75 bide exec pay -- true
    # A commit that is still to come, and a policy that seems to be undefined.
    poke "$(live_file)" $GATES 2000ffffffffff00
    mends "calls do not follow the registry: pay"
    # Saying it again repairs it too.
    poke "$(live_file)" $GATES 0000
    gives 0 bide pause pay
    gives 0 bide doctor
    gives 75 bide exec pay -- true
}

@test "changes that were committed and not announced" {
    shop
    bide exec pay -- true
    unannounced pause pay
    mends "a change was stored but not announced: pay"
    bide resume pay >/dev/null
    unannounced delete pay
    mends "a change was stored but not announced: pay"
    gives 0 bide doctor
    says "not defined: pay"
    # The next change announces the earlier one too.
    bide exec mail -- true
    unannounced pause mail
    bide rollback pay >/dev/null
    gives 0 bide doctor
    gives 75 bide exec mail -- true
}

@test "numbers and states that are not possible" {
    shop
    bide set pay breaker=on budget=own >/dev/null
    bide exec pay -- true
    bide exec mail -- true
    bide exec --scope api pay -- true
    local first=$GATES pay scope
    # The cells of pay, mail, and pay/api: breaker at 128, budget at 64.
    pay=$(live_file)
    poke "$pay" $((first + 128)) ffffffffffffffff
    mends "pay: the state of the breaker is not valid"
    poke "$pay" $((first + 64)) ffffffffffffffff
    mends "pay: the state of the budget is not valid"
    poke "$pay" $((first + 2 * 512 + 128)) ffffffffffffffff
    mends "pay/api: the state of the breaker is not valid"
    # mail has neither.
    poke "$pay" $((first + 512 + 128)) ffffffffffffffff
    gives 0 bide doctor
    python3 - "$pay" <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    head = f.read(48)
    f.seek(struct.unpack_from("<I", head, 24)[0] * 512 + 2686976)
    f.write(b"\xff" * 8)
END
    mends "pay: the number of attempts is larger than possible"
    bide exec pay -- true
    gives 0 bide stats pay --json
    json 'j["policies"][0]["attempts"] == 1'
}

# ---- who may use the files ----

# shared: makes a registry of root whose services are members of group 4242, and
# whose operators are members of 4243.
shared() {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to give files to a group"
    admit_others
    bide init --group 4242 --operators 4243 >/dev/null
    shop
    member exec pay -- true
    [ "$(stat -c %g "$(live_file)")" = 4242 ]
    gives 0 bide doctor
}

# member COMMAND...: runs bide as a service, a user of that group.
member() {
    setpriv --reuid=4343 --regid=4242 --clear-groups "$BIDE" --dir "$DIR" "$@"
}

# counted COMMAND...: fails unless calls of services are counted together.
counted() {
    local before
    before=$(bide stats pay --json | python3 -S -c 'import json, sys
print(json.load(sys.stdin)["policies"][0]["attempts"])')
    member exec pay -- true
    gives 0 bide stats pay --json
    json "j['policies'][0]['attempts'] == $before + 1"
}

teardown() {
    while umount -l "$T"/mount/* 2>/dev/null; do :; done
    chattr -R -i "$T" 2>/dev/null
    true
}

@test "files and directories that services cannot use" {
    shared
    local live way words fault
    live=$(live_file)
    way=$T
    bide init >/dev/null
    chown 0 "$live"
    while IFS='|' read -r words fault; do
        eval "$fault"
        mends "$words"
        counted
    done <<END
$DIR: root:4242 0745, not root:4242 0755, so those who|chmod g-x "$DIR"
$DIR: root:4242 0757, not root:4242 0755, so more users|chmod o+w "$DIR"
$DIR/policies: root:4243 0775, not root:4243 2775|chmod g-s "$DIR/policies"
$DIR/policies: root:root 2775, not root:4243|chgrp 0 "$DIR"/policies; chmod g+s "$DIR/policies"
$DIR/policies/registry.mdb: root:4243 0660, not root:4243 0664|chmod o-r "$DIR/policies/registry.mdb"
$DIR/policies/registry.mdb: root:root 0664, not root:4243|chgrp 0 "$DIR/policies/registry.mdb"
$DIR/policies/registry.lock: root:4243 0664, not root:4243 0660, so more|chmod o+r "$DIR/policies/registry.lock"
$DIR/policies and others: 4343:root 0755, not root:4243 2775|chmod g-s "$DIR/policies"; chown -R 4343:0 "$DIR/policies"; chmod 755 "$DIR/policies"
$DIR/deferred: root:4242 0770, not|chmod g-s "$DIR/deferred"
$DIR/deferred/deferred.mdb: root:root 0660, not root:4242|chgrp 0 "$DIR/deferred/deferred.mdb"
$DIR/deferred/deferred.journal: root:4242 0640, not|chmod g-w "$DIR/deferred/deferred.journal"
$DIR/deferred/deferred.mdb: root:4242 0664, not root:4242 0660, so more|chmod o+r "$DIR/deferred/deferred.mdb"
$T/live: root:4242 2751, not root:4242 2771|chmod 2751 "$T/live"
$T/live: root:root 2771, not root:4242|chgrp 0 "$T/live"; chmod g+s "$T/live"
$T/live: root:4242 2773, not root:4242 2771, so more|chmod o+w "$T/live"
$live: root:4242 0600, not|chmod 600 "$live"
$live: root:root 0664, not root:4242|chown 0:0 "$live"
$live: root:4242 0666, not root:4242 0664, so more|chmod o+w "$live"
services cannot pass through $way|chmod 700 "$way"
END
}

@test "files that their owner cannot use" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be another user"
    admit_others
    mkdir "$T/home"
    chown 4343:4343 "$T/home"
    DIR=$T/home/registry
    owner() {
        setpriv --reuid=4343 --regid=4343 --clear-groups "$BIDE" --dir "$DIR" "$@"
    }
    owner init --live "$T/home/live" >/dev/null
    shop
    chown -R 4343:4343 "$T/home"
    owner exec pay -- true
    local words fault
    while IFS='|' read -r words fault; do
        eval "$fault"
        mends "$words, so those who should use it cannot"
        owner set pay attempts=$((RANDOM % 90 + 1)) >/dev/null
    done <<END
$DIR: 4343:4343 0555, not 4343:4343 0755|chmod 555 "$DIR"
$DIR/policies/registry.lock: 4343:4343 0400, not 4343:4343 0640|chmod 400 "$DIR/policies/registry.lock"
$DIR/policies/registry.mdb: root:4343 0644, not 4343:4343 0644|chown 0 "$DIR/policies/registry.mdb"
$DIR/policies/registry.mdb: 4343:4343 0400, not 4343:4343 0644|chmod 400 "$DIR/policies/registry.mdb"
$DIR/deferred/deferred.mdb: 4343:4343 0400, not 4343:4343 0600|chmod 400 "$DIR/deferred/deferred.mdb"
$T/home/live: 4343:4343 0500, not 4343:4343 0711|chmod 500 "$T/home/live"
$(echo "$T"/home/live/*.live): 4343:4343 0400, not 4343:4343 0644|chmod 400 "$T"/home/live/*.live
END
}

@test "a live directory that is missing, or has something in its place" {
    shared
    rm -r "$T/live"
    mends "$T/live is missing and services cannot make it"
    member exec pay -- true
    counted
    rm -r "$T/live"
    : >"$T/live"
    mends "$T/live: no directory for live state: Not a directory"
    member exec pay -- true
    counted
    mv "$T/live" "$T/elsewhere"
    ln -s elsewhere "$T/live"
    rm "$T/live.away"
    mends "$T/live: this is a symbolic link"
    member exec pay -- true
    counted
    # The directory of a session that has ended.
    "$BIDE" --dir "$T/other" init --live "$T/session/bide" >/dev/null
    rm -r "$T/session"
    DIR=$T/other
    mends "$T/session/bide is missing and services cannot make it"
    [ "$(stat -c %a "$T/session/bide")" = 711 ]
}

@test "something else in the place of a file" {
    shop
    bide exec pay -- true
    local live
    live=$(live_file)
    rm "$live"
    mkdir "$live"
    mends "$live: this is a directory, not a file"
    rm "$DIR/policies/registry.lock"
    mkdir "$DIR/policies/registry.lock"
    mends "$DIR/policies/registry.lock: this is a directory, not a file"
    rm -f "$DIR/policies/registry.lock"
    mkfifo "$DIR/policies/registry.lock"
    rmdir "$DIR/policies/registry.lock.away"
    mends "$DIR/policies/registry.lock: this is a device, pipe or socket"
    mv "$DIR/policies/registry.mdb" "$T/moved.mdb"
    ln -s "$T/moved.mdb" "$DIR/policies/registry.mdb"
    mends "$DIR/policies/registry.mdb: this is a symbolic link"
    ln "$DIR/policies/registry.mdb" "$T/second"
    mends "$DIR/policies/registry.mdb: the file has a second name"
    gives 0 bide set pay attempts=2
    cp "$live".away/../*.bell "$T" 2>/dev/null || true
    "$BIDE" --dir "$T/other" init --live "$T/live" >/dev/null
    "$BIDE" --dir "$T/other" exec x -- true
    rm -rf "$live" "$live.away"
    mv "$T"/live/*.live "$live"
    mends "$live is not a live file of this registry"
}

@test "a directory in the place of a file is one finding, mended by its command" {
    shop
    bide exec pay -- true
    bide record
    local path live
    live=$(live_file)
    for path in "$DIR"/history/history.{lock,checked} "$live" "$live.bell"; do
        rm -f "$path"
        mkdir "$path"
        finding "$path: this is a directory, not a file"
        json 'j["wrong"] == 1'
        mends "$path: this is a directory, not a file"
    done
    rm "$DIR/history/history.mdb"
    mkdir "$DIR/history/history.mdb"
    finding "$DIR/history/history.mdb: this is a directory, not a file"
    json 'j["wrong"] == 1'
    bash -c "$command"
    bide record
    gives 0 bide doctor
    rm "$DIR/deferred/deferred.mdb"
    mkfifo "$DIR/deferred/deferred.mdb"
    finding "$DIR/deferred/deferred.mdb: this is a device, pipe or socket"
    json 'j["wrong"] == 1'
}

@test "a bell that services cannot ring" {
    shared
    local bell
    bell=$(live_file).bell
    chmod 640 "$bell"
    mends "$bell: root:4242 0640, not root:4242 0660"
    rm "$bell"
    setpriv --reuid=4344 --regid=4344 --clear-groups mkfifo "$T/fifo" 2>/dev/null || mkfifo "$T/fifo"
    chown 4344 "$T/fifo"
    mv "$T/fifo" "$bell"
    mends "$bell: this is a device, pipe or socket"
    bide pause pay >/dev/null
    [ -f "$bell" ]
}

@test "a clock speed that is not this host's" {
    shop
    bide exec pay -- true
    gives 0 bide doctor
    python3 - "$(live_file)" <<'END' || skip "the counter of this CPU is not used"
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(72)
    mult = struct.unpack("<Q", f.read(8))[0]
    f.seek(72)
    f.write(struct.pack("<Q", mult * 3))
sys.exit(mult == 0)
END
    mends "has a clock speed that is not this host's"
}

@test "paths with blanks and quotes are mended too" {
    DIR="$T/a b\$(touch $T/hurt)'s \"x\";&"
    bide init --live "$T/l i'v\"e" >/dev/null
    shop
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    chmod o+w "$DIR"
    mends "0757, not root:root 0755, so more users can use it than should"
    bide exec pay -- true
    bide pause pay >/dev/null
    poke "$(echo "$T"/l*/*.live)" $GATES 0000
    mends "calls do not follow the registry"
    [ ! -e "$T/hurt" ]
}

# ---- what keeps files from being changed ----

@test "files with an attribute that forbids changes" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, for chattr"
    : >"$T/x"
    chattr +i "$T/x" 2>/dev/null || skip "the file system has no such attribute"
    chattr -i "$T/x"
    shop
    bide record
    local name
    for name in "" policies/registry.mdb policies/registry.lock policies/registry.checked \
        history/history.mdb deferred/deferred.mdb; do
        chattr +i "$DIR/$name"
        mends "$DIR${name:+/$name} has an attribute that forbids changes"
    done
    chattr +a "$DIR/policies/registry.mdb"
    mends "$DIR/policies/registry.mdb has an attribute that forbids changes"
    gives 0 bide set pay attempts=7
}

@test "a lock that a stopped process holds" {
    shop
    flock "$DIR/policies/registry.lock" sleep 1000 3>&- &
    local holder=$!
    until_it grep -q "FLOCK.*:$(stat -c %i "$DIR/policies/registry.lock") " /proc/locks
    gives 0 bide doctor
    kill -STOP $holder
    until_it grep -q '^State:.*stopped' "/proc/$holder/status"
    mends "registry.lock is locked by process $holder (flock), which is stopped"
    until_it grep -q '^State:.*sleeping' "/proc/$holder/status"
    pkill -P $holder
    wait $holder || true
}

# locked FILE: starts $holder, which keeps the lock of the file that flock took
# for it before it ended, and stops it.
locked() {
    bash -c 'exec 8>>"$1"; flock 8; exec sleep 1000' - "$1" 3>&- &
    holder=$!
    until_it grep -q "FLOCK" "/proc/$holder/fdinfo/8"
    kill -STOP "$holder"
    until_it grep -q '^State:.*stopped' "/proc/$holder/status"
}

@test "a lock whose taker has ended, that a stopped child holds" {
    shop
    bide exec pay -- true
    locked "$DIR/deferred/deferred.mdb"
    mends "deferred.mdb is locked by process $holder ("
    kill -9 "$holder"
    # Nobody waits for the lock of this file.
    locked "$DIR/policies/registry.mdb"
    gives 0 bide doctor
    kill -9 "$holder"
    gives 0 bide doctor
}

# mounted OPTIONS: mounts a file system of its own at $T/mount/N.
mounted() {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to mount a file system"
    mkdir -p "$T/mount/$1"
    mount -t tmpfs -o "$2" none "$T/mount/$1" || skip "cannot mount a tmpfs"
}

@test "file systems that are read-only, full, or without inodes" {
    mounted registry size=64m,nr_inodes=20
    mounted live size=64m
    local m=$T/mount
    DIR=$m/registry/r
    bide init --live "$m/live/l" >/dev/null
    shop
    bide exec pay -- true
    gives 0 bide doctor
    mount -o remount,ro "$m/registry"
    mends "$DIR is on a read-only file system"
    mount -o remount,ro "$m/live"
    mends "$m/live/l is on a read-only file system"
    mount --bind "$m/live" "$m/live"
    mount -o remount,bind,ro "$m/live"
    mends "$m/live/l is on a read-only file system"
    local i
    for ((i = 0; i < 20; i++)); do
        : >"$m/registry/$i" || break
    done 2>/dev/null
    finding "no free inodes"
    rm "$m"/registry/[0-9]*
    gives 0 bide doctor
    head -c 60m /dev/zero >"$m/registry/fill" 2>/dev/null || true
    finding "MiB are free"
    rm "$m/registry/fill"
    gives 0 bide doctor
}

@test "doctor names what its user may not look at" {
    shared
    gives_fault_as() {
        run setpriv --reuid=4344 --regid="$1" --clear-groups "$BIDE" --dir "$DIR" doctor
        [ "$status" -eq "$2" ] || { echo "$output" && return 1; }
    }
    gives_fault_as 4242 1
    says "unknown rights: $DIR/policies/registry.lock was not checked: Permission denied"
    says "Nothing is wrong in what could be checked."
    bide init --private >/dev/null
    gives_fault_as 4345 6
    says_not "Nothing is wrong"
}

# ---- alarms ----

@test "an alarm ends with the next success" {
    shop
    bide set pay wait_initial=1ms wait_max=1ms retry_on=any >/dev/null
    # The registry is gone while a call waits.
    gives 1 bide exec pay -- sh -c "mv '$DIR/policies/registry.mdb' '$T/away' 2>/dev/null; exit 1"
    mv "$T/away" "$DIR/policies/registry.mdb"
    finding "a service could not read the registry"
    gives 0 bide exec order -- true
    gives 0 bide doctor
    # No space for the counters of a policy.
    mounted live size=8m
    DIR=$T/second
    bide init --live "$T/mount/live/l" >/dev/null
    shop
    bide exec pay -- true
    head -c 8m /dev/zero >"$T/mount/live/fill" 2>/dev/null || true
    bide exec --quiet order -- true
    bide exec --quiet order -- true
    finding "there was no memory for counters"
    finding " are free"
    rm "$T/mount/live/fill"
    mount -o remount,size=64m "$T/mount/live"
    gives 1 bide doctor
    says "has room now" "1 fault found"
    bide exec order -- true
    gives 0 bide doctor
}

@test "a registry that a link leads to" {
    shop
    ln -s "$DIR" "$T/link"
    gives 0 "$BIDE" --dir "$T/link" doctor
    says "Nothing is wrong"
}

@test "the group of deferred/ is that of the services" {
    shared
    chgrp 0 "$DIR"
    mends "$DIR: root:root 0755, not root:4242 0755"
    chgrp 4244 "$DIR"
    mends "$DIR: root:4244 0755, not root:4242 0755"
    # The live directory knows it too.
    chgrp -R 0 "$DIR"
    finding "$DIR and others: root:root 0755, not root:4242 0755"
    gives 0 bide init --operators 4243
    gives 0 bide doctor
    [ "$(stat -c %g "$DIR" "$DIR/deferred" "$DIR/policies" | xargs)" = "4242 4242 4243" ]
}

@test "an older copy of the registry that was put back" {
    shop
    cp -a "$DIR/policies/registry.mdb" "$T/older.mdb"
    bide set pay attempts=9 >/dev/null
    bide exec pay -- true
    bide record
    gives 0 bide doctor
    cp -a "$DIR/policies/registry.mdb" "$T/newer.mdb"
    cp -a "$T/older.mdb" "$DIR/policies/registry.mdb"
    finding "an older registry.mdb was put back"
    cp -a "$T/newer.mdb" "$DIR/policies/registry.mdb"
    gives 0 bide doctor
    cp -a "$T/older.mdb" "$DIR/policies/registry.mdb"
    mends "an older registry.mdb was put back"
    gives 0 bide audit
    says "an older registry.mdb was put back: the numbers of the versions"
    # The number 2 is not used again, and nothing takes its place.
    gives 0 bide set pay attempts=2
    says "v1 -> v3"
    gives 0 bide audit pay
    [[ $output == *"v1: created"*"v3: attempts "* ]]
    gives 3 bide show pay --version 2
    gives 0 bide rollback pay
    says "v3 -> v4 (as v1)"
    # Without a history too, until there is a recording.
    rm "$DIR"/history/*
    cp -a "$T/older.mdb" "$DIR/policies/registry.mdb"
    bide set pay attempts=5 >/dev/null
    finding "an older registry.mdb was put back"
    mends "an older registry.mdb was put back"
}

# wrong_clock COMMAND...: runs bide while the clock is 3h ahead of the host's.
wrong_clock() {
    FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 under_clock +3h "$@"
}

@test "a version made while the clock was wrong is of the same registry" {
    shop
    bide exec pay -- true
    bide record
    wrong_clock set pay attempts=9 >/dev/null
    bide exec pay -- true
    bide set pay attempts=8 >/dev/null
    gives 0 bide doctor
    says_not "an older copy"
    # The changes lie between the calls, as the history has them.
    gives 0 bide audit pay --json
    json 'max(e["when"] for e in j["entries"]) - min(e["when"] for e in j["entries"]) < 3600'
    gives 0 bide audit pay
    [[ $output == *"v1: created"*"v2: "*"v3: "* ]]
    gives 0 bide stats pay --by version --json
    json 'all(0 < v["in_force_s"] < 3600 for v in j["rows"] if v["version"] == 2)'
}

# damage WORDS: flips a bit in each copy of the words in registry.mdb.
damage() {
    python3 - "$DIR/policies/registry.mdb" "$1" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = -1
while (at := data.find(sys.argv[2].encode(), at + 1)) >= 0:
    data[at] ^= 1
open(sys.argv[1], "wb").write(data)
END
}

@test "records of policies that are damaged" {
    shop
    bide set mail deadline=77m >/dev/null
    bide exec pay -- true
    damage "wait_max = 2s"
    DOCTOR_STATUS=6 finding "the record of pay is damaged"
    gives 6 bide doctor
    says "bide export" "bide init and bide apply"
    # As the words say.
    gives 6 bash -c "'$BIDE' --dir '$DIR' export 2>words >saved.ini"
    grep -q "the record of pay is damaged" words
    grep -q "deadline = 77m" saved.ini
    bash -c "'$BIDE' --dir '$DIR' export --json 2>words" | grep -q '"deadline":"77m"'
    grep -q "the record of pay is damaged" words
    mv "$DIR" "$T/damaged"
    bide init --live "$T/live" >/dev/null
    bide apply saved.ini >/dev/null
    gives 0 bide list
    says mail order
    gives 0 bide doctor
    # A version that is no longer in force.
    damage "attempts = unlimited"
    bide set mail attempts=3 >/dev/null 2>&1 || true
    DOCTOR_STATUS=6 finding "is damaged"
}

@test "files of a newer bide" {
    shop
    bide exec pay -- true
    poke "$(live_file)" 8 ff
    finding "was made by a newer bide"
    gives 0 bide exec pay -- true
}

@test "a service that is not in the group" {
    shared
    setpriv --reuid=4343 --regid=4242 --clear-groups "$BIDE" --dir "$DIR" exec pay -- sleep 1000 3>&- &
    local inside=$!
    setpriv --reuid=4344 --regid=4344 --clear-groups "$BIDE" --dir "$DIR" exec --quiet pay -- sleep 1000 3>&- &
    local outside=$!
    PATIENCE=40 until_it finding "process $outside (bide) of user 4344 uses this registry"
    [[ $output != *"of user 4343 uses this registry"* ]]
    # Another registry, whose name begins with the same words.
    "$BIDE" --dir "${DIR}2" init --live "$T/live2" >/dev/null
    chmod a+rx "${DIR}2"
    setpriv --reuid=4344 --regid=4344 --clear-groups "$BIDE" --dir "${DIR}2" exec --quiet pay -- sleep 1000 3>&- &
    local other=$!
    until_it grep -q exec "/proc/$other/cmdline"
    kill $outside
    wait $outside || true
    gives 0 bide doctor
    kill $other
    wait $other || true
    kill $inside
    wait $inside || true
}
