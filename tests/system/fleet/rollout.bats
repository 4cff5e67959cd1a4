#!/usr/bin/env bats
# Rollouts by stages, and guards.

load fleet

setup_file() {
    needs_fleet
}

# fleet_of HOST...: starts etcd and the hosts, which have release 1; release 2 has
# no retries, release 3 has five.
fleet_of() {
    local host attempts
    start_etcd
    for host; do new_host "$host" --label "role=${host%-*}"; done
    for attempts in 3 1 5; do
        printf '[payments]\nattempts = %s\nwait = none\n' $attempts | on "$1" fleet push - --note "$attempts tries" >/dev/null
    done
    for host; do follow "$host"; done
    on "$1" fleet rollout 1
    all_have 3 "$@"
}

# all_have ATTEMPTS HOST...: waits until they do, and have said so.
all_have() {
    local attempts=$1 host
    shift
    for host; do until_true has "$host" payments attempts "$attempts"; done
    for host; do until_true record_has "$host" "g('release') == $(release_of "$attempts")"; done
}

release_of() {
    case $1 in 3) echo 1 ;; 1) echo 2 ;; 5) echo 3 ;; esac
}

# serve HOST: calls until the end of the test; each needs two attempts.
serve() {
    # shellcheck disable=SC2016 # is for sh
    run_in_background "load-$1" bash -c 'while :; do "$0" "$@" || :; done' \
        "$BIDE" --dir "$T/$1" exec --quiet payments -- sh -c '[ "$BIDE_ATTEMPT" != 1 ] || exit 75'
}

# called HOST COUNT: reports whether so many calls have ended.
called() {
    [ "$(on "$1" stats payments --json | python3 -S -c 'import json, sys
print(sum(row["calls"]["succeeded"] + row["calls"]["exhausted"] for row in json.load(sys.stdin)["policies"]))')" -ge "$2" ]
}

# pointer_has PYTHON: reports whether it holds for the pointer j.
pointer_has() {
    on "$1" fleet status --json | python3 -S -c "import json, sys
j = json.load(sys.stdin)['rollout']
sys.exit(0 if ($2) else 1)"
}

# changes: prints how often the pointer was changed.
changes() {
    ctl get /bide/rollout -w json | python3 -S -c 'import json, sys
print(json.load(sys.stdin)["kvs"][0]["version"])'
}

@test "a release goes to named hosts, then to a share of all, then to all" {
    fleet_of web-1 web-2 db-1
    gives 0 on web-2 fleet rollout 2 --hosts web-2 --then 1%,100% --every 1s --note "fewer retries"
    says "release 2 begins: web-2; then 1%,100%, every 1s (1 of 3 hosts)"
    until_true has web-2 payments attempts 1
    all_have 1 web-1 web-2 db-1
    [ "$(changes)" = 4 ]
    gives 0 on web-2 metrics
    says 'bide_fleet_info{host="web-2",release="2",stage="0"} 1'
    gives 0 on db-1 fleet status
    says "release   2, before it 1" "all hosts" "3 of 3 hosts, 3 applied it" "fewer retries" "3 with release 2, 0 with release 1, 0 others"
    gives 0 on db-1 fleet abort --note "INC-1"
    says "release 1 is in force again: all hosts"
    all_have 3 web-1 web-2 db-1
    gives 1 on db-1 fleet abort
    says "there is no release to go back to"
    gives 0 on db-1 fleet rollout 3 --label role=db
    all_have 5 db-1
    has web-1 payments attempts 3
    gives 0 on db-1 fleet hosts 'web-*'
    says "web-1" "role=web"
    says_not "db-1"
}

@test "a stage waits for hosts that have not reported, and for people" {
    fleet_of web-1 web-2 web-3
    kill_now web-3
    on web-1 fleet rollout 2 --hosts web-2,web-3 --then 100% --every 1s
    until_true has web-2 payments attempts 1
    gives 0 on web-1 fleet status
    says "waiting   web-3"
    # Four times the length of the stage, in which a stage that does not wait ends.
    until_true pointer_has web-1 '__import__("time").time() * 1000 - j["since_ms"] > 4000'
    pointer_has web-1 'j["percent"] == 0'
    gives 0 on web-1 fleet pause --note "until Monday"
    says "release 2 is paused: web-2,web-3; then 100%, every 1s (paused)"
    follow web-3
    all_have 1 web-3
    pointer_has web-1 'j["paused"] and j["percent"] == 0 and j["then"] == "100%"'
    has web-1 payments attempts 3
    gives 0 on web-1 fleet resume
    all_have 1 web-1
    gives 1 on web-1 fleet pause
    says "no stage follows"
}

@test "a guard brings a release back that makes calls fail" {
    fleet_of web-1 web-2 web-3
    serve web-1
    serve web-2
    until_true called web-1 25
    until_true called web-2 25
    on web-3 fleet rollout 2 --hosts web-2 --then 50%,100% --every 1h --guard 'failed<2%, p95<30s'
    until_true pointer_has web-3 'j["release"] == 1 and j["percent"] == 100'
    pointer_has web-3 'j["by"] == "web-2" and "release 2 broke failed<2%" in j["note"] and "payments failed " in j["note"] and "(before 0%)" in j["note"]'
    [ "$(changes)" = 3 ]
    all_have 3 web-1 web-2 web-3
    gives 0 on web-1 fleet hosts web-2
    says "release 2: payments failed"
    [ "$(on web-1 log payments | grep -c 'release 2')" = 0 ]
    # Retries that there were before break nothing; half as many again do.
    on web-3 fleet rollout 3 --guard 'retries<20%' --every 3s
    all_have 5 web-1 web-2 web-3
    until_true called web-2 200
    pointer_has web-3 'j["release"] == 3'
}

@test "hosts that are tolerated may break a guard, and one more brings it back" {
    fleet_of web-1 web-2 web-3
    serve web-1
    until_true called web-1 25
    on web-3 fleet rollout 2 --hosts web-1,web-2 --guard 'failed<2%' --tolerate 1
    until_true record_has web-1 'g("broke") == 2 and "payments failed" in g("figures")'
    gives 0 on web-3 fleet status
    says "1 broke it, 1 may" "broke     web-1: release 2: payments failed"
    pointer_has web-3 'j["release"] == 2'
    serve web-2
    until_true pointer_has web-3 'j["release"] == 1 and "2 of 2 hosts" in j["note"]'
    [ "$(changes)" = 3 ]
}

@test "of operators who roll out at the same time one does" {
    local round first second pid
    fleet_of web-1 web-2
    for round in 1 2 3 4 5; do
        on web-1 fleet rollout 2 --hosts web-1 >one.out 2>&1 &
        pid=$!
        second=0
        on web-2 fleet rollout 3 --hosts web-1 >two.out 2>&1 || second=$?
        first=0
        wait $pid || first=$?
        cat one.out two.out
        case $first,$second in
        0,1 | 0,4) pointer_has web-1 'j["release"] == 2' ;;
        1,0 | 4,0) pointer_has web-1 'j["release"] == 3' ;;
        *) return 1 ;;
        esac
        grep -q "changed the rollout just now: nothing was changed\|is on its way, by" one.out two.out
        on web-1 fleet abort >/dev/null
    done
}

@test "what a rollout cannot mean is refused, and changes nothing" {
    fleet_of web-1
    gives 3 on web-1 fleet rollout 9
    says "release 9: there is no such release"
    gives 3 on web-1 fleet rollout 2 --hosts web-1,web-7
    says "the fleet has 1 of these 2"
    gives 3 on web-1 fleet rollout 2 --label role=db
    says "no host is in this stage: role=db"
    for word in 0 101 5,4 ten "50%,50%"; do
        gives 5 on web-1 fleet rollout 2 --percent "$word"
        says "must be rising"
    done
    for word in "failed" "failed<0%" "failed<2" "p95<5%" "speed<1s" "failed<2%;x"; do
        gives 5 on web-1 fleet rollout 2 --guard "$word"
        says "not a rule, such as failed<2%"
    done
    gives 5 on web-1 fleet rollout 2 --every 1ms
    gives 2 on web-1 fleet rollout 2 --tolerate some
    gives 3 on web-1 fleet hosts 'db-*'
    [ "$(changes)" = 1 ]
    kill_now etcd
    gives 1 on web-1 fleet rollout 2
    says "connect to server"
    gives 1 on web-1 fleet status --json
    start_etcd
    gives 0 on web-1 fleet status --json
}

@test "without etcd services notice nothing, and a guard waits" {
    fleet_of web-1
    kill_now etcd
    on web-1 exec --quiet payments -- true
    on web-1 set payments attempts=7 --for 1h >/dev/null
    has web-1 payments attempts 7
    until_true grep -q "policies stay as they are" web-1.log
    start_etcd
    on web-1 fleet rollout 2
    until_true record_has web-1 'g("release") == 2 and g("local") == "payments"'
    has web-1 payments attempts 7
}
