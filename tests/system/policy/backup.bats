#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # each test has variables of its own
# bide backup, bide restore and bide init --adopt.

load ../registry

other() {
    "$BIDE" --dir "$T/other" "$@"
}

# All that a registry has, as far as a restore may change it.
state() {
    "$BIDE" --dir "$1" export
    "$BIDE" --dir "$1" log --json
    "$BIDE" --dir "$1" deferred list | awk '{ print $1, $2 }'
    ls "$1"
}

# work: a shop with a version 2, history, and one piece of deferred work.
work() {
    shop
    bide set pay attempts=5 >/dev/null
    bide exec pay -- true
    bide record >/dev/null
    echo one | bide deferred put order >/dev/null
    bide backup first.backup >/dev/null
}

# since: what happens after that backup: versions 3 and 4, other work.
since() {
    bide set pay attempts=6 >/dev/null
    bide set pay attempts=7 >/dev/null
    bide deferred drop 1 >/dev/null
    echo two | bide deferred put order >/dev/null
}

pieces() {
    "$BIDE" --dir "$1" deferred list 2>/dev/null | grep -c order || true
}

# killed N CALL COMMAND...: runs the command and kills it at its N-th CALL.  Fails
# if it ends before that.
killed() {
    local n=$1 call=$2
    shift 2
    ! strace -f -qq -o /dev/null -e trace="$call" -e inject="$call":signal=KILL:when="$n" "$BIDE" --dir "$DIR" "$@" \
        >/dev/null 2>&1
}

needs_strace() {
    needs_plain_build
    command -v strace >/dev/null || skip "needs the package strace"
    strace -o /dev/null true 2>/dev/null || skip "needs ptrace"
}

@test "a restore brings the policies back, and no version number is given twice" {
    work
    since
    gives 0 bide restore first.backup
    says "without 2 later changes" "replaced-1"
    gives 0 bide get pay attempts
    [ "$output" = 5 ]
    gives 0 bide restore first.backup # nothing between: the numbers still count
    gives 0 bide set pay attempts=8
    says "v2 -> v5"
    # The old policies can be read where they are.
    gives 0 "$BIDE" --dir "$DIR/replaced-1" get pay attempts
    [ "$output" = 7 ]
    gives 0 bide doctor --json
}

@test "numbers go on without live state and without history" {
    work
    since
    rm -rf "$T/live" "$DIR"/history/*
    gives 0 bide restore first.backup
    rm -rf "$T/live" "$DIR"/history/*
    gives 0 bide set pay attempts=8
    says "v2 -> v5"
}

@test "history and deferred work go on: nothing is lost or done twice" {
    work
    since
    bide exec pay -- true
    gives 0 bide restore first.backup
    says "history goes on as it is" "deferred work goes on as it is: 1 piece"
    gives 0 bide deferred show 2 --raw
    [ "$output" = two ]
    gives 3 bide deferred show 1
    gives 0 bide stats pay --json
    json "j['policies'][0]['calls']['succeeded'] == 2"
}

@test "with --force all is that of the backup, and the old files are kept" {
    work
    since
    gives 0 bide restore first.backup --force
    says "history of the backup" "what was done since is done again" "the registry had 1 piece"
    gives 0 bide deferred show 1 --raw
    [ "$output" = one ]
    gives 0 bide deferred list
    says_not "missing"
    echo three | bide deferred put order >/dev/null
    gives 0 bide deferred show 3 --raw
    [ "$output" = three ]
    [ "$(pieces "$DIR")" = 2 ]
    gives 0 "$BIDE" --dir "$DIR/replaced-1" deferred show 2 --raw
    [ "$output" = two ]
}

@test "a missing file is taken from the backup" {
    work
    since
    rm -r "$DIR"/deferred/* "$DIR"/history/*
    gives 0 bide restore first.backup
    says "history of the backup" "deferred work of the backup"
    [ "$(pieces "$DIR")" = 1 ]
    rm "$DIR/policies/registry.mdb"
    gives 0 bide restore first.backup
    gives 0 bide get pay attempts
    [ "$output" = 5 ]
}

@test "a damaged registry is restored without --force" {
    work
    since
    printf 'XXXXXXXX' | dd of="$DIR/policies/registry.mdb" bs=1 seek=16 conv=notrunc status=none
    printf 'XXXXXXXX' | dd of="$DIR/policies/registry.mdb" bs=1 seek=4112 conv=notrunc status=none
    gives 6 bide backup second.backup
    [ ! -e second.backup ]
    [ "$(ls second* 2>/dev/null)" = "" ]
    gives 0 bide restore first.backup
    gives 0 bide get pay attempts
    [ "$output" = 5 ]
    gives 0 bide set pay attempts=8
}

@test "an empty directory becomes the same registry" {
    work
    bide export >before.ini
    mv "$DIR" "$T/gone"
    gives 0 bide restore first.backup
    says_not "old files"
    bide export | cmp - before.ini
    [ "$(pieces "$DIR")" = 1 ]
    gives 0 bide stats pay --json
    json "j['policies'][0]['calls']['succeeded'] == 1"
    gives 0 bide doctor --json
    [ "$(ls "$DIR" | xargs)" = "deferred history policies" ]
}

@test "another registry is refused, and replaced with --force" {
    work
    other init --live "$T/live2" >/dev/null
    echo "[mine]" | other apply - >/dev/null
    state "$T/other" >before
    gives 1 other restore first.backup
    says "another registry is there" "--force"
    state "$T/other" | cmp - before
    gives 0 other restore first.backup --force
    gives 0 other get pay attempts
    [ "$output" = 5 ]
    gives 0 "$BIDE" --dir "$T/other/replaced-1" show mine
}

@test "a backup that is cut short or damaged anywhere changes nothing" {
    work
    since
    state "$DIR" >before
    python3 - <<'END'
import os, random
whole = open("first.backup", "rb").read()
os.mkdir("bad")
random.seed(1)
cuts = [0, 1, 7, 8, 12, 40, 87, 88, 89, 4184, len(whole) // 2, len(whole) - 4096, len(whole) - 1]
for cut in cuts:
    open(f"bad/cut{cut}", "wb").write(whole[:cut])
for at in list(range(88)) + random.sample(range(88, len(whole)), 60):
    bad = bytearray(whole)
    bad[at] ^= 1 << random.randrange(8)
    open(f"bad/flip{at}", "wb").write(bad)
open("bad/more", "wb").write(whole + b"x")
END
    mkfifo pipe
    for bad in bad/*; do
        run bide restore "$bad" --force
        [[ $status = 5 || $status = 6 ]] || { echo "$bad: $status $output"; return 1; }
    done
    [ "$(ls bad | wc -l)" = 162 ]
    state "$DIR" | cmp - before
    gives 1 bide restore missing.backup
    gives 5 bide restore "$T"/shop.ini
    says "no backup of bide"
    run "$BIDE" --dir "$T/new" restore bad/flip12
    [ ! -e "$T/new" ]
}

@test "a call that waits between two attempts follows at once" {
    printf '[slow]\nattempts = 2\nretry_on = any\nwait_initial = 1ms\n' | bide apply - >/dev/null
    bide backup first.backup >/dev/null
    bide set slow wait_initial=1h wait_max=2h wait_jitter=none >/dev/null
    bide exec slow -- sh -c 'echo x >>tries; false' 3>&- &
    until_it grep -q x tries
    until_it sh -c "'$BIDE' --dir '$DIR' calls | grep slow"
    bide restore first.backup >/dev/null
    ! wait $!
    [ "$(cat tries | xargs)" = "x x" ]
}

@test "a process follows to another registry with --force" {
    other init --live "$T/live2" >/dev/null
    printf '[slow]\nattempts = 2\nretry_on = any\nwait_initial = 1ms\n' | other apply - >/dev/null
    other backup other.backup >/dev/null
    printf '[slow]\nattempts = 2\nwait_initial = 1h\nwait_max = 2h\nwait_jitter = none\nretry_on = any\n' | bide apply - >/dev/null
    bide exec slow -- sh -c 'echo x >>tries; false' 3>&- &
    until_it grep -q x tries
    until_it sh -c "'$BIDE' --dir '$DIR' calls | grep slow"
    bide restore other.backup --force >/dev/null
    ! wait $!
    [ "$(cat tries | xargs)" = "x x" ]
}

@test "backups are whole while services, operators and a recorder work" {
    work
    (
        for ((i = 0; i < 400; i++)); do
            [ -e stop ] && break
            bide exec pay -- true
            echo "$i" | bide deferred put order >/dev/null
            bide set pay attempts=$((i % 9 + 2)) >/dev/null
            bide record >/dev/null
        done
    ) 3>&- &
    for i in 1 2 3 4 5 6; do
        gives 0 bide backup "$i.backup"
        gives 0 "$BIDE" --dir "$T/copy$i" restore "$i.backup"
        gives 0 "$BIDE" --dir "$T/copy$i" deferred list
        says_not "missing"
        gives 0 "$BIDE" --dir "$T/copy$i" log pay
        gives 0 "$BIDE" --dir "$T/copy$i" stats pay
    done
    touch stop
    wait
}

@test "kill -9 of a backup leaves no backup" {
    needs_strace
    work
    for n in 1 2 3 5 9 17 33; do
        killed $n write backup "$T/$n.backup" || break
        # The last write reports the backup.
        [ ! -e $n.backup ] || gives 0 "$BIDE" --dir "$T/copy$n" restore $n.backup
    done
    killed 1 fsync backup "$T/killed.backup"
    [ ! -e killed.backup ]
    killed 1 link backup "$T/killed.backup" || true
    [ ! -e killed.backup ]
    gives 0 bide backup killed.backup
}

@test "kill -9 of a restore leaves the old or the new registry, or the next one finishes it" {
    needs_strace
    work
    since
    local n call
    for call in rename link unlink,rmdir fsync flock; do
        for n in 1 2 3 4 5 6 8 10 12 14 16 20; do
            bide set pay attempts=7 >/dev/null || gives 0 bide restore first.backup
            bide set pay attempts=7 >/dev/null
            killed $n "$call" restore first.backup --force || break
            if [ -e "$DIR/restored" ]; then
                run bide doctor
                says "a restore was interrupted"
            fi
            # Policies can be read at each moment, old or new.
            gives 0 bide get pay attempts
            [[ $output = 5 || $output = 7 ]]
            gives 0 bide restore first.backup --force
            gives 0 bide get pay attempts
            [ "$output" = 5 ]
            gives 0 bide deferred show 1 --raw
            [ "$output" = one ]
            [ ! -e "$DIR/restored" ]
            [ ! -e "$DIR/restored.new" ]
        done
    done
}

@test "two restores at once: one after the other" {
    work
    since
    bide restore first.backup --force >one.out 3>&- &
    bide restore first.backup --force >two.out 3>&- &
    wait
    cat one.out two.out | grep -c '^Restored' | grep -qx 2
    gives 0 bide get pay attempts
    [ "$output" = 5 ]
    [ "$(pieces "$DIR")" = 1 ]
}

@test "a full disk changes nothing" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    work
    since
    mkdir small
    unshare --mount bash -c '
        set -e
        mount -t tmpfs -o size=400k none small
        ! "$BIDE" --dir "$DIR" backup small/x.backup 2>err
        grep -q "No space" err
        [ -z "$(ls small)" ]
        umount small
        mount -t tmpfs -o size=900k none small
        cp -a "$DIR"/. small/
        ! "$BIDE" --dir small restore first.backup --force 2>err
        grep -q "No space" err
        [ "$(ls small | xargs)" = "deferred history policies" ]
        [ "$("$BIDE" --dir small get pay attempts)" = 7 ]
    ' || { cat err; return 1; }
}

@test "a read-only file system can be backed up, and not restored to" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    work
    unshare --mount bash -c '
        set -e
        mount --bind "$DIR" "$DIR"
        mount -o remount,ro,bind "$DIR"
        "$BIDE" --dir "$DIR" backup second.backup
        ! "$BIDE" --dir "$DIR" restore first.backup 2>err
        grep -q "Read-only" err
    ' || { cat err; return 1; }
    gives 0 "$BIDE" --dir "$T/copy" restore second.backup
}

@test "a user without rights is refused" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    work
    since
    chmod a+rx "$T" "$DIR"
    state "$DIR" >before
    mkdir -m 777 free
    gives 6 setpriv --reuid=65534 --regid=65534 --clear-groups "$BIDE" --dir "$DIR" restore first.backup ||
        gives 1 setpriv --reuid=65534 --regid=65534 --clear-groups "$BIDE" --dir "$DIR" restore first.backup
    run setpriv --reuid=65534 --regid=65534 --clear-groups "$BIDE" --dir "$DIR" backup free/x
    [ "$status" != 0 ]
    [ -z "$(ls free)" ]
    state "$DIR" | cmp - before
}

@test "a file is never replaced, and a terminal gets no backup" {
    work
    cp first.backup copy
    gives 1 bide backup first.backup
    gives 1 bide backup shop.ini
    gives 1 bide backup "$DIR"
    gives 1 bide backup missing/x.backup
    cmp first.backup copy
    ln -s elsewhere link.backup
    gives 1 bide backup link.backup
    [ ! -e elsewhere ]
    bide backup - >stdout.backup
    gives 0 "$BIDE" --dir "$T/copy1" restore stdout.backup
    [ "$(stat -c %a first.backup)" = 600 ]
    run script -qec "'$BIDE' --dir '$DIR' backup -" /dev/null
    [ "$status" = 2 ]
}

@test "init --adopt gives a copy an identity of its own" {
    work
    cp -a "$DIR" "$T/other"
    run other doctor
    says "is a copy of"
    gives 1 bide init --adopt
    says "no copy"
    gives 0 other init --adopt
    says "1 piece"
    run other doctor
    says_not "copy of"
    says_not "another registry"
    gives 0 other record
    gives 0 other set pay attempts=9
    gives 0 bide get pay attempts
    [ "$output" = 5 ]
    gives 1 other restore first.backup
    says "another registry"
    gives 1 other init --adopt
}

@test "a pipe or a link in the place of the journal is not followed" {
    work
    cp "$DIR/deferred/deferred.journal" journal
    rm "$DIR/deferred/deferred.journal"
    mkfifo "$DIR/deferred/deferred.journal"
    run timeout 30 "$BIDE" --dir "$DIR" backup pipe.backup
    [ "$status" != 124 ]
    rm "$DIR/deferred/deferred.journal"
    ln -s "$T/journal" "$DIR/deferred/deferred.journal"
    run bide backup link.backup
    [ "$status" != 0 ]
    [ ! -e link.backup ]
}

@test "a restore that waits for another one leaves its files alone" {
    work
    mkdir "$DIR/restored.new"
    exec 8>"$DIR/policies/registry.lock"
    flock 8
    run bide restore first.backup
    [ "$status" = 6 ]
    [ -e "$DIR/restored.new" ]
    flock -u 8
    gives 0 bide restore first.backup
    [ ! -e "$DIR/restored.new" ]
}

# foreign: another registry with three pieces of deferred work, as $T/other.
foreign() {
    other init --live "$T/live2" >/dev/null
    printf '[mine]\nimportance = postponable\n' | other apply - >/dev/null
    for i in 1 2 3; do echo "other $i" | other deferred put mine >/dev/null; done
    other record >/dev/null
}

@test "after --force over another registry the queue is that of the backup, and nothing is missing" {
    work
    foreign
    gives 0 other restore first.backup --force
    gives 0 other deferred list
    says_not "missing"
    says_not "mine"
    [ "$(pieces "$T/other")" = 1 ]
    run other doctor
    says_not "deferred work may"
    says_not "another registry"
    gives 0 "$BIDE" --dir "$T/other/replaced-1" deferred list
    [ "$(grep -c mine <<<"$output")" = 3 ]
}

@test "what a backup lacks is not mixed with another registry" {
    bide apply - <<<"[pay]" >/dev/null
    rm "$DIR"/deferred/*
    bide backup bare.backup >/dev/null
    foreign
    gives 0 other restore bare.backup --force
    says "begins anew: the backup has none"
    [ ! -e "$T/other/history/history.mdb" ]
    gives 0 other deferred list
    says_not "mine"
    run other doctor
    says_not "deferred:"
    says_not "another registry"
    gives 0 "$BIDE" --dir "$T/other/replaced-1" deferred list
    says "mine"
}

@test "a restore notes the older files itself: doctor finds nothing, and no count is lost" {
    work
    since
    bide exec pay -- true
    gives 0 bide restore first.backup
    gives 0 bide doctor
    says "Nothing is wrong"
    gives 0 bide exec pay -- true
    gives 0 bide stats pay --json
    json "j['policies'][0]['calls']['succeeded'] == 3"
    gives 0 bide audit
    says "older registry.mdb was put back"
    gives 0 bide restore first.backup --force
    gives 0 bide doctor
    rm "$DIR"/history/*
    bide backup bare.backup >/dev/null
    bide set pay attempts=9 >/dev/null
    gives 0 bide restore bare.backup
    gives 0 bide doctor
    says_not "older registry"
}

@test "a damaged history does not keep policies from being backed up" {
    work
    python3 - "$DIR/history/history.mdb" <<'END'
import sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
data[data.rindex(b"cpay\0") + 2] ^= 1
open("sealed", "wb").write(data)
for at in range(2 * 4096, len(data)):
    data[at] ^= 255
open("pages", "wb").write(data)
END
    cp sealed "$DIR/history/history.mdb"
    gives 1 bide backup second.backup
    says "Backup written" "damaged records of history" "see: bide doctor"
    cp pages "$DIR/history/history.mdb"
    gives 1 bide backup third.backup
    says "It has policies and 1 piece" "the backup has no history"
    gives 0 "$BIDE" --dir "$T/copy" restore third.backup
    gives 0 "$BIDE" --dir "$T/copy" get pay attempts
    [ "$(pieces "$T/copy")" = 1 ]
    python3 - "$DIR/deferred/deferred.mdb" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[8192:] = bytes(255 - b for b in data[8192:])
open(sys.argv[1], "wb").write(data)
END
    gives 1 bide backup fourth.backup
    says "It has policies and 0 pieces" "the backup has no deferred work"
    gives 0 "$BIDE" --dir "$T/copy4" restore fourth.backup
    gives 0 "$BIDE" --dir "$T/copy4" get pay attempts
}

@test "an interrupted restore is finished by init, and until then no change is stored" {
    needs_strace
    work
    foreign
    local n cut=0
    rm -rf "$T/other.first"
    cp -a "$T/other" "$T/other.first"
    for n in 3 4 5 6 7 8 9 10 12 14; do
        rm -rf "$T/other"
        cp -a "$T/other.first" "$T/other"
        DIR=$T/other killed $n rename restore "$T/first.backup" --force || break
        [ -z "$(find "$T/other" -path '*/replaced*' -prune -o -name registry.mdb -links +1 -print)" ]
        [ -e "$T/other/restored" ] || continue
        cut=$((cut + 1))
        gives 1 other doctor
        says "a restore was interrupted" "init"
        says_not "deferred repair"
        run other set pay attempts=9
        [ "$status" = 6 ] || [ "$status" = 3 ]
        gives 0 other init
        says "Finished a restore that was interrupted"
        gives 0 other set pay attempts=9
        gives 0 other deferred list
        says_not "missing"
        [ "$(pieces "$T/other")" = 1 ]
        [ ! -e "$T/other/restored" ]
    done
    [ "$cut" -ge 2 ]
}

@test "restored files are for services, operators and recorders as before" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    command -v setpriv >/dev/null || skip "needs the package util-linux"
    admit_others
    bide init --group 70100 --operators 70200 >/dev/null
    work
    local service="setpriv --reuid 70003 --regid 70003 --groups 70100" recorder="setpriv --reuid 70004 --regid 70004 --groups 70100,70200" force
    for force in "" --force; do
        # shellcheck disable=SC2086 # words
        gives 0 bide restore first.backup $force
        gives 0 $service "$BIDE" --dir "$DIR" exec pay -- true
        gives 0 $service "$BIDE" --dir "$DIR" deferred put order <<<x
        gives 6 $service "$BIDE" --dir "$DIR" set pay attempts=9
        gives 0 $recorder "$BIDE" --dir "$DIR" record
        gives 0 $recorder "$BIDE" --dir "$DIR" set pay attempts=$((${#force} + 9))
        gives 0 bide init
        says "there was nothing to do"
    done
}
