#!/usr/bin/env bats
# Files in the way: links, FIFOs, devices, directories, and files of strangers.
# No command writes through them, hangs, or replaces them.
load ../registry

# A stranger, who owns nothing else.
STRANGER=65533

as_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# Puts a thing of that kind at the path, in place of what was there.
put() {
    local kind=$1 path=$2
    rm -rf "$path"
    case $kind in
    symlink) ln -s "$T/victim" "$path" ;;
    dangling) ln -s "$T/not-there" "$path" ;;
    hardlink) ln "$T/victim" "$path" ;;
    fifo) mkfifo "$path" ;;
    device) mknod "$path" c 1 3 || skip "cannot make devices" ;;
    directory) mkdir "$path" ;;
    stranger) cp "$T/victim" "$path" && chown $STRANGER "$path" ;;
    esac
}

kind_of() {
    stat -c '%F %h %u' "$1"
}

# refused KIND PATH COMMAND...: the thing stays, the victim too, and the command
# fails in time with a line that names the path.
refused() {
    local kind=$1 path=$2 before
    shift 2
    put "$kind" "$path"
    before=$(kind_of "$path")
    run timeout 20 "$BIDE" --dir "$DIR" "$@"
    [ "$status" -ne 0 ] && [ "$status" -lt 124 ] || {
        echo "status $status: $kind at $path: $*"
        echo "$output"
        return 1
    }
    says "$path: "
    intact "$kind" "$path" "$before"
}

# intact KIND PATH BEFORE: fails if the thing or the victim was changed.
intact() {
    [ "$(kind_of "$2")" = "$3" ] || {
        echo "$2: $3 became $(kind_of "$2")"
        return 1
    }
    [ "$(cat "$T/victim")" = "do not touch" ] || {
        echo "the victim was written through $1 at $2"
        return 1
    }
    [ ! -e "$T/not-there" ]
}

setup() {
    as_root
    new_registry
    echo "do not touch" >victim
    shop
    bide exec pay -- true
    bide record >/dev/null 2>&1
}

ALL="symlink dangling hardlink fifo device directory stranger"

@test "set refuses what is in the place of registry.lock" {
    for kind in $ALL; do
        refused $kind "$DIR/policies/registry.lock" set pay attempts=9
        says_not "write permission"
        rm -rf "$DIR/policies/registry.lock"
        gives 0 bide set pay attempts=$((RANDOM + 1))
    done
}

@test "set refuses registry.mdb that is a link" {
    cp -p "$DIR/policies/registry.mdb" good
    for kind in symlink hardlink; do
        rm -f victim "$DIR/policies/registry.mdb"
        cp good victim
        case $kind in
        symlink) ln -s "$T/victim" "$DIR/policies/registry.mdb" ;;
        hardlink) ln victim "$DIR/policies/registry.mdb" ;;
        esac
        gives 6 bide set pay attempts=9
        says "$DIR/policies/registry.mdb: "
        cmp good victim
        gives 6 bide apply shop.ini
        cmp good victim
        gives 1 bide doctor
        says "$DIR/policies/registry.mdb: "
    done
}

@test "nothing in the place of a stamp is written, and set succeeds" {
    local name
    for name in policies/registry.checked policies/registry.checked.new; do
        for kind in symlink dangling hardlink fifo device stranger; do
            put $kind "$DIR/$name"
            gives 0 timeout 20 "$BIDE" --dir "$DIR" set pay attempts=$((RANDOM + 1))
            [ "$(cat victim)" = "do not touch" ]
            [ ! -e not-there ]
        done
    done
    put directory "$DIR/policies/registry.checked"
    gives 0 bide set pay attempts=3
    put directory "$DIR/policies/registry.checked.new"
    gives 0 bide set pay attempts=4
}

@test "LMDB's own lock file is not used" {
    for kind in $ALL; do
        put $kind "$DIR/policies/registry.mdb-lock"
        before=$(kind_of "$DIR/policies/registry.mdb-lock")
        gives 0 timeout 20 "$BIDE" --dir "$DIR" set pay attempts=$((RANDOM + 1))
        intact $kind "$DIR/policies/registry.mdb-lock" "$before"
    done
}

@test "init makes its files under names that were taken" {
    for kind in symlink dangling hardlink fifo device stranger; do
        rm -rf new
        mkdir -p new/{policies,history,deferred}
        put $kind new/policies/registry.mdb.new
        put $kind new/deferred/deferred.mdb.new
        put $kind new/deferred/deferred.journal.new
        gives 0 timeout 20 "$BIDE" --dir "$T/new" init --live "$T/live"
        [ "$(cat victim)" = "do not touch" ]
        [ ! -e not-there ]
        for name in policies/registry.mdb deferred/deferred.mdb deferred/deferred.journal; do
            [ "$(stat -c '%F %h %u' new/$name)" = "regular file 1 0" ]
        done
    done
    # In a directory that only root can write, a stranger's file is an accident.
    for kind in ${ALL/stranger/}; do
        rm -rf new
        mkdir -p new/{policies,history,deferred}
        put $kind new/policies/registry.lock
        before=$(kind_of new/policies/registry.lock)
        gives 6 timeout 20 "$BIDE" --dir "$T/new" init --live "$T/live"
        intact $kind new/policies/registry.lock "$before"
    done
}

@test "init refuses a live directory that is something else" {
    for kind in symlink fifo device; do
        put $kind place
        before=$(kind_of place)
        gives 1 timeout 20 "$BIDE" --dir "$T/new" init --live "$T/place"
        says "$T/place: "
        intact $kind place "$before"
        [ ! -e new ]
    done
    ln -sfn "$T/live" place
    gives 1 "$BIDE" --dir "$T/new" init --live "$T/place/"
    says "symbolic link"
}

@test "metrics --output refuses all but a file of one's own" {
    for kind in symlink dangling fifo device directory stranger; do
        refused $kind "$T/out.prom" metrics --output "$T/out.prom"
        says "standard output"
        rm -rf out.prom
    done
    gives 1 bide metrics --output /dev/stdout
    says "/dev/stdout: " "without --output"
    [ "$(echo out.prom*)" = "out.prom*" ]
    # A second name keeps the old file.
    ln victim out.prom
    gives 0 bide metrics --output out.prom
    [ "$(cat victim)" = "do not touch" ]
}

@test "record refuses what is in the place of its files" {
    for kind in $ALL; do
        refused $kind "$DIR/history/history.lock" record
        rm -rf "$DIR/history/history.lock"
    done
    gives 0 bide record
    mv "$DIR/history/history.mdb" good
    for kind in symlink hardlink; do
        rm -f victim
        cp good victim
        if [ $kind = symlink ]; then
            ln -s "$T/victim" "$DIR/history/history.mdb"
        else
            ln victim "$DIR/history/history.mdb"
        fi
        run bide record
        [ "$status" -ne 0 ]
        says "$DIR/history/history.mdb: "
        cmp good victim
        rm -f "$DIR/history/history.mdb"
    done
}

@test "a damaged history behind a link is not replaced" {
    head -c 9000 "$DIR/history/history.mdb" >damaged
    rm "$DIR/history/history.mdb"
    ln -s "$T/damaged" "$DIR/history/history.mdb"
    run bide record
    [ "$status" -ne 0 ]
    says "symbolic link"
    [ -L "$DIR/history/history.mdb" ]
    [ "$(stat -c %s damaged)" = 9000 ]
}

@test "deferred work refuses what is in the place of its files" {
    local name
    bide exec --defer order -- false || true
    for name in deferred/deferred.mdb deferred/deferred.journal; do
        cp -p "$DIR/$name" good
        for kind in symlink hardlink; do
            rm -f victim "$DIR/$name"
            cp good victim
            if [ $kind = symlink ]; then
                ln -s "$T/victim" "$DIR/$name"
            else
                ln victim "$DIR/$name"
            fi
            gives 6 bide deferred list
            says "$DIR/$name: "
            cmp good victim
        done
        for kind in fifo device directory; do
            put $kind "$DIR/$name"
            before=$(kind_of "$DIR/$name")
            gives 6 timeout 20 "$BIDE" --dir "$DIR" deferred list
            [ "$(kind_of "$DIR/$name")" = "$before" ]
            run timeout 20 "$BIDE" --dir "$DIR" doctor
            [ "$status" -eq 1 ]
        done
        rm -rf "${DIR:?}/$name"
        cp -p good "$DIR/$name"
        gives 0 bide deferred list
    done
    echo "do not touch" >victim
    for kind in $ALL; do
        put $kind "$DIR/deferred/deferred.checked"
        before=$(kind_of "$DIR/deferred/deferred.checked")
        run timeout 20 "$BIDE" --dir "$DIR" deferred list
        [ "$status" -lt 124 ]
        intact $kind "$DIR/deferred/deferred.checked" "$before"
    done
}

@test "a service starts beside anything in the place of its live file" {
    local live
    live=$(echo "$T"/live/*.live)
    for name in "$live" "$live.bell"; do
        for kind in $ALL; do
            put $kind "$name"
            before=$(kind_of "$name")
            gives 0 timeout 20 "$BIDE" --dir "$DIR" exec pay -- true
            intact $kind "$name" "$before"
            run timeout 20 "$BIDE" --dir "$DIR" pause pay
            [ "$status" -lt 124 ]
            intact $kind "$name" "$before"
            run timeout 20 "$BIDE" --dir "$DIR" resume pay
            rm -rf "$name"
        done
    done
}

@test "in a directory of all users only files of one's own are used" {
    mkdir -m 1777 shared
    gives 0 "$BIDE" --dir "$T/other" init --live "$T/shared"
    "$BIDE" --dir other exec pay -- true
    live=$(echo shared/*.live)
    chown $STRANGER:$STRANGER "$live"
    gives 0 "$BIDE" --dir other exec pay -- true
    gives 1 "$BIDE" --dir other doctor
    says "$live"
}

@test "services of the group share a live file that one of them made" {
    command -v setpriv >/dev/null || skip "needs setpriv"
    chmod 755 "$T"
    chgrp -R 65532 "$DIR" && chmod -R g+rX "$DIR"
    rm -rf live
    mkdir -m 2770 live
    chgrp 65532 live && chmod 2770 live
    chmod a+rx "$BATS_RUN_TMPDIR" "$BATS_TEST_DIRNAME" 2>/dev/null || true
    for uid in 65530 65531; do
        run setpriv --reuid $uid --regid $uid --groups 65532 \
            "$BIDE" --dir "$DIR" exec pay -- true
        [ "$status" -eq 0 ] || skip "that user cannot run the command: $output"
    done
    gives 0 bide list --json
    json '[p for p in j["policies"] if p["policy"] == "pay"][0]["calls"] == 2'
}
