#!/usr/bin/env bats
# What etcd and the network do to an agent.  Each test ends with a change that
# reaches the host.

load fleet

setup_file() {
    needs_fleet
}

# a_host_follows [URL]: makes web-1, two releases, and its agent on release 1.
a_host_follows() {
    new_host web-1
    policies 4 | on web-1 fleet push - >/dev/null
    policies 5 | on web-1 fleet push - >/dev/null
    [ -z "${1:-}" ] || on web-1 fleet join "$@" --name web-1 >/dev/null
    point '"release":1,"percent":100'
    follow web-1
    until_true has web-1 payments attempts 4
}

# it_still_follows: moves the pointer to release 2.
it_still_follows() {
    point '"release":2,"percent":100'
    until_true has web-1 payments attempts 5
}

@test "a watch whose revision was compacted begins again, though etcd keeps it open" {
    start_etcd
    cat >compact <<EOF
export ETCDCTL_API=3
for i in 1 2 3; do etcdctl --endpoints $ETCD put /elsewhere \$i; done
etcdctl --endpoints $ETCD put /bide/rollout '{"format":1,"by":"ops","release":2,"percent":100}'
etcdctl --endpoints $ETCD put /elsewhere 4
revision=\$(etcdctl --endpoints $ETCD get / --write-out json | grep -o '"revision":[0-9]*' | cut -d: -f2)
etcdctl --endpoints $ETCD compact \$revision
EOF
    start_proxy before "sh ./compact"
    a_host_follows "$PROXY"
    # Release 2 was named before the watch began, at a revision that is gone.
    until_true has web-1 payments attempts 5
    grep -q "compacted revision" proxy.log
    [ "$(grep -c 'policies stay' web-1.log)" -eq 0 ]
}

@test "a watch of what does not change asks for progress, and for a leader" {
    local i
    start_etcd
    start_proxy log
    a_host_follows "$PROXY"
    until_true grep -q '/v3/watch' proxy.log
    grep -q '"progress_notify":true' proxy.log
    grep -qi '^Grpc-Metadata-hasleader: true' proxy.log
    # All that this host saw is compacted while its connection is away.
    kill_now proxy
    for i in 1 2 3; do ctl put /elsewhere "$i" >/dev/null; done
    ctl compact "$(ctl get / --write-out json | grep -o '"revision":[0-9]*' | cut -d: -f2)" >/dev/null
    run_in_background proxy python3 -S "$TOP/tests/system/fleet/proxy.py" "${PROXY##*:}" "$ETCD_PORT" log
    it_still_follows
}

@test "etcd is killed: policies stay, and the host follows when it is back" {
    start_etcd
    a_host_follows
    kill_now etcd
    until_true grep -q 'fleet: http://127.*policies stay as they are' web-1.log
    has web-1 payments attempts 4
    start_etcd
    it_still_follows
    # The failure is told once for each reason, not for each try.
    [ "$(grep -c 'policies stay' web-1.log)" -le 3 ]
}

@test "a proxy that cuts idle connections changes nothing" {
    start_etcd
    start_proxy cut 0.2
    a_host_follows "$PROXY"
    until_true has_lines 3 cut proxy.log
    it_still_follows
    ! grep -q 'policies stay' web-1.log
}

@test "a restored server is followed, though its revisions are lower" {
    local i
    start_etcd
    a_host_follows
    ctl snapshot save snapshot.db >/dev/null
    for i in 1 2 3; do ctl put /elsewhere "$i" >/dev/null; done
    it_still_follows
    kill_now etcd
    rm -r etcd.data
    etcdctl snapshot restore snapshot.db --data-dir etcd.data --name default \
        --initial-cluster "default=http://127.0.0.1:$ETCD_PEER" \
        --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER" \
        --initial-cluster-token restored >/dev/null 2>&1
    start_etcd
    until_true has web-1 payments attempts 4
    grep -q "etcd was restored from a backup" web-1.log
    it_still_follows
}

@test "another fleet behind the same name changes nothing" {
    start_etcd
    a_host_follows
    kill_now etcd
    rm -r etcd.data
    start_etcd
    on other init --live "$T/other.live" >/dev/null
    on other fleet join "$ETCD" --name other >/dev/null
    policies 9 | on other fleet push - >/dev/null
    point '"release":1,"percent":100'
    until_true grep -q "this is another fleet than the one that was joined; policies stay" web-1.log
    has web-1 payments attempts 4
    gives 4 on web-1 fleet releases
    says "this is another fleet"
}

@test "the endpoints are tried in turn" {
    start_etcd
    a_host_follows "http://127.0.0.1:$(free_port)" "$ETCD"
    gives 0 on web-1 fleet releases
    it_still_follows
}

# has_lines N PATTERN FILE
has_lines() {
    [ "$(grep -c "$2" "$3")" -ge "$1" ]
}

@test "etcd without a leader: policies stay" {
    local i urls=() peers='' port peer=()
    for i in 0 1 2; do
        peer[i]=http://127.0.0.1:$(free_port)
        peers+=${peers:+,}m$i=${peer[i]}
    done
    for i in 0 1 2; do
        port=$(free_port)
        urls+=("http://127.0.0.1:$port")
        start_member "$i"
    done
    ETCD=${urls[0]}
    until_true ctl put x y
    a_host_follows "${urls[@]}"
    kill_now etcd-1
    kill_now etcd-2
    until_true grep -q 'policies stay as they are' web-1.log
    has web-1 payments attempts 4
    gives 1 on web-1 fleet releases
    start_member 1
    until_true ctl put x z
    it_still_follows
}

# start_member I: starts a member of a cluster; uses the variables of the test.
start_member() {
    run_in_background "etcd-$1" etcd --name "m$1" --data-dir "etcd-$1.data" --logger zap --log-level error \
        --listen-client-urls "${urls[$1]}" --advertise-client-urls "${urls[$1]}" \
        --listen-peer-urls "${peer[$1]}" --initial-advertise-peer-urls "${peer[$1]}" \
        --initial-cluster "$peers" --heartbeat-interval 50 --election-timeout 500
}

@test "etcd that is full refuses a release, which is then not there" {
    start_etcd --quota-backend-bytes 1000000
    a_host_follows
    python3 -S -c 'for i in range(12000):
    print(f"[policy-{i}]\nattempts = 7\nwait_initial = 10ms\nwait_max = 500ms\nretry_on = http.503")' >many.ini
    gives 1 on web-1 fleet push many.ini
    says "space exceeded"
    gives 0 on web-1 fleet releases --json
    json '[r["release"] for r in j["releases"]] == [2, 1]'
}
