#!/usr/bin/env bats
# Deferred commands: bide exec --defer, and bide deferred work.
load ../deferred/deferred

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
    says "exec mail: deferred as "
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

@test "exec --defer keeps the input of a pipe, and an empty input" {
    later
    printf 'a\0b' | bide exec --quiet --defer mail -- sh -c 'cat >/dev/null; exit 1'
    bide exec --quiet --defer mail -- sh -c 'exit 1' </dev/null
    bide deferred show 1 --raw >raw
    grep -qaP 'a\x00b' raw
    gives 0 bide deferred show 2
    says "input       0 bytes"
}

@test "exec --defer keeps the command of a refused call too" {
    later
    bide set mail paused=yes >/dev/null
    gives 0 bide exec --defer mail -- touch ran
    says "deferred as" "refused"
    [ ! -e ran ]
    bide set mail paused=no >/dev/null
    gives 0 bide deferred work mail --until-empty
    [ -e ran ]
}

@test "exec --defer stores nothing on success or if the policy is not postponable" {
    later
    gives 1 env BIDE_DIR="$DIR" "$BIDE" exec --defer sale -- false
    says "not deferred: the policy's importance is not postponable"
    gives 0 bide exec --defer mail -- true
    gives 7 bide exec --defer sale -- sh -c 'exit 7'
    says "not deferred: the policy's importance is not postponable"
    gives 0 bide deferred list
    [ "$output" = "There is no deferred work." ]
    gives 125 bide exec --keep-env A mail -- true
}

@test "exec --defer reports that the work is too large or the queue is full" {
    later
    head -c 1048577 /dev/zero >large
    gives 3 bide exec --defer mail -- sh -c 'exit 3' <large
    says "exec mail: not deferred: command and input together are larger than 1 MiB"
    gives 0 bide exec --defer mail -- true <large
    [ -z "$output" ]
    bide set mail defer_max=1 >/dev/null
    gives 0 bide exec --quiet --defer mail -- sh -c 'exit 3' </dev/null
    gives 3 bide exec --quiet --defer mail -- sh -c 'exit 3' </dev/null
    says "not deferred: the limit of 1 piece of deferred work is reached" "bide: to raise it: bide set mail defer_max=N"
}

@test "exec --keep-env refuses what can name no variable" {
    later
    for names in "A B" "" A,,B A=1 "A;B"; do
        gives 125 bide exec --defer --keep-env "$names" mail -- touch ran
        says "commas separate them"
    done
    [ ! -e ran ]
}

@test "exec --defer reports that the policy does not exist" {
    later
    gives 3 bide exec --defer nobody -- sh -c 'exit 3'
    says "exec nobody: not deferred: no such policy"
    gives 3 "$BIDE" --dir "$T/none" exec --defer mail -- sh -c 'exit 3'
    says "exec mail: not deferred: "
    says_not "never retried"
    bide set mail never_on=exit.4 >/dev/null
    gives 4 bide exec --defer mail -- sh -c 'exit 4'
    says "not deferred: the policy never retries this outcome"
}

@test "work takes commands only, and reports the pieces that it skipped" {
    later
    put soon "touch ran" >/dev/null
    put soon "touch ran" >/dev/null
    bide exec --quiet --defer soon -- sh -c '[ -e up ]' </dev/null
    : >up
    gives 1 bide deferred work soon --until-empty
    says "1 done, 0 failed; remaining: 2 waiting" \
        "skipped: 2 pieces that are not commands; to process them: bide deferred replay soon --exec CMD"
    [ ! -e ran ]
    gives 0 bide deferred list --json
    json '[(d["attempts"], d["due_in_ms"], d["last_error"]) for d in j["deferred"]] == [(0, 0, "")] * 2'
    gives 0 bide deferred replay soon --until-empty --exec true
    says "2 done"
    says_not "skipped"
}

@test "a damaged command is not run" {
    later
    put mail $'bide-exec 1\nxxxx' --type application/x-bide-exec >/dev/null
    gives 1 bide deferred work mail --until-empty
    says "0 done, 1 failed" "not a command of bide exec --defer"
}

@test "root does not run commands that others can store" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    later
    put mail a >/dev/null
    chown nobody "$DIR/deferred/deferred.mdb"
    gives 1 bide deferred work mail --until-empty
    says "root would run commands that other users can store"
}

@test "work whose directory is gone is kept: it says so, and no attempt counts" {
    later
    bide set mail defer_attempts=1 >/dev/null
    mkdir gone
    (cd gone && bide exec --quiet --defer mail -- sh -c '[ -e ../up ]' </dev/null)
    mv gone away
    : >up
    bide deferred requeue mail --until now >/dev/null
    gives 1 bide deferred work mail --until-empty
    says "0 done, 0 failed, 1 returned; remaining: 1 waiting, 0 leased, 0 dead" \
        "its command was not run: directory $T/gone: No such file or directory"
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["attempts"] == 0 and j["deferred"][0]["due_in_ms"] > 0'
    gives 0 bide stats mail --json
    json '"app.no_directory" in j["policies"][0]["outcomes"] and j["policies"][0]["calls"]["cancelled"] == 0'
    mv away gone
    bide deferred requeue mail --until now >/dev/null
    gives 0 bide deferred work mail --until-empty
    says "1 done"
}
