#!/usr/bin/env bats
# bide list, stats and calls.
load ../registry

@test "list without policies names the next command" {
    gives 0 bide list
    says "There are no policies yet" "bide apply"
    gives 0 bide list --json
    json 'j == {"policies": []}'
}

@test "list shows rules, and only the policies that match a pattern" {
    shop
    gives 0 bide list
    [[ ${lines[0]} =~ ^POLICY\ +CALLS/s\ +OK\ +FAILED/s\ +RETRIES\ +P95\ +BREAKER\ +BUDGET\ +WAITING\ +WARNING\ +OVER\ +VER\ +IMPORTANCE\ +RULES$ ]]
    [[ ${lines[1]} =~ ^mail\ .*\ 1\ +postponable\ +unlimited ]]
    [[ ${lines[3]} =~ ^pay\ .*\ 1\ +mandatory\ +4\ tries,\ 100ms\ x2 ]]
    gives 0 bide list 'p*'
    says pay
    says_not order
    gives 3 bide list 'z*'
    gives 0 bide list --json
    json '[p["policy"] for p in j["policies"]] == ["mail", "order", "pay"]'
    json 'j["policies"][2]["version"] == 1 and j["policies"][2]["calls"] == 0'
}

@test "list marks paused policies" {
    shop
    bide set pay paused=yes >/dev/null
    gives 0 bide list
    says "PAUSED"
}

@test "list counts the calls of exec" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
    bide exec pay -- true
    run bide exec --quiet pay -- sh -c 'exit 9'
    gives 0 bide list pay --all
    [[ ${lines[1]} =~ ^pay\ +2\ +50.0%\ +1\ +100.0%\ +[0-9.]+(us|ms)\ +- ]]
    gives 0 bide list pay
    [[ ${lines[1]} =~ ^pay\ +[0-9.]+\ +50.0%\ +[0-9.]+\ +100.0%\ +[0-9.]+(us|ms)\ +- ]]
    gives 0 bide list --json
    json 'j["policies"][2]["calls"] == 2 and j["policies"][2]["retries"] == 2'
}

@test "an attempt that is abandoned counts neither as an attempt nor as a retry" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
    for signal in KILL INT; do
        rm -f tried
        "$BIDE" --dir "$DIR" exec --quiet pay -- \
            sh -c '[ -e tried ] && exec sleep 600; touch tried; exit 9' &
        local pid=$! child
        until_it pgrep -P "$pid" sleep
        child=$(pgrep -P "$pid" sleep)
        kill -"$signal" "$pid"
        kill -KILL "$child" 2>/dev/null || true # it may have ended with it
        wait "$pid" || true
    done
    gives 0 bide list --json
    json 'all(p["retries"] <= p["attempts"] / 2 for p in j["policies"])'
}

@test "a policy is the sum of its scopes: list, stats, metrics" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=2 >/dev/null
    for scope in eu us us; do
        bide exec --scope $scope pay -- true
        run bide exec --quiet --scope $scope pay -- sh -c 'exit 9'
    done
    gives 0 bide list --json
    json '[(p["calls"], p["attempts"], p["retries"]) for p in j["policies"] if p["policy"] == "pay"] == [(6, 9, 3)]'
    json '[(s["scope"], s["calls"]) for s in j["policies"][2]["scopes"]] == [("eu", 2), ("us", 4)]'
    json 'j["policies"][2]["now"]["ok"] == 0.5 and j["policies"][2]["now"]["retries"] == 0.5 and j["policies"][2]["now"]["outcomes"] == {"exit.9": 6}'
    gives 0 bide stats --json
    json '[(s["policy"], s["calls"]["succeeded"], s["attempts"]) for s in j["sums"]] == [("pay", 3, 9)]'
    gives 0 bide stats pay
    [[ ${lines[1]} =~ ^pay\ +\(all\)\ +6\ +50.00% ]]
    gives 0 bide list
    [[ ${lines[3]} =~ ^pay\ +[0-9.,]+\ +50.0% ]]
    [ ${#lines[@]} -eq 4 ]
}

@test "list puts the worst first" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=2 >/dev/null
    bide set order retry_on=exit.9 wait=none attempts=1 importance=mandatory >/dev/null
    for _ in 1 2 3; do
        bide exec mail -- sleep 0.1
        run bide exec --quiet order -- sh -c 'exit 9'
    done
    run bide exec --quiet pay -- sh -c 'exit 9'
    for row in "failed order pay mail" "retries pay mail order" "p95 mail order pay" "name mail order pay"; do
        read -r sort first second third <<<"$row"
        gives 0 bide list --all --sort "$sort"
        [[ ${lines[1]} =~ ^$first ]] && [[ ${lines[2]} =~ ^$second ]] && [[ ${lines[3]} =~ ^$third ]]
        gives 0 bide list --sort "$sort" --json --all
        json "[p['policy'] for p in j['policies']] == ['$first', '$second', '$third']"
    done
    gives 2 bide list --sort worst
    says "--sort worst: not failed, calls, retries, p95 or name"
}

@test "list shows names that services use without a definition" {
    shop
    bide exec ghost -- true
    gives 0 bide list
    says "ghost" "not defined: used by pid"
    gives 0 bide stats ghost
    says "ghost" "not defined: ghost"
    gives 0 bide list --json
    json 'any(p["policy"] == "ghost" and p["version"] is None for p in j["policies"])'
}

# declares TEXT [SCOPE]: a program declares the text and asks for the policy ghost;
# it ends at the end of its input.
declares() {
    python3 - "$BIDE" "$DIR" "$@" 3<&0 <<'PY'
import ctypes, os, sys
b, p = ctypes.c_void_p(), ctypes.c_void_p()
bide = ctypes.CDLL(os.path.join(os.path.dirname(sys.argv[1]), "libbide.so"))
scope = sys.argv[4].encode() if len(sys.argv) > 4 else None
assert bide.bide_open(sys.argv[2].encode(), 0, ctypes.byref(b)) == 0
assert bide.bide_declare(b, sys.argv[3].encode()) == 0
assert bide.bide_lookup(b, b"ghost", scope, ctypes.byref(p)) == 0
print("declared", flush=True)
os.fdopen(3).read()
PY
}

@test "rules that a program declares are shown: list, show --declared" {
    needs_plain_build # Python could not load the library
    shop
    gives 3 bide show ghost --declared
    declares $'[base]\nattempts = 9\n[ghost]\nextends = base\nwait = none\n' </dev/null
    gives 0 bide list
    says "9 tries, no wait (declared by pid "
    gives 0 bide list --json
    json 'any(p["policy"] == "ghost" and p["rules"] == "9 tries, no wait" and p["declared_by"] for p in j["policies"])'
    gives 0 bide show ghost --declared
    says "# declared by python3 (pid " $'[ghost]\nextends = base\nwait = none\n\n[base]\nattempts = 9'
    # What other names follow is said too.
    bide exec --quiet stray -- true
    gives 0 bide list stray
    says "1 try (not defined: used by pid "
    bide apply - <<<$'[default]\nattempts = 7\n' >/dev/null
    gives 0 bide list stray
    says "7 tries" "not defined, so default applies: used by pid "
    # A policy of the registry takes the place of declared rules.
    bide apply - <<<$'[ghost]\nattempts = 2\n' >/dev/null
    gives 3 bide show ghost --declared
    gives 0 bide list ghost
    says "2 tries"
    says_not declared
}

@test "declared rules of a program that runs are shown before those of an ended one" {
    needs_plain_build # Python could not load the library
    shop
    declares $'[ghost]\nattempts = 4\nwait = none\n' </dev/null
    gives 0 bide show ghost --declared
    says "which has ended" "attempts = 4"
    gives 0 bide list
    says "4 tries, no wait (declared by pid " ", which has ended)"
    gives 0 bide list --json
    json 'any(p["policy"] == "ghost" and p["declared_ended"] for p in j["policies"])'
    coproc declares $'[ghost]\nattempts = 9\nwait = none\n'
    read -r <&"${COPROC[0]}"
    # Neither the same cell nor that of a scope hides it.
    declares $'[ghost]\nattempts = 5\nwait = none\n' </dev/null
    declares $'[ghost]\nattempts = 6\nwait = none\n' api </dev/null
    gives 0 bide show ghost --declared
    says "attempts = 9"
    says_not ended
    gives 0 bide list
    says "9 tries, no wait (declared by pid "
    says_not ended
    exec {COPROC[1]}>&-
    wait "$COPROC_PID"
    gives 0 bide list ghost
    says "6 tries" "which has ended"
}

@test "stats --json has the documented members" {
    shop
    bide set pay retry_on=exit.9 wait=fixed wait_initial=1ms wait_jitter=none attempts=2 >/dev/null
    bide exec pay -- true
    run bide exec --quiet --scope bank.example.com pay -- sh -c 'exit 9'
    gives 0 bide stats --json
    json 'set(j) == {"policies", "sums"} and [(p["policy"], p["scope"]) for p in j["policies"]] == [("pay", ""), ("pay", "bank.example.com")]'
    json 'set(j["policies"][0]) == {"policy", "scope", "version", "calls", "attempts", "attempts_failed", "retries", "slept_ms", "latency_ms", "calls_by_attempts", "outcomes", "breaker", "budget"}'
    json 'set(j["policies"][0]["calls"]) == {"succeeded", "recovered", "exhausted", "aborted", "deferred", "dropped", "refused", "rejected", "cancelled"}'
    json 'set(j["policies"][0]["latency_ms"]) == {"succeeded", "failed", "calls"}'
    json '{"p50", "p95", "p99", "max"} <= set(j["policies"][0]["latency_ms"]["failed"])'
    json 'j["policies"][0]["calls"]["succeeded"] == 1 and j["policies"][0]["version"] == 2'
    json 'j["policies"][1]["calls"]["aborted"] == 1 and j["policies"][1]["attempts"] == 2 and j["policies"][1]["retries"] == 1'
    json 'j["policies"][1]["outcomes"] == {"exit.9": 2} and j["policies"][1]["slept_ms"] >= 1'
}

@test "stats prints a row for each scope, and outcomes in percent" {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
    bide exec pay -- true
    run bide exec --quiet --scope bank pay -- sh -c 'exit 9'
    gives 0 bide stats pay
    [[ ${lines[0]} =~ ^POLICY\ +SCOPE\ +CALLS\ +OK\ +RECOVERED\ +ABORTED\ +ATTEMPTS\ +RETRIES\ +SLEPT\ +P50\ +P95\ +P99$ ]]
    [[ ${lines[1]} =~ ^pay\ +\(all\)\ +2\ +50.00%\ +0.00%\ +50.00%\ +4\ +2 ]]
    [[ ${lines[2]} =~ ^pay\ +-\ +1\ +100.00%\ +0.00%\ +0.00%\ +1\ +0 ]]
    [[ ${lines[3]} =~ ^pay\ +bank\ +1\ +0.00%\ +0.00%\ +100.00%\ +3\ +2 ]]
    says "outcomes of bank   exit.9 100%"
}

@test "stats without calls says so" {
    shop
    gives 0 bide stats
    says "No calls yet"
    gives 0 bide stats pay --json
    json 'j == {"policies": [], "sums": []}'
    gives 0 bide stats --since -1h
    says "No calls were recorded since"
}

@test "calls shows a waiting call, until a change wakes it" {
    shop
    bide set pay retry_on=exit.9 wait=fixed wait_initial=6h wait_max=6h wait_jitter=none attempts=2 >/dev/null
    gives 0 bide calls
    says "No calls are waiting."
    mkfifo ran
    "$BIDE" --dir "$DIR" exec --quiet pay -- sh -c 'echo >ran; exit 9' &
    read -r _ <ran
    until bide calls | grep -q '^pay'; do :; done
    gives 0 bide calls
    says "1 of 2" "exit.9" "1 call is waiting."
    gives 0 bide calls --json
    json 'len(j["calls"]) == 1 and j["calls"][0]["policy"] == "pay" and j["calls"][0]["allowed"] == 2'
    json '0 < j["calls"][0]["wakes_in_ms"] <= 6 * 3600 * 1000'
    gives 0 bide list pay
    [[ ${lines[1]} =~ ^pay\ .*\ -\ +-\ +1\ +-\  ]]
    gives 0 bide set pay attempts=1
    says "1 waiting call decided again"
    wait $! || true
    gives 0 bide calls
    says "No calls are waiting."
}

# sleeps_in SCOPE: starts a call that waits for hours before each of its retries.
sleeps_in() {
    "$BIDE" --dir "$DIR" exec --quiet --scope "$1" pay -- sh -c "echo x >>'$T/$1'; exit 9" &
    until_it grep x "$T/$1"
    until_it eval "bide calls --json | grep -q '\"scope\":\"$1\"'"
}
made() { [ "$(grep -c x "$T/$1")" -eq "$2" ]; }

@test "wake lets waiting calls go on now, in one scope or in all" {
    shop
    bide set pay retry_on=exit.9 wait=fixed wait_initial=6h wait_max=6h wait_jitter=none attempts=3 >/dev/null
    gives 0 bide wake pay
    says "pay: no calls are waiting"
    sleeps_in eu
    sleeps_in us
    gives 0 bide calls
    says "2 calls are waiting. To let those of a policy go on now: bide wake POLICY"
    gives 0 bide wake pay --dry-run
    says "pay: 2 waiting calls would be woken"
    gives 0 bide wake pay --scope eu
    says "pay: 1 waiting call woken"
    until_it made eu 2
    until_it eval "bide calls --json | grep -q '\"attempts\":2'"
    made us 1
    gives 0 bide wake pay --json
    json 'j == {"policy": "pay", "scope": None, "waiting": 2, "woken": 2}'
    until_it made us 2
    until_it eval "[ \"\$(bide calls --json | grep -o '\"attempts\":2' | wc -l)\" = 1 ]"
    bide wake pay >/dev/null
    wait
    made us 3
    gives 0 bide audit pay --kind forced --json
    json '[(e["scope"], e["what"]) for e in j["entries"]][:2] == [("eu", "1 waiting call woken"), ("", "2 waiting calls woken")]'
    json 'all(e["who"] and e["uid"] == '"$(id -u)"' for e in j["entries"])'
    gives 0 bide stats --json
    json '[s["retries"] for s in j["sums"]] == [4]'
    gives 3 bide wake pay --scope asia
    says "pay: no process has used scope asia"
    gives 3 bide wake pya
    says "pya: no such policy; did you mean pay?"
    gives 5 bide wake pay --scope 'a b'
}

@test "wake: a breaker that refuses, a name without a policy, who may not" {
    shop
    bide apply - <<<$'[default]\nretry_on = exit.9\nwait = fixed\nwait_initial = 6h\nwait_max = 6h\nattempts = 2\n' >/dev/null
    bide exec --quiet ghost -- sh -c 'exit 9' &
    until_it eval "bide calls | grep ghost"
    if [ "$(id -u)" -eq 0 ]; then
        admit_others
        gives 6 setpriv --reuid nobody --regid nogroup --clear-groups "$BIDE" --dir "$DIR" wake ghost
        says "permission"
    fi
    gives 0 bide wake ghost
    says "ghost: 1 waiting call woken"
    wait
    bide set pay retry_on=exit.9 wait=fixed wait_initial=6h wait_max=6h breaker=on \
        breaker_consecutive=2 breaker_open_for=1m attempts=3 >/dev/null
    sleeps_in eu
    for _ in 1 2; do
        bide exec --quiet --scope eu pay -- sh -c 'exit 9' &
    done
    until_it eval "bide breaker pay | grep OPEN"
    until_it eval '[ "$(bide calls | grep -c " eu ")" -ge 2 ]' # listed after it opened
    gives 0 bide wake pay --scope eu
    says "waiting calls woken; those that a breaker refuses wait on"
    made eu 1
    bide set pay attempts=1 >/dev/null
    wait
}
