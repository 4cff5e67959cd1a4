#!/usr/bin/env bats
# bide top on terminals of tmux; --watch and --follow.
load ../registry

setup_top() {
    command -v tmux >/dev/null || skip "needs the package tmux"
    needs_plain_build
    shop
    bide set pay retry_on=exit.9 wait=none attempts=2 warn_failed_rate=5% warn_min_calls=1 >/dev/null
    bide exec mail -- true
    for scope in eu eu us; do
        run bide exec --quiet --scope $scope pay -- sh -c 'exit 9'
    done
}

# Each terminal has its own server: one that is ending would also end the next.
screen() { timeout 60 tmux -S "$T/top-${terminals:-0}" -f /dev/null "$@"; }
# top COLUMNS ROWS [WORD=VALUE...]: starts bide top; its exit status follows it.
top() {
    terminals=$((${terminals:-0} + 1))
    screen new-session -d -x "$1" -y "$2" \
        "$(printf '%q ' env LC_ALL=C.UTF-8 "${@:3}" "$BIDE" --dir "$DIR" top); echo \"# status \$?\"; stty -a; exec sleep 60"
}
shows() { screen capture-pane -p | tee "$T/screen" | grep -E -- "$1" >/dev/null; }
type_in() { screen send-keys "$@"; }
teardown() {
    cat "$T/screen" 2>/dev/null || true
    screen kill-server 2>/dev/null || true; }

@test "top shows the worst policy first, and its scopes, outcomes and rules on demand" {
    setup_top
    top 80 24
    until_it shows '^pay .* 0\.0% '
    run screen capture-pane -p
    [[ ${lines[0]} =~ ^bide\ top.*3\ policies ]]
    [[ ${lines[3]} =~ ^pay ]] && [[ ${lines[4]} =~ ^mail ]]
    says "warning: failed 100% above 5%; most often exit.9 in eu" "Enter detail" "q quit"
    type_in Enter
    until_it shows "pay/eu"
    until_it shows "exit.9 6"
    until_it shows "in the last minute:  none" # no attempt succeeded
    type_in NPage NPage NPage NPage NPage NPage NPage NPage NPage End Up Up Up
    until_it shows "created"
    type_in Escape
    until_it shows "by failed"
    type_in /
    type_in ord
    type_in Enter
    until_it shows "only ord"
    run screen capture-pane -p
    [[ ${lines[3]} =~ ^order ]]
    says_not "mail  "
    type_in q
    until_it shows "# status 0"
    shows " echo "
}

@test "top shows what would change, then changes it, or not" {
    setup_top
    top 100 30
    until_it shows '^pay '
    type_in e
    type_in "attempts=7"
    type_in Enter
    until_it shows "attempts +2 +-> +7"
    [ "$(bide get pay attempts)" = 2 ]
    type_in n
    until_it shows "by failed"
    [ "$(bide get pay attempts)" = 2 ]
    type_in e
    type_in "attempts=7"
    type_in Enter
    until_it shows "Do it"
    type_in y
    until_it shows "Note"
    type_in "INC-7"
    type_in Enter
    until_it shows "pay v2 -> v3"
    [ "$(bide get pay attempts)" = 7 ]
    gives 0 bide log pay
    says "INC-7"
    type_in x
    # What was changed meanwhile by somebody else is not overwritten.
    type_in p
    until_it shows "paused .*-> +yes"
    bide set pay attempts=3 >/dev/null
    type_in y
    until_it shows "Note"
    type_in Enter
    until_it shows "the version in force is 4, not 3"
    type_in x
    type_in e
    type_in "attempts=none"
    type_in Enter
    until_it shows "any key"
    [ "$(bide get pay paused)" = no ]
}

@test "top wakes waiting calls after a question" {
    setup_top
    bide set mail retry_on=exit.9 wait=fixed wait_initial=6h wait_max=6h attempts=2 >/dev/null
    bide exec --quiet mail -- sh -c 'exit 9' &
    until_it eval "bide calls | grep mail"
    top 80 24
    until_it shows '^pay '
    type_in /
    type_in mail Enter w
    until_it shows "mail: 1 waiting call would be woken"
    type_in n
    until_it shows "by failed"
    bide calls | grep mail
    screen resize-window -x 40 -y 24
    type_in w
    until_it shows "Do it"
    type_in y
    until_it shows "mail: 1 waiting call woken"
    until_it shows "breaker refuses wait on" # folded, not cut
    wait $! || true
}

@test "top is usable from 20x4 to 300x80, and follows the size" {
    setup_top
    top 80 24
    until_it shows '^pay '
    for size in "20 4" "40 10" "1 1" "300 80" "120 30"; do
        # shellcheck disable=SC2086 # two words
        screen resize-window -x ${size% *} -y ${size#* }
        type_in Down Up s s Enter Escape
    done
    until_it shows "10 MINUTES"
    type_in q
    until_it shows "# status 0"
}

@test "any keys in any order neither end top nor change anything" {
    setup_top
    before=$(bide export)
    top 80 24
    until_it shows '^pay '
    RANDOM=7
    keys=(Up Down Left Right PPage NPage Home End Enter Escape s / p r b w R e x n j k h "?" "~" F5 Tab BSpace DC a "=" "é")
    for _ in $(seq 400); do
        type_in "${keys[RANDOM % ${#keys[@]}]}"
    done
    type_in Escape Escape Escape x
    until_it shows "q quit|any key|Do it|Only names"
    ! shows "# status"
    [ "$(bide export)" = "$before" ]
}

@test "an interrupt, a signal and a closed terminal end top, and the terminal is as before" {
    setup_top
    for signal in INT TERM; do
        top 80 24
        until_it shows '^pay '
        pid=$(pgrep -f "^$BIDE --dir $DIR top")
        kill -$signal "$pid"
        until_it shows "# status"
        shows " echo "
        screen kill-server
        until_it test ! -e "/proc/$pid"
    done
    top 80 24
    until_it shows '^pay '
    pid=$(pgrep -f "^$BIDE --dir $DIR top")
    screen kill-server
    until_it test ! -e "/proc/$pid"
}

@test "top needs a terminal that can move its cursor, and no colours" {
    setup_top
    gives 1 bash -c '"$BIDE" --dir "$DIR" top </dev/null'
    says "needs a terminal" "bide list --sort failed"
    top 80 24 TERM=dumb
    until_it shows "TERM=dumb: cannot move the cursor"
    screen kill-server
    top 80 24 NO_COLOR=1
    until_it shows '^pay '
    run screen capture-pane -p -e
    says_not $'\033[33m'
    screen kill-server
    top 80 24
    until_it shows '^pay '
    run screen capture-pane -p -e
    says $'\033[33m'
}

@test "calls --watch prints again, audit --follow prints what is new" {
    shop
    "$BIDE" --dir "$DIR" calls --watch >watched &
    "$BIDE" --dir "$DIR" audit --follow >followed &
    until_it grep created followed
    bide set pay attempts=9 --note later >/dev/null
    until_it grep later followed
    until_it bash -c '[ "$(grep -c "No calls are waiting" watched)" -ge 2 ]'
    kill %1 %2
    wait || true
    [ "$(grep -c later followed)" = 1 ]
    [ "$(grep -c created followed)" = 3 ]
}

@test "--follow and --watch end when nobody reads on, also if nothing happens" {
    local command
    shop
    mkfifo pipe
    for command in "audit -f" "list -w" "calls --watch"; do
        # shellcheck disable=SC2086 # words
        timeout 30 "$BIDE" --dir "$DIR" $command >pipe &
        read -r _ <pipe
        wait $!
    done
}

@test "top marks what it cuts" {
    local name=a-very-long-name-of-a-policy-that-fits-nowhere
    setup_top
    bide copy pay $name >/dev/null
    top 80 24
    until_it shows '^a-very-long-name-of-a… +-'
    type_in Down
    until_it shows "^$name v1"
}
