#!/usr/bin/env bats
# bide edit and copy: a text in an editor of the user, and a policy under a new
# name.
load ../registry

# editor LINE...: makes a script the editor; $1 in it is the file.
editor() {
    printf '%s\n' '#!/bin/bash' "echo run >>$T/runs" "$@" >"$T/ed"
    chmod +x "$T/ed"
    rm -f "$T/runs"
    export EDITOR="$T/ed" TMPDIR=$T/tmp
    mkdir -p "$TMPDIR"
    unset VISUAL
}

runs() {
    [ "$(wc -l <"$T/runs")" -eq "$1" ]
}

kept() {
    [ "$(find "$T/tmp" -name "*.ini" | wc -l)" -eq "$1" ]
}

@test "what is saved is stored, with a note, and the file is gone" {
    shop
    editor 'grep -q "^# bide: pay v1, by" "$1" && sed -i "s/^attempts = 4/attempts = 6/" "$1"' 'touch "$1~"'
    gives 0 bide edit pay --note INC-7
    says "pay v1 -> v2" "attempts  4  ->  6"
    [ "$(bide get pay attempts)" = 6 ]
    gives 0 bide log pay
    says INC-7
    [ -z "$(ls "$T/tmp")" ]
    gives 0 bide edit pay --json # the same again changes nothing: sed finds no 4
    gives 0 bide show pay
    says "version 2"
}

@test "an unchanged text, an empty one and a failed editor change nothing" {
    shop
    editor true
    gives 0 bide edit pay
    says "pay v1: unchanged"
    editor 'echo "# a remark" >>"$1"'
    gives 0 bide edit pay
    says unchanged
    editor ': >"$1"'
    gives 0 bide edit pay
    says unchanged
    editor 'exit 3'
    gives 1 bide edit pay
    says "exit status 3"
    kept 0
    EDITOR=/nonexistent gives 1 bide edit pay
    says "exit status 127"
    gives 3 bide edit nobody
    [ "$(bide log pay --json | grep -c '"version"')" -eq 1 ]
}

@test "a fault is shown above its line, and the editor opens again" {
    shop
    editor 'if grep -q "a duration needs its unit" "$1"; then
    cp "$1" seen
    sed -i "s/^wait_max = 5$/wait_max = 5s/" "$1"
else sed -i "s/^wait_max = .*/wait_max = 5/" "$1"; fi'
    gives 0 bide edit pay
    [ "$(bide get pay wait_max)" = 5s ]
    runs 2
    [ "$(grep -A1 "needs its unit" seen | tail -1)" = "wait_max = 5" ]
    gives 0 bide export pay
    says_not "#"
}

@test "a fault that nobody mends ends it, and the text is kept" {
    shop
    editor 'sed -i "s/^wait_max = .*/wait_max = 5/" "$1"'
    unchanged gives 5 bide edit pay
    says "a duration needs its unit" "your text was not stored; it is kept in $T/tmp/bide-edit."
    runs 2
    kept 1
    grep -q "^wait_max = 5$" "$T"/tmp/*/pay.ini
    sed -i "s/^wait_max = 5$/wait_max = 6s/" "$T"/tmp/*/pay.ini
    bide apply "$T"/tmp/*/pay.ini
    [ "$(bide get pay wait_max)" = 6s ]
}

@test "the text of who may not change policies is kept" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    shop
    editor 'sed -i "s/^attempts = 4/attempts = 6/" "$1"'
    chmod 1777 "$TMPDIR"
    admit_others
    touch runs
    chmod 666 runs
    unchanged gives 6 setpriv --reuid 65534 --regid 65534 --clear-groups "$BIDE" --dir "$DIR" edit pay
    says "kept in"
}

@test "only the one policy may be in the text" {
    shop
    editor 'sed -i "s/^\[pay\]/[other]/" "$1"'
    unchanged gives 5 bide edit pay
    says "here is only [pay]"
}

@test "a change by another person is shown, and nothing of it is lost unseen" {
    shop
    editor "if grep -q 'changed it meanwhile' \"\$1\"; then cp \"\$1\" seen; sed -i '/^# bide: /d' \"\$1\"; else
    $BIDE --dir $DIR set pay attempts=9 >/dev/null; sed -i 's/^wait_max = .*/wait_max = 3s/' \"\$1\"; fi"
    gives 0 bide edit pay
    runs 2
    grep -q "v1 -> v2: attempts 4 -> 9" seen
    says "pay v2 -> v3"
    [ "$(bide get pay wait_max)" = 3s ]
    # Who only leaves the editor again replaces nothing.
    editor "if grep -q meanwhile \"\$1\"; then exit 0; fi
    $BIDE --dir $DIR set pay attempts=8 >/dev/null; sed -i 's/^wait_max = .*/wait_max = 4s/' \"\$1\""
    gives 4 bide edit pay
    says "somebody else changed it to v4" "kept in"
    [ "$(bide get pay attempts)" = 8 ]
    # With --if-version the editor does not open again.
    editor "$BIDE --dir $DIR set pay attempts=7 >/dev/null; sed -i 's/^wait_max = .*/wait_max = 4s/' \"\$1\""
    gives 4 bide edit pay --if-version 4
    says "kept in"
    runs 1
    gives 4 bide edit pay --if-version 4
    runs 1
}

@test "two editors at once: the second sees what the first did" {
    shop
    mkfifo go
    editor 'if grep -q meanwhile "$1"; then cp "$1" seen; exit; fi
    sed -i "s/^attempts = 4/attempts = $N/" "$1"; [ $N = 5 ] || read -r _ <go'
    N=6 bide edit pay >one 2>&1 &
    until_it grep -q run runs
    N=5 gives 0 bide edit pay
    echo go >go
    wait $! && false
    grep -q "attempts 4 -> 5" seen
    grep -q "kept in" one
    [ "$(bide get pay attempts)" = 5 ]
}

@test "kill -9 of the editor or of bide keeps the text" {
    shop
    editor 'sed -i "s/^attempts = 4/attempts = 6/" "$1"; kill -9 $$'
    unchanged gives 1 bide edit pay
    says "exit status 137" "kept in"
    grep -q "attempts = 6" "$T"/tmp/*/pay.ini
    rm -r "$T/tmp"
    editor 'sed -i "s/^attempts = 4/attempts = 6/" "$1"; kill -9 $(ps -o ppid= $PPID)'
    unchanged gives 137 bide edit pay
    grep -q "attempts = 6" "$T"/tmp/*/pay.ini
}

@test "control characters are refused, and shown as text" {
    shop
    editor 'grep -q "^# bide: .*x1b" "$1" && cp "$1" seen; printf "attempts = \033[31m\n" >>"$1"'
    unchanged gives 5 bide edit pay
    says_not $'\033'
    ! grep "^# bide" "$T"/tmp/*/pay.ini | grep -q $'\033'
}

@test "with a full disk no editor opens" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    needs_plain_build
    shop
    editor true
    unshare -m bash -c "mount -t tmpfs -o size=4k,nr_inodes=2 none $T/tmp && $BIDE --dir $DIR edit pay" >out 2>&1 && false
    grep -q "No space left" out
    [ ! -e "$T/runs" ]
}

@test "in a terminal that is closed the text is kept" {
    command -v tmux >/dev/null || skip "needs tmux"
    shop
    editor 'sed -i "s/^attempts = 4/attempts = 6/" "$1"; trap "exit 1" HUP; echo $$ >pid; while :; do sleep 0.1; done'
    tmux -S "$T/s" -f /dev/null new-session -d "EDITOR=$EDITOR TMPDIR=$TMPDIR $BIDE --dir $DIR edit pay"
    until_it test -s pid
    tmux -S "$T/s" kill-server
    until_it bash -c "! kill -0 $(<pid)"
    grep -q "attempts = 6" "$T"/tmp/*/pay.ini
    [ "$(bide get pay attempts)" = 4 ]
}

@test "copy makes a policy with the same rules, and no second one" {
    shop
    bide set mail attempts=3 --for 1h >/dev/null
    gives 0 bide copy mail post
    says "post v1" "temporary changes are not copied"
    [ "$(bide get post attempts)" = unlimited ]
    [ "$(bide get post extends)" = order ]
    gives 0 bide log post
    says "copy of mail v2"
    unchanged gives 5 bide copy pay post
    says "exists already, at version 1"
    unchanged gives 3 bide copy nobody x
    unchanged gives 5 bide copy pay "No Name"
    unchanged gives 4 bide copy pay fast --if-version 3
    unchanged gives 0 bide copy pay fast --dry-run
    gives 0 bide copy pay fast --json --note "trial"
    json 'j["policies"][0]["policy"] == "fast" and j["policies"][0]["did"] == "created"'
    bide delete fast >/dev/null
    gives 0 bide copy pay fast
    says "fast v3"
}

# ---- --preview ----

# asked ANSWER WORD...: runs bide WORD... --preview on a terminal; once it asks, runs the commands of
# standard input, then answers.
asked() {
    mkfifo answers
    script -qefc "$(printf '%q ' "$BIDE" --dir "$DIR" "${@:2}" --preview)" /dev/null <answers >shown 2>&1 &
    exec 7>answers
    until_it grep "Change it" shown
    eval "$(cat)"
    printf '%s\n' "$1" >&7
    status=0
    wait $! || status=$?
    exec 7>&-
    rm answers
    output=$(tr -d '\r' <shown)
}

@test "set --preview shows rules, waits and the last hour, and asks" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=2 >/dev/null
    run bide exec --quiet pay -- sh -c 'exit 9'
    unchanged asked n set pay attempts=3 --note INC-9 </dev/null
    [ "$status" -eq 1 ]
    says "pay v2 -> v3" "attempts  2  ->  3" "nothing was changed"
    says "Then the call gives up: attempts (at most 2)" "Then the call gives up: attempts (at most 3)"
    [[ $output =~ attempts\ per\ call\ +2.00x\ +2.00x\ +3.00x ]]
    unchanged asked "" set pay attempts=3 </dev/null
    [ "$status" -eq 1 ]
    asked y set pay attempts=3 --note INC-9 --for 1h </dev/null
    [ "$status" -eq 0 ]
    [ "$(bide get pay attempts 2>/dev/null)" = 3 ]
    gives 0 bide log pay
    says "INC-9" "until"
}

@test "set --preview without a terminal changes nothing, and says so" {
    shop
    unchanged gives 1 bide set pay attempts=3 --preview
    says "pay v1 -> v2" "pay: no calls were recorded" "Without a terminal to ask on, --preview changes nothing."
    says_not "--dry-run"
    unchanged gives 5 bide set pay attempts=lots --preview
    gives 3 bide set pya attempts=3 --preview
    gives 2 bide set pay attempts=3 --preview --json
}

@test "apply --preview shows what it changes, also by inheritance, and asks" {
    shop
    bide set order attempts=5 retry_on=exit.9 wait=none >/dev/null
    run bide exec --quiet order -- sh -c 'exit 9'
    cat >next.ini <<<$'[order]\nattempts = 2\nwait = none\nretry_on = exit.9\n[new]\nextends = order\n'
    unchanged asked n apply next.ini </dev/null
    [ "$status" -eq 1 ]
    says "to change  order  v2 -> v3" "to create  new" "inherits it: mail" "nothing was changed"
    says "gives up: attempts (at most 5)" "gives up: attempts (at most 2)"
    [[ $output =~ attempts\ per\ call\ +5.00x\ +5.00x\ +2.00x ]]
    asked y apply next.ini </dev/null
    [ "$status" -eq 0 ]
    [ "$(bide get new attempts)" = 2 ]
    gives 0 bide apply next.ini --preview
    says "2 policies, 0 changed"
    says_not "terminal"
    gives 2 bide apply next.ini --preview --dry-run
}

@test "apply --preview shows the waits of three policies" {
    shop
    for i in 1 2 3 4 5; do printf '[p%s]\nattempts = 2\n' $i; done >five.ini
    bide apply five.ini >/dev/null
    sed -i "s/= 2/= 3/" five.ini
    unchanged gives 1 bide apply five.ini --preview
    says "Not shown: the waits and the last hour of 2 more"
    [ "$(grep -c '^Changed:' <<<"$output")" = 3 ]
}

@test "rollback --preview shows the version that it restores, and asks" {
    shop
    bide set pay attempts=7 >/dev/null
    asked y rollback pay </dev/null
    [ "$status" -eq 0 ]
    says "pay v2 -> v3 (as v1)" "gives up: attempts (at most 7)" "gives up: attempts (at most 4)"
    [ "$(bide get pay attempts)" = 4 ]
    unchanged gives 1 bide unset pay attempts --preview
    says "3 (default)" "gives up: attempts (at most 3)"
}

@test "--preview changes only the policies that it showed" {
    local word
    shop
    for word in "set pay attempts=3" "apply shop.ini" "rollback pay"; do
        bide set pay attempts=9 >/dev/null
        # shellcheck disable=SC2086 # words
        asked y $word <<<"bide set order attempts=$((RANDOM + 2)) >/dev/null"
        [ "$status" -eq 4 ]
        says "policies were changed since this preview: nothing was changed"
        [ "$(bide get pay attempts)" = 9 ]
        bide set pay attempts=8 >/dev/null
    done
}
