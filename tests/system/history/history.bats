#!/usr/bin/env bats
# History: record, stats --since, check, audit.
load ../registry
load recording

@test "record prints nothing, and succeeds with nothing to record" {
    gives 0 bide record
    [ -z "$output" ]
    gives 0 bide record --verbose
    says "no service has used the registry yet"
    [ ! -e "$DIR/history/history.mdb" ]
}

@test "several recorders record each minute once" {
    pay
    working pay 2
    for i in 1 2 3 4 5 6; do "$BIDE" --dir "$DIR" record --verbose >"r$i" 3>&- & done
    wait
    [ "$(grep -l 'policy or scope' r? | wc -l)" -le 2 ] # two minutes at most
    grep -q 'already recorded' r?
    [ "$(stat -c %a "$DIR/history/history.mdb")" = 644 ]
    gives 0 bide stats pay --since -1h --json
    json 'j["rows"][0]["calls"]["succeeded"] == 2 and j["damaged"] == 0'
}

@test "stats --since is exact with, without and between recordings" {
    pay
    working pay 3
    gives 0 bide stats pay --since -1h --json
    json 'j["recorded"] is None and j["rows"][0]["calls"]["succeeded"] == 3'
    bide record
    failing pay 2
    gives 0 bide stats pay --since -1h --json
    json 'j["recorded"] > 0 and len(j["rows"]) == 1'
    json 'j["rows"][0]["calls"]["succeeded"] == 3 and j["rows"][0]["calls"]["aborted"] == 2'
    json 'j["rows"][0]["attempts"] == 9 and j["rows"][0]["retries"] == 4'
    json 'j["rows"][0]["outcomes"] == {"exit.9": 6}'
    json 'j["rows"][0]["latency_ms"]["succeeded"]["count"] == 3'
}

@test "killed recorders count nothing twice" {
    pay
    for i in $(seq 30); do
        recorder --every 1s
        working pay 1
        sleep "0.0$((i % 10))"
        kill -9 $!
        wait $! 2>/dev/null || true
    done
    gives 0 bide stats pay --since -1h --json
    json 'j["rows"][0]["calls"]["succeeded"] == 30'
}

@test "history continues with a new live file" {
    pay
    working pay 2
    recorder --every 1s
    local pid=$!
    working pay 1
    a_recording
    rm "$T"/live/*.live
    working pay 4
    a_recording
    stop $pid
    gives 0 bide stats pay --since -1h --json
    json 'sum(r["calls"]["succeeded"] for r in j["rows"]) == 7'
}

@test "whole calls are recorded with waits and attempts, over live files" {
    pay
    bide set pay wait=fixed wait_initial=60ms wait_jitter=none >/dev/null
    working pay 2
    failing pay 1
    bide exec pay -- sh -c 'test -e second || { touch second; exit 9; }'
    gives 0 bide stats pay
    says "whole calls, with retries and waits   P50" "attempts per call   1: 50.00%   2: 25.00%   3: 25.00%"
    bide record
    bide set pay attempts=4 >/dev/null
    rm "$T"/live/*.live # as a boot does
    working pay 1
    failing pay 1
    bide record
    failing pay 1
    gives 0 bide stats --since -1h --json
    local took='j["rows"][0]["latency_ms"]["calls"]'
    json "$took['count'] == 7 and $took['p50'] > 58 and $took['p95'] > 174"
    json '{k: n for k, n in j["rows"][0]["calls_by_attempts"].items() if n} == {"1": 3, "2": 1, "3": 1, "4": 2}'
    gives 0 bide stats pay
    says "attempts per call   1: 33.33%   4: 66.67%"
    gives 0 bide stats pay --by version --json
    json '[(r["calls_by_attempts"]["3"], r["calls_by_attempts"]["4"]) for r in j["rows"]] == [(1, 0), (0, 2)]'
    gives 0 bide stats pay --by version
    says "call p50" "call p99"
    gives 0 bide stats pay --since -1h
    says "CALL P95"
    gives 0 bide stats pay --since -1h --csv
    says ,calls_count,calls_p50_ms,calls_p95_ms
}

@test "stats --by version shows versions side by side, with author and note" {
    pay
    failing pay 2
    bide record
    bide set pay attempts=2 --note "INC-311 less load" >/dev/null
    failing pay 3
    gives 0 bide stats pay --by version
    says V2 V3 "INC-311 less load" "in force"
    gives 0 bide stats pay --by version --json
    json '[(r["version"], r["calls"]["aborted"], r["attempts"]) for r in j["rows"]] == [(2, 2, 6), (3, 3, 6)]'
    json 'j["rows"][1]["note"] == "INC-311 less load" and j["rows"][1]["in_force_s"] > 0'
}

@test "counts from before a change belong to the old version, recorded or not" {
    pay
    working pay 1
    bide record
    failing pay 2
    bide set pay attempts=2 >/dev/null # within the same minute
    failing pay 3
    bide apply shop.ini >/dev/null
    gives 0 bide stats pay --by version --json
    json '[(r["version"], r["calls"]["aborted"], r["attempts"]) for r in j["rows"]] == [(2, 2, 7), (3, 3, 6)]'
    # A recorder that hangs does not block a change.
    flock "$DIR/history/history.lock" sleep 5 3>&- &
    sleep 0.2
    gives 0 timeout 3 "$BIDE" --dir "$DIR" set pay attempts=7
    kill $!
}

@test "stats adds up by minute, hour and scope, also as CSV" {
    pay
    working pay 2
    bide exec --scope bank pay -- true
    gives 0 bide stats pay --by minute --csv
    [[ ${lines[0]} == policy,scope,version,begin,end,succeeded,* ]]
    [[ ${lines[1]} =~ ^pay,,,20..-..-..T..:..:..Z,20..-..-..T..:..:..Z,3, ]]
    gives 0 bide stats pay --by scope --json
    json '[(r["scope"], r["calls"]["succeeded"]) for r in j["rows"]] == [("", 2), ("bank", 1)]'
    gives 0 bide stats pay --by hour
    says FROM CALLS
    gives 0 bide stats --since today
    says POLICY pay
}

@test "invalid times are refused, and missing data is reported" {
    pay
    for bad in 'x' '-1' '2026-02-31' '25:00' '99999-01-01' '-1000000d' '' '12:60'; do
        gives 2 bide stats pay --since "$bad"
        gives 2 bide stats pay --until "$bad"
    done
    gives 2 bide stats pay --since 2200-01-01
    says "in the future"
    gives 2 bide stats pay --since today --until yesterday
    says "not before"
    gives 2 bide stats pay --by week
    gives 2 bide stats --by minute
    gives 0 bide stats pay --since -5m
    says "No calls of pay were recorded since"
    gives 3 bide stats nobody --since -5m
    gives 0 bide stats pay --since -5m --json
    json 'j["rows"] == []'
    gives 2 bide record --every 0
    gives 2 bide record --every 100ms
    gives 2 bide record --keep-size 12
    gives 2 bide record --keep-minutes 5
}

@test "a damaged history is reported and does not affect services" {
    pay
    working pay 2
    bide record
    printf 'XXXXXXXX' | dd of="$DIR/history/history.mdb" bs=1 seek=16 conv=notrunc 2>/dev/null
    printf 'XXXXXXXX' | dd of="$DIR/history/history.mdb" bs=1 seek=4112 conv=notrunc 2>/dev/null
    gives 6 bide record
    says history.mdb "move it away"
    gives 6 bide stats pay --since -1h
    working pay 1
    gives 0 bide stats pay
    mv "$DIR/history/history.mdb" "$DIR/history/history.mdb.old"
    gives 0 bide record
    gives 0 bide stats pay --since -1h --json
    json 'j["rows"][0]["calls"]["succeeded"] == 3'
}

@test "damaged records of history are skipped, counted and reported" {
    pay
    bide set pay warn_retry_rate=90% warn_min_calls=1 >/dev/null
    working pay 2
    bide record
    cp "$DIR/history/history.mdb" whole
    local page told=0 rescued=0 pages=$(($(stat -c %s whole) / 4096))
    for ((page = 2; page < pages; page++)); do
        cp whole "$DIR/history/history.mdb"
        printf '\377\377\377\377' | dd of="$DIR/history/history.mdb" bs=1 \
            seek=$((page * 4096 + 4080)) conv=notrunc 2>/dev/null
        bide stats pay --since -1h >out 2>err || grep -q "it away" err
        bide audit pay --since -1h >out 2>>err || grep -q "it away" err
        grep -q "skipped" err && told=$((told + 1))
        run bide check --json
        [ "$status" -eq 0 ] || [ "$status" -eq 3 ]
        bide record 2>said
        grep -q "could not be read" said && rescued=$((rescued + 1))
        bide stats pay --since -1h >/dev/null
    done
    [ "$told" -ge 2 ]
    [ "$rescued" -ge 0 ]
    printf 'XXXX' | dd of="$DIR/history/history.mdb" bs=1 seek=8192 conv=notrunc 2>/dev/null
    for ((page = 3; page < pages; page++)); do
        printf 'XXXX' | dd of="$DIR/history/history.mdb" bs=1 seek=$((page * 4096)) conv=notrunc 2>/dev/null
    done
    gives 0 bide record
    says "could not be read" "history.mdb.damaged"
    [ -s "$DIR/history/history.mdb.damaged" ]
    working pay 1
    gives 0 bide record
    [ -z "$output" ]
    gives 0 bide stats pay --since -1h
}

@test "recorders report a read-only directory, and services continue" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to mount"
    unshare -m true 2>/dev/null || skip "needs mount namespaces"
    pay
    working pay 1
    bide record
    mkdir only
    cat >only.sh <<'END'
mount --bind "$DIR" only && mount -o remount,ro,bind only || exit 77
"$BIDE" --dir only exec pay -- true || exit 1
"$BIDE" --dir only record --every 1s 2>said 3>&- &
pid=$!
for i in $(seq 200); do [ -s said ] && break; sleep 0.1; done
kill $pid
wait $pid
"$BIDE" --dir only stats pay --since -1h --json
END
    run unshare -m bash only.sh
    [ "$status" -ne 77 ] || skip "needs bind mounts"
    [ "$status" -eq 0 ]
    json 'j["rows"][0]["calls"]["succeeded"] == 2'
    grep -q "on a read-only file system" said
}

@test "a recorder that is told to end records what was counted until then" {
    pay
    working pay 1
    "$BIDE" --dir "$DIR" record --every 1h 3>&- &
    until_it test -s "$DIR/history/history.checked"
    working pay 4
    kill "$!"
    wait "$!"
    rm "$T"/live/*.live
    gives 0 bide stats pay --since -1h --json
    json 'sum(r["calls"]["succeeded"] for r in j["rows"]) == 5'
}

@test "after a reboot history continues and counts nothing twice" {
    live_on_disk
    pay
    working pay 3
    bide record
    # Writes another boot's id into the live file.
    printf 'otherboot' | dd of="$(echo "$LIVE"/*.live)" bs=1 seek=56 conv=notrunc 2>/dev/null
    working pay 4
    bide record
    bide record
    gives 0 bide stats pay --since -1h --json
    json 'sum(r["calls"]["succeeded"] for r in j["rows"]) == 7'
    rm -rf "$LIVE"
}

@test "a full disk is reported by the recorder and does not affect services" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to mount a file system"
    shop
    mkdir small
    unshare -m true 2>/dev/null || skip "needs mount namespaces"
    cat >full.sh <<'END'
set -e
mount -t tmpfs -o size=400k tmpfs small
"$BIDE" --dir small/r init --live "$T/live" >/dev/null
"$BIDE" --dir small/r apply shop.ini >/dev/null
"$BIDE" --dir small/r exec pay -- true
"$BIDE" --dir small/r record
dd if=/dev/zero of=small/fill bs=4k 2>/dev/null || true
for i in $(seq 20); do
    "$BIDE" --dir small/r exec --scope "s$i" pay -- true
done
"$BIDE" --dir small/r record --every 1s >said 2>&1 3>&- &
pid=$!
for i in $(seq 200); do [ -s said ] && break; sleep 0.1; done
sleep 2
kill $pid
wait $pid
grep -q "No space left" said
[ "$(grep -c history said)" -eq 1 ]
rm small/fill
now=$(date +%s)
"$BIDE" --dir small/r record --every 1s >/dev/null 3>&- &
pid=$!
for i in $(seq 200); do
    last=$("$BIDE" --dir small/r stats --since -1h --json |
        python3 -c "import json, sys; print(int(json.load(sys.stdin)['recorded']))")
    [ "$last" -gt "$now" ] && break
    sleep 0.1
done
kill $pid
wait $pid
"$BIDE" --dir small/r stats pay --since -1h --json >json
END
    gives 0 unshare -m bash full.sh
    output=$(cat json)
    json 'sum(r["calls"]["succeeded"] for r in j["rows"]) == 21'
}

@test "check prints levels, performance data and exit statuses for a monitor" {
    pay
    gives 3 bide check
    says "BIDE UNKNOWN - no policy has a breaker, or warn_ or crit_ keys"
    gives 0 bide check pay
    says "BIDE OK - pay: no warn_ or crit_ keys"
    bide set pay warn_retry_rate=20% crit_failed_rate=60% warn_min_calls=4 >/dev/null
    gives 0 bide check
    says "BIDE OK - pay: 0 calls, too few to judge | 'pay_calls'=0;;;0"
    working pay 3
    failing pay 3
    gives 1 bide check
    [ "${lines[0]%% |*}" = "BIDE WARNING - pay: retries 50% above 20%; most often exit.9" ]
    says "'pay_retries'=50%;20;;0;100" "'pay_failed'=50%;;60;0;100" "'pay_calls'=6;;;0"
    failing pay 5
    gives 2 bide check pay mail order
    says "BIDE CRITICAL - pay: retries 59.3% above 20%, failed 72.7% above 60%; most often exit.9; 1 critical, 0 warnings, 0 unknown, of 3 policies"
    gives 2 bide check --json
    json 'j["status"] == "CRITICAL" and j["policies"][0]["level"] == "critical" and j["policies"][0]["since"] is None'
    bide record
    gives 2 bide check
    says ", since today "
    gives 2 bide check --json
    json 'j["policies"][0]["since"] > 0'
}

# outage: the breaker of pay opens at the second of 50 calls: 96 % are refused.
outage() {
    shop
    bide set pay retry_on=exit.9 attempts=1 breaker=on breaker_consecutive=2 \
        breaker_open_for=1h breaker_open_max=1h "$@" >/dev/null
    failing pay 50
}

@test "in a full outage check is critical, and list, stats, audit and metrics agree" {
    outage crit_failed_rate=50% crit_breaker=1ms
    recorder --every 1s --on-change "env | grep ^BIDE_ | sort >>'$T/told'"
    local pid=$!
    until_it grep -q BIDE_LEVEL told
    stop $pid
    grep -qx BIDE_LEVEL=critical told
    grep -qx BIDE_CALLS=50 told
    grep -qx BIDE_FAILED_PCT=100.000 told
    grep -q "^BIDE_WHY=breaker open, not closed for .*, failed 100% above 50%; most often exit.9$" told
    gives 2 bide check
    [[ ${lines[0]} == "BIDE CRITICAL - pay: breaker open, not closed for "* ]]
    says ", failed 100% above 50%; most often " ", since today " "'pay_failed'=100%;;50;0;100" "'pay_calls'=50;;;0" ";0;1;0"
    gives 2 bide check --json
    json '[(p["level"], p["calls"], p["failed"], p["breaker_ms"] > 0, p["figures_known"]) for p in j["policies"]] == [("critical", 50, 50, True, True)]'
    gives 0 bide stats pay --json
    json 'j["policies"][0]["calls"]["exhausted"] == 2 and j["policies"][0]["calls"]["refused"] == 48'
    gives 0 bide stats pay
    says REFUSED 96.00%
    gives 0 bide list pay
    says "OPEN "
    gives 0 bide audit pay
    says "2 aborted, 48 refused of 50 calls" "ok -> critical: breaker open"
    gives 0 bide metrics
    says 'bide_policy_warning_level{policy="pay"} 2' 'bide_calls_total{policy="pay",scope="",verdict="refused"} 48'
}

@test "each breaker is watched, unless it is forced or warn_breaker is none" {
    outage
    gives 1 bide check
    [[ ${lines[0]} == "BIDE WARNING - pay: breaker open, not closed for "* ]]
    bide exec --quiet --scope db1 pay -- sh -c 'exit 9' || true
    gives 1 bide check # the one that opened first
    [[ ${lines[0]} == "BIDE WARNING - pay: breaker open, "* ]]
    bide breaker pay open >/dev/null
    gives 0 bide check pay
    says "BIDE OK - pay: breaker forced open, each call is refused"
    bide breaker pay auto >/dev/null
    failing pay 3
    gives 1 bide check
    bide set pay warn_breaker=1h >/dev/null
    gives 0 bide check
    says "BIDE OK - pay: within its limits"
    bide set pay warn_breaker=none >/dev/null
    gives 3 bide check
    bide set pay breaker=off paused=yes >/dev/null
    gives 0 bide check pay
    says "BIDE OK - pay: paused, each call is refused"
}

# unrecorded_for HOURS: makes the live state look as if it had begun then.
unrecorded_for() {
    python3 - "$T"/live/*.live "$1" <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(80) # begun_ns, layout.h
    begun = struct.unpack("<Q", f.read(8))[0]
    f.seek(80)
    f.write(struct.pack("<Q", begun - int(sys.argv[2]) * 3600 * 10**9))
END
}

@test "after hours without a recording no rate is judged, and nobody is paged" {
    pay
    bide set pay crit_failed_rate=60% warn_min_calls=4 >/dev/null
    failing pay 8
    gives 2 bide check
    unrecorded_for 3
    gives 3 bide check
    says "BIDE UNKNOWN - pay: rates unknown: one interval covers 3h; run: bide record --every 1m |" "'pay_failed'=U;;60;0;100" "'pay_calls'=U;;;0"
    gives 3 bide check --json
    json 'j["status"] == "UNKNOWN" and j["policies"][0]["level"] == "unknown" and "calls" not in j["policies"][0]'
    gives 0 bide metrics
    ! grep -q '^bide_policy_warning_level' <<<"$output"
    gives 0 bide record --verbose --on-change "touch '$T/paged'"
    [ ! -e "$T/paged" ]
    [ "${#lines[@]}" -eq 1 ]
    gives 3 bide check pay order
    says "BIDE UNKNOWN - pay: rates unknown" "; 0 critical, 0 warnings, 1 unknown, of 2 policies" "ok order: no warn_"
    failing pay 4 # recorded soon enough
    gives 2 bide check
    says "BIDE CRITICAL - pay: failed 100% above 60%" "'pay_failed'=100%" "'pay_calls'=4;;;0"
}

@test "damaged history hides no outage from check" {
    pay
    bide set pay crit_failed_rate=60% warn_min_calls=4 >/dev/null
    working pay 5
    bide record
    failing pay 9
    gives 2 bide check
    cp "$DIR/history/history.mdb" whole
    local page unknown=0 pages=$(($(stat -c %s whole) / 4096))
    for ((page = 2; page < pages; page++)); do
        cp whole "$DIR/history/history.mdb"
        printf 'XXXX' | dd of="$DIR/history/history.mdb" bs=1 seek=$((page * 4096)) conv=notrunc 2>/dev/null
        run bide check
        [ "$status" -eq 2 ] || [ "$status" -eq 3 ]
        [[ $output == *"rates unknown: damaged history"* ]] && unknown=$((unknown + 1))
    done
    [ "$unknown" -ge 1 ]
}

@test "check is UNKNOWN when it cannot judge" {
    pay
    gives 3 bide check nobody
    says "BIDE UNKNOWN - nobody"
    gives 3 bide check ../pay
    gives 3 bide check --nonsense 2>/dev/null
    [ "${lines[0]}" = "BIDE UNKNOWN - --nonsense: no such option" ]
    gives 3 "$BIDE" --dir "$T/nowhere" check
    [[ $output == "BIDE UNKNOWN - "* ]]
    mkdir "$T/empty"
    gives 3 "$BIDE" --dir "$T/empty" check
}

@test "check shows the share of rejected calls, whatever the level" {
    pay
    bide set pay warn_failed_rate=50% warn_min_calls=1 >/dev/null
    working pay 1
    for i in 1 2 3; do
        run bide exec --quiet pay -- ./no-such-command
    done
    run bide exec --quiet order -- ./no-such-command
    [ "$status" -eq 127 ]
    gives 0 bide check pay
    says "BIDE OK - pay: within its limits, 75% of its calls rejected" \
        "'pay_failed'=0%" "'pay_rejected'=75%;;;0;100"
    gives 0 bide check --json
    json "j['policies'][0]['calls'] == 4 and j['policies'][0]['rejected'] == 3"
    gives 0 bide check pay order mail
    says "most calls rejected in 2 |" "ok order: no warn_ or crit_ keys, 100% of its calls rejected"
    says_not "mail: no warn_ or crit_ keys, "
    gives 0 bide stats order
    says "app.command_not_found 100%"
}

@test "a row of the audit counts all versions of its time, and the sum all calls" {
    pay
    working pay 2
    bide set pay attempts=1 >/dev/null
    failing pay 1
    bide set pay attempts=2 >/dev/null
    working pay 4
    working order 5
    gives 0 bide audit pay --json
    json "[(e['calls'], e['aborted']) for e in j['entries'] if e['kind'] == 'calls'] == [(7, 1)]"
    gives 0 bide audit pay
    says "1 aborted of 7 calls in" ", most often exit.9" "in total 1 aborted of 7 calls."
    gives 0 bide audit
    says "in total 1 aborted of 12 calls."
    bide record
    gives 0 bide audit pay
    says "1 aborted of 7 calls in" ", most often exit.9" "in total 1 aborted of 7 calls."
}

@test "audit shows changes, forced states, breakers and calls in one time line" {
    pay
    bide set pay breaker=on breaker_consecutive=2 breaker_open_for=1h breaker_open_max=1h attempts=1 --note "to be safe" >/dev/null
    failing pay 3
    bide record
    bide breaker pay reset >/dev/null
    working pay 3
    bide breaker pay open --note "gateway, INC-311" >/dev/null
    bide exec --quiet pay -- true || true
    bide breaker pay auto >/dev/null
    gives 0 bide audit pay --since -1h
    says "created" "to be safe" "breaker opens" "breaker closes" "aborted" refused "gateway, INC-311" forced
    gives 0 bide audit --since -1h --json
    json 'j["damaged"] == 0'
    json '[e["when"] for e in j["entries"]] == sorted(e["when"] for e in j["entries"])'
    json '{e["kind"] for e in j["entries"]} == {"change", "forced", "breaker", "warning", "calls"}'
    json 'sum(e.get("aborted", 0) for e in j["entries"]) == 2'
    json 'sum(e.get("refused", 0) for e in j["entries"]) == 2'
    json 'sum("breaker opens" in e.get("what", "") for e in j["entries"]) == 1'
    recorder --every 1s # each event is shown once, recorded or not
    local pid=$!
    a_recording
    stop $pid
    gives 0 bide audit pay --json
    json 'sum("breaker opens" in e.get("what", "") for e in j["entries"]) == 1'
    json 'sum("breaker closes" in e.get("what", "") for e in j["entries"]) == 1'
    gives 0 bide audit pay --csv
    [ "${lines[0]}" = when,end,policy,scope,kind,what,who,uid,note ]
    says '"gateway, INC-311"'
    gives 0 bide audit pay --until yesterday
    says "No changes"
    gives 3 bide audit nobody
    gives 2 bide audit --since nonsense
}
