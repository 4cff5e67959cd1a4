#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # the command expands; tests are subshells
# bide exec that is ended by a signal or at the terminal: a cancelled attempt is
# not retried and counts for no breaker.
load ../registry

policies() {
    bide apply - >/dev/null <<'END'
[shop]
attempts = 3
wait = fixed
wait_initial = 1ms
retry_on = any
breaker = on
breaker_min_calls = 3

[probed]
attempts = 1
retry_on = exit.75
breaker = on
breaker_consecutive = 1
breaker_open_for = 1ms
breaker_probes = 1

[asleep]
attempts = 2
wait = fixed
wait_initial = 6h
wait_max = 6h
retry_on = any
breaker = on
breaker_consecutive = 2
END
}

teardown() {
    if [ -n "${CALL:-}" ]; then
        kill -KILL "$CALL" 2>/dev/null || true
    fi
    tmux -S "$T/tmux" kill-server 2>/dev/null || true
}

# Runs `bide exec POLICY` with a command that ends at the signal SIG with
# STATUS, or is ended by it (STATUS "none"), and sends SIG to bide exec.
end_by_signal() { # POLICY SIG STATUS
    rm -f "$T/up"
    mkfifo "$T/up"
    # A command in the background is started with SIGINT and SIGQUIT ignored.
    env --default-signal=INT,QUIT "$BIDE" --dir "$DIR" exec "$1" sh -c '
        [ "$2" = none ] || trap "exit $2" "$1"
        exec 4<>"$T/never"; echo run >>"$T/runs"; echo >"$T/up"
        while :; do read -r x <&4; done' - "$2" "$3" 3>&- &
    CALL=$!
    read -r _ <"$T/up"
    kill -"$2" "$CALL"
    status=0
    wait "$CALL" || status=$?
    CALL=
}

# is STATE CANCELLED CALLS NAME: fails unless the breaker of NAME is in STATE,
# CANCELLED of its CALLS were cancelled, and each call has one verdict.
is() {
    gives 0 bide stats "$4" --json
    json "(p := j['policies'][0], c := p['calls'])[0]['breaker']['state'] == '$1' \
        and c['cancelled'] == $2 and $3 == sum(c[k] for k in \
        ('succeeded', 'exhausted', 'refused', 'rejected', 'cancelled'))"
}

@test "calls that a signal ends open no breaker and are not retried" {
    policies
    mkfifo never
    for sig in TERM INT HUP QUIT; do
        for code in none 1 75; do
            end_by_signal shop $sig $code
            if [ $code = none ]; then
                [ "$status" -eq $((128 + $(kill -l $sig))) ]
            else
                [ "$status" -eq $code ]
            fi
        done
    done
    [ "$(wc -l <runs)" -eq 12 ]
    is closed 12 12 shop
    # Attempts are counted; a command that exits with 0 has succeeded.
    json 'j["policies"][0]["attempts"] == 12'
    end_by_signal shop TERM 0
    [ "$status" -eq 0 ]
    is closed 12 13 shop
}

@test "a probe that a signal ends leaves its place, and decides nothing" {
    policies
    mkfifo never
    gives 75 bide exec probed sh -c 'exit 75'
    end_by_signal probed TERM none # a rejected outcome would close the breaker
    [ "$status" -eq 143 ]
    end_by_signal probed TERM 75 # a failure would open it
    is 'half open' 2 3 probed
    gives 0 bide exec probed true
    is closed 2 4 probed
}

@test "a signal during the wait cancels the call" {
    policies
    mkfifo words
    "$BIDE" --dir "$DIR" exec --verbose asleep false 2>words 3>&- &
    CALL=$!
    read -r line <words
    [[ $line == *"retry in"* ]]
    kill -TERM "$CALL"
    status=0
    wait "$CALL" || status=$?
    CALL=
    [ "$status" -eq 143 ]
    is closed 1 1 asleep
}

@test "a signal before the first attempt means that the command does not run" {
    policies
    # The signal is pending before bide exec starts.
    gives 143 python3 - "$BIDE" --dir "$DIR" exec shop touch ran <<'END'
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
END
    [ ! -e ran ]
    is closed 1 1 shop
}

@test "a command that is cancelled is not deferred" {
    policies
    bide set shop importance=postponable >/dev/null
    mkfifo never up
    "$BIDE" --dir "$DIR" exec --defer shop sh -c \
        'exec 4<>"$T/never"; echo >"$T/up"; read -r x <&4' 3>&- &
    CALL=$!
    read -r _ <up
    kill -TERM "$CALL"
    status=0
    wait "$CALL" || status=$?
    CALL=
    [ "$status" -eq 143 ]
    gives 0 bide deferred list
    says "no deferred work"
}

@test "stopped until after the deadline, exec makes no further attempt" {
    bide apply - >/dev/null <<'END'
[late]
attempts = 3
wait = fixed
wait_initial = 1500ms
wait_jitter = none
deadline = 2s
retry_on = any
END
    mkfifo words
    "$BIDE" --dir "$DIR" exec --verbose late sh -c 'echo >>"$T/runs"; exit 9' \
        2>words 3>&- &
    CALL=$!
    exec 5<words
    read -r line <&5
    [[ $line == *"retry in"* ]]
    kill -STOP "$CALL"
    sleep 2 # the deadline passes
    kill -CONT "$CALL"
    status=0
    wait "$CALL" || status=$?
    CALL=
    [ "$status" -eq 9 ] # of the last attempt
    [ "$(wc -l <runs)" -eq 1 ]
    gives 0 bide stats late --json
    json 'j["policies"][0]["attempts"] == 1'
    json 'j["policies"][0]["calls"]["exhausted"] == 1'

    # Stopped while the attempt runs, which ends before its time limit.
    mkfifo up go
    "$BIDE" --dir "$DIR" exec late sh -c 'echo >>"$T/runs"; echo >"$T/up"
        read -r x <"$T/go"; exit 7' 3>&- &
    CALL=$!
    read -r _ <up
    kill -STOP "$CALL"
    echo >go
    sleep 2
    kill -CONT "$CALL"
    status=0
    wait "$CALL" || status=$?
    CALL=
    [ "$status" -eq 7 ]
    [ "$(wc -l <runs)" -eq 2 ]
}

# ---- at a terminal ----

# at_terminal KEY POLICY SCRIPT: runs `bide exec POLICY sh -c SCRIPT` at a
# terminal and types KEY (as printf writes it) once the script has written to
# $T/up.
at_terminal() {
    command -v script >/dev/null || skip "needs the package bsdutils"
    rm -f up keys
    mkfifo up keys
    printf '%s\n' "$3" >script
    env --default-signal=INT,QUIT script -qec \
        "${ENV:-} $BIDE --dir $DIR exec $2 sh $T/script" \
        /dev/null <keys >>screen 3>&- &
    CALL=$!
    exec 5>keys
    read -r _ <up
    # shellcheck disable=SC2059
    printf "$1" >&5
    status=0
    wait "$CALL" || status=$?
    CALL=
    exec 5>&-
}

# A command that handles the keys and exits with status $1.
handles() {
    echo 'trap "exit '"$1"'" INT QUIT; exec 4<>"$T/never"; echo >>"$T/runs"
          echo >"$T/up"; while :; do read -r x <&4; done'
}

@test "keys that interrupt a command cancel it, whatever its exit status" {
    policies
    mkfifo never
    for key in '\003' '\034'; do
        for code in 1 75 130; do
            at_terminal "$key" shop "$(handles $code)"
            [ "$status" -eq $code ]
        done
    done
    [ "$(wc -l <runs)" -eq 6 ]
    is closed 6 6 shop
    at_terminal '\003' shop "$(handles 0)"
    [ "$status" -eq 0 ]
    is closed 6 7 shop
}

@test "keys end a command that does not handle them, and are not retried" {
    policies
    mkfifo never
    for key in '\003' '\034'; do
        at_terminal "$key" shop 'exec 4<>"$T/never"; echo >>"$T/runs"
                                 echo >"$T/up"; read -r x <&4'
        [ "$status" -ge 130 ]
    done
    [ "$(wc -l <runs)" -eq 2 ]
    is closed 2 2 shop
}

@test "a key that is ignored cancels nothing" {
    policies
    ENV='env --ignore-signal=INT' at_terminal '\003x\n' shop '
        echo >>"$T/runs"; [ "$BIDE_ATTEMPT" != 1 ] || { echo >"$T/up"; read -r x; }
        exit 9'
    [ "$status" -eq 9 ]
    [ "$(wc -l <runs)" -eq 3 ]
}

@test "a command that sends itself SIGINT is retried" {
    policies
    at_terminal '' shop 'echo >>"$T/runs"; trap : INT; kill -INT 0
                         [ "$BIDE_ATTEMPT" = 1 ] && echo >"$T/up"; exit 9'
    [ "$status" -eq 9 ]
    [ "$(wc -l <runs)" -eq 3 ]
}

# typed TEXT: types it in the shell of the terminal, then reads a line from up.
typed() {
    tmux -S "$T/tmux" send-keys "$1" Enter
    read -r -t 60 line <&5
}

@test "a command that stops itself gives the shell its prompt, and fg continues it" {
    command -v tmux >/dev/null || skip "needs the package tmux"
    policies
    mkfifo up
    exec 5<>up
    printf '%s\n' 'kill -STOP $$; echo back >up; kill -STOP $$; exit 7' >script
    tmux -S "$T/tmux" new-session -d "bash --norc" 3>&- 5>&-
    typed "$BIDE --dir $DIR exec nobody sh script; echo \$? >up"
    [ "$line" -eq 148 ] # stopped
    typed "fg; echo \$? >up"
    [ "$line" = back ]
    read -r -t 60 line <&5
    [ "$line" -eq 148 ]
    typed "fg; echo \$? >up"
    [ "$line" -eq 7 ]
}
