#!/usr/bin/env bats
# bide deferred replay and work: processing deferred work.
load deferred

@test "a command gets the piece on standard input, and its properties as variables" {
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

@test "the attempts of a piece follow its policy" {
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

@test "a command knows how often its piece was tried before" {
    later
    put mail x >/dev/null
    for _ in 1 2; do
        # shellcheck disable=SC2016 # for the command
        gives 1 bide deferred replay mail --until-empty --exec 'echo "$BIDE_ATTEMPT" >>tries; exit 9'
        bide deferred replay mail >/dev/null
    done
    [ "$(tr '\n' ' ' <tries)" = "1 2 2 3 " ]
}

@test "a piece whose command fails stays, with the reason" {
    later
    put mail a >/dev/null
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'exit 9'
    says "0 done, 2 failed; remaining: 2 waiting" "last failure: exit.9 after 2 attempts (reason: attempts)"
    gives 1 bide deferred replay mail --until-empty --exec true --json
    json 'j == {"done": 0, "failed": 0, "not_let_out": 0, "given_back": 0, "lost": 0, "waiting": 2, "leased": 0, "dead": 0, "other_kind": 0, "last_error": ""}'
}

@test "a command that is killed has failed" {
    later
    put mail a >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 1 bide deferred replay mail --until-empty --exec 'kill -9 $$'
    says "signal.SIGKILL"
    # bide ignores SIGPIPE, the command does not.
    bide deferred replay mail >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 1 bide deferred replay mail --until-empty --exec 'kill -PIPE $$; :'
    says "signal.SIGPIPE"
    [ "$(count waiting)" -eq 1 ]
}

@test "a missing command stops replay, and no work is changed" {
    later
    for i in 1 2 3 4 5; do put mail "$i" >/dev/null; done
    gives 1 bide deferred replay mail --exec 'no-such-command-here'
    says "not found" "0 done, 0 failed, 1 returned" "reason: cannot run no-such-command-here: not found"
    # The pieces that several jobs had already taken do not become dead.
    bide set mail defer_attempts=1 >/dev/null
    gives 1 bide deferred replay mail --exec 'sleep 0.3; no-such-command-here' --until-empty --jobs 4
    says "0 done, 0 failed, 4 returned; remaining: 5 waiting, 0 leased, 0 dead"
    [ "$(grep -c "bide: deferred .*: cannot run" <<<"$output")" -eq 1 ]
    gives 0 bide deferred list --json
    json 'sum(d["attempts"] for d in j["deferred"]) == 0 and len(j["deferred"]) == 5'
}

@test "replay skips the commands of exec --defer" {
    later
    bide exec --quiet --defer mail -- sh -c 'cat >saw; [ -e up ]' <<<letter
    put mail plain >/dev/null
    bide deferred requeue mail --until now >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'cat >>got'
    says "1 done, 0 failed; remaining: 1 waiting" \
        "skipped: 1 command of exec --defer; to run it: bide deferred work mail"
    [ "$(cat got)" = plain ]
    gives 1 bide deferred replay --until-empty --exec 'cat >>got' --json
    json 'j["done"] == 0 and j["waiting"] == 1 and j["other_kind"] == 1'
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["attempts"] == 0 and j["deferred"][0]["due_in_ms"] == 0'
    : >up
    gives 0 bide deferred work mail --until-empty
    says "1 done"
    [ "$(cat saw)" = letter ]
}

@test "skipped work causes no busy waiting" {
    later
    bide exec --quiet --defer mail -- false </dev/null
    bide deferred requeue mail --until now >/dev/null
    replay --exec 'cat >>got; echo >>got'
    put mail first >/dev/null
    until_it grep -qs first got
    sleep 1
    ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
    before=$(ticks)
    sleep 2
    # A tick is 10 ms.
    [ $(($(ticks) - before)) -lt 20 ]
    put mail second >/dev/null
    until_it grep -qs second got
    kill -TERM "$pid"
    wait "$pid"
    grep -q "2 done, 0 failed; remaining: 1 waiting" out
}

@test "an attempt is ended at its time limit" {
    later
    bide set mail attempt_timeout=100ms attempts=1 >/dev/null
    put mail a >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'sleep 100'
    says "errno.ETIMEDOUT"
}

@test "jobs run at the same time, and no piece is done twice" {
    later
    for i in $(seq 40); do put mail "$i"; done >/dev/null
    # The commands wait until four of them run at once.
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

@test "without a name, the work of all policies is done" {
    later
    put mail a >/dev/null
    put soon b >/dev/null
    # shellcheck disable=SC2016 # for the command
    gives 0 bide deferred replay --until-empty --exec 'echo "$BIDE_POLICY" >>all'
    [ "$(sort all | tr '\n' ' ')" = "mail soon " ]
}

@test "replay waits for new work, and stops at SIGTERM" {
    later
    replay --exec 'cat >>got; echo >>got'
    put mail first >/dev/null
    until_it grep -qs first got
    put mail second >/dev/null
    until_it grep -qs second got
    kill -TERM "$pid"
    wait "$pid"
    grep -q "2 done, 0 failed" out
    [ "$(count "done")" -eq 2 ]
}

@test "new work wakes replay at once" {
    later
    replay --exec 'cat >>got; echo >>got'
    begun=$SECONDS
    for i in $(seq 12); do
        put mail "piece $i." >/dev/null
        until_it grep -qs "piece $i\\." got
    done
    # Checking only every 5 s would take half a minute.
    [ $((SECONDS - begun)) -lt 15 ]
    kill -TERM "$pid"
    wait "$pid"
}

@test "at the first signal, running commands end and nothing new is taken" {
    later
    for i in 1 2 3; do put mail "$i"; done >/dev/null
    replay --exec ': >begun; while [ ! -e go ]; do sleep 0.05; done'
    until_it test -e begun
    kill -TERM "$pid"
    until_it grep -q stopping out
    : >go
    wait "$pid"
    grep -q "1 done, 0 failed; remaining: 2 waiting, 0 leased" out
}

@test "a failure after the first signal does not count as tried, nor for the breaker" {
    later
    bide set mail breaker=on breaker_consecutive=1 >/dev/null
    put mail 1 >/dev/null
    replay --exec ': >begun; while [ ! -e go ]; do sleep 0.05; done; exit 9'
    until_it test -e begun
    kill -TERM "$pid"
    until_it grep -q stopping out
    : >go
    wait "$pid"
    grep -q "0 done, 0 failed, 1 returned; remaining: 1 waiting, 0 leased" out
    gives 0 bide deferred list mail --json
    json 'j["deferred"][0]["attempts"] == 0'
    gives 0 bide deferred replay mail --until-empty --exec true
}

@test "a signal between two attempts returns the piece" {
    later
    bide set mail wait=fixed wait_initial=1h wait_max=1h >/dev/null
    put mail 1 >/dev/null
    replay --exec ': >begun; exit 9'
    until_it test -e begun
    until_it waits
    kill -TERM "$pid"
    wait "$pid"
    grep -q "0 done, 0 failed, 1 returned; remaining: 1 waiting, 0 leased" out
    gives 0 bide deferred list mail --json
    json 'j["deferred"][0]["attempts"] == 0'
}

@test "at the second signal, running commands are ended and their work is returned" {
    later
    put mail 1 >/dev/null
    replay --until-empty --exec ': >begun; exec sleep 1000'
    until_it test -e begun
    kill -TERM "$pid"
    until_it grep -q stopping out
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 1 ]
    grep -q "0 done, 0 failed, 1 returned; remaining: 1 waiting, 0 leased" out
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["attempts"] == 0 and j["deferred"][0]["due_in_ms"] == 0'
    says "interrupted: bide was told to stop"
    gives 0 bide stats mail --json
    says_not TIMEDOUT
}

@test "a killed worker loses no work: its lease expires" {
    later
    bide set mail defer_lease=300ms >/dev/null
    put mail precious >/dev/null
    replay --exec ': >begun; exec sleep 1000'
    until_it test -e begun
    [ "$(count leased)" -eq 1 ]
    kill -KILL "$pid"
    wait "$pid" || true
    replay --exec 'cat >got'
    until_it grep -qs precious got
    kill -TERM "$pid"
    wait "$pid"
    [ "$(count "done")" -eq 1 ]
}

@test "on a full disk a result waits until it can be stored" {
    later
    put mail a >/dev/null
    put mail b >/dev/null
    replay --jobs 2 --exec 'n=$(cat); echo >>did; : >begun$n; while [ ! -e go ]; do sleep 0.05; done; [ $n = a ]'
    until_it test -e beguna
    until_it test -e begunb
    # For a process that writes, the limit is like a full disk.
    prlimit --pid "$pid" --fsize=1000:
    : >go
    are_two() { [ "$(grep -c "no space left" out)" -eq 2 ]; }
    until_it are_two
    [ "$(count leased)" -eq 2 ]
    prlimit --pid "$pid" --fsize=unlimited:
    none_leased() { [ "$(count leased)" -eq 0 ]; }
    until_it none_leased
    kill -TERM "$pid"
    wait "$pid"
    grep -q "1 done, 1 failed; remaining: 1 waiting" out
    # No attempt was repeated: one of a, two of b.
    [ "$(wc -l <did)" -eq 3 ]
}

@test "when a worker is killed, its commands end too, with their children" {
    later
    for i in 1 2 3; do put mail "$i"; done >/dev/null
    # Each ignores SIGTERM, has one more process, and holds a lock of its own.
    # shellcheck disable=SC2016 # for the command
    replay --jobs 3 --exec 'n=$(cat); exec flock "lock$n" sh -c "
        trap : TERM; (trap : TERM; while :; do sleep 1000; done) &
        : >begun$n; while :; do sleep 1000; done"'
    for i in 1 2 3; do until_it test -e "begun$i"; done
    run flock --nonblock lock1 true
    [ "$status" -eq 1 ]
    kill -KILL "$pid"
    wait "$pid" || true
    # Each waits until the last process of its group has ended.
    for i in 1 2 3; do flock --timeout 20 "lock$i" true; done
    [ "$(count leased)" -eq 3 ]
}

@test "a lease is extended while the command runs" {
    later
    bide set mail defer_lease=300ms >/dev/null
    put mail slow >/dev/null
    replay --exec 'echo >>began; while [ ! -e go ]; do sleep 0.05; done'
    first=$pid
    until_it test -e began
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

@test "a refused piece is held, and runs at once when the policy allows it" {
    later
    put mail a >/dev/null
    bide set mail paused=yes >/dev/null
    replay --exec ': >ran'
    until_it is_leased
    [ ! -e ran ]
    bide set mail paused=no >/dev/null
    until_it test -e ran
    kill -TERM "$pid"
    wait "$pid"
    grep -q "1 done, 0 failed" out
}

@test "a breaker that waits for its probes does not end --until-empty" {
    later
    bide set mail attempts=1 breaker=on breaker_consecutive=2 breaker_open_for=100ms breaker_probes=1 >/dev/null
    for i in $(seq 12); do put mail "$i"; done >/dev/null
    # The service works after the fourth attempt.
    gives 1 timeout 60 "$BIDE" --dir "$DIR" deferred replay mail --until-empty --jobs 4 --exec \
        'echo $$ >>tries; sleep 0.1; ! head -n 4 tries | grep -qx $$'
    says "8 done, 4 failed; remaining: 4 waiting"
}

@test "a piece that fails is not tried again at once" {
    later
    bide set mail attempts=1 defer_wait=1ms defer_wait_max=1ms 2>err
    grep -q "defer_wait = 1ms: shorter than 1s, the least wait between two tries" err
    put mail a >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'echo >>tries; exit 1'
    says "0 done, 1 failed; remaining: 1 waiting"
    [ "$(wc -l <tries)" -eq 1 ]
    gives 0 bide deferred list mail --json
    json '0 < j["deferred"][0]["due_in_ms"] <= 1000'
    gives 5 bide set mail defer_wait=0
    says "defer_wait = 0:"
}

@test "under a paused policy no command runs" {
    later
    put mail a >/dev/null
    bide set mail paused=yes >/dev/null
    gives 1 timeout 20 "$BIDE" --dir "$DIR" deferred replay mail --until-empty --exec ': >ran'
    says "0 done, 0 failed, 1 refused; remaining" "reason: refused: paused"
    says_not "last failure"
    [ ! -e ran ]
    gives 0 bide deferred list --json
    json 'j["deferred"][0]["attempts"] == 0 and j["deferred"][0]["due_in_ms"] == 0'
    bide set mail paused=no >/dev/null
    gives 0 bide deferred replay mail --until-empty --exec true
}

@test "progress is shown on terminals only" {
    later
    put mail a >/dev/null
    bide deferred replay mail --until-empty --exec true >out 2>err
    [ ! -s err ]
    [ "$(wc -l <out)" -eq 1 ]
}

@test "messages are written a line at a time" {
    later
    put mail a >/dev/null
    put mail b >/dev/null
    # Each read of such a pipe returns the bytes of one write.
    python3 - "$BIDE" --dir "$DIR" deferred replay mail --until-empty --verbose --exec true <<'PY'
import os, subprocess, sys
end, stderr = os.pipe2(os.O_DIRECT)
command = subprocess.Popen(sys.argv[1:], stderr=stderr)
os.close(stderr)
writes = []
while piece := os.read(end, 4096):
    writes.append(piece)
assert command.wait() == 0
assert len(writes) == 2, writes
assert all(w.startswith(b"bide: deferred ") and w.endswith(b": done\n") for w in writes), writes
PY
}
