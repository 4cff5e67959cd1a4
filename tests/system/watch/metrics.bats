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

@test "the rules for Prometheus count failed calls, and know our metrics" {
    command -v promtool >/dev/null || skip "needs the package prometheus"
    local rules=$TOP/cli/dist/bide-alerts.yml name
    promtool check rules "$rules"
    traffic
    bide record
    bide metrics >all
    for name in $(grep -o 'bide_[a-z_]*' "$rules" | sort -u); do
        grep -q "^$name[{ ]" all
    done
    cat >outage.yml <<END
rule_files: [$rules]
tests:
  - interval: 1m
    input_series:
      - {series: 'bide_calls_total{policy="pay",scope="",verdict="aborted"}', values: '0+4x10'}
      - {series: 'bide_calls_total{policy="pay",scope="a",verdict="refused"}', values: '0+96x10'}
      - {series: 'bide_calls_total{policy="pay",scope="",verdict="cancelled"}', values: '0+900x10'}
      - {series: 'bide_calls_total{policy="idle",scope="",verdict="refused"}', values: '5x10'}
      - {series: 'bide_breaker_state{policy="pay",scope="",state="half_open"}', values: '0 1 0 1 0 1 0 1 0 1 0'}
      - {series: 'bide_breaker_state{policy="pay",scope="",state="open"}', values: '1 0 1 0 1 0 1 0 1 0 1'}
    alert_rule_test:
      - eval_time: 8m
        alertname: BideFailedCalls
        exp_alerts:
          - exp_labels: {severity: critical, policy: pay}
            exp_annotations: {summary: 100% of the calls of pay fail, command: bide stats pay}
      - eval_time: 8m
        alertname: BideBreakerOpen
        exp_alerts:
          - exp_labels: {severity: critical, policy: pay}
            exp_annotations: {summary: a breaker of pay has not been closed for 5 minutes, command: bide breaker pay}
END
    promtool test rules outage.yml
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
