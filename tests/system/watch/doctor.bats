#!/usr/bin/env bats
# doctor: checks everything, changes nothing.
load ../registry
load remedies

# found AREA WORDS: succeeds if doctor reports such a finding.
found() {
    bide doctor --json >doctor.json || true
    python3 - "$1" "$2" <<'END'
import json, sys
j = json.load(open("doctor.json"))
area, words = sys.argv[1:]
found = [f for f in j["findings"] if f["area"] == area and words in f["what"]]
sys.exit(0 if found else f"not found: {area}: {words}: {j['findings']}")
END
}

all_files() {
    (cd "$T" && find registry live -type f -size -1G -exec stat -c '%n %y %z %s %a %b' {} + |
        sort && find registry -type f -exec sha256sum {} + | sort)
}

@test "doctor finds no fault in a sound registry, and changes nothing" {
    shop
    bide exec pay -- true
    bide record
    all_files >before
    gives 0 bide doctor
    says "3 policies" "3 versions" "1 of" "Nothing is wrong"
    gives 0 bide doctor --json
    json 'j["wrong"] == 0 and j["registry"]["policies"] == 3 and j["live"]["places"] == 1'
    json 'j["history"]["minute_records"] == 1 and j["history"]["damaged"] == 0'
    all_files >after
    diff before after
    gives 2 bide doctor --keep-size 5
    gives 2 bide doctor pay
}

@test "missing files of a new registry are no fault" {
    gives 0 bide doctor
    says "no policies yet" "no service has started" "nothing was recorded yet"
    [ ! -e "$DIR/history/history.mdb" ]
    [ -z "$(ls "$T/live" 2>/dev/null)" ]
    gives 6 "$BIDE" --dir "$T/nowhere" doctor
    says "there is no registry"
}

@test "a copy of a registry has live state of its own" {
    shop
    bide exec pay -- true
    cp -a "$DIR" "$T/copy"
    copy() { "$BIDE" --dir "$T/copy" "$@"; }
    for _ in 1 2 3; do
        gives 1 copy exec pay -- false
    done
    gives 0 copy pause pay
    gives 0 bide exec pay -- true
    gives 0 bide stats pay --json
    json 'j["policies"][0]["attempts"] == 2'
    gives 0 copy stats pay --json
    json 'j["policies"][0]["attempts"] == 3'
    gives 0 copy doctor
    says "a copy of $DIR" "Nothing is wrong"
    gives 0 bide doctor
    says_not "a copy of"
    # Without the original, the copy takes its place, and a change says so.
    rm -r "$DIR"
    gives 0 copy resume pay
    gives 0 copy doctor
    says_not "a copy of"
    gives 0 copy stats pay --json
    json 'j["policies"][0]["attempts"] == 2'
    cp -a "$T/copy" "$T/second"
    gives 0 "$BIDE" --dir "$T/second" doctor
    says "a copy of $T/copy"
}

@test "a truncated registry is reported once" {
    shop
    truncate -s 5000 "$DIR/policies/registry.mdb"
    gives 6 bide doctor
    [ "$(grep -c "registry.mdb is cut off" <<<"$output")" -eq 1 ]
    says_not "bide export"
}

@test "a damaged registry is reported with its place and exit status 6" {
    shop
    local pages=$(($(stat -c %s "$DIR/policies/registry.mdb") / 4096)) page seen=0
    cp "$DIR/policies/registry.mdb" whole
    for ((page = 2; page < pages; page++)); do
        cp whole "$DIR/policies/registry.mdb"
        poke "$DIR/policies/registry.mdb" $((page * 4096 + 4090)) ffffff
        run bide doctor
        [ "$status" -eq 0 ] || { [ "$status" -eq 6 ] && seen=$((seen + 1)); }
        says registry
    done
    [ "$seen" -ge 2 ]
    cp whole "$DIR/policies/registry.mdb"
    truncate -s 8192 "$DIR/policies/registry.mdb"
    gives 6 bide doctor
    says "wrong   registry"
}

@test "doctor reports impossible counters, undefined names and dead waiters" {
    shop
    bide exec pay -- true
    bide exec nobody -- true
    local file
    file=$(live_file)
    gives 0 bide doctor
    says "services ask for a policy that is not defined: nobody"
    # The first counter of the first stripe of the first cell, which has all stripes.
    poke "$file" $((2686976 + 396)) ff
    poke "$file" $((69795840)) ffffffffffffffff
    found live "pay: the number of attempts is larger than possible"
    gives 1 bide doctor
    poke "$file" $((69795840)) 0100000000000000
    gives 0 bide doctor
    bide set pay wait_initial=60s wait_max=60s wait_jitter=none retry_on=any breaker=off >/dev/null
    "$BIDE" --dir "$DIR" exec pay -- false 3>&- &
    local pid=$! i
    for ((i = 0; i < 200; i++)); do
        bide calls --json | grep -q '"policy"' && break
        sleep 0.05
    done
    found live "" || true
    kill -9 $pid
    wait $pid 2>/dev/null || true
    found live "of processes that died"
    gives 0 bide doctor
}

@test "doctor reports a change that was stored but not announced" {
    shop
    bide exec pay -- true
    found live "not announced" && return 1
    mv "$T/live" "$T/away"
    bide set pay attempts=9 >/dev/null
    rm -rf "$T/live"
    mv "$T/away" "$T/live"
    found live "a change was stored but not announced: pay"
    gives 1 bide doctor
    bide exec --quiet pay -- true
    bide set order attempts=9 >/dev/null
    found live "not announced" && return 1
    true
}

@test "doctor reports a live file of an earlier boot or another registry" {
    live_on_disk
    shop
    bide exec pay -- true
    local file
    file=$(echo "$LIVE"/*.live)
    poke "$file" 56 ffffffffffffffffffffffffffffffff # the boot's id
    all_files >before
    found live "from an earlier boot"
    gives 0 bide doctor
    all_files >after
    diff before after
    poke "$file" 40 ffffffffffffffffffffffffffffffff # the registry's
    found live "not a live file of this registry"
    gives 1 bide doctor
    rm -rf "$LIVE"
}

@test "doctor judges the history of a registry that cannot be read" {
    shop
    bide exec pay -- true
    bide record
    cp "$DIR/policies/registry.mdb" whole.mdb
    truncate -s 0 "$DIR/policies/registry.mdb"
    gives 6 bide doctor
    truncate -s 20480 whole.mdb
    cp whole.mdb "$DIR/policies/registry.mdb"
    gives 6 bide doctor
    rm "$DIR/policies/registry.mdb"
    mkdir "$DIR/policies/registry.mdb"
    gives 6 bide doctor
}

@test "doctor reports a recorder that stopped" {
    shop
    bide exec pay -- true
    under_clock -2h record
    found history "nothing was recorded for"
}

@test "doctor reports damaged history" {
    shop
    bide exec pay -- true
    bide record
    poke "$DIR/history/history.mdb" 8192 ffffffff
    local page
    for ((page = 3; page < 10; page++)); do
        poke "$DIR/history/history.mdb" $((page * 4096)) ffffffff
    done
    run bide doctor
    [ "$status" -eq 1 ]
    says "wrong   history"
    bide record
    found history "is the old file, kept because it was damaged"
    found history "records and pages were lost"
}

@test "a directory named as the old file does not stop a rescue" {
    shop
    bide exec pay -- true
    bide record
    mkdir "$DIR/history/history.mdb.damaged"
    local page
    for page in 3 4 5 6 7 8 9; do
        poke "$DIR/history/history.mdb" $((page * 4096)) ffffffff
    done
    gives_fault
    gives 0 bide record
    [ -f "$DIR/history/history.mdb.damaged1" ]
    gives 0 bide doctor
    says_not "is the old file"
}

@test "root's change of an owner's registry leaves nothing of root" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be another user"
    admit_others
    shop
    bide exec pay -- true
    chown -R 4343:4343 "$DIR" "$T/live"
    bide set pay attempts=9 >/dev/null
    [ "$(stat -c %u "$DIR/policies/registry.checked")" = 4343 ]
    gives 0 bide doctor
}

@test "the command that allows calls again names the policy that is paused" {
    printf '[default]\nattempts = 2\n' >default.ini
    bide apply default.ini >/dev/null
    bide pause default >/dev/null
    gives 75 bide exec nobody -- true
    says "bide resume default"
    gives 0 bide resume default
    gives 0 bide exec nobody -- true
}

@test "doctor reports damaged deferred work" {
    shop
    echo x | bide deferred put mail >/dev/null
    gives 0 bide doctor --json
    json 'j["deferred"]["waiting"] == 1 and j["deferred"]["damaged"] == 0'
    local page seen=0
    cp "$DIR/deferred/deferred.mdb" whole
    for ((page = 2; page < 12; page++)); do
        cp whole "$DIR/deferred/deferred.mdb"
        poke "$DIR/deferred/deferred.mdb" $((page * 4096 + 4088)) ffffffff
        run bide doctor --json
        [ "$status" -eq 0 ] || seen=$((seen + 1))
        json 'all(f["area"] == "deferred" for f in j["findings"] if f["level"] == "wrong")'
    done
    [ "$seen" -ge 1 ]
}

@test "doctor names files that no command would write" {
    bide exec pay -- true
    ln "$DIR/policies/registry.mdb" second
    gives 1 bide doctor
    says "$DIR/policies/registry.mdb: the file has a second name" "cp -p"
    rm second
    mv "$DIR/policies/registry.lock" kept
    mkfifo "$DIR/policies/registry.lock"
    gives 1 timeout 20 "$BIDE" --dir "$DIR" doctor
    says "$DIR/policies/registry.lock: this is a device, pipe or socket"
    rm "$DIR/policies/registry.lock"
    gives 0 bide doctor
}

@test "doctor reports wrong file permissions" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    shop
    bide exec pay -- true
    bide record
    chmod g+w "$DIR/policies/registry.mdb"
    found rights "registry.mdb: root:root 0664, not root:root 0644, so more users"
    chmod 600 "$DIR/deferred/deferred.mdb" "$DIR/policies/registry.mdb"
    found rights "registry.mdb: root:root 0600, not root:root 0644, so those who"
    chmod o+w "$DIR"
    found rights "$DIR: root:root 0757, not root:root 0755, so more users"
    gives 0 bide init
    chown 12345 "$DIR/history/history.mdb"
    found rights "history.mdb: 12345:root 0644, not root:root 0644"
    gives 0 bide init
    gives 0 bide doctor
}

@test "doctor reports a lack of disk space" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to mount a file system"
    unshare -m true 2>/dev/null || skip "needs mount namespaces"
    mkdir small
    cat >full.sh <<'END'
mount -t tmpfs -o size=6m tmpfs small
"$BIDE" --dir small/r init --live "$T/small/live" >/dev/null
"$BIDE" --dir small/r doctor
END
    gives 1 unshare -m bash full.sh
    says "wrong   space" "MiB are free" "found."
}
