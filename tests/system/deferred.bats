#!/usr/bin/env bats
# Work that is put off: bide deferred, and exec --defer.
load registry

later() {
    cat >later.ini <<'INI'
[mail]
importance = postponable
attempts = 2
wait = none
retry_on = any
defer_wait = 1h

[soon]
extends = mail
defer_wait = 1ms
defer_wait_max = 1ms

[sale]
importance = mandatory
attempts = 1
retry_on = any
INI
    bide apply later.ini >/dev/null
}

# What a test that failed has left running.
teardown() {
    if [ -n "${pid:-}" ]; then
        kill -KILL "$pid" 2>/dev/null || true
    fi
}

# put NAME TEXT [OPTION...]: stores it.
put() {
    local name=$1 text=$2
    shift 2
    printf %s "$text" | bide deferred put "$name" "$@"
}

# count STATE [NAME]: how many there are.
count() {
    bide deferred stats "${2:-mail}" --json |
        python3 -c "import json, sys
print(json.load(sys.stdin)['policies'][0]['$1'])"
}

# replay ARGUMENT...: in the background, as process $pid; it says things in out.
replay() {
    "$BIDE" --dir "$DIR" deferred replay mail "$@" >"${out:-out}" 2>&1 3>&- &
    pid=$!
}

until_true() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        "$@" && return 0
        sleep 0.05
    done
    echo "this did not come true: $*"
    return 1
}

is_leased() {
    [ "$(count leased)" -eq 1 ]
}

# ---- looking ----

@test "an empty queue says so" {
    later
    gives 0 bide deferred list
    [ "$output" = "Nothing is deferred." ]
    gives 0 bide deferred list --dead
    gives 0 bide deferred stats
    [ "$output" = "Nothing was deferred." ]
    gives 0 bide deferred list --json
    json 'j == {"deferred": []}'
    gives 0 bide deferred stats mail --json
    json 'j["policies"] == [dict(policy="mail", waiting=0, leased=0, dead=0, stored=0, done=0, dropped=0, died=0, bytes=0, oldest_ms=None)]'
}

@test "list and show say what a piece is" {
    later
    id=$(put mail "hello" --type text/plain --key k1)
    gives 0 bide deferred list
    [[ ${lines[0]} =~ ^\ *ID\ +POLICY\ +AGE\ +DUE\ IN\ +ATTEMPTS\ +STATE\ +SIZE\ +LAST\ ERROR$ ]]
    [[ ${lines[1]} =~ ^\ *$id\ +mail\ +.*\ now\ +0\ +waiting\ +5\ B\ +-$ ]]
    gives 0 bide deferred list mail --json
    json 'len(j["deferred"]) == 1'
    json 'set(j["deferred"][0]) == {"id", "policy", "state", "attempts", "stored", "age_ms", "due_in_ms", "type", "key", "bytes", "last_error"}'
    json "j['deferred'][0]['id'] == $id and j['deferred'][0]['key'] == 'k1' and j['deferred'][0]['due_in_ms'] == 0"
    gives 0 bide deferred list soon
    [ "$output" = "Nothing is deferred." ]
    gives 0 bide deferred show "$id"
    says "policy      mail" "state       waiting" "type        text/plain" "size        5 bytes"
    gives 0 bide deferred show "$id" --raw
    [ "$output" = hello ]
}

@test "raw bytes are the ones that were put" {
    later
    head -c 100000 /dev/urandom >bytes
    id=$(bide deferred put mail <bytes)
    bide deferred show "$id" --raw | cmp - bytes
    : | bide deferred put mail >empty
    [ -z "$(bide deferred show "$(cat empty)" --raw)" ]
}

@test "the same key is the same work" {
    later
    first=$(put mail a --key order-1)
    [ "$(put mail b --key order-1)" = "$first" ]
    [ "$(put mail b --key order-2)" != "$first" ]
    [ "$(count waiting)" -eq 2 ]
}

@test "what is wrong is refused, with its status" {
    later
    gives 3 bide deferred list nobody
    says "nobody: no such policy"
    gives 3 bide deferred stats nobody
    gives 3 bide deferred put nobody
    gives 3 bide deferred show 999
    says "999: no such piece of work"
    gives 3 bide deferred drop 999
    gives 3 bide deferred requeue 999
    for id in 0 1x 18446744073709551616 "" " 1" +1; do
        gives 5 bide deferred show "$id"
        gives 5 bide deferred drop "$id"
    done
    gives 2 bide deferred
    says "deferred: which command?"
    gives 2 bide deferred lst
    says "deferred lst: no such command (list?)"
    gives 2 bide deferred list --raw
    gives 2 bide deferred replay mail --jobs 2
    says "--exec"
    gives 2 bide deferred replay mail --exec ''
    gives 2 bide deferred replay mail --until-empty --exec "  "
    gives 2 bide deferred replay mail --exec true --jobs 0
    gives 2 bide deferred replay mail --exec true --jobs 9999
    head -c 1048577 /dev/zero >large
    gives 5 bide deferred put mail <large
    gives 6 "$BIDE" --dir "$T/none" deferred list
    gives 0 bide help deferred
    says "requeue" "bide help deferred COMMAND"
    gives 0 bide help deferred replay
    says "usage: bide deferred replay [NAME]" "--until-empty"
}

@test "as much as defer_max, then it is full" {
    later
    bide set mail defer_max=2 >/dev/null
    put mail a >/dev/null
    put mail b >/dev/null
    run put mail c
    [ "$status" -eq 6 ]
    [ "${lines[0]}" = "bide: mail: mail keeps 2 pieces of work already" ]
    [ "${lines[1]}" = "bide: defer_max is the limit" ]
    [ "$(count waiting)" -eq 2 ]
}

@test "the largest work goes through, one byte more does not" {
    later
    head -c 1048576 /dev/urandom >large
    id=$(bide deferred put mail <large)
    gives 0 bide deferred replay mail --until-empty --exec 'cmp - large'
    gives 3 bide deferred show "$id"
}

# ---- changing ----

@test "drop says what, who and why" {
    later
    id=$(put mail a)
    put mail b >/dev/null
    gives 0 env SUDO_USER= "$BIDE" --dir "$DIR" deferred drop "$id" --note "buyer called"
    says "dropped $id of mail (0 attempts) by $(id -un): buyer called"
    gives 3 bide deferred show "$id"
    gives 0 bide deferred stats mail --json
    json 'j["policies"][0]["dropped"] == 1 and j["policies"][0]["waiting"] == 1 and j["policies"][0]["stored"] == 2'
}

@test "who dropped what and why is on record, and the numbers add up" {
    later
    for i in 1 2 3 4 5; do put mail "$i"; done >/dev/null
    put soon other >/dev/null
    bide deferred drop 2 4 --note "buyer called" >/dev/null
    bide deferred requeue 3 >/dev/null
    bide deferred replay soon >/dev/null
    bide deferred replay mail --until-empty --exec true >/dev/null
    gives 0 bide audit mail --json
    json 'sum(e.get("dropped", 0) for e in j["entries"]) == 2'
    json 'sum(e.get("requeued", 0) for e in j["entries"]) == 1'
    json 'all(e["note"] == "buyer called" and e["who"] for e in j["entries"] if e.get("dropped"))'
    gives 0 bide audit
    says "2 pieces of deferred work dropped: 2 to 4" "buyer called" "deferred work 6 made due again" "2 of deferred work dropped"
    gives 0 bide audit --csv
    says ",work,"
    gives 0 bide deferred stats mail --json
    json 'all(p["stored"] == sum(p[k] for k in ("done", "dropped", "waiting", "leased", "dead")) for p in j["policies"])'
    json 'j["policies"][0]["dropped"] == 2 and j["policies"][0]["done"] == 3'
}

@test "an audit goes on without the queue" {
    later
    put mail a >/dev/null
    printf 'not a database at all' >"$DIR/deferred.mdb"
    gives 0 bide audit --json
    says "without what was done to deferred work"
}

@test "work is found by age, error and being dead" {
    later
    bide set soon defer_attempts=1 >/dev/null
    put mail old >/dev/null
    put soon x >/dev/null
    bide deferred replay mail --until-empty --exec 'exit 9' >/dev/null || true
    bide deferred replay soon --until-empty --exec 'exit 8' >/dev/null || true
    put mail new >/dev/null
    gives 0 bide deferred list --error exit.9 --json
    json '[d["id"] for d in j["deferred"]] == [1]'
    gives 0 bide deferred list --dead --error exit.9
    [ "$output" = "Nothing is dead." ]
    gives 0 bide deferred list --until -1h
    [ "$output" = "Nothing deferred is such." ]
    gives 0 bide deferred list --since -1h --json
    json 'len(j["deferred"]) == 3'
    gives 0 bide deferred requeue --until -1h
    [ "$output" = "0 are due now" ]
    gives 0 bide deferred replay mail --error exit.9 --note "the server is back"
    [ "$output" = "1 is due now" ]
    gives 0 bide deferred drop --dead --note "nobody wants it"
    [ "$output" = "1 is dropped" ]
    gives 0 bide deferred drop mail --since -1h
    [ "$output" = "2 are dropped" ]
    gives 2 bide deferred drop
    gives 2 bide deferred requeue --error x mail soon
    gives 2 bide deferred list --since tomorrow-ish
    gives 2 bide deferred replay mail --exec true --error x
}

@test "what somebody does just now is dropped by its number only" {
    later
    put mail a >/dev/null
    replay --exec ': >begun; while [ ! -e go ]; do sleep 0.05; done'
    until_true test -e begun
    gives 0 bide deferred drop mail --since -1h
    [ "$output" = "0 are dropped" ]
    gives 0 bide deferred drop 1
    : >go
    until_true grep -q "it is gone: done by somebody else, or dropped" out
    kill -TERM "$pid"
    wait "$pid"
    grep -q "0 done, 0 failed, 1 given up" out
}

@test "one mistake among several numbers drops none" {
    later
    id=$(put mail a)
    gives 5 bide deferred drop "$id" x
    [ "$(count waiting)" -eq 1 ]
}

@test "requeue makes due what was postponed" {
    later
    id=$(put mail a)
    gives 1 bide deferred replay mail --until-empty --exec 'exit 3'
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["due_in_ms"] > 1800000 and j["deferred"][0]["attempts"] == 1'
    json '"exit.3" in j["deferred"][0]["last_error"]'
    gives 1 bide deferred replay mail --until-empty --exec true
    says "0 done, 0 failed; still there: 1 waiting"
    gives 0 bide deferred requeue "$id"
    says "requeued $id of mail"
    gives 0 bide deferred replay mail --until-empty --exec true
    says "1 done, 0 failed; still there: 0 waiting, 0 leased, 0 dead"
}

@test "replay without a command makes all of it due" {
    later
    put mail a >/dev/null
    put soon b >/dev/null
    gives 1 bide deferred replay --until-empty --exec false --jobs 1 mail
    gives 0 bide deferred replay mail
    [ "$output" = "1 is due now" ]
    gives 0 bide deferred list mail --json
    json 'j["deferred"][0]["due_in_ms"] == 0'
}

@test "what is too old is dead" {
    later
    bide set mail defer_expire=1ms defer_wait=1ms defer_wait_max=1ms >/dev/null
    id=$(put mail a)
    sleep 0.1
    gives 1 bide deferred replay mail --until-empty --exec ': >ran'
    [ ! -e ran ]
    gives 0 bide deferred list --dead
    [[ ${lines[1]} =~ ^\ *$id\ .*\ dead\  ]]
    says "bide deferred requeue ID"
    [ "$(count dead)" -eq 1 ]
}

@test "what was tried too often is dead, and can be sent back" {
    later
    bide set mail defer_attempts=1 >/dev/null
    id=$(put mail a)
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec false
    says "2 dead"
    gives 0 bide deferred requeue "$id"
    gives 0 bide deferred requeue mail --dead
    [ "$output" = "1 is due now" ]
    gives 0 bide deferred replay mail --until-empty --exec true
    [ "$(count "done")" -eq 2 ]
}

# ---- doing ----

@test "a piece is given on standard input, with its words" {
    later
    id=$(put mail "to: you" --type text/plain --key k9)
    # shellcheck disable=SC2016 # for the command
    gives 0 bide deferred replay mail --until-empty --exec \
        'cat >got; echo "$BIDE_ID $BIDE_POLICY $BIDE_ATTEMPT $BIDE_TYPE $BIDE_KEY" >words'
    [ "$(cat got)" = "to: you" ]
    [ "$(cat words)" = "$id mail 1 text/plain k9" ]
    says "1 done, 0 failed"
    gives 3 bide deferred show "$id"
    [ "$(count "done")" -eq 1 ]
}

@test "the policy says how often it is tried each time" {
    later
    put mail x >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 0 bide deferred replay mail --until-empty --exec \
        'cat >>got; echo "$BIDE_ATTEMPT" >>tries; [ "$BIDE_ATTEMPT" = 2 ]'
    [ "$(cat got)" = xx ]
    [ "$(tr '\n' ' ' <tries)" = "1 2 " ]
    gives 0 bide stats mail --json
    json 'j["policies"][0]["calls"]["recovered"] == 1 and j["policies"][0]["retries"] == 1'
}

@test "a command that fails leaves it there, with the reason" {
    later
    put mail a >/dev/null
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'exit 9'
    says "0 done, 2 failed; still there: 2 waiting" "last failure: exit.9, 2 tries: attempts"
    gives 1 bide deferred replay mail --until-empty --exec true --json
    json 'j == {"done": 0, "failed": 0, "lost": 0, "waiting": 2, "leased": 0, "dead": 0, "last_error": ""}'
}

@test "a command that is killed is one that failed" {
    later
    put mail a >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 1 bide deferred replay mail --until-empty --exec 'kill -9 $$'
    says "signal.SIGKILL"
    # What we ignore ourselves is not ignored by it.
    bide deferred replay mail >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 1 bide deferred replay mail --until-empty --exec 'kill -PIPE $$; :'
    says "signal.SIGPIPE"
    [ "$(count waiting)" -eq 1 ]
}

@test "a command that does not exist stops it, and the rest is not touched" {
    later
    for i in 1 2 3 4 5; do put mail "$i" >/dev/null; done
    gives 1 bide deferred replay mail --exec 'no-such-command-here'
    says "not found"
    gives 0 bide deferred list --json
    json 'sum(d["attempts"] for d in j["deferred"]) == 1 and len(j["deferred"]) == 5'
}

@test "an attempt that takes too long is ended" {
    later
    bide set mail attempt_timeout=100ms attempts=1 >/dev/null
    put mail a >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'sleep 100'
    says "errno.ETIMEDOUT"
}

@test "many at a time, none twice" {
    later
    for i in $(seq 40); do put mail "$i"; done >/dev/null
    # Each waits until four are there at once.
    mkdir now
    # shellcheck disable=SC2016 # for the command
    gives 0 bide deferred replay mail --until-empty --jobs 4 --exec '
        n=$(cat); echo "$n" >>all; : >"now/$n"
        if [ ! -e met ]; then
            for i in $(seq 200); do
                [ "$(ls now | wc -l)" -ge 4 ] && : >met && break
                sleep 0.05
            done
        fi
        rm "now/$n"'
    says "40 done"
    [ -e met ]
    [ "$(sort -n all | tr '\n' ' ')" = "$(seq 40 | tr '\n' ' ')" ]
}

@test "all policies, when none is named" {
    later
    put mail a >/dev/null
    put soon b >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 0 bide deferred replay --until-empty --exec 'echo "$BIDE_POLICY" >>all'
    [ "$(sort all | tr '\n' ' ')" = "mail soon " ]
}

@test "it waits for what is to come, and stops politely" {
    later
    replay --exec 'cat >>got; echo >>got'
    put mail first >/dev/null
    until_true grep -qs first got
    put mail second >/dev/null
    until_true grep -qs second got
    kill -TERM "$pid"
    wait "$pid"
    grep -q "2 done, 0 failed" out
    [ "$(count "done")" -eq 2 ]
}

@test "it is woken by what arrives, and does not only look now and then" {
    later
    replay --exec 'cat >>got; echo >>got'
    begun=$SECONDS
    for i in $(seq 12); do
        put mail "piece $i." >/dev/null
        until_true grep -qs "piece $i\\." got
    done
    # Looks every 5 s alone would need half a minute.
    [ $((SECONDS - begun)) -lt 15 ]
    kill -TERM "$pid"
    wait "$pid"
}

@test "told to stop, it lets what runs end and takes nothing new" {
    later
    for i in 1 2 3; do put mail "$i"; done >/dev/null
    replay --exec ': >begun; while [ ! -e go ]; do sleep 0.05; done'
    until_true test -e begun
    kill -TERM "$pid"
    until_true grep -q stopping out
    : >go
    wait "$pid"
    grep -q "1 done, 0 failed; still there: 2 waiting, 0 leased" out
}

@test "told twice, it ends what runs and gives it back" {
    later
    put mail 1 >/dev/null
    replay --until-empty --exec ': >begun; exec sleep 1000'
    until_true test -e begun
    kill -TERM "$pid"
    until_true grep -q stopping out
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 1 ]
    grep -q "0 done, 1 failed; still there: 1 waiting, 0 leased" out
}

@test "a worker that is killed loses nothing: its lease runs out" {
    later
    bide set mail defer_lease=300ms >/dev/null
    put mail precious >/dev/null
    replay --exec ': >begun; exec sleep 1000'
    until_true test -e begun
    [ "$(count leased)" -eq 1 ]
    kill -KILL "$pid"
    wait "$pid" || true
    replay --exec 'cat >got'
    until_true grep -qs precious got
    kill -TERM "$pid"
    wait "$pid"
    [ "$(count "done")" -eq 1 ]
}

@test "on a full disk what is done waits until that can be written" {
    later
    put mail a >/dev/null
    put mail b >/dev/null
    replay --jobs 2 --exec 'n=$(cat); echo >>did; : >begun$n; while [ ! -e go ]; do sleep 0.05; done; [ $n = a ]'
    until_true test -e beguna
    until_true test -e begunb
    # The limit is seen by what writes as a full disk is.
    prlimit --pid "$pid" --fsize=1000:
    : >go
    are_two() { [ "$(grep -c "no space left" out)" -eq 2 ]; }
    until_true are_two
    [ "$(count leased)" -eq 2 ]
    prlimit --pid "$pid" --fsize=unlimited:
    none_leased() { [ "$(count leased)" -eq 0 ]; }
    until_true none_leased
    kill -TERM "$pid"
    wait "$pid"
    grep -q "1 done, 1 failed; still there: 1 waiting" out
    # No attempt was made anew for it: one of a, two of b.
    [ "$(wc -l <did)" -eq 3 ]
}

@test "when a worker is killed, what it ran ends with it, grandchildren too" {
    later
    for i in 1 2 3; do put mail "$i"; done >/dev/null
    # Deaf to SIGTERM, and each with one more process, on a lock of its own.
    # shellcheck disable=SC2016 # for the command
    replay --jobs 3 --exec 'n=$(cat); exec flock "lock$n" sh -c "
        trap : TERM; (trap : TERM; while :; do sleep 1000; done) &
        : >begun$n; while :; do sleep 1000; done"'
    for i in 1 2 3; do until_true test -e "begun$i"; done
    run flock --nonblock lock1 true
    [ "$status" -eq 1 ]
    kill -KILL "$pid"
    wait "$pid" || true
    # Each waits until the last of them is gone.
    for i in 1 2 3; do flock --timeout 20 "lock$i" true; done
    [ "$(count leased)" -eq 3 ]
}

@test "a lease is extended as long as the command runs" {
    later
    bide set mail defer_lease=300ms >/dev/null
    put mail slow >/dev/null
    replay --exec 'echo >>began; while [ ! -e go ]; do sleep 0.05; done'
    first=$pid
    until_true test -e began
    out=other replay --exec 'echo >>began'
    second=$pid
    sleep 1
    [ "$(wc -l <began)" -eq 1 ]
    kill -TERM "$second"
    wait "$second"
    : >go
    kill -TERM "$first"
    wait "$first"
    grep -q "1 done" out
}

@test "what is not let out is held, and goes on at once when it is" {
    later
    put mail a >/dev/null
    bide set mail paused=yes >/dev/null
    replay --exec ': >ran'
    until_true is_leased
    [ ! -e ran ]
    bide set mail paused=no >/dev/null
    until_true test -e ran
    kill -TERM "$pid"
    wait "$pid"
    grep -q "1 done, 0 failed" out
}

@test "a breaker that waits for its probes ends no replay" {
    later
    bide set mail attempts=1 breaker=on breaker_consecutive=2 breaker_open_for=100ms breaker_probes=1 defer_wait=1ms defer_wait_max=1ms defer_attempts=100 >/dev/null
    for i in $(seq 12); do put mail "$i"; done >/dev/null
    # Up after the fourth try.
    gives 0 timeout 60 "$BIDE" --dir "$DIR" deferred replay mail --until-empty --jobs 4 --exec \
        'echo >>tries; sleep 0.1; [ "$(wc -l <tries)" -gt 4 ]'
    says "12 done"
}

@test "a paused policy lets nothing out" {
    later
    put mail a >/dev/null
    bide set mail paused=yes >/dev/null
    gives 1 timeout 20 "$BIDE" --dir "$DIR" deferred replay mail --until-empty --exec ': >ran'
    says "refused: paused"
    [ ! -e ran ]
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["attempts"] == 0 and j["deferred"][0]["due_in_ms"] == 0'
    bide set mail paused=no >/dev/null
    gives 0 bide deferred replay mail --until-empty --exec true
}

@test "progress is for terminals only" {
    later
    put mail a >/dev/null
    bide deferred replay mail --until-empty --exec true >out 2>err
    [ ! -s err ]
    [ "$(wc -l <out)" -eq 1 ]
}

# ---- exec --defer ----

@test "exec --defer keeps arguments, directory, environment and input" {
    later
    mkdir "with blank"
    head -c 3000 /dev/urandom >bytes
    cat >"$T/do" <<'SH'
#!/bin/sh
[ -e "$T/up" ] || exit 75
printf '%s\n' "$PWD" "$#" "$@" "$KEPT" "${LEFT-none}" >"$T/saw"
cat >"$T/input"
SH
    chmod +x "$T/do"
    cd "with blank"
    PATH=$T:$PATH KEPT=$'a\nb = c' LEFT=x run bide exec --defer --keep-env KEPT,UNSET mail -- \
        'do' "one two" "" $'new\nline' '--dead' '*' <"$T/bytes"
    [ "$status" -eq 0 ]
    says "exec mail: kept for later as "
    cd "$T"
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["type"] == "application/x-bide-exec"'
    gives 0 bide deferred show "$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["deferred"][0]["id"])' "$output")"
    says "command     do one two" "directory   $T/with blank" "input       3000 bytes"
    : >up
    gives 0 env -u KEPT -u LEFT "$BIDE" --dir "$DIR" deferred work mail --until-empty
    says "1 done"
    printf '%s\n' "$T/with blank" 5 "one two" "" $'new\nline' '--dead' '*' $'a\nb = c' none | cmp - saw
    cmp bytes input
}

@test "exec --defer keeps what comes through a pipe, and an empty input" {
    later
    printf 'a\0b' | bide exec --quiet --defer mail -- sh -c 'cat >/dev/null; exit 1'
    bide exec --quiet --defer mail -- sh -c 'exit 1' </dev/null
    gives 0 bide deferred replay mail --until-empty --jobs 1 --exec 'cat >>raw'
    grep -qaP 'a\x00b' raw
}

@test "exec --defer of a refused call keeps it as well" {
    later
    bide set mail paused=yes >/dev/null
    gives 0 bide exec --defer mail -- touch ran
    says "kept for later as" "refused"
    [ ! -e ran ]
    bide set mail paused=no >/dev/null
    gives 0 bide deferred work mail --until-empty
    [ -e ran ]
}

@test "exec --defer keeps nothing when all is well, or nobody may" {
    later
    gives 0 bide exec --defer mail -- true
    gives 7 bide exec --defer sale -- sh -c 'exit 7'
    says "not kept for later: the policy is not postponable"
    gives 0 bide deferred list
    [ "$output" = "Nothing is deferred." ]
    gives 125 bide exec --keep-env A mail -- true
}

@test "exec --defer says when it is too large or the queue is full" {
    later
    head -c 1048577 /dev/zero >large
    gives 3 bide exec --defer mail -- sh -c 'exit 3' <large
    says "it could not be kept for later"
    bide set mail defer_max=1 >/dev/null
    gives 0 bide exec --quiet --defer mail -- sh -c 'exit 3' </dev/null
    gives 3 bide exec --quiet --defer mail -- sh -c 'exit 3' </dev/null
    says "not kept for later: no space left"
}

@test "work of another kind is not run as a command" {
    later
    put mail "touch ran" >/dev/null
    put mail $'bide-exec 1\nxxxx' --type application/x-bide-exec >/dev/null
    gives 1 bide deferred work mail --until-empty
    says "0 done, 2 failed" "not a command of bide exec --defer"
    [ ! -e ran ]
}

@test "root does not run what others may store" {
    [ "$(id -u)" -eq 0 ] || skip "not root"
    later
    put mail a >/dev/null
    chown nobody "$DIR/deferred.mdb"
    gives 1 bide deferred work mail --until-empty
    says "as root it would run what others have stored"
}
