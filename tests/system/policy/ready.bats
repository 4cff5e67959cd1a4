#!/usr/bin/env bats
# The policies of policies/: each is valid and behaves as the system that it is
# named after.
load ../registry

# plays FILE NAME: simulates the script on standard input; sets $output.
plays() {
    run bide simulate "$TOP/policies/$1" --policy "$2" --script - --random 1 --json
    [ "$status" -eq 0 ] || {
        echo "$output"
        return 1
    }
}

# said FILTER: prints the number of events for which FILTER is true; `e` is the
# event.
said() {
    python3 -c "import json, sys
print(sum(1 for e in map(json.loads, sys.stdin) if $1))" <<<"$output"
}

# calls COUNT EVERY-MS OUTCOMES [FROM-MS [NAME]]: prints COUNT lines of a script.
# An outcome without a duration takes no time.
calls() {
    local i word outcomes=
    for word in $3; do
        [[ $word == *+* ]] || word+=+0ms
        outcomes+=" $word"
    done
    for ((i = 0; i < $1; i++)); do
        echo "$((${4:-0} + i * $2))ms ${5:-c}$i$outcomes"
    done
}

@test "every policy of policies/ is valid and names the source of its numbers" {
    for file in "$TOP"/policies/*.ini; do
        gives 0 bide validate "$file"
        [[ $(head -1 "$file") == "# "* ]]
        [ "${file##*/}" = purchase.ini ] || grep -Eq '^# .*(Source|http)' "$file"
    done
    gives 0 bide apply "$TOP/policies"
    gives 0 bide apply "$TOP/policies"
    says "0 changed"
}

@test "the test vectors hold for the policies of policies/" {
    gives 0 python3 "$BATS_TEST_DIRNAME/ready.py" "$BIDE" "$TOP"
    says ' 0 failures'
}

@test "grpc: of 10 tokens the fifth failure leaves half, which is not enough" {
    plays grpc.ini grpc-throttled < <(calls 8 5000 "grpc.UNAVAILABLE ok" 0)
    # 10 - 5 failures + 0.1 for each retry that succeeded: 4 of them before.
    [ "$(said 'e["says"] == "wait"')" -eq 5 ]
    plays grpc.ini grpc-throttled < <(calls 2 60000 "grpc.UNAVAILABLE grpc.UNAVAILABLE grpc.UNAVAILABLE grpc.UNAVAILABLE")
    [ "$(said 'e["call"] == "c0" and e["says"] == "wait"')" -eq 3 ]
    [ "$(said 'e["call"] == "c1" and e.get("reason") == "budget" and e["attempt"] == 1')" -eq 1 ]
}

@test "aws: 500 tokens are 100 retries at 5, 50 after a timeout, 35 at 14" {
    plays aws.ini aws-standard < <(calls 60 0 "http.500 http.500 http.500")
    [ "$(said 'e["says"] == "wait"')" -eq 100 ]
    plays aws.ini aws-standard < <(calls 60 0 "errno.ETIMEDOUT errno.ETIMEDOUT errno.ETIMEDOUT")
    [ "$(said 'e["says"] == "wait"')" -eq 50 ]
    plays aws.ini aws-standard-2026 < <(calls 60 0 "http.500 http.500 http.500")
    [ "$(said 'e["says"] == "wait"')" -eq 35 ]
    plays aws.ini aws-standard-2026 < <(calls 60 0 "http.429 http.429 http.429")
    [ "$(said 'e["says"] == "wait"')" -eq 100 ]
}

@test "finagle and linkerd: 10 a second for 10 s, and a fifth of the calls that end well" {
    local refused="errno.ECONNREFUSED errno.ECONNREFUSED errno.ECONNREFUSED"
    plays finagle.ini finagle < <(calls 200 0 "$refused")
    [ "$(said 'e["says"] == "wait"')" -eq 100 ]
    plays finagle.ini finagle < <(calls 50 0 ok 0 s; calls 200 0 "$refused" 1)
    [ "$(said 'e["says"] == "wait"')" -eq 110 ]
    # All calls earn: 100 and a fifth of the calls whose first attempt had ended.
    plays finagle.ini finagle-retryfilter < <(calls 200 0 "$refused")
    [ "$(said 'e["says"] == "wait"')" -eq 140 ]
    # 100 for the first 25 calls, whose success earns 5.
    plays linkerd.ini linkerd < <(calls 50 0 "http.500 http.500 http.500 http.500 ok")
    [ "$(said 'e["says"] == "wait"')" -eq 105 ]
    plays linkerd.ini linkerd < <(calls 50 0 ok 0 s; calls 1 0 "$(printf "http.500 %.0s" {1..120})" 1)
    [ "$(said 'e["says"] == "wait"')" -eq 110 ]
}

@test "curl and grpc: the waits after one that the server asked for" {
    plays curl.ini curl <<<"0 a http.503+0ms http.503+0ms;after=7s http.503+0ms ok+0ms"
    [ "$(said 'e["says"] == "wait" and e["until_ms"] in (1000, 8000, 10000)')" -eq 3 ]
    plays grpc.ini grpc <<<"0 a grpc.UNAVAILABLE+0ms grpc.UNAVAILABLE+0ms;after=5s grpc.UNAVAILABLE+0ms ok+0ms"
    # 0.1 s and 20 %, the pushback, and the first wait again.
    [ "$(said 'e["says"] == "wait" and e["until_ms"] in (120, 5120, 5240)')" -eq 3 ]
}

@test "envoy: a fifth of the requests and 3, and out after 5 failures in a row" {
    plays envoy.ini envoy-retry-budget < <(calls 20 0 "http.503 http.503")
    [ "$(said 'e["says"] == "wait"')" -eq 7 ]
    plays envoy.ini envoy-outlier < <(calls 4 1000 "http.503 http.503"; calls 1 0 ok 10000 z)
    # Two calls make four attempts, the third call's first one is the fifth.
    [ "$(said 'e["call"] == "c2" and e.get("reason") == "breaker"')" -eq 1 ]
    [ "$(said 'e["call"] == "c3" and e["says"] == "refused"')" -eq 1 ]
    [ "$(said 'e["call"] == "z0" and e["says"] == "refused"')" -eq 1 ]
    plays envoy.ini envoy-outlier < <(calls 3 1000 "http.503 http.503"; calls 1 0 ok 32001 z)
    [ "$(said 'e["call"] == "z0" and e["says"] == "done" and e["verdict"] == "succeeded"')" -eq 1 ]
}

@test "resilience4j: opens at the 100th call, half of them failed; 10 probes after 60 s" {
    plays resilience4j.ini resilience4j < <(calls 50 10 ok; calls 49 10 app.x 500 f; calls 2 10 ok 990 g)
    [ "$(said 'e["says"] == "refused"')" -eq 0 ]
    plays resilience4j.ini resilience4j < <(calls 50 10 ok; calls 50 10 app.x 500 f; calls 1 0 ok 1000 g)
    [ "$(said 'e["says"] == "refused"')" -eq 1 ]
    plays resilience4j.ini resilience4j < <(calls 50 10 ok; calls 50 10 app.x 500 f; calls 11 0 ok+1s 60991 p)
    [ "$(said 'e["call"][0] == "p" and e["says"] == "go"')" -eq 10 ]
    [ "$(said 'e["call"] == "p10" and e["says"] == "refused"')" -eq 1 ]
    plays resilience4j.ini resilience4j-ignore < <(calls 99 10 app.business; calls 60 10 app.x 1000 f)
    [ "$(said 'e["says"] == "refused"')" -eq 0 ]
}

@test "polly: opens at 10 of 100 within 30 s, and one call decides after 5 s" {
    plays polly.ini polly < <(calls 91 10 ok; calls 9 10 app.x 910 f; calls 1 0 ok 1000 g)
    [ "$(said 'e["says"] == "refused"')" -eq 0 ]
    plays polly.ini polly < <(calls 90 10 ok; calls 10 10 app.x 900 f; calls 1 0 ok 1000 g; calls 2 0 ok+1s 5991 p)
    [ "$(said 'e["call"] == "g0" and e["says"] == "refused"')" -eq 1 ]
    [ "$(said 'e["call"] == "p0" and e["says"] == "go"')" -eq 1 ]
    [ "$(said 'e["call"] == "p1" and e["says"] == "refused"')" -eq 1 ]
    # The hundredth call meets the ratio, but it succeeds: only the next failure opens.
    plays polly.ini polly < <(calls 89 10 ok; calls 10 10 app.x 890 f; calls 2 10 ok 990 g; calls 2 10 app.x 1010 h)
    [ "$(said 'e["call"] in ("g0", "g1", "h0") and e["says"] == "go"')" -eq 3 ]
    [ "$(said 'e["call"] == "h1" and e["says"] == "refused"')" -eq 1 ]
}

@test "hystrix: opens at 10 of 20 within 10 s, for 5 s" {
    plays hystrix.ini hystrix < <(calls 11 10 ok; calls 9 10 app.x 110 f; calls 1 0 ok 200 g)
    [ "$(said 'e["says"] == "refused"')" -eq 0 ]
    plays hystrix.ini hystrix < <(calls 10 10 ok; calls 10 10 app.x 100 f; calls 1 0 ok 5189 g; calls 2 0 ok+1s 5191 p)
    [ "$(said 'e["call"] == "g0" and e["says"] == "refused"')" -eq 1 ]
    [ "$(said 'e["call"][0] == "p" and e["says"] == "go"')" -eq 1 ]
}

@test "purchase: the breaker opens if the payment server is down, not if some attempts fail" {
    plays purchase.ini do_transaction < <(calls 40 100 "http.503 http.503 http.503 http.503")
    [ "$(said 'e["says"] == "refused" and e["reason"] == "breaker"')" -gt 0 ]
    plays purchase.ini do_transaction < <(calls 60 100 "http.503 http.503 ok")
    [ "$(said 'e["says"] == "refused"')" -eq 0 ]
}
