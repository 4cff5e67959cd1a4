#!/usr/bin/env bats
# The command line itself, its help, and registries that are not well.
load ../registry

# ---- usage ----

@test "mistakes in the command line are 2, with the usage and a near word" {
    gives 2 "$BIDE"
    says "which command?" "see: bide help"
    gives 2 bide lst
    says "lst: no such command (list?)"
    gives 2 bide list --jsn
    says "--jsn: no such option (--json?)" "usage: bide list [PATTERN]"
    gives 2 bide list --prune
    says "--prune: no such option"
    gives 2 bide list -x
    gives 2 bide list --json=1
    says "--json takes no value"
    gives 2 bide apply
    says "something is missing" "usage: bide apply"
    gives 2 bide get pay
    gives 2 bide calls extra
    says "one too many: extra"
    gives 2 bide log --since
    says "--since needs a value: TIME"
    gives 2 bide list --dir
    gives 2 bide log --since today --since today
    says "given twice"
}

@test "what is mistaken can not steer the terminal" {
    for args in $'\033[2J' $'list \033[2J \033x' $'list --\033[2J' $'show \033[2J' $'get a \033[2J'; do
        # shellcheck disable=SC2086 # several words are meant
        run bide $args
        [ "$status" -ne 0 ]
        says_not $'\033'
        says '\x1b'
    done
}

@test "usage mistakes of exec are 125, as with env and timeout" {
    gives 125 bide exec
    gives 125 bide exec pay
    gives 125 bide exec --no-such pay -- true
}

@test "--dir stands before or after, with or without equals sign, or in BIDE_DIR" {
    shop
    gives 0 "$BIDE" --dir "$DIR" get pay attempts
    gives 0 "$BIDE" get pay attempts --dir "$DIR"
    gives 0 "$BIDE" get --dir="$DIR" pay attempts
    gives 0 env BIDE_DIR="$DIR" "$BIDE" get pay attempts
    gives 6 env BIDE_DIR="$T/none" "$BIDE" get pay attempts
}

@test "after -- nothing is an option" {
    shop
    gives 5 bide show -- --version
    says "--version: not a name"
}

@test "version" {
    gives 0 "$BIDE" --version
    [[ $output =~ ^bide\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    gives 0 "$BIDE" version
    gives 0 "$BIDE" list --version
    [[ $output =~ ^bide\  ]]
}

# ---- help ----

@test "help names every command, and each has help of its own" {
    gives 0 "$BIDE" help
    local commands
    commands=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' <<<"$output")
    says Policies "Live state" Statistics "Deferred work" "Running programs"
    for command in init apply validate export list show get set unset delete log \
        rollback diff preview simulate stats calls breaker budget pause resume exec \
        help version; do
        grep -qx "$command" <<<"$commands"
        gives 0 "$BIDE" help "$command"
        [[ ${lines[0]} == "usage: bide $command"* ]]
        local text=$output
        gives 0 "$BIDE" "$command" --help
        [ "$output" = "$text" ]
    done
    gives 0 "$BIDE" --help
    gives 2 "$BIDE" help nonsense
}

@test "help of everything fits 80 columns" {
    gives 0 "$BIDE" help
    for line in "${lines[@]}"; do
        [ "${#line}" -le 80 ]
    done
    for command in $("$BIDE" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
        gives 0 "$BIDE" help "$command"
        for line in "${lines[@]}"; do
            [ "${#line}" -le 80 ]
        done
    done
}

@test "help keys has every key, help KEY one of them" {
    gives 0 "$BIDE" help keys
    [[ $output =~ wait_initial\ +100ms\ +the\ first\ wait ]]
    gives 0 "$BIDE" help importance
    says "default  mandatory" "mandatory postponable optional"
}

@test "help outcomes has names and classes" {
    gives 0 "$BIDE" help outcomes
    [[ $output =~ http.503\ +transient ]]
    says "errno.ECONNREFUSED" "grpc.UNAVAILABLE" "connect" "app.NAME"
}

@test "the completion in the tree is the one the tables make" {
    "$BIDE" help --completion | cmp - "$BATS_TEST_DIRNAME/../../../cli/dist/bide.bash"
}

# table PAGE WORD: what a manual page has between its marks.
table() {
    sed -n "/^\.\\\\\" $2 begin/,/^\.\\\\\" $2 end/p" \
        "$BATS_TEST_DIRNAME/../../../cli/man/$1" | sed '1d;$d'
}

@test "the tables of the manual pages are those that the command has" {
    "$BIDE" help keys --man | diff - <(table bide.5 keys)
    "$BIDE" help --man | diff - <(table bide.1 commands)
}

# completes WORD...: what bash would offer for the last word, in $output.
completes() {
    run bash -c '
        source "$1"; shift
        bide() { "$BIDE" "$@"; }
        COMP_WORDS=(bide --dir "$DIR" "$@")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _bide; printf "%s\n" "${COMPREPLY[@]}"' _ \
        "$BATS_TEST_DIRNAME/../../../cli/dist/bide.bash" "$@"
}

@test "completion offers commands, options, names and keys" {
    shop
    completes "roll"
    [ "$output" = rollback ]
    completes list "--"
    says "--json" "--dir"
    completes show ""
    says mail order pay
    completes set pay "wait_in"
    says "wait_increment=" "wait_initial="
    completes get pay "paus"
    [ "$output" = paused ]
    completes preview "shop"
    says "shop.ini"
    completes help "outc"
    [ "$output" = outcomes ]
}

# ---- output ----

@test "a full disk is told" {
    shop
    for command in list export "show pay" "preview pay" help log "stats --json" "list --json"; do
        run bash -c '"$BIDE" --dir "$DIR" '"$command"' >/dev/full'
        [ "$status" -eq 1 ]
        says "standard output: No space left on device"
    done
}

@test "a reader that has gone is told" {
    for i in $(seq 3000); do echo "[p$i]"; done >many.ini
    bide apply many.ini >/dev/null
    run bash -c '("$BIDE" --dir "$DIR" export; echo "status $?" >&2) | :'
    says "standard output: Broken pipe" "status 1"
}

@test "a closed standard output is told" {
    shop
    run bash -c '"$BIDE" --dir "$DIR" list >&-'
    [ "$status" -eq 1 ]
}

@test "piped tables are plain: no colours, nothing cut, no blanks at the end" {
    printf '[%s]\n' "$(printf 'long%.0s' $(seq 12))" >long.ini
    shop
    bide apply long.ini >/dev/null
    bide set pay paused=yes >/dev/null
    for command in list log "show pay --resolved" "help keys" "preview pay"; do
        # shellcheck disable=SC2086 # several words are meant
        gives 0 env COLUMNS=40 TERM=xterm "$BIDE" --dir "$DIR" $command
        says_not $'\033'
        ! grep -q ' $' <<<"$output"
    done
    gives 0 bide list
    says "$(printf 'long%.0s' $(seq 12))"
}

# on_terminal COLUMNS COMMAND...: what a terminal of that width shows.  Each has
# a server of its own: one that is ending would take the next terminal with it.
on_terminal() {
    local columns=$1
    shift
    terminals=$((${terminals:-0} + 1))
    terminal new-session -d -x "$columns" -y 40 \
        "$(printf '%q ' "$@"); echo '# shown'; exec sleep 60"
    until_it has_shown
    run terminal capture-pane -p -e
    terminal kill-server
}

terminal() { timeout 60 tmux -S "$T/terminal-$terminals" -f /dev/null "$@"; }

has_shown() { terminal capture-pane -p | grep '^# shown'; }

@test "on a terminal tables fit, and only what is unusual has colour" {
    command -v tmux >/dev/null || skip "needs the package tmux"
    shop
    on_terminal 80 env LC_ALL=C.UTF-8 "$BIDE" --dir "$DIR" list
    says "POLICY  VER  IMPORTANCE   RULES"
    says_not $'\033[3'
    bide set pay paused=yes >/dev/null
    on_terminal 60 env LC_ALL=C.UTF-8 "$BIDE" --dir "$DIR" list
    says $'\033[33m' "unlimited"
    on_terminal 60 env NO_COLOR=1 LC_ALL=C.UTF-8 "$BIDE" --dir "$DIR" list
    says_not $'\033[33m'
    # What is too long goes on below itself, not at the left edge.
    local nl=$'\n'
    [[ $output =~ ${nl}mail[^${nl}]*${nl}(order|\ ) ]]
    # What can be spared is left out, and long names are folded, before it breaks.
    bide set pay breaker=on budget=own paused=no >/dev/null
    bide exec pay -- true
    printf '[%s]\n' "$(printf 'long%.0s' $(seq 12))" | bide apply - >/dev/null
    on_terminal 80 env LC_ALL=C.UTF-8 "$BIDE" --dir "$DIR" list
    says " BREAKER BUDGET" "${nl}longlonglonglonglonglong"
    says_not "IMPORTANCE"
}

# ---- the registry ----

@test "without a registry: 6, and how to make one" {
    for command in "apply -" export list "show a" "get a attempts" "set a attempts=1" \
        "unset a attempts" "delete a" log "rollback a" "diff a" "preview a" \
        "simulate a --script -" stats calls; do
        # shellcheck disable=SC2086 # several words are meant
        gives 6 "$BIDE" --dir "$T/none" $command <<<'[a]'
        says "$T/none" "bide init"
    done
}

@test "a damaged registry: 6" {
    shop
    head -c 8192 /dev/urandom | dd of="$DIR/registry.mdb" conv=notrunc status=none
    gives 6 bide list
    says "registry.mdb"
    gives 6 bide set pay attempts=1
    gives 6 bide show pay
    truncate -s 100 "$DIR/registry.mdb"
    gives 6 bide list
    : >"$DIR/registry.mdb"
    gives 6 bide list
}

@test "a registry that somebody else writes: 6, and who" {
    shop
    exec 9<"$DIR/registry.lock"
    flock 9
    gives 6 bide set pay attempts=9
    exec 9<&-
    says "being written"
    gives 0 bide set pay attempts=9
}

@test "a full disk under the registry: 6, nothing changed" {
    shop
    for i in $(seq 5000); do echo "[p$i]"; done >many.ini
    before=$(bide export)
    run bash -c 'trap "" XFSZ; ulimit -f 100; exec "$BIDE" --dir "$DIR" apply many.ini'
    [ "$status" -eq 6 ]
    [ "$(bide export)" = "$before" ]
    gives 0 bide apply many.ini
}

@test "no permission: 6, and what to do" {
    shop
    chmod 700 "$T" 2>/dev/null
    if [ "$(id -u)" -eq 0 ]; then
        command -v setpriv >/dev/null || skip "needs the package util-linux"
        cp "$BIDE" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR"/test "$T"
        gives 6 setpriv --reuid 65534 --regid 65534 --clear-groups \
            "$BATS_RUN_TMPDIR/bide-for-all" --dir "$DIR" list
    else
        chmod 0 "$DIR"
        gives 6 bide list
        chmod 700 "$DIR"
    fi
    says "ermission"
}

@test "help fits a terminal of 80 columns" {
    command -v script >/dev/null || skip "needs the package bsdutils"
    local topic
    for topic in "" keys outcomes exec set record simulate wait_jitter; do
        script -qec "stty cols 80 && '$BIDE' help $topic" /dev/null </dev/null |
            tr -d '\r' >shown
        [ -s shown ]
        run awk 'length > 80' shown
        [ -z "$output" ]
    done
}

@test "an error names its place once" {
    mkdir "$T/other"
    : >"$T/other/registry.mdb"
    gives 6 "$BIDE" --dir "$T/other" list
    [ "${lines[0]}" = "bide: $T/other/registry.mdb is empty" ]
    gives 6 "$BIDE" --dir "$T/other" init
    [ "${lines[0]}" = "bide: $T/other/registry.mdb is empty" ]
    gives 6 "$BIDE" --dir /proc/nowhere init
    [ "${lines[0]}" = "bide: /proc/nowhere: No such file or directory" ]
    : >"$DIR/history.mdb"
    gives 6 bide stats --since -1h
    [ "${lines[0]}" = "bide: $DIR/history.mdb is empty" ]
}
