#!/usr/bin/env bats
# Policies in files: init, apply, validate, export.
load ../registry

# ---- init ----

@test "init prints the directory and the next step, and can be repeated" {
    gives 0 "$BIDE" --dir "$T/other" init --live "$T/live2"
    says "Registry ready in" "$T/live2/" "bide apply"
    gives 0 "$BIDE" --dir "$T/other" init
    says "A registry already exists" "$T/live2/"
}

@test "init does not move the live file of a registry" {
    gives 1 bide init --live "$T/elsewhere"
    says "a registry already exists"
}

@test "init makes the path of the live file absolute" {
    gives 0 "$BIDE" --dir "$T/other" init --live nearby
    says "$T/nearby/"
}

@test "messages print the home directory as a tilde" {
    gives 0 env HOME="$T" "$BIDE" --dir "$T/other" init --live "$T/live2"
    # shellcheck disable=SC2088 # that sign is what is meant
    says "~/other" "~/live2/"
}

# ---- apply ----

@test "apply creates policies, and reports no change the second time" {
    printf '[a]\nattempts = 2\n[b]\n' >two.ini
    gives 0 bide apply two.ini
    says "created  a  v1" "created  b  v1" "2 policies, 2 created"
    gives 0 bide apply two.ini
    [ "$output" = "2 policies, 0 changed" ]
}

@test "apply names the policies that it changed" {
    shop
    sed -i 's/attempts = 4/attempts = 6/' shop.ini
    gives 0 bide apply shop.ini --note "more patience"
    says "changed  pay  v1 -> v2  attempts 4 -> 6" "3 policies, 1 changed"
    gives 0 bide log pay
    says "more patience"
}

@test "apply --verbose also lists unchanged policies" {
    shop
    gives 0 bide apply shop.ini --verbose
    says "unchanged  pay"
}

@test "more than forty changes are counted, not listed" {
    for i in $(seq 41); do echo "[p$i]"; done >many.ini
    gives 0 bide apply many.ini
    [ "$output" = "41 policies, 41 created" ]
    bide delete $(seq -f 'p%.0f' 41) >/dev/null
    gives 0 bide apply many.ini --verbose
    says "created  p41"
}

@test "apply reads directories by name, and standard input" {
    mkdir d
    echo '[b]' >d/2.ini
    echo '[a]' >d/1.ini
    echo '[c]' >d/other.txt
    gives 0 bide apply d
    [ "${lines[0]}" = "  created  a  v1" ]
    says "2 policies, 2 created"
    gives 0 bide apply - <<<'[c]'
    says "created  c"
}

@test "all files are one transaction" {
    echo '[a]' >a.ini
    echo '[b' >b.ini
    unchanged gives 5 bide apply a.ini b.ini
    gives 3 bide show a
}

@test "a policy may extend one of another file, in any order" {
    printf '[child]\nextends = parent\n' >1.ini
    printf '[parent]\nattempts = 7\n' >2.ini
    gives 0 bide apply 1.ini 2.ini
    [ "$(bide get child attempts)" = 7 ]
}

@test "each error is reported with its own file" {
    printf '[a]\nextends = nobody\n' >1.ini
    printf '[b]\n' >2.ini
    unchanged gives 5 bide apply 2.ini 1.ini
    says "1.ini:2: extends = nobody: no such policy" "1.ini: 1 error"
}

@test "a policy in two files is an error that names both lines" {
    printf '[a]\n' >1.ini
    printf '\n[a]\n' >2.ini
    unchanged gives 5 bide apply 1.ini 2.ini
    says "2.ini:2: [a]: this policy is already in 1.ini:1"
}

@test "--prune deletes policies that are not in the files" {
    shop
    echo '[pay]' >pay.ini
    gives 0 bide apply --prune --dry-run pay.ini
    says "to delete  mail" "to change  pay" "nothing was changed"
    gives 0 bide get pay attempts
    [ "$output" = 4 ]
    gives 0 bide apply --prune pay.ini
    says "deleted  mail" "deleted  order"
    gives 3 bide show order
}

@test "--prune is refused if the files need a policy that it would delete" {
    shop
    printf '[mail]\nextends = order\n' >mail.ini
    unchanged gives 5 bide apply --prune mail.ini
}

@test "--dry-run refuses the same input as apply" {
    unchanged gives 5 bide apply --dry-run - <<<'[a'
}

@test "--if-version is refused with several policies" {
    shop
    echo '[pay]' >pay.ini
    unchanged gives 2 bide apply shop.ini --if-version 1
    unchanged gives 4 bide apply pay.ini --if-version 2
    says "pay: the version in force is 1, not 2"
    gives 0 bide apply pay.ini --if-version 1
}

# ---- invalid input ----

# bad LINE TEXT...: fails unless a file with this line is refused, with its place
# and each text.
bad() {
    local line=$1
    shift
    printf '[a]\n%s\n' "$line" >bad.ini
    unchanged gives 5 bide apply bad.ini && says "bad.ini:2: " "$@" \
        "bad.ini: 1 error, nothing was changed"
}

@test "invalid keys and values are reported with line, reason and a similar word" {
    bad 'attemps = 3' 'attemps: no such key' 'attempts?'
    bad 'warn_exhausted_rate = 5%' 'warn_exhausted_rate: no such key' 'warn_failed_rate?'
    bad 'crit_exhausted_rate = 5%' 'crit_exhausted_rate: no such key' 'crit_failed_rate?'
    bad 'wait_initial = 100' 'a duration needs its unit' '100ms?'
    bad 'wait_initial = 1.5x' 'wait_initial = 1.5x'
    bad 'attempts = 0' 'attempts = 0'
    bad 'attempts = many' 'attempts = many'
    bad 'attempts =' 'attempts'
    bad 'wait_jitter = 200%' 'wait_jitter = 200%'
    bad 'importance = mandatry' 'importance' 'mandatory?'
    bad 'retry_on = transient,,http.503' 'retry_on'
    bad 'retry_on = http.9999' 'http.9999'
    bad 'extends = nobody' 'no such policy'
    bad 'extends = a' 'circle'
    bad 'extends = No' 'extends = No'
    bad 'no equals sign' 'no equals sign'
    bad "description = $(printf 'x%.0s' $(seq 200))" '198'
    bad "$(printf 'k%.0s' $(seq 60)) = 1" 'no such key'
}

@test "all errors of a file are reported at once" {
    printf '[a]\nattempts = 0\nattemps = 1\n[A]\n[a]\n[b]\nx = 1\nattempts = 2\nattempts = 2\n' >bad.ini
    unchanged gives 5 bide apply bad.ini
    says bad.ini:2: bad.ini:3: bad.ini:4: bad.ini:5: bad.ini:7: bad.ini:9:
}

@test "contradictory keys are refused" {
    printf '[a]\nwait_min = 2s\nwait_max = 1s\n' >bad.ini
    unchanged gives 5 bide apply bad.ini
    says "bad.ini:" wait_min wait_max
}

@test "a cycle of extends is reported, also a long one" {
    printf '[a]\nextends = b\n[b]\nextends = c\n[c]\nextends = a\n' >bad.ini
    unchanged gives 5 bide apply bad.ini
    says "a -> b -> c -> a"
}

@test "directories without policies and empty, missing or binary files are refused" {
    mkdir empty
    : >empty.ini
    printf '[a]\nattempts = 3\0\n' >binary.ini
    unchanged gives 5 bide apply empty
    says "empty: no .ini files"
    unchanged gives 5 bide apply empty.ini
    says "empty.ini: "
    unchanged gives 5 bide apply missing.ini
    says "missing.ini: cannot be read: No such file"
    unchanged gives 5 bide apply binary.ini
    says "binary.ini:"
    head -c 10000 /dev/urandom >random.ini
    unchanged gives 5 bide apply random.ini
}

@test "a file without read permission is reported" {
    echo '[a]' >secret.ini
    chmod 0 secret.ini
    if [ "$(id -u)" -eq 0 ]; then # who may read it; another user may not
        cp "$BIDE" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/bide-for-all"
        chmod 755 "$BATS_RUN_TMPDIR"/test "$T"
        gives 5 setpriv --reuid 65534 --regid 65534 --clear-groups \
            "$BATS_RUN_TMPDIR/bide-for-all" --dir "$DIR" validate secret.ini
    else
        unchanged gives 5 bide apply secret.ini
    fi
    says "secret.ini: cannot be read: Permission denied"
}

@test "a directory inside a directory is not read as a file" {
    mkdir -p d/deep.ini
    echo '[a]' >d/a.ini
    unchanged gives 5 bide apply d
    says "d/deep.ini: cannot be read: this is a directory"
}

@test "files without final newline, with CRLF or with a byte order mark are accepted" {
    printf '[a]\nattempts = 2' >1.ini
    printf '[b]\r\nattempts = 3\r\n' >2.ini
    printf '\xef\xbb\xbf[c]\nattempts = 4\n' >3.ini
    gives 0 bide apply 1.ini 2.ini 3.ini
    [ "$(bide get a attempts)$(bide get b attempts)$(bide get c attempts)" = 234 ]
}

@test "text of a file cannot control the terminal" {
    printf '[a]\n\033[31mred = 1\n' >bad.ini
    unchanged gives 5 bide apply bad.ini
    says_not $'\033'
    unchanged gives 5 bide apply $'no\033[2Jfile.ini'
    says_not $'\033'
}

# ---- validate ----

@test "validate counts valid policies and needs no registry" {
    printf '[a]\nextends = b\n[b]\n' >good.ini
    gives 0 "$BIDE" --dir "$T/none" validate good.ini
    [ "$output" = "2 policies in 1 file: no errors" ]
    printf '[a]\nattempts = 0\n' >bad.ini
    gives 5 "$BIDE" --dir "$T/none" validate good.ini bad.ini
    says "bad.ini:2: attempts = 0" "bad.ini: 1 error"
}

@test "a warning is printed and changes no status" {
    printf '[a]\nwait_max = 1s\n[b]\nextends = a\nwait_initial = 5s\n' >w.ini
    printf '[c]\nwait_initial = 30s\n' >c.ini
    gives 0 bide validate w.ini c.ini
    says "3 policies in 2 files: no errors, 1 warning"
    says "bide: w.ini:5: warning: wait_max = 1s (from a)"
    gives 0 bide apply w.ini c.ini
    [ "$(grep -c warning <<<"$output")" = 1 ]
    says "bide: w.ini:5: warning: wait_max"
    gives 0 bide set a wait_max=2s # judges b too
    says "bide: b:3: warning: wait_max = 2s (from a)"
    gives 0 bide set b wait_initial=2s
    says_not warning
    gives 0 bide rollback b
    says "warning: wait_max = 2s (from a)"
    gives 0 bide set c description=x
    says_not warning
}

@test "validate uses the policies of the registry if there is one" {
    shop
    printf '[a]\nextends = pay\n' >child.ini
    unchanged gives 0 bide validate child.ini
    gives 5 "$BIDE" --dir "$T/none" validate child.ini
}

@test "validate reports contradictory rules of a shared budget in two files" {
    printf '[a]\nbudget = shared\nbudget_capacity = 100\n' >one.ini
    printf '[top]\nbudget_capacity = 200\n[b]\nextends = top\nbudget = shared\n' >two.ini
    gives 5 "$BIDE" --dir "$T/none" validate one.ini two.ini
    [ "$output" = "bide: two.ini:5: budget_capacity = 200 in b: budget shared has 100 in a, one.ini:3
bide: two.ini:5: policies that share a budget must agree on its size
bide: two.ini: 1 error" ] || { echo "$output"; false; }
    sed -i 's/200/100/' two.ini
    gives 0 "$BIDE" --dir "$T/none" validate one.ini two.ini
}

# ---- export ----

@test "apply reproduces an export byte for byte" {
    cat >all.ini <<'END'
[a]
description = größer ≤ 5 "quoted" # not a comment
wait = chain
wait_chain = 1s x3, 2s x5, 5s

[b]
extends = a
retry_on = transient, http.409, app.out_of_stock, exit.64-78
wait_jitter = +1s
END
    bide apply all.ini
    bide export >first.ini
    bide delete b a >/dev/null
    gives 0 bide apply first.ini
    bide export | cmp - first.ini
    gives 0 bide apply first.ini
    says "0 changed"
}

@test "export of several names prints all of them or nothing" {
    shop
    gives 0 bide export pay
    says "[pay]"
    says_not "[order]"
    gives 3 bide export pay nobody
    says_not "[pay]"
    says "nobody: no such policy"
}

@test "a pipe among the files of a directory is refused, and nobody waits for it" {
    mkdir dir
    printf '[pay]\nattempts = 2\n' >dir/pay.ini
    mkfifo dir/x.ini
    gives 5 timeout 60 "$BIDE" --dir "$DIR" apply dir
    says "dir/x.ini: not a regular file" "nothing was changed"
    gives 5 timeout 60 "$BIDE" validate dir
    rm dir/x.ini
    gives 0 bide apply dir
}

@test "every command that shows the rules of a policy prints its warnings" {
    bide apply - <<<$'[w]\nbreaker = on\nbudget = own\nwait_initial = 5s\nwait_max = 1s\n' >/dev/null 2>&1
    for command in "breaker w" "budget w" "show w --resolved" "simulate w --calls 1/s --fail 10%"; do
        # shellcheck disable=SC2086 # words
        gives 0 bide $command
        says "warning: wait_max = 1s: shorter than wait_initial = 5s"
    done
}
