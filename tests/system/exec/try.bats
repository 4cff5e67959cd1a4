#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # the command expands; tests are subshells
# bide try, which needs no registry; --output last; messages beside the command's
# output.
load ../registry

setup() {
    enter_test
    PATH=$(dirname "$BIDE"):$PATH
    BIDE_DIR=$T/none
    export PATH BIDE_DIR
}

teardown() {
    tmux -S "$T/tmux" kill-server 2>/dev/null || true
}

@test "try repeats a command until it succeeds, at most so many times" {
    gives 0 "$BIDE" try 5 --wait 1ms -- sh -c 'echo "$BIDE_ATTEMPT"; [ "$BIDE_ATTEMPT" = 3 ]'
    [ "$output" = $'1\n2\n3' ]
    gives 9 "$BIDE" try 2 --wait 1ms sh -c 'exit 9'
    [ "$output" = "bide: try: gave up after 2 attempts, last exit.9 (reason: attempts)" ]
    gives 9 "$BIDE" try 2 --wait 0 --quiet sh -c 'exit 9'
    [ -z "$output" ]
    gives 0 "$BIDE" try unlimited --wait 0 sh -c '[ "$BIDE_ATTEMPT" = 50 ]'
    run -127 "$BIDE" try 5 --wait 1h -- "$T/missing"
}

@test "the waits of try are those of its options" {
    gives 9 "$BIDE" try 5 --wait 2ms --max 5ms --jitter none --verbose sh -c 'exit 9'
    [ "$output" = "bide: try: attempt 1 failed: exit.9; retry in 2ms
bide: try: attempt 2 failed: exit.9; retry in 4ms
bide: try: attempt 3 failed: exit.9; retry in 5ms
bide: try: attempt 4 failed: exit.9; retry in 5ms
bide: try: gave up after 5 attempts, last exit.9 (reason: attempts)" ]
    # Drawn at random, as in a policy, and the same with the same seed.
    gives 9 "$BIDE" try 3 --wait 9ms --seed 5 --verbose sh -c 'exit 9'
    says_not "retry in 9ms"
    first=$output
    gives 9 "$BIDE" try 3 --wait 9ms --seed 5 --verbose sh -c 'exit 9'
    [ "$output" = "$first" ]
    gives 125 "$BIDE" try 3 --seed 0 touch ran
    says "--seed 0: must be a whole number, 1 or more"
}

@test "try has the limits of its options" {
    gives 124 "$BIDE" try 2 --wait 0 --timeout 50ms sleep 1000
    says "gave up after 2 attempts, last errno.ETIMEDOUT (reason: attempts)"
    gives 9 "$BIDE" try 5 --wait 1h --max 1h --deadline 30m --jitter none sh -c 'exit 9'
    says "gave up after 1 attempt, last exit.9 (reason: deadline)"
    gives 5 "$BIDE" try 3 --success-on 5 sh -c 'exit 5'
    gives 3 "$BIDE" try 3 --wait 1h sh -c 'bide outcome app.x --after never; exit 3'
    says "reason: retry_after"
}

@test "try needs and makes nothing: no registry, no live file, no home" {
    mkdir empty
    cd empty
    gives 0 env -i BIDE_DIR="$T/empty/r" XDG_RUNTIME_DIR="$T/empty" HOME="$T/empty" "$BIDE" \
        try 2 --wait 0 /bin/sh -c '[ "$BIDE_ATTEMPT" = 2 ]'
    [ -z "$output" ]
    [ -z "$(ls -A)" ]
    # A damaged registry, and one with a policy of that name, change nothing.
    bide init --live "$T/live" >/dev/null
    printf '[try]\nattempts = 1\n[default]\npaused = yes\n' | bide apply - >/dev/null
    gives 9 "$BIDE" --dir "$DIR" try 3 --wait 0 sh -c 'exit 9'
    says "after 3 attempts"
    gives 0 bide stats --json
    json "all(p['attempts'] == 0 for p in j['policies'])"
    printf x >"$DIR/policies/registry.mdb"
    gives 0 "$BIDE" --dir "$DIR" try 3 true
}

@test "options of try are checked as the keys of a policy" {
    gives 125 "$BIDE" try 0 touch ran
    says "try: attempts = 0: must be 1 to 1000000, or unlimited"
    gives 125 "$BIDE" try 5 --wait 1 touch ran
    [ "$output" = "bide: try: wait_initial = 1: a duration needs its unit; did you mean 1ms?" ]
    gives 125 "$BIDE" try 5 --jitter much touch ran
    says "try: wait_jitter = much"
    gives 125 "$BIDE" try x touch ran
    gives 125 "$BIDE" try 5
    gives 125 "$BIDE" try 5 --scope x touch ran
    gives 125 "$BIDE" try 5 --output all touch ran
    [ ! -e ran ]
}

# ---- --output last ----

@test "--output last prints what the last attempt printed, each on its stream" {
    "$BIDE" try 3 --wait 0 --output last -- sh -c \
        'echo "out $BIDE_ATTEMPT"; echo "err $BIDE_ATTEMPT" >&2; exit 2' >out 2>err || status=$?
    [ "$status" -eq 2 ]
    [ "$(cat out)" = "out 3" ]
    [ "$(cat err)" = $'err 3\nbide: try: gave up after 3 attempts, last exit.2 (reason: attempts)' ]
}

@test "output and errors in one file keep their order, and a message begins a line" {
    gives 2 "$BIDE" try 2 --wait 0 --output last -- sh -c 'echo a; echo b >&2; echo c; printf d >&2; exit 2'
    [ "$output" = $'a\nb\nc\nd\nbide: try: gave up after 2 attempts, last exit.2 (reason: attempts)' ]
    gives 0 "$BIDE" try 2 --output last -- printf x
    [ "$output" = x ]
}

@test "output is kept whole, and a process that is left behind is not waited for" {
    "$BIDE" try 2 --output last -- sh -c 'head -c 3000000 /dev/urandom | tee sent' >got
    cmp sent got
    mkfifo go over
    gives 0 "$BIDE" try 2 --output last -- sh -c '(read -r _ <go; echo late; echo "$?" >over) 3>&- & echo now'
    [ "$output" = now ]
    echo >go
    read -r status <over # it was not ended by SIGPIPE
    [ "$status" -eq 0 ]
}

@test "output is kept in memory if there is no TMPDIR, and stays closed if it is closed" {
    TMPDIR=$T/none gives 0 "$BIDE" try 2 --output last -- echo kept
    [ "$output" = kept ]
    gives 1 sh -c '"$BIDE" try 1 --quiet --output last -- sh -c "test -e /proc/self/fd/1" >&-'
    [ -z "$output" ]
}

@test "a full disk is said, of TMPDIR or of the output" {
    gives 125 sh -c '"$BIDE" try 2 --output last -- echo x >/dev/full'
    says "bide: try: output: No space left on device"
    unshare --mount true 2>/dev/null || skip "needs mount namespaces"
    mkdir small
    gives 0 unshare --mount sh -c 'mount -t tmpfs -o size=64k tmpfs small
        TMPDIR=$PWD/small "$BIDE" try 1 --output last -- sh -c "head -c 300000 /dev/zero 2>/dev/null | tr \"\\0\" x 2>/dev/null; echo x; exit 0"'
    says "bide: try: output may be missing: the disk of TMPDIR is full"
}

@test "a signal during the wait still prints the output of the last attempt" {
    mkfifo words
    "$BIDE" try 2 --wait 1h --max 1h --jitter none --verbose --output last -- sh -c 'echo seen; exit 2' >out 2>words 3>&- &
    call=$!
    read -r line <words
    [[ $line == *"retry in 1h" ]] # not the time of the next look for changes
    kill -TERM "$call"
    status=0
    wait "$call" || status=$?
    [ "$status" -eq 143 ]
    [ "$(cat out)" = seen ]
}

# ---- messages on a terminal ----

# screen COLUMNS COMMAND: sets $output to the screen of a terminal on which the shell
# command has run.
screen() {
    command -v tmux >/dev/null || skip "needs the package tmux"
    rm -f over
    mkfifo over
    printf '%s\n' "$2" 'echo >over; read -r _' >script
    # One descriptor that is open for both does not block.
    exec 5<>over
    tmux -S "$T/tmux" new-session -d -x "$1" -y 20 "sh script" 3>&- 5>&-
    read -r -t 60 _ <&5
    output=$(tmux -S "$T/tmux" capture-pane -p | sed "s|  *\$||; /^\$/d")
    tmux -S "$T/tmux" kill-server
}

@test "on a terminal a message begins a line, wherever the command left the cursor" {
    screen 100 '"$BIDE" try 2 --wait 0 sh -c "printf \"50 %%\"; exit 2"
        "$BIDE" try 2 --wait 0 sh -c "echo whole >&2; exit 2"
        "$BIDE" try 2 --wait 0 sh -c "printf \"%0100d\" 0; exit 2"'
    [ "$output" = "50 %50 %
bide: try: gave up after 2 attempts, last exit.2 (reason: attempts)
whole
whole
bide: try: gave up after 2 attempts, last exit.2 (reason: attempts)
$(printf '%0100d\n%0100d' 0 0)
bide: try: gave up after 2 attempts, last exit.2 (reason: attempts)" ]
}

@test "a command that succeeds leaves the terminal as it is" {
    screen 80 '"$BIDE" try 2 sh -c "printf a"; printf b; "$BIDE" try 2 --output last printf c; printf d'
    [ "$output" = abcd ]
}
