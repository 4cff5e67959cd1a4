#!/usr/bin/env bats
# bide metrics: Prometheus text.
load ../registry

# Makes succeeded, recovered and aborted calls under policies with a breaker, an
# own budget, a shared budget and warnings.
traffic() {
    cat >traffic.ini <<'END'
[pay]
attempts = 3
wait = none
retry_on = exit.9
budget = own
breaker = on
breaker_min_calls = 5
breaker_open_for = 5m
warn_retry_rate = 1%
warn_min_calls = 1

[stock]
attempts = 2
wait = none
retry_on = exit.9
budget = shared

[order]
extends = stock
paused = yes

[forced]
breaker = open

[later]
importance = postponable
END
    bide apply traffic.ini >/dev/null
    bide exec pay -- true
    bide exec pay -- sh -c '[ "$BIDE_ATTEMPT" -gt 1 ] || exit 9'
    bide exec --quiet stock -- sh -c 'exit 9' || true
    bide exec stock --scope api.example.com -- true
    bide exec forced -- true 2>/dev/null || true
    bide exec nobody -- true
}

checked() {
    command -v promtool >/dev/null || skip "needs the package prometheus"
    promtool check metrics <"$1"
}

# is SERIES VALUE: succeeds if the series in $text has that value.
is() {
    run awk -v "name=$1" 'index($0, name " ") == 1 { print $NF }' <<<"$text"
    [ "$output" = "$2" ] || {
        echo "$1 is '$output', not $2"
        return 1
    }
}

@test "there are metrics before the first call" {
    bide metrics >empty
    checked empty
    text=$(cat empty)
    is bide_up 1
    is bide_live_up 0
    is bide_history_up 1
}

# has_names FILE: fails unless each metric that FILE names is in the file `all`, and
# each series by its label names.
has_names() {
    local name
    for name in $(grep -oE '\bbide_[a-z_]+[a-z]' "$1" | sed -E 's/_(bucket|sum|count)$//' | sort -u); do
        case $name in bide_calls | bide_calls_failed | bide_retries) continue ;; esac # of rules
        grep -q "^# TYPE $name " all || {
            echo "$1: there is no metric $name"
            return 1
        }
    done
}

# A recorder that goes on, and deferred work.
everything() {
    traffic
    timeout -s INT 2 "$BIDE" --dir "$DIR" record --every 1s || true
    echo x | bide deferred put later
    bide metrics >all
}

@test "the rules for Prometheus fire on each trouble, and know our metrics" {
    command -v promtool >/dev/null || skip "needs the package prometheus"
    local rules=$TOP/cli/dist/bide-alerts.yml
    promtool check rules "$rules"
    everything
    has_names "$rules"
    cat >outage.yml <<END
rule_files: [$rules]
tests:
  - interval: 1m
    input_series:
      - {series: 'bide_calls_total{policy="pay",scope="",verdict="aborted"}', values: '0+4x20'}
      - {series: 'bide_calls_total{policy="pay",scope="a",verdict="refused"}', values: '0+96x20'}
      - {series: 'bide_calls_total{policy="pay",scope="",verdict="cancelled"}', values: '0+900x20'}
      - {series: 'bide_calls_total{policy="idle",scope="",verdict="refused"}', values: '5x20'}
      - {series: 'bide_retries_total{policy="pay",scope="a"}', values: '0+30x20'}
      - {series: 'bide_attempts_total{policy="pay",scope="a"}', values: '0+120x20'}
      - {series: 'bide_attempt_duration_seconds_bucket{policy="pay",scope="a",result="failed",le="0.1"}', values: '0x20'}
      - {series: 'bide_attempt_duration_seconds_bucket{policy="pay",scope="a",result="failed",le="0.3"}', values: '0+60x20'}
      - {series: 'bide_attempt_duration_seconds_bucket{policy="pay",scope="a",result="failed",le="+Inf"}', values: '0+60x20'}
      - {series: 'bide_breaker_state{policy="pay",scope="",state="half_open"}', values: '0 1 0 1 0 1 0 1 0 1 0'}
      - {series: 'bide_breaker_state{policy="pay",scope="",state="open"}', values: '1 0 1 0 1 0 1 0 1 0 1'}
      - {series: 'bide_breaker_opened_total{policy="pay",scope="a"}', values: '0+1x20'}
      - {series: 'bide_budget_refused_total{policy="",scope="",group="shared"}', values: '0+1x20'}
      - {series: 'bide_budget_refused_total{policy="pay",scope="",group=""}', values: '7x20'}
      - {series: 'bide_deferred_died_total{policy="mail"}', values: '0x17 1x3'}
      - {series: 'bide_policy_warning_level{policy="pay"}', values: '1x10 2x10'}
      - {series: 'bide_counts_up', values: '1x8 0x12'}
      - {series: 'bide_history_up', values: '1x20'}
      - {series: 'bide_up', values: '1x20'}
      - {series: 'bide_registry_trouble_timestamp_seconds', values: '60x20'}
      - {series: 'bide_recorder_up', values: '1x9 0x11'}
      - {series: 'bide_fleet_info{instance="a",host="web-1",release="2",stage="0"}', values: '1x20'}
      - {series: 'bide_fleet_info{instance="b",host="web-2",release="1",stage="100"}', values: '1x20'}
      - {series: 'bide_calls_total{instance="a",policy="buy",scope="",verdict="aborted"}', values: '0+3x20'}
      - {series: 'bide_calls_total{instance="a",policy="buy",scope="",verdict="succeeded"}', values: '0+57x20'}
      - {series: 'bide_calls_total{instance="b",policy="buy",scope="",verdict="aborted"}', values: '0x20'}
      - {series: 'bide_calls_total{instance="b",policy="buy",scope="",verdict="succeeded"}', values: '0+60x20'}
      - {series: 'bide_history_recorded_timestamp_seconds', values: '0+60x9 540x11'}
    promql_expr_test:
      - {expr: 'policy:bide_calls:rate5m{policy="pay"} * 60', eval_time: 8m, exp_samples: [{labels: '{policy="pay"}', value: 100}]}
      - {expr: 'policy:bide_retries:ratio_rate5m', eval_time: 8m, exp_samples: [{labels: 'policy:bide_retries:ratio_rate5m{policy="pay"}', value: 0.25}]}
      - {expr: 'round(policy:bide_attempt_duration_seconds:p95_rate5m, 0.01)', eval_time: 8m, exp_samples: [{labels: '{policy="pay"}', value: 0.29}]}
      - {expr: 'round(stage:bide_calls_failed:ratio_rate5m, 0.001)', eval_time: 8m, exp_samples: [{labels: '{policy="buy",release="2",stage="0"}', value: 0.05}, {labels: '{policy="buy",release="1",stage="100"}', value: 0}]}
    alert_rule_test:
END
    # ALERT TIME LABELS SUMMARY COMMAND; without labels: it does not fire.
    local alert time labels summary command
    while IFS='|' read -r alert time labels summary command; do
        echo "      - {alertname: $alert, eval_time: $time, exp_alerts: [${labels:+{exp_labels: {$labels\}, exp_annotations: {summary: \"$summary\", command: \"$command\"\}\}}]}"
    done >>outage.yml <<'END'
BideFailedCalls|8m|severity: critical, policy: pay|100% of the calls of pay fail|bide stats pay
BideBreakerOpen|8m|severity: critical, policy: pay|the breaker of pay has not been closed for 5 minutes|bide breaker pay
BideBreakerFlaps|2m
BideBreakerFlaps|18m|severity: warning, policy: pay, scope: a|the breaker of pay/a opened 15 times in 15 minutes|bide audit pay --since -1h
BideBudgetRefuses|8m|severity: warning, group: shared|the retry budget of shared has refused retries for 5 minutes|bide list
BideDeferredDied|16m
BideDeferredDied|19m|severity: warning, policy: mail|deferred work of mail will not be tried again|bide deferred list mail --dead
BidePolicyWarning|8m|severity: warning, policy: pay|pay is above its warn_ keys|bide check pay
BidePolicyCritical|8m
BidePolicyCritical|12m|severity: critical, policy: pay|pay is above its crit_ keys|bide check pay
BideNotRead|19m
BideNotCounted|8m
BideNotCounted|15m|severity: critical|services cannot count their calls: no other rule can fire|bide doctor
BideHistoryNotRead|19m
BideNotFollowed|8m|severity: warning|a service could not read the registry 7m 0s ago|bide doctor
BideNotFollowed|12m
BideNotRecorded|8m
BideNotRecorded|12m|severity: warning|the recorder has stopped: nothing was recorded for 3m 0s|bide record --every 1m
END
    promtool test rules outage.yml
}

@test "each expression of the dashboard for Grafana is valid, and knows our metrics" {
    command -v promtool >/dev/null || skip "needs the package prometheus"
    everything
    python3 -S - "$TOP/cli/dist/bide-dashboard.json" <<'END'
import json, re, sys
board = json.load(open(sys.argv[1]))
panels, names = board["panels"], {v["name"] for v in board["templating"]["list"]}
assert len({p["id"] for p in panels}) == len(panels) and board["schemaVersion"] >= 36
cells, exprs = set(), [a["expr"] for a in board["annotations"]["list"]]
for p in panels:
    at = p["gridPos"]
    mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
    assert not mine & cells and at["x"] + at["w"] <= 24, p["title"]
    cells |= mine
    assert p["type"] == "row" or p["targets"], p["title"]
    assert len({t["refId"] for t in p.get("targets", [])}) == len(p.get("targets", []))
    exprs += [t["expr"] for t in p.get("targets", [])]
assert len(exprs) == len(re.findall(r'"expr"', json.dumps(board)))
uids = set(re.findall(r'"uid": "([^"]*)"', json.dumps(board)))
assert uids == {"${datasource}", board["uid"]}, uids # none of a real data source
text = json.dumps(board)
for name in re.findall(r"\$([a-z_]+)\b", text):
    assert name in names or name == "__rate_interval", name
for title in ("worst first", "Policy $policy", "Latency", "Breakers", "budgets", "Recorder", "Fleet"):
    assert any(title in p["title"] for p in panels), title
assert any(p["type"] == "heatmap" for p in panels)
plain = [e.replace("$__rate_interval", "5m").replace("$policy", ".*").replace("$instance", ".*") for e in exprs]
rules = [{"record": f"panel:{i}", "expr": e} for i, e in enumerate(plain)]
json.dump({"groups": [{"name": "board", "rules": rules}]}, open("board.yml", "w"))
labels = set(re.findall(r"(\w+)=", open("all").read())) | {"instance", "release", "stage"}
for e in plain:
    used = set(re.findall(r"(\w+)(?:!=|=~|=)\"", e))
    for by in re.findall(r"by \(([^)]*)\)", e):
        used |= set(re.findall(r"\w+", by))
    assert used <= labels, (e, used - labels)
END
    promtool check rules board.yml
    has_names board.yml
}

@test "promtool accepts all metrics without a remark" {
    traffic
    bide record
    bide metrics >all
    run checked all
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "metrics have the figures of stats" {
    traffic
    text=$(bide metrics)
    is 'bide_calls_total{policy="pay",scope="",verdict="succeeded"}' 2
    is 'bide_calls_recovered_total{policy="pay",scope=""}' 1
    is 'bide_attempts_total{policy="pay",scope=""}' 3
    is 'bide_retries_total{policy="pay",scope=""}' 1
    is 'bide_attempt_failures_total{policy="pay",scope="",outcome="exit.9"}' 1
    is 'bide_calls_total{policy="stock",scope="",verdict="aborted"}' 1
    is 'bide_calls_total{policy="stock",scope="api.example.com",verdict="succeeded"}' 1
    is 'bide_calls_total{policy="forced",scope="",verdict="refused"}' 1
    is 'bide_attempt_duration_seconds_count{policy="pay",scope="",result="succeeded"}' 2
    is 'bide_attempt_duration_seconds_bucket{policy="pay",scope="",result="failed",le="+Inf"}' 1
    # One call at once, one after a failure; a refused call took no time.
    is 'bide_call_duration_seconds_count{policy="pay",scope=""}' 2
    is 'bide_call_duration_seconds_bucket{policy="pay",scope="",le="+Inf"}' 2
    is 'bide_call_attempts_bucket{policy="pay",scope="",le="1.0"}' 1
    is 'bide_call_attempts_bucket{policy="pay",scope="",le="2.0"}' 2
    is 'bide_call_attempts_sum{policy="pay",scope=""}' 3
    is 'bide_call_attempts_count{policy="pay",scope=""}' 2
    is 'bide_call_duration_seconds_count{policy="stock",scope=""}' 1
    is 'bide_call_duration_seconds_count{policy="forced",scope=""}' 0
    is 'bide_policy_version{policy="pay"}' 1
    is 'bide_policy_version{policy="nobody"}' 0
    is 'bide_policy_paused{policy="order"}' 1
    is 'bide_policy_warning_level{policy="pay"}' 1
    is 'bide_policy_info{policy="stock",importance="mandatory",breaker="off",budget="shared"}' 1
    is 'bide_breaker_state{policy="pay",scope="",state="closed"}' 1
    is 'bide_breaker_state{policy="pay",scope="",state="open"}' 0
    is 'bide_breaker_state{policy="forced",scope="",state="open"}' 1
    # A shared budget is shown once, with the name of its group.
    run grep '^bide_budget_level_ratio' <<<"$text"
    [ "${#lines[@]}" -eq 2 ]
    says 'policy="pay",scope="",group=""' 'policy="",scope="",group="shared"'
}

@test "all histograms have the same canonical bounds and rising counts" {
    traffic
    bide metrics >all
    python3 - <<'END'
import re
bounds, buckets = None, {}
for line in open("all", encoding="utf-8"):
    m = re.match(r'bide_attempt_duration_seconds_bucket\{(.*),le="(.*)"\} (\d+)$', line)
    if m:
        buckets.setdefault(m[1], []).append((m[2], int(m[3])))
counts = dict(re.findall(r'bide_attempt_duration_seconds_count\{(.*)\} (\d+)', open("all").read()))
assert len(buckets) == 10, buckets.keys()
for of, rows in buckets.items():
    les = [le for le, _ in rows]
    assert bounds in (None, les)
    bounds = les
    assert [n for _, n in rows] == sorted(n for _, n in rows)
    assert rows[-1] == ("+Inf", int(counts[of]))
assert all(repr(float(le)) == le for le in bounds[:-1]), bounds
assert [float(le) for le in bounds] == sorted(float(le) for le in bounds)
END
}

@test "metrics show an open breaker and a waiting call" {
    traffic
    for i in 1 2 3 4; do bide exec --quiet pay -- sh -c 'exit 9' || true; done
    bide set stock wait=fixed wait_initial=10m wait_max=10m >/dev/null
    "$BIDE" --dir "$DIR" exec stock -- sh -c 'exit 9' 3>&- &
    for ((i = 0; i < 400; i++)); do
        text=$(bide metrics)
        grep -q '^bide_sleeping_calls{policy="stock",scope=""} 1$' <<<"$text" && break
        sleep 0.05
    done
    kill $!
    wait $! || true
    is 'bide_sleeping_calls{policy="stock",scope=""}' 1
    is 'bide_breaker_state{policy="pay",scope="",state="open"}' 1
    is 'bide_breaker_opened_total{policy="pay",scope=""}' 1
}

@test "attempts that a limit or a rate refuses are counted, and shown where they are asked" {
    bide apply - >/dev/null <<<$'[pay]\nattempts = 1\nlimit = own\nlimit_places = 1\n[stock]\nattempts = 1\nrate = own\nrate_limit = 1/h'
    # The command of an attempt holds the only place.
    gives 75 bide exec --quiet pay -- "$BIDE" --dir "$DIR" exec --quiet pay -- true
    bide exec stock -- true
    for i in 1 2; do gives 75 bide exec --quiet stock -- true; done
    bide metrics >metrics
    checked metrics
    text=$(<metrics)
    is 'bide_attempt_starts_refused_total{policy="pay",scope="",reason="limit"}' 1
    is 'bide_attempt_starts_refused_total{policy="pay",scope="",reason="rate"}' 0
    is 'bide_attempt_starts_refused_total{policy="stock",scope="",reason="rate"}' 2
    gives 0 bide limit pay --json
    json 'j["scopes"][0]["starts"]["refused_by_limit"] == 1 and j["scopes"][0]["limit"]["used"] == 0'
    gives 0 bide rate stock
    [ "$(awk '/^-/ {print $NF}' <<<"$output")" = 2 ]
    gives 0 bide list
    says "1 try, 1 at once" "1 try, 1/h"
}

@test "deferred work is counted as in deferred stats" {
    printf '[mail]\nimportance = postponable\ndefer_attempts = 1\nwait = none\n' >mail.ini
    bide apply mail.ini >/dev/null
    for i in 1 2 3 4; do printf "letter $i" | bide deferred put mail; done
    # The second item fails and is dead after one try; the third is done.
    bide deferred replay mail --until-empty --exec 'grep -q "letter [134]"' || true
    printf "letter 5" | bide deferred put mail
    bide deferred drop "$(bide deferred put mail <mail.ini)"
    bide metrics >all
    text=$(cat all)
    is bide_deferred_up 1
    is 'bide_deferred_work{policy="mail",state="waiting"}' 1
    is 'bide_deferred_work{policy="mail",state="leased"}' 0
    is 'bide_deferred_work{policy="mail",state="dead"}' 1
    is 'bide_deferred_bytes{policy="mail"}' 16
    is 'bide_deferred_stored_total{policy="mail"}' 6
    is 'bide_deferred_done_total{policy="mail"}' 3
    is 'bide_deferred_dropped_total{policy="mail"}' 1
    is 'bide_deferred_died_total{policy="mail"}' 1
    oldest=$(awk '/^bide_deferred_oldest_timestamp_seconds/ { print int($NF) }' all)
    [ "$oldest" -le "$(date +%s)" ] && [ "$oldest" -gt "$(($(date +%s) - 600))" ]
    run checked all
    [ -z "$output" ] || says "no promtool"
}

@test "unreadable deferred work does not hide the other metrics" {
    traffic
    printf letter | bide deferred put later
    head -c 8192 /dev/urandom | dd of="$DIR/deferred/deferred.mdb" conv=notrunc status=none
    text=$(bide metrics)
    is bide_up 1
    is bide_deferred_up 0
    is 'bide_calls_total{policy="pay",scope="",verdict="succeeded"}' 2
}

@test "--output replaces the file and makes it readable for all" {
    traffic
    (umask 077 && bide metrics --output out.prom)
    [ "$(stat -c %a out.prom)" = 644 ]
    before=$(stat -c %i out.prom)
    ln out.prom kept # keeps the inode number from being used again
    gives 0 bide metrics --output out.prom
    [ -z "$output" ]
    [ "$(stat -c %i out.prom)" != "$before" ]
    [ "$(echo out.prom*)" = out.prom ]
    checked out.prom
}

@test "a failed --output keeps the old file and leaves no other" {
    traffic
    echo old >out.prom
    # Writing fails at the limit of the file's size.
    run bash -c 'trap "" XFSZ; ulimit -f 1; exec "$BIDE" --dir "$DIR" metrics --output out.prom'
    [ "$status" -eq 1 ]
    says "out.prom: File too large"
    [ "$(cat out.prom)" = old ]
    [ "$(echo out.prom*)" = out.prom ]
    gives 1 bide metrics --output none/out.prom
    says "none/out.prom: No such file or directory"
    mkdir folder
    gives 1 bide metrics --output folder
    [ "$(echo folder*)" = folder ]
    gives 2 bide metrics --output ''
    gives 2 bide metrics --output
    # Without a registry the old file stays.
    gives 6 "$BIDE" --dir "$T/none" metrics --output out.prom
    [ "$(cat out.prom)" = old ]
}

@test "a reader never sees a partial file" {
    traffic
    bide metrics --output out.prom
    lines=$(grep -c . out.prom)
    (for ((i = 0; i < 40; i++)); do bide metrics --output out.prom; done) 3>&- &
    while kill -0 $! 2>/dev/null; do
        [ "$(grep -c . out.prom)" -eq "$lines" ]
    done
    wait $!
}

@test "a damaged history does not hide the other metrics" {
    traffic
    bide record
    head -c 8192 /dev/urandom | dd of="$DIR/history/history.mdb" conv=notrunc status=none
    text=$(bide metrics)
    is bide_history_up 0
    is 'bide_calls_total{policy="pay",scope="",verdict="succeeded"}' 2
}

@test "counting starts again after garbage in the live file" {
    traffic
    head -c 65536 /dev/urandom | dd of="$(echo live/*.live)" conv=notrunc status=none
    bide metrics >all
    checked all
    text=$(cat all)
    is bide_up 1
    is 'bide_policy_version{policy="pay"}' 1
    bide exec pay -- true
    text=$(bide metrics)
    is 'bide_calls_total{policy="pay",scope="",verdict="succeeded"}' 1
}

@test "metrics reports a full disk" {
    traffic
    run bash -c '"$BIDE" --dir "$DIR" metrics >/dev/full'
    [ "$status" -eq 1 ]
    says "standard output: No space left on device"
}
