#!/usr/bin/env bats
# Alarms that a recorder tells of: --on-change, and the journal.
load ../registry
load recording

@test "a change of level runs the --on-change command once, with figures" {
    pay
    bide set pay warn_retry_rate=10% crit_retry_rate=90% warn_min_calls=4 >/dev/null
    working pay 3
    failing pay 3
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort >>'$T/told'; echo >>'$T/told'"
    local first=$!
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort >>'$T/told'; echo >>'$T/told'"
    local second=$!
    until_it grep -q BIDE_LEVEL=warning told
    sleep 2
    [ "$(grep -c '^BIDE_LEVEL' told)" -eq 1 ]
    grep -qx BIDE_POLICY=pay told
    grep -qx BIDE_OLD_LEVEL=ok told
    grep -qx BIDE_CALLS=6 told
    grep -qx BIDE_RETRIES_PCT=50.000 told
    bide set pay warn_retry_rate=60% >/dev/null
    until_it grep -q BIDE_LEVEL=ok told
    stop $first
    stop $second
}

@test "a breaker that opens and closes runs the --on-change command, by scope" {
    shop
    bide set pay retry_on=exit.9 attempts=1 breaker=on breaker_consecutive=2 \
        breaker_open_for=1h breaker_open_max=1h warn_breaker=none >/dev/null
    bide exec pay --scope a -- true
    # Of several recorders one tells of it.
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort | tr '\n' ' ' >>'$T/told'; echo >>'$T/told'"
    local first=$!
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort | tr '\n' ' ' >>'$T/told'; echo >>'$T/told'"
    local second=$!
    a_recording
    failing "pay --scope a" 2
    # A change records too, but is no recorder.
    bide set pay wait_max=3s >/dev/null
    until_it grep -q . told
    a_recording
    a_recording
    kill -STOP $first $second
    bide breaker pay reset --scope a >/dev/null
    failing "pay --scope a" 2
    kill -CONT $first $second
    until_it grep -q CLOSED=1 told
    bide breaker pay reset >/dev/null
    until_it grep -q BREAKER=closed told
    a_recording
    a_recording
    stop $first
    stop $second
    run cat told
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[0]}" = "BIDE_BREAKER=open BIDE_CLOSED=0 BIDE_EVENT=breaker BIDE_OPENED=1 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker opened " ]
    [ "${lines[1]}" = "BIDE_BREAKER=open BIDE_CLOSED=1 BIDE_EVENT=breaker BIDE_OPENED=1 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker is open (opened: 1, closed: 1) " ]
    [ "${lines[2]}" = "BIDE_BREAKER=closed BIDE_CLOSED=1 BIDE_EVENT=breaker BIDE_OPENED=0 BIDE_POLICY=pay BIDE_SCOPE=a BIDE_WHY=breaker closed " ]
}

# host_script: makes host.sh of its input, to run in a mount namespace: with an empty
# /run and /dev of its own, where `listen SOCKET FILE` is the journal or syslog.
host_script() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    unshare --mount true 2>/dev/null || skip "needs mount namespaces"
    cat >listener.py <<'END'
"""listener.py SOCKET FILE: writes each datagram as JSON: the fields of the journal's
protocol, or the text of syslog's."""
import json, os, socket, struct, sys
path, out = sys.argv[1:]
os.makedirs(os.path.dirname(path), exist_ok=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
print("ready", file=open(out + ".ready", "w"))
while True:
    data, fields, text = s.recv(1 << 20), {}, None
    if data.startswith(b"<"):
        text = data.decode()
    while data and text is None:
        name, data = data.split(b"\n", 1)
        assert b"=" not in name and name.decode() not in fields, name
        size, = struct.unpack("<Q", data[:8])
        fields[name.decode()] = data[8:8 + size].decode()
        assert data[8 + size:9 + size] == b"\n"
        data = data[9 + size:]
    with open(out, "a") as f:
        print(json.dumps(text or fields), file=f)
END
    {
        echo 'set -e; bide() { "$BIDE" --dir "$DIR" "$@" 3>&-; }; trap "kill \$(jobs -p) 2>/dev/null || true" EXIT'
        echo 'mount -t tmpfs none /run; mkdir /run/dev; mount -t tmpfs none /run/dev'
        echo 'for f in null zero urandom random; do touch /run/dev/$f; mount --bind /dev/$f /run/dev/$f; done'
        echo 'mkdir /run/dev/shm; mount --bind /dev/shm /run/dev/shm; mount --rbind /run/dev /dev'
        echo 'listen() { python3 -S listener.py "$1" "$2" 3>&- & for i in $(seq 200); do [ -e "$2.ready" ] && return; sleep 0.05; done; }'
        cat
    } >host.sh
}

@test "changes and alarms go to the journal with fields, where init asked for it" {
    shop
    bide set pay retry_on=exit.9 attempts=1 breaker=on breaker_consecutive=2 \
        breaker_open_for=1h breaker_open_max=1h crit_failed_rate=50% warn_min_calls=2 >/dev/null
    host_script <<'END'
listen /run/systemd/journal/socket entries
bide set pay wait_max=3s --note 'not asked for' >/dev/null
bide init --journal >init
bide init --journal >again
bide set pay wait_max=4s --note 'INC-7 PRIORITY=0 "é"' >/dev/null
bide set pay wait_max=4s --note 'nothing changes' >/dev/null
bide set pay wait_max=5s --dry-run >/dev/null
bide delete mail >/dev/null
for _ in 1 2; do bide exec --quiet pay --scope a -- sh -c 'exit 9' || true; done
bide record
bide init --no-journal >ended
bide set pay wait_max=6s >/dev/null
bide doctor >doctor || true
END
    unshare --mount bash host.sh
    grep -q "also written to the journal" init
    grep -q "there was nothing to do" again
    grep -q "are not written to the journal" ended
    ! grep -q "not announced" doctor
    run python3 -S - <<'END'
import json
for e in map(json.loads, open("entries")):
    i = e.pop("MESSAGE_ID")
    assert len(i) == 32 and e.pop("SYSLOG_IDENTIFIER") == "bide" and e.pop("BIDE_REGISTRY")
    print(i[:4], e.pop("PRIORITY"), " ".join(f"{k}={v!r}" for k, v in sorted(e.items())))
END
    echo "$output"
    [ "${#lines[@]}" -eq 4 ]
    says "BIDE_CHANGE='deleted'" "BIDE_POLICY='mail'"
    says "6d2f 5 BIDE_AUTHOR='$(id -un)' BIDE_CHANGE='changed' BIDE_COMMAND='bide set' BIDE_KEYS='wait_max 3s -> 4s' BIDE_NOTE='INC-7 PRIORITY=0 \"é\"' BIDE_POLICY='pay' BIDE_VERSION='4' MESSAGE='pay v4 changed by $(id -un): INC-7 PRIORITY=0 \"é\"; wait_max 3s -> 4s'"
    says "b81f 2 BIDE_ALARM='critical' BIDE_POLICY='pay' BIDE_SCOPE='' BIDE_WHY='breaker of a open" "3e9a 4 BIDE_BREAKER='open' BIDE_POLICY='pay' BIDE_SCOPE='a' BIDE_WHY='breaker opened' MESSAGE='pay/a: breaker opened'"
    local id # the manual has each MESSAGE_ID
    for id in $(sed -nE 's/^#define JOURNAL_[A-Z]+ "(.*)"/\1/p' "$TOP/lib/record/journal.h"); do
        grep -q "$id" "$TOP/cli/man/bide.7"
    done
    says_not "not asked for"
    says_not "nothing changes"
    says_not 6s
}

@test "without the journal syslog gets one line, and without both changes go on" {
    shop
    bide init --journal >/dev/null
    host_script <<'END'
bide set pay wait_max=3s --note nobody >/dev/null
listen /dev/log entries
bide set pay wait_max=4s --note 'INC-8' >/dev/null
# A journal that takes nothing delays a change by little, and refuses none.
mkdir -p /run/systemd/journal
python3 -S -c 'import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
c.setblocking(False)
try:
    while True:
        c.sendto(b"x", "/run/systemd/journal/socket")
except BlockingIOError:
    print("full", file=open("full", "w"))
time.sleep(60)' 3>&- &
for i in $(seq 200); do [ ! -e full ] || break; sleep 0.05; done
bide set pay wait_max=5s >/dev/null
END
    unshare --mount bash host.sh
    run cat entries
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[0]} == '"<13>bide['*']: pay v3 changed by '*': INC-8; wait_max '* ]]
    [[ ${lines[1]} == '"<13>bide['*']: pay v4 changed by '* ]]
    [ "$(bide get pay wait_max)" = 5s ]
}
