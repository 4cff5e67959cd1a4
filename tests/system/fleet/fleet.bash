# shellcheck shell=bash disable=SC2154,SC2034
# An etcd of the test's own, and hosts that follow it, each with a registry.

load ../registry

# needs_fleet: skips the tests of a file without etcd, or if fleet is left out.
needs_fleet() {
    command -v etcd etcdctl >/dev/null || skip_all "etcd is missing: .ci/packages extra"
    "$BIDE" help fleet >/dev/null 2>&1 || skip_all "fleet is left out: libcurl is missing"
}

setup() {
    enter_test
    export ETCDCTL_API=3
}

teardown() {
    stop_all
}

# free_port: prints a port of 127.0.0.1 that nobody uses.
free_port() {
    python3 -S -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# run_in_background NAME COMMAND...: starts it with its output in NAME.log and its
# process in NAME.pid.
run_in_background() {
    local name=$1
    shift
    "$@" >>"$name.log" 2>&1 3>&- 4>&- &
    echo $! >"$name.pid"
    disown
}

# stop_all: ends what run_in_background started.
stop_all() {
    local file
    for file in *.pid; do
        [ -e "$file" ] || continue
        kill -9 "$(<"$file")" 2>/dev/null || true
        rm "$file"
    done
}

# kill_now NAME: kills it, and waits until it is gone.
kill_now() {
    local pid
    pid=$(<"$1.pid")
    kill -9 "$pid" 2>/dev/null || true
    until_true not_running "$pid"
    rm -f "$1.pid"
}

not_running() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# start_etcd [OPTION...]: starts the etcd of this test, again on the same port and
# directory if it was killed.  Sets ETCD.
start_etcd() {
    local try
    for try in 1 2 3; do
        ETCD_PORT=${ETCD_PORT:-$(free_port)}
        ETCD_PEER=${ETCD_PEER:-$(free_port)}
        ETCD=${ETCD_SCHEME:-http}://127.0.0.1:$ETCD_PORT
        run_in_background etcd etcd --data-dir etcd.data --logger zap --log-level error \
            --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \
            --listen-peer-urls "http://127.0.0.1:$ETCD_PEER" \
            --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER" \
            --initial-cluster "default=http://127.0.0.1:$ETCD_PEER" "$@"
        until_true etcd_answers_or_ended
        not_running "$(<etcd.pid)" || return 0
        [ -e etcd.data/member ] || ETCD_PORT='' ETCD_PEER=''
    done
    cat etcd.log
    return 1
}

etcd_answers_or_ended() {
    not_running "$(<etcd.pid)" || ctl get x >/dev/null 2>&1
}

ctl() {
    # shellcheck disable=SC2086 # the options are words
    etcdctl --endpoints "$ETCD" --command-timeout 5s ${ETCDCTL_OPTIONS:-} "$@"
}

# start_proxy MODE [ARGUMENT]: a proxy (proxy.py) in front of etcd.  Sets PROXY.
start_proxy() {
    local port
    port=$(free_port)
    run_in_background proxy python3 -S "$TOP/tests/system/fleet/proxy.py" "$port" "$ETCD_PORT" "$@"
    PROXY=http://127.0.0.1:$port
    until_true curl -s -o /dev/null "$PROXY/health"
}

# until_true COMMAND...: runs it until it succeeds, for a minute at most.
until_true() {
    local i
    for ((i = 0; i < 1200; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    echo "never true: $*"
    tail -n 20 ./*.log
    return 1
}

# on HOST ARGUMENT...: runs bide on the registry of a host.
on() {
    local host=$1
    shift
    "$BIDE" --dir "$T/$host" "$@"
}

# new_host HOST [OPTION...]: makes its registry, and joins the fleet.
new_host() {
    local host=$1
    shift
    on "$host" init --live "$T/$host.live" >/dev/null
    on "$host" fleet join "$ETCD" --name "$host" "$@" >/dev/null
}

# follow HOST: starts its agent.
follow() {
    run_in_background "$1" "$BIDE" --dir "$T/$1" fleet follow
}

# point JSON-MEMBERS: sets the rollout pointer by hand.
point() {
    ctl put /bide/rollout "{\"format\":1,\"by\":\"ops\",$1}" >/dev/null
}

# has HOST NAME KEY VALUE: reports whether the value is in force there.
has() {
    [ "$(on "$1" get "$2" "$3" 2>/dev/null)" = "$4" ]
}

# record_has HOST PYTHON: reports whether the expression holds for the record j.
record_has() {
    ctl get --print-value-only "/bide/host/$1" | python3 -S -c "import json, sys
text = sys.stdin.read()
j = json.loads(text) if text.strip() else {}
g = j.get
sys.exit(0 if ($2) else 1)"
}

# policies ATTEMPTS [NAME...]: prints policy files.
policies() {
    local attempts=$1 name
    shift
    for name in "${@:-payments}"; do
        printf '[%s]\nattempts = %s\n' "$name" "$attempts"
    done
}
