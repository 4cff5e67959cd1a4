#!/usr/bin/env bats
# The live file or its directory is removed under services of several users: all go
# on counting in the new one, by themselves, within 5 s.
load ../registry

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip_all "needs root, to start services of other users"
}

teardown() {
    exec 9>&-
    # shellcheck disable=SC2046 # words
    kill -TERM $(cat "$T/pids") 2>/dev/null || true
}

# as USER COMMAND...: in the group of services, in the place of this shell.
as() {
    echo "$BASHPID" >>"$T/pids"
    exec setpriv --reuid="$1" --regid=4242 --clear-groups env BIDE_DIR="$DIR" "${@:2}" 3>&- 9>&-
}

# Starts a service that is busy, one that makes a call on SIGUSR1, a call that is in
# its attempt until descriptor 9 is closed, and one that waits for its second attempt.
services() {
    admit_others
    bide init --group 4242 >/dev/null
    printf '[busy]\n[late]\n[idle]\n[long]\n[wait]\nretry_on = exit.9\nwait_initial = 1h\nwait_max = 1h\n' >policies.ini
    bide apply policies.ini >/dev/null
    mkfifo go
    as 4343 "$SERVICE" busy 1 &
    as 4344 "$SERVICE" idle 100000000 &
    IDLE=$!
    as 4343 "$BIDE" exec --quiet wait -- sh -c 'exit 9' &
    WAIT=$!
    as 4344 "$BIDE" exec --quiet long -- cat <go &
    exec 9>go
    until_it counts busy
    until_it counts idle
    until_it waits
}

# counts POLICY: reports that the live file has calls of it.
counts() {
    bide stats "$1" --json |
        python3 -c 'import json, sys; sys.exit(not json.load(sys.stdin)["policies"][0]["calls"]["succeeded"])'
}

waits() {
    bide calls --json | grep '"policy": *"wait"'
}

# All services count in the new live file.
all_follow() {
    until_it counts busy
    until_it waits
    # Made at least 5 s after the live file was removed, as is the end of the other.
    kill -USR1 "$IDLE"
    exec 9>&-
    until_it counts idle
    until_it counts long
    # An operator's change reaches the waiting call.
    bide set wait attempts=1 >/dev/null
    local status=0
    wait "$WAIT" || status=$?
    [ "$status" -eq 9 ]
    counts busy
    [ "$(stat --format %u:%g "$T"/live/*.live)" != 0:0 ]
}

@test "a live file that is removed" {
    services
    rm "$T"/live/*.live
    until_it counts busy # 5 s
    all_follow
}

@test "a live directory that is emptied, as by a cleaner of temporary files" {
    services
    rm "$T"/live/*
    until_it counts busy
    all_follow
}

@test "a live directory that is removed, which root makes again" {
    services
    until_it rm -r "$T/live" # a service may make a file in it meanwhile
    # A service that starts without it.
    as 4344 "$SERVICE" late 1 &
    gives 1 bide doctor
    says "$T/live is missing and services cannot make it, so they count each for itself"
    bide init >/dev/null
    until_it counts busy
    until_it counts late
    all_follow
}
