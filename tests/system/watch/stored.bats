#!/usr/bin/env bats
# Faults of the history and of deferred work.  Each is made in a fresh registry;
# doctor must report it; the command that it prints must mend it, and what could
# be saved must be there.
load ../registry
load remedies

# again: makes the registry anew.
again() {
    rm -rf "$DIR" "$T/live"
    bide init --live "$T/live" >/dev/null
    shop
}

# ---- deferred work ----

# eleven: stores eleven pieces: the first is in deferred.mdb, the others are in the
# journal.
eleven() {
    again
    local i
    for i in {1..11}; do
        echo "piece $i" | bide deferred put mail >/dev/null
    done
}

# left COUNT: fails unless so many pieces are waiting and can be done.
left() {
    gives 0 bide deferred stats mail --json
    json "j['policies'][0]['waiting'] == $1"
    gives 0 bide deferred replay mail --until-empty --exec true
    gives 0 bide deferred stats mail --json
    json "j['policies'][0]['done'] == $1 and j['policies'][0]['waiting'] == 0"
    gives 0 bide doctor
}

@test "deferred work that was lost is counted, and the rest is saved" {
    local saved words fault
    while IFS='|' read -r saved words fault; do
        eleven
        eval "$fault"
        mends "$words"
        left "$saved"
    done <<'END2'
1|up to 10 pieces of deferred work may be missing|rm "$DIR/deferred/deferred.journal"
1|up to 10 pieces of deferred work may be missing|truncate -s 0 "$DIR/deferred/deferred.journal"
1|up to 10 pieces of deferred work may be missing|truncate -s 64 "$DIR/deferred/deferred.journal"
10|up to 1 piece of deferred work may be missing|truncate -s 3000 "$DIR/deferred/deferred.journal"
1|up to 10 pieces of deferred work may be missing|head -c 262144 /dev/zero >"$DIR/deferred/deferred.journal"
1|up to 10 pieces of deferred work may be missing|other; cp other/deferred/deferred.journal "$DIR/deferred/deferred.journal"
10|up to 11 pieces of deferred work were in it|rm "$DIR/deferred/deferred.mdb"
0|up to 11 pieces of deferred work were in it|rm "$DIR/deferred/deferred.mdb" "$DIR/deferred/deferred.journal"
10|is cut off|truncate -s 5000 "$DIR/deferred/deferred.mdb"
10|is empty|truncate -s 0 "$DIR/deferred/deferred.mdb"
10|deferred.mdb: |head -c 8192 /dev/urandom | dd of="$DIR/deferred/deferred.mdb" conv=notrunc status=none
1|deferred work may have been in it|rm "$DIR/deferred/deferred.journal" "$DIR/deferred/deferred.checked"
0|deferred.mdb was removed; deferred work may|rm "$DIR"/deferred/*
1|deferred.mdb was removed; deferred work may|rm "$DIR"/deferred/*; echo x | bide deferred put mail >/dev/null
11|up to 1 piece of deferred work may be missing|rm "$DIR"/deferred/deferred.{mdb,checked}; echo x | bide deferred put mail >/dev/null
11|was made for another registry|mv "$DIR/policies/registry.mdb" away; bide init --live "$T/live2" >/dev/null; shop
END2
}

other() {
    rm -rf other
    "$BIDE" --dir other init --live "$T/other.live" >/dev/null
    "$BIDE" --dir other apply shop.ini >/dev/null
    echo x | "$BIDE" --dir other deferred put mail >/dev/null
    echo y | "$BIDE" --dir other deferred put mail >/dev/null
}

@test "a file that was moved away is put back only where there is no newer one" {
    local file missing newer aside
    while read -r file missing newer aside; do
        eleven
        mv "$DIR/deferred/deferred.$file" aside
        gives 1 bide doctor
        says "put it back with mv -n instead"
        echo new | bide deferred put mail >/dev/null
        mv -n aside "$DIR/deferred/deferred.$file" || true
        [ -e aside ]
        gives 1 bide doctor
        says "up to $missing" "keep the files that are there"
        says_not "put it back"
        rm -rf apart
        mkdir -p apart/deferred
        cp -pr "$DIR/policies" apart
        mv aside "apart/deferred/deferred.$file"
        run --separate-stderr "$BIDE" --dir apart deferred stats mail --json
        json "j['policies'][0]['waiting'] == $aside"
        gives 0 bide deferred repair
        left "$newer"
    done <<'END2'
mdb 1 11 1
journal 10 2 10
END2
}

@test "list and stats say that work may be missing, until it is accepted" {
    eleven
    rm "$DIR/deferred/deferred.journal"
    gives 0 bide deferred list
    says "may be missing: up to 10 pieces"
    echo new | bide deferred put mail >/dev/null
    gives 0 bide deferred stats
    says "may be missing: up to 10 pieces"
    mends "up to 10 pieces of deferred work may be missing"
    gives 0 bide deferred list
    says_not "missing"
    left 2
}

@test "a journal that is put back has all its work" {
    eleven
    cp -p "$DIR/deferred/deferred.journal" kept
    rm "$DIR/deferred/deferred.journal"
    gives 1 bide doctor
    cp -p kept "$DIR/deferred/deferred.journal"
    gives 0 bide doctor
    left 11
}

# flip WORDS PATTERN AHEAD: flips a bit so many bytes after the pattern, a Python
# expression, in deferred.mdb: at the first place where doctor then says WORDS.
# Other places are in pages that are free, or put keys out of order.
flip() {
    local place
    cp -p "$DIR/deferred/deferred.mdb" whole
    for place in {0..40}; do
        cp -p whole "$DIR/deferred/deferred.mdb"
        python3 - "$DIR/deferred/deferred.mdb" "$place" "$2" "$3" <<'END2' || return 1
import re, sys
path, place, pattern, ahead = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3]), int(sys.argv[4])
data = bytearray(open(path, "rb").read())
at = [m.start() for m in re.finditer(re.escape(pattern), data)]
data[at[place] + ahead] ^= 1
open(path, "r+b").write(data)
END2
        bide doctor >said && continue
        grep -q "$1" said && return 0
    done
    return 1
}

# folded: eleven pieces, all in deferred.mdb.
folded() {
    eleven
    bide deferred repair >/dev/null
}

@test "damaged records of deferred work are mended" {
    local left words pattern ahead
    while IFS='|' read -r left words pattern ahead; do
        folded
        flip "$words" "$pattern" "$ahead"
        mends "$words"
        left "$left"
    done <<'END2'
11|of deferred work are in no list|b"imail\0\0"|2
11|of deferred work are in no list|b"imail\0\0"|9
11|damaged records of deferred.mdb|b"cmail"|1
10|1 damaged piece of deferred work cannot be done|b"piece 4\n"|2
END2
    # A piece under another number: the damaged one can be dropped, one is lost.
    folded
    flip "1 damaged piece" 'b"h" + (11).to_bytes(8, "big")' 7
    mends "1 damaged piece" >out || mends "up to 1 piece of deferred work may be missing"
    left 10
}

@test "the next worker finds what the index lost" {
    folded
    flip "of deferred work are in no list" 'b"imail\0\0"' 2
    left 11
}

@test "a queue that is full is said" {
    again
    bide set mail defer_max=2 >/dev/null
    echo 1 | bide deferred put mail >/dev/null
    gives 0 bide doctor
    echo 2 | bide deferred put mail >/dev/null
    gives 6 bash -c 'echo 3 | "$BIDE" --dir "$DIR" deferred put mail'
    mends "mail: 2 pieces of deferred work, as many as defer_max allows"
    echo 3 | bide deferred put mail >/dev/null
    left 3
}

# ---- history ----

# recorded: five calls of pay, of which three are recorded.
recorded() {
    again
    local i
    for i in 1 2 3; do
        bide exec pay -- true
    done
    bide record
    bide exec pay -- true
    bide exec pay -- true
}

calls() {
    bide stats pay --since -1h --json | python3 -c 'import json, sys
print(sum(r["calls"]["succeeded"] for r in json.load(sys.stdin)["rows"]))'
}

@test "faults of the history are mended, and counting goes on" {
    local least words fault
    while IFS='|' read -r least words fault; do
        recorded
        eval "$fault"
        mends "$words"
        bide exec pay -- true
        [ "$(calls)" -ge "$least" ]
        [ "$(calls)" -le 6 ]
    done <<'END2'
6|of another registry|other; "$BIDE" --dir other exec mail -- true; "$BIDE" --dir other record; cp other/history/history.mdb "$DIR/history/history.mdb"
6|is empty|truncate -s 0 "$DIR/history/history.mdb"
6|cut off|truncate -s 4000 "$DIR/history/history.mdb"
1|history.mdb|truncate -s 8192 "$DIR/history/history.mdb"
6|history.mdb: |head -c 8192 /dev/urandom | dd of="$DIR/history/history.mdb" conv=notrunc status=none
1|damaged records and pages|alter 'b"cpay\0"' 2
1|damaged records and pages|alter 'b"minutes"' 2
1|damaged records and pages|alter 'b"names"' 2
1|damaged records and pages|alter 'b"base"' 2
1|history|alter 'b"state"' 2
END2
}

# alter PATTERN OFFSET: as flip, at each place in history.mdb.
alter() {
    python3 - "$DIR/history/history.mdb" "$1" "$2" <<'END2'
import re, sys
path, pattern, ahead = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
data = bytearray(open(path, "rb").read())
for m in list(re.finditer(re.escape(pattern), data)):
    data[m.start() + ahead] ^= 1
with open(path, "r+b") as f:
    f.write(data)
END2
}

@test "statistics say that a name, a base or a database is damaged" {
    local pattern
    for pattern in 'b"cpay\0"' 'b"minutes"' 'b"names"' 'b"base"' 'b"hours"'; do
        recorded
        alter "$pattern" 2
        run bide stats pay --since -1h
        says damaged
        run bide check pay
        says damaged
    done
}

@test "a damaged history is rescued without live state" {
    recorded
    alter 'b"minutes"' 2
    rm -r "$T/live"
    mends "damaged records and pages" # and lets a service start
}

# minutes_ago COUNT: moves the times in the state of the history back.
minutes_ago() {
    python3 - "$DIR/history/history.mdb" "$1" <<'END2'
import sys, time
path, back, now = sys.argv[1], int(sys.argv[2]) * 60 * 10**9, time.time_ns()

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return (crc ^ 0xffffffff).to_bytes(4, "little")

data, moved = bytearray(open(path, "rb").read()), 0
for at in range(8192, len(data) - 300, 2):
    if data[at] != ord("m") or data[at + 5:at + 9] != b"\3\0\0\0":
        continue  # the key, its seal, the format
    size = int.from_bytes(data[at - 8:at - 6], "little") - 4
    value = data[at + 5:at + 5 + size]
    if crc32c(b"m" + value) == data[at + 1:at + 5]:
        # Not the newest change of the registry, behind 296 bytes, and not the
        # begin of the live state.
        for i in range(0, min(size, 296) - 7, 8):
            ns = int.from_bytes(value[i:i + 8], "little")
            if i != 16 and abs(now - ns) < 10**12:
                value[i:i + 8] = (ns - back).to_bytes(8, "little")
        data[at + 1:at + 5 + size] = crc32c(b"m" + value) + value
        moved += 1
open(path, "r+b").write(data)
sys.exit(0 if moved else "no state was found")
END2
}

# says_stopped 0|1: check, list, metrics and JSON agree whether the recorder has.
says_stopped() {
    local what="the recorder has stopped: nothing was recorded for 12m" status=0
    [ "$1" -eq 0 ] || status=1
    gives $status bide check pay
    [ "$1" -eq 0 ] || [[ $output == "BIDE WARNING - $what"*"; pay: "*" | "* ]]
    gives $status bide check pay --json
    json "j.get('not_recorded', '')[:${#what}] == ('$what' if $1 else '')"
    gives 0 bide list
    [ "$1" -eq 0 ] && says_not "$what" || says "warning: $what" "; see: bide doctor"
    gives 0 bide metrics
    says_not "bide_recorder_up $1" # missing where nobody started one
}

@test "a recorder that has stopped is said, one with long steps is none" {
    recorded
    minutes_ago 12
    gives 0 bide doctor # nobody started a recorder
    says "note    history" "nothing was recorded for 12m, and no recorder was ever started"
    says_stopped 0
    timeout -s INT 2 "$BIDE" --dir "$DIR" record --every 1m || true
    says_stopped 0
    minutes_ago 12
    says_stopped 1
    mends "the recorder has stopped: nothing was recorded for 12m"
    says_stopped 0
    rm "$DIR/history/history.mdb"
    timeout -s INT 2 "$BIDE" --dir "$DIR" record --every 15m || true
    minutes_ago 12
    gives 0 bide doctor
    says "Nothing is wrong"
    minutes_ago 30
    mends "nothing was recorded for"
}

@test "a history that was removed is said, and a new one notes it" {
    recorded
    mv "$DIR/history/history.mdb" away
    gives 0 bide stats pay --since -1h
    says "history.mdb was removed: these are the totals"
    mends "history.mdb was removed: what was counted before is missing"
    [ "$(calls)" -eq 5 ]
    for command in "stats pay --since -1h" audit doctor; do
        # shellcheck disable=SC2086 # words
        gives 0 bide $command
        says "history.mdb was removed or cut: earlier calls are missing, or one interval"
    done
    # Without live state, too.
    rm "$DIR/history/history.mdb"
    rm -r "$T/live"
    bide record
    bide exec pay -- true
    bide record
    gives 0 bide audit
    says "history.mdb was removed or cut: earlier calls are missing, or one interval"
}

@test "a live file that is put back counts nothing twice, and is said" {
    local live
    again
    bide exec pay -- true
    bide record
    live=$(echo "$T"/live/*.live)
    mv "$live" a.live
    bide exec pay -- true
    bide record
    [ "$(calls)" -eq 2 ]
    mv a.live "$live"
    for _ in 1 2; do
        [ "$(calls)" -eq 2 ]
        for command in "stats pay --since -1h" doctor; do
            # shellcheck disable=SC2086 # words
            gives 0 bide $command
            says "an earlier live file was put back: calls since its recording may be missing"
        done
        bide record
    done
    gives 0 bide audit
    says "an earlier live file was put back"
    bide exec pay -- true
    [ "$(calls)" -eq 3 ]
}

@test "versions whose counts are mixed are said before and after a recording" {
    local i
    again
    for ((i = 0; i < 66; i++)); do
        bide exec pay -- true
        bide set pay attempts=$((i % 2 + 2)) >/dev/null
    done
    for _ in 1 2; do
        gives 0 bide doctor
        says "1 time counts of earlier versions joined those of a later one"
        bide record
    done
}

@test "a cut deferred.journal is said, and once, though deferred.checked is gone" {
    local i
    bide apply - <<<$'[mail]\nattempts = 2\n' >/dev/null
    for i in 1 2 3 4 5; do bide deferred put mail <<<"$i" >/dev/null; done
    rm "$DIR/deferred/deferred.checked"
    truncate -s 700 "$DIR/deferred/deferred.journal"
    gives 1 bide doctor
    says "pieces of deferred work may be missing"
    # The next change keeps what is there, and notes the loss.
    bide deferred put mail <<<more >/dev/null
    gives 0 bide deferred list
    says "may be missing: up to 4086 pieces"
    [ "$(stat -c %s "$DIR/deferred/deferred.journal")" -eq 262144 ]
    gives 0 bide deferred repair
    bide deferred put mail <<<more >/dev/null
    gives 0 bide deferred list
    says_not "missing"
}
