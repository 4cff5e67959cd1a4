#!/usr/bin/env bats
# Where calls are not counted, every screen says so.
load ../registry

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip_all "needs root, to give files to a group"
}

# shared: makes a registry of root whose services are members of group 4242, and
# in which one call was counted.
shared() {
    admit_others
    bide init --group 4242 --operators 4243 >/dev/null
    shop
    bide set pay breaker=on budget=own >/dev/null
    as 4242 exec pay -- true
    said ""
}

# as GROUP COMMAND...: runs bide as a user of that group.
as() {
    local group=$1
    shift
    setpriv --reuid=4343 --regid="$group" --clear-groups "$BIDE" --dir "$DIR" "$@"
}

# said WORDS: fails unless all screens say that calls are not counted; "": unless
# none says it.
said() {
    local expected=0 words=$1 command
    for command in list stats calls "breaker pay" "budget pay"; do
        # shellcheck disable=SC2086 # words
        gives 0 bide $command
        if [ "$words" ]; then
            says "note: calls may not be counted: " "$words" "; see: bide doctor"
        else
            says_not note:
        fi
        # shellcheck disable=SC2086 # words
        gives 0 bide $command --json
        json "('not_counted' in j) == bool('$words')"
    done
    [ -z "$words" ] || expected=3
    gives $expected bide check
    [ -z "$words" ] || says "BIDE UNKNOWN - calls may not be counted: " "$words"
    gives $expected bide check --json
    gives 0 bide metrics
    says "bide_counts_up $((expected == 0))"
}

teardown() {
    umount -l "$T/live" 2>/dev/null || true
}

@test "a live directory that services cannot make or use" {
    shared
    rm -r "$T/live"
    said "$T/live is missing and services cannot make it"
    # Root's services could make it, and then no other could use it.
    install -d -m 2770 "$T/live"
    as 4242 exec pay -- true
    said "$T/live: root:root 2770, not root:4242 2771"
    chgrp 4242 "$T/live"
    chmod 2751 "$T/live"
    said "$T/live: root:4242 2751, not root:4242 2771"
    chmod 2771 "$T/live"
    as 4242 exec pay -- true
    said ""
    chmod g-w "$T"/live/*.live
    said ".live: 4343:4242 0644, not 4343:4242 0664"
    chmod g+w "$T"/live/*.live
    chmod o-r "$DIR/policies/registry.mdb"
    said "$DIR/policies/registry.mdb: root:4243 0660, not root:4243 0664"
}

@test "a live directory on a read-only file system" {
    shared
    mkdir "$T/under"
    mount --bind "$T/live" "$T/live"
    mount -o remount,bind,ro "$T/live"
    as 4242 exec pay -- true
    gives 0 bide list
    says "note: calls may not be counted: $T/live is on a read-only file system"
    gives 3 bide check
    says "read-only"
    gives 0 bide breaker pay
    gives 6 bide breaker pay reset
    gives 0 bide metrics
    says "bide_counts_up 0"
}

@test "a live file that this user cannot read is no host without calls" {
    shared
    chmod 2770 "$T/live"
    for command in list stats calls; do
        gives 0 as 4545 $command
        says "note: calls are not shown: $T/live/" "was not checked: no permission"
        says_not "No calls yet."
        says_not "No calls are waiting."
    done
    for command in breaker budget; do
        gives 6 as 4545 $command pay
        says "no permission"
    done
    gives 0 as 4545 list --json
    json 'j["not_counted"] and all(p["breaker"] is None for p in j["policies"])'
    gives 3 as 4545 check
    # exec goes on, and says that its call is not counted.
    gives 0 as 4545 exec --verbose pay -- true
    says "exec pay: live state: no permission: the call is not counted"
}

@test "a service that is not in the group, while it runs" {
    shared
    mkfifo go
    as 4545 exec pay -- cat <go &
    exec 9>go
    until_it pgrep -f "$DIR exec pay"
    said "(bide) of user 4343 uses this registry, but may not read it or write $T/live"
    exec 9>&-
    wait
    said ""
}

@test "before the first service, nothing is wrong, and that is said" {
    shared
    rm "$T"/live/*
    gives 0 bide list
    says "note: no service has started yet"
    gives 0 bide check
    says "BIDE OK" "no service has started yet"
    gives 0 bide metrics
    says "bide_counts_up 1"
}

@test "a live file that was removed since a recording is no first start" {
    shared
    bide record >/dev/null
    said ""
    rm "$T"/live/*.live
    said ".live was removed, and calls that were not recorded may be missing"
    gives 1 bide doctor
    says "the next service creates a new one"
    as 4242 exec pay -- true
    said ""
}

@test "a live file that was removed before any recording is no first start" {
    shared
    rm "$T"/live/*.live
    said ".live was removed, and calls that were not recorded may be missing"
    gives 1 bide doctor
    says "nothing was recorded yet"
    as 4242 exec pay -- true
    said ""
}

@test "a live directory of all users, a live file of a newer bide" {
    shared
    chmod 1777 "$T/live"
    said "all users can make files there"
    chmod 2771 "$T/live"
    said ""
    printf '\143' | dd of="$(echo "$T"/live/*.live)" bs=1 seek=8 conv=notrunc status=none
    gives 0 bide list
    says "note: calls may not be counted: " "was made by a newer bide"
    gives 3 bide check
    says "was made by a newer bide"
}

# whose FILE...: prints mode, owner and group of each.
whose() {
    stat -c '%a %u %g' "$@"
}

@test "a live directory that root makes anew is for the group of the registry" {
    shared
    rm -r "$T/live"
    bide set pay attempts=5 >/dev/null
    [ "$(whose "$T/live" "$T"/live/*)" = $'2771 0 4242\n664 0 4242\n660 0 4242' ]
    as 4242 exec pay -- true
    said ""
    # So are files that are made anew.
    rm -r "$T/live" "$DIR"/deferred/*
    bide deferred put pay <<<x >/dev/null
    rm "$DIR"/deferred/deferred.checked
    bide deferred put pay <<<x >/dev/null
    bide record >/dev/null
    [ "$(whose "$T/live" "$DIR"/deferred/*)" = $'2771 0 4242\n660 0 4242\n660 0 4242\n660 0 4242' ]
    [ "$(whose "$DIR"/history/history.mdb)" = "664 0 4243" ]
}

@test "what root makes in the registry of another user belongs to that user" {
    admit_others
    mkdir "$T/own" "$T/run"
    chown 4343:4242 "$T/own" "$T/run"
    DIR=$T/own/registry
    as 4242 init --live "$T/run/live" >/dev/null
    bide apply - <<<$'[pay]\nattempts = 2\n' >/dev/null
    bide exec pay -- true
    [ "$(whose "$T/run/live" "$T"/run/live/*)" = $'711 4343 4242\n644 4343 4242\n640 4343 4242\n640 4343 4242' ]
    rm "$DIR"/deferred/* "$DIR"/policies/registry.lock
    bide deferred put pay <<<x >/dev/null
    bide deferred repair >/dev/null # accepts that the queue was removed
    bide record >/dev/null
    bide set pay attempts=3 >/dev/null
    run stat -c '%u:%g' "$DIR"/*
    [ "$(sort -u <<<"$output")" = 4343:4242 ]
    as 4242 set pay attempts=4 >/dev/null
    as 4242 record >/dev/null
    as 4242 exec pay -- true
    gives 0 as 4242 doctor
    says_not "belongs to user"
}
