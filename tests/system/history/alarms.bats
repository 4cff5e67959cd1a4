#!/usr/bin/env bats
# Alarms that a recorder tells of: --on-change, and the journal.
load ../registry
load recording

@test "a change of level runs the --on-change command once, with figures" {
    pay
    bide set pay warn_retry_rate=10% crit_retry_rate=90% warn_min_calls=4 >/dev/null
    working pay 3
    failing pay 3
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort >>'$T/told'; echo >>'$T/told'"
    local first=$!
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort >>'$T/told'; echo >>'$T/told'"
    local second=$!
    until_it grep -q BIDE_LEVEL=warning told
    sleep 2
    [ "$(grep -c '^BIDE_LEVEL' told)" -eq 1 ]
    grep -qx BIDE_POLICY=pay told
    grep -qx BIDE_OLD_LEVEL=ok told
    grep -qx BIDE_CALLS=6 told
    grep -qx BIDE_RETRIES_PCT=50.000 told
    bide set pay warn_retry_rate=60% >/dev/null
    until_it grep -q BIDE_LEVEL=ok told
    stop $first
    stop $second
}

@test "a breaker that opens and closes runs the --on-change command, by scope" {
    shop
    bide set pay retry_on=exit.9 attempts=1 breaker=on breaker_consecutive=2 \
        breaker_open_for=1h breaker_open_max=1h warn_breaker=none >/dev/null
    bide exec pay --scope a -- true
    # Of several recorders one tells of it.
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort | tr '\n' ' ' >>'$T/told'; echo >>'$T/told'"
    local first=$!
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort | tr '\n' ' ' >>'$T/told'; echo >>'$T/told'"
    local second=$!
    a_recording
    failing "pay --scope a" 2
    # A change records too, but is no recorder.
    bide set pay wait_max=3s >/dev/null
    until_it grep -q . told
    a_recording
    a_recording
    kill -STOP $first $second
    bide breaker pay reset --scope a >/dev/null
    failing "pay --scope a" 2
    kill -CONT $first $second
    until_it grep -q CLOSED=1 told
    bide breaker pay reset >/dev/null
    until_it grep -q BREAKER=closed told
    a_recording
    a_recording
    stop $first
    stop $second
    run cat told
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[0]}" = "BIDE_BREAKER=open BIDE_CLOSED=0 BIDE_EVENT=breaker BIDE_OPENED=1 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker opened " ]
    [ "${lines[1]}" = "BIDE_BREAKER=open BIDE_CLOSED=1 BIDE_EVENT=breaker BIDE_OPENED=1 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker is open (opened: 1, closed: 1) " ]
    [ "${lines[2]}" = "BIDE_BREAKER=closed BIDE_CLOSED=1 BIDE_EVENT=breaker BIDE_OPENED=0 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker closed " ]
}
