#!/usr/bin/env bats
# bide deferred: the commands that list and change deferred work.
load deferred

# ---- list, show, stats ----

@test "an empty queue is reported as empty" {
    later
    gives 0 bide deferred list
    [ "$output" = "There is no deferred work." ]
    gives 0 bide deferred list --dead
    gives 0 bide deferred stats
    [ "$output" = "No work was deferred." ]
    gives 0 bide deferred list --json
    json 'j == {"deferred": []}'
    gives 0 bide deferred stats mail --json
    json 'j["policies"] == [dict(policy="mail", waiting=0, leased=0, dead=0, stored=0, done=0, dropped=0, died=0, bytes=0, oldest_ms=None)]'
}

@test "list and show print the properties of a piece" {
    later
    id=$(put mail "hello" --type text/plain --key k1)
    gives 0 bide deferred list
    [[ ${lines[0]} =~ ^\ *ID\ +POLICY\ +AGE\ +DUE\ IN\ +ATTEMPTS\ +STATE\ +SIZE\ +LAST\ ERROR$ ]]
    [[ ${lines[1]} =~ ^\ *$id\ +mail\ +.*\ now\ +0\ +waiting\ +5\ B\ +-$ ]]
    gives 0 bide deferred list mail --json
    json 'len(j["deferred"]) == 1'
    json 'set(j["deferred"][0]) == {"id", "policy", "state", "attempts", "stored", "age_ms", "due_in_ms", "type", "key", "bytes", "last_error"}'
    json "abs(j['deferred'][0]['stored'] - $(date +%s)) < 60"
    json "j['deferred'][0]['id'] == $id and j['deferred'][0]['key'] == 'k1' and j['deferred'][0]['due_in_ms'] == 0"
    gives 0 bide deferred list soon
    [ "$output" = "There is no deferred work." ]
    gives 0 bide deferred show "$id"
    says "policy      mail" "state       waiting" "type        text/plain" "size        5 bytes"
    gives 0 bide deferred show "$id" --raw
    [ "$output" = hello ]
}

@test "--raw prints exactly the bytes that were stored" {
    later
    head -c 100000 /dev/urandom >bytes
    id=$(bide deferred put mail <bytes)
    bide deferred show "$id" --raw | cmp - bytes
    : | bide deferred put mail >empty
    [ -z "$(bide deferred show "$(cat empty)" --raw)" ]
}

@test "work with the same key is stored once" {
    later
    first=$(put mail a --key order-1 2>said)
    [ ! -s said ]
    [ "$(put mail b --key order-1 2>said)" = "$first" ]
    [ "$(cat said)" = "bide: mail: work with the key order-1 is already deferred: nothing was changed" ]
    [ "$(bide deferred show "$first" --raw)" = a ]
    [ "$(put mail b --key order-2)" != "$first" ]
    [ "$(count waiting)" -eq 2 ]
}

@test "mistakes are refused, with their exit status" {
    later
    gives 3 bide deferred list nobody
    says "nobody: no such policy"
    gives 3 bide deferred stats nobody
    gives 3 bide deferred put nobody
    gives 3 bide deferred show 999
    says "999: no such deferred work" "it was done, dropped, or never stored"
    gives 3 bide deferred drop 999
    gives 3 bide deferred requeue 999
    for id in 0 1x 18446744073709551616 "" " 1" +1; do
        gives 5 bide deferred show "$id"
        gives 5 bide deferred drop "$id"
    done
    for command in drop requeue; do
        gives 5 bide deferred "$command" mail
        says "mail: not an ID of deferred work" \
            "to choose work of the policy mail, add --dead, --error, --since or --until"
    done
    gives 2 bide deferred
    says "deferred: no command given"
    gives 2 bide deferred lst
    says "deferred lst: no such command; did you mean list?"
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

@test "a queue takes defer_max pieces, then it is full" {
    later
    bide set mail defer_max=2 >/dev/null
    put mail a >/dev/null
    put mail b >/dev/null
    run put mail c
    [ "$status" -eq 6 ]
    [ "${lines[0]}" = "bide: mail: the limit of 2 pieces of deferred work is reached" ]
    [ "${lines[1]}" = "bide: to raise it: bide set mail defer_max=N" ]
    [ "$(count waiting)" -eq 2 ]
}

@test "work of the maximum size is stored, one byte more is refused" {
    later
    head -c 1048576 /dev/urandom >large
    id=$(bide deferred put mail <large)
    gives 0 bide deferred replay mail --until-empty --exec 'cmp - large'
    gives 3 bide deferred show "$id"
}

# ---- changing ----

@test "drop prints the piece, the author and the note" {
    later
    id=$(put mail a)
    put mail b >/dev/null
    gives 0 env SUDO_USER= "$BIDE" --dir "$DIR" deferred drop "$id" --note "buyer called"
    says "dropped $id of mail (0 attempts) by $(id -un): buyer called"
    gives 3 bide deferred show "$id"
    gives 0 bide deferred stats mail --json
    json 'j["policies"][0]["dropped"] == 1 and j["policies"][0]["waiting"] == 1 and j["policies"][0]["stored"] == 2'
}

@test "each change is in the audit with author and note, and the counters add up" {
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
    says "2 pieces of deferred work dropped: 2 to 4" "buyer called" "deferred work 6 requeued" "2 pieces of deferred work dropped"
    gives 0 bide audit --csv
    says ",work,"
    gives 0 bide deferred stats mail --json
    json 'all(p["stored"] == sum(p[k] for k in ("done", "dropped", "waiting", "leased", "dead")) for p in j["policies"])'
    json 'j["policies"][0]["dropped"] == 2 and j["policies"][0]["done"] == 3'
}

@test "audit works without the queue" {
    later
    put mail a >/dev/null
    printf 'not a database at all' >"$DIR/deferred/deferred.mdb"
    gives 0 bide audit --json
    says "changes of deferred work are missing"
}

@test "filters choose work by age, by error and by being dead" {
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
    [ "$output" = "No deferred work is dead." ]
    gives 0 bide deferred list --until -1h
    [ "$output" = "No deferred work matches." ]
    gives 0 bide deferred list --since -1h --json
    json 'len(j["deferred"]) == 3'
    gives 0 bide deferred requeue --until -1h
    [ "$output" = "0 pieces are due now" ]
    gives 0 bide deferred replay mail --error exit.9 --note "the server is back"
    [ "$output" = "1 piece is due now" ]
    gives 0 bide deferred drop --dead --note "nobody wants it"
    [ "$output" = "1 piece is dropped" ]
    gives 0 bide deferred drop mail --since -1h
    [ "$output" = "2 pieces are dropped" ]
    gives 2 bide deferred drop
    gives 2 bide deferred requeue --error x mail soon
    gives 2 bide deferred list --since tomorrow-ish
    gives 2 bide deferred replay mail --exec true --error x
}

@test "leased work is dropped only by its ID" {
    later
    put mail a >/dev/null
    replay --exec ': >begun; while [ ! -e go ]; do sleep 0.05; done'
    until_it test -e begun
    gives 0 bide deferred drop mail --since -1h
    [ "$output" = "0 pieces are dropped" ]
    gives 0 bide deferred drop 1
    : >go
    until_it grep -q "no longer deferred: done by another worker, or dropped" out
    kill -TERM "$pid"
    wait "$pid"
    grep -q "0 done, 0 failed, 1 lost" out
}

@test "an empty text for --error is refused" {
    later
    put mail a >/dev/null
    for command in "drop mail" drop "requeue mail" "list mail" "replay mail"; do
        # shellcheck disable=SC2086 # words of a command
        gives 2 bide deferred $command --error ""
        says "--error: the text is empty" "usage: bide deferred "
    done
    gives 2 bide deferred drop --dead --error=
    [ "$(count waiting)" -eq 1 ]
}

@test "one invalid ID among several drops nothing" {
    later
    id=$(put mail a)
    gives 5 bide deferred drop "$id" x
    [ "$(count waiting)" -eq 1 ]
}

@test "requeue makes waiting work due" {
    later
    id=$(put mail a)
    gives 1 bide deferred replay mail --until-empty --exec 'exit 3'
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["due_in_ms"] > 1800000 and j["deferred"][0]["attempts"] == 1'
    json '"exit.3" in j["deferred"][0]["last_error"]'
    gives 1 bide deferred replay mail --until-empty --exec true
    says "0 done, 0 failed; remaining: 1 waiting"
    gives 0 bide deferred requeue "$id"
    says "requeued $id of mail"
    gives 0 bide deferred replay mail --until-empty --exec true
    says "1 done, 0 failed; remaining: 0 waiting, 0 leased, 0 dead"
}

@test "replay without a command makes all work of a policy due" {
    later
    put mail a >/dev/null
    put soon b >/dev/null
    gives 1 bide deferred replay --until-empty --exec false --jobs 1 mail
    gives 0 bide deferred replay mail
    [ "$output" = "1 piece is due now" ]
    gives 0 bide deferred list mail --json
    json 'j["deferred"][0]["due_in_ms"] == 0'
}

@test "work that is too old becomes dead" {
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

@test "work that is too old is shown as expired before a worker takes work" {
    later
    bide set mail defer_expire=1ms >/dev/null
    id=$(put mail a)
    sleep 0.1
    gives 0 bide deferred list
    [[ ${lines[1]} =~ ^\ *$id\ +mail\ .*\ -\ +0\ +expired\  ]]
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["state"] == "expired" and j["deferred"][0]["due_in_ms"] is None'
    gives 0 bide deferred show "$id"
    says "state       expired" "expired     today"
    says_not "in 0s"
    says_not "due "
    bide set mail defer_expire=1h >/dev/null
    id=$(put mail b)
    gives 0 bide deferred show "$id"
    says "state       waiting" "expires     "
}

@test "work that was tried too often is dead, and can be made due again" {
    later
    bide set mail defer_attempts=1 >/dev/null
    id=$(put mail a)
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec false
    says "2 dead"
    gives 0 bide deferred requeue "$id"
    gives 0 bide deferred requeue mail --dead
    [ "$output" = "1 piece is due now" ]
    gives 0 bide deferred replay mail --until-empty --exec true
    [ "$(count "done")" -eq 2 ]
}
