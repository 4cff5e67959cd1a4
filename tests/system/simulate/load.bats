#!/usr/bin/env bats
# simulate with drawn outcomes: the load that retries add, and the results.
load ../registry

# drawn ARGUMENT...: simulates calls under pay that begin at even intervals.
drawn() {
    bide simulate pay --calls "100/s even" --for 10s "$@"
}

@test "simulate --calls without failures makes no retries" {
    shop
    gives 0 drawn --fail 0% --json
    json 'j["runs"][0]["calls"] == j["runs"][0]["attempts"] == 1000'
    json 'j["runs"][0]["amplification"] == 1 and j["runs"][0]["success_share"] == 1'
    json 'j["runs"][0]["answer_ms"] == {"p50": 20, "p95": 20, "p99": 20}'
}

@test "simulate --fail 100% makes all attempts that the rules allow" {
    shop
    gives 0 drawn --fail 100% --json
    json 'j["runs"][0]["attempts"] == 4000 and j["runs"][0]["amplification"] == 4'
    json 'j["runs"][0]["exhausted_by"] == {"attempts": 1000}'
    json 'j["outcome"] == "http.503" and len(j["runs"]) == 1'
}

@test "simulate KEY=VALUE compares both rules with the same random numbers" {
    shop
    gives 0 drawn --fail 100% budget=own budget_capacity=100 --json
    json 'j["changes"] == "budget=own budget_capacity=100"'
    json '[r["rules"] for r in j["runs"]] == ["present", "changed"]'
    json 'j["runs"][0]["attempts"] == 4000 and j["runs"][1]["attempts"] == 1020'
    json '[s["calls"] for s in j["runs"][0]["series"]][:60] == [s["calls"] for s in j["runs"][1]["series"]][:60]'
    unchanged gives 0 drawn --fail 100% budget=own budget_capacity=100
    says "NOW  CHANGED" "attempts per call" "4.00x" "1.02x" "by budget" \
        "attempts/s, changed" "PEAK  0" "█"
}

@test "simulate with a breaker prints how often it opened" {
    shop
    gives 0 drawn --fail "0% until 2s, 100% until 6s, 0%" \
        breaker=on breaker_window=1s breaker_open_for=1s --json
    json 'j["runs"][0]["breaker_opened"] == 0 and j["runs"][1]["breaker_opened"] >= 3'
    json 'j["runs"][1]["verdicts"]["refused"] > 200'
    json 'all(s["failed"] == 0 for s in j["runs"][1]["series"][:12])'
    json 'all(s["failed"] == 0 for s in j["runs"][1]["series"][45:60])'
    gives 0 drawn --fail 100% breaker=on
    says "times the breaker opened" "calls refused"
}

@test "simulate repeats its output for the same seed only" {
    shop
    bide simulate pay --fail 30% --latency "exponential 20ms" budget=own --json >one
    bide simulate pay --fail 30% --latency "exponential 20ms" budget=own --json --seed 1 |
        cmp - one
    bide simulate pay --fail 30% --latency "exponential 20ms" budget=own --json --seed 2 >two
    run ! cmp -s one two
    # These numbers are the same on every machine and in every version.
    gives 0 bide simulate pay --calls 200/s --fail 30% --for 60s --json
    json '(j["runs"][0]["calls"], j["runs"][0]["attempts"]) == (11918, 17007)'
}

@test "simulate takes the outcome of failures and the latency of attempts" {
    shop
    gives 0 drawn --fail 100% --outcome http.404 --json
    json 'j["runs"][0]["verdicts"]["rejected"] == 1000'
    gives 0 drawn --fail 100% --outcome http.404
    says "http.404" "calls rejected"
    gives 0 drawn --fail 100% attempts=1 --latency 1s --fail-latency 30ms --json
    json 'j["runs"][1]["answer_ms"]["p99"] == 30'
    gives 0 drawn --fail 0% --latency 10ms..30ms attempt_timeout=20ms attempts=1 --json
    json '400 < j["runs"][1]["attempts_timed_out"] < 600'
    gives 0 drawn --fail 0% --latency 1s attempt_timeout=20ms
    says "attempts timed out"
    gives 0 bide simulate pay retry_on=app.busy --fail 100% --json
    json 'j["outcome"] == "http.503"'
    gives 0 bide simulate - --fail 100% --json <<<$'[a]\nretry_on = app.busy'
    json 'j["outcome"] == "app.busy"'
}

@test "simulate FILE needs no registry, and has a default for each option" {
    gives 0 "$BIDE" --dir "$T/none" simulate - --calls 50/s <<<'[a]'
    says "50/s (Poisson) for 1m, seed 1" "take 20ms" "10%; http.503 after 20ms" \
        "time to answer, p50" "p95" "p99" "30s" "attempts/s" "failed/s"
    says_not "CHANGED"
}

@test "simulate draws its plot in ASCII if the locale is not UTF-8" {
    shop
    gives 0 env LC_ALL=C "$BIDE" --dir "$DIR" simulate pay --fail 100%
    says "attempts/s" "@@"
    says_not "█"
}

@test "simulate fits a terminal of 80 columns, and a pipe" {
    shop
    gives 0 bide simulate pay --calls 900000/m --for 10s --fail 90% breaker=on
    for line in "${lines[@]}"; do
        [ "${#line}" -le 80 ] || { echo "$line" && false; }
    done
}

@test "simulate reports invalid options" {
    shop
    refuses() {
        gives 5 bide simulate pay "$1" "$2"
        says "bide: $1: $3"
    }
    refuses --calls 200 "200: write a rate like 200/s"
    refuses --calls 0/s "0/s: must be above 0"
    refuses --fail 0.3 "0.3: write a share like 30%"
    refuses --fail "30% until 20s" "30% until 20s: the last share"
    refuses --fail "30% until 20s, 50% until 10s, 0%" "50% until 10s: each end must be later"
    refuses --for 60 "60: a duration needs its unit (60ms?)"
    refuses --latency 50ms..10ms "50ms..10ms: the shorter time must come first"
    refuses --fail-latency soon "soon: a duration is"
    refuses --outcome ok "ok: this outcome is not a failure"
    gives 2 bide simulate pay --fail 1% --seed many
    gives 2 bide simulate pay --fail 1% --script x
    says "--script and --fail"
    gives 2 bide simulate pay --random 1 --seed 2
    gives 2 bide simulate pay --random 1
    gives 5 bide simulate pay --fail 1% attempts=0
    says "attempts = 0"
    gives 2 bide simulate pay --fail 1% attempts
    gives 3 bide simulate nobody --fail 1%
    gives 5 bide simulate pay --calls 1000000/s --for 1h
    says "more than 100,000,000 calls" "a lower --calls"
}
