#!/usr/bin/env bats
# The command line, help, output, and registries that cannot be used.
load ../registry

# ---- usage ----

@test "a mistake in the command line exits 2, with the usage and a similar word" {
    gives 2 "$BIDE"
    says "no command given" "see: bide help"
    gives 2 bide lst
    says "lst: no such command; did you mean list?"
    gives 2 bide list --jsn
    says "--jsn: no such option; did you mean --json?" "usage: bide list [PATTERN]"
    gives 2 bide list --prune
    says "--prune: no such option"
    gives 2 bide list -x
    gives 2 bide list --json=1
    says "--json takes no value"
    gives 2 bide apply
    says "an argument is missing" "usage: bide apply"
    gives 2 bide get pay
    gives 2 bide calls extra
    says "unexpected argument: extra"
    gives 2 bide log --since
    says "--since needs a value: TIME"
    gives 2 bide list --dir
    gives 2 bide log --since today --since today
    says "given twice"
}

@test "error messages escape control characters of the command line" {
    for args in $'\033[2J' $'list \033[2J \033x' $'list --\033[2J' $'show \033[2J' $'get a \033[2J'; do
        # shellcheck disable=SC2086 # several words are meant
        run bide $args
        [ "$status" -ne 0 ]
        says_not $'\033'
        says '\x1b'
    done
}

@test "a usage error of exec exits 125, as with env and timeout" {
    gives 125 bide exec
    gives 125 bide exec pay
    gives 125 bide exec --no-such pay -- true
}

@test "--dir is accepted before and after the command, with = or a blank, or as BIDE_DIR" {
    shop
    gives 0 "$BIDE" --dir "$DIR" get pay attempts
    gives 0 "$BIDE" get pay attempts --dir "$DIR"
    gives 0 "$BIDE" get --dir="$DIR" pay attempts
    gives 0 env BIDE_DIR="$DIR" "$BIDE" get pay attempts
    gives 6 env BIDE_DIR="$T/none" "$BIDE" get pay attempts
}

@test "words after -- are never options" {
    shop
    gives 5 bide show -- --version
    says "--version: not a name"
}

@test "--version and bide version print the version" {
    gives 0 "$BIDE" --version
    [[ $output =~ ^bide\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    gives 0 "$BIDE" version
    gives 0 "$BIDE" list --version
    [[ $output =~ ^bide\  ]]
}

# ---- help ----

@test "help lists every command, and each command has its own help" {
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

@test "all help fits 80 columns when piped" {
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

@test "help keys lists the keys, help KEY explains one" {
    gives 0 "$BIDE" help keys
    [[ $output =~ wait_initial\ +100ms\ +the\ first\ wait ]]
    gives 0 "$BIDE" help importance
    says "default  mandatory" "mandatory postponable optional"
}

@test "help keys --json has the type, values, default and bounds of each key" {
    gives 0 "$BIDE" help keys --json
    json 'len(j["keys"]) > 60 and all(k["type"] and k["values"] and k["help"] for k in j["keys"])'
    json '[k["words"] for k in j["keys"] if k["key"] == "importance"] == [["mandatory", "postponable", "optional"]]'
    gives 0 "$BIDE" help wait_initial --json
    json '[(k["key"], k["default"], k["low"]) for k in j["keys"]] == [("wait_initial", "100ms", 0)]'
    gives 0 "$BIDE" help attempts --json
    json '(j["keys"][0]["low"], j["keys"][0]["high"], j["keys"][0]["words"]) == (1, 1000000, ["unlimited"])'
    gives 0 "$BIDE" help --json
    json '[o["option"] for c in j["commands"] if c["command"] == "get" for o in c["options"]] == [] and len(j["commands"]) > 40'
    for topic in set outcomes "keys set" nonsense; do
        # shellcheck disable=SC2086 # two words
        gives 2 "$BIDE" help $topic --json
    done
}

@test "the words of help keys --json are accepted as values" {
    "$BIDE" help keys --json | python3 -c "import json, sys
for k in json.load(sys.stdin)['keys']:
    for w in k['words']:
        print('[x]', k['key'] + ' = ' + w, sep='\n', file=open(k['key'] + '-' + w + '.ini', 'w'))"
    gives 0 bash -c 'for f in *-*.ini; do "$BIDE" validate "$f" 2>&1 | grep -E "must be|no such" && exit 1; done; exit 0'
}

@test "help outcomes lists names and classes" {
    gives 0 "$BIDE" help outcomes
    [[ $output =~ http.503\ +transient ]]
    says "errno.ECONNREFUSED" "grpc.UNAVAILABLE" "connect" "app.NAME"
}

@test "the completions have what the shells share, and the tables of the command" {
    local dist=$BATS_TEST_DIRNAME/../../../cli/dist
    for shell in bash zsh; do
        { cat "$dist/complete.sh" && "$dist/../man/tables" "$BIDE" completion; } |
            diff - <(sed -n '/^# tables begin/,/^# tables end/p' "$dist/bide.$shell" | sed '1d;$d')
    done
}

# table PAGE WORD: prints the part of a manual page between the marks of WORD.
table() {
    sed -n "/^\.\\\\\" $2 begin/,/^\.\\\\\" $2 end/p" \
        "$BATS_TEST_DIRNAME/../../../cli/man/$1" | sed '1d;$d'
}

@test "the tables of the manual pages equal those of the command" {
    local tables=$BATS_TEST_DIRNAME/../../../cli/man/tables
    "$tables" "$BIDE" keys | diff - <(table bide.5 keys)
    "$tables" "$BIDE" commands | diff - <(table bide.1 commands)
}

# completes WORD...: sets $output to the completions of the last word.
completes() {
    run bash -c '
        source "$1"; shift
        bide() { "$BIDE" "$@"; }
        COMP_WORDS=(bide --dir "$DIR" "$@")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _bide; printf "%s\n" "${COMPREPLY[@]}"' _ \
        "$BATS_TEST_DIRNAME/../../../cli/dist/bide.bash" "$@"
}

@test "short options are those of other tools: -h, -p, -n, -f and -w" {
    shop
    bide set pay attempts=7 >/dev/null
    gives 0 bide log -n 1 -p
    says "+ attempts = 7"
    says_not "created"
    gives 0 bide log -h
    says "usage: bide log"
    run timeout 20 bash -c '"$BIDE" --dir "$DIR" list -w | grep -m 2 "^pay "'
    [ "${#lines[@]}" -eq 2 ]
    gives 2 bide get -n 1 pay attempts
    says "bide: -n: no such option"
    gives 2 bide log -n none
    says "bide: -n none: must be a whole number"
    gives 2 bide log --most none
    says "bide: --most none: must be a whole number"
    gives 2 bide log -n
    says "bide: -n needs a value"
    gives 2 bide log -n 1 --most 2
    says "bide: --most is given twice"
    gives 2 bide list -x
    says "bide: -x: no such option"
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
    completes set pay "wait" "=" "expo" # as bash splits wait=expo
    [ "$output" = exponential ]
    completes set pay importance "="
    [ "$output" = $'mandatory\npostponable\noptional' ]
    completes set pay attempts=4 paused "=" "y"
    [ "$output" = yes ]
    completes set pay extends "=" "or"
    [ "$output" = order ]
    completes preview "shop"
    says "shop.ini"
    completes deferred "re"
    [ "$output" = $'requeue\nrepair\nreplay' ]
    completes deferred list "--d"
    says "--dead"
    completes exec "or"
    [ "$output" = order ]
    completes try 5 "bas"
    says bash
    completes help "outc"
    [ "$output" = $'outcomes\noutcome' ]
}

@test "completion offers versions, scopes and words of options" {
    shop
    bide set pay attempts=7 >/dev/null
    bide exec pay --scope eu -- true
    completes rollback pay ""
    [ "$output" = $'2\n1' ]
    completes diff pay 1 ""
    [ "$output" = $'2\n1' ]
    completes show pay --version ""
    [ "$output" = $'2\n1' ]
    completes breaker pay --scope ""
    [ "$output" = eu ]
    completes list --sort ret
    [ "$output" = retries ]
    completes audit --kind ""
    says change warning
    completes set --note "a b" pa # the value of an option is no operand
    [ "$output" = pay ]
}

# in_zsh KEYS: types KEYS and Tab in a real zsh, with the package's folder in its
# path; sets $output to the lines of its screen.
in_zsh() {
    mkdir -p functions
    cp "$BATS_TEST_DIRNAME/../../../cli/dist/bide.zsh" functions/_bide
    cat >zsh.sh <<'END'
zmodload zsh/zpty
zpty -b z 'COLUMNS=200 TERM=dumb PS1=ready: zsh -f +o prompt_cr +o prompt_sp'
zpty -w z 'fpath=($PWD/functions $fpath); autoload -U compinit; compinit -D; LISTMAX=1000; unsetopt list_beep menu_complete auto_menu; bide() { "$BIDE" "$@" }; export BIDE_DIR=$DIR; echo can''-type'
zpty -r z text '*can-type*ready:'
zpty -w -n z "$1"$'\t\t'
zpty -w -n z $'\C-e; echo end''-of-it\n'
zpty -r z text '*end-of-it*'
print -r -- "$text"
END
    run zsh -f zsh.sh "$1"
}

@test "completion in a real zsh offers the same" {
    command -v zsh >/dev/null || skip "needs the package zsh"
    shop
    bide set pay attempts=7 >/dev/null
    bide exec pay --scope eu -- true
    in_zsh "bide roll"
    says "bide rollback "
    in_zsh "bide set pay wait_in"
    says "wait_increment" "wait_initial"
    in_zsh "bide set pay wait=expo"
    says "wait=exponential"
    in_zsh "bide set pay extends=or"
    says "extends=order"
    in_zsh "bide show "
    says mail order pay
    in_zsh "bide rollback pay "
    [[ $output =~ 1\ +2|2\ +1 ]]
    in_zsh "bide breaker pay --scope "
    says "--scope eu"
    in_zsh "bide list --sort ret"
    says "--sort retries"
    in_zsh "bide deferred re"
    says requeue repair replay
    in_zsh "bide list --js"
    says "bide list --json"
}

# ---- output ----

@test "output to a full disk is an error" {
    shop
    for command in list export "show pay" "preview pay" help log "stats --json" "list --json"; do
        run bash -c '"$BIDE" --dir "$DIR" '"$command"' >/dev/full'
        [ "$status" -eq 1 ]
        says "standard output: No space left on device"
    done
}

@test "a reader that closes the pipe is no error" {
    for i in $(seq 3000); do echo "[p$i]"; done >many.ini
    bide apply many.ini >/dev/null
    run bash -c '("$BIDE" --dir "$DIR" export; echo "status $?" >&2) | :'
    [ "$output" = "status 0" ]
}

@test "a closed standard output is an error" {
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

# on_terminal COLUMNS COMMAND...: sets $output to the screen of a terminal of that
# width.  Each call starts its own tmux server, because a server that is ending
# would also end the next terminal.
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

@test "on a terminal tables fit the width, and only unusual values have colour" {
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
    # A long cell continues in its own column, not at the left edge.
    local nl=$'\n'
    [[ $output =~ ${nl}mail[^${nl}]*${nl}(order|\ ) ]]
    # A narrow terminal: some columns are left out and long names are folded.
    bide set pay breaker=on budget=own paused=no >/dev/null
    bide exec pay -- true
    printf '[%s]\n' "$(printf 'long%.0s' $(seq 12))" | bide apply - >/dev/null
    on_terminal 80 env LC_ALL=C.UTF-8 "$BIDE" --dir "$DIR" list
    says "P95 BREAKER" "${nl}longlonglonglonglonglong"
    says "VER, IMPORTANCE, RULES. To" "--json or a wider"
    says_not " IMPORTANCE   RULES"
}

# ---- the registry ----

@test "without a registry commands exit 6 and say how to create one" {
    for command in "apply -" export list "show a" "get a attempts" "set a attempts=1" \
        "unset a attempts" "delete a" log "rollback a" "diff a" "preview a" \
        "simulate a --script -" stats calls; do
        # shellcheck disable=SC2086 # several words are meant
        gives 6 "$BIDE" --dir "$T/none" $command <<<'[a]'
        says "$T/none" "bide init"
    done
}

@test "commands exit 6 if the registry is damaged" {
    shop
    head -c 8192 /dev/urandom | dd of="$DIR/policies/registry.mdb" conv=notrunc status=none
    gives 6 bide list
    says "registry.mdb"
    gives 6 bide set pay attempts=1
    gives 6 bide show pay
    truncate -s 100 "$DIR/policies/registry.mdb"
    gives 6 bide list
    : >"$DIR/policies/registry.mdb"
    gives 6 bide list
}

@test "set exits 6 while another process holds the write lock" {
    shop
    exec 9<"$DIR/policies/registry.lock"
    flock 9
    gives 6 bide set pay attempts=9
    exec 9<&-
    says "being written"
    gives 0 bide set pay attempts=9
}

@test "if the registry's disk is full, apply exits 6 and changes nothing" {
    shop
    for i in $(seq 5000); do echo "[p$i]"; done >many.ini
    before=$(bide export)
    run bash -c 'trap "" XFSZ; ulimit -f 100; exec "$BIDE" --dir "$DIR" apply many.ini'
    [ "$status" -eq 6 ]
    [ "$(bide export)" = "$before" ]
    gives 0 bide apply many.ini
}

@test "without permission commands exit 6 and say so" {
    shop
    chmod 700 "$T" 2>/dev/null
    if [ "$(id -u)" -eq 0 ]; then
        command -v setpriv >/dev/null || skip "needs the package util-linux"
        cp "$BIDE" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR"/test "$T"
        bide init --private >/dev/null
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

@test "an error names its file exactly once" {
    mkdir -p "$T/other/policies"
    : >"$T/other/policies/registry.mdb"
    gives 6 "$BIDE" --dir "$T/other" list
    [ "${lines[0]}" = "bide: $T/other/policies/registry.mdb is empty" ]
    gives 6 "$BIDE" --dir "$T/other" init
    [ "${lines[0]}" = "bide: $T/other/policies/registry.mdb is empty" ]
    gives 6 "$BIDE" --dir /proc/nowhere init
    [ "${lines[0]}" = "bide: /proc/nowhere: No such file or directory" ]
    : >"$DIR/history/history.mdb"
    gives 6 bide stats --since -1h
    [ "${lines[0]}" = "bide: $DIR/history/history.mdb is empty" ]
}
