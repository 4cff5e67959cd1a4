#!/usr/bin/env bats
# bide serve: the page, the API and metrics over HTTP.
load ../registry
load serving

# get PATH OPTION...: requests it; the body is in $output, the status in $code.
get() {
    local path=$1
    shift
    command -v curl >/dev/null || skip "needs the package curl"
    run curl --silent --max-time 60 --output body --write-out '%{http_code} %{content_type}' "$@" "$URL$path"
    [ "$status" -eq 0 ]
    code=${output%% *} type=${output#* }
    output=$(tr -d '\0' <body)
}

@test "metrics, the API and the page answer only GET and HEAD" {
    shop
    bide exec pay -- true
    serve
    get /metrics
    [ "$code" = 200 ]
    [[ $type == "text/plain; version=0.0.4"* ]]
    says 'bide_calls_total{policy="pay",scope="",verdict="succeeded"} 1'
    if command -v promtool >/dev/null; then
        promtool check metrics <body
    fi
    get /
    [ "$code" = 200 ]
    [[ $type == "text/html"* ]]
    get / --head
    [ "$code" = 200 ]
    for method in POST PUT DELETE OPTIONS PATCH TRACE; do
        get /metrics --request "$method"
        [ "$code" = 405 ]
        json '"GET and HEAD" in j["error"]'
    done
    run curl --silent --include --request POST "$URL/"
    says "Allow: GET, HEAD"
    for path in /none /api/none /api/policies/ /api/policies/a/b /metrics/ //metrics /favicon.ico; do
        get "$path" --path-as-is
        [ "$code" = 404 ]
        json '"error" in j'
    done
}

without_now() {
    sed 's/"now": *{[^{}]*{[^{}]*}}//g'
}

@test "the API answers with the commands' --json output" {
    shop
    bide exec pay -- true
    bide exec pay --scope api.example.com -- true
    bide set pay attempts=9 --note 'a "note" <b>' >/dev/null
    serve
    for pair in "policies=list" "policies/pay=stats pay" "log=log" "calls=calls" "policies/pay/log=log pay" \
        "policies/pay/rules=show pay --resolved" "deferred=deferred stats"; do
        get "/api/${pair%%=*}"
        [ "$code" = 200 ]
        [ "$type" = "application/json; charset=utf-8" ]
        # shellcheck disable=SC2086 # several words are meant
        # Rates of the last minute differ from one moment to the next.
        [ "$(without_now <<<"$output")" = "$(bide ${pair#*=} --json | without_now)" ]
    done
    get /api/check
    json 'j["status"] == "UNKNOWN"'
    get /api/audit
    json 'any(e["what"].endswith("attempts 4 -> 9") for e in j["entries"])'
    get /api/policies/pay/history
    json 'sum(r["calls"]["succeeded"] for r in j["rows"]) == 2'
    get /api
    json '"/api/now" in j["paths"] and "/metrics" in j["paths"]'
    get /api/policies/none
    [ "$code" = 404 ]
    json 'j["error"].startswith("none: no such policy")'
    get /api/policies/pya
    json '"did you mean pay?" in j["error"]'
    get '/api/policies/A%22%3Cb%3E'
    [ "$code" = 404 ]
    json "j['error'].startswith('A\"<b>: not a name')"
}

@test "rates are shown although nothing is recorded" {
    shop
    serve
    get /api/now
    json 'j["host"]["recorded"] is None and j["log"]["changes"] and j["list"]["policies"]'
    for ((i = 0; i < 5; i++)); do bide exec pay -- true; done
    at_work() {
        get /api/now
        json '{p["policy"]: p for p in j["list"]["policies"]}["pay"]["now"]["calls_per_s"] > 0'
    }
    until_it at_work
    points() {
        get /api/now
        json 'j["trend"]["known"] and sum(j["trend"]["policies"]["pay"].get("calls", [])) > 0.4'
    }
    until_it points
    json 'max(j["trend"]["policies"]["pay"]["p95_ms"]) > 0 and j["trend"]["age_ms"] < 20000'
    [ ! -e "$DIR/history/history.mdb" ]
}

@test "one policy's past has its columns, scopes, versions and events" {
    shop
    bide set pay retry_on=any wait=none attempts=3
    bide exec pay --scope one.example.com -- true
    bide record # begins
    bide exec pay --scope one.example.com -- true
    bide exec pay --scope two.example.com -- false || true
    bide set pay attempts=2 --note 'INC-1 <b>' >/dev/null
    bide record
    bide exec pay --scope one.example.com -- true # since the last recording
    serve
    get '/api/policies/pay/past?since=2h'
    [ "$code" = 200 ]
    json '[s["scope"] for s in j["scopes"]] == ["two.example.com", "one.example.com"]'
    json '[(s["calls"]["exhausted"], s["calls"]["succeeded"]) for s in j["scopes"]] == [(1, 0), (0, 3)]'
    json '[v["number"] for v in j["versions"]] == [3, 2]'
    json 'j["step_s"] == 60 and sum(c["calls"]["succeeded"] for c in j["columns"]) == 3'
    json 'sum(c["outcomes"].get("exit.1", 0) for c in j["columns"]) == j["scopes"][0]["attempts"]'
    json 'sum(n for c in j["columns"] for low, n in c["heat"]) == sum(c["attempts"] for c in j["columns"])'
    get '/api/policies/pay/past?since=2h&scope=one.example.com'
    json 'sum(v["attempts"] for v in j["versions"]) == 3 and len(j["scopes"]) == 2'
    get '/api/policies/pay/past?since=2h&until=1h'
    json 'j["columns"] == []'
    for times in since=x 'since=1h&until=2h' until=today%20x since= since=1h%0a; do
        get "/api/policies/pay/past?$times"
        [ "$code" = 400 ]
    done
    get '/api/policies/none/past'
    json 'j["columns"] == [] and j["events"] == []'
}

@test "the past of a history that cannot be read says why" {
    shop
    bide exec pay -- true
    bide record
    head -c 8192 /dev/urandom | dd of="$DIR/history/history.mdb" conv=notrunc status=none
    serve
    get '/api/policies/pay/past?since=4m'
    [ "$code" = 200 ]
    json 'j["history_error"] and j["history_next"] and j["until"] - j["since"] == 240'
}

@test "other web pages cannot read answers by DNS rebinding" {
    serve
    port=${URL##*:}
    for host in evil.example "evil.example:$port" 10.0.0.1 "localhost.evil.example:$port" ""; do
        get /metrics --header "Host: $host"
        [ "$code" = 403 ] || [ "$code" = 400 ] || [ -z "$host" ]
        says_not bide_up
    done
    for host in localhost "localhost:$port" 127.0.0.1 "[::1]:$port"; do
        get /metrics --header "Host: $host"
        [ "$code" = 200 ]
    done
    run curl --silent --include "$URL/api/now"
    says_not Access-Control-Allow
    says "Cross-Origin-Resource-Policy: same-origin" "X-Content-Type-Options: nosniff" "Cache-Control: no-store"
}

@test "the Content-Security-Policy allows only the page's own script and style" {
    serve
    run curl --silent --include "$URL/"
    python3 - "$output" <<'END'
import base64, hashlib, re, sys
head, page = sys.argv[1].replace("\r\n", "\n").split("\n\n", 1)
policy = re.search("Content-Security-Policy: (.*)", head)[1]
assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
for tag in "script", "style":
    found = re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", page, re.S)
    assert len(found) == 1
    digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{digest}'" in policy, tag
assert "innerHTML" not in page and "style=" not in page and "insertAdjacent" not in page
END
}

@test "other hosts can connect only with --listen, after a warning" {
    serve
    [ ! -s said ]
    [[ $URL == http://127.0.0.1:* ]]
    end TERM
    serve --listen 0.0.0.0:0
    grep -q 'without a password' said
    URL=http://127.0.0.1:${URL##*:}
    get /metrics --header "Host: shop-1.example.com"
    [ "$code" = 200 ]
}

@test "the server listens on IPv6 addresses" {
    run python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))'
    [ "$status" -eq 0 ] || skip "needs IPv6"
    serve --listen '[::1]:0'
    [[ $URL == 'http://[::1]:'* ]]
    [ ! -s said ]
    get /metrics --globoff
    [ "$code" = 200 ]
}

@test "invalid addresses and addresses in use are refused" {
    for listen in '' 9747 :9747 127.0.0.1 localhost example.com:80 127.0.0.1:70000 ::1:9747; do
        gives 2 bide serve --listen "$listen"
        says "not an address and a port, such as 127.0.0.1:9747"
    done
    serve
    gives 1 bide serve --listen "${URL#http://}"
    says "Address already in use"
    gives 1 bide serve --listen 192.0.2.1:9747
    says "192.0.2.1:9747: Cannot assign requested address"
    gives 2 bide serve extra
}

@test "a socket of systemd is served, and still listens when the server has ended" {
    shop
    python3 "$BATS_TEST_DIRNAME/passed.py" restart "$BIDE" --dir "$DIR" serve
    # Sockets that were passed to another process are not taken.
    python3 "$BATS_TEST_DIRNAME/passed.py" other "$BIDE" --dir "$DIR" serve --listen 127.0.0.1:0
}

@test "a socket of systemd that cannot be served is refused with the reason" {
    # passed KIND TEXT...
    passed() {
        gives 1 python3 "$BATS_TEST_DIRNAME/passed.py" "$1" "$BIDE" --dir "$DIR" serve
        says "bide: the socket of systemd: " "${@:2}"
    }
    passed datagram "not a TCP socket" "write ListenStream=ADDRESS:PORT"
    passed unix "not a TCP socket"
    passed connected "it does not listen" "write Accept=no in the socket unit"
    passed two "LISTEN_FDS is not 1" "keep one ListenStream=ADDRESS:PORT"
    passed garbage "LISTEN_FDS is not 1"
    gives 2 python3 "$BATS_TEST_DIRNAME/passed.py" one "$BIDE" --dir "$DIR" serve --listen 127.0.0.1:0
    says "--listen 127.0.0.1:0: systemd passed a socket already"
}

@test "each signal ends the server, also while a client hangs" {
    shop
    for signal in TERM INT HUP; do
        serve
        exec 8<>"/dev/tcp/127.0.0.1/${URL##*:}"
        printf 'GET / HT' >&8
        end "$signal"
        exec 8>&-
    done
}

@test "without a registry the server reports it, and works once there is one" {
    mv "$DIR" "$DIR.away"
    serve
    get /metrics
    [ "$code" = 200 ]
    says "bide_up 0"
    if command -v promtool >/dev/null; then
        promtool check metrics <body
    fi
    get /api/now
    [ "$code" = 503 ]
    json '"no registry" in j["error"] or "registry" in j["error"]'
    get /api/policies
    [ "$code" = 503 ]
    json '"bide init" in j["next"]'
    get /
    [ "$code" = 200 ]
    mv "$DIR.away" "$DIR"
    shop
    is_up() {
        get /metrics
        says "bide_up 1" 'bide_policy_version{policy="pay"} 1'
    }
    until_it is_up
}

@test "the server reports a damaged registry, and works once it is restored" {
    shop
    serve
    get /api/policies
    [ "$code" = 200 ]
    cp "$DIR/policies/registry.mdb" whole
    head -c 8192 /dev/urandom | dd of="$DIR/policies/registry.mdb" conv=notrunc status=none
    is_down() {
        get /metrics
        says "bide_up 0"
    }
    until_it is_down
    get /api/now
    [ "$code" = 503 ]
    truncate -s 100 "$DIR/policies/registry.mdb"
    get /api/policies/pay
    [ "$code" = 503 ]
    cp whole "$DIR/policies/registry.mdb"
    is_up() {
        get /api/now
        json 'len(j["list"]["policies"]) == 3'
    }
    until_it is_up
}

@test "a damaged history does not affect the other answers" {
    shop
    bide exec pay -- true
    bide set pay warn_p95=1us >/dev/null
    bide record
    head -c 8192 /dev/urandom | dd of="$DIR/history/history.mdb" conv=notrunc status=none
    serve
    get /api/now
    [ "$code" = 200 ]
    json 'len(j["list"]["policies"]) == 3 and "calls" in j and "log" in j'
    get /metrics
    says "bide_history_up 0" "bide_up 1"
}

@test "a real Prometheus scrapes the server" {
    command -v prometheus >/dev/null || skip "needs the package prometheus"
    shop
    for i in 1 2 3; do bide exec pay -- true; done
    serve
    cat >prometheus.yml <<END
global: {evaluation_interval: 1s}
rule_files: [$TOP/cli/dist/bide-alerts.yml]
scrape_configs:
  - job_name: bide
    scrape_interval: 1s
    static_configs:
      - targets: ["${URL#http://}"]
END
    promtool check config prometheus.yml >/dev/null
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    prometheus --config.file=prometheus.yml --storage.tsdb.path="$T/tsdb" \
        --web.listen-address="127.0.0.1:$port" >prometheus.log 2>&1 3>&- &
    OTHER=$!
    # has QUERY VALUE
    has() {
        run curl --silent --get --data-urlencode "query=$1" "http://127.0.0.1:$port/api/v1/query"
        json "j['data']['result'][0]['value'][1] == '$2'"
    }
    until_it has 'bide_calls_total{policy="pay",verdict="succeeded"}' 3 || {
        tail prometheus.log
        return 1
    }
    has 'up{job="bide"}' 1
    has 'bide_up' 1
    has 'bide_attempt_duration_seconds_count{policy="pay",result="succeeded"}' 3
    has 'histogram_quantile(0.5, bide_attempt_duration_seconds_bucket{policy="pay",result="succeeded"}) > bool 0' 1
    bide exec pay -- true
    until_it has 'bide_calls_total{policy="pay",verdict="succeeded"}' 4
    # rules_are HEALTH: succeeds if each rule of ours has it.
    rules_are() {
        run curl --silent "http://127.0.0.1:$port/api/v1/rules"
        json "{r['health'] for g in j['data']['groups'] for r in g['rules']} <= {$1}"
    }
    until_it rules_are '"ok"'
    # Each panel of the dashboard gets an answer: a wrong join would be an error.
    python3 -S - "$TOP/cli/dist/bide-dashboard.json" "$port" <<'END'
import json, sys, urllib.parse, urllib.request
empty = []
for panel in json.load(open(sys.argv[1]))["panels"]:
    for target in panel.get("targets", []):
        query = target["expr"].replace("$__rate_interval", "1m").replace("$policy", ".*").replace("$instance", ".*")
        with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[2]}/api/v1/query?query={urllib.parse.quote(query)}") as answer:
            if not json.load(answer)["data"]["result"]:
                empty.append(panel["title"])
assert "Calls by verdict" not in empty and "Latency of attempts" not in empty and "In order" in empty, empty
END
}

@test "the page works in a real browser" {
    python3 -c "import sys; sys.path.insert(0, '$BATS_TEST_DIRNAME'); import browser; sys.exit(not browser.find())" ||
        skip "needs the package chromium"
    python3 "$BATS_TEST_DIRNAME/page.py" "$BIDE" "$T/page"
}
