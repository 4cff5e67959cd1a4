#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # the command expands; tests are subshells
# bide exec: runs any command under a policy.  BIDE is the path of the command.
# No test relies on sleeping: fifos tell when something has happened.

bats_require_minimum_version 1.5.0

setup() {
    DIR=$BATS_TEST_TMPDIR/registry
    T=$BATS_TEST_TMPDIR
    export T
    "$BIDE" --dir "$DIR" init --live "$BATS_TEST_TMPDIR/live" >/dev/null
    bide apply - >/dev/null <<'END'
[quick]
attempts = 3
wait = fixed
wait_initial = 1ms
wait_jitter = none
retry_on = transient, exit.9

[once]
attempts = 1

[stubborn]
attempts = 3
wait = fixed
wait_initial = 1ms
retry_on = any

[asleep]
attempts = 2
wait = fixed
wait_initial = 6h
wait_max = 6h
wait_jitter = none
retry_on = any

[bounded]
attempts = 2
attempt_timeout = 50ms
wait = none
END
}

teardown() {
    # A failed test may have left a process behind.
    if [ -n "${CALL:-}" ]; then
        kill -KILL "$CALL" 2>/dev/null || true
    fi
}

bide() {
    "$BIDE" --dir "$DIR" "$@"
}

# Starts `bide exec --verbose ARGS` and returns once its call waits, which it
# prints.  CALL is its process; its further messages go to $T/said.
start_and_fall_asleep() {
    mkfifo "$T/words"
    "$BIDE" --dir "$DIR" exec --verbose "$@" 2>"$T/words" 3>&- &
    CALL=$!
    exec 5<"$T/words"
    read -r line <&5
    [[ $line == *"retry in"* ]]
    cat <&5 >"$T/said" 3>&- &
    exec 5<&-
}

# Cannot be called with run: a subshell has no children to wait for.
status_of_call() {
    status=0
    wait "$CALL" || status=$?
    CALL=
}

# Prints how often the command was run: it adds a line to $T/runs each time.
runs() {
    wc -l <"$T/runs"
}

@test "a command that succeeds runs once, and its output passes through" {
    run bide exec quick -- sh -c 'echo out; echo err >&2; echo >>"$T/runs"'
    [ "$status" -eq 0 ]
    [ "$output" = $'out\nerr' ]
    [ "$(runs)" -eq 1 ]
}

@test "the status is that of the last attempt, and giving up is reported once" {
    run bide exec quick sh -c 'echo >>"$T/runs"; exit 75'
    [ "$status" -eq 75 ]
    [ "$output" = "bide: exec quick: gave up after 3 attempts, last exit.75 (reason: attempts)" ]
    [ "$(runs)" -eq 3 ]
}

@test "a call whose retry succeeds is a success and prints nothing" {
    run bide exec quick sh -c '[ "$BIDE_ATTEMPT" = 2 ] || exit 75'
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "a status that the policy does not retry ends the call at once and prints nothing" {
    run bide exec quick sh -c 'echo >>"$T/runs"; exit 1'
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$(runs)" -eq 1 ]
}

@test "the environment has the number of the attempt and the policy" {
    run bide exec --quiet quick sh -c 'echo "$BIDE_ATTEMPT of $BIDE_POLICY"; exit 9'
    [ "$status" -eq 9 ]
    [ "$output" = $'1 of quick\n2 of quick\n3 of quick' ]
}

@test "--verbose prints a line for each failed attempt that is retried" {
    bide set quick wait_initial=50ms >/dev/null # else it may be over already
    run bide exec --verbose quick sh -c 'exit 9'
    [ "${#lines[@]}" -eq 3 ]
    [[ ${lines[0]} == "bide: exec quick: attempt 1 failed: exit.9; retry in "* ]]
    [[ ${lines[1]} == "bide: exec quick: attempt 2 failed: exit.9; retry in "* ]]
}

@test "options of the command are not options of bide" {
    run bide exec quick printf '%s %s\n' --quiet --scope
    [ "$status" -eq 0 ]
    [ "$output" = "--quiet --scope" ]
}

@test "a signal that ends the command gives the status 128 plus its number" {
    run bide exec once sh -c 'kill -KILL $$'
    [ "$status" -eq 137 ]
}

@test "a missing command gives 127, one that cannot run gives 126, and neither is retried" {
    run -127 bide exec --verbose stubborn "$T/nothing"
    [ "$output" = "bide: exec stubborn: cannot run $T/nothing: No such file or directory" ]
    echo data >"$T/file"
    run bide exec --verbose stubborn "$T/file"
    [ "$status" -eq 126 ]
    [ "${#lines[@]}" -eq 1 ]
}

@test "a command that cannot run is a failed call with a name of its own" {
    run -127 bide exec --quiet once "$T/nothing"
    run -127 bide exec --quiet --defer stubborn "$T/nothing"
    run -126 bide exec --quiet once "$DIR"
    run -0 bide stats --json
    python3 - "$output" <<'PY'
import json, sys
of = {p["policy"]: p for p in json.loads(sys.argv[1])["policies"]}
assert of["once"]["outcomes"] == {"app.command_not_found": 1, "app.cannot_execute": 1}, of
assert of["once"]["calls"]["rejected"] == 2 and of["once"]["calls"]["cancelled"] == 0, of
assert of["stubborn"]["attempts"] == 1 and of["stubborn"]["calls"]["aborted"] == 1, of
PY
}

@test "a retry that the budget stops is reported" {
    bide set stubborn budget=own budget_capacity=1 budget_cost=1 >/dev/null
    bide exec --quiet stubborn false || true # pays with the only token
    run -1 bide exec --verbose stubborn false
    [ "$output" = "bide: exec stubborn: gave up after 1 attempt, last exit.1 (reason: budget)" ]
    run -1 bide exec --quiet stubborn false
    [ -z "$output" ]
}

@test "as PID 1, bide exec and deferred work remove orphans" {
    unshare --pid --fork --mount-proc true || skip "needs a PID namespace"
    # The shell ends only when the orphan is gone.
    cat >"$T/orphan" <<'SH'
#!/bin/sh
sh -c 'setsid sh -c "echo \$\$ >$T/pid.new; mv $T/pid.new $T/pid" &'
while [ ! -e "$T/pid" ] || [ -e "/proc/$(cat "$T/pid")" ]; do sleep 0.02; done
rm "$T/pid"
SH
    chmod +x "$T/orphan"
    run -0 timeout 60 unshare --pid --fork --mount-proc "$BIDE" --dir "$DIR" exec once "$T/orphan"
    bide deferred put once <<<x >/dev/null
    run -0 timeout 60 unshare --pid --fork --mount-proc "$BIDE" --dir "$DIR" \
        deferred replay once --until-empty --exec "$T/orphan"
}

@test "in a PID namespace without a session, bide exec keeps the terminal" {
    unshare --pid --fork --mount-proc true || skip "needs a PID namespace"
    cat >"$T/terminal.py" <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
os.write(fd, b"one\ntwo\n")
text = b""
try:
    while more := os.read(fd, 1024):
        text += more
except OSError:
    pass
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
    export DIR BIDE
    run -0 timeout 60 python3 "$T/terminal.py" '
        unshare --pid --fork --mount-proc "$BIDE" --dir "$DIR" \
            exec once sh -c "read a; echo first:\$a"
        read b; echo then:$b'
    [[ $output == *first:one* && $output == *then:two* ]]
    # A time limit still ends the command.
    bide set once attempt_timeout=50ms >/dev/null
    run -124 timeout 60 python3 "$T/terminal.py" \
        'unshare --pid --fork --mount-proc "$BIDE" --dir "$DIR" exec --quiet once sleep 1000'
}

@test "an invalid policy name gives 125" {
    run bide exec 'No Name' true
    [ "$status" -eq 125 ]
    [[ $output == *"not a name"* ]]
}

@test "a paused policy refuses the command without running it" {
    bide set once paused=yes >/dev/null
    run bide exec once sh -c 'echo >>"$T/runs"'
    [ "$status" -eq 75 ]
    [[ ${lines[0]} == "bide: exec once: refused: paused" ]]
    [ ! -e "$T/runs" ]
}

@test "at its time limit the command gets SIGTERM, and the outcome is a timeout" {
    # Long enough for a shell to set its trap on a busy machine.
    bide set bounded attempt_timeout=2s >/dev/null
    run bide exec bounded sh -c 'trap "echo asked; exit 0" TERM; sleep 1000 & wait'
    [ "$status" -eq 124 ]
    [ "${lines[0]}" = asked ]
    [ "${lines[1]}" = asked ]
    [ "${lines[2]}" = "bide: exec bounded: gave up after 2 attempts, last errno.ETIMEDOUT (reason: attempts)" ]
}

@test "a command that ignores SIGTERM is killed, with all that it started" {
    bide set bounded attempts=1 >/dev/null
    # The lock is released when the last process that holds it has ended.
    run bide exec bounded flock "$T/lock" sh -c 'trap "" TERM; sleep 1000 & sleep 1000'
    [ "$status" -eq 124 ]
    flock --nonblock "$T/lock" true
}

@test "standard input is for the first attempt only" {
    run bash -c 'echo hello | "$BIDE" --dir "$1" exec --quiet quick sh -c "cat; echo end; exit 9"' - "$DIR"
    [ "$status" -eq 9 ]
    [ "$output" = $'hello\nend\nend\nend' ]
}

@test "--stdin gives the input of a pipe to each attempt" {
    run bash -c 'echo hello | "$BIDE" --dir "$1" exec --quiet --stdin quick sh -c "cat; exit 9"' - "$DIR"
    [ "$output" = $'hello\nhello\nhello' ]
}

@test "--stdin keeps more input than a pipe can buffer" {
    head -c 1000000 /dev/zero >"$T/zeros"
    run bash -c 'cat "$2" | "$BIDE" --dir "$1" exec --quiet --stdin quick sh -c "cat | wc -c; exit 9"' - "$DIR" "$T/zeros"
    [ "$output" = $'1000000\n1000000\n1000000' ]
}

@test "--stdin rewinds a file to its offset at the start, not to its beginning" {
    printf 'one\ntwo\n' >"$T/file"
    run bash -c '{ read -r first; "$BIDE" --dir "$1" exec --quiet --stdin quick sh -c "cat; exit 9"; } <"$2"' - "$DIR" "$T/file"
    [ "$output" = $'two\ntwo\ntwo' ]
}

@test "closed standard input stays closed, for each attempt" {
    run bash -c '"$BIDE" --dir "$1" exec --quiet --stdin quick sh -c "test -e /proc/self/fd/0 && echo open; exit 9" <&-' - "$DIR"
    [ "$status" -eq 9 ]
    [ -z "$output" ]
}

@test "signals are passed on to the command" {
    mkfifo "$T/up" "$T/usr1" "$T/never"
    "$BIDE" --dir "$DIR" exec once sh -c \
        'trap "echo usr1 >\"\$T/usr1\"" USR1; trap "exit 3" HUP
         exec 4<>"$T/never"; echo ready >"$T/up"
         while :; do read -r x <&4; done' 3>&- &
    CALL=$!
    read -r line <"$T/up"
    kill -USR1 "$CALL"
    read -r line <"$T/usr1"
    [ "$line" = usr1 ]
    kill -HUP "$CALL"
    status_of_call
    [ "$status" -eq 3 ]
}

@test "after SIGTERM no further attempt is made" {
    mkfifo "$T/up" "$T/never"
    "$BIDE" --dir "$DIR" exec stubborn sh -c \
        'echo >>"$T/runs"; trap "exit 3" TERM
         exec 4<>"$T/never"; echo ready >"$T/up"
         while :; do read -r x <&4; done' 3>&- &
    CALL=$!
    read -r line <"$T/up"
    kill -TERM "$CALL"
    status_of_call
    [ "$status" -eq 3 ]
    [ "$(runs)" -eq 1 ]
}

@test "a signal ends a waiting call" {
    start_and_fall_asleep asleep sh -c 'echo >>"$T/runs"; exit 1'
    kill -TERM "$CALL"
    status_of_call
    [ "$status" -eq 143 ]
    [ "$(runs)" -eq 1 ]
}

@test "when bide exec is killed, the command and all that it started end too" {
    mkfifo "$T/up"
    "$BIDE" --dir "$DIR" exec once flock "$T/lock" sh -c \
        'sleep 1000 & echo >"$T/up"; sleep 1000' 3>&- &
    CALL=$!
    read -r line <"$T/up"
    run flock --nonblock "$T/lock" true
    [ "$status" -eq 1 ]
    kill -KILL "$CALL"
    status_of_call
    [ "$status" -eq 137 ]
    # Waits until the last of them has ended.
    flock --timeout 20 "$T/lock" true
}

@test "a call that waits for hours retries when its wait is shortened" {
    start_and_fall_asleep asleep sh -c 'echo >>"$T/runs"; [ "$BIDE_ATTEMPT" = 2 ]'
    bide set asleep wait_initial=1ms >/dev/null
    status_of_call
    [ "$status" -eq 0 ]
    [ "$(runs)" -eq 2 ]
}

@test "a waiting call gives up when the limit of attempts is lowered" {
    start_and_fall_asleep asleep sh -c 'echo >>"$T/runs"; exit 7'
    bide set asleep attempts=1 >/dev/null
    status_of_call
    [ "$status" -eq 7 ]
    [ "$(runs)" -eq 1 ]
}

@test "a waiting call gives up when its policy is deleted" {
    start_and_fall_asleep asleep sh -c 'echo >>"$T/runs"; exit 7'
    bide delete asleep >/dev/null
    status_of_call
    [ "$status" -eq 7 ]
    [ "$(runs)" -eq 1 ]
}

@test "a change of another policy does not wake a waiting call" {
    start_and_fall_asleep asleep sh -c 'echo >>"$T/runs"; [ "$BIDE_ATTEMPT" = 2 ]'
    bide set quick wait_initial=2ms >/dev/null
    [ "$(runs)" -eq 1 ]
    kill -0 "$CALL"
    bide set asleep wait_initial=1ms >/dev/null
    status_of_call
    [ "$status" -eq 0 ]
}

@test "without a registry the command runs once, and only --verbose says why" {
    DIR=$T/nowhere
    run bide exec quick sh -c 'echo >>"$T/runs"; exit 75'
    [ "$status" -eq 75 ]
    [ -z "$output" ]
    [ "$(runs)" -eq 1 ]
    run bide exec --verbose quick true
    [ "$status" -eq 0 ]
    [[ $output == "bide: exec quick: there is no registry: the command runs once, without retries" ]]
}

@test "an undefined policy means a single attempt" {
    run bide exec nobody sh -c 'echo >>"$T/runs"; exit 75'
    [ "$status" -eq 75 ]
    [ "$(runs)" -eq 1 ]
    [ "$output" = "bide: exec nobody: no such policy: the command runs once, without retries" ]
    run bide exec --quiet nobody true
    [ -z "$output" ]
    printf '[default]\nattempts = 2\nwait_initial = 0\n' | bide apply - >/dev/null
    run bide exec --verbose nobody sh -c 'exit 75'
    [ "${lines[0]}" = "bide: exec nobody: no such policy: the rules of the policy default apply" ]
    [ "${lines[1]}" = "bide: exec nobody: attempt 1 failed: exit.75; retry at once" ]
}

@test "the attempts of exec are counted, by scope" {
    bide exec --quiet --scope here quick sh -c 'exit 75' || true
    bide exec --scope here quick true
    run bide stats quick --json
    [[ $output == *'"scope"'*'"here"'* ]]
    [[ $(tr -d ' \n' <<<"$output") == *'"attempts":4,"attempts_failed":3,"retries":2'* ]]
}

# Runs `bide exec once sh -c $1` at a terminal, where "typed" is typed.
at_a_terminal() {
    command -v script >/dev/null || skip "needs the package bsdutils"
    mkfifo "$T/keys"
    script -qec "$BIDE --dir $DIR exec once sh -c $1" \
        /dev/null <"$T/keys" >"$T/screen" 3>&- &
    CALL=$!
    exec 5>"$T/keys"
    echo typed >&5
    status_of_call
    exec 5>&-
}

@test "at a terminal the command gets the terminal and its input" {
    at_a_terminal "'read -r x && echo got \$x'"
    [ "$status" -eq 0 ]
    grep -q 'got typed' "$T/screen"
}

@test "a command with other input gets the terminal when it opens it" {
    at_a_terminal "'read -r x </dev/tty && echo got \$x' </dev/null"
    [ "$status" -eq 0 ]
    grep -q 'got typed' "$T/screen"
}
