#!/usr/bin/env bats
# Remedies of doctor that lose no counts, no deferred work and no policies.
load ../registry
load remedies

# keeps COUNT WORDS: as mends; fails unless doctor reports one fault, and the
# live file stays with its COUNT attempts.
keeps() {
    local inode
    inode=$(stat -Lc %i "$(live_file)")
    finding "$2"
    json 'j["wrong"] == 1'
    mends "$2"
    [ "$(stat -c %i "$T"/live/*.live)" = "$inode" ]
    bide exec pay -- true
    gives 0 bide stats pay --json
    json "j['policies'][0]['attempts'] == $1 + 1"
}

@test "a remedy for the live file keeps its counts" {
    shop
    bide exec pay -- true
    local live
    live=$(live_file)
    # A link to itself under another name.
    mv "$live" "$T/live/other"
    ln -s other "$live"
    keeps 1 "$live: this is a symbolic link"
    ln "$live" "$T/live/sec'ond name"
    keeps 2 "$live: the file has a second name"
    [ ! -e "$T/live/sec'ond name" ]
    ln "$live" "$DIR/s"
    keeps 3 "$live: the file has a second name"
    mv "$T/live" "$T/elsewhere"
    ln -s elsewhere "$T/live"
    keeps 4 "$T/live: this is a symbolic link"
    # Not ours: a link to another file.
    mv "$live" "$T/aside"
    ln -s "$DIR/policies/registry.mdb" "$live"
    mends "$live: this is a symbolic link"
    [ -L "$live.away" ] && [ -s "$DIR/policies/registry.mdb" ]
    rm "$live"
    mv "$T/aside" "$live"
    mends "an earlier live file was put back"
    [ "$(id -u)" -eq 0 ] || skip "needs root, to give files away"
    chown 4343 "$live"
    keeps 5 "$live: 4343:root 0644, not root:root 0644"
}

@test "the owner of the directory owns the registry" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to give files away"
    admit_others
    shop
    bide exec pay -- true
    bide record
    chown 4343 "$DIR"
    keeps 1 "$T/live and others: root:root 0711, not 4343:root 0711"
    [ "$(stat -c %u "$(live_file)" "$DIR"/*/* | sort -u)" = 4343 ]
    chown 0 "$DIR/policies/registry.mdb"
    mends "$DIR/policies/registry.mdb: root:root 0644, not 4343:root 0644"
}

# ---- another registry in the directory ----

# anew: makes another registry beside the files of the one that is gone.
anew() {
    bide init --live "$T/live" >/dev/null
    bide apply shop.ini >/dev/null
    bide deferred repair >/dev/null
    gives 0 bide deferred list --json
    json 'len(j["deferred"]) == 2'
}

@test "a registry that is gone, with its history and deferred work there" {
    shop
    bide exec pay -- true
    bide record
    echo 1 | bide deferred put order
    echo 2 | bide deferred put order
    mv "$DIR/policies/registry.mdb" "$T/aside"
    DOCTOR_STATUS=6 finding "there is no registry.mdb, but history or deferred work"
    json 'not j["registry"]["readable"] and j["history"]["there"] and j["deferred"]["waiting"] == 2'
    gives 6 bide doctor
    says "put registry.mdb back" "bide deferred repair" "2 waiting"
    mv "$T/aside" "$DIR/policies/registry.mdb"
    gives 0 bide doctor
    mv "$DIR/policies/registry.mdb" "$T/aside"
    anew
    mends "history.mdb is of another registry"
    # Nothing of a registry.
    DIR=$T/nowhere DOCTOR_STATUS=6 finding "there is no registry"
    # One that cannot be read.
    : >"$DIR/policies/registry.mdb"
    DOCTOR_STATUS=6 finding "registry.mdb is empty"
    [[ $output == *"move registry.mdb away"*"bide deferred repair"* ]]
    mv "$DIR/policies/registry.mdb" "$T/empty"
    anew
    rm "$DIR/history/history.mdb.other"
    mends "history.mdb is of another registry"
}

@test "an alarm about the history of a registry without policies ends" {
    shop
    bide exec pay -- true
    bide record
    rm "$DIR/policies/registry.mdb"
    bide init --live "$T/live" >/dev/null
    mends "history.mdb is of another registry"
    says "nothing was recorded yet"
}

@test "doctor is no service that may not use the live file" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be another user"
    shop
    admit_others
    owner() {
        setpriv --reuid=4343 --regid=4343 --clear-groups env BIDE_DIR="$DIR" "$BIDE" "$@"
    }
    bide exec pay -- true
    chown -R 4343:4343 "$DIR" "$T/live"
    chmod 440 "$(live_file)"
    run owner doctor
    [ "$status" -eq 1 ]
    says "$(live_file): 4343:4343 0440, not 4343:4343 0644"
    says_not "(bide) of user"
}

@test "a file of another kind in the place of a file is a fault" {
    shop
    bide exec pay -- true
    cp "$DIR/policies/registry.mdb" "$T/other"
    cp "$T/other" "$DIR/history/history.mdb"
    mends "history.mdb: the history's state is missing"
    gives 0 bide stats pay --json
    json 'j["policies"][0]["attempts"] >= 1'
    cp "$T/other" "$DIR/deferred/deferred.mdb"
    mends "it is another file, without a queue"
    gives 0 bide deferred stats
}
